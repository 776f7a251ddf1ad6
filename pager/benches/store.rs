//! Pages a second of processor time of the swap store, on a disk in memory and on a file, at several degrees
//! of fullness; and a map of a terabyte.
//!
//! `cargo bench -p mach-pager` measures; anything else only sees that it runs. The file is in the page cache
//! of the system: what is measured is the store and the system's calls, not a medium. Beside it stand the
//! bytes of the same pages written by `pwritev` alone, one after the other, which is the most that a store on
//! this file could do. `SWAP=FILE` names a swap file or a block device to use instead.

use std::env;
use std::fs::OpenOptions;
use std::io::IoSlice;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mach_pager::object::{Node, Nodes, Pages, Record, Records};
use mach_pager::store::file::{self, PAGE_SIZE};
use mach_pager::store::{Disk, DiskError, Slot, Store, Stored, SwapStore, superblock};
use mig_runtime::platform::Std;
use rustix::time::{ClockId, clock_gettime};

/// Pages of one call.
const CALL: usize = 64;

/// How much of the store is taken, in percent, its free slots anywhere.
const FULL: [usize; 4] = [0, 50, 90, 99];

fn main() {
    let measured = env::args().any(|argument| argument == "--bench");
    // Slots of the store: a power of two, and too many for the caches of a processor.
    let (slots, rounds) = if measured { (65_536, 9) } else { (1024, 1) };
    let size = (slots + 2) * PAGE_SIZE;

    println!(
        "pages a second of processor time, the median of {rounds}; in brackets how many pages a write of the device has"
    );
    let memory = MemoryDisk(Mutex::new(vec![0; size]));
    superblock::format(&memory, PAGE_SIZE, *b"only for a bench").expect("memory can be formatted");
    let store = SwapStore::<_, Std>::open(memory).expect("it was formatted");
    Bench { name: "memory", store: &store, rounds }.run();

    if let Some(path) = env::var_os("SWAP") {
        let store = file::open::<Std>(Path::new(&path)).unwrap_or_else(|error| panic!("{error}"));
        Bench { name: "SWAP", store: &store, rounds }.run();
        return;
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("swap");
    file::format(&path, Some(size as u64), false).unwrap_or_else(|error| panic!("{error}"));
    let store = file::open::<Std>(&path).unwrap_or_else(|error| panic!("{error}"));
    let by_store = Bench { name: "file", store: &store, rounds }.run();
    drop(store);
    let by_system = system(&path, slots, rounds);
    println!("{:<8} by {CALL:>2}   {by_system:>9.0}", "pwritev");
    println!("the store on the file does {:.0} % of that when it is empty", 100.0 * by_store / by_system);

    terabyte(if measured { 1 << 24 } else { 1 << 12 });
}

/// A store to be measured.
struct Bench<'a, D: Disk> {
    name: &'a str,
    store: &'a SwapStore<D, Std>,
    rounds: usize,
}

impl<D: Disk> Bench<'_, D> {
    /// Prints a line for each degree of fullness. Returns the pages a second of an empty store, in calls for
    /// many.
    fn run(&self) -> f64 {
        let total = self.store.space().free as usize;
        let pages: Vec<Vec<u8>> = (0..at_a_time(total)).map(page).collect();
        let all: Vec<&[u8]> = pages.iter().map(|page| &page[..]).collect();
        // All of the device once, so that no round is the first one to touch a part of it.
        self.fill(100, &all).into_iter().for_each(|slot| self.store.free(slot));
        let mut best = 0.0;
        for full in FULL {
            let held = self.fill(full, &all);
            // As many as there is room for.
            let slices = &all[..all.len().min(total * (100 - full) / 100)];
            let [many, one] = [CALL, 1].map(|call| self.written(slices, call));
            let read = self.read(slices);
            println!(
                "{:<8} {full:>2} % full   by {CALL} {:>9.0} ({:>4.1})   by 1 {:>9.0}   read {read:>9.0}",
                self.name, many.0, many.1, one.0
            );
            held.into_iter().for_each(|slot| self.store.free(slot));
            best = if full == 0 { many.0 } else { best };
        }
        let (rate, pages) = self.replaced(&all);
        println!(
            "{:<8} 50 % full, pages replaced by chance   by {CALL} {rate:>9.0} ({pages:>4.1})",
            self.name
        );
        best
    }

    /// Pages a second, and pages a write, where half of the store is full and stays so: calls of pages
    /// replace others, any of them, until all have been replaced several times.
    fn replaced(&self, pages: &[&[u8]]) -> (f64, f64) {
        let mut held = self.fill(50, pages);
        let calls = held.len() / CALL;
        let (mut random, mut before, mut time) = (1, self.store.counters(), Duration::ZERO);
        for round in 0..8 {
            if round == 4 {
                (before, time) = (self.store.counters(), Duration::ZERO);
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
                time += timed(|| {
                    assert!(self.write(&pages[from..from + CALL], CALL, &mut held), "there is room")
                });
            }
        }
        let after = self.store.counters();
        let pages = after.pages_written - before.pages_written;
        held.into_iter().for_each(|slot| self.store.free(slot));
        (pages as f64 / time.as_secs_f64(), pages as f64 / (after.runs_written - before.runs_written) as f64)
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

    /// Pages a second, and pages a write.
    fn written(&self, pages: &[&[u8]], call: usize) -> (f64, f64) {
        let before = self.store.counters();
        let rate = median(self.rounds, pages.len(), || {
            let mut stored = Vec::with_capacity(pages.len());
            let time = timed(|| assert!(self.write(pages, call, &mut stored), "there is room"));
            stored.into_iter().for_each(|slot| self.store.free(slot));
            time
        });
        let after = self.store.counters();
        let (pages, runs) =
            (after.pages_written - before.pages_written, after.runs_written - before.runs_written);
        (rate, pages as f64 / runs as f64)
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
            timed(|| {
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

/// Pages a second that the system writes to a file.
fn system(path: &Path, slots: usize, rounds: usize) -> f64 {
    let file = OpenOptions::new().write(true).open(path).expect("it was made");
    let pages: Vec<Vec<u8>> = (0..at_a_time(slots)).map(page).collect();
    // Through all of the file, as the store goes.
    let mut slot = 0;
    median(rounds, pages.len(), || {
        timed(|| {
            for pages in pages.chunks(CALL) {
                let slices: Vec<IoSlice<'_>> = pages.iter().map(|page| IoSlice::new(page)).collect();
                let offset = ((1 + slot) * PAGE_SIZE) as u64;
                let written = rustix::io::pwritev(&file, &slices, offset).expect("it has its space");
                assert_eq!(written, CALL * PAGE_SIZE);
                slot = (slot + CALL) % (slots / CALL * CALL);
            }
        })
    })
}

/// An object of a terabyte on a device of a terabyte: this many of its pages are stored, in pieces all over
/// it.
fn terabyte(pages: u64) {
    const TERABYTE: u64 = 1 << 40;
    const PIECE: u64 = 4096;
    let mut store = None;
    let opened = timed(|| store = SwapStore::<_, Std>::raw(Nowhere(TERABYTE), PAGE_SIZE).ok());
    let store = store.expect("there is memory for a bit for each of its slots");
    let content: Vec<Vec<u8>> = (0..CALL).map(page).collect();
    let slices: Vec<&[u8]> = content.iter().map(|page| &page[..]).collect();
    let mut map = Pages::<Stored<Slot>, ()>::new(4, Arc::new(Heap));
    let pieces = pages / PIECE;
    let step = TERABYTE / PAGE_SIZE as u64 / pieces;
    let mut next = (0..pieces).flat_map(|piece| piece * step..piece * step + PIECE);
    let stored = timed(|| {
        for _ in 0..pages / CALL as u64 {
            store.write(&slices, &mut |_, result| {
                let page = next.next().expect("there are as many");
                assert!(map.store(page, Stored::In(result.expect("there is room"))).is_ok());
            });
        }
    });
    let mut out = 0;
    let looked_up = timed(|| {
        for at in 0..pages {
            let at = at * 7_919 % pages;
            out += u64::from(map.is_out(at / PIECE * step + at % PIECE));
        }
    });
    assert_eq!(out, pages);
    let forgotten = timed(|| {
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

/// The processor time that some work takes, which others on the machine do not change. Nothing here waits for
/// a medium.
fn timed(work: impl FnOnce()) -> Duration {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let start = now();
    work();
    now() - start
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
