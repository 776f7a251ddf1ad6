//! Types whose structure in C is larger than the `.defs` says: messages have what C copies.

use mig_codegen::{Config, Input};

/// XNU's process of dyld: 36 bytes in the `.defs` of some releases, 72 in C, where an identifier of 16 bytes,
/// three numbers of 8, two of 4, a byte and two truth values follow one another.
const PROCESS: &str = "
    subsystem task 3400;
    type task_t = MACH_MSG_TYPE_COPY_SEND;
    type byte = MACH_MSG_TYPE_BYTE;
    type int = MACH_MSG_TYPE_INTEGER_32;
    type info_t = struct[36] of byte;
    type other_t = struct[36] of byte ctype: c_info_t;
    routine get_process_state(task : task_t; out state : info_t; out last : int);
    routine set_process_state(task : task_t; state : other_t; last : int);
";

fn text(config: &Config) -> Result<String, String> {
    let input = Input::Text { name: "task.defs", text: PROCESS.as_bytes() };
    config.text(input).map(|output| output.value).map_err(|error| error.to_string())
}

fn sizes(config: &Config) -> (u32, u32) {
    let input = Input::Text { name: "task.defs", text: PROCESS.as_bytes() };
    let routines = config.interface(input).expect("no errors").value.routines;
    (routines[0].reply.as_ref().unwrap().max_size, routines[1].request.max_size)
}

#[test]
fn a_message_is_as_large_as_the_structure() {
    for abi in ["apple-64", "apple-32", "osf-32"] {
        let config = Config::new().abi(abi);
        // Header, NDR record, return code, structure, a number; a request has no code.
        assert_eq!(sizes(&config), (24 + 8 + 4 + 36 + 4, 24 + 8 + 36 + 4), "{abi}");
        let config =
            config.extern_type("info_t", "crate::Info:72").extern_type("c_info_t", "crate::Info: 72");
        assert_eq!(sizes(&config), (24 + 8 + 4 + 72 + 4, 24 + 8 + 72 + 4), "{abi}");
        let rust = text(&config).unwrap();
        assert!(rust.contains("the Rust type for `info_t` must have 72 bytes"), "{rust}");
        assert!(rust.contains("crate::Info"), "{rust}");
    }
}

#[test]
fn a_path_alone_is_a_path() {
    let config = Config::new().abi("apple-64").extern_type("info_t", "crate::Info");
    assert!(text(&config).unwrap().contains("must have 36 bytes"));
    for wrong in ["crate::Info:0", "crate::Info::72", "crate::Info:-1", "crate::Info:5000000000"] {
        let config = Config::new().abi("apple-64").extern_type("info_t", wrong);
        assert!(text(&config).unwrap_err().contains("is not a path of Rust"), "{wrong}");
    }
}

#[test]
fn where_a_type_word_says_the_size_it_is_an_error() {
    let config = Config::new().abi("cmu-32").extern_type("info_t", "crate::Info:72");
    let said = text(&config).unwrap_err();
    assert!(said.contains("`info_t` can't have 72 bytes") && said.contains("type word"), "{said}");
    let config = Config::new().abi("apple-64").extern_type("task_t", "crate::Task:8");
    let said = text(&config).unwrap_err();
    assert!(said.contains("only plain data of fixed size"), "{said}");
}
