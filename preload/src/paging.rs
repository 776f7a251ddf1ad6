//! The kernel's half and the pager of this process.

use std::collections::BTreeSet;
use std::error::Error;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU64};
use std::time::{Duration, Instant};

use mach_pager::store::file::{self, FileDisk, FileError, Problem};
use mach_pager::store::{Disk, Space, Store, Stored, SwapStore, Volumes, nbd};
use mach_pager::{Config, Service, Statistics, Supplies};
use mach_vm::{Kept, Limits, Vm};
use mig_runtime::SendRight;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Std;

use crate::settings::Settings;
use crate::snapshot::{self, Snapshot};
use crate::window::{PAGE, Part, Piece};
use crate::work;

/// Why memory is not paged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpaged {
    /// Less than 64 KiB in one call of `mmap`.
    Small,
    /// Files, and memory that is shared.
    FilesAndShared,
    /// Not for reading and writing.
    Protected,
    /// At an address of the program's choice, a stack, large pages, locked, or filled at once.
    Special,
    /// No room for it was to be had.
    NoRoom,
}

/// As the report has them.
pub(crate) const UNPAGED: [&str; 5] = ["small", "files_and_shared", "protected", "special", "no_room"];

struct Paging {
    vm: Vm,
    settings: Settings,
    pager: Box<dyn Pager>,
    /// What was inherited, in the child of a fork.
    inherited: Option<Arc<Snapshot>>,
}

/// The pager, whatever its store is.
trait Pager: Send + Sync {
    fn figures(&self) -> (Statistics, Space);

    /// True if it has ever got a page. No lock is taken for that, so that every thread may ask.
    fn has_pages(&self) -> bool;

    /// True if no page is on its way to the store.
    fn is_at_rest(&self) -> bool;

    /// Copies each page that is stored of an object, by its number. False if one cannot be read.
    fn copy(&self, object: SendRight<Local>, copy: &mut dyn FnMut(u64, &[u8]) -> bool) -> bool;
}

struct PagerOf<S: Store> {
    service: Service<Local, Std, S>,
    task: Local,
    /// How many buffers are free while nothing is on its way.
    buffers: usize,
}

impl<S: Store> Pager for PagerOf<S> {
    fn figures(&self) -> (Statistics, Space) {
        (self.service.pager().statistics(), self.service.pager().space())
    }

    fn has_pages(&self) -> bool {
        self.service.pager().statistics().returned > 0
    }

    fn is_at_rest(&self) -> bool {
        self.service.pager().free_buffers() == self.buffers
    }

    fn copy(&self, object: SendRight<Local>, copy: &mut dyn FnMut(u64, &[u8]) -> bool) -> bool {
        let Ok(object) = Local::transfer(object, &self.task) else { return false };
        let (pager, mut page, mut all) = (self.service.pager(), [0; PAGE], true);
        pager.look_at_stored(object.name(), &mut |number, place| {
            let is_read = match place {
                Stored::Same(word) => {
                    page.chunks_exact_mut(word.len()).for_each(|to| to.copy_from_slice(word));
                    true
                }
                Stored::In(place) => pager.store().read(place, &mut page).is_ok(),
            };
            all &= is_read && copy(number, &page);
        });
        all
    }
}

/// Null until paging has begun. The child of a fork has another one than its parent, whose stays as it is.
static PAGING: AtomicPtr<Paging> = AtomicPtr::new(ptr::null_mut());

fn paging() -> Option<&'static Paging> {
    // SAFETY: it is null, or was leaked by `serve`.
    unsafe { PAGING.load(Acquire).as_ref() }
}

/// Bytes that are not paged, by the reason.
static NOT_PAGED: [AtomicU64; UNPAGED.len()] = [const { AtomicU64::new(0) }; UNPAGED.len()];

/// How long a page may take: longer than any disk that is at work, and than a server is waited for
/// ([`nbd::Options`]), so that its absence costs the pages that were asked for and no others.
const PATIENCE: Duration = Duration::from_secs(120);

/// Files, block devices and exports.
type Swap = Volumes<Box<dyn Disk>, Std>;

/// True if the program's memory is paged.
pub(crate) fn is_on() -> bool {
    paging().is_some()
}

/// New memory. It is noted if there is none.
pub(crate) fn allocate(part: Part, len: usize) -> Option<Piece> {
    let paging = paging()?;
    let piece = work::done(|| Piece::new(&paging.vm, part, len)).flatten();
    if piece.is_none() {
        note(Unpaged::NoRoom, len);
    }
    piece
}

/// True if pages have had to leave.
pub(crate) fn is_short() -> bool {
    paging().is_some_and(|paging| paging.pager.has_pages())
}

/// Takes note of memory that is not paged.
pub(crate) fn note(why: Unpaged, bytes: usize) {
    NOT_PAGED[why as usize].fetch_add(bytes as u64, Relaxed);
}

/// What a fork needs.
pub(crate) struct Fork {
    /// No page leaves before the child has been made.
    _kept: Kept,
    snapshot: Arc<Snapshot>,
}

impl Fork {
    /// The snapshot, which nobody else has yet.
    pub(crate) fn snapshot(&mut self) -> Option<&mut Snapshot> {
        Arc::get_mut(&mut self.snapshot)
    }
}

/// Prepares a fork: from now on no page leaves, and what is not there is copied for the child. `None` if that
/// cannot be done.
pub(crate) fn prepare_fork() -> Option<Fork> {
    let Paging { vm, settings, pager, inherited } = paging()?;
    let kept = vm.keep();
    let end = Instant::now() + PATIENCE;
    while !pager.is_at_rest() {
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    let mut snapshot = snapshot::Writer::new(&settings.folder);
    for object in kept.objects().ok()? {
        if let Some(right) = object.object {
            let start = object.start;
            let all =
                pager.copy(right, &mut |page, data| snapshot.add(start + page as usize * PAGE, data).is_ok());
            if !all {
                return None;
            }
        }
        for address in object.inherited {
            snapshot.add_inherited(address, inherited.as_ref()?).ok()?;
        }
    }
    // What the pager has given back meanwhile, and does not have.
    kept.settle();
    Some(Fork { _kept: kept, snapshot: Arc::new(snapshot.finish()) })
}

/// Begins to page the memory of a child. The pieces of memory are to be [inherited](Piece::inherit).
pub(crate) fn start_in_child(
    fork: &Fork,
    each: impl FnOnce(&mut dyn FnMut(&mut Piece)),
) -> Result<(), Box<dyn Error>> {
    let settings = paging().ok_or("there is no parent")?.settings.clone();
    let volumes = Volumes::new(PAGE);
    let file = tempfile::tempfile_in(&settings.folder)?;
    file.set_len(settings.swap_size)?;
    let path = PathBuf::from(format!("/proc/thread-self/fd/{}", file.as_raw_fd()));
    let disk = FileDisk::open(&path)?.direct();
    let store = SwapStore::raw(disk, PAGE).map_err(|error| error.to_string())?;
    volumes.add("swap of a child", store.boxed(), 0, 0)?;
    serve_on(&settings, volumes, Some(fork.snapshot.clone()))?;
    let vm = &paging().ok_or("paging has not begun")?.vm;
    let mut result = Ok(());
    each(&mut |piece| {
        // SAFETY: it is the memory of this process, and nobody uses it at present.
        let inherited = unsafe { piece.inherit(vm, fork.snapshot.clone()) };
        result = std::mem::replace(&mut result, Ok(())).and(inherited);
    });
    Ok(result?)
}

/// No memory of this process is paged from now on, nor is what was.
pub(crate) fn end() {
    PAGING.store(ptr::null_mut(), Release);
}

/// What has been done so far.
pub(crate) struct Figures {
    pub(crate) vm: mach_vm::Statistics,
    pub(crate) latencies: mach_vm::Latencies,
    pub(crate) pager: Statistics,
    pub(crate) space: Space,
    pub(crate) not_paged: [u64; UNPAGED.len()],
}

pub(crate) fn figures() -> Option<Figures> {
    let Paging { vm, pager, .. } = paging()?;
    let (pager, space) = pager.figures();
    let not_paged = NOT_PAGED.each_ref().map(|bytes| bytes.load(Relaxed));
    Some(Figures { vm: vm.statistics(), latencies: vm.latencies(), pager, space, not_paged })
}

/// Begins to page the memory that the program gets from now on.
pub(crate) fn start(settings: &Settings) -> Result<(), Box<dyn Error>> {
    serve_on(settings, swap(settings)?, None)
}

/// Serves pages that are kept on these volumes.
fn serve_on(
    settings: &Settings,
    store: Swap,
    inherited: Option<Arc<Snapshot>>,
) -> Result<(), Box<dyn Error>> {
    #[cfg(feature = "compression")]
    if let Some(compression) = settings.compression {
        return serve(settings, compressed(store, compression)?, inherited);
    }
    #[cfg(not(feature = "compression"))]
    if settings.compression.is_some() {
        return Err("this library was built without the feature `compression`".into());
    }
    serve(settings, store, inherited)
}

#[cfg(feature = "compression")]
fn compressed(
    store: Swap,
    compression: crate::settings::Compression,
) -> Result<impl Store<Place: Sync>, Box<dyn Error>> {
    use crate::settings::Compression;
    use mach_pager::store::{Codec, Compressed};

    let codec = match compression {
        Compression::Lz4 => Codec::Lz4,
        #[cfg(feature = "zstd")]
        Compression::Zstd => Codec::Zstd,
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => return Err("this library was built without the feature `zstd`".into()),
    };
    Ok(Compressed::<_, Std>::with_codec(store, codec))
}

fn serve(
    settings: &Settings,
    store: impl Store,
    inherited: Option<Arc<Snapshot>>,
) -> Result<(), Box<dyn Error>> {
    let host = Host::new();
    let limits = Limits { resident: settings.resident, patience: PATIENCE, ..Limits::default() };
    let vm = Vm::new(&host, limits)?;
    let config = Config {
        // A page that cannot be stored comes back a few times before it is lost.
        hand_backs: 4,
        buffers: 512,
        held_pages: 1 << 14,
        // A page comes without another thread.
        supplies: Supplies::InPlace,
        inline: true,
        ..Config::default()
    };
    let task = host.new_task("pager");
    let service = Service::<_, Std, _>::start(&task, store, config)?;
    vm.set_default_manager(service.right()?)?;
    let buffers = service.pager().free_buffers();
    let pager = Box::new(PagerOf { service, task, buffers });
    let paging = Box::new(Paging { vm, settings: settings.clone(), pager, inherited });
    PAGING.store(Box::into_raw(paging), Release);
    Ok(())
}

/// The swap space.
fn swap(settings: &Settings) -> Result<Swap, Box<dyn Error>> {
    let volumes = Volumes::new(PAGE);
    if settings.swap.is_empty() {
        add_temporary(&volumes, &settings.folder, settings.swap_size)?;
    }
    let mut names = BTreeSet::new();
    for (number, path) in settings.swap.iter().enumerate() {
        // Swap space that Linux's `mkswap` made may have none.
        let name = add(&volumes, path, number)?;
        if name != NO_NAME && !names.insert(name) {
            return Err(format!(
                "{} is the same swap space as another one that is given, or a copy of it: take one of them, or make it anew by `mach-pager format`",
                path.display()
            )
            .into());
        }
    }
    Ok(volumes)
}

/// The name by chance that swap space has, and what there is in its place where it has none.
type Name = [u8; 16];
const NO_NAME: Name = [0; 16];

fn add(volumes: &Swap, path: &Path, number: usize) -> Result<Name, Box<dyn Error>> {
    let store = match path.to_str().filter(|text| nbd::is_address(text)) {
        Some(address) => nbd::open::<Std>(&address.parse()?)?.boxed(),
        None => {
            // Pages would be in memory a second time in the system's cache.
            let options = file::Options { direct: true, ring: true, ..file::Options::default() };
            options.open::<Std>(path)?.boxed()
        }
    };
    let told = |error| format!("{}: {error}", path.display());
    let name = store.header().uuid;
    volumes.add(&format!("swap {number}"), store, 0, 0).map_err(told)?;
    Ok(name)
}

/// A file that nobody else sees, and that goes with the process.
fn add_temporary(volumes: &Swap, folder: &Path, size: u64) -> Result<(), Box<dyn Error>> {
    let in_folder = folder.display();
    let told = |error: std::io::Error| {
        let why = error.get_ref().map_or_else(|| error.to_string(), |_| error.kind().to_string());
        format!(
            "no swap file can be made in {in_folder}: {why}; name another folder in TMPDIR, or swap space by --swap"
        )
    };
    let folder = tempfile::tempdir_in(folder).map_err(told)?;
    let path = folder.path().join("swap");
    let told = |error: FileError| match error.problem {
        Problem::TooSmall(_) => {
            format!("a swap file of {size} bytes is too small: say more with --swap-size")
        }
        Problem::NoRoom(_) | Problem::Limit(_) => format!(
            "a swap file of {size} bytes has no room in {in_folder}: make room, say less with --swap-size, or name another folder in TMPDIR"
        ),
        _ => error.to_string(),
    };
    file::format(&path, Some(size), false).map_err(told)?;
    add(volumes, &path, 0).map(drop)
}
