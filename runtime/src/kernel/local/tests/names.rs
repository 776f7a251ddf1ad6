//! Name tables and user references.

use super::{end, on_both_abis, pair};
use crate::abi::TaskAbi;
use crate::kern_return::KernReturn;
use crate::kernel::local::{Census, Host, Local};
use crate::kernel::{Kernel, Name, RightKind};

fn receive_and_send_rights_of_a_port_have_one_name<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    a.copy_send(port).unwrap();
    let there = a.give(RightKind::Send, port, &b).unwrap();
    assert_eq!(a.census(), Census { receive: 1, send: 1, send_references: 1, ..Census::default() });

    // The receive right joins the send right at the other side, and the send right that comes back finds no
    // name.
    assert_eq!(a.give(RightKind::Receive, port, &b), Ok(there));
    assert_eq!(b.census(), Census { receive: 1, send: 1, send_references: 1, ..Census::default() });
    assert_eq!(a.give(RightKind::Send, port, &b), Ok(there));
    assert_eq!(a.census(), Census::default());
    assert_eq!(b.census(), Census { receive: 1, send: 1, send_references: 2, ..Census::default() });
    end(a, b);
}

fn each_send_once_right_has_a_name_of_its_own<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = a.allocate_port().unwrap();
    let first = a.make_send_once(port).unwrap();
    let second = a.make_send_once(port).unwrap();
    assert!(first != second && first != port && second != port);
    assert_eq!(a.receive_status(port).unwrap().send_once_rights, 2);
    end(a, b);
}

fn names_are_small_and_used_again<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let names: [Name; 3] = std::array::from_fn(|_| a.allocate_port().unwrap());
    assert_eq!(names, [Name(1), Name(2), Name(3)]);
    a.release(RightKind::Receive, names[1]);
    assert_eq!(a.allocate_port_set(), Ok(names[1]));
    assert_eq!(b.allocate_port(), Ok(Name(1)), "each task has names of its own");
    end(a, b);
}

fn a_release_of_the_wrong_kind_does_nothing_but_is_counted<A: TaskAbi>() {
    let a = Local::<A>::new();
    let port = a.allocate_port().unwrap();
    for (kind, name) in [
        (RightKind::Send, port),
        (RightKind::SendOnce, port),
        (RightKind::PortSet, port),
        (RightKind::Receive, Name(99)),
    ] {
        a.release(kind, name);
    }
    assert_eq!(a.census(), Census { receive: 1, bad_releases: 4, ..Census::default() });
    a.release(RightKind::Send, Name::NULL);
    a.release(RightKind::SendOnce, Name::DEAD);
    assert_eq!(a.census().bad_releases, 4, "null and dead may be released");
}

fn references_are_made_only_from_what_is_there<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = a.allocate_port().unwrap();
    let set = a.allocate_port_set().unwrap();
    assert_eq!(a.copy_send(port), Err(KernReturn::KERN_INVALID_RIGHT));
    assert_eq!(a.copy_send(Name(99)), Err(KernReturn::KERN_INVALID_NAME));
    assert_eq!(a.copy_send(Name::NULL), Err(KernReturn::KERN_INVALID_NAME));
    assert_eq!(a.make_send(set), Err(KernReturn::KERN_INVALID_RIGHT));
    a.make_send(port).unwrap();
    let send = a.give(RightKind::Send, port, &b).unwrap();
    assert_eq!(b.make_send(send), Err(KernReturn::KERN_INVALID_RIGHT));
    assert_eq!(b.make_send_once(send), Err(KernReturn::KERN_INVALID_RIGHT));
    assert_eq!(b.make_send_once(Name::NULL), Err(KernReturn::KERN_INVALID_NAME));
    assert_eq!(b.give(RightKind::Send, Name(77), &a), Err(KernReturn::KERN_INVALID_NAME));
    end(a, b);
}

fn a_send_right_outlives_its_port_as_a_dead_name<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    let once = a.make_send_once(port).unwrap();
    let once = a.give(RightKind::SendOnce, once, &b).unwrap();
    a.copy_send(port).unwrap();
    a.copy_send(port).unwrap();
    let send = a.give(RightKind::Send, port, &b).unwrap();
    a.release(RightKind::Receive, port);

    assert_eq!(a.census(), Census { dead_names: 1, dead_references: 2, ..Census::default() });
    assert_eq!(b.census(), Census { dead_names: 2, dead_references: 2, ..Census::default() });
    assert_eq!(b.copy_send(send), Err(KernReturn::KERN_INVALID_RIGHT));
    assert_eq!(b.give(RightKind::Send, send, &a), Ok(Name::DEAD), "what is dead has no name elsewhere");
    b.release(RightKind::SendOnce, once);
    a.release(RightKind::Send, port);
    a.release(RightKind::Send, port);
    assert_eq!(a.census(), Census::default());
    assert_eq!(b.census(), Census::default());
    end(a, b);
}

fn the_end_of_a_task_releases_everything<A: TaskAbi>() {
    let (a, b) = pair::<A>();
    let port = a.allocate_port().unwrap();
    a.make_send(port).unwrap();
    let send = a.give(RightKind::Send, port, &b).unwrap();
    let set = a.allocate_port_set().unwrap();
    a.move_member(port, set).unwrap();
    let mut region = a.allocate(10).unwrap();
    a.terminate();

    assert_eq!(b.census(), Census { dead_names: 1, dead_references: 1, ..Census::default() });
    assert_eq!(a.census(), Census::default());
    assert_eq!(a.allocate_port(), Err(KernReturn::KERN_INVALID_TASK));
    assert_eq!(b.give(RightKind::Send, send, &a), Err(KernReturn::KERN_INVALID_TASK));
    // What the program still holds does no harm.
    region[9] = 1;
    a.release(RightKind::Receive, port);
    assert_eq!(a.region_into_wire(region), 0);
    b.release(RightKind::Send, send);
    end(a, b);
}

fn rights_move_within_a_host_only<A: TaskAbi>() {
    let a = Local::<A>::new();
    let port = a.allocate_port().unwrap();
    assert_eq!(a.give(RightKind::Receive, port, &Local::new()), Err(KernReturn::KERN_INVALID_TASK));
    assert_eq!(a.census().receive, 1);
}

fn a_thread_has_one_reply_port_in_each_task<A: TaskAbi>() {
    let host = Host::<A>::new();
    let (a, b) = (host.new_task("a"), host.new_task("b"));
    let mine = a.reply_port().unwrap();
    assert_eq!(a.reply_port(), Ok(mine));
    b.reply_port().unwrap();
    let other = std::thread::scope(|scope| scope.spawn(|| a.reply_port().unwrap()).join().unwrap());
    assert_ne!(other, mine);
    assert_eq!(a.census(), Census::default(), "they are not counted");
    assert_eq!(host.port_count(), 2, "the other thread's has gone with it");
    a.destroy_reply_port(mine);
    a.destroy_reply_port(mine);
    assert_eq!(host.port_count(), 1);
    assert!(a.reply_port().is_ok());
    end(a, b);
}

on_both_abis! {
    receive_and_send_rights_of_a_port_have_one_name
    each_send_once_right_has_a_name_of_its_own
    names_are_small_and_used_again
    a_release_of_the_wrong_kind_does_nothing_but_is_counted
    references_are_made_only_from_what_is_there
    a_send_right_outlives_its_port_as_a_dead_name
    the_end_of_a_task_releases_everything
    rights_move_within_a_host_only
    a_thread_has_one_reply_port_in_each_task
}
