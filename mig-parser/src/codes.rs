//! The codes of diagnostics. A code keeps its meaning for ever; a new meaning gets a new code.
//!
//! `MIG01xx` come from the preprocessor, `MIG02xx` from the grammar, `MIG03xx` from the analysis of what the
//! grammar accepted (they are in `mig-codegen`, as is `MIG0204`, an unknown type).

/// The file to compile cannot be read.
pub const UNREADABLE: &str = "MIG0100";
/// An included file is not found, or cannot be read.
pub const INCLUDE: &str = "MIG0101";
/// Files include one another too deep: a cycle, most likely.
pub const INCLUDE_DEPTH: &str = "MIG0102";
/// A line that starts with `#` and is no directive, or a directive that is not complete.
pub const DIRECTIVE: &str = "MIG0103";
/// `#elif`, `#else` or `#endif` without `#if`, or after `#else`.
pub const STRAY_CONDITIONAL: &str = "MIG0104";
/// An `#if` without `#endif`.
pub const OPEN_CONDITIONAL: &str = "MIG0105";
/// What follows an `#if` is no expression.
pub const CONDITION: &str = "MIG0106";
/// Division by zero in the expression of an `#if`.
pub const CONDITION_DIVISION: &str = "MIG0107";
/// A `#define` that defines nothing sensible.
pub const DEFINE: &str = "MIG0108";
/// A macro is defined a second time, and differently (a warning).
pub const REDEFINED: &str = "MIG0109";
/// A macro is called with the wrong number of arguments, or the call has no end.
pub const MACRO_CALL: &str = "MIG0110";
/// `##` makes no token.
pub const PASTE: &str = "MIG0111";
/// `#error`
pub const ERROR: &str = "MIG0112";
/// `#warning`
pub const WARNING: &str = "MIG0113";
/// A comment without end.
pub const OPEN_COMMENT: &str = "MIG0114";
/// Macros make too much text, or their calls are nested too deep.
pub const MACRO_LIMIT: &str = "MIG0115";
/// More text, tokens or included files than any interface has.
pub const INPUT_LIMIT: &str = "MIG0116";
/// The name given to `-D` or `-U` is not a name.
pub const OPTION: &str = "MIG0117";
/// An `#if` computes with a name that is no macro, and so counts as 0 (a warning).
pub const UNKNOWN_MACRO: &str = "MIG0118";

/// A character that the language does not have.
pub const ILLEGAL: &str = "MIG0200";
/// A token stands where the grammar expects another.
pub const SYNTAX: &str = "MIG0201";
/// A number that is not decimal.
pub const NUMBER: &str = "MIG0202";
/// A number that does not fit 32 bits.
pub const NUMBER_RANGE: &str = "MIG0203";
/// Types or expressions are nested too deep.
pub const NESTING: &str = "MIG0205";
/// A string without its closing quote.
pub const OPEN_STRING: &str = "MIG0206";
/// Division by zero in an expression.
pub const DIVISION: &str = "MIG0207";
/// Bytes that are not UTF-8, outside comments.
pub const ENCODING: &str = "MIG0208";
/// There are too many errors, so the rest of the file was not read.
pub const TOO_MANY: &str = "MIG0209";
