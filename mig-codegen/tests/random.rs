//! Any declarations, sensible or not: no panic, and what is accepted has messages that fit together.

mod common;

use proptest::prelude::*;

/// A number that matters: small, or at the edge of a field or of a message.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        0..40u32,
        prop::sample::select(vec![
            255,
            256,
            4095,
            4096,
            65_535,
            65_536,
            1 << 24,
            1 << 28,
            (1 << 31) - 1,
            1 << 31,
            u32::MAX,
        ]),
    ]
}

/// `type tN = …`, of earlier types and numbers.
fn declaration(index: usize) -> impl Strategy<Value = String> {
    let earlier = move || prop_oneof![(0..=index).prop_map(|n| format!("t{n}")), Just("int".to_owned())];
    let basic = prop::sample::select(vec![
        "MACH_MSG_TYPE_COPY_SEND",
        "MACH_MSG_TYPE_PORT_SEND",
        "MACH_MSG_TYPE_MAKE_SEND_ONCE",
        "MACH_MSG_TYPE_INTEGER_64",
        "MACH_MSG_TYPE_BYTE",
        "MACH_MSG_TYPE_MOVE_RECEIVE|MACH_MSG_TYPE_PORT_SEND",
        "polymorphic",
        "7",
    ]);
    let spec = prop_oneof![
        basic.prop_map(str::to_owned),
        earlier(),
        number().prop_map(|bits| format!("(MACH_MSG_TYPE_UNSTRUCTURED, {bits})")),
        number().prop_map(|bits| format!("(MACH_MSG_TYPE_STRING, {bits}, islong)")),
        (number(), earlier()).prop_map(|(n, t)| format!("array[{n}] of {t}")),
        (number(), earlier()).prop_map(|(n, t)| format!("struct[{n}] of {t}")),
        (number(), earlier()).prop_map(|(n, t)| format!("array[*:{n}] of {t}")),
        earlier().prop_map(|t| format!("array[] of {t}")),
        earlier().prop_map(|t| format!("^array[] of {t}")),
        earlier().prop_map(|t| format!("^{t}")),
        number().prop_map(|n| format!("c_string[{n}]")),
        number().prop_map(|n| format!("c_string[*:{n}]")),
        (earlier(), earlier()).prop_map(|(a, b)| format!("struct {{ {a} x; {b} y; }}")),
    ];
    spec.prop_map(move |spec| format!("type t{} = {spec};\n", index + 1))
}

/// `direction aN : tM, flag`
fn argument(index: usize) -> impl Strategy<Value = String> {
    let direction = prop::sample::select(vec!["in", "in", "out", "inout", "", "replyport", "msgseqno"]);
    let flag = prop::sample::select(vec![
        "",
        "",
        ", dealloc",
        ", dealloc[]",
        ", countinout",
        ", servercopy",
        ", islong",
        ", isnotlong",
    ]);
    (direction, 0..12usize, flag)
        .prop_map(move |(direction, ty, flag)| format!("; {direction} a{index} : t{ty}{flag}"))
}

fn source() -> impl Strategy<Value = String> {
    let types: Vec<_> = (0..12).map(declaration).collect();
    let arguments: Vec<_> = (0..4).map(argument).collect();
    let routine = (prop::bool::ANY, arguments);
    (types, prop::collection::vec(routine, 8)).prop_map(|(types, routines)| {
        let mut text = "subsystem s 1;\ntype int32 = MACH_MSG_TYPE_INTEGER_32;\n\
            type port = MACH_MSG_TYPE_COPY_SEND;\ntype t0 = char;\n"
            .to_owned();
        text.extend(types);
        for (index, (simple, arguments)) in routines.into_iter().enumerate() {
            let keyword = if simple { "simpleroutine" } else { "routine" };
            text += &format!("{keyword} r{index}(server : port{});\n", arguments.concat());
        }
        text
    })
}

/// The statements that have no error of their own: without the others, most files would have none left to
/// look at.
fn without_errors(source: &str, abi: &str) -> String {
    let mut kept = String::new();
    for line in source.lines() {
        let longer = format!("{kept}{line}\n");
        if !common::analyze(&longer, abi).1.contains("error[") {
            kept = longer;
        }
    }
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_accepted_fits_together(source in source()) {
        for abi in ["gnu-i386", "gnu-x86_64"] {
            let kept = without_errors(&source, abi);
            let (interface, said) = common::analyze(&kept, abi);
            let interface = interface.unwrap_or_else(|| panic!("{said}"));
            common::check_invariants(&interface);
        }
    }
}
