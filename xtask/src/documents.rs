//! What the documents show besides Rust, which other tests compile: commands that there are, with options
//! that they have; settings that parse, of features that there are; scripts that load.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::command::{cargo, program, read, root, target, works};
use crate::report::{Outcome, StepResult};

/// Programs of the documents that are not of this repository: nobody here knows their options.
const OTHERS: &[&str] = &[
    "bash",
    "cat",
    "cc",
    "code",
    "codesign",
    "cp",
    "gcc",
    "launchctl",
    "make",
    "mkdir",
    "my-server",
    "npm",
    "npx",
    "od",
    "rustup",
    "text2pcap",
    "tshark",
];

/// The programs of this repository, and the packages that they are in.
const OURS: &[(&str, &str)] = &[("mig", "mig-cli"), ("mach-pager", "mach-pager-cli"), ("machrun", "machrun")];

/// Looks at every block of every document.
pub(crate) fn check() -> StepResult {
    let mut commands = Commands { helps: BTreeMap::new() };
    let mut faults = Vec::new();
    let mut scripts = Vec::new();
    for file in read(program("git").args(["ls-files", "*.md"]))?.lines() {
        let text = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
        for (kind, content) in blocks(&text) {
            let found = match kind {
                "sh" => commands.check(&content),
                "console" => commands.check(&typed(&content)),
                "toml" => settings(&content),
                "lua" => {
                    scripts.push(content);
                    Ok(())
                }
                _ => Ok(()),
            };
            if let Err(fault) = found {
                faults.push(format!("{file}: {fault}"));
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults.join("\n"));
    }
    load(&scripts)
}

/// The fenced blocks of a text: what follows the fence, and the content.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            let content = lines.by_ref().take_while(|line| line.trim() != "```");
            blocks.push((kind, content.fold(String::new(), |text, line| text + line + "\n")));
        }
    }
    blocks
}

/// What a person has typed of a console's text.
fn typed(console: &str) -> String {
    console
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .fold(String::new(), |all, one| all + one + "\n")
}

/// The commands of a script, each as its words: without comments, redirections, and variables before it.
fn split(script: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        let mut command = Vec::new();
        let mut words = words(line).into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "&&" | "|" | ";" => commands.push(std::mem::take(&mut command)),
                ">" | "2>" => drop(words.next()),
                "<<END" => drop(lines.by_ref().find(|line| *line == "END")),
                _ if command.is_empty() && word.contains('=') => {}
                _ => command.push(word),
            }
        }
        commands.push(command);
    }
    commands.retain(|command| !command.is_empty());
    commands
}

/// The words of a line, without their quotes, up to a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => word.push(c),
            (None, '\'' | '"') => quote = Some(c),
            (None, '#') if word.is_empty() => break,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, _) => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// What is known of the programs of this repository.
struct Commands {
    /// What each verb prints about itself.
    helps: BTreeMap<String, String>,
}

impl Commands {
    fn check(&mut self, script: &str) -> Result<(), String> {
        let mut made = Vec::new();
        for command in split(script) {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let name = Path::new(words[0]).file_name().and_then(|name| name.to_str()).unwrap_or_default();
            match name {
                "cargo" if words.get(1) == Some(&"new") => made.extend(words.last().map(ToString::to_string)),
                "cargo" => self.cargo(&words[1..])?,
                "cd" => {
                    let folder = words.get(1).copied().unwrap_or_default();
                    if !root().join(folder).is_dir() && !made.iter().any(|made| made == folder) {
                        return Err(format!("`{folder}` is no folder of the repository"));
                    }
                }
                _ if OURS.iter().any(|(ours, _)| *ours == name) => self.ours(name, &words[1..])?,
                _ if OTHERS.contains(&name) => {}
                _ => return Err(format!("`{name}` is not known here: `{}`", words.join(" "))),
            }
        }
        Ok(())
    }

    /// A command of one of our programs: the verb and its options.
    fn ours(&mut self, name: &str, words: &[&str]) -> Result<(), String> {
        let package = OURS.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, package)| *package);
        let verb = match (name, words.first()) {
            ("machrun", _) => return Ok(()),
            // As the C MIG is called.
            ("mig", Some(option)) if option.starts_with('-') => return Ok(()),
            (_, Some(verb)) => *verb,
            (_, None) => return Ok(()),
        };
        let help = || read(cargo().args(["run", "--quiet", "--package", package, "--", verb, "--help"]));
        self.options(&format!("{name} {verb}"), help, &words[1..])
    }

    /// Compares the options of a command with what it says of itself.
    fn options(
        &mut self,
        command: &str,
        help: impl FnOnce() -> Result<String, String>,
        words: &[&str],
    ) -> Result<(), String> {
        if !self.helps.contains_key(command) {
            self.helps.insert(command.to_owned(), help()?);
        }
        let help = &self.helps[command];
        let known: Vec<&str> = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).collect();
        for word in words.iter().take_while(|word| **word != "--").filter(|word| word.len() > 1) {
            // `-I.` and `--abi=gnu-i386` have their values with them.
            let option = match word.strip_prefix("--") {
                Some(_) => word.split('=').next().unwrap_or(word),
                None if word.starts_with('-') => &word[..2],
                None => continue,
            };
            if !known.contains(&option) {
                return Err(format!("`{command}` has no option `{option}`"));
            }
        }
        Ok(())
    }

    fn cargo(&mut self, words: &[&str]) -> Result<(), String> {
        let (Some(verb), rest) = (words.first(), &words[1.min(words.len())..]) else { return Ok(()) };
        match *verb {
            "xtask" => return self.xtask(rest),
            "install" | "fuzz" => return path(rest),
            "add" => return added(rest),
            "run" | "build" | "test" | "bench" | "nextest" | "rustc" => {}
            _ => return Err(format!("`cargo {verb}` is not known here")),
        }
        for (option, folder) in [("--test", "tests"), ("--bench", "benches"), ("--example", "examples")] {
            for name in values(rest, &[option]) {
                let files = [format!("*{folder}/{name}.rs"), format!("*{folder}/{name}/main.rs")];
                if read(program("git").arg("ls-files").args(files))?.is_empty() {
                    return Err(format!("there is no `{option} {name}`"));
                }
            }
        }
        let named: Vec<&str> = values(rest, &["-p", "--package"]).collect();
        named.iter().try_for_each(|package| is_package(package))?;
        let run = named.first().filter(|_| *verb == "run");
        let ours = run.and_then(|package| OURS.iter().find(|(_, ours)| ours == package));
        match (ours, rest.iter().position(|word| *word == "--")) {
            (Some((name, _)), Some(at)) => self.ours(name, &rest[at + 1..]),
            _ => Ok(()),
        }
    }

    fn xtask(&mut self, words: &[&str]) -> Result<(), String> {
        let Some(verb) = words.first() else { return Ok(()) };
        let help = || read(cargo().args(["run", "--quiet", "--package", "xtask", "--", verb, "--help"]));
        self.options(&format!("cargo xtask {verb}"), help, &words[1..])?;
        let steps = root().join("xtask/src/test.rs");
        let steps = fs::read_to_string(&steps).map_err(|error| format!("{}: {error}", steps.display()))?;
        let is_step = |word: &str| {
            let mut names =
                steps.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split('"').next());
            names.any(|name| name.contains(word))
        };
        match values(words, &["--only"]).find(|word| !is_step(word) && *word != "WORD") {
            Some(word) => Err(format!("no check has `{word}` in its name")),
            None => Ok(()),
        }
    }
}

/// What follows each of these options.
fn values<'a>(words: &'a [&'a str], options: &[&'a str]) -> impl Iterator<Item = &'a str> {
    let pairs = words.windows(2).take_while(|pair| pair[0] != "--");
    let options = options.to_vec();
    pairs.filter(move |pair| options.contains(&pair[0])).map(|pair| pair[1])
}

fn is_package(name: &str) -> Result<(), String> {
    match works(cargo().args(["pkgid", "--package", name])) {
        true => Ok(()),
        false => Err(format!("there is no package `{name}`")),
    }
}

fn path(words: &[&str]) -> Result<(), String> {
    match values(words, &["--path"]).find(|folder| !root().join(folder).join("Cargo.toml").is_file()) {
        Some(folder) => Err(format!("`{folder}` has no package")),
        None => Ok(()),
    }
}

/// `cargo add`
fn added(words: &[&str]) -> Result<(), String> {
    let features: Vec<&str> = values(words, &["--features"]).flat_map(|list| list.split(',')).collect();
    let names = words.iter().filter(|word| is_of_here(word));
    names.into_iter().try_for_each(|name| has_features(name, &features))
}

/// Whether a dependency is a package of this repository.
fn is_of_here(name: &str) -> bool {
    name.starts_with("mig-") || name.starts_with("mach-")
}

fn has_features(package: &str, features: &[&str]) -> Result<(), String> {
    let id = read(cargo().args(["pkgid", "--package", package]))?;
    let folder = id.trim().strip_prefix("path+file://").and_then(|id| id.split('#').next()).unwrap_or(".");
    let file = Path::new(folder).join("Cargo.toml");
    let manifest = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let manifest: toml::Table = manifest.parse().map_err(|error| format!("{}: {error}", file.display()))?;
    let known = manifest.get("features").and_then(toml::Value::as_table);
    match features.iter().find(|feature| known.is_none_or(|known| !known.contains_key(**feature))) {
        Some(feature) => Err(format!("`{package}` has no feature `{feature}`")),
        None => Ok(()),
    }
}

/// Settings: for cargo, with packages of this repository as they are, or for other programs.
fn settings(text: &str) -> Result<(), String> {
    let table: toml::Table = text.parse().map_err(|error| format!("{error}"))?;
    let tables = ["dependencies", "build-dependencies", "dev-dependencies"];
    let tables = tables.iter().filter_map(|name| table.get(*name)?.as_table()).chain([&table]);
    for (name, value) in tables.flatten().filter(|(name, _)| is_of_here(name)) {
        let version = value.as_str().or_else(|| value.get("version")?.as_str()).unwrap_or_default();
        let id = read(cargo().args(["pkgid", "--package", name]))?;
        let ours = id.trim().rsplit(['#', '@']).next().unwrap_or_default();
        if !ours.starts_with(&format!("{version}.")) {
            return Err(format!("`{name}` has the version {ours}, and not {version}"));
        }
        let features = value.get("features").and_then(toml::Value::as_array).into_iter().flatten();
        has_features(name, &features.filter_map(toml::Value::as_str).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// Has Lua read scripts, whose editor is a table that answers everything with itself.
fn load(scripts: &[String]) -> StepResult {
    if !works(program("tshark").arg("--version")) {
        return Ok(Outcome::Skipped("tshark, whose Lua reads scripts, does not work".to_string()));
    }
    let folder = tempfile::Builder::new().prefix("scripts-").tempdir_in(target());
    let folder = folder.map_err(|error| format!("a folder in {}: {error}", target().display()))?;
    let write = |name: &str, content: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, content).map_err(|error| format!("{}: {error}", file.display())).map(|()| file)
    };
    // A capture of no packet, by `pcap-savefile(5)`.
    let numbers = [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 65535, 147];
    let capture = write("empty.pcap", &numbers.map(u32::to_le_bytes).concat())?;
    let editor = "local itself = function(table) return table end\n\
                  vim = setmetatable({}, { __index = itself, __call = itself })\n";
    for (index, script) in scripts.iter().enumerate() {
        let file = write(&format!("{index}.lua"), format!("{editor}{script}").as_bytes())?;
        let mut tshark = program("tshark");
        // No settings of whoever runs the tests.
        tshark.env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME");
        tshark.arg("-X").arg(format!("lua_script:{}", file.display())).arg("-r").arg(&capture);
        let output = tshark.output().map_err(|error| format!("tshark: {error}"))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || complaint.contains("Lua") {
            return Err(format!("{complaint}\n{script}"));
        }
    }
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::{blocks, split, typed, words};

    #[test]
    fn scripts_are_commands_and_words() {
        assert_eq!(words("a -I. 'b c' # d"), ["a", "-I.", "b c"]);
        let script = "A=1 mig abi x > y && cd z   # so\ncat > f <<'END'\n<a b>\nEND\nod f | less\n";
        let commands: Vec<String> = split(script).iter().map(|command| command.join(" ")).collect();
        assert_eq!(commands, ["mig abi x", "cd z", "cat", "od f", "less"]);
    }

    #[test]
    fn blocks_have_a_kind() {
        assert_eq!(blocks("a\n```sh\nb\n```\nc\n"), [("sh", "b\n".to_owned())]);
        assert_eq!(typed("$ mig abi\nmessage\n$ ls\n"), "mig abi\nls\n");
    }
}
