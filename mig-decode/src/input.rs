//! Bytes as people have them: as they are, or as one of the usual dumps.

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
    let dump = std::str::from_utf8(input).ok().and_then(|text| of_events(text).or_else(|| of_dump(text)));
    dump.unwrap_or_else(|| input.to_vec())
}

/// The messages of a log, in which other lines may stand, too.
fn of_events(text: &str) -> Option<Vec<u8>> {
    let events = text.lines().filter_map(|line| line.split_once("mach_msg: ")?.1.split_once("bytes="));
    let digits = events.map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default());
    let bytes: Vec<Vec<u8>> = digits.map(|digits| hex_digits(digits.bytes())).collect::<Option<_>>()?;
    (!bytes.is_empty()).then(|| bytes.concat())
}

fn of_dump(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let canonical = text.lines().any(|line| line.trim_end().ends_with('|'));
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let digits = if canonical { of_hexdump(line) } else { of_xxd(line).unwrap_or(line) };
        bytes.extend(hex_digits(digits.bytes().filter(|byte| !byte.is_ascii_whitespace()))?);
    }
    (!bytes.is_empty()).then_some(bytes)
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
