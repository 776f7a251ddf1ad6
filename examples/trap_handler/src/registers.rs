//! The registers of this machine's threads, as the kernel gives them.

/// `x86_THREAD_STATE64`, `ARM_THREAD_STATE64`
pub const NATIVE: i32 = if cfg!(target_arch = "x86_64") { 4 } else { 6 };

/// `THREAD_STATE_NONE`: no registers in the message.
pub const NONE: i32 = if cfg!(target_arch = "x86_64") { 13 } else { 5 };

/// All registers, as 64-bit numbers of two words each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers([u32; place::WORDS as usize]);

/// Where the registers are: the program counter, the stack pointer, the first four arguments, and where a
/// function finds its return address.
#[cfg(target_arch = "x86_64")]
mod place {
    pub(super) const WORDS: u32 = 42;
    pub(super) const PROGRAM_COUNTER: usize = 16;
    pub(super) const STACK_POINTER: usize = 7;
    /// rdi, rsi, rdx, rcx
    pub(super) const ARGUMENTS: [usize; 4] = [4, 5, 3, 2];
}

#[cfg(not(target_arch = "x86_64"))]
mod place {
    pub(super) const WORDS: u32 = 68;
    pub(super) const PROGRAM_COUNTER: usize = 32;
    pub(super) const STACK_POINTER: usize = 31;
    /// x0 to x3
    pub(super) const ARGUMENTS: [usize; 4] = [0, 1, 2, 3];
}

impl Registers {
    /// How many words there are.
    pub const WORDS: u32 = place::WORDS;

    /// What `thread_get_state` has returned; `None` if it is too short.
    pub fn new(words: &[u32]) -> Option<Self> {
        words.try_into().ok().map(Self)
    }

    /// What `thread_set_state` is given.
    pub fn words(&self) -> &[u32] {
        &self.0
    }

    /// Where the thread is.
    pub fn program_counter(&self) -> u64 {
        self.get(place::PROGRAM_COUNTER)
    }

    /// Makes the thread go on as if it had just been called here with these arguments, on a stack that is
    /// aligned for it. It cannot return.
    pub fn call(&mut self, function: u64, arguments: [u64; 4]) {
        // On x86_64 a function begins 8 bytes below a multiple of 16, where its return address is. What is
        // below the pointer may be in use.
        const RED_ZONE: u64 = 128;
        let misalignment = if cfg!(target_arch = "x86_64") { 8 } else { 0 };
        let stack = (self.get(place::STACK_POINTER) - RED_ZONE) / 16 * 16 - misalignment;
        self.set(place::STACK_POINTER, stack);
        for (place, argument) in place::ARGUMENTS.into_iter().zip(arguments) {
            self.set(place, argument);
        }
        self.set(place::PROGRAM_COUNTER, function);
    }

    fn get(&self, register: usize) -> u64 {
        u64::from(self.0[2 * register]) | u64::from(self.0[2 * register + 1]) << 32
    }

    fn set(&mut self, register: usize, value: u64) {
        self.0[2 * register] = value as u32;
        self.0[2 * register + 1] = (value >> 32) as u32;
    }
}
