//! Finds the bytes of messages in a file: raw, or in one of the usual forms of a dump.

use std::io::{self, BufRead, Read as _};

/// The bytes of a dump, or the input itself if it is none: hexadecimal digits, the output of `xxd` (also
/// `xxd -p`) or of `hexdump -C`, the events that `mig-runtime` writes with its feature `tracing`, or anything
/// else as it is.
///
/// ```
/// use mig_decode::bytes_of;
///
/// assert_eq!(bytes_of(b"12 34 5678\n"), [0x12, 0x34, 0x56, 0x78]);
/// assert_eq!(bytes_of(b"00000000: 1200 80ff  ....\n"), [0x12, 0, 0x80, 0xff]);
/// assert_eq!(bytes_of(b"00000000  12 00 80 ff  |....|\n00000004\n"), [0x12, 0, 0x80, 0xff]);
/// assert_eq!(bytes_of(b"TRACE mach_msg: send bytes=120080ff\n INFO other\n"), [0x12, 0, 0x80, 0xff]);
/// assert_eq!(bytes_of(&[0x12, 0, 0x80]), [0x12, 0, 0x80]);
/// ```
pub fn bytes_of(input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut dump = match Dump::new(input) {
        Ok(dump) => dump,
        Err(_) => return input.to_vec(),
    };
    while dump.read(&mut bytes).unwrap_or_default() {}
    // What begins as a dump and does not end as one is none.
    if dump.is_wrong { input.to_vec() } else { bytes }
}

/// The bytes of a dump as they come: what [`bytes_of`] gives, without all of it in memory.
///
/// What it is is decided by its first lines: up to 64 KiB of them.
///
/// ```
/// let mut bytes = Vec::new();
/// let mut dump = mig_decode::Dump::new(&b"00000000: 1200 80ff  ....\n"[..])?;
/// while dump.read(&mut bytes)? {}
/// assert_eq!(bytes, [0x12, 0, 0x80, 0xff]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Dump<R> {
    input: R,
    format: Format,
    /// What has been read to see what it is, and the rest of a line.
    pending: Vec<u8>,
    /// The digit that waits for another one.
    digit: Option<u8>,
    lines: u64,
    is_wrong: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Bytes,
    /// Lines of `xxd`, or of digits and nothing else.
    Digits,
    /// `hexdump -C`
    Canonical,
    Events,
}

/// What is looked at to see what it is, and what is read at once.
const BLOCK: usize = 1 << 16;
/// A longer line is none that a program for people writes.
const LONGEST_LINE: u64 = 1 << 28;

impl<R: BufRead> Dump<R> {
    /// Reads the first lines.
    ///
    /// # Errors
    ///
    /// Those of the input.
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut pending = Vec::new();
        input.by_ref().take(BLOCK as u64).read_to_end(&mut pending)?;
        let format = Format::of(&pending, pending.len() < BLOCK);
        Ok(Dump { input, format, pending, digit: None, lines: 0, is_wrong: false })
    }

    /// Adds the next bytes, some tens of thousands. False at the end.
    ///
    /// # Errors
    ///
    /// Those of the input; [`io::ErrorKind::InvalidData`] for a line that is not of the dump.
    pub fn read(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        if self.format == Format::Bytes {
            if self.pending.is_empty() {
                self.input.by_ref().take(BLOCK as u64).read_to_end(&mut self.pending)?;
            }
            bytes.append(&mut self.pending);
            return Ok(!self.input.fill_buf()?.is_empty());
        }
        let end = bytes.len() + BLOCK;
        let mut line = Vec::new();
        while bytes.len() < end {
            line.clear();
            if !self.line(&mut line)? {
                return if self.digit.is_some() {
                    Err(self.wrong("an odd number of digits"))
                } else {
                    Ok(false)
                };
            }
            self.lines += 1;
            let text = std::str::from_utf8(&line).ok();
            if text.and_then(|text| self.format.bytes(text, &mut self.digit, bytes)).is_none() {
                return Err(self.wrong("no line of a dump"));
            }
        }
        Ok(true)
    }

    /// The next line; false at the end.
    fn line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        let pending = self.pending.iter().position(|byte| *byte == b'\n');
        match pending {
            Some(end) => line.extend(self.pending.drain(..=end)),
            None => {
                line.append(&mut self.pending);
                self.input.by_ref().take(LONGEST_LINE).read_until(b'\n', line)?;
            }
        }
        Ok(!line.is_empty())
    }

    fn wrong(&mut self, what: &str) -> io::Error {
        self.is_wrong = true;
        io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {what}", self.lines))
    }
}

impl Format {
    /// What these first lines are of.
    fn of(start: &[u8], is_all: bool) -> Self {
        // A line that is cut off may be anything.
        let end = if is_all {
            start.len()
        } else {
            start.iter().rposition(|byte| *byte == b'\n').unwrap_or(start.len())
        };
        let Ok(text) = std::str::from_utf8(&start[..end]) else { return Format::Bytes };
        if text.lines().any(|line| event(line).is_some()) {
            return Format::Events;
        }
        let is_canonical = text.lines().any(|line| line.trim_end().ends_with('|'));
        let format = if is_canonical { Format::Canonical } else { Format::Digits };
        let (mut digit, mut bytes) = (None, Vec::new());
        let all = text.lines().all(|line| format.bytes(line, &mut digit, &mut bytes).is_some());
        let is_whole = !is_all || digit.is_none();
        if all && is_whole && !bytes.is_empty() { format } else { Format::Bytes }
    }

    /// Adds the bytes of a line; `None` if it is not of this format.
    fn bytes(self, line: &str, digit: &mut Option<u8>, bytes: &mut Vec<u8>) -> Option<()> {
        let digits = match self {
            Format::Bytes => return None,
            // Other lines of a log are no messages.
            Format::Events => event(line).unwrap_or_default(),
            Format::Canonical => of_hexdump(line.trim()),
            Format::Digits => of_xxd(line.trim()).unwrap_or(line),
        };
        for byte in digits.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
            let value = (byte as char).to_digit(16)? as u8;
            match digit.take() {
                Some(first) => bytes.push(first << 4 | value),
                None => *digit = Some(value),
            }
        }
        // Only digits without an address may go on in the next line.
        (self == Format::Digits || digit.is_none()).then_some(())
    }
}

/// The digits of a message in a log, in which other lines may stand, too.
fn event(line: &str) -> Option<&str> {
    let (_, digits) = line.split_once("mach_msg: ")?.1.split_once("bytes=")?;
    Some(digits.split_whitespace().next().unwrap_or_default())
}

/// The digits of a line of `xxd`: after an address with a colon, up to the characters.
fn of_xxd(line: &str) -> Option<&str> {
    let (address, rest) = line.split_once(": ")?;
    let is_address = address.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_address.then(|| rest.split("  ").next().unwrap_or_default())
}

/// The digits of a line of `hexdump -C`: after an address, up to the characters. The last line has only an
/// address.
fn of_hexdump(line: &str) -> &str {
    let (_, rest) = line.split_once("  ").unwrap_or((line, ""));
    rest.split('|').next().unwrap_or_default()
}

/// The bytes of an even number of digits.
pub(crate) fn hex_digits(digits: impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let digits = digits.map(|digit| (digit as char).to_digit(16).map(|digit| digit as u8));
    let digits: Vec<u8> = digits.collect::<Option<_>>()?;
    (digits.len() % 2 == 0).then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dump is read in blocks; where they end makes no difference.
    #[test]
    fn a_long_dump_is_the_bytes_that_it_is_of() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(n) >> 3) as u8).collect();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let lines = |line: &dyn Fn(&[u8]) -> String| bytes.chunks(16).map(line).collect::<String>();
        let dumps = [
            lines(&|bytes| format!("{}\n", hex(bytes))),
            // One line; lines that end within a byte.
            hex(&bytes),
            hex(&bytes)
                .as_bytes()
                .chunks(77)
                .map(|line| format!("{}\n", String::from_utf8_lossy(line)))
                .collect(),
            lines(&|bytes| format!("0000abcd: {}  ................\n", hex(bytes))),
            lines(&|bytes| format!("0000abcd  {}  |................|\n", hex(bytes))) + "00030d40\n",
            lines(&|bytes| {
                format!("TRACE mach_msg: sent bytes={} id=3\nother {}\n", hex(bytes), "x".repeat(80))
            }),
        ];
        for dump in dumps {
            assert!(bytes_of(dump.as_bytes()) == bytes, "{}", &dump[..80]);
        }
        assert!(bytes_of(&bytes) == bytes);
    }

    #[test]
    fn a_line_that_is_wrong_is_told_by_its_number() {
        let text = "0102\n".repeat(20_000) + "01 0x\n";
        let mut dump = Dump::new(text.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        let error = loop {
            match dump.read(&mut bytes) {
                Ok(more) => assert!(more),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(error, "line 20001: no line of a dump");
        assert!(bytes.len() >= 40_000);
        // As a whole it is no dump.
        assert_eq!(bytes_of(text.as_bytes()), text.as_bytes());
        assert_eq!(bytes_of(b"012"), b"012");
    }
}
