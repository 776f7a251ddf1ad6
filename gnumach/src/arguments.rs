//! What the kernel's boot script has given to the program.

use core::ffi::{CStr, c_char};
use core::slice;

use mig_runtime::Name;

use crate::task::{SendRight, borrowed};

/// The words of the program's line in the boot script, without the program's own name.
///
/// A word such as `${host-port}` there is a right of the program's task, given as a number.
#[derive(Debug)]
pub struct Arguments(slice::Iter<'static, *const c_char>);

impl Arguments {
    /// The words on the initial stack, where the kernel puts their count, then a pointer to each.
    ///
    /// # Safety
    ///
    /// `stack` is the stack pointer that the program has begun with.
    #[cfg(feature = "program")]
    pub(crate) unsafe fn from_stack(stack: *const usize) -> Self {
        // SAFETY: the caller's promise.
        let count = unsafe { *stack };
        // SAFETY: the pointers follow the count.
        let first = unsafe { stack.add(1) }.cast::<*const c_char>();
        // SAFETY: as many as were counted; they stay there.
        let words = unsafe { slice::from_raw_parts(first, count) };
        Self(words.get(1..).unwrap_or_default().iter())
    }

    /// The right that the next word is the number of: `${host-port}` or `${device-port}` in the boot script.
    ///
    /// It is a reference of its own, beside the one that the kernel has put there: a word is only a number,
    /// and may stand in a line twice.
    ///
    /// # Panics
    ///
    /// If there is no such word, or this task has no send right of that number.
    pub fn port(&mut self) -> SendRight {
        let name = self.next().and_then(|word| word.parse().ok());
        let name =
            name.expect("the boot script gives no port here; a line needs ${host-port} ${device-port}");
        let given = borrowed(Name(name));
        given.try_clone().expect("the boot script gives the number of a right that this task does not have")
    }
}

impl Iterator for Arguments {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        let word = *self.0.next()?;
        // SAFETY: the kernel has put a text that ends with a NUL there, and it stays.
        let word = unsafe { CStr::from_ptr(word) };
        Some(word.to_str().unwrap_or(""))
    }
}
