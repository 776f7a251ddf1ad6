//! A page for each interface: routines, arguments, types, and where each byte of a message is.

mod html;
mod map;
mod markdown;

use mig_parser::source::SourceMap;

use crate::model::{Arg, Interface, Role, Routine, Type};

/// An interface as its page needs it.
///
/// ```
/// use mig_codegen::pages::Page;
/// use mig_codegen::{Config, Input};
///
/// let text = b"subsystem lamp 4000; type lamp_t = MACH_MSG_TYPE_COPY_SEND; routine lamp_on(lamp : lamp_t);";
/// let lamp = Config::new().abi("gnu-i386").interface(Input::Text { name: "lamp.defs", text })?;
/// let page = Page::new(lamp.value, lamp.warnings.sources);
/// assert!(page.html(None).contains("Request on gnu-i386: 24 bytes"));
/// # Ok::<(), mig_codegen::Error>(())
/// ```
pub struct Page {
    /// The interface on each ABI; the first one is described.
    interfaces: Vec<Interface>,
    sources: SourceMap,
}

/// The list of all pages, in HTML.
pub fn html_index(pages: &[Page]) -> String {
    html::index(pages)
}

/// The list of all pages, in Markdown.
pub fn markdown_index(pages: &[Page]) -> String {
    markdown::index(pages)
}

impl Page {
    /// An interface, and the texts that it is of.
    pub fn new(interface: Interface, sources: SourceMap) -> Self {
        Self { interfaces: vec![interface], sources }
    }

    /// Shows the messages of this interface, too: the same one on another ABI.
    #[must_use]
    pub fn beside(mut self, interface: Interface) -> Self {
        self.interfaces.push(interface);
        self
    }

    /// The page in HTML, with a link to the list of all pages if there is one. It needs no other file.
    pub fn html(&self, index: Option<&str>) -> String {
        html::page(self, index)
    }

    /// The page in Markdown.
    pub fn markdown(&self) -> String {
        markdown::page(self)
    }

    /// The interface that is described.
    fn interface(&self) -> &Interface {
        &self.interfaces[0]
    }

    /// The name of the subsystem.
    pub fn name(&self) -> &str {
        &self.interface().name
    }

    /// The first sentence of its comment.
    fn summary(&self) -> String {
        let text = self.interface().doc.join(" ");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}."))
    }

    /// A routine on each ABI; on some it may be missing.
    fn on_each<'a>(&'a self, routine: &'a Routine) -> impl Iterator<Item = (&'a str, &'a Routine)> {
        self.interfaces.iter().filter_map(|interface| {
            let found = interface.routines.iter().find(|other| other.name == routine.name)?;
            Some((interface.abi.name(), found))
        })
    }

    /// The statement as it stands in the file.
    fn declaration(&self, routine: &Routine) -> &str {
        self.sources.text(routine.span)
    }

    /// The types that have a name, in the order of their names.
    fn types(&self) -> Vec<&Type> {
        fn add<'a>(ty: &'a Type, found: &mut Vec<&'a Type>) {
            if ty.name.is_some() && !found.iter().any(|other| other.name == ty.name) {
                found.push(ty);
            }
            if let Some(element) = ty.element() {
                add(element, found);
            }
        }
        let mut found = Vec::new();
        for arg in self.interface().routines.iter().flat_map(|routine| &routine.args) {
            add(&arg.ty, &mut found);
        }
        found.sort_by_key(|ty| &ty.name);
        found
    }

    /// The routines with an argument of a type.
    fn users(&self, ty: &Type) -> Vec<&Routine> {
        let uses =
            |arg: &Arg| arg.ty.name == ty.name || arg.ty.element().is_some_and(|one| one.name == ty.name);
        self.interface().routines.iter().filter(|routine| routine.args.iter().any(uses)).collect()
    }
}

/// What a type is, rather than what it is called.
fn nameless(ty: &Type) -> Type {
    Type { name: None, ..ty.clone() }
}

/// The word of an argument's role.
fn role(arg: &Arg) -> &'static str {
    match arg.role {
        Role::RequestPort => "request port",
        Role::ReplyPort { .. } => "reply port",
        Role::In => "in",
        Role::Out => "out",
        Role::InOut => "in and out",
        Role::WaitTime => "time to wait for the reply, in milliseconds",
        Role::SendTime => "time to wait until it is sent, in milliseconds",
        Role::MsgOption => "options of mach_msg",
        Role::Trailer { .. } => "from the kernel",
    }
}

/// What comes back to a client besides the results.
fn answers(routine: &Routine) -> &'static str {
    match routine.reply {
        None => "There is no reply: the client only learns whether the message was sent.",
        Some(_) => {
            "The server answers with the results, or with a return code alone: one of its own, MIG_BAD_ID (-303) \
             if it does not know the message, or MIG_BAD_ARGUMENTS (-304) if an argument is not as declared."
        }
    }
}
