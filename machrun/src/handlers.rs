//! What a task or a thread has for its exceptions: the servers that are told, and the registers that these
//! are told and may set.

use mig_runtime::{KernReturn, SendRight};

use crate::machine::Task;

/// `x86_THREAD_STATE64`
pub(crate) const X86_THREAD_STATE64: i32 = 4;

/// An exception server.
pub(crate) struct Handler {
    pub(crate) port: SendRight<Task>,
    pub(crate) behavior: i32,
    pub(crate) flavor: i32,
}

impl Handler {
    fn try_clone(&self) -> Result<Self, KernReturn> {
        Ok(Self { port: self.port.try_clone()?, ..*self })
    }
}

/// The exception servers of a task or a thread, by the number of the exception.
#[derive(Default)]
pub(crate) struct Handlers([Option<Handler>; 32]);

impl Handlers {
    /// Sets the server for the exceptions of a mask, and returns those that were there, each with its mask.
    pub(crate) fn swap(&mut self, mask: i32, new: &Handler) -> Result<Vec<(i32, Handler)>, KernReturn> {
        let mut old = Vec::new();
        for (exception, place) in self.meant(mask) {
            // A null port is no server.
            let new = if new.port.is_null() { None } else { Some(new.try_clone()?) };
            old.extend(std::mem::replace(place, new).map(|handler| (1 << exception, handler)));
        }
        Ok(old)
    }

    /// Those for the exceptions of a mask.
    pub(crate) fn copied(&mut self, mask: i32) -> Result<Vec<(i32, Handler)>, KernReturn> {
        let set = self.meant(mask).filter_map(|(exception, place)| Some((1 << exception, place.as_ref()?)));
        set.map(|(mask, handler)| Ok((mask, handler.try_clone()?))).collect()
    }

    /// What a child gets.
    pub(crate) fn inherited(&mut self) -> Result<Self, KernReturn> {
        let mut child = Self::default();
        for (mask, handler) in self.copied(!0)? {
            child.swap(mask, &handler)?;
        }
        Ok(child)
    }

    fn meant(&mut self, mask: i32) -> impl Iterator<Item = (usize, &mut Option<Handler>)> {
        self.0.iter_mut().enumerate().filter(move |(exception, _)| mask & 1 << exception != 0)
    }

    pub(crate) fn for_exception(&self, exception: i32) -> Option<Handler> {
        self.0.get(exception as usize)?.as_ref()?.try_clone().ok()
    }
}

/// The registers of a thread, in the order of `x86_THREAD_STATE64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers([u64; 21]);

/// Where Linux has the first 18 of them.
const IN_LINUX: [i32; 18] = [
    libc::REG_RAX,
    libc::REG_RBX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RDI,
    libc::REG_RSI,
    libc::REG_RBP,
    libc::REG_RSP,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
    libc::REG_RIP,
    libc::REG_EFL,
];

impl Registers {
    pub(crate) const WORDS: usize = 42;
    const FLAGS: usize = 17;
    /// cs, fs, gs: those of a program for macOS.
    const SELECTORS: [u64; 3] = [0x2b, 0, 0];
    /// The flags that a program may set: carry, parity, adjust, zero, sign, trap, direction, overflow.
    const OWN_FLAGS: u64 = 0xdd5;

    pub(crate) fn of(context: &libc::mcontext_t) -> Self {
        let general = IN_LINUX.map(|register| context.gregs[register as usize] as u64);
        let all = general.into_iter().chain(Self::SELECTORS);
        let mut registers = [0; 21];
        registers.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        Self(registers)
    }

    pub(crate) fn write(self, context: &mut libc::mcontext_t) {
        for (place, register) in IN_LINUX.into_iter().enumerate() {
            let to = &mut context.gregs[register as usize];
            let kept = if place == Self::FLAGS { !Self::OWN_FLAGS } else { 0 };
            *to = (*to as u64 & kept | self.0[place] & !kept) as i64;
        }
    }

    pub(crate) fn to_words(self) -> [u32; Self::WORDS] {
        std::array::from_fn(|at| (self.0[at / 2] >> (32 * (at % 2))) as u32)
    }

    /// Sets all registers.
    pub(crate) fn set(&mut self, flavor: i32, words: &[u32]) -> Result<(), KernReturn> {
        if flavor != X86_THREAD_STATE64 || words.len() != Self::WORDS {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        for (register, pair) in self.0.iter_mut().zip(words.chunks_exact(2)) {
            *register = u64::from(pair[0]) | u64::from(pair[1]) << 32;
        }
        Ok(())
    }
}
