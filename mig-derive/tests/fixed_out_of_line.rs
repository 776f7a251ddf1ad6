//! Data of fixed size out of line on the typed ABIs: the type word says how much comes, and a C stub's, which
//! always says none, is an empty array.

use std::sync::Mutex;

use mig_runtime::kernel::local::Local;
use mig_runtime::{KernReturn, OolMemory, ReceiveRight, Rights, SendRight, Server};

macro_rules! both_ways {
    ($module:ident, $abi:literal, $marker:ident) => {
        mod $module {
            use super::*;

            mod far {
                mig_derive::interface! {
                    inline: "
                        subsystem far 4100;
                        type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
                        type number = MACH_MSG_TYPE_INTEGER_32;
                        type row_t = ^array[64] of number;
                        type one_t = ^number;
                        type name_t = ^c_string[16];
                        type ports_t = ^array[2] of mach_port_t;
                        routine far_turn(far : mach_port_t; row : row_t; one : one_t; out back : row_t);
                        routine far_name(far : mach_port_t; name : name_t, dealloc; out back : name_t);
                        routine far_ports(far : mach_port_t; ports : ports_t; out back : ports_t);
                    ",
                    abi: $abi,
                }
            }
            use far::{far_name, far_ports, far_turn};

            type K = Local<mig_runtime::abi::$marker>;
            type Port<'a> = mig_runtime::Port<'a, K>;
            type Numbers<'a> = mig_runtime::Elements<'a, i32, K>;
            type Sends = Rights<K, SendRight<K>>;

            #[derive(Default)]
            struct Far(Mutex<Vec<usize>>);

            impl far::Far<K> for Far {
                fn far_turn(
                    &self,
                    _: Port<'_>,
                    row: Numbers<'_>,
                    one: Numbers<'_>,
                ) -> Result<Vec<i32>, KernReturn> {
                    self.0.lock().unwrap().extend([row.len(), one.len()]);
                    Ok(row.iter().rev().map(|number| number + one.first().unwrap_or(&0)).collect())
                }
                fn far_name(&self, _: Port<'_>, name: OolMemory<K>) -> Result<OolMemory<K>, KernReturn> {
                    Ok(name)
                }
                fn far_ports(&self, _: Port<'_>, ports: Sends) -> Result<Sends, KernReturn> {
                    Ok(ports)
                }
            }

            #[test]
            fn what_is_sent_arrives() {
                let task = K::new();
                let before = task.census();
                let far = Far::default();
                {
                    let receive = ReceiveRight::allocate(&task).unwrap();
                    let port = receive.make_send().unwrap();
                    let server = Server::on(&receive).with(far::far(&far));
                    std::thread::scope(|scope| {
                        scope.spawn(|| server.run().unwrap());
                        let row: Vec<i32> = (0..64).collect();
                        let back: Vec<i32> = (0..64).rev().map(|number| number + 7).collect();
                        assert_eq!(far_turn(&port, &row, &[7]).unwrap(), back);
                        assert_eq!(far_turn(&port, &[], &[]).unwrap(), []);

                        let mut name = OolMemory::allocate(&task, 6).unwrap();
                        name.copy_from_slice(b"a row\0");
                        assert_eq!(&far_name(&port, name).unwrap()[..], b"a row\0");

                        let ports = [receive.make_send().unwrap(), receive.make_send().unwrap()];
                        assert_eq!(far_ports(&port, &ports).unwrap().count(), 2);
                        server.stop();
                    });
                }
                assert_eq!(*far.0.lock().unwrap(), [64, 1, 0, 0]);
                assert_eq!(task.census(), before);
            }
        }
    };
}

both_ways!(gnu_i386, "gnu-i386-2021", GnuI386);
both_ways!(gnu_x86_64, "gnu-x86_64", GnuX86_64);
both_ways!(gnu_x86_64_2022, "gnu-x86_64-2022", GnuX86_64Of2022);
