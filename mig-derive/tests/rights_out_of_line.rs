//! Rights out of line whose number is declared (`^array[3] of mach_port_t`): untyped messages say it in the
//! descriptor, and count nothing.

use mig_runtime::kernel::local::Local;
use mig_runtime::{KernReturn, ReceiveRight, Rights, SendRight, Server};

macro_rules! rights_out_of_line {
    ($module:ident, $abi:literal, $marker:ident) => {
        mod $module {
            use super::*;

            mod far {
                mig_derive::interface! {
                    abi: $abi,
                    inline: "
                        subsystem far 4400;
                        type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
                        type moved_t = MACH_MSG_TYPE_MOVE_SEND;
                        type three_t = ^array[3] of mach_port_t;
                        type pairs_t = ^array[2] of array[2] of moved_t;
                        type one_t = ^moved_t;
                        type int = MACH_MSG_TYPE_INTEGER_32;
                        routine far_turn(far : mach_port_t; three : three_t; less : int; out back : pairs_t);
                        routine far_one(far : mach_port_t; one : one_t; out back : one_t);
                    ",
                }
            }
            use far::{far_one, far_turn};

            type K = Local<mig_runtime::abi::$marker>;
            type Port<'a> = mig_runtime::Port<'a, K>;
            type Sends = Rights<K, SendRight<K>>;

            struct Far<'a>(&'a K);

            impl far::Far<K> for Far<'_> {
                fn far_turn(&self, _: Port<'_>, three: Sends, less: i32) -> Result<Sends, KernReturn> {
                    let mut rights: Vec<_> = three.collect();
                    rights.reverse();
                    rights.push(ReceiveRight::allocate(self.0)?.make_send()?);
                    rights.truncate(4 - less as usize);
                    Ok(rights.into_iter().collect())
                }
                fn far_one(&self, _: Port<'_>, one: Sends) -> Result<Sends, KernReturn> {
                    Ok(one)
                }
            }

            #[test]
            fn as_many_as_are_declared() {
                let task = K::new();
                let before = task.census();
                {
                    let receive = ReceiveRight::allocate(&task).unwrap();
                    let port = receive.make_send().unwrap();
                    let far = Far(&task);
                    let server = Server::on(&receive).with(far::far(&far));
                    std::thread::scope(|scope| {
                        scope.spawn(|| server.run().unwrap());
                        let ports: Vec<_> = (0..3).map(|_| ReceiveRight::allocate(&task).unwrap()).collect();
                        let sends: Vec<_> = ports.iter().map(|port| port.make_send().unwrap()).collect();
                        let back: Vec<_> = far_turn(&port, &sends, 0).unwrap().collect();
                        let names: Vec<_> = back[..3].iter().map(SendRight::name).collect();
                        assert_eq!(names, [ports[2].name(), ports[1].name(), ports[0].name()]);
                        assert_eq!(back.len(), 4);

                        let one = far_one(&port, [ports[0].make_send().unwrap()]).unwrap();
                        assert_eq!(one.map(|right| right.name()).collect::<Vec<_>>(), [ports[0].name()]);
                        // Neither side sends another number of them.
                        for wrong in [&sends[..2], &[][..]] {
                            let refused = far_turn(&port, wrong, 0).unwrap_err();
                            assert_eq!(refused.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                        }
                        let refused = far_turn(&port, &sends, 1).unwrap_err();
                        assert_eq!(refused.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                        server.stop();
                    });
                }
                assert_eq!(task.census(), before);
            }
        }
    };
}

rights_out_of_line!(osf_32, "osf-32", Osf32);
rights_out_of_line!(apple_32, "apple-32", Apple32);
rights_out_of_line!(apple_64, "apple-64", Apple64);
