//! What the pager has done, counted.

use core::sync::atomic::{AtomicU64, Ordering};

/// Counts up.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn count(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often values of each size came: slot `n` counts those of at least 2^n and less than 2^(n+1).
#[derive(Debug)]
pub(crate) struct Sizes<const N: usize>([Counter; N]);

impl<const N: usize> Default for Sizes<N> {
    fn default() -> Self {
        Self(core::array::from_fn(|_| Counter::default()))
    }
}

impl<const N: usize> Sizes<N> {
    /// A value that is not 0; what is too large counts as the largest.
    pub(crate) fn count(&self, value: u64) {
        let slot = (value.max(1).ilog2() as usize).min(N - 1);
        self.0[slot].count();
    }

    fn get(&self) -> [u64; N] {
        core::array::from_fn(|slot| self.0[slot].get())
    }
}

/// Declares the counters, and the figures that are read from them.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $kind:ty => $figure:ty,)*) => {
        /// The counters. They are read one by one, so that figures of a pager at work need not add up.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: $kind,)*
        }

        impl Counters {
            pub(crate) fn figures(&self) -> Statistics {
                Statistics { $($name: self.$name.get(),)* }
            }
        }

        /// What a pager has done since its start.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Statistics {
            $($(#[$doc])* pub $name: $figure,)*
        }
    };
}

counters! {
    /// Messages: `memory_object_create`.
    create: Counter => u64,
    /// Messages: `memory_object_init`.
    init: Counter => u64,
    /// Messages: `memory_object_terminate`.
    terminate: Counter => u64,
    /// Messages: `memory_object_data_request`.
    data_request: Counter => u64,
    /// Messages: `memory_object_data_return`.
    data_return: Counter => u64,
    /// Messages: `memory_object_data_initialize`.
    data_initialize: Counter => u64,
    /// Messages: `memory_object_data_unlock`.
    data_unlock: Counter => u64,
    /// Messages: no-senders notifications.
    no_senders: Counter => u64,
    /// Messages: the calls of `default_pager`.
    administration: Counter => u64,
    /// Messages that no routine took: unknown, malformed, or not meant for a default pager.
    unclaimed: Counter => u64,
    /// Messages that were well formed and refused: forged, against the rules, or for nothing that the object
    /// has.
    refused: Counter => u64,

    /// Pages that the kernel has asked for.
    requested: Counter => u64,
    /// Pages supplied.
    supplied: Counter => u64,
    /// Of them, those whose write was not finished.
    supplied_early: Counter => u64,
    /// Of them, those that only the kernel has since, because the store has little room.
    supplied_precious: Counter => u64,
    /// Pages that were requested and had never been written.
    unavailable: Counter => u64,
    /// Requests for a page that was being supplied already.
    answered: Counter => u64,
    /// Pages for which an error was answered.
    errors: Counter => u64,
    /// Answers that could not be sent.
    unsent: Counter => u64,

    /// Pages that the kernel has given.
    returned: Counter => u64,
    /// Of them, those that were one word over and over, and are kept without room.
    same_filled: Counter => u64,
    /// Of them, those that stayed in their message because no buffer was free.
    held: Counter => u64,
    /// Pages written to the store.
    written: Counter => u64,
    /// Pages whose write another one made needless: a later one, or one before
    /// `memory_object_data_initialize`.
    superseded: Counter => u64,
    /// Pages that went back because there was no memory to note them, or were lost in that way.
    unnoted: Counter => u64,
    /// Writes that the store refused.
    write_failures: Counter => u64,
    /// Pages read from the store.
    read: Counter => u64,
    /// Reads that failed, tried twice.
    read_failures: Counter => u64,
    /// Pages that went back to the kernel, as precious, because the store did not take them.
    handed_back: Counter => u64,
    /// Pages that were lost.
    lost: Counter => u64,

    /// How many pages each call of [`Store::write`](crate::store::Store::write) had: 1, 2 to 3, 4 to 7 and so
    /// on.
    pages_a_write: Sizes<12> => [u64; 12],
    /// How long each returned message took until its memory was given back, in nanoseconds: 1, 2 to 3, 4 to 7
    /// and so on. The kernel lets no more than a few pages wait for that.
    turnaround: Sizes<32> => [u64; 32],
}

impl Statistics {
    /// The time in nanoseconds under which this share (0 to 1) of the returned messages gave their memory
    /// back, to a factor of 2.
    pub fn turnaround_within(&self, share: f64) -> u64 {
        let total: u64 = self.turnaround.iter().sum();
        let mut sum = 0;
        for (slot, count) in self.turnaround.iter().enumerate() {
            sum += count;
            if sum > 0 && sum as f64 >= total as f64 * share {
                return 2 << slot;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_counted_by_powers_of_two() {
        let sizes = Sizes::<4>::default();
        for value in [0, 1, 2, 3, 4, 7, 8, 100] {
            sizes.count(value);
        }
        assert_eq!(sizes.get(), [2, 2, 2, 2]);
    }

    #[test]
    fn most_of_the_times() {
        let counters = Counters::default();
        (0..99).for_each(|_| counters.turnaround.count(1000));
        counters.turnaround.count(1 << 20);
        let figures = counters.figures();
        assert_eq!((figures.turnaround_within(0.5), figures.turnaround_within(1.0)), (1024, 1 << 21));
        assert_eq!(Statistics::default().turnaround_within(0.5), 0);
    }
}
