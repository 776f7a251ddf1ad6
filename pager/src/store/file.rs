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
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use mig_runtime::platform::Platform;
use rustix::fs::{AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::disk::{self, Disk, DiskError, RUN};
use super::protection::Protection;
use super::ring::Rings;
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
/// A new file has `size` bytes or [`DEFAULT_SIZE`], all of them reserved on the file system. It is complete
/// when it appears under its name; whenever this ends before, nothing is left of it. A file that was there
/// stays the same file, with its mode and links, and keeps its size unless `size` says otherwise. A block
/// device is used whole. The superblock is written last.
///
/// What is there already is overwritten only if it is swap space that this function made, or if `force` says
/// so.
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
        Some(disk) => remake(disk, size),
        None => create(path, size.unwrap_or(DEFAULT_SIZE)),
    }
    .map_err(told)
}

/// How a swap file or a block device is used.
///
/// ```
/// # use mach_pager::store::file;
/// # use mig_runtime::platform::Std;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("swap.img");
/// # file::format(&path, Some(1 << 20), false)?;
/// let store = file::Options { direct: true, ..file::Options::default() }.open::<Std>(&path)?;
/// # Ok::<(), file::FileError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Past the page cache of the system (`O_DIRECT`): no page is in memory a second time, and a write that
    /// fails is told at once. Where the file system does not have that, transfers go through the page cache,
    /// and [`FileDisk::is_direct`] says so.
    pub direct: bool,
    /// By io_uring: all runs of slots in which a batch of pages is written are written at once, and those
    /// read at once that have pages which are wanted together. Where the system does not permit that,
    /// transfers come one after the other, and [`FileDisk::has_ring`] says so.
    pub ring: bool,
    /// Room that is empty goes back to the file system or the device, a [zone](super::ZONE_SLOTS) at a time.
    /// A file system that has given it to others since has none left for a page, which is then as if the swap
    /// space were full.
    pub discard: bool,
    /// Whether [long writes are preferred](Disk::prefers_long_writes), for which pages are read and written
    /// again where free slots lie one by one. If it is not said: for a block device, and for a file that is
    /// used [directly](Self::direct). The page cache of the system makes long writes of short ones by itself.
    pub long_writes: Option<bool>,
}

impl Options {
    /// Opens a swap file or a block device that is swap space, for this process alone.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    pub fn open<P: Platform>(self, path: &Path) -> Result<SwapStore<FileDisk, P>, FileError> {
        self.open_with(path, SwapStore::open)
    }

    /// The same, and encrypts every page: whoever gets the file or device reads nothing, neither now nor
    /// later.
    ///
    /// # Errors
    ///
    /// [`FileError`].
    #[cfg(feature = "encryption")]
    pub fn open_encrypted<P: Platform>(
        self,
        path: &Path,
    ) -> Result<SwapStore<FileDisk, P, super::Encryption<P>>, FileError> {
        self.open_with(path, |disk| SwapStore::encrypted(disk, random))
    }

    fn open_with<P: Platform, C: Protection>(
        self,
        path: &Path,
        store: impl FnOnce(FileDisk) -> Result<SwapStore<FileDisk, P, C>, HeaderError>,
    ) -> Result<SwapStore<FileDisk, P, C>, FileError> {
        let told = |problem: Problem| FileError { path: path.into(), problem };
        let mut disk = FileDisk::open(path)?;
        if self.direct {
            disk = disk.direct();
        }
        if self.ring {
            disk = disk.ring();
        }
        disk.discards = self.discard;
        disk.long_writes = self.long_writes;
        let store = store(disk).map_err(|error| told(Problem::Header(error)))?;
        // Somebody may have copied the file and left its empty parts out.
        store.disk().reserve().map_err(told)?;
        Ok(store)
    }
}

/// Opens a swap file or a block device that is swap space, for this process alone.
///
/// # Errors
///
/// [`FileError`].
pub fn open<P: Platform>(path: &Path) -> Result<SwapStore<FileDisk, P>, FileError> {
    Options::default().open(path)
}

/// As [`open`], past the page cache where that can be: [`Options::direct`].
///
/// # Errors
///
/// [`FileError`].
pub fn open_direct<P: Platform>(path: &Path) -> Result<SwapStore<FileDisk, P>, FileError> {
    Options { direct: true, ..Options::default() }.open(path)
}

/// As [`open`], with every page encrypted: [`Options::open_encrypted`].
///
/// # Errors
///
/// [`FileError`].
#[cfg(feature = "encryption")]
pub fn open_encrypted<P: Platform>(
    path: &Path,
) -> Result<SwapStore<FileDisk, P, super::Encryption<P>>, FileError> {
    Options::default().open_encrypted(path)
}

#[cfg(feature = "encryption")]
pub(super) fn random(bytes: &mut [u8]) -> bool {
    let filled = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty());
    filled.is_ok_and(|filled| filled == bytes.len())
}

/// Whether a device was made by [`format()`], even if it is not as it was.
pub(super) fn is_ours(disk: &impl Disk) -> bool {
    match superblock::read(disk) {
        Ok(header) => header.format != Format::Linux,
        Err(error) => matches!(error, HeaderError::CutShort { .. }),
    }
}

fn create(path: &Path, size: u64) -> Result<Header, Problem> {
    let size = whole_pages(size)?;
    let cannot_make = |error: Errno| Problem::Io("cannot be made", error.into());
    let new = NewFile::beside(path).map_err(cannot_make)?;
    let file = new.file.try_clone().map_err(|error| Problem::Io("cannot be made", error))?;
    let disk = FileDisk::new(file, size, false);
    disk.reserve()?;
    let header = make_swap(&disk)?;
    new.appear(path).map_err(cannot_make)?;
    Ok(header)
}

/// Makes a file swap space that was there. Whenever this ends, the file is what it was or swap space.
fn remake(mut disk: FileDisk, size: Option<u64>) -> Result<Header, Problem> {
    let before = disk.size;
    disk.size = whole_pages(size.unwrap_or(before))?;
    let made = disk.reserve().and_then(|()| make_swap(&disk));
    // A larger file that has not become one gives its new space back; a smaller one has its backup where it
    // will end.
    let end = if made.is_ok() { disk.size } else { before };
    disk.file.set_len(end).map_err(|error| Problem::Io("cannot get its size", error))?;
    made
}

/// The size of swap space in a file of this many bytes.
fn whole_pages(size: u64) -> Result<u64, Problem> {
    if size < SIZE_MIN { Err(Problem::TooSmall(size)) } else { Ok(size - size % PAGE_SIZE as u64) }
}

/// A file that has no name yet, or, where the file system does not have such files, one by which it is known
/// to be of no use.
struct NewFile {
    file: File,
    named: Option<PathBuf>,
}

impl NewFile {
    fn beside(path: &Path) -> Result<Self, Errno> {
        let folder = folder_of(path);
        let (flags, mode) = (OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        match rustix::fs::open(folder, flags | OFlags::TMPFILE, mode) {
            Ok(file) => return Ok(Self { file: file.into(), named: None }),
            // As file systems or systems say it that do not know the flag.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => {}
            Err(error) => return Err(error),
        }
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".mach-pager-format");
        let named = folder.join(name);
        let create = || rustix::fs::open(&named, flags | OFlags::CREATE | OFlags::EXCL, mode);
        let file = match create() {
            Err(Errno::EXIST) => {
                remove_left_over(&named);
                create()
            }
            other => other,
        }?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { file: file.into(), named: Some(named) })
    }

    /// Gives the file its name, which nothing may have, for good.
    fn appear(mut self, path: &Path) -> Result<(), Errno> {
        match self.named.take() {
            Some(named) => {
                let renamed = rustix::fs::renameat_with(CWD, &named, CWD, path, RenameFlags::NOREPLACE);
                if renamed.is_err() {
                    self.named = Some(named);
                }
                renamed?;
            }
            None => {
                let open = std::format!("/proc/thread-self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, &*open, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
            }
        }
        let folder = rustix::fs::open(
            folder_of(path),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        match rustix::fs::fsync(&folder) {
            // Not every file system does that for folders.
            Err(Errno::INVAL) => Ok(()),
            synced => synced,
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(named) = &self.named {
            let _ = fs::remove_file(named);
        }
    }
}

/// Removes what a run that was killed has left under the name that only those use, unless one is at work.
fn remove_left_over(named: &Path) {
    let unused = File::open(named)
        .is_ok_and(|file| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
    if unused {
        let _ = fs::remove_file(named);
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make_swap(disk: &FileDisk) -> Result<Header, Problem> {
    let uuid = random_uuid().map_err(|error| Problem::Io("cannot get a name by chance", error.into()))?;
    superblock::format(disk, PAGE_SIZE, uuid).map_err(Problem::Header)
}

/// A UUID of version 4 (RFC 9562).
pub(super) fn random_uuid() -> Result<[u8; 16], Errno> {
    let mut uuid = [0; 16];
    let filled = rustix::rand::getrandom(&mut uuid, rustix::rand::GetRandomFlags::empty())?;
    debug_assert_eq!(filled, uuid.len(), "so few bytes come at once");
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    Ok(uuid)
}

/// A file or a block device.
///
/// Unless it is [direct](Self::direct), what is written goes through the page cache of the system, so a
/// medium that fails may do so after a write was reported as done. The store finds that when it reads.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    size: u64,
    is_device: bool,
    /// Memory for transfers past the page cache, as much as there have been at once; `None` if they go
    /// through it.
    direct: Option<Mutex<Vec<Aligned>>>,
    rings: Option<Rings>,
    /// Room that is empty goes back.
    discards: bool,
    long_writes: Option<bool>,
}

/// What addresses, offsets and lengths of transfers past the page cache are multiples of, on any device.
const ALIGNMENT: usize = 4096;

/// Memory that begins at a multiple of [`ALIGNMENT`].
#[derive(Debug)]
struct Aligned(Vec<u8>);

impl Aligned {
    fn new() -> Self {
        Self(std::vec![0; ALIGNMENT + RUN * PAGE_SIZE])
    }

    fn bytes(&mut self) -> &mut [u8] {
        let start = self.0.as_ptr().align_offset(ALIGNMENT);
        &mut self.0[start..start + RUN * PAGE_SIZE]
    }
}

impl FileDisk {
    fn new(file: File, size: u64, is_device: bool) -> Self {
        FileDisk { file, size, is_device, direct: None, rings: None, discards: false, long_writes: None }
    }

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
        Ok(FileDisk::new(file, size, kind.is_block_device()))
    }

    /// Makes all transfers go past the page cache of the system, if the file system can do that.
    #[must_use]
    pub fn direct(mut self) -> Self {
        let flags = rustix::fs::fcntl_getfl(&self.file);
        let set = flags.and_then(|flags| rustix::fs::fcntl_setfl(&self.file, flags | OFlags::DIRECT));
        // What is not made of whole blocks could not be reached to its end.
        if set.is_ok() && self.size % ALIGNMENT as u64 == 0 {
            self.direct = Some(Mutex::new(Vec::new()));
        } else if let Ok(flags) = flags {
            let _ = rustix::fs::fcntl_setfl(&self.file, flags);
        }
        self
    }

    /// True if transfers go past the page cache of the system.
    pub fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// Transfers by io_uring where there is more than one run of slots, if the system permits that.
    #[must_use]
    pub fn ring(mut self) -> Self {
        self.rings = Rings::new();
        self
    }

    /// True if runs of slots are transferred by io_uring, all at once.
    pub fn has_ring(&self) -> bool {
        self.rings.is_some()
    }

    /// Writes up to `N` pieces by way of the page cache.
    fn write_pieces<const N: usize>(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let mut slices = [IoSlice::new(&[]); N];
        let count = pieces.len().min(N);
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
        }
        rustix::io::retry_on_intr(|| rustix::io::pwritev(&self.file, &slices[..count], offset))
            .map_err(disk_error)
    }

    /// Lets some work have memory for a transfer.
    fn with_memory<T>(memory: &Mutex<Vec<Aligned>>, work: impl FnOnce(&mut [u8]) -> T) -> T {
        let locked = || memory.lock().unwrap_or_else(PoisonError::into_inner);
        let free = locked().pop();
        let mut aligned = free.unwrap_or_else(Aligned::new);
        let result = work(aligned.bytes());
        locked().push(aligned);
        result
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
    /// Unlocks the file, because to close it may not be enough: a process that another thread starts at this
    /// moment has it open, too.
    fn drop(&mut self) {
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

impl Disk for FileDisk {
    fn size(&self) -> u64 {
        self.size
    }

    fn record_size(&self) -> usize {
        if self.is_direct() { ALIGNMENT } else { 512 }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let read = |to: &mut [u8]| {
            rustix::io::retry_on_intr(|| rustix::io::pread(&self.file, &mut *to, offset)).map_err(disk_error)
        };
        let Some(memory) = &self.direct else { return read(buffer) };
        Self::with_memory(memory, |bytes| {
            let most = buffer.len().min(bytes.len());
            let len = read(&mut bytes[..most])?;
            buffer[..len].copy_from_slice(&bytes[..len]);
            Ok(len)
        })
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        if let Some(memory) = &self.direct {
            return Self::with_memory(memory, |bytes| {
                let len = gather(pieces, bytes);
                let bytes = &bytes[..len - len % ALIGNMENT];
                rustix::io::retry_on_intr(|| rustix::io::pwrite(&self.file, bytes, offset))
                    .map_err(disk_error)
            });
        }
        if let [piece] = pieces {
            return rustix::io::retry_on_intr(|| rustix::io::pwrite(&self.file, piece, offset))
                .map_err(disk_error);
        }
        // A list for 64 pieces takes longer to make than most are.
        if pieces.len() <= 8 {
            self.write_pieces::<8>(offset, pieces)
        } else {
            self.write_pieces::<RUN>(offset, pieces)
        }
    }

    fn at_once(&self) -> usize {
        if self.has_ring() { RUN } else { 1 }
    }

    fn prefers_long_writes(&self) -> bool {
        self.long_writes.unwrap_or(self.is_direct() || self.is_device)
    }

    fn write_each_at(&self, runs: &[(u64, &[&[u8]])], done: &mut dyn FnMut(usize, Result<usize, DiskError>)) {
        let Some(rings) = &self.rings else {
            return disk::write_one_by_one(self, runs, done);
        };
        let mut done = |at, result: Result<usize, Errno>| done(at, result.map_err(disk_error));
        if let Some(memory) = &self.direct {
            return Self::with_memory(memory, |mut rest| {
                let mut slices = Vec::with_capacity(runs.len());
                for (offset, pieces) in runs {
                    let len = gather(pieces, rest);
                    let (run, after) = rest.split_at_mut(len - len % ALIGNMENT);
                    rest = after;
                    slices.push((*offset, std::vec![IoSlice::new(run)]));
                }
                rings.write(&self.file, &slices, &mut done);
            });
        }
        let slices: Vec<_> = runs
            .iter()
            .map(|(offset, pieces)| (*offset, pieces.iter().map(|piece| IoSlice::new(piece)).collect()))
            .collect();
        rings.write(&self.file, &slices, &mut done);
    }

    fn reads_at_once(&self) -> usize {
        if self.has_ring() { RUN } else { 1 }
    }

    fn read_each_at(
        &self,
        runs: &mut [(u64, &mut [u8])],
        done: &mut dyn FnMut(usize, Result<usize, DiskError>),
    ) {
        let Some(rings) = &self.rings else {
            return disk::read_one_by_one(self, runs, done);
        };
        let Some(memory) = &self.direct else {
            return rings.read(&self.file, runs, &mut |at, result| done(at, result.map_err(disk_error)));
        };
        Self::with_memory(memory, |mut rest| {
            let mut results = [Err(Errno::IO); RUN];
            let mut reads = Vec::with_capacity(runs.len());
            for (offset, buffer) in &*runs {
                let (bytes, after) = rest.split_at_mut(buffer.len().min(rest.len()));
                reads.push((*offset, bytes));
                rest = after;
            }
            rings.read(&self.file, &mut reads, &mut |at, result| results[at] = result);
            for (at, ((_, bytes), (_, buffer))) in reads.iter().zip(runs).enumerate() {
                if let Ok(len) = results[at] {
                    buffer[..len].copy_from_slice(&bytes[..len]);
                }
                done(at, results[at].map_err(disk_error));
            }
        });
    }

    fn flush(&self) -> Result<(), DiskError> {
        rustix::io::retry_on_intr(|| rustix::fs::fsync(&self.file)).map_err(disk_error)
    }

    fn discard(&self, offset: u64, len: u64) {
        if self.discards {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // A file system or device that cannot do it keeps the room.
            let _ = rustix::fs::fallocate(&self.file, flags, offset, len);
        }
    }
}

/// Copies pieces one after the other, as far as there is room. Returns how many bytes they are.
fn gather(pieces: &[&[u8]], to: &mut [u8]) -> usize {
    let mut len = 0;
    for piece in pieces {
        let room = &mut to[len..];
        let part = piece.len().min(room.len());
        room[..part].copy_from_slice(&piece[..part]);
        len += part;
    }
    len
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
    /// The file system has no room for this many bytes.
    NoRoom(u64),
    /// A file of this many bytes is more than a limit of the process or of the file system.
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
