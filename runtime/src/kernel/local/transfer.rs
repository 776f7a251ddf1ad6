//! Messages in and out of queues, and the waiting for it.

use alloc::sync::Arc;
use core::mem::MaybeUninit;
use std::time::{Duration, Instant};

use super::message::{Message, Refused, trailer_size};
use super::state::{Condvar, PortId, SetId, State, TaskId};
use super::wire::{Kind, Wire};
use super::{Local, write};
use crate::abi::TaskAbi;
use crate::kern_return::KernReturn;
use crate::kernel::{MsgCall, Name};
use crate::platform::{self, Condvar as _, MutexGuard, Std};

/// Where a thread receives from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Port(PortId),
    Set(SetId),
}

/// Why a wait ended without what was waited for.
enum Ended {
    TimedOut,
    Interrupted,
}

impl<A: TaskAbi> Local<A> {
    /// Sends a message, and waits while the queue is full; or serves it, where its server is to be called.
    pub(super) fn send(&self, wire: Wire, call: &MsgCall) -> Result<(), Refused> {
        debug_assert!(!platform::holds_a_lock(), "a message is sent with a lock held");
        let id = self.task.id;
        let mut wait = Wait::new(self, call.send_timeout);
        let mut state = self.lock();
        state.policies_for(id).check_schema(&wire, call)?;
        let message = Message::copy_in(&mut state, id, wire, call);
        // Before the wait: what follows from this may be what is waited for.
        state.settle();
        match state.call(message?) {
            Ok((call, wire, result)) => {
                state.settle();
                drop(state);
                call.serve(wire, result);
                Ok(())
            }
            Err(message) => {
                let result = deliver(&mut state, &mut wait, id, message);
                state.settle();
                result
            }
        }
    }

    /// Receives a message into a buffer, and waits while there is none.
    pub(super) fn receive(
        &self,
        from: Name,
        buffer: &mut [MaybeUninit<u64>],
        call: &MsgCall,
    ) -> Result<(), KernReturn> {
        let mut wait = Wait::new(self, call.receive_timeout);
        let mut state = self.lock();
        let source = state.source(self.task.id, from)?;
        if let Source::Set(set) = source {
            self.receives_again(&mut state, set);
        }
        loop {
            if let Some(port) = state.next_message(self.task.id, source)? {
                if let Source::Set(set) = source {
                    self.has_received(&mut state, set, port);
                }
                let received = state.take_message(self.task.id, port, size_of_val(buffer), call);
                state.settle();
                drop(state);
                let (wire, result) = received;
                write(buffer, wire);
                return result;
            }
            let condition = state.readable(source);
            wait.once(&mut state, condition).map_err(|ended| match ended {
                Ended::TimedOut => KernReturn::MACH_RCV_TIMED_OUT,
                Ended::Interrupted => KernReturn::MACH_RCV_INTERRUPTED,
            })?;
        }
    }
}

/// Puts a message into its queue as soon as there is room.
fn deliver(
    state: &mut MutexGuard<'_, Std, State>,
    wait: &mut Wait,
    task: TaskId,
    message: Message,
) -> Result<(), Refused> {
    loop {
        let Some(full) = state.full_queue(task, &message) else {
            state.enqueue(message);
            return Ok(());
        };
        if let Err(ended) = wait.once(state, full) {
            let code = match ended {
                Ended::TimedOut => KernReturn::MACH_SEND_TIMED_OUT,
                Ended::Interrupted => KernReturn::MACH_SEND_INTERRUPTED,
            };
            return Err(message.return_to(state, task, code));
        }
    }
}

impl State {
    /// The condition that tells when the queue has room again, if it has none for this message now. Only
    /// messages to send rights wait.
    fn full_queue(&self, task: TaskId, message: &Message) -> Option<Arc<Condvar>> {
        let to = message.destination();
        let port = self.ports.get(&to.port)?;
        let always = to.kind == Kind::SendOnce || self.tasks.get(&task).is_some_and(|task| task.send_always);
        (!always && port.queue.len() >= port.limit).then(|| port.writable.clone())
    }

    fn source(&mut self, task: TaskId, name: Name) -> Result<Source, KernReturn> {
        if let Ok(set) = self.port_set(task, name) {
            return Ok(Source::Set(set));
        }
        let port = self.receive_right(task, name).map_err(|_| KernReturn::MACH_RCV_INVALID_NAME)?;
        match self.ports.get(&port) {
            Some(port) if port.set.is_some() => Err(KernReturn::MACH_RCV_IN_SET),
            _ => Ok(Source::Port(port)),
        }
    }

    /// The port whose first message is the next to be received, or why none will ever be.
    fn next_message(&self, task: TaskId, source: Source) -> Result<Option<PortId>, KernReturn> {
        match source {
            Source::Set(set) => {
                let set = self.sets.get(&set).ok_or(KernReturn::MACH_RCV_PORT_DIED)?;
                Ok(set.ready.front().copied())
            }
            Source::Port(id) => {
                let port =
                    self.ports.get(&id).filter(|port| port.receiver.is_some_and(|(owner, _)| owner == task));
                let port = port.ok_or(KernReturn::MACH_RCV_PORT_DIED)?;
                if port.set.is_some() {
                    return Err(KernReturn::MACH_RCV_PORT_CHANGED);
                }
                Ok((!port.queue.is_empty()).then_some(id))
            }
        }
    }

    fn readable(&self, source: Source) -> Arc<Condvar> {
        match source {
            Source::Port(id) => self.ports.get(&id).map(|port| port.readable.clone()),
            Source::Set(id) => self.sets.get(&id).map(|set| set.readable.clone()),
        }
        .unwrap_or_default()
    }

    /// Takes the first message out of a queue that has one. What is returned with an error is the header, or
    /// what there was room for.
    fn take_message(
        &mut self,
        task: TaskId,
        id: PortId,
        room: usize,
        call: &MsgCall,
    ) -> (Wire, Result<(), KernReturn>) {
        let facts = self.facts;
        let port = self.ports.get_mut(&id).expect("it has a message");
        let size = port.queue.front().expect("it has a message").size();
        let trailer = trailer_size(facts, call.options);
        let fits = size.next_multiple_of(4) + trailer <= room;
        if !fits && call.large {
            // It stays, for this thread with a larger buffer or for another that waits.
            match port.set.and_then(|set| self.sets.get(&set)) {
                Some(set) => set.readable.notify_one(),
                None => port.readable.notify_one(),
            };
            let mut header = Wire::zeroed(facts, facts.header);
            header.set_u32(4, size as u32);
            return (header, Err(KernReturn::MACH_RCV_TOO_LARGE));
        }
        let message = port.queue.pop_front().expect("it has a message");
        let seqno = port.take_seqno();
        let name = port.receiver.map_or(Name::NULL, |(_, name)| name);
        port.writable.notify_one();
        if let Some(set) = port.set.and_then(|set| self.sets.get_mut(&set)) {
            set.ready.pop_front();
        }
        if fits {
            message.copy_out(self, task, name, seqno, trailer)
        } else {
            let header = message.copy_out_header(self, name, seqno, trailer);
            (header, Err(KernReturn::MACH_RCV_TOO_LARGE))
        }
    }
}

/// The waiting of one call: it ends at a deadline, or when the task is interrupted.
struct Wait {
    task: TaskId,
    deadline: Option<Instant>,
    /// The task's count when the wait began.
    interruptions: Option<u64>,
}

impl Wait {
    fn new<A: TaskAbi>(task: &Local<A>, timeout: Option<u32>) -> Self {
        let timeout = timeout.map(|timeout| Duration::from_millis(timeout.into()));
        Self {
            task: task.task.id,
            deadline: timeout.map(|timeout| Instant::now() + timeout),
            interruptions: None,
        }
    }

    /// Waits for a condition once. The caller has just found it not to hold, and looks again.
    fn once(&mut self, state: &mut MutexGuard<'_, Std, State>, condition: Arc<Condvar>) -> Result<(), Ended> {
        let now = state.tasks.get(&self.task).map(|task| task.interruptions).ok_or(Ended::Interrupted)?;
        if *self.interruptions.get_or_insert(now) != now {
            return Err(Ended::Interrupted);
        }
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(Ended::TimedOut);
        }
        if let Ok(task) = state.task(self.task) {
            task.waiting.push(condition.clone());
        }
        match left {
            Some(left) => drop(condition.wait_for(state, left)),
            None => condition.wait(state),
        }
        if let Ok(task) = state.task(self.task) {
            if let Some(at) = task.waiting.iter().position(|waiting| Arc::ptr_eq(waiting, &condition)) {
                task.waiting.swap_remove(at);
            }
        }
        Ok(())
    }
}
