//! What goes over the wire: the fixed newstyle handshake, requests, and simple replies, as the NBD project's
//! `proto.md` has them. All numbers are big-endian.
//!
//! What a server says is believed only as far as it makes sense, and is bounded: its replies to an option in
//! number and length, its data by what was asked for. Time is the stream's affair.

use std::format;
use std::io::{self, Read, Write};
use std::string::String;
use std::vec;
use std::vec::Vec;

const GREETING: &[u8; 8] = b"NBDMAGIC";
const OPTIONS: &[u8; 8] = b"IHAVEOPT";
const OPTION_REPLY: u64 = 0x0003_e889_0455_65a9;
const REQUEST: u32 = 0x2560_9513;
const REPLY: u32 = 0x6744_6698;

/// Flags of the handshake: options have replies, and no zeros follow the old one.
const FIXED_NEWSTYLE: u16 = 1;
const NO_ZEROES: u16 = 2;

/// The option that opens an export, and the replies to it.
const GO: u32 = 7;
const ACKNOWLEDGED: u32 = 1;
const INFORMATION: u32 = 3;
const IS_ERROR: u32 = 1 << 31;

/// Kinds of information.
const ABOUT_EXPORT: u16 = 0;
const ABOUT_BLOCKS: u16 = 3;

/// Flags of an export.
const HAS_FLAGS: u16 = 1;
const READ_ONLY: u16 = 2;
const CAN_FLUSH: u16 = 4;
const CAN_TRIM: u16 = 32;

/// Replies to an option, at most, and the most bytes in one: a name of 4096 with what stands beside it.
const REPLIES_MAX: usize = 64;
const REPLY_MAX: usize = 8192;

/// What is transferred in one request, at most, if the server does not say less: all take this.
const TRANSFER_MAX: u32 = 32 << 20;

/// What a server says of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Export {
    /// Bytes.
    pub(super) size: u64,
    /// What offsets and lengths are to be multiples of.
    pub(super) block: usize,
    /// Bytes in a request, at most.
    pub(super) most: usize,
    pub(super) can_flush: bool,
    pub(super) can_trim: bool,
}

/// Why there is no export.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    /// The server does not keep to the protocol, or does not have what is needed of it.
    Protocol(&'static str),
    /// The server says no.
    Refused(String),
    ReadOnly,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    Trim = 4,
}

/// Bytes in the head of a request, and of a reply.
pub(super) const REQUEST_HEAD: usize = 28;
pub(super) const REPLY_HEAD: usize = 16;

/// The head of a request.
pub(super) fn request(command: Command, handle: u64, offset: u64, len: u32) -> [u8; REQUEST_HEAD] {
    let mut head = [0; REQUEST_HEAD];
    head[..4].copy_from_slice(&REQUEST.to_be_bytes());
    head[4..8].copy_from_slice(&(command as u32).to_be_bytes());
    head[8..16].copy_from_slice(&handle.to_be_bytes());
    head[16..24].copy_from_slice(&offset.to_be_bytes());
    head[24..].copy_from_slice(&len.to_be_bytes());
    head
}

/// The error and the handle of a reply; `None` if it is none.
pub(super) fn reply(head: &[u8; REPLY_HEAD]) -> Option<(u32, u64)> {
    let (magic, error, handle) = (word(&head[..4]), word(&head[4..8]), long(&head[8..]));
    (magic == REPLY).then_some((error, handle))
}

/// Opens an export.
pub(super) fn handshake(stream: &mut (impl Read + Write), name: &str) -> Result<Export, Failure> {
    let mut greeting = [0; 18];
    stream.read_exact(&mut greeting)?;
    if greeting[..8] != *GREETING {
        return Err(Failure::Protocol("it is no NBD server"));
    }
    if greeting[8..16] != *OPTIONS {
        return Err(Failure::Protocol("it speaks the oldstyle protocol, which has no options"));
    }
    let flags = short(&greeting[16..]);
    if flags & FIXED_NEWSTYLE == 0 {
        return Err(Failure::Protocol("it does not speak the fixed newstyle protocol"));
    }
    let mut go = Vec::with_capacity(64 + name.len());
    go.extend(u32::from(flags & (FIXED_NEWSTYLE | NO_ZEROES)).to_be_bytes());
    go.extend(OPTIONS);
    go.extend(GO.to_be_bytes());
    go.extend((4 + name.len() as u32 + 4).to_be_bytes());
    go.extend((name.len() as u32).to_be_bytes());
    go.extend(name.bytes());
    go.extend([1_u16, ABOUT_BLOCKS].map(u16::to_be_bytes).as_flattened());
    stream.write_all(&go)?;
    stream.flush()?;

    let (mut export, mut blocks) = (None, [1, u64::from(TRANSFER_MAX)]);
    for _ in 0..REPLIES_MAX {
        let (kind, body) = option_reply(stream)?;
        match (kind, body.get(..2).map(short)) {
            (ACKNOWLEDGED, _) => {
                let (size, flags) = export.ok_or(Failure::Protocol("it says nothing of the export"))?;
                return opened(size, flags, blocks);
            }
            (INFORMATION, Some(ABOUT_EXPORT)) if body.len() == 12 => {
                export = Some((long(&body[2..10]), short(&body[10..])));
            }
            (INFORMATION, Some(ABOUT_BLOCKS)) if body.len() == 14 => {
                blocks = [&body[2..6], &body[10..]].map(|size| u64::from(word(size)));
            }
            (INFORMATION, Some(kind)) if ![ABOUT_EXPORT, ABOUT_BLOCKS].contains(&kind) => {}
            (error, _) if error & IS_ERROR != 0 => return Err(Failure::Refused(refusal(error, &body))),
            _ => return Err(Failure::Protocol("its reply to the name of the export makes no sense")),
        }
    }
    Err(Failure::Protocol("it does not come to an end about the export"))
}

/// A reply to [`GO`]: its kind, and what it says.
fn option_reply(stream: &mut impl Read) -> Result<(u32, Vec<u8>), Failure> {
    let mut head = [0; 20];
    stream.read_exact(&mut head)?;
    let (magic, option, kind, len) =
        (long(&head[..8]), word(&head[8..12]), word(&head[12..16]), word(&head[16..]) as usize);
    if magic != OPTION_REPLY || option != GO || len > REPLY_MAX {
        return Err(Failure::Protocol("what it answers to the name of the export is no reply"));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body)?;
    Ok((kind, body))
}

fn opened(size: u64, flags: u16, [block, most]: [u64; 2]) -> Result<Export, Failure> {
    if size > i64::MAX as u64 {
        return Err(Failure::Protocol("the size of the export makes no sense"));
    }
    if !block.is_power_of_two() || block > 1 << 16 || most < block {
        return Err(Failure::Protocol("the sizes of its blocks make no sense"));
    }
    let flags = if flags & HAS_FLAGS == 0 { 0 } else { flags };
    if flags & READ_ONLY != 0 {
        return Err(Failure::ReadOnly);
    }
    let block = block.max(512);
    let most = most.min(TRANSFER_MAX.into());
    if most < block {
        return Err(Failure::Protocol("it takes less than 512 bytes at once"));
    }
    Ok(Export {
        size,
        block: block as usize,
        most: (most - most % block) as usize,
        can_flush: flags & CAN_FLUSH != 0,
        can_trim: flags & CAN_TRIM != 0,
    })
}

/// What a server says with which it refuses an export.
fn refusal(error: u32, text: &[u8]) -> String {
    let why = match error & !IS_ERROR {
        1 => "it does not know the option NBD_OPT_GO",
        2 => "its policy forbids it",
        5 => "it asks for TLS",
        6 => "it has no such export",
        7 => "it is shutting down",
        8 => "it asks for block sizes",
        _ => "it refuses the export",
    };
    // Whatever it is, it is to be one line of a terminal.
    let text: String =
        String::from_utf8_lossy(text).chars().filter(|letter| !letter.is_control()).take(200).collect();
    if text.is_empty() { why.into() } else { format!("{why}: {text}") }
}

fn short(bytes: &[u8]) -> u16 {
    number(bytes) as u16
}

fn word(bytes: &[u8]) -> u32 {
    number(bytes) as u32
}

fn long(bytes: &[u8]) -> u64 {
    number(bytes)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A server that has said all that it will say.
    struct Said<'a>(&'a [u8]);

    impl Read for Said<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Said<'_> {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn greeting() -> Vec<u8> {
        [&GREETING[..], OPTIONS, &3_u16.to_be_bytes()].concat()
    }

    fn option(kind: u32, body: &[u8]) -> Vec<u8> {
        let head =
            [OPTION_REPLY.to_be_bytes().to_vec(), GO.to_be_bytes().to_vec(), kind.to_be_bytes().to_vec()];
        [head.concat(), (body.len() as u32).to_be_bytes().to_vec(), body.to_vec()].concat()
    }

    fn export(size: u64, flags: u16) -> Vec<u8> {
        option(INFORMATION, &[&[0, 0][..], &size.to_be_bytes(), &flags.to_be_bytes()].concat())
    }

    fn blocks(sizes: [u32; 3]) -> Vec<u8> {
        option(INFORMATION, &[&[0, 3][..], sizes.map(u32::to_be_bytes).as_flattened()].concat())
    }

    fn outcome(said: &[Vec<u8>]) -> Result<Export, Failure> {
        handshake(&mut Said(&said.concat()), "")
    }

    fn refused(said: &[Vec<u8>]) -> String {
        match outcome(said) {
            Err(Failure::Protocol(why)) => why.into(),
            Err(Failure::Refused(why)) => why,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn an_export_is_opened_with_what_the_server_says_of_it() {
        let acknowledged = option(ACKNOWLEDGED, &[]);
        let plain = outcome(&[greeting(), export(1 << 30, HAS_FLAGS | CAN_FLUSH), acknowledged.clone()]);
        let expected = Export { size: 1 << 30, block: 512, most: 32 << 20, can_flush: true, can_trim: false };
        assert_eq!(plain.unwrap(), expected);
        // A server may say more than it was asked for, in any order.
        let name = option(INFORMATION, b"\0\x01name");
        let sized = [greeting(), name, blocks([4096, 8192, 100_000]), export(8192, 0), acknowledged];
        let expected = Export { size: 8192, block: 4096, most: 98_304, can_flush: false, can_trim: false };
        assert_eq!(outcome(&sized).unwrap(), expected);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let (acknowledged, good) = (option(ACKNOWLEDGED, &[]), export(1 << 20, HAS_FLAGS));
        let senseless = "its reply to the name of the export makes no sense";
        let no_reply = "what it answers to the name of the export is no reply";
        for (said, expected) in [
            (vec![b"HTTP/1.1 400 Bad Request\r\n".to_vec()], "it is no NBD server"),
            (
                vec![[&GREETING[..], b"\0\0\x42\x02\x81\x86\x12\x53\0\0"].concat()],
                "it speaks the oldstyle protocol, which has no options",
            ),
            (
                vec![[&GREETING[..], OPTIONS, b"\0\0"].concat()],
                "it does not speak the fixed newstyle protocol",
            ),
            (vec![greeting(), acknowledged.clone()], "it says nothing of the export"),
            (vec![greeting(), option(INFORMATION, &[0, 0, 1])], senseless),
            (vec![greeting(), option(INFORMATION, &[])], senseless),
            (vec![greeting(), option(9, &[])], senseless),
            (
                vec![greeting(), export(1 << 63, 0), acknowledged.clone()],
                "the size of the export makes no sense",
            ),
            (
                vec![greeting(), good.clone(), blocks([3, 3, 3]), acknowledged.clone()],
                "the sizes of its blocks make no sense",
            ),
            (
                vec![greeting(), good.clone(), blocks([0, 0, 0]), acknowledged.clone()],
                "the sizes of its blocks make no sense",
            ),
            (
                vec![greeting(), good.clone(), blocks([1 << 17, 1 << 17, 1 << 20]), acknowledged.clone()],
                "the sizes of its blocks make no sense",
            ),
            (
                vec![greeting(), good.clone(), blocks([1, 1, 100]), acknowledged.clone()],
                "it takes less than 512 bytes at once",
            ),
            (vec![greeting(), vec![0xff; 20]], no_reply),
            (vec![greeting(), option(ACKNOWLEDGED, &[0; REPLY_MAX + 1])], no_reply),
            (
                std::iter::once(greeting()).chain((0..100).map(|_| good.clone())).collect(),
                "it does not come to an end about the export",
            ),
            (
                vec![greeting(), option(IS_ERROR | 6, b"no \x1b[31msuch")],
                "it has no such export: no [31msuch",
            ),
            (vec![greeting(), option(IS_ERROR | 99, b"")], "it refuses the export"),
        ] {
            assert_eq!(refused(&said), expected);
        }
        let read_only = outcome(&[greeting(), export(1 << 20, HAS_FLAGS | READ_ONLY), acknowledged]);
        assert!(matches!(read_only, Err(Failure::ReadOnly)));
    }

    #[test]
    fn every_beginning_of_a_handshake_is_an_error() {
        let whole =
            [greeting(), blocks([1, 4096, 1 << 25]), export(1 << 20, 1), option(ACKNOWLEDGED, &[])].concat();
        for len in 0..whole.len() {
            assert!(matches!(handshake(&mut Said(&whole[..len]), ""), Err(Failure::Io(_))), "{len}");
        }
        assert!(handshake(&mut Said(&whole), "").is_ok());
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_has_an_outcome(
            said in proptest::collection::vec(prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                (any::<u32>(), proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(kind, body)| option(kind, &body)),
                (0..5_u32, proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(kind, body)| option(kind, &body)),
                (any::<u64>(), any::<u16>()).prop_map(|(size, flags)| export(size, flags)),
                any::<[u32; 3]>().prop_map(blocks),
                Just(option(ACKNOWLEDGED, &[])),
            ], 0..80),
        ) {
            let said = [vec![greeting()], said].concat();
            if let Ok(Export { size, block, most, .. }) = outcome(&said) {
                prop_assert!(size <= i64::MAX as u64);
                prop_assert!(block.is_power_of_two() && (512..=1 << 16).contains(&block));
                prop_assert!(most >= block && most % block == 0 && most <= TRANSFER_MAX as usize);
            }
        }
    }
}
