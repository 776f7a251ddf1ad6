//! `intran`, `outtran` and destructors, with Rust types of the user's: values made by the server's own
//! methods, dropped exactly once.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use mig_runtime::abi::GnuX86_64;
use mig_runtime::kernel::local::Local;
use mig_runtime::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};
use mig_runtime::{KernReturn, Name, Port, ReceiveRight, SendRight, Server};

mod fs {
    mig_derive::interface! {
        abi: "gnu-x86_64",
        extern_type: {
            node_t: std::sync::Arc<crate::Node>,
            instant_t: crate::Instant,
            statbuf_t: crate::Stat,
            when_t: crate::When,
            stat_owner_t: crate::Stat,
        },
        inline: "
            subsystem fs 5000;
            type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
            type file_t = mach_port_t
                intran: node_t begin_node(file_t)
                intranpayload: node_t begin_node_payload
                outtran: file_t port_of(node_t)
                destructor: end_node(node_t);
            type when_t = int64;
            type time_t = when_t
                intran: instant_t to_instant(time_t)
                outtran: time_t from_instant(instant_t);
            type statbuf_t = struct[3] of int;
            type owner_t = struct[3] of int ctype: stat_owner_t;
            type stats_t = array[*:2] of statbuf_t;
            routine fs_link(dir : file_t; file : file_t; out links : int);
            routine fs_touch(dir : file_t; inout time : time_t; out file : file_t);
            routine fs_open(dir : file_t; out file : file_t);
            routine fs_stat(dir : file_t; in old : stats_t; out new : statbuf_t);
            routine fs_owner(dir : file_t; out owner : owner_t);
            simpleroutine fs_forget(dir : file_t);
        ",
    }
}
use fs::{FsTouchResults, fs_forget, fs_link, fs_open, fs_owner, fs_stat, fs_touch};

type K = Local<GnuX86_64>;

/// What a port stands for.
#[derive(Debug)]
pub struct Node {
    number: i32,
    port: Mutex<Option<SendRight<K>>>,
}

/// A time that the wire knows as a number.
#[derive(Debug, PartialEq)]
pub struct Instant(i64);

/// Plain data: what C calls `struct stat`.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[zerocopy(crate = "mig_runtime::zerocopy")]
#[repr(C)]
pub struct Stat {
    mode: u32,
    links: u32,
    owner: u32,
}

/// A name for a number.
pub type When = i64;

#[derive(Default)]
struct Files {
    nodes: Mutex<HashMap<Name, Arc<Node>>>,
}

impl fs::Fs<K> for Files {
    fn begin_node(&self, port: Name) -> Result<Arc<Node>, KernReturn> {
        self.nodes.lock().unwrap().get(&port).cloned().ok_or(KernReturn::KERN_INVALID_ARGUMENT)
    }
    fn begin_node_payload(&self, _: usize) -> Result<Arc<Node>, KernReturn> {
        unreachable!("this kernel has no payloads")
    }
    fn port_of(&self, node: Arc<Node>) -> Result<SendRight<K>, KernReturn> {
        node.port.lock().unwrap().as_ref().ok_or(KernReturn(7))?.try_clone()
    }
    fn to_instant(&self, time: When) -> Result<Instant, KernReturn> {
        if time < 0 { Err(KernReturn(8)) } else { Ok(Instant(time)) }
    }
    fn from_instant(&self, instant: Instant) -> Result<When, KernReturn> {
        Ok(instant.0)
    }
    fn fs_link(&self, dir: Arc<Node>, _: Port<'_, K>, file: Arc<Node>) -> Result<i32, KernReturn> {
        // The table holds one reference, this call the other one.
        assert_eq!((Arc::strong_count(&dir), Arc::strong_count(&file)), (2, 2));
        Ok(dir.number * 10 + file.number)
    }
    fn fs_touch(&self, dir: Arc<Node>, _: Port<'_, K>, time: Instant) -> Result<FsTouchResults, KernReturn> {
        Ok(FsTouchResults { time: Instant(time.0 + 1), file: dir })
    }
    fn fs_open(&self, dir: Arc<Node>, dir_port: Port<'_, K>) -> Result<Arc<Node>, KernReturn> {
        let node = self.begin_node(dir_port.name())?;
        assert!(Arc::ptr_eq(&dir, &node));
        Ok(node)
    }
    fn fs_stat(&self, _: Arc<Node>, _: Port<'_, K>, old: &[Stat]) -> Result<Stat, KernReturn> {
        Ok(Stat { links: old.len() as u32, ..old[0] })
    }
    fn fs_owner(&self, dir: Arc<Node>, _: Port<'_, K>) -> Result<Stat, KernReturn> {
        Ok(Stat { mode: 0, links: 1, owner: dir.number as u32 })
    }
    fn fs_forget(&self, dir: Arc<Node>, _: Port<'_, K>) -> Result<(), KernReturn> {
        *dir.port.lock().unwrap() = None;
        Ok(())
    }
}

/// Two nodes, a port that is none, and a server; afterwards the task must hold what it held before, and each
/// node one reference.
fn with_server(test: impl FnOnce(&SendRight<K>, &SendRight<K>, &SendRight<K>)) {
    let task = K::new();
    let receive = [(); 3].map(|()| ReceiveRight::allocate(&task).unwrap());
    let ports = receive.each_ref().map(|receive| receive.make_send().unwrap());
    let set = mig_runtime::PortSet::allocate(&task).unwrap();
    receive.iter().for_each(|receive| set.insert(receive).unwrap());
    let files = Files::default();
    for (number, port) in (1..).zip(&ports[..2]) {
        let node = Node { number, port: Mutex::new(Some(port.try_clone().unwrap())) };
        files.nodes.lock().unwrap().insert(port.name(), Arc::new(node));
    }
    let server = Server::on(&set).with(fs::fs(&files));
    std::thread::scope(|scope| {
        scope.spawn(|| server.run().unwrap());
        let result = catch_unwind(AssertUnwindSafe(|| {
            // From the first call on a thread has a reply port.
            fs_link(&ports[0], &ports[1]).unwrap();
            let before = task.census();
            test(&ports[0], &ports[1], &ports[2]);
            assert_eq!(task.census(), before, "rights before and after");
        }));
        server.stop();
        result.unwrap_or_else(|panic| resume_unwind(panic));
    });
    for node in files.nodes.lock().unwrap().values() {
        assert_eq!(Arc::strong_count(node), 1, "each value of a translation was dropped");
    }
}

#[test]
fn ports_stand_for_objects() {
    with_server(|a, b, unknown| {
        assert_eq!((fs_link(a, b).unwrap(), fs_link(b, a).unwrap()), (12, 21));
        // An error of a translation is the routine's, whichever argument it is.
        assert_eq!(fs_link(a, unknown).unwrap_err().code(), KernReturn::KERN_INVALID_ARGUMENT);
        assert_eq!(fs_link(unknown, a).unwrap_err().code(), KernReturn::KERN_INVALID_ARGUMENT);
    });
}

#[test]
fn results_are_translated_too() {
    with_server(|a, b, _| {
        assert_eq!(fs_open(a).unwrap().name(), a.name());
        let reply = fs_touch(b, 41).unwrap();
        assert_eq!((reply.time, reply.file.name()), (42, b.name()));
        assert_eq!(fs_touch(b, -1).unwrap_err().code(), KernReturn(8));
    });
}

#[test]
fn a_result_that_cannot_be_translated_is_an_error() {
    with_server(|_, b, _| {
        // The node gives its right up; this one takes its place in the census.
        let another = b.try_clone().unwrap();
        fs_forget(b).unwrap();
        assert_eq!(fs_touch(b, 1).unwrap_err().code(), KernReturn(7));
        another.into_raw();
    });
}

#[test]
fn data_of_ones_own_type() {
    with_server(|a, _, _| {
        let stat = |links| Stat { mode: 0o644, links, owner: 5 };
        assert_eq!(fs_stat(a, &[stat(9), stat(8)]).unwrap(), stat(2));
        // This one is known by its C type.
        assert_eq!(fs_owner(a).unwrap().owner, 1);
    });
}
