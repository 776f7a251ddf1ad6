//! Sizes and offsets of an interface with one routine of each kind, as gcc printed them from the stubs of the
//! C compilers: GNU MIG for i386 (whose messages are those of CMU's), and GNU MIG for x86_64. Each line is
//! the size with every variable array at its maximum, then each field with its offset. For arrays whose size
//! is not a multiple of a pointer, followed by another argument, the C structures are too large; there the
//! numbers are those of the bytes on the wire.

mod common;

use common::KITCHEN_SINK;
use mig_codegen::model::{Interface, Message, Routine, SlotRole};

/// Routine, then request and reply on i386, request and reply on x86_64.
const EXPECTED: &[(&str, &str, &str, &str, &str)] = &[
    (
        "r_scalar",
        "60: aType@24 a@28 bType@32 b@36 cType@40 c@44 eType@52 e@56",
        "52: RetCodeType@24 RetCode@28 dType@32 d@36 eType@44 e@48",
        "96: aType@32 a@40 bType@48 b@56 cType@64 c@72 eType@80 e@88",
        "80: RetCodeType@32 RetCode@40 dType@48 d@56 eType@64 e@72",
    ),
    (
        "r_fix",
        "48: aType@24 a@28 bType@36 b@40",
        "56: RetCodeType@24 RetCode@28 cType@32 c@36 dType@44 d@48",
        "64: aType@32 a@40 bType@48 b@56",
        "80: RetCodeType@32 RetCode@40 cType@48 c@56 dType@64 d@72",
    ),
    (
        "r_vin",
        "48: aType@24 a@28 zType@40 z@44",
        "32: RetCodeType@24 RetCode@28",
        "72: aType@32 a@40 zType@56 z@64",
        "48: RetCodeType@32 RetCode@40",
    ),
    (
        "r_vin2",
        "76: aType@24 a@28 bType@40 b@44 zType@68 z@72",
        "32: RetCodeType@24 RetCode@28",
        "104: aType@32 a@40 bType@56 b@64 zType@88 z@96",
        "48: RetCodeType@32 RetCode@40",
    ),
    (
        "r_vout",
        "24:",
        "68: RetCodeType@24 RetCode@28 aType@32 a@36 zType@60 z@64",
        "32:",
        "96: RetCodeType@32 RetCode@40 aType@48 a@56 zType@80 z@88",
    ),
    (
        "r_vout2",
        "32: aCntType@24 aCnt@28",
        "88: RetCodeType@24 RetCode@28 aType@32 a@36 bType@52 b@56 zType@80 z@84",
        "48: aCntType@32 aCnt@40",
        "120: RetCodeType@32 RetCode@40 aType@48 a@56 bType@72 b@80 zType@104 z@112",
    ),
    (
        "r_indef_in",
        "2092: aType@24 a@36 zType@2084 z@2088",
        "32: RetCodeType@24 RetCode@28",
        "2104: aType@32 a@40 zType@2088 z@2096",
        "48: RetCodeType@32 RetCode@40",
    ),
    (
        "r_indef_out",
        "24:",
        "2100: RetCodeType@24 RetCode@28 aType@32 a@44 zType@2092 z@2096",
        "32:",
        "2120: RetCodeType@32 RetCode@40 aType@48 a@56 zType@2104 z@2112",
    ),
    (
        "r_ool",
        "72: aType@24 a@36 bType@40 b@52 cType@56 c@68",
        "48: RetCodeType@24 RetCode@28 dType@32 d@44",
        "80: aType@32 a@40 bType@48 b@56 cType@64 c@72",
        "64: RetCodeType@32 RetCode@40 dType@48 d@56",
    ),
    (
        "r_oolp",
        "40: aType@24 a@36",
        "48: RetCodeType@24 RetCode@28 bType@32 b@44",
        "48: aType@32 a@40",
        "64: RetCodeType@32 RetCode@40 bType@48 b@56",
    ),
    (
        "r_port",
        "32: aType@24 a@28",
        "40: RetCodeType@24 RetCode@28 bType@32 b@36",
        "48: aType@32 a@40",
        "64: RetCodeType@32 RetCode@40 bType@48 b@56",
    ),
    (
        "r_poly",
        "32: aType@24 a@28",
        "40: RetCodeType@24 RetCode@28 bType@32 b@36",
        "48: aType@32 a@40",
        "64: RetCodeType@32 RetCode@40 bType@48 b@56",
    ),
    (
        "r_strs",
        "72: aType@24 a@28 bType@48 b@52",
        "80: RetCodeType@24 RetCode@28 cType@32 c@36 dType@56 d@60",
        "96: aType@32 a@40 bType@64 b@72",
        "112: RetCodeType@32 RetCode@40 cType@48 c@56 dType@80 d@88",
    ),
    ("s_none", "24:", "", "32:", ""),
    ("r_none", "24:", "32: RetCodeType@24 RetCode@28", "32:", "48: RetCodeType@32 RetCode@40"),
    (
        "r_reqpoly",
        "32: aType@24 a@28",
        "32: RetCodeType@24 RetCode@28",
        "48: aType@32 a@40",
        "48: RetCodeType@32 RetCode@40",
    ),
    (
        "r_vports",
        "40: aType@24 a@28",
        "48: RetCodeType@24 RetCode@28 bType@32 b@36",
        "64: aType@32 a@40",
        "80: RetCodeType@32 RetCode@40 bType@48 b@56",
    ),
];

#[test]
fn sizes_and_offsets_are_those_of_the_c_stubs() {
    let i386 = common::interface(KITCHEN_SINK, "gnu-i386");
    let x86_64 = common::interface(KITCHEN_SINK, "gnu-x86_64");
    common::check_invariants(&i386);
    common::check_invariants(&x86_64);
    assert_eq!(i386.routines.len(), EXPECTED.len());
    for (index, &(name, request32, reply32, request64, reply64)) in EXPECTED.iter().enumerate() {
        for (interface, request, reply) in [(&i386, request32, reply32), (&x86_64, request64, reply64)] {
            let routine = &interface.routines[index];
            assert_eq!(routine.name, name);
            assert_eq!(routine.id, 5000 + index as u32);
            let context = format!("{name} on {}", interface.abi.name());
            assert_eq!(fields(interface, routine, &routine.request), request, "request of {context}");
            let got =
                routine.reply.as_ref().map(|message| fields(interface, routine, message)).unwrap_or_default();
            assert_eq!(got, reply, "reply of {context}");
        }
    }
}

/// CMU's compiler gives the same messages; it has no built-in types, and so no `int`.
#[test]
fn cmu_messages_are_those_of_gnu_on_i386() {
    let types = "type char = MACH_MSG_TYPE_CHAR; type short = MACH_MSG_TYPE_INTEGER_16;
        type int = MACH_MSG_TYPE_INTEGER_32; type int64 = MACH_MSG_TYPE_INTEGER_64;";
    let cmu = common::interface(&format!("{types}{KITCHEN_SINK}"), "cmu-32");
    let gnu = common::interface(KITCHEN_SINK, "gnu-i386");
    for (cmu, gnu) in cmu.routines.iter().zip(&gnu.routines) {
        assert_eq!(cmu.request, gnu.request);
        assert_eq!(cmu.reply, gnu.reply);
    }
}

/// A message as the tables above show it, with the names of the fields in the C structures.
fn fields(interface: &Interface, routine: &Routine, message: &Message) -> String {
    let mut text = format!("{}:", message.max_size);
    let mut at = 0;
    let mut count = false;
    for (index, slot) in message.slots.iter().enumerate() {
        if let Some(offset) = slot.offset {
            assert_eq!(offset, at, "a fixed offset is where the slots before it end");
        }
        let arg = slot.arg.map_or("RetCode", |index| &routine.args[index].name);
        match slot.role {
            SlotRole::Header => assert_eq!(index, 0),
            SlotRole::Type => {
                count = message.slots.get(index + 1).is_some_and(|next| next.role == SlotRole::Count);
                text += &format!(" {arg}{}Type@{at}", if count { "Cnt" } else { "" });
            }
            SlotRole::Data | SlotRole::RetCode => text += &format!(" {arg}@{at}"),
            SlotRole::Count => {
                assert!(count);
                text += &format!(" {arg}Cnt@{at}");
            }
            SlotRole::Pad => {}
            role => panic!("{role:?} in a typed message"),
        }
        let alignment = interface.abi.facts.alignment as u32;
        at = match (slot.role, slot.size, slot.max) {
            (SlotRole::Pad, None, _) => at.next_multiple_of(alignment),
            (_, Some(size), _) => at + size,
            (_, None, max) => at + max.expect("a counted slot has a bound"),
        };
    }
    assert_eq!(at, message.max_size, "the slots at their bounds fill the message");
    text
}
