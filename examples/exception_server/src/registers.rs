//! Where the program counter is in the registers of a thread.

use mig_runtime::array_vec;

use crate::ThreadState;

/// `ARM_THREAD_STATE64`
pub const ARM_THREAD_STATE64: i32 = 6;
/// `x86_THREAD_STATE64`
pub const X86_THREAD_STATE64: i32 = 4;

/// The flavor of this machine's threads.
pub const NATIVE: i32 = if cfg!(target_arch = "x86_64") { X86_THREAD_STATE64 } else { ARM_THREAD_STATE64 };

/// The index of the program counter's lower word; the other follows.
fn place(flavor: i32) -> Option<usize> {
    match flavor {
        // x0 to x28, fp, lr, sp.
        ARM_THREAD_STATE64 => Some(32 * 2),
        // The 16 general registers.
        X86_THREAD_STATE64 => Some(16 * 2),
        _ => None,
    }
}

/// The program counter in the registers of this flavor; `None` if they have none.
pub fn program_counter(flavor: i32, state: &[u32]) -> Option<u64> {
    let place = place(flavor)?;
    let (&low, &high) = (state.get(place)?, state.get(place + 1)?);
    Some(u64::from(high) << 32 | u64::from(low))
}

/// The same registers with another program counter; `None` if they have none.
pub fn with_program_counter(flavor: i32, state: &[u32], counter: u64) -> Option<ThreadState> {
    let place = place(flavor)?;
    let mut state: ThreadState = array_vec(state);
    let words = state.get_mut(place..place + 2)?;
    words.copy_from_slice(&[counter as u32, (counter >> 32) as u32]);
    Some(state)
}
