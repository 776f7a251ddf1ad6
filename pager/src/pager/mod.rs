//! The default memory manager.

mod administration;
mod control;
mod entry;
mod fronts;
mod messages;
mod transfers;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::ops::Range;

use mig_runtime::abi::Native;
use mig_runtime::platform::{Mutex, Platform};
use mig_runtime::{KernReturn, Kernel, Name, PortSet, ReceiveRight, Unclaimed};

use self::entry::{Entry, Place, Rights};
use self::transfers::Transfers;
use crate::buffers::Buffers;
use crate::counters::{Counters, Statistics};
use crate::notes::Pool;
use crate::object::{Object, Origin};
use crate::store::{SameFilled, Space, Store};

pub use self::fronts::Unsequenced;

/// How much memory and how many threads a pager takes, and how it decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Buffers for pages of the kernel's objects on their way to the store. Taken at the start.
    pub buffers: usize,
    /// How many pages may stay in the messages that brought them while no buffer is free. The kernel sees them as not taken yet and slows down.
    pub held_pages: usize,
    /// Buffers for pages of other objects, so that those cannot use up the kernel's; at least 1. Their messages wait for one to be free. Taken at
    /// the start.
    pub external_buffers: usize,
    /// How many pages go to the store in one call at most.
    pub batch: usize,
    /// How many times in a row a page that the store does not take goes back to the kernel before it is given up as lost. In between the
    /// kernel keeps it, as precious.
    pub hand_backs: u8,
    /// Where less than this share of the store is free, in percent, a page that the kernel gets is precious and no longer kept in the store.
    pub precious_below: u8,
    /// Memory for what is noted of pages, those of all objects together, in bytes: ten and a half for each page where many of an object follow each
    /// other, up to 650 where they are far apart. Beyond it pages go back to the kernel, as if the store were full.
    pub map_bytes: usize,
    /// Of that, what is taken before it is needed, at the start and whenever half of it has been used. Where the threads that write must not wait
    /// for memory, this is to be all of it.
    pub map_ahead: usize,
    /// Threads that write pages to the store, and as many again that supply them.
    pub io_threads: usize,
    /// Threads for the messages of the objects that the kernel has made.
    pub internal_threads: usize,
    /// Threads for the messages of other objects.
    pub external_threads: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            buffers: 256,
            held_pages: 256,
            external_buffers: 64,
            batch: 64,
            hand_backs: 16,
            precious_below: 10,
            map_bytes: 256 << 20,
            map_ahead: 256 << 10,
            io_threads: 2,
            internal_threads: 2,
            external_threads: 1,
        }
    }
}

/// A default memory manager that keeps pages in a [`Store`].
///
/// It serves the requests of three kinds of ports: its own ([`manager_ports`](Self::manager_ports)), those of objects that the kernel has made
/// ([`internal_ports`](Self::internal_ports)) and of objects that others have asked for ([`external_ports`](Self::external_ports)). Each kind is to have
/// threads of its own. Their threads never wait for the store, nor for memory: that is for [`serve_supplies`](Self::serve_supplies) and
/// [`serve_writes`](Self::serve_writes).
/// [`Service`](crate::Service) puts all of it together.
pub struct SwapPager<K: Kernel<Abi = Native>, P: Platform, S: Store> {
    kernel: K,
    config: Config,
    store: SameFilled<S>,
    page_size: usize,
    manager: ReceiveRight<K>,
    /// Around the manager port.
    service: PortSet<K>,
    internal: PortSet<K>,
    external: PortSet<K>,
    objects: Mutex<P, Objects<K, P, S>>,
    internal_buffers: Arc<Buffers<P>>,
    external_buffers: Arc<Buffers<P>>,
    transfers: Transfers<K, P, S>,
    nodes: Arc<Pool<P, Place<S>>>,
    counters: Counters,
}

/// The objects, by the name of their port.
struct Objects<K: Kernel, P: Platform, S: Store> {
    by_port: BTreeMap<Name, Arc<Entry<K, P, S>>>,
    last_handle: u32,
}

impl<K: Kernel<Abi = Native>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// A pager without objects. It has a port, but no kernel knows of it yet.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate`.
    ///
    /// # Panics
    ///
    /// If the page size of the store is not a power of two.
    pub fn new(kernel: &K, store: S, config: Config) -> Result<Self, KernReturn> {
        let page_size = store.page_size();
        assert!(page_size.is_power_of_two(), "{page_size} bytes are not a page");
        let (manager, service) = (ReceiveRight::allocate(kernel)?, PortSet::allocate(kernel)?);
        service.insert(&manager)?;
        Ok(Self {
            kernel: kernel.clone(),
            page_size,
            manager,
            service,
            internal: PortSet::allocate(kernel)?,
            external: PortSet::allocate(kernel)?,
            objects: Mutex::<P, _>::new(Objects { by_port: BTreeMap::new(), last_handle: 0 }),
            internal_buffers: Buffers::new(page_size, config.buffers, config.held_pages),
            external_buffers: Buffers::new(page_size, config.external_buffers.max(1), 0),
            transfers: Transfers::default(),
            nodes: Pool::new(config.map_bytes, config.map_ahead),
            counters: Counters::default(),
            store: SameFilled::new(store),
            config,
        })
    }

    /// The service port: for `memory_object_create`, and for the calls of `default_pager`.
    pub fn manager_port(&self) -> &ReceiveRight<K> {
        &self.manager
    }

    /// The set that the service port is in.
    pub fn manager_ports(&self) -> &PortSet<K> {
        &self.service
    }

    /// The ports of the objects that the kernel has made. What comes here comes from the kernel.
    pub fn internal_ports(&self) -> &PortSet<K> {
        &self.internal
    }

    /// The ports of the objects made by `default_pager_object_create`. Anything may come here.
    pub fn external_ports(&self) -> &PortSet<K> {
        &self.external
    }

    /// Where the pages are kept.
    pub fn store(&self) -> &S {
        self.store.store()
    }

    /// How much room there is, with the pages that take none.
    pub fn space(&self) -> Space {
        self.store.space()
    }

    /// Bytes for what is noted of pages: how many there may be, and how many are in use.
    pub fn map_memory(&self) -> (usize, usize) {
        self.nodes.bytes()
    }

    /// What the pager has done so far.
    pub fn statistics(&self) -> Statistics {
        self.counters.figures()
    }

    /// How many objects there are.
    pub fn object_count(&self) -> usize {
        self.objects.lock().by_port.len()
    }

    /// How many more pages can be taken now: as many as [`Config`] has buffers and lets be held, while nothing is on its way to the store.
    pub fn free_buffers(&self) -> usize {
        self.internal_buffers.free() + self.external_buffers.free()
    }

    /// Takes note of a message that no routine took: it has had its turn.
    pub fn unclaimed(&self, message: Unclaimed) {
        self.counters.unclaimed.count();
        if let Some(entry) = self.find(message.port) {
            drop(entry.turn(Some(message.seqno)));
        }
    }

    fn find(&self, port: Name) -> Option<Arc<Entry<K, P, S>>> {
        self.objects.lock().by_port.get(&port).cloned()
    }

    /// Makes an entry for an object, and lets its messages come.
    fn add_object(&self, origin: Origin, rights: Rights<K>) -> Result<Arc<Entry<K, P, S>>, KernReturn> {
        let set = match origin {
            Origin::Internal => &self.internal,
            Origin::External { .. } => &self.external,
        };
        let object = Object::new(origin, self.config.hand_backs, self.nodes.clone());
        let entry = {
            let mut objects = self.objects.lock();
            objects.last_handle = objects.last_handle.wrapping_add(1).max(1);
            let entry = Entry::new(objects.last_handle, object, rights);
            objects.by_port.insert(entry.name, entry.clone());
            entry
        };
        // Only now, because from now on others look for it.
        let port = entry.lock().rights.port.clone();
        set.insert(&port).inspect_err(|_| self.forget(&entry))?;
        Ok(entry)
    }

    /// Releases all that an object has. Its pages are given back in the background.
    fn forget(&self, entry: &Arc<Entry<K, P, S>>) {
        // First of all, because the name may be in use again as soon as the port is gone.
        self.objects.lock().by_port.remove(&entry.name);
        let (rights, pages) = {
            let mut state = entry.lock();
            (state.rights.take(), state.object.take_pages())
        };
        self.transfers.forget(pages);
        drop(rights);
    }

    /// The pages of a range of bytes; `None` if it is not made of whole pages, or goes beyond what can be addressed.
    fn pages(&self, offset: u64, length: u64) -> Option<Range<u64>> {
        let size = self.page_size as u64;
        let end = offset.checked_add(length)?;
        (length > 0 && offset % size == 0 && length % size == 0).then_some(offset / size..end / size)
    }

    fn offset(&self, page: u64) -> u64 {
        page * self.page_size as u64
    }
}
