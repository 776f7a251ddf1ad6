//! A header for programs in C that speak to a server in Rust, or serve its clients: message ids, the
//! structures of the messages, and the prototypes of C's stubs.
//!
//! The structures are the slots of the tables, in order, with the names that Apple's MIG gives to its own
//! (`__Request__clock_get_time_t`), so a C compiler finds each value where the stubs of both languages put
//! it. It checks that too: the header asserts the size of each C type in a message, and of each message.
//!
//! ```
//! use mig_codegen::{Config, Input, Side, c};
//!
//! let clock = "
//!     subsystem clock 3100;
//!     type clock_t = MACH_MSG_TYPE_COPY_SEND;
//!     routine clock_get_time(clock : clock_t; out now : int);
//! ";
//! let clock = Input::Text { name: "clock.defs", text: clock.as_bytes() };
//! let header = c::header(&Config::new().abi("gnu-i386").interface(clock)?.value, Side::Client);
//! assert!(header.contains("#define MIG_ID_clock_get_time 3100"));
//! assert!(header.contains("extern kern_return_t clock_get_time(\n\tclock_t clock,\n\tint *now\n);"));
//! # Ok::<(), mig_codegen::Error>(())
//! ```

mod messages;
mod prototypes;

use std::fmt::Write as _;

use mig_abi::RightNumbers;
use mig_parser::ast::ImportKind;

use crate::Side;
use crate::model::{Interface, Routine, Scalar, Type, TypeKind};

/// How many words the arguments of a routine's function in a server are, as Apple's MIG counts them for the
/// descriptors that it leaves in a program (`argc` of `<mach/mig.h>`): one for each parameter, the numbers of
/// elements included, and of a structure as many as it has.
pub fn server_words(interface: &Interface, routine: &Routine) -> u32 {
    prototypes::server_words(interface, routine)
}

/// The header of an interface, with the prototypes of a side's functions: those that a client calls, those
/// that a server is made of, or both.
pub fn header(interface: &Interface, side: Side) -> String {
    let mut text = String::new();
    let name = &interface.name;
    let guard = format!(
        "MIG_{name}_{}",
        match side {
            Side::Client => "client",
            Side::Server => "server",
            Side::Both => "both",
        }
    );
    lines(
        &mut text,
        &[
            &format!(
                "/* The subsystem {name} on {}. Written by mig; changes will be lost. */",
                interface.abi.name()
            ),
            "",
            &format!("#ifndef {guard}"),
            &format!("#define {guard}"),
            "",
            "#include <mach/kern_return.h>",
            "#include <mach/port.h>",
            "#include <mach/message.h>",
        ],
    );
    for import in interface.imports.iter().filter(|import| is_for(import.kind, side)) {
        lines(&mut text, &[&format!("#include {}", import.file)]);
    }
    lines(&mut text, &["", "#ifdef __cplusplus", "extern \"C\" {", "#endif", ""]);
    for side in [Side::Client, Side::Server].into_iter().filter(|one| side == Side::Both || side == *one) {
        prototypes::write(&mut text, interface, side);
    }
    // The headers of both sides have this part, so it must not be declared twice.
    lines(&mut text, &[&format!("#ifndef MIG_{name}_messages"), &format!("#define MIG_{name}_messages"), ""]);
    ids(&mut text, interface);
    messages::write(&mut text, interface);
    lines(&mut text, &[&format!("#endif /* MIG_{name}_messages */"), ""]);
    lines(&mut text, &["#ifdef __cplusplus", "}", "#endif", "", &format!("#endif /* {guard} */")]);
    text
}

/// What `mach/message.h` calls the parts of messages.
struct Words {
    header: &'static str,
    type_word: &'static str,
    long_type_word: &'static str,
    /// A number of elements.
    count: &'static str,
    /// A right, or its name.
    right: &'static str,
    /// Which kind of right it is.
    kind: &'static str,
}

impl Words {
    fn of(interface: &Interface) -> &'static Self {
        match interface.abi.facts.rights {
            RightNumbers::Mach3 => &Self {
                header: "mach_msg_header_t",
                type_word: "mach_msg_type_t",
                long_type_word: "mach_msg_type_long_t",
                count: "mach_msg_type_number_t",
                right: "mach_port_t",
                kind: "mach_msg_type_name_t",
            },
            RightNumbers::Mach25 => &Self {
                header: "msg_header_t",
                type_word: "msg_type_t",
                long_type_word: "msg_type_long_t",
                count: "unsigned int",
                right: "port_t",
                kind: "int",
            },
        }
    }
}

fn lines(text: &mut String, lines: &[&str]) {
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
}

/// Whether a side's header includes what a statement imports; C's stubs include the rest.
fn is_for(kind: ImportKind, side: Side) -> bool {
    match kind {
        ImportKind::Both => true,
        ImportKind::User => side != Side::Server,
        ImportKind::Server => side != Side::Client,
        ImportKind::Internal | ImportKind::Define => false,
    }
}

fn ids(text: &mut String, interface: &Interface) {
    for routine in &interface.routines {
        // Writing to a string can't fail.
        let _ = writeln!(text, "#define MIG_ID_{} {}", routine.name, routine.id);
        if routine.reply.is_some() {
            let _ = writeln!(text, "#define MIG_REPLY_ID_{} {}", routine.name, routine.reply_id());
        }
    }
    text.push('\n');
}

/// A declaration of a member or a parameter: `int now`, `char name[40]`.
fn declaration(words: &Words, ty: &Type, c_name: Option<&str>, name: &str) -> String {
    if let Some(c_name) = c_name.or(ty.name.as_deref()) {
        return format!("{c_name} {name}");
    }
    match &ty.kind {
        TypeKind::Fixed { element, count, .. } => {
            declaration(words, element, element.c.user.as_deref(), &format!("{name}[{count}]"))
        }
        TypeKind::Scalar(scalar) => format!("{} {name}", scalar_name(scalar)),
        TypeKind::Port(_) => format!("{} {name}", words.right),
        TypeKind::OutOfLine { .. } | TypeKind::Indefinite { .. } => format!("void *{name}"),
        TypeKind::Bounded { .. } | TypeKind::BoundedString { .. } => format!("char *{name}"),
        TypeKind::FixedString { size, .. } | TypeKind::Struct { size, .. } => format!("char {name}[{size}]"),
    }
}

/// What C calls plain data that the `.defs` has no name for.
fn scalar_name(scalar: &Scalar) -> &'static str {
    match (scalar.bits, scalar.is_float) {
        (32, true) => "float",
        (64, true) => "double",
        (8, _) => "char",
        (16, _) => "short",
        (64, _) => "long long",
        _ => "int",
    }
}
