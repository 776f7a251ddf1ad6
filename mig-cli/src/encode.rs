//! `mig encode`

use std::path::PathBuf;

use clap::Args;
use mig_decode::{MessageKind, Ports, encode};
use mig_parser::suggest::nearest;
use serde_json::{Map, Value};

use crate::decode::dictionary;
use crate::options::Options;
use crate::{Failure, INPUT, print, print_bytes};

/// Make the bytes of a message of its arguments, as hexadecimal digits
///
/// A value is JSON, as `mig decode --json` prints it: numbers (also 0x…), true, "text", lists, objects for
/// structures, {"hex": "00ff"} for bytes, {"name": 259, "right": "copy_send"} or only the name for a right,
/// {"address": 4096, "count": 3} for memory out of line. What is no JSON is text.
#[derive(Args)]
pub(crate) struct Encode {
    /// The routine
    #[arg(value_name = "ROUTINE")]
    routine: String,
    /// The arguments of the message
    #[arg(value_name = "ARG=VALUE", value_parser = argument)]
    arguments: Vec<(String, Value)>,
    /// The interfaces to look in, in this order, instead of those that come with mig
    #[arg(long, value_name = "FILE", action = clap::ArgAction::Append)]
    defs: Vec<PathBuf>,
    /// The reply of success instead of the request
    #[arg(long)]
    reply: bool,
    /// msgh_remote_port: a name, or {"name": …, "right": …}
    #[arg(long, value_name = "RIGHT")]
    remote: Option<String>,
    /// msgh_local_port
    #[arg(long, value_name = "RIGHT")]
    local: Option<String>,
    /// msgh_seqno, where messages have it
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seqno: u32,
    /// As bytes
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    options: Options,
}

impl Encode {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let bytes = match self.bytes()? {
            Ok(bytes) => bytes,
            Err(error) => {
                self.options.tell_error(&format!("{}: {error}", self.routine));
                return Err(INPUT);
            }
        };
        if self.raw {
            return print_bytes(&bytes);
        }
        let line = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
        print(&bytes.chunks(32).map(line).collect::<String>())
    }

    fn bytes(&self) -> Result<Result<Vec<u8>, String>, Failure> {
        let dictionary = dictionary(&self.options, &self.defs)?;
        let Some((interface, routine)) = dictionary.routine(&self.routine) else {
            let routines = dictionary.interfaces().flat_map(|interface| &interface.routines);
            let near = nearest(&self.routine, routines.map(|routine| &*routine.name));
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            return Ok(Err(format!("no interface that was given has this routine{near}")));
        };
        let kind = if self.reply { MessageKind::Reply } else { MessageKind::Request };
        let arguments: Map<String, Value> = self.arguments.iter().cloned().collect();
        Ok(self.ports().and_then(|ports| encode(interface, routine, kind, &ports, &arguments)))
    }

    fn ports(&self) -> Result<Ports, String> {
        let right = |what, text: &Option<String>| {
            let value = text.as_deref().map(value);
            value
                .map(|value| mig_decode::right(&value).map_err(|error| format!("{what}: {error}")))
                .transpose()
        };
        let (remote, local) = (right("--remote", &self.remote)?, right("--local", &self.local)?);
        Ok(Ports { remote, local, seqno: self.seqno })
    }
}

fn argument(text: &str) -> Result<(String, Value), String> {
    let (name, text) =
        text.split_once('=').ok_or("not of the form ARG=VALUE; `--defs` names an interface")?;
    Ok((name.to_owned(), value(text)))
}

/// JSON, a hexadecimal number, or text.
fn value(text: &str) -> Value {
    let hex = text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    hex.map(Value::from).or_else(|| serde_json::from_str(text).ok()).unwrap_or_else(|| Value::from(text))
}
