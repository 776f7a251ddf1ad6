//! Work on inputs that do not depend on one another: on all processors, with results in the order of the
//! inputs.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// More threads than these wait for one another's memory rather than work.
const MOST_THREADS: usize = 16;

/// Does some work on each input, and takes the results in the order of the inputs, as soon as each is there.
/// The first error ends it.
pub(crate) fn in_order<I: Sync, O: Send, E>(
    inputs: &[I],
    work: impl Fn(&I) -> O + Sync,
    mut take: impl FnMut(O) -> Result<(), E>,
) -> Result<(), E> {
    // The standard library reads files of the system to find out how many processors there are, which would
    // take too long for a single input.
    let processors = || thread::available_parallelism().map_or(1, NonZero::get);
    let threads = if inputs.len() < 2 { 1 } else { processors().min(MOST_THREADS).min(inputs.len()) };
    if threads < 2 {
        return inputs.iter().try_for_each(|input| take(work(input)));
    }
    let next = AtomicUsize::new(0);
    // Results that come before their turn wait here, or in the map below. There are no more of them than
    // inputs.
    let (send, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (next, work, send) = (&next, &work, send.clone());
            scope.spawn(move || {
                while let Some((index, input)) = next_of(next, inputs) {
                    if send.send((index, work(input))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        let mut early = BTreeMap::new();
        let mut expected = 0;
        // A thread that still works when this returns finds the channel closed.
        for (index, result) in results {
            early.insert(index, result);
            while let Some(result) = early.remove(&expected) {
                expected += 1;
                take(result)?;
            }
        }
        Ok(())
    })
}

/// The next input that nobody has taken.
fn next_of<'a, I>(next: &AtomicUsize, inputs: &'a [I]) -> Option<(usize, &'a I)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    Some((index, inputs.get(index)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_inputs() {
        let inputs: Vec<u64> = (0..500).collect();
        let mut taken = Vec::new();
        // The first ones take longest.
        let work =
            |input: &u64| (0..(500 - input) * 50).fold(*input, |sum, n| std::hint::black_box(sum + n - n));
        let result: Result<(), ()> = in_order(&inputs, work, |output| {
            taken.push(output);
            Ok(())
        });
        assert_eq!((result, taken), (Ok(()), inputs));
    }

    #[test]
    fn the_first_error_ends_it() {
        let inputs: Vec<usize> = (0..500).collect();
        let mut taken = 0;
        let result = in_order(
            &inputs,
            |input| *input,
            |output| {
                taken += 1;
                if output == 3 { Err(output) } else { Ok(()) }
            },
        );
        assert_eq!((result, taken), (Err(3), 4));
    }
}
