//! Mach 2.5: sizes, ids and type words that stand in stubs which its own MIG wrote, as they are published in
//! NeXT's and OSF/1's sources, and the facts of its `message.h`.

mod common;

use common::{analyze, interface};
use mig_codegen::table::AbiTable;

const TYPES: &str = "
    type int = MSG_TYPE_INTEGER_32;
    type char = MSG_TYPE_CHAR;
    type boolean_t = MSG_TYPE_BOOLEAN;
    type port_t = MSG_TYPE_PORT;
    type port_all_t = MSG_TYPE_PORT_ALL;
    type port_array_t = ^array[] of port_t;
    type pointer_t = ^array[] of MSG_TYPE_BYTE;
    type vm_offset_t = int;
";

/// Name, id, and sizes of the request and of the reply.
fn sizes(source: &str) -> Vec<(String, u32, u32, Option<u32>)> {
    let interface = interface(&format!("{TYPES}{source}"), "mach-25");
    let size = |min: u32, max: u32| {
        assert_eq!(min, max);
        max
    };
    let routines = AbiTable::of(&interface).routines.into_iter().map(|routine| {
        let reply = routine.reply.map(|reply| size(reply.min_size, reply.max_size));
        (routine.name, routine.id, size(routine.request.min_size, routine.request.max_size), reply)
    });
    routines.collect()
}

/// The numbers that a receiver finds in the type words of a request.
fn names(source: &str) -> Vec<u64> {
    let interface = interface(&format!("{TYPES}{source}"), "mach-25");
    let slots = AbiTable::of(&interface).routines.remove(0).request.slots;
    let checks = slots.into_iter().flat_map(|slot| slot.check);
    checks.filter(|check| check.field == "name").map(|check| check.value).collect()
}

#[test]
fn messages_have_the_sizes_of_the_stubs() {
    // The external pager's interface, stubs in C of 1990: both requests have 56 bytes.
    let pager = sizes(
        "subsystem pager_default 2250;
        simpleroutine pager_create(old : port_t; new : port_all_t; request : port_t; name : port_t; page : vm_offset_t);
        simpleroutine pager_data_initialize(pager : port_t; request : port_t; offset : vm_offset_t; data : pointer_t);",
    );
    assert_eq!(
        pager,
        [("pager_create".into(), 2250, 56, None), ("pager_data_initialize".into(), 2251, 56, None),]
    );
    // A log of the network server: two arrays out of line in the reply, which has 64 bytes.
    let log = sizes(
        "type log_ptr_t = ^array[] of (MSG_TYPE_UNSTRUCTURED, 32);
        subsystem logstat 1200;
        routine ls_sendlog(server : port_t; out old : log_ptr_t; out current : log_ptr_t);",
    );
    assert_eq!(log, [("ls_sendlog".into(), 1200, 24, Some(64))]);
    // A string of 256 bytes as one value: a long type word, 300 bytes.
    let simple = sizes(
        "type simple_msg_t = (MSG_TYPE_STRING, 8*256);
        subsystem simple 101;
        routine simple_get(simple : port_t; out string : simple_msg_t);",
    );
    assert_eq!(simple, [("simple_get".into(), 101, 24, Some(24 + 8 + 12 + 256))]);
    // `host_slot` of a task: eight integers in one value, 68 bytes.
    let slot = sizes(
        "type machine_slot_data_t = struct[8] of int;
        subsystem mach 2048;
        routine cpu_slot(task : port_t; slot : int; out info : machine_slot_data_t);",
    );
    assert_eq!(slot, [("cpu_slot".into(), 2048, 32, Some(68))]);
    // The bootstrap server hands out all rights to a port: 40 bytes.
    let bootstrap = sizes(
        "subsystem bootstrap 400;
        routine service_checkin(request : port_t; desired : port_t; out granted : port_t = MSG_TYPE_PORT_ALL);",
    );
    assert_eq!(bootstrap, [("service_checkin".into(), 400, 32, Some(40))]);
}

#[test]
fn an_error_reply_is_a_death_pill_of_32_bytes() {
    let interface = interface(&format!("{TYPES} subsystem s 1; routine f(p : port_t);"), "mach-25");
    assert_eq!(AbiTable::of(&interface).error_reply_size, 32);
    let facts = interface.abi.facts;
    // `msg_simple`, `msg_size`, `msg_type`, `msg_local_port`, `msg_remote_port`, `msg_id`: a word each.
    assert_eq!((facts.local_port, facts.remote_port, facts.id, facts.header), (12, 16, 20, 24));
}

#[test]
fn type_words_have_the_numbers_of_its_header() {
    let all = "subsystem s 1;
        type short = MSG_TYPE_INTEGER_16; type byte = MSG_TYPE_BYTE; type int8 = MSG_TYPE_INTEGER_8;
        type real = (MSG_TYPE_REAL, 32); type text = (MSG_TYPE_STRING, 80); type text_c = (MSG_TYPE_STRING_C, 80);
        type name = MSG_TYPE_PORT_NAME; type internal = MSG_TYPE_INTERNAL_MEMORY; type bit = (MSG_TYPE_UNSTRUCTURED, 32);
        type number = (6, 32); type number_all = (5, 32); type poly = polymorphic;
        simpleroutine f(p : port_t; a : boolean_t; b : short; c : int; d : port_all_t; e : port_t; f : char;
            g : byte; h : int8; i : real; j : text; k : text_c; l : name; m : internal; n : bit; o : number;
            q : number_all; r : port_array_t; s : poly);";
    assert_eq!(names(all), [0, 1, 2, 5, 6, 8, 9, 9, 10, 12, 12, 15, 9, 0, 6, 5, 6]);
}

/// The bootstrap server's `service_checkin` of 1989 and the environment manager's connections: the numbers
/// stand in `message.h`, which calls them obsolete.
#[test]
fn the_halves_of_a_right_are_rights() {
    let source = "subsystem s 1;
        simpleroutine f(p : port_t; a : port_t = MSG_TYPE_PORT_RECEIVE; b : port_t = MSG_TYPE_PORT_OWNERSHIP;
            c : port_t = (3, 32));";
    assert_eq!(names(source), [4, 3, 3]);
    let interface = interface(&format!("{TYPES}{source}"), "mach-25");
    assert_eq!(interface.routines[0].request.complex, mig_codegen::model::Complex::Always);
    let text = mig_codegen::table::abi_text(&interface);
    assert!(text.contains("port, receive") && text.contains("port, ownership"), "{text}");
}

/// `memory_object_terminate`, whose server of 1990 compares both type words with the deallocate bit set: so
/// the kernel gives up its rights.
#[test]
fn a_right_that_is_given_up_has_the_deallocate_bit() {
    let source = "subsystem memory_object 2200;
        simpleroutine memory_object_terminate(memory_object : port_t; memory_control : port_t = port_all_t, dealloc;
            memory_object_name : port_t = port_all_t, dealloc; kept : port_t);";
    let (interface, said) = analyze(&format!("{TYPES}{source}"), "mach-25");
    assert_eq!(said, "");
    let slots = AbiTable::of(&interface.unwrap()).routines.remove(0).request.slots;
    let checks = slots.into_iter().flat_map(|slot| slot.check);
    let bits: Vec<_> = checks.filter(|check| check.field == "deallocate").map(|check| check.value).collect();
    assert_eq!(bits, [1, 1, 0]);
}

#[test]
fn its_words_are_no_others() {
    let routine = "subsystem s 1; msgtype MSG_TYPE_ENCRYPTED; type p_t = MSG_TYPE_PORT;
        type int = MSG_TYPE_INTEGER_32;
        routine f(p : p_t; msgtype t : int; in a : int); msgoption SEND_SWITCH; procedure g(p : p_t);";
    let (interface, said) = analyze(routine, "mach-25");
    assert_eq!(said, "");
    // What the header says is no part of the body.
    assert_eq!(interface.unwrap().routines[0].args.len(), 2);

    let (_, said) = analyze(routine, "cmu-32");
    assert!(said.contains("CMU MIG does not know `msgtype`"), "{said}");
    assert!(said.contains("compile such a file with `--abi mach-25`"), "{said}");
    let (_, said) = analyze("subsystem s 1; type p_t = MACH_MSG_TYPE_COPY_SEND;", "mach-25");
    assert!(said.contains("compile such a file with `--abi cmu-32`"), "{said}");
    // The early Mach 3 had a field for it, where the sequence number is now.
    let kind = "subsystem s 1; type p_t = MACH_MSG_TYPE_COPY_SEND; type int = MACH_MSG_TYPE_INTEGER_32;
        msgkind MACH_MSGH_KIND_NORMAL; routine f(p : p_t; msgkind k : int);";
    let (interface, said) = analyze(kind, "cmu-32");
    assert!(interface.is_some(), "{said}");
    assert!(said.contains("`msgkind` has no effect in CMU MIG"), "{said}");
    assert!(analyze(kind, "gnu-i386-2021").1.contains("does not know `msgkind`"));
}

/// NeXT's MIG knew a time to send: stubs of a driver give each half of `msg_rpc` its own, and `msg_send` one.
#[test]
fn a_call_has_a_time_for_each_half() {
    let text = "subsystem dsp 500; type p_t = MSG_TYPE_PORT; waittime 5000; sendtime 700;
        routine f(p : p_t); simpleroutine g(p : p_t); nosendtime; simpleroutine h(p : p_t);";
    let (interface, said) = analyze(text, "mach-25");
    assert_eq!(said, "");
    let routines = interface.unwrap().routines;
    let times: Vec<_> = routines.iter().map(|routine| (routine.send_time, routine.wait_time)).collect();
    assert_eq!(times, [(Some(700), Some(5000)), (Some(700), None), (None, None)]);
    assert!(analyze("subsystem s 1; sendtime 7;", "cmu-32").1.contains("does not know `sendtime`"));
}

/// The stubs of that driver: an address under a short type word, whose number is always 2048, and which the
/// server compares.
#[test]
fn data_of_fixed_size_out_of_line_comes_whole() {
    let page = "type page_t = ^array[2048] of int; subsystem dsp 525;
        simpleroutine put_page(p : port_t; owner : port_t; page : page_t; tag : int; started : boolean_t;
            completed : boolean_t; reply : port_t; unit : int);";
    let text = format!("{TYPES}{page}");
    let (interface, said) = analyze(&text, "mach-25");
    assert_eq!(said, "");
    let mut table = AbiTable::of(&interface.unwrap());
    let request = table.routines.remove(0).request;
    assert_eq!((request.min_size, request.max_size), (80, 80));
    let checks = request.slots.into_iter().flat_map(|slot| slot.check);
    assert_eq!(checks.filter(|check| check.field == "number").nth(1).unwrap().value, 2048);
}

#[test]
fn a_subsystem_of_the_kernel_may_be_called_kernel() {
    let (interface, said) = analyze(
        "subsystem kernel kernel 7; type kernel = MSG_TYPE_PORT; routine f(kernel : kernel);",
        "mach-25",
    );
    let interface = interface.unwrap_or_else(|| panic!("{said}"));
    assert!(interface.kernel_server && interface.name == "kernel");
    let text = "subsystem kernel 7; type p_t = MACH_MSG_TYPE_COPY_SEND; routine f(kernel : p_t);";
    let (interface, said) = analyze(text, "gnu-i386");
    assert_eq!(interface.unwrap_or_else(|| panic!("{said}")).name, "kernel");
}

#[test]
fn rust_gets_stubs() {
    let text = format!("{TYPES} subsystem s 7; routine f(p : port_t; a : port_t, dealloc; b : port_t);");
    let input = mig_codegen::Input::Text { name: "s.defs", text: text.as_bytes() };
    let rust = mig_codegen::Config::new().abi("mach-25").text(input).unwrap().value;
    assert!(rust.contains("pub type Abi = rt::abi::Mach25;"), "{rust}");
    // What its sender gives up it passes by value.
    assert!(rust.contains("a: rt::SendRight<K>,") && rust.contains("b: &rt::SendRight<K>,"), "{rust}");
}

/// A half moves as the whole does, under a number of its own; no array in Rust has such numbers.
#[test]
fn halves_of_rights_are_receive_rights() {
    let rust = |text: &str| {
        let text = format!("{TYPES} subsystem s 7; type half_t = MSG_TYPE_PORT_OWNERSHIP; {text}");
        let input = mig_codegen::Input::Text { name: "s.defs", text: text.as_bytes() };
        mig_codegen::Config::new().abi("mach-25").text(input).unwrap().value
    };
    let one = rust("routine f(p : port_t; a : half_t; out b : port_t = MSG_TYPE_PORT_RECEIVE);");
    assert!(one.contains("a: rt::ReceiveRight<K>") && one.contains(".half(3, a);"), "{one}");
    assert!(one.contains(".half(4)?"), "{one}");
    let many = rust("type two_t = array[2] of half_t; routine f(p : port_t; a : two_t);");
    assert!(many.contains("pub const F: i32 = 7;") && !many.contains("mig_runtime"), "{many}");
}
