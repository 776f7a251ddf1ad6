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

/// The text of a file, by its path in [`FILES`].
pub fn text(path: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == path).map(|(_, text)| *text)
}
