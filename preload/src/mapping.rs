//! `mmap` and its kin, as the program calls them.
//!
//! Private anonymous memory that can be read and written, of 64 KiB or more, is a memory object of its own.
//! Everything else goes to the system.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::ptr;

use libc::{off_t, size_t};

use crate::Mutex;
use crate::paging::{self, Unpaged};
use crate::ranges::Ranges;
use crate::window::{self, PAGE, Part, Piece};
use crate::{heap, system, thread};

/// The least that is paged.
const LEAST: usize = 64 << 10;

/// Memory that was mapped at once, and what of it is still mapped.
struct Mapping {
    piece: Piece,
    mapped: Ranges,
}

static MAPPINGS: Mutex<BTreeMap<usize, Mapping>> = Mutex::new(BTreeMap::new());

fn is_paged() -> bool {
    thread::is_of_program() && paging::is_on()
}

/// A range of whole pages, as the system takes it.
fn pages(address: *mut c_void, len: usize) -> Option<Range<usize>> {
    let start = address.expose_provenance();
    let end = start.checked_add(len.checked_next_multiple_of(PAGE)?)?;
    Some(start..end)
}

/// Why this is not paged; `None` if it is.
fn objection(len: usize, protection: c_int, flags: c_int) -> Option<Unpaged> {
    let kinds = libc::MAP_SHARED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    if flags & kinds != libc::MAP_PRIVATE | libc::MAP_ANONYMOUS {
        return Some(Unpaged::FilesAndShared);
    }
    let others = libc::MAP_FIXED
        | libc::MAP_FIXED_NOREPLACE
        | libc::MAP_32BIT
        | libc::MAP_STACK
        | libc::MAP_GROWSDOWN
        | libc::MAP_HUGETLB
        | libc::MAP_LOCKED
        | libc::MAP_POPULATE;
    if flags & others != 0 {
        return Some(Unpaged::Special);
    }
    if protection != libc::PROT_READ | libc::PROT_WRITE {
        return Some(Unpaged::Protected);
    }
    (len < LEAST).then_some(Unpaged::Small)
}

fn map(len: usize) -> Option<*mut c_void> {
    let piece = paging::allocate(Part::Mappings, len.checked_next_multiple_of(PAGE)?)?;
    let start = piece.range().start;
    let mut mapped = Ranges::default();
    mapped.insert(piece.range());
    MAPPINGS.lock().insert(start, Mapping { piece, mapped });
    Some(ptr::with_exposed_provenance_mut(start))
}

/// Does something with each mapping that has some of these addresses.
fn each(range: &Range<usize>, mut what: impl FnMut(&mut Mapping, Range<usize>)) {
    let mut mappings = MAPPINGS.lock();
    let first = mappings.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
    for (_, mapping) in mappings.range_mut(first..range.end) {
        let all = mapping.piece.range();
        let part = range.start.max(all.start)..range.end.min(all.end);
        if !part.is_empty() {
            what(mapping, part);
        }
    }
}

/// Makes pages of mappings and of allocations zeros.
fn discard(range: &Range<usize>) {
    each(range, |mapping, part| mapping.piece.discard(part));
    heap::discard(range.clone());
}

fn unmap(range: &Range<usize>) {
    each(range, |mapping, part| {
        mapping.mapped.remove(part.clone());
        if mapping.mapped.is_empty() {
            return;
        }
        mapping.piece.discard(part.clone());
        let start = ptr::with_exposed_provenance_mut(part.start);
        // SAFETY: the program has just given these addresses up; others of the mapping are not touched.
        unsafe { system::mprotect(start, part.len(), libc::PROT_NONE) };
    });
    let mut mappings = MAPPINGS.lock();
    let first = mappings.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
    let gone: Vec<usize> = mappings
        .range(first..range.end.max(first))
        .filter(|(_, mapping)| mapping.mapped.is_empty())
        .map(|(start, _)| *start)
        .collect();
    let gone: Vec<Mapping> = gone.iter().filter_map(|start| mappings.remove(start)).collect();
    drop(mappings);
    // Their pages go without the lock.
    drop(gone);
}

/// Protects paged memory.
fn protect(range: &Range<usize>, protection: c_int) -> Result<(), c_int> {
    if let Some(protected) = heap::protect(range, protection) {
        return protected;
    }
    // What is not mapped any more has been found there by chance.
    let mut result = Err(libc::ENOMEM);
    each(range, |mapping, part| {
        let protected = mapping.piece.protect(part, protection);
        result = if result == Err(libc::ENOMEM) { protected } else { result.and(protected) };
    });
    result
}

/// Something else takes the place of what was mapped: memory of the program's stays memory of ours, all
/// zeros, where that will do.
fn replace(range: &Range<usize>, protection: c_int, flags: c_int) -> Option<*mut c_void> {
    let inside = window::overlap(range);
    if inside.is_empty() {
        return None;
    }
    discard(&inside);
    let is_ours = inside == *range && flags & libc::MAP_ANONYMOUS != 0 && flags & libc::MAP_PRIVATE != 0;
    let start = ptr::with_exposed_provenance_mut(range.start);
    // SAFETY: the program asks for that.
    (is_ours && unsafe { mprotect(start, range.len(), protection) } == 0).then_some(start)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mprotect(address: *mut c_void, len: size_t, protection: c_int) -> c_int {
    let range = pages(address, len).filter(|_| is_paged());
    let inside = range.filter(|range| window::overlap(range) == *range && !range.is_empty());
    match inside.map(|inside| protect(&inside, protection)) {
        Some(Ok(())) => 0,
        Some(Err(error)) => {
            system::set_errno(error);
            -1
        }
        // SAFETY: the caller's promise.
        None => unsafe { system::mprotect(address, len, protection) },
    }
}

/// Does something with each piece of memory.
///
/// # Safety
///
/// This thread has called [`lock`], or its copy in the parent has, and no other thread uses this module.
pub(crate) unsafe fn each_piece(what: &mut dyn FnMut(&mut Piece)) {
    // SAFETY: the caller's promise.
    let mappings = unsafe { &mut *MAPPINGS.data_ptr() };
    mappings.values_mut().for_each(|mapping| what(&mut mapping.piece));
}

/// Keeps every other thread out, for a fork.
pub(crate) fn lock() {
    std::mem::forget(MAPPINGS.lock());
}

/// Lets them in.
///
/// # Safety
///
/// This thread has called [`lock`], or its copy in the parent has.
pub(crate) unsafe fn unlock() {
    // SAFETY: the caller's promise.
    unsafe { MAPPINGS.force_unlock() };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    address: *mut c_void,
    len: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    if is_paged() && len > 0 {
        let found = match objection(len, protection, flags) {
            None => map(len),
            Some(why) => {
                if protection & libc::PROT_EXEC == 0 {
                    paging::note(why, len);
                }
                let fixed = flags & libc::MAP_FIXED != 0;
                let range = pages(address, len).filter(|_| fixed);
                range.and_then(|range| replace(&range, protection, flags))
            }
        };
        if let Some(memory) = found {
            return memory;
        }
    }
    // SAFETY: the caller's promise.
    unsafe { system::mmap(address, len, protection, flags, fd, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mmap64(
    address: *mut c_void,
    len: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { mmap(address, len, protection, flags, fd, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(address: *mut c_void, len: size_t) -> c_int {
    let inside = pages(address, len).filter(|_| is_paged()).map(|range| (window::overlap(&range), range));
    let Some((inside, range)) = inside.filter(|(inside, _)| !inside.is_empty()) else {
        // SAFETY: the caller's promise.
        return unsafe { system::munmap(address, len) };
    };
    unmap(&inside);
    for outside in [range.start..inside.start, inside.end..range.end] {
        if !outside.is_empty() {
            let start = ptr::with_exposed_provenance_mut(outside.start);
            // SAFETY: the caller's promise, of a part of what is given up.
            if unsafe { system::munmap(start, outside.len()) } != 0 {
                return -1;
            }
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn madvise(address: *mut c_void, len: size_t, advice: c_int) -> c_int {
    let inside = pages(address, len).filter(|_| is_paged()).map(|range| window::overlap(&range));
    let Some(inside) = inside.filter(|inside| !inside.is_empty()) else {
        // SAFETY: the caller's promise.
        return unsafe { system::madvise(address, len, advice) };
    };
    match advice {
        libc::MADV_DONTNEED | libc::MADV_FREE => discard(&inside),
        // What a child sees is this library's to say.
        libc::MADV_DONTFORK | libc::MADV_DOFORK | libc::MADV_WIPEONFORK | libc::MADV_KEEPONFORK => {
            system::set_errno(libc::EINVAL);
            return -1;
        }
        // Of how soon or in which order the pages are wanted; none of it must be followed.
        _ => {}
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mremap(
    address: *mut c_void,
    old: size_t,
    new: size_t,
    flags: c_int,
    to: *mut c_void,
) -> *mut c_void {
    let range = pages(address, old).filter(|_| is_paged());
    let range = range.filter(|range| window::overlap(range) == *range && !range.is_empty());
    let (Some(range), Some(new)) = (range, new.checked_next_multiple_of(PAGE)) else {
        // SAFETY: the caller's promise.
        return unsafe { system::mremap(address, old, new, flags, to) };
    };
    let moves = flags & (libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP) != 0;
    if new == 0 || (moves && flags & libc::MREMAP_DONTUNMAP != 0) {
        system::set_errno(libc::EINVAL);
        return libc::MAP_FAILED;
    }
    if !moves && new <= range.len() {
        unmap(&(range.start + new..range.end));
        return address;
    }
    if flags & libc::MREMAP_MAYMOVE == 0 {
        system::set_errno(libc::ENOMEM);
        return libc::MAP_FAILED;
    }
    let how = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let (place, how) = if moves { (to, how | libc::MAP_FIXED) } else { (ptr::null_mut(), how) };
    // SAFETY: new memory, or in the place that the program has said.
    let memory = unsafe { mmap(place, new, libc::PROT_READ | libc::PROT_WRITE, how, -1, 0) };
    if memory != libc::MAP_FAILED {
        let len = new.min(range.len());
        // SAFETY: two mappings of at least this length.
        unsafe { address.cast::<u8>().copy_to_nonoverlapping(memory.cast(), len) };
        unmap(&range);
    }
    memory
}

/// Memory that is paged cannot be made to stay.
fn is_locked_in_vain(address: *const c_void, len: usize) -> bool {
    let range = pages(address.cast_mut(), len).filter(|_| is_paged());
    range.is_some_and(|range| !window::overlap(&range).is_empty())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mlock(address: *const c_void, len: size_t) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { mlock2(address, len, 0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn mlock2(address: *const c_void, len: size_t, flags: c_int) -> c_int {
    if is_locked_in_vain(address, len) {
        system::set_errno(libc::ENOMEM);
        return -1;
    }
    // SAFETY: the caller's promise.
    unsafe { system::mlock(address, len, flags) }
}

#[unsafe(no_mangle)]
extern "C" fn mlockall(_flags: c_int) -> c_int {
    system::set_errno(libc::ENOMEM);
    -1
}
