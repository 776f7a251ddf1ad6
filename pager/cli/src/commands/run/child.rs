//! The program, from its start to its end.

use std::error::Error;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

/// Runs it, and tells `tick` every second how long it has run.
///
/// This process outlives it: what a terminal sends goes to both, and what is sent to this one alone is passed
/// on.
pub(super) fn run(command: &mut Command, tick: impl Fn(Duration)) -> Result<ExitStatus, Box<dyn Error>> {
    let mut passed_on = Vec::new();
    for (number, signal) in
        [(SIGTERM, Some(Signal::TERM)), (SIGHUP, Some(Signal::HUP)), (SIGINT, None), (SIGQUIT, None)]
    {
        let seen = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(number, seen.clone())?;
        passed_on.extend(signal.map(|signal| (seen, signal)));
    }
    let name = command.get_program().to_owned();
    let mut child =
        command.spawn().map_err(|error| format!("{} cannot be run: {error}", name.to_string_lossy()))?;
    let start = Instant::now();
    let status = wait(&mut child, &passed_on, || tick(start.elapsed()));
    if status.is_err() {
        let _ = child.kill();
    }
    status
}

fn wait(
    child: &mut Child,
    passed_on: &[(Arc<AtomicBool>, Signal)],
    tick: impl Fn(),
) -> Result<ExitStatus, Box<dyn Error>> {
    let pid = Pid::from_child(child);
    let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    let mut next = Instant::now() + Duration::from_secs(1);
    loop {
        // A signal ends the wait, or comes a moment before it and is seen after a second.
        let _ = poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&second));
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        for (seen, signal) in passed_on {
            if seen.swap(false, Relaxed) {
                rustix::process::kill_process(pid, *signal)?;
            }
        }
        if Instant::now() >= next {
            tick();
            next = Instant::now() + Duration::from_secs(1);
        }
    }
}

/// Ends as the program has ended.
pub(super) fn pass_on(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        // The memory of this process tells nobody anything.
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        let _ = rustix::process::setrlimit(Resource::Core, none);
        // Not every signal ends a process, but this one has.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
