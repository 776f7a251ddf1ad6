//! From the syntax tree to the model: names become types, statements become the state that routines are
//! declared under, and everything that is wrong is said, once, in one run.
//!
//! What the C compilers reject is rejected. So are a few things that they let pass, because no message or no
//! stub could be right:
//!
//! | declared | the C compilers |
//! |---|---|
//! | two arguments, members or routines with one name | the C compiler complains later |
//! | a port of another size than the ABI's | warning; the message is wrong |
//! | `A\|B` of a port right and plain data | nothing |
//! | ports or variable arrays in a structure | nothing; rights travel as integers |
//! | `isnotlong` where the short form is too small | warning; the count is cut off |
//! | `c_string[0]` | warning |
//! | ids beyond 2³¹ | they wrap around |
//!
//! `dealloc` on inline data, request and reply ports included, where C sends what the kernel refuses, is
//! ignored with a warning.

mod flags;
mod message_types;
mod native;
mod options;
mod roles;
mod routines;
pub(crate) mod suggest;
mod types;

use hashbrown::HashMap;
use mig_parser::ast::{
    Ast, ImportKind, Number, Statement, StatementKind, Subsystem, SubsystemModifier, Text,
};
use mig_parser::diagnostics::{Diagnostic, Diagnostics, Severity};
use mig_parser::source::Span;

use options::Setting;
pub use suggest::{Declarations, IncludePath};
use types::Types;

use crate::abi::{Abi, Feature, Verdict};
use crate::codes;
use crate::model::{Import, Interface, REPLY_ID_OFFSET, Routine};

/// Message ids are signed.
const LARGEST_ID: u64 = i32::MAX as u64;

/// Resolves a whole file. `None` if it declares no subsystem, which is an error only if it declares routines.
/// The messages are not laid out yet.
pub(crate) fn resolve(
    ast: &Ast,
    abi: &'static Abi,
    elsewhere: &dyn Declarations,
    out: &mut Diagnostics,
) -> Option<Interface> {
    let subsystem = subsystem(ast, abi, out);
    let imports = ast.statements.iter().any(|statement| matches!(statement.kind, StatementKind::Import(_)));
    // Each word that can stand before the subsystem's name says that one side is a kernel.
    let in_kernel = subsystem.is_some_and(|(subsystem, _)| !subsystem.modifiers.is_empty());
    let facts = if in_kernel { &abi.facts_in_kernel } else { &abi.facts };
    let mut resolver = Resolver {
        abi,
        subsystem,
        types: Types::new(abi, facts, elsewhere, imports, &ast.wrong_types),
        state: State::default(),
        imports: Vec::new(),
        routines: Vec::new(),
        names: HashMap::new(),
        ordinal: 0,
        ids_exhausted: false,
    };
    resolver.check_order(ast, out);
    for statement in &ast.statements {
        resolver.statement(statement, out);
    }
    resolver.finish()
}

/// The subsystem statement that counts: the last one.
fn subsystem<'a>(ast: &'a Ast, abi: &Abi, out: &mut Diagnostics) -> Option<(&'a Subsystem, &'a Statement)> {
    let mut found: Option<(&Subsystem, &Statement)> = None;
    for statement in &ast.statements {
        let StatementKind::Subsystem(subsystem) = &statement.kind else { continue };
        if let Some((_, first)) = found {
            let (severity, label) = match abi.language.second_subsystem {
                Severity::Error => (Severity::Error, "declared again here"),
                Severity::Warning => (Severity::Warning, "this one is used"),
            };
            let message = "a file declares one subsystem";
            let diagnostic = match severity {
                Severity::Error => Diagnostic::error(codes::SUBSYSTEM_TWICE, statement.span, message, label),
                Severity::Warning => {
                    Diagnostic::warning(codes::SUBSYSTEM_TWICE, statement.span, message, label)
                }
            };
            out.push(diagnostic.with_note(first.span, "first declared here"));
        }
        found = Some((subsystem, statement));
    }
    found
}

/// What the statements so far say about the routines that follow.
#[derive(Default)]
struct State {
    wait_time: Option<Setting>,
    send_time: Option<Setting>,
    msg_option: Option<Setting>,
    user_prefix: String,
    server_prefix: String,
    demux: Option<String>,
}

struct Resolver<'a> {
    abi: &'static Abi,
    subsystem: Option<(&'a Subsystem, &'a Statement)>,
    types: Types<'a>,
    state: State,
    imports: Vec<Import>,
    routines: Vec<Routine>,
    /// Where each routine name was declared.
    names: HashMap<&'a str, Span>,
    /// How many ids are taken.
    ordinal: u64,
    /// An id that is too large has been reported.
    ids_exhausted: bool,
}

impl<'a> Resolver<'a> {
    /// Where the subsystem statement has to stand.
    fn check_order(&self, ast: &Ast, out: &mut Diagnostics) {
        let modifiers = self.subsystem.iter().flat_map(|(subsystem, _)| &subsystem.modifiers);
        if let Some((_, span)) = modifiers.into_iter().find(|(m, _)| *m == SubsystemModifier::Kernel) {
            language(self.abi, Feature::KernelSubsystem, *span, out);
        }
        let is_subsystem = |s: &Statement| matches!(s.kind, StatementKind::Subsystem(_));
        let is_routine = |s: &Statement| matches!(s.kind, StatementKind::Routine(_));
        let uses_types = |s: &Statement| matches!(s.kind, StatementKind::Type(_)) || is_routine(s);
        match self.subsystem {
            None => {
                if let Some(routine) = ast.statements.iter().find(|s| is_routine(s)) {
                    out.push(no_subsystem(routine.span, "this routine belongs to no subsystem"));
                }
            }
            Some((_, statement)) if self.abi.language.subsystem_first => {
                let first = ast.statements.iter().find(|s| is_subsystem(s) || uses_types(s));
                if let Some(early) = first.filter(|s| !is_subsystem(s)) {
                    out.push(
                        Diagnostic::error(
                            codes::SUBSYSTEM_LATE,
                            early.span,
                            "the subsystem must be declared before types and routines",
                            format!("{} knows no types yet", self.abi.language.name),
                        )
                        .with_note(statement.span, "move this statement up"),
                    );
                }
            }
            Some(_) => {}
        }
    }

    fn statement(&mut self, statement: &'a Statement, out: &mut Diagnostics) {
        let span = statement.span;
        let state = &mut self.state;
        let time = |what: &'static str, text: &Option<Text>| {
            text.as_ref().map(|text| Setting::milliseconds(what, text, span))
        };
        match &statement.kind {
            StatementKind::Subsystem(_) | StatementKind::RcsId(_) => {}
            StatementKind::WaitTime(value) => state.wait_time = time("waiting time", value),
            StatementKind::SendTime(value) => {
                if language(self.abi, Feature::SendTime, span, out) {
                    self.state.send_time = time("sending time", value);
                }
            }
            StatementKind::MsgOption(option) => {
                state.msg_option = Some(Setting::option_bits(option, self.abi.language, span));
            }
            // This is a field of the header, which the layout does not depend on.
            StatementKind::MsgType(_) => {
                language(self.abi, Feature::MsgType, span, out);
            }
            StatementKind::MsgKind(_) => {
                language(self.abi, Feature::MsgKind, span, out);
            }
            StatementKind::ServerPrefix(prefix) => state.server_prefix.clone_from(&prefix.name),
            StatementKind::UserPrefix(prefix) => state.user_prefix.clone_from(&prefix.name),
            StatementKind::ServerDemux(demux) => state.demux = Some(demux.name.clone()),
            StatementKind::Error(_) => {
                language(self.abi, Feature::ErrorStatement, span, out);
            }
            StatementKind::UseSpecialReplyPort(_)
            | StatementKind::ConsumeOnSendError(_)
            | StatementKind::UserTypeLimit(_)
            | StatementKind::OnStackLimit(_) => {
                language(self.abi, Feature::AppleStatements, span, out);
            }
            StatementKind::Import(import) => {
                if matches!(import.kind, ImportKind::Internal | ImportKind::Define) {
                    language(self.abi, Feature::AppleImports, span, out);
                }
                self.imports.push(Import { kind: import.kind, file: import.file.text.clone() });
            }
            StatementKind::Type(decl) => self.types.declare(decl, out),
            StatementKind::Routine(routine) => {
                let id = self.take_ids(1, span, out);
                self.routine(routine, statement, id, out);
            }
            StatementKind::Skip(count) => {
                if let Some(Number { span, .. }) = count {
                    language(self.abi, Feature::SkipCount, *span, out);
                }
                self.take_ids(count.map_or(1, |count| count.value), span, out);
            }
        }
    }

    /// Takes the next ids and gives back the first of them.
    fn take_ids(&mut self, count: u32, span: Span, out: &mut Diagnostics) -> u32 {
        let base = self.subsystem.map_or(0, |(subsystem, _)| u64::from(subsystem.base.value));
        let id = base + self.ordinal;
        self.ordinal += u64::from(count);
        if base + self.ordinal + u64::from(REPLY_ID_OFFSET) > LARGEST_ID && !self.ids_exhausted {
            self.ids_exhausted = true;
            out.push(
                Diagnostic::error(codes::IDS, span, "the message ids are too large", "no ids are left here")
                    .with_help(format!("ids of requests and replies are at most {LARGEST_ID}")),
            );
        }
        u32::try_from(id).unwrap_or(0)
    }

    /// The subsystem has this modifier.
    fn has(&self, modifier: SubsystemModifier) -> bool {
        self.subsystem.is_some_and(|(subsystem, _)| subsystem.modifiers.iter().any(|(m, _)| *m == modifier))
    }

    /// The server is the kernel.
    fn kernel_serves(&self) -> bool {
        self.has(SubsystemModifier::KernelServer) || self.has(SubsystemModifier::Kernel)
    }

    fn finish(self) -> Option<Interface> {
        let (subsystem, statement) = self.subsystem?;
        let name = subsystem.name.name.clone();
        let base = subsystem.base.value;
        Some(Interface {
            abi: self.abi,
            base,
            end: u32::try_from(u64::from(base) + self.ordinal).unwrap_or(u32::MAX),
            kernel_user: self.has(SubsystemModifier::KernelUser),
            kernel_server: self.kernel_serves(),
            demux: self.state.demux.unwrap_or_else(|| format!("{name}_server")),
            imports: self.imports,
            routines: self.routines,
            doc: crate::lints::description(&statement.doc),
            span: statement.span,
            name,
        })
    }
}

/// The error of a file without a subsystem.
pub(crate) fn no_subsystem(span: Span, label: &str) -> Diagnostic {
    Diagnostic::error(codes::NO_SUBSYSTEM, span, "no subsystem is declared", label)
        .with_help("write `subsystem NAME BASE;` with the id of the first message")
}

/// Reports what a dialect makes of a construct that not all dialects have. False if it refuses the construct.
fn language(abi: &Abi, feature: Feature, span: Span, out: &mut Diagnostics) -> bool {
    let (name, what) = (abi.language.name, feature.describe());
    match abi.language.verdict(feature) {
        Verdict::Accept => true,
        Verdict::Ignore => {
            out.warning(codes::DIALECT, span, format!("{what} has no effect in {name}"), "ignored");
            true
        }
        Verdict::Obsolete => {
            out.warning(codes::DIALECT, span, format!("{what} is obsolete in {name}"), "use a routine");
            true
        }
        Verdict::Reject => {
            let (message, label) =
                (format!("{name} does not know {what}"), format!("not in `{}`", abi.name()));
            let mut diagnostic = Diagnostic::error(codes::DIALECT, span, message, label);
            let others = others_with(feature, abi);
            if let Some((last, others)) = others.split_last() {
                let mut names: String = others.iter().map(|other| format!("`{other}`, ")).collect();
                names.truncate(names.trim_end_matches(", ").len());
                let or = if others.is_empty() { "" } else { " or " };
                diagnostic = diagnostic.with_help(format!("an `--abi` that has it: {names}{or}`{last}`"));
            }
            out.push(diagnostic);
            false
        }
    }
}

/// An ABI of each dialect that has a construct, for machines like this one where there are some.
fn others_with(feature: Feature, abi: &Abi) -> Vec<&'static str> {
    let fits = |other: &Abi| other.facts.pointer == abi.facts.pointer;
    let mut others: Vec<&Abi> = Vec::new();
    for other in Abi::ALL.iter().filter(|other| other.language.verdict(feature) == Verdict::Accept) {
        match others.iter_mut().find(|known| known.language == other.language) {
            Some(known) if fits(other) && !fits(known) => *known = other,
            Some(_) => {}
            None => others.push(other),
        }
    }
    others.into_iter().map(Abi::name).collect()
}
