//! A file that is open in an editor, and what the compiler knows about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mig_codegen::doc::{comment, describe, messages, type_text};
use mig_codegen::model::{Interface, Routine, Type};
use mig_codegen::{Analysis, Config, Input, Report};
use mig_parser::ast::{Ident, Statement, StatementKind};
use mig_parser::diagnostics::{Diagnostic, Severity};
use mig_parser::source::{SourceMap, Span};
use mig_parser::{Loader as _, keywords, words};
use serde_json::{Value, json};

use super::buffers::Buffers;
use super::text;

/// What an editor has in its buffer, with what the compiler has found in it.
pub(super) struct Document {
    name: String,
    text: String,
    analysis: Option<Analysis>,
    /// The interface of the last text without errors, if this text has some.
    earlier: Option<Interface>,
    /// The diagnostics of each file, the buffer or one that it includes.
    told: BTreeMap<String, Vec<Value>>,
}

impl Document {
    pub(super) fn new(path: &Path) -> Self {
        let name = path.to_string_lossy().into_owned();
        Document { name, text: String::new(), analysis: None, earlier: None, told: BTreeMap::new() }
    }

    /// Takes the document's text from the buffers, and finds out what is wrong with it.
    pub(super) fn read(&mut self, buffers: &Buffers, config: &Config) {
        let path = Path::new(&self.name);
        self.text = buffers.text(path);
        let analysis = config.analysis(Input::Loaded { files: buffers, path }).ok();
        let before = std::mem::replace(&mut self.analysis, analysis).and_then(|before| before.interface);
        self.earlier = before.or(self.earlier.take());
        let mut told = BTreeMap::from([(text::uri_of(path), Vec::new())]);
        let report = self.analysis.iter().map(|analysis| &analysis.report);
        for (report, diagnostic) in
            report.flat_map(|report| report.diagnostics.iter().map(move |one| (report, one)))
        {
            if let Some((uri, value)) = self.diagnostic(report, diagnostic) {
                told.entry(uri).or_default().push(value);
            }
        }
        self.told = told;
    }

    /// The diagnostics of each file.
    pub(super) fn told(&self) -> &BTreeMap<String, Vec<Value>> {
        &self.told
    }

    /// Whether the buffer includes a file, or is it.
    pub(super) fn reads(&self, path: &Path, buffers: &Buffers) -> bool {
        let wanted = buffers.identity(path);
        let files = self.analysis.iter().flat_map(|analysis| &analysis.files);
        Path::new(&self.name) == path || files.into_iter().any(|file| buffers.identity(file) == wanted)
    }

    /// The interface of this text, or of the last one without errors.
    fn interface(&self) -> Option<&Interface> {
        self.analysis.as_ref().and_then(|analysis| analysis.interface.as_ref()).or(self.earlier.as_ref())
    }

    fn sources(&self) -> Option<&SourceMap> {
        self.analysis.as_ref().map(|analysis| &analysis.report.sources)
    }

    fn statements(&self) -> impl DoubleEndedIterator<Item = &Statement> {
        self.analysis.iter().flat_map(|analysis| &analysis.ast.statements)
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
        let interface = self.interface()?;
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
        let sources = self.sources()?;
        let holds = |statement: &&Statement| {
            let span = sources.site(statement.span);
            let (Some(start), Some(end)) =
                (sources.offset(span), sources.offset(Span { start: span.end, end: span.end }))
            else {
                return false;
            };
            self.is_here(statement.span) && start <= offset && offset <= end
        };
        let statement = self.statements().find(holds)?;
        let StatementKind::Routine(declared) = &statement.kind else { return None };
        let routine = interface.routines.iter().find(|routine| routine.name == declared.name.name)?;
        let argument = routine.args.iter().find(|arg| arg.name == word)?;
        let lines = [vec![format!("`{}`: {}", argument.name, describe(argument))], comment(&argument.doc)];
        Some(lines.concat().join("\n\n"))
    }

    /// Whether a span is in the buffer, rather than in what it includes.
    fn is_here(&self, span: Span) -> bool {
        let place = self.sources().and_then(|sources| sources.locate(sources.site(span)));
        place.is_some_and(|place| place.file == self.name)
    }

    /// Where the word at a place is declared.
    pub(super) fn definition(&self, position: &Value) -> Option<Value> {
        let (word, _) = self.word(position)?;
        // The last declaration of a name counts, as for the compiler.
        let name = self.statements().filter_map(declared).rev().find(|name| name.name == word)?;
        let (file, range) = text::range(self.sources()?, name.span)?;
        Some(json!({ "uri": self.uri(file)?, "range": range }))
    }

    /// Where the word at a place stands, in the buffer and in the files that it includes.
    pub(super) fn references(&self, position: &Value, buffers: &Buffers) -> Option<Value> {
        let (word, _) = self.word(position)?;
        let mut found = Vec::new();
        for path in &self.analysis.as_ref()?.files {
            let text = buffers.text(path);
            for (at, _) in words(&text).into_iter().filter(|(_, other)| *other == word) {
                let (start, end) = (text::position(&text, at), text::position(&text, at + word.len()));
                let range = json!({ "start": start, "end": end });
                found.push(json!({ "uri": text::uri_of(path), "range": range }));
            }
        }
        Some(json!(found))
    }

    /// What the buffer declares.
    pub(super) fn symbols(&self) -> Option<Value> {
        let sources = self.sources()?;
        let here = self.statements().filter(|statement| self.is_here(statement.span));
        let symbols = here.filter_map(|statement| {
            let (_, range) = text::range(sources, statement.span)?;
            let name = declared(statement)?;
            let (_, selection) = text::range(sources, name.span)?;
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

    /// Types that are declared or built in, and the language's words.
    pub(super) fn completion(&self, config: &Config) -> Value {
        let declared = self.statements().filter_map(|statement| match &statement.kind {
            StatementKind::Type(ty) => Some(ty.name.name.as_str()),
            _ => None,
        });
        let built_in = config.find_abi().into_iter().flat_map(|abi| abi.built_in).map(|(name, ..)| *name);
        let types: BTreeSet<&str> = declared.chain(built_in).collect();
        let types = types.into_iter().map(|name| json!({ "label": name, "kind": 22 }));
        let words = keywords().map(|word| json!({ "label": word, "kind": 14 }));
        json!(types.chain(words).collect::<Vec<_>>())
    }
}

/// The name that a statement declares.
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
