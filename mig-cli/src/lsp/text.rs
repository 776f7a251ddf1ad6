//! Places: the protocol counts lines from 0 and the characters of a line in units of UTF-16.

use std::path::{Path, PathBuf};

use mig_parser::source::{SourceMap, Span};
use mig_parser::words;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Value, json};

/// What a path keeps in a URI.
const IN_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The path of a `file:` URI.
pub(super) fn path_of(uri: &str) -> Option<PathBuf> {
    let path = percent_decode_str(uri.strip_prefix("file://")?).decode_utf8().ok()?;
    path.starts_with('/').then(|| PathBuf::from(path.into_owned()))
}

/// The URI of a file.
pub(super) fn uri_of(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("file://{}", utf8_percent_encode(&path.to_string_lossy(), IN_PATHS))
}

/// The place of a byte of a text.
pub(super) fn position(text: &str, offset: usize) -> Value {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    let character: usize = before[line..].chars().map(char::len_utf16).sum();
    json!({ "line": before.matches('\n').count(), "character": character })
}

/// The byte of a text at a place; if the text has no such place, the nearest byte before it.
pub(super) fn offset(text: &str, position: &Value) -> usize {
    let number = |name: &str| position[name].as_u64().unwrap_or(0);
    let mut at = 0;
    for _ in 0..number("line") {
        match text[at..].find('\n') {
            Some(end) => at += end + 1,
            None => return text.len(),
        }
    }
    let mut units = number("character");
    for c in text[at..].chars().take_while(|c| *c != '\n') {
        let unit = c.len_utf16() as u64;
        if units < unit {
            break;
        }
        units -= unit;
        at += c.len_utf8();
    }
    at
}

/// The file of a span and its range there.
pub(super) fn range(sources: &SourceMap, span: Span) -> Option<(&str, Value)> {
    let span = sources.site(span);
    let place = |at: Span| {
        let location = sources.locate(at)?;
        let (line, _) = sources.line(at)?;
        let before = line.get(..location.column as usize - 1).unwrap_or(line);
        let character: usize = before.chars().map(char::len_utf16).sum();
        Some(json!({ "line": location.line - 1, "character": character }))
    };
    let end = place(Span { start: span.end, end: span.end })?;
    Some((sources.locate(span)?.file, json!({ "start": place(span)?, "end": end })))
}

/// The word at a byte.
pub(super) fn word_at(text: &str, offset: usize) -> Option<&str> {
    let holds = |(at, word): &(usize, &str)| *at <= offset && offset <= at + word.len();
    words(text).into_iter().find(holds).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_in_units_of_utf_16() {
        let text = "a\n\u{1F600}é b";
        let b = text.find('b').unwrap();
        assert_eq!(position(text, b), json!({ "line": 1, "character": 4 }));
        assert_eq!(offset(text, &position(text, b)), b);
        assert_eq!(offset(text, &json!({ "line": 9, "character": 1 })), text.len());
        assert_eq!(offset(text, &json!({ "line": 0, "character": 99 })), 1);
        // Within a pair: before it.
        assert_eq!(offset(text, &json!({ "line": 1, "character": 1 })), 2);
    }

    #[test]
    fn paths_and_uris() {
        let path = Path::new("/a b/ü%.defs");
        assert_eq!(uri_of(path), "file:///a%20b/%C3%BC%25.defs");
        assert_eq!(path_of(&uri_of(path)).unwrap(), path);
        assert_eq!(path_of("untitled:one"), None);
    }
}
