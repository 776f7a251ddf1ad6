//! The oracle itself: what the C stubs of `memory_object_default` put on the wire, against tables made by
//! hand from the C structures. If this fails, what other tests say about the C MIG is worth nothing.

use std::path::{Path, PathBuf};

use mig_tests::oracle::{Answer, CAbi, Client, Server, Unit, Variant, build, packages_or_skip};
use mig_tests::wire;

const FILE: &str = "mach/memory_object_default.defs";

/// The stubs of a file of the system, compiled in a folder of this test's own; `None` where the C MIG is not
/// at hand.
fn unit(test: &str, abi: CAbi, variant: Variant) -> Option<Unit> {
    let packages = packages_or_skip()?;
    let folder = folder(test).join(abi.name()).join(variant.name());
    Some(build(abi, &packages, &abi.include(&packages), FILE, variant, &folder).unwrap())
}

fn folder(test: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(test)
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Arguments of memory_object_create: service port, object, size, control, name, page size.
fn create_arguments(abi: CAbi) -> Vec<Vec<u8>> {
    let size = |value: u64| value.to_le_bytes()[..abi.pointer()].to_vec();
    let port = |name: u32| name.to_le_bytes().to_vec();
    vec![port(0x103), port(0x203), size(0x12345), port(0x303), port(0x403), size(4096)]
}

/// The message that these arguments make. Bits, size, ports, sequence number and id; then type word and data
/// of each.
fn create_message(abi: CAbi) -> Vec<u8> {
    match abi {
        CAbi::GnuI386 => words(&[
            0x8000_0011,
            64,
            0x103,
            0,
            0,
            2250, // header: complex, MOVE_SEND
            0x1001_2010,
            0x203, // MOVE_RECEIVE
            0x1001_2002,
            0x12345, // INTEGER_32
            0x1001_2014,
            0x303, // MAKE_SEND
            0x1001_2014,
            0x403, // MAKE_SEND
            0x1001_2002,
            4096, // INTEGER_32
        ]),
        CAbi::GnuX86_64 => words(&[
            0x8000_0011,
            112,
            0x103,
            0,
            0,
            0,
            0,
            2250, // header: complex, MOVE_SEND
            0x2000_4010,
            1,
            0x203,
            0, // MOVE_RECEIVE
            0x2000_400b,
            1,
            0x12345,
            0, // INTEGER_64
            0x2000_4014,
            1,
            0x303,
            0, // MAKE_SEND
            0x2000_4014,
            1,
            0x403,
            0, // MAKE_SEND
            0x2000_400b,
            1,
            4096,
            0, // INTEGER_64
        ]),
    }
}

#[test]
fn the_client_stub_sends_the_message_of_the_table() {
    for abi in CAbi::ALL {
        let Some(unit) = unit("client_sends", abi, Variant::Plain) else { return };
        let mut client = Client::start(&unit.client).unwrap();
        let names: Vec<&str> =
            client.stub("memory_object_create").unwrap().parameters.iter().map(|p| p.0.as_str()).collect();
        assert_eq!(
            names,
            [
                "old_memory_object",
                "new_memory_object",
                "new_object_size",
                "new_control_port",
                "new_name",
                "new_page_size"
            ]
        );
        let called = client
            .call("memory_object_create", &create_arguments(abi), 0, |_, _| Ok(Answer::Reply(Vec::new())))
            .unwrap();
        let sent = called.sent.unwrap();
        assert_eq!(sent.bytes, create_message(abi), "{}", abi.name());
        assert_eq!(
            (sent.option, sent.receive_size, sent.receive_name),
            (1, 0, 0),
            "one way: MACH_SEND_MSG alone"
        );
        assert_eq!(called.result, 0);
    }
}

#[test]
fn the_demux_function_hands_the_arguments_to_the_server() {
    for (abi, variant) in
        CAbi::ALL.into_iter().flat_map(|abi| [(abi, Variant::Plain), (abi, Variant::Seqnos)])
    {
        let Some(unit) = unit("server_gets", abi, variant) else { return };
        let mut server = Server::start(unit.server.as_deref().unwrap()).unwrap();
        let request = wire::received(abi, &create_message(abi), 0x51);
        let served = server.serve(&request, 0, |_, _| Ok(0)).unwrap();
        let (name, arguments) = served.function.unwrap();
        let bytes: Vec<Vec<u8>> = arguments.into_iter().map(|(_, bytes)| bytes).collect();
        let mut expected = create_arguments(abi);
        if variant == Variant::Seqnos {
            assert_eq!(name, "seqnos_memory_object_create");
            expected.insert(1, words(&[0x51]));
        } else {
            assert_eq!(name, "memory_object_create");
        }
        assert_eq!(bytes, expected, "{} {}", abi.name(), variant.name());
        assert!(served.known);
    }
}

#[test]
fn the_demux_function_refuses_a_damaged_request() {
    for abi in CAbi::ALL {
        let Some(unit) = unit("server_refuses", abi, Variant::Plain) else { return };
        let mut server = Server::start(unit.server.as_deref().unwrap()).unwrap();
        let request = wire::received(abi, &create_message(abi), 0);
        for (damage, bytes) in wire::damaged(abi, &request) {
            server.process.reset();
            let served = server.serve(&bytes, 0, |_, _| Ok(0)).unwrap();
            assert!(served.known && served.function.is_none(), "{}: {damage}", abi.name());
            let code =
                wire::u32_at(&served.reply, served.reply.len() - if abi == CAbi::GnuI386 { 4 } else { 8 });
            assert_eq!(code as i32, -304, "{}: {damage}", abi.name());
        }
    }
}
