//! The child of a fork sees the memory as it was at the fork, and has it paged as its parent has.
//!
//! Before the fork no page leaves any more, and a snapshot is made of those that are out. The child has what
//! is there by the fork itself. It begins with a kernel's half and a pager of its own, which have the rest
//! from the snapshot, and a swap file of its own for what leaves. Nothing of the parent's is used in it but
//! plain data: its threads are not there, and its locks may be held by them for ever.
//!
//! A child that was made in another way than by the C library's `fork`, or that could not be prepared, does
//! not get the memory at all, and ends when it touches it.

use std::cell::Cell;
use std::ffi::c_void;
use std::hint::black_box;
use std::io::Write as _;

use crate::Mutex;
use crate::paging::Fork;
use crate::snapshot::Snapshot;
use crate::thread::{AtWork, Quiet};
use crate::window::Piece;
use crate::{child, heap, mapping, paging, system, window, work};

/// Held from before a fork until after it, with what that needs.
static FORK: Mutex<Option<Fork>> = Mutex::new(None);

/// From now on forks are prepared. False if there is no room for that.
pub(crate) fn start() -> bool {
    // SAFETY: functions without arguments, which stay loaded.
    unsafe { libc::pthread_atfork(Some(prepare), Some(in_parent), Some(in_child)) == 0 }
}

thread_local! {
    /// Nothing: its address is asked for so that a thread has this library's thread-local variables.
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// Has this thread's variables of this library, and the table by which they are found, in their place. Not
/// inlined: within a function the compiler looks for them once.
#[inline(never)]
fn bring_variables() {
    OWN.with(|own| {
        // What nobody reads the compiler leaves out.
        black_box(own);
    });
}

extern "C" fn prepare() {
    // A thread has its variables from its first touch on, for which the dynamic linker calls `realloc`. In
    // the child that would wait for the lock of the heap, which this takes.
    bring_variables();
    let mut fork = FORK.lock();
    // The C library takes this one, too, after this. A thread that has it may wait for one that allocates.
    // SAFETY: a lock of the C library, which a thread may have several times.
    unsafe { _IO_list_lock() };
    // Until after the fork, so that the child finds everything whole. What is done by the thread for work
    // needs the locks of `window`, and none of the others.
    mapping::lock();
    heap::lock();
    *fork = work::done(paging::prepare_fork).flatten();
    let is_passed = |fork: &mut Fork| fork.snapshot().is_some_and(|snapshot| snapshot.pass().is_ok());
    if !fork.as_mut().is_none_or(is_passed) {
        let unprepared = fork.take();
        work::done(|| drop(unprepared));
    }
    window::give_to_children(fork.is_some());
    std::mem::forget(fork);
    // No page leaves any more. Of these, zeros would be in the child until its memory is paged.
    bring_variables();
    bring_streams();
    window::locks().for_each(|lock| std::mem::forget(lock.lock()));
    work::lock();
}

/// Ends what `prepare` has begun.
fn unlock() {
    for lock in window::locks() {
        // SAFETY: `prepare` holds it, in this thread.
        unsafe { lock.force_unlock() };
    }
    // SAFETY: as above.
    unsafe { heap::unlock() };
    // SAFETY: as above.
    unsafe { mapping::unlock() };
}

/// What `prepare` has made.
fn take() -> Option<Fork> {
    // SAFETY: `prepare` holds the lock, in this thread.
    unsafe { &mut *FORK.data_ptr() }.take()
}

extern "C" fn in_parent() {
    window::give_to_children(false);
    // SAFETY: `prepare` holds it, in this thread.
    unsafe { work::unlock() };
    let mut fork = take();
    fork.as_mut().and_then(Fork::snapshot).into_iter().for_each(Snapshot::close);
    unlock();
    // SAFETY: `prepare` has locked it, in this thread. In a child the C library does so.
    unsafe { _IO_list_unlock() };
    work::done(|| drop(fork));
    // SAFETY: as above.
    unsafe { FORK.force_unlock() };
}

extern "C" fn in_child() {
    child::begin();
    let mut fork = take();
    match &mut fork {
        Some(fork) => {
            if let Err(why) = begin(fork) {
                let _ = writeln!(std::io::stderr(), "error: the memory of a child cannot be paged: {why}");
                system::exit(FAILED);
            }
        }
        // It may become another program still.
        None => paging::end(),
    }
    // It is the parent's.
    std::mem::forget(fork);
    unlock();
    // SAFETY: as above.
    unsafe { FORK.force_unlock() };
}

const FAILED: i32 = 1;

/// Begins to page the memory of this child, whose only thread this is.
fn begin(fork: &mut Fork) -> Result<(), String> {
    let passed = fork.snapshot().and_then(|snapshot| snapshot.number());
    // SAFETY: `prepare` holds it, in this thread.
    unsafe { work::forget() };
    // SAFETY: as above.
    unsafe { work::unlock() };
    {
        let _at_work = AtWork::begin();
        let _quiet = Quiet::begin();
        work::start(passed).map_err(|why| why.to_string())?;
    }
    // From here on it is in the table of that thread only.
    passed.map(system::close);
    let each = |what: &mut dyn FnMut(&mut Piece)| {
        // SAFETY: as above, and this thread waits for the one that does this.
        unsafe { heap::each_piece(what) };
        // SAFETY: as above.
        unsafe { mapping::each_piece(what) };
    };
    // The stack of this thread may be in memory that is paged from then on.
    let begun = work::done(|| paging::start_in_child(fork, each).map_err(|why| why.to_string()));
    begun.unwrap_or_else(|| Err("nobody was there".to_owned()))
}

unsafe extern "C" {
    fn _IO_list_lock();
    fn _IO_list_unlock();
    fn _IO_iter_begin() -> *mut c_void;
    fn _IO_iter_end() -> *mut c_void;
    fn _IO_iter_next(at: *mut c_void) -> *mut c_void;
    fn _IO_iter_file(at: *mut c_void) -> *mut u8;
}

/// Bytes of a stream with its lock, which the C library allocates together, and where in them the address of
/// the lock is: `struct _IO_FILE` has had that place for as long as there has been glibc for 64 bits.
const STREAM: usize = 472;
const LOCK: usize = 136;

/// Brings the C library's streams in, which it touches in the child before anything of that is paged. Their
/// list is locked.
fn bring_streams() {
    // SAFETY: these functions have no conditions but that.
    let mut at = unsafe { _IO_iter_begin() };
    // SAFETY: as above.
    let end = unsafe { _IO_iter_end() };
    while at != end {
        // SAFETY: as above, and there is one.
        let stream = unsafe { _IO_iter_file(at) };
        for place in [stream, stream.wrapping_add(STREAM - 1)] {
            // SAFETY: the first and the last byte of a stream.
            unsafe { place.read_volatile() };
        }
        // SAFETY: a field of the stream.
        let lock = unsafe { stream.wrapping_add(LOCK).cast::<*const u8>().read() };
        if !lock.is_null() {
            // SAFETY: the lock of a stream lives as long as that.
            unsafe { lock.read_volatile() };
        }
        // SAFETY: as above.
        at = unsafe { _IO_iter_next(at) };
    }
}
