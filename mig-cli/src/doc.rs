//! `mig doc`

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mig_codegen::pages::{self, Page};

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

impl Doc {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut pages: Vec<Page> = Vec::new();
        let mut failed = false;
        for file in &self.files {
            // The other files are read all the same, so that one run shows everything that is wrong.
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
                Format::Html => page.html(Some("index.html")),
                Format::Markdown => page.markdown(),
            };
            self.write(page.name(), &text)?;
        }
        let index = match self.format {
            Format::Html => pages::html_index(&pages),
            Format::Markdown => pages::markdown_index(&pages),
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
        let mut page = Page::new(first.value, first.warnings.sources);
        for abi in &self.with {
            page = page.beside(config.clone().abi(abi).interface(source.input()).map_err(failure)?.value);
        }
        Ok(page)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let extension = if self.format == Format::Html { "html" } else { "md" };
        let file = self.out_dir.join(format!("{name}.{extension}"));
        self.options.config().write(&file, text).map_err(|error| self.options.failure(&error))
    }
}
