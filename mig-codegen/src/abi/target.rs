//! What the C compiler of a target says about it: a file of `#define`s for each, as `cc -E -dM` prints them.
//!
//! A file of definitions may ask for any of them, and where one is missing, messages are laid out wrong
//! without an error. A test therefore compares them with those that gcc and clang print.

/// The machine and the system that a C compiler compiles for.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    /// The processor, as `-arch` names it.
    pub processor: &'static str,
    /// Lines of `#define` and `#assert`: what the C compiler says, and what the MIG script adds.
    pub predefined: &'static [&'static str],
}

/// What the script of Apple's MIG defines.
const MACH30: &str = "#define __MACH30__ 1\n";

pub(super) static GNU_I386: Target =
    Target { processor: "i386", predefined: &[include_str!("targets/gnu-i386.h")] };

pub(super) static GNU_X86_64: Target =
    Target { processor: "x86_64", predefined: &[include_str!("targets/gnu-x86_64.h")] };

pub(super) static MACH_I386: Target =
    Target { processor: "i386", predefined: &[include_str!("targets/mach-i386.h")] };

pub(super) static APPLE_I386: Target =
    Target { processor: "i386", predefined: &[include_str!("targets/apple-i386.h"), MACH30] };

pub(super) static APPLE_X86_64: Target =
    Target { processor: "x86_64", predefined: &[include_str!("targets/apple-x86_64.h"), MACH30] };

pub(super) static APPLE_ARM64: Target =
    Target { processor: "arm64", predefined: &[include_str!("targets/apple-arm64.h"), MACH30] };
