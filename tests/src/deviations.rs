//! The differences from the C MIG that are meant to be, each with its reason, and what the C compiler itself
//! cannot build.
//!
//! The comparison fails on a difference without a reason, and on a reason without a difference.

use crate::tally::{Deviation, SENT};
use crate::values::Side::{Reply, Request};
use crate::wire::Field;

/// Differences with one reason.
pub struct Reason {
    /// The message.
    pub what: &'static str,
    /// What C does.
    pub c: &'static str,
    /// What our code does.
    pub ours: &'static str,
    /// Why.
    pub why: &'static str,
    /// Whether it is the reason of a difference.
    pub applies: fn(&Deviation) -> bool,
}

/// All reasons.
pub const REASONS: &[Reason] = &[
    Reason {
        what: "a reply with a right of type `MAKE_SEND` or `COPY_SEND`",
        c: "makes or copies the right",
        ours: "moves it",
        why: "a method returns a right that it owns; the receiver gets the same message",
        applies: |d| {
            d.damage == SENT && matches!(&*d.c, "MAKE_SEND" | "COPY_SEND") && d.ours == "moved right"
        },
    },
    Reason {
        what: "a reply with out-of-line memory without `dealloc`",
        c: "leaves the memory to the server",
        ours: "moves it",
        why: "a method returns memory that it owns; the receiver gets the same message",
        applies: |d| d.damage == SENT && d.c == "copied memory" && d.ours == "moved memory",
    },
    Reason {
        what: "a type word with a part that varies: the deallocate or an unused bit is wrong",
        c: "takes it",
        ours: "refuses it",
        why: "C looks at the whole word only where nothing varies; no stub sends this, no kernel delivers the first",
        applies: |d| {
            (d.is(Field::Deallocate) || d.is(Field::Unused))
                && (d.was(Request, "taken", "refused") || d.was(Reply, "taken", "refused"))
        },
    },
    Reason {
        what: "a long type word on i386: the name, size or number of the short form is not zero",
        c: "takes it",
        ours: "refuses it",
        why: "the words after it have them; no stub sends this, and GNU Mach refuses it in a complex message",
        applies: |d| {
            d.is(Field::Short) && (d.was(Request, "taken", "refused") || d.was(Reply, "taken", "refused"))
        },
    },
    Reason {
        what: "a polymorphic argument: a name of the sender's (`COPY_SEND`)",
        c: "takes it",
        ours: "refuses it",
        why: "no kernel delivers it: what arrives is a receive, send or send-once right, or data",
        applies: |d| {
            d.is(Field::Name) && (d.was(Request, "taken", "refused") || d.was(Reply, "taken", "refused"))
        },
    },
    Reason {
        what: "a number that times the size is right only in 32 bits",
        c: "takes it, and hands on a count of elements that are not there",
        ours: "refuses it",
        why: "C multiplies in 32 bits",
        applies: |d| {
            d.damage.ends_with("a number that wraps")
                && (d.was(Request, "taken", "refused") || d.was(Reply, "taken", "refused"))
        },
    },
    Reason {
        what: "the same in an array with a bound",
        c: "`MIG_ARRAY_TOO_LARGE`",
        ours: "`MIG_TYPE_ERROR`",
        why: "the elements are not there: the size is wrong before the bound is",
        applies: |d| {
            d.damage.ends_with("a number that wraps") && d.was(Reply, "MIG_ARRAY_TOO_LARGE (-307)", "refused")
        },
    },
    Reason {
        what: "`default_pager_objects`: such a number",
        c: "crashes",
        ours: "refuses it",
        why: "C copies as many elements as it says",
        applies: |d| {
            d.routine == "default_pager_objects"
                && (d.is(Field::Number) || d.damage.ends_with("a number that wraps"))
                && d.was(Reply, "crash", "refused")
        },
    },
    Reason {
        what: "an array of structures: a number that is no multiple of the structure's",
        c: "takes it, and forgets the rest",
        ours: "refuses it",
        why: "the elements are not what is declared",
        applies: |d| {
            const STRUCTURES: &[&str] = &[
                "default_pager_objects",
                "host_slab_info",
                "i386_get_ldt",
                "i386_set_ldt",
                "mach_vm_object_pages",
                "mach_vm_object_pages_phys",
            ];
            STRUCTURES.contains(&&*d.routine)
                && d.is(Field::Number)
                && (d.was(Request, "taken", "refused") || d.was(Reply, "taken", "refused"))
        },
    },
    Reason {
        what: "a string of variable length without a NUL",
        c: "takes it",
        ours: "refuses it",
        why: "C reads on after it",
        applies: |d| {
            const STRINGS: &[&str] = &["task_set_name", "thread_set_name", "thread_get_name"];
            STRINGS.contains(&&*d.routine)
                && d.is(Field::Number)
                && (d.was(Request, "taken", "refused") || d.was(Reply, "taken", "refused"))
        },
    },
    Reason {
        what: "data out of line in a message without the complex bit",
        c: "takes the address",
        ours: "refuses it",
        why: "no kernel has looked at that message: the sender wrote the address",
        applies: |d| {
            d.damage == "complex bit clear"
                && (d.was(Request, "taken", "refused") || d.was(Reply, "taken", "refused"))
        },
    },
    Reason {
        what: "a reply longer than declared, where the request is longer still",
        c: "`MACH_RCV_TOO_LARGE`",
        ours: "`MIG_TYPE_ERROR`",
        why: "request and reply share a buffer, all of which the kernel may fill",
        applies: |d| {
            d.damage.ends_with(" long") && d.was(Reply, "MACH_RCV_TOO_LARGE (0x10004004)", "refused")
        },
    },
];

/// A server stub that the C compiler refuses.
pub struct Broken {
    /// The system.
    pub system: &'static str,
    /// The routine.
    pub routine: &'static str,
    /// The end of what the compiler says.
    pub message: &'static str,
}

/// Everything that the C compiler cannot build. Only the client's side of it is compared.
pub const BROKEN: &[Broken] = &[
    Broken { system: "trixie-i386", routine: "memory_object_create_proxy", message: IS_A_POINTER },
    Broken { system: "trixie-amd64", routine: "memory_object_create_proxy", message: IS_A_POINTER },
];

/// What migcom makes of a variable array of ports is no C.
const IS_A_POINTER: &str = "is a pointer; did you mean to use '->'?";
