//! Anonymous memory that is larger than may be resident, with the default pager as its manager.
#![cfg(target_os = "linux")]

mod common;

use std::os::fd::AsRawFd as _;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::{PAGE, in_place, paged, stamp, vm};
use mach_pager::Service;
use mach_pager::store::MemoryStore;
use mach_vm::{Changes, Limits, Source};
use mig_runtime::kernel::local::Host;
use mig_runtime::platform::Std;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};

#[test]
fn pages_come_back_as_they_were() {
    paged(64, |vm, _| {
        let mut memory = vm.allocate(1000 * PAGE).unwrap();
        for (number, page) in memory.chunks_exact_mut(PAGE).enumerate() {
            assert!(page.iter().all(|byte| *byte == 0), "new memory is zeros");
            stamp(page, number as u64);
        }
        for round in 0..3 {
            for number in (0..1000).map(|at| at * 377 % 1000) {
                let page = &mut memory[number * PAGE..][..PAGE];
                let mut expected = [0; PAGE];
                stamp(&mut expected, number as u64 + round * 1000);
                assert!(page == expected, "page {number} in round {round}");
                stamp(page, number as u64 + (round + 1) * 1000);
            }
        }
        let statistics = vm.statistics();
        assert!(statistics.peak_resident <= 64 * PAGE, "{statistics:?}");
        assert!(statistics.returned >= 3000, "{statistics:?}");
    });
}

#[test]
fn what_was_not_changed_is_not_returned() {
    paged(64, |vm, service| {
        let buffers = service.pager().free_buffers();
        // What is asked for again before it is stored is precious, and would be returned again.
        let at_rest = || {
            while service.pager().free_buffers() != buffers {
                thread::yield_now()
            }
        };
        let mut memory = vm.allocate(300 * PAGE).unwrap();
        memory.chunks_exact_mut(PAGE).enumerate().for_each(|(number, page)| stamp(page, number as u64));
        let sum = |memory: &[u8]| {
            at_rest();
            memory.iter().map(|byte| u64::from(*byte)).sum::<u64>()
        };
        let first = sum(&memory);
        let returned = vm.statistics().returned;
        assert_eq!((sum(&memory), sum(&memory)), (first, first));
        // Those that were resident and changed are returned once.
        assert!(vm.statistics().returned <= returned + 64, "{:?}", vm.statistics());
        // Zeros that nobody has written take no place anywhere.
        let untouched = vm.allocate(300 * PAGE).unwrap();
        let returned = vm.statistics().returned;
        assert_eq!(sum(&untouched), 0);
        assert!(vm.statistics().returned <= returned + 64, "{:?}", vm.statistics());
    });
}

/// Where writes are told by protection a page that was written with the same bytes is returned, and one that
/// was only read is not.
#[test]
fn a_write_of_the_same_bytes_is_a_change_if_it_is_told_by_protection() {
    const PAGES: usize = 300;
    for changes in [Changes::Hashed, Changes::Protected] {
        let host = Host::new();
        let limits = Limits { resident: 64 * PAGE, changes, ..Limits::default() };
        let Some(vm) = vm(&host, limits) else { return };
        let store = MemoryStore::<Std>::new(PAGE, 4000);
        let service = Service::<_, Std, _>::start(&host.new_task("pager"), store, in_place()).unwrap();
        vm.set_default_manager(service.right().unwrap()).unwrap();
        let buffers = service.pager().free_buffers();
        let mut memory = vm.allocate(PAGES * PAGE).unwrap();
        memory.chunks_exact_mut(PAGE).enumerate().for_each(|(number, page)| stamp(page, number as u64));
        let mut returned_by = |touch: &mut dyn FnMut(&mut u8)| {
            let before = vm.statistics().returned;
            // In some order, so that no page is asked for before it is touched.
            for number in (0..PAGES).map(|number| number * 7 % PAGES) {
                touch(&mut memory[number * PAGE + 9]);
            }
            while service.pager().free_buffers() != buffers {
                thread::yield_now();
            }
            vm.statistics().returned - before
        };
        let mut write = |byte: &mut u8| *byte = std::hint::black_box(*byte);
        let mut read = |byte: &mut u8| _ = std::hint::black_box(*byte);
        // Those that are there may have been changed.
        assert!(returned_by(&mut read) <= 64, "{changes:?}");
        assert_eq!(returned_by(&mut read), 0, "{changes:?}");
        let written = returned_by(&mut write) + returned_by(&mut write);
        match changes {
            Changes::Hashed => assert_eq!(written, 0),
            Changes::Protected => assert!(written > 400, "{written}"),
        }
    }
}

/// The test of a lost update: threads count in memory that comes and goes under them.
#[test]
fn no_write_is_lost() {
    const PAGES: usize = 256;
    const ROUNDS: u64 = 30;
    paged(64, |vm, _| {
        let mut memory = vm.allocate(PAGES * PAGE).unwrap();
        // SAFETY: the memory is aligned, and for this scope all of it is atomic counters.
        let counters: &[AtomicU64] =
            unsafe { std::slice::from_raw_parts(memory.as_mut_ptr().cast(), PAGES * PAGE / 8) };
        thread::scope(|scope| {
            for first in 0..3 {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        for page in 0..PAGES {
                            let page = (page * (2 * first + 1) + round as usize) % PAGES;
                            counters[page * PAGE / 8 + first].fetch_add(1, Ordering::Relaxed);
                            counters[page * PAGE / 8 + 8].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        for page in 0..PAGES {
            let counter = |at: usize| counters[page * PAGE / 8 + at].load(Ordering::Relaxed);
            assert_eq!([0, 1, 2, 8].map(counter), [ROUNDS, ROUNDS, ROUNDS, 3 * ROUNDS], "page {page}");
        }
    });
}

/// Why a page is moved out in one step: of one that is copied and then discarded, what is written between the
/// two is lost.
#[test]
fn a_page_that_is_copied_and_then_discarded_loses_a_write() {
    let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: new memory, at an address of the system's choice.
    let page = unsafe { mmap_anonymous(ptr::null_mut(), PAGE, access, flags) }.unwrap();
    // SAFETY: the memory is aligned, and lives longer than this.
    let counter = unsafe { AtomicU64::from_ptr(page.cast()) };
    counter.store(1, Ordering::Relaxed);
    let copy = counter.load(Ordering::Relaxed);
    thread::scope(|scope| drop(scope.spawn(|| counter.fetch_add(1, Ordering::Relaxed)).join()));
    // SAFETY: the memory is this test's.
    unsafe { madvise(page, PAGE, Advice::LinuxDontNeed) }.unwrap();
    assert_eq!(counter.load(Ordering::Relaxed), 0, "the page has left");
    counter.store(copy, Ordering::Relaxed);
    assert_eq!(counter.load(Ordering::Relaxed), 1, "and is back, without what the other thread did");
    // SAFETY: nobody uses it any more.
    unsafe { munmap(page, PAGE) }.unwrap();
}

/// A page that is touched again soon after it has gone comes back without a message, with what was in it.
#[test]
fn what_is_touched_often_comes_back_without_a_message() {
    paged(128, |vm, _| {
        let mut memory = vm.allocate(1000 * PAGE).unwrap();
        let mut versions = vec![0; 1000];
        let mut write = |number: usize| {
            let page = &mut memory[number * PAGE..][..PAGE];
            let mut expected = [0; PAGE];
            if versions[number] > 0 {
                stamp(&mut expected, versions[number] * 1000 + number as u64);
            }
            assert!(page == expected, "page {number} in version {}", versions[number]);
            versions[number] += 1;
            stamp(page, versions[number] * 1000 + number as u64);
        };
        for step in 0..2000 {
            // Pages that lie side by side, and others.
            write(step % 10 * 16 + step % 3);
            write(200 + step * 7 % 800);
        }
        let statistics = vm.statistics();
        assert!(statistics.rescued > 50, "{statistics:?}");
        assert!(statistics.peak_resident <= 128 * PAGE, "{statistics:?}");
        memory.iter_mut().for_each(|byte| *byte = 7);
        assert!(memory.iter().all(|byte| *byte == 7));
    });
}

/// Pages that a child process shares since a fork cannot be moved by the system. They leave and come back all
/// the same.
#[test]
fn a_fork_does_not_keep_pages_from_leaving() {
    paged(64, |vm, _| {
        let mut memory = vm.allocate(400 * PAGE).unwrap();
        let write = |memory: &mut [u8], version: u64| {
            let pages = memory.chunks_exact_mut(PAGE).enumerate();
            pages.for_each(|(number, page)| stamp(page, version * 1000 + number as u64));
        };
        write(&mut memory, 1);
        // Those that are there then are protected, where that is how writes are told.
        let sum: u64 = memory.chunks_exact(PAGE).map(|page| u64::from(page[9])).sum();
        assert!(sum > 0);
        // SAFETY: the child calls nothing but what a signal handler may call.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: as above. It ends by itself if nobody ends it.
            unsafe { libc::alarm(60) };
            // SAFETY: as above.
            unsafe { libc::pause() };
        }
        assert!(child > 0);
        for version in 1..4 {
            for (number, page) in memory.chunks_exact(PAGE).enumerate() {
                let mut expected = [0; PAGE];
                stamp(&mut expected, version * 1000 + number as u64);
                assert!(page == expected, "page {number} in version {version}");
            }
            write(&mut memory, version + 1);
        }
        // SAFETY: the child is this test's and waits for a signal.
        unsafe { libc::kill(child, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: the status is written to a variable of this function.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert!(vm.statistics().peak_resident <= 64 * PAGE, "{:?}", vm.statistics());
    });
}

/// Pages that lie side by side leave, are asked for and come in few messages.
#[test]
fn what_is_touched_in_order_moves_in_clusters() {
    paged(512, |vm, service| {
        let mut memory = vm.allocate(2000 * PAGE).unwrap();
        memory.chunks_exact_mut(PAGE).enumerate().for_each(|(number, page)| stamp(page, number as u64));
        for _ in 0..2 {
            for (number, page) in memory.chunks_exact(PAGE).enumerate() {
                let mut expected = [0; PAGE];
                stamp(&mut expected, number as u64);
                assert!(page == expected, "page {number}");
            }
        }
        let figures = service.pager().statistics();
        assert!(figures.requested >= 3500, "{figures:?}");
        // Sixteen at a time but for the first few, and where a page has come back meanwhile.
        assert!(figures.data_request * 10 <= figures.requested, "{figures:?}");
        assert!(figures.returned >= 1700, "{figures:?}");
        assert!(figures.data_return * 16 <= figures.returned, "{figures:?}");
    });
}

#[test]
fn memory_without_a_manager_is_refused() {
    use mach_vm::{Limits, Vm, VmError};

    let host = mig_runtime::kernel::local::Host::new();
    let Some(vm) = common::vm(&host, Limits::default()) else { return };
    assert_eq!(vm.allocate(PAGE).map(drop), Err(VmError::NoManager));
    for len in [0, 1, PAGE + 1] {
        assert_eq!(vm.allocate(len).map(drop), Err(VmError::BadRange));
    }
    let small = Limits { resident: 1000, ..Limits::default() };
    assert!(matches!(Vm::new(&host, small), Err(VmError::LimitTooSmall(1000))));
}

/// What is discarded is zeros, here and with the manager, and takes no room.
#[test]
fn discarded_memory_is_zeros_and_takes_no_room() {
    paged(64, |vm, service| {
        let mut memory = vm.allocate(400 * PAGE).unwrap();
        memory.chunks_exact_mut(PAGE).enumerate().for_each(|(number, page)| stamp(page, number as u64));
        // Some are resident and some are stored, some are both.
        assert!(memory[50 * PAGE..90 * PAGE].iter().any(|byte| *byte != 0));
        memory.discard(0..100 * PAGE).unwrap();
        memory.discard(200 * PAGE..400 * PAGE).unwrap();
        for (number, page) in memory.chunks_exact(PAGE).enumerate() {
            let mut expected = [0; PAGE];
            if (100..200).contains(&number) {
                stamp(&mut expected, number as u64);
            }
            assert!(page == expected, "page {number}");
        }
        memory.discard(0..400 * PAGE).unwrap();
        assert_eq!(vm.statistics().resident, 0);
        while service.pager().space().used() != 0 {
            thread::yield_now();
        }
        for range in [0..1, 0..401 * PAGE, PAGE..PAGE] {
            assert_eq!(memory.discard(range), Err(mach_vm::VmError::BadRange));
        }
    });
}

/// For a fork no page leaves. Meanwhile each page comes all the same, and then the limit holds again.
#[test]
fn pages_come_while_they_are_kept_and_leave_after_that() {
    paged(64, |vm, _| {
        let mut memory = vm.allocate(400 * PAGE).unwrap();
        memory[..300 * PAGE].chunks_exact_mut(PAGE).enumerate().for_each(|(at, page)| stamp(page, at as u64));
        let kept = vm.keep();
        let returned = vm.statistics().returned;
        let some = |number: usize| number % 6 == 0 || number > 340;
        for (number, page) in memory.chunks_exact_mut(PAGE).enumerate().filter(|(number, _)| some(*number)) {
            let mut expected = [0; PAGE];
            if number < 300 {
                stamp(&mut expected, number as u64);
            }
            assert!(page == expected, "page {number}");
            stamp(page, number as u64 + 1000);
        }
        assert_eq!(vm.statistics().returned, returned, "{:?}", vm.statistics());
        assert!(vm.statistics().resident > 96 * PAGE, "{:?}", vm.statistics());
        drop(kept);
        for (number, page) in memory.chunks_exact(PAGE).enumerate() {
            let mut expected = [0; PAGE];
            if number < 300 || some(number) {
                stamp(&mut expected, number as u64 + if some(number) { 1000 } else { 0 });
            }
            assert!(page == expected, "page {number}");
        }
        assert!(vm.statistics().resident <= 64 * PAGE, "{:?}", vm.statistics());
    });
}

/// Addresses of memory that was dropped are their owner's: nobody finds the memory there, and nothing of the
/// kernel's half takes them away later.
#[test]
fn dropped_memory_is_gone_at_once() {
    const LEN: usize = 96 * PAGE;
    paged(64, |vm, _| {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let is_mapped = |start: NonNull<u8>| {
            // SAFETY: the system reads the byte, if there is one, which nobody writes to.
            let written = unsafe { libc::write(writer.as_raw_fd(), start.as_ptr().cast(), 1) };
            written == 1 && rustix::io::read(&reader, &mut [0_u8]).is_ok()
        };
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: new addresses of the system's choice.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), LEN, ProtFlags::empty(), flags) }.unwrap();
        let start = NonNull::new(start.cast::<u8>()).unwrap();
        let ends = AtomicBool::new(false);
        let stayed = thread::scope(|scope| {
            // This thread's faults are why pages of the others leave, until the last moment.
            scope.spawn(|| {
                let mut others = vm.allocate(LEN).unwrap();
                while !ends.load(Ordering::Relaxed) {
                    others.chunks_exact_mut(PAGE).for_each(|page| page[0] = page[0].wrapping_add(1));
                }
            });
            let stayed = (0..60).find(|_| {
                // SAFETY: the addresses were reserved above, and nothing of the last round is there.
                let mut memory = unsafe { vm.allocate_at(start, LEN) }.unwrap();
                memory.chunks_exact_mut(PAGE).for_each(|page| page[0] = 1);
                drop(memory);
                is_mapped(start)
            });
            ends.store(true, Ordering::Relaxed);
            stayed
        });
        assert_eq!(stayed, None, "the memory of this round is there still");
        // SAFETY: nothing is there.
        unsafe { munmap(start.as_ptr().cast(), LEN) }.unwrap();
    });
}

/// Has every page but those that are there, full of its number.
struct Rest {
    start: usize,
    reads: AtomicU64,
}

impl Rest {
    fn number(&self, address: usize) -> usize {
        (address - self.start) / PAGE
    }
}

impl Source for Rest {
    fn has(&self, address: usize) -> bool {
        self.number(address) < 250
    }

    fn read(&self, address: usize, page: &mut [u8]) -> bool {
        self.reads.fetch_add(1, Ordering::Relaxed);
        stamp(page, self.number(address) as u64);
        true
    }
}

/// What a process has from its parent: the first pages are there, others are elsewhere, and the last ones
/// nobody has touched.
#[test]
fn memory_that_is_inherited_is_as_it_was() {
    paged(64, |vm, service| {
        let buffers = service.pager().free_buffers();
        let (flags, access) = (MapFlags::PRIVATE, ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: new memory at an address of the system's choice.
        let memory = unsafe { mmap_anonymous(std::ptr::null_mut(), 300 * PAGE, access, flags) }.unwrap();
        let start = NonNull::new(memory.cast::<u8>()).unwrap();
        // SAFETY: nobody else knows this memory.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), 100 * PAGE) };
        bytes.chunks_exact_mut(PAGE).enumerate().for_each(|(number, page)| stamp(page, number as u64));
        let rest = Arc::new(Rest { start: start.addr().get(), reads: AtomicU64::new(0) });
        // SAFETY: private anonymous memory, which lives until it is unmapped below.
        let mut memory = unsafe { vm.inherit_at(start, 300 * PAGE, rest.clone()) }.unwrap();
        let check = |memory: &[u8], round: u64| {
            for (number, page) in memory.chunks_exact(PAGE).enumerate() {
                let mut expected = [0; PAGE];
                if number < 250 || round > 0 {
                    stamp(&mut expected, number as u64 + round);
                }
                assert!(page == expected, "page {number} in round {round}");
            }
        };
        check(&memory, 0);
        // What is asked for again before it is stored is precious, and would be returned again.
        while service.pager().free_buffers() != buffers {
            thread::yield_now();
        }
        let (reads, returned) = (rest.reads.load(Ordering::Relaxed), vm.statistics().returned);
        assert_eq!(reads, 150, "those that were not there");
        check(&memory, 0);
        assert!(rest.reads.load(Ordering::Relaxed) > reads, "they are there still, and not returned");
        assert!(vm.statistics().returned <= returned + 64, "{:?}", vm.statistics());
        let kept = vm.keep();
        kept.settle();
        let objects = kept.objects().unwrap();
        assert_eq!((objects.len(), objects[0].start), (1, start.addr().get()));
        assert!(objects[0].object.is_some());
        assert!(objects[0].inherited.len() > 50 && objects[0].inherited.iter().all(|page| rest.has(*page)));
        drop((kept, objects));
        memory.chunks_exact_mut(PAGE).enumerate().for_each(|(number, page)| stamp(page, number as u64 + 9));
        let reads = rest.reads.load(Ordering::Relaxed);
        check(&memory, 9);
        assert_eq!(rest.reads.load(Ordering::Relaxed), reads, "what was changed is this process's");
        memory.discard(100 * PAGE..300 * PAGE).unwrap();
        assert!(memory[100 * PAGE..].iter().all(|byte| *byte == 0));
        drop(memory);
        // SAFETY: the memory is nobody's any more.
        unsafe { munmap(start.as_ptr().cast(), 300 * PAGE) }.unwrap();
    });
}

/// What cannot be written cannot be moved either, and leaves all the same.
#[test]
fn memory_that_is_made_read_only_leaves_as_any_other() {
    paged(64, |vm, _| {
        let mut memory = vm.allocate(300 * PAGE).unwrap();
        memory.chunks_exact_mut(PAGE).enumerate().for_each(|(number, page)| stamp(page, number as u64));
        let start = memory.as_ptr().cast_mut().cast();
        let protect = |access| {
            // SAFETY: the first pages of memory that is this test's.
            move || unsafe { mprotect(start, 200 * PAGE, access) }.is_ok()
        };
        let check = |memory: &[u8]| {
            for (number, page) in memory.chunks_exact(PAGE).enumerate() {
                let mut expected = [0; PAGE];
                stamp(&mut expected, number as u64);
                assert!(page == expected, "page {number}");
            }
        };
        assert_eq!(memory.protect(0..200 * PAGE, false, protect(MprotectFlags::READ)), Ok(true));
        // They come in one message, and the system takes them for two pieces of memory.
        memory.will_need(192 * PAGE..208 * PAGE);
        check(&memory);
        check(&memory);
        // Nobody can look at it meanwhile.
        assert_eq!(memory.protect(0..200 * PAGE, false, protect(MprotectFlags::empty())), Ok(true));
        memory[200 * PAGE..].chunks_exact_mut(PAGE).for_each(|page| page[0] ^= 1);
        memory[200 * PAGE..].chunks_exact_mut(PAGE).for_each(|page| page[0] ^= 1);
        let both = MprotectFlags::READ | MprotectFlags::WRITE;
        assert_eq!(memory.protect(0..200 * PAGE, true, protect(both)), Ok(true));
        check(&memory);
        assert_eq!(memory.protect(0..200 * PAGE, true, || false), Ok(false), "nothing was done");
        assert!(vm.statistics().peak_resident <= 64 * PAGE, "{:?}", vm.statistics());
    });
}
