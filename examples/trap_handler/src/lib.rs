//! Traps of compiled code as errors: what a runtime of WebAssembly does on macOS.
//!
//! Code that such a runtime compiles does not test each address and each divisor; it lets the processor trap,
//! and relies on being told. On macOS that is a message to the exception port of the thread. [`Traps`] serves
//! it: where the trap is in the code that it knows, it makes the thread go on in a function of the runtime,
//! which leaves the code and returns the [`Trap`]; everything else it leaves to the servers that come after
//! it, such as a crash reporter's.
//!
//! The server is generic over the kernel. Only the program's `main` is of macOS.

pub mod registers;

use std::ops::Range;

use mach_defs::apple_64::mach_exc::{Abi, MachExc};
use mach_defs::apple_64::thread_act::{thread_get_state, thread_set_state};
use mig_runtime::{KernReturn, Kernel, Port, SendRight};

use crate::registers::{NATIVE, Registers};

/// `EXC_BAD_ACCESS`
pub const EXC_BAD_ACCESS: i32 = 1;
/// `EXC_BAD_INSTRUCTION`
pub const EXC_BAD_INSTRUCTION: i32 = 2;
/// `EXC_ARITHMETIC`
pub const EXC_ARITHMETIC: i32 = 3;

/// The exceptions that compiled code raises on purpose.
pub const MASK: i32 = 1 << EXC_BAD_ACCESS | 1 << EXC_BAD_INSTRUCTION | 1 << EXC_ARITHMETIC;

/// `EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES`: the message has rights to the thread and the task, and codes
/// of 64 bits.
pub const BEHAVIOR: i32 = 1 | i32::MIN;

/// Why compiled code has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The instruction, from the beginning of the code.
    pub offset: u64,
    /// Which exception it was.
    pub exception: i32,
    /// The address of a bad access.
    pub address: Option<u64>,
}

/// The exception server of the threads that run compiled code.
pub struct Traps {
    /// Where the code is.
    pub code: Range<u64>,
    /// The function of the runtime in which the thread goes on, with the [`Trap`] as its arguments: offset,
    /// exception, whether there is an address, and the address.
    pub landing: u64,
}

impl<K: Kernel<Abi = Abi>> MachExc<K> for Traps {
    // The rights to the thread and the task are released when this returns, whatever it returns.
    fn mach_exception_raise(
        &self,
        _port: Port<'_, K>,
        thread: SendRight<K>,
        _task: SendRight<K>,
        exception: i32,
        code: &[i64],
    ) -> Result<(), KernReturn> {
        let address = match (exception, code) {
            (EXC_BAD_ACCESS, &[_, address]) => Some(address as u64),
            (EXC_BAD_INSTRUCTION | EXC_ARITHMETIC, _) => None,
            _ => return Err(KernReturn::KERN_FAILURE),
        };
        let state = thread_get_state(&thread, NATIVE, Registers::WORDS)?;
        let mut registers = Registers::new(&state).ok_or(KernReturn::KERN_FAILURE)?;
        let counter = registers.program_counter();
        if !self.code.contains(&counter) {
            return Err(KernReturn::KERN_FAILURE);
        }
        let trap = Trap { offset: counter - self.code.start, exception, address };
        registers.call(self.landing, trap.to_arguments());
        Ok(thread_set_state(&thread, NATIVE, registers.words())?)
    }
}

impl Trap {
    fn to_arguments(self) -> [u64; 4] {
        [
            self.offset,
            self.exception as u64,
            u64::from(self.address.is_some()),
            self.address.unwrap_or_default(),
        ]
    }

    /// From the arguments of [`Traps::landing`].
    pub fn from_arguments([offset, exception, has_address, address]: [u64; 4]) -> Self {
        Self { offset, exception: exception as i32, address: (has_address != 0).then_some(address) }
    }
}
