//! The codes of diagnostics. A code keeps its meaning for ever; a new meaning gets a new code.
//!
//! `MIG01xx` and the rest of `MIG02xx` are those of the parser.

/// A type that is not declared.
pub const UNKNOWN_TYPE: &str = "MIG0204";
/// A type is declared twice (a warning in some dialects).
pub const TYPE_TWICE: &str = "MIG0301";
/// Arrays of variable arrays, memory out of line twice, too many types inside one another.
pub const TOO_COMPLICATED: &str = "MIG0302";
/// A `MACH_MSG_TYPE_` name that does not exist.
pub const UNKNOWN_MESSAGE_TYPE: &str = "MIG0303";
/// A message type without a size of its own, written without one.
pub const SIZE_NEEDED: &str = "MIG0304";
/// The sides of `A|B` don't go together.
pub const SIDES_DIFFER: &str = "MIG0305";
/// A size that is not the one that the message type implies (a warning, except for ports).
pub const STRANGE_SIZE: &str = "MIG0306";
/// A type of no bytes, or of parts of a byte (no bytes are a warning where nothing depends on them).
pub const NO_BYTES: &str = "MIG0307";
/// Conversion functions of a variable array.
pub const TRANSLATED_ARRAY: &str = "MIG0308";
/// The element of a variable array has no name.
pub const UNNAMED_ELEMENT: &str = "MIG0309";
/// A type that no type word can describe.
pub const TYPE_TOO_LARGE: &str = "MIG0310";
/// `isnotlong` where the long form is needed.
pub const SHORT_FORM: &str = "MIG0311";
/// Out-of-line data of fixed size.
pub const FIXED_OUT_OF_LINE: &str = "MIG0312";
/// A member that a structure can't have.
pub const STRUCT_MEMBER: &str = "MIG0313";
/// C types that contradict each other (a warning).
pub const TWO_C_TYPES: &str = "MIG0314";
/// Flags that are repeated, contradict each other or are not needed (a warning).
pub const FLAGS: &str = "MIG0315";
/// A second `subsystem` statement (a warning in some dialects).
pub const SUBSYSTEM_TWICE: &str = "MIG0316";
/// A `subsystem` statement after what depends on it.
pub const SUBSYSTEM_LATE: &str = "MIG0317";
/// No `subsystem` statement.
pub const NO_SUBSYSTEM: &str = "MIG0318";
/// A construct that a dialect does not have, ignores (a warning) or advises against (a warning).
pub const DIALECT: &str = "MIG0319";
/// A routine without a request port.
pub const NO_REQUEST_PORT: &str = "MIG0320";
/// A request port of another type.
pub const REQUEST_PORT: &str = "MIG0321";
/// A reply port of another type.
pub const REPLY_PORT: &str = "MIG0322";
/// A time, option or sequence number of another type.
pub const NOT_AN_INTEGER: &str = "MIG0323";
/// Two arguments with a role that only one can have.
pub const ROLE_TWICE: &str = "MIG0324";
/// A result of a routine without a reply.
pub const NO_REPLY: &str = "MIG0325";
/// An inline variable array that goes both ways.
pub const IN_OUT: &str = "MIG0326";
/// A flag without a meaning for its argument (a warning).
pub const MEANINGLESS_FLAG: &str = "MIG0327";
/// A routine is declared twice.
pub const ROUTINE_TWICE: &str = "MIG0328";
/// Two arguments or members with one name.
pub const NAME_TWICE: &str = "MIG0329";
/// Message ids that are too large.
pub const IDS: &str = "MIG0330";
/// A message that is too large.
pub const MESSAGE_TOO_LARGE: &str = "MIG0331";
/// A translated type without the function for a direction (a warning).
pub const NO_TRANSLATION: &str = "MIG0332";
/// `retcode` on what can't be one.
pub const RET_CODE: &str = "MIG0333";
/// `samecount` without an array that has the count.
pub const SAME_COUNT: &str = "MIG0334";
/// A native C type of which no value can be sent, or whose size is not known.
pub const NATIVE_TYPE: &str = "MIG0335";
/// A size in C that a message cannot have.
pub const SIZE_IN_C: &str = "MIG0336";
/// A type that nothing uses (a warning of `mig check`).
pub const UNUSED_TYPE: &str = "MIG0401";
/// A request with the id of a reply (a warning of `mig check`).
pub const REPLY_ID: &str = "MIG0402";
/// A request that brings as much as its sender likes (a warning of `mig check --pedantic`).
pub const UNBOUNDED: &str = "MIG0403";
/// A declaration of which the C compiler makes a wrong stub (a warning of `mig check`).
pub const C_COMPILER: &str = "MIG0404";
/// A routine in the place of one that was deleted (a warning of `mig check --against`).
pub const NO_SKIP: &str = "MIG0405";
/// A type that is translated with some macros only (a warning of `mig check --beside`).
pub const LOST_TRANSLATION: &str = "MIG0406";
/// A declaration that is correct, but for which no code is generated yet.
pub const NOT_GENERATED: &str = "MIG0390";

/// An argument that is not generated yet.
pub const ARGUMENT_NOT_GENERATED: &str = "MIG0502";
/// A time or an option whose value only a C compiler knows.
pub const C_EXPRESSION: &str = "MIG0503";
/// A request that no object of the kernel takes.
pub const KERNEL_OBJECT: &str = "MIG0504";
/// A name given to `extern_type` that is no type of the interface (a warning).
pub const EXTERN_TYPE: &str = "MIG0505";
