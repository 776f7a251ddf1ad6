//! A bounded array of rights that goes to the server and comes back, which untyped messages have room for: a
//! descriptor for each right that there could be, and a count.

use mig_runtime::kernel::local::Local;
use mig_runtime::{ArrayVec, KernReturn, ReceiveRight, SendRight, Server};

macro_rules! both_ways {
    ($module:ident, $abi:literal, $marker:ident) => {
        mod $module {
            use super::*;

            mod ring {
                mig_derive::interface! {
                    abi: $abi,
                    inline: "
                        subsystem ring 4300;
                        type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
                        type moved_t = MACH_MSG_TYPE_MOVE_SEND;
                        type three_t = array[*:3] of moved_t;
                        type int = MACH_MSG_TYPE_INTEGER_32;
                        routine ring_turn(ring : mach_port_t; inout rights : three_t; less : int; out left : int);
                    ",
                }
            }
            use ring::{RingTurnReply, ring_turn};

            type K = Local<mig_runtime::abi::$marker>;
            type Port<'a> = mig_runtime::Port<'a, K>;
            type Three = ArrayVec<SendRight<K>, 3>;

            struct Ring;

            impl ring::Ring<K> for Ring {
                fn ring_turn(
                    &self,
                    _: Port<'_>,
                    mut rights: Three,
                    less: i32,
                ) -> Result<RingTurnReply<K>, KernReturn> {
                    rights.truncate(rights.len().saturating_sub(less as usize));
                    rights.reverse();
                    let left = rights.len() as i32;
                    Ok(RingTurnReply { rights, left })
                }
            }

            #[test]
            fn as_many_come_back_as_the_server_leaves() {
                let task = K::new();
                let before = task.census();
                {
                    let receive = ReceiveRight::allocate(&task).unwrap();
                    let port = receive.make_send().unwrap();
                    let server = Server::on(&receive).with(ring::ring(&Ring));
                    std::thread::scope(|scope| {
                        scope.spawn(|| server.run().unwrap());
                        let ports: Vec<_> = (0..4).map(|_| ReceiveRight::allocate(&task).unwrap()).collect();
                        for (count, less, expected) in [(0, 0, &[][..]), (3, 0, &[2, 1, 0]), (3, 1, &[1, 0])] {
                            let sent = ports[..count].iter().map(|port| port.make_send().unwrap());
                            let reply = ring_turn(&port, sent, less).unwrap();
                            let names: Vec<_> = reply.rights.iter().map(SendRight::name).collect();
                            let wanted: Vec<_> = expected.iter().map(|&index: &usize| ports[index].name()).collect();
                            assert_eq!((names, reply.left as usize), (wanted, expected.len()));
                        }
                        let four = ports.iter().map(|port| port.make_send().unwrap());
                        let refused = ring_turn(&port, four, 0).unwrap_err();
                        assert_eq!(refused.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                        drop(refused);
                        server.stop();
                    });
                }
                assert_eq!(task.census(), before);
            }
        }
    };
}

both_ways!(osf_32, "osf-32", Osf32);
both_ways!(apple_32, "apple-32", Apple32);
both_ways!(apple_64, "apple-64", Apple64);
