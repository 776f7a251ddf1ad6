//! Which pages there are, where each of them is, and what to do about it: plain data, without memory or
//! messages.
//!
//! Whoever uses this does what it says, and tells it what became of that. A page holds a frame, one of a
//! limited number, from the moment in which it is decided to bring it in until it has left. Nothing here
//! waits: where there is no room the answer is [`NoRoom`](Fault::NoRoom), and the thread that wants the page
//! asks again.

use std::collections::VecDeque;
use std::ops::Range;

use ahash::AHashMap;

/// Pages that managers could not keep and have given back may be this many more than there should be. Room is
/// made for each of them, so that this is reached only where no other page can leave.
const OVERDRAFT: usize = 64;

/// While no page leaves, this many may come beyond the limit at once, and after that one more each time when
/// this many microseconds have gone by. Whoever wants others waits; but nobody does so for ever, since the
/// one who keeps the pages may wait for a thread that wants one.
const BEYOND: usize = 32;
const TURN: u64 = 5_000;

/// The number of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectId(pub(crate) u64);

/// Where a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has touched it yet.
    Untouched,
    /// Its manager has been asked for it, at this time; a frame waits. If it was asked for ahead, nobody had
    /// touched it then.
    Requested {
        since: u64,
        ahead: bool,
    },
    /// Its content is here, and is being put in its place.
    Placing,
    Resident,
    /// A call reads or writes it.
    Held,
    /// It has been put aside with this batch, and comes back at once if somebody touches it.
    Aside {
        batch: u64,
    },
    /// It is being taken away, and may be on its way to its manager.
    Leaving,
    /// Its manager has it.
    Out,
    /// It cannot be had any more.
    Failed,
}

/// What is known of a page.
#[derive(Clone, Copy, Debug)]
struct Page {
    state: State,
    /// The hash of what its manager has, or had: what comes back must be the same.
    content: Option<u64>,
    /// Somebody may have written to it since that was known, where that is noticed.
    written: bool,
    /// It is not its manager that has this, but the process that this one is a child of.
    inherited: bool,
    /// The manager has given its only copy away.
    precious: bool,
    /// It has come back while it was leaving.
    back: bool,
    /// A thread waits until it has left.
    wanted: bool,
    /// How many pages had come when it came last.
    came: u64,
}

impl Page {
    const NEW: Self = Self {
        state: State::Untouched,
        content: None,
        written: false,
        inherited: false,
        precious: false,
        back: false,
        wanted: false,
        came: 0,
    };
}

/// Where a page of memory is that a process has from its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inherited {
    /// Nobody has touched it.
    Untouched,
    /// In its place.
    Here,
    /// Where the parent has put it.
    Kept,
}

/// One object.
#[derive(Debug)]
struct Object {
    manager: Manager,
    pages: Vec<Page>,
}

/// What is known of an object's manager.
#[derive(Debug, Default)]
struct Manager {
    /// It has the pages that nobody has touched, too.
    external: bool,
    /// It is gone: what is not here will not come.
    dead: bool,
    /// Requests that may be open still, in the order in which they were made.
    requests: VecDeque<(u64, usize)>,
    /// Since when it takes no messages.
    congested: Option<u64>,
    /// Nothing is sent to it for a while.
    blocked: bool,
    /// Where pages are touched in order, the last one first.
    streams: VecDeque<Stream>,
}

/// A place where pages are touched in order, as by one of several threads.
#[derive(Clone, Copy, Debug)]
struct Stream {
    /// Where the next fault is.
    next: usize,
    /// How many pages the manager was asked for at the last one.
    window: usize,
}

impl Manager {
    /// How many pages a fault may ask for: more each time where pages are touched in order. Some of them may
    /// be here already.
    fn window(&mut self, index: usize) -> usize {
        let goes_on = |stream: &Stream| (stream.next..stream.next + CLUSTER).contains(&index);
        let at = self.streams.iter().position(goes_on);
        let before = at.and_then(|at| self.streams.remove(at)).map_or(0, |stream| stream.window);
        (2 * before).clamp(1, WINDOW)
    }

    fn asked(&mut self, next: usize, window: usize) {
        self.streams.truncate(STREAMS - 1);
        self.streams.push_front(Stream { next, window });
    }
}

/// How many of an object's streams are known.
const STREAMS: usize = 16;

/// The most pages that a manager is asked for at once: as many as a message has.
pub(crate) const WINDOW: usize = 32;

/// Pages that are brought back at once, if they were put aside together: 64 KiB that lie side by side.
pub(crate) const CLUSTER: usize = 16;

/// What is put aside is at most this part of what may be here, and at least that one.
const MOST_ASIDE: usize = 4;
const LEAST_ASIDE: usize = 8;

/// True if a request that was made at a time has not been answered.
fn is_open(pages: &[Page], (since, page): (u64, usize)) -> bool {
    matches!(pages[page].state, State::Requested { since: of_page, .. } if of_page == since)
}

/// What to do for a thread that wants a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Wake the thread: the page is here.
    Wake,
    /// Nothing: the thread is woken when the page has come, or has gone.
    Wait,
    /// Put a page of zeros there, and then say [`placed`](Pages::placed).
    Zero,
    /// Bring these pages back from where they were put aside, and then say [`placed`](Pages::placed).
    Rescue(Rescue),
    /// Put the page there that was inherited, and say [`inherited`](Pages::inherited) and then
    /// [`placed`](Pages::placed).
    Inherit,
    /// Ask the manager for this many pages, from this one on.
    Request(usize),
    /// Make room, and let the thread try again.
    NoRoom,
    /// The access is an error.
    Fail,
}

/// Pages that were put aside together and come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rescue {
    pub(crate) batch: u64,
    /// The first page of their cluster.
    first: usize,
    /// A bit for each of the cluster's pages.
    which: u16,
    /// And for those that nobody has written to.
    unwritten: u16,
}

impl Rescue {
    pub(crate) fn pages(self) -> impl Iterator<Item = usize> {
        (0..CLUSTER).filter(move |at| self.which & 1 << at != 0).map(move |at| self.first + at)
    }

    /// True if it is known what is in a page, and nobody has written to it.
    pub(crate) fn is_unwritten(self, page: usize) -> bool {
        self.unwritten & 1 << (page - self.first) != 0
    }

    /// From the first of them to the last.
    pub(crate) fn span(self) -> Range<usize> {
        let end = CLUSTER - self.which.leading_zeros() as usize;
        self.first + self.which.trailing_zeros() as usize..self.first + end
    }
}

/// What to do about a page that somebody will want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// Ask the manager for this many pages, from this one on.
    Request(usize),
    /// Make room, and try again.
    NoRoom,
    Nothing,
}

/// What to do with a page that a manager has supplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Put it in its place, and then say [`placed`](Pages::placed).
    Place,
    /// Its manager does not keep it, and there is no room. Make some, and ask [again](Pages::arrived_again).
    NoRoom,
    /// Forget it: the page is here, or its manager has it.
    Refuse,
    /// It is not what the manager was given, or there is no place for it: the page has failed, and whoever
    /// waits for it must be told.
    Fail,
}

/// What becomes of a page that its manager cannot give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It was not wanted.
    Nothing,
    /// It was asked for ahead. Whoever wants it now asks again, and until then it may be had.
    Again,
    /// It has failed, and whoever waits for it must be told.
    Failed,
}

/// A page that has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Victim {
    pub(crate) object: ObjectId,
    pub(crate) page: usize,
}

/// A page whose content nobody wants any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Discarded {
    pub(crate) page: usize,
    pub(crate) is_resident: bool,
    /// Its manager has some content of it.
    pub(crate) is_stored: bool,
}

/// What to do with the content of a page that has been taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// Nothing: it can be had again.
    Drop,
    /// Return it to its manager.
    Return,
}

/// What a call finds that wants to read or write a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The page is the call's alone until that [releases](Pages::release) it.
    Held,
    /// It is another one's at the moment, or about to come or to go.
    Wait,
    /// It must be [brought](Pages::fault) first.
    Absent,
}

/// What has become of a page that was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    Left,
    /// Its manager has given it back. Put it in its place again, and then say [`placed`](Pages::placed).
    Back,
}

/// All objects, and the frames that their pages share.
#[derive(Debug)]
pub(crate) struct Pages {
    objects: AHashMap<ObjectId, Object>,
    next: u64,
    /// Resident pages, in the order in which they came, with [`Page::came`]. Some may have left since.
    queue: VecDeque<(Victim, u64)>,
    /// How many pages have come.
    came: u64,
    /// Pages that were put aside, in the order in which they were. Some may have been brought back.
    batches: VecDeque<(u64, Vec<Victim>)>,
    next_batch: u64,
    /// How many pages are aside, and how many may be for some time.
    aside: usize,
    most_aside: usize,
    /// How many were brought back, and left, since that was decided.
    rescued: usize,
    retired: usize,
    limit: usize,
    /// How many want that no page leaves, how many may be here beyond the limit meanwhile, and from when on
    /// one more may.
    keepers: usize,
    beyond: usize,
    next_turn: u64,
    used: usize,
    peak: usize,
    /// The hash of a page of zeros.
    zeros: u64,
    /// A page that was written has changed, whatever is in it.
    exact: bool,
}

impl Pages {
    pub(crate) fn new(limit: usize, zeros: u64, exact: bool) -> Self {
        Self {
            objects: AHashMap::new(),
            next: 0,
            queue: VecDeque::new(),
            came: 0,
            batches: VecDeque::new(),
            next_batch: 0,
            aside: 0,
            most_aside: limit / LEAST_ASIDE,
            rescued: 0,
            retired: 0,
            limit,
            keepers: 0,
            beyond: 0,
            next_turn: 0,
            used: 0,
            peak: 0,
            zeros,
            exact,
        }
    }

    /// A new object of this many pages. A manager has those of an `external` one from the start.
    pub(crate) fn add(&mut self, pages: usize, external: bool) -> ObjectId {
        let id = ObjectId(self.next);
        self.next += 1;
        let manager = Manager { external, ..Manager::default() };
        self.objects.insert(id, Object { manager, pages: vec![Page::NEW; pages] });
        id
    }

    /// A new object of memory that the process had at its start, with these pages.
    pub(crate) fn inherit(&mut self, pages: impl Iterator<Item = Inherited>) -> ObjectId {
        let id = self.add(0, false);
        let all = pages.map(|page| match page {
            Inherited::Untouched => Page::NEW,
            Inherited::Here => Page { state: State::Placing, ..Page::NEW },
            Inherited::Kept => Page { state: State::Out, inherited: true, ..Page::NEW },
        });
        let all: Vec<Page> = all.collect();
        let here = |(index, page): (usize, &Page)| (page.state == State::Placing).then_some(index);
        let here: Vec<usize> = all.iter().enumerate().filter_map(here).collect();
        if let Some(object) = self.objects.get_mut(&id) {
            object.pages = all;
        }
        for page in here {
            self.take_frame();
            self.placed(id, page);
        }
        id
    }

    /// What was inherited of a page is being put in its place; `None` if it cannot be had any more.
    pub(crate) fn inherited(&mut self, id: ObjectId, index: usize, content: Option<u64>) {
        let Some((_, page)) = self.object_and_page(id, index) else { return };
        match content {
            Some(_) => page.content = content,
            None => {
                page.state = State::Failed;
                self.used -= 1;
            }
        }
    }

    /// Frames in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// True if a page can come.
    pub(crate) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// Pages that can come.
    pub(crate) fn room(&self) -> usize {
        (self.limit + self.beyond).saturating_sub(self.used)
    }

    /// True if pages have to leave.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.keepers == 0 && self.used > self.limit
    }

    /// No page leaves until [`keep_no_more`](Self::keep_no_more), and few of them come beyond the limit.
    pub(crate) fn keep(&mut self) {
        self.keepers += 1;
        self.beyond = BEYOND.max(self.beyond);
    }

    pub(crate) fn keep_no_more(&mut self) {
        self.keepers -= 1;
        if self.keepers == 0 {
            self.beyond = 0;
        }
    }

    /// While pages are kept one more may come now and then. True if it may.
    fn may_go_beyond(&mut self, now: u64) -> bool {
        let may = self.keepers > 0 && now >= self.next_turn;
        if may {
            self.next_turn = now + TURN;
            self.beyond = (self.used + 1).saturating_sub(self.limit);
        }
        may
    }

    /// Pages that have been touched and are on their way.
    pub(crate) fn absent(&self) -> Vec<(ObjectId, usize)> {
        let is_on_its_way = |state| {
            matches!(state, State::Requested { .. } | State::Placing | State::Aside { .. } | State::Leaving)
        };
        let of_object = |(id, object): (&ObjectId, &Object)| -> Vec<_> {
            let pages = object.pages.iter().enumerate().filter(|(_, page)| is_on_its_way(page.state));
            pages.map(|(index, _)| (*id, index)).collect()
        };
        self.objects.iter().flat_map(of_object).collect()
    }

    /// Pages of an object that are with the process which this one is a child of.
    pub(crate) fn kept_elsewhere(&self, id: ObjectId) -> Vec<usize> {
        let Some(object) = self.objects.get(&id) else { return Vec::new() };
        let pages = object.pages.iter().enumerate();
        pages.filter(|(_, page)| page.inherited && page.state == State::Out).map(|(at, _)| at).collect()
    }

    /// The most frames that were ever in use.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// A thread wants a page. `now` is a time in microseconds.
    pub(crate) fn fault(&mut self, id: ObjectId, index: usize, now: u64) -> Fault {
        let has_room = self.has_room();
        let Some((manager, page)) = self.object_and_page(id, index) else { return Fault::Fail };
        let wanted = match page.state {
            State::Resident | State::Held => return Fault::Wake,
            State::Requested { .. } | State::Placing => return Fault::Wait,
            State::Leaving => {
                page.wanted = true;
                return Fault::Wait;
            }
            State::Aside { batch } => return Fault::Rescue(self.rescue(id, index, batch)),
            State::Failed => return Fault::Fail,
            State::Untouched if !manager.external => Fault::Zero,
            State::Out if page.inherited => Fault::Inherit,
            State::Untouched | State::Out if manager.dead => {
                page.state = State::Failed;
                return Fault::Fail;
            }
            State::Untouched | State::Out => Fault::Request(1),
        };
        if !has_room && !self.may_go_beyond(now) {
            return Fault::NoRoom;
        }
        let Some((_, page)) = self.object_and_page(id, index) else { return Fault::Fail };
        if matches!(wanted, Fault::Zero | Fault::Inherit) {
            page.state = State::Placing;
            self.take_frame();
            return wanted;
        }
        Fault::Request(self.request(id, index, WINDOW, now, false))
    }

    /// Somebody says that pages will be touched, from this one on and no more than this many. Returns how
    /// many of them the manager is to be asked for.
    pub(crate) fn will_need(&mut self, id: ObjectId, index: usize, most: usize, now: u64) -> Ahead {
        let has_room = self.has_room();
        let Some((manager, page)) = self.object_and_page(id, index) else { return Ahead::Nothing };
        match page.state {
            State::Out if manager.dead || page.inherited => Ahead::Nothing,
            State::Untouched if manager.dead || !manager.external => Ahead::Nothing,
            State::Out | State::Untouched if !has_room => Ahead::NoRoom,
            State::Out | State::Untouched => {
                // It is known where the next ones are.
                manager.asked(index, WINDOW);
                Ahead::Request(self.request(id, index, most, now, true))
            }
            _ => Ahead::Nothing,
        }
    }

    /// Requests a page and, if pages are touched in order, some of those after it: more each time, as far as
    /// the default manager has them and there are frames. A manager that others have
    /// chosen is asked for single pages, as Mach's kernels ask. It may supply more.
    fn request(&mut self, id: ObjectId, index: usize, most: usize, now: u64, ahead: bool) -> usize {
        let left = self.room().min(most);
        let Some(Object { manager, pages }) = self.objects.get_mut(&id) else { return 0 };
        let window = if manager.external { 1 } else { manager.window(index) };
        let most = window.min(left);
        let after = pages[index + 1..]
            .iter()
            .take(most - 1)
            .take_while(|page| page.state == State::Out && !page.inherited);
        let count = 1 + after.count();
        // Those that have been answered need not be looked at again.
        while manager.requests.front().is_some_and(|first| !is_open(pages, *first)) {
            manager.requests.pop_front();
        }
        for (at, page) in (index..).zip(&mut pages[index..index + count]) {
            page.state = State::Requested { since: now, ahead: ahead || at > index };
            manager.requests.push_back((now, at));
        }
        if !manager.external {
            manager.asked(index + count, window);
        }
        self.used += count;
        self.peak = self.peak.max(self.used);
        count
    }

    /// A request for a page could not be sent.
    pub(crate) fn not_requested(&mut self, id: ObjectId, index: usize) {
        let Some((_, page)) = self.object_and_page(id, index) else { return };
        if matches!(page.state, State::Requested { .. }) {
            page.state = if page.content.is_some() { State::Out } else { State::Untouched };
            self.used -= 1;
        }
    }

    /// A manager supplies a page, whose hash this is.
    pub(crate) fn arrived(&mut self, id: ObjectId, index: usize, content: u64, precious: bool) -> Arrival {
        self.arrives(id, index, content, precious, 0)
    }

    /// The same once more for a page for which there was [no room](Arrival::NoRoom), after all has been done
    /// to make some.
    pub(crate) fn arrived_again(&mut self, id: ObjectId, index: usize, content: u64) -> Arrival {
        self.arrives(id, index, content, true, OVERDRAFT)
    }

    fn arrives(
        &mut self,
        id: ObjectId,
        index: usize,
        content: u64,
        precious: bool,
        overdraft: usize,
    ) -> Arrival {
        // What comes back while pages are kept was on its way when that began.
        let has_room = self.keepers > 0 || self.room() + overdraft > self.used.saturating_sub(self.limit);
        let Some((manager, page)) = self.object_and_page(id, index) else { return Arrival::Refuse };
        let requested = matches!(page.state, State::Requested { .. });
        match page.state {
            _ if manager.dead => return Arrival::Refuse,
            State::Resident | State::Held | State::Placing | State::Aside { .. } => {
                // What is here is as new or newer, and the only one there is.
                page.precious |= precious;
                return Arrival::Refuse;
            }
            State::Failed => return Arrival::Refuse,
            State::Leaving => {
                page.back |= precious;
                return Arrival::Refuse;
            }
            State::Untouched if !manager.external => return Arrival::Refuse,
            State::Requested { .. } => {}
            // The manager has it still, and is asked for it when somebody wants it.
            State::Untouched | State::Out if !has_room && !precious => return Arrival::Refuse,
            State::Untouched | State::Out if !has_room && overdraft == 0 => return Arrival::NoRoom,
            State::Untouched | State::Out => {}
        }
        let changed = page.content.is_some_and(|before| before != content);
        if changed || (!has_room && !requested) {
            page.state = State::Failed;
            self.used -= usize::from(requested);
            return Arrival::Fail;
        }
        *page = Page { state: State::Placing, content: Some(content), precious, ..Page::NEW };
        if !requested {
            self.take_frame();
        }
        Arrival::Place
    }

    /// A manager says that it does not have a page: it is all zeros, if it was not returned once.
    pub(crate) fn unavailable(&mut self, id: ObjectId, index: usize) -> Arrival {
        let zeros = self.zeros;
        match self.object_and_page(id, index) {
            Some((_, Page { state: State::Requested { .. }, .. })) => self.arrived(id, index, zeros, false),
            _ => Arrival::Refuse,
        }
    }

    /// A manager cannot give a page.
    pub(crate) fn refused(&mut self, id: ObjectId, index: usize) -> Refusal {
        let Some((manager, page)) = self.object_and_page(id, index) else { return Refusal::Nothing };
        let State::Requested { ahead, .. } = page.state else { return Refusal::Nothing };
        // As long as it is so, each page that is asked for ahead is asked for in vain, and a manager may give
        // one up after a few times.
        manager.streams.clear();
        if ahead {
            self.not_requested(id, index);
            return Refusal::Again;
        }
        page.state = State::Failed;
        self.used -= 1;
        Refusal::Failed
    }

    /// The page is in its place.
    pub(crate) fn placed(&mut self, object: ObjectId, index: usize) {
        let Some((_, page)) = self.object_and_page(object, index) else { return };
        page.state = State::Resident;
        page.precious |= std::mem::take(&mut page.back);
        self.came += 1;
        let came = self.came;
        if let Some((_, page)) = self.object_and_page(object, index) {
            page.came = came;
        }
        self.queue.push_back((Victim { object, page: index }, came));
        if self.queue.len() > 2 * (self.limit + OVERDRAFT) {
            self.forget_those_that_left();
        }
    }

    /// Pages that left without having been victims are in the queue still, and again if they came back.
    fn forget_those_that_left(&mut self) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.retain(|(next, came)| {
            let page = self.objects.get(&next.object).and_then(|object| object.pages.get(next.page));
            let is_here = |page: &Page| matches!(page.state, State::Resident | State::Held);
            page.is_some_and(|page| is_here(page) && page.came == *came)
        });
        self.queue = queue;
    }

    /// Pages to be taken away, at most this many: those that have been here longest, except where a manager
    /// takes nothing at present. Those that lie side by side follow each other.
    pub(crate) fn victims(&mut self, most: usize) -> Vec<Victim> {
        let mut victims = Vec::new();
        for _ in 0..self.queue.len() {
            if victims.len() == most || self.keepers > 0 {
                break;
            }
            let Some((next, came)) = self.queue.pop_front() else { break };
            let Some((manager, page)) = self.object_and_page(next.object, next.page) else { continue };
            if !matches!(page.state, State::Resident | State::Held) || page.came != came {
                continue;
            }
            if manager.blocked || page.state == State::Held {
                self.queue.push_back((next, came));
                continue;
            }
            page.state = State::Leaving;
            victims.push(next);
        }
        victims.sort_unstable();
        victims
    }

    /// Pages that were [taken away](Self::victims) are kept for a while. Returns the number of their batch.
    pub(crate) fn put_aside(&mut self, victims: Vec<Victim>) -> u64 {
        let batch = self.next_batch;
        self.next_batch += 1;
        for victim in &victims {
            let Some((_, page)) = self.object_and_page(victim.object, victim.page) else { continue };
            page.state = State::Aside { batch };
            self.aside += 1;
        }
        self.batches.push_back((batch, victims));
        batch
    }

    /// True if no more pages are to be put aside than leave.
    pub(crate) fn has_enough_aside(&self) -> bool {
        self.aside > self.most_aside
    }

    /// Somebody wants a page that was put aside. Those of its cluster come with it.
    fn rescue(&mut self, id: ObjectId, index: usize, batch: u64) -> Rescue {
        let first = index / CLUSTER * CLUSTER;
        let mut rescue = Rescue { batch, first, which: 0, unwritten: 0 };
        let Some(object) = self.objects.get_mut(&id) else { return rescue };
        for (at, page) in object.pages[first..].iter_mut().take(CLUSTER).enumerate() {
            if page.state == (State::Aside { batch }) {
                page.state = State::Placing;
                rescue.which |= 1 << at;
                rescue.unwritten |= u16::from(page.content.is_some() && !page.written) << at;
            }
        }
        self.aside -= rescue.which.count_ones() as usize;
        self.rescued += 1;
        rescue
    }

    /// The same for all pages of a range, as far as they are aside.
    pub(crate) fn rescue_all(&mut self, id: ObjectId, range: Range<usize>) -> Vec<Rescue> {
        let mut all = Vec::new();
        let end = self.objects.get(&id).map_or(0, |object| range.end.min(object.pages.len()));
        for index in range.start.min(end)..end {
            if let Some((_, Page { state: State::Aside { batch }, .. })) = self.object_and_page(id, index) {
                let batch = *batch;
                all.push(self.rescue(id, index, batch));
            }
        }
        all
    }

    /// Pages that have been aside for the longest time, with their batch: they are leaving from now on.
    /// `None` if there is room and no more are aside than may be, or none are.
    pub(crate) fn retire(&mut self) -> Option<(u64, Vec<Victim>)> {
        if self.keepers > 0 || (self.has_room() && self.aside <= self.most_aside) {
            return None;
        }
        let (batch, mut victims) = self.batches.pop_front()?;
        victims.retain(|victim| match self.object_and_page(victim.object, victim.page) {
            Some((_, page)) if page.state == (State::Aside { batch }) => {
                page.state = State::Leaving;
                true
            }
            _ => false,
        });
        self.aside -= victims.len();
        self.retired += victims.len();
        self.share_anew();
        Some((batch, victims))
    }

    /// Where many of those that were put aside are wanted again, more are put aside; where hardly any are,
    /// the room is better used for those that are here.
    fn share_anew(&mut self) {
        let all = self.retired + self.rescued;
        if all < self.limit / 2 {
            return;
        }
        let step = (self.limit / 32).max(1);
        if self.rescued * 8 > all {
            self.most_aside = (self.most_aside + step).min(self.limit / MOST_ASIDE);
        } else if self.rescued * 32 < all {
            self.most_aside = self.most_aside.saturating_sub(step).max(self.limit / LEAST_ASIDE);
        }
        (self.retired, self.rescued) = (0, 0);
    }

    /// The resident pages of a range, to be taken away: none if there are no more, or those that there are
    /// [are not settled](Self::is_unsettled).
    pub(crate) fn take(&mut self, id: ObjectId, range: Range<usize>, most: usize) -> Vec<Victim> {
        let Some(object) = self.objects.get_mut(&id) else { return Vec::new() };
        let end = range.end.min(object.pages.len());
        let resident =
            (range.start.min(end)..end).filter(|page| object.pages[*page].state == State::Resident);
        let taken: Vec<Victim> = resident.take(most).map(|page| Victim { object: id, page }).collect();
        taken.iter().for_each(|victim| object.pages[victim.page].state = State::Leaving);
        taken
    }

    /// The pages of a range whose content nobody wants any more, to be taken away. They are leaving from now
    /// on. False if others are on their way at present, and must be asked for again.
    pub(crate) fn discard(&mut self, id: ObjectId, range: Range<usize>) -> (Vec<Discarded>, bool) {
        let Some(object) = self.objects.get_mut(&id) else { return (Vec::new(), true) };
        let end = range.end.min(object.pages.len());
        let (mut discarded, mut all) = (Vec::new(), true);
        for index in range.start.min(end)..end {
            let page = &mut object.pages[index];
            let is_resident = match page.state {
                State::Untouched => continue,
                State::Requested { .. }
                | State::Placing
                | State::Held
                | State::Aside { .. }
                | State::Leaving => {
                    all = false;
                    continue;
                }
                state => state == State::Resident,
            };
            page.state = State::Leaving;
            discarded.push(Discarded {
                page: index,
                is_resident,
                is_stored: page.content.is_some() && !page.inherited,
            });
        }
        (discarded, all)
    }

    /// A page is as if nobody had touched it.
    pub(crate) fn discarded(&mut self, id: ObjectId, discarded: &Discarded) {
        let Some((_, page)) = self.object_and_page(id, discarded.page) else { return };
        *page = Page::NEW;
        self.used -= usize::from(discarded.is_resident);
    }

    /// A page has been taken away; this is the hash of what was in it.
    pub(crate) fn taken(&mut self, victim: Victim, content: u64) -> Farewell {
        let (zeros, exact) = (self.zeros, self.exact);
        let Some((manager, page)) = self.object_and_page(victim.object, victim.page) else {
            return Farewell::Drop;
        };
        let same = manager.dead
            || match page.content {
                Some(before) => before == content && !page.precious && !(exact && page.written),
                None => !manager.external && content == zeros,
            };
        if same { Farewell::Drop } else { Farewell::Return }
    }

    /// A page that was taken away, with this hash, is gone: dropped, or on its way to its manager, if that
    /// has not given it back meanwhile.
    pub(crate) fn gone(&mut self, victim: Victim, content: u64, returned: bool) -> Gone {
        let zeros = self.zeros;
        let Some((manager, page)) = self.object_and_page(victim.object, victim.page) else {
            return Gone::Left;
        };
        let back = std::mem::take(&mut page.back);
        if returned {
            (page.content, page.precious, page.inherited) = (Some(content), false, false);
            page.written = false;
        }
        if back {
            (page.state, page.precious) = (State::Placing, true);
            return Gone::Back;
        }
        page.state = match page.content {
            _ if returned => State::Out,
            None if content == zeros && !manager.external => State::Untouched,
            Some(before) if page.inherited && before == content => State::Out,
            // Nobody has it any more.
            _ if manager.dead => State::Failed,
            Some(_) => State::Out,
            None => State::Untouched,
        };
        self.used -= 1;
        Gone::Left
    }

    /// The hash of what is in a page, if it is known without a look at it where only calls write.
    pub(crate) fn known_content(&self, victim: Victim) -> Option<u64> {
        let page = self.objects.get(&victim.object)?.pages.get(victim.page)?;
        page.content.filter(|_| !page.written)
    }

    /// A call wants a page for itself, to read it or to write to it.
    pub(crate) fn hold(&mut self, id: ObjectId, index: usize, writes: bool) -> Hold {
        match self.object_and_page(id, index) {
            Some((_, page)) if page.state == State::Resident => {
                page.state = State::Held;
                page.written |= writes;
                Hold::Held
            }
            Some((_, Page { state: State::Held | State::Placing | State::Leaving, .. })) => Hold::Wait,
            _ => Hold::Absent,
        }
    }

    /// A call has read or written the page that it held.
    pub(crate) fn release(&mut self, id: ObjectId, index: usize) {
        if let Some((_, page)) = self.object_and_page(id, index) {
            page.state = State::Resident;
        }
    }

    /// True if a page of this range may be resident in a moment: a call holds it, or it is being put in its
    /// place, aside, or on its way to a manager that may not take it.
    pub(crate) fn is_unsettled(&self, id: ObjectId, range: Range<usize>) -> bool {
        let Some(Object { pages, .. }) = self.objects.get(&id) else { return false };
        let end = range.end.min(pages.len());
        let unsettled = |page: &Page| {
            matches!(page.state, State::Held | State::Placing | State::Aside { .. } | State::Leaving)
        };
        pages[range.start.min(end)..end].iter().any(unsettled)
    }

    /// How many pages are to be taken away at once where room is wanted: some of them, and no more than this.
    pub(crate) fn batch(&self, most: usize) -> usize {
        (self.limit / 16).clamp(1, most)
    }

    /// How many pages may be asked for before somebody touches them: some of them.
    pub(crate) fn most_ahead(&self) -> usize {
        (self.limit / 32).max(1)
    }

    /// True if a thread has waited until a page has left.
    pub(crate) fn was_wanted(&mut self, victim: Victim) -> bool {
        let page = self.object_and_page(victim.object, victim.page);
        page.is_some_and(|(_, page)| std::mem::take(&mut page.wanted))
    }

    /// A page that was to be taken away is in its place.
    pub(crate) fn stays(&mut self, victim: Victim) {
        // It may have been moved there and back.
        self.may_be_written(victim);
        self.placed(victim.object, victim.page);
    }

    /// From now on nobody notices when a page is written.
    pub(crate) fn may_be_written(&mut self, victim: Victim) {
        if let Some((_, page)) = self.object_and_page(victim.object, victim.page) {
            page.written = true;
        }
    }

    /// Somebody writes to a page that is protected. True if that may go on, or be tried again; otherwise
    /// whoever it is waits until the page has left.
    pub(crate) fn wrote(&mut self, id: ObjectId, index: usize) -> bool {
        let Some((_, page)) = self.object_and_page(id, index) else { return true };
        match page.state {
            State::Leaving => page.wanted = true,
            State::Resident | State::Held | State::Placing => page.written = true,
            _ => {}
        }
        page.state != State::Leaving
    }

    /// A manager has taken a message.
    pub(crate) fn took_message(&mut self, id: ObjectId) {
        let Some(object) = self.objects.get_mut(&id) else { return };
        (object.manager.congested, object.manager.blocked) = (None, false);
    }

    /// A manager has no room for a message. None of its pages is a victim until [`unblock`](Self::unblock).
    /// Returns since when it has had none.
    pub(crate) fn took_nothing(&mut self, id: ObjectId, now: u64) -> u64 {
        let Some(object) = self.objects.get_mut(&id) else { return now };
        object.manager.blocked = true;
        *object.manager.congested.get_or_insert(now)
    }

    /// Messages to all managers may be tried again.
    pub(crate) fn unblock(&mut self) {
        self.objects.values_mut().for_each(|object| object.manager.blocked = false);
    }

    /// The objects whose managers have owed an answer since before `then`.
    pub(crate) fn overdue(&mut self, then: u64) -> Vec<ObjectId> {
        let mut overdue = Vec::new();
        for (id, object) in &mut self.objects {
            while object.manager.requests.front().is_some_and(|first| !is_open(&object.pages, *first)) {
                object.manager.requests.pop_front();
            }
            if object.manager.requests.front().is_some_and(|(since, _)| *since < then) {
                overdue.push(*id);
            }
        }
        overdue
    }

    /// True if a manager owes an answer.
    pub(crate) fn is_anything_owed(&self) -> bool {
        self.objects.values().any(|object| !object.manager.requests.is_empty())
    }

    /// An object's manager is gone. Returns the pages that somebody may wait for; they have failed.
    pub(crate) fn bury(&mut self, id: ObjectId) -> Vec<usize> {
        let Some(object) = self.objects.get_mut(&id) else { return Vec::new() };
        object.manager.dead = true;
        object.manager.requests.clear();
        let mut failed = Vec::new();
        for (index, page) in object.pages.iter_mut().enumerate() {
            if matches!(page.state, State::Requested { .. }) {
                page.state = State::Failed;
                failed.push(index);
            }
        }
        self.used -= failed.len();
        failed
    }

    /// True if an object's manager is gone.
    pub(crate) fn is_dead(&self, id: ObjectId) -> bool {
        self.objects.get(&id).is_none_or(|object| object.manager.dead)
    }

    /// True if pages of an object are being put in their place or taken away.
    pub(crate) fn is_busy(&self, id: ObjectId) -> bool {
        let busy = |page: &Page| matches!(page.state, State::Placing | State::Leaving);
        self.objects.get(&id).is_some_and(|object| object.pages.iter().any(busy))
    }

    /// True if something is about to become of a page.
    pub(crate) fn is_coming(&self, id: ObjectId, index: usize) -> bool {
        let page = self.objects.get(&id).and_then(|object| object.pages.get(index));
        let coming = |state| matches!(state, State::Requested { .. } | State::Placing | State::Leaving);
        page.is_some_and(|page| coming(page.state))
    }

    /// Forgets an object that is not [busy](Self::is_busy), and whose memory is gone.
    pub(crate) fn remove(&mut self, id: ObjectId) {
        let Some(object) = self.objects.remove(&id) else { return };
        let holds = |page: &&Page| !matches!(page.state, State::Untouched | State::Out | State::Failed);
        self.used -= object.pages.iter().filter(holds).count();
        let is_aside = |page: &&Page| matches!(page.state, State::Aside { .. });
        self.aside -= object.pages.iter().filter(is_aside).count();
    }

    fn take_frame(&mut self) {
        self.used += 1;
        self.peak = self.peak.max(self.used);
    }

    fn object_and_page(&mut self, id: ObjectId, index: usize) -> Option<(&mut Manager, &mut Page)> {
        let Object { manager, pages } = self.objects.get_mut(&id)?;
        Some((manager, pages.get_mut(index)?))
    }
}

#[cfg(test)]
mod tests;
