//! Ports, port sets and tasks, and how rights come and go.
//!
//! Everything here runs under the host's one lock. What an operation takes away goes to [`State::pending`],
//! and [`State::settle`] deals with it one by one, so that ports in messages of ports in messages, and so on,
//! need no recursion.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::inline::Server;
use super::message::Message;
use super::names::{Entry, NameTable};
use super::notify::Notice;
use super::policy::Policies;
use super::region::Regions;
use super::wire::{Disposition, Kind};
use crate::abi::{Facts, System};
use crate::kern_return::KernReturn;
use crate::kernel::{Name, Notification, PortKind, RightKind};
use crate::platform::{Condvar as _, Platform, Std};

/// What threads wait on that have the state locked.
pub(super) type Condvar = <Std as Platform>::Condvar;

/// `MACH_PORT_QLIMIT_DEFAULT`
pub(super) const QUEUE_LIMIT: usize = 5;

/// `MACH_PORT_UREFS_MAX`: user references that a name can have, the same number in GNU Mach and XNU. One of a
/// send right in GNU Mach has one less, so that it has room for the reference of a dead-name notification.
const UREFS_MAX: u32 = 0xffff;

/// A port. A number is never used again, so a port that is not in the table is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PortId(u64);

/// A port set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SetId(u64);

/// A task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TaskId(u64);

impl TaskId {
    /// Its number in the trailers of what it sends.
    pub(super) fn number(self) -> u32 {
        self.0 as u32
    }
}

/// A right that is in no name table: it is in a message, or on its way in or out of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Right {
    pub(super) kind: Kind,
    pub(super) port: PortId,
}

/// What the place of a port in a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transit {
    /// `MACH_PORT_NULL`
    Null,
    /// `MACH_PORT_DEAD`
    Dead,
    Right(Right),
}

#[derive(Debug)]
pub(super) struct Port {
    /// Who has the receive right, under which name; none while it is in a message.
    pub(super) receiver: Option<(TaskId, Name)>,
    pub(super) set: Option<SetId>,
    pub(super) queue: VecDeque<Message>,
    pub(super) limit: usize,
    pub(super) seqno: u32,
    /// Messages that have left the queue, and that threads of a server which may be called are at work on.
    pub(super) in_hand: usize,
    /// Send rights: one for each task that has any, and one for each that is in a message.
    pub(super) send_rights: usize,
    /// Send-once rights, wherever they are.
    pub(super) send_once_rights: usize,
    pub(super) make_send_count: u32,
    /// What its receiver wants to find in the trailers of its messages.
    pub(super) context: u64,
    pub(super) kind: PortKind,
    /// It stands for an object of the kernel.
    pub(super) kernel_object: bool,
    no_senders_request: Option<PortId>,
    port_destroyed_request: Option<PortId>,
    /// Every name of a right to this port.
    holders: BTreeSet<(TaskId, Name)>,
    /// A message has come, or the port has changed.
    pub(super) readable: Arc<Condvar>,
    /// The queue has room, or the port has died.
    pub(super) writable: Arc<Condvar>,
}

impl Port {
    /// The position of its next message.
    pub(super) fn take_seqno(&mut self) -> u32 {
        let seqno = self.seqno;
        self.seqno = seqno.wrapping_add(1);
        seqno
    }
}

#[derive(Debug)]
pub(super) struct PortSet {
    /// Its name in its task.
    pub(super) name: Name,
    members: BTreeSet<PortId>,
    /// The member of each queued message, in order of arrival.
    pub(super) ready: VecDeque<PortId>,
    pub(super) readable: Arc<Condvar>,
    /// Who serves messages in their senders' threads.
    pub(super) inline: Option<Arc<Server>>,
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) label: String,
    pub(super) names: NameTable,
    pub(super) regions: Regions,
    pub(super) claimed_regions: Arc<AtomicUsize>,
    /// The task's sends ignore queue limits, as the kernel's do.
    pub(super) send_always: bool,
    /// The receive rights that threads keep for replies.
    pub(super) reply_ports: BTreeSet<Name>,
    /// Goes up with every interruption of its threads.
    pub(super) interruptions: u64,
    /// What its threads wait for now.
    pub(super) waiting: Vec<Arc<Condvar>>,
    /// Releases of what it did not have.
    pub(super) bad_releases: usize,
    /// How many names it may have.
    pub(super) name_limit: usize,
    /// How many pieces of out-of-line memory it has room for.
    pub(super) region_limit: usize,
}

/// Something that belongs to nobody any more, and is to be released or sent.
#[derive(Debug)]
enum Pending {
    Right(Right),
    Message(Message),
    /// A notification, to be sent with a send-once right for this port.
    Notice(PortId, Notice),
}

/// Everything of one host.
#[derive(Debug)]
pub(super) struct State {
    pub(super) facts: &'static Facts,
    pub(super) policies: Policies,
    pub(super) tasks: BTreeMap<TaskId, Task>,
    pub(super) ports: BTreeMap<PortId, Port>,
    pub(super) sets: BTreeMap<SetId, PortSet>,
    pending: VecDeque<Pending>,
    last_id: u64,
}

impl State {
    pub(super) fn new(facts: &'static Facts, policies: Policies) -> Self {
        Self {
            facts,
            policies,
            tasks: BTreeMap::new(),
            ports: BTreeMap::new(),
            sets: BTreeMap::new(),
            pending: VecDeque::new(),
            last_id: 0,
        }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    // Tasks

    pub(super) fn new_task(&mut self, label: &str) -> TaskId {
        let id = TaskId(self.next_id());
        let task = Task {
            label: label.into(),
            names: NameTable::default(),
            regions: Regions::default(),
            claimed_regions: Arc::default(),
            send_always: false,
            reply_ports: BTreeSet::new(),
            interruptions: 0,
            waiting: Vec::new(),
            bad_releases: 0,
            name_limit: usize::MAX,
            region_limit: usize::MAX,
        };
        self.tasks.insert(id, task);
        id
    }

    pub(super) fn task(&mut self, id: TaskId) -> Result<&mut Task, KernReturn> {
        self.tasks.get_mut(&id).ok_or(KernReturn::KERN_INVALID_TASK)
    }

    /// Whether a task has room for another piece of memory.
    pub(super) fn has_room(&self, task: TaskId) -> bool {
        self.tasks.get(&task).is_some_and(|task| {
            task.regions.len() + task.claimed_regions.load(Ordering::Relaxed) < task.region_limit
        })
    }

    /// Ends a task: everything that it had is released.
    pub(super) fn end_task(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        let names: Vec<Name> = task.names.iter().map(|(name, _)| name).collect();
        self.interrupt(id);
        for name in names {
            self.remove_name(id, name);
        }
        self.tasks.remove(&id);
    }

    /// Makes every thread of the task that waits return.
    pub(super) fn interrupt(&mut self, id: TaskId) {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.interruptions += 1;
            for condition in &task.waiting {
                condition.notify_all();
            }
        }
    }

    // Names

    fn entry(&mut self, task: TaskId, name: Name) -> Result<&mut Entry, KernReturn> {
        self.task(task)?.names.get_mut(name).ok_or(KernReturn::KERN_INVALID_NAME)
    }

    fn insert_name(&mut self, task: TaskId, entry: Entry) -> Result<Name, KernReturn> {
        let port = match &entry {
            Entry::Port { port, .. } | Entry::SendOnce { port, .. } => Some(*port),
            Entry::Dead { .. } | Entry::Set(_) => None,
        };
        let owner = self.task(task)?;
        if owner.names.len() >= owner.name_limit {
            return Err(KernReturn::KERN_NO_SPACE);
        }
        let name = owner.names.insert(entry);
        if let Some(port) = port.and_then(|port| self.ports.get_mut(&port)) {
            port.holders.insert((task, name));
        }
        Ok(name)
    }

    /// Frees a name whose rights have all been taken out of the entry.
    fn forget_name(&mut self, task: TaskId, name: Name) {
        let Some(entry) = self.tasks.get_mut(&task).and_then(|task| task.names.remove(name)) else { return };
        if let Entry::Port { port, dead_name_request, .. } | Entry::SendOnce { port, dead_name_request } =
            entry
        {
            if let Some(port) = self.ports.get_mut(&port) {
                port.holders.remove(&(task, name));
            }
            if let Some(notify) = dead_name_request {
                self.pending.push_back(Pending::Notice(notify, Notice::PortDeleted(name)));
            }
        }
    }

    /// Takes a name away with everything that it denotes.
    fn remove_name(&mut self, task: TaskId, name: Name) {
        match self.entry(task, name) {
            Ok(&mut Entry::Port { port, receive, sends, .. }) => {
                self.forget_name(task, name);
                if sends > 0 {
                    self.discard(Right { kind: Kind::Send, port });
                }
                if receive {
                    self.detach(port);
                    self.discard(Right { kind: Kind::Receive, port });
                }
            }
            Ok(&mut Entry::SendOnce { port, .. }) => {
                self.forget_name(task, name);
                self.discard(Right { kind: Kind::SendOnce, port });
            }
            Ok(Entry::Dead { .. }) => self.forget_name(task, name),
            Ok(&mut Entry::Set(set)) => {
                self.forget_name(task, name);
                self.destroy_set(set);
            }
            Err(_) => {}
        }
    }

    /// Frees the name if the entry of a port holds no right any more.
    fn forget_if_empty(&mut self, task: TaskId, name: Name) {
        if let Ok(Entry::Port { receive: false, sends: 0, .. }) = self.entry(task, name) {
            self.forget_name(task, name);
        }
    }

    /// The port whose receive right this name denotes.
    pub(super) fn receive_right(&mut self, task: TaskId, name: Name) -> Result<PortId, KernReturn> {
        match self.entry(task, name)? {
            Entry::Port { port, receive: true, .. } => Ok(*port),
            _ => Err(KernReturn::KERN_INVALID_RIGHT),
        }
    }

    /// The port that this name denotes a right of.
    pub(super) fn port_of(&mut self, task: TaskId, name: Name) -> Option<PortId> {
        match self.entry(task, name).ok()? {
            Entry::Port { port, .. } | Entry::SendOnce { port, .. } => Some(*port),
            Entry::Dead { .. } | Entry::Set(_) => None,
        }
    }

    /// The port set that this name denotes.
    pub(super) fn port_set(&mut self, task: TaskId, name: Name) -> Result<SetId, KernReturn> {
        match self.entry(task, name)? {
            Entry::Set(set) => Ok(*set),
            _ => Err(KernReturn::KERN_INVALID_RIGHT),
        }
    }

    // Ports and port sets

    pub(super) fn new_port(&mut self, task: TaskId, kind: PortKind) -> Result<Name, KernReturn> {
        self.task(task)?;
        let id = PortId(self.next_id());
        let port = Port {
            receiver: None,
            set: None,
            queue: VecDeque::new(),
            limit: QUEUE_LIMIT,
            seqno: 0,
            in_hand: 0,
            send_rights: 0,
            send_once_rights: 0,
            make_send_count: 0,
            context: 0,
            kind,
            kernel_object: false,
            no_senders_request: None,
            port_destroyed_request: None,
            holders: BTreeSet::new(),
            readable: Arc::default(),
            writable: Arc::default(),
        };
        self.ports.insert(id, port);
        self.copy_out(task, Transit::Right(Right { kind: Kind::Receive, port: id }))
    }

    pub(super) fn new_set(&mut self, task: TaskId) -> Result<Name, KernReturn> {
        let id = SetId(self.next_id());
        let name = self.insert_name(task, Entry::Set(id))?;
        let (members, ready, readable, inline) = (BTreeSet::new(), VecDeque::new(), Arc::default(), None);
        let set = PortSet { name, members, ready, readable, inline };
        self.sets.insert(id, set);
        Ok(name)
    }

    fn destroy_set(&mut self, id: SetId) {
        let Some(set) = self.sets.remove(&id) else { return };
        for member in set.members {
            if let Some(port) = self.ports.get_mut(&member) {
                port.set = None;
            }
        }
        set.readable.notify_all();
    }

    pub(super) fn move_member(&mut self, task: TaskId, receive: Name, set: Name) -> Result<(), KernReturn> {
        let port = self.receive_right(task, receive)?;
        if set == Name::NULL {
            return if self.leave_set(port) { Ok(()) } else { Err(KernReturn::KERN_NOT_IN_SET) };
        }
        let set = self.port_set(task, set)?;
        self.leave_set(port);
        self.join_set(port, set);
        Ok(())
    }

    fn join_set(&mut self, id: PortId, set_id: SetId) {
        let (Some(port), Some(set)) = (self.ports.get_mut(&id), self.sets.get_mut(&set_id)) else { return };
        port.set = Some(set_id);
        set.members.insert(id);
        set.ready.extend(port.queue.iter().map(|_| id));
        // Threads that wait on the port itself get MACH_RCV_PORT_CHANGED.
        port.readable.notify_all();
        set.readable.notify_all();
    }

    fn leave_set(&mut self, id: PortId) -> bool {
        let Some(set) = self.ports.get_mut(&id).and_then(|port| port.set.take()) else { return false };
        if let Some(set) = self.sets.get_mut(&set) {
            set.members.remove(&id);
            set.ready.retain(|ready| *ready != id);
        }
        true
    }

    /// Takes the receive right from its holder; it is then in transit.
    fn detach(&mut self, id: PortId) {
        self.leave_set(id);
        if let Some(port) = self.ports.get_mut(&id) {
            port.receiver = None;
            port.seqno = 0;
            port.make_send_count = 0;
            // Threads that wait get MACH_RCV_PORT_DIED.
            port.readable.notify_all();
        }
    }

    fn destroy_port(&mut self, id: PortId) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        if let Some(notify) = port.port_destroyed_request.take() {
            let right = Right { kind: Kind::Receive, port: id };
            self.pending.push_back(Pending::Notice(notify, Notice::PortDestroyed(right)));
            return;
        }
        let Some(port) = self.ports.remove(&id) else { return };
        port.writable.notify_all();
        if let Some(notify) = port.no_senders_request {
            self.discard(Right { kind: Kind::SendOnce, port: notify });
        }
        self.pending.extend(port.queue.into_iter().map(Pending::Message));
        for (task, name) in port.holders {
            self.bury_name(task, name);
        }
    }

    /// The port of this name has died.
    fn bury_name(&mut self, task: TaskId, name: Name) {
        let Ok(entry) = self.entry(task, name) else { return };
        let (refs, request) = match entry {
            Entry::Port { sends, dead_name_request, .. } => (*sends, *dead_name_request),
            Entry::SendOnce { dead_name_request, .. } => (1, *dead_name_request),
            Entry::Dead { .. } | Entry::Set(_) => return,
        };
        // The notification comes with a reference, so that the name it tells of cannot be another by then.
        let refs = (refs + u32::from(request.is_some())).min(UREFS_MAX);
        if let Ok(task) = self.task(task) {
            task.names.bury(name, refs);
        }
        if let Some(notify) = request {
            self.pending.push_back(Pending::Notice(notify, Notice::DeadName(name)));
        }
    }

    // Rights in and out of a name table

    /// Takes a right out of a task, or makes one from what the task has.
    pub(super) fn copy_in(
        &mut self,
        task: TaskId,
        name: Name,
        disposition: Disposition,
    ) -> Result<Transit, KernReturn> {
        use Disposition::{CopySend, MakeSend, MakeSendOnce, MoveReceive, MoveSend, MoveSendOnce};
        if name == Name::NULL {
            return Ok(Transit::Null);
        }
        if name == Name::DEAD {
            return Ok(Transit::Dead);
        }
        let pegged = self.pegged();
        let entry = self.entry(task, name)?;
        let port = match (disposition, entry) {
            (MoveReceive, Entry::Port { port, receive: receive @ true, .. }) => {
                let port = *port;
                *receive = false;
                self.detach(port);
                self.forget_if_empty(task, name);
                port
            }
            (MoveSend, Entry::Port { port, sends: sends @ 1.., .. }) => {
                let port = *port;
                *sends -= u32::from(*sends != pegged);
                if *sends > 0 {
                    self.count_send(port);
                }
                self.forget_if_empty(task, name);
                port
            }
            (CopySend, Entry::Port { port, sends: 1.., .. }) => {
                let port = *port;
                self.count_send(port);
                port
            }
            (MakeSend, Entry::Port { port, receive: true, .. }) => {
                let port = *port;
                self.count_send(port);
                self.count_made_send(port);
                port
            }
            (MakeSendOnce, Entry::Port { port, receive: true, .. }) => {
                let port = *port;
                if let Some(port) = self.ports.get_mut(&port) {
                    port.send_once_rights += 1;
                }
                port
            }
            (MoveSendOnce, Entry::SendOnce { port, .. }) => {
                let port = *port;
                self.forget_name(task, name);
                port
            }
            (CopySend, Entry::Dead { .. }) => return Ok(Transit::Dead),
            (MoveSend | MoveSendOnce, Entry::Dead { .. }) => {
                self.release_dead(task, name);
                return Ok(Transit::Dead);
            }
            _ => return Err(KernReturn::KERN_INVALID_RIGHT),
        };
        Ok(Transit::Right(Right { kind: disposition.gives(), port }))
    }

    /// Whether a name denotes a port that has died.
    pub(super) fn is_dead(&mut self, task: TaskId, name: Name) -> bool {
        matches!(self.entry(task, name), Ok(Entry::Dead { .. }))
    }

    /// Whether [`copy_in`](Self::copy_in) would succeed this many times.
    pub(super) fn can_copy_in(
        &mut self,
        task: TaskId,
        name: Name,
        disposition: Disposition,
        times: u32,
    ) -> bool {
        use Disposition::{CopySend, MakeSend, MakeSendOnce, MoveReceive, MoveSend, MoveSendOnce};
        match (disposition, self.entry(task, name)) {
            (MoveReceive, Ok(Entry::Port { receive: true, .. })) => times == 1,
            (MoveSendOnce, Ok(Entry::SendOnce { .. })) => times == 1,
            (MoveSend, Ok(Entry::Port { sends, .. })) => times <= *sends,
            (MoveSend | MoveSendOnce, Ok(Entry::Dead { refs })) => times <= *refs,
            (CopySend, Ok(Entry::Port { sends: 1.., .. } | Entry::Dead { .. })) => true,
            (MakeSend | MakeSendOnce, Ok(Entry::Port { receive: true, .. })) => true,
            _ => false,
        }
    }

    /// Gives a right to a task and returns its name there. If it fails the right is discarded.
    pub(super) fn copy_out(&mut self, task: TaskId, transit: Transit) -> Result<Name, KernReturn> {
        let result = self.try_copy_out(task, transit);
        if result.is_err() {
            self.discard_transit(transit);
        }
        result
    }

    fn try_copy_out(&mut self, task: TaskId, transit: Transit) -> Result<Name, KernReturn> {
        self.task(task)?;
        let right = match transit {
            Transit::Null => return Ok(Name::NULL),
            Transit::Right(right) if self.ports.contains_key(&right.port) => right,
            Transit::Dead | Transit::Right(_) => return Ok(Name::DEAD),
        };
        let port = right.port;
        if right.kind == Kind::SendOnce {
            return self.insert_name(task, Entry::SendOnce { port, dead_name_request: None });
        }
        let name = match self.task(task)?.names.of_port(port) {
            Some(name) => name,
            None => self
                .insert_name(task, Entry::Port { port, receive: false, sends: 0, dead_name_request: None })?,
        };
        let most = self.most_sends();
        let Entry::Port { receive, sends, .. } = self.entry(task, name)? else {
            unreachable!("the name of a port denotes its rights")
        };
        match right.kind {
            Kind::Receive => {
                *receive = true;
                if let Some(port) = self.ports.get_mut(&port) {
                    port.receiver = Some((task, name));
                }
            }
            _ if *sends == 0 => *sends = 1,
            _ => {
                // The right that came becomes a user reference of the one that was there.
                *sends = (*sends + 1).min(most);
                self.discard(right);
            }
        }
        Ok(name)
    }

    fn count_send(&mut self, port: PortId) {
        if let Some(port) = self.ports.get_mut(&port) {
            port.send_rights += 1;
        }
    }

    fn count_made_send(&mut self, port: PortId) {
        if let Some(port) = self.ports.get_mut(&port) {
            port.make_send_count = port.make_send_count.wrapping_add(1);
        }
    }

    fn release_dead(&mut self, task: TaskId, name: Name) {
        let pegged = self.pegged();
        if let Ok(Entry::Dead { refs }) = self.entry(task, name) {
            *refs -= u32::from(*refs != pegged);
            if *refs == 0 {
                self.forget_name(task, name);
            }
        }
    }

    /// Releases one reference of a kind; false if the name does not denote that kind.
    pub(super) fn release(&mut self, task: TaskId, kind: RightKind, name: Name) -> bool {
        let Ok(entry) = self.entry(task, name) else { return false };
        match (kind, entry) {
            (RightKind::Send | RightKind::SendOnce | RightKind::DeadName, Entry::Dead { .. }) => {
                self.release_dead(task, name);
            }
            (RightKind::PortSet, Entry::Set(_)) | (RightKind::SendOnce, Entry::SendOnce { .. }) => {
                self.remove_name(task, name);
            }
            (RightKind::Send, Entry::Port { sends: 1.., .. }) => {
                self.move_away(task, name, Disposition::MoveSend)
            }
            (RightKind::Receive, Entry::Port { receive: true, .. }) => {
                self.move_away(task, name, Disposition::MoveReceive);
            }
            _ => return false,
        }
        true
    }

    /// What `mach_port_deallocate` takes of this name.
    pub(super) fn deallocated_kind(&mut self, task: TaskId, name: Name) -> Result<RightKind, KernReturn> {
        Ok(match self.entry(task, name)? {
            Entry::SendOnce { .. } => RightKind::SendOnce,
            _ => RightKind::Send,
        })
    }

    fn move_away(&mut self, task: TaskId, name: Name, disposition: Disposition) {
        if let Ok(Transit::Right(right)) = self.copy_in(task, name, disposition) {
            self.discard(right);
        }
    }

    /// Adds a user reference to a send right.
    pub(super) fn add_send(&mut self, task: TaskId, name: Name) -> Result<(), KernReturn> {
        self.check_references(task, name)?;
        let most = self.most_sends();
        match self.entry(task, name)? {
            Entry::Port { sends: sends @ 1.., .. } => {
                *sends = (*sends + 1).min(most);
                Ok(())
            }
            _ => Err(KernReturn::KERN_INVALID_RIGHT),
        }
    }

    /// Whether a task can be given one more reference of a send right by a call. XNU gives none and says
    /// nothing.
    pub(super) fn check_references(&mut self, task: TaskId, name: Name) -> Result<(), KernReturn> {
        let most = self.most_sends();
        let may_peg = self.facts.system == System::Xnu;
        match self.entry(task, name)? {
            Entry::Port { sends, .. } if *sends >= most && !may_peg => Err(KernReturn::KERN_UREFS_OVERFLOW),
            _ => Ok(()),
        }
    }

    /// User references that a send right can have. What messages bring beyond is not counted.
    fn most_sends(&self) -> u32 {
        match self.facts.system {
            System::Xnu => UREFS_MAX,
            System::GnuMach | System::Osf => UREFS_MAX - 1,
        }
    }

    /// The number of user references that releases no longer change, if there is one: XNU knows of a name
    /// that has reached the most only that it may have had more.
    fn pegged(&self) -> u32 {
        if self.facts.system == System::Xnu { UREFS_MAX } else { u32::MAX }
    }

    // Notifications

    /// Registers a request and returns the one that was there before.
    pub(super) fn request(
        &mut self,
        task: TaskId,
        name: Name,
        which: Notification,
        notify: Name,
    ) -> Result<Name, KernReturn> {
        self.check_request(task, name, which)?;
        let is_xnu = self.facts.system == System::Xnu;
        if which == Notification::SendPossible && !is_xnu {
            return Err(KernReturn::KERN_INVALID_VALUE);
        }
        if which == Notification::DeadName && !self.policies.dead_names_at_once && self.is_dead(task, name) {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        let notify = match self.copy_in(task, notify, Disposition::MakeSendOnce) {
            Ok(Transit::Right(right)) => Some(right.port),
            Ok(_) => None,
            Err(_) => return Err(KernReturn::KERN_INVALID_CAPABILITY),
        };
        let previous = match which {
            Notification::DeadName | Notification::SendPossible => self.request_dead_name(task, name, notify),
            Notification::PortDestroyed => {
                let port = self.receive_right(task, name)?;
                self.ports.get_mut(&port).and_then(|port| replace(&mut port.port_destroyed_request, notify))
            }
            Notification::NoSenders { sync } => {
                let port = self.receive_right(task, name)?;
                self.request_no_senders(port, sync, notify)
            }
        };
        let previous =
            previous.map_or(Transit::Null, |port| Transit::Right(Right { kind: Kind::SendOnce, port }));
        self.copy_out(task, previous)
    }

    /// Whether such a request can be made for this name.
    fn check_request(&mut self, task: TaskId, name: Name, which: Notification) -> Result<(), KernReturn> {
        match (which, self.entry(task, name)?) {
            (Notification::DeadName | Notification::SendPossible, Entry::Set(_)) => {
                Err(KernReturn::KERN_INVALID_RIGHT)
            }
            (Notification::DeadName | Notification::SendPossible, _)
            | (_, Entry::Port { receive: true, .. }) => Ok(()),
            _ => Err(KernReturn::KERN_INVALID_RIGHT),
        }
    }

    fn request_dead_name(&mut self, task: TaskId, name: Name, notify: Option<PortId>) -> Option<PortId> {
        match self.entry(task, name).ok()? {
            Entry::Port { dead_name_request, .. } | Entry::SendOnce { dead_name_request, .. } => {
                replace(dead_name_request, notify)
            }
            Entry::Dead { refs } => {
                // It has died already: the notification comes at once, with its reference.
                if let Some(notify) = notify {
                    *refs = (*refs + 1).min(UREFS_MAX);
                    self.pending.push_back(Pending::Notice(notify, Notice::DeadName(name)));
                }
                None
            }
            Entry::Set(_) => None,
        }
    }

    fn request_no_senders(&mut self, id: PortId, sync: u32, notify: Option<PortId>) -> Option<PortId> {
        let port = self.ports.get_mut(&id)?;
        match notify {
            Some(notify) if port.send_rights == 0 && sync <= port.make_send_count => {
                let notice = Notice::NoSenders(port.make_send_count);
                let previous = port.no_senders_request.take();
                self.pending.push_back(Pending::Notice(notify, notice));
                previous
            }
            _ => replace(&mut port.no_senders_request, notify),
        }
    }

    // What is nobody's

    /// Hands a right over to [`settle`](Self::settle).
    pub(super) fn discard(&mut self, right: Right) {
        self.pending.push_back(Pending::Right(right));
    }

    /// Hands the right that a message has of a port, if it has one, over to [`settle`](Self::settle).
    pub(super) fn discard_transit(&mut self, transit: Transit) {
        if let Transit::Right(right) = transit {
            self.discard(right);
        }
    }

    /// Hands a message over to [`settle`](Self::settle).
    pub(super) fn discard_message(&mut self, message: Message) {
        self.pending.push_back(Pending::Message(message));
    }

    /// Releases all that has been discarded, and all that only this kept alive, and sends the notifications
    /// that follow. Every operation ends with this.
    pub(super) fn settle(&mut self) {
        while let Some(pending) = self.pending.pop_front() {
            match pending {
                Pending::Right(right) => self.settle_right(right),
                Pending::Message(message) => {
                    for transit in message.into_transits() {
                        self.discard_transit(transit);
                    }
                }
                Pending::Notice(notify, notice) => self.send_notice(notify, notice),
            }
        }
    }

    fn settle_right(&mut self, right: Right) {
        match right.kind {
            Kind::Receive => self.destroy_port(right.port),
            Kind::Send => self.lose_send(right.port),
            // Its holder was to send something with it: this is sent instead.
            Kind::SendOnce if self.ports.contains_key(&right.port) => {
                self.send_notice(right.port, Notice::SendOnce);
            }
            Kind::SendOnce => {}
        }
    }

    /// A send right of this port is gone.
    fn lose_send(&mut self, id: PortId) {
        let Some(port) = self.ports.get_mut(&id) else { return };
        port.send_rights -= 1;
        if port.send_rights == 0 {
            if let Some(notify) = port.no_senders_request.take() {
                let notice = Notice::NoSenders(port.make_send_count);
                self.pending.push_back(Pending::Notice(notify, notice));
            }
        }
    }

    fn send_notice(&mut self, notify: PortId, notice: Notice) {
        let message = Message::notification(self.facts, notify, notice);
        self.enqueue(message);
    }

    /// Puts a message into its port's queue, whatever the limit; one for a dead port is discarded.
    pub(super) fn enqueue(&mut self, message: Message) {
        let id = message.destination().port;
        let Some(port) = self.ports.get_mut(&id) else { return self.discard_message(message) };
        port.queue.push_back(message);
        match port.set.and_then(|set| self.sets.get_mut(&set)) {
            Some(set) => {
                set.ready.push_back(id);
                set.readable.notify_one();
            }
            None => {
                port.readable.notify_one();
            }
        }
    }

    /// The right that a message came with is used up by its delivery.
    pub(super) fn consume_destination(&mut self, right: Right) {
        match right.kind {
            Kind::SendOnce => {
                if let Some(port) = self.ports.get_mut(&right.port) {
                    port.send_once_rights -= 1;
                }
            }
            _ => self.discard(right),
        }
    }
}

/// Puts a request in the place of another.
fn replace(place: &mut Option<PortId>, request: Option<PortId>) -> Option<PortId> {
    core::mem::replace(place, request)
}

/// For tests that look at everything.
#[cfg(test)]
mod inspect {
    use super::{Name, Port, PortId, PortSet, State, TaskId};

    impl Port {
        pub(in super::super) fn requests(&self) -> impl Iterator<Item = PortId> {
            self.no_senders_request.into_iter().chain(self.port_destroyed_request)
        }

        pub(in super::super) fn holders(&self) -> impl Iterator<Item = (TaskId, Name)> {
            self.holders.iter().copied()
        }
    }

    impl PortSet {
        pub(in super::super) fn members(&self) -> impl Iterator<Item = PortId> {
            self.members.iter().copied()
        }
    }

    impl State {
        pub(in super::super) fn is_settled(&self) -> bool {
            self.pending.is_empty()
        }
    }
}
