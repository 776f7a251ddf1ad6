//! The steps in which a stub writes and reads a message: the order of the C compilers' stubs, which is that
//! of the bytes.

mod common;

use common::interface;
use mig_codegen::model::{Message, MessageKind, Routine, Steps, TypedStep, UntypedStep};

/// The steps of a message in words.
fn steps(routine: &Routine, message: &Message) -> Vec<String> {
    let name = |arg: usize| routine.args[arg].name.as_str();
    let typed = |step: &TypedStep| match step {
        TypedStep::Value { arg, rest: Some(rest), .. } => {
            format!("value {}, {rest} bytes after it", name(*arg))
        }
        TypedStep::Value { arg, rest: None, .. } => format!("value {}", name(*arg)),
        TypedStep::Limit { arg, .. } => format!("limit {}", name(*arg)),
    };
    let untyped = |step: &UntypedStep| match step {
        UntypedStep::Descriptors(count) => format!("{count} descriptors"),
        UntypedStep::Right { arg, .. } => format!("right {}", name(*arg)),
        UntypedStep::Rights { arg, counted, .. } => format!("rights {}, counted: {counted}", name(*arg)),
        UntypedStep::Memory { arg, counted, .. } => format!("memory {}, counted: {counted}", name(*arg)),
        UntypedStep::Ndr => "NDR".to_owned(),
        UntypedStep::RetCode => "return code".to_owned(),
        UntypedStep::Count { arg } => format!("count {}", name(*arg)),
        UntypedStep::SameCount { arg, first } => format!("{} as many as {}", name(*arg), name(*first)),
        UntypedStep::Limit { arg } => format!("limit {}", name(*arg)),
        UntypedStep::Data { arg, .. } => format!("data {}", name(*arg)),
        UntypedStep::Parts { arg } => format!("parts {}", name(*arg)),
        UntypedStep::Subs { arg } => format!("subs {}", name(*arg)),
    };
    match &message.steps {
        Steps::Typed(steps) => steps.iter().map(typed).collect(),
        Steps::Untyped(steps) => steps.iter().map(untyped).collect(),
    }
}

/// The steps of the request and of the reply of the only routine.
fn both(types: &str, routine: &str, abi: &str) -> [Vec<String>; 2] {
    let source = format!("subsystem s 10; type p_t = MACH_MSG_TYPE_COPY_SEND; {types} {routine}");
    let interface = interface(&source, abi);
    let routine = &interface.routines[0];
    let reply = routine.reply.as_ref().unwrap();
    assert_eq!((routine.request.kind, reply.kind), (MessageKind::Request, MessageKind::Reply));
    [steps(routine, &routine.request), steps(routine, reply)]
}

#[test]
fn descriptors_come_first_and_counts_among_the_data() {
    let types = "type int = MACH_MSG_TYPE_INTEGER_32; type memory = ^array[] of MACH_MSG_TYPE_BYTE;
        type some = array[*:8] of int; type ports = array[2] of p_t;";
    let routine =
        "routine r(p : p_t; n : int; m : memory; q : p_t; qs : ports; out list : some, countinout);";
    let [request, reply] = both(types, routine, "osf-32");
    assert_eq!(
        request,
        [
            "4 descriptors",
            "memory m, counted: true",
            "right q",
            "rights qs, counted: false",
            "NDR",
            "data n",
            "count m",
            "limit list"
        ]
    );
    // A reply without rights or memory begins with its return code, whose NDR record the runtime writes
    // along.
    assert_eq!(reply, ["return code", "data list"]);
}

#[test]
fn what_shares_a_count_is_compared_after_it() {
    let types = "type int = MACH_MSG_TYPE_INTEGER_32; type memory = ^array[] of MACH_MSG_TYPE_BYTE; type some = array[*:8] of int;";
    let routine = "routine r(p : p_t; a : memory; b : memory, samecount; c : some, samecount);";
    let [request, _] = both(types, routine, "apple-64");
    assert_eq!(
        request,
        [
            "2 descriptors",
            "memory a, counted: true",
            "memory b, counted: true",
            "NDR",
            "count a",
            "b as many as a",
            "data c"
        ]
    );
}

#[test]
fn a_typed_message_is_its_arguments() {
    let types = "type some = array[*:8] of int;";
    let routine = "routine r(p : p_t; a : int; v : some; b : int; out list : some, countinout);";
    let [request, reply] = both(types, routine, "gnu-i386");
    // After `v`: the type words and values of `b` and of the limit, four bytes each.
    assert_eq!(request, ["value a", "value v, 16 bytes after it", "value b", "limit list"]);
    // The return code is the runtime's.
    assert_eq!(reply, ["value list, 0 bytes after it"]);
}
