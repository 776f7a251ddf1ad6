//! The definitions that come with the compiler: the texts of `mach-defs`, found as if they were in folders at
//! the end of the include path.

use std::io;
use std::path::{Path, PathBuf};

use mach_defs::definitions;
use mig_parser::Loader;

use crate::abi::Abi;

/// The folder in which these definitions seem to be. No file system has it.
const ROOT: &str = "<mach-defs>";

/// The folders whose files are for an ABI, in order.
pub(crate) fn folders(abi: &Abi) -> impl Iterator<Item = PathBuf> {
    definitions::folders(abi.name()).iter().map(|folder| Path::new(ROOT).join(folder))
}

/// The files for an ABI: the name by which to include what each declares, and its text.
pub(crate) fn files(abi: &Abi) -> impl Iterator<Item = (&'static str, &'static str)> {
    definitions::files(abi.name()).map(|(name, text)| (included_by(name), text))
}

/// The file that includes the types of a machine, which build on those of all machines.
fn included_by(name: &str) -> &str {
    if name == "mach/machine/machine_types.defs" { "mach/std_types.defs" } else { name }
}

/// Whether a path is that of such a file, and of none on a disk.
pub(crate) fn is_one(path: &Path) -> bool {
    path.starts_with(ROOT)
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Option<&'static str> {
    let parts: Vec<&str> = path.strip_prefix(ROOT).ok()?.iter().map_while(|part| part.to_str()).collect();
    definitions::text(&parts.join("/"))
}

/// Another loader, and these files beside its own.
pub(crate) struct WithShipped<'a>(pub(crate) &'a dyn Loader);

impl Loader for WithShipped<'_> {
    fn load(&self, path: &Path) -> io::Result<Vec<u8>> {
        if !is_one(path) {
            return self.0.load(path);
        }
        text(path).map(|text| text.as_bytes().to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn identity(&self, path: &Path) -> PathBuf {
        if is_one(path) { path.to_owned() } else { self.0.identity(path) }
    }
}

/// The name in `<mach/exc.defs>`: a file that is looked for as an included one is.
pub(crate) fn in_brackets(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix('<')?.strip_suffix('>')
}
