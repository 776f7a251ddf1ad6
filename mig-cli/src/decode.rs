//! `mig decode`

use std::fmt::{self, Write as _};
use std::io::{self, BufRead};
use std::path::PathBuf;

use clap::Args;
use mig_decode::{Decoded, Dictionary, Dump, MessageKind};
use serde::Serialize;
use serde_json::json;

use crate::options::Options;
use crate::{Failure, INPUT, Out};

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
        let input = self.options.open_stream(&self.file)?;
        let failed = |error: io::Error| {
            self.options.tell_error(&format!("{}: {error}", self.file.display()));
            INPUT
        };
        let dump = Dump::new(input).map_err(failed)?;
        let dictionary = dictionary(&self.options, &self.defs)?;
        let mut messages =
            Messages { dump, bytes: Vec::new(), at: 0, has_more: true, dictionary: &dictionary };
        let mut out = Out::new();
        let (mut index, mut offset, mut all_good, mut text) = (0, 0, true, String::new());
        loop {
            let decoded = match messages.next() {
                Ok(Some(decoded)) => decoded,
                Ok(None) => break,
                Err(error) => {
                    // The messages before the error are shown all the same.
                    out.end()?;
                    return Err(failed(error));
                }
            };
            let len = decoded.len as u64;
            all_good &= decoded.faults.is_empty();
            let written = out.write(|out| {
                if self.json {
                    return write_json(out, offset, &decoded);
                }
                text.clear();
                // Writing to a string cannot fail.
                let _ = write_text(&mut text, index, offset, &decoded);
                out.write_all(text.as_bytes())
            });
            if !written? {
                break;
            }
            index += 1;
            offset += len;
        }
        out.end()?;
        if index == 0 {
            self.options.tell_error("the input has no bytes: no message");
        }
        if all_good && index > 0 { Ok(()) } else { Err(INPUT) }
    }
}

/// The messages of a dump, of which no more than one and a block are in memory.
struct Messages<'a, R> {
    dump: Dump<R>,
    bytes: Vec<u8>,
    /// The offset in the bytes at which the next message begins.
    at: usize,
    has_more: bool,
    dictionary: &'a Dictionary,
}

impl<R: BufRead> Messages<'_, R> {
    fn next(&mut self) -> io::Result<Option<Decoded>> {
        while self.has_more && self.rest().len() < self.dictionary.wanted(self.rest()) {
            self.bytes.drain(..self.at);
            self.at = 0;
            self.has_more = self.dump.read(&mut self.bytes)?;
        }
        if self.rest().is_empty() {
            return Ok(None);
        }
        let decoded = self.dictionary.decode(self.rest());
        // A message that is cut off takes all bytes.
        self.at = self.bytes.len().min(self.at + decoded.len.max(1));
        Ok(Some(decoded))
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
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

/// Writes the name of a message, and where it is.
fn write_title(text: &mut String, index: u64, offset: u64, decoded: &Decoded) -> fmt::Result {
    write!(text, "message {} at {offset}, {} bytes: ", index + 1, decoded.len)?;
    let Some(message) = &decoded.message else { return writeln!(text, "unknown") };
    write!(text, "{} of {} ({})", kind_name(message.kind), message.routine, message.subsystem)?;
    if !message.others.is_empty() {
        write!(text, ", an id that {} has, too", message.others.join(", "))?;
    }
    writeln!(text)
}

fn kind_name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Request => "request",
        MessageKind::Reply => "reply",
    }
}

fn write_text(text: &mut String, index: u64, offset: u64, decoded: &Decoded) -> fmt::Result {
    write_title(text, index, offset, decoded)?;
    for piece in &decoded.pieces {
        write_number(text, piece.offset)?;
        text.push(' ');
        write_number(text, piece.len)?;
        text.push_str("  ");
        write_word(text, piece.role.name(), 12);
        write_word(text, piece.argument.as_deref().unwrap_or_default(), 21);
        text.push_str(&piece.text);
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    for fault in &decoded.faults {
        writeln!(text, "  wrong at {}: {}", fault.offset, fault.text)?;
    }
    writeln!(text)
}

// `{:>6}` and `{:<12}` write their spaces one by one, which was a quarter of the time of a capture.

/// Writes a number that ends in the sixth column.
fn write_number(text: &mut String, number: usize) -> fmt::Result {
    let columns = number.checked_ilog10().unwrap_or(0) as usize + 1;
    write_spaces(text, 6_usize.saturating_sub(columns));
    write!(text, "{number}")
}

/// Writes a word and spaces up to this column, at least one.
fn write_word(text: &mut String, word: &str, columns: usize) {
    text.push_str(word);
    write_spaces(text, columns.saturating_sub(word.len()).max(1));
}

fn write_spaces(text: &mut String, count: usize) {
    const SPACES: &str = "                                ";
    text.push_str(&SPACES[..count.min(SPACES.len())]);
}

/// Writes a message as an object and a newline. A `Value` of the whole message would be a tree of maps and
/// strings, and making it took as long as all else.
fn write_json(out: &mut dyn io::Write, offset: u64, decoded: &Decoded) -> io::Result<()> {
    write!(out, "{{\"offset\":{offset},\"length\":{},\"header\":", decoded.len)?;
    match &decoded.header {
        None => out.write_all(b"null")?,
        Some(header) => {
            write!(out, "{{\"id\":{},\"size\":{}", header.id, header.size)?;
            write!(out, ",\"complex\":{}", header.complex)?;
            field(out, "seqno", &header.seqno)?;
            for (port, (name, disposition)) in [("remote", header.remote), ("local", header.local)] {
                write!(out, ",\"{port}\":{{\"name\":{name},\"disposition\":{disposition}}}")?;
            }
            out.write_all(b"}")?;
        }
    }
    let message = decoded.message.as_ref();
    field(out, "subsystem", &message.map(|message| &message.subsystem))?;
    field(out, "routine", &message.map(|message| &message.routine))?;
    field(out, "message", &message.map(|message| kind_name(message.kind)))?;
    field(out, "code", &decoded.code)?;
    out.write_all(b",\"arguments\":{")?;
    for (index, (name, value)) in decoded.arguments.iter().enumerate() {
        out.write_all(if index == 0 { b"" } else { b"," })?;
        serde_json::to_writer(&mut *out, name)?;
        out.write_all(b":")?;
        serde_json::to_writer(&mut *out, value)?;
    }
    out.write_all(b"}")?;
    let faults = decoded.faults.iter().map(|fault| json!({ "offset": fault.offset, "text": fault.text }));
    field(out, "faults", &faults.collect::<Vec<_>>())?;
    out.write_all(b"}\n")
}

/// Writes a field of an object that has some before it.
fn field(out: &mut dyn io::Write, name: &str, value: &impl Serialize) -> io::Result<()> {
    write!(out, ",\"{name}\":")?;
    Ok(serde_json::to_writer(out, value)?)
}
