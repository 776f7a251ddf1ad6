//! `mach_msg_header_t`.

use mig_abi::COMPLEX;

use super::format::{FormatOf, Rules};
use crate::abi::{Abi, RightNumbers};
use crate::bytes::{port_at, word_at};
use crate::kernel::{Kernel, PortName};
use crate::right::{self, disposition};

/// `msg_simple` of Mach 2.5, in the first word of its header; 24 bits of no meaning are below it.
const SIMPLE: u32 = 1 << 24;

/// `MSG_TYPE_RPC` of Mach 2.5 (`msg_type.h`): a reply is expected, or this is it.
const RPC: u32 = 1 << 8;

/// Room for the header of any ABI.
pub(crate) const MAX_HEADER: usize = 32;

/// The fields of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header<N> {
    /// Disposition of the remote port, of the local port at bit 8, and the complex bit.
    pub bits: u32,
    pub size: u32,
    pub remote: N,
    pub local: N,
    /// `msgh_seqno`, the voucher of an untyped ABI, or `msg_type` of Mach 2.5.
    pub seqno: u32,
    pub id: i32,
}

impl<N: PortName> Header<N> {
    /// The header of a message that is to be sent.
    #[inline]
    pub(crate) const fn to_send(id: i32, remote: (N, u8), local: (N, u8), complex: bool) -> Self {
        let bits = remote.1 as u32 | (local.1 as u32) << 8 | if complex { COMPLEX } else { 0 };
        Self { bits, size: 0, remote: remote.0, local: local.0, seqno: 0, id }
    }

    #[inline]
    pub(crate) const fn remote_disposition(&self) -> u8 {
        self.bits as u8
    }

    #[inline]
    pub(crate) const fn local_disposition(&self) -> u8 {
        (self.bits >> 8) as u8
    }

    #[inline]
    pub(crate) const fn is_complex(&self) -> bool {
        self.bits & COMPLEX != 0
    }

    /// Reads a header; fields that `bytes` do not reach are zero.
    #[inline]
    pub(crate) fn read<A: Abi<Name = N>>(bytes: &[u8]) -> Self {
        let word = |offset| word_at(bytes, offset).unwrap_or(0);
        let port = |offset| port_at::<A>(bytes, offset).unwrap_or(N::NULL);
        let remote = port(A::FACTS.remote_port);
        Self {
            bits: bits_of::<A>(word(0), remote),
            size: word(4),
            remote,
            local: port(A::FACTS.local_port),
            seqno: word(A::FACTS.seqno),
            id: word(A::FACTS.id) as i32,
        }
    }

    /// The bytes of the header; the first [`Facts::header`](crate::abi::Facts::header) count.
    #[inline]
    pub(crate) fn to_bytes<A: Abi>(self) -> [u8; MAX_HEADER] {
        let mut bytes = [0; MAX_HEADER];
        let mut put = |offset: usize, word: &[u8]| bytes[offset..offset + word.len()].copy_from_slice(word);
        put(0, &first_word::<A>(self.bits).to_le_bytes());
        put(4, &self.size.to_le_bytes());
        // Each with its padding, at once.
        let between = const { A::FACTS.remote_port.abs_diff(A::FACTS.local_port) };
        put(A::FACTS.remote_port, &self.remote.word().to_le_bytes()[..between]);
        put(A::FACTS.local_port, &self.local.word().to_le_bytes()[..between]);
        let rpc = match A::FACTS.rights {
            RightNumbers::Mach25 if self.local_disposition() != 0 => RPC,
            _ => 0,
        };
        put(A::FACTS.seqno, &(self.seqno | rpc).to_le_bytes());
        put(A::FACTS.id, &self.id.to_le_bytes());
        bytes
    }
}

/// What a header says of its ports and of its body, in Mach 3's form, by its first word.
///
/// A header of Mach 2.5 says nothing of its ports. Its kernels ignore 24 bits of that word, in which
/// [`first_word`] tells the implementation of [`Kernel`] what becomes of the sender's rights, and deliver
/// them as zeros: the receiver has a send right to answer with.
#[inline]
pub(crate) fn bits_of<A: Abi>(word: u32, remote: impl PortName) -> u32 {
    const DELIVERED: u32 = disposition::MOVE_SEND as u32;
    match A::FACTS.rights {
        RightNumbers::Mach3 => word,
        RightNumbers::Mach25 => {
            let complex = if word >> 24 == 0 { COMPLEX } else { 0 };
            let ports = match word & 0xffff {
                0 if remote.is_valid() => DELIVERED << 8 | DELIVERED,
                0 => DELIVERED << 8,
                ports => ports,
            };
            complex | ports
        }
    }
}

/// The first word of a header with these bits.
#[inline]
fn first_word<A: Abi>(bits: u32) -> u32 {
    match A::FACTS.rights {
        RightNumbers::Mach3 => bits,
        RightNumbers::Mach25 => bits & 0xffff | if bits & COMPLEX == 0 { SIMPLE } else { 0 },
    }
}

impl<N: PortName> Header<N> {
    /// The header of a reply. A server of Mach 2.5 gives the `msg_type` of the request back.
    #[inline]
    pub(crate) const fn of_reply<A: Abi>(self) -> Self {
        match A::FACTS.rights {
            RightNumbers::Mach3 => self,
            RightNumbers::Mach25 => Self { seqno: RPC, ..self },
        }
    }

    /// As the receiver of the message has it.
    pub(crate) fn turned(self) -> Self {
        let (remote, local) = (self.bits & 0xff, self.bits >> 8 & 0xff);
        let bits = self.bits & !0xffff | remote << 8 | local;
        Self { bits, remote: self.local, local: self.remote, ..self }
    }

    /// Releases the voucher that came with a message, if any: nobody takes it.
    #[inline(always)]
    pub(crate) fn release_voucher<K: Kernel<Abi: Abi<Name = N>>>(&self, kernel: &K) {
        // A kernel's own message has no name for it.
        if K::Abi::FACTS.in_kernel {
            return;
        }
        if let Some((name, disposition)) = FormatOf::<K>::voucher(self.bits, self.seqno) {
            let name = N::from_word(name.into());
            // SAFETY: the kernel has delivered it with the message, and nobody takes it.
            unsafe { right::release(kernel.clone(), disposition, name) };
        }
    }

    /// The name of the request port of a received message; null where a payload stands for it.
    #[inline]
    pub(crate) fn local_name(&self) -> N {
        if self.local_disposition() == disposition::PROTECTED_PAYLOAD { N::NULL } else { self.local }
    }

    /// The remote port and its disposition; none is left.
    pub(crate) fn take_remote(&mut self) -> (N, u8) {
        let disposition = self.remote_disposition();
        self.bits &= !0xff;
        (core::mem::take(&mut self.remote), disposition)
    }

    /// The local port and its disposition; none is left.
    pub(crate) fn take_local(&mut self) -> (N, u8) {
        let disposition = self.local_disposition();
        self.bits &= !0xff00;
        (core::mem::take(&mut self.local), disposition)
    }
}
