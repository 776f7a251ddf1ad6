//! Parts of a device as a device of their own.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::disk::{Disk, DiskError, RUN};

/// Parts of a device, one after the other: a file whose places on the device somebody else has found out, or
/// a partition.
///
/// Nothing outside of them is ever read or written.
pub struct Runs<D> {
    disk: D,
    runs: Box<[Run]>,
}

/// A part, in bytes.
struct Run {
    /// Where it begins on the device.
    start: u64,
    /// Where it begins, and where it ends, among the parts.
    at: u64,
    end: u64,
}

/// Why parts are none of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunsError {
    /// There are none, or they are empty.
    Empty,
    /// One of them ends beyond the end of the device.
    BeyondEnd,
    /// Two of them have records in common.
    Overlap,
}

impl<D: Disk> Runs<D> {
    /// The parts that begin at a record and have this many of them.
    ///
    /// # Errors
    ///
    /// [`RunsError`].
    pub fn new(disk: D, records: &[(u64, u64)]) -> Result<Self, RunsError> {
        let size = disk.record_size() as u64;
        let mut runs = Vec::with_capacity(records.len());
        let mut at = 0;
        for &(first, count) in records.iter().filter(|(_, count)| *count > 0) {
            let end = first.checked_add(count).and_then(|end| end.checked_mul(size));
            if end.is_none_or(|end| end > disk.size()) {
                return Err(RunsError::BeyondEnd);
            }
            let len = count * size;
            runs.push(Run { start: first * size, at, end: at + len });
            at += len;
        }
        if runs.is_empty() {
            return Err(RunsError::Empty);
        }
        let mut order: Vec<_> = runs.iter().map(|run| (run.start, run.start + run.end - run.at)).collect();
        order.sort_unstable();
        if order.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err(RunsError::Overlap);
        }
        Ok(Self { disk, runs: runs.into() })
    }

    /// All of a device.
    pub fn whole(disk: D) -> Self {
        let size = disk.size() - disk.size() % disk.record_size() as u64;
        Self { disk, runs: [Run { start: 0, at: 0, end: size }].into() }
    }

    /// Where on the device something is, and how many bytes follow it in one part.
    fn find(&self, offset: u64) -> Result<(u64, usize), DiskError> {
        let at = self.runs.partition_point(|run| run.end <= offset);
        let run = self.runs.get(at).ok_or(DiskError::Io)?;
        let left = usize::try_from(run.end - offset).unwrap_or(usize::MAX);
        Ok((run.start + (offset - run.at), left))
    }
}

impl<D: Disk> Disk for Runs<D> {
    fn size(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.end)
    }

    fn record_size(&self) -> usize {
        self.disk.record_size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let (start, left) = self.find(offset)?;
        let len = buffer.len().min(left);
        self.disk.read_at(start, &mut buffer[..len])
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let (start, mut left) = self.find(offset)?;
        let mut parts: [&[u8]; RUN] = [&[]; RUN];
        let mut count = 0;
        for (part, piece) in parts.iter_mut().zip(pieces) {
            *part = &piece[..piece.len().min(left)];
            left -= part.len();
            count += usize::from(!part.is_empty());
        }
        self.disk.write_at(start, &parts[..count])
    }

    fn prefers_long_writes(&self) -> bool {
        self.disk.prefers_long_writes()
    }

    fn flush(&self) -> Result<(), DiskError> {
        self.disk.flush()
    }

    fn stop_waiting(&self) {
        self.disk.stop_waiting();
    }

    fn discard(&self, offset: u64, len: u64) {
        let (mut offset, end) = (offset, offset + len);
        while offset < end {
            let Ok((start, left)) = self.find(offset) else { return };
            let len = (left as u64).min(end - offset);
            self.disk.discard(start, len);
            offset += len;
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use mig_runtime::platform::Std;

    use super::super::disk;
    use super::super::faulty::{FaultyDisk, SECTOR};
    use super::super::{Store, SwapStore};
    use super::*;

    #[test]
    fn parts_follow_each_other_and_nothing_else_is_touched() {
        // Two and a half kibibytes in three parts, in another order than on the device.
        let runs = Runs::new(FaultyDisk::new(20 * SECTOR), &[(10, 2), (3, 1), (7, 2)]).unwrap();
        assert_eq!(runs.size(), 5 * SECTOR as u64);
        let content: Vec<u8> = (0..5 * SECTOR).map(|at| (at / 3) as u8 | 1).collect();
        let (one, two) = content.split_at(3 * SECTOR);
        disk::write(&runs, 0, &[one]).unwrap();
        disk::write(&runs, 3 * SECTOR as u64, &[two]).unwrap();
        let mut back = vec![0; content.len()];
        disk::read(&runs, 0, &mut back).unwrap();
        assert_eq!(back, content);
        let bytes = &runs.disk.state().bytes;
        for (at, sector) in bytes.chunks(SECTOR).enumerate() {
            let expected = [10, 11, 3, 7, 8].iter().position(|place| *place == at);
            match expected {
                Some(part) => assert_eq!(sector, &content[part * SECTOR..][..SECTOR]),
                None => assert!(sector.iter().all(|byte| *byte == 0), "sector {at}"),
            }
        }
    }

    #[test]
    fn a_store_on_parts_without_a_superblock_has_a_slot_for_each_page() {
        let page_size = 2 * SECTOR;
        let parts = [(1, 7), (20, 6), (9, 3)];
        let store =
            SwapStore::<_, Std>::raw(Runs::new(FaultyDisk::new(30 * SECTOR), &parts).unwrap(), page_size)
                .unwrap();
        let pages: Vec<Vec<u8>> = (1..10).map(|seed| vec![seed; page_size]).collect();
        let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
        let mut stored = Vec::new();
        store.write(&slices, &mut |_, result| stored.extend(result.ok()));
        assert_eq!((stored.len(), store.space().free), (8, 0));
        let mut back = vec![0; page_size];
        for (slot, page) in stored.iter().zip(&pages) {
            store.read(slot, &mut back).unwrap();
            assert_eq!(back, *page);
        }
        let state = store.disk().disk.state();
        let touched =
            state.bytes.chunks(SECTOR).enumerate().filter(|(_, sector)| sector[0] != 0).map(|(at, _)| at);
        let expected: Vec<_> = (1..8).chain(9..12).chain(20..26).collect();
        assert_eq!(touched.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_part_of_the_device_is_refused() {
        let runs = |records: &[(u64, u64)]| Runs::new(FaultyDisk::new(20 * SECTOR), records).map(|_| ());
        assert_eq!(runs(&[]), Err(RunsError::Empty));
        assert_eq!(runs(&[(3, 0)]), Err(RunsError::Empty));
        assert_eq!(runs(&[(0, 20)]), Ok(()));
        for beyond in [(0, 21), (20, 1), (u64::MAX, 1), (1, u64::MAX), (1 << 60, 1)] {
            assert_eq!(runs(&[(0, 1), beyond]), Err(RunsError::BeyondEnd));
        }
        assert_eq!(runs(&[(4, 2), (0, 5)]), Err(RunsError::Overlap));
    }
}
