//! Bytes of an attacker, read as a message of one of the interfaces that come with the compiler. What is read
//! without a fault can be written again.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mig_codegen::Config;
use mig_codegen::abi::Abi;
use mig_decode::{Dictionary, MessageKind, Ports, SlotRole, decode_as, encode};

static DICTIONARIES: LazyLock<Vec<Dictionary>> = LazyLock::new(|| {
    let dictionary = |abi: &&Abi| {
        let config = Config::new().abi(abi.name());
        let mut dictionary = Dictionary::new(&config).expect("it is an ABI's name");
        dictionary.add_shipped(&config);
        dictionary
    };
    let all = Abi::ALL.iter().map(dictionary);
    all.filter(|dictionary| dictionary.interfaces().next().is_some()).collect()
});

fuzz_target!(|input: &[u8]| {
    let [abi, interface, routine, kind, bytes @ ..] = input else { return };
    let dictionary = &DICTIONARIES[usize::from(*abi) % DICTIONARIES.len()];
    let decoded = dictionary.decode_all(bytes).fold(0, |sum, decoded| sum + decoded.len);
    assert!(decoded >= bytes.len(), "all bytes belong to a message");

    let interfaces: Vec<_> = dictionary.interfaces().collect();
    let interface = &interfaces[usize::from(*interface) % interfaces.len()];
    let Some(routine) = interface.routines.get(usize::from(*routine) % interface.routines.len().max(1))
    else {
        return;
    };
    let kind =
        if kind & 1 == 0 || routine.reply.is_none() { MessageKind::Request } else { MessageKind::Reply };
    let decoded = decode_as(interface, routine, kind, bytes);
    assert!(decoded.pieces.iter().all(|piece| piece.offset + piece.len <= bytes.len()));
    let code_only = decoded.code.is_some_and(|code| code != 0);
    let arguments = decoded.arguments.iter().cloned().collect();
    let written = encode(interface, routine, kind, &Ports::default(), &arguments);
    let cut = decoded.pieces.iter().filter(|piece| piece.role == SlotRole::Header).count() == 0;
    if decoded.faults.is_empty() && !code_only && !cut {
        let Ok(written) = written else { return };
        let again = decode_as(interface, routine, kind, &written);
        assert_eq!(again.arguments, decoded.arguments);
        assert!(again.faults.is_empty(), "{:?}", again.faults);
    }
});
