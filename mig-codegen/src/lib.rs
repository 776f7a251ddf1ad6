//! The MIG compiler: interface definitions of Mach (`.defs`) become Rust clients, server traits and demux functions.
//!
//! A build script compiles a file into `OUT_DIR`:
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), mig_codegen::Error> {
//!     mig_codegen::Config::new()
//!         .include_dir("defs")
//!         .define("SEQNOS", "1")
//!         .compile("defs/mach/memory_object_default.defs")
//! }
//! ```
//!
//! and the program has it with `mig_runtime::include_interface!("memory_object_default")`. The other verbs write into a folder that is kept with
//! the sources, with a mode that only checks ([`Config::compile_into`]), or into a string:
//!
//! ```
//! use mig_codegen::{Config, Input};
//!
//! let clock = "
//!     subsystem clock 3100;
//!     type clock_t = MACH_MSG_TYPE_COPY_SEND;
//!     routine clock_get_time(clock : clock_t; out seconds : int);
//! ";
//! let rust = Config::new().abi("gnu-x86_64").text(Input::Text { name: "clock.defs", text: clock.as_bytes() })?.value;
//! assert!(rust.contains("pub fn clock_get_time<"));
//! assert!(rust.contains("pub trait Clock<"));
//! # Ok::<(), mig_codegen::Error>(())
//! ```
//!
//! The way of an interface: [`mig_parser`] gives a syntax tree; [`analyze`] resolves it into the [`model`], and lays its messages out as tables of
//! slots; the back end makes Rust of these, and [`table`] text and JSON.

pub mod abi;
mod build;
pub mod codes;
mod config;
mod error;
mod layout;
pub mod model;
mod resolve;
mod rust;
pub mod table;
mod wire;

use mig_parser::ast::Ast;
use mig_parser::diagnostics::Diagnostics;
use mig_parser::source::Span;

use crate::abi::Abi;
pub use crate::config::{Config, Input, Output};
pub use crate::error::Error;
use crate::model::Interface;
pub use crate::resolve::{Declarations, IncludePath};
pub use crate::rust::Side;

/// Resolves an interface and lays out its messages for an ABI. `None` if anything is wrong; every thing wrong is a
/// diagnostic. `elsewhere` is asked which file declares an unknown type; `&()` knows none.
///
/// ```
/// use mig_codegen::abi::Abi;
/// use mig_codegen::table::abi_text;
/// use mig_parser::{Memory, Options, parse};
///
/// let files = Memory::new().file(
///     "clock.defs",
///     "subsystem clock 3100;
///      type clock_t = MACH_MSG_TYPE_COPY_SEND;
///      routine clock_get_time(clock : clock_t; out now : int);",
/// );
/// let mut parsed = parse(&Options::new(), &files, "clock.defs");
/// let abi = Abi::by_name("gnu-i386").unwrap();
/// let clock = mig_codegen::analyze(&parsed.ast, abi, &(), &mut parsed.diagnostics).unwrap();
/// assert_eq!(clock.routines[0].id, 3100);
/// let reply = clock.routines[0].reply.as_ref().unwrap();
/// assert_eq!(reply.min_size, 24 + 8 + 8); // header, return code, `now`
/// print!("{}", abi_text(&clock));
/// ```
pub fn analyze(
    ast: &Ast,
    abi: &'static Abi,
    elsewhere: &dyn Declarations,
    diagnostics: &mut Diagnostics,
) -> Option<Interface> {
    let mut resolved = resolve::resolve(ast, abi, elsewhere, diagnostics);
    match &mut resolved {
        // What could be resolved is laid out even if the rest is wrong: all errors come in one run.
        Some(interface) => layout::lay_out(interface, diagnostics),
        None if !diagnostics.has_errors() => {
            let span = ast.statements.first().map_or(Span::default(), |first| first.span);
            diagnostics.push(resolve::no_subsystem(span, "nothing to generate"));
        }
        _ => {}
    }
    resolved.filter(|_| !diagnostics.has_errors())
}

/// Finds everything that is wrong with a file, also one that only declares types.
pub fn check(ast: &Ast, abi: &'static Abi, elsewhere: &dyn Declarations, diagnostics: &mut Diagnostics) {
    let resolved = resolve::resolve(ast, abi, elsewhere, diagnostics);
    if let Some(mut interface) = resolved {
        layout::lay_out(&mut interface, diagnostics);
    }
}
