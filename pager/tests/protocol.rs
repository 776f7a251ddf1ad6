//! The pager's side of the protocol, message by message.

mod world;

use mach_pager::Config;
use mach_pager::store::{Store, StoreError};
use world::Answer::*;
use world::{PAGE, Scripted, World, page};

const SIZE: u64 = PAGE as u64;

#[test]
fn pages_come_back_as_they_were_returned() {
    let world = World::new();
    let object = world.create();
    object.request(0, 2 * SIZE);
    world.serve();
    assert_eq!(object.answers(), [0, SIZE].map(|offset| Unavailable { offset, size: SIZE }));

    object.data_return(SIZE, &page(1));
    object.data_return(7 * SIZE, &[page(2), page(3)].concat());
    world.settle();
    assert_eq!(object.answers(), []);
    object.request(0, 2 * SIZE);
    object.request(8 * SIZE, SIZE);
    world.serve();
    // The store is not read by those who serve.
    assert_eq!(object.answers(), [Unavailable { offset: 0, size: SIZE }]);
    world.transfer();
    let supplied = [(SIZE, 1), (8 * SIZE, 3)].map(|(offset, tag)| Supply { offset, tag, precious: false });
    assert_eq!(object.answers(), supplied);
    object.terminate();
    world.end();
}

#[test]
fn a_page_whose_write_is_not_finished_is_supplied_as_precious() {
    let world = World::new();
    let object = world.create();
    object.data_return(0, &page(1));
    object.request(0, SIZE);
    world.serve();
    world.supply();
    assert_eq!(object.answers(), [Supply { offset: 0, tag: 1, precious: true }]);
    // The later of two returns wins, though the store has seen neither.
    object.data_return(0, &page(2));
    object.data_return(0, &page(3));
    object.request(0, SIZE);
    world.serve();
    world.supply();
    assert_eq!(object.answers(), [Supply { offset: 0, tag: 3, precious: true }]);
    world.transfer();
    assert_eq!((world.pager.statistics().superseded, world.pager.statistics().written), (2, 1));
    object.request(0, SIZE);
    world.settle();
    assert_eq!(object.answers(), [Supply { offset: 0, tag: 3, precious: false }]);
    object.terminate();
    world.end();
}

#[test]
fn a_page_of_zeros_that_was_returned_is_supplied() {
    let world = World::new();
    let object = world.create();
    object.data_return(0, &[0; PAGE]);
    object.request(0, SIZE);
    world.settle();
    // Unavailable would show what a shadow object has.
    assert_eq!(object.answers(), [Same { offset: 0, byte: 0, precious: false }]);
    assert_eq!(world.pager.store().space().used(), 0);
    object.terminate();
    world.end();
}

#[test]
fn initial_data_does_not_replace_what_was_returned() {
    let world = World::new();
    let object = world.create();
    object.data_return(0, &page(1));
    object.initialize(0, &[page(2), page(3)].concat());
    object.initialize(SIZE, &page(4));
    object.initialize(0, &[0; PAGE]);
    world.settle();
    object.request(0, 2 * SIZE);
    world.settle();
    let supplied = [(0, 1), (SIZE, 3)].map(|(offset, tag)| Supply { offset, tag, precious: false });
    assert_eq!(object.answers(), supplied);
    object.terminate();
    world.end();
}

#[test]
fn the_object_goes_when_nobody_has_it_and_its_transfers_are_done() {
    let world = World::new();
    let object = world.create();
    object.data_return(0, &page(1));
    object.terminate();
    world.serve();
    assert_eq!(world.pager.object_count(), 1);
    world.transfer();
    assert_eq!(world.pager.object_count(), 0);
    world.end();
}

#[test]
fn a_kernel_that_vanishes_leaves_nothing() {
    let world = World::new();
    let object = world.create();
    object.data_return(0, &page(1));
    object.request(SIZE, SIZE);
    world.serve();
    drop(object);
    world.end();
}

#[test]
fn a_page_that_cannot_be_written_goes_back_to_the_kernel() {
    let world = World::new();
    let object = world.create();
    world.pager.store().bad.lock().unwrap().insert(1);
    object.data_return(0, &[page(0), page(1), page(2)].concat());
    world.settle();
    assert_eq!(object.answers(), [Supply { offset: SIZE, tag: 1, precious: true }]);
    // The kernel had asked before it came.
    object.request(SIZE, SIZE);
    object.request(0, SIZE);
    object.request(2 * SIZE, SIZE);
    world.settle();
    let others = [(0, 0), (2 * SIZE, 2)].map(|(offset, tag)| Supply { offset, tag, precious: false });
    assert_eq!(object.answers(), others);
    // Precious pages come back.
    world.pager.store().bad.lock().unwrap().clear();
    object.data_return(SIZE, &page(1));
    world.settle();
    object.request(SIZE, SIZE);
    world.settle();
    assert_eq!(object.answers(), [Supply { offset: SIZE, tag: 1, precious: false }]);
    assert_eq!(world.pager.statistics().lost, 0);
    object.terminate();
    world.end();
}

#[test]
fn a_page_that_comes_back_too_often_is_lost_and_no_other() {
    let world = World::with(Scripted::new(100), Config { hand_backs: 2, ..Config::default() });
    let object = world.create();
    object.data_return(SIZE, &page(2));
    world.pager.store().bad.lock().unwrap().insert(1);
    for _ in 0..2 {
        object.data_return(0, &page(1));
        world.settle();
        assert_eq!(object.answers(), [Supply { offset: 0, tag: 1, precious: true }]);
    }
    object.data_return(0, &page(1));
    world.settle();
    object.request(0, 2 * SIZE);
    world.settle();
    let expected = [Error { offset: 0, size: SIZE }, Supply { offset: SIZE, tag: 2, precious: false }];
    assert_eq!(object.answers(), expected);
    assert_eq!((world.pager.statistics().handed_back, world.pager.statistics().lost), (2, 1));
    // It is written anew.
    object.data_return(0, &page(3));
    object.request(0, SIZE);
    world.serve();
    world.supply();
    assert_eq!(object.answers(), [Supply { offset: 0, tag: 3, precious: true }]);
    object.terminate();
    world.end();
}

#[test]
fn a_page_on_a_full_disk_takes_the_place_of_what_it_replaces() {
    let config = Config { precious_below: 0, ..Config::default() };
    let world = World::with(Scripted::new(2), config);
    let object = world.create();
    object.data_return(0, &[page(1), page(2)].concat());
    world.settle();
    assert_eq!(world.pager.store().space().free, 0);
    object.data_return(SIZE, &page(3));
    world.settle();
    object.request(0, 2 * SIZE);
    world.settle();
    let supplied = [(0, 1), (SIZE, 3)].map(|(offset, tag)| Supply { offset, tag, precious: false });
    assert_eq!(object.answers(), supplied);
    object.terminate();
    world.end();
}

#[test]
fn where_little_room_is_left_the_kernel_gets_the_only_copy() {
    let world = World::with(Scripted::new(2), Config::default());
    let object = world.create();
    object.data_return(0, &[page(1), page(2)].concat());
    world.settle();
    object.request(0, SIZE);
    world.settle();
    assert_eq!(object.answers(), [Supply { offset: 0, tag: 1, precious: true }]);
    assert_eq!(world.pager.store().space().free, 1);
    // Initial data is not newer.
    object.initialize(0, &page(9));
    object.data_return(0, &page(1));
    world.settle();
    object.request(0, SIZE);
    world.settle();
    assert_eq!(object.answers(), [Supply { offset: 0, tag: 1, precious: true }]);
    object.terminate();
    world.end();
}

#[test]
fn a_failed_read_is_an_error_for_that_page_and_that_time() {
    let world = World::new();
    let object = world.create();
    object.data_return(0, &page(1));
    world.settle();
    for (error, again) in [(StoreError::Io, true), (StoreError::Corrupt, false)] {
        *world.pager.store().bad_reads.lock().unwrap() = Some(error);
        object.request(0, SIZE);
        world.settle();
        assert_eq!(object.answers(), [Error { offset: 0, size: SIZE }]);
        *world.pager.store().bad_reads.lock().unwrap() = None;
        object.request(0, SIZE);
        world.settle();
        let supply = Supply { offset: 0, tag: 1, precious: false };
        assert_eq!(object.answers(), [if again { supply } else { Error { offset: 0, size: SIZE } }]);
    }
    object.terminate();
    world.end();
}

#[test]
fn without_a_free_buffer_pages_stay_in_their_message_and_then_go_back() {
    let config = Config { buffers: 1, held_pages: 2, ..Config::default() };
    let world = World::with(Scripted::new(100), config);
    let object = world.create();
    object.data_return(0, &[page(0), page(1), page(2), page(3)].concat());
    world.serve();
    // By a thread that may wait: other pages are in the same memory, so the kernel has none of it again yet.
    assert_eq!(object.answers(), []);
    world.supply();
    assert_eq!(object.answers(), [Supply { offset: 3 * SIZE, tag: 3, precious: true }]);
    assert_eq!((world.pager.statistics().held, world.pager.statistics().handed_back), (2, 1));
    object.request(0, 3 * SIZE);
    world.serve();
    (0..3).for_each(|_| world.supply());
    let early = [0, 1, 2].map(|tag| Supply { offset: tag * SIZE, tag: tag as u8, precious: true });
    assert_eq!(object.answers(), early);
    world.transfer();
    object.request(0, 3 * SIZE);
    world.settle();
    assert_eq!(object.answers().len(), 3);
    object.terminate();
    world.end();
}

#[test]
fn where_the_store_is_nearly_full_pages_stay_in_their_message_and_go_back_from_there_at_once() {
    let config = Config { buffers: 8, held_pages: 8, external_buffers: 1, ..Config::default() };
    let world = World::with(Scripted::new(4), config);
    let object = world.create();
    let returned = |number: u64| object.data_return(number * SIZE, &page(number as u8));
    // There is room for two more beside that of another object's buffer.
    (0..3).for_each(returned);
    world.serve();
    assert_eq!(world.pager.statistics().held, 0);
    (3..6).for_each(returned);
    world.serve();
    assert_eq!(world.pager.statistics().held, 3);
    // Two have no room in the store. No thread that may wait has to supply them. A batch takes half of the
    // buffers.
    assert!(world.transfer_one() && world.transfer_one() && !world.transfer_one());
    let back = [4, 5].map(|number| Supply { offset: number * SIZE, tag: number as u8, precious: true });
    assert_eq!(object.answers(), back);
    assert_eq!((world.pager.statistics().handed_back, world.pager_task.census().regions), (2, 0));
    object.terminate();
    world.end();
}

#[test]
fn pages_that_cannot_be_noted_go_back_and_memory_is_bounded() {
    let bytes = 16 << 10;
    let config = Config { map_bytes: bytes, map_ahead: bytes, hand_backs: 1, ..Config::default() };
    let world = World::with(Scripted::new(100), config);
    let object = world.create();
    // As far apart as it takes for each to need a leaf of its own. None of them takes room in the store.
    let offset = |page: u64| page * 64 * SIZE;
    let mut kept = 0;
    for page in 0..1000 {
        object.data_return(offset(page), &[page as u8; PAGE]);
        world.settle();
        match object.answers()[..] {
            [] if page == kept && kept < 100 => kept += 1,
            [] => {}
            [Same { offset: at, byte, precious: true }] => {
                assert_eq!((at, byte), (offset(page), page as u8));
            }
            ref other => panic!("{other:?}"),
        }
        assert!(world.pager.map_memory().1 <= bytes);
    }
    assert!(kept > 10 && kept < 30, "{kept} pages are noted");
    let statistics = world.pager.statistics();
    assert_eq!((statistics.handed_back, statistics.lost), (64, 1000 - kept - 64));
    assert_eq!((statistics.unnoted, world.pager.space().same_filled), (1000 - kept, kept));
    // Those that are noted are right, and of the others no zeros are shown: nor of those that were never
    // written.
    for page in [0, kept - 1] {
        object.request(offset(page), SIZE);
        world.settle();
        assert_eq!(object.answers(), [Same { offset: offset(page), byte: page as u8, precious: false }]);
    }
    for page in [kept, 999, 5000] {
        object.request(offset(page), SIZE);
        world.settle();
        assert_eq!(object.answers(), [Error { offset: offset(page), size: SIZE }]);
    }
    // Another object has its own, and all of it once the first one is gone.
    object.terminate();
    world.settle();
    assert_eq!(world.pager.map_memory().1, 0);
    let object = world.create();
    object.request(offset(5000), SIZE);
    object.data_return(0, &page(1));
    object.request(0, SIZE);
    world.serve();
    world.supply();
    let expected =
        [Unavailable { offset: offset(5000), size: SIZE }, Supply { offset: 0, tag: 1, precious: true }];
    assert_eq!(object.answers(), expected);
    object.terminate();
    world.end();
}

#[test]
fn a_write_does_not_wait_for_all_of_an_object_to_be_forgotten() {
    let world = World::new();
    let (huge, other) = (world.create(), world.create());
    let pages = [7; 32 * PAGE];
    for at in 0..200 {
        huge.data_return(at * 32 * SIZE, &pages);
        world.serve();
    }
    assert_eq!(world.pager.space().same_filled, 6400);
    huge.terminate();
    world.serve();
    other.data_return(0, &page(1));
    world.serve();
    assert!(world.transfer_one() && world.transfer_one());
    assert_eq!(world.pager.statistics().written, 1);
    assert!(world.pager.space().same_filled > 5000);
    other.terminate();
    world.end();
}

#[test]
fn whoever_waits_for_a_page_that_is_lost_as_its_write_fails_is_told() {
    let world = World::with(Scripted::new(100), Config { hand_backs: 0, ..Config::default() });
    let object = world.create();
    world.pager.store().bad.lock().unwrap().insert(9);
    object.data_return(0, &page(9));
    object.request(0, SIZE);
    world.serve();
    // The write ends before a thread supplies the page from its buffer.
    world.pager.stop_transfers();
    world.pager.serve_writes();
    assert_eq!(object.answers(), [Error { offset: 0, size: SIZE }]);
    assert_eq!(world.pager.statistics().lost, 1);
    object.terminate();
    world.end();
}
