//! Thread-local variables. Apple's code calls the first word of a variable's descriptor with the descriptor's
//! address, and gets the address of the calling thread's variable; all registers but that of the result are
//! kept.

use std::arch::global_asm;
use std::cell::RefCell;
use std::sync::Mutex;

use object::macho;

use crate::lock::lock;
use crate::macho::{Program, Section};

/// Words of a descriptor: the function to call, a key, and the variable's place among those of the program.
const DESCRIPTOR: usize = 3;

/// Variables are aligned to this at most.
const ALIGNMENT: usize = 64;

/// What the variables of a program are when a thread begins.
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// How far beyond a multiple of [`ALIGNMENT`] they begin in the image. A linker aligns them there.
    begin: usize,
}

impl Template {
    /// The initialised variables, and after them those that are zero.
    pub(crate) fn of(program: &Program<'_>, image: &[u8]) -> Result<Self, String> {
        let data = program.section_of(macho::S_THREAD_LOCAL_REGULAR);
        let zeros = program.section_of(macho::S_THREAD_LOCAL_ZEROFILL);
        let range = |section: &Section| section.start..section.start + section.size;
        let (data, zeros) = (data.map(range), zeros.map(range));
        let start = data.as_ref().or(zeros.as_ref()).map_or(0, |range| range.start);
        let end = zeros.as_ref().or(data.as_ref()).map_or(0, |range| range.end);
        let len = end.checked_sub(start).ok_or("thread-local variables are in an unusual order")?;
        let mut bytes = vec![0; len as usize];
        if let Some(data) = data {
            let initial = &image[data.start as usize..data.end as usize];
            bytes[..initial.len()].copy_from_slice(initial);
        }
        Ok(Self { bytes, begin: start as usize % ALIGNMENT })
    }
}

/// The programs' templates; the key of a descriptor is an index into them.
static TEMPLATES: Mutex<Vec<Template>> = Mutex::new(Vec::new());

thread_local! {
    /// The address of this thread's variables of each program; never freed, since destructors that run later
    /// may use them.
    static BLOCKS: RefCell<Vec<Option<*mut u8>>> = const { RefCell::new(Vec::new()) };
}

/// Makes the descriptors call [`machrun_tlv`].
pub(crate) fn prepare(descriptors: &mut [u8], template: Template) {
    let mut templates = lock(&TEMPLATES);
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
    // SAFETY: the caller's promise. Not every linker aligns descriptors.
    let [_, key, offset] = unsafe { descriptor.read_unaligned() };
    BLOCKS.with_borrow_mut(|blocks| {
        if blocks.len() <= key {
            blocks.resize_with(key + 1, || None);
        }
        blocks[key].get_or_insert_with(|| new_block(key)).wrapping_add(offset)
    })
}

fn new_block(key: usize) -> *mut u8 {
    let templates = lock(&TEMPLATES);
    let Template { bytes, begin } = &templates[key];
    let room = vec![0; bytes.len() + 2 * ALIGNMENT].leak();
    let start = room.as_ptr().align_offset(ALIGNMENT) + begin;
    let block = &mut room[start..start + bytes.len()];
    block.copy_from_slice(bytes);
    block.as_mut_ptr()
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
