//! The kernel's half and the pager of this process.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use mach_pager::store::{Disk, Space, Store, Volumes, file, nbd};
use mach_pager::{Config, Service, Statistics, Supplies};
use mach_vm::{KeptAll, Limits, Vm};
use mig_runtime::kernel::local::Host;
use mig_runtime::platform::Std;

use crate::child;
use crate::settings::Settings;
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
    resident: usize,
    pager: Box<dyn Fn() -> (Statistics, Space) + Send + Sync>,
}

static PAGING: OnceLock<Paging> = OnceLock::new();

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Bytes that are not paged, by the reason.
static NOT_PAGED: [AtomicU64; UNPAGED.len()] = [const { AtomicU64::new(0) }; UNPAGED.len()];

/// How long a page may take: longer than any disk that is at work, and than a server is waited for
/// ([`nbd::Options`]), so that its absence costs the pages that were asked for and no others.
const PATIENCE: Duration = Duration::from_secs(120);

/// Files, block devices and exports.
type Swap = Volumes<Box<dyn Disk>, Std>;

/// True if the program's memory is paged.
pub(crate) fn is_on() -> bool {
    IS_ON.load(Relaxed)
}

/// How many bytes may be resident.
pub(crate) fn resident() -> usize {
    PAGING.get().map_or(0, |paging| paging.resident)
}

/// New memory. It is noted if there is none.
pub(crate) fn allocate(part: Part, len: usize) -> Option<Piece> {
    let paging = PAGING.get()?;
    let piece = match child::is_child() {
        true => Piece::not_paged(part, len),
        false => work::done(|| Piece::new(&paging.vm, part, len)).flatten(),
    };
    if piece.is_none() {
        note(Unpaged::NoRoom, len);
    }
    piece
}

/// Takes note of memory that is not paged.
pub(crate) fn note(why: Unpaged, bytes: usize) {
    NOT_PAGED[why as usize].fetch_add(bytes as u64, Relaxed);
}

/// Brings all memory in, for a child, and keeps it until the result is dropped; `None` if the machine does
/// not have as much.
pub(crate) fn keep_all() -> Option<KeptAll> {
    let Paging { vm, pager, .. } = PAGING.get()?;
    let (_, space) = pager();
    // What is compressed is larger than it looks, so that this is no promise.
    let wanted = (space.used() + space.same_filled).saturating_mul(PAGE as u64);
    let fits = available().is_none_or(|available| wanted < available);
    fits.then(|| vm.keep_all())
}

/// The bytes that the machine has for programs that begin.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
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
    let Paging { vm, pager, .. } = PAGING.get()?;
    let (pager, space) = pager();
    let not_paged = NOT_PAGED.each_ref().map(|bytes| bytes.load(Relaxed));
    Some(Figures { vm: vm.statistics(), latencies: vm.latencies(), pager, space, not_paged })
}

/// Begins to page the memory that the program gets from now on.
pub(crate) fn start(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let store = swap(settings)?;
    #[cfg(feature = "compression")]
    if let Some(compression) = settings.compression {
        return serve(settings, compressed(store, compression)?);
    }
    #[cfg(not(feature = "compression"))]
    if settings.compression.is_some() {
        return Err("this library was built without the feature `compression`".into());
    }
    serve(settings, store)
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

fn serve(settings: &Settings, store: impl Store) -> Result<(), Box<dyn Error>> {
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
    let service = Service::<_, Std, _>::start(&host.new_task("pager"), store, config)?;
    vm.set_default_manager(service.right()?)?;
    let pager = Box::new(move || (service.pager().statistics(), service.pager().space()));
    if PAGING.set(Paging { vm, resident: settings.resident, pager }).is_err() {
        return Err("paging has begun already".into());
    }
    IS_ON.store(true, Relaxed);
    Ok(())
}

/// The swap space.
fn swap(settings: &Settings) -> Result<Swap, Box<dyn Error>> {
    let volumes = Volumes::new(PAGE);
    if settings.swap.is_empty() {
        add_temporary(&volumes, settings.swap_size)?;
    }
    for (number, path) in settings.swap.iter().enumerate() {
        add(&volumes, path, number)?;
    }
    Ok(volumes)
}

fn add(volumes: &Swap, path: &Path, number: usize) -> Result<(), Box<dyn Error>> {
    let store = match path.to_str().filter(|text| nbd::is_address(text)) {
        Some(address) => nbd::open::<Std>(&address.parse()?)?.boxed(),
        None => {
            // Pages would be in memory a second time in the system's cache.
            let options = file::Options { direct: true, ..file::Options::default() };
            options.open::<Std>(path)?.boxed()
        }
    };
    let told = |error| format!("{}: {error}", path.display());
    volumes.add(&format!("swap {number}"), store, 0, 0).map_err(told)?;
    Ok(())
}

/// A file that nobody else sees, and that goes with the process.
fn add_temporary(volumes: &Swap, size: u64) -> Result<(), Box<dyn Error>> {
    let folder = std::env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from);
    let told = |error| format!("no folder for a swap file can be made in {}: {error}", folder.display());
    let folder = tempfile::tempdir_in(&folder).map_err(told)?;
    let path = folder.path().join("swap");
    file::format(&path, Some(size), false)?;
    add(volumes, &path, 0)
}
