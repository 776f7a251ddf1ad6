//! Rules of the sources, so that they stay as `ARCHITECTURE.md` says: where "typed or untyped?" may be asked,
//! where `unsafe` stands, and that the modules of a package do not import one another in circles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The packages, by their folder in the workspace.
const PACKAGES: &[&str] = &[
    "mig-abi",
    "mig-parser",
    "mig-codegen",
    "mig-derive",
    "mig-cli",
    "mig-decode",
    "runtime",
    "gnumach",
    "pager",
    "pager/cli",
    "preload",
    "preload/image",
    "vm",
    "machrun",
    "xtask",
];

/// The files that may ask of which family an ABI is: those that give the answer its meaning.
const ASK_FOR_THE_FAMILY: &[&str] = &[
    // The facts, and what follows from them for the types that can be declared.
    "mig-abi/src/facts.rs",
    "mig-codegen/src/abi.rs",
    // Steps, a layout and an emitter for each family.
    "mig-codegen/src/layout.rs",
    "mig-codegen/src/layout/typed.rs",
    "mig-codegen/src/layout/untyped.rs",
    "mig-codegen/src/model/message.rs",
    "mig-codegen/src/rust/emit/mod.rs",
    "mig-codegen/src/rust/emit/words.rs",
    // Messages as bytes, read and written without types of Rust.
    "mig-decode/src/encode.rs",
    "mig-decode/src/words.rs",
    // The runtime's own computation of a layout, which is constant; all else is a function of a `Format`.
    "runtime/src/message/layout.rs",
    // The kernels' own rooms.
    "runtime/src/kernel/local/message.rs",
    "runtime/src/kernel/local/notify.rs",
    "runtime/src/kernel/local/wire.rs",
    "runtime/src/kernel/remains.rs",
];

/// What a file says that asks.
const QUESTIONS: &[&str] =
    &["Family::Typed", "Family::Untyped", "is_typed()", "Steps::Typed", "Steps::Untyped"];

/// Imports that lead up, by package: a module, and one above it. Without them no modules import one another
/// in a circle.
const UPWARD: &[(&str, &str, &str)] = &[
    // An `Abi` has a `Format`, whose functions read and write the messages of a `Kernel`, which has an `Abi`:
    // three traits that cannot be declared one after the other. Without that associated type, a call of the
    // wrong family would compile.
    ("runtime", "abi", "message"),
    // The kernels stand in the room of the trait, where users find them, and hand rights from task to task.
    ("runtime", "kernel", "right"),
];

#[test]
fn the_family_of_an_abi_is_asked_for_in_few_files() {
    let mut asking = BTreeSet::new();
    for package in PACKAGES {
        for file in sources(&root().join(package).join("src")) {
            let code = code(&file);
            if QUESTIONS.iter().any(|question| code.contains(question)) {
                let file = file.strip_prefix(root()).unwrap();
                asking.insert(file.to_string_lossy().into_owned());
            }
        }
    }
    let allowed: BTreeSet<String> = ASK_FOR_THE_FAMILY.iter().map(|file| (*file).to_owned()).collect();
    let strangers: Vec<_> = asking.difference(&allowed).collect();
    assert!(
        strangers.is_empty(),
        "these files ask whether an ABI is typed; let the layout or an emitter decide: {strangers:?}"
    );
    let gone: Vec<_> = allowed.difference(&asking).collect();
    assert!(gone.is_empty(), "these files ask no more: take them off the list: {gone:?}");
}

#[test]
fn the_modules_with_unsafe_are_those_that_the_architecture_names() {
    let source = root().join("runtime/src");
    let is_unsafe = |file: &PathBuf| {
        let code = code(file);
        ["unsafe {", "unsafe fn", "unsafe impl"].iter().any(|word| code.contains(word))
    };
    let files = sources(&source);
    let found: BTreeSet<String> = files
        .iter()
        .filter(|file| !is_test(&source, file) && is_unsafe(file))
        .map(|file| room_of(&source, file))
        .collect();
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, sentence) = architecture.split_once("`unsafe` stands where").unwrap();
    let (sentence, _) = sentence.split_once("Its one premise").unwrap();
    let named: BTreeSet<String> = sentence.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(found, named);
}

#[test]
fn modules_do_not_import_one_another_in_circles() {
    for package in PACKAGES {
        let mut imports = imports(&root().join(package).join("src"));
        for (_, module, above) in UPWARD.iter().filter(|(of, ..)| of == package) {
            let led_up = imports.get_mut(*module).is_some_and(|others| others.remove(*above));
            assert!(led_up, "{package}: `{module}` does not import `{above}` any more: take it off the list");
        }
        let circles = circles_of(&imports);
        assert!(circles.is_empty(), "{package}: modules import one another in circles: {circles:?}");
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The Rust files below a folder, in order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    mig_tests::files_below(folder, "rs").unwrap()
}

/// True for the tests of a module: they may use whatever the package has.
fn is_test(source: &Path, file: &Path) -> bool {
    let inside = file.strip_prefix(source).unwrap();
    file.ends_with("tests.rs") || inside.iter().any(|folder| folder == "tests")
}

/// A file's text without comments and without the tests at its end.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The module at the top of a package that a file belongs to.
fn module_of(source: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(source).unwrap();
    let first = inside.iter().next().unwrap().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The module that a file of the runtime is, but for the kernels: their whole room is one.
fn room_of(source: &Path, file: &Path) -> String {
    if module_of(source, file) == "kernel" {
        return "kernel".to_owned();
    }
    let inside = file.strip_prefix(source).unwrap().with_extension("");
    inside.to_string_lossy().trim_end_matches("/mod").to_owned()
}

/// The modules at the top of a package, and for each of them the others that it names.
fn imports(source: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let mut files = sources(source);
    files.retain(|file| !is_test(source, file));
    let is_root = |module: &str| matches!(module, "lib" | "main");
    let modules: BTreeSet<String> =
        files.iter().map(|file| module_of(source, file)).filter(|module| !is_root(module)).collect();
    let roots = files.iter().filter(|file| is_root(&module_of(source, file)));
    let exported: BTreeMap<String, String> = roots.flat_map(|file| exports(&code(file), &modules)).collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &files {
        let module = module_of(source, file);
        if is_root(&module) {
            continue;
        }
        let code = code(file);
        // A file at the top may say `super` for the package.
        let at_top = file.parent() == Some(source) || file.ends_with(format!("{module}/mod.rs"));
        let mut names = names_after(&code, "crate::");
        if at_top {
            names.extend(names_after(&code, "super::"));
        }
        let named = names.into_iter().filter_map(|name| match modules.contains(&name) {
            true => Some(name),
            false => exported.get(&name).cloned(),
        });
        let entry = imports.entry(module.clone()).or_default();
        entry.extend(named.filter(|other| *other != module));
    }
    imports
}

/// What the root of a package exports from its modules: the item and its module.
fn exports(root: &str, modules: &BTreeSet<String>) -> Vec<(String, String)> {
    let mut exports = Vec::new();
    for statement in root.split(';') {
        let Some((_, path)) = statement.split_once("use ") else { continue };
        let path = path.trim().trim_start_matches("crate::").trim_start_matches("self::");
        let Some((module, items)) = path.split_once("::") else { continue };
        if modules.contains(module) {
            let names = items.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            exports.extend(
                names.filter(|name| !name.is_empty()).map(|name| (name.to_owned(), module.to_owned())),
            );
        }
    }
    exports
}

/// The names that follow a word, also in braces.
fn names_after(code: &str, word: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(word) {
        let is_part = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
        if is_part {
            continue;
        }
        let rest = &code[at + word.len()..];
        match rest.strip_prefix('{') {
            None => names.extend(first_name(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut expected = true;
                for (index, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => expected = true,
                        c if expected && !c.is_whitespace() => {
                            names.extend(first_name(&list[index..]));
                            expected = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

fn first_name(text: &str) -> Option<String> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The largest sets of modules of which each reaches each other.
fn circles_of(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> = imports.get(from).into_iter().flatten().collect();
        while let Some(module) = next.pop() {
            if reached.insert(module.clone()) {
                next.extend(imports.get(module).into_iter().flatten());
            }
        }
        reached
    };
    let reaches: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|module| (module, reached(module))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (module, reached) in &reaches {
        if !reached.contains(*module) {
            continue;
        }
        let members =
            reached.iter().filter(|other| reaches.get(other).is_some_and(|back| back.contains(*module)));
        circles.insert(members.cloned().collect());
    }
    circles.into_iter().collect()
}

/// The checks themselves, on sources that break the rules.
#[test]
fn circles_and_names_are_found() {
    assert_eq!(
        names_after("use crate::{a::{x, y}, b, c::z}; crate::d::e(); mycrate::f", "crate::"),
        ["a", "b", "c", "d"]
    );
    let modules: BTreeSet<String> = ["model", "abi"].map(str::to_owned).into();
    let exported = exports("pub mod model;\npub use model::{Arg, Role};\nuse std::fmt;", &modules);
    assert_eq!(exported, [("Arg".to_owned(), "model".to_owned()), ("Role".to_owned(), "model".to_owned())]);
    let imports = |pairs: &[(&str, &[&str])]| -> BTreeMap<String, BTreeSet<String>> {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        pairs.iter().map(|(module, names)| ((*module).to_owned(), set(names))).collect()
    };
    let circle = imports(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["a"])]);
    assert_eq!(circles_of(&circle), [["a", "b", "c"]]);
    assert!(circles_of(&imports(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])).is_empty());
}
