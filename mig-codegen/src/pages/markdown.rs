//! The same pages as Markdown, for a repository or a book.

use crate::doc::{comment, messages, type_text};
use crate::model::Routine;

use super::{Page, answers, nameless};

/// The page of an interface.
pub(super) fn page(page: &Page) -> String {
    let interface = page.interface();
    let mut text = format!("# `{}`\n\n", interface.name);
    text += &lines(&comment(&interface.doc));
    let last = interface.end.saturating_sub(1);
    text += &format!("Messages {} to {last}, served by `{}`.\n\n", interface.base, interface.demux);
    for routine in &interface.routines {
        text += &format!("- {} [`{1}`](#{1})\n", routine.id, routine.name);
    }
    for routine in &interface.routines {
        text += &section(page, routine);
    }
    text += "\n## Types\n\n| type | what it is | used by |\n|-|-|-|\n";
    for ty in page.types() {
        let users = page.users(ty).into_iter().map(|routine| format!("[`{0}`](#{0})", routine.name));
        text += &format!(
            "| `{}` | {} | {} |\n",
            ty.name.as_deref().unwrap_or_default(),
            type_text(&nameless(ty)),
            users.collect::<Vec<_>>().join(", ")
        );
    }
    text
}

/// The list of all pages.
pub(super) fn index(pages: &[Page]) -> String {
    let mut text = "# Interfaces\n\n| messages | interface | |\n|-:|-|-|\n".to_owned();
    for page in pages {
        let (base, name) = (page.interface().base, page.name());
        text += &format!("| {base} | [`{name}`]({name}.md) | {} |\n", comment(&[page.summary()]).join(" "));
    }
    text
}

fn section(page: &Page, routine: &Routine) -> String {
    let mut text = format!("\n## {}\n\n", routine.name);
    text += &lines(&comment(&routine.doc));
    text += &format!("Message {}.\n\n```text\n{}\n```\n\n", routine.id, page.declaration(routine));
    text += &format!("{}\n", answers(routine));
    for (abi, routine) in page.on_each(routine) {
        text += &format!("\nOn {abi}:\n");
        text += &lines(&messages(routine));
    }
    text
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect::<String>() + "\n"
}
