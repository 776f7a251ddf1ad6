//! Swap files and swap partitions on Linux.
//!
//! ```
//! use mach_pager::store::{Store, file};
//! use mig_runtime::platform::Std;
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("swap.img");
//! file::format(&path, Some(1 << 20), false)?;
//! let store = file::open::<Std>(&path)?;
//! assert_eq!(store.space().free, 254); // 1 MiB are 256 pages; two of them hold the superblock.
//! # Ok::<(), file::FileError>(())
//! ```

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mig_runtime::platform::Platform;
use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use tempfile::NamedTempFile;

use super::disk::{Disk, DiskError, RUN};
use super::superblock::{self, Format, Header, HeaderError};
use super::swap::SwapStore;

/// Bytes in a page of the swap space that [`format()`] makes: what the kernels of i386 and x86_64 have.
pub const PAGE_SIZE: usize = 4096;

/// Bytes in a new swap file, unless it is said.
pub const DEFAULT_SIZE: u64 = 256 << 20;

/// Two superblocks and a page.
const SIZE_MIN: u64 = 3 * PAGE_SIZE as u64;

/// Makes a swap file, or makes a block device swap space.
///
/// A new file has `size` bytes or [`DEFAULT_SIZE`], all of them reserved on the file system. It is complete when it appears under its name. It
/// takes the place of a file that was there, with that one's size unless `size` says otherwise, so that for a moment there must be room for
/// both. A block device is used whole, and its superblock is written last.
///
/// What is there already is overwritten only if it is swap space that this function made, or if `force` says so.
///
/// # Errors
///
/// [`FileError`]; what was there is as it was.
pub fn format(path: &Path, size: Option<u64>, force: bool) -> Result<Header, FileError> {
    let told = |problem: Problem| FileError { path: path.into(), problem };
    let existing = match fs::metadata(path) {
        Ok(_) => Some(FileDisk::open(path)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(told(Problem::Io("cannot be looked at", error))),
    };
    if existing.as_ref().is_some_and(|disk| !force && !is_ours(disk)) {
        return Err(told(Problem::NotOurs));
    }
    match existing {
        Some(disk) if disk.is_device => match size {
            None => make_swap(&disk),
            Some(_) => Err(Problem::SizeOfDevice),
        },
        Some(disk) => replace(path, size.unwrap_or(disk.size)),
        None => create(path, size.unwrap_or(DEFAULT_SIZE)),
    }
    .map_err(told)
}

/// Opens a swap file or a block device that is swap space, for this process alone.
///
/// # Errors
///
/// [`FileError`].
pub fn open<P: Platform>(path: &Path) -> Result<SwapStore<FileDisk, P>, FileError> {
    let told = |problem: Problem| FileError { path: path.into(), problem };
    let store = SwapStore::open(FileDisk::open(path)?).map_err(|error| told(Problem::Header(error)))?;
    // Somebody may have copied the file and left its empty parts out.
    store.disk().reserve().map_err(told)?;
    Ok(store)
}

/// Whether a device was made by [`format()`], even if it is not as it was.
fn is_ours(disk: &FileDisk) -> bool {
    match superblock::read(disk) {
        Ok(header) => header.format != Format::Linux,
        Err(error) => matches!(error, HeaderError::CutShort { .. }),
    }
}

fn create(path: &Path, size: u64) -> Result<Header, Problem> {
    let (file, header) = make_beside(path, size)?;
    file.persist_noclobber(path).map_err(|error| Problem::Io("cannot be made", error.error))?;
    Ok(header)
}

fn replace(path: &Path, size: u64) -> Result<Header, Problem> {
    // A link stays a link.
    let path = fs::canonicalize(path).map_err(|error| Problem::Io("cannot be followed", error))?;
    let (file, header) = make_beside(&path, size)?;
    file.persist(path).map_err(|error| Problem::Io("cannot be replaced", error.error))?;
    Ok(header)
}

/// Makes a swap file that has no name yet, in the same folder.
fn make_beside(path: &Path, size: u64) -> Result<(NamedTempFile, Header), Problem> {
    if size < SIZE_MIN {
        return Err(Problem::TooSmall(size));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot_make = |error| Problem::Io("cannot be made", error);
    let named = NamedTempFile::new_in(folder).map_err(cannot_make)?;
    let file = named.as_file().try_clone().map_err(cannot_make)?;
    let disk = FileDisk { file, size: size - size % PAGE_SIZE as u64, is_device: false };
    disk.reserve()?;
    let header = make_swap(&disk)?;
    Ok((named, header))
}

fn make_swap(disk: &FileDisk) -> Result<Header, Problem> {
    let uuid = random_uuid().map_err(|error| Problem::Io("cannot get a name by chance", error.into()))?;
    superblock::format(disk, PAGE_SIZE, uuid).map_err(Problem::Header)
}

/// A UUID of version 4 (RFC 9562).
fn random_uuid() -> Result<[u8; 16], Errno> {
    let mut uuid = [0; 16];
    let filled = rustix::rand::getrandom(&mut uuid, rustix::rand::GetRandomFlags::empty())?;
    debug_assert_eq!(filled, uuid.len(), "so few bytes come at once");
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    Ok(uuid)
}

/// A file or a block device.
///
/// What is written goes through the page cache of the system, so a medium that fails may do so after a write was reported as done. The store
/// finds that when it reads.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    size: u64,
    is_device: bool,
}

impl FileDisk {
    /// Opens a file or a block device for this process alone, as far as others ask too.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::open_alone(path).map_err(|problem| FileError { path: path.into(), problem })
    }

    fn open_alone(path: &Path) -> Result<Self, Problem> {
        let cannot_open = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Problem::Missing,
            // A mounted device, a device that Linux swaps to; a file that it swaps to.
            io::ErrorKind::ResourceBusy | io::ErrorKind::ExecutableFileBusy => Problem::InUse,
            _ => Problem::Io("cannot be opened for reading and writing", error),
        };
        let kind = fs::metadata(path).map_err(cannot_open)?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(Problem::Kind);
        }
        // Without O_CREAT, O_EXCL is about block devices only.
        let exclusive = OFlags::EXCL.bits() as i32;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(exclusive)
            .open(path)
            .map_err(cannot_open)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(Problem::InUse),
            locked => locked.map_err(|error| Problem::Io("cannot be locked", error.into()))?,
        }
        // `seek` tells the size of a device as well.
        let size = io::Seek::seek(&mut &file, io::SeekFrom::End(0)).map_err(cannot_open)?;
        Ok(FileDisk { file, size, is_device: kind.is_block_device() })
    }

    /// Sees to it that a file has its space, so that no write fails for want of it.
    fn reserve(&self) -> Result<(), Problem> {
        if self.is_device {
            return Ok(());
        }
        // Past this limit the system does not just refuse, it ends the process.
        if getrlimit(Resource::Fsize).current.is_some_and(|limit| limit < self.size) {
            return Err(Problem::Limit(self.size));
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, self.size) {
            Err(Errno::NOSPC | Errno::DQUOT) => Err(Problem::NoRoom(self.size)),
            Err(Errno::FBIG) => Err(Problem::Limit(self.size)),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) if self.has_holes() => Err(Problem::Holes),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            reserved => reserved.map_err(|error| Problem::Io("cannot get its space", error.into())),
        }
    }

    fn has_holes(&self) -> bool {
        // `blocks` counts 512 bytes, whatever the file system has.
        self.file.metadata().map_or(true, |metadata| metadata.blocks() < self.size / 512)
    }
}

impl Drop for FileDisk {
    /// Unlocks the file, because to close it may not be enough: a process that another thread starts at this moment has it open, too.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

impl Disk for FileDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn record_size(&self) -> usize {
        512
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        rustix::io::retry_on_intr(|| rustix::io::pread(&self.file, &mut *buffer, offset)).map_err(disk_error)
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let mut slices = [IoSlice::new(&[]); RUN];
        let count = pieces.len().min(RUN);
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
        }
        rustix::io::retry_on_intr(|| rustix::io::pwritev(&self.file, &slices[..count], offset))
            .map_err(disk_error)
    }

    fn flush(&self) -> Result<(), DiskError> {
        rustix::io::retry_on_intr(|| rustix::fs::fsync(&self.file)).map_err(disk_error)
    }
}

fn disk_error(error: Errno) -> DiskError {
    match error {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => DiskError::Full,
        _ => DiskError::Io,
    }
}

/// Why a file cannot be used for swapping.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a file. The text says what to do, in terms of the command `mach-pager`.
#[derive(Debug)]
pub enum Problem {
    /// There is no such file.
    Missing,
    /// It is neither a file nor a block device.
    Kind,
    /// Another process uses it.
    InUse,
    /// It exists, and it is not swap space that this crate made.
    NotOurs,
    /// So many bytes have no room for a page.
    TooSmall(u64),
    /// The file system has no room for so many bytes.
    NoRoom(u64),
    /// A file of so many bytes is more than a limit of the process or of the file system.
    Limit(u64),
    /// It has parts without space of their own, and the file system cannot give them any beforehand.
    Holes,
    /// A size was given for a device, which has one.
    SizeOfDevice,
    /// Its superblock is not right, or could not be written.
    Header(HeaderError),
    /// The system refused something.
    Io(&'static str, io::Error),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::Missing => write!(f, "{path} does not exist; `mach-pager format {path}` makes it"),
            Problem::Kind => write!(f, "{path} is neither a file nor a block device"),
            Problem::InUse => write!(f, "{path} is in use by another process"),
            Problem::NotOurs => {
                write!(
                    f,
                    "{path} exists and is not swap space of this program; --force overwrites what is in it"
                )
            }
            Problem::TooSmall(size) => {
                write!(
                    f,
                    "{path} cannot have {size} bytes: swap space takes {SIZE_MIN} at least; say more with --size"
                )
            }
            Problem::NoRoom(size) => {
                write!(
                    f,
                    "{path} cannot have {size} bytes: the disk is full; make room, or say less with --size"
                )
            }
            Problem::Limit(size) => {
                write!(
                    f,
                    "{path} cannot have {size} bytes: files here are limited to less (`ulimit -f`, or the file system); say less with --size"
                )
            }
            Problem::Holes => {
                write!(
                    f,
                    "{path} cannot get its space beforehand, because its file system does not support it; use another one, or a block device"
                )
            }
            Problem::SizeOfDevice => {
                write!(f, "{path} is a block device, which is used whole; leave --size out")
            }
            Problem::Header(error) => write!(f, "{path} cannot be used for swapping: {error}"),
            Problem::Io(what, error) => write!(f, "{path} {what}: {error}"),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Header(error) => Some(error),
            Problem::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_goes_though_another_process_has_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let disk = FileDisk::open(file.path()).unwrap();
        let inherited = disk.file.try_clone().unwrap();
        drop(disk);
        FileDisk::open(file.path()).unwrap();
        drop(inherited);
    }
}
