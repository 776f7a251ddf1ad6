//! Writes an output so that no other file is changed, and the old one stays whole until the new one is.
//!
//! - A regular file is replaced in one step: nobody sees half of it, and on an error the old one stays. Its
//!   owner and permissions are kept; extended attributes are not. One that has other names (hard links) or
//!   that cannot be replaced, because its folder cannot be written to, its owner cannot be kept or it is a
//!   mount point, is written in place, so that all names keep the same file.
//! - The new file has no name until it is whole, where the system has such files (Linux, on most file
//!   systems). A name that it has before it is in its place is one that no other thread or process uses, and
//!   goes with every error.
//! - A signal that ends the process waits while there is such a name, or half of a file. That holds in the
//!   thread that writes: with others that take the signal, or if the process is killed (`SIGKILL`) within
//!   these calls, a name may stay.
//! - A link stays, and its target is replaced.
//! - What is no regular file – a fifo, a device, a socket – is written to, and neither read nor replaced; so
//!   is what a descriptor has open (`/dev/stdout`, `/dev/fd/3`, the shell's `>(…)`).

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// This many links are followed, one to the next; more are taken for a circle.
const LINKS: usize = 40;

/// Where an output goes, links followed.
pub(crate) enum Target {
    /// A file that does not exist.
    New(PathBuf),
    /// A regular file.
    File(PathBuf, Metadata),
    /// Anything else, or what a descriptor has open.
    Stream(PathBuf),
}

impl Target {
    /// What a path leads to.
    pub(crate) fn of(path: &Path) -> io::Result<Target> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            let folder = match path.parent() {
                Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
                Some(folder) => folder,
                None => return Err(is_a_folder()),
            };
            let Some(name) = path.file_name() else { return Err(is_a_folder()) };
            let folder = folder.canonicalize().map_err(|error| no_folder(folder, error))?;
            let here = folder.join(name);
            if folder.starts_with("/proc") && folder.ends_with("fd") {
                return Ok(Target::Stream(here));
            }
            let metadata = match fs::symlink_metadata(&here) {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Target::New(path)),
                Err(error) => return Err(error),
            };
            let kind = metadata.file_type();
            if kind.is_symlink() {
                path = folder.join(fs::read_link(&here)?);
                continue;
            }
            return match () {
                () if kind.is_dir() => Err(is_a_folder()),
                () if kind.is_file() => Ok(Target::File(path, metadata)),
                () => Ok(Target::Stream(path)),
            };
        }
        Err(io::Error::other("a link that leads to itself"))
    }

    /// The content, if it is a file of this size; of a larger one, enough to find the first difference.
    pub(crate) fn content(&self, expected: usize) -> io::Result<Option<Vec<u8>>> {
        let Target::File(path, _) = self else { return Ok(None) };
        let mut content = Vec::new();
        File::open(path)?.take(expected as u64 + 4096).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Writes the text.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        match self {
            Target::New(path) => replace(path, text, None),
            // Standard output may be something that cannot be opened by its path: a socket, or a file of
            // another user.
            Target::Stream(path) if *path == own_stdout() => {
                let mut out = io::stdout().lock();
                out.write_all(text.as_bytes())?;
                out.flush()
            }
            Target::Stream(path) => OpenOptions::new().append(true).open(path)?.write_all(text.as_bytes()),
            Target::File(path, metadata) => {
                // A user who may not write to the file may not replace it, either.
                let file = OpenOptions::new().read(true).write(true).open(path)?;
                if has_other_names(metadata) {
                    return rewrite(file, text);
                }
                match replace(path, text, Some(metadata)) {
                    Err(error)
                        if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ResourceBusy) =>
                    {
                        rewrite(file, text)
                    }
                    result => result,
                }
            }
        }
    }
}

fn is_a_folder() -> io::Error {
    io::Error::new(ErrorKind::IsADirectory, "it is a folder")
}

fn no_folder(folder: &Path, error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("there is no folder `{}`", folder.display()))
        }
        ErrorKind::NotADirectory => {
            io::Error::new(error.kind(), format!("`{}` is no folder", folder.display()))
        }
        _ => error,
    }
}

/// Where Linux has standard output among this process's descriptors.
fn own_stdout() -> PathBuf {
    format!("/proc/{}/fd/1", process::id()).into()
}

/// Writes an open file anew. On an error it gets its old text back, whose room it still has.
fn rewrite(mut file: File, text: &str) -> io::Result<()> {
    let _whole = signals::hold();
    let mut old = Vec::new();
    file.read_to_end(&mut old)?;
    overwrite(&mut file, text.as_bytes()).inspect_err(|_| {
        // The first error is reported, whatever becomes of this attempt.
        let _ = overwrite(&mut file, &old);
    })
}

fn overwrite(file: &mut File, text: &[u8]) -> io::Result<()> {
    file.rewind()?;
    file.write_all(text)?;
    file.set_len(text.len() as u64)
}

/// Puts a new file in the place of a path in one step.
fn replace(path: &Path, text: &str, old: Option<&Metadata>) -> io::Result<()> {
    let nameless = nameless::create(path);
    if let Some(file) = &nameless {
        fill(file, text, old)?;
        if old.is_none() && nameless::give_name(file, path).is_ok() {
            return Ok(());
        }
    }
    let _whole = signals::hold();
    let new = Temporary::beside(path)?;
    if nameless.is_some_and(|file| nameless::give_name(&file, &new.0).is_ok()) {
        return fs::rename(&new.0, path);
    }
    let file = OpenOptions::new().write(true).create_new(true).open(&new.0)?;
    fill(&file, text, old)?;
    drop(file);
    fs::rename(&new.0, path)
}

/// Gives a new file its text, and the owner and permissions of the one that it replaces.
fn fill(mut file: &File, text: &str, old: Option<&Metadata>) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    let Some(old) = old else { return Ok(()) };
    keep_owner(file, old)?;
    file.set_permissions(old.permissions())
}

#[cfg(unix)]
fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(file, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Files that have no name yet.
#[cfg(target_os = "linux")]
mod nameless {
    use std::ffi::CString;
    use std::fs::{File, OpenOptions};
    use std::io;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::path::Path;

    /// A new file in the folder of `path`; `None` if the file system has no such files.
    pub(super) fn create(path: &Path) -> Option<File> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(libc::O_TMPFILE).open(folder.unwrap_or(Path::new("."))).ok()
    }

    /// Gives it a name that no file has. Needs `/proc`.
    pub(super) fn give_name(file: &File, name: &Path) -> io::Result<()> {
        let file = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let name = CString::new(name.as_os_str().as_bytes())?;
        let (here, flags) = (libc::AT_FDCWD, libc::AT_SYMLINK_FOLLOW);
        // SAFETY: both strings end with a zero, and the call keeps neither.
        match unsafe { libc::linkat(here, file.as_ptr(), here, name.as_ptr(), flags) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod nameless {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub(super) fn create(_: &Path) -> Option<File> {
        None
    }

    pub(super) fn give_name(_: &File, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Signals that wait.
#[cfg(unix)]
mod signals {
    use std::mem::MaybeUninit;
    use std::ptr;

    /// The signals that were held back in this thread before.
    pub(super) struct Held(libc::sigset_t);

    /// Holds signals to this thread back until the value that is returned is dropped.
    pub(super) fn hold() -> Held {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: it writes the set.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: it reads the set that the call before has made, and writes the other one.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr()) };
        // SAFETY: the call before has made it. It fails for a `how` that there is not, and not for this one.
        Held(unsafe { before.assume_init() })
    }

    impl Drop for Held {
        fn drop(&mut self) {
            // SAFETY: the set is whole, and the old one is not asked for.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
        }
    }
}

#[cfg(not(unix))]
mod signals {
    /// Other systems have no such signals.
    pub(super) fn hold() {}
}

/// A file that is removed unless it has got another name.
struct Temporary(PathBuf);

impl Temporary {
    /// A name of its own in the folder of `path`, whichever threads and processes write there.
    fn beside(path: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let Some(name) = path.file_name() else { return Err(is_a_folder()) };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut new = std::ffi::OsString::from(".");
        new.push(name);
        new.push(format!(".{}-{number}.new", process::id()));
        Ok(Self(path.with_file_name(new)))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the file has been renamed there is none of this name.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(unix)]
fn has_other_names(metadata: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

/// Whether both paths lead to one file, by whatever of its names.
pub fn is_same_file(a: &Path, b: &Path) -> bool {
    let is_one_name = matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b);
    is_one_name || matches!((fs::metadata(a), fs::metadata(b)), (Ok(a), Ok(b)) if is_one_file(&a, &b))
}

/// Whether these are of one file, which may have several names.
#[cfg(unix)]
fn is_one_file(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    a.is_file() && (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_one_file(_: &Metadata, _: &Metadata) -> bool {
    false
}

/// An empty folder beside the program of the tests, which is below cargo's target folder.
#[cfg(test)]
pub(crate) fn test_folder(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.with_file_name(format!("tests-{name}-{}", process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            Folder(test_folder(name))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }

        fn names(&self) -> Vec<String> {
            let names =
                fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn write(path: &Path, text: &str) -> io::Result<()> {
        Target::of(path)?.write(text)
    }

    #[test]
    fn a_link_stays_and_its_target_is_replaced() {
        let folder = Folder::new("link");
        fs::write(folder.path("real.rs"), "old").unwrap();
        symlink("real.rs", folder.path("near.rs")).unwrap();
        symlink(folder.path("near.rs"), folder.path("far.rs")).unwrap();
        symlink("new.rs", folder.path("dangling.rs")).unwrap();
        symlink("loop.rs", folder.path("loop.rs")).unwrap();
        write(&folder.path("far.rs"), "one").unwrap();
        write(&folder.path("dangling.rs"), "two").unwrap();
        assert_eq!(fs::read_to_string(folder.path("real.rs")).unwrap(), "one");
        assert_eq!(fs::read_to_string(folder.path("new.rs")).unwrap(), "two");
        assert!(write(&folder.path("loop.rs"), "three").is_err());
        let is_link = |name: &str| fs::symlink_metadata(folder.path(name)).unwrap().file_type().is_symlink();
        assert!(["near.rs", "far.rs", "dangling.rs", "loop.rs"].iter().all(|name| is_link(name)));
        assert_eq!(folder.names(), ["dangling.rs", "far.rs", "loop.rs", "near.rs", "new.rs", "real.rs"]);
    }

    #[test]
    fn permissions_and_hard_links_are_kept() {
        let folder = Folder::new("mode");
        let (file, other) = (folder.path("a.rs"), folder.path("b.rs"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        write(&file, "new").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        // Only root may give a file away, and to the owner it has already there is nothing to give.
        if std::os::unix::fs::chown(&file, Some(12345), Some(54321)).is_ok() {
            write(&file, "of somebody else").unwrap();
            let metadata = fs::metadata(&file).unwrap();
            let kept = (metadata.uid(), metadata.gid(), metadata.mode() & 0o777);
            assert_eq!(kept, (12345, 54321, 0o640));
        }
        fs::hard_link(&file, &other).unwrap();
        write(&file, "both, longer than before").unwrap();
        write(&file, "both").unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "both");
        assert_eq!(fs::metadata(&file).unwrap().ino(), fs::metadata(&other).unwrap().ino());
    }

    /// A file that is written in place has its old text after an error; here it cannot be written to at all.
    #[test]
    fn what_cannot_be_written_keeps_its_text() {
        let folder = Folder::new("kept");
        let (file, other) = (folder.path("a.rs"), folder.path("b.rs"));
        fs::write(&file, "old").unwrap();
        fs::hard_link(&file, &other).unwrap();
        rewrite(File::open(&file).unwrap(), "new, and longer").unwrap_err();
        assert_eq!(fs::read_to_string(&other).unwrap(), "old");
    }

    /// A signal that comes while a file is half written is taken when it is whole.
    #[test]
    fn signals_wait_until_a_file_is_whole() {
        use std::sync::atomic::AtomicUsize;
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn take(_: i32) {
            TAKEN.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the handler only counts.
        unsafe { libc::signal(libc::SIGUSR1, take as extern "C" fn(i32) as libc::sighandler_t) };
        let held = signals::hold();
        // SAFETY: the signal has a handler.
        unsafe { libc::raise(libc::SIGUSR1) };
        assert_eq!(TAKEN.load(Ordering::Relaxed), 0);
        drop(held);
        assert_eq!(TAKEN.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_socket_or_a_folder_is_not_replaced() {
        let folder = Folder::new("socket");
        let path = folder.path("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(write(&path, "text").is_err(), "a socket cannot be opened");
        assert!(matches!(Target::of(&path).unwrap(), Target::Stream(_)));
        assert_eq!(write(&folder.0, "text").unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(write(&folder.0.join(".."), "text").unwrap_err().kind(), ErrorKind::IsADirectory);
        let missing = write(&folder.path("no/such.rs"), "text").unwrap_err();
        assert!(missing.to_string().contains("there is no folder"), "{missing}");
        assert_eq!(folder.names(), ["socket"]);
    }

    /// What a descriptor has open is written to where it stands, and keeps what it has.
    #[test]
    fn a_descriptor_is_written_to() {
        use std::os::fd::AsRawFd as _;
        let folder = Folder::new("descriptor");
        let mut file = OpenOptions::new().append(true).create(true).open(folder.path("log")).unwrap();
        file.write_all(b"before ").unwrap();
        let path = PathBuf::from(format!("/dev/fd/{}", file.as_raw_fd()));
        if path.exists() {
            write(&path, "after").unwrap();
            assert_eq!(fs::read_to_string(folder.path("log")).unwrap(), "before after");
        }
    }
}
