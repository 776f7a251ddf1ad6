//! Holds prose to the width that rustfmt holds code to: comments, `.defs` files and Markdown.

use std::fs;
use std::path::Path;

use crate::command::{program, read, root};
use crate::report::{Outcome, StepResult};

/// Goldens, and what cases of errors need as it is.
const LEFT_OUT: &[&str] = &["/generated/", "mig-codegen/tests/rust/", "/ui/", "tests/ownership/"];

/// Names each line of the repository's own files that is too wide.
pub(crate) fn check() -> StepResult {
    let width = width()?;
    let mut wide = Vec::new();
    for file in read(program("git").arg("ls-files"))?.lines() {
        if LEFT_OUT.iter().any(|part| file.contains(part)) {
            continue;
        }
        let extension = Path::new(file).extension().and_then(|extension| extension.to_str());
        let is_prose: fn(&str) -> bool = match extension {
            Some("rs") => |line| line.starts_with("//"),
            Some("md") => |_| true,
            Some("defs") if file.starts_with("defs/") => |_| true,
            _ => continue,
        };
        let text = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
        wide.extend(wide_lines(&text, width, is_prose).map(|line| format!("{file}:{line}")));
    }
    if wide.is_empty() {
        return Ok(Outcome::Passed);
    }
    Err(format!("wider than {width} characters:\n{}", wide.join("\n")))
}

/// How many characters of a line rustfmt fills.
fn width() -> Result<usize, String> {
    let file = root().join("rustfmt.toml");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let number = text.lines().find_map(|line| line.strip_prefix("max_width = ")?.parse().ok());
    number.ok_or_else(|| format!("{} has no line `max_width = NUMBER`", file.display()))
}

/// The numbers of the lines of prose that are too wide and could be broken: a row of a table cannot, nor can
/// one long word or what is quoted as it is.
fn wide_lines(text: &str, width: usize, is_prose: fn(&str) -> bool) -> impl Iterator<Item = usize> {
    let mut quoted = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let words = line.trim_start();
        let content = words.trim_start_matches(['/', '!', '*']).trim_start();
        quoted ^= content.starts_with("```");
        let can_be_broken = !quoted && !content.starts_with('|') && content.contains(' ');
        (is_prose(words) && can_be_broken && line.chars().count() > width).then_some(index + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::wide_lines;

    #[test]
    fn prose_has_a_width_and_tables_have_none() {
        let wide = "word ".repeat(30);
        let text = format!("short\n{wide}\n| {wide}\n```text\n{wide}\n```\n{}\n{wide}", "x".repeat(200));
        assert_eq!(wide_lines(&text, 110, |_| true).collect::<Vec<_>>(), [2, 8]);
        assert_eq!(
            wide_lines(&format!("    // {wide}\n{wide}"), 110, |line| line.starts_with("//")).count(),
            1
        );
    }
}
