//! Threads: their stacks, start and end.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

use mach_defs::gnu::mach::{self, VmAddress};
use mach_defs::gnu::{gnumach, mach_host};
use mig_runtime::platform::{Panicked, SpawnError, Thread};
use mig_runtime::{KernReturn, Name};

use crate::block::{Block, Ended, STACK, Work, block_of, current, current_port};
use crate::sync;
use crate::task::{self, GnuMach, SendRight, borrowed, task};
use crate::wire::{self, PAGE};

/// `i386_THREAD_STATE`
pub(crate) const THREAD_STATE: i32 = 1;

/// `VM_PROT_READ | VM_PROT_WRITE`
const READ_WRITE: i32 = 3;
/// `VM_PROT_ALL`
const ALL: i32 = 7;
/// `VM_INHERIT_COPY`
const INHERIT_COPY: i32 = 1;

/// The privileged host port, once a thread has been wired with it.
static WIRED_BY: AtomicU32 = AtomicU32::new(0);

/// Lets the calling thread use the memory that the kernel keeps for emergencies (`thread_wire`), and the
/// threads that it starts from now on.
///
/// # Errors
///
/// As `thread_wire`: the port is not the privileged one of the host.
pub fn wire_current(host: &SendRight) -> Result<(), KernReturn> {
    mach_host::thread_wire(host, &current_port(), true)?;
    if WIRED_BY.load(Ordering::Relaxed) == 0 {
        WIRED_BY.store(host.try_clone()?.into_raw().0, Ordering::Relaxed);
    }
    current().wired.set(true);
    Ok(())
}

/// A thread that was started.
#[derive(Debug)]
pub struct JoinHandle(Arc<Ended>);

impl JoinHandle {
    /// Waits until the thread has ended.
    pub(crate) fn wait(&self) {
        while self.0.0.load(Ordering::Acquire) == 0 {
            sync::wait(&self.0.0, 0, None);
        }
    }
}

impl Thread for JoinHandle {
    fn join(self) -> Result<(), Panicked> {
        self.wait();
        Ok(())
    }
}

/// Starts a thread.
pub(crate) fn spawn(body: Box<dyn FnOnce() + Send>) -> Result<JoinHandle, SpawnError> {
    let ended = Arc::new(Ended::default());
    let work = Box::new(Work { body, ended: ended.clone() });
    start(work).map_err(|_| SpawnError)?;
    Ok(JoinHandle(ended))
}

fn start(work: Box<Work>) -> Result<(), KernReturn> {
    let stack = Stack::allocate()?;
    let thread = mach::thread_create(&task())?;
    let block = stack.block();
    block.wired.set(current().wired.get());
    block.counted.set(current().counted.get());
    let result = set_registers(&thread, block_of(stack.0));
    if result.is_err() {
        let _ = mach::thread_terminate(&thread);
        return result;
    }
    block.work.set(Some(work));
    block.port.set(thread.name());
    // The thread owns its stack and its port from now on.
    core::mem::forget(stack);
    let thread = borrowed(thread.into_raw());
    Ok(mach::thread_resume(&thread)?)
}

/// Makes a task with a copy of this task's memory, where `body` runs in the only thread and the task ends
/// with it. Returns the task.
///
/// The new task has none of this one's rights: what `body` needs it must get anew, by the task's special
/// ports for instance. Its memory is copied when one of the two writes it. No other thread of this task may
/// hold a lock meanwhile, since the copy would stay locked.
///
/// # Errors
///
/// As `task_create` and `thread_create`.
pub fn fork(body: impl FnOnce() + Send + 'static) -> Result<SendRight, KernReturn> {
    let stack = Stack::allocate()?;
    let block = stack.block();
    let body = Box::new(move || {
        task::forget_task();
        wire::forget();
        body();
        exit();
    });
    // The new task finds this in its copy of the memory; here it is released at the end.
    block.work.set(Some(Box::new(Work { body, ended: Arc::default() })));
    let child = mach::task_create(&task(), true);
    let started = child.and_then(|child| {
        let thread = mach::thread_create(&child)?;
        set_registers(&thread, block_of(stack.0))?;
        mach::thread_resume(&thread)?;
        Ok(child)
    });
    drop(block.work.take());
    Ok(started?)
}

/// Waits.
pub fn sleep(time: core::time::Duration) {
    let nobody = AtomicU32::new(0);
    sync::wait(&nobody, 0, Some(time));
}

/// The stack of a thread that does not run yet, by its address.
struct Stack(usize);

impl Stack {
    fn allocate() -> Result<Self, KernReturn> {
        let (nothing, size, mask) = (SendRight::null(GnuMach), STACK as VmAddress, (STACK - 1) as VmAddress);
        let address =
            mach::vm_map(&task(), 0, size, mask, true, &nothing, 0, false, READ_WRITE, ALL, INHERIT_COPY)?;
        let stack = Self(address as usize);
        // Who runs over the end of the stack gets an exception.
        mach::vm_protect(&task(), address, PAGE as VmAddress, false, 0)?;
        wire::wire_own(stack.0 + PAGE, STACK - PAGE)?;
        Ok(stack)
    }
}

impl Stack {
    /// What the thread will have for itself.
    fn block(&self) -> &Block {
        // SAFETY: the block is all zeros, which are a block, and no other thread uses it before the stack is
        // given away.
        unsafe { &*ptr::with_exposed_provenance(block_of(self.0)) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = mach::vm_deallocate(&task(), self.0 as VmAddress, STACK as VmAddress);
    }
}

/// Lets a new thread begin in [`enter`], on a stack that ends at `top`.
#[cfg(target_arch = "x86_64")]
fn set_registers(thread: &SendRight, top: usize) -> Result<(), KernReturn> {
    // `struct i386_thread_state`, 21 registers of 8 bytes; the kernel sets the segments.
    let mut registers = [0_u64; 21];
    registers[16] = enter as *const () as u64;
    // As if called: a return address lies below the aligned end.
    registers[19] = top as u64 - 8;
    let mut words = [0_u32; 42];
    for (words, register) in words.chunks_exact_mut(2).zip(registers) {
        words.copy_from_slice(&[register as u32, (register >> 32) as u32]);
    }
    Ok(mach::thread_set_state(thread, THREAD_STATE, &words)?)
}

/// Lets a new thread begin in [`enter`], on a stack that ends at `top`.
#[cfg(target_arch = "x86")]
fn set_registers(thread: &SendRight, top: usize) -> Result<(), KernReturn> {
    // `struct i386_thread_state`; the kernel sets the segments.
    let mut registers = [0_u32; 17];
    registers[12] = enter as *const () as u32;
    // As if called: a return address lies below the aligned end.
    registers[15] = top as u32 - 4;
    Ok(mach::thread_set_state(thread, THREAD_STATE, &registers)?)
}

/// Uses the floating-point unit, at the first use of which the kernel allocates memory for its state. That
/// may mean to wait for memory, which a thread must not do later, in the middle of something, with a lock in
/// its hands.
pub(crate) fn use_floating_point() {
    // SAFETY: the instruction does nothing.
    unsafe { core::arch::asm!("fnop", options(nomem, nostack, preserves_flags)) };
}

/// Where a thread begins.
extern "C" fn enter() -> ! {
    use_floating_point();
    let block = current();
    if block.wired.get() {
        let host = borrowed(Name(WIRED_BY.load(Ordering::Relaxed)));
        let wired = mach_host::thread_wire(&host, &current_port(), true);
        assert!(wired.is_ok(), "thread_wire: {wired:?}");
    }
    block.work.take().expect("a new thread has work").run();
    end(block)
}

/// Ends the calling thread, and gives back its stack, its reply port and its own port.
fn end(block: &Block) -> ! {
    let stack = ptr::from_ref(block).addr() & !(STACK - 1);
    let port = block.port.get();
    loop {
        let _ = gnumach::thread_terminate_release(
            &borrowed(port),
            &task(),
            port,
            block.reply_port.get(),
            stack as VmAddress,
            STACK as VmAddress,
        );
    }
}

/// Ends the task: the program.
pub fn exit() -> ! {
    loop {
        let _ = mach::task_terminate(&task());
    }
}
