//! What is noted of each page of an object, packed: a page in the store takes little more memory than its
//! place.
//!
//! A [`Map`] is a tree with a leaf for each 64 pages and branches of 64 ways above, as high as the last page
//! needs. Its nodes come from [`Nodes`], which bounds the memory of all maps together and has some of it
//! ready, so that to note a page takes no allocation.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::mem;

/// Pages of a leaf, and children of a branch.
pub(super) const FAN: usize = 1 << BITS;
const BITS: u32 = 6;

/// What is noted of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Note<L> {
    /// It was never written.
    #[default]
    Never,
    /// It is on its way, and more is known of it than a note can hold.
    Recorded(Recorded),
    /// It is on its way out of the store, or to another place there. Whoever transfers it has the place.
    Transfer(Transfer),
    /// Only the kernel has it.
    Precious(Precious),
    /// Nobody has it.
    Lost,
    /// Only the store has it.
    Out(L),
    /// The store has it, and the kernel perhaps, too.
    In(L),
}

impl<L> Note<L> {
    fn is_stored(&self) -> bool {
        match self {
            Self::Out(_) | Self::In(_) | Self::Transfer(_) => true,
            Self::Recorded(recorded) => recorded.in_store,
            Self::Never | Self::Precious(_) | Self::Lost => false,
        }
    }
}

/// Where there is more about a page, among the [`Records`](super::Records).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recorded {
    at: [u8; 4],
    in_store: bool,
}

impl Recorded {
    pub(super) fn new(at: u32, in_store: bool) -> Self {
        Self { at: at.to_le_bytes(), in_store }
    }

    pub(super) fn at(self) -> u32 {
        u32::from_le_bytes(self.at)
    }
}

/// Of a page that is on its way out of the store, or to another place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    ticket: TicketBytes,
    pub(super) kind: TransferKind,
}

/// Why a page is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransferKind {
    /// The kernel has asked for it.
    Read,
    /// It gets another place in the store.
    Move { in_kernel: bool, wanted: bool },
}

impl Transfer {
    pub(super) fn new(ticket: u64, kind: TransferKind) -> Self {
        Self { ticket: ticket_bytes(ticket), kind }
    }

    pub(super) fn ticket(self) -> u64 {
        ticket_of(self.ticket)
    }
}

/// A ticket, in no more bytes than it needs.
type TicketBytes = [u8; 5];

/// How many tickets are told apart. That takes an object more transfers than it can have.
pub(super) const TICKETS: u64 = (1 << 40) - 1;

fn ticket_bytes(ticket: u64) -> TicketBytes {
    let [a, b, c, d, e, ..] = ticket.to_le_bytes();
    [a, b, c, d, e]
}

fn ticket_of([a, b, c, d, e]: TicketBytes) -> u64 {
    u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
}

/// Of a page that only the kernel has: when it went back, in no more bytes than a place takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Precious {
    /// The ticket with which it went back, and how many times it did; 0 if it was given as the answer to a
    /// request.
    ticket: TicketBytes,
    times: [u8; 2],
    pub(super) answers: bool,
    pub(super) handed_back: u8,
}

impl Precious {
    pub(super) fn new(ticket: u64, times: u32, answers: bool, handed_back: u8) -> Self {
        let times = u16::try_from(times).unwrap_or(u16::MAX).to_le_bytes();
        Self { ticket: ticket_bytes(ticket), times, answers, handed_back }
    }

    pub(super) fn ticket(self) -> u64 {
        ticket_of(self.ticket)
    }

    pub(super) fn times(self) -> u32 {
        u16::from_le_bytes(self.times).into()
    }
}

/// A note without its place in the kernel's hands or not, which has a bit of its own: two kinds of notes with
/// a place would take a byte more.
#[derive(Debug, Default)]
enum Packed<L> {
    #[default]
    Never,
    Recorded(Recorded),
    Transfer(Transfer),
    Precious(Precious),
    Lost,
    Stored(L),
}

impl<L> Packed<L> {
    fn is_stored(&self) -> bool {
        match self {
            Self::Stored(_) | Self::Transfer(_) => true,
            Self::Recorded(recorded) => recorded.in_store,
            Self::Never | Self::Precious(_) | Self::Lost => false,
        }
    }
}

/// A node of the map of an object's pages.
#[derive(Debug)]
pub struct Node<L>(Kind<L>);

#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // nodes of any kind come from one place, and go back there
enum Kind<L> {
    Leaf(Leaf<L>),
    Branch([Option<Box<Node<L>>>; FAN]),
    /// It is in no map; the next one of those.
    Free(Option<Box<Node<L>>>),
}

#[derive(Debug)]
struct Leaf<L> {
    /// A bit for each page that the store has and the kernel perhaps, too.
    in_kernel: [u8; FAN / 8],
    notes: [Packed<L>; FAN],
}

impl<L> Leaf<L> {
    fn bit(at: usize) -> (usize, u8) {
        (at / 8, 1 << (at % 8))
    }

    fn put(&mut self, at: usize, note: Note<L>) {
        let (byte, bit) = Self::bit(at);
        if matches!(note, Note::In(_)) {
            self.in_kernel[byte] |= bit;
        } else {
            self.in_kernel[byte] &= !bit;
        }
        self.notes[at] = match note {
            Note::Never => Packed::Never,
            Note::Recorded(recorded) => Packed::Recorded(recorded),
            Note::Transfer(transfer) => Packed::Transfer(transfer),
            Note::Precious(precious) => Packed::Precious(precious),
            Note::Lost => Packed::Lost,
            Note::Out(place) | Note::In(place) => Packed::Stored(place),
        };
    }

    fn take(&mut self, at: usize) -> Note<L> {
        let (byte, bit) = Self::bit(at);
        match mem::take(&mut self.notes[at]) {
            Packed::Never => Note::Never,
            Packed::Recorded(recorded) => Note::Recorded(recorded),
            Packed::Transfer(transfer) => Note::Transfer(transfer),
            Packed::Precious(precious) => Note::Precious(precious),
            Packed::Lost => Note::Lost,
            Packed::Stored(place) if self.in_kernel[byte] & bit != 0 => Note::In(place),
            Packed::Stored(place) => Note::Out(place),
        }
    }
}

impl<L> Node<L> {
    /// A node that is in no map. They hang on one another, so that a list of them takes no memory.
    pub fn free(next: Option<Box<Self>>) -> Self {
        Self(Kind::Free(next))
    }

    /// Takes the next one off a node that is in no map.
    pub fn take_next(&mut self) -> Option<Box<Self>> {
        if let Kind::Free(next) = &mut self.0 { next.take() } else { None }
    }

    /// Bytes in a node, of whatever kind.
    pub const fn size() -> usize {
        size_of::<Self>()
    }
}

/// Where the nodes of maps come from.
pub trait Nodes<L>: Send + Sync {
    /// A node; `None` if there are as many as there may be, or none is ready.
    fn take(&self) -> Option<Box<Node<L>>>;

    /// A node is not needed any more. What it held is of no use.
    fn give(&self, node: Box<Node<L>>);
}

/// The notes of all pages of an object. Those that were never written take no memory beside others.
pub(super) struct Map<L> {
    root: Option<Box<Node<L>>>,
    /// Levels of branches.
    height: u32,
    nodes: Arc<dyn Nodes<L>>,
    /// Pages that the store has, with those that are on their way out of it.
    stored: u64,
}

/// Which child of a branch a page is below, or which note of a leaf it has.
fn digit(page: u64, level: u32) -> usize {
    (page >> (BITS * level)) as usize % FAN
}

/// How many levels of branches a tree with this page has.
fn height(page: u64) -> u32 {
    (u64::BITS - page.leading_zeros()).div_ceil(BITS).saturating_sub(1)
}

impl<L> Map<L> {
    pub(super) fn new(nodes: Arc<dyn Nodes<L>>) -> Self {
        Self { root: None, height: 0, nodes, stored: 0 }
    }

    /// How many pages the store has, with those that are on their way out of it.
    pub(super) fn stored(&self) -> u64 {
        self.stored
    }

    fn leaf(&self, page: u64) -> Option<&Leaf<L>> {
        if height(page) > self.height {
            return None;
        }
        let mut node = self.root.as_deref()?;
        for level in (1..=self.height).rev() {
            let Kind::Branch(children) = &node.0 else { return None };
            node = children[digit(page, level)].as_deref()?;
        }
        if let Kind::Leaf(leaf) = &node.0 { Some(leaf) } else { None }
    }

    fn leaf_mut(&mut self, page: u64) -> Option<&mut Leaf<L>> {
        if height(page) > self.height {
            return None;
        }
        let mut node = self.root.as_deref_mut()?;
        for level in (1..=self.height).rev() {
            let Kind::Branch(children) = &mut node.0 else { return None };
            node = children[digit(page, level)].as_deref_mut()?;
        }
        if let Kind::Leaf(leaf) = &mut node.0 { Some(leaf) } else { None }
    }

    /// True if the page was ever written.
    pub(super) fn contains(&self, page: u64) -> bool {
        self.leaf(page).is_some_and(|leaf| !matches!(leaf.notes[digit(page, 0)], Packed::Never))
    }

    /// True if only the store has the page.
    pub(super) fn is_out(&self, page: u64) -> bool {
        self.leaf(page).is_some_and(|leaf| leaf.is_out(digit(page, 0)))
    }

    /// Takes the note of a page out. It is to be [put](Self::put) back, or another one.
    pub(super) fn take(&mut self, page: u64) -> Note<L> {
        let note = self.leaf_mut(page).map_or(Note::Never, |leaf| leaf.take(digit(page, 0)));
        self.stored -= u64::from(note.is_stored());
        note
    }

    /// Notes a page.
    ///
    /// # Errors
    ///
    /// The note, if there is no memory for it. There is for a page that was noted before, or for which there
    /// was [room](Self::make_room).
    pub(super) fn put(&mut self, page: u64, note: Note<L>) -> Result<(), Note<L>> {
        let Some(leaf) = self.leaf_mut(page) else { return Err(note) };
        let stored = note.is_stored();
        let before = leaf.take(digit(page, 0));
        leaf.put(digit(page, 0), note);
        self.stored = self.stored + u64::from(stored) - u64::from(before.is_stored());
        Ok(())
    }

    /// Sees to it that a page can be noted. False if there is no memory for that.
    pub(super) fn make_room(&mut self, page: u64) -> bool {
        self.try_make_room(page).is_some()
    }

    fn try_make_room(&mut self, page: u64) -> Option<()> {
        if self.leaf(page).is_some() {
            return Some(());
        }
        let nodes = &*self.nodes;
        if self.root.is_none() {
            self.height = height(page);
        }
        while self.height < height(page) {
            let mut above = branch(nodes)?;
            if let Kind::Branch(children) = &mut above.0 {
                children[0] = self.root.take();
            }
            self.root = Some(above);
            self.height += 1;
        }
        let mut place = &mut self.root;
        for level in (1..=self.height).rev() {
            if place.is_none() {
                *place = Some(branch(nodes)?);
            }
            let Some(Kind::Branch(children)) = place.as_deref_mut().map(|node| &mut node.0) else {
                return None;
            };
            place = &mut children[digit(page, level)];
        }
        if place.is_none() {
            *place = Some(leaf(nodes)?);
        }
        Some(())
    }

    /// The pages from this one on that the store has, in order, with those that are on their way out of it.
    pub(super) fn in_store(&self, from: u64) -> impl Iterator<Item = u64> {
        let mut next = Some(from);
        core::iter::from_fn(move || {
            let (first, leaf) = self.leaf_from(next?)?;
            next = first.checked_add(FAN as u64);
            Some((first, leaf))
        })
        .flat_map(|(first, leaf)| {
            let stored = leaf.notes.iter().enumerate().filter(|(_, note)| note.is_stored());
            stored.map(move |(at, _)| first + at as u64)
        })
        .skip_while(move |page| *page < from)
    }

    /// The first leaf that has this page or later ones, with its first page.
    fn leaf_from(&self, page: u64) -> Option<(u64, &Leaf<L>)> {
        if height(page) > self.height {
            return None;
        }
        search(self.root.as_deref()?, self.height, 0, page)
    }

    /// The first page from this one on that the store has and for which this is true.
    pub(super) fn find(&self, page: u64, is_it: impl Fn(&L) -> bool) -> Option<u64> {
        self.find_note(page, |note| matches!(note, Packed::Stored(place) if is_it(place)))
    }

    /// The first page from this one on that was ever written.
    pub(super) fn find_noted(&self, page: u64) -> Option<u64> {
        self.find_note(page, |note| !matches!(note, Packed::Never))
    }

    fn find_note(&self, page: u64, is_it: impl Fn(&Packed<L>) -> bool) -> Option<u64> {
        let (mut first, mut leaf) = self.leaf_from(page)?;
        loop {
            let start = page.saturating_sub(first).min(FAN as u64) as usize;
            if let Some(at) = leaf.notes[start..].iter().position(&is_it) {
                return Some(first + (start + at) as u64);
            }
            (first, leaf) = self.leaf_from(first.checked_add(FAN as u64)?)?;
        }
    }

    /// Forgets the pages of one leaf: each of their notes goes to `forgotten`. False if there are none left.
    pub(super) fn forget_some(&mut self, mut forgotten: impl FnMut(Note<L>)) -> bool {
        let Some(mut node) = take_leaf(&mut self.root, &*self.nodes) else { return false };
        if let Kind::Leaf(leaf) = &mut node.0 {
            for at in 0..FAN {
                let note = leaf.take(at);
                self.stored -= u64::from(note.is_stored());
                forgotten(note);
            }
        }
        self.nodes.give(node);
        true
    }
}

impl<L> Leaf<L> {
    fn is_out(&self, at: usize) -> bool {
        let (byte, bit) = Self::bit(at);
        matches!(self.notes[at], Packed::Stored(_)) && self.in_kernel[byte] & bit == 0
    }
}

/// The first leaf of `node`, at `level` and with pages from `first` on, that has `page` or later ones.
fn search<L>(node: &Node<L>, level: u32, first: u64, page: u64) -> Option<(u64, &Leaf<L>)> {
    match &node.0 {
        Kind::Leaf(leaf) => Some((first, leaf)),
        Kind::Branch(children) => {
            let start = if page > first { digit(page, level) } else { 0 };
            children.iter().enumerate().skip(start).find_map(|(at, child)| {
                let first = first + ((at as u64) << (BITS * level));
                search(child.as_deref()?, level - 1, first, page)
            })
        }
        Kind::Free(_) => None,
    }
}

/// Takes a leaf off a tree, and gives the branches back that have none any more.
fn take_leaf<L>(place: &mut Option<Box<Node<L>>>, nodes: &dyn Nodes<L>) -> Option<Box<Node<L>>> {
    if let Kind::Branch(children) = &mut place.as_deref_mut()?.0 {
        if let Some(leaf) = children.iter_mut().find_map(|child| take_leaf(child, nodes)) {
            return Some(leaf);
        }
        nodes.give(place.take()?);
        return None;
    }
    place.take()
}

fn branch<L>(nodes: &dyn Nodes<L>) -> Option<Box<Node<L>>> {
    let mut node = nodes.take()?;
    node.0 = Kind::Branch([const { None }; FAN]);
    Some(node)
}

fn leaf<L>(nodes: &dyn Nodes<L>) -> Option<Box<Node<L>>> {
    let mut node = nodes.take()?;
    node.0 = Kind::Leaf(Leaf { in_kernel: [0; FAN / 8], notes: [const { Packed::Never }; FAN] });
    Some(node)
}

impl<L> Drop for Map<L> {
    fn drop(&mut self) {
        while self.forget_some(drop) {}
    }
}

impl<L> core::fmt::Debug for Map<L> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Map")
            .field("height", &self.height)
            .field("stored", &self.stored)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    extern crate std;

    use alloc::collections::{BTreeMap, BTreeSet};
    use alloc::vec::Vec;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use proptest::prelude::*;

    use super::super::{Record, Records};
    use super::*;

    /// As many nodes as one likes, or fewer, and records of pages.
    pub(in crate::object) struct Heap<T = ()> {
        pub(in crate::object) left: AtomicUsize,
        records: Mutex<Vec<Option<T>>>,
    }

    impl<T> Heap<T> {
        pub(in crate::object) fn new(left: usize) -> Arc<Self> {
            Arc::new(Self { left: AtomicUsize::new(left), records: Mutex::default() })
        }

        /// How many records there are.
        pub(in crate::object) fn records(&self) -> usize {
            self.records.lock().unwrap().iter().flatten().count()
        }
    }

    impl<L: Send, D: Send> Records<L, D> for Heap<Record<L, D>> {
        fn put(&self, record: Record<L, D>) -> u32 {
            let mut records = self.records.lock().unwrap();
            records.push(Some(record));
            records.len() as u32 - 1
        }

        fn take(&self, at: u32) -> Record<L, D> {
            self.records.lock().unwrap()[at as usize].take().expect("it was put there")
        }
    }

    impl<L: Send, T: Send> Nodes<L> for Heap<T> {
        fn take(&self) -> Option<Box<Node<L>>> {
            self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).ok()?;
            Some(Box::new(Node::free(None)))
        }

        fn give(&self, _node: Box<Node<L>>) {
            self.left.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn a_node_has_ten_bytes_for_a_page_and_a_bit() {
        use crate::store::{Slot, Stored};
        assert_eq!(size_of::<Packed<Stored<Slot>>>(), 10);
        assert_eq!(Node::<Stored<Slot>>::size(), 648);
    }

    #[test]
    fn a_tree_is_as_high_as_its_last_page_needs() {
        let all = [(0, 0), (63, 0), (64, 1), (4095, 1), (4096, 2), (1 << 52, 8), (u64::MAX, 10)];
        for (page, levels) in all {
            assert_eq!(height(page), levels, "{page}");
            let heap = Heap::<()>::new(100);
            let mut map = Map::<u32>::new(heap.clone());
            assert!(map.make_room(page));
            assert_eq!(heap.left.load(Relaxed), 100 - 1 - levels as usize);
            assert_eq!(map.put(page, Note::Out(7)), Ok(()));
            assert_eq!(map.in_store(0).collect::<Vec<_>>(), [page]);
            drop(map);
            assert_eq!(heap.left.load(Relaxed), 100);
        }
    }

    #[test]
    fn what_went_back_is_told_by_its_ticket() {
        let precious = Precious::new(0x12_3456_789a, 70_000, true, 3);
        assert_eq!((precious.ticket(), precious.times()), (0x12_3456_789a, 65_535));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u64, u8, u32),
        Take(u64),
        Forget,
    }

    fn page() -> impl Strategy<Value = u64> {
        prop_oneof![4 => 0..200_u64, 2 => 4000..4200_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            12 => (page(), 0..7_u8, any::<u32>()).prop_map(|(page, kind, place)| Step::Put(page, kind, place)),
            6 => page().prop_map(Step::Take),
            1 => Just(Step::Forget),
        ]
    }

    fn note(kind: u8, place: u32) -> Note<u32> {
        match kind {
            0 => Note::Never,
            1 => Note::Recorded(Recorded::new(place, place % 2 == 0)),
            6 => Note::Transfer(Transfer::new(place.into(), TransferKind::Read)),
            2 => Note::Precious(Precious::new(place.into(), place, place % 2 == 0, place as u8)),
            3 => Note::Lost,
            4 => Note::Out(place),
            _ => Note::In(place),
        }
    }

    /// Those whose place in the store is in use still.
    fn is_stored(note: &Note<u32>) -> bool {
        let in_record = matches!(note, Note::Recorded(recorded) if recorded.at() % 2 == 0);
        in_record || place(note).is_some() || matches!(note, Note::Transfer(_))
    }

    fn place(note: &Note<u32>) -> Option<u32> {
        if let Note::Out(place) | Note::In(place) = note { Some(*place) } else { None }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn it_does_what_an_ordinary_map_does(nodes in 0..40_usize, steps in prop::collection::vec(step(), 1..200)) {
            let heap = Heap::<()>::new(nodes);
            let mut map = Map::<u32>::new(heap.clone());
            let mut model: BTreeMap<u64, Note<u32>> = BTreeMap::new();
            let mut leaves = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Put(page, kind, place) => {
                        let had = map.contains(page);
                        let left = heap.left.load(Relaxed);
                        let room = map.make_room(page);
                        prop_assert!(room || !had && left < 22, "there is room for what is noted already");
                        let put = map.put(page, note(kind, place));
                        prop_assert_eq!(put.is_ok(), room);
                        if put.is_ok() {
                            model.insert(page, note(kind, place));
                            leaves.insert(page / 64);
                        }
                    }
                    Step::Take(page) => {
                        prop_assert_eq!(map.take(page), model.remove(&page).unwrap_or_default());
                    }
                    Step::Forget => {
                        // The first leaf is the one that goes.
                        let first = leaves.pop_first();
                        let mut places = Vec::new();
                        prop_assert_eq!(map.forget_some(|note| places.extend(place(&note))), first.is_some());
                        let of_leaf = model.iter().filter(|(page, _)| Some(*page / 64) == first);
                        prop_assert_eq!(places, of_leaf.filter_map(|(_, note)| place(note)).collect::<Vec<_>>());
                        model.retain(|page, _| Some(*page / 64) != first);
                    }
                }
                let stored: Vec<_> = model.iter().filter(|(_, note)| is_stored(note)).map(|(page, _)| *page).collect();
                prop_assert_eq!(map.stored(), stored.len() as u64);
                prop_assert_eq!(map.in_store(0).collect::<Vec<_>>(), stored);
                for (page, note) in &model {
                    prop_assert_eq!(map.contains(*page), *note != Note::Never);
                    prop_assert_eq!(map.is_out(*page), matches!(note, Note::Out(_)));
                }
            }
            drop(map);
            prop_assert_eq!(heap.left.load(Relaxed), nodes, "every node comes back");
        }
    }
}
