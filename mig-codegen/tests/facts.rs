//! Facts about the typed ABIs and their language, each observed in the C compilers' stubs or in their
//! sources.

mod common;

use common::{analyze, data_slots, interface, word_of};
use mig_codegen::abi::Abi;
use mig_codegen::model::{
    Complex, Dealloc, InLine, Indirect, Interface, Message, Role, Routine, SlotRole, TypeKind, TypeWord,
};

const TYPES: &str = "subsystem facts 100;
type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
type move_receive_t = MACH_MSG_TYPE_MOVE_RECEIVE;
type make_send_t = MACH_MSG_TYPE_MAKE_SEND;
type boolean_t = MACH_MSG_TYPE_BOOLEAN;
type byte = MACH_MSG_TYPE_BYTE;
type ool = ^array[] of byte;
";

/// The first routine's request, with one argument `a` of a type declared by `declaration`.
fn request(declaration: &str, abi: &str) -> (Interface, Message) {
    let source = format!("{TYPES} {declaration}; routine r(p : mach_port_t; in a : t);");
    let interface = interface(&source, abi);
    let request = interface.routines[0].request.clone();
    (interface, request)
}

/// The type word as the sender writes it, as bytes in words of 32 bits; a counted number is 0.
fn encode(abi: &Abi, word: TypeWord) -> Vec<u32> {
    let name = word.sent.expect("not polymorphic");
    let (in_line, bits) = match word.in_line {
        InLine::No => (0, word.out_of_line_bits),
        InLine::Yes | InLine::UpTo(_) => (1, word.bits),
    };
    let long = u32::from(word.long);
    let deallocate = u32::from(word.deallocate == Dealloc::Yes);
    let number = word.number.unwrap_or(0);
    match abi.name() {
        "gnu-x86_64" => vec![name | bits << 8 | in_line << 29 | long << 30 | deallocate << 31, number],
        _ if word.long => vec![in_line << 28 | 1 << 29 | deallocate << 30, name | bits << 16, number],
        _ => vec![name | bits << 8 | number << 16 | in_line << 28 | deallocate << 30],
    }
}

#[track_caller]
fn assert_word(declaration: &str, i386: &[u32], x86_64: &[u32]) {
    for (abi, expected) in [("gnu-i386", i386), ("gnu-x86_64", x86_64)] {
        let (interface, request) = request(declaration, abi);
        let word = word_of(&request, 1);
        assert_eq!(encode(interface.abi, word), expected, "{declaration} on {abi}: {word:?}");
    }
}

#[test]
fn type_words_are_those_of_the_c_stubs() {
    assert_word("type t = int", &[0x1001_2002], &[0x2000_2002, 1]);
    assert_word("type t = boolean_t", &[0x1001_2000], &[0x2000_2000, 1]);
    assert_word("type t = int64", &[0x1001_400b], &[0x2000_400b, 1]);
    assert_word("type t = mach_port_t", &[0x1001_2013], &[0x2000_4013, 1]);
    assert_word("type t = move_receive_t", &[0x1001_2010], &[0x2000_4010, 1]);
    assert_word("type t = make_send_t", &[0x1001_2014], &[0x2000_4014, 1]);
    // Variable: the number is filled in by the sender.
    assert_word("type t = ool", &[0x2000_0000, 0x0008_0009, 0], &[0x4000_0809, 0]);
    assert_word("type t = array[] of char", &[0x3000_0000, 0x0008_0008, 0], &[0x6000_0808, 0]);
    assert_word("type t = c_string[20]", &[0x1014_080c], &[0x2000_080c, 20]);
    assert_word("type t = (MACH_MSG_TYPE_STRING, 512*8)", &[0x3000_0000, 0x1000_000c, 1], &[0x6010_000c, 1]);
}

#[test]
fn dealloc_sets_the_bit_of_data_out_of_line() {
    let source = format!("{TYPES} routine r(p : mach_port_t; in a : ool, dealloc; in b : ool, dealloc[]);");
    let i386 = interface(&source, "gnu-i386");
    assert_eq!(encode(i386.abi, word_of(&i386.routines[0].request, 1))[0], 0x6000_0000);
    let x86_64 = interface(&source, "gnu-x86_64");
    assert_eq!(encode(x86_64.abi, word_of(&x86_64.routines[0].request, 1))[0], 0xc000_0809);
    assert_eq!(word_of(&x86_64.routines[0].request, 2).deallocate, Dealloc::RunTime);
}

#[test]
fn a_kernel_user_deallocates_inline_rights() {
    let source = "subsystem KernelUser k 2250; type p_t = MACH_MSG_TYPE_MOVE_SEND;
        type r_t = MACH_MSG_TYPE_MOVE_RECEIVE; simpleroutine create(p : p_t; in a : r_t, dealloc);";
    let i386 = interface(source, "gnu-i386");
    assert!(i386.kernel_user);
    assert_eq!(encode(i386.abi, word_of(&i386.routines[0].request, 1)), [0x5001_2010]);
    let x86_64 = interface(source, "gnu-x86_64");
    assert_eq!(encode(x86_64.abi, word_of(&x86_64.routines[0].request, 1)), [0xa000_4010, 1]);
}

#[test]
fn the_long_form_is_used_where_the_short_one_is_too_small() {
    for (declaration, long) in [
        ("type t = array[4095] of int", false),
        ("type t = array[4096] of int", true),
        ("type t = array[*:4095] of int", false),
        ("type t = array[*:4096] of int", true),
        ("type t = (MACH_MSG_TYPE_STRING, 512*8)", true),
        ("type t = (MACH_MSG_TYPE_STRING, 31*8)", false),
        ("type t = (MACH_MSG_TYPE_STRING, 32*8)", true),
        ("type t = polymorphic", false),
        ("type t = array[] of int", true),
        ("type t = ^array[] of int", true),
        ("type t = (MACH_MSG_TYPE_INTEGER_32, 32, islong)", true),
    ] {
        for abi in ["gnu-i386", "gnu-x86_64"] {
            let source = format!("{TYPES} {declaration}; routine r(p : mach_port_t; in a : t);");
            let (interface, diagnostics) = analyze(&source, abi);
            let interface = interface.unwrap_or_else(|| panic!("{diagnostics}"));
            assert_eq!(word_of(&interface.routines[0].request, 1).long, long, "{declaration} on {abi}");
        }
    }
}

/// An array without a bound goes inline up to 2048 bytes.
#[test]
fn inline_limits() {
    for (element, i386, x86_64) in [
        ("char", 2048, 2048),
        ("short", 1024, 1024),
        ("int", 512, 512),
        ("int64", 256, 256),
        ("mach_port_t", 512, 256),
    ] {
        for (abi, limit) in [("gnu-i386", i386), ("gnu-x86_64", x86_64)] {
            let (_, request) = request(&format!("type t = array[] of {element}"), abi);
            assert_eq!(word_of(&request, 1).in_line, InLine::UpTo(limit), "{element} on {abi}");
            assert_eq!(data_slots(&request)[0].indirect, Indirect::Depends);
        }
    }
    // Elements that are larger than that never go inline: the message has room for an address.
    let (_, request) = request("type e = array[3000] of char; type t = array[] of e", "gnu-i386");
    assert_eq!(word_of(&request, 1).in_line, InLine::UpTo(0));
    assert_eq!((request.min_size, request.max_size), (36, 40));
}

/// 64-bit ports have a slot of 8 bytes in a message, and are packed names of 4 bytes out of line.
#[test]
fn ports_are_packed_out_of_line() {
    let (_, inline) = request("type t = array[*:3] of mach_port_t", "gnu-x86_64");
    assert_eq!(word_of(&inline, 1).bits, 64);
    assert_eq!(data_slots(&inline)[0].element, Some(8));
    let (_, out) = request("type t = ^array[] of mach_port_t", "gnu-x86_64");
    assert_eq!(word_of(&out, 1).out_of_line_bits, 32);
    assert_eq!(data_slots(&out)[0].element, Some(4));
    assert!(out.slots[1].check.iter().any(|check| check.field == "size" && check.value == 32));
}

/// A count is multiplied by the elements of the type word that make one element of the array.
#[test]
fn counts_are_of_basic_elements() {
    let (_, request) = request("type s3 = struct[3] of short; type t = array[*:4] of s3", "gnu-i386");
    let word = word_of(&request, 1);
    assert_eq!((word.number, word.multiplier, word.bits), (None, 3, 16));
    let data = data_slots(&request)[0];
    assert_eq!((data.element, data.size, data.max), (Some(6), None, Some(24)));
}

#[test]
fn structures_have_the_layout_of_c() {
    let declaration = "type t = struct { int64 seconds; int micros; }";
    for (abi, size, name, bits, number) in [("gnu-i386", 12, 2, 32, 3), ("gnu-x86_64", 16, 11, 64, 2)] {
        let (interface, request) = request(declaration, abi);
        let word = word_of(&request, 1);
        assert_eq!((word.sent, word.bits, word.number), (Some(name), bits, Some(number)), "{abi}");
        assert_eq!(data_slots(&request)[0].size, Some(size), "{abi}");
        let TypeKind::Struct { members, .. } = &interface.routines[0].args[1].ty.kind else { panic!() };
        assert_eq!(members.iter().map(|m| m.offset).collect::<Vec<_>>(), [0, 8]);
    }
    // Members are aligned to themselves; the whole to its largest member.
    let (_, small) = request("type t = struct { char a; short b; char c; }", "gnu-i386");
    let word = word_of(&small, 1);
    assert_eq!((word.sent, word.number), (Some(1), Some(3)));
    let (_, bytes) = request("type t = struct { char a; byte b; char c; }", "gnu-x86_64");
    let word = word_of(&bytes, 1);
    assert_eq!((word.sent, word.number), (Some(9), Some(3)));
}

/// Where all of a type word is known, all of it is checked; else what is known, without the deallocate bit.
#[test]
fn what_a_receiver_checks() {
    let fields = |declaration: &str| -> Vec<String> {
        let (_, request) = request(declaration, "gnu-i386");
        request.slots[1].check.iter().map(|check| format!("{}={}", check.field, check.value)).collect()
    };
    let whole = ["name=17", "size=32", "number=1", "inline=1", "longform=0", "deallocate=0", "unused=0"];
    assert_eq!(fields("type t = mach_port_t"), whole);
    assert_eq!(fields("type t = ool"), ["name=9", "size=8", "inline=0", "longform=1"]);
    assert_eq!(fields("type t = array[*:4] of int"), ["name=2", "size=32", "inline=1", "longform=0"]);
    assert_eq!(fields("type t = array[] of int"), ["name=2", "size=32", "longform=1"]);
    assert_eq!(fields("type t = polymorphic"), ["size=32", "number=1", "inline=1", "longform=0"]);
    let long = ["name=12", "size=4096", "number=1", "inline=1", "longform=1"];
    assert_eq!(fields("type t = (MACH_MSG_TYPE_STRING, 512*8)"), long);
}

/// The deallocate bit of rights and of data out of line is as the sender wrote it: a kernel can't check it.
#[test]
fn a_kernel_server_does_not_check_deallocate() {
    let source =
        format!("{TYPES} routine r(p : mach_port_t; in a : mach_port_t; in b : int; out c : mach_port_t);")
            .replace("subsystem", "subsystem KernelServer");
    let interface = interface(&source, "gnu-i386");
    let routine = &interface.routines[0];
    let checks_deallocate = |message: &Message, index: usize| {
        let slots: Vec<_> = message.slots.iter().filter(|slot| slot.role == SlotRole::Type).collect();
        slots[index].check.iter().any(|check| check.field == "deallocate")
    };
    assert!(!checks_deallocate(&routine.request, 0));
    assert!(checks_deallocate(&routine.request, 1));
    // Its replies carry rights that have been copied in: PORT_SEND, not COPY_SEND.
    let reply = routine.reply.as_ref().expect("a routine has a reply");
    assert_eq!(word_of(reply, 2).sent, Some(17));
    assert!(checks_deallocate(reply, 1));
}

#[test]
fn complex_messages() {
    for (declaration, complex) in [
        ("type t = int", Complex::Never),
        ("type t = MACH_MSG_TYPE_PORT_NAME", Complex::Never),
        ("type t = mach_port_t", Complex::Always),
        ("type t = ool", Complex::Always),
        ("type t = array[] of char", Complex::Depends),
        ("type t = polymorphic", Complex::Depends),
        // The sender decides which right, but a right it is.
        ("type t = MACH_MSG_TYPE_PORT_SEND", Complex::Always),
    ] {
        assert_eq!(request(declaration, "gnu-x86_64").1.complex, complex, "{declaration}");
    }
}

#[test]
fn variable_data_has_no_fixed_offset_behind_it() {
    let source = format!(
        "{TYPES} type v = array[*:10] of char; simpleroutine r(p : mach_port_t; in a : v; in z : int);"
    );
    for (abi, min, max) in [("gnu-i386", 36, 48), ("gnu-x86_64", 56, 72)] {
        let interface = interface(&source, abi);
        let request = &interface.routines[0].request;
        assert_eq!((request.min_size, request.max_size), (min, max), "{abi}");
        let roles: Vec<_> = request.slots.iter().map(|slot| (slot.role, slot.offset.is_some())).collect();
        assert_eq!(
            roles[..6],
            [
                (SlotRole::Header, true),
                (SlotRole::Type, true),
                (SlotRole::Data, true),
                (SlotRole::Pad, false),
                (SlotRole::Type, false),
                (SlotRole::Data, false),
            ]
        );
    }
}

fn routine<'a>(interface: &'a Interface, name: &str) -> &'a Routine {
    interface.routines.iter().find(|routine| routine.name == name).expect("the routine is declared")
}

/// Prefixes and times hold for what follows them; the demux name for the whole file.
#[test]
fn statements_are_positional() {
    let source = format!(
        "{TYPES} serverdemux d; userprefix u_; serverprefix s_; waittime 500; msgoption MACH_SEND_TIMEOUT;
        routine one(p : mach_port_t); nowaittime; userprefix v_; msgoption MACH_MSG_OPTION_NONE;
        skip; routine two(p : mach_port_t); skip 3; routine three(p : mach_port_t); skip 2;"
    );
    let interface = interface(&source, "gnu-i386");
    assert_eq!(interface.demux, "d");
    let [one, two, three] = ["one", "two", "three"].map(|name| routine(&interface, name));
    assert_eq!((one.user.as_str(), one.server.as_str()), ("u_one", "s_one"));
    assert_eq!((two.user.as_str(), two.server.as_str()), ("v_two", "s_two"));
    assert_eq!((one.wait_time, two.wait_time), (Some(500), None));
    assert_eq!((one.msg_option, two.msg_option), (Some(0x10), Some(0)));
    assert_eq!((one.id, two.id, three.id, interface.end), (100, 102, 106, 109));
    assert_eq!(one.reply_id(), 200);
}

#[test]
fn the_demux_is_named_after_the_subsystem() {
    let interface = interface(&format!("{TYPES} simpleroutine a(p : mach_port_t);"), "gnu-i386");
    assert_eq!(interface.demux, "facts_server");
}

/// The first argument without a direction is the request port, wherever it stands.
#[test]
fn the_request_port() {
    let source = format!("{TYPES} routine r(in a : int; p : mach_port_t; b : int);");
    let interface = interface(&source, "gnu-i386");
    let routine = &interface.routines[0];
    assert_eq!(routine.request_port, 1);
    let roles: Vec<_> = routine.args.iter().map(|arg| arg.role).collect();
    assert_eq!(roles, [Role::In, Role::RequestPort, Role::In]);
}

/// A new name drops the C types and the translations of the old one, and keeps the rest.
#[test]
fn a_new_name_is_a_new_c_type() {
    let source = "subsystem s 1; type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
        type a = mach_port_t intran: x_t to_x(mach_port_t) outtran: mach_port_t from_x(x_t) destructor: drop_x(x_t);
        type b = a; type c = (MACH_MSG_TYPE_INTEGER_32, 32) cusertype: integer cservertype: c;
        routine r(p : a; in v : c); routine q(p : b);";
    let interface = interface(source, "gnu-x86_64");
    let a = &interface.routines[0].args[0].ty;
    assert_eq!(a.c.trans.as_deref(), Some("x_t"));
    assert_eq!(a.c.in_tran.as_deref(), Some("to_x"));
    assert_eq!(a.c.out_tran.as_deref(), Some("from_x"));
    assert_eq!(a.c.destructor.as_deref(), Some("drop_x"));
    assert_eq!(a.c.server.as_deref(), Some("mach_port_t"));
    let b = &interface.routines[1].args[0].ty;
    assert_eq!((b.name.as_deref(), &b.c), (Some("b"), &Default::default()));
    assert_eq!(b.kind, a.kind);
    // A C type that is the type's own name says nothing.
    let c = &interface.routines[0].args[1].ty.c;
    assert_eq!((c.user.as_deref(), c.server.as_deref()), (Some("integer"), None));
}

/// The value of a function stands after the return code, before the other results.
#[test]
fn a_function_of_cmu() {
    let source = "subsystem s 1; type int = MACH_MSG_TYPE_INTEGER_32; type p_t = MACH_MSG_TYPE_COPY_SEND;
        function f(p : p_t; out a : int) : int; simpleprocedure g(p : p_t);";
    let (interface, diagnostics) = analyze(source, "cmu-32");
    let interface = interface.unwrap_or_else(|| panic!("{diagnostics}"));
    assert_eq!(diagnostics.matches("warning[MIG0319]").count(), 2, "{diagnostics}");
    let function = routine(&interface, "f");
    assert_eq!(function.result, Some(0));
    let reply = function.reply.as_ref().expect("a function has a reply");
    let order: Vec<_> = data_slots(reply).iter().map(|slot| slot.arg).collect();
    assert_eq!(order, [Some(0), Some(2)]);
    assert!(routine(&interface, "g").reply.is_none());
}
