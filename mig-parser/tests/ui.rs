//! One file a case: `ui/ok/*.defs` with the tree beside it, `ui/err/*.defs` with the text of the diagnostics.
//!
//! A first line `// -D NAME=TEXT -U NAME -I FOLDER` gives options. `BLESS=1` writes what comes out; read it
//! before you commit it.
//!
//! In a tree each span shows the text that it covers.

use std::fs;
use std::path::Path;

use libtest_mimic::{Arguments, Failed, Trial};
use mig_parser::source::{SourceMap, Span};
use mig_parser::{FileSystem, Options, Parsed, parse};

fn main() {
    let arguments = Arguments::from_args();
    std::env::set_current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui"))
        .expect("folder of the cases");
    let mut trials = Vec::new();
    for (folder, extension) in [("ok", "ast"), ("err", "stderr")] {
        let mut cases: Vec<_> =
            fs::read_dir(folder).expect("folder of cases").map(|e| e.expect("entry").path()).collect();
        cases.retain(|path| path.extension().is_some_and(|e| e == "defs"));
        cases.sort();
        for case in cases {
            let name = case.display().to_string();
            trials.push(Trial::test(name, move || check(&case, extension)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn check(case: &Path, extension: &str) -> Result<(), Failed> {
    let text = String::from_utf8_lossy(&fs::read(case)?).into_owned();
    let parsed = parse(&options(&text), &FileSystem, case);
    let rendered = parsed.diagnostics.render(&parsed.sources, false);
    let actual = match extension {
        "ast" if parsed.diagnostics.has_errors() => return Err(rendered.into()),
        "ast" => tree(&parsed) + &rendered,
        _ if rendered.is_empty() => return Err("no diagnostic".into()),
        _ => rendered,
    };
    let golden = case.with_extension(extension);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, actual)?;
        return Ok(());
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if actual == expected { Ok(()) } else { Err(format!("expected:\n{expected}\nfound:\n{actual}").into()) }
}

fn options(text: &str) -> Options {
    let mut options = Options::new().include_dir("include");
    let mut words = text.lines().next().and_then(|l| l.strip_prefix("// ")).unwrap_or_default().split(' ');
    while let (Some(flag), Some(value)) = (words.next(), words.next()) {
        let (name, text) = value.split_once('=').unwrap_or((value, "1"));
        options = match flag {
            "-D" => options.define(name, text),
            "-U" => options.undefine(name),
            "-I" => options.include_dir(value),
            _ => break,
        };
    }
    options
}

/// A statement a line, its arguments on lines of their own.
fn tree(parsed: &Parsed) -> String {
    let mut text = String::new();
    for statement in &parsed.ast.statements {
        for line in &statement.doc {
            text += &format!("/// {line}\n");
        }
        text += &plain(&format!("{:?}", statement.kind), &parsed.sources)
            .replace("Argument {", "\n    Argument {");
        text += &format!("\n    {}\n", covered(statement.span, &parsed.sources));
    }
    text
}

/// Shortens names and numbers whose spans cover just them; other spans become what they cover.
fn plain(debug: &str, sources: &SourceMap) -> String {
    let mut text = String::new();
    let mut rest = debug;
    while let Some((before, span)) = rest.split_once("Span { start: ") {
        let (start, span) = span.split_once(", end: ").expect("end of a span");
        let (end, after) = span.split_once(" }").expect("brace after a span");
        text += before;
        let span = Span { start: start.parse().expect("start"), end: end.parse().expect("end") };
        let covered = covered(span, sources);
        let word = covered.trim_matches(['«', '»']);
        let ident = format!("Ident {{ name: {word:?}, span: ");
        let number = format!("Number {{ value: {word}, span: ");
        if let Some(front) = text.strip_suffix(&ident).or_else(|| text.strip_suffix(&number)) {
            text = front.to_owned() + word;
            rest = after.strip_prefix(" }").expect("brace after a name");
        } else {
            text += &covered;
            rest = after;
        }
    }
    text + rest
}

fn covered(span: Span, sources: &SourceMap) -> String {
    let words: Vec<_> = sources.text(span).split_whitespace().collect();
    let place = if sources.expansion(span).is_some() { "macro " } else { "" };
    match words.as_slice() {
        [first, _, .., last] => format!("«{place}{first} … {last}»"),
        words => format!("«{place}{}»", words.join(" ")),
    }
}
