//! The VM kernel's memory: frames, and what is in which of them. No messages here.

use std::collections::BTreeMap;
use std::sync::Arc;

use mig_runtime::kernel::local::Local;
use mig_runtime::{Name, ReceiveRight, SendRight};

pub(super) const PAGE: usize = 4096;

/// The number of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectId(usize);

impl ObjectId {
    pub(super) fn number(self) -> u64 {
        self.0 as u64
    }
}

/// The number of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameId(usize);

/// Frames and objects.
pub(super) struct Memory {
    frames: Vec<Frame>,
    free: Vec<FrameId>,
    /// How many frames may be in use.
    limit: usize,
    /// Where the search for a victim goes on.
    hand: usize,
    pub(super) objects: Vec<Object>,
    by_control: BTreeMap<Name, ObjectId>,
    /// The most frames that were ever in use.
    pub(super) peak: usize,
}

struct Frame {
    data: Box<[u8]>,
    /// What page is in it; `None` while it is free or waits for one.
    page: Option<Resident>,
}

/// A page in a frame.
struct Resident {
    object: ObjectId,
    page: usize,
    /// It was touched since the hand came by.
    referenced: bool,
    /// Its content is nowhere else: it was changed, or the pager has said so.
    only_copy: bool,
}

/// Anonymous memory.
pub(super) struct Object {
    pages: Vec<Page>,
    /// Its ports, once one of its pages had to go.
    pub(super) ports: Option<Arc<Ports>>,
    /// Where the next fault is if its pages are touched in order, and how many were asked for at the last
    /// one.
    next: usize,
    window: usize,
}

/// The most pages that are asked for at once.
const WINDOW: usize = 32;

/// What the kernel has of an object that has a pager.
pub(super) struct Ports {
    pub(super) object: SendRight<Local>,
    pub(super) control: ReceiveRight<Local>,
    pub(super) name: ReceiveRight<Local>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Page {
    /// Not here.
    Absent,
    /// The pager was asked for it; this frame waits.
    Requested(FrameId),
    Resident(FrameId),
    /// On its way to the pager.
    Leaving,
    /// The pager has answered an error, which nobody has seen yet.
    Failed,
}

/// A page that has to go.
pub(super) struct Victim {
    pub(super) object: ObjectId,
    pub(super) page: usize,
    pub(super) frame: FrameId,
    pub(super) only_copy: bool,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            frames: Vec::new(),
            free: Vec::new(),
            limit,
            hand: 0,
            objects: Vec::new(),
            by_control: BTreeMap::new(),
            peak: 0,
        }
    }

    pub(super) fn add_object(&mut self, pages: usize) -> ObjectId {
        self.objects.push(Object { pages: vec![Page::Absent; pages], ports: None, next: 0, window: 1 });
        ObjectId(self.objects.len() - 1)
    }

    pub(super) fn object(&mut self, id: ObjectId) -> &mut Object {
        &mut self.objects[id.0]
    }

    /// Remembers the ports of an object.
    pub(super) fn set_ports(&mut self, id: ObjectId, ports: Arc<Ports>) {
        self.by_control.insert(ports.control.name(), id);
        self.objects[id.0].ports = Some(ports);
    }

    pub(super) fn by_control(&self, control: Name) -> Option<ObjectId> {
        self.by_control.get(&control).copied()
    }

    /// The state of a page; `None` beyond the end.
    pub(super) fn page(&mut self, object: ObjectId, page: usize) -> Option<&mut Page> {
        self.objects[object.0].pages.get_mut(page)
    }

    /// Notes a fault. Returns how many pages from there on are to be asked for: all are absent, and there are
    /// frames for them, of which the first is given. Pages that are touched in order are asked for in ever
    /// larger pieces.
    pub(super) fn request(&mut self, id: ObjectId, page: usize, frame: FrameId) -> usize {
        let object = &mut self.objects[id.0];
        object.window = if page == object.next { (2 * object.window).min(WINDOW) } else { 1 };
        let window = object.window;
        object.pages[page] = Page::Requested(frame);
        let mut count = 1;
        while count < window.min(self.ahead()) {
            let next = page + count;
            if self.objects[id.0].pages.get(next) != Some(&Page::Absent) {
                break;
            }
            let Some(frame) = self.take_frame() else { break };
            self.objects[id.0].pages[next] = Page::Requested(frame);
            count += 1;
        }
        self.objects[id.0].next = page + count;
        count
    }

    /// How many pages are asked for at once, at most: most of the frames are for pages that somebody wants
    /// already.
    pub(super) fn ahead(&self) -> usize {
        1 + self.limit / 64
    }

    /// How many pages go at once when room is wanted.
    pub(super) fn batch(&self) -> usize {
        (self.limit / 16).clamp(1, 64)
    }

    /// A frame for one more page, if there may be one more.
    pub(super) fn take_frame(&mut self) -> Option<FrameId> {
        (self.in_use() < self.limit).then(|| self.take_frame_beyond_limit())
    }

    /// A frame in any case.
    pub(super) fn take_frame_beyond_limit(&mut self) -> FrameId {
        let frame = self.free.pop().unwrap_or_else(|| {
            self.frames.push(Frame { data: vec![0; PAGE].into(), page: None });
            FrameId(self.frames.len() - 1)
        });
        self.peak = self.peak.max(self.in_use());
        frame
    }

    fn in_use(&self) -> usize {
        self.frames.len() - self.free.len()
    }

    /// Makes a page resident in a frame, and lets `fill` write what is in it.
    pub(super) fn enter(
        &mut self,
        object: ObjectId,
        page: usize,
        frame: FrameId,
        only_copy: bool,
        fill: impl FnOnce(&mut [u8]),
    ) {
        let Frame { data, page: resident } = &mut self.frames[frame.0];
        fill(data);
        *resident = Some(Resident { object, page, referenced: true, only_copy });
        self.objects[object.0].pages[page] = Page::Resident(frame);
    }

    /// A page that is resident, touched.
    pub(super) fn touch(&mut self, frame: FrameId, write: bool) -> &mut [u8] {
        let frame = &mut self.frames[frame.0];
        if let Some(resident) = &mut frame.page {
            resident.referenced = true;
            resident.only_copy |= write;
        }
        &mut frame.data
    }

    pub(super) fn free_frame(&mut self, frame: FrameId) {
        self.frames[frame.0].page = None;
        self.free.push(frame);
    }

    /// Takes the page out of a frame that is not free yet.
    pub(super) fn take_out(&mut self, frame: FrameId) {
        self.frames[frame.0].page = None;
    }

    /// Copies the content of a frame, to be sent, and frees the frame.
    pub(super) fn take_data(&mut self, frame: FrameId, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.frames[frame.0].data);
        self.free_frame(frame);
    }

    /// A page that was not touched for the longest time or nearly so (the clock algorithm); `None` if no page
    /// is resident.
    pub(super) fn victim(&mut self) -> Option<Victim> {
        // Once around to pass over those that were touched, and once more to find one of them.
        for _ in 0..2 * self.frames.len() {
            let frame = FrameId(self.hand);
            self.hand = (self.hand + 1) % self.frames.len();
            match &mut self.frames[frame.0].page {
                Some(resident) if resident.referenced => resident.referenced = false,
                Some(Resident { object, page, only_copy, .. }) => {
                    return Some(Victim { object: *object, page: *page, frame, only_copy: *only_copy });
                }
                None => {}
            }
        }
        None
    }
}
