//! `mig decode`

use std::path::PathBuf;

use clap::Args;
use mig_decode::{Decoded, Dictionary, MessageKind, bytes_of};
use serde_json::{Map, Value, json};

use crate::options::Options;
use crate::{Failure, INPUT, print};

/// Show what messages say: routine, arguments, and what is wrong
///
/// The input is one message after the other, as bytes or as hexadecimal digits, `xxd` or `hexdump -C` print
/// them. The routine is found by the message's id among the given interfaces, or among those that come with
/// mig for the ABI. Exit code 1 if anything is wrong with a message.
#[derive(Args)]
pub(crate) struct Decode {
    /// The file with the messages; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// The interfaces to look in, in this order, instead of those that come with mig
    #[arg(value_name = "DEFS")]
    defs: Vec<PathBuf>,
    /// As JSON, an object for each message
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: Options,
}

impl Decode {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let bytes = bytes_of(&self.options.open(&self.file)?.bytes(&self.options)?);
        let dictionary = dictionary(&self.options, &self.defs)?;
        let (mut text, mut all_good) = (String::new(), !bytes.is_empty());
        let mut offset = 0;
        for (index, decoded) in dictionary.decode_all(&bytes).enumerate() {
            text += &match self.json {
                true => format!("{}\n", as_json(offset, &decoded)),
                false => as_text(index, offset, &decoded),
            };
            offset += decoded.len;
            all_good &= decoded.faults.is_empty();
        }
        if bytes.is_empty() {
            self.options.tell_error("the input has no bytes: no message");
        }
        print(&text)?;
        if all_good { Ok(()) } else { Err(INPUT) }
    }
}

/// The interfaces of these files, or those that come with mig.
pub(crate) fn dictionary(options: &Options, files: &[PathBuf]) -> Result<Dictionary, Failure> {
    let config = options.config();
    let mut dictionary = Dictionary::new(&config).map_err(|error| options.failure(&error))?;
    if files.is_empty() {
        dictionary.add_shipped(&config);
    }
    for file in files {
        let output = config.interface(file).map_err(|error| options.failure(&error))?;
        options.tell(&output.warnings);
        dictionary.add(&output.value);
    }
    Ok(dictionary)
}

/// The name of a message, and where it is.
fn title(index: usize, offset: usize, decoded: &Decoded) -> String {
    let place = format!("message {} at {offset}, {} bytes", index + 1, decoded.len);
    let Some(message) = &decoded.message else { return format!("{place}: unknown") };
    let kind = kind_name(message.kind);
    let mut title = format!("{place}: {kind} of {} ({})", message.routine, message.subsystem);
    if !message.others.is_empty() {
        title += &format!(", an id that {} has, too", message.others.join(", "));
    }
    title
}

fn kind_name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Request => "request",
        MessageKind::Reply => "reply",
    }
}

fn as_text(index: usize, offset: usize, decoded: &Decoded) -> String {
    let mut text = title(index, offset, decoded) + "\n";
    for piece in &decoded.pieces {
        let name = piece.argument.as_deref().unwrap_or_default();
        let line = format!(
            "{:>6} {:>6}  {:<11} {name:<20} {}",
            piece.offset,
            piece.len,
            piece.role.name(),
            piece.text
        );
        text += line.trim_end();
        text.push('\n');
    }
    for fault in &decoded.faults {
        text += &format!("  wrong at {}: {}\n", fault.offset, fault.text);
    }
    text + "\n"
}

fn as_json(offset: usize, decoded: &Decoded) -> Value {
    let arguments: Map<String, Value> = decoded.arguments.iter().cloned().collect();
    let faults = decoded.faults.iter().map(|fault| json!({ "offset": fault.offset, "text": fault.text }));
    let right = |(name, disposition): (u64, u32)| json!({ "name": name, "disposition": disposition });
    let header = decoded.header.map(|header| {
        json!({
            "id": header.id, "size": header.size, "complex": header.complex, "seqno": header.seqno,
            "remote": right(header.remote), "local": right(header.local),
        })
    });
    json!({
        "offset": offset,
        "length": decoded.len,
        "header": header,
        "subsystem": decoded.message.as_ref().map(|message| &message.subsystem),
        "routine": decoded.message.as_ref().map(|message| &message.routine),
        "message": decoded.message.as_ref().map(|message| kind_name(message.kind)),
        "code": decoded.code,
        "arguments": arguments,
        "faults": faults.collect::<Vec<_>>(),
    })
}
