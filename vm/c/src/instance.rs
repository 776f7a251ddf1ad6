//! What is behind the number of a vm.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mach_pager::store::file::{self, FileDisk};
use mach_pager::store::{MemoryStore, Store, SwapStore};
use mach_pager::{Config, Service, Supplies};
use mach_vm::{AccessError, Limits, Mapping, Memory, Protection, Statistics, Vm, VmError};
use mig_runtime::KernReturn;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Std;

use crate::object::{Pager, Served};
use crate::{Failed, INVALID};

const PAGE: usize = 4096;

static INSTANCES: Mutex<Option<HashMap<u64, Arc<Instance>>>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn add(instance: Instance) -> Result<u64, Failed> {
    // A number is never given twice, so that an old one is none of somebody else's vm.
    static NEXT: Mutex<u64> = Mutex::new(1);

    let mut next = lock(&NEXT);
    let number = *next;
    *next += 1;
    lock(&INSTANCES).get_or_insert_default().insert(number, Arc::new(instance));
    Ok(number)
}

pub(crate) fn get(number: u64) -> Result<Arc<Instance>, Failed> {
    lock(&INSTANCES).as_ref().and_then(|all| all.get(&number).cloned()).ok_or(INVALID)
}

pub(crate) fn remove(number: u64) -> Result<Arc<Instance>, Failed> {
    lock(&INSTANCES).as_mut().and_then(|all| all.remove(&number)).ok_or(INVALID)
}

/// Where pages go.
pub(crate) enum Paging<'a> {
    File(&'a Path),
    /// Memory for this many bytes.
    Memory(u64),
}

/// Memory of one call, by its address.
pub(crate) enum Piece {
    Anonymous(Memory),
    Written(Memory, Served),
    Read(Mapping, Served),
}

impl Piece {
    /// Where it is, and how large.
    fn range(&self) -> (u64, usize) {
        let mapping = match self {
            Self::Anonymous(memory) | Self::Written(memory, _) => return range(memory),
            Self::Read(mapping, _) => mapping,
        };
        range(mapping)
    }

    pub(crate) fn will_need(&self, bytes: Range<usize>) {
        match self {
            Self::Anonymous(memory) | Self::Written(memory, _) => memory.will_need(bytes),
            Self::Read(mapping, _) => mapping.will_need(bytes),
        }
    }

    pub(crate) fn discard(&mut self, bytes: Range<usize>) -> Result<(), VmError> {
        match self {
            Self::Anonymous(memory) => memory.discard(bytes),
            Self::Written(..) | Self::Read(..) => Err(VmError::BadRange),
        }
    }

    pub(crate) fn read_at(&self, offset: usize, to: &mut [u8]) -> Result<(), AccessError> {
        match self {
            Self::Anonymous(memory) | Self::Written(memory, _) => memory.read_at(offset, to),
            Self::Read(mapping, _) => mapping.read_at(offset, to),
        }
    }

    pub(crate) fn write_at(&mut self, offset: usize, from: &[u8]) -> Result<(), AccessError> {
        match self {
            Self::Anonymous(memory) | Self::Written(memory, _) => memory.write_at(offset, from),
            Self::Read(..) => Err(AccessError::ReadOnly),
        }
    }

    /// Unmaps it, and ends the manager that was made for it.
    fn end(self) {
        match self {
            Self::Anonymous(memory) => drop(memory),
            Self::Written(memory, served) => {
                drop(memory);
                served.end();
            }
            Self::Read(mapping, served) => {
                drop(mapping);
                served.end();
            }
        }
    }
}

fn range(memory: &[u8]) -> (u64, usize) {
    (memory.as_ptr().addr() as u64, memory.len())
}

/// The default manager, with its store.
enum DefaultManager {
    Memory(Service<Local, Std, MemoryStore<Std>>),
    File(Service<Local, Std, SwapStore<FileDisk, Std>>),
}

type Shared = Arc<Mutex<Option<Piece>>>;

pub(crate) struct Instance {
    host: Host,
    vm: Vm,
    /// Each is taken out when it is deallocated.
    pieces: Mutex<BTreeMap<u64, (usize, Shared)>>,
    manager: DefaultManager,
}

impl Instance {
    pub(crate) fn new(limits: Limits, paging: Paging<'_>) -> Result<Self, Failed> {
        let host = Host::new();
        let vm = Vm::new(&host, limits)?;
        let manager = match paging {
            Paging::Memory(bytes) => {
                let pages = u32::try_from(bytes.div_ceil(PAGE as u64)).map_err(|_| INVALID)?;
                DefaultManager::Memory(start(&host, &vm, MemoryStore::new(PAGE, pages))?)
            }
            Paging::File(path) => {
                let store = file::open::<Std>(path).map_err(|_| Failed(KernReturn::KERN_FAILURE))?;
                if store.page_size() != PAGE {
                    return Err(Failed(KernReturn::KERN_FAILURE));
                }
                DefaultManager::File(start(&host, &vm, store)?)
            }
        };
        Ok(Self { host, vm, pieces: Mutex::default(), manager })
    }

    pub(crate) fn allocate(&self, size: usize) -> Result<u64, Failed> {
        Ok(self.keep(Piece::Anonymous(self.vm.allocate(size)?)))
    }

    pub(crate) fn map(
        &self,
        pager: Pager,
        offset: u64,
        size: usize,
        protection: Protection,
    ) -> Result<u64, Failed> {
        let (served, right) = Served::start(&self.host, pager)?;
        let mapping = match self.vm.map(right, offset, size, protection) {
            Ok(mapping) => mapping,
            Err(error) => {
                served.end_now();
                return Err(error.into());
            }
        };
        Ok(self.keep(match mapping.into_memory() {
            Ok(memory) => Piece::Written(memory, served),
            Err(mapping) => Piece::Read(mapping, served),
        }))
    }

    fn keep(&self, piece: Piece) -> u64 {
        let (start, len) = piece.range();
        lock(&self.pieces).insert(start, (len, Arc::new(Mutex::new(Some(piece)))));
        start
    }

    pub(crate) fn deallocate(&self, address: u64, size: usize) -> Result<(), Failed> {
        let mut pieces = lock(&self.pieces);
        if pieces.get(&address).is_none_or(|(len, _)| *len != size) {
            return Err(Failed(KernReturn::KERN_INVALID_ADDRESS));
        }
        let Some((_, piece)) = pieces.remove(&address) else { return Ok(()) };
        drop(pieces);
        let piece = lock(&piece).take();
        if let Some(piece) = piece {
            piece.end();
        }
        Ok(())
    }

    /// Lets `body` have the memory that these bytes are in, with the range that they have there.
    pub(crate) fn with(
        &self,
        address: u64,
        size: usize,
        body: impl FnOnce(&mut Piece, Range<usize>) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let nowhere = || Failed(KernReturn::KERN_INVALID_ADDRESS);
        let pieces = lock(&self.pieces);
        let (start, (len, piece)) = pieces.range(..=address).next_back().ok_or_else(nowhere)?;
        let first = usize::try_from(address - start).map_err(|_| nowhere())?;
        let end = first.checked_add(size).filter(|end| end <= len).ok_or_else(nowhere)?;
        let piece = piece.clone();
        drop(pieces);
        body(lock(&piece).as_mut().ok_or_else(nowhere)?, first..end)
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.vm.statistics()
    }

    /// Gives all memory back, and ends the manager. A call of another thread that is under way ends first.
    pub(crate) fn end(self: Arc<Self>) -> Result<(), Failed> {
        let pieces = std::mem::take(&mut *lock(&self.pieces));
        for (_, piece) in pieces.into_values() {
            let piece = lock(&piece).take();
            if let Some(piece) = piece {
                piece.end();
            }
        }
        // Where another thread still has it, all of it goes with that.
        let Some(Self { vm, manager, .. }) = Arc::into_inner(self) else { return Ok(()) };
        drop(vm);
        match manager {
            DefaultManager::Memory(service) => service.stop()?,
            DefaultManager::File(service) => service.stop()?,
        }
        Ok(())
    }
}

/// Starts the default manager, without a thread between a fault and its page.
fn start<S: Store>(host: &Host, vm: &Vm, store: S) -> Result<Service<Local, Std, S>, Failed> {
    let config = Config { inline: true, supplies: Supplies::InPlace, ..Config::default() };
    let service = Service::start(&host.new_task("pager"), store, config);
    let service = service.map_err(|_| Failed(KernReturn::KERN_RESOURCE_SHORTAGE))?;
    vm.set_default_manager(service.right()?)?;
    Ok(service)
}
