//! `mig breaking`

mod compiled;
mod revision;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use mig_codegen::breaking::rules::{self, by_name};
use mig_codegen::breaking::{self, Finding};
use mig_codegen::model::Interface;
use mig_codegen::table::AbiTable;
use mig_codegen::{Config, Error, Report, codes, error_json};
use mig_decode::{Compiled, is_program, subsystems};
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::{SourceMap, Span};
use serde_json::{Value, json};

use self::revision::Revision;
use crate::options::{Options, files_below, with_macros};
use crate::{Failure, INPUT, print};

/// Show what a change of an interface breaks, for compiled programs and for those that are compiled again
///
/// OLD and NEW are .defs files, tables that `mig abi --json` has written (.json), folders of either, or
/// programs for Apple's systems, of whose servers `mig abi --from` prints what can be compared. Of two
/// folders, the files that have the same path below them are compared, whichever of .defs and .json they end
/// in. With `--git`, `--old-abi` or `--old-define` OLD is compared with itself: at a revision, on another
/// ABI, or with other macros. What has been added breaks nothing. Exit code 1 if anything is broken; `mig
/// explain RULE` tells more.
#[derive(Args)]
pub(crate) struct Breaking {
    /// As it was: a .defs file, a table (.json), or a folder of either
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// As it is
    #[arg(value_name = "NEW", required_unless_present_any = ["git", "old_abi", "old_define"])]
    new: Option<PathBuf>,
    /// Compare with this revision of git, or the first of two (v1.0..v1.1) with the second; of the files, and
    /// of the folders and files of -I, --include and --imacros
    #[arg(long, value_name = "REV", conflicts_with = "new")]
    git: Option<String>,
    /// Compare with the messages for this ABI
    #[arg(long, value_name = "ABI")]
    old_abi: Option<String>,
    /// Compare with what this macro makes of it, beside those of -D
    #[arg(long, value_name = "NAME[=VALUE]", action = clap::ArgAction::Append)]
    old_define: Vec<String>,
    /// Only what breaks these
    #[arg(long, value_name = "CATEGORY", value_enum)]
    category: Option<Category>,
    /// What is allowed: a file with lines of the form RULE ROUTINE; `#` begins a comment
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,
    /// As JSON, an object for each rule that is broken
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

/// Whom a broken rule breaks.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Category {
    /// Programs that were compiled against the old file: their messages are not understood, or understood as
    /// something else
    Wire,
    /// Programs that are compiled again: their calls, or what these mean to them, change
    Source,
}

impl Category {
    fn rule(self) -> rules::Category {
        match self {
            Category::Wire => rules::Category::Wire,
            Category::Source => rules::Category::Source,
        }
    }
}

/// An interface, as far as it is known.
struct Side {
    path: PathBuf,
    known: Known,
    /// The interface and the text of a `.defs` file.
    declared: Option<(Interface, SourceMap)>,
}

/// What an interface is known from.
enum Known {
    Table(AbiTable),
    /// The tables that stubs leave in a program, one for each of its servers.
    Program(Vec<Compiled>),
}

impl Breaking {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let allowed = self.allowed()?;
        let (was, is) = self.revisions()?;
        let mut text = String::new();
        for (old, new) in self.pairs(was.as_ref(), is.as_ref())? {
            let programs = (self.program(&old)?, new.as_deref().map_or(Ok(None), |new| self.program(new))?);
            let all: Vec<&Compiled> = [&programs.0, &programs.1].into_iter().flatten().flatten().collect();
            let abi = compiled::abi(&all).filter(|_| !self.options.names_abi());
            let with = |config: Config| abi.map_or(config.clone(), |abi| config.abi(abi));
            let old_config = with(self.old_config(was.as_ref()));
            let Some(old) = side(&self.options, &old, programs.0, &old_config)? else { continue };
            let new = match &new {
                Some(path) => side(&self.options, path, programs.1, &with(self.new_config(is.as_ref())))?,
                None => None,
            };
            for finding in self.findings(&old, new.as_ref())? {
                let is_allowed = allowed.contains(&(finding.rule.name.to_owned(), finding.routine.clone()));
                let is_asked = self.category.is_none_or(|category| category.rule() == finding.rule.category);
                if !is_allowed && is_asked {
                    text += &self.show(&finding, &old, new.as_ref());
                }
            }
        }
        for revision in [was, is].into_iter().flatten() {
            text = revision.named(&text);
        }
        print(&text)?;
        if text.is_empty() { Ok(()) } else { Err(INPUT) }
    }

    /// The revisions that are compared, of one or both sides.
    fn revisions(&self) -> Result<(Option<Revision>, Option<Revision>), Failure> {
        let take = |name: &str| {
            let taken = Revision::take(name, &self.old);
            taken.map(Some).map_err(|error| {
                self.options.tell_error(&error);
                INPUT
            })
        };
        match self.git.as_deref().map(|names| (names, names.split_once(".."))) {
            None => Ok((None, None)),
            Some((_, Some((old, new)))) => Ok((take(old)?, take(new)?)),
            Some((old, None)) => Ok((take(old)?, None)),
        }
    }

    /// How the old side is read.
    fn old_config(&self, revision: Option<&Revision>) -> Config {
        let mut config = self.new_config(revision);
        if let Some(abi) = &self.old_abi {
            config = config.abi(abi);
        }
        with_macros(config, &self.old_define)
    }

    /// How the new side is read.
    fn new_config(&self, revision: Option<&Revision>) -> Config {
        self.options.config_with(|path| at(revision, path))
    }

    /// What is to be compared: two files, or those of two folders that have the same name. A new one may be
    /// missing.
    fn pairs(
        &self,
        was: Option<&Revision>,
        is: Option<&Revision>,
    ) -> Result<Vec<(PathBuf, Option<PathBuf>)>, Failure> {
        let (old, new) = (at(was, &self.old), at(is, self.new.as_ref().unwrap_or(&self.old)));
        match (old.is_dir(), new.is_dir()) {
            (false, false) => Ok(vec![(old, Some(new))]),
            (true, true) => {
                let pair = |file: &PathBuf| {
                    let new = new.join(file);
                    let either = [new.clone(), new.with_extension("defs"), new.with_extension("json")];
                    (old.join(file), either.into_iter().find(|new| new.exists()))
                };
                Ok(self.interfaces_of(&old)?.iter().map(pair).collect())
            }
            _ => Err(self.options.usage("one of OLD and NEW is a folder, and the other one is none")),
        }
    }

    /// The interfaces that a folder has: `.defs` files, or tables where it has none of these. Beside `.defs`
    /// files a `.json` file is something else.
    fn interfaces_of(&self, folder: &Path) -> Result<BTreeSet<PathBuf>, Failure> {
        let mut files = BTreeSet::new();
        for extension in ["defs", "json"] {
            files_below(self.options.telling(), folder, Path::new(""), extension, &mut files)?;
            if !files.is_empty() {
                return Ok(files);
            }
        }
        self.options.tell_error(&format!("{}: no .defs file and no table is in it", folder.display()));
        Err(INPUT)
    }

    /// The servers of a program, if a path is that of one.
    fn program(&self, path: &Path) -> Result<Option<Vec<Compiled>>, Failure> {
        let is_text = path.extension().is_some_and(|extension| extension == "defs" || extension == "json");
        // A file that cannot be opened is reported where it is read as text.
        let mut start = [0; 32];
        let opened = fs::File::open(path).ok().filter(|_| !is_text && path.is_file());
        let read = opened.and_then(|mut file| file.read(&mut start).ok()).unwrap_or(0);
        if !is_program(&start[..read]) {
            return Ok(None);
        }
        match subsystems(&self.options.read(path)?) {
            Ok(program) => Ok(Some(program)),
            Err(error) => {
                self.options.tell_error(&format!("{}: {error}", path.display()));
                Err(INPUT)
            }
        }
    }

    /// The rules that may be broken, and by which routines.
    fn allowed(&self) -> Result<BTreeSet<(String, String)>, Failure> {
        let Some(file) = &self.allow else { return Ok(BTreeSet::new()) };
        let fail = |what: String| self.options.usage(&format!("{}: {what}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| fail(error.to_string()))?;
        let mut allowed = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            match words[..] {
                [] => {}
                [rule, routine] if by_name(rule).is_some() => {
                    allowed.insert((rule.to_ascii_uppercase(), routine.to_owned()));
                }
                _ => {
                    return Err(fail(format!(
                        "line {}: `{line}` is not of the form RULE ROUTINE",
                        number + 1
                    )));
                }
            }
        }
        Ok(allowed)
    }

    /// Everything that is broken.
    fn findings(&self, old: &Side, new: Option<&Side>) -> Result<Vec<Finding>, Failure> {
        let (old_table, new) = match (&old.known, new) {
            (Known::Table(table), Some(new)) => (table, new),
            (Known::Program(_), Some(new)) => return self.of_programs(old, new),
            (known, None) => return Ok(vec![gone(known, &old.path)]),
        };
        let Known::Table(new_table) = &new.known else { return self.of_programs(old, new) };
        let mut findings = breaking::tables(old_table, new_table);
        if let (Some((old, _)), Some((new, _))) = (&old.declared, &new.declared) {
            findings.extend(breaking::interfaces(old, new));
        }
        Ok(findings)
    }

    fn of_programs(&self, old: &Side, new: &Side) -> Result<Vec<Finding>, Failure> {
        compiled::findings(old, new).map_err(|error| {
            self.options.tell_error(&error);
            INPUT
        })
    }

    fn show(&self, finding: &Finding, old: &Side, new: Option<&Side>) -> String {
        let was = place(finding, finding.argument_was.as_deref(), Some(old));
        let is = place(finding, finding.argument.as_deref(), new);
        if self.json {
            let object = json!({
                "rule": finding.rule.name,
                "category": finding.rule.category.name(),
                "routine": finding.routine,
                "argument": finding.argument,
                "message": finding.message,
                "old": location(was),
                "new": location(is),
            });
            return format!("{object}\n");
        }
        if self.options.telling().is_json() {
            return message_json(finding, was, is);
        }
        let Some((sources, span)) = is.or(was) else {
            return format!("error[{}]: {}\n\n", finding.rule.name, finding.message);
        };
        let text = self.marked(finding, sources, span, finding.rule.title);
        match (was, is) {
            (Some((sources, span)), Some(_)) => {
                // The message is the same, so that only the lines are of interest.
                let lines = self.marked(finding, sources, span, "");
                let lines = lines.split_once('\n').map_or("", |(_, lines)| lines);
                format!("{}\nnote: it was\n{lines}", text.trim_end())
            }
            _ => text,
        }
    }

    /// The lines of a place, with the message above them.
    fn marked(&self, finding: &Finding, sources: &SourceMap, span: Span, label: &str) -> String {
        let mut one = Diagnostics::default();
        one.error(finding.rule.name, span, &finding.message, label);
        one.render(sources, self.options.is_coloured())
    }
}

/// Where a path is at a revision.
fn at(revision: Option<&Revision>, path: &Path) -> PathBuf {
    revision.map_or(path.to_owned(), |revision| revision.at(path))
}

/// A finding of the shape that rustc's messages have.
fn message_json(
    finding: &Finding,
    was: Option<(&SourceMap, Span)>,
    is: Option<(&SourceMap, Span)>,
) -> String {
    let Some((sources, span)) = is.or(was) else { return error_json(&finding.message) };
    let mut one = Diagnostic::error(finding.rule.name, span, &finding.message, finding.rule.title);
    if let (Some((sources, span)), Some(_)) = (was, is) {
        if let Some(place) = sources.locate(sources.site(span)) {
            one = one.with_help(format!("it was, at {}:{}:{}", place.file, place.line, place.column));
        }
    }
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(one);
    let text = Report::new(sources.clone(), diagnostics).json();
    // Each of them would be followed by the number of errors, which is 1.
    text.lines().next().map_or(String::new(), |line| format!("{line}\n"))
}

/// An interface; `None` for a file that declares types only.
fn side(
    options: &Options,
    path: &Path,
    program: Option<Vec<Compiled>>,
    config: &Config,
) -> Result<Option<Side>, Failure> {
    if let Some(program) = program {
        let (path, known) = (path.to_owned(), Known::Program(program));
        return Ok(Some(Side { path, known, declared: None }));
    }
    if path.extension().is_some_and(|extension| extension == "json") {
        return frozen(options, path).map(Some);
    }
    match config.interface(path) {
        Ok(output) => Ok(Some(Side {
            path: path.to_owned(),
            known: Known::Table(AbiTable::of(&output.value)),
            declared: Some((output.value, output.warnings.sources)),
        })),
        Err(Error::Diagnostics(report))
            if report.diagnostics.iter().all(|one| one.code == codes::NO_SUBSYSTEM) =>
        {
            Ok(None)
        }
        Err(error) => Err(options.failure(&error)),
    }
}

/// A table that was written earlier.
fn frozen(options: &Options, path: &Path) -> Result<Side, Failure> {
    let text = fs::read(path).map_err(|error| error.to_string());
    let table = text.and_then(|text| {
        serde_json::from_slice::<AbiTable>(&text)
            .map_err(|error| format!("no table of `mig abi --json`: {error}"))
    });
    let table = table.and_then(|table| match table.version {
        mig_codegen::table::VERSION => Ok(table),
        other => Err(format!("a table of version {other}, and {} is known", mig_codegen::table::VERSION)),
    });
    match table {
        Ok(table) => Ok(Side { path: path.to_owned(), known: Known::Table(table), declared: None }),
        Err(error) => {
            options.tell_error(&format!("{}: {error}", path.display()));
            Err(INPUT)
        }
    }
}

/// The messages of an interface as it was: a table, or a `.defs` file. `None` for one that declares types
/// only.
pub(crate) fn table_of(options: &Options, path: &Path) -> Result<Option<AbiTable>, Failure> {
    let side = side(options, path, None, &options.config())?;
    Ok(side.and_then(|side| match side.known {
        Known::Table(table) => Some(table),
        Known::Program(_) => None,
    }))
}

/// The finding of a file that is not there any more.
fn gone(known: &Known, path: &Path) -> Finding {
    let name = match known {
        Known::Table(table) => table.subsystem.clone(),
        Known::Program(_) => path.display().to_string(),
    };
    let message = format!("the subsystem `{name}` of {} is gone", path.display());
    breaking::finding(&rules::SUBSYSTEM_NO_DELETE, &name, None, message)
}

/// Where a side has what a finding is about: the argument, the routine, or the subsystem.
fn place<'a>(
    finding: &Finding,
    argument: Option<&str>,
    side: Option<&'a Side>,
) -> Option<(&'a SourceMap, Span)> {
    let (interface, sources) = side?.declared.as_ref()?;
    let routine = interface.routines.iter().find(|routine| routine.name == finding.routine);
    let argument = routine
        .and_then(|routine| routine.args.iter().find(|arg| Some(&*arg.name) == argument).map(|arg| arg.span));
    let is_subsystem = finding.rule == &rules::SUBSYSTEM_NO_DELETE;
    let span = argument.or(routine.map(|routine| routine.span)).or(is_subsystem.then_some(interface.span));
    span.map(|span| (sources, span))
}

fn location(place: Option<(&SourceMap, Span)>) -> Value {
    let place = place.and_then(|(sources, span)| sources.locate(sources.site(span)));
    place.map_or(
        Value::Null,
        |place| json!({ "file": place.file, "line": place.line, "column": place.column }),
    )
}
