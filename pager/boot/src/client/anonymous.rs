//! Works on memory that has no manager of its own.

use core::sync::atomic::Ordering;
use core::time::Duration;

use gnumach::{Send, task};
use mach_defs::native::{mach, mach_port};

use crate::Checks;
use crate::memory::{Memory, Shared};

/// Writes every page and reads them back twice, then again after half of them are gone.
pub(crate) fn touch(checks: &mut Checks, mebibytes: u32) {
    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);
    memory.check(checks, 1, |_| true);
    memory.check(checks, 1, |_| true);
    memory.shorten(mebibytes / 2);
    memory.check(checks, 1, |_| true);
    memory.fill(2, |_| true);
    memory.check(checks, 2, |_| true);
}

/// Writes the first half and every 16th page of the rest: those in between were never anything but zeros.
pub(crate) fn sparse(checks: &mut Checks, mebibytes: u32) {
    let mut memory = Memory::allocate(mebibytes);
    let half = memory.pages() / 2;
    let written = |page: usize| page < half || page % 16 == 0;
    memory.fill(1, written);
    memory.check(checks, 1, written);
    memory.check_zeros(checks, |page| !written(page));
    memory.check(checks, 1, written);
}

/// Copies the task. Both write, one the even pages and the other the odd ones, and each must find its own and the old ones.
pub(crate) fn fork(checks: &mut Checks, mebibytes: u32) {
    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);

    let results = Shared::new();
    // The child has the memory at the same place.
    let mut copy = memory.alias();
    let child = gnumach::fork(move || {
        let mut checks = Checks::default();
        two_halves(&mut checks, &mut copy, 2, |page| page % 2 == 0);
        results[1].store(checks.failed, Ordering::Relaxed);
        results[0].store(checks.made, Ordering::Release);
    });
    let child = child.expect("fork");
    two_halves(checks, &mut memory, 3, |page| page % 2 != 0);
    wait_for_end(&child);

    let made = results[0].load(Ordering::Acquire);
    checks.that(made as usize == 2 * memory.pages(), "the child has not checked all of its pages");
    checks.made += made;
    checks.failed += results[1].load(Ordering::Relaxed);
}

/// Writes some pages in a round, and checks them and the others, twice.
fn two_halves(checks: &mut Checks, memory: &mut Memory, round: u32, mine: fn(usize) -> bool) {
    memory.fill(round, mine);
    for _ in 0..2 {
        memory.check(checks, round, mine);
        memory.check(checks, 1, |page| !mine(page));
    }
}

/// Waits until a task has ended.
fn wait_for_end(child: &Send) {
    /// `MACH_PORT_TYPE_DEAD_NAME`
    const DEAD_NAME: u32 = 1 << 20;
    while mach_port::mach_port_type(&task(), child.name()).is_ok_and(|ty| ty & DEAD_NAME == 0) {
        gnumach::sleep(Duration::from_millis(10));
    }
}

/// Ends while a child still writes, and does not tell.
pub(crate) fn die(checks: &mut Checks, mebibytes: u32) {
    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);
    let mut copy = memory.alias();
    let child = gnumach::fork(move || {
        loop {
            copy.fill(2, |_| true);
        }
    });
    memory.check(checks, 1, |_| true);
    let child = child.expect("fork");
    mach::task_terminate(&child).expect("task_terminate");
    gnumach::exit();
}
