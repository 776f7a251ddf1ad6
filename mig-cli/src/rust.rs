//! `mig rust`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use mig_codegen::{Config, Error, is_same_file};

use crate::options::{Options, Side, Source};
use crate::{Failure, print};

/// Generate Rust: clients, server traits and demux functions
#[derive(Args)]
pub(crate) struct Rust {
    /// The .defs files; `-` is standard input, `<mach/exc.defs>` a file of an -I folder or one that comes
    /// with mig
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which side to generate
    #[arg(long, value_enum, default_value_t = Side::Both)]
    side: Side,
    /// Write to this file; `-`, the default, is standard output
    #[arg(short = 'o', value_name = "FILE", conflicts_with = "out_dir")]
    output: Option<PathBuf>,
    /// Write to a file in this folder, which is made if it is missing; the file is named after the input
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,
    /// The name of the file in that folder, without `.rs`
    #[arg(long, value_name = "NAME", requires = "out_dir")]
    name: Option<String>,
    /// Write nothing; fail if the file that would be written is not up to date
    #[arg(long)]
    check: bool,
    /// Write the files that were read to this file, as a rule of make for each output
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    depfile: Option<PathBuf>,
    /// The ports of this interface are objects of the kernel (a task's, the host's, …), which XNU wants to be
    /// told with each request
    #[arg(long)]
    kernel_objects: bool,
    /// The name of the crate mig-runtime in the generated code
    #[arg(long, value_name = "NAME", default_value = "mig_runtime")]
    runtime_crate: String,
    #[command(flatten)]
    options: Options,
}

impl Rust {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let config = self.config();
        let sources = self.files.iter().map(|file| self.options.open(file)).collect::<Result<Vec<_>, _>>()?;
        let outputs = self.outputs(&config, &sources).map_err(|wrong| self.options.usage(&wrong))?;
        let mut result = Ok(());
        let mut rules = String::new();
        for (source, output) in sources.iter().zip(outputs) {
            // The other files are compiled all the same, so that one run shows everything that is wrong.
            match self.compile(&config, source, output.as_deref()) {
                Err(Failure(2)) => return Err(Failure(2)),
                Err(failure) => result = Err(failure),
                Ok(read) => rules += &rule(output.as_deref(), &read),
            }
        }
        match &self.depfile {
            Some(file) if result.is_ok() => {
                config.write(file, &rules).map_err(|error| self.options.failure(&error))
            }
            _ => result,
        }
    }

    /// Compiles one input into a file, or to standard output. Returns the files that were read.
    fn compile(
        &self,
        config: &Config,
        source: &Source,
        file: Option<&Path>,
    ) -> Result<Vec<PathBuf>, Failure> {
        let failure = |error: Error| self.options.failure(&error);
        let output = config.text(source.input()).map_err(failure)?;
        self.options.tell(&output.warnings);
        let Some(file) = file else { return print(&output.value).map(|()| output.files) };
        let written = |read: &&PathBuf| {
            is_same_file(read, file) || self.depfile.as_deref().is_some_and(|file| is_same_file(read, file))
        };
        if let Some(read) = output.files.iter().find(written) {
            let wrong = format!("the output would replace `{}`, which was read", read.display());
            return Err(self.options.usage(&wrong));
        }
        config.write(file, &output.value).map_err(failure)?;
        Ok(output.files)
    }

    fn config(&self) -> Config {
        let config = self.options.config().side(self.side.into()).check(self.check);
        let config = config.runtime_crate(&self.runtime_crate).kernel_objects(self.kernel_objects);
        match &self.name {
            Some(name) => config.name(name),
            None => config,
        }
    }

    /// Where to write the output of each input; `None` is standard output.
    fn outputs(&self, config: &Config, sources: &[Source]) -> Result<Vec<Option<PathBuf>>, String> {
        let single = sources.len() == 1;
        let outputs: Vec<Option<PathBuf>> = match (&self.output, &self.out_dir) {
            (_, Some(folder)) => {
                if self.name.is_none() && sources.iter().any(Source::is_nameless) {
                    return Err(
                        "standard input has no name for a file in a folder: give `--name NAME`".to_owned()
                    );
                }
                if self.name.is_some() && !single {
                    return Err("`--name` is for one file".to_owned());
                }
                sources.iter().map(|source| Some(config.output_in(source.input(), folder))).collect()
            }
            _ if !single => return Err("several files need `--out-dir DIR`".to_owned()),
            (Some(file), None) if file != Path::new("-") => vec![Some(file.clone())],
            _ => vec![None],
        };
        if self.check && outputs.contains(&None) {
            return Err("`--check` needs a file: give `-o FILE` or `--out-dir DIR`".to_owned());
        }
        if self.depfile.is_some() && outputs.contains(&None) {
            return Err("`--depfile` needs a file: give `-o FILE` or `--out-dir DIR`".to_owned());
        }
        if self.depfile.is_some() && outputs.contains(&self.depfile) {
            return Err("`--depfile` would replace an output".to_owned());
        }
        for (index, output) in outputs.iter().enumerate() {
            let first = outputs[..index].iter().position(|other| other.is_some() && other == output);
            if let (Some(first), Some(output)) = (first, output) {
                let [a, b] = [first, index].map(|index| self.files[index].display());
                return Err(format!("`{a}` and `{b}` would both be written to `{}`", output.display()));
            }
        }
        if outputs
            .iter()
            .zip(sources)
            .any(|(output, source)| output.as_ref().is_some_and(|file| source.is(file)))
        {
            return Err("the output would replace the input".to_owned());
        }
        if let Some(folder) = self.out_dir.as_deref().filter(|_| !self.check) {
            fs::create_dir_all(folder).map_err(|error| format!("`{}`: {error}", folder.display()))?;
        }
        Ok(outputs)
    }
}

/// The rule of make that an output depends on what was read for it.
pub(crate) fn rule(output: Option<&Path>, read: &[PathBuf]) -> String {
    let Some(output) = output else { return String::new() };
    let mut rule = format!("{}:", word_of_make(output));
    for file in read {
        rule += &format!(" \\\n  {}", word_of_make(file));
    }
    rule + "\n"
}

/// A path as make reads it.
fn word_of_make(path: &Path) -> String {
    let mut word = String::new();
    for c in path.to_string_lossy().chars() {
        match c {
            ' ' | '#' | ':' => word.push('\\'),
            '$' => word.push('$'),
            _ => {}
        }
        word.push(c);
    }
    word
}
