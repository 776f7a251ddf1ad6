//! `mig doc`

mod html;
mod map;
mod markdown;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mig_codegen::model::{Arg, Interface, Role, Routine, Type};
use mig_parser::source::SourceMap;

use crate::options::Options;
use crate::{Failure, INPUT};

/// Write a page for each interface: routines, arguments, types, and where each byte of a message is
#[derive(Args)]
pub(crate) struct Doc {
    /// The .defs files; `-` is standard input, `<mach/exc.defs>` a file of an -I folder or one that comes
    /// with mig
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write to this folder, which is made if it is missing
    #[arg(short = 'o', long, value_name = "DIR", default_value = "doc")]
    out_dir: PathBuf,
    /// What the pages are written in
    #[arg(long, value_enum, default_value_t = Format::Html)]
    format: Format,
    /// Show the messages of this ABI beside those of --abi
    #[arg(long = "with", value_name = "ABI", action = clap::ArgAction::Append)]
    with: Vec<String>,
    #[command(flatten)]
    options: Options,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Html,
    Markdown,
}

/// An interface as its page needs it.
struct Page {
    /// For each ABI; the first one is described.
    interfaces: Vec<Interface>,
    sources: SourceMap,
}

impl Doc {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut pages: Vec<Page> = Vec::new();
        let mut failed = false;
        for file in &self.files {
            // The others are read all the same: everything that is wrong comes in one run.
            match self.page(file) {
                Ok(page) => pages.push(page),
                Err(Failure(2)) => return Err(Failure(2)),
                Err(_) => failed = true,
            }
        }
        if failed {
            return Err(INPUT);
        }
        pages.sort_by(|a, b| a.name().cmp(b.name()));
        if let Some(twice) = pages.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
            let wrong =
                format!("two files declare the subsystem `{}`, and would have one page", twice[0].name());
            return Err(self.options.usage(&wrong));
        }
        fs::create_dir_all(&self.out_dir).map_err(|error| {
            self.options.tell_error(&format!("{}: {error}", self.out_dir.display()));
            INPUT
        })?;
        for page in &pages {
            let text = match self.format {
                Format::Html => html::page(page),
                Format::Markdown => markdown::page(page),
            };
            self.write(page.name(), &text)?;
        }
        let index = match self.format {
            Format::Html => html::index(&pages),
            Format::Markdown => markdown::index(&pages),
        };
        self.write("index", &index)
    }

    /// Reads a file for each ABI.
    fn page(&self, file: &Path) -> Result<Page, Failure> {
        let source = self.options.open(file)?;
        let failure = |error| self.options.failure(&error);
        let config = self.options.config();
        let first = config.interface(source.input()).map_err(failure)?;
        self.options.tell(&first.warnings);
        let mut interfaces = vec![first.value];
        for abi in &self.with {
            interfaces.push(config.clone().abi(abi).interface(source.input()).map_err(failure)?.value);
        }
        Ok(Page { interfaces, sources: first.warnings.sources })
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let extension = if self.format == Format::Html { "html" } else { "md" };
        let file = self.out_dir.join(format!("{name}.{extension}"));
        self.options.config().write(&file, text).map_err(|error| self.options.failure(&error))
    }
}

impl Page {
    /// The interface that is described.
    fn interface(&self) -> &Interface {
        &self.interfaces[0]
    }

    fn name(&self) -> &str {
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

/// What a client gets besides the results.
fn answers(routine: &Routine) -> &'static str {
    match routine.reply {
        None => "There is no reply: the client only learns whether the message was sent.",
        Some(_) => {
            "The server answers with the results, or with a return code alone: one of its own, MIG_BAD_ID (-303) \
             if it does not know the message, or MIG_BAD_ARGUMENTS (-304) if an argument is not as declared."
        }
    }
}
