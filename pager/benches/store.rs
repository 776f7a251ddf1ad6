//! Pages a second of the swap store, on a disk in memory and on a file, written in calls of 64 pages and of one, and read in random order.
//!
//! `cargo bench -p mach-pager` measures; anything else only sees that it runs. The file is in the page cache of the system: what is measured is the
//! store and the system's calls, not a medium. `SWAP=FILE` names a swap file or a block device to use instead.

use std::env;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use mach_pager::store::file::{self, PAGE_SIZE};
use mach_pager::store::{Disk, DiskError, Store, SwapStore, superblock};
use mig_runtime::platform::Std;

/// Pages of one call.
const CALL: usize = 64;

fn main() {
    let measured = env::args().any(|argument| argument == "--bench");
    // Pages that are stored at a time: a power of two, and too many for the caches of a processor.
    let (pages, rounds) = if measured { (16_384, 20) } else { (128, 1) };
    let pages: Vec<Vec<u8>> = (0..pages).map(page).collect();
    let size = (pages.len() + 2) * PAGE_SIZE;
    println!(
        "{:<10}{:>16}{:>16}{:>16}   (median of {rounds}, in pages a second)",
        "", "write by 64", "write by 1", "read"
    );

    let memory = MemoryDisk(Mutex::new(vec![0; size]));
    superblock::format(&memory, PAGE_SIZE, *b"only for a bench").expect("memory can be formatted");
    measure("memory", &SwapStore::<_, Std>::open(memory).expect("it was formatted"), &pages, rounds);

    if let Some(path) = env::var_os("SWAP") {
        let store = file::open::<Std>(Path::new(&path)).unwrap_or_else(|error| panic!("{error}"));
        return measure("SWAP", &store, &pages, rounds);
    }
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("swap");
    file::format(&path, Some(size as u64), false).unwrap_or_else(|error| panic!("{error}"));
    measure("file", &file::open::<Std>(&path).unwrap_or_else(|error| panic!("{error}")), &pages, rounds);
}

/// Prints a line.
fn measure<S: Store>(name: &str, store: &S, pages: &[Vec<u8>], rounds: usize) {
    let slices: Vec<&[u8]> = pages.iter().map(|page| &page[..]).collect();
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..rounds {
        for (call, times) in [CALL, 1].into_iter().zip(&mut times) {
            let mut stored = Vec::with_capacity(pages.len());
            times.push(timed(|| write(store, &slices, call, &mut stored)));
            stored.into_iter().for_each(|stored| store.free(stored));
        }
        let mut stored = Vec::with_capacity(pages.len());
        write(store, &slices, CALL, &mut stored);
        times[2].push(timed(|| read(store, &stored)));
        stored.into_iter().for_each(|stored| store.free(stored));
    }
    print!("{name:<10}");
    for mut times in times {
        times.sort();
        print!("{:>16.0}", pages.len() as f64 / times[rounds / 2].as_secs_f64());
    }
    println!();
}

fn write<S: Store>(store: &S, pages: &[&[u8]], call: usize, stored: &mut Vec<S::Place>) {
    for pages in pages.chunks(call) {
        store.write(pages, &mut |_, result| stored.push(result.expect("there is room")));
    }
}

/// Reads every page once.
fn read<S: Store>(store: &S, stored: &[S::Place]) {
    let mut page = vec![0; PAGE_SIZE];
    for at in 0..stored.len() {
        // An odd factor visits all places of a power of two.
        let place = at * 7_919 % stored.len();
        store.read(&stored[place], &mut page).expect("it was written");
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A page that is like no other.
fn page(seed: usize) -> Vec<u8> {
    (0..PAGE_SIZE / 8).flat_map(|word| (seed << 16 | word).to_le_bytes()).collect()
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
