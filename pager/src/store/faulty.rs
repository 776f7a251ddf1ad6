//! A disk in memory that fails as it is told to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::vec;
use std::vec::Vec;

use super::disk::{Disk, DiskError};

pub(crate) const SECTOR: usize = 512;

/// A disk in memory with [`Faults`].
pub(crate) struct FaultyDisk {
    /// What [`Disk::size`] says.
    claimed: u64,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) bytes: Vec<u8>,
    pub(crate) faults: Faults,
    /// Calls of `write_at` and `read_at` that were made.
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    /// Ranges that are not needed any more: offsets and lengths.
    pub(crate) discarded: Vec<(u64, u64)>,
}

/// What goes wrong. Nothing by default.
#[derive(Default)]
pub(crate) struct Faults {
    /// Sectors that cannot be read or written, and how often yet.
    pub(crate) bad_reads: HashMap<u64, u32>,
    pub(crate) bad_writes: HashMap<u64, (u32, DiskError)>,
    /// A transfer that meets a bad sector fails as a whole, instead of ending before it.
    pub(crate) all_or_nothing: bool,
    /// Bytes transferred by a call, at most.
    pub(crate) most: Option<usize>,
    /// How many of the next calls transfer nothing.
    pub(crate) stalls: u32,
    /// What [`Disk::prefers_long_writes`] says.
    pub(crate) prefers_long_writes: bool,
    /// What [`Disk::at_once`] says beside 1.
    pub(crate) more_at_once: usize,
    /// What becomes of the next writes; all of them are reported as done.
    pub(crate) next_writes: VecDeque<Fate>,
}

/// What becomes of a write that is reported as done.
pub(crate) enum Fate {
    /// Nothing is written.
    Lost,
    /// It goes to another offset.
    Misdirected(u64),
    /// Only this many bytes of it are written.
    Torn(usize),
}

/// As a count of failures: always.
pub(crate) const STICKY: u32 = u32::MAX;

impl FaultyDisk {
    pub(crate) fn new(bytes: usize) -> Self {
        Self::claiming(bytes, bytes as u64)
    }

    /// A disk that says it has another size than it has.
    pub(crate) fn claiming(bytes: usize, claimed: u64) -> Self {
        let state = State {
            bytes: vec![0; bytes],
            faults: Faults::default(),
            writes: 0,
            reads: 0,
            discarded: Vec::new(),
        };
        FaultyDisk { claimed, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    /// Changes one bit.
    pub(crate) fn flip(&mut self, bit: usize) {
        self.bytes[bit / 8] ^= 1 << (bit % 8);
    }

    /// How many bytes of a transfer go well, or why none does.
    fn admit(
        &mut self,
        offset: u64,
        len: usize,
        mut fails: impl FnMut(&mut Faults, u64) -> Option<DiskError>,
    ) -> Result<usize, DiskError> {
        assert!(
            offset % SECTOR as u64 == 0 && len % SECTOR == 0,
            "{len} bytes at {offset} are not whole records"
        );
        if self.faults.stalls > 0 {
            self.faults.stalls -= 1;
            return Ok(0);
        }
        let room = (self.bytes.len() as u64).saturating_sub(offset);
        let len = len.min(room as usize).min(self.faults.most.unwrap_or(len));
        for sector in 0..len.div_ceil(SECTOR) {
            if let Some(error) = fails(&mut self.faults, offset / SECTOR as u64 + sector as u64) {
                let good = sector * SECTOR;
                return if good > 0 && !self.faults.all_or_nothing { Ok(good) } else { Err(error) };
            }
        }
        Ok(len)
    }
}

/// Counts a failure down.
fn strikes(left: &mut u32) -> bool {
    let strikes = *left > 0;
    if *left != STICKY {
        *left = left.saturating_sub(1);
    }
    strikes
}

impl Disk for FaultyDisk {
    fn size(&self) -> u64 {
        self.claimed
    }

    fn record_size(&self) -> usize {
        SECTOR
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let mut state = self.state();
        state.reads += 1;
        let len = state.admit(offset, buffer.len(), |faults, sector| {
            faults.bad_reads.get_mut(&sector).is_some_and(strikes).then_some(DiskError::Io)
        })?;
        let start = (offset as usize).min(state.bytes.len());
        buffer[..len].copy_from_slice(&state.bytes[start..start + len]);
        Ok(len)
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let mut state = self.state();
        state.writes += 1;
        let data = pieces.concat();
        let len = state.admit(offset, data.len(), |faults, sector| {
            let (left, error) = faults.bad_writes.get_mut(&sector)?;
            strikes(left).then_some(*error)
        })?;
        let (start, kept) = match state.faults.next_writes.pop_front() {
            None => (offset as usize, len),
            Some(Fate::Lost) => (0, 0),
            Some(Fate::Misdirected(other)) => (other as usize, len),
            Some(Fate::Torn(kept)) => (offset as usize, kept),
        };
        let start = start.min(state.bytes.len());
        state.bytes[start..start + kept].copy_from_slice(&data[..kept]);
        Ok(len)
    }

    fn prefers_long_writes(&self) -> bool {
        self.state().faults.prefers_long_writes
    }

    fn at_once(&self) -> usize {
        1 + self.state().faults.more_at_once
    }

    fn reads_at_once(&self) -> usize {
        self.at_once()
    }

    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn discard(&self, offset: u64, len: u64) {
        self.state().discarded.push((offset, len));
    }
}
