//! Every form of argument, from the client through a kernel to the server and back, on each ABI: what comes
//! out is what was put in, and every right and region is released.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use mig_runtime::kernel::local::Local;
use mig_runtime::{
    AnyRight, ArrayVec, KernReturn, Name, OolMemory, PortArray, ReceiveRight, Rights, SendRight, Server,
    Word, array_vec,
};

macro_rules! kitchen_sink {
    ($module:ident, $abi:literal, $marker:ident, $short_max:expr) => {
        mod $module {
            use super::*;

            mod sink {
                mig_derive::interface! { path: "tests/kitchen_sink.defs", abi: $abi }
            }
            use sink::*;

            type K = Local<mig_runtime::abi::$marker>;
            type Port<'a> = mig_runtime::Port<'a, K>;
            type Elements<'a, T> = mig_runtime::Elements<'a, T, K>;
            type Any = AnyRight<'static, K>;
            type Sends = Rights<K, SendRight<K>>;
            type SendOnce = mig_runtime::SendOnceRight<K>;
            type Result<T> = std::result::Result<T, KernReturn>;

            #[derive(Default)]
            struct Sink {
                notes: Mutex<Vec<String>>,
                token: Mutex<Option<mig_runtime::ReplyTo<K>>>,
            }

            impl Sink {
                fn note(&self, text: impl Into<String>) {
                    self.notes.lock().unwrap().push(text.into());
                }
            }

            impl KitchenSink<K> for Sink {
                fn r_scalar(&self, _: Port<'_>, a: i32, b: bool, c: i64, e: i32) -> Result<RScalarReply> {
                    Ok(RScalarReply { d: c + i64::from(a), e: e + 1, f: !b })
                }
                fn r_fix(&self, _: Port<'_>, a: [u8; 5], b: [u8; 5]) -> Result<RFixReply> {
                    Ok(RFixReply { c: b, d: a })
                }
                fn r_vin(&self, _: Port<'_>, a: &[u8], z: i32) -> Result<()> {
                    self.note(format!("{a:?} {z}"));
                    Ok(())
                }
                fn r_vin2(&self, _: Port<'_>, a: &[u8], b: &[[i16; 3]], z: i32) -> Result<i32> {
                    self.note(format!("{a:?} {b:?}"));
                    Ok(z + (a.len() * 100 + b.len()) as i32)
                }
                fn r_vout(&self, _: Port<'_>) -> Result<RVoutReply> {
                    Ok(RVoutReply { a: array_vec(&[-1, 2, 3]), z: 9 })
                }
                fn r_vout2(&self, _: Port<'_>, a_max: u32) -> Result<RVout2Reply> {
                    Ok(RVout2Reply { a: (0..a_max as i16).collect(), b: array_vec(&[i64::MIN, 5]), z: a_max as i32 })
                }
                fn r_indef_in(&self, _: Port<'_>, a: Elements<'_, u8>, z: i32) -> Result<i32> {
                    Ok(a.iter().map(|&byte| i32::from(byte)).sum::<i32>() + z)
                }
                fn r_indef_out(&self, _: Port<'_>, size: i32) -> Result<RIndefOutReply> {
                    Ok(RIndefOutReply { a: (0..size).collect(), z: -size })
                }
                fn r_indef_limit(&self, _: Port<'_>, a_max: u32) -> Result<Vec<i32>> {
                    Ok((0..a_max as i32 * 2).collect())
                }
                fn r_ool(
                    &self,
                    port: Port<'_>,
                    a: OolMemory<K>,
                    b: OolMemory<K>,
                    c: OolMemory<K>,
                ) -> Result<OolMemory<K>> {
                    let all = [&a[..], &b[..], &c[..]].concat();
                    let mut d = OolMemory::allocate(port.kernel(), all.len())?;
                    d.copy_from_slice(&all);
                    Ok(d)
                }
                fn r_ooli(&self, _: Port<'_>, a: Elements<'_, i64>) -> Result<Vec<i64>> {
                    Ok(a.iter().rev().copied().collect())
                }
                fn r_oolp(&self, _: Port<'_>, a: Sends) -> Result<Sends> {
                    let mut rights: Vec<_> = a.collect();
                    rights.reverse();
                    Ok(rights.into())
                }
                fn r_port(&self, _: Port<'_>, a: SendRight<K>) -> Result<SendRight<K>> {
                    Ok(a)
                }
                fn r_ports(
                    &self,
                    _: Port<'_>,
                    a: SendRight<K>,
                    b: ReceiveRight<K>,
                    c: SendRight<K>,
                    d: SendOnce,
                ) -> Result<RPortsReply<K>> {
                    drop(a);
                    Ok(RPortsReply { e: b, f: d, g: c })
                }
                fn r_poly(&self, _: Port<'_>, a: AnyRight<'static, K>) -> Result<AnyRight<'static, K>> {
                    Ok(a)
                }
                fn r_strs(
                    &self,
                    _: Port<'_>,
                    a: &std::ffi::CStr,
                    b: &std::ffi::CStr,
                    w: &std::ffi::CStr,
                ) -> Result<RStrsReply> {
                    self.note(format!("{w:?}"));
                    Ok(RStrsReply { c: b.into(), d: a.into() })
                }
                fn s_none(&self, _: Port<'_>) -> Result<()> {
                    self.note("s_none");
                    Ok(())
                }
                fn r_none(&self, _: Port<'_>) -> Result<()> {
                    Err(KernReturn(77))
                }
                fn r_reqpoly(&self, _: Port<'_>, a: i32) -> Result<()> {
                    self.note(format!("r_reqpoly {a}"));
                    Ok(())
                }
                fn r_vports(&self, _: Port<'_>, a: ArrayVec<SendRight<K>, 3>) -> Result<ArrayVec<SendRight<K>, 3>> {
                    Ok(a)
                }
                fn r_fixports(&self, _: Port<'_>, a: [SendRight<K>; 2]) -> Result<[SendRight<K>; 2]> {
                    let [x, y] = a;
                    Ok([y, x])
                }
                fn r_indefp(&self, _: Port<'_>, a: Sends) -> Result<Sends> {
                    Ok(a)
                }
                fn r_polys(
                    &self,
                    _: Port<'_>,
                    a: ArrayVec<Any, 3>,
                    b: Rights<K, Any>,
                    c: Rights<K, Any>,
                ) -> Result<RPolysReply<K>> {
                    Ok(RPolysReply { d: a, e: b, f: c })
                }
                fn r_pairs(&self, _: Port<'_>, a: ArrayVec<SendRight<K>, 4>, b_max: u32) -> Result<ArrayVec<SendRight<K>, 4>> {
                    assert_eq!(b_max, 2);
                    Ok(a)
                }
                fn r_forms(
                    &self,
                    _: Port<'_>,
                    a: SendRight<K>,
                    b: Any,
                    c: ArrayVec<SendRight<K>, 3>,
                    d: OolMemory<K>,
                    e: Elements<'_, u8>,
                ) -> Result<RFormsReply<K>> {
                    Ok(RFormsReply { f: a, g: b, h: c, i: d, j: e.into_vec() })
                }
                fn r_struct(&self, _: Port<'_>, a: Mixed, b: &[Mixed]) -> Result<RStructReply> {
                    Ok(RStructReply { c: b[1], d: array_vec(&[a, b[0], a]) })
                }
                fn r_big(&self, _: Port<'_>, a: Big) -> Result<Big> {
                    Ok(a.map(|word| word + 1))
                }
                fn r_name(&self, _: Port<'_>, a: Name) -> Result<Name> {
                    Ok(Name(a.0 + 1))
                }
                fn r_late(&self, port: Port<'_>) -> Result<()> {
                    *self.token.lock().unwrap() = Some(port.defer());
                    Err(KernReturn::MIG_NO_REPLY)
                }
                fn r_deferred(&self, port: Port<'_>, a: i32) -> Result<i32> {
                    match a {
                        0 => drop(port.defer()),
                        1 => r_deferred_reply(port.defer(), Err(KernReturn(5))).unwrap(),
                        _ => r_deferred_reply(port.defer(), Ok(a * 2)).unwrap(),
                    }
                    Err(KernReturn::MIG_NO_REPLY)
                }
                fn r#match(
                    &self,
                    _: Port<'_>,
                    r#fn: i32,
                    request: i32,
                    reply: i32,
                    buffer: i32,
                    body: i32,
                    server: i32,
                    results: i32,
                ) -> Result<MatchReply> {
                    let sum = r#fn + request + reply + buffer + body + server + results;
                    Ok(MatchReply { crate_: sum, r#yield: -sum })
                }
            }

            /// Calls a server that runs in another thread; afterwards the task must hold what it held before.
            fn with_server(test: impl FnOnce(&Sink, &K, &SendRight<K>)) {
                let task = K::new();
                // From the first call on a thread has a reply port.
                serve(&task, |_, _, port| assert!(r_none(port).is_err()));
                let before = task.census();
                serve(&task, test);
                assert_eq!(task.census(), before, "rights and memory before and after");
            }

            fn serve(task: &K, test: impl FnOnce(&Sink, &K, &SendRight<K>)) {
                let receive = ReceiveRight::allocate(task).unwrap();
                let port = receive.make_send().unwrap();
                let sink = Sink::default();
                let server = Server::on(&receive).with(kitchen_sink(&sink));
                std::thread::scope(|scope| {
                    scope.spawn(|| server.run().unwrap());
                    let result = catch_unwind(AssertUnwindSafe(|| test(&sink, task, &port)));
                    server.stop();
                    result.unwrap_or_else(|panic| resume_unwind(panic));
                });
            }

            #[test]
            fn numbers() {
                with_server(|_, _, p| {
                    let reply = r_scalar(p, 1, true, i64::MIN, 0x55).unwrap();
                    assert_eq!(reply, RScalarReply { d: i64::MIN + 1, e: 0x56, f: false });
                    assert!(r_scalar(p, 1, false, 2, 3).unwrap().f);
                    assert_eq!(r_name(p, Name(41)).unwrap(), Name(42));
                    assert_eq!(r_none(p).unwrap_err().code(), KernReturn(77));
                });
            }

            #[test]
            fn inline_arrays() {
                with_server(|sink, _, p| {
                    let reply = r_fix(p, b"abcde", b"vwxyz").unwrap();
                    assert_eq!(reply, RFixReply { c: *b"vwxyz", d: *b"abcde" });
                    for a in [&b""[..], b"abc", b"0123456789"] {
                        r_vin(p, a, 7).unwrap();
                        assert_eq!(sink.notes.lock().unwrap().pop().unwrap(), format!("{a:?} 7"));
                    }
                    let too_large = r_vin(p, b"0123456789-", 7).unwrap_err();
                    assert_eq!(too_large.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                    assert_eq!(r_vin2(p, b"abc", &[[1, 2, 3], [-4, 5, 6]], 1000).unwrap(), 1302);
                    assert_eq!(
                        sink.notes.lock().unwrap().pop().unwrap(),
                        "[97, 98, 99] [[1, 2, 3], [-4, 5, 6]]"
                    );
                    assert_eq!(r_vout(p).unwrap(), RVoutReply { a: array_vec(&[-1, 2, 3]), z: 9 });
                    let big: Big = std::array::from_fn(|i| i as u32);
                    assert_eq!(r_big(p, &big).unwrap(), big.map(|word| word + 1));
                });
            }

            #[test]
            fn the_caller_limits_what_comes_back() {
                with_server(|_, _, p| {
                    let reply = r_vout2(p, 3).unwrap();
                    assert_eq!(reply, RVout2Reply { a: array_vec(&[0, 1, 2]), b: array_vec(&[i64::MIN, 5]), z: 3 });
                    assert_eq!(r_vout2(p, 99).unwrap().a.len(), 7, "cut to what is declared");
                    // An array of indefinite length may be longer than the caller's limit: it has a place of
                    // its own.
                    assert_eq!(r_indef_limit(p, 3).unwrap(), [0, 1, 2, 3, 4, 5]);
                    assert_eq!(r_indef_limit(p, 10_000).unwrap().len(), 1024, "cut to what is inline");
                });
            }

            #[test]
            fn arrays_of_indefinite_length() {
                with_server(|_, _, p| {
                    for size in [0, 5, 2048, 2049, 100_000] {
                        assert_eq!(r_indef_in(p, &vec![1; size], 7).unwrap(), size as i32 + 7);
                    }
                    for size in [0, 1, 512, 513, 50_000] {
                        let reply = r_indef_out(p, size).unwrap();
                        assert_eq!(reply, RIndefOutReply { a: (0..size).collect(), z: -size });
                    }
                });
            }

            #[test]
            fn memory_out_of_line() {
                with_server(|_, task, p| {
                    let given = |bytes: &[u8]| {
                        let mut memory = OolMemory::allocate(task, bytes.len()).unwrap();
                        memory.copy_from_slice(bytes);
                        memory
                    };
                    let lent = vec![7; 10_000];
                    let d = r_ool(p, &lent, given(b"given"), &b"lent"[..]).unwrap();
                    assert_eq!(d[..], [&lent[..], b"givenlent"].concat());
                    let d = r_ool(p, b"", given(b"x"), given(b"given too")).unwrap();
                    assert_eq!(d[..], *b"xgiven too");
                    assert_eq!(r_ooli(p, &[1, -2, i64::MAX]).unwrap(), [i64::MAX, -2, 1]);
                    assert!(r_ooli(p, &[]).unwrap().is_empty());
                });
            }

            #[test]
            fn rights() {
                with_server(|_, task, p| {
                    let mine = ReceiveRight::allocate(task).unwrap();
                    let send = mine.make_send().unwrap();
                    assert_eq!(r_port(p, &send).unwrap().name(), send.name());
                    let other = ReceiveRight::allocate(task).unwrap();
                    // Under the name of a send right, a receive right comes back with that name.
                    let known = other.make_send().unwrap();
                    let reply = r_ports(p, send, other, &mine, &mine).unwrap();
                    assert_eq!((reply.e.name(), reply.g.name()), (known.name(), mine.name()));
                    assert!(!reply.f.is_null());
                });
            }

            #[test]
            fn rights_of_any_kind_and_data_in_their_place() {
                with_server(|_, task, p| {
                    let mine = ReceiveRight::allocate(task).unwrap();
                    let send = mine.make_send().unwrap();
                    assert!(matches!(r_poly(p, &send).unwrap(), AnyRight::MoveSend(right) if right.name() == mine.name()));
                    assert!(matches!(r_poly(p, AnyRight::make_send_once(&mine)).unwrap(), AnyRight::MoveSendOnce(_)));
                    let data = Word::new(2, 99).unwrap();
                    let reply = r_poly(p, AnyRight::Data(data)).unwrap();
                    assert!(matches!(reply, AnyRight::Data(word) if word == data));
                    assert!(matches!(r_poly(p, mine).unwrap(), AnyRight::MoveReceive(_)));
                });
            }

            #[test]
            fn arrays_of_rights() {
                with_server(|_, task, p| {
                    let ports: Vec<_> = (0..600).map(|_| ReceiveRight::allocate(task).unwrap()).collect();
                    let sends: Vec<_> = ports.iter().map(|port| port.make_send().unwrap()).collect();
                    let names = |rights: &[SendRight<K>]| rights.iter().map(SendRight::name).collect::<Vec<_>>();
                    for count in [0, 1, 3] {
                        let back = r_vports(p, &sends[..count]).unwrap();
                        assert_eq!(names(&back), names(&sends[..count]));
                    }
                    let too_large = r_vports(p, &sends[..4]).unwrap_err();
                    assert_eq!(too_large.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                    for count in [0, 2, 256, 257, 512, 513, 600] {
                        let back: Vec<_> = r_indefp(p, &sends[..count]).unwrap().collect();
                        assert_eq!(names(&back), names(&sends[..count]));
                        let mut back: Vec<_> = r_oolp(p, &sends[..count]).unwrap().collect();
                        back.reverse();
                        assert_eq!(names(&back), names(&sends[..count]));
                    }
                    let [a, b] = [ports[0].make_send().unwrap(), ports[1].make_send().unwrap()];
                    assert_eq!(names(&r_fixports(p, [a, b]).unwrap()), [ports[1].name(), ports[0].name()]);
                });
            }

            #[test]
            fn arrays_of_rights_of_any_kind() {
                fn kinds(rights: impl IntoIterator<Item = Any>) -> Vec<(u8, Name)> {
                    rights.into_iter().map(|right| (right.disposition(), right.name())).collect()
                }
                with_server(|_, task, p| {
                    let ports: Vec<_> = (0..600).map(|_| ReceiveRight::allocate(task).unwrap()).collect();
                    let sends: Vec<_> = ports.iter().map(|port| port.make_send().unwrap()).collect();
                    let copies = |count| PortArray::copy_send(&sends[..count]);
                    let made = PortArray::make_send_once(&ports[..2]);
                    for count in [0, 3, 256, 257, 512, 513, 600] {
                        let reply = r_polys(p, copies(3), copies(count), copies(count)).unwrap();
                        let names = |count| sends[..count].iter().map(|right| (17, right.name())).collect::<Vec<_>>();
                        assert_eq!(kinds(reply.d), names(3));
                        assert_eq!((kinds(reply.e), kinds(reply.f)), (names(count), names(count)));
                    }
                    let word = |value| AnyRight::Data(Word::new(2, value).unwrap());
                    let words = PortArray::of_one_kind(vec![word(5), word(6)]).unwrap();
                    let moved = PortArray::moving(vec![ReceiveRight::allocate(task).unwrap()]);
                    let reply = r_polys(p, made, words, moved).unwrap();
                    assert_eq!(reply.d.iter().map(AnyRight::disposition).collect::<Vec<_>>(), [18, 18]);
                    assert_eq!(kinds(reply.e), [(2, Name(5)), (2, Name(6))]);
                    assert!(matches!(reply.f.collect::<Vec<_>>()[..], [AnyRight::MoveReceive(_)]));
                    let too_large = r_polys(p, copies(4), copies(0), copies(0)).unwrap_err();
                    assert_eq!(too_large.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                    let mixed = vec![sends[0].try_clone().unwrap().into(), word(7)];
                    assert!(PortArray::of_one_kind(mixed).is_err());
                });
            }

            #[test]
            fn long_and_short_forms_by_decree() {
                with_server(|_, task, p| {
                    let mine = ReceiveRight::allocate(task).unwrap();
                    let send = mine.make_send().unwrap();
                    let array = [send.try_clone().unwrap()];
                    for size in [0, 4, 2048, 2049, 4095] {
                        let data = vec![1; size];
                        let once = AnyRight::make_send_once(&mine);
                        let reply = r_forms(p, &send, once, &array, &data, &data).unwrap();
                        assert_eq!((reply.f.name(), reply.g.disposition()), (mine.name(), 18));
                        assert_eq!((reply.h.len(), &reply.i[..], &reply.j), (1, &data[..], &data));
                    }
                    // On i386 the short form has 12 bits for the number.
                    let data = vec![1; 4096];
                    let result = r_forms(p, &send, &send, &array, &data, b"").map_err(|error| error.code());
                    match $short_max {
                        Some(4095) => assert_eq!(result.err(), Some(KernReturn::MIG_ARRAY_TOO_LARGE)),
                        _ => assert_eq!(result.unwrap().i.len(), 4096),
                    }
                });
            }

            #[test]
            fn arrays_of_arrays_of_rights() {
                with_server(|_, task, p| {
                    let ports: Vec<_> = (0..6).map(|_| ReceiveRight::allocate(task).unwrap()).collect();
                    let sends: Vec<_> = ports.iter().map(|port| port.make_send().unwrap()).collect();
                    let back = r_pairs(p, &sends[..4], 2).unwrap();
                    assert_eq!(back.len(), 4);
                    assert_eq!(r_pairs(p, &sends[..5], 2).unwrap_err().code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                });
            }

            #[test]
            fn strings() {
                with_server(|sink, _, p| {
                    let reply = r_strs(p, c"fix", c"var", c"whole").unwrap();
                    assert_eq!((reply.c.as_c_str(), reply.d.as_c_str()), (c"var", c"fix"));
                    assert_eq!(sink.notes.lock().unwrap().pop().unwrap(), "\"whole\"");
                    let reply = r_strs(p, c"", c"nineteen characters", c"").unwrap();
                    assert_eq!((reply.c.as_c_str(), reply.d.as_c_str()), (c"nineteen characters", c""));
                    let too_long = r_strs(p, c"twenty characters...", c"", c"").unwrap_err();
                    assert_eq!(too_long.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                    let too_long = r_strs(p, c"", c"twenty characters...", c"").unwrap_err();
                    assert_eq!(too_long.code(), KernReturn::MIG_ARRAY_TOO_LARGE);
                });
            }

            #[test]
            fn structures() {
                with_server(|_, _, p| {
                    let mixed = |n: u32| Mixed { first: n, second: -i64::from(n), third: 3, ..Mixed::default() };
                    let reply = r_struct(p, &mixed(1), &[mixed(2), mixed(3)]).unwrap();
                    assert_eq!(reply, RStructReply { c: mixed(3), d: array_vec(&[mixed(1), mixed(2), mixed(1)]) });
                });
            }

            #[test]
            fn one_way_and_explicit_ports_times_and_options() {
                with_server(|sink, task, p| {
                    s_none(p).unwrap();
                    let reply_port = ReceiveRight::allocate(task).unwrap();
                    r_reqpoly(task, p, AnyRight::make_send_once(&reply_port), 1234, 0, 17).unwrap();
                    assert_eq!(*sink.notes.lock().unwrap(), ["s_none", "r_reqpoly 17"]);
                });
            }

            #[test]
            fn answers_that_come_later_or_never() {
                with_server(|sink, _, p| {
                    assert_eq!(r_deferred(p, 21).unwrap(), 42);
                    assert_eq!(r_deferred(p, 1).unwrap_err().code(), KernReturn(5));
                    assert_eq!(r_deferred(p, 0).unwrap_err().code(), KernReturn::MIG_SERVER_DIED);
                    let late = r_late(p).unwrap_err();
                    assert_eq!(late.code(), KernReturn::MACH_RCV_TIMED_OUT);
                    // The client has gone; its answer hurts nobody.
                    let token = sink.token.lock().unwrap().take().unwrap();
                    assert!(r_late_reply(token, Ok(())).is_err());
                });
            }

            #[test]
            fn words_of_rust() {
                with_server(|_, _, p| {
                    let reply = r#match(p, 1, 2, 3, 4, 5, 6, 7).unwrap();
                    assert_eq!(reply, MatchReply { crate_: 28, r#yield: -28 });
                });
            }
        }
    };
}

kitchen_sink!(gnu_i386, "gnu-i386", GnuI386, Some(4095));
kitchen_sink!(gnu_x86_64, "gnu-x86_64", GnuX86_64, None::<u32>);
kitchen_sink!(gnu_x86_64_of_2022, "gnu-x86_64-2022", GnuX86_64Of2022, Some(4095));
