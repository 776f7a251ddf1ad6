//! Sets of addresses.

use std::collections::BTreeMap;
use std::ops::Range;

/// Addresses, as pieces that do not touch each other.
#[derive(Debug, Default)]
pub(crate) struct Ranges(BTreeMap<usize, usize>);

impl Ranges {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().map(|(start, end)| *start..*end)
    }

    /// Takes the first piece of this length, at a multiple of `align`, a power of two, out of the set.
    pub(crate) fn take(&mut self, len: usize, align: usize) -> Option<usize> {
        let start = self.0.iter().find_map(|(start, end)| {
            let aligned = start.checked_next_multiple_of(align)?;
            (aligned.checked_add(len)? <= *end).then_some(aligned)
        })?;
        self.remove(start..start + len);
        Some(start)
    }

    pub(crate) fn insert(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        while let Some((&at, &until)) = self.0.range(..=end).next_back() {
            if until < start {
                break;
            }
            self.0.remove(&at);
            (start, end) = (start.min(at), end.max(until));
        }
        self.0.insert(start, end);
    }

    pub(crate) fn remove(&mut self, range: Range<usize>) {
        while let Some((&at, &until)) = self.0.range(..range.end).next_back() {
            if until <= range.start || range.is_empty() {
                break;
            }
            self.0.remove(&at);
            if until > range.end {
                self.0.insert(range.end, until);
            }
            if at < range.start {
                self.0.insert(at, range.start);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
