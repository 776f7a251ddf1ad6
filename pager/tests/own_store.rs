//! A store that somebody else has written, with places of its own kind: the pager needs no more of it than
//! the trait, and pages of one word never get there.

mod world;

use std::sync::Mutex;

use mach_pager::Config;
use mach_pager::store::{Space, Store, StoreError};
use world::Answer::*;
use world::{PAGE, World, page};

const SIZE: u64 = PAGE as u64;
const ROOM: u64 = 4;

/// Keeps pages on a shelf. A place is a mark, which no page there has had before.
#[derive(Default)]
struct Shelf(Mutex<Shelved>);

#[derive(Default)]
struct Shelved {
    pages: Vec<(u64, Box<[u8]>)>,
    marks: u64,
}

/// Not copied, so that each is given back once.
#[derive(Debug)]
struct Mark(u64);

impl Shelf {
    fn count(&self) -> u64 {
        self.0.lock().unwrap().pages.len() as u64
    }
}

impl Store for Shelf {
    type Place = Mark;

    fn page_size(&self) -> usize {
        PAGE
    }

    fn write(&self, pages: &[&[u8]], done: &mut dyn FnMut(usize, Result<Mark, StoreError>)) {
        // From the last one to the first: the order is the store's.
        for (at, page) in pages.iter().enumerate().rev() {
            assert!(page.iter().any(|byte| *byte != page[0]), "a page of one word has come here");
            let mut shelf = self.0.lock().unwrap();
            if shelf.pages.len() as u64 == ROOM {
                drop(shelf);
                done(at, Err(StoreError::Full));
                continue;
            }
            shelf.marks += 1;
            let mark = shelf.marks;
            shelf.pages.push((mark, (*page).into()));
            drop(shelf);
            done(at, Ok(Mark(mark)));
        }
    }

    fn read(&self, place: &Mark, page: &mut [u8]) -> Result<(), StoreError> {
        let shelf = self.0.lock().unwrap();
        let (_, content) =
            shelf.pages.iter().find(|(mark, _)| *mark == place.0).ok_or(StoreError::Corrupt)?;
        page.copy_from_slice(content);
        Ok(())
    }

    fn free(&self, place: Mark) {
        let mut shelf = self.0.lock().unwrap();
        let at = shelf.pages.iter().position(|(mark, _)| *mark == place.0).expect("freed once");
        shelf.pages.swap_remove(at);
    }

    fn space(&self) -> Space {
        Space { total: ROOM, free: ROOM - self.count(), ..Space::default() }
    }
}

#[test]
fn a_store_of_ones_own_keeps_the_pages_of_a_pager() {
    let config = Config { precious_below: 0, ..Config::default() };
    let world = World::with(Shelf::default(), config);
    let object = world.create();
    for tag in 0..4 {
        object.data_return(u64::from(tag) * SIZE, &page(tag));
    }
    object.data_return(9 * SIZE, &[7; PAGE]);
    world.settle();
    assert_eq!((world.pager.store().count(), world.pager.space().same_filled), (4, 1));
    // One more than there is room for goes back; in the place of another there is room.
    object.data_return(4 * SIZE, &page(4));
    world.settle();
    assert_eq!(object.answers(), [Supply { offset: 4 * SIZE, tag: 4, precious: true }]);
    object.data_return(0, &[0; PAGE]);
    object.data_return(4 * SIZE, &page(5));
    world.settle();
    assert_eq!(object.answers(), []);
    for number in [0, 1, 2, 3, 4, 9] {
        object.request(number * SIZE, SIZE);
        world.settle();
    }
    let supply = |number: u64, tag| Supply { offset: number * SIZE, tag, precious: false };
    let same = |number: u64, byte| Same { offset: number * SIZE, byte, precious: false };
    assert_eq!(
        object.answers(),
        [same(0, 0), supply(1, 1), supply(2, 2), supply(3, 3), supply(4, 5), same(9, 7)]
    );
    object.terminate();
    world.end();
}
