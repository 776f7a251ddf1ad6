//! The MIG compiler: interface definitions of Mach (`.defs`) become Rust clients, server traits and demux
//! functions.
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
//! and the program has it with `mig_runtime::include_interface!("memory_object_default")`. The other verbs
//! write into a folder that is kept with the sources, with a mode that only checks
//! ([`Config::compile_into`]), or into a string:
//!
//! ```
//! use mig_codegen::{Config, Input};
//!
//! let clock = "
//!     subsystem clock 3100;
//!     type clock_t = MACH_MSG_TYPE_COPY_SEND;
//!     type number_t = MACH_MSG_TYPE_INTEGER_32;
//!     routine clock_get_time(clock : clock_t; out seconds : number_t);
//! ";
//! let rust = Config::new().abi("gnu-x86_64").text(Input::Text { name: "clock.defs", text: clock.as_bytes() })?.value;
//! assert!(rust.contains("pub fn clock_get_time<"));
//! assert!(rust.contains("pub trait Clock<"));
//! # Ok::<(), mig_codegen::Error>(())
//! ```
//!
//! # Types
//!
//! | in the `.defs` | a client passes | a server gets | a result is |
//! |---|---|---|---|
//! | an integer, `boolean_t` | `i32`, `u64`, …, `bool` | the same | the same |
//! | `array[N] of`, `struct[N] of`, `struct { … }` | `&[T; N]`, `&Struct` | `[T; N]`, `Struct` | the same |
//! | `array[*:N] of` | `&[T]` | `&[T]` | `ArrayVec<T, N>`; `Vec<T>` from 8 KiB on |
//! | `array[] of` | `&[T]` | `Elements`, a slice wherever it arrived | `Vec<T>` |
//! | `^array[] of` bytes | `&[u8]`; with `dealloc` `OolMemory`, with `dealloc[]` either | `OolMemory` | `OolMemory` |
//! | `c_string[N]`, `c_string[*:N]` | `&CStr` | `&CStr` | `CString` |
//! | a port that is moved | `SendRight`, … | `SendRight`, … | `SendRight`, … |
//! | a port that is copied, or made from a receive right | `&SendRight`, `&ReceiveRight` | `SendRight`, `SendOnceRight` | the same |
//! | a polymorphic port | anything `Into<AnyRight>` | `AnyRight` | `AnyRight` |
//! | an array of ports | `Vec`, `&[…]` or `PortArray` | `Vec` | `Vec` |
//!
//! Several results are a structure with their names. A named integer is a type alias
//! (`pub type VmSize = u64`): the same C type in two interfaces stays one type, and can be calculated with.
//! Where a type of one's own says more, [`Config::extern_type`] puts it in its place:
//!
//! ```
//! use mig_codegen::{Config, Input};
//!
//! let vm = "
//!     subsystem vm 3800;
//!     type vm_task_t = MACH_MSG_TYPE_COPY_SEND;
//!     type vm_prot_t = int;
//!     routine vm_protect(task : vm_task_t; address : uintptr_t; protection : vm_prot_t);
//! ";
//! let config = Config::new().extern_type("vm_prot_t", "crate::Protection");
//! let rust = config.text(Input::Text { name: "vm.defs", text: vm.as_bytes() })?.value;
//! assert!(rust.contains("protection: crate::Protection,"));
//! # Ok::<(), mig_codegen::Error>(())
//! ```
//!
//! # Names
//!
//! Functions, arguments and fields are written in `snake_case`, types in `UpperCamelCase` without C's `_t`,
//! ids in capitals. A keyword of Rust becomes raw (`r#match`), or gets an underscore where it cannot
//! (`self_`); a type that would hide a name of the prelude keeps its `_t` (`result_t` is `ResultT`). A name
//! of underscores only is `unnamed`, `_1` is `number_1`.
//!
//! C tells `GetPort` and `get_port` apart, Rust's conventions do not. The name that is written in Rust's form
//! already keeps it, else the first; each further one gets a number. What is named after a routine or the
//! subsystem gives way to the interface's own names, with an underscore after it.
//!
//! ```
//! use mig_codegen::{Config, Input};
//!
//! let ports = "
//!     subsystem ports 100;
//!     type p_t = MACH_MSG_TYPE_COPY_SEND;
//!     routine GetPort(p : p_t);
//!     routine get_port(p : p_t; base : int; BASE : int);
//!     routine __(p : p_t);
//! ";
//! let rust = Config::new().abi("gnu-x86_64").text(Input::Text { name: "ports.defs", text: ports.as_bytes() })?.value;
//! for part in ["pub const GET_PORT_2: i32 = 100;", "pub const GET_PORT: i32 = 101;", "base_2: i32", "pub const UNNAMED: i32 = 102;"] {
//!     assert!(rust.contains(part), "{part}");
//! }
//! # Ok::<(), mig_codegen::Error>(())
//! ```
//!
//! # Translations
//!
//! `intran: node_t begin_node(file_t)` says that a server wants a `node_t` for the port. Given a Rust type
//! for `node_t`, it gets one; the function becomes a method of the server's trait, where it can look into the
//! server, and `destructor` is the `Drop` of that type. Without one the method gets the right itself.
//!
//! ```
//! use mig_codegen::{Config, Input, Side};
//!
//! let fs = "
//!     subsystem fs 5000;
//!     type file_t = MACH_MSG_TYPE_COPY_SEND
//!         intran: node_t begin_node(file_t)
//!         outtran: file_t port_of(node_t)
//!         destructor: end_node(node_t);
//!     routine fs_open(dir : file_t; out file : file_t);
//! ";
//! let config = Config::new().side(Side::Server).extern_type("node_t", "std::sync::Arc<crate::Node>");
//! let rust = config.text(Input::Text { name: "fs.defs", text: fs.as_bytes() })?.value;
//! // The trait's methods, spaces aside:
//! let rust: String = rust.split_whitespace().collect();
//! assert!(rust.contains("fnbegin_node(&self,port:rt::Name)->Result<std::sync::Arc<crate::Node>,rt::KernReturn>;"));
//! assert!(rust.contains("fnfs_open(&self,dir:std::sync::Arc<crate::Node>,dir_port:rt::Port<'_,K>,)"));
//! # Ok::<(), mig_codegen::Error>(())
//! ```
//!
//! - A request port that is translated is followed by the port itself, which can
//!   `defer` the answer.
//! - A right that is translated stays with the request and is released after the method.
//! - `intranpayload` is a method too; it is asked where the kernel delivers a payload instead of the name.
//! - `outtran` makes what travels of what the method returns. An answer that comes later is given
//!   untranslated.
//! - An error of a translation is the routine's.
//!
//! # What C leaves out
//!
//! `sreplyport` and `replyport` are no parameters of a server: each method can take the reply right with
//! `Port::defer`. `servercopy` has no effect, since an argument says by its type who owns it. `import`s,
//! `cusertype` and `cservertype` name C types; only `ctype`'s name is known to [`Config::extern_type`].
//!
//! The way of an interface: [`mig_parser`] gives a syntax tree; [`analyze`] resolves it into the [`model`],
//! and lays its messages out as tables of slots; the back end makes Rust of these, and [`table`] text and
//! JSON.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod abi;
pub mod breaking;
mod build;
pub mod c;
pub mod codes;
mod config;
pub mod dissector;
mod error;
pub mod explain;
#[cfg(feature = "json")]
mod json;
mod layout;
mod lints;
pub mod model;
mod output;
#[cfg(feature = "pages")]
pub mod pages;
mod resolve;
mod rust;
mod shipped;
pub mod table;
mod wire;

/// What documentation says of routines, arguments and types, in Markdown.
pub mod doc {
    pub use crate::rust::docs::{comment, describe, messages, type_text};
}

use mig_parser::ast::Ast;
use mig_parser::diagnostics::{Diagnostic, Diagnostics};

use crate::abi::Abi;
pub use crate::config::{Analysis, Config, Input, Output};
pub use crate::error::{Error, Report};
#[cfg(feature = "json")]
pub use crate::json::{error_json, warning_json};
use crate::model::Interface;
pub use crate::output::is_same_file;
pub use crate::resolve::{Declarations, IncludePath};
pub use crate::rust::Side;

/// Resolves an interface and lays out its messages for an ABI. `None` if anything is wrong; every thing wrong
/// is a diagnostic. `elsewhere` is asked which file declares an unknown type; `&()` knows none.
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
    let resolved = checked(ast, abi, elsewhere, diagnostics);
    if resolved.is_none() && !diagnostics.has_errors() {
        diagnostics.push(no_interface(ast));
    }
    resolved.filter(|_| !diagnostics.has_errors())
}

/// The diagnostic of a file that has no interface, as far as its statements are right.
fn no_interface(ast: &Ast) -> Diagnostic {
    let span = ast.statements.first().map_or(ast.end, |first| first.span);
    resolve::no_subsystem(span, "nothing to generate")
}

/// Finds everything that is wrong with a file, also one that only declares types.
pub fn check(ast: &Ast, abi: &'static Abi, elsewhere: &dyn Declarations, diagnostics: &mut Diagnostics) {
    let _ = checked(ast, abi, elsewhere, diagnostics);
}

/// The interface, also one with errors; `None` if there is none.
fn checked(
    ast: &Ast,
    abi: &'static Abi,
    elsewhere: &dyn Declarations,
    diagnostics: &mut Diagnostics,
) -> Option<Interface> {
    let mut resolved = resolve::resolve(ast, abi, elsewhere, diagnostics);
    diagnostics.blame_missing_file(codes::UNKNOWN_TYPE);
    if let Some(interface) = &mut resolved {
        // What could be resolved is laid out even if the rest is wrong: all errors come in one run.
        layout::lay_out(interface, diagnostics);
    }
    resolved
}

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
