//! The generated parts of this package (the bindings, the features in `Cargo.toml` and the list of
//! definitions) are what the generator writes now.
//!
//! `BLESS=1 cargo test -p mach-defs --test generated` writes all of it again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use mig_codegen::Config;

#[macro_use]
#[path = "../src/interfaces.rs"]
mod interfaces;

/// A module of the library.
struct Module {
    feature: &'static str,
    name: &'static str,
    /// The file below the folder of its family, without `.defs`.
    file: &'static str,
    define: Option<&'static str>,
    of_kernel: bool,
}

macro_rules! list {
    ($($(#[$doc:meta])* $feature:literal $module:ident = $file:literal $(with $define:ident)? $(of $kernel:ident)?;)*) => {
        vec![$(Module {
            feature: $feature,
            name: stringify!($module),
            file: $file,
            define: None$(.or(Some(stringify!($define))))?,
            of_kernel: false$( || stringify!($kernel) == "kernel")?,
        }),*]
    };
}

/// Interfaces that are laid out for the same ABIs.
struct Family {
    /// Its folder, which is the name of its feature.
    folder: &'static str,
    /// Folders of other families whose files it includes.
    includes: &'static [&'static str],
    /// Its ABIs, and the folder of the modules for each.
    abis: &'static [(&'static str, &'static str)],
    modules: Vec<Module>,
}

fn families() -> [Family; 5] {
    [
        Family {
            folder: "gnu",
            includes: &[],
            abis: &[("gnu-i386", "gnu-i386"), ("gnu-x86_64", "gnu-x86_64")],
            modules: gnu!(list),
        },
        Family {
            folder: "hurd",
            includes: &["gnu"],
            abis: &[("gnu-i386", "gnu-i386/hurd"), ("gnu-x86_64", "gnu-x86_64/hurd")],
            modules: hurd!(list),
        },
        Family {
            folder: "pager",
            includes: &["gnu"],
            abis: &[("gnu-i386", "gnu-i386/pager"), ("gnu-x86_64", "gnu-x86_64/pager")],
            modules: pager!(list),
        },
        Family {
            folder: "apple",
            includes: &[],
            abis: &[("apple-32", "apple-32"), ("apple-64", "apple-64")],
            modules: apple!(list),
        },
        Family { folder: "osf", includes: &[], abis: &[("osf-32", "osf-32")], modules: osf!(list) },
    ]
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn generated() -> PathBuf {
    package().join("src/generated")
}

/// Compares a file with what it should be, or writes it.
fn check(path: &Path, text: &str, stale: &mut Vec<String>) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    if env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    } else {
        stale.push(path.strip_prefix(package()).unwrap_or(path).display().to_string());
    }
}

fn assert_fresh(stale: &[String]) {
    assert!(
        stale.is_empty(),
        "`BLESS=1 cargo test -p mach-defs --test generated` writes these again: {stale:#?}"
    );
}

/// The files below a folder.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.extend([path]),
        }
    }
    found
}

#[test]
fn the_bindings_are_those_of_the_definitions() {
    let (mut stale, mut known) = (Vec::new(), BTreeSet::from([generated().join("definitions.rs")]));
    for family in families() {
        for (abi, folder) in family.abis {
            let mut config = Config::new().abi(*abi);
            for include in [family.folder].iter().chain(family.includes) {
                config = config.include_dir(package().join(include));
            }
            for module in &family.modules {
                let config = config.clone().kernel_objects(module.of_kernel);
                let config = module.define.iter().fold(config, |config, name| config.define(*name, "1"));
                let input = package().join(family.folder).join(module.file).with_extension("defs");
                let output = config.text(&input).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(output.warnings.to_string(), "", "{}", input.display());
                let path = generated().join(folder).join(module.name).with_extension("rs");
                check(&path, &output.value, &mut stale);
                known.insert(path);
            }
        }
    }
    let left_over: Vec<_> = files(&generated()).difference(&known).cloned().collect();
    assert!(left_over.is_empty(), "no interface makes {left_over:#?}");
    assert_fresh(&stale);
}

/// The features stand in `Cargo.toml` below a line that says where they come from.
#[test]
fn each_interface_is_a_feature() {
    let mut text = String::new();
    for family in families() {
        let features: BTreeSet<&str> = family.modules.iter().map(|module| module.feature).collect();
        let list: Vec<String> = features.iter().map(|feature| format!("    \"{feature}\",\n")).collect();
        let _ = writeln!(text, "{} = [\n{}]", family.folder, list.concat());
        for feature in features {
            let _ = writeln!(text, "{feature} = [\"dep:mig-runtime\"]");
        }
    }
    let path = package().join("Cargo.toml");
    let manifest = fs::read_to_string(&path).unwrap();
    let (start, end) = ("# From src/interfaces.rs, by tests/generated.rs:\n", "# End of these.\n");
    let (before, rest) = manifest.split_once(start).expect("the features have a beginning");
    let (_, after) = rest.split_once(end).expect("the features have an end");
    let mut stale = Vec::new();
    check(&path, &format!("{before}{start}{text}{end}{after}"), &mut stale);
    assert_fresh(&stale);
}

#[test]
fn every_definition_is_at_hand() {
    let mut text = "// @generated from the folders of this package. Do not edit.\n[\n".to_owned();
    for family in families() {
        for path in files(&package().join(family.folder)) {
            let name = path.strip_prefix(package()).unwrap().display().to_string();
            let _ = writeln!(text, "    ({name:?}, include_str!(\"../../{name}\")),");
        }
    }
    text += "]\n";
    let mut stale = Vec::new();
    check(&generated().join("definitions.rs"), &text, &mut stale);
    assert_fresh(&stale);
}

/// An interface in a folder that no list has would be missing without anybody seeing it.
#[test]
fn every_interface_has_a_module() {
    for family in families() {
        let listed: BTreeSet<PathBuf> =
            family.modules.iter().map(|module| PathBuf::from(module.file)).collect();
        for path in files(&package().join(family.folder)) {
            let declares = fs::read_to_string(&path).unwrap();
            let declares = declares.lines().any(|line| line.trim_start().starts_with("subsystem"));
            let file = path.strip_prefix(package().join(family.folder)).unwrap().with_extension("");
            assert!(!declares || listed.contains(&file), "{} is in no list", path.display());
        }
    }
}
