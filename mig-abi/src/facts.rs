//! The facts in which dialects differ: sizes and offsets.

use crate::message_type::MessageType;
use crate::option::MsgOption;
use crate::right::Disposition;
use crate::untyped::TrailerField;

/// Which of MIG's two unrelated wire formats an ABI uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A type word before each argument: CMU and GNU Mach.
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

/// The message types that stand for rights in type words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RightNumbers {
    /// A number for each [`Disposition`], in Mach 3 and later.
    Mach3,
    /// `MSG_TYPE_PORT` and `MSG_TYPE_PORT_ALL` of Mach 2.5.
    Mach25,
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
    /// True for messages as the kernel itself has them: see [`in_kernel`](Self::in_kernel).
    pub in_kernel: bool,
    /// The shape of the type words; of no meaning for an untyped ABI.
    pub type_words: TypeWords,
    /// The numbers of rights in type words; of no meaning for an untyped ABI.
    pub rights: RightNumbers,
    /// Every argument's data is padded to a multiple of this.
    pub alignment: usize,
    /// `sizeof (mach_msg_header_t)`
    pub header: usize,
    /// Offset of `msgh_remote_port`.
    pub remote_port: usize,
    /// Offset of `msgh_local_port`.
    pub local_port: usize,
    /// Offset of `msgh_seqno`; an untyped ABI has `msgh_voucher_port` or nothing there, and the sequence
    /// number in the trailer.
    pub seqno: usize,
    /// Offset of `msgh_id`.
    pub id: usize,
    /// A port in the body of a message; in an untyped one its name, which is a part of a descriptor.
    pub port: usize,
    /// A port's own bytes, of those that it has in a message, and all of them in memory out of line: a name;
    /// to a kernel itself, the address of its port.
    pub port_name: usize,
    /// An address in a message.
    pub pointer: usize,
    /// The descriptor of a port (`mach_msg_port_descriptor_t`) in an untyped message.
    pub port_descriptor: usize,
    /// The descriptor of memory, or of ports, out of line (`mach_msg_ool_descriptor_t`): an address, a size,
    /// and four single bytes.
    pub memory_descriptor: usize,
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
    /// GNU Mach on i386: `gnu-i386`.
    pub const GNU_I386: Self = Self {
        name: "gnu-i386",
        family: Family::Typed,
        system: System::GnuMach,
        in_kernel: false,
        type_words: TypeWords::Short4Long12,
        rights: RightNumbers::Mach3,
        alignment: 4,
        header: 24,
        remote_port: 8,
        local_port: 12,
        seqno: 16,
        id: 20,
        port: 4,
        port_name: 4,
        pointer: 4,
        port_descriptor: 12,
        memory_descriptor: 12,
        error_reply: 32,
        ret_code: 28,
        trailer: 0,
        least_trailer: 0,
        trailer_options: 0,
        receive_large: MsgOption::RCV_LARGE_OF_MACH3.bits,
    };

    /// GNU Mach on x86_64 since 2023, with type words of 8 bytes: `gnu-x86_64`.
    pub const GNU_X86_64: Self = Self {
        name: "gnu-x86_64",
        family: Family::Typed,
        system: System::GnuMach,
        in_kernel: false,
        type_words: TypeWords::Always8,
        rights: RightNumbers::Mach3,
        alignment: 8,
        header: 32,
        remote_port: 8,
        local_port: 16,
        seqno: 24,
        id: 28,
        port: 8,
        port_name: 4,
        pointer: 8,
        port_descriptor: 12,
        memory_descriptor: 16,
        error_reply: 48,
        ret_code: 40,
        trailer: 0,
        least_trailer: 0,
        trailer_options: 0,
        receive_large: MsgOption::RCV_LARGE_OF_MACH3.bits,
    };

    /// GNU Mach on x86_64 until 2023: the type words, ports and alignment of i386 after a header of 32
    /// bytes; `gnu-x86_64-2022`.
    pub const GNU_X86_64_2022: Self = Self {
        name: "gnu-x86_64-2022",
        type_words: TypeWords::Short4Long12,
        alignment: 4,
        port: 4,
        error_reply: 40,
        ret_code: 36,
        ..Self::GNU_X86_64
    };

    /// Mach 2.5 on machines of 32 bits: `mach-25`. The header is `msg_simple` (a byte that is 1 where Mach 3
    /// has no complex bit, above 24 unused bits), `msg_size`, `msg_type`, the local port, the remote port and
    /// `msg_id`. No field has a sequence number; `msg_type` is where `seqno` says.
    pub const MACH_25: Self = Self {
        name: "mach-25",
        rights: RightNumbers::Mach25,
        remote_port: 16,
        local_port: 12,
        seqno: 8,
        ..Self::GNU_I386
    };

    /// OSF Mach on i386: `osf-32`.
    pub const OSF_32: Self = Self {
        name: "osf-32",
        family: Family::Untyped,
        system: System::Osf,
        in_kernel: false,
        type_words: TypeWords::Short4Long12,
        rights: RightNumbers::Mach3,
        alignment: 4,
        header: 24,
        remote_port: 8,
        local_port: 12,
        seqno: 16,
        id: 20,
        port: 4,
        port_name: 4,
        pointer: 4,
        port_descriptor: 12,
        memory_descriptor: 12,
        error_reply: 36,
        ret_code: 32,
        trailer: TrailerField::Sender.end(),
        least_trailer: TrailerField::HEAD,
        trailer_options: TrailerField::Sender.option_bits(),
        receive_large: MsgOption::RCV_LARGE.bits,
    };

    /// Apple's kernels, tasks of 32 bits: `apple-32`.
    pub const APPLE_32: Self = Self {
        name: "apple-32",
        system: System::Xnu,
        trailer: TrailerField::Context.end(),
        trailer_options: TrailerField::Context.option_bits(),
        ..Self::OSF_32
    };

    /// Apple's kernels, tasks of 64 bits: `apple-64`.
    pub const APPLE_64: Self = Self { name: "apple-64", pointer: 8, memory_descriptor: 16, ..Self::APPLE_32 };

    /// The same ABI as the kernel itself has its messages: those that it sends, and those that it has taken
    /// from their sender and not yet given to their receiver. In them a port is the address of a structure of
    /// the kernel's.
    #[must_use]
    pub const fn in_kernel(self) -> Self {
        let facts = Self { in_kernel: true, port: self.pointer, port_name: self.pointer, ..self };
        match (self.family, self.system, self.pointer) {
            (Family::Typed, _, _) => facts,
            (Family::Untyped, System::Xnu, 8) => Self {
                // `mach_msg_header_t` with two addresses; the voucher is a name still.
                header: 32,
                local_port: 16,
                seqno: 24,
                id: 28,
                error_reply: 44,
                ret_code: 40,
                port_descriptor: 16,
                memory_descriptor: 16,
                ..facts
            },
            // The kernel's descriptors have room for those of tasks of 64 bits.
            (Family::Untyped, System::Xnu, _) => Self { port_descriptor: 16, memory_descriptor: 16, ..facts },
            (Family::Untyped, _, _) => facts,
        }
    }

    /// The message type number of a right in a type word.
    pub const fn right_number(&self, right: Disposition) -> u32 {
        match (self.rights, right) {
            (RightNumbers::Mach3, right) => right as u32,
            (RightNumbers::Mach25, Disposition::MoveReceive) => MessageType::PORT_ALL.0 as u32,
            (RightNumbers::Mach25, _) => MessageType::PORT.0 as u32,
        }
    }
}
