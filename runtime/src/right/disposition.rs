//! The numbers that say what a message does with a right (`MACH_MSG_TYPE_MOVE_SEND` and its kin): `msgt_name`
//! of a type word, `disposition` of a descriptor or a header. All other numbers are plain data to the
//! runtime.

use mig_abi::Disposition;

/// `MACH_MSG_TYPE_MOVE_RECEIVE`; a receiver sees the same number as `MACH_MSG_TYPE_PORT_RECEIVE`.
pub const MOVE_RECEIVE: u8 = Disposition::MoveReceive as u8;
/// `MACH_MSG_TYPE_MOVE_SEND`; a receiver sees the same number as `MACH_MSG_TYPE_PORT_SEND`.
pub const MOVE_SEND: u8 = Disposition::MoveSend as u8;
/// `MACH_MSG_TYPE_MOVE_SEND_ONCE`; a receiver sees the same number as `MACH_MSG_TYPE_PORT_SEND_ONCE`.
pub const MOVE_SEND_ONCE: u8 = Disposition::MoveSendOnce as u8;
/// `MACH_MSG_TYPE_COPY_SEND`
pub const COPY_SEND: u8 = Disposition::CopySend as u8;
/// `MACH_MSG_TYPE_MAKE_SEND`
pub const MAKE_SEND: u8 = Disposition::MakeSend as u8;
/// `MACH_MSG_TYPE_MAKE_SEND_ONCE`
pub const MAKE_SEND_ONCE: u8 = Disposition::MakeSendOnce as u8;

/// `MACH_MSG_TYPE_PROTECTED_PAYLOAD`: in a received header, a word of the receiver's own stands for the
/// request port.
pub const PROTECTED_PAYLOAD: u8 = mig_abi::PROTECTED_PAYLOAD;

/// True for the numbers that denote a port right (`MACH_MSG_TYPE_PORT_ANY`).
#[inline]
pub const fn is_right(name: u8) -> bool {
    Disposition::is_right(name as u32)
}
