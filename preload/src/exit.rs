//! The end of the program.

use std::ffi::c_int;
use std::fs::File;
use std::io::{self, Write as _};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

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

/// From now on a panic of this library ends the process: without the thread that had it the program might
/// wait for a page for ever.
pub(crate) fn on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        // There is nobody else to tell.
        let _ = standard_error().and_then(|mut to| writeln!(to, "error: the library of mach-pager {panic}"));
        // SAFETY: no handler of the program runs for this.
        unsafe { libc::signal(libc::SIGABRT, libc::SIG_DFL) };
        std::process::abort();
    }));
}

/// The program's, which is in the table of descriptors of the thread that it began with.
fn standard_error() -> io::Result<File> {
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(process, libc::STDERR_FILENO, PidfdGetfdFlags::empty())?.into())
}
