//! The same accesses on memory of one kind or another, for `cargo xtask bench paging`, which compares them.
//!
//! `paging KIND FOLDER PAGES RESIDENT SECONDS`: memory of this many pages, of which `RESIDENT` may be here.
//! For the kinds that are the system's, whoever starts this has set that limit. Each row on the standard
//! output has, with tabs between them: the pattern, the number of threads, the pages touched, the seconds,
//! the touches that took longer than a microsecond, the nanoseconds that half, 99 % and 99.9 % of those took
//! at most, the bytes written, and the seconds of processor time.
//!
//! A page is half by chance and half zeros, and says its number and how many times it was written, which is
//! checked at each touch and summed up in the end.

#[cfg(target_os = "linux")]
fn main() {
    if let Err(why) = linux::main() {
        eprintln!("error: {why}");
        std::process::exit(1);
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::any::Any;
    use std::env;
    use std::error::Error;
    use std::fs;
    use std::path::Path;
    use std::rc::Rc;
    use std::slice;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;
    use std::thread;
    use std::time::{Duration, Instant};

    use mach_pager::store::{Compressed, MemoryStore, Store, file};
    use mach_pager::{Config, Service, Supplies};
    use mach_vm::{Faults, Limits, Vm};
    use mig_runtime::kernel::local::Host;
    use mig_runtime::platform::Std;
    use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};
    use rustix::time::{ClockId, clock_gettime};

    const PAGE: usize = 4096;
    const WORDS: usize = PAGE / 8;
    const THREADS: [usize; 2] = [1, 8];
    /// A touch that takes longer had to wait for its page.
    const FAULT: u64 = 1000;
    /// How many times pages were touched in some order, so that no two have the same chances.
    static TIMES: AtomicU64 = AtomicU64::new(0);
    /// What is larger is as large as this: 18 minutes.
    const BUCKETS: usize = 16 * 40;

    pub(super) fn main() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<_> = env::args().skip(1).collect();
        let [kind, folder, pages, resident, seconds] = &arguments[..] else {
            return Err("paging KIND FOLDER PAGES RESIDENT SECONDS".into());
        };
        let (pages, resident) = (pages.parse()?, resident.parse::<usize>()? * PAGE);
        let memory = Memory::new(kind, Path::new(folder), pages, resident)?;
        let most = Duration::from_secs_f64(seconds.parse()?);
        Bench { words: memory.words, pages, most }.run(&memory.written);
        Ok(())
    }

    /// Says how many bytes have been written.
    type Written = Box<dyn Fn() -> u64>;

    struct Memory {
        words: &'static [AtomicU64],
        written: Written,
        _keep: Box<dyn Any>,
    }

    impl Memory {
        fn new(kind: &str, folder: &Path, pages: usize, resident: usize) -> Result<Self, Box<dyn Error>> {
            let room = 2 * pages as u32;
            let swap = folder.join("pages");
            let disk = || -> Result<_, file::FileError> {
                file::format(&swap, Some(u64::from(room) * PAGE as u64), false)?;
                file::Options { direct: true, ring: true, ..file::Options::default() }.open::<Std>(&swap)
            };
            let memory = || MemoryStore::<Std>::new(PAGE, room);
            match kind {
                "disk" => Self::on_disk(disk()?, Faults::Thread, pages, resident),
                "disk-signal" => Self::on_disk(disk()?, Faults::Signal, pages, resident),
                "memory" => Self::ours(memory(), Faults::Thread, pages, resident),
                "memory-signal" => Self::ours(memory(), Faults::Signal, pages, resident),
                "compressed" => {
                    Self::ours(Compressed::<_, Std>::new(memory()), Faults::Thread, pages, resident)
                }
                "system" => Ok(Self::mapped(None, pages, Box::new(swapped_out))?),
                "mapped" => {
                    let options = &mut fs::OpenOptions::new();
                    let file = options.read(true).write(true).create(true).truncate(true).open(swap)?;
                    file.set_len((pages * PAGE) as u64)?;
                    Ok(Self::mapped(Some(&file), pages, Box::new(process_wrote))?)
                }
                _ => Err(format!("{kind}: there is no such memory").into()),
            }
        }

        /// What is written is counted by the system, since the store may write pages again that it has.
        fn on_disk(
            store: impl Store,
            faults: Faults,
            pages: usize,
            resident: usize,
        ) -> Result<Self, Box<dyn Error>> {
            Ok(Self { written: Box::new(process_wrote), ..Self::ours(store, faults, pages, resident)? })
        }

        fn ours(
            store: impl Store,
            faults: Faults,
            pages: usize,
            resident: usize,
        ) -> Result<Self, Box<dyn Error>> {
            let host = Host::new();
            let patience = Duration::from_secs(60);
            let vm = Vm::new(&host, Limits { resident, faults, patience, ..Limits::default() })?;
            // As in `mach-pager run`.
            let config = Config {
                buffers: 512,
                held_pages: 1 << 14,
                supplies: Supplies::InPlace,
                inline: true,
                ..Config::default()
            };
            let service = Service::<_, Std, _>::start(&host.new_task("pager"), store, config)?;
            vm.set_default_manager(service.right()?)?;
            let mut memory = vm.allocate(pages * PAGE)?;
            let start = memory.as_mut_ptr();
            let service = Rc::new(service);
            let pager = service.clone();
            let written: Written = Box::new(move || pager.pager().statistics().returned * PAGE as u64);
            // SAFETY: it is kept for as long as this program runs.
            let words = unsafe { slice::from_raw_parts(start.cast(), pages * WORDS) };
            Ok(Self { words, written, _keep: Box::new((memory, service, vm)) })
        }

        /// The system's own, anonymous or of a file.
        fn mapped(file: Option<&fs::File>, pages: usize, written: Written) -> rustix::io::Result<Self> {
            let (len, access) = (pages * PAGE, ProtFlags::READ | ProtFlags::WRITE);
            let anywhere = std::ptr::null_mut();
            let start = match file {
                // SAFETY: a new mapping at an address of the system's choice.
                Some(file) => unsafe { mmap(anywhere, len, access, MapFlags::SHARED, file, 0) },
                // SAFETY: the same.
                None => unsafe { mmap_anonymous(anywhere, len, access, MapFlags::PRIVATE) },
            }?;
            // SAFETY: it stays mapped for as long as this program runs.
            let words = unsafe { slice::from_raw_parts(start.cast_const().cast(), pages * WORDS) };
            Ok(Self { words, written, _keep: Box::new(()) })
        }
    }

    /// Bytes that the system has written to swap space.
    fn swapped_out() -> u64 {
        figure("/proc/vmstat", "pswpout ") * PAGE as u64
    }

    /// Bytes that this process had written to files.
    fn process_wrote() -> u64 {
        figure("/proc/self/io", "write_bytes: ")
    }

    fn figure(path: &str, name: &str) -> u64 {
        let text = fs::read_to_string(path).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    }

    struct Bench {
        words: &'static [AtomicU64],
        pages: usize,
        /// How long a pattern may take.
        most: Duration,
    }

    #[derive(Clone, Copy)]
    enum Order {
        Chance,
        Sequence,
    }

    /// What a touch does; the second one of a page is of the word that counts how often it was written.
    #[derive(Clone, Copy)]
    enum Touch {
        Fill,
        Read,
        Write,
        ReadWrite,
    }

    impl Bench {
        fn run(&self, written: &Written) {
            use {Order::*, Touch::*};
            let long = Duration::from_secs(600);
            self.measure(written, "fill", Sequence, Fill, 1, long);
            let mut writes = 0;
            for threads in THREADS {
                self.measure(written, "read", Chance, Read, threads, self.most);
                writes += self.measure(written, "write", Chance, Write, threads, self.most);
                writes += self.measure(written, "read and write", Chance, ReadWrite, threads, self.most);
                writes += self.measure(written, "write in order", Sequence, Write, threads, self.most);
                self.measure(written, "read in order", Sequence, Read, threads, self.most);
            }
            let sum =
                |words: &[AtomicU64]| words.chunks(WORDS).map(|page| page[1].load(Relaxed)).sum::<u64>();
            let counted: u64 = thread::scope(|scope| {
                let shares = self.words.chunks(self.words.len().div_ceil(8 * WORDS) * WORDS);
                let sums: Vec<_> = shares.map(|share| scope.spawn(move || sum(share))).collect();
                sums.into_iter().map(|sum| sum.join().expect("a thread ends")).sum()
            });
            assert_eq!(counted, writes, "writes have been lost");
            println!("checked");
        }

        /// Prints a row, and returns how many pages were touched.
        fn measure(
            &self,
            written: &Written,
            name: &str,
            order: Order,
            touch: Touch,
            threads: usize,
            most: Duration,
        ) -> u64 {
            TIMES.fetch_add(1, Relaxed);
            let barrier = Barrier::new(threads + 1);
            let (written_before, processor) = (written(), processor_time());
            let (start, parts) = thread::scope(|scope| {
                let parts: Vec<_> = (0..threads)
                    .map(|thread| {
                        let barrier = &barrier;
                        scope.spawn(move || self.part(order, touch, thread, threads, most, barrier))
                    })
                    .collect();
                barrier.wait();
                let start = Instant::now();
                let parts: Vec<_> =
                    parts.into_iter().map(|part| part.join().expect("a page is right")).collect();
                (start, parts)
            });
            let seconds = start.elapsed().as_secs_f64();
            let mut times = Times::default();
            parts.iter().for_each(|part| times.add(part));
            println!(
                "{name}\t{threads}\t{}\t{seconds:.4}\t{}\t{}\t{}\t{}\t{}\t{:.4}",
                times.touches,
                times.faults,
                times.within(0.5),
                times.within(0.99),
                times.within(0.999),
                written() - written_before,
                processor_time() - processor,
            );
            times.touches
        }

        /// What one of the threads does.
        fn part(
            &self,
            order: Order,
            touch: Touch,
            thread: usize,
            threads: usize,
            most: Duration,
            barrier: &Barrier,
        ) -> Times {
            let mut times = Times::default();
            let share = self.pages / threads;
            let mut random = (TIMES.load(Relaxed) + 1) << 32 | (thread as u64 + 1) << 8;
            for _ in 0..32 {
                next(&mut random);
            }
            barrier.wait();
            let end = Instant::now() + most;
            let mut before = Instant::now();
            for at in 0.. {
                let page = match order {
                    Order::Sequence if at == share => break,
                    Order::Sequence => thread * share + at,
                    Order::Chance => next(&mut random) as usize % self.pages,
                };
                self.touch(page, touch);
                let now = Instant::now();
                times.note((now - before).as_nanos() as u64);
                if now >= end {
                    break;
                }
                before = now;
            }
            times
        }

        fn touch(&self, page: usize, touch: Touch) {
            let words = &self.words[page * WORDS..][..WORDS];
            if let Touch::Fill = touch {
                let mut random = page as u64 + 1;
                // The first two words are the page's number, and how often it was written.
                words[2..WORDS / 2].iter().for_each(|word| word.store(next(&mut random), Relaxed));
                return words[0].store(number(page), Relaxed);
            }
            if let Touch::Read | Touch::ReadWrite = touch {
                assert_eq!(words[0].load(Relaxed), number(page), "page {page}");
            }
            if let Touch::Write | Touch::ReadWrite = touch {
                words[1].fetch_add(1, Relaxed);
            }
        }
    }

    /// What says which page it is.
    fn number(page: usize) -> u64 {
        !(page as u64)
    }

    fn next(random: &mut u64) -> u64 {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random
    }

    /// Seconds that all threads of this process have run.
    fn processor_time() -> f64 {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    }

    /// How long touches took, in little memory.
    struct Times {
        touches: u64,
        faults: u64,
        /// Sixteen for each power of two.
        buckets: [u32; BUCKETS],
    }

    impl Default for Times {
        fn default() -> Self {
            Self { touches: 0, faults: 0, buckets: [0; BUCKETS] }
        }
    }

    impl Times {
        fn note(&mut self, nanos: u64) {
            self.touches += 1;
            if nanos > FAULT {
                self.faults += 1;
                let power = nanos.ilog2();
                let bucket = 16 * power as usize + (nanos >> (power - 4)) as usize % 16;
                self.buckets[bucket.min(BUCKETS - 1)] += 1;
            }
        }

        fn add(&mut self, other: &Self) {
            self.touches += other.touches;
            self.faults += other.faults;
            self.buckets.iter_mut().zip(&other.buckets).for_each(|(own, other)| *own += other);
        }

        /// This share of the faults took no longer, in nanoseconds, by a sixteenth too much at most.
        fn within(&self, share: f64) -> u64 {
            let mut left = (self.faults as f64 * share).ceil() as u64;
            let position = self.buckets.iter().position(|count| {
                left = left.saturating_sub(u64::from(*count));
                left == 0
            });
            let bucket = position.unwrap_or(0) as u64;
            if self.faults == 0 { 0 } else { (17 + bucket % 16) << (bucket / 16 - 4) }
        }
    }
}
