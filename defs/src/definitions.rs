//! The texts of the interface definitions, for compilers: `mig-codegen` finds them without a path.

/// Every `.defs` file: its path, which begins with the folder of its family, and its text. In the order of
/// families, then of paths.
pub static FILES: &[(&str, &str)] = &include!("generated/definitions.rs");

/// The families whose files are for an ABI, by its name: folders to look for included files in, in order.
///
/// ```
/// assert_eq!(mach_defs::definitions::folders("gnu-x86_64"), ["gnu", "hurd"]);
/// ```
pub fn folders(abi: &str) -> &'static [&'static str] {
    match abi.split('-').next() {
        Some("gnu") => &["gnu", "hurd"],
        Some("apple") => &["apple"],
        Some("osf") => &["osf"],
        _ => &[],
    }
}

/// The files for an ABI, in the order in which they are found: the name by which to include each, and its
/// text.
///
/// ```
/// assert!(mach_defs::definitions::files("apple-64").any(|(name, _)| name == "mach/mach_exc.defs"));
/// ```
pub fn files(abi: &str) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
    folders(abi).iter().flat_map(|folder| {
        let below = move |path: &'static str| path.strip_prefix(folder)?.strip_prefix('/');
        FILES.iter().filter_map(move |(path, text)| Some((below(path)?, *text)))
    })
}

/// The text of a file, by its path in [`FILES`].
pub fn text(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == path).map(|(_, text)| *text)
}
