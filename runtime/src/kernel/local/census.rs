//! The census of a task: how many rights, names and regions it has, for tests and for people.

use core::sync::atomic::Ordering;

use super::Local;
use super::names::Entry;
use crate::abi::TaskAbi;
use crate::kern_return::KernReturn;
use crate::kernel::Name;
use crate::platform::Condvar as _;

/// Everything that a task has, counted. Equal before and after means that nothing has leaked.
///
/// The ports that threads keep for replies do not count: they come with a thread's first call and go with the
/// thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Receive rights.
    pub receive: usize,
    /// Names with a send right.
    pub send: usize,
    /// User references of all send rights together.
    pub send_references: u64,
    /// Send-once rights.
    pub send_once: usize,
    /// Names whose port has died.
    pub dead_names: usize,
    /// User references of all dead names together.
    pub dead_references: u64,
    /// Port sets.
    pub port_sets: usize,
    /// Pieces of out-of-line memory, in the program or not yet claimed from a message.
    pub regions: usize,
    /// Messages in the queues of its ports; what they hold is nobody's yet.
    pub queued: usize,
    /// Releases of a right that the task did not have: always a mistake.
    pub bad_releases: usize,
}

/// The state of a port as its receiver may know it (`mach_port_get_receive_status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiveStatus {
    /// The port set that it is a member of, or null.
    pub port_set: Name,
    /// The sequence number of the next message to be received.
    pub seqno: u32,
    /// Send rights made since the receive right came here.
    pub make_send_count: u32,
    /// Messages that its queue takes before senders wait.
    pub queue_limit: usize,
    /// Messages in its queue.
    pub queued: usize,
    /// Send-once rights, wherever they are.
    pub send_once_rights: usize,
    /// Whether there are send rights anywhere.
    pub send_rights: bool,
}

impl<A: TaskAbi> Local<A> {
    /// Counts what the task has; everything is 0 once the task has ended.
    pub fn census(&self) -> Census {
        let state = self.lock();
        let Some(task) = state.tasks.get(&self.task.id) else { return Census::default() };
        let mut census = Census {
            regions: task.regions.len() + task.claimed_regions.load(Ordering::Relaxed),
            bad_releases: task.bad_releases,
            ..Census::default()
        };
        for (name, entry) in task.names.iter() {
            match entry {
                Entry::Port { port, receive, sends, .. } => {
                    if *receive && !task.reply_ports.contains(&name) {
                        census.receive += 1;
                    }
                    if *receive {
                        census.queued += state.ports.get(port).map_or(0, |port| port.queue.len());
                    }
                    census.send += usize::from(*sends > 0);
                    census.send_references += u64::from(*sends);
                }
                Entry::SendOnce { .. } => census.send_once += 1,
                Entry::Dead { refs } => {
                    census.dead_names += 1;
                    census.dead_references += u64::from(*refs);
                }
                Entry::Set(_) => census.port_sets += 1,
            }
        }
        census
    }

    /// The state of a port that this task receives from.
    ///
    /// # Errors
    ///
    /// `KERN_INVALID_NAME` or `KERN_INVALID_RIGHT` if `receive` is not the name of a receive right.
    pub fn receive_status(&self, receive: Name) -> Result<ReceiveStatus, KernReturn> {
        let mut state = self.lock();
        let id = state.receive_right(self.task.id, receive)?;
        let port = state.ports.get(&id).ok_or(KernReturn::KERN_INVALID_RIGHT)?;
        let set = port.set.and_then(|set| state.sets.get(&set));
        Ok(ReceiveStatus {
            port_set: set.map_or(Name::NULL, |set| set.name),
            seqno: port.seqno,
            make_send_count: port.make_send_count,
            queue_limit: port.limit,
            queued: port.queue.len(),
            send_once_rights: port.send_once_rights,
            send_rights: port.send_rights > 0,
        })
    }

    /// Sets the context of a port, which comes in the trailers of its messages where the ABI has them
    /// (`mach_port_set_context`).
    ///
    /// # Errors
    ///
    /// `KERN_INVALID_NAME` or `KERN_INVALID_RIGHT` if `receive` is not the name of a receive right.
    pub fn set_context(&self, receive: Name, context: u64) -> Result<(), KernReturn> {
        let mut state = self.lock();
        let id = state.receive_right(self.task.id, receive)?;
        if let Some(port) = state.ports.get_mut(&id) {
            port.context = context;
        }
        Ok(())
    }

    /// The number of this task, which is the process in the audit tokens of what it sends.
    pub fn number(&self) -> u32 {
        self.task.id.number()
    }

    /// Sets how many messages a queue takes before senders wait (`mach_port_set_qlimit`); 5 at first.
    ///
    /// # Errors
    ///
    /// `KERN_INVALID_NAME` or `KERN_INVALID_RIGHT` if `receive` is not the name of a receive right.
    pub fn set_queue_limit(&self, receive: Name, limit: usize) -> Result<(), KernReturn> {
        let mut state = self.lock();
        let id = state.receive_right(self.task.id, receive)?;
        if let Some(port) = state.ports.get_mut(&id) {
            port.limit = limit;
            port.writable.notify_all();
        }
        Ok(())
    }
}
