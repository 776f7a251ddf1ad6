//! Bounds that no interface reaches and every hostile input meets: they keep time and memory in proportion.

/// Bytes of text read, an included file counted each time.
pub(crate) const TEXT: usize = 256 << 20;
/// Files included, a file counted each time.
pub(crate) const INCLUDES: u32 = 10_000;
/// Files that include one another.
pub(crate) const INCLUDE_DEPTH: usize = 64;
/// Tokens left for the grammar. The largest interface of XNU with all it includes has about 20 000.
pub(crate) const TOKENS: usize = 1 << 20;
/// Different names and other texts of tokens in directives.
pub(crate) const NAMES: usize = 1 << 19;
/// Conditionals inside one another.
pub(crate) const CONDITIONALS: usize = 1024;
/// `#line` directives of a file that are obeyed.
pub(crate) const MARKERS: usize = 1 << 16;
/// Tokens in one directive.
pub(crate) const DIRECTIVE_TOKENS: usize = 1 << 16;
/// Tokens that macros make or take as arguments, all together.
pub(crate) const MACRO_TOKENS: usize = 1 << 20;
/// Parameters of a macro.
pub(crate) const PARAMETERS: usize = 256;
/// Bytes of a token that `#` or `##` makes.
pub(crate) const MADE_TOKEN: usize = 1 << 12;
/// Calls of macros in the arguments of calls of macros.
pub(crate) const CALL_DEPTH: usize = 64;
/// Parentheses in an expression, types in a type.
pub(crate) const NESTING: usize = 64;
/// Errors, after which the rest of the text is not read; and warnings, after which no more are kept.
pub(crate) const ERRORS: usize = 100;
