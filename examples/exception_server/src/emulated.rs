//! A machine with one task of one thread, and the little of a kernel that raises its exceptions.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mach_defs::apple_64::exc;
use mach_defs::apple_64::mach_exc::{
    mach_exception_raise, mach_exception_raise_state, mach_exception_raise_state_identity,
};
use mach_defs::apple_64::task::{Abi, Task, TaskSwapExceptionPortsReply};
use mach_defs::apple_64::thread_act::ThreadAct;
use mig_runtime::{KernReturn, Kernel, Port, ReceiveRight, SendRight, array_vec};

use crate::registers::{ARM_THREAD_STATE64, program_counter, with_program_counter};
use crate::{BEHAVIOR, EXC_BAD_ACCESS, ThreadState};

/// `EXC_BREAKPOINT`
pub const EXC_BREAKPOINT: i32 = 6;

/// `EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES`
pub const DEFAULT_WIDE: i32 = 1 | i32::MIN;
/// `EXCEPTION_STATE | MACH_EXCEPTION_CODES`
pub const STATE_WIDE: i32 = 2 | i32::MIN;
/// `EXCEPTION_STATE`
pub const STATE_NARROW: i32 = 2;

/// Where the program begins.
pub const PROGRAM: u64 = 0x1_0000_0000;
/// Loads from here on, up to [`PROGRAM`], are from memory that is there.
pub const MEMORY: u64 = 0x8000_0000;

/// The words of `ARM_THREAD_STATE64`.
const STATE_WORDS: usize = 68;

/// An instruction of 4 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Loads from this address.
    Load(u64),
    /// Stops for a debugger.
    Breakpoint,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// After its last instruction.
    Done,
    /// By this exception, for which no server was left.
    Killed(i32),
}

/// The machine. It serves its task's and its thread's port, for which there must be another thread.
pub struct Machine<K: Kernel> {
    /// The control port of the task.
    pub task: ReceiveRight<K>,
    /// The control port of the thread.
    pub thread: ReceiveRight<K>,
    state: Mutex<State<K>>,
}

struct State<K: Kernel> {
    registers: ThreadState,
    /// The exception servers, each for one exception.
    handlers: Vec<Handler<K>>,
}

struct Handler<K: Kernel> {
    exception: i32,
    port: SendRight<K>,
    behavior: i32,
    flavor: i32,
}

impl<K: Kernel<Abi = Abi>> Machine<K> {
    /// A machine of this kernel.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate`.
    pub fn new(kernel: &K) -> Result<Self, KernReturn> {
        let state = State { registers: array_vec(&[0; STATE_WORDS]), handlers: Vec::new() };
        Ok(Self {
            task: ReceiveRight::allocate(kernel)?,
            thread: ReceiveRight::allocate(kernel)?,
            state: Mutex::new(state),
        })
    }

    /// Runs a program from its beginning.
    ///
    /// # Panics
    ///
    /// If exception servers let it raise the same exceptions again and again.
    pub fn run(&self, program: &[Instruction]) -> Exit {
        self.jump(PROGRAM);
        for _ in 0..1000 {
            let Some(instruction) = self.next(program) else { return Exit::Done };
            let result = match instruction {
                Instruction::Load(MEMORY..PROGRAM) => {
                    self.jump(self.program_counter() + 4);
                    Ok(())
                }
                // Why it is bad, and where.
                Instruction::Load(address) => {
                    let code = [i64::from(KernReturn::KERN_INVALID_ADDRESS.0), address as i64];
                    self.raise(EXC_BAD_ACCESS, &code).map_err(|_| EXC_BAD_ACCESS)
                }
                Instruction::Breakpoint => self.raise(EXC_BREAKPOINT, &[1, 0]).map_err(|_| EXC_BREAKPOINT),
            };
            if let Err(exception) = result {
                return Exit::Killed(exception);
            }
        }
        panic!("the program makes no progress");
    }

    fn next(&self, program: &[Instruction]) -> Option<Instruction> {
        let index = self.program_counter().checked_sub(PROGRAM)? / 4;
        program.get(usize::try_from(index).ok()?).copied()
    }

    fn program_counter(&self) -> u64 {
        program_counter(ARM_THREAD_STATE64, &self.state().registers).expect("it has all registers")
    }

    fn jump(&self, to: u64) {
        let mut state = self.state();
        state.registers =
            with_program_counter(ARM_THREAD_STATE64, &state.registers, to).expect("it has all registers");
    }

    /// Tells the exception server, waits for its answer, and sets the registers that it gives.
    fn raise(&self, exception: i32, code: &[i64]) -> Result<(), KernReturn> {
        let (port, behavior, flavor, old) = {
            let state = self.state();
            let handler = state.handlers.iter().find(|handler| handler.exception == exception);
            let handler = handler.ok_or(KernReturn::KERN_FAILURE)?;
            (handler.port.try_clone()?, handler.behavior, handler.flavor, state.registers.clone())
        };
        let (thread, task) = (&self.thread.make_send()?, &self.task.make_send()?);
        let narrow: Vec<i32> = code.iter().map(|&code| code as i32).collect();
        let new = match behavior {
            BEHAVIOR => {
                let raise = mach_exception_raise_state_identity;
                raise(&port, thread, task, exception, code, flavor, &old)?.new_state
            }
            DEFAULT_WIDE => return Ok(mach_exception_raise(&port, thread, task, exception, code)?),
            STATE_WIDE => mach_exception_raise_state(&port, exception, code, flavor, &old)?.new_state,
            STATE_NARROW => exc::exception_raise_state(&port, exception, &narrow, flavor, &old)?.new_state,
            _ => return Err(KernReturn::KERN_INVALID_ARGUMENT),
        };
        self.thread_state(flavor, &new)
    }

    fn thread_state(&self, flavor: i32, new: &[u32]) -> Result<(), KernReturn> {
        if flavor != ARM_THREAD_STATE64 || new.len() != STATE_WORDS {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        self.state().registers = array_vec(new);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Kernel<Abi = Abi>> Task<K> for Machine<K> {
    fn task_swap_exception_ports(
        &self,
        _task: Port<'_, K>,
        exception_mask: i32,
        new_port: SendRight<K>,
        behavior: i32,
        new_flavor: i32,
    ) -> Result<TaskSwapExceptionPortsReply<K>, KernReturn> {
        let mut state = self.state();
        let is_meant = |exception: i32| exception_mask & (1 << exception) != 0;
        let handlers = std::mem::take(&mut state.handlers);
        let (old, kept): (Vec<_>, Vec<_>) =
            handlers.into_iter().partition(|handler| is_meant(handler.exception));
        state.handlers = kept;
        for exception in (1..32).filter(|&exception| is_meant(exception)) {
            let port = new_port.try_clone()?;
            state.handlers.push(Handler { exception, port, behavior, flavor: new_flavor });
        }
        Ok(TaskSwapExceptionPortsReply {
            masks: old.iter().map(|handler| 1 << handler.exception).collect(),
            old_behaviors: old.iter().map(|handler| handler.behavior).collect(),
            old_flavors: old.iter().map(|handler| handler.flavor).collect(),
            old_handlers: old.into_iter().map(|handler| handler.port).collect(),
        })
    }
}

impl<K: Kernel<Abi = Abi>> ThreadAct<K> for Machine<K> {
    fn thread_get_state(
        &self,
        _thread: Port<'_, K>,
        flavor: i32,
        max: u32,
    ) -> Result<ThreadState, KernReturn> {
        match flavor {
            ARM_THREAD_STATE64 if max as usize >= STATE_WORDS => Ok(self.state().registers.clone()),
            _ => Err(KernReturn::KERN_INVALID_ARGUMENT),
        }
    }

    fn thread_set_state(&self, _thread: Port<'_, K>, flavor: i32, new: &[u32]) -> Result<(), KernReturn> {
        self.thread_state(flavor, new)
    }
}
