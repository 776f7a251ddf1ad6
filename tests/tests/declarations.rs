//! What the C compiler takes, this one takes: a list of declarations that covers the typed language, with the
//! few exceptions and their reasons. Where the C compiler is at hand, it is asked, too.

use std::fs;
use std::path::Path;

use mig_codegen::model::Message;
use mig_codegen::{Config, Input};
use mig_tests::oracle::{CAbi, Variant, generate, packages_or_skip};

const LIST: &str = include_str!("declarations.txt");

/// What the declarations build on.
const TYPES: &str = "
subsystem declarations 5000;
type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
type poly_t = polymorphic;
type send_t = MACH_MSG_TYPE_PORT_SEND;
type recv_t = MACH_MSG_TYPE_MOVE_RECEIVE;
type mk_t = MACH_MSG_TYPE_MAKE_SEND;
type once_t = MACH_MSG_TYPE_MAKE_SEND_ONCE;
type boolean_t = MACH_MSG_TYPE_BOOLEAN;
type byte = MACH_MSG_TYPE_BYTE;
type kern_return_t = int;
";

/// A declaration, whether the C compiler takes it, and whether this one does.
fn declarations() -> Vec<(&'static str, bool, bool)> {
    let mut verdict = None;
    let mut list = Vec::new();
    for line in LIST.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")) {
        match line {
            "[both]" => verdict = Some((true, true)),
            "[neither]" => verdict = Some((false, false)),
            "[only C]" => verdict = Some((true, false)),
            _ => {
                let (c, ours) = verdict.expect("a section comes first");
                let (declaration, reason) = line.split_once("  # ").unwrap_or((line, ""));
                assert_eq!(c != ours, !reason.is_empty(), "a reason for each exception: {line}");
                list.push((declaration, c, ours));
            }
        }
    }
    list
}

#[test]
fn this_compiler_takes_what_the_list_says() {
    for abi in CAbi::ALL {
        for (declaration, _, ours) in declarations() {
            let text = format!("{TYPES}{declaration}\n");
            let input = Input::Text { name: "declarations.defs", text: text.as_bytes() };
            let result = Config::new().abi(abi.name()).text(input);
            let said = result.as_ref().err().map_or(String::new(), |error| format!("{error:?}"));
            assert_eq!(result.is_ok(), ours, "{}: {declaration}\n{said}", abi.name());
        }
    }
}

#[test]
fn the_c_compiler_takes_what_the_list_says() {
    let Some(packages) = packages_or_skip() else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("declarations");
    for abi in CAbi::ALL {
        let folder = folder.join(abi.name());
        fs::create_dir_all(&folder).unwrap();
        for (declaration, c, _) in declarations() {
            fs::write(folder.join("test.defs"), format!("{TYPES}{declaration}\n")).unwrap();
            let result = generate(abi, &packages, &folder, "test.defs", Variant::Plain, &folder);
            assert_eq!(result.is_ok(), c, "{}: {declaration}\n{result:?}", abi.name());
        }
    }
}

/// Data of fixed size out of line, whose place in a message is that of an address under a short type word.
const FIXED_OUT_OF_LINE: &str = "
type row = ^array[5000] of int; type one = ^int; type text = ^c_string[10]; type st = ^struct[3] of int64_t;
type port = ^mach_port_t; type ports = ^array[5] of mach_port_t; type whole = ^whole_t; type some = ^poly_t;
routine f(p: mach_port_t; in a: row; in b: one, dealloc; out c: text; out d: st);
routine g(p: mach_port_t; in a: port; inout b: ports; in c: whole; out d: some);
";

#[test]
fn data_of_fixed_size_out_of_line_takes_the_room_that_it_has_in_c() {
    let Some(packages) = packages_or_skip() else { return };
    let text = format!(
        "{TYPES}type int64_t = MACH_MSG_TYPE_INTEGER_64; type whole_t = (MACH_MSG_TYPE_STRING_C, 8*40);
        {FIXED_OUT_OF_LINE}"
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixed_out_of_line");
    for abi in CAbi::ALL {
        let folder = folder.join(abi.name());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("test.defs"), &text).unwrap();
        generate(abi, &packages, &folder, "test.defs", Variant::Plain, &folder).unwrap();
        // The size of each request stands in the client's stubs, that of a reply in the server's.
        let user = sizes(&fs::read_to_string(folder.join("user.c")).unwrap(), "InP->Head.msgh_size = ");
        let server = sizes(&fs::read_to_string(folder.join("server.c")).unwrap(), "OutP->Head.msgh_size = ");

        let input = Input::Text { name: "test.defs", text: text.as_bytes() };
        let routines = Config::new().abi(abi.name()).interface(input).unwrap().value.routines;
        let size = |message: &Message| (message.min_size, message.max_size);
        let ours = routines.iter().map(|routine| size(&routine.request));
        assert_eq!(ours.collect::<Vec<_>>(), user, "{}", abi.name());
        let ours = routines.iter().filter_map(|routine| routine.reply.as_ref()).map(size);
        assert_eq!(ours.collect::<Vec<_>>(), server, "{}", abi.name());
    }
}

/// The numbers that a C file assigns in this way, each as the least and the most.
fn sizes(text: &str, assignment: &str) -> Vec<(u32, u32)> {
    let numbers = text.lines().filter_map(|line| line.trim().strip_prefix(assignment)?.strip_suffix(';'));
    numbers.filter_map(|number| number.parse().ok()).map(|size| (size, size)).collect()
}
