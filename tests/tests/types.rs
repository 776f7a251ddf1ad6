//! Types of every kind, inside one another, made at random: what the compiler takes, rustc takes too, without
//! a warning. Each interface is what is left of some statements without those that have an error.
//!
//! `MIG_SEED=7` tries others. All are modules of one crate, so that rustc runs once.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mig_codegen::{Config, Input};

/// A linear congruential generator: the same interfaces on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn one_of<'t, T: ?Sized>(&mut self, list: &[&'t T]) -> &'t T {
        list[self.below(list.len())]
    }
}

const ABIS: &[&str] = &[
    "gnu-i386",
    "gnu-x86_64",
    "gnu-x86_64-2022",
    "gnu-i386-2021",
    "cmu-32",
    "osf-32",
    "apple-32",
    "apple-64",
];
const BASIC: &[&str] = &[
    "MACH_MSG_TYPE_MOVE_SEND",
    "MACH_MSG_TYPE_MAKE_SEND_ONCE",
    "MACH_MSG_TYPE_MOVE_RECEIVE",
    "MACH_MSG_TYPE_PORT_SEND",
    "polymorphic",
    "MACH_MSG_TYPE_INTEGER_64",
    "MACH_MSG_TYPE_INTEGER_16",
    "MACH_MSG_TYPE_BOOLEAN",
    "MACH_MSG_TYPE_BYTE",
    "MACH_MSG_TYPE_PORT_NAME",
];
/// Names of arguments, those of the stubs' own variables among them.
const ARGUMENTS: &[&str] =
    &["part", "parts", "count", "x_count", "body", "reply", "request", "results", "self"];
const FLAGS: &[&str] = &[
    "",
    "",
    "",
    ", dealloc",
    ", dealloc[]",
    ", countinout",
    ", samecount",
    ", physicalcopy",
    ", islong",
    ", servercopy",
];

/// `type t3 = …`, of earlier types.
fn declaration(random: &mut Random, index: usize) -> String {
    let element = match random.below(index + 4) {
        0 => "int_t".to_owned(),
        1 => "char_t".to_owned(),
        2 => "port_t".to_owned(),
        other => format!("t{}", other.saturating_sub(3).min(index.saturating_sub(1))),
    };
    let number = [0, 1, 2, 3, 7][random.below(5)];
    let spec = match random.below(14) {
        0..=2 => random.one_of(BASIC).to_owned(),
        3 | 4 => format!("array[{number}] of {element}"),
        5 | 6 => format!("array[*:{number}] of {element}"),
        7 => format!("struct[{number}] of {element}"),
        8 => format!("array[] of {element}"),
        9 => format!("^array[] of {element}"),
        10 => format!("^array[{number}] of {element}"),
        11 => format!("^{element}"),
        12 => format!("c_string[*:{number}]"),
        _ => format!("struct {{ {element} a; int_t b; }}"),
    };
    let translation = match random.below(8) {
        0 => format!(" intran: made_t make(t{index}) outtran: t{index} take(made_t)"),
        _ => String::new(),
    };
    format!("type t{index} = {spec}{translation};")
}

fn routine(random: &mut Random, index: usize, types: usize) -> String {
    let one_way = random.below(4) == 0;
    let mut text = format!("{}routine r{index}(p : port_t", if one_way { "simple" } else { "" });
    for at in 0..random.below(5) {
        let direction = if one_way { "in" } else { random.one_of(&["in", "out", "inout"]) };
        let (name, flag) = (random.one_of(ARGUMENTS), random.one_of(FLAGS));
        write!(text, "; {direction} {name}{at} : t{}{flag}", random.below(types)).unwrap();
    }
    text + ");"
}

fn config(abi: &str) -> Config {
    Config::new().abi(abi).extern_type("made_t", "u64")
}

/// An interface of the statements that have no error.
fn interface(random: &mut Random, abi: &str) -> String {
    const TYPES: usize = 24;
    let side = random.one_of(&["", "", "KernelUser ", "KernelServer "]);
    let mut text = format!(
        "subsystem {side}s {};\ntype int_t = MACH_MSG_TYPE_INTEGER_32;\ntype char_t = MACH_MSG_TYPE_CHAR;\n\
         type port_t = MACH_MSG_TYPE_COPY_SEND;\n",
        1000 + random.below(1000)
    );
    let types: Vec<String> = (0..TYPES).map(|index| declaration(random, index)).collect();
    let routines = (0..14).map(|index| routine(random, index, TYPES));
    for statement in types.into_iter().chain(routines) {
        let longer = format!("{text}{statement}\n");
        let input = Input::Text { name: "types.defs", text: longer.as_bytes() };
        if config(abi).interface(input).is_ok() {
            text = longer;
        }
    }
    text
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

#[test]
fn types_of_every_kind_compile() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("types");
    let source = folder.join("src");
    let _ = fs::remove_dir_all(&source);
    fs::create_dir_all(&source).expect("a folder");
    let seed = std::env::var("MIG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(2026);
    let mut random = Random(seed);
    let mut modules = String::from("//! Generated.\n#![deny(warnings, missing_docs)]\n");
    for index in 0..24 {
        let abi = ABIS[index % ABIS.len()];
        let defs = interface(&mut random, abi);
        let input = Input::Text { name: "types.defs", text: defs.as_bytes() };
        let rust = config(abi).text(input).unwrap_or_else(|error| panic!("{error}\n{defs}")).value;
        let comment: String = defs.lines().map(|line| format!("// {line}\n")).collect();
        fs::write(source.join(format!("m{index}.rs")), comment + &rust).expect("written");
        writeln!(modules, "/// Generated for {abi}.\npub mod m{index};").unwrap();
    }
    fs::write(source.join("lib.rs"), modules).expect("written");
    let manifest = format!(
        "[package]\nname = \"types\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\nmig-runtime = {{ path = {:?} }}\n\n[workspace]\n",
        root().join("runtime"),
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("written");
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["check", "--quiet", "--offline", "--message-format=short", "--manifest-path"]);
    command.arg(folder.join("Cargo.toml")).arg("--target-dir").arg(folder.join("target"));
    let output = command.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}", said.lines().take(40).collect::<Vec<_>>().join("\n"));
}
