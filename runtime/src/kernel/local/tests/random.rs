//! Random operations, sensible or not, and after each of them the books must balance.

use std::collections::{BTreeMap, BTreeSet};
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::message::Message as Queued;
use super::super::names::Entry;
use super::super::state::{PortId, State, Transit};
use super::super::wire::Kind;
use super::wire::{BYTE, MAKE_SEND, Message, poll};
use crate::abi::{GnuI386, GnuX86_64, TaskAbi};
use crate::kern_return::KernReturn;
use crate::kernel::local::{Host, Local};
use crate::kernel::{Kernel, Name, Notification, RightKind};

/// What one of the tasks does. A name is drawn from those that it has of the right kind, or now and then from
/// any, see [`pick`].
#[derive(Clone, Debug)]
enum Action {
    AllocatePort,
    AllocateSet,
    AllocateMemory(usize),
    MakeSend(u32),
    MakeSendOnce(u32),
    CopySend(u32),
    Release(RightKind, u32),
    Move(u32, u32),
    Request(Notification, u32, u32),
    Give(RightKind, u32, usize),
    Limit(u32, usize),
    Send(Vec<Argument>, (u32, u32), (u32, u32)),
    Receive(u32),
    Terminate,
}

#[derive(Clone, Debug)]
enum Argument {
    Ports(u32, Vec<u32>),
    Memory(u32, u64, bool),
    PortArray(u32, u32, u64, bool),
}

fn name() -> impl Strategy<Value = u32> {
    prop_oneof![30 => 0..1000_u32, 1 => Just(!0)]
}

/// The dispositions, or none of them.
fn disposition() -> impl Strategy<Value = u32> {
    prop_oneof![40 => 16..22_u32, 1 => Just(15), 1 => Just(22)]
}

/// The dispositions of a header, or 15 for none.
fn sending() -> impl Strategy<Value = u32> {
    prop_oneof![20 => 17..22_u32, 1 => 15..17_u32]
}

/// A name that denotes what is wanted, if the task has one; or sometimes just a name.
fn pick<A: TaskAbi>(task: &Local<A>, choice: u32, wanted: impl Fn(&Entry) -> bool) -> Name {
    let state = task.lock();
    let names = state.tasks.get(&task.task.id).into_iter().flat_map(|task| task.names.iter());
    let fitting: Vec<Name> = names.filter(|(_, entry)| wanted(entry)).map(|(name, _)| name).collect();
    match choice {
        u32::MAX => Name::DEAD,
        choice if choice % 10 == 0 || fitting.is_empty() => Name(choice / 10 % 12),
        choice => fitting[choice as usize % fitting.len()],
    }
}

fn is_receive(entry: &Entry) -> bool {
    matches!(entry, Entry::Port { receive: true, .. })
}

fn is_send(entry: &Entry) -> bool {
    matches!(entry, Entry::Port { sends: 1.., .. } | Entry::Dead { .. })
}

fn is_send_once(entry: &Entry) -> bool {
    matches!(entry, Entry::SendOnce { .. } | Entry::Dead { .. })
}

fn is_set(entry: &Entry) -> bool {
    matches!(entry, Entry::Set(_))
}

fn is_dead(entry: &Entry) -> bool {
    matches!(entry, Entry::Dead { .. })
}

fn of_kind<A: TaskAbi>(task: &Local<A>, kind: RightKind, choice: u32) -> Name {
    let wanted = match kind {
        RightKind::Send => is_send,
        RightKind::Receive => is_receive,
        RightKind::SendOnce => is_send_once,
        RightKind::PortSet => is_set,
        RightKind::DeadName => is_dead,
    };
    pick(task, choice, wanted)
}

fn for_disposition<A: TaskAbi>(task: &Local<A>, disposition: u32, choice: u32) -> Name {
    let kind = match disposition {
        17 | 19 => RightKind::Send,
        18 => RightKind::SendOnce,
        _ => RightKind::Receive,
    };
    of_kind(task, kind, choice)
}

fn kind() -> impl Strategy<Value = RightKind> {
    use RightKind::{DeadName, PortSet, Receive, Send, SendOnce};
    prop_oneof![Just(Send), Just(Receive), Just(SendOnce), Just(PortSet), Just(DeadName)]
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        6 => (disposition(), prop::collection::vec(name(), 0..3)).prop_map(|(d, names)| Argument::Ports(d, names)),
        1 => (0..9_u32, 0..6_u64, any::<bool>()).prop_map(|(n, a, d)| Argument::Memory(n, a, d)),
        1 => (disposition(), 0..3_u32, 0..6_u64, any::<bool>()).prop_map(|(d, n, a, b)| Argument::PortArray(d, n, a, b)),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    use Notification::{DeadName, NoSenders, PortDestroyed};
    let which =
        prop_oneof![Just(DeadName), Just(PortDestroyed), (0..3_u32).prop_map(|sync| NoSenders { sync })];
    prop_oneof![
        2 => Just(Action::AllocatePort),
        1 => Just(Action::AllocateSet),
        1 => (0..20_usize).prop_map(Action::AllocateMemory),
        4 => name().prop_map(Action::MakeSend),
        3 => name().prop_map(Action::MakeSendOnce),
        1 => name().prop_map(Action::CopySend),
        4 => (kind(), name()).prop_map(|(k, n)| Action::Release(k, n)),
        2 => (name(), name()).prop_map(|(n, s)| Action::Move(n, s)),
        3 => (which, name(), name()).prop_map(|(w, n, to)| Action::Request(w, n, to)),
        4 => (kind(), name(), 0..3_usize).prop_map(|(k, n, to)| Action::Give(k, n, to)),
        1 => (name(), 0..3_usize).prop_map(|(n, limit)| Action::Limit(n, limit)),
        10 => (prop::collection::vec(argument(), 0..3), (sending(), name()), (sending(), name()))
            .prop_map(|(body, to, reply)| Action::Send(body, to, reply)),
        8 => name().prop_map(Action::Receive),
        1 => prop::bool::weighted(0.1).prop_map(|end| if end { Action::Terminate } else { Action::AllocatePort }),
    ]
}

fn act<A: TaskAbi>(tasks: &[Local<A>], task: usize, action: Action) -> Result<(), KernReturn> {
    let it = &tasks[task];
    match action {
        Action::AllocatePort => it.allocate_port().map(drop),
        Action::AllocateSet => it.allocate_port_set().map(drop),
        Action::AllocateMemory(size) => {
            let mut memory = it.allocate(size).unwrap();
            // Names, if it is taken for an array of ports.
            memory.iter_mut().step_by(4).for_each(|byte| *byte = 2);
            it.region_into_wire(memory);
            Ok(())
        }
        Action::MakeSend(name) => it.make_send(pick(it, name, is_receive)),
        Action::MakeSendOnce(name) => it.make_send_once(pick(it, name, is_receive)).map(drop),
        Action::CopySend(name) => it.copy_send(pick(it, name, is_send)),
        Action::Release(kind, name) => {
            it.release(kind, of_kind(it, kind, name));
            Ok(())
        }
        Action::Move(name, set) => it.move_member(pick(it, name, is_receive), pick(it, set, is_set)),
        Action::Request(which, name, to) => {
            let name = match which {
                Notification::DeadName => pick(it, name, |entry| !is_set(entry)),
                _ => pick(it, name, is_receive),
            };
            it.request_notification(name, which, pick(it, to, is_receive)).map(drop)
        }
        Action::Give(kind, name, to) => it.give(kind, of_kind(it, kind, name), &tasks[to]).map(drop),
        Action::Limit(name, limit) => it.set_queue_limit(pick(it, name, is_receive), limit),
        Action::Send(body, to, reply) => {
            let mut message = Message::<A>::to(to.0, for_disposition(it, to.0, to.1));
            // 15 stands for no reply port.
            if reply.0 > 15 {
                message = message.reply(reply.0, for_disposition(it, reply.0, reply.1));
            }
            for argument in body {
                message = match argument {
                    Argument::Ports(disposition, names) => {
                        let names: Vec<Name> =
                            names.into_iter().map(|name| for_disposition(it, disposition, name)).collect();
                        message.ports(disposition, &names)
                    }
                    Argument::Memory(size, address, deallocate) => {
                        message.out_of_line(BYTE, 8, size, address, deallocate)
                    }
                    Argument::PortArray(disposition, number, address, deallocate) => {
                        message.out_of_line(disposition, 32, number, address, deallocate)
                    }
                };
            }
            message.try_send(it)
        }
        Action::Receive(name) => {
            poll(it, pick(it, name, |entry| is_receive(entry) || is_set(entry))).map(drop)
        }
        Action::Terminate => {
            it.terminate();
            Ok(())
        }
    }
}

/// Rights found by looking everywhere.
#[derive(Default)]
struct Found {
    receive: usize,
    send: usize,
    send_once: usize,
    holders: BTreeSet<(usize, Name)>,
}

fn note(found: &mut BTreeMap<PortId, Found>, transit: Transit) {
    if let Transit::Right(right) = transit {
        let found = found.entry(right.port).or_default();
        match right.kind {
            Kind::Receive => found.receive += 1,
            Kind::Send => found.send += 1,
            Kind::SendOnce => found.send_once += 1,
        }
    }
}

fn check(state: &State) {
    let mut found = BTreeMap::<PortId, Found>::new();
    for (index, task) in state.tasks.values().enumerate() {
        let mut ports = BTreeSet::new();
        for (name, entry) in task.names.iter() {
            let request = match entry {
                Entry::Port { port, receive, sends, dead_name_request } => {
                    assert!(ports.insert(*port), "a port has two names");
                    assert!(*receive || *sends > 0, "a name without a right");
                    assert!(state.ports.contains_key(port), "a dead port under a living name");
                    let found = found.entry(*port).or_default();
                    found.receive += usize::from(*receive);
                    found.send += usize::from(*sends > 0);
                    found.holders.insert((index, name));
                    dead_name_request
                }
                Entry::SendOnce { port, dead_name_request } => {
                    assert!(state.ports.contains_key(port), "a dead port under a living name");
                    let found = found.entry(*port).or_default();
                    found.send_once += 1;
                    found.holders.insert((index, name));
                    dead_name_request
                }
                Entry::Dead { refs } => {
                    assert!(*refs > 0);
                    &None
                }
                Entry::Set(set) => {
                    assert_eq!(state.sets[set].name, name);
                    &None
                }
            };
            if let Some(notify) = request {
                found.entry(*notify).or_default().send_once += 1;
            }
        }
    }
    for port in state.ports.values() {
        port.queue.iter().flat_map(Queued::transits).for_each(|transit| note(&mut found, transit));
        for notify in port.requests() {
            found.entry(notify).or_default().send_once += 1;
        }
    }
    let indices: BTreeMap<_, _> = state.tasks.keys().enumerate().map(|(index, id)| (*id, index)).collect();
    for (id, port) in &state.ports {
        let found = found.remove(id).unwrap_or_default();
        assert_eq!(found.receive, 1, "receive rights");
        assert_eq!(port.send_rights, found.send, "send rights");
        assert_eq!(port.send_once_rights, found.send_once, "send-once rights");
        let holders: BTreeSet<_> = port.holders().map(|(task, name)| (indices[&task], name)).collect();
        assert_eq!(holders, found.holders);
        if let Some((task, name)) = port.receiver {
            assert!(
                matches!(state.tasks[&task].names.get(name), Some(Entry::Port { port, receive: true, .. }) if port == id)
            );
        }
        if let Some(set) = port.set {
            let set = &state.sets[&set];
            assert!(set.members().any(|member| member == *id));
            assert_eq!(set.ready.iter().filter(|ready| *ready == id).count(), port.queue.len());
        }
    }
    for set in state.sets.values() {
        assert!(set.members().all(|member| state.ports[&member].set.is_some()));
        assert!(set.ready.iter().all(|ready| set.members().any(|member| member == *ready)));
    }
    assert!(state.is_settled());
}

fn balance<A: TaskAbi>(actions: Vec<(usize, Action)>) {
    let host = Host::<A>::new();
    let tasks: Vec<_> = (0..3).map(|_| host.new_task("random")).collect();
    // Something to begin with: the names 1 and 2 of each task are a port with a send right and a stranger's
    // port.
    for (i, task) in tasks.iter().enumerate() {
        let port = task.allocate_port().unwrap();
        task.make_send(port).unwrap();
        task.make_send(port).unwrap();
        task.give(RightKind::Send, port, &tasks[(i + 1) % 3]).unwrap();
    }
    check(&host.state.lock());
    for (task, action) in actions {
        // Whether it succeeds is the business of other tests.
        let _ = act(&tasks, task, action);
        check(&host.state.lock());
    }
    drop(tasks);
    let state = host.state.lock();
    check(&state);
    assert!(
        state.ports.values().all(|port| port.receiver.is_none()),
        "what is left is in a circle of messages"
    );
}

proptest! {
    #[test]
    fn books_balance_on_gnu_i386(actions in prop::collection::vec((0..3_usize, action()), 1..80)) {
        balance::<GnuI386>(actions);
    }

    #[test]
    fn books_balance_on_gnu_x86_64(actions in prop::collection::vec((0..3_usize, action()), 1..80)) {
        balance::<GnuX86_64>(actions);
    }

    #[test]
    fn a_kernel_takes_any_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
        fn send<A: TaskAbi>(body: &[u8]) {
            let host = Host::<A>::new();
            let a = host.new_task("a");
            let port = a.allocate_port().unwrap();
            let _ = Message::<A>::to(MAKE_SEND, port).complex().raw(body).try_send(&a);
            drop(poll(&a, port));
            check(&host.state.lock());
        }
        send::<GnuI386>(&body);
        send::<GnuX86_64>(&body);
    }
}
