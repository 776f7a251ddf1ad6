//! Works on memory that has no manager of its own.

use core::sync::atomic::Ordering;

use gnumach::SendRight;

use crate::Checks;
use crate::child::Child;
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

/// Copies the task. Both write, one the even pages and the other the odd ones, and each must find its own and
/// the old ones.
pub(crate) fn fork(checks: &mut Checks, mebibytes: u32) {
    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);

    // The child has the memory at the same place.
    let mut copy = memory.alias();
    let child = Child::start(move |checks| two_halves(checks, &mut copy, 2, |page| page % 2 == 0));
    two_halves(checks, &mut memory, 3, |page| page % 2 != 0);
    checks.add(child.wait());
}

/// Writes some pages in a round, and checks them and the others, twice.
fn two_halves(checks: &mut Checks, memory: &mut Memory, round: u32, mine: fn(usize) -> bool) {
    memory.fill(round, mine);
    for _ in 0..2 {
        memory.check(checks, round, mine);
        memory.check(checks, 1, |page| !mine(page));
    }
}

/// Uses more memory than the machine and its paging space have together, which a child must not survive, and
/// then in another one half of that.
pub(crate) fn outgrow(checks: &mut Checks, host: &SendRight, mebibytes: u32) {
    // A page of this task could be the one for which there is no room.
    gnumach::wire_task(host).expect("the task is wired");
    let child = Child::start(move |checks| touch(checks, mebibytes));
    checks.that(child.wait().is_none(), "a child had more memory than there is");
    let child = Child::start(move |checks| touch(checks, mebibytes / 2));
    checks.add(child.wait());
}

/// Writes every page, and then finds the one that cannot be read any more. Who tries to read it gets an
/// exception: so children try, each from after the page where the one before has ended.
pub(crate) fn lose(checks: &mut Checks, mebibytes: u32) {
    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);
    let pages = memory.pages();
    let mut lost = 0;
    // The page that is next, and how many were wrong.
    let shared = Shared::new();
    let [next, wrong] = &*shared;
    loop {
        let memory = memory.alias();
        let child = Child::start(move |checks| {
            let [next, wrong] = &*shared;
            for page in next.load(Ordering::Relaxed) as usize..pages {
                checks.page(memory.page(page), 1, page);
                wrong.store(checks.failed, Ordering::Relaxed);
                next.store(page as u32 + 1, Ordering::Relaxed);
            }
        });
        if child.wait().is_some() {
            break;
        }
        lost += 1;
        next.fetch_add(1, Ordering::Relaxed);
        checks.failed += wrong.swap(0, Ordering::Relaxed);
    }
    checks.made += pages as u32 - lost;
    checks.failed += wrong.load(Ordering::Relaxed);
    checks.that(lost == 1, "not one page was lost");
}

/// Ends while a child still writes, and does not tell.
pub(crate) fn die(checks: &mut Checks, mebibytes: u32) {
    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);
    let mut copy = memory.alias();
    let child = Child::start(move |_| {
        loop {
            copy.fill(2, |_| true);
        }
    });
    memory.check(checks, 1, |_| true);
    child.kill();
    gnumach::exit();
}
