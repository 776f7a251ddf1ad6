//! Port rights: their kinds, and how a message names them.

/// The kinds of rights that a task can hold a reference of: `mach_port_right_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RightKind {
    /// `MACH_PORT_RIGHT_SEND`
    Send = 0,
    /// `MACH_PORT_RIGHT_RECEIVE`
    Receive = 1,
    /// `MACH_PORT_RIGHT_SEND_ONCE`
    SendOnce = 2,
    /// `MACH_PORT_RIGHT_PORT_SET`
    PortSet = 3,
    /// `MACH_PORT_RIGHT_DEAD_NAME`
    DeadName = 4,
}

/// What a message does with a right: the message types of ports.
///
/// A receiver sees one of the first three, which its headers call `MACH_MSG_TYPE_PORT_RECEIVE`, `…_SEND` and
/// `…_SEND_ONCE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Disposition {
    /// `MACH_MSG_TYPE_MOVE_RECEIVE`
    MoveReceive = 16,
    /// `MACH_MSG_TYPE_MOVE_SEND`
    MoveSend = 17,
    /// `MACH_MSG_TYPE_MOVE_SEND_ONCE`
    MoveSendOnce = 18,
    /// `MACH_MSG_TYPE_COPY_SEND`
    CopySend = 19,
    /// `MACH_MSG_TYPE_MAKE_SEND`
    MakeSend = 20,
    /// `MACH_MSG_TYPE_MAKE_SEND_ONCE`
    MakeSendOnce = 21,
}

/// `MACH_MSGH_BITS_COMPLEX`, among the bits of a header: the message brings rights or memory, and the kernel
/// processes what describes them.
pub const COMPLEX: u32 = 1 << 31;

/// `MACH_MSG_TYPE_PROTECTED_PAYLOAD`: in a received header, a word of the receiver's own stands for the
/// request port.
pub const PROTECTED_PAYLOAD: u8 = 23;

impl Disposition {
    /// The disposition with this number; `None` if the number is not that of a right
    /// (`MACH_MSG_TYPE_PORT_ANY`).
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            16 => Self::MoveReceive,
            17 => Self::MoveSend,
            18 => Self::MoveSendOnce,
            19 => Self::CopySend,
            20 => Self::MakeSend,
            21 => Self::MakeSendOnce,
            _ => return None,
        })
    }

    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::MoveReceive,
        Self::MoveSend,
        Self::MoveSendOnce,
        Self::CopySend,
        Self::MakeSend,
        Self::MakeSendOnce,
    ];

    /// What C's headers call it, without `MACH_MSG_TYPE_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MoveReceive => "MOVE_RECEIVE",
            Self::MoveSend => "MOVE_SEND",
            Self::MoveSendOnce => "MOVE_SEND_ONCE",
            Self::CopySend => "COPY_SEND",
            Self::MakeSend => "MAKE_SEND",
            Self::MakeSendOnce => "MAKE_SEND_ONCE",
        }
    }

    /// Whether this is the number of a right.
    #[inline]
    pub const fn is_right(number: u32) -> bool {
        number >= Self::MoveReceive as u32 && number <= Self::MakeSendOnce as u32
    }

    /// Whether the sender gives its right away.
    #[inline]
    pub const fn moves(self) -> bool {
        matches!(self, Self::MoveReceive | Self::MoveSend | Self::MoveSendOnce)
    }

    /// The right that the receiver gets.
    #[inline]
    pub const fn right(self) -> RightKind {
        match self {
            Self::MoveReceive => RightKind::Receive,
            Self::MoveSend | Self::CopySend | Self::MakeSend => RightKind::Send,
            Self::MoveSendOnce | Self::MakeSendOnce => RightKind::SendOnce,
        }
    }

    /// The disposition that the receiver sees in place of this one: that of a right which was moved to it.
    #[inline]
    pub const fn received(self) -> Self {
        match self {
            Self::MoveReceive => Self::MoveReceive,
            Self::MoveSend | Self::CopySend | Self::MakeSend => Self::MoveSend,
            Self::MoveSendOnce | Self::MakeSendOnce => Self::MoveSendOnce,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `mach/message.h` has six in a row, and nothing else is a port.
    #[test]
    fn numbers_and_dispositions_are_each_others() {
        for number in 0..=300 {
            let found = Disposition::from_number(number);
            assert_eq!(found.map(|found| found as u32), (16..=21).contains(&number).then_some(number));
            assert_eq!(Disposition::is_right(number), found.is_some());
        }
        assert_eq!(Disposition::ALL.map(|disposition| disposition as u32), [16, 17, 18, 19, 20, 21]);
    }

    #[test]
    fn a_receiver_sees_the_right_that_it_gets() {
        for number in 16..=21 {
            let sent = Disposition::from_number(number).unwrap();
            assert_eq!(sent.received().right(), sent.right());
            assert!(sent.received().moves());
            assert_eq!(sent.moves(), sent == sent.received());
        }
    }
}
