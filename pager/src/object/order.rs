//! Messages of one port, taken up in the order in which they were received.

/// The position up to which the messages of a port have been admitted.
///
/// Threads that receive from one port set may overtake each other between the receive and the work. So each
/// message carries its position in its port's queue, and is admitted when all before it have been: its place
/// among the others is fixed then, its work may go on for longer.
#[derive(Debug, Default)]
pub struct Order {
    /// The sequence number of the next message.
    expected: u32,
}

/// Whether a message is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is.
    Now,
    /// Another thread has a message that comes before it.
    Later,
    /// Its position has been passed: no kernel gives a position twice.
    Past,
}

impl Order {
    /// Whether the message at this position is next. Positions wrap around.
    pub fn turn(&self, seqno: u32) -> Turn {
        match seqno.wrapping_sub(self.expected) {
            0 => Turn::Now,
            1..=0x7fff_ffff => Turn::Later,
            _ => Turn::Past,
        }
    }

    /// The message that was next has been admitted or rejected.
    pub fn advance(&mut self) {
        self.expected = self.expected.wrapping_add(1);
    }

    /// The position of the next message.
    pub fn expected(&self) -> u32 {
        self.expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_for_those_before_it() {
        let mut order = Order::default();
        assert_eq!((order.turn(0), order.turn(1), order.turn(7)), (Turn::Now, Turn::Later, Turn::Later));
        order.advance();
        assert_eq!((order.turn(0), order.turn(1), order.turn(2)), (Turn::Past, Turn::Now, Turn::Later));
    }

    #[test]
    fn positions_wrap_around() {
        let mut order = Order { expected: u32::MAX };
        assert_eq!(order.turn(0), Turn::Later);
        order.advance();
        assert_eq!((order.turn(u32::MAX), order.turn(0)), (Turn::Past, Turn::Now));
    }
}
