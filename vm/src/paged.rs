//! Memory that is read and written by calls.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::core::Core;
use crate::object::Object;
use crate::pages::Hold;
use crate::space::PAGE;
use crate::{Mapping, Memory, Running};

/// Memory that is read and written by calls, as a file is: one that touches a page which cannot be had fails,
/// where a slice brings SIGBUS. With [`Faults::Calls`](crate::Faults::Calls) there is no other memory.
///
/// A call that goes over several pages takes them one by one: what other calls write meanwhile may be in some
/// of them.
pub struct Paged {
    pub(crate) running: Arc<Running>,
    pub(crate) object: Arc<Object>,
}

/// Why a call did not read or write what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessError {
    /// The range is not inside of the memory.
    OutOfRange,
    /// It was mapped for reading only.
    ReadOnly,
    /// The page at this offset cannot be had: its manager does not have it, or is gone.
    Lost(usize),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("the range is not inside of the memory"),
            Self::ReadOnly => f.write_str("the memory was mapped for reading only"),
            Self::Lost(offset) => write!(f, "the page at offset {offset:#x} cannot be had from its manager"),
        }
    }
}

impl std::error::Error for AccessError {}

impl Paged {
    /// Bytes.
    #[expect(clippy::len_without_is_empty, reason = "memory has a page at least")]
    pub fn len(&self) -> usize {
        self.object.space.len()
    }

    /// Reads the bytes from this offset on.
    ///
    /// # Errors
    ///
    /// [`AccessError::OutOfRange`], or a page is [lost](AccessError::Lost); then `to` may be filled in part.
    pub fn read_at(&self, offset: usize, to: &mut [u8]) -> Result<(), AccessError> {
        self.running.core.read(&self.object, offset, to)
    }

    /// Writes bytes from this offset on.
    ///
    /// # Errors
    ///
    /// [`AccessError::OutOfRange`], [`AccessError::ReadOnly`], or a page is [lost](AccessError::Lost); then
    /// some of them may have been written.
    pub fn write_at(&self, offset: usize, from: &[u8]) -> Result<(), AccessError> {
        self.running.core.write(&self.object, offset, from)
    }

    /// Says that the pages of these bytes will be wanted (`VM_BEHAVIOR_WILLNEED`). Some of those that are not
    /// here are asked for, all at once as far as they lie side by side, and nobody waits.
    pub fn will_need(&self, bytes: Range<usize>) {
        self.running.core.will_need(&self.object, pages(&self.object, bytes));
    }

    /// The same as a slice.
    ///
    /// # Errors
    ///
    /// The memory, if it can only be had by calls.
    pub fn into_mapping(self) -> Result<Mapping, Self> {
        if self.running.core.places.are_touched() { Ok(Mapping(self)) } else { Err(self) }
    }
}

impl Drop for Paged {
    fn drop(&mut self) {
        self.running.core.remove(&mut self.object);
    }
}

impl fmt::Debug for Paged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Paged({} bytes at {:#x})", self.len(), self.object.space.start())
    }
}

impl Mapping {
    /// [Reads](Paged::read_at) bytes without the danger of a SIGBUS.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read_at(&self, offset: usize, to: &mut [u8]) -> Result<(), AccessError> {
        self.0.read_at(offset, to)
    }

    /// Says that the pages of these bytes [will be wanted](Paged::will_need).
    pub fn will_need(&self, bytes: Range<usize>) {
        self.0.will_need(bytes);
    }
}

impl Memory {
    /// [Reads](Paged::read_at) bytes without the danger of a SIGBUS.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn read_at(&self, offset: usize, to: &mut [u8]) -> Result<(), AccessError> {
        self.0.read_at(offset, to)
    }

    /// Says that the pages of these bytes [will be wanted](Paged::will_need).
    pub fn will_need(&self, bytes: Range<usize>) {
        self.0.will_need(bytes);
    }

    /// [Writes](Paged::write_at) bytes without the danger of a SIGBUS.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn write_at(&mut self, offset: usize, from: &[u8]) -> Result<(), AccessError> {
        self.0.0.write_at(offset, from)
    }
}

/// The pages in which bytes lie, as far as they are inside.
fn pages(object: &Object, bytes: Range<usize>) -> Range<usize> {
    let len = object.space.len();
    bytes.start.min(len) / PAGE..bytes.end.min(len).div_ceil(PAGE)
}

/// The parts of a range that are in one page each: the page, the offset there, and the range in a buffer.
fn parts(offset: usize, len: usize) -> impl Iterator<Item = (usize, usize, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let (at, in_page) = (offset + done, (offset + done) % PAGE);
        let part = done..(done + PAGE - in_page).min(len);
        done = part.end;
        (!part.is_empty()).then_some((at / PAGE, in_page, part))
    })
}

impl Core {
    fn read(&self, object: &Arc<Object>, offset: usize, to: &mut [u8]) -> Result<(), AccessError> {
        check(object, offset, to.len())?;
        for (page, in_page, part) in parts(offset, to.len()) {
            let to = &mut to[part];
            let is_here = self.hold(object, page, false, || {
                // SAFETY: the page is there and stays until it is released. Whoever has a reference to it
                // only reads, and no other call has it.
                let page = unsafe { object.space.pages(page, 1) };
                to.copy_from_slice(&page[in_page..][..to.len()]);
            });
            is_here.then_some(()).ok_or(AccessError::Lost(page * PAGE))?;
        }
        Ok(())
    }

    fn write(&self, object: &Arc<Object>, offset: usize, from: &[u8]) -> Result<(), AccessError> {
        check(object, offset, from.len())?;
        if !object.writable {
            return Err(AccessError::ReadOnly);
        }
        for (page, in_page, part) in parts(offset, from.len()) {
            let from = &from[part];
            let is_here = self.hold(object, page, true, || {
                // SAFETY: the page is there and stays until it is released, and the memory is writable.
                // Nobody has a reference to it where it is written by calls, and no other call has it.
                let page = unsafe { object.space.pages_mut(page, 1) };
                page[in_page..][..from.len()].copy_from_slice(from);
            });
            is_here.then_some(()).ok_or(AccessError::Lost(page * PAGE))?;
        }
        Ok(())
    }

    /// Runs `body` while the call has a page for itself, which this thread brings if it is not there: a fault
    /// would have another thread bring it. False if it cannot be had.
    fn hold(&self, object: &Arc<Object>, page: usize, writes: bool, body: impl FnOnce()) -> bool {
        let mut state = self.lock();
        loop {
            match state.pages.hold(object.id, page, writes) {
                Hold::Held => break,
                Hold::Wait => state = self.wait(state, None),
                Hold::Absent => {
                    drop(state);
                    if !self.bring(object, page) {
                        return false;
                    }
                    state = self.lock();
                }
            }
        }
        drop(state);
        if writes {
            self.places.unprotect(&object.space, page);
        }
        body();
        self.lock().pages.release(object.id, page);
        self.tell();
        true
    }
}

fn check(object: &Object, offset: usize, len: usize) -> Result<(), AccessError> {
    let end = offset.checked_add(len).ok_or(AccessError::OutOfRange)?;
    if end <= object.space.len() { Ok(()) } else { Err(AccessError::OutOfRange) }
}
