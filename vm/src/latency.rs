//! How long things took.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A power of two of nanoseconds has this many buckets.
const STEPS: u32 = 4;

const BUCKETS: usize = 36 * STEPS as usize;

/// How many page faults took how long, to a quarter of the time.
#[derive(Clone, PartialEq, Eq)]
pub struct Latencies {
    counts: [u64; BUCKETS],
}

impl Latencies {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time in which this share of them (0 to 1) was done; zero if there were none.
    pub fn within(&self, share: f64) -> Duration {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted && seen > 0
        });
        bucket.map_or(Duration::ZERO, |bucket| Duration::from_nanos(end_of(bucket)))
    }
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most] = [0.5, 0.99].map(|share| self.within(share));
        write!(f, "Latencies({}, half within {half:?}, 99 % within {most:?})", self.count())
    }
}

/// Counts them, by any threads.
pub(crate) struct Recorder([AtomicU64; BUCKETS]);

impl Default for Recorder {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Recorder {
    pub(crate) fn record(&self, time: Duration) {
        self.0[bucket_of(time.as_nanos().try_into().unwrap_or(u64::MAX))].fetch_add(1, Relaxed);
    }

    pub(crate) fn read(&self) -> Latencies {
        Latencies { counts: self.0.each_ref().map(|count| count.load(Relaxed)) }
    }
}

/// By the power of two below, and the two bits after the first one.
fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.max(u64::from(STEPS));
    let power = nanos.ilog2();
    let step = (nanos >> (power - STEPS.ilog2())) & u64::from(STEPS - 1);
    (power as usize * STEPS as usize + step as usize).min(BUCKETS - 1)
}

/// What is less than this belongs to the bucket, or to one before it.
fn end_of(bucket: usize) -> u64 {
    let (power, step) = (bucket as u32 / STEPS, bucket as u64 % u64::from(STEPS));
    (1 << power) + ((step + 1) << power) / u64::from(STEPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_known_to_a_quarter() {
        for nanos in
            (0..60).flat_map(|power| [1_u64 << power, (1 << power) + (1 << power) / 3, (2 << power) - 1])
        {
            let end = end_of(bucket_of(nanos));
            let is_last = bucket_of(nanos) == BUCKETS - 1;
            assert!(is_last || nanos < end.max(8), "{nanos} {end}");
            assert!(is_last || end <= nanos.max(4) + nanos.max(4) / 4 + 1, "{nanos} {end}");
        }
    }

    #[test]
    fn a_share_of_them_is_done_within_a_time() {
        let recorder = Recorder::default();
        assert_eq!(recorder.read().within(0.99), Duration::ZERO);
        (1..=100).for_each(|micros| recorder.record(Duration::from_micros(micros)));
        let latencies = recorder.read();
        assert_eq!(latencies.count(), 100);
        for (share, micros) in [(0.5, 50), (0.9, 90), (1.0, 100)] {
            let within = latencies.within(share);
            let exact = Duration::from_micros(micros);
            assert!(within >= exact && within <= exact + exact / 4, "{share}: {within:?}");
        }
    }
}
