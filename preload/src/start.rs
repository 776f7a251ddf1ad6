//! What happens before `main`.

use std::io::Write as _;

use crate::settings::Settings;
use crate::thread::{self, AtWork, Quiet};
use crate::{exit, fork, paging, report, system, window, work};

#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    let Some(settings) = Settings::from_environment() else { return };
    if let Err(error) = begin(&settings) {
        // Nothing of the program has run.
        settings.report.iter().for_each(|path| report::failed(path));
        let _ = writeln!(std::io::stderr(), "error: {error}");
        system::exit(FAILED);
    }
}

const FAILED: i32 = 1;

fn begin(settings: &Settings) -> Result<(), Box<dyn std::error::Error>> {
    exit::on_panic();
    if !thread::prepare() {
        return Err("there is no room for a key of threads".into());
    }
    if !window::reserve() {
        return Err("there are no addresses for memory that is paged: the limit of the address space (ulimit -v) is too low".into());
    }
    {
        let _at_work = AtWork::begin();
        let _quiet = Quiet::begin();
        let told = |why| format!("there is no thread with descriptors of its own: {why}");
        work::start(None).map_err(told)?;
    }
    // All that is opened, and all threads that are made, are so in that thread.
    let begun = work::done(|| {
        paging::start(settings).map_err(|why| why.to_string())?;
        settings.report.iter().try_for_each(|path| report::start(path))
    });
    begun.unwrap_or(Ok(()))?;
    if !fork::start() {
        return Err("there is no room to prepare forks".into());
    }
    // SAFETY: a function without arguments, which stays loaded.
    unsafe { libc::atexit(exit::at_exit) };
    Ok(())
}
