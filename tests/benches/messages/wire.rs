//! The messages that the kernel delivers, made by hand from the C structures.

/// The complex bit, the right that a request comes through, and a send-once right to reply to.
const COMPLEX: u32 = 0x8000_0000;
const ONE_WAY: u32 = 0x1100;
const ANSWERED: u32 = 0x1112;
const REPLY: u32 = 0x1200;

/// Type words: receive right, send right, INTEGER_64, INTEGER_32, BYTE and CHAR out of line.
const RECEIVE: u32 = 0x2000_4010;
const SEND: u32 = 0x2000_4011;
const LONG: u32 = 0x2000_400b;
const INT: u32 = 0x2000_2002;
const BYTES: u32 = 0xc000_0809;
const CHARS: u32 = 0xc000_0808;

/// The message for a case: requests for the demux functions; for client functions the reply, where there is
/// one.
pub(crate) fn message(which: u32) -> Vec<u8> {
    let ints = [0; 8];
    match which {
        3 => words(REPLY, 5100, &[&[INT, 1, 0, 0], &[INT, 1, 4104, 0]]),
        4 => words(REPLY | COMPLEX, 5101, &[&[INT, 1, 0, 0], &[INT, 8], &ints, &[CHARS, 4096, 0x10000, 0]]),
        5 => {
            let (object, size) = ([RECEIVE, 1, 0x203, 0], [LONG, 1, 0x10000, 0]);
            let (control, name) = ([SEND, 1, 0x303, 0], [SEND, 1, 0x403, 0]);
            words(ONE_WAY | COMPLEX, 2250, &[&object, &size, &control, &name, &[LONG, 1, 4096, 0]])
        }
        6 => {
            let (control, offset) = ([SEND, 1, 0x303, 0], [LONG, 1, 0x10000, 0]);
            words(ONE_WAY | COMPLEX, 2251, &[&control, &offset, &[BYTES, 4096, 0x10000, 0]])
        }
        7 => {
            let (control, offset) = ([SEND, 1, 0x303, 0], [LONG, 1, 0x10000, 0]);
            words(ONE_WAY | COMPLEX, 2203, &[&control, &offset, &[LONG, 1, 4096, 0], &[INT, 1, 1, 0]])
        }
        8 => words(ANSWERED | COMPLEX, 5000, &[&[INT, 8], &ints, &[CHARS, 4096, 0x10000, 0]]),
        9 => words(ANSWERED, 5001, &[]),
        _ => Vec::new(),
    }
}

/// A message to port 0x103, with 0x40 to reply to.
fn words(bits: u32, id: u32, arguments: &[&[u32]]) -> Vec<u8> {
    let arguments = arguments.concat();
    let size = 32 + 4 * arguments.len() as u32;
    let remote = if bits & 0xff == 0 { 0 } else { 0x40 };
    let header = [bits, size, remote, 0, 0x103, 0, 0, id];
    header.iter().chain(&arguments).flat_map(|word| word.to_le_bytes()).collect()
}
