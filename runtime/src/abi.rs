//! What both sides of a message must agree on: one zero-sized type an ABI, and its facts as data.
//!
//! The numbers come from the C compilers' own stubs, captured on the wire; `mig-codegen` lays messages out with the same
//! constants, so the two cannot drift apart.

pub use crate::trailer::{FromTrailer, Trailer};

/// Which of MIG's two unrelated wire formats an ABI uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A type word in front of each argument: CMU and GNU Mach.
    Typed,
    /// A descriptor list, an NDR record, then plain data: OSF Mach and Apple's.
    Untyped,
}

/// Whose kernel speaks an ABI: what its codes mean, and what it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// GNU Mach, and the Mach 3 that it comes from.
    GnuMach,
    /// OSF Mach.
    Osf,
    /// XNU: macOS and its kin.
    Xnu,
}

/// The shape of a typed ABI's type words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeWords {
    /// 4 bytes, or 12 in the long form: 8 bits of name, 8 of size, 12 of number.
    Short4Long12,
    /// 8 bytes in either form: 8 bits of name, 16 of size, and a word with the number.
    Always8,
}

/// Everything about an ABI that both the compiler and the running program need. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The name on the command line.
    pub name: &'static str,
    /// Which wire format.
    pub family: Family,
    /// Whose kernel speaks it.
    pub system: System,
    /// The shape of the type words; of no meaning for an untyped ABI.
    pub type_words: TypeWords,
    /// Every argument's data is padded to a multiple of this.
    pub alignment: usize,
    /// `sizeof (mach_msg_header_t)`
    pub header: usize,
    /// Offset of `msgh_remote_port`.
    pub remote_port: usize,
    /// Offset of `msgh_local_port`.
    pub local_port: usize,
    /// Offset of `msgh_seqno`; an untyped ABI has `msgh_voucher_port` or nothing there, and the sequence number in the trailer.
    pub seqno: usize,
    /// Offset of `msgh_id`.
    pub id: usize,
    /// A port in the body of a message; in an untyped one its name, which is a part of a descriptor.
    pub port: usize,
    /// An address in a message.
    pub pointer: usize,
    /// `msgh_size` of a reply that holds nothing but a return code.
    pub error_reply: usize,
    /// Offset of the return code in a reply that is not complex.
    pub ret_code: usize,
    /// Bytes of the largest trailer that is asked for; 0 where messages have none.
    pub trailer: usize,
    /// Bytes of the trailer that comes without being asked for.
    pub least_trailer: usize,
    /// The `mach_msg` option bits that ask for the largest trailer.
    pub trailer_options: u32,
    /// `MACH_RCV_LARGE`
    pub receive_large: u32,
}

impl Facts {
    /// Bytes of the descriptor of a port (`mach_msg_port_descriptor_t`), on every untyped ABI.
    pub const PORT_DESCRIPTOR: usize = 12;

    /// Bytes of the descriptor of memory, or of ports, out of line (`mach_msg_ool_descriptor_t`): an address, a size, and four single bytes.
    pub const fn memory_descriptor(&self) -> usize {
        self.pointer + 8
    }
}

/// The NDR record in front of the plain data of an untyped message: little-endian integers, ASCII, IEEE.
pub const NDR: [u8; 8] = [0, 0, 0, 0, 1, 0, 0, 0];

mod sealed {
    pub trait Sealed {}
}

/// An ABI as a type, for code that is generic over it. The ABIs of this module are all that there are: wrong facts would be wrong messages.
pub trait Abi: sealed::Sealed + Copy + Send + Sync + 'static {
    /// Its facts.
    const FACTS: Facts;

    /// What a receiver keeps of a message's trailer: nothing, where there is none.
    type Trailer: FromTrailer;
}

/// An ABI of [`Family::Typed`]: what can be said in its messages is said by type words.
pub trait TypedAbi: Abi {}

/// An ABI of [`Family::Untyped`]: what can be said in its messages is said by descriptors.
pub trait UntypedAbi: Abi {}

macro_rules! families {
    ($($abi:ident: $family:ident),*) => { $(
        impl sealed::Sealed for $abi {}
        impl $family for $abi {}
    )* };
}

families! {
    GnuI386: TypedAbi, GnuX86_64: TypedAbi, GnuX86_64Of2022: TypedAbi,
    Osf32: UntypedAbi, Apple32: UntypedAbi, Apple64: UntypedAbi
}

/// GNU Mach on i386: `gnu-i386`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnuI386;

impl Abi for GnuI386 {
    type Trailer = ();
    const FACTS: Facts = Facts {
        name: "gnu-i386",
        family: Family::Typed,
        system: System::GnuMach,
        type_words: TypeWords::Short4Long12,
        alignment: 4,
        header: 24,
        remote_port: 8,
        local_port: 12,
        seqno: 16,
        id: 20,
        port: 4,
        pointer: 4,
        error_reply: 32,
        ret_code: 28,
        trailer: 0,
        least_trailer: 0,
        trailer_options: 0,
        receive_large: 0x800,
    };
}

/// GNU Mach on x86_64 since 2023, with type words of 8 bytes: `gnu-x86_64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnuX86_64;

impl Abi for GnuX86_64 {
    type Trailer = ();
    const FACTS: Facts = Facts {
        name: "gnu-x86_64",
        family: Family::Typed,
        system: System::GnuMach,
        type_words: TypeWords::Always8,
        alignment: 8,
        header: 32,
        remote_port: 8,
        local_port: 16,
        seqno: 24,
        id: 28,
        port: 8,
        pointer: 8,
        error_reply: 48,
        ret_code: 40,
        trailer: 0,
        least_trailer: 0,
        trailer_options: 0,
        receive_large: 0x800,
    };
}

/// GNU Mach on x86_64 until 2023: the type words, ports and alignment of i386 behind a header of 32 bytes; `gnu-x86_64-2022`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GnuX86_64Of2022;

impl Abi for GnuX86_64Of2022 {
    type Trailer = ();
    const FACTS: Facts = Facts {
        name: "gnu-x86_64-2022",
        type_words: TypeWords::Short4Long12,
        alignment: 4,
        port: 4,
        error_reply: 40,
        ret_code: 36,
        ..GnuX86_64::FACTS
    };
}

/// OSF Mach on i386: `osf-32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Osf32;

impl Abi for Osf32 {
    type Trailer = Trailer;
    const FACTS: Facts = Facts {
        name: "osf-32",
        family: Family::Untyped,
        system: System::Osf,
        type_words: TypeWords::Short4Long12,
        alignment: 4,
        header: 24,
        remote_port: 8,
        local_port: 12,
        seqno: 16,
        id: 20,
        port: 4,
        pointer: 4,
        error_reply: 36,
        ret_code: 32,
        // Sequence number and security token.
        trailer: 20,
        least_trailer: 8,
        trailer_options: 2 << 24,
        receive_large: 0x800,
    };
}

/// Apple's kernels, tasks of 32 bits: `apple-32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apple32;

impl Abi for Apple32 {
    type Trailer = Trailer;
    const FACTS: Facts = Facts {
        name: "apple-32",
        system: System::Xnu,
        // Up to the context of the port.
        trailer: 60,
        trailer_options: 4 << 24,
        receive_large: 0x4,
        ..Osf32::FACTS
    };
}

/// Apple's kernels, tasks of 64 bits: `apple-64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Apple64;

impl Abi for Apple64 {
    type Trailer = Trailer;
    const FACTS: Facts = Facts { name: "apple-64", pointer: 8, ..Apple32::FACTS };
}

/// GNU Mach's ABI for a target with addresses of this size, whatever its system is: for what is written for GNU Mach and tested elsewhere.
#[cfg(target_pointer_width = "64")]
pub type Gnu = GnuX86_64;
/// GNU Mach's ABI for a target with addresses of this size, whatever its system is: for what is written for GNU Mach and tested elsewhere.
#[cfg(target_pointer_width = "32")]
pub type Gnu = GnuI386;

/// The ABI of Apple's kernels for a target with addresses of this size, whatever its system is.
#[cfg(target_pointer_width = "64")]
pub type Apple = Apple64;
/// The ABI of Apple's kernels for a target with addresses of this size, whatever its system is.
#[cfg(target_pointer_width = "32")]
pub type Apple = Apple32;

/// The ABI of the target: [`Apple`]'s on macOS and its kin, [`Gnu`]'s everywhere else.
#[cfg(target_vendor = "apple")]
pub type Native = Apple;
/// The ABI of the target: [`Apple`]'s on macOS and its kin, [`Gnu`]'s everywhere else.
#[cfg(not(target_vendor = "apple"))]
pub type Native = Gnu;
