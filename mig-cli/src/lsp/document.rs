//! A file that is open in an editor, and what there is to say about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use mig_codegen::doc::{comment, describe, messages, type_text};
use mig_codegen::model::{Interface, Routine, Type};
use mig_codegen::{Config, Error, Input, Report};
use mig_parser::Parsed;
use mig_parser::ast::{Ident, Statement, StatementKind};
use mig_parser::diagnostics::{Diagnostic, Severity};
use mig_parser::source::Span;
use serde_json::{Value, json};

use super::text;

/// What an editor has in its buffer, with what the compiler has found in it.
pub(super) struct Document {
    name: String,
    text: String,
    parsed: Option<Parsed>,
    /// Of the last text that had no errors.
    interface: Option<Interface>,
    /// The files of which something has been told.
    told: BTreeSet<String>,
}

/// Words with which statements and arguments begin.
const WORDS: &[&str] = &[
    "subsystem",
    "type",
    "routine",
    "simpleroutine",
    "skip",
    "import",
    "uimport",
    "simport",
    "serverprefix",
    "userprefix",
    "serverdemux",
    "waittime",
    "nowaittime",
    "msgoption",
    "in",
    "out",
    "inout",
    "requestport",
    "replyport",
    "sreplyport",
    "array",
    "struct",
    "of",
    "c_string",
    "polymorphic",
    "intran",
    "outtran",
    "destructor",
    "ctype",
    "cusertype",
    "cservertype",
    "dealloc",
    "notdealloc",
    "islong",
    "isnotlong",
    "servercopy",
    "countinout",
    "samecount",
];

impl Document {
    pub(super) fn new(path: &Path) -> Self {
        let name = path.to_string_lossy().into_owned();
        Document { name, text: String::new(), parsed: None, interface: None, told: BTreeSet::new() }
    }

    /// Takes a new text. Returns what to tell about each file, the buffer or one that it includes: of those
    /// that were told of before, too, even if there is nothing any more.
    pub(super) fn change(&mut self, text: String, config: &Config) -> BTreeMap<String, Vec<Value>> {
        self.text = text;
        let input = Input::Text { name: &self.name, text: self.text.as_bytes() };
        self.parsed = config.parse(input).ok();
        if let Ok(output) = config.interface(input) {
            self.interface = Some(output.value);
        }
        let report = match config.check_only(input) {
            Ok(output) => output.warnings,
            Err(Error::Diagnostics(report)) => report,
            Err(_) => return BTreeMap::new(),
        };
        let mut told = self.nothing();
        told.entry(text::uri_of(Path::new(&self.name))).or_default();
        for diagnostic in report.diagnostics.iter() {
            if let Some((uri, value)) = self.diagnostic(&report, diagnostic) {
                told.entry(uri).or_default().push(value);
            }
        }
        self.told = told.keys().cloned().collect();
        told
    }

    /// That there is nothing to tell any more of any file.
    pub(super) fn nothing(&self) -> BTreeMap<String, Vec<Value>> {
        self.told.iter().map(|uri| (uri.clone(), Vec::new())).collect()
    }

    /// The URI of a file that the sources name; a definition that comes with `mig` is in no file.
    fn uri(&self, name: &str) -> Option<String> {
        let path = Path::new(name);
        (name == self.name || path.is_file()).then(|| text::uri_of(path))
    }

    fn diagnostic(&self, report: &Report, diagnostic: &Diagnostic) -> Option<(String, Value)> {
        let (file, range) = text::range(&report.sources, diagnostic.span())?;
        let mut message = diagnostic.message.clone();
        let labels = diagnostic.labels.iter().filter(|label| label.primary && !label.text.is_empty());
        for part in labels.map(|label| &label.text).chain(&diagnostic.help) {
            message += &format!("\n{part}");
        }
        let notes = diagnostic.labels.iter().filter(|label| !label.primary);
        let related = notes.filter_map(|label| {
            let (file, range) = text::range(&report.sources, label.span)?;
            Some(json!({ "location": { "uri": self.uri(file)?, "range": range }, "message": label.text }))
        });
        let value = json!({
            "range": range,
            "severity": if diagnostic.severity == Severity::Error { 1 } else { 2 },
            "code": diagnostic.code,
            "source": "mig",
            "message": message,
            "relatedInformation": related.collect::<Vec<_>>(),
        });
        Some((self.uri(file)?, value))
    }

    /// The word at a place, and the byte where the place is.
    fn word(&self, position: &Value) -> Option<(&str, usize)> {
        let offset = text::offset(&self.text, position);
        Some((text::word_at(&self.text, offset)?, offset))
    }

    /// What the word at a place is, with the bytes of its messages.
    pub(super) fn hover(&self, position: &Value) -> Option<Value> {
        let (word, offset) = self.word(position)?;
        let interface = self.interface.as_ref()?;
        let routine = interface.routines.iter().find(|routine| routine.name == word);
        let text = match routine {
            Some(routine) => routine_text(routine),
            None => match self.argument_text(interface, word, offset) {
                Some(text) => text,
                None => type_and_size(find_type(interface, word)?),
            },
        };
        Some(json!({ "contents": { "kind": "markdown", "value": text } }))
    }

    /// An argument of the routine that a place is in.
    fn argument_text(&self, interface: &Interface, word: &str, offset: usize) -> Option<String> {
        let parsed = self.parsed.as_ref()?;
        let holds = |statement: &&Statement| {
            let span = parsed.sources.site(statement.span);
            let (Some(start), Some(end)) =
                (parsed.sources.offset(span), parsed.sources.offset(Span { start: span.end, end: span.end }))
            else {
                return false;
            };
            self.is_here(statement.span) && start <= offset && offset <= end
        };
        let statement = parsed.ast.statements.iter().find(holds)?;
        let StatementKind::Routine(declared) = &statement.kind else { return None };
        let routine = interface.routines.iter().find(|routine| routine.name == declared.name.name)?;
        let argument = routine.args.iter().find(|arg| arg.name == word)?;
        let lines = [vec![format!("`{}`: {}", argument.name, describe(argument))], comment(&argument.doc)];
        Some(lines.concat().join("\n\n"))
    }

    /// Whether a span is in the buffer, rather than in what it includes.
    fn is_here(&self, span: Span) -> bool {
        let place = self.parsed.as_ref().and_then(|parsed| parsed.sources.locate(parsed.sources.site(span)));
        place.is_some_and(|place| place.file == self.name)
    }

    /// Where the word at a place is declared.
    pub(super) fn definition(&self, position: &Value) -> Option<Value> {
        let (word, _) = self.word(position)?;
        let parsed = self.parsed.as_ref()?;
        let declared = parsed.ast.statements.iter().filter_map(declared);
        // The last one counts, as for the compiler.
        let name = declared.rev().find(|name| name.name == word)?;
        let (file, range) = text::range(&parsed.sources, name.span)?;
        Some(json!({ "uri": self.uri(file)?, "range": range }))
    }

    /// Where the word at a place stands, in the buffer and in the files that it includes.
    pub(super) fn references(&self, position: &Value) -> Option<Value> {
        let (word, _) = self.word(position)?;
        let mut found = Vec::new();
        for path in &self.parsed.as_ref()?.files {
            let is_here = path.to_str() == Some(&self.name);
            let text = if is_here { Some(self.text.clone()) } else { fs::read_to_string(path).ok() };
            let Some(text) = text else { continue };
            for (at, _) in text::words(&text).into_iter().filter(|(_, other)| *other == word) {
                let (start, end) = (text::position(&text, at), text::position(&text, at + word.len()));
                let range = json!({ "start": start, "end": end });
                found.push(json!({ "uri": text::uri_of(path), "range": range }));
            }
        }
        Some(json!(found))
    }

    /// What the buffer declares.
    pub(super) fn symbols(&self) -> Option<Value> {
        let parsed = self.parsed.as_ref()?;
        let here = parsed.ast.statements.iter().filter(|statement| self.is_here(statement.span));
        let symbols = here.filter_map(|statement| {
            let (_, range) = text::range(&parsed.sources, statement.span)?;
            let name = declared(statement)?;
            let (_, selection) = text::range(&parsed.sources, name.span)?;
            let kind = match statement.kind {
                StatementKind::Subsystem(_) => 2,
                StatementKind::Routine(_) => 12,
                _ => 5,
            };
            Some(json!({ "name": name.name, "kind": kind, "range": range, "selectionRange": selection }))
        });
        Some(json!(symbols.collect::<Vec<_>>()))
    }

    /// The one edit that brings the buffer into the style of `mig fmt`; none if it is no text.
    pub(super) fn formatting(&self) -> Option<Value> {
        let formatted = mig_parser::format(&self.name, self.text.as_bytes()).ok()?;
        let end = text::position(&self.text, self.text.len());
        let range = json!({ "start": { "line": 0, "character": 0 }, "end": end });
        let changed = formatted != self.text;
        Some(json!(
            changed.then(|| json!({ "range": range, "newText": formatted })).into_iter().collect::<Vec<_>>()
        ))
    }

    /// Types that are declared, and the language's words.
    pub(super) fn completion(&self) -> Value {
        let statements = self.parsed.iter().flat_map(|parsed| &parsed.ast.statements);
        let types = statements.filter_map(|statement| match &statement.kind {
            StatementKind::Type(ty) => Some(ty.name.name.as_str()),
            _ => None,
        });
        let types: BTreeSet<&str> = types.collect();
        let types = types.into_iter().map(|name| json!({ "label": name, "kind": 22 }));
        let words = WORDS.iter().map(|word| json!({ "label": word, "kind": 14 }));
        json!(types.chain(words).collect::<Vec<_>>())
    }
}

/// What a statement gives a name to.
fn declared(statement: &Statement) -> Option<&Ident> {
    match &statement.kind {
        StatementKind::Subsystem(subsystem) => Some(&subsystem.name),
        StatementKind::Type(ty) => Some(&ty.name),
        StatementKind::Routine(routine) => Some(&routine.name),
        _ => None,
    }
}

fn routine_text(routine: &Routine) -> String {
    let mut lines = vec![format!("`{}`, message {}", routine.name, routine.id), String::new()];
    lines.extend(comment(&routine.doc));
    lines.extend(messages(routine));
    lines.join("\n")
}

fn find_type<'a>(interface: &'a Interface, name: &str) -> Option<&'a Type> {
    let types = interface.routines.iter().flat_map(|routine| &routine.args).map(|arg| &arg.ty);
    types.into_iter().find(|ty| ty.name.as_deref() == Some(name))
}

fn type_and_size(ty: &Type) -> String {
    let name = ty.name.as_deref().unwrap_or_default();
    let what = type_text(&Type { name: None, ..ty.clone() });
    match ty.bytes() {
        0 => format!("`{name}`: {what}"),
        bytes => format!("`{name}`: {what}, {bytes} bytes"),
    }
}
