//! Pages for a browser: each is one file, with nothing from elsewhere.

use crate::doc::{comment, describe, type_text};
use crate::model::{Arg, Message, Routine, Type};

use super::{Page, answers, map, nameless, role};

const STYLE: &str = include_str!("style.css");

/// The page of an interface.
pub(super) fn page(page: &Page, index: Option<&str>) -> String {
    let interface = page.interface();
    let name = escape(&interface.name);
    let abis: Vec<_> = page.interfaces.iter().map(|interface| interface.abi.name()).collect();
    let all = |index| format!("<p><a href=\"{}\">All interfaces</a></p>\n", escape(index));
    let mut body = index.map_or_else(String::new, all);
    body += &format!("<h1><code>{name}</code></h1>\n");
    body += &paragraphs(&interface.doc);
    body += &format!(
        "<p>Messages {} to {}, served by <code>{}</code>; shown as on {}.</p>\n<table>\n",
        interface.base,
        interface.end.saturating_sub(1),
        escape(&interface.demux),
        abis.join(", ")
    );
    for routine in &interface.routines {
        let name = escape(&routine.name);
        body += &format!(
            "<tr><td>{}</td><td><a href=\"#{name}\"><code>{name}</code></a></td></tr>\n",
            routine.id
        );
    }
    body += "</table>\n";
    for routine in &interface.routines {
        body += &section(page, routine);
    }
    body += "<h2>Types</h2>\n<table>\n";
    for ty in page.types() {
        body += &type_row(page, ty);
    }
    body += "</table>\n";
    document(&format!("{name}, an interface of Mach"), &body)
}

/// The list of all pages.
pub(super) fn index(pages: &[Page]) -> String {
    let mut body = "<h1>Interfaces</h1>\n<table>\n".to_owned();
    for page in pages {
        let name = escape(page.name());
        body += &format!(
            "<tr><td>{}</td><td><a href=\"{name}.html\"><code>{name}</code></a></td><td>{}</td></tr>\n",
            page.interface().base,
            escape(&page.summary())
        );
    }
    document("Interfaces of Mach", &(body + "</table>\n"))
}

fn section(page: &Page, routine: &Routine) -> String {
    let name = escape(&routine.name);
    let mut text = format!(
        "<h2 id=\"{name}\"><a href=\"#{name}\"><code>{name}</code></a> <small>message {}</small></h2>\n",
        routine.id
    );
    text += &paragraphs(&routine.doc);
    text += &format!("<pre>{}</pre>\n<table>\n", escape(page.declaration(routine)));
    for arg in &routine.args {
        let ty = match &arg.ty.name {
            Some(name) => format!("<a href=\"#type-{0}\"><code>{0}</code></a>", escape(name)),
            None => String::new(),
        };
        text += &format!(
            "<tr><td><code>{}</code></td><td>{}</td><td>{ty}</td><td>{}</td><td>{}</td></tr>\n",
            escape(&arg.name),
            role(arg),
            inline(&describe(&Arg { ty: nameless(&arg.ty), ..arg.clone() })),
            inline(&comment(&arg.doc).join(" "))
        );
    }
    text += &format!("</table>\n<p>{}</p>\n<div class=\"columns\">\n", answers(routine));
    for (abi, routine) in page.on_each(routine) {
        text += "<div>\n";
        text += &figure(abi, "Request", routine, &routine.request);
        if let Some(reply) = &routine.reply {
            text += &figure(abi, "Reply", routine, reply);
        }
        text += "</div>\n";
    }
    text + "</div>\n"
}

fn figure(abi: &str, which: &str, routine: &Routine, message: &Message) -> String {
    let size = match (message.min_size, message.max_size) {
        (min, max) if min == max => format!("{min} bytes"),
        (min, max) => format!("{min} to {max} bytes"),
    };
    format!(
        "<figure>\n<figcaption>{which} on {abi}: {size}</figcaption>\n{}</figure>\n",
        map::html(routine, message)
    )
}

fn type_row(page: &Page, ty: &Type) -> String {
    let name = escape(ty.name.as_deref().unwrap_or_default());
    let users = page.users(ty).into_iter().map(|routine| {
        let name = escape(&routine.name);
        format!("<a href=\"#{name}\"><code>{name}</code></a>")
    });
    let size = match ty.bytes() {
        0 => String::new(),
        bytes => format!("{bytes} bytes"),
    };
    format!(
        "<tr id=\"type-{name}\"><td><code>{name}</code></td><td>{}</td><td>{size}</td><td>{}</td></tr>\n",
        inline(&type_text(&nameless(ty))),
        users.collect::<Vec<_>>().join(", ")
    )
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A comment of the file.
fn paragraphs(lines: &[String]) -> String {
    let lines = comment(lines);
    let paragraphs = lines.split(|line| line.is_empty()).filter(|lines| !lines.is_empty());
    paragraphs.map(|lines| format!("<p>{}</p>\n", inline(&lines.join("\n")))).collect()
}

/// Words of Markdown: code between backticks, and characters that a backslash makes text.
fn inline(markdown: &str) -> String {
    let mut text = String::new();
    let mut in_code = false;
    let mut characters = markdown.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '`' => {
                text += if in_code { "</code>" } else { "<code>" };
                in_code = !in_code;
            }
            '\\' if !in_code && characters.peek().is_some_and(char::is_ascii_punctuation) => {
                text += &escape(&characters.next().map(String::from).unwrap_or_default());
            }
            _ => text += &escape(&c.to_string()),
        }
    }
    if in_code { text + "</code>" } else { text }
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
