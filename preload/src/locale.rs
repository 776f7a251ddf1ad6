//! The C library's locale, which is not paged.
//!
//! A thread that begins reads the tables of the locale that the whole process has, before anything of this
//! library runs in it. The program's threads may wait for a page there. A thread of this library may not,
//! and in the child of a fork there are such threads before anything is paged.

use std::ffi::{c_char, c_int};
use std::ptr;

use crate::system;
use crate::thread::AtWork;

/// As the C library's, which allocates what it keeps as for a thread of this library.
#[unsafe(no_mangle)]
unsafe extern "C" fn setlocale(category: c_int, locale: *const c_char) -> *mut c_char {
    let Some(set) = system::setlocale() else { return ptr::null_mut() };
    let _at_work = AtWork::begin();
    // SAFETY: the caller's promise.
    unsafe { set(category, locale) }
}
