//! `mach_msg_header_t`.

use super::bytes::{port_at, word_at};
use super::format::{FormatOf, Rules};
use crate::abi::Abi;
use crate::kernel::{Kernel, PortName};
use crate::right::{self, disposition};

/// `MACH_MSGH_BITS_COMPLEX`: the kernel processes the type words of the body.
pub(crate) const COMPLEX: u32 = 0x8000_0000;

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
    /// `msgh_seqno`, or the voucher of an untyped ABI.
    pub seqno: u32,
    pub id: i32,
}

impl<N: PortName> Header<N> {
    /// Of a message that is sent.
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
        Self {
            bits: word(0),
            size: word(4),
            remote: port(A::FACTS.remote_port),
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
        put(0, &self.bits.to_le_bytes());
        put(4, &self.size.to_le_bytes());
        for (offset, end, name) in [
            (A::FACTS.remote_port, A::FACTS.local_port, self.remote),
            (A::FACTS.local_port, A::FACTS.seqno, self.local),
        ] {
            // With its padding, at once.
            put(offset, &name.word().to_le_bytes()[..end - offset]);
        }
        put(A::FACTS.seqno, &self.seqno.to_le_bytes());
        put(A::FACTS.id, &self.id.to_le_bytes());
        bytes
    }
}

impl<N: PortName> Header<N> {
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
