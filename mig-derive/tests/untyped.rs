//! Every form of argument of the untyped ABIs, from the client through a kernel to the server and back: what
//! comes out is what was put in, and every right and region is released, also where a request is damaged.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{
    AnyRight, ArrayVec, KernReturn, OolMemory, PortArray, ReceiveRight, Rights, SendOnceRight, SendRight,
    Seqno, Server, array_vec,
};

macro_rules! untyped {
    ($module:ident, $abi:literal, $marker:ident) => {
        mod $module {
            use super::*;

            mod all {
                mig_derive::interface! { path: "tests/untyped.defs", abi: $abi }
            }
            use all::*;

            type K = Local<mig_runtime::abi::$marker>;
            type Port<'a> = mig_runtime::Port<'a, K>;
            type Elements<'a, T> = mig_runtime::Elements<'a, T, K>;
            type Result<T> = std::result::Result<T, KernReturn>;

            #[derive(Default)]
            struct Everything {
                notes: Mutex<Vec<String>>,
                unclaimed: Mutex<Vec<KernReturn>>,
                token: Mutex<Option<mig_runtime::ReplyTo<K>>>,
            }

            impl Untyped<K> for Everything {
                fn numbers(&self, _: Port<'_>, a: u8, b: bool, c: i64, e: i32, f: [u8; 5]) -> Result<NumbersReply> {
                    let g = array_vec(&f[..usize::from(a)]);
                    Ok(NumbersReply { e: e + i32::from(b), d: c - 1, g })
                }
                fn arrays(&self, _: Port<'_>, a: &[u8], b: &[i64], z: i32, c_max: u32) -> Result<ArraysReply> {
                    let c = (0..c_max as i16).collect();
                    let d = b.iter().rev().copied().collect();
                    Ok(ArraysReply { c, d, y: z + a.len() as i32 })
                }
                fn pairs(&self, _: Port<'_>, keys: &[i64], values: &[i64]) -> Result<i32> {
                    Ok(keys.iter().zip(values).map(|(key, value)| key * value).sum::<i64>() as i32)
                }
                fn memory(
                    &self,
                    port: Port<'_>,
                    a: OolMemory<K>,
                    b: OolMemory<K>,
                    c: OolMemory<K>,
                    d: Elements<'_, i64>,
                    e: Elements<'_, i32>,
                    f: [i32; 6],
                ) -> Result<MemoryReply<K>> {
                    let mut h = OolMemory::allocate(port.kernel(), b.len() + c.len())?;
                    h.copy_from_slice(&[&b[..], &c[..]].concat());
                    let i = d.iter().copied().chain(e.iter().map(|&e| e.into())).collect();
                    Ok(MemoryReply { g: a, h, i, j: f.map(|f| -f) })
                }
                fn few(&self, _: Port<'_>, a: Elements<'_, i32>) -> Result<Vec<i32>> {
                    Ok(a.iter().flat_map(|&a| vec![a; a as usize]).collect())
                }
                fn strings(&self, _: Port<'_>, a: &std::ffi::CStr, b: &std::ffi::CStr) -> Result<StringsReply> {
                    Ok(StringsReply { c: b.into(), d: a.into() })
                }
                fn rights(
                    &self,
                    _: Port<'_>,
                    a: SendRight<K>,
                    b: ReceiveRight<K>,
                    c: SendOnceRight<K>,
                    d: AnyRight<'static, K>,
                ) -> Result<RightsReply<K>> {
                    drop(c);
                    Ok(RightsReply { e: b, f: a, g: d })
                }
                fn many(
                    &self,
                    _: Port<'_>,
                    a: Rights<K, SendRight<K>>,
                    b: ArrayVec<SendRight<K>, 3>,
                    c: [SendRight<K>; 2],
                    d: Rights<K, AnyRight<'static, K>>,
                    tags: &[i64],
                ) -> Result<ManyReply<K>> {
                    drop(d);
                    let e: Vec<_> = a.collect();
                    let i = e.iter().take(tags.len()).map(|right| right.try_clone().unwrap()).collect();
                    Ok(ManyReply { e: e.into(), f: b, g: c, h: array_vec(tags), i })
                }
                fn sequence(
                    &self,
                    _: Port<'_>,
                    seqno: Seqno,
                    sender: mig_runtime::SecurityToken,
                    a: i32,
                ) -> Result<i32> {
                    Ok(a + seqno.0 as i32 + sender.val[0] as i32)
                }
                fn failing(&self, _: Port<'_>, code: i32, right: SendRight<K>) -> Result<SendRight<K>> {
                    KernReturn(code).ok()?;
                    Ok(right)
                }
                fn told(&self, _: Port<'_>, a: i32, right: SendRight<K>) -> Result<()> {
                    self.notes.lock().unwrap().push(format!("{a} {}", right.is_null()));
                    Ok(())
                }
                fn answer(
                    &self,
                    _: Port<'_>,
                    right: SendRight<K>,
                    text: &std::ffi::CStr,
                    data: OolMemory<K>,
                    flag: bool,
                    words: &[i64],
                    longs: Elements<'_, i64>,
                    code: i32,
                ) -> Result<()> {
                    let (null, data) = (right.is_null(), data.len());
                    let note = format!("{null} {text:?} {data} {flag} {words:?} {} {code}", longs.len());
                    self.notes.lock().unwrap().push(note);
                    Ok(())
                }
                fn who(&self, _: Port<'_>, a: i32) -> Result<i32> {
                    Ok(-a)
                }
                fn who_there(&self, _: Port<'_>) -> Result<()> {
                    Ok(())
                }
                fn later(&self, port: Port<'_>, a: i32) -> Result<SendRight<K>> {
                    let token = port.defer();
                    match a {
                        0 => drop(token),
                        1 => later_reply(token, Err(KernReturn(5)))?,
                        _ => *self.token.lock().unwrap() = Some(token),
                    }
                    Err(KernReturn::MIG_NO_REPLY)
                }
            }

            /// Runs a test with a server in another task, and counts what both are left with.
            fn with_server(test: impl FnOnce(&Everything, &K, &SendRight<K>)) {
                let host = Host::new();
                let (server, client) = (host.new_task("server"), host.new_task("client"));
                let everything = Everything::default();
                let before = (server.census(), client.census());
                {
                    let port = ReceiveRight::allocate(&server).unwrap();
                    let to_server = Local::transfer(port.make_send().unwrap(), &client).unwrap();
                    let count = |message: mig_runtime::Unclaimed| {
                        everything.unclaimed.lock().unwrap().push(message.code);
                    };
                    let server = Server::on(&port).with(untyped(&everything)).unclaimed(count);
                    std::thread::scope(|scope| {
                        scope.spawn(|| server.run().unwrap());
                        let result = catch_unwind(AssertUnwindSafe(|| test(&everything, &client, &to_server)));
                        server.stop();
                        result.unwrap_or_else(|panic| resume_unwind(panic));
                    });
                }
                drop(everything);
                assert_eq!((server.census(), client.census()), before);
                drop((server, client));
                assert_eq!(host.port_count(), 0);
            }

            #[test]
            fn plain_data() {
                with_server(|_, _, p| {
                    let reply = numbers(p, 3, true, i64::MIN + 1, 41, b"abcde").unwrap();
                    assert_eq!(reply, NumbersReply { e: 42, d: i64::MIN, g: array_vec(b"abc") });
                    assert!(numbers(p, 0, false, 0, 0, b"     ").unwrap().g.is_empty());
                });
            }

            #[test]
            fn arrays_of_any_length() {
                with_server(|_, _, p| {
                    for (a, b) in [(&b""[..], &[][..]), (b"abc", &[1, -2]), (b"0123456789", &[i64::MAX; 3])] {
                        let reply = arrays(p, a, b, 100, 5).unwrap();
                        let d = b.iter().rev().copied().collect();
                        assert_eq!(reply, ArraysReply { c: array_vec(&[0, 1, 2, 3, 4]), d, y: 100 + a.len() as i32 });
                    }
                    assert_eq!(arrays(p, b"", &[], 0, 99).unwrap().c.len(), 7, "cut to what is declared");
                    let too_large = KernReturn::MIG_ARRAY_TOO_LARGE;
                    assert_eq!(arrays(p, b"0123456789-", &[], 0, 0).unwrap_err().code(), too_large);
                    assert_eq!(pairs(p, &[1, 2, 3], &[10, 100, 1000]).unwrap(), 3210);
                    assert_eq!(pairs(p, &[1, 2], &[1]).unwrap_err().code(), too_large);
                });
            }

            #[test]
            fn memory_lent_and_given() {
                with_server(|_, task, p| {
                    let given = |bytes: &[u8]| {
                        let mut memory = OolMemory::allocate(task, bytes.len()).unwrap();
                        memory.copy_from_slice(bytes);
                        memory
                    };
                    let lent = vec![7; 10_000];
                    let f = [1, 2, 3, 4, 5, 6];
                    let reply = memory(p, &lent, given(b"gi"), given(b"ven"), &[1, -2], &[3, 4, 5], &f).unwrap();
                    assert_eq!((&reply.g[..], &reply.h[..]), (&lent[..], &b"given"[..]));
                    assert_eq!(reply.i, [1, -2, 3, 4, 5]);
                    assert_eq!(reply.j, [-1, -2, -3, -4, -5, -6]);
                    let reply = memory(p, b"", given(b""), &b"lent"[..], &[], &[], &f).unwrap();
                    assert_eq!((&reply.g[..], &reply.h[..]), (&b""[..], &b"lent"[..]));
                    assert_eq!(few(p, &[2]).unwrap(), [2, 2]);
                    assert_eq!(few(p, &[1, 1, 1]).unwrap_err().code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                    // The server's result has more than is declared.
                    assert_eq!(few(p, &[3]).unwrap_err().code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                });
            }

            #[test]
            fn strings_with_and_without_a_count() {
                with_server(|_, _, p| {
                    let reply = strings(p, c"variable", c"fixed").unwrap();
                    assert_eq!((reply.c.as_c_str(), reply.d.as_c_str()), (c"fixed", c"variable"));
                    let reply = strings(p, c"", c"").unwrap();
                    assert_eq!((reply.c.as_c_str(), reply.d.as_c_str()), (c"", c""));
                    let too_large = KernReturn::MIG_ARRAY_TOO_LARGE;
                    assert_eq!(strings(p, c"", c"0123456789").unwrap_err().code(), too_large);
                    // The server's result does not fit.
                    assert_eq!(strings(p, c"0123456789", c"").unwrap_err().code(), too_large);
                });
            }

            #[test]
            fn rights_of_every_kind() {
                with_server(|_, task, p| {
                    let mine = ReceiveRight::allocate(task).unwrap();
                    let send = mine.make_send().unwrap();
                    let other = ReceiveRight::allocate(task).unwrap();
                    let known = other.make_send().unwrap();
                    let reply = rights(p, &send, other, &mine, &send).unwrap();
                    assert_eq!((reply.e.name(), reply.f.name()), (known.name(), send.name()));
                    assert!(matches!(reply.g, AnyRight::MoveSend(right) if right.name() == send.name()));
                    let reply = rights(p, &send, reply.e, &mine, AnyRight::make_send_once(&mine)).unwrap();
                    assert!(matches!(reply.g, AnyRight::MoveSendOnce(_)));
                    // Null travels as null.
                    let null = SendRight::null(task.clone());
                    assert!(rights(p, &null, reply.e, &mine, mine.make_send().unwrap()).unwrap().f.is_null());
                });
            }

            #[test]
            fn rights_in_numbers() {
                with_server(|_, task, p| {
                    let ports: Vec<_> = (0..100).map(|_| ReceiveRight::allocate(task).unwrap()).collect();
                    let sends: Vec<_> = ports.iter().map(|port| port.make_send().unwrap()).collect();
                    let names = |rights: &[SendRight<K>]| rights.iter().map(SendRight::name).collect::<Vec<_>>();
                    let two = || [ports[0].make_send().unwrap(), ports[1].make_send().unwrap()];
                    for (count, few, tags) in [(0, 0, &[][..]), (3, 1, &[5]), (100, 3, &[5, 6, 7])] {
                        let polys = PortArray::make_send_once(&ports[..count]);
                        let reply = many(p, &sends[..count], &sends[..few], two(), polys, tags).unwrap();
                        assert_eq!(names(&reply.e.collect::<Vec<_>>()), names(&sends[..count]));
                        assert_eq!(names(&reply.f), names(&sends[..few]));
                        assert_eq!(names(&reply.g), [ports[0].name(), ports[1].name()]);
                        assert_eq!(reply.h[..], *tags);
                        assert_eq!(names(&reply.i), names(&sends[..tags.len()]));
                    }
                    let none = || PortArray::copy_send(&[]);
                    let too_large = many(p, &[], &sends[..4], two(), none(), &[]).unwrap_err();
                    assert_eq!(too_large.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                    // A message that is not sent moves nothing, and names that it only refers to are released
                    // with it.
                    let dead = ReceiveRight::allocate(task).unwrap().make_send().unwrap();
                    let moved = PortArray::moving(vec![ReceiveRight::allocate(task).unwrap()]);
                    let unsent = many(&dead, &[], &[], two(), moved, &[]).unwrap_err();
                    assert_eq!(unsent.code(), KernReturn::MACH_SEND_INVALID_DEST);
                    assert!(unsent.is_unsent());
                    drop(unsent);
                    // The server answers two tags with one right.
                    let differ = many(p, &sends[..1], &[], two(), none(), &[1, 2]).unwrap_err();
                    assert_eq!(differ.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                });
            }

            #[test]
            fn what_the_kernel_adds() {
                with_server(|_, task, p| {
                    assert_eq!(sequence(p, 100).unwrap(), 100);
                    assert_eq!(sequence(p, 100).unwrap(), 101);
                    let nobody = mig_runtime::SecurityToken::default();
                    assert_eq!(who(p, 5).unwrap(), (-5, nobody));
                    let port = ReceiveRight::allocate(task).unwrap();
                    assert_eq!(who_there(p, &port, 10_000).unwrap(), ((), nobody));
                });
            }

            #[test]
            fn errors_release_what_came() {
                with_server(|everything, task, p| {
                    let mine = ReceiveRight::allocate(task).unwrap();
                    let error = failing(p, 77, mine.make_send().unwrap()).unwrap_err();
                    assert_eq!(error.code(), KernReturn(77));
                    // What is an order to a typed server is an error here.
                    let error = failing(p, -309, mine.make_send().unwrap()).unwrap_err();
                    assert_eq!(error.code(), KernReturn::MIG_TRAILER_ERROR);
                    assert_eq!(failing(p, 0, mine.make_send().unwrap()).unwrap().name(), mine.name());
                    told(p, 5, &SendRight::null(task.clone())).unwrap();
                    numbers(p, 0, false, 0, 0, b"     ").unwrap();
                    assert_eq!(*everything.notes.lock().unwrap(), ["5 true"]);
                });
            }

            /// A code in the place of everything else, or zero and everything else.
            #[test]
            fn return_codes_of_requests() {
                with_server(|everything, task, p| {
                    let mine = ReceiveRight::allocate(task).unwrap();
                    for code in [0, 7] {
                        let data = OolMemory::allocate(task, 5).unwrap();
                        answer(p, mine.make_send().unwrap(), c"text", data, true, &[1], &[2, 3], code).unwrap();
                    }
                    numbers(p, 0, false, 0, 0, b"     ").unwrap();
                    let expected = ["false \"text\" 5 true [1] 2 0", "true \"\" 0 false [] 0 7"];
                    assert_eq!(*everything.notes.lock().unwrap(), expected);
                });
            }

            #[test]
            fn answers_that_come_later_or_never() {
                with_server(|everything, task, p| {
                    assert_eq!(later(p, 0).unwrap_err().code(), KernReturn::MIG_SERVER_DIED);
                    assert_eq!(later(p, 1).unwrap_err().code(), KernReturn(5));
                    let mine = ReceiveRight::allocate(task).unwrap();
                    std::thread::scope(|scope| {
                        let call = scope.spawn(|| later(p, 2).unwrap());
                        let token = loop {
                            if let Some(token) = everything.token.lock().unwrap().take() {
                                break token;
                            }
                            std::thread::yield_now();
                        };
                        // A right of the server's task.
                        let other = ReceiveRight::allocate(token.kernel()).unwrap();
                        later_reply(token, Ok(other.make_send().unwrap())).unwrap();
                        assert!(!call.join().unwrap().is_null());
                        drop(other);
                    });
                    drop(mine);
                });
            }

            /// Replies that are not as declared: the client says so, and what is in them is released.
            #[test]
            fn damaged_replies() {
                use mig_runtime::{Builder, Copying, MsgBuf, Receive, Received, SendOptions};
                let host = Host::new();
                let (server, client) = (host.new_task("server"), host.new_task("client"));
                let before = (server.census(), client.census());
                {
                    let port = ReceiveRight::allocate(&server).unwrap();
                    let to_server = Local::transfer(port.make_send().unwrap(), &client).unwrap();
                    let answer = |id: i32, build: &dyn Fn(&mut Builder<'_, K>)| {
                        std::thread::scope(|scope| {
                            let call = scope.spawn(|| few(&to_server, &[1]).unwrap_err().code());
                            let mut buffer = MsgBuf::<512>::new();
                            let from = Receive::from(port.name());
                            let request = Received::receive(&server, buffer.words(), from).unwrap();
                            let to = request.port().defer().into_right().unwrap();
                            let mut buffer = MsgBuf::<512>::new();
                            let mut reply = buffer.request(&server);
                            build(&mut reply);
                            reply.send(id, to, SendOptions::NONE).unwrap();
                            call.join().unwrap()
                        })
                    };
                    let (good, types) = (id::FEW + 100, KernReturn::MIG_TYPE_ERROR);
                    let code = |code: i32| answer(good, &|m| m.return_code(KernReturn(code)));
                    assert_eq!([code(9), code(0)], [KernReturn(9), types]);
                    let words = |m: &mut Builder<'_, K>, size: usize| {
                        m.memory(&[0; 16][..size], Copying::VIRTUAL).unwrap();
                    };
                    let memory = |id, size, count: u32| {
                        answer(id, &|m| {
                            m.descriptors(1);
                            words(m, size);
                            m.ndr();
                            m.value(&count);
                        })
                    };
                    assert_eq!(memory(id::FEW, 4, 1), KernReturn::MIG_REPLY_MISMATCH);
                    assert_eq!([memory(good, 4, 2), memory(good, 6, 1), memory(good, 12, 3)], [types; 3]);
                    let more = answer(good, &|m| {
                        m.descriptors(2);
                        m.move_send(port.make_send().unwrap());
                        m.move_send(port.make_send().unwrap());
                    });
                    let other = answer(good, &|m| {
                        m.descriptors(1);
                        m.rights_memory(PortArray::moving(vec![port.make_send().unwrap()]), Copying::MOVE).unwrap();
                        m.ndr();
                        m.value(&1);
                    });
                    assert_eq!([more, other], [types; 2]);
                }
                assert_eq!((server.census(), client.census()), before);
            }

            /// Requests that are not as declared, through the kernel: the server says so, and nothing stays
            /// with it.
            #[test]
            fn damaged_requests() {
                use mig_runtime::{CallOptions, Complex, Dest, MsgBuf, Shape};
                with_server(|everything, task, p| {
                    let mine = ReceiveRight::allocate(task).unwrap();
                    let send = mine.make_send().unwrap();
                    let shape = Shape::new(36, 36, Complex::Never);
                    let call = |id: i32, build: &dyn Fn(&mut mig_runtime::Builder<'_, K>)| {
                        let mut buffer = MsgBuf::<256>::new();
                        let mut request = buffer.request(task);
                        build(&mut request);
                        let result = request.call(id, Dest::copy_send(p), shape, CallOptions::NONE);
                        result.map(|_| ()).unwrap_err().code()
                    };
                    let arguments = KernReturn::MIG_BAD_ARGUMENTS;
                    let types = KernReturn::MIG_TYPE_ERROR;
                    // An id between two routines, and those beyond both ends.
                    for id in [id::TOLD + 1, BASE - 1, id::WHO_THERE + 1] {
                        assert_eq!(call(id, &|_| {}), KernReturn::MIG_BAD_ID);
                    }
                    // A descriptor too few, one too many, and a wrong one.
                    assert_eq!(call(id::FAILING, &|m| m.ndr()), arguments);
                    let failing = |rights: &dyn Fn(&mut mig_runtime::Builder<'_, K>), count: u32| {
                        call(id::FAILING, &|m| {
                            m.descriptors(count);
                            rights(m);
                            m.ndr();
                            m.value(&77);
                        })
                    };
                    assert_eq!(failing(&|m| m.move_send(send.try_clone().unwrap()), 1), KernReturn(77));
                    let two = |m: &mut mig_runtime::Builder<'_, K>| {
                        m.move_send(send.try_clone().unwrap());
                        m.move_send(mine.make_send().unwrap());
                    };
                    assert_eq!(failing(&two, 2), arguments);
                    assert_eq!(failing(&|m| m.move_send_once(mine.make_send_once().unwrap()), 1), types);
                    let memory = |m: &mut mig_runtime::Builder<'_, K>| {
                        m.memory(&b"some"[..], mig_runtime::Copying::VIRTUAL).unwrap();
                    };
                    assert_eq!(failing(&memory, 1), if K::is_wide() { arguments } else { types });
                    let array = |m: &mut mig_runtime::Builder<'_, K>| {
                        m.rights_memory(PortArray::moving(vec![send.try_clone().unwrap()]), mig_runtime::Copying::MOVE).unwrap();
                    };
                    assert_eq!(failing(&array, 1), if K::is_wide() { arguments } else { types });
                    // A count that is not that of the descriptor, and one that is more than declared.
                    let few = |size: usize, count: u32| {
                        call(id::FEW, &|m| {
                            m.descriptors(1);
                            m.memory(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..size], mig_runtime::Copying::VIRTUAL).unwrap();
                            m.ndr();
                            m.value(&count);
                        })
                    };
                    assert_eq!([few(8, 1), few(8, 3), few(6, 1)], [types; 3]);
                    assert_eq!(few(12, 3), arguments);
                    // A string without an end, an array beyond its bound, and one that the message does not
                    // hold.
                    let text = |len: u32, bytes: &[u8; 20]| {
                        call(id::STRINGS, &|m| {
                            m.ndr();
                            m.value(&0);
                            m.value(&len);
                            m.value(bytes);
                            m.value(b"fixed\0\0\0\0\0");
                        })
                    };
                    assert_eq!(text(20, b"without an end of it"), arguments);
                    assert_eq!(text(21, b"with an end\0........"), arguments);
                    assert_eq!(text(!0, b"with an end\0........"), arguments);
                    let unclaimed = everything.unclaimed.lock().unwrap();
                    assert_eq!(unclaimed.len(), 15);
                });
            }
        }
    };
}

/// An address has 8 bytes, so that a descriptor of memory is longer than that of a right.
trait Wide {
    fn is_wide() -> bool;
}

impl<A: mig_runtime::abi::TaskAbi> Wide for Local<A> {
    fn is_wide() -> bool {
        A::FACTS.pointer == 8
    }
}

untyped!(osf_32, "osf-32", Osf32);
untyped!(apple_32, "apple-32", Apple32);
untyped!(apple_64, "apple-64", Apple64);
