//! Thread-local variables. Apple's code calls the first word of a variable's descriptor with the descriptor's address, and gets the address of the
//! calling thread's variable; all registers but that of the result are kept.

use std::arch::global_asm;
use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use object::macho;

use crate::macho::Program;

/// Words of a descriptor: the function to call, a key, and the variable's place among those of the program.
const DESCRIPTOR: usize = 3;

/// What the variables of a program are when a thread begins.
pub(crate) struct Template(Vec<u8>);

impl Template {
    /// The initialised variables, and after them those that are zero.
    pub(crate) fn of(program: &Program<'_>, image: &[u8]) -> Result<Self, String> {
        let data = program.section_of(macho::S_THREAD_LOCAL_REGULAR);
        let zeros = program.section_of(macho::S_THREAD_LOCAL_ZEROFILL);
        let range = |section: &crate::macho::Section| section.start..section.start + section.size;
        let (data, zeros) = (data.map(range), zeros.map(range));
        let start = data.as_ref().or(zeros.as_ref()).map_or(0, |range| range.start);
        let end = zeros.as_ref().or(data.as_ref()).map_or(0, |range| range.end);
        let len = end.checked_sub(start).ok_or("thread-local variables are in an unusual order")?;
        let mut bytes = vec![0; len as usize];
        if let Some(data) = data {
            let initial = &image[data.start as usize..data.end as usize];
            bytes[..initial.len()].copy_from_slice(initial);
        }
        Ok(Self(bytes))
    }
}

/// The programs' templates; the key of a descriptor is an index into them.
static TEMPLATES: Mutex<Vec<Template>> = Mutex::new(Vec::new());

thread_local! {
    /// This thread's variables of each program; never freed, since destructors that run later may use them.
    static BLOCKS: RefCell<Vec<Option<&'static mut [u64]>>> = const { RefCell::new(Vec::new()) };
}

/// Makes the descriptors call [`variable`].
pub(crate) fn prepare(descriptors: &mut [u8], template: Template) {
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = templates.len() as u64;
    templates.push(template);
    let function = machrun_tlv as *const () as u64;
    for descriptor in descriptors.chunks_exact_mut(8 * DESCRIPTOR) {
        descriptor[..8].copy_from_slice(&function.to_le_bytes());
        descriptor[8..16].copy_from_slice(&key.to_le_bytes());
    }
}

/// The address of the calling thread's variable.
///
/// # Safety
///
/// The descriptor is one that [`prepare`] has seen.
#[unsafe(no_mangle)]
unsafe extern "C" fn machrun_tlv_address(descriptor: *const [usize; DESCRIPTOR]) -> *mut u8 {
    // SAFETY: the caller's promise.
    let [_, key, offset] = unsafe { *descriptor };
    BLOCKS.with_borrow_mut(|blocks| {
        if blocks.len() <= key {
            blocks.resize_with(key + 1, || None);
        }
        let block = blocks[key].get_or_insert_with(|| new_block(key));
        block.as_mut_ptr().cast::<u8>().wrapping_add(offset)
    })
}

fn new_block(key: usize) -> &'static mut [u64] {
    let templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    let words = templates[key].0.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.collect::<Vec<_>>().leak()
}

unsafe extern "C" {
    /// What descriptors call: keeps every register but `rax`.
    fn machrun_tlv();
}

global_asm!(
    ".globl machrun_tlv",
    "machrun_tlv:",
    "push rbp",
    "mov rbp, rsp",
    "push rcx",
    "push rdx",
    "push rsi",
    "push rdi",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "sub rsp, 528",
    "and rsp, -16",
    "fxsave [rsp]",
    "call machrun_tlv_address",
    "fxrstor [rsp]",
    "lea rsp, [rbp - 64]",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rdi",
    "pop rsi",
    "pop rdx",
    "pop rcx",
    "pop rbp",
    "ret",
);
