//! Memory whose pages are on a disk that fails, in each way in which disks do: what is lost are the pages
//! that the disk has lost, access to them is an error, and no page ever holds what was not written there.
#![cfg(target_os = "linux")]

mod common;

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use common::{PAGE, in_place, stamp, vm};
use mach_pager::store::{Disk, DiskError, SwapStore};
use mach_pager::{Config, Service};
use mach_vm::{AccessError, Faults, Limits, Vm};
use mig_runtime::kernel::local::Host;
use mig_runtime::platform::Std;

/// Pages of the memory, and of those how many may be resident. The disk has room for all.
const PAGES: usize = 200;
const RESIDENT: usize = 20;
const DISK: usize = 256 * PAGE;
const RECORD: usize = 512;

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Each 9th read fails, and goes well the next time.
    ReadOnce,
    /// What has been written in some places cannot be read, ever.
    ReadAlways,
    WriteOnce,
    WriteAlways,
    /// There is no more room after half of the bytes.
    Full,
    /// A transfer ends after its first record.
    Short,
    /// Each second transfer does nothing at first.
    Stalls,
    /// Twice nothing is done in some places.
    Stuck,
    /// Some writes are done in part, and reported as done.
    Torn,
    /// A bit of what is read is another one, once.
    Flipped,
    /// A bit of what is there is another one.
    Rotten,
    /// Some writes go to another place.
    Misdirected,
    /// Some are not done at all.
    Forgotten,
    /// All takes long, and some longer than what comes after it.
    Slow,
    /// After half of the bytes nothing can be read or written any more.
    Vanishes,
    /// It has half of the bytes that it says.
    Smaller,
}

/// Those of which no page is lost. The disk has room for what is written elsewhere.
const HARMLESS: [Fault; 8] = [
    Fault::ReadOnce,
    Fault::WriteOnce,
    Fault::WriteAlways,
    Fault::Short,
    Fault::Stalls,
    Fault::Stuck,
    Fault::Flipped,
    Fault::Slow,
];

const ALL: [Fault; 16] = [
    Fault::ReadOnce,
    Fault::ReadAlways,
    Fault::WriteOnce,
    Fault::WriteAlways,
    Fault::Full,
    Fault::Short,
    Fault::Stalls,
    Fault::Stuck,
    Fault::Torn,
    Fault::Flipped,
    Fault::Rotten,
    Fault::Misdirected,
    Fault::Forgotten,
    Fault::Slow,
    Fault::Vanishes,
    Fault::Smaller,
];

struct Failing {
    fault: Fault,
    state: Mutex<State>,
}

struct State {
    bytes: Vec<u8>,
    reads: usize,
    writes: usize,
    written: usize,
}

impl Failing {
    fn new(fault: Fault) -> Self {
        let state = State { bytes: vec![0; DISK], reads: 0, writes: 0, written: 0 };
        Self { fault, state: Mutex::new(state) }
    }

    /// True for some places, the same ones each time.
    fn is_bad(offset: u64, len: usize) -> bool {
        let first = offset as usize / PAGE;
        (first..(offset as usize + len).div_ceil(PAGE)).any(|page| page % 13 == 5)
    }

    /// How much of a transfer is done.
    fn admit(&self, state: &State, count: usize, offset: u64, len: usize) -> Result<usize, DiskError> {
        match self.fault {
            Fault::Short => Ok(RECORD),
            Fault::Stalls if count % 2 == 0 => Ok(0),
            Fault::Stuck if Self::is_bad(offset, len) => Ok(0),
            Fault::Vanishes if state.written > DISK / 4 => Err(DiskError::Io),
            Fault::Smaller if offset as usize + len > DISK / 4 => Ok(0),
            _ => Ok(len),
        }
    }
}

impl Disk for Failing {
    fn size(&self) -> u64 {
        DISK as u64
    }

    fn record_size(&self) -> usize {
        RECORD
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let mut state = self.state.lock().unwrap();
        state.reads += 1;
        let count = state.reads;
        match self.fault {
            Fault::ReadOnce if count % 9 == 0 => return Err(DiskError::Io),
            Fault::ReadAlways if Self::is_bad(offset, buffer.len()) => return Err(DiskError::Io),
            _ => {}
        }
        let done = self.admit(&state, count, offset, buffer.len())?;
        buffer[..done].copy_from_slice(&state.bytes[offset as usize..][..done]);
        if self.fault == Fault::Flipped && count % 9 == 0 {
            buffer[done / 2] ^= 4;
        }
        drop(state);
        if self.fault == Fault::Slow {
            thread::sleep(Duration::from_micros(200 * (count % 5) as u64));
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let data = pieces.concat();
        let mut state = self.state.lock().unwrap();
        state.writes += 1;
        let count = state.writes;
        match self.fault {
            Fault::WriteOnce if count % 5 == 0 => return Err(DiskError::Io),
            Fault::WriteAlways if Self::is_bad(offset, data.len()) => return Err(DiskError::Io),
            Fault::Full if state.written > DISK / 4 => return Err(DiskError::Full),
            _ => {}
        }
        let done = self.admit(&state, count, offset, data.len())?;
        let (at, kept) = match self.fault {
            Fault::Torn if count % 5 == 0 => (offset as usize, done - RECORD),
            Fault::Misdirected if count % 5 == 0 => ((offset as usize + 40 * PAGE) % (DISK - done), done),
            Fault::Forgotten if count % 5 == 0 => (0, 0),
            _ => (offset as usize, done),
        };
        state.bytes[at..at + kept].copy_from_slice(&data[..kept]);
        if self.fault == Fault::Rotten && count % 5 == 0 {
            state.bytes[at + kept / 2] ^= 4;
        }
        state.written += done;
        drop(state);
        if self.fault == Fault::Slow {
            thread::sleep(Duration::from_micros(500 * (count % 4) as u64));
        }
        Ok(done)
    }

    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }
}

/// Runs `test` with memory on such a disk, where pages are touched, and where they are read and written by
/// calls.
fn on_disk(fault: Fault, test: impl Fn(&Vm)) {
    for (faults, config) in [(Faults::Calls, Config::default()), (Faults::Thread, in_place())] {
        let host = Host::new();
        let pager = host.new_task("pager");
        let before = pager.census();
        let limits = Limits { resident: RESIDENT * PAGE, faults, ..Limits::default() };
        let Some(vm) = vm(&host, limits) else { continue };
        let store: SwapStore<Failing, Std> = SwapStore::raw(Failing::new(fault), PAGE).unwrap();
        let config = Config { hand_backs: 2, buffers: 40, ..config };
        let service = Service::<_, Std, _>::start(&pager, store, config).unwrap();
        vm.set_default_manager(service.right().unwrap()).unwrap();
        test(&vm);
        let statistics = vm.statistics();
        assert_eq!(statistics.resident, 0, "{fault:?}: all memory has been given back");
        assert!(statistics.peak_resident <= RESIDENT * PAGE, "{fault:?}: {statistics:?}");
        drop(vm);
        service.stop().unwrap();
        assert_eq!(pager.census(), before, "{fault:?}");
    }
}

fn page(number: usize, version: usize) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    stamp(&mut page, (version * 10_000 + number) as u64);
    page
}

#[test]
fn a_fault_of_the_disk_costs_the_pages_that_it_meets_and_no_others() {
    for fault in ALL {
        on_disk(fault, |vm| {
            let memory = vm.open(PAGES * PAGE).unwrap();
            let other = vm.open(4 * PAGE).unwrap();
            let mut is_lost = [false; PAGES];
            for version in 0..2 {
                for (number, is_lost) in is_lost.iter_mut().enumerate() {
                    let written = memory.write_at(number * PAGE, &page(number, version));
                    *is_lost |= written.is_err();
                }
                let mut bytes = vec![0; PAGE];
                for (number, is_lost) in is_lost.iter_mut().enumerate() {
                    match memory.read_at(number * PAGE, &mut bytes) {
                        Ok(()) => {
                            assert!(!*is_lost, "{fault:?}: page {number} is here again");
                            assert!(
                                bytes == page(number, version),
                                "{fault:?}: page {number} is another one"
                            );
                        }
                        Err(error) => {
                            assert_eq!(error, AccessError::Lost(number * PAGE), "{fault:?}");
                            *is_lost = true;
                        }
                    }
                }
            }
            let lost = is_lost.iter().filter(|lost| **lost).count();
            assert_eq!(lost == 0, HARMLESS.contains(&fault), "{fault:?}: {lost} pages are lost");
            // What was not on the disk is right, whatever that does.
            assert!(lost <= PAGES - RESIDENT / 2, "{fault:?}: {lost} pages are lost");
            drop(memory);
            // And what is new is as any other memory.
            other.write_at(0, &page(7, 0)).unwrap();
            let mut bytes = vec![0; PAGE];
            other.read_at(0, &mut bytes).unwrap();
            assert!(bytes == page(7, 0));
        });
    }
}
