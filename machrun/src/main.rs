//! Runs x86_64 programs for macOS on Linux: `machrun PROGRAM [ARGUMENT…]`.
//!
//! It is a test tool, for programs of this repository that use Mach's messages. The program is mapped into
//! this process and runs at full speed. What it calls of Apple's system library is glibc's function of the
//! same name where both are alike, else one of `shims`; Mach's calls go to the in-process kernel
//! `mig_runtime::kernel::local`, which refuses what XNU refuses. `README.md` says what it cannot do.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod exceptions;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod handlers;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod image;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod lock;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod mach;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod machine;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod macho;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod process;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod shims;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tls;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod unwind;

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    use std::os::unix::ffi::OsStringExt as _;

    let words = std::env::args_os().skip(1).map(|word| std::ffi::CString::new(word.into_vec()));
    let arguments: Vec<_> =
        words.collect::<Result<_, _>>().expect("arguments of programs have no zero bytes");
    if arguments.is_empty() {
        eprintln!("usage: machrun PROGRAM [ARGUMENT...]");
        return std::process::ExitCode::from(2);
    }
    exceptions::catch_signals();
    std::thread::spawn(|| mach::objects::serve(machine::machine()));
    match process::run_first(arguments, shims::resolve) {
        Ok(code) => std::process::exit(code),
        Err(why) => {
            eprintln!("machrun: {why}");
            std::process::ExitCode::from(2)
        }
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
fn main() -> std::process::ExitCode {
    eprintln!("machrun: programs can be run only by Linux on x86_64");
    std::process::ExitCode::from(2)
}
