//! A list behind a lock that grows without asking for memory with the lock in hands.

use alloc::vec::Vec;
use core::mem;

/// True if a list has room for one more, by the memory of `larger` if it has none of its own. With the lock.
pub(super) fn has_room<T>(list: &mut Vec<T>, larger: &mut Vec<T>) -> bool {
    if list.len() == list.capacity() && list.len() < larger.capacity() {
        larger.append(list);
        mem::swap(larger, list);
    }
    list.len() < list.capacity()
}

/// Takes memory for a list that has no room, of which this many are there. Without the lock.
pub(super) fn take_memory<T>(larger: &mut Vec<T>, count: usize) {
    larger.reserve_exact((2 * count).max(16));
}
