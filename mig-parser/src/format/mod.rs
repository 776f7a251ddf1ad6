//! `.defs` text in one style: see `docs/book/format.md`.
//!
//! Works on the tokens before the preprocessor, so that directives, macros and comments stay. [`items`] takes
//! the text apart, [`gaps`] says what stands between two tokens and how deep a line is indented, and
//! [`print`] breaks the lines. Nothing here depends on what a macro means or which branch of an `#if` is
//! taken.

mod gaps;
mod items;
mod print;

use std::sync::Arc;

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::lexer::Lexer;
use crate::source::{SourceMap, Span};
use crate::token::Names;
use crate::{codes, limits};

/// A text that cannot be formatted, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Unformatted {
    /// The text.
    pub sources: SourceMap,
    /// What is wrong with it: one error.
    pub diagnostics: Diagnostics,
}

/// The text of a `.defs` file in the one style that `mig fmt` has. `name` is what messages call the file.
///
/// The tokens stay the same, as do comments and directives, but for white space at the ends of lines and
/// before the `*` of a comment's lines. A text that is in this style already comes out as it is.
///
/// ```
/// let text = "routine f(p:port_t;out n : int); // one";
/// assert_eq!(mig_parser::format("f.defs", text.as_bytes()).unwrap(), "\
/// routine f(
/// \t\tp : port_t;
/// \tout\tn : int); // one
/// ");
/// ```
///
/// # Errors
///
/// A comment or string without its end, a zero byte, a carriage return inside a line, or bytes that are not
/// UTF-8. What the grammar would refuse is no error: the lines of a statement that it does not know are left
/// as they are.
pub fn format(name: &str, bytes: &[u8]) -> Result<String, Box<Unformatted>> {
    let wrong = match std::str::from_utf8(bytes) {
        Err(error) => not_utf8(error.valid_up_to()),
        Ok(text) => match formatted(text) {
            Ok(formatted) => return Ok(formatted),
            Err(wrong) => wrong,
        },
    };
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    // A text without room in the map is refused for its size, which has no place.
    let _ = sources.add(name, None, bytes.get(..limits::TEXT).unwrap_or(bytes).to_vec(), None);
    diagnostics.push(wrong);
    Err(Box::new(Unformatted { sources, diagnostics }))
}

fn formatted(text: &str) -> Result<String, Diagnostic> {
    check_characters(text)?;
    let mut names = Names::new();
    let items = items::items(text, &mut names)?;
    let places = gaps::places(&items, &names);
    let printed = print::print(&items, &places);
    let mut lines = printed.replace("\r\n", "\n");
    if text.starts_with(BYTE_ORDER_MARK) {
        lines.insert(0, BYTE_ORDER_MARK);
    }
    // The first line decides how all of them end.
    let first = text.find('\n').unwrap_or(0);
    Ok(if text[..first].ends_with('\r') { lines.replace('\n', "\r\n") } else { lines })
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Refuses what no text has: most of it would be lost, or mean something else in another line.
fn check_characters(text: &str) -> Result<(), Diagnostic> {
    if text.len() > limits::TEXT {
        let message = "the text is too large to be an interface";
        return Err(Diagnostic::error(codes::INPUT_LIMIT, Span::default(), message, "in this file"));
    }
    if let Some(at) = text.find('\0') {
        let error = Diagnostic::error(codes::ILLEGAL, byte(at), "a zero byte", "no text has one");
        return Err(error.with_help("is this a `.defs` file?"));
    }
    let end = text.trim_ascii_end();
    if end.ends_with('\\') {
        let (message, label) = ("the text ends in a backslash", "it continues a line that is not there");
        return Err(Diagnostic::error(codes::ILLEGAL, byte(end.len() - 1), message, label));
    }
    let bytes = text.as_bytes();
    let lone = (0..bytes.len()).find(|at| bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    lone.map_or(Ok(()), |at| {
        let message = "a carriage return inside a line";
        let error = Diagnostic::error(codes::ILLEGAL, byte(at), message, "no newline follows it");
        Err(error.with_help("remove it, or end the line here"))
    })
}

fn not_utf8(at: usize) -> Diagnostic {
    let message = "bytes that are not UTF-8";
    let error = Diagnostic::error(codes::ENCODING, byte(at), message, "the first of them");
    error.with_help("convert the file first: `iconv -f LATIN1 -t UTF-8`")
}

fn byte(at: usize) -> Span {
    // Bounded: longer texts are refused.
    let at = u32::try_from(at).unwrap_or(0);
    Span::new(at, at + 1)
}

/// The tokens of a text as they are spelled, directives and text under `#if 0` as one each, without comments:
/// what formatting does not change. `None` for a text that cannot be formatted.
///
/// ```
/// let tokens = |text: &str| mig_parser::unpreprocessed(text.as_bytes()).unwrap();
/// assert_eq!(tokens("#if A /* why */\nskip  ;"), ["#if A /* why */", "skip", ";"]);
/// ```
pub fn unpreprocessed(bytes: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(bytes).ok()?;
    check_characters(text).ok()?;
    let mut names = Names::new();
    let items = items::items(text, &mut names).ok()?;
    Some(items.iter().filter_map(|item| item.spelled(&names)).collect())
}

fn lexer(text: &str) -> Lexer {
    Lexer::new(Arc::from(text), 0)
}
