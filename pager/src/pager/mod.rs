//! The default memory manager.

mod administration;
mod answers;
mod backing_stores;
mod clients;
mod control;
mod entry;
mod fronts;
mod growing;
mod looks;
mod messages;
mod moves;
mod objects;
mod transfers;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use mig_runtime::abi::Gnu;
use mig_runtime::platform::{Mutex, Platform};
use mig_runtime::{KernReturn, Kernel, NameOf, OolMemory, PortSet, ReceiveRight, Unclaimed};

use self::backing_stores::BackingStores;
use self::clients::{Clients, MemberOf};
use self::entry::{Entry, Place, Rights, Shared};
use self::objects::Objects;
use self::transfers::Transfers;
use crate::areas::Areas;
use crate::buffers::Buffers;
use crate::counters::{Counters, Statistics};
use crate::notes::{Others, Pool};
use crate::object::{Object, Origin};
use crate::store::{SameFilled, Space, Store};

pub use self::administration::object_calls;
pub use self::clients::Quota;
pub use self::fronts::Unsequenced;

/// How much memory and how many threads a pager takes, and how it decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Buffers for pages of the kernel's objects on their way to the store. Taken at the start.
    pub buffers: usize,
    /// How many pages may stay in the messages that brought them while no buffer is free. The kernel sees
    /// them as not taken yet and slows down.
    pub held_pages: usize,
    /// Buffers for pages of other objects, so that those cannot use up the kernel's; at least 1. Their
    /// messages wait for one to be free. Taken at the start.
    pub external_buffers: usize,
    /// How many objects there may be that are not the kernel's.
    pub external_objects: usize,
    /// Which share of the store, in percent, pages of objects that are not the kernel's may fill, and which
    /// share of [the memory](Self::map_bytes) for what is noted of pages. Those that take no room because
    /// they are one word over and over count as well.
    pub external_share: u8,
    /// How many pages go to the store in one call: 1 to 64, and no more than half of the buffers.
    pub batch: usize,
    /// How many times in a row a page that the store does not take goes back to the kernel before it is given
    /// up as lost. In between the kernel keeps it, as precious.
    pub hand_backs: u8,
    /// Where less than this share of the store is free, in percent, a page that the kernel gets is precious
    /// and no longer kept in the store.
    pub precious_below: u8,
    /// Memory for what is noted of pages, those of all objects together, in bytes: ten and a half for each
    /// page where many of an object follow each other. A page that is far from all others takes up to 650 for
    /// each level of the tree that it has to itself, which is 2600 for pages that are 64 GiB apart. Beyond it
    /// pages go back to the kernel, as if the store were full.
    pub map_bytes: usize,
    /// Of that, what is taken before it is needed, at the start and whenever half of it has been used. Where
    /// the threads that write must not wait for memory, this is to be all of it.
    pub map_ahead: usize,
    /// Threads that write pages to the store, and as many again that supply those of the kernel's objects.
    /// One more supplies those of others. Here and below, 1 to [`THREADS_MAX`].
    pub io_threads: usize,
    /// Threads for the messages of the objects that the kernel has made.
    pub internal_threads: usize,
    /// Threads for the messages of other objects.
    pub external_threads: usize,
    /// Who supplies pages of the kernel's objects.
    pub supplies: Supplies,
    /// Lets the kernel's threads serve its messages, if kernel and pager are one program
    /// ([`Server::inline`](mig_runtime::Server::inline)).
    pub inline: bool,
}

/// The most threads for one kind of work: of a greater number this many are made.
pub const THREADS_MAX: usize = 64;

/// Who supplies pages of the kernel's objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supplies {
    /// [`Config::io_threads`] that may wait for the store and for memory, so that the threads that serve the
    /// kernel never do.
    #[default]
    Threads,
    /// The thread that was asked for them, and many pages in a message where they lie side by side. It reads
    /// from the store and takes memory meanwhile, and whoever returns a page waits for a buffer, for a second
    /// at most, so this is for a kernel that can wait for that.
    InPlace,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            buffers: 256,
            held_pages: 256,
            external_buffers: 64,
            external_objects: 4096,
            external_share: 50,
            batch: 64,
            hand_backs: 16,
            precious_below: 10,
            map_bytes: 256 << 20,
            map_ahead: 256 << 10,
            io_threads: 2,
            internal_threads: 2,
            external_threads: 1,
            supplies: Supplies::default(),
            inline: false,
        }
    }
}

impl Config {
    /// How many threads write, serve the kernel's objects, and serve others.
    pub(crate) fn threads(&self) -> [usize; 3] {
        [self.io_threads, self.internal_threads, self.external_threads]
            .map(|count| count.clamp(1, THREADS_MAX))
    }

    /// Whether there is memory for what is taken at the start: a number out of all reason is an error then,
    /// and not the end of the program.
    fn is_possible(&self, page_size: usize) -> bool {
        // What is known of a page on its way has no more bytes than this.
        const RECORD: usize = 256;
        let buffers = self.buffers.saturating_add(self.external_buffers);
        let pages = buffers.saturating_add(self.held_pages);
        if u32::try_from(pages.saturating_add(messages::GOING_BACK)).is_err() {
            return false;
        }
        let notes = self.map_ahead.min(self.map_bytes);
        let all = buffers.saturating_mul(page_size).saturating_add(notes);
        let all = all.saturating_add(pages.saturating_mul(RECORD));
        Vec::<u8>::new().try_reserve_exact(all).is_ok()
    }
}

/// A default memory manager that keeps pages in a [`Store`].
///
/// It serves the requests of four kinds of ports: the one that the kernel knows it by
/// ([`manager_ports`](Self::manager_ports)), the one for administrators
/// ([`administration_ports`](Self::administration_ports)), those of objects that the kernel has made
/// ([`internal_ports`](Self::internal_ports)) and of objects that others have asked for
/// ([`external_ports`](Self::external_ports)). Each kind is to have threads of its own. The kernel's never
/// wait for the store, nor for memory: that is for [`serve_supplies`](Self::serve_supplies) and
/// [`serve_writes`](Self::serve_writes). [`Service`](crate::Service) puts all of it together.
pub struct SwapPager<K: Kernel<Abi = Gnu>, P: Platform, S: Store> {
    kernel: K,
    config: Config,
    store: SameFilled<S>,
    page_size: usize,
    manager: ReceiveRight<K>,
    /// Around the manager port.
    service: PortSet<K>,
    administration: ReceiveRight<K>,
    /// Around the administrators' port and those of clients.
    administrators: PortSet<K>,
    internal: PortSet<K>,
    external: PortSet<K>,
    /// In the place of the port of an object that is forgotten, which takes no memory then.
    no_port: Arc<ReceiveRight<K>>,
    objects: Objects<K, P, S>,
    internal_buffers: Arc<Buffers<K, P>>,
    external_buffers: Arc<Buffers<K, P>>,
    /// Pages of objects that are not the kernel's.
    others_pages: AtomicU64,
    transfers: Transfers<K, P, S>,
    nodes: Arc<Pool<P, Place<S>, Shared<K, P>>>,
    /// The same for objects that are not the kernel's, which get a share of it.
    others_nodes: Arc<Others<P, Place<S>, Shared<K, P>>>,
    clients: Clients<K, P, S>,
    areas: Mutex<P, Option<Arc<dyn Areas<K>>>>,
    backing_stores: BackingStores<K, P>,
    counters: Counters,
    /// Nobody is to wait any more.
    stopped: AtomicBool,
    /// Memory for pages that are supplied in place.
    spare: Mutex<P, Vec<OolMemory<K>>>,
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// A pager without objects. It has a port, but no kernel knows of it yet.
    ///
    /// # Errors
    ///
    /// `KERN_RESOURCE_SHORTAGE` if there is no memory for what `config` asks for; else as
    /// `mach_port_allocate`.
    ///
    /// # Panics
    ///
    /// If the page size of the store is not a power of two.
    pub fn new(kernel: &K, store: S, config: Config) -> Result<Self, KernReturn> {
        let page_size = store.page_size();
        assert!(page_size.is_power_of_two(), "{page_size} bytes are not a page");
        if !config.is_possible(page_size) {
            return Err(KernReturn::KERN_RESOURCE_SHORTAGE);
        }
        let port_in_set = || {
            let (port, set) = (ReceiveRight::allocate(kernel)?, PortSet::allocate(kernel)?);
            set.insert(&port).map(|()| (port, set))
        };
        let (manager, service) = port_in_set()?;
        let (administration, administrators) = port_in_set()?;
        let (stores_port, stores_set) = port_in_set()?;
        let internal_buffers =
            Buffers::new(page_size, config.buffers, config.held_pages + messages::GOING_BACK);
        let external_buffers = Buffers::new(page_size, config.external_buffers.max(1), 0);
        // Each has a page's data, or a thread that supplies it.
        let [supplying, ..] = config.threads();
        let supplying = supplying + 1;
        let records = internal_buffers.capacity() + external_buffers.capacity() + supplying;
        let nodes = Pool::new(config.map_bytes, config.map_ahead, records);
        let spare = match config.supplies {
            Supplies::Threads => Vec::new(),
            Supplies::InPlace => answers::spare_memory(kernel, page_size)?,
        };
        Ok(Self {
            kernel: kernel.clone(),
            page_size,
            manager,
            service,
            administration,
            administrators,
            internal: PortSet::allocate(kernel)?,
            external: PortSet::allocate(kernel)?,
            no_port: Arc::new(ReceiveRight::null(kernel.clone())),
            others_nodes: Others::new(nodes.clone(), config.external_share),
            nodes,
            objects: Objects::new(config.external_objects),
            transfers: Transfers::new(
                internal_buffers.capacity(),
                external_buffers.capacity(),
                [config.buffers, config.external_buffers].map(|buffers| config.batch.min(buffers / 2)),
            ),
            internal_buffers,
            external_buffers,
            others_pages: AtomicU64::new(0),
            clients: Clients::new(),
            areas: Mutex::<P, _>::new(None),
            backing_stores: BackingStores::new(stores_port, stores_set),
            counters: Counters::default(),
            stopped: AtomicBool::new(false),
            spare: Mutex::<P, _>::new(spare),
            store: SameFilled::new(store),
            config,
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The port that the kernel is to know: for `memory_object_create`, and for the calls of `default_pager`.
    /// Whoever has a right to it is taken for the kernel, so nobody else gets one but by
    /// `vm_set_default_memory_manager`, which takes the privileged host port.
    pub fn manager_port(&self) -> &ReceiveRight<K> {
        &self.manager
    }

    /// The set that the service port is in.
    pub fn manager_ports(&self) -> &PortSet<K> {
        &self.service
    }

    /// The port for administrators, and for those who want objects without a [quota](Self::client_right): for
    /// the calls of `default_pager` alone.
    pub fn administration_port(&self) -> &ReceiveRight<K> {
        &self.administration
    }

    /// The set that the administrators' port is in, and those of clients.
    pub fn administration_ports(&self) -> &PortSet<K> {
        &self.administrators
    }

    /// The port for administrators who speak as OSF's pager is spoken to: for the calls of `default_pager`
    /// that both have, and for those of `backing_store`.
    pub fn backing_store_port(&self) -> &ReceiveRight<K> {
        &self.backing_stores.port
    }

    /// The set that this port is in, and that of each backing store.
    pub fn backing_store_ports(&self) -> &PortSet<K> {
        &self.backing_stores.set
    }

    /// The ports of the objects that the kernel has made. What comes here comes from the kernel.
    pub fn internal_ports(&self) -> &PortSet<K> {
        &self.internal
    }

    /// The ports of the objects made by `default_pager_object_create`. Anything may come here.
    pub fn external_ports(&self) -> &PortSet<K> {
        &self.external
    }

    /// Says what the calls of administrators that add and take away paging space do.
    pub fn set_areas(&self, areas: Arc<dyn Areas<K>>) {
        *self.areas.lock() = Some(areas);
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
        self.objects.count()
    }

    /// How many more pages can be taken now: as many as [`Config`] has buffers and lets be held and a few
    /// more, while nothing is on its way to the store.
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

    /// Ends every wait of a thread that serves: for a buffer, for the turn of a message, and for a device
    /// that does not work. What they have not done by then is refused, or fails.
    pub fn stop_waiting(&self) {
        self.stopped.store(true, Relaxed);
        self.internal_buffers.stop();
        self.external_buffers.stop();
        self.objects.stop();
        self.store.stop_waiting();
    }

    /// Counts one more page of an object that is not the kernel's; false if such objects have as many as they
    /// may, or those of its client.
    fn charge_others(&self, entry: &Entry<K, P, S>) -> bool {
        let share = u64::from(self.config.external_share.min(100));
        let most = self.store.space().total.saturating_mul(share) / 100;
        let one_more = |pages| (pages < most).then_some(pages + 1);
        let client = entry.client.as_ref().map(|client| client.account());
        if !client.is_none_or(|client| client.charge()) {
            return false;
        }
        let fits = self.others_pages.fetch_update(Relaxed, Relaxed, one_more).is_ok();
        if let Some(client) = client.filter(|_| !fits) {
            client.give_back(1);
        }
        fits
    }

    /// This many pages that were counted so are there no more.
    fn discharge_others(&self, entry: &Entry<K, P, S>, pages: u64) {
        self.others_pages.fetch_sub(pages, Relaxed);
        if let Some(client) = &entry.client {
            client.account().give_back(pages);
        }
    }

    fn find(&self, port: NameOf<K>) -> Option<Arc<Entry<K, P, S>>> {
        self.objects.find(port)
    }

    /// Makes an entry for an object, and lets its messages come.
    fn add_object(
        &self,
        origin: Origin,
        rights: Rights<K>,
        client: Option<MemberOf<K, P, S>>,
    ) -> Result<Arc<Entry<K, P, S>>, KernReturn> {
        let set = match origin {
            Origin::Internal => &self.internal,
            Origin::External { .. } => &self.external,
        };
        let hand_backs = self.config.hand_backs;
        let object = match (origin, &client) {
            (Origin::Internal, _) => Object::new(origin, hand_backs, self.nodes.clone()),
            (_, None) => Object::new(origin, hand_backs, self.others_nodes.clone()),
            (_, Some(client)) => Object::new(origin, hand_backs, client.account().clone()),
        };
        let entry = Entry::new(self.objects.next_handle(), object, rights, client);
        self.objects.add(&entry)?;
        // Only now, because from now on others look for it.
        let port = entry.lock().rights.port.clone();
        set.insert(&port).inspect_err(|_| self.forget(&entry))?;
        Ok(entry)
    }

    /// Releases all that an object has, once no message about its control ports is to come any more: a thread
    /// may have received one, and would take another object for this one if that had its name. Its pages are
    /// given back in the background, and until then it counts as one.
    fn forget(&self, entry: &Arc<Entry<K, P, S>>) {
        let (users, is_awaited) = {
            let mut state = entry.lock();
            state.is_over = true;
            let Rights { user, ended, next, .. } = &mut state.rights;
            ((user.take(), ended.take(), next.take()), state.awaited > 0)
        };
        // Of each that was watched the kernel says now that it is gone.
        drop(users);
        if is_awaited {
            return;
        }
        // First of all, because the name may be in use again as soon as the port is gone.
        if !self.objects.remove(entry) {
            return;
        }
        let rights = entry.lock().rights.take(self.no_port.clone());
        self.transfers.forget(entry.clone());
        drop(rights);
    }

    /// The pages of a range of bytes; `None` if it is not made of whole pages, or goes beyond what can be
    /// addressed.
    fn pages(&self, offset: u64, length: u64) -> Option<Range<u64>> {
        let size = self.page_size as u64;
        let end = offset.checked_add(length)?;
        (length > 0 && offset % size == 0 && length % size == 0).then_some(offset / size..end / size)
    }

    fn offset(&self, page: u64) -> u64 {
        page * self.page_size as u64
    }
}
