//! Messages of the language server protocol on a stream: a header with the length, and JSON.

use std::io::{self, BufRead, Read as _, Write};

use serde_json::Value;

/// No message may have more bytes, and no header more in all its lines: without a bound one could be sent for
/// ever.
const LARGEST: usize = 1 << 26;
const LARGEST_HEADER: u64 = 1 << 12;

/// What has come from the editor.
pub(super) enum Incoming {
    Message(Value),
    /// A message that is no JSON; the next one can be read.
    Malformed,
}

/// The next message; `None` at the end.
///
/// # Errors
///
/// For input after which no message can be found: a header without a length, a message that is too long or
/// cut off.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Incoming>> {
    let Some(length) = length(input)? else { return Ok(None) };
    let mut bytes = Vec::new();
    input.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length {
        return Err(io::Error::other("the last message is cut off"));
    }
    Ok(Some(serde_json::from_slice(&bytes).map_or(Incoming::Malformed, Incoming::Message)))
}

/// The length that a header says.
fn length(input: &mut impl BufRead) -> io::Result<Option<usize>> {
    let mut header = input.take(LARGEST_HEADER);
    let mut length = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        if header.read_until(b'\n', &mut line)? == 0 {
            return match (length, header.limit()) {
                (_, 0) => Err(io::Error::other("a header is too long")),
                (None, _) => Ok(None),
                (Some(_), _) => Err(io::Error::other("the last header is cut off")),
            };
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text.is_empty() {
            let length = length.ok_or_else(|| io::Error::other("a header without `Content-Length`"))?;
            return Ok(Some(length));
        }
        if let Some((name, value)) = text.split_once(':') {
            if name.eq_ignore_ascii_case("content-length") {
                let value = value.trim().parse().ok().filter(|length| *length <= LARGEST);
                let wrong = || io::Error::other(format!("`{text}`: no length up to {LARGEST}"));
                length = Some(value.ok_or_else(wrong)?);
            }
        }
    }
}

/// Writes a message.
pub(super) fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let text = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{text}", text.len())?;
    output.flush()
}
