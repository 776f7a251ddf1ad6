//! The same interface as in `kitchen_sink.rs`, for the untyped ABIs: as gcc printed it from the stubs of
//! OSF's compiler for i386 and of Apple's for 64 bits. Each line is the size with every variable array at its
//! maximum, then each field with its offset.

mod common;

use common::KITCHEN_SINK;
use mig_codegen::model::{Message, Routine, SlotRole};

/// Routine, then request and reply of OSF's, request and reply of Apple's.
const EXPECTED: &[(&str, &str, &str, &str, &str)] = &[
    (
        "r_scalar",
        "52: NDR@24 a@32 b@36 c@40 e@48",
        "48: NDR@24 RetCode@32 d@36 e@44",
        "52: NDR@24 a@32 b@36 c@40 e@48",
        "48: NDR@24 RetCode@32 d@36 e@44",
    ),
    (
        "r_fix",
        "48: NDR@24 a@32 b@40",
        "52: NDR@24 RetCode@32 c@36 d@44",
        "48: NDR@24 a@32 b@40",
        "52: NDR@24 RetCode@32 c@36 d@44",
    ),
    (
        "r_vin",
        "52: NDR@24 aCnt@32 a@36 z@48",
        "36: NDR@24 RetCode@32",
        "52: NDR@24 aCnt@32 a@36 z@48",
        "36: NDR@24 RetCode@32",
    ),
    (
        "r_vin2",
        "80: NDR@24 aCnt@32 a@36 bCnt@48 b@52 z@76",
        "36: NDR@24 RetCode@32",
        "80: NDR@24 aCnt@32 a@36 bCnt@48 b@52 z@76",
        "36: NDR@24 RetCode@32",
    ),
    (
        "r_vout",
        "24:",
        "68: NDR@24 RetCode@32 aCnt@36 a@40 z@64",
        "24:",
        "68: NDR@24 RetCode@32 aCnt@36 a@40 z@64",
    ),
    (
        "r_vout2",
        "36: NDR@24 aCnt@32",
        "88: NDR@24 RetCode@32 aCnt@36 a@40 bCnt@56 b@60 z@84",
        "36: NDR@24 aCnt@32",
        "88: NDR@24 RetCode@32 aCnt@36 a@40 bCnt@56 b@60 z@84",
    ),
    (
        "r_indef_in",
        "56: msgh_body@24 a@28 NDR@40 aCnt@48 z@52",
        "36: NDR@24 RetCode@32",
        "60: msgh_body@24 a@28 NDR@44 aCnt@52 z@56",
        "36: NDR@24 RetCode@32",
    ),
    (
        "r_indef_out",
        "24:",
        "56: msgh_body@24 a@28 NDR@40 aCnt@48 z@52",
        "24:",
        "60: msgh_body@24 a@28 NDR@44 aCnt@52 z@56",
    ),
    (
        "r_ool",
        "84: msgh_body@24 a@28 b@40 c@52 NDR@64 aCnt@72 bCnt@76 cCnt@80",
        "52: msgh_body@24 d@28 NDR@40 dCnt@48",
        "96: msgh_body@24 a@28 b@44 c@60 NDR@76 aCnt@84 bCnt@88 cCnt@92",
        "56: msgh_body@24 d@28 NDR@44 dCnt@52",
    ),
    (
        "r_oolp",
        "52: msgh_body@24 a@28 NDR@40 aCnt@48",
        "52: msgh_body@24 b@28 NDR@40 bCnt@48",
        "56: msgh_body@24 a@28 NDR@44 aCnt@52",
        "56: msgh_body@24 b@28 NDR@44 bCnt@52",
    ),
    (
        "r_port",
        "40: msgh_body@24 a@28",
        "40: msgh_body@24 b@28",
        "40: msgh_body@24 a@28",
        "40: msgh_body@24 b@28",
    ),
    (
        "r_poly",
        "40: msgh_body@24 a@28",
        "40: msgh_body@24 b@28",
        "40: msgh_body@24 a@28",
        "40: msgh_body@24 b@28",
    ),
    (
        "r_strs",
        "80: NDR@24 a@32 bOffset@52 bCnt@56 b@60",
        "84: NDR@24 RetCode@32 c@36 dOffset@56 dCnt@60 d@64",
        "80: NDR@24 a@32 bOffset@52 bCnt@56 b@60",
        "84: NDR@24 RetCode@32 c@36 dOffset@56 dCnt@60 d@64",
    ),
    ("s_none", "24:", "", "24:", ""),
    ("r_none", "24:", "36: NDR@24 RetCode@32", "24:", "36: NDR@24 RetCode@32"),
    ("r_reqpoly", "36: NDR@24 a@32", "36: NDR@24 RetCode@32", "36: NDR@24 a@32", "36: NDR@24 RetCode@32"),
    (
        "r_vports",
        "76: msgh_body@24 a@28 NDR@64 aCnt@72",
        "76: msgh_body@24 b@28 NDR@64 bCnt@72",
        "76: msgh_body@24 a@28 NDR@64 aCnt@72",
        "76: msgh_body@24 b@28 NDR@64 bCnt@72",
    ),
];

#[test]
fn sizes_and_offsets_are_those_of_the_c_stubs() {
    let [osf, apple] = ["osf-32", "apple-64"].map(untyped);
    for (index, &(name, osf_request, osf_reply, request, reply)) in EXPECTED.iter().enumerate() {
        for (interface, request, reply) in [(&osf, osf_request, osf_reply), (&apple, request, reply)] {
            let routine = &interface.routines[index];
            assert_eq!(routine.name, name);
            let context = format!("{name} on {}", interface.abi.name());
            assert_eq!(fields(routine, &routine.request), request, "request of {context}");
            let got = routine.reply.as_ref().map(|message| fields(routine, message)).unwrap_or_default();
            assert_eq!(got, reply, "reply of {context}");
        }
    }
    assert_eq!(osf.routines.len(), EXPECTED.len());
}

/// Both have four-byte addresses, and nothing else in a layout differs.
#[test]
fn apple_messages_of_32_bits_are_laid_out_as_osf_ones() {
    let [osf, apple] = ["osf-32", "apple-32"].map(untyped);
    for (osf, apple) in osf.routines.iter().zip(&apple.routines) {
        assert_eq!(osf.request, apple.request);
        assert_eq!(osf.reply, apple.reply);
    }
}

fn untyped(abi: &str) -> mig_codegen::model::Interface {
    let types = "type char = MACH_MSG_TYPE_CHAR; type short = MACH_MSG_TYPE_INTEGER_16;
        type int = MACH_MSG_TYPE_INTEGER_32; type int64 = MACH_MSG_TYPE_INTEGER_64;";
    common::interface(&format!("{types}{KITCHEN_SINK}"), abi)
}

/// A message as the table above shows it, with the names of the fields in the C structures.
fn fields(routine: &Routine, message: &Message) -> String {
    let mut text = format!("{}:", message.max_size);
    let mut at = 0u32;
    let mut last = None;
    for slot in &message.slots {
        if let Some(offset) = slot.offset {
            assert_eq!(offset, at, "a fixed offset is where the slots before it end");
        }
        let arg = slot.arg.map_or("", |index| &routine.args[index].name);
        let name = match slot.role {
            SlotRole::Header | SlotRole::Pad => String::new(),
            SlotRole::BodyCount => "msgh_body".to_owned(),
            SlotRole::Ndr => "NDR".to_owned(),
            SlotRole::RetCode => "RetCode".to_owned(),
            SlotRole::Count => format!("{arg}Cnt"),
            SlotRole::Offset => format!("{arg}Offset"),
            // An array of rights is one field, of as many descriptors.
            SlotRole::Port if last == slot.arg => String::new(),
            SlotRole::Data | SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts => arg.to_owned(),
            role => panic!("{role:?} in an untyped message"),
        };
        if !name.is_empty() {
            text += &format!(" {name}@{at}");
        }
        last = slot.arg;
        at = match (slot.role, slot.size, slot.max) {
            (SlotRole::Pad, None, _) => at.next_multiple_of(4),
            (_, Some(size), _) => at + size,
            (_, None, max) => at + max.expect("a counted slot has a bound"),
        };
    }
    assert_eq!(at, message.max_size, "the slots at their bounds fill the message");
    text
}

/// An array of rights has a descriptor for each that there could be, so it may go both ways: both messages
/// are those of `r_vports`, which has one `in` and one `out`.
#[test]
fn a_bounded_array_of_rights_goes_both_ways() {
    let source = "type mach_port_t = MACH_MSG_TYPE_COPY_SEND; type vports3 = array[*:3] of mach_port_t;
        subsystem s 5000; routine r_both(p : mach_port_t; inout a : vports3);";
    for abi in ["osf-32", "apple-64"] {
        let interface = common::interface(source, abi);
        let routine = &interface.routines[0];
        assert_eq!(fields(routine, &routine.request), "76: msgh_body@24 a@28 NDR@64 aCnt@72", "{abi}");
        let reply = routine.reply.as_ref().unwrap();
        assert_eq!(fields(routine, reply), "76: msgh_body@24 a@28 NDR@64 aCnt@72", "{abi}");
    }
}
