//! Servers that run in the threads that send to them.
//!
//! A message is served at once if the set of its port has such a server, nothing of the same port is before
//! it, and the thread is free to serve: it holds nothing, is not in that server already, and is in few
//! others. Every other message goes through its queue, as all of a kernel between programs do.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::mem::{self, MaybeUninit};

use super::Local;
use super::message::{Message, trailer_size};
use super::state::{Condvar, PortId, SetId, State, TaskId};
use super::wire::Wire;
use crate::abi::TaskAbi;
use crate::kern_return::KernReturn;
use crate::kernel::{Inline, Name, Serve};
use crate::platform::{self, Condvar as _, Mutex, Std};

/// Servers that one thread may be in at once.
const DEPTH: usize = 4;

/// The server of a set, while it may be called.
pub(super) struct Server {
    except: Name,
    room: usize,
    serve: *const Serve<'static>,
    calls: Mutex<Std, usize>,
    idle: Condvar,
}

// SAFETY: what `serve` points to may be called by any thread, and the rest is of types that may be shared.
unsafe impl Send for Server {}
// SAFETY: as above.
unsafe impl Sync for Server {}

impl core::fmt::Debug for Server {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Server").field("calls", &self.calls).finish()
    }
}

std::thread_local! {
    /// The servers that this thread is in.
    static ENTERED: RefCell<Vec<*const Server>> = const { RefCell::new(Vec::new()) };
    /// What this thread has received for such servers, and may be at work on.
    static IN_HAND: RefCell<Vec<InHand>> = const { RefCell::new(Vec::new()) };
}

/// A server that this thread is in.
pub(super) struct Call(Arc<Server>);

impl Server {
    /// Enters the server with this thread; `None` if the thread may not. The caller holds the host's lock, so
    /// that the server does not end meanwhile.
    fn enter(self: &Arc<Self>) -> Option<Call> {
        if platform::holds_anything() {
            return None;
        }
        let entered = ENTERED.try_with(|entered| {
            let mut entered = entered.borrow_mut();
            let may = entered.len() < DEPTH && !entered.contains(&Arc::as_ptr(self));
            if may {
                entered.push(Arc::as_ptr(self));
            }
            may
        });
        entered.unwrap_or(false).then(|| {
            *self.calls.lock() += 1;
            Call(self.clone())
        })
    }
}

impl Call {
    pub(super) fn serve(self, wire: Wire, result: Result<(), KernReturn>) {
        let mut words: Vec<MaybeUninit<u64>> = wire.into_words().into_iter().map(MaybeUninit::new).collect();
        // SAFETY: `serving` has not returned, for it waits for this call.
        let serve = unsafe { &*self.0.serve };
        serve(&mut words, result);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let _ =
            ENTERED.try_with(|entered| entered.borrow_mut().retain(|server| *server != Arc::as_ptr(&self.0)));
        let mut calls = self.0.calls.lock();
        *calls -= 1;
        if *calls == 0 {
            self.0.idle.notify_all();
        }
    }
}

/// A message that a thread has received for a server which may be called as well, so that no later one of
/// its port overtakes it. It counts until the thread receives again, or ends.
struct InHand {
    host: Weak<Mutex<Std, State>>,
    set: SetId,
    port: PortId,
}

impl Drop for InHand {
    fn drop(&mut self) {
        if let Some(host) = self.host.upgrade() {
            host.lock().is_done(self.port);
        }
    }
}

impl<A: TaskAbi> Local<A> {
    /// Takes note that this thread receives from a set, and is done with what it has from there.
    pub(super) fn receives_again(&self, state: &mut State, set: SetId) {
        let done = IN_HAND.try_with(|in_hand| {
            let mut in_hand = in_hand.borrow_mut();
            let is_it = |one: &InHand| {
                one.set == set && core::ptr::eq(one.host.as_ptr(), Arc::as_ptr(&self.task.state))
            };
            in_hand.iter().position(is_it).map(|at| in_hand.swap_remove(at))
        });
        if let Ok(Some(mut done)) = done {
            // The lock is held.
            done.host = Weak::new();
            state.is_done(done.port);
        }
    }

    /// Takes note that this thread has taken a message of a port from the queue of a set.
    pub(super) fn has_received(&self, state: &mut State, set: SetId, port: PortId) {
        if state.sets.get(&set).is_none_or(|set| set.inline.is_none()) {
            return;
        }
        let host = Arc::downgrade(&self.task.state);
        let noted = IN_HAND.try_with(|in_hand| in_hand.borrow_mut().push(InHand { host, set, port }));
        if let (Ok(()), Some(port)) = (noted, state.ports.get_mut(&port)) {
            port.in_hand += 1;
        }
    }

    /// See [`Kernel::serve_inline`](crate::Kernel::serve_inline).
    pub(super) fn serving(&self, inline: Inline<'_>, body: &mut dyn FnMut()) {
        /// Ends the server when `body` is over, however it ends.
        struct Ending<'a, A: TaskAbi>(&'a Local<A>, SetId, Arc<Server>);

        impl<A: TaskAbi> Drop for Ending<'_, A> {
            fn drop(&mut self) {
                let Self(local, set, server) = self;
                if let Some(set) = local.lock().sets.get_mut(set) {
                    set.inline.take_if(|inline| Arc::ptr_eq(inline, server));
                }
                let mut calls = server.calls.lock();
                while *calls > 0 {
                    server.idle.wait(&mut calls);
                }
            }
        }

        let serve: *const Serve<'_> = inline.serve;
        // SAFETY: only the lifetime changes. It is called by `Call`s, for all of which `Ending` waits.
        let serve = unsafe { mem::transmute::<*const Serve<'_>, *const Serve<'static>>(serve) };
        let Inline { set, except, room, .. } = inline;
        let server = Server { except, room, serve, calls: Mutex::<Std, _>::new(0), idle: Condvar::default() };
        let server = Arc::new(server);
        let ending = self.with(|state, task| {
            let id = state.port_set(task, set).ok()?;
            state.sets.get_mut(&id)?.inline = Some(server.clone());
            Some(id)
        });
        let _ending = ending.map(|set| Ending(self, set, server));
        body();
    }
}

impl State {
    fn is_done(&mut self, port: PortId) {
        if let Some(port) = self.ports.get_mut(&port) {
            port.in_hand -= 1;
        }
    }

    /// The server that is to be called with a message, and what it is called with.
    pub(super) fn call(&mut self, message: Message) -> Result<(Call, Wire, Result<(), KernReturn>), Message> {
        let Some((call, task, name)) = self.callee(&message) else { return Err(message) };
        let port = message.destination().port;
        let seqno = self.ports.get_mut(&port).map_or(0, |port| port.take_seqno());
        let trailer = trailer_size(self.facts, self.facts.trailer_options);
        let (wire, result) = message.copy_out(self, task, name, seqno, trailer);
        Ok((call, wire, result))
    }

    fn callee(&self, message: &Message) -> Option<(Call, TaskId, Name)> {
        let port = self.ports.get(&message.destination().port)?;
        let server = self.sets.get(&port.set?)?.inline.as_ref()?;
        let (task, name) = port.receiver?;
        let trailer = trailer_size(self.facts, self.facts.trailer_options);
        let fits = message.size().next_multiple_of(4) + trailer <= server.room;
        let is_next = port.queue.is_empty() && port.in_hand == 0;
        if name == server.except || !fits || !is_next {
            return None;
        }
        Some((server.enter()?, task, name))
    }
}
