//! What a page costs that comes from memory and goes back there: processor time of the whole process, user
//! and system, so that other programs on the machine count little. The pager keeps pages in memory, a
//! sixteenth may be resident, and half of them have content that is one word over and over.
//!
//! `cargo bench -p mach-vm`, or with `-- signal` those whose name has that word; the numbers of a test run
//! are not checked.

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use mach_pager::store::MemoryStore;
    use mach_pager::{Config, Service, Supplies};
    use mach_vm::{Faults, Limits, Memory, Placement, Vm, VmError};
    use mig_runtime::kernel::local::Host;
    use mig_runtime::platform::Std;

    const PAGE: usize = 4096;
    /// Touches that are one measurement.
    const PIECE: usize = 512;

    pub(super) fn main() {
        // `cargo test --benches` only wants to see it run.
        let pages = if std::env::args().any(|arg| arg == "--bench") { 1 << 15 } else { 2048 };
        let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
        println!(
            "{:40} {:>9} {:>9} {:>9} {:>12}",
            "a page, at the median", "us", "p90 us", "clock us", "switches"
        );
        let in_place = Config { supplies: Supplies::InPlace, inline: true, ..Config::default() };
        for (name, config, faults, placement) in [
            ("by threads", Config::default(), Faults::Thread, Placement::Follow),
            ("in place, anywhere", in_place.clone(), Faults::Thread, Placement::Anywhere),
            ("in place", in_place.clone(), Faults::Thread, Placement::Follow),
            ("signal", in_place, Faults::Signal, Placement::Follow),
        ] {
            if !wanted.is_empty() && !wanted.iter().any(|word| name.contains(word)) {
                continue;
            }
            if let Err(why) = run(name, config, faults, placement, pages) {
                println!("{name}: skipped: {why}");
            }
        }
    }

    fn run(
        name: &str,
        config: Config,
        faults: Faults,
        placement: Placement,
        pages: usize,
    ) -> Result<(), VmError> {
        let host = Host::new();
        let resident = (pages / 16).max(64) * PAGE;
        let vm = Vm::new(&host, Limits { resident, faults, placement, ..Limits::default() })?;
        let store = MemoryStore::<Std>::new(PAGE, 2 * pages as u32);
        let service = Service::<_, Std, _>::start(&host.new_task("pager"), store, config).expect("it starts");
        vm.set_default_manager(service.right()?)?;
        let mut memory = vm.allocate(pages * PAGE)?;
        for (number, page) in memory.chunks_exact_mut(PAGE).enumerate() {
            let mix = |at: usize| ((number * 512 + at) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let word = |at: usize| if number % 2 == 0 { mix(at) } else { number as u64 };
            let words = page.chunks_exact_mut(8).enumerate();
            words.for_each(|(at, bytes)| bytes.copy_from_slice(&word(at).to_le_bytes()));
        }
        let by_chance = |at: usize| (at.wrapping_mul(0x9e37_79b1) ^ (at >> 3)) % pages;
        measure(name, "by chance, read", pages, &mut memory, by_chance, |page| {
            std::hint::black_box(page[0]);
        });
        measure(name, "by chance, written", pages, &mut memory, by_chance, |page| page[8] ^= 1);
        measure(
            name,
            "in order, read",
            pages,
            &mut memory,
            |at| at,
            |page| {
                std::hint::black_box(page[0]);
            },
        );
        measure(name, "in order, written", pages, &mut memory, |at| at, |page| page[8] ^= 1);
        Ok(())
    }

    fn measure(
        name: &str,
        what: &str,
        pages: usize,
        memory: &mut Memory,
        place: impl Fn(usize) -> usize,
        touch: impl Fn(&mut [u8]),
    ) {
        let (mut times, mut clock) = (Vec::new(), Vec::with_capacity(pages));
        let switches = switches();
        let mut last = processor_time();
        for at in 0..pages {
            let start = place(at) * PAGE;
            let before = std::time::Instant::now();
            touch(&mut memory[start..start + PAGE]);
            clock.push(before.elapsed().as_nanos());
            if at % PIECE == PIECE - 1 {
                let now = processor_time();
                times.push((now - last) / PIECE as f64);
                last = now;
            }
        }
        times.sort_unstable_by(f64::total_cmp);
        let switches = (self::switches() - switches) as f64 / pages as f64;
        let (median, p90) = (times[times.len() / 2], times[times.len() * 9 / 10]);
        // Most touches in order find their page, so that the mean says more of those; by chance few do.
        clock.sort_unstable();
        let clock = clock[clock.len() / 2] as f64 / 1e3;
        println!("{:40} {median:9.2} {p90:9.2} {clock:9.2} {switches:12.3}", format!("{name}, {what}"));
    }

    /// Microseconds that this process has run.
    fn processor_time() -> f64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    }

    /// Context switches of all threads that there are.
    fn switches() -> u64 {
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let status = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
        let count = |line: &str| line.split_whitespace().next_back()?.parse::<u64>().ok();
        let lines = |status: String| -> u64 {
            status.lines().filter(|line| line.contains("ctxt_switches")).filter_map(count).sum()
        };
        status.map(lines).sum()
    }
}
