//! The files that were read, and places in them.
//!
//! All texts lie one after the other in one range of offsets, so that a place is two numbers. Offsets from
//! `EXPANSIONS` on are not text: each stands for one token that a macro made, and tells where the token was
//! spelled (in the `#define`) and where the macro was called.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::limits;

/// A place in the [source map](SourceMap): a range of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    pub(crate) fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }
}

/// Offsets from here on number the tokens that macros made.
const EXPANSIONS: u32 = 1 << 31;
/// Distance of two entries of a [`LineTable`], in bytes.
const BLOCK: usize = 4096;

/// Every text that was read, each at its own range of offsets.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<File>,
    expansions: Vec<Expansion>,
}

#[derive(Clone, Debug)]
struct File {
    name: Arc<str>,
    /// `None` for text that came from no file: the command line.
    path: Option<PathBuf>,
    text: Arc<str>,
    start: u32,
    included_at: Option<Span>,
    markers: Vec<Marker>,
    lines: OnceLock<LineTable>,
}

/// What a `#line` says about the text after it.
#[derive(Clone, Debug)]
struct Marker {
    /// Offset in the file of the line that follows.
    at: u32,
    line: u32,
    name: Option<Arc<str>>,
}

/// The number of newlines before each block of text: bounded memory, and a look-up reads one block.
#[derive(Clone, Debug)]
struct LineTable(Vec<u32>);

/// Where a token made by a macro comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The macro.
    pub name: Arc<str>,
    /// Where the token is spelled: in the macro's definition.
    pub spelling: Span,
    /// The macro's name in the call; a macro may have made it, too.
    pub site: Span,
}

/// A place as people name it: file, line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location<'a> {
    /// The file's name as it was opened, or as a `#line` gives it.
    pub file: &'a str,
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
}

impl SourceMap {
    /// Adds a text and returns its place. Bytes that are not UTF-8 become the control character SUB, so that
    /// every offset stays that of the file. `None` if there is no room.
    pub(crate) fn add(
        &mut self,
        name: &str,
        path: Option<&Path>,
        bytes: Vec<u8>,
        included_at: Option<Span>,
    ) -> Option<(Arc<str>, u32)> {
        let start = self.files.last().map_or(0, |f| f.end() + 1);
        let len = u32::try_from(bytes.len()).ok()?;
        start.checked_add(len).filter(|end| *end < EXPANSIONS - 1)?;
        let text: Arc<str> = valid_text(bytes).into();
        self.files.push(File {
            name: name.into(),
            path: path.map(Path::to_owned),
            text: text.clone(),
            start,
            included_at,
            markers: Vec::new(),
            lines: OnceLock::new(),
        });
        Some((text, start))
    }

    /// Notes that the text after `offset` counts as line `line` of `name`.
    pub(crate) fn mark(&mut self, offset: u32, line: u32, name: Option<&str>) {
        let Some(index) = self.file_index(offset) else { return };
        let file = &mut self.files[index];
        let name = name.map(Arc::from).or_else(|| file.markers.last().and_then(|m| m.name.clone()));
        let at = offset - file.start;
        // An included file that is read twice is marked twice, with the same words.
        if file.markers.len() < limits::MARKERS && file.markers.last().is_none_or(|last| last.at < at) {
            file.markers.push(Marker { at, line, name });
        }
    }

    /// Adds a token that a macro made. The span that is returned stands for its spelling and its call.
    pub(crate) fn expand(&mut self, name: Arc<str>, spelling: Span, site: Span) -> Span {
        let start = EXPANSIONS + self.expansions.len() as u32;
        self.expansions.push(Expansion { name, spelling, site });
        Span::new(start, start + 1)
    }

    /// The files in the order in which they were first read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().filter_map(|f| f.path.as_deref())
    }

    /// How a macro made the token at `span`, if one did.
    pub fn expansion(&self, span: Span) -> Option<&Expansion> {
        self.expansions.get(span.start.checked_sub(EXPANSIONS)? as usize)
    }

    /// The place in a text where `span` stands: for what a macro made, the outermost call.
    pub fn site(&self, mut span: Span) -> Span {
        while let Some(expansion) = self.expansion(span) {
            span = expansion.site;
        }
        span
    }

    /// The place in a text where `span` is spelled: for what a macro made, inside its definition.
    pub fn spelling(&self, mut span: Span) -> Span {
        while let Some(expansion) = self.expansion(span) {
            span = expansion.spelling;
        }
        span
    }

    /// From `first` to `last`; only `first` if they stand in different files.
    pub fn join(&self, first: Span, last: Span) -> Span {
        if first == last {
            return first;
        }
        let (from, to) = (self.site(first), self.site(last));
        if from.start <= to.end && self.file_index(from.start) == self.file_index(to.start) {
            Span::new(from.start, to.end.max(from.end))
        } else {
            first
        }
    }

    /// The `#include` through which the text around `span` was first read.
    pub fn included_at(&self, span: Span) -> Option<Span> {
        self.file(self.site(span).start)?.included_at
    }

    /// The text of `span`; that of the call for what a macro made, and empty for a place that is not in the
    /// map.
    pub fn text(&self, span: Span) -> &str {
        let span = self.site(span);
        self.file(span.start)
            .and_then(|f| {
                f.text.get((span.start - f.start) as usize..span.end.checked_sub(f.start)? as usize)
            })
            .unwrap_or("")
    }

    /// File, line and column of the start of `span`.
    pub fn locate(&self, span: Span) -> Option<Location<'_>> {
        let offset = self.site(span).start;
        let file = self.file(offset)?;
        let at = (offset - file.start) as usize;
        let line_start = file.line_start(at);
        let mut line = file.line_index(at) + 1;
        let mut name = &file.name;
        let after = file.markers.partition_point(|m| m.at as usize <= at);
        if let Some(marker) = after.checked_sub(1).map(|i| &file.markers[i]) {
            line = marker.line.saturating_add(line - 1 - file.line_index(marker.at as usize));
            name = marker.name.as_ref().unwrap_or(name);
        }
        Some(Location { file: name, line, column: (at - line_start) as u32 + 1 })
    }

    /// The offset of `span` in its file, in bytes.
    pub fn offset(&self, span: Span) -> Option<usize> {
        let offset = self.site(span).start;
        Some((offset - self.file(offset)?.start) as usize)
    }

    /// The line in which `span` starts, without its end, and the part of it that `span` covers.
    pub fn line(&self, span: Span) -> Option<(&str, Range<usize>)> {
        let span = self.site(span);
        let file = self.file(span.start)?;
        let at = (span.start - file.start) as usize;
        let line = file.line_at(file.line_start(at));
        let from = (at - file.line_start(at)).min(line.len());
        let to = from + span.end.saturating_sub(span.start) as usize;
        Some((line, from..to.clamp(from, line.len())))
    }

    /// The line after the one in which `span` starts.
    pub(crate) fn next_line(&self, span: Span) -> Option<&str> {
        let span = self.site(span);
        let file = self.file(span.start)?;
        let at = (span.start - file.start) as usize;
        let next = at + file.text.as_bytes()[at..].iter().position(|b| *b == b'\n')? + 1;
        (next < file.text.len()).then(|| file.line_at(next))
    }

    /// The place after the last text.
    pub(crate) fn last_place(&self) -> Span {
        let end = self.files.last().map_or(0, File::end);
        Span::new(end, end)
    }

    fn file_index(&self, offset: u32) -> Option<usize> {
        let index = self.files.partition_point(|f| f.start <= offset).checked_sub(1)?;
        (offset <= self.files[index].end()).then_some(index)
    }

    fn file(&self, offset: u32) -> Option<&File> {
        self.file_index(offset).map(|index| &self.files[index])
    }
}

impl File {
    fn end(&self) -> u32 {
        self.start + self.text.len() as u32
    }

    /// The line that starts at `start`, without its end.
    fn line_at(&self, start: usize) -> &str {
        self.text[start..].lines().next().unwrap_or("")
    }

    /// The start of the line that `at` is in.
    fn line_start(&self, at: usize) -> usize {
        self.text.as_bytes()[..at].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1)
    }

    /// Number of newlines before `at`.
    fn line_index(&self, at: usize) -> u32 {
        let bytes = self.text.as_bytes();
        let table = self.lines.get_or_init(|| LineTable::new(bytes));
        let block = at / BLOCK;
        table.0[block] + newlines(&bytes[block * BLOCK..at])
    }
}

impl LineTable {
    fn new(bytes: &[u8]) -> Self {
        let mut before = 0;
        let mut table = vec![0];
        for block in bytes.chunks(BLOCK) {
            before += newlines(block);
            table.push(before);
        }
        Self(table)
    }
}

fn newlines(bytes: &[u8]) -> u32 {
    bytes.iter().filter(|b| **b == b'\n').count() as u32
}

/// Stands for each byte that is not UTF-8.
pub(crate) const NOT_UTF8: char = '\x1a';

fn valid_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| {
        let mut text = String::with_capacity(error.as_bytes().len());
        for chunk in error.as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            text.extend(chunk.invalid().iter().map(|_| NOT_UTF8));
        }
        text
    })
}
