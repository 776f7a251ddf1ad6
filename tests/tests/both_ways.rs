//! `memory_object_default` is made twice: as text that `mach-defs` keeps, and by the macro here. Each is the
//! other's peer.

use std::sync::Mutex;

use mach_defs::gnu_x86_64 as text;
use mig_runtime::abi::GnuX86_64;
use mig_runtime::kernel::local::{self, Host};
use mig_runtime::platform::Std;
use mig_runtime::{KernReturn, Port, ReceiveRight, SendRight, Seqno, Server};

type Local = local::Local<GnuX86_64>;

mod by_macro {
    pub(crate) mod plain {
        mig_derive::interface! {
            path: "../defs/gnu/mach/memory_object_default.defs",
            include: ["../defs/gnu"],
            abi: "gnu-x86_64",
        }
    }
    pub(crate) mod seqnos {
        mig_derive::interface! {
            path: "../defs/gnu/mach/memory_object_default.defs",
            include: ["../defs/gnu"],
            abi: "gnu-x86_64",
            define: { SEQNOS: 1 },
        }
    }
}

/// Notes the sizes of the objects that are made.
#[derive(Default)]
struct Sizes(Mutex<Vec<u64>>);

impl Sizes {
    fn create(&self, object: ReceiveRight<Local>, size: u64) -> Result<(), KernReturn> {
        assert!(object.make_send().is_ok(), "the receive right has arrived");
        self.0.lock().unwrap().push(size);
        Ok(())
    }
}

macro_rules! server {
    ($($module:ident)::+, $trait:ident $(, $seqno:ident)?) => {
        impl $($module)::+::$trait<Local> for Sizes {
            fn memory_object_create(
                &self,
                _manager: Port<'_, Local>,
                $($seqno: Seqno,)?
                object: ReceiveRight<Local>,
                size: u64,
                _control: SendRight<Local>,
                _name: SendRight<Local>,
                _page_size: u64,
            ) -> Result<(), KernReturn> {
                $(assert!($seqno.0 < 2);)?
                self.create(object, size)
            }
        }
    };
}

server!(by_macro::plain, MemoryObjectDefault);
server!(by_macro::seqnos, SeqnosMemoryObjectDefault, seqno);
server!(text::memory_object_default, MemoryObjectDefault);
server!(text::seqnos_memory_object_default, SeqnosMemoryObjectDefault, seqno);

/// Makes an object by the client of each, and serves both requests with a demux function.
macro_rules! exchange {
    ($demux:path) => {{
        let host = Host::new();
        let (kernel, pager) = (host.new_task("kernel"), host.new_task("pager"));
        let before = [kernel.census(), pager.census()];
        let sizes = Sizes::default();
        {
            let port = ReceiveRight::allocate(&pager).unwrap();
            let manager = Local::transfer(port.make_send().unwrap(), &kernel).unwrap();
            let rights = || ReceiveRight::allocate(&kernel).unwrap();
            let (control, name) = (rights(), rights());
            let manager_too = manager.try_clone().unwrap();
            text::memory_object_default::memory_object_create(
                manager_too,
                rights(),
                1,
                &control,
                &name,
                4096,
            )
            .unwrap();
            by_macro::plain::memory_object_create(manager, rights(), 2, &control, &name, 4096).unwrap();
            let server = Server::on(&port).with($demux(&sizes));
            assert!(server.serve_one::<Std>(None).unwrap());
            assert!(server.serve_one::<Std>(None).unwrap());
        }
        assert_eq!(*sizes.0.lock().unwrap(), [1, 2]);
        assert_eq!([kernel.census(), pager.census()], before);
    }};
}

#[test]
fn the_server_of_the_macro_takes_the_messages_of_both() {
    exchange!(by_macro::plain::memory_object_default);
    exchange!(by_macro::seqnos::seqnos_memory_object_default);
}

#[test]
fn the_server_that_is_kept_as_text_takes_the_messages_of_both() {
    exchange!(text::memory_object_default::memory_object_default);
    exchange!(text::seqnos_memory_object_default::seqnos_memory_object_default);
}
