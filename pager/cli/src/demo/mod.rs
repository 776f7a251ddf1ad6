//! The demo: the kernel's half of `mach-vm` and a pager on one machine of `local`, and clients that use more
//! memory than may be resident.

mod workload;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use mach_defs::gnu::default_pager;
use mach_pager::store::file::{self, FileError};
use mach_pager::store::{Space, Store};
use mach_pager::{Config, Service, StartError, Statistics, Supplies};
use mach_vm::{Faults, Limits, Paged, Vm, VmError};
use mig_runtime::KernReturn;
use mig_runtime::kernel::local::{Census, Host, Local};
use mig_runtime::platform::Std;
use tempfile::TempDir;

use workload::{Client, Tally};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// How large everything is.
pub(crate) struct Plan {
    /// Pages of all clients together.
    pub(crate) pages: usize,
    /// How many of them may be resident.
    pub(crate) resident: usize,
    pub(crate) clients: usize,
    /// How the clients' pages come.
    pub(crate) faults: Faults,
}

/// What became of it.
pub(crate) struct Report {
    pub(crate) statistics: Statistics,
    /// The store when everything had been written.
    pub(crate) space: Space,
    pub(crate) time: Duration,
    /// The most pages that were resident at once, and how many might be.
    pub(crate) peak_resident: usize,
    pub(crate) may_be_resident: usize,
    pub(crate) wrong: u64,
    pub(crate) errors: u64,
    /// What both tasks had before and after.
    pub(crate) before: [Census; 2],
    pub(crate) after: [Census; 2],
}

impl Report {
    /// Every page was right, no more were resident than might be, and nothing is left over.
    pub(crate) fn is_good(&self) -> bool {
        let in_bounds = self.peak_resident <= self.may_be_resident;
        self.wrong == 0 && self.errors == 0 && in_bounds && self.before == self.after
    }
}

/// Why the demo did not run.
#[derive(Debug)]
pub(crate) enum Error {
    Swap(FileError),
    Folder(std::io::Error),
    PageSize(usize),
    Start(StartError),
    Thread(std::io::Error),
    Kernel(KernReturn),
    Memory(VmError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Swap(error) => error.fmt(f),
            Self::Folder(error) => write!(f, "no folder for a swap file can be made: {error}"),
            Self::PageSize(size) => {
                write!(f, "the swap space has pages of {size} bytes, and those of the demo have {PAGE}")
            }
            Self::Start(error) => error.fmt(f),
            Self::Thread(error) => {
                write!(f, "there is no thread for each client: {error}; take fewer --clients")
            }
            Self::Kernel(code) => write!(f, "a call failed: {code}"),
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<VmError> for Error {
    fn from(error: VmError) -> Self {
        Self::Memory(error)
    }
}

impl From<KernReturn> for Error {
    fn from(code: KernReturn) -> Self {
        Self::Kernel(code)
    }
}

/// Where pages go.
pub(crate) struct Swap {
    path: PathBuf,
    /// Around a file that nobody else is to see.
    _folder: Option<TempDir>,
}

impl Swap {
    /// A file or a device of the user's.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.into(), _folder: None }
    }

    /// A file with room for this many pages.
    pub(crate) fn temporary(pages: usize) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::Folder)?;
        let path = folder.path().join("swap");
        let superblocks = 2;
        file::format(&path, Some(((pages + superblocks) * PAGE) as u64), false).map_err(Error::Swap)?;
        Ok(Self { path, _folder: Some(folder) })
    }

    /// Opens it. A temporary file lives on without a name, and goes with the process.
    pub(crate) fn open<S: Store>(self, open: impl FnOnce(&Path) -> Result<S, FileError>) -> Result<S, Error> {
        let store = open(&self.path).map_err(Error::Swap)?;
        match store.page_size() {
            PAGE => Ok(store),
            other => Err(Error::PageSize(other)),
        }
    }
}

/// Why memory cannot be touched here as any other memory is, if so.
pub(crate) fn no_faults() -> Option<VmError> {
    let vm = Vm::new(&Host::new(), Limits { faults: Faults::Thread, ..Limits::default() });
    vm.err().filter(|why| matches!(why, VmError::NotPermitted | VmError::OldKernel))
}

/// Runs the demo. `progress` is told now and then which share (0 to 1) of the work is done.
pub(crate) fn run(plan: &Plan, store: impl Store, progress: impl Fn(f64)) -> Result<Report, Error> {
    let host = Host::new();
    let pager = host.new_task("pager");
    let limits = Limits { resident: plan.resident * PAGE, faults: plan.faults, ..Limits::default() };
    let vm = Vm::new(&host, limits)?;
    // Pages that cannot be stored come back a few times, so that clients go on, with errors, even if the swap
    // space is too small. Each client may have a message with pages on its way.
    let config = Config {
        hand_backs: 4,
        buffers: 512,
        held_pages: 1 << 14,
        // Kernel and pager are one program: a page comes without another thread.
        supplies: Supplies::InPlace,
        inline: true,
        ..Config::default()
    };
    let service = Service::<_, Std, _>::start(&pager, store, config).map_err(Error::Start)?;
    let report = page(plan, &vm, &service, progress)?;
    service.stop()?;
    Ok(report)
}

/// Has clients use memory, and the pager store it.
fn page<S: Store>(
    plan: &Plan,
    vm: &Vm,
    service: &Service<Local, Std, S>,
    progress: impl Fn(f64),
) -> Result<Report, Error> {
    let pager = service.pager().manager_port().kernel();
    vm.set_default_manager(service.right()?)?;
    let census = || [vm.task().census(), pager.census()];
    let before = census();

    let tally = Tally::default();
    let start = Instant::now();
    let memory = work(plan, vm, &tally, progress)?;
    let time = start.elapsed();
    let space = service.pager().space();
    drop(memory);
    wait_until_forgotten(service)?;
    Ok(Report {
        statistics: service.pager().statistics(),
        space,
        time,
        peak_resident: vm.statistics().peak_resident / PAGE,
        may_be_resident: plan.resident,
        wrong: tally.wrong.into_inner(),
        errors: tally.errors.into_inner(),
        after: settled(&before, census),
        before,
    })
}

/// Lets the clients work, and returns their memory. If there is no room for a thread of one of them, those
/// that there are end before they have done anything.
fn work(plan: &Plan, vm: &Vm, tally: &Tally, progress: impl Fn(f64)) -> Result<Vec<Paged>, Error> {
    let share = plan.pages / plan.clients;
    let total = workload::accesses(share) * plan.clients as u64;
    let memory: Vec<Paged> = (0..plan.clients).map(|_| vm.open(share * PAGE)).collect::<Result<_, _>>()?;
    // Held until all threads are there; the word after it says whether they are.
    let begins = RwLock::new(false);
    thread::scope(|scope| {
        let mut all = begins.write().unwrap_or_else(PoisonError::into_inner);
        let begins = &begins;
        let clients: Vec<_> = memory
            .iter()
            .zip(0..)
            .map(|(memory, client)| {
                let client = Client::new(memory, tally, client);
                let run = move || {
                    if *begins.read().unwrap_or_else(PoisonError::into_inner) {
                        client.run();
                    }
                };
                thread::Builder::new().spawn_scoped(scope, run).map_err(Error::Thread)
            })
            .collect::<Result<_, _>>()?;
        *all = true;
        drop(all);
        while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
            progress(tally.done.load(Relaxed) as f64 / total as f64);
            thread::sleep(Duration::from_millis(50));
        }
        Ok::<_, Error>(())
    })?;
    progress(1.0);
    Ok(memory)
}

/// How long what follows from the last messages may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the pager for its objects until it has none.
fn wait_until_forgotten<S: Store>(service: &Service<Local, Std, S>) -> Result<(), KernReturn> {
    let administrator = service.pager().manager_port().kernel().host().new_task("administrator");
    let manager = Local::transfer(service.right()?, &administrator)?;
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if default_pager::default_pager_objects(&manager, 0, 0)?.objects.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// What `count` says as soon as it is what it was before, or at last.
fn settled<T: PartialEq>(before: &T, count: impl Fn() -> T) -> T {
    let start = Instant::now();
    loop {
        let now = count();
        if now == *before || start.elapsed() > PATIENCE {
            return now;
        }
        thread::sleep(Duration::from_millis(1));
    }
}
