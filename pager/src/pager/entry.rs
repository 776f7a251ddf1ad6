//! An object with its rights and its lock.

use alloc::sync::Arc;

use mig_runtime::platform::{Condvar, Holding, Mutex, MutexGuard, Platform};
use mig_runtime::{Kernel, NameOf, ReceiveRight, SendRight, Seqno};

use super::clients::MemberOf;
use super::control::Control;
use crate::buffers::Data;
use crate::object::{Object, Origin, Turn};
use crate::store::{Store, Stored};

/// A page's data that a write and the object share.
pub(crate) type Shared<K, P> = Data<K, P>;

/// Where a page is, in a store or without room.
pub(crate) type Place<S> = Stored<<S as Store>::Place>;

/// An object that the pager stores.
pub(crate) struct Entry<K: Kernel, P: Platform, S: Store> {
    /// The name of its port.
    pub(crate) name: NameOf<K>,
    /// A number that tells it apart, for administrators.
    pub(crate) handle: u32,
    pub(crate) origin: Origin,
    /// The client that it counts as one of.
    pub(crate) client: Option<MemberOf<K, P, S>>,
    state: Mutex<P, State<K, P, S>>,
    /// A message has been admitted, and somebody waits for that.
    turn: P::Condvar,
}

/// What its lock guards.
pub(crate) struct State<K: Kernel, P: Platform, S: Store> {
    pub(crate) object: Object<Place<S>, Shared<K, P>>,
    pub(crate) rights: Rights<K>,
    /// How many messages about control ports the kernel is still to send, each of which has the object's
    /// name.
    pub(crate) awaited: u32,
    /// The object is to be forgotten when those have come.
    pub(crate) is_over: bool,
    /// How many of its pages count as those of others than the kernel.
    pub(crate) charged: u64,
    /// The next one of those whose pages are to be forgotten: a list of them takes no memory.
    pub(crate) next_forgotten: Option<Arc<Entry<K, P, S>>>,
    /// Threads that wait for their turn.
    waiting: usize,
    /// Nobody waits for a turn any more.
    stopped: bool,
}

/// The rights of an object: released together when the object is forgotten.
pub(crate) struct Rights<K: Kernel> {
    /// Shared with calls to the kernel, for which the lock is not held: a thread may have to wait for memory
    /// in them.
    pub(crate) port: Arc<ReceiveRight<K>>,
    /// The kernel that uses it.
    pub(crate) user: Option<Arc<User<K>>>,
    /// A kernel that has ended its use while transfers were on their way.
    pub(crate) ended: Option<Ended<K>>,
    /// A kernel that waits until they are done.
    pub(crate) next: Option<Arc<User<K>>>,
}

/// A kernel that uses an object: where its answers go, and by which name it is known to others.
pub(crate) struct User<K: Kernel> {
    pub(crate) control: Control<K>,
    pub(crate) name: SendRight<K>,
}

/// What a kernel leaves behind: the pager's rights, and then the control and name ports themselves, unless
/// they have died with it.
pub(crate) type Ended<K> = (Option<Arc<User<K>>>, Option<[ReceiveRight<K>; 2]>);

impl<K: Kernel> Rights<K> {
    /// Of an object that no kernel uses.
    pub(crate) fn unused(port: Arc<ReceiveRight<K>>) -> Self {
        Self { port, user: None, ended: None, next: None }
    }

    /// Everything, for release outside of the lock; `no_port` stays.
    pub(crate) fn take(&mut self, no_port: Arc<ReceiveRight<K>>) -> Self {
        core::mem::replace(self, Self::unused(no_port))
    }
}

impl<K: Kernel, P: Platform, S: Store> Entry<K, P, S> {
    pub(crate) fn new(
        handle: u32,
        object: Object<Place<S>, Shared<K, P>>,
        rights: Rights<K>,
        client: Option<MemberOf<K, P, S>>,
    ) -> Arc<Self> {
        let (name, origin) = (rights.port.name(), object.origin());
        let state = State {
            object,
            rights,
            awaited: 0,
            is_over: false,
            charged: 0,
            next_forgotten: None,
            waiting: 0,
            stopped: false,
        };
        let (state, turn) = (Mutex::<P, _>::new(state), P::Condvar::default());
        Arc::new(Self { name, handle, origin, client, state, turn })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, P, State<K, P, S>> {
        self.state.lock()
    }

    /// The turn of a message that has been received. `None` stands for the next one, where one thread serves
    /// the port and nobody counts.
    pub(crate) fn turn(&self, seqno: Option<Seqno>) -> Pending<'_, K, P, S> {
        Pending { entry: self, seqno, admitted: false }
    }

    /// Waits for the messages before this one. Each of their threads only has to get here.
    fn admit(&self, seqno: Option<Seqno>) -> Result<Admitted<'_, K, P, S>, Missed> {
        let Some(Seqno(seqno)) = seqno else { return Ok(Admitted::new(self)) };
        let mut state = self.lock();
        loop {
            match state.object.turn(seqno) {
                Turn::Now => return Ok(Admitted::new(self)),
                Turn::Past => return Err(Missed),
                Turn::Later if state.stopped => return Err(Missed),
                Turn::Later => {
                    state.waiting += 1;
                    self.turn.wait(&mut state);
                    state.waiting -= 1;
                }
            }
        }
    }

    /// Ends every wait for a turn, now and later.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.turn.notify_all();
    }
}

/// A message has no turn: no kernel gives its position twice, or the pager stops.
pub(crate) struct Missed;

/// A message that has been received and not admitted. Dropped, it is rejected, which takes a turn as well.
pub(crate) struct Pending<'e, K: Kernel, P: Platform, S: Store> {
    entry: &'e Entry<K, P, S>,
    seqno: Option<Seqno>,
    admitted: bool,
}

impl<'e, K: Kernel, P: Platform, S: Store> Pending<'e, K, P, S> {
    /// Waits for the turn and takes it.
    pub(crate) fn admit(mut self) -> Result<Admitted<'e, K, P, S>, Missed> {
        self.admitted = true;
        self.entry.admit(self.seqno)
    }
}

impl<K: Kernel, P: Platform, S: Store> Drop for Pending<'_, K, P, S> {
    fn drop(&mut self) {
        if !self.admitted {
            drop(self.entry.admit(self.seqno));
        }
    }
}

/// A message whose turn it is. Those after it wait until this is dropped, while transfers of the object go
/// on.
///
/// What is sent meanwhile goes through a queue: a kernel that was called at once might send a message of this
/// object, which would wait for this turn.
pub(crate) struct Admitted<'e, K: Kernel, P: Platform, S: Store> {
    entry: &'e Entry<K, P, S>,
    _turn: Holding,
}

impl<'e, K: Kernel, P: Platform, S: Store> Admitted<'e, K, P, S> {
    fn new(entry: &'e Entry<K, P, S>) -> Self {
        Self { entry, _turn: Holding::turn() }
    }
}

impl<K: Kernel, P: Platform, S: Store> Admitted<'_, K, P, S> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, P, State<K, P, S>> {
        self.entry.lock()
    }
}

impl<K: Kernel, P: Platform, S: Store> Drop for Admitted<'_, K, P, S> {
    fn drop(&mut self) {
        let mut state = self.entry.lock();
        state.object.advance();
        if state.waiting > 0 {
            self.entry.turn.notify_all();
        }
    }
}
