//! What a program without a C library must bring once: its beginning, its end by a panic, an allocator, and
//! the functions for memory that the compiler takes for granted.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::global_asm;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use lock_api::Mutex;
use mach_defs::gnu::mach::{self, VmAddress};
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;

use crate::block::{Block, STACK, current};
use crate::sync::RawMutex;
use crate::task::task;
use crate::thread::use_floating_point;
use crate::wire::wire_own;
use crate::{Arguments, println};

// The kernel's stack has no block at its end, so the program begins on one of its own, all zeros as the block
// is to be at first.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "lea rsp, [rip + {stack} + {size} - 64]",
    "call {begin}",
    stack = sym MAIN_STACK,
    size = const STACK,
    begin = sym begin,
);
#[cfg(target_arch = "x86")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov eax, esp",
    "lea esp, [{stack} + {size} - 64]",
    "sub esp, 12",
    "push eax",
    "call {begin}",
    stack = sym MAIN_STACK,
    size = const STACK,
    begin = sym begin,
);

#[repr(C, align(65536))]
struct MainStack([u8; STACK]);

const _: () = assert!(align_of::<MainStack>() == STACK && size_of::<Block>() <= 64);

static mut MAIN_STACK: MainStack = MainStack([0; STACK]);

unsafe extern "Rust" {
    /// The program's, as [`main!`](crate::main) names it.
    fn gnumach_main(arguments: Arguments);
}

extern "C" fn begin(stack: *const usize) -> ! {
    use_floating_point();
    // SAFETY: it is the stack pointer that the kernel has set.
    let arguments = unsafe { Arguments::from_stack(stack) };
    // SAFETY: `main!` defines it with this signature.
    unsafe { gnumach_main(arguments) };
    crate::exit()
}

#[panic_handler]
fn panicked(panic: &PanicInfo<'_>) -> ! {
    println!("{panic}");
    crate::exit()
}

/// The prebuilt `core` and `alloc` refer to it; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// The same.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    crate::exit()
}

#[global_allocator]
static HEAP: Heap = Heap(Mutex::new(Talc::new(Manual)));

/// Allocations of the threads that count them.
static COUNTED: AtomicUsize = AtomicUsize::new(0);

/// From now on the allocations of the calling thread are counted, and those of the threads that it starts:
/// for threads that are to make none.
pub fn count_allocations() {
    current().counted.set(true);
}

/// How many allocations the threads have made that [count](count_allocations) them.
pub fn counted_allocations() -> usize {
    COUNTED.load(Ordering::Relaxed)
}

/// The allocator takes at least this many bytes from the kernel at once.
const CHUNK: usize = 256 << 10;

/// Room for what the allocator itself needs of a chunk.
const OVERHEAD: usize = 8 << 10;

/// Memory from the kernel, never given back.
///
/// The lock is not held while the kernel is asked for more: a thread without privileges may wait for that,
/// and those with them must not wait for it.
struct Heap(Mutex<RawMutex, Talc<Manual, DefaultBinning>>);

impl Heap {
    /// Takes memory from the kernel in which there is room for this.
    fn grow(&self, layout: Layout) -> Option<()> {
        let size = layout.size().checked_add(layout.align())?.checked_add(OVERHEAD)?;
        let size = size.checked_next_multiple_of(CHUNK)?;
        let address = mach::vm_allocate(&task(), 0, size as VmAddress, true).ok()?;
        if wire_own(address as usize, size).is_err() {
            let _ = mach::vm_deallocate(&task(), address, size as VmAddress);
            return None;
        }
        // SAFETY: the memory is new, and nobody else's.
        unsafe { self.0.lock().claim(ptr::with_exposed_provenance_mut(address as usize), size) }.map(drop)
    }
}

// SAFETY: all memory is that of `Talc`, which keeps the promises of an allocator, behind a lock.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNTED.fetch_add(usize::from(current().counted.get()), Ordering::Relaxed);
        loop {
            // SAFETY: the caller's promise: the layout is not empty.
            if let Some(memory) = unsafe { self.0.lock().allocate(layout) } {
                return memory.as_ptr();
            }
            // Others may take what is new before this thread does.
            if self.grow(layout).is_none() {
                return ptr::null_mut();
            }
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise: the memory has come from here, with this layout.
        unsafe { self.0.lock().deallocate(memory, layout) };
    }
}

// The compiler makes calls of these out of copies and comparisons, so they cannot be written in Rust without
// calling themselves. String instructions copy words first, then what is left.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl memcpy, memmove, memset, memcmp, bcmp, strlen",
    "memcpy:",
    "mov rax, rdi",
    "mov rcx, rdx",
    "shr rcx, 3",
    "rep movsq",
    "mov ecx, edx",
    "and ecx, 7",
    "rep movsb",
    "ret",
    "memmove:",
    // Forward unless the destination begins inside of the source.
    "mov rax, rdi",
    "sub rax, rsi",
    "cmp rax, rdx",
    "jae memcpy",
    "mov rax, rdi",
    "mov rcx, rdx",
    "lea rdi, [rdi + rdx - 1]",
    "lea rsi, [rsi + rdx - 1]",
    "std",
    "rep movsb",
    "cld",
    "ret",
    "memset:",
    "mov r8, rdi",
    "movzx eax, sil",
    "movabs rcx, 0x0101010101010101",
    "imul rax, rcx",
    "mov rcx, rdx",
    "shr rcx, 3",
    "rep stosq",
    "mov ecx, edx",
    "and ecx, 7",
    "rep stosb",
    "mov rax, r8",
    "ret",
    "memcmp:",
    "bcmp:",
    "2:",
    "cmp rdx, 8",
    "jb 3f",
    "mov rax, [rdi]",
    "cmp rax, [rsi]",
    "jne 3f",
    "add rdi, 8",
    "add rsi, 8",
    "sub rdx, 8",
    "jmp 2b",
    "3:",
    "test rdx, rdx",
    "je 4f",
    "movzx eax, byte ptr [rdi]",
    "movzx ecx, byte ptr [rsi]",
    "inc rdi",
    "inc rsi",
    "dec rdx",
    "sub eax, ecx",
    "je 3b",
    "ret",
    "4:",
    "xor eax, eax",
    "ret",
    "strlen:",
    "mov rax, rdi",
    "2:",
    "cmp byte ptr [rax], 0",
    "je 3f",
    "inc rax",
    "jmp 2b",
    "3:",
    "sub rax, rdi",
    "ret",
);
#[cfg(target_arch = "x86")]
global_asm!(
    ".globl memcpy, memmove, memset, memcmp, bcmp, strlen",
    "memcpy:",
    "push esi",
    "push edi",
    "mov edi, [esp + 12]",
    "mov esi, [esp + 16]",
    "mov ecx, [esp + 20]",
    "5:",
    "mov edx, ecx",
    "mov eax, edi",
    "shr ecx, 2",
    "rep movsd",
    "mov ecx, edx",
    "and ecx, 3",
    "rep movsb",
    "pop edi",
    "pop esi",
    "ret",
    "memmove:",
    "push esi",
    "push edi",
    "mov edi, [esp + 12]",
    "mov esi, [esp + 16]",
    "mov ecx, [esp + 20]",
    // Forward unless the destination begins inside of the source.
    "mov eax, edi",
    "sub eax, esi",
    "cmp eax, ecx",
    "jae 5b",
    "mov eax, edi",
    "lea edi, [edi + ecx - 1]",
    "lea esi, [esi + ecx - 1]",
    "std",
    "rep movsb",
    "cld",
    "pop edi",
    "pop esi",
    "ret",
    "memset:",
    "push edi",
    "mov edi, [esp + 8]",
    "movzx eax, byte ptr [esp + 12]",
    "imul eax, eax, 0x01010101",
    "mov edx, [esp + 16]",
    "mov ecx, edx",
    "shr ecx, 2",
    "rep stosd",
    "mov ecx, edx",
    "and ecx, 3",
    "rep stosb",
    "mov eax, [esp + 8]",
    "pop edi",
    "ret",
    "memcmp:",
    "bcmp:",
    "push esi",
    "push edi",
    "mov edi, [esp + 12]",
    "mov esi, [esp + 16]",
    "mov edx, [esp + 20]",
    "2:",
    "cmp edx, 4",
    "jb 3f",
    "mov eax, [edi]",
    "cmp eax, [esi]",
    "jne 3f",
    "add edi, 4",
    "add esi, 4",
    "sub edx, 4",
    "jmp 2b",
    "3:",
    "xor eax, eax",
    "test edx, edx",
    "je 4f",
    "movzx eax, byte ptr [edi]",
    "movzx ecx, byte ptr [esi]",
    "inc edi",
    "inc esi",
    "dec edx",
    "sub eax, ecx",
    "je 3b",
    "4:",
    "pop edi",
    "pop esi",
    "ret",
    "strlen:",
    "mov edx, [esp + 4]",
    "mov eax, edx",
    "2:",
    "cmp byte ptr [eax], 0",
    "je 3f",
    "inc eax",
    "jmp 2b",
    "3:",
    "sub eax, edx",
    "ret",
);
