//! The end of the program.

use std::ffi::c_int;

use crate::{report, system};

/// The last figures, where the program ends as programs do.
pub(crate) extern "C" fn at_exit() {
    report::write();
}

/// And where it ends without a word to anybody.
#[unsafe(no_mangle)]
extern "C" fn _exit(code: c_int) -> ! {
    report::write();
    system::exit(code)
}

#[unsafe(no_mangle)]
extern "C" fn _Exit(code: c_int) -> ! {
    _exit(code)
}
