//! Asks the kernel of macOS about the machine and about this program: the first program to run on a new
//! system, since everything else needs as much to work.
//!
//! Both calls are to objects of the kernel, which since macOS 13 end a program that sends to them as if they
//! were ports of another one.

#[cfg(target_vendor = "apple")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use mach_defs::apple_64::mach_host::{host_info, host_page_size};
    use mach_defs::apple_64::task::task_info;
    use mig_runtime::kernel::darwin::Darwin;

    /// `HOST_BASIC_INFO`, and how many words it has.
    const HOST_BASIC_INFO: (i32, u32) = (1, 12);
    /// `MACH_TASK_BASIC_INFO`, likewise.
    const MACH_TASK_BASIC_INFO: (i32, u32) = (20, 12);

    let host = Darwin.host();
    let (flavor, words) = HOST_BASIC_INFO;
    let info = host_info(&host, flavor, words)?;
    let [most, available, _, processor, ..] = info[..] else { return Err("host_info is short".into()) };
    println!("{available} of {most} processors, of type {processor:#x}");
    println!("{} bytes of memory", wide(&info[10..]));
    println!("pages of {} bytes", host_page_size(&host)?);

    let (flavor, words) = MACH_TASK_BASIC_INFO;
    let info = task_info(&Darwin.task()?, flavor, words)?;
    println!("this program has {} bytes in memory, at most {}", wide(&info[2..]), wide(&info[4..]));

    // What the kernel refuses comes back as its code.
    match host_info(&host, -1, words) {
        Ok(_) => Err("a flavor that there is not".into()),
        Err(error) => {
            println!("another flavor: {error}");
            Ok(())
        }
    }
}

/// A number in two words; 0 if they are not there.
#[cfg(target_vendor = "apple")]
fn wide(words: &[i32]) -> u64 {
    let [low, high, ..] = words else { return 0 };
    u64::from(*low as u32) | u64::from(*high as u32) << 32
}

#[cfg(not(target_vendor = "apple"))]
fn main() {
    println!("this program is for macOS; `cargo xtask test --only macOS` runs it on Linux");
}
