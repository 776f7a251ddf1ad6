//! The layout of `memory_object_default` as gcc printed it from the C stubs, and the JSON that programs read.

mod common;

use common::{data_slots, file, word_of};
use mig_codegen::model::{Complex, Dealloc, Interface};
use mig_codegen::table::{AbiTable, abi_json};
use mig_codegen::{Config, Input};
use serde_json::{Value, json};

const FILE: &str = "gnu/mach/memory_object_default.defs";

/// Offset of the data of each argument with a place in the request.
fn offsets(interface: &Interface, routine: usize) -> Vec<(&str, u32)> {
    let routine = &interface.routines[routine];
    data_slots(&routine.request)
        .into_iter()
        .map(|slot| {
            let arg = &routine.args[slot.arg.expect("data belongs to an argument")];
            (arg.name.as_str(), slot.offset.expect("nothing here is variable"))
        })
        .collect()
}

#[test]
fn offsets_are_those_of_the_c_stubs() {
    for (abi, create, create_size, initialize, initialize_size) in [
        ("gnu-i386", [28, 36, 44, 52, 60], 64, [28, 36, 52], 56),
        ("gnu-x86_64", [40, 56, 72, 88, 104], 112, [40, 56, 72], 80),
        ("gnu-x86_64-2022", [36, 44, 56, 64, 72], 80, [36, 44, 64], 72),
    ] {
        let interface = file(FILE, abi, &[]);
        assert_eq!((interface.name.as_str(), interface.base), ("memory_object_default", 2250));
        assert_eq!(interface.end, 2253, "the id after data_initialize is skipped");
        let [first, second] = interface.routines.as_slice() else { panic!("two routines") };
        assert_eq!((first.name.as_str(), first.id), ("memory_object_create", 2250));
        assert_eq!((second.name.as_str(), second.id), ("memory_object_data_initialize", 2251));
        assert!(first.reply.is_none() && second.reply.is_none(), "nobody answers a kernel");

        let at: Vec<_> = offsets(&interface, 0).into_iter().map(|(_, offset)| offset).collect();
        assert_eq!(at, create, "{abi}");
        assert_eq!((first.request.min_size, first.request.max_size), (create_size, create_size));
        let at: Vec<_> = offsets(&interface, 1).into_iter().map(|(_, offset)| offset).collect();
        assert_eq!(at, initialize, "{abi}");
        assert_eq!((second.request.min_size, second.request.max_size), (initialize_size, initialize_size));
        assert_eq!((first.request.complex, second.request.complex), (Complex::Always, Complex::Always));
    }
}

#[test]
fn rights_are_moved_and_made() {
    let interface = file(FILE, "gnu-x86_64", &[]);
    let create = &interface.routines[0];
    let sent: Vec<_> = (1..=5).map(|n| word_of(&create.request, n).sent).collect();
    assert_eq!(sent, [Some(16), Some(11), Some(20), Some(20), Some(11)]);
    let received: Vec<_> = (1..=5).map(|n| word_of(&create.request, n).received).collect();
    assert_eq!(received, [Some(16), Some(11), Some(17), Some(17), Some(11)]);
}

/// A sequence number travels in the header: the messages are the same.
#[test]
fn seqnos_changes_no_byte() {
    for abi in ["gnu-i386", "gnu-x86_64"] {
        let plain = file(FILE, abi, &[]);
        let seqnos = file(FILE, abi, &["SEQNOS"]);
        assert_eq!(plain.demux, "memory_object_default_server");
        assert_eq!(seqnos.demux, "seqnos_memory_object_default_server");
        for (plain, seqnos) in plain.routines.iter().zip(&seqnos.routines) {
            assert_eq!(seqnos.server, format!("seqnos_{}", plain.server));
            assert_eq!(seqnos.user, plain.user);
            assert_eq!(seqnos.args.len(), plain.args.len() + 1);
            assert_eq!(plain.request.min_size, seqnos.request.min_size);
            for (a, b) in plain.request.slots.iter().zip(&seqnos.request.slots) {
                assert_eq!((a.role, a.offset, a.size, a.word), (b.role, b.offset, b.size, b.word));
            }
        }
    }
}

/// In `subsystem KernelUser` the sender is the kernel, which gives the receive right up.
#[test]
fn a_kernel_deallocates_what_it_moves() {
    const KERNEL_USER: &str = "
        subsystem KernelUser memory_object_default 2250;
        type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
        type move_receive_t = MACH_MSG_TYPE_MOVE_RECEIVE;
        simpleroutine create(pager : mach_port_t; in object : move_receive_t, dealloc);
    ";
    let interface = common::interface(KERNEL_USER, "gnu-i386");
    let word = word_of(&interface.routines[0].request, 1);
    assert_eq!((word.sent, word.deallocate), (Some(16), Dealloc::Yes));
    let input = Input::Text { name: "kernel_user.defs", text: KERNEL_USER.as_bytes() };
    let text = Config::new().abi("gnu-i386").text(input).unwrap().value;
    assert!(text.contains("request.deallocated(rt::Dest::move_receive(object));"), "{text}");
}

#[test]
fn json() {
    let interface = file(FILE, "gnu-i386", &[]);
    let text = abi_json(&interface);
    let value: Value = serde_json::from_str(&text).expect("it is JSON");
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(
        keys(&value),
        ["abi", "base", "demux", "error_reply_size", "routines", "subsystem", "version"]
    );
    assert_eq!(value["version"], 1);
    assert_eq!(value["subsystem"], "memory_object_default");
    assert_eq!(value["base"], 2250);
    assert_eq!(value["abi"], "gnu-i386");
    assert_eq!(value["demux"], "memory_object_default_server");
    assert_eq!(value["error_reply_size"], 32);

    let create = &value["routines"][0];
    assert_eq!(keys(create), ["id", "kind", "name", "reply", "request", "server", "user"]);
    assert_eq!(create["name"], "memory_object_create");
    assert_eq!(create["id"], 2250);
    assert_eq!(create["kind"], "simpleroutine");
    assert_eq!((&create["user"], &create["server"]), (&create["name"], &create["name"]));
    assert_eq!(create["reply"], Value::Null);
    let request = &create["request"];
    assert_eq!(keys(request), ["complex", "max_size", "min_size", "slots"]);
    assert_eq!((&request["min_size"], &request["max_size"]), (&json!(64), &json!(64)));
    assert_eq!(request["complex"], "always");
    assert_eq!(
        request["slots"][0],
        json!({
            "role": "header", "arg": null, "offset": 0, "size": 24, "max": null, "element": null,
            "indirect": "never",
            "check": [
                { "field": "msgh_id", "value": 2250 },
                { "field": "msgh_size", "value": 64 },
                { "field": "complex", "value": 1 },
            ],
        })
    );
    assert_eq!(
        request["slots"][1],
        json!({
            "role": "type", "arg": "new_memory_object", "offset": 24, "size": 4, "max": null, "element": null,
            "indirect": "never",
            "check": [
                { "field": "name", "value": 16 },
                { "field": "size", "value": 32 },
                { "field": "number", "value": 1 },
                { "field": "inline", "value": 1 },
                { "field": "longform", "value": 0 },
                { "field": "deallocate", "value": 0 },
                { "field": "unused", "value": 0 },
            ],
        })
    );
    assert_eq!(
        request["slots"][2],
        json!({
            "role": "data", "arg": "new_memory_object", "offset": 28, "size": 4, "max": null, "element": null,
            "indirect": "never", "check": [],
        })
    );
    let data = &value["routines"][1]["request"]["slots"][6];
    assert_eq!(
        *data,
        json!({
            "role": "data", "arg": "data", "offset": 52, "size": 4, "max": null, "element": 1,
            "indirect": "always", "check": [],
        })
    );
    // What programs read is what they can write back.
    let table: AbiTable = serde_json::from_str(&text).expect("the schema is that of the types");
    assert_eq!(table, AbiTable::of(&interface));
}

/// Every interface that comes with the definitions has a layout, on both ABIs.
#[test]
fn every_definition_has_a_layout() {
    for (name, base, variants) in [
        ("memory_object", 2200, &[&[][..], &["SEQNOS"]][..]),
        ("memory_object_default", 2250, &[&[], &["SEQNOS"]]),
        ("notify", 64, &[&[], &["SEQNOS"]]),
        ("default_pager", 2275, &[&[]]),
        ("mach", 2000, &[&[]]),
    ] {
        for abi in ["gnu-i386", "gnu-x86_64"] {
            for defines in variants {
                let interface = file(&format!("gnu/mach/{name}.defs"), abi, defines);
                assert_eq!(interface.base, base, "{name}");
                assert!(!interface.routines.is_empty());
                common::check_invariants(&interface);
            }
        }
    }
}

/// What can be checked is checked: files that only declare types, and ABIs whose messages are not generated
/// yet.
#[test]
fn files_without_messages_are_checked() {
    for (path, abi) in [
        ("gnu/mach/mach_types.defs", "gnu-x86_64"),
        ("gnu/mach/std_types.defs", "gnu-i386"),
        ("osf/mach/memory_object_default.defs", "osf-32"),
        ("gnu/mach/memory_object_default.defs", "gnu-x86_64"),
    ] {
        assert_eq!(common::check(path, abi), "", "{path} for {abi}");
    }
}
