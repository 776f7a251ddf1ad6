//! The predefined macros of each target against those that its C compilers print. One that is missing, or
//! another value, lays messages out wrong without a word.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use mig_codegen::abi::{Abi, Target};
use mig_parser::{Memory, Options, preprocessed};

/// Name to parameters and text.
type Macros = BTreeMap<String, String>;

/// What no interface asks for: floating point, atomics, printf formats, what the processor or the code
/// generator can do, and versions.
const LEFT_OUT: &[&str] = &[
    "__FLT",
    "__DBL",
    "__LDBL",
    "__DEC",
    "__BFLT",
    "__FINITE_MATH",
    "__ATOMIC",
    "__CLANG_ATOMIC",
    "__GCC_",
    "__GXX_",
    "__FMT",
    "__ARM_",
    "__ARM64_ARCH",
    "__AARCH64_",
    "__OPENCL",
    "__OBJC",
    "__SSE",
    "__SSSE",
    "__MMX",
    "__FXSR",
    "__SEG_",
    "__seg_",
    "__SSP",
    "__NO_",
    "__PIC",
    "__PIE",
    "__pic",
    "__pie",
    "__CET",
    "__LAHF",
    "__code_model",
    "__k8",
    "__core2",
    "__penryn",
    "__corei7",
    "__tune_",
    "__pentium4",
    "__nocona",
    "__VERSION",
    "__HAVE_",
    "__PRAGMA_",
    "__STDC_IEC",
    "__STDC_ISO",
    "__STDC_NO_",
    "_STDC_PREDEF",
    "__OPTIMIZE",
    "__APPLE_CC__",
    "__GNUC_",
    "__GNUC__",
    "__clang_",
    "__llvm__",
    "__clang__",
    "__BLOCKS__",
    "__CONSTANT_CFSTRINGS",
    "__block",
    "__strong",
    "__weak",
    "__unsafe_",
    "__nonnull",
    "__null",
    "__EXCEPTIONS",
    "__SANITIZE",
    "__MWAITX",
    "__GFNI",
    "__yonah",
    "__LEAF",
    "__CRC32",
    "__NEXT_RUNTIME",
    "__ENVIRONMENT",
    "__SHRT_WIDTH_",
    "__SIZEOF_FLOAT80",
    "__SIZEOF_FLOAT128",
    "__i486",
    "__i586",
    "__pentium",
    "__MEMORY",
];
/// The names of the systems on which the compilers at hand run or make programs for.
const SYSTEM: &[&str] = &[
    "linux",
    "__linux",
    "__linux__",
    "__gnu_linux__",
    "unix",
    "__unix",
    "__unix__",
    "__GNU__",
    "__gnu_hurd__",
    "__MACH__",
    "__MACH",
    "MACH",
    "__APPLE__",
    "__MACH30__",
    "__ELF__",
    "__DYNAMIC__",
];

fn is_left_out(name: &str) -> bool {
    LEFT_OUT.iter().any(|start| name.starts_with(start)) || name.contains("_FMT") || name.ends_with("_DIG__")
}

fn parse(lines: &str) -> Macros {
    let definitions = lines.lines().filter_map(|line| line.strip_prefix("#define "));
    definitions
        .map(|definition| {
            let end =
                definition.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(definition.len());
            (definition[..end].to_owned(), definition[end..].trim().to_owned())
        })
        .collect()
}

/// What a compiler prints; `None`, said in a line, where it is not installed or does not know the target.
fn printed(programs: &[&str], arguments: &[&str]) -> Option<Macros> {
    for program in programs {
        let mut command = Command::new(program);
        command.args(arguments).args(["-E", "-dM", "-x", "c", "/dev/null"]);
        if let Ok(output) = command.output() {
            if output.status.success() {
                return Some(parse(&String::from_utf8_lossy(&output.stdout)));
            }
        }
    }
    let message = format!("no {} with {arguments:?}", programs.join(" or "));
    assert!(std::env::var_os("CI").is_none(), "{message}");
    println!("skipped: {message}");
    None
}

/// The same number, or the same words of a type.
fn same(ours: &str, theirs: &str) -> bool {
    fn number(text: &str) -> Option<u128> {
        let digits = text.trim_end_matches(['u', 'U', 'l', 'L']);
        match digits.strip_prefix("0x") {
            Some(hex) => u128::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        }
    }
    fn words(text: &str) -> Vec<&str> {
        let mut words: Vec<_> = text.split_whitespace().filter(|word| *word != "int").collect();
        words.sort_unstable();
        words
    }
    match (number(ours), number(theirs)) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => words(ours) == words(theirs),
    }
}

/// What differs, a line each.
fn differences(ours: &Macros, theirs: &Macros) -> Vec<String> {
    let mut lines = Vec::new();
    let matters = |name: &&String| !is_left_out(name) && !SYSTEM.contains(&name.as_str());
    for name in ours.keys().chain(theirs.keys()).filter(matters) {
        match (ours.get(name), theirs.get(name)) {
            (Some(ours), Some(theirs)) if same(ours, theirs) => {}
            (ours, theirs) => lines.push(format!("{name}: we {ours:?}, the compiler {theirs:?}")),
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

fn ours(target: &Target) -> Macros {
    parse(&target.predefined.concat())
}

const CLANG: &[&str] = &["clang", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14"];

#[track_caller]
fn check(abi: &str, processor: &str, programs: &[&str], arguments: &[&str]) {
    let target = Abi::by_name(abi).and_then(|abi| abi.target(processor)).expect("a target");
    if let Some(theirs) = printed(programs, arguments) {
        let differences = differences(&ours(target), &theirs);
        assert!(differences.is_empty(), "{abi} {processor}, {arguments:?}:\n{}", differences.join("\n"));
    }
}

#[test]
fn gnu_targets_are_those_of_gcc() {
    check("gnu-i386", "i386", &["gcc"], &["-m32"]);
    check("gnu-x86_64", "x86_64", &["gcc"], &["-m64"]);
}

#[test]
fn apple_targets_are_those_of_clang() {
    check("apple-32", "i386", CLANG, &["-target", "i386-apple-macosx"]);
    check("apple-64", "x86_64", CLANG, &["-target", "x86_64-apple-macosx"]);
    check("apple-64", "arm64", CLANG, &["-target", "arm64-apple-macosx"]);
}

/// Sizes of every target of 32 bits are the processor's.
#[test]
fn old_mach_has_the_sizes_of_its_processor() {
    let Some(theirs) = printed(&["gcc"], &["-m32"]) else { return };
    for abi in ["cmu-32", "mach-25", "osf-32"] {
        let ours = ours(Abi::by_name(abi).expect("an ABI").default_target());
        for (name, text) in &ours {
            let of_system = SYSTEM.contains(&name.as_str());
            assert!(
                of_system || theirs.get(name).is_some_and(|theirs| same(text, theirs)),
                "{abi}: {name} {text}"
            );
        }
        // NeXT's `driverServer.defs` asks for `i386`; gcc's configuration for Mach has the others, too.
        for name in ["__SIZEOF_POINTER__", "__i386__", "i386", "__i386", "unix", "MACH"] {
            assert!(ours.contains_key(name), "{abi}: {name}");
        }
    }
}

/// The names of the systems: what `-target …-hurd-gnu` and Apple's print.
#[test]
fn each_system_has_its_names() {
    let systems = [
        ("gnu-i386", "i386", "i686-unknown-hurd-gnu"),
        ("apple-64", "arm64", "arm64-apple-macosx"),
        ("apple-32", "i386", "i386-apple-macosx"),
    ];
    for (abi, processor, name) in systems {
        let Some(theirs) = printed(CLANG, &["-target", name]) else { return };
        let ours = ours(Abi::by_name(abi).and_then(|abi| abi.target(processor)).expect("a target"));
        for word in SYSTEM.iter().filter(|word| **word != "__MACH30__") {
            assert_eq!(ours.get(*word), theirs.get(*word), "{abi}: {word}");
        }
    }
    // No clang of Debian 12 knows the Hurd on x86_64: it is the same system.
    let of = |abi: &str| ours(Abi::by_name(abi).expect("an ABI").default_target());
    for word in SYSTEM {
        assert_eq!(of("gnu-i386").get(*word), of("gnu-x86_64").get(*word), "{word}");
    }
}

#[test]
fn an_architecture_is_chosen_by_name() {
    let (abi, target) = Abi::with_target("apple-64-x86_64").expect("a name");
    assert_eq!((abi.name(), target.map(|target| target.processor)), ("apple-64", Some("x86_64")));
    assert!(Abi::with_target("gnu-i386-i386").is_none());
    assert!(Abi::with_target("apple-64-i386").is_none());
    let apple = Abi::by_name("apple-64").expect("an ABI");
    let processors =
        ["aarch64", "arm64e", "x86_64h", "ppc64"].map(|name| apple.target(name).map(|t| t.processor));
    assert_eq!(processors, [Some("arm64"), Some("arm64"), Some("x86_64"), None]);
}

/// The operators that only some compilers have are there where the target's compiler has them.
/// `__has_feature` is left out: gcc has it since its release 14.
#[test]
fn each_compiler_has_its_operators() {
    const OPERATORS: &[&str] = &[
        "_Pragma",
        "__COUNTER__",
        "__FILE_NAME__",
        "__INCLUDE_LEVEL__",
        "__TIMESTAMP__",
        "__has_attribute",
        "__has_builtin",
        "__has_c_attribute",
        "__has_cpp_attribute",
        "__has_declspec_attribute",
        "__has_include",
        "__has_include_next",
        "__has_warning",
        "__is_identifier",
        "__is_target_arch",
        "__is_target_os",
    ];
    let lines = |name: &&str| format!("#ifdef {name}\n{name}_is_there\n#endif\n");
    let text: String = OPERATORS.iter().map(lines).collect();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("operators.c");
    std::fs::write(&file, &text).expect("a file in the folder for tests");
    for (abi, programs, arguments) in
        [("gnu-x86_64", &["gcc"][..], &["-m64"][..]), ("apple-64", CLANG, &["-target", "arm64-apple-macosx"])]
    {
        let output = programs.iter().find_map(|program| {
            let output = Command::new(program).args(arguments).args(["-E", "-P"]).arg(&file).output().ok();
            output.filter(|output| output.status.success())
        });
        let Some(output) = output else {
            assert!(std::env::var_os("CI").is_none(), "no {programs:?}");
            println!("skipped: no {programs:?}");
            continue;
        };
        let theirs = String::from_utf8_lossy(&output.stdout);
        let target = Abi::by_name(abi).expect("an ABI").targets[0];
        let options =
            target.predefined.iter().fold(Options::new(), |options, lines| options.predefine(lines));
        let (ours, said) =
            preprocessed(&options, &Memory::new().file("operators.c", text.as_str()), "operators.c");
        assert_eq!(said, "");
        assert_eq!(ours, theirs.split_whitespace().collect::<Vec<_>>(), "{abi}");
    }
}
