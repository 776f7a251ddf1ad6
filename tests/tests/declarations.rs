//! What the C compiler takes, this one takes: a list of declarations that covers the typed language, with the
//! few exceptions and their reasons. Where the C compiler is at hand, it is asked, too.

use std::fs;
use std::path::Path;

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
