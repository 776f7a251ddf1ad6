//! The table of statistics on the console, and whether its numbers add up.

use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use gnumach::{Bare, println};
use mach_defs::gnu::{mach, mach_port};
use mach_pager::Statistics;
use mach_pager::store::Space;
use mig_runtime::platform::Platform;

use crate::Pager;

/// What must be the same before the first program runs and after the last one has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Port names of this task.
    names: usize,
    /// Allocations of the threads that make memory free, and must not need any.
    allocations: usize,
    pagers: Vec<PagerCounts>,
}

/// The same of one pager.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PagerCounts {
    objects: usize,
    /// Pages in the store.
    stored: u64,
    buffers: usize,
}

impl Counts {
    /// The counts once all threads have begun, each of which has a port for its replies then.
    pub(crate) fn of_started(pagers: &[Pager]) -> Self {
        loop {
            let counts = Self::take(pagers);
            gnumach::sleep(Duration::from_millis(100));
            if Self::take(pagers) == counts {
                return counts;
            }
        }
    }

    fn take(pagers: &[Pager]) -> Self {
        let names = mach_port::mach_port_names(&gnumach::task()).map_or(0, |reply| reply.names.len());
        let counts = |service: &Pager| {
            let pager = service.pager();
            let Space { total, free, bad, same_filled, .. } = pager.space();
            let stored = total - free - bad + same_filled;
            PagerCounts { objects: pager.object_count(), stored, buffers: pager.free_buffers() }
        };
        Self {
            names,
            allocations: gnumach::counted_allocations(),
            pagers: pagers.iter().map(counts).collect(),
        }
    }
}

/// How many pages the kernel has asked for and given since it started, to all memory managers, as it counts
/// them itself.
///
/// It counts a page when it sends the message with it, also if the page turns out to have never been written.
fn kernel_counts() -> (u64, u64) {
    /// Where `vm_statistics` has these.
    const PAGEINS: usize = 7;
    const PAGEOUTS: usize = 8;
    let statistics = mach::vm_statistics(&gnumach::task()).unwrap_or_default();
    let [pageins, pageouts] = [PAGEINS, PAGEOUTS].map(|at| u64::from(statistics[at] as u32));
    (pageins, pageouts)
}

/// How long objects may take to go after their tasks.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits until the pagers are at rest, prints what happened, and tells whether all is as it must be. What
/// `strangers` page the kernel does not count.
pub(crate) fn finish(pagers: &[Pager], before: &Counts, strangers: bool) -> bool {
    let start = Bare::now();
    let mut after = Counts::take(pagers);
    while (after.names, &after.pagers) != (before.names, &before.pagers)
        && Bare::now() - start < PATIENCE.as_nanos() as u64
    {
        gnumach::sleep(Duration::from_millis(20));
        after = Counts::take(pagers);
    }
    let figures: Vec<_> = pagers.iter().map(|service| service.pager().statistics()).collect();
    for (figures, service) in figures.iter().zip(pagers) {
        table(figures, &service.pager().space());
    }
    // No other memory manager is there, and nothing is on its way without objects.
    let counted = figures.iter().fold((0, 0), |sum, of| (sum.0 + of.requested, sum.1 + of.returned));
    let by_kernel = kernel_counts();

    let mut good = true;
    let mut check = |what: &str, same: bool, one: &dyn Debug, other: &dyn Debug| {
        println!("{what}: {one:?}, {other:?}{}", if same { "" } else { " FAILED" });
        good &= same;
    };
    check("rights before and after", before.names == after.names, &before.names, &after.names);
    // An answer that cannot be sent comes back in an error, which takes memory. The kernel takes every
    // answer; a stranger may not listen.
    let none = before.allocations == after.allocations || strangers;
    check("allocations where memory is made free", none, &before.allocations, &after.allocations);
    for (before, after) in before.pagers.iter().zip(&after.pagers) {
        check("pager before and after", before == after, before, after);
    }
    let adds_up = counted == by_kernel || strangers;
    check("pages in and out, here and by the kernel", adds_up, &counted, &by_kernel);
    println!("verdict: {}", if good { "passed" } else { "FAILED" });
    good
}

fn table(figures: &Statistics, space: &Space) {
    println!(
        "messages: {} create, {} terminate, {} data_request, {} data_return, {} data_initialize",
        figures.create, figures.terminate, figures.data_request, figures.data_return, figures.data_initialize
    );
    println!(
        "          {} init, {} data_unlock, {} no_senders, {} default_pager, {} refused, {} unclaimed",
        figures.init,
        figures.data_unlock,
        figures.no_senders,
        figures.administration,
        figures.refused,
        figures.unclaimed
    );
    println!(
        "pages in: {} supplied ({} before they were written, {} precious), {} unavailable, {} errors",
        figures.supplied,
        figures.supplied_early,
        figures.supplied_precious,
        figures.unavailable,
        figures.errors
    );
    println!(
        "pages out: {} returned ({} same-filled, {} held), {} written, {} superseded, {} handed back, {} lost",
        figures.returned,
        figures.same_filled,
        figures.held,
        figures.written,
        figures.superseded,
        figures.handed_back,
        figures.lost
    );
    println!(
        "store: {} read, {} reads failed, {} writes failed, {} bad of {} places",
        figures.read, figures.read_failures, figures.write_failures, space.bad, space.total
    );
    println!("pages a write (1, 2-3, 4-7, ...): {:?}", figures.pages_a_write);
    println!(
        "message to deallocation: half within {} us, 99 % within {} us, all within {} us",
        figures.turnaround_within(0.5) / 1000,
        figures.turnaround_within(0.99) / 1000,
        figures.turnaround_within(1.0) / 1000
    );
}
