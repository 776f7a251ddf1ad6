//! Text on the kernel's console.

use core::ffi::CStr;
use core::fmt::{self, Write};

use crate::trap;

/// Bytes that go to the kernel at once.
const PIECE: usize = 256;

/// Writes a text to the kernel's console; [`println!`](crate::println) is how to call it.
///
/// It needs no port and no memory, and lines of several tasks do not mix unless they are very long.
pub fn print(text: fmt::Arguments<'_>) {
    let mut piece = Piece { bytes: [0; PIECE], len: 0 };
    let _ = piece.write_fmt(text);
    piece.flush();
}

/// Writes a line to the kernel's console.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => {
        $crate::console::print(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// What is collected for the kernel; the last byte stays zero.
struct Piece {
    bytes: [u8; PIECE],
    len: usize,
}

impl Piece {
    fn flush(&mut self) {
        self.bytes[self.len] = 0;
        if let Ok(text) = CStr::from_bytes_until_nul(&self.bytes) {
            trap::print(text);
        }
        self.len = 0;
    }
}

impl Write for Piece {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.len == PIECE - 1 {
                self.flush();
            }
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}
