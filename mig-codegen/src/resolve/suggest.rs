//! What is declared elsewhere: which file declares a missing type, and how many bytes C gives a type.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// Knows what is declared elsewhere.
pub trait Declarations {
    /// The name by which a file that declares this type can be included, for the hint at an unknown one.
    fn file_of(&self, type_name: &str) -> Option<String>;

    /// The bytes of a type in C, where they are not those of its declaration: messages have them.
    fn size_in_c(&self, _type_name: &str) -> Option<u32> {
        None
    }
}

/// Knows nothing.
impl Declarations for () {
    fn file_of(&self, _: &str) -> Option<String> {
        None
    }
}

/// The `.defs` files under a list of include directories. They are read when the first hint is asked for.
#[derive(Debug, Default)]
pub struct IncludePath {
    directories: Vec<PathBuf>,
    texts: Vec<(&'static str, &'static str)>,
    sizes: BTreeMap<String, u32>,
    found: RefCell<Option<HashMap<String, String>>>,
}

impl IncludePath {
    /// Looks into these directories and their subdirectories.
    pub fn new(directories: impl IntoIterator<Item = PathBuf>) -> Self {
        let directories = directories.into_iter().collect();
        IncludePath { directories, ..IncludePath::default() }
    }

    /// Looks into these texts after the directories; each has the name by which it can be included.
    #[must_use]
    pub fn texts(mut self, texts: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        self.texts.extend(texts);
        self
    }

    /// These types have this many bytes in C.
    #[must_use]
    pub fn sizes(mut self, sizes: BTreeMap<String, u32>) -> Self {
        self.sizes = sizes;
        self
    }
}

impl Declarations for IncludePath {
    fn file_of(&self, type_name: &str) -> Option<String> {
        let mut found = self.found.borrow_mut();
        let found = found.get_or_insert_with(|| {
            let mut map = HashMap::new();
            for directory in &self.directories {
                scan(directory, directory, DEPTH, &mut map);
            }
            for (name, text) in &self.texts {
                note(name, text, &mut map);
            }
            map
        });
        found.get(type_name).cloned()
    }

    fn size_in_c(&self, type_name: &str) -> Option<u32> {
        self.sizes.get(type_name).copied()
    }
}

/// How deep under an include directory a hint looks.
const DEPTH: usize = 3;
/// No file larger than this is worth a hint.
const LARGEST: u64 = 1 << 20;

fn scan(root: &Path, directory: &Path, depth: usize, found: &mut HashMap<String, String>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Ok(meta) = fs::metadata(&path) else { continue };
        if meta.is_dir() && depth > 0 {
            scan(root, &path, depth - 1, found);
        } else if meta.is_file() && path.extension().is_some_and(|e| e == "defs") && meta.len() <= LARGEST {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let Ok(name) = path.strip_prefix(root) else { continue };
            note(&name.display().to_string(), &text, found);
        }
    }
}

/// Notes which types a file declares, unless another one that was seen before does.
fn note(name: &str, text: &str, found: &mut HashMap<String, String>) {
    for ty in declared(text) {
        found.entry(ty.to_owned()).or_insert_with(|| name.to_owned());
    }
}

/// The names in `type NAME =` at the start of a line: enough for a hint.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let rest = line.trim_start().strip_prefix("type")?;
        let name = rest.strip_prefix([' ', '\t'])?.trim_start();
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        (end > 0 && name[end..].trim_start().starts_with('=')).then(|| &name[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found_at_the_start_of_a_line() {
        let text = "type a = int;\n  type\tb_t=a;\n// type c = a\ntyped = 1;\ntype d\n= int;\n";
        assert_eq!(declared(text).collect::<Vec<_>>(), ["a", "b_t"]);
    }
}
