//! What the receiver's kernel writes after a message of an untyped ABI: who sent it, and where it stood in
//! its queue.

use mig_abi::TrailerField;

use super::malformed::Malformed;
use crate::bytes::word_at;

/// The position of a message in the queue of its port (`mach_port_seqno_t`): consecutive for each port,
/// whatever thread receives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seqno(pub u32);

/// Who sent a message, for a kernel that knows users by two numbers (`security_token_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SecurityToken {
    /// Effective user and group.
    pub val: [u32; 2],
}

/// Who sent a message, as Apple's kernels know it (`audit_token_t`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AuditToken {
    /// What `audit_token_to_pid()` and its kin take apart.
    pub val: [u32; 8],
}

impl AuditToken {
    /// Effective user (`audit_token_to_euid`).
    pub const fn euid(&self) -> u32 {
        self.val[1]
    }

    /// Effective group (`audit_token_to_egid`).
    pub const fn egid(&self) -> u32 {
        self.val[2]
    }

    /// The process (`audit_token_to_pid`). It may have ended, and another may have its number.
    pub const fn pid(&self) -> i32 {
        self.val[5] as i32
    }

    /// The version of the process's number, which tells the next process of the same number from it
    /// (`audit_token_to_pidversion`).
    pub const fn pid_version(&self) -> i32 {
        self.val[7] as i32
    }
}

/// Bytes of the largest trailer.
const END: usize = TrailerField::Context.end();

/// The trailer of a message (`mach_msg_context_trailer_t` and its shorter kin).
///
/// A kernel writes as much of it as the receiver has asked for; asking for a field that is not there is
/// [`Malformed::Trailer`], which a stub turns into `MIG_TRAILER_ERROR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    bytes: [u8; END],
    /// How many bytes there are; 0 if the trailer is of an unknown type.
    len: usize,
}

impl Trailer {
    /// Reads the trailer at the start of `bytes`, if there is one.
    #[inline]
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let (kind, size) = (word_at(bytes, 0), word_at(bytes, 4).unwrap_or(0) as usize);
        let len = if kind == Some(0) { size.min(bytes.len()).min(END) } else { 0 };
        let mut trailer = Self { bytes: [0; END], len };
        trailer.bytes[..len].copy_from_slice(&bytes[..len]);
        trailer
    }

    /// The sequence number.
    ///
    /// # Errors
    ///
    /// [`Malformed::Trailer`], as for every field.
    #[inline]
    pub fn seqno(&self) -> Result<Seqno, Malformed> {
        Ok(Seqno(self.words::<1>(TrailerField::Seqno)?[0]))
    }

    /// The sender's security token.
    ///
    /// # Errors
    ///
    /// [`Malformed::Trailer`]
    pub fn sender(&self) -> Result<SecurityToken, Malformed> {
        Ok(SecurityToken { val: self.words(TrailerField::Sender)? })
    }

    /// The sender's audit token.
    ///
    /// # Errors
    ///
    /// [`Malformed::Trailer`]
    pub fn audit(&self) -> Result<AuditToken, Malformed> {
        Ok(AuditToken { val: self.words(TrailerField::Audit)? })
    }

    /// The context that the receiver has given its port (`mach_port_set_context`).
    ///
    /// # Errors
    ///
    /// [`Malformed::Trailer`]
    pub fn context(&self) -> Result<u64, Malformed> {
        let [low, high] = self.words(TrailerField::Context)?;
        Ok(u64::from(high) << 32 | u64::from(low))
    }

    #[inline]
    fn words<const N: usize>(&self, field: TrailerField) -> Result<[u32; N], Malformed> {
        let at = field.offset();
        if at + 4 * N > self.len {
            return Err(Malformed::Trailer);
        }
        Ok(core::array::from_fn(|i| word_at(&self.bytes, at + 4 * i).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The offsets of `mach/message.h`, and no field that the kernel did not write.
    #[test]
    fn a_trailer_has_as_many_fields_as_its_size_says() {
        let mut bytes = [0u8; 68];
        for (at, word) in
            (8..).step_by(4).zip([7, 501, 20, 100, 101, 102, 103, 104, 4242, 106, 107, 0xcafe, 0xf00d])
        {
            bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(word));
        }
        let read = |size: u32| {
            let mut bytes = bytes;
            bytes[4..8].copy_from_slice(&size.to_le_bytes());
            Trailer::read(&bytes)
        };
        let whole = read(60);
        assert_eq!(whole.seqno(), Ok(Seqno(7)));
        assert_eq!(whole.sender(), Ok(SecurityToken { val: [501, 20] }));
        assert_eq!(whole.audit().unwrap().pid(), 4242);
        assert_eq!(whole.context(), Ok(0xf00d_0000_cafe));
        let missing = |size| {
            let trailer = read(size);
            [
                trailer.seqno().is_err(),
                trailer.sender().is_err(),
                trailer.audit().is_err(),
                trailer.context().is_err(),
            ]
        };
        assert_eq!(missing(8), [true, true, true, true]);
        assert_eq!(missing(12), [false, true, true, true]);
        assert_eq!(missing(20), [false, false, true, true]);
        assert_eq!(missing(52), [false, false, false, true]);
        assert_eq!(missing(u32::MAX), [false; 4]);
    }

    #[test]
    fn a_trailer_of_another_type_or_cut_off_says_nothing() {
        assert!(Trailer::read(&[1, 0, 0, 0, 12, 0, 0, 0, 7, 0, 0, 0]).seqno().is_err());
        assert!(Trailer::read(&[0, 0, 0, 0, 12, 0, 0, 0, 7, 0]).seqno().is_err());
        assert!(Trailer::read(&[]).seqno().is_err());
    }
}
