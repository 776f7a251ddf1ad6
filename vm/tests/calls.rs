//! Memory that is read and written by calls, however pages come.
#![cfg(all(target_os = "linux", feature = "allocator-api2"))]

mod common;

use std::thread;

use common::{PAGE, in_place, stamp, vm};
use mach_pager::store::MemoryStore;
use mach_pager::{Config, Service};
use mach_vm::{AccessError, Changes, Faults, Limits, Vm, VmError};
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Std;

type Pager = Service<Local, Std, MemoryStore<Std>>;

/// Runs `test` with this many resident pages and a store for this many.
fn paged(resident: usize, room: u32, test: impl Fn(&Vm, &Pager)) {
    let kinds = [
        (Faults::Calls, Changes::Hashed),
        (Faults::Thread, Changes::Hashed),
        (Faults::Thread, Changes::Protected),
        (Faults::Signal, Changes::Hashed),
    ];
    for (faults, changes) in kinds {
        for config in [in_place(), Config::default()] {
            let host = Host::new();
            let pager = host.new_task("pager");
            let before = pager.census();
            let limits = Limits { resident: resident * PAGE, faults, changes, ..Limits::default() };
            let Some(vm) = vm(&host, limits) else { continue };
            let store = MemoryStore::<Std>::new(PAGE, room);
            let config = Config { hand_backs: 2, ..config };
            let service = Service::<_, Std, _>::start(&pager, store, config).unwrap();
            vm.set_default_manager(service.right().unwrap()).unwrap();
            test(&vm, &service);
            assert_eq!(vm.statistics().resident, 0, "{faults:?}");
            assert!(vm.statistics().peak_resident <= resident * PAGE, "{faults:?}: {:?}", vm.statistics());
            drop(vm);
            service.stop().unwrap();
            assert_eq!(pager.census(), before, "{faults:?}");
        }
    }
}

fn page(number: usize) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    stamp(&mut page, number as u64);
    page
}

#[test]
fn what_was_written_is_read() {
    paged(20, 4000, |vm, _| {
        let memory = vm.open(300 * PAGE).unwrap();
        let content: Vec<u8> = (0..300).flat_map(page).collect();
        // Pieces that begin and end inside of pages, or go over some of them.
        let mut sizes = [1, 4095, 4097, 3 * PAGE, 777].iter().cycle();
        let mut at = 0;
        while at < content.len() {
            let end = (at + sizes.next().unwrap()).min(content.len());
            memory.write_at(at, &content[at..end]).unwrap();
            at = end;
        }
        let mut all = vec![1; content.len()];
        memory.read_at(0, &mut all).unwrap();
        assert!(all == content);
        let mut piece = [0; 10];
        memory.read_at(150 * PAGE - 5, &mut piece).unwrap();
        assert_eq!(piece, content[150 * PAGE - 5..][..10]);
        memory.read_at(300 * PAGE, &mut []).unwrap();
    });
}

#[test]
fn ranges_that_are_not_inside_are_refused() {
    paged(20, 4000, |vm, _| {
        let memory = vm.open(2 * PAGE).unwrap();
        for offset in [2 * PAGE, 3 * PAGE, usize::MAX] {
            assert_eq!(memory.read_at(offset, &mut [0]), Err(AccessError::OutOfRange));
            assert_eq!(memory.write_at(offset, &[0]), Err(AccessError::OutOfRange));
        }
        assert_eq!(memory.write_at(2 * PAGE - 1, &[0, 0]), Err(AccessError::OutOfRange));
        memory.will_need(0..usize::MAX);
        memory.will_need(5 * PAGE..7 * PAGE);
    });
}

/// Where calls hold a page, it has what one of them has written, whole.
#[test]
fn a_page_is_never_half_of_one_call_and_half_of_another() {
    paged(16, 4000, |vm, _| {
        let memory = vm.open(40 * PAGE).unwrap();
        let Err(memory) = memory.into_mapping() else { return };
        thread::scope(|scope| {
            for thread in 1..5_u8 {
                let memory = &memory;
                scope.spawn(move || {
                    let mut read = [0; PAGE];
                    for at in (0..200).map(|round| round * 7 % 40 * PAGE) {
                        memory.write_at(at, &[thread; PAGE]).unwrap();
                        memory.read_at(at, &mut read).unwrap();
                        assert!((1..5).contains(&read[0]) && read.iter().all(|byte| *byte == read[0]));
                    }
                });
            }
        });
    });
}

/// A store without room gives pages back; those that are lost are errors, and nothing else is.
#[test]
fn what_is_lost_is_an_error_and_nothing_else_is() {
    // More than the frames, the store, the pager's buffers and the messages on their way have room for.
    const PAGES: usize = 1000;
    paged(20, 60, |vm, service| {
        let memory = vm.open(PAGES * PAGE).unwrap();
        let written: Vec<_> =
            (0..PAGES).map(|number| memory.write_at(number * PAGE, &page(number))).collect();
        let mut lost = 0;
        for (number, written) in written.into_iter().enumerate() {
            let mut bytes = vec![0; PAGE];
            match (written, memory.read_at(number * PAGE, &mut bytes)) {
                (Ok(()), Ok(())) => assert!(bytes == page(number), "page {number}"),
                (_, Err(error)) => {
                    assert_eq!(error, AccessError::Lost(number * PAGE));
                    lost += 1;
                }
                (Err(error), Ok(())) => panic!("page {number} is here again after {error}"),
            }
        }
        assert!((1..=PAGES - 60).contains(&lost), "{lost} pages are lost");
        assert!(service.pager().statistics().handed_back > 0);
    });
}

#[test]
fn what_will_be_needed_is_asked_for_at_once() {
    paged(1024, 4000, |vm, service| {
        let memory = vm.open(2048 * PAGE).unwrap();
        (0..2048).for_each(|number| memory.write_at(number * PAGE, &page(number)).unwrap());
        let before = service.pager().statistics();
        for start in (0..800).rev().step_by(32).map(|last| last - 31) {
            memory.will_need(start * PAGE..(start + 32) * PAGE);
            for number in (start..start + 32).rev() {
                let mut bytes = vec![0; PAGE];
                memory.read_at(number * PAGE, &mut bytes).unwrap();
                assert!(bytes == page(number));
            }
        }
        let after = service.pager().statistics();
        let (requested, messages) =
            (after.requested - before.requested, after.data_request - before.data_request);
        // Most of them have left. A page that its manager had no room for stays, and makes more than one
        // message of those beside it. Backwards, thirty-two come in two messages.
        assert!(requested > 400, "{requested} pages");
        assert!(messages * 8 <= requested, "{messages} messages for {requested} pages");
    });
}

#[test]
fn without_faults_there_are_no_slices() {
    let host = Host::new();
    let vm = Vm::new(&host, Limits { faults: Faults::Calls, ..Limits::default() }).unwrap();
    let store = MemoryStore::<Std>::new(PAGE, 100);
    let service = Service::<_, Std, _>::start(&host.new_task("pager"), store, Config::default()).unwrap();
    vm.set_default_manager(service.right().unwrap()).unwrap();
    assert_eq!(vm.allocate(PAGE).map(drop), Err(VmError::OnlyCalls));
    assert!(vm.open(PAGE).unwrap().into_mapping().is_err());
    assert!(allocator_api2::vec::Vec::<u64, Vm>::new_in(vm.clone()).try_reserve(1).is_err());
    drop(vm);
    service.stop().unwrap();
}
