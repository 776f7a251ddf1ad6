//! `mig explain`

use clap::Args;
use mig_codegen::breaking::rules;
use mig_codegen::explain;

use crate::{Failure, print, tell};

/// Explain an error or a warning by its code, or list all codes
#[derive(Args)]
pub(crate) struct Explain {
    /// The code, such as MIG0204, or a rule of `mig breaking`, such as ROUTINE_SAME_ID
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

impl Explain {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let Some(code) = &self.code else {
            let lines = explain::ALL.iter().map(|known| format!("{}  {}\n", known.code, known.title));
            let rules = rules::ALL.iter().map(|rule| format!("{}  {}\n", rule.name, rule.title));
            return print(&lines.chain(rules).collect::<String>());
        };
        if let Some(rule) = rules::by_name(code) {
            let (name, category) = (rule.name, rule.category.name());
            return print(&format!("{name}: {} ({category})\n\n{}\n", rule.title, rule.text));
        }
        match explain::explain(code) {
            Some(known) => print(&format!("{}: {}\n\n{}\n", known.code, known.title, known.text)),
            None => {
                tell(&format!("error: there is no code `{code}`; `mig explain` lists all\n"));
                Err(Failure(2))
            }
        }
    }
}
