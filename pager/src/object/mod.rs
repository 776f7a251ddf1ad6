//! A memory object as the pager sees it: its life, the order of its messages, its pages.
//!
//! Plain data: no kernel, no threads, no transfers. Whoever drives it does what it says, and tells it what
//! became of that.

use alloc::sync::Arc;

mod map;
mod order;
mod page;
#[cfg(test)]
mod tests;

pub use map::{Node, Nodes};
pub use order::{Order, Turn};
pub use page::{AfterRead, AfterWrite, Pages, Read, ReadFailure, Record, Records, Request, Ticket, Unstored};

/// Who made an object, and so who may send it messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel, by `memory_object_create`. Nobody else has a right to it. Its size was a hint.
    Internal,
    /// Somebody, by `default_pager_object_create`: whoever was given the right may map it, or send to it
    /// whatever they like.
    External {
        /// How many pages it has.
        pages: u64,
    },
}

/// Where an object is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No kernel uses it.
    Idle,
    /// A kernel uses it.
    Live,
    /// The kernel has ended its use; transfers are on their way still.
    Draining,
    /// Nobody has a right to it. Once no transfer is on its way, it can be forgotten.
    Dead,
}

/// A transfer of one of an object's pages that is on its way. It is to come back by
/// [`Object::transfer_ended`], without which the object never comes to rest.
#[must_use = "the object waits for the end of the transfer"]
#[derive(Debug)]
pub struct Begun(());

/// What to do for a requested page, with the transfer that it takes, if any.
pub type Asked<L> = (Request<L>, Option<Begun>);

/// A memory object. `L` and `D` are those of [`Pages`].
#[derive(Debug)]
pub struct Object<L, D> {
    order: Order,
    pages: Pages<L, D>,
    origin: Origin,
    phase: Phase,
    /// Transfers on their way.
    transfers: usize,
    /// Send rights that the pager has made.
    rights_made: u32,
    /// A kernel waits until the object is drained.
    next: bool,
}

/// What to do when a kernel begins to use an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Keep its rights; tell it that the object is ready.
    Ready,
    /// Keep its rights; [`Object::transfer_ended`] says when the object is ready.
    Later,
    /// Another kernel uses it, or nobody may: `memory_object_destroy`.
    Refuse,
}

/// What to do when a kernel ends its use of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminate {
    /// Release its rights.
    Release,
    /// Keep its rights until [`Object::transfer_ended`] says so.
    Later,
    /// No kernel uses it: the message is forged.
    Refuse,
}

/// What to do when nobody has a right to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSenders {
    /// A right has been made since: ask to be told again.
    Stale,
    /// Release everything and forget the object.
    Forget,
    /// The same, when [`Object::transfer_ended`] says so.
    Later,
}

/// What to do when the last transfer has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Release the rights of the kernel that has ended its use.
    Release,
    /// Release them, and tell the next kernel that the object is ready.
    ReleaseAndReady,
    /// Release everything and forget the object.
    Forget,
}

impl<L, D: Clone> Object<L, D> {
    /// A new object without contents. `hand_backs` and `memory` as for [`Pages::new`].
    pub fn new<M: Nodes<L> + Records<L, D> + 'static>(
        origin: Origin,
        hand_backs: u8,
        memory: Arc<M>,
    ) -> Self {
        let phase = match origin {
            Origin::Internal => Phase::Live,
            Origin::External { .. } => Phase::Idle,
        };
        Self {
            order: Order::default(),
            pages: Pages::new(hand_backs, memory),
            origin,
            phase,
            transfers: 0,
            rights_made: 0,
            next: false,
        }
    }

    /// Who made it.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether a message at this position is next.
    pub fn turn(&self, seqno: u32) -> Turn {
        self.order.turn(seqno)
    }

    /// The message that was next has been admitted or rejected.
    pub fn advance(&mut self) {
        self.order.advance();
    }

    /// Its pages.
    pub fn pages(&self) -> &Pages<L, D> {
        &self.pages
    }

    /// Its pages, for what begins no transfer.
    pub fn pages_mut(&mut self) -> &mut Pages<L, D> {
        &mut self.pages
    }

    /// How many pages it has, unless the kernel has made it.
    pub fn size(&self) -> Option<u64> {
        match self.origin {
            Origin::Internal => None,
            Origin::External { pages } => Some(pages),
        }
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// True if the object has this many pages from `page` on. An internal object has as many as can be
    /// addressed.
    pub fn has_pages(&self, page: u64, count: u64) -> bool {
        let limit = match self.origin {
            Origin::Internal => u64::MAX,
            Origin::External { pages } => pages,
        };
        page.checked_add(count).is_some_and(|end| end <= limit)
    }

    /// A kernel begins to use the object.
    pub fn init(&mut self) -> Init {
        match (self.origin, self.phase) {
            (Origin::External { .. }, Phase::Idle) => {
                self.phase = Phase::Live;
                Init::Ready
            }
            (Origin::External { .. }, Phase::Draining) if !self.next => {
                self.next = true;
                Init::Later
            }
            _ => Init::Refuse,
        }
    }

    /// The kernel ends its use.
    pub fn terminate(&mut self) -> Terminate {
        match self.phase {
            Phase::Live if self.transfers == 0 => {
                self.phase = Phase::Idle;
                Terminate::Release
            }
            Phase::Live => {
                self.phase = Phase::Draining;
                Terminate::Later
            }
            _ => Terminate::Refuse,
        }
    }

    /// The kernel that waits until the object is drained gives up. False if none waits.
    pub fn give_up(&mut self) -> bool {
        core::mem::take(&mut self.next)
    }

    /// How many rights to the object the pager has given.
    pub fn rights_made(&self) -> u32 {
        self.rights_made
    }

    /// The pager gives somebody a right to the object.
    pub fn right_made(&mut self) {
        self.rights_made += 1;
    }

    /// Nobody has a right to the object, after `rights_made` were made.
    pub fn no_senders(&mut self, rights_made: u32) -> NoSenders {
        if rights_made < self.rights_made {
            return NoSenders::Stale;
        }
        self.phase = Phase::Dead;
        if self.transfers == 0 { NoSenders::Forget } else { NoSenders::Later }
    }

    fn begin(&mut self) -> Begun {
        self.transfers += 1;
        Begun(())
    }

    /// The kernel wants a page. If [that takes a transfer](Request::takes_transfer), one begins.
    pub fn request(&mut self, page: u64) -> Asked<L> {
        let request = self.pages.request(page);
        let begun = request.takes_transfer().then(|| self.begin());
        (request, begun)
    }

    /// The kernel returns a page. What it returns is to be written, which is a transfer; what was there
    /// before, or is being written, is of no use any more. `None` if there is no memory to note it: it is to
    /// be [refused](Self::refuse).
    pub fn write(&mut self, page: u64, data: D) -> Option<(Ticket, Begun)> {
        let ticket = self.pages.write(page, data)?;
        Some((ticket, self.begin()))
    }

    /// The kernel returns a page that cannot be taken now, and is to have it back as precious: a transfer, if
    /// it does. However often that happens, it is not lost by that, for nothing has failed; but if there is
    /// no memory to note even this, it may be. Gives back the place of what it replaces.
    pub fn refuse(&mut self, page: u64) -> (Option<L>, Unstored, Option<Begun>) {
        let (replaced, unstored) = self.pages.refuse(page);
        (replaced, unstored, self.begin_hand_back(unstored))
    }

    /// The same without a note of it. Where some pages went back so, a page without a note is not known to
    /// have never been written: whoever asks for one is told of an error, and not that it is all zeros.
    pub fn refuse_unnoted(&mut self) -> (Unstored, Option<Begun>) {
        let unstored = self.pages.refuse_unnoted();
        (unstored, self.begin_hand_back(unstored))
    }

    fn begin_hand_back(&mut self, unstored: Unstored) -> Option<Begun> {
        matches!(unstored, Unstored::HandBack(_)).then(|| self.begin())
    }

    /// A write has ended: with a place, or without. If the page is to be read, another transfer begins. The
    /// one that has ended goes on where the page is to be written again or goes back.
    pub fn written(&mut self, page: u64, write: Ticket, place: Option<L>) -> (AfterWrite<L>, Option<Begun>) {
        let after = self.pages.written(page, write, place);
        let is_read = matches!(after, AfterWrite::Stored { wanted: Some(_), .. });
        (after, is_read.then(|| self.begin()))
    }

    /// Begins to move the first page from this one on whose place is one of these. [`moved`](Self::moved) is
    /// to follow.
    pub fn begin_move(&mut self, from: u64, leaves: impl Fn(&L) -> bool) -> Option<(u64, Read<L>, Begun)> {
        let (page, read) = self.pages.begin_move(from, leaves)?;
        Some((page, read, self.begin()))
    }

    /// A page has been moved to another place, or stays where it is if there is none. Gives back the places
    /// that are not needed any more, and what to do if the kernel has asked for the page meanwhile. If that
    /// takes a transfer, another one begins.
    pub fn moved(
        &mut self,
        page: u64,
        read: Read<L>,
        place: Option<L>,
    ) -> ([Option<L>; 2], Option<Asked<L>>) {
        let (free, request) = self.pages.moved(page, read, place);
        let request = request.map(|request| {
            let begun = request.takes_transfer().then(|| self.begin());
            (request, begun)
        });
        (free, request)
    }

    /// Gives an object that somebody has made another size, and says which one it had. What it has beyond is
    /// to be [forgotten](Pages::forget_next). `None` if the kernel made it.
    pub fn set_size(&mut self, pages: u64) -> Option<u64> {
        match &mut self.origin {
            Origin::Internal => None,
            Origin::External { pages: size } => Some(core::mem::replace(size, pages)),
        }
    }

    /// How many transfers are on their way.
    pub fn transfers(&self) -> usize {
        self.transfers
    }

    /// A transfer has ended, and all that followed from it is done. Returns what to do now, if anything.
    pub fn transfer_ended(&mut self, Begun(()): Begun) -> Option<Drained> {
        self.transfers -= 1;
        match self.phase {
            _ if self.transfers > 0 => None,
            Phase::Idle | Phase::Live => None,
            Phase::Dead => Some(Drained::Forget),
            Phase::Draining if core::mem::take(&mut self.next) => {
                self.phase = Phase::Live;
                Some(Drained::ReleaseAndReady)
            }
            Phase::Draining => {
                self.phase = Phase::Idle;
                Some(Drained::Release)
            }
        }
    }
}
