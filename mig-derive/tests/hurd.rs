//! What the servers of the Hurd need: data that is inline while it is short, arrays of rights of which the
//! sender chooses the kind, strings of a kilobyte, structures of C headers, and answers that go through an
//! interface of their own.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use mig_runtime::kernel::local::Local;
use mig_runtime::{AnyRight, KernReturn, PortArray, ReceiveRight, Rights, SendOnceRight, SendRight, Server};

macro_rules! hurd {
    ($module:ident, $abi:literal, $marker:ident) => {
        mod $module {
            use super::*;

            mod store {
                mig_derive::interface! { path: "tests/hurd/store.defs", include: ["tests/hurd"], abi: $abi }
            }
            mod store_reply {
                mig_derive::interface! { path: "tests/hurd/store_reply.defs", include: ["tests/hurd"], abi: $abi }
            }
            use store::*;

            type K = Local<mig_runtime::abi::$marker>;
            type Port<'a> = mig_runtime::Port<'a, K>;
            type Result<T> = std::result::Result<T, KernReturn>;

            #[derive(Default)]
            struct Files {
                held: Mutex<Vec<SendRight<K>>>,
            }

            impl Store<K> for Files {
                fn store_exec(
                    &self,
                    _: Port<'_>,
                    file: SendRight<K>,
                    flags: i32,
                    argv: mig_runtime::Elements<'_, u8, K>,
                    table: Rights<K, SendRight<K>>,
                    ints: mig_runtime::Elements<'_, i32, K>,
                ) -> Result<i32> {
                    drop(file);
                    let mut held = self.held.lock().unwrap();
                    held.extend(table);
                    Ok(flags + argv.len() as i32 + ints.iter().sum::<i32>() + held.len() as i32)
                }
                fn store_ports(&self, _: Port<'_>) -> Result<StorePortsReply<K>> {
                    let table = std::mem::take(&mut *self.held.lock().unwrap());
                    let ids = (0..table.len() as u32).collect();
                    Ok(StorePortsReply { table: table.into(), ids })
                }
                fn store_lookup(&self, _: Port<'_>, name: &std::ffi::CStr) -> Result<StoreLookupReply<K>> {
                    let held = self.held.lock().unwrap();
                    let port = held.first().ok_or(KernReturn(2))?.try_clone()?;
                    Ok(StoreLookupReply { retry: 1, retry_name: name.into(), port })
                }
                fn store_stat(&self, _: Port<'_>) -> Result<IoStatbuf> {
                    Ok(std::array::from_fn(|i| i as i32))
                }
                fn store_read(&self, port: Port<'_>, amount: i32) -> Result<Vec<u8>> {
                    if amount < 0 {
                        return Err(KernReturn(22));
                    }
                    // As the Hurd does it: by the client side of the reply interface.
                    let reply = port.defer().into_right().ok_or(KernReturn::KERN_FAILURE)?;
                    let data = vec![7; amount as usize];
                    store_reply::store_read_reply(port.kernel(), reply, KernReturn::KERN_SUCCESS, &data)?;
                    Err(KernReturn::MIG_NO_REPLY)
                }
                fn store_select(&self, port: Port<'_>, kind: i32) -> Result<()> {
                    match port.defer().into_right() {
                        Some(AnyRight::MoveSendOnce(reply)) => {
                            let code = KernReturn(kind);
                            store_reply::store_select_reply(port.kernel(), reply, code, kind * 2)?;
                        }
                        other => assert!(other.is_none(), "a reply right is a send-once right"),
                    }
                    Ok(())
                }
            }

            fn with_server(test: impl FnOnce(&K, &SendRight<K>)) {
                let task = K::new();
                let receive = ReceiveRight::allocate(&task).unwrap();
                let port = receive.make_send().unwrap();
                let files = Files::default();
                let server = Server::on(&receive).with(store(&files));
                std::thread::scope(|scope| {
                    scope.spawn(|| server.run().unwrap());
                    // From the first call on a thread has a reply port.
                    store_stat(&port).unwrap();
                    let before = task.census();
                    let tested = catch_unwind(AssertUnwindSafe(|| {
                        test(&task, &port);
                        // What was sent before has been served then.
                        store_stat(&port).unwrap();
                        assert_eq!(task.census(), before, "rights and memory before and after");
                    }));
                    server.stop();
                    tested.unwrap_or_else(|panic| resume_unwind(panic));
                });
            }

            #[test]
            fn rights_that_are_copied_made_or_moved() {
                with_server(|task, p| {
                    let ports: Vec<_> = (0..700).map(|_| ReceiveRight::allocate(task).unwrap()).collect();
                    let sends: Vec<_> = ports.iter().map(|port| port.make_send().unwrap()).collect();
                    let names: Vec<_> = ports.iter().map(ReceiveRight::name).collect();
                    let argv = vec![0; 3000];
                    let exec = |table, argv: &[u8]| store_exec(p, &ports[0], 1, argv, table, &[10, 20]).unwrap();
                    assert_eq!(exec(PortArray::copy_send(&sends[..2]), &argv), 1 + 3000 + 30 + 2);
                    assert_eq!(exec(PortArray::make_send(&ports[2..3]), b"ls"), 1 + 2 + 30 + 3);
                    let moved = sends[3..].iter().map(|right| right.try_clone().unwrap());
                    assert_eq!(exec(PortArray::moving(moved), b""), 1 + 30 + 700);
                    let reply = store_ports(p).unwrap();
                    assert_eq!(reply.table.map(|right| right.name()).collect::<Vec<_>>(), names);
                    assert_eq!(reply.ids.len(), 700);
                });
            }

            #[test]
            fn strings_and_structures() {
                with_server(|_, p| {
                    assert_eq!(store_lookup(p, c"a/b").unwrap_err().code(), KernReturn(2));
                    assert_eq!(store_stat(p).unwrap()[31], 31);
                    let long = std::ffi::CString::new(vec![b'x'; 1024]).unwrap();
                    let too_long = store_lookup(p, &long).unwrap_err();
                    assert_eq!(too_long.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                });
            }

            #[test]
            fn answers_through_an_interface_of_their_own() {
                with_server(|_, p| {
                    assert_eq!(store_read(p, 5).unwrap(), [7; 5]);
                    assert_eq!(store_read(p, 5000).unwrap(), [7; 5000]);
                    assert_eq!(store_read(p, -1).unwrap_err().code(), KernReturn(22));
                });
            }

            /// A request that waits for no reply names a port for one; its server answers by a request, too.
            #[test]
            fn requests_with_a_port_for_the_answer() {
                struct Answers(Mutex<Vec<(KernReturn, i32)>>);
                impl store_reply::StoreReply<K> for Answers {
                    fn store_select_reply(&self, _: Port<'_>, code: KernReturn, kind: i32) -> Result<()> {
                        self.0.lock().unwrap().push((code, kind));
                        Ok(())
                    }
                }
                with_server(|task, p| {
                    let answers = Answers(Mutex::default());
                    let receive = ReceiveRight::allocate(task).unwrap();
                    store_select(p, receive.make_send_once().unwrap(), 4).unwrap();
                    store_select(p, SendOnceRight::null(task.clone()), 5).unwrap();
                    let server = Server::on(&receive).with(store_reply::store_reply(&answers));
                    std::thread::scope(|scope| {
                        scope.spawn(|| server.run().unwrap());
                        while answers.0.lock().unwrap().is_empty() {
                            std::thread::yield_now();
                        }
                        server.stop();
                    });
                    assert_eq!(*answers.0.lock().unwrap(), [(KernReturn(4), 8)]);
                });
            }
        }
    };
}

hurd!(gnu_i386, "gnu-i386", GnuI386);
hurd!(gnu_x86_64, "gnu-x86_64", GnuX86_64);
