//! Pages a second of the swap store, at several degrees of fullness; and a map of a terabyte.
//!
//! `cargo bench -p mach-pager` measures; anything else only sees that it runs. On a disk in memory and on a
//! file in the page cache it is processor time: what is measured is the store and the system's calls, not a
//! medium. On the same file past the page cache it is the time by the clock, with segments written as a whole
//! and without. Beside each figure stands how fast the same bytes go to the same places by the device's calls
//! alone, which is the most that a store could do. `SWAP=FILE` names a swap file or a block device to use
//! instead.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mach_pager::object::{Node, Nodes, Pages, Record, Records};
use mach_pager::store::file::{self, FileDisk, PAGE_SIZE};
use mach_pager::store::{Counters, Disk, DiskError, Slot, Store, Stored, SwapStore, superblock};
use mig_runtime::platform::Std;
use rustix::time::{ClockId, clock_gettime};

/// Pages of one call.
const CALL: usize = 64;

/// How much of the store is taken, in percent, its free slots anywhere.
const FULL: [usize; 4] = [0, 50, 90, 99];

fn main() {
    let measured = env::args().any(|argument| argument == "--bench");
    // Slots of the store: a power of two, and too many for the caches of a processor.
    let (slots, rounds) = if measured { (65_536, 9) } else { (8192, 1) };
    let size = (slots + 2) * PAGE_SIZE;

    println!(
        "pages a second, in {rounds} rounds; in brackets new pages a write, all pages written for a new one, the share of what the device does with the same writes, and of what it does with the same reads and writes and a checksum of each page"
    );
    let memory = MemoryDisk(Mutex::new(vec![0; size]));
    superblock::format(&memory, PAGE_SIZE, *b"only for a bench").expect("memory can be formatted");
    Bench::new("memory", memory, false, processor_time, rounds).run();

    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = env::var_os("SWAP").map_or_else(
        || {
            let path = folder.path().join("swap");
            file::format(&path, Some(size as u64), false).unwrap_or_else(|error| panic!("{error}"));
            path
        },
        PathBuf::from,
    );
    let open = || FileDisk::open(&path).unwrap_or_else(|error| panic!("{error}"));
    Bench::new("file", open(), false, processor_time, rounds).run();
    Bench::new("file, long", open(), true, processor_time, rounds).run();
    if open().direct().is_direct() {
        let rounds = rounds.div_ceil(3);
        Bench::new("direct", open().direct(), false, clock_time, rounds).run();
        Bench::new("direct, long", open().direct(), true, clock_time, rounds).run();
    } else {
        println!("the file system has no O_DIRECT");
    }
    terabyte(if measured { 1 << 24 } else { 1 << 12 });
}

/// A device that notes what is transferred, and where.
struct Recorded<D> {
    disk: D,
    prefers_long_writes: bool,
    transfers: Transfers,
}

/// Transfers of whole pages: an offset, how many pages, and whether they were read, in one number each. To
/// note one takes a few nanoseconds, so that nearly all that is measured is the store's own.
struct Transfers {
    all: Vec<AtomicU64>,
    count: AtomicUsize,
}

/// Bits of such a number, beside the offset of a page.
const READ: u64 = 1 << 11;
const PAGES: u64 = READ - 1;

impl Transfers {
    fn new() -> Self {
        // Not zeros, which would be memory that is not there before it is written to.
        Self { all: (0..1 << 20).map(|_| AtomicU64::new(1)).collect(), count: AtomicUsize::new(0) }
    }

    fn note(&self, transfer: u64) {
        let at = self.count.fetch_add(1, Relaxed);
        self.all[at % self.all.len()].store(transfer, Relaxed);
    }

    fn forget(&self) {
        self.count.store(0, Relaxed);
    }

    /// Offsets, how many pages, and whether they were read.
    fn noted(&self) -> impl Iterator<Item = (u64, usize, bool)> + '_ {
        let count = self.count.load(Relaxed);
        assert!(count <= self.all.len(), "there is room for all");
        self.all[..count].iter().map(|transfer| {
            let transfer = transfer.load(Relaxed);
            (transfer & !(READ | PAGES), (transfer & PAGES) as usize, transfer & READ != 0)
        })
    }
}

impl<D: Disk> Disk for Recorded<D> {
    fn size(&self) -> u64 {
        self.disk.size()
    }

    fn record_size(&self) -> usize {
        self.disk.record_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        self.transfers.note(offset | (buffer.len() / PAGE_SIZE) as u64 | READ);
        self.disk.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        self.transfers.note(offset | pieces.len() as u64);
        self.disk.write_at(offset, pieces)
    }

    fn prefers_long_writes(&self) -> bool {
        self.prefers_long_writes
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.disk.flush()
    }
}

/// A store to be measured, by a clock.
struct Bench<D: Disk> {
    name: &'static str,
    store: SwapStore<Recorded<D>, Std>,
    now: fn() -> Duration,
    rounds: usize,
}

/// What came out: pages a second, new pages a write, pages written for a new one, and the shares of what the
/// device does with the same writes, and of what it does with the same reads and writes and a checksum of
/// each page.
struct Figures([f64; 5]);

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([rate, pages, written, writes, all]) = self;
        let [writes, all] = [writes, all].map(|share| 100.0 * share);
        write!(f, "{rate:>9.0} ({pages:>4.1}; {written:.2}; {writes:>3.0} %, {all:>3.0} %)")
    }
}

impl<D: Disk> Bench<D> {
    fn new(
        name: &'static str,
        disk: D,
        prefers_long_writes: bool,
        now: fn() -> Duration,
        rounds: usize,
    ) -> Self {
        let store = SwapStore::open(Recorded { disk, prefers_long_writes, transfers: Transfers::new() });
        Self { name, store: store.unwrap_or_else(|error| panic!("{error}")), now, rounds }
    }

    /// Prints a line for each degree of fullness.
    fn run(&self) {
        let total = self.store.space().free as usize;
        let pages: Vec<Vec<u8>> = (0..at_a_time(total)).map(page).collect();
        let all: Vec<&[u8]> = pages.iter().map(|page| &page[..]).collect();
        // All of the device once, so that no round is the first one to touch a part of it.
        self.fill(100, &all).into_iter().for_each(|slot| self.store.free(slot));
        for full in FULL {
            let held = self.fill(full, &all);
            // As many as there is room for.
            let slices = &all[..all.len().min(total * (100 - full) / 100)];
            let [many, one] = [CALL, 1].map(|call| self.written(slices, call));
            let read = self.read(slices);
            println!("{:<12} {full:>2} % full   by {CALL} {many}   by 1 {one}   read {read:>9.0}", self.name);
            held.into_iter().for_each(|slot| self.store.free(slot));
        }
        println!("{:<12} 50 % full, pages replaced by chance   by {CALL} {}", self.name, self.replaced(&all));
    }

    fn timed(&self, work: impl FnOnce()) -> Duration {
        timed(self.now, work)
    }

    /// What the counters say has been written since, in this time, and what was noted of it.
    fn figures(&self, before: Counters, time: Duration, pages: &[&[u8]]) -> Figures {
        let after = self.store.counters();
        let new = (after.pages_written - before.pages_written) as f64;
        let again = (after.pages_rewritten - before.pages_rewritten) as f64;
        let runs = (after.runs_written - before.runs_written) as f64;
        let Recorded { disk, transfers, .. } = self.store.disk();
        let mut memory = vec![1; CALL * PAGE_SIZE];
        let mut sum = 0;
        let mut again_with = |reads: bool, checksums: bool| {
            let mut next = 0;
            self.timed(|| {
                for (offset, count, is_read) in transfers.noted() {
                    let len = count * PAGE_SIZE;
                    if is_read && reads {
                        assert_eq!(disk.read_at(offset, &mut memory[..len]), Ok(len));
                    }
                    if is_read {
                        continue;
                    }
                    // As those are, they are not in the caches of the processor.
                    next = if next + count > pages.len() { 0 } else { next };
                    let pages = &pages[next..next + count];
                    if checksums {
                        sum ^= pages.iter().fold(0, |sum, page| sum ^ crc32fast::hash(page));
                    }
                    assert_eq!(disk.write_at(offset, pages), Ok(len));
                    next += count;
                }
            })
        };
        let times = [time, again_with(false, false), again_with(true, true)];
        std::hint::black_box(sum);
        let [time, writes, all] = times.map(|time| time.as_secs_f64());
        Figures([new / time, new / runs, (new + again) / new, writes / time, all / time])
    }

    /// Where half of the store is full and stays so: calls of pages replace others, any of them, until all
    /// have been replaced several times.
    fn replaced(&self, pages: &[&[u8]]) -> Figures {
        let mut held = self.fill(50, pages);
        let calls = held.len() / CALL;
        let (mut random, mut before, mut time) = (1, self.store.counters(), Duration::ZERO);
        for round in 0..8 {
            if round == 4 {
                (before, time) = (self.store.counters(), Duration::ZERO);
                self.store.disk().transfers.forget();
            }
            for call in 0..calls {
                for _ in 0..CALL {
                    // The generator of Knuth's MMIX.
                    random = 6_364_136_223_846_793_005_u64
                        .wrapping_mul(random)
                        .wrapping_add(1_442_695_040_888_963_407);
                    self.store.free(held.swap_remove((random >> 33) as usize % held.len()));
                }
                let from = call * CALL % (pages.len() - CALL + 1);
                time += self.timed(|| {
                    assert!(self.write(&pages[from..from + CALL], CALL, &mut held), "there is room")
                });
            }
        }
        let figures = self.figures(before, time, pages);
        held.into_iter().for_each(|slot| self.store.free(slot));
        figures
    }

    fn written(&self, pages: &[&[u8]], call: usize) -> Figures {
        self.store.disk().transfers.forget();
        let before = self.store.counters();
        let mut time = Duration::ZERO;
        for _ in 0..self.rounds {
            let mut stored = Vec::with_capacity(pages.len());
            time += self.timed(|| assert!(self.write(pages, call, &mut stored), "there is room"));
            stored.into_iter().for_each(|slot| self.store.free(slot));
        }
        self.figures(before, time, pages)
    }

    /// Takes this many percent of the slots, any of them.
    fn fill(&self, percent: usize, pages: &[&[u8]]) -> Vec<Slot> {
        let total = self.store.space().free as usize;
        let mut all = Vec::with_capacity(total);
        while percent > 0 && self.write(pages, CALL, &mut all) {}
        // An odd factor visits all of a power of two, in an order that is as good as by chance.
        let mut kept = Vec::new();
        for (at, slot) in all.into_iter().enumerate() {
            if (at.wrapping_mul(2_654_435_761) >> 7) % 100 < percent {
                kept.push(slot);
            } else {
                self.store.free(slot);
            }
        }
        kept
    }

    /// False if the store has become full.
    fn write(&self, pages: &[&[u8]], call: usize, stored: &mut Vec<Slot>) -> bool {
        let before = stored.len();
        for pages in pages.chunks(call) {
            self.store.write(pages, &mut |_, result| stored.extend(result.ok()));
        }
        stored.len() - before == pages.len()
    }

    /// Reads every page once, in another order.
    fn read(&self, pages: &[&[u8]]) -> f64 {
        let mut stored = Vec::with_capacity(pages.len());
        assert!(self.write(pages, CALL, &mut stored), "there is room");
        let mut page = vec![0; PAGE_SIZE];
        let rate = median(self.rounds, pages.len(), || {
            self.timed(|| {
                for at in 0..stored.len() {
                    let slot = &stored[at * 7_919 % stored.len()];
                    self.store.read(slot, &mut page).expect("it was written");
                }
            })
        });
        stored.into_iter().for_each(|slot| self.store.free(slot));
        rate
    }
}

/// An object of a terabyte on a device of a terabyte: this many of its pages are stored, in pieces all over
/// it.
fn terabyte(pages: u64) {
    const TERABYTE: u64 = 1 << 40;
    const PIECE: u64 = 4096;
    let mut store = None;
    let opened =
        timed(processor_time, || store = SwapStore::<_, Std>::raw(Nowhere(TERABYTE), PAGE_SIZE).ok());
    let store = store.expect("there is memory for a bit for each of its slots");
    let content: Vec<Vec<u8>> = (0..CALL).map(page).collect();
    let slices: Vec<&[u8]> = content.iter().map(|page| &page[..]).collect();
    let mut map = Pages::<Stored<Slot>, ()>::new(4, Arc::new(Heap));
    let pieces = pages / PIECE;
    let step = TERABYTE / PAGE_SIZE as u64 / pieces;
    let mut next = (0..pieces).flat_map(|piece| piece * step..piece * step + PIECE);
    let stored = timed(processor_time, || {
        for _ in 0..pages / CALL as u64 {
            store.write(&slices, &mut |_, result| {
                let page = next.next().expect("there are as many");
                assert!(map.store(page, Stored::In(result.expect("there is room"))).is_ok());
            });
        }
    });
    let mut out = 0;
    let looked_up = timed(processor_time, || {
        for at in 0..pages {
            let at = at * 7_919 % pages;
            out += u64::from(map.is_out(at / PIECE * step + at % PIECE));
        }
    });
    assert_eq!(out, pages);
    let forgotten = timed(processor_time, || {
        map.into_places().for_each(|place| {
            if let Stored::In(slot) = place {
                store.free(slot);
            }
        })
    });
    let each = |time: Duration| time.as_nanos() as u64 / pages;
    println!(
        "a terabyte: opened in {} ms; a page is stored in {} ns, found in {} ns, forgotten in {} ns",
        opened.as_millis(),
        each(stored),
        each(looked_up),
        each(forgotten)
    );
}

/// How many pages are written in a round: too many for the caches of a processor.
fn at_a_time(slots: usize) -> usize {
    slots / 4 / CALL * CALL
}

fn median(rounds: usize, pages: usize, mut round: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<_> = (0..rounds).map(|_| round()).collect();
    times.sort();
    pages as f64 / times[rounds / 2].as_secs_f64()
}

fn timed(now: fn() -> Duration, work: impl FnOnce()) -> Duration {
    let start = now();
    work();
    now() - start
}

/// The processor time of this thread, which others on the machine do not change.
fn processor_time() -> Duration {
    time_of(ClockId::ThreadCPUTime)
}

fn clock_time() -> Duration {
    time_of(ClockId::Monotonic)
}

fn time_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A page that is like no other.
fn page(seed: usize) -> Vec<u8> {
    (0..PAGE_SIZE / 8).flat_map(|word| (seed << 16 | word).to_le_bytes()).collect()
}

/// As many nodes as there is memory for.
struct Heap;

impl<L> Nodes<L> for Heap {
    fn take(&self) -> Option<Box<Node<L>>> {
        Some(Box::new(Node::free(None)))
    }

    fn give(&self, node: Box<Node<L>>) {
        drop(node);
    }
}

/// The pages of this benchmark are stored at once.
impl<L, D> Records<L, D> for Heap {
    fn put(&self, _record: Record<L, D>) -> u32 {
        unreachable!("no page is on its way")
    }

    fn take(&self, _at: u32) -> Record<L, D> {
        unreachable!("no page is on its way")
    }
}

/// A device of this many bytes that keeps nothing.
struct Nowhere(u64);

impl Disk for Nowhere {
    fn size(&self) -> u64 {
        self.0
    }

    fn record_size(&self) -> usize {
        512
    }

    fn read_at(&self, _offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        Ok(buffer.len())
    }

    fn write_at(&self, _offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        Ok(pieces.iter().map(|piece| piece.len()).sum())
    }

    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }
}

struct MemoryDisk(Mutex<Vec<u8>>);

impl Disk for MemoryDisk {
    fn size(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    fn record_size(&self) -> usize {
        512
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let memory = self.0.lock().unwrap();
        let from =
            memory.get(offset as usize..).and_then(|rest| rest.get(..buffer.len())).ok_or(DiskError::Io)?;
        buffer.copy_from_slice(from);
        Ok(buffer.len())
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let mut memory = self.0.lock().unwrap();
        let mut at = offset as usize;
        for piece in pieces {
            memory.get_mut(at..at + piece.len()).ok_or(DiskError::Io)?.copy_from_slice(piece);
            at += piece.len();
        }
        Ok(at - offset as usize)
    }

    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }
}
