//! Interfaces with the worst names, made at random, compile in a crate that denies every warning: names that
//! differ only by case or underscores, keywords and prelude names of Rust, and names of our own generated
//! items. Each interface comes into the crate three times: as a file that is kept with the sources, by a
//! build script, and by the macro.
//!
//! `MIG_SEED=7` tries others. All are modules of one crate, so that rustc runs once; clippy's lints count
//! where clippy is installed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mig_codegen::{Config, Input, Side};

const NAMES: &[&str] = &[
    "get_port",
    "GetPort",
    "getPort",
    "GET_PORT",
    "get__port",
    "_get_port",
    "get_port_",
    "get_port_2",
    "base",
    "BASE",
    "_",
    "__",
    "___",
    "self",
    "self_",
    "Self",
    "crate",
    "super",
    "match",
    "fn",
    "async",
    "gen",
    "try",
    "dyn",
    "Ok",
    "Err",
    "Some",
    "None",
    "String",
    "K",
    "S",
    "k",
    "s",
    "Kernel",
    "kernel",
    "Result",
    "Vec",
    "Option",
    "Box",
    "Abi",
    "abi",
    "rt",
    "id",
    "size",
    "server",
    "Server",
    "request",
    "reply",
    "body",
    "results",
    "code",
    "value",
    "payload",
    "port",
    "dest",
    "buffer",
    "check",
    "Item",
    "u8",
    "bool",
    "str",
    "drop",
    "main",
    "new",
    "from_x",
    "into_x",
    "is_x",
    "to_x",
    "as_x",
    "serve_x",
    "encode_x",
    "x_reply",
    "serve_x_reply",
    "x",
    "X",
    "x_max",
    "x_count",
    "x_port",
    "x_subsystem",
    "_1",
    "__1",
    "a1",
    "a_1",
    "A1",
    "padding_4",
    "core",
    "std",
    "alloc",
    "mig_runtime",
    "zerocopy",
    "Default",
    "Sized",
    "Send",
    "Iterator",
    "Clone",
    "default",
    "clone",
    "len",
    "next",
    "eq",
    "INTEGER_32",
    "Data",
    "Port",
    "options",
    "Send_t",
    "x_t",
    "token",
    "result",
    "error",
    "names",
    "i32",
    "f64",
    "usize",
    "raw",
    "macro",
    "await",
    "box",
    "yield",
    "union",
    "auto",
    "where",
    "loop",
    "x_results",
    "XReply",
    "x_server",
    "name",
    "memory",
    "limit",
    "count",
    "from",
    "into",
    "fmt",
    "not",
    "add",
    "deref",
    "hash",
    "as_ref",
    "to_string",
    "type_name",
    "Type",
    "Word",
    "let",
    "move",
    "return",
    "static",
    "use",
    "mod",
    "enum",
    "trait",
    "impl",
    "true",
    "false",
    "with_name",
];
/// Words of some MIG that cannot be names there.
const KEYWORDS: &[&str] = &["error", "auto", "Type"];

/// A linear congruential generator: the same interfaces on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len())]
    }

    /// Different names for one place.
    fn names(&mut self, count: usize) -> Vec<&'static str> {
        let mut names = Vec::new();
        while names.len() < count {
            let name = self.name();
            if !names.contains(&name) && !KEYWORDS.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// An interface with names of the list only.
fn interface(random: &mut Random, gnu: bool) -> String {
    let mut text = String::new();
    writeln!(text, "subsystem {} {};", random.names(1)[0], 1000 + random.below(1000)).unwrap();
    let count = 2 + random.below(6);
    let types: Vec<String> = random
        .names(count)
        .iter()
        .enumerate()
        .map(|(at, name)| if at % 2 == 0 { format!("{name}_t") } else { (*name).to_owned() })
        .collect();
    writeln!(text, "type the_port_t = MACH_MSG_TYPE_COPY_SEND; type the_int_t = MACH_MSG_TYPE_INTEGER_32;")
        .unwrap();
    for name in &types {
        let spec = match random.below(if gnu { 7 } else { 6 }) {
            0 => "MACH_MSG_TYPE_INTEGER_32".to_owned(),
            1 => "array[3] of the_int_t".to_owned(),
            2 => "array[*:7] of the_int_t".to_owned(),
            3 => "^array[] of the_int_t".to_owned(),
            4 => "c_string[20]".to_owned(),
            5 => "struct[2] of the_int_t".to_owned(),
            _ => {
                let members = random.names(3);
                format!(
                    "struct {{ the_int_t {}; the_int_t {}; the_int_t {}; }}",
                    members[0], members[1], members[2]
                )
            }
        };
        writeln!(text, "type {name} = {spec};").unwrap();
    }
    // Interfaces without routines have lints of their own.
    let routines = random.below(7);
    for name in random.names(routines) {
        let args = 1 + random.below(6);
        let names = random.names(args);
        let args: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(at, name)| match (at, random.below(4)) {
                (0, _) => format!("{name} : the_port_t"),
                (_, 0) => format!("out {name} : the_int_t"),
                (_, 1) => format!("out {name} : {}", types[random.below(types.len())]),
                (_, 2) => format!("in {name} : {}", types[random.below(types.len())]),
                _ => format!("in {name} : the_port_t"),
            })
            .collect();
        let one_way = random.below(5) == 0 && !args.iter().any(|arg| arg.starts_with("out"));
        writeln!(text, "{}routine {name}({});", if one_way { "simple" } else { "" }, args.join("; "))
            .unwrap();
    }
    text
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

/// What a crate needs of one interface.
struct Made {
    /// The `.defs` file.
    defs: String,
    /// The settings, as the methods of `Config`.
    settings: String,
    /// And as the arguments of the macro.
    arguments: String,
    /// The text of a file that is kept with the sources.
    kept: String,
}

impl Made {
    fn new(random: &mut Random, index: usize) -> Self {
        let abis = ["gnu-x86_64", "apple-64", "gnu-i386", "osf-32", "cmu-32"];
        let sides = [(Side::Both, "both"), (Side::Client, "client"), (Side::Server, "server")];
        let abi = abis[index % abis.len()];
        let (side, name) = sides[index / abis.len() % sides.len()];
        let defs = interface(random, abi.starts_with("gnu"));
        let input = Input::Text { name: "names.defs", text: defs.as_bytes() };
        let config = Config::new().abi(abi).side(side);
        let rust = config.text(input).unwrap_or_else(|error| panic!("{error}\n{defs}")).value;
        let comment: String = defs.lines().map(|line| format!("// {line}\n")).collect();
        Made {
            defs,
            settings: format!(".abi({abi:?}).side(mig_codegen::Side::{side:?})"),
            arguments: format!("abi: {abi:?}, side: {name}"),
            kept: comment + &rust,
        }
    }
}

#[test]
fn the_worst_names_compile_without_a_warning() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("names");
    let (source, defs) = (folder.join("src"), folder.join("defs"));
    for folder in [&source, &defs] {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("a folder");
    }
    // Another seed makes other interfaces.
    let seed = std::env::var("MIG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(2026);
    let mut random = Random(seed);
    let mut modules = String::from("//! Generated.\n#![deny(warnings, missing_docs, clippy::all)]\n");
    let mut private = modules.clone();
    let mut script = String::from("fn main() -> Result<(), mig_codegen::Error> {\n");
    for index in 0..60 {
        let made = Made::new(&mut random, index);
        fs::write(source.join(format!("m{index}.rs")), &made.kept).expect("written");
        fs::write(defs.join(format!("n{index}.defs")), &made.defs).expect("written");
        let Made { settings, arguments, .. } = made;
        writeln!(script, "    mig_codegen::Config::new(){settings}.compile(\"defs/n{index}.defs\")?;")
            .unwrap();
        let included = format!("mig_runtime::include_interface!(\"n{index}\");");
        let expanded = format!("mig_derive::interface! {{ path: \"defs/n{index}.defs\", {arguments} }}");
        writeln!(modules, "/// Generated.\npub mod m{index};").unwrap();
        writeln!(modules, "/// Generated.\npub mod b{index} {{ {included} }}").unwrap();
        writeln!(modules, "/// Generated.\npub mod d{index} {{ {expanded} }}").unwrap();
        writeln!(private, "mod m{index};\nmod b{index} {{ {included} }}\nmod d{index} {{ {expanded} }}")
            .unwrap();
    }
    fs::write(source.join("lib.rs"), modules).expect("written");
    fs::write(source.join("main.rs"), private + "fn main() {}\n").expect("written");
    fs::write(folder.join("build.rs"), script + "    Ok(())\n}\n").expect("written");
    let package = |name: &str| root().join(name);
    let manifest = format!(
        "[package]\nname = \"names\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [dependencies]\nmig-runtime = {{ path = {:?} }}\nmig-derive = {{ path = {:?} }}\n\n\
         [build-dependencies]\nmig-codegen = {{ path = {:?} }}\n\n[workspace]\n",
        package("runtime"),
        package("mig-derive"),
        package("mig-codegen"),
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("written");
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let has_clippy = Command::new(&cargo)
        .args(["clippy", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    let mut command = Command::new(&cargo);
    command.arg(if has_clippy { "clippy" } else { "check" });
    command
        .args(["--quiet", "--offline", "--message-format=short", "--manifest-path"])
        .arg(folder.join("Cargo.toml"));
    command.arg("--target-dir").arg(folder.join("target"));
    let output = command.output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().filter(|line| !line.contains("warning: patch")).collect();
    assert!(
        output.status.success() && said.is_empty(),
        "{}",
        said.iter().take(40).copied().collect::<Vec<_>>().join("\n")
    );
}
