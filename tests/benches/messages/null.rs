//! A kernel that does nothing, and servers that do nothing. What is not the stubs' own work is in functions
//! whose names begin with `null_`.

use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use mach_defs::gnu_x86_64::{memory_object, memory_object_default};
use mig_runtime::abi::GnuX86_64;
use mig_runtime::kernel::{Kernel, MsgCall, Name, Notification, RightKind};
use mig_runtime::{KernReturn, OolMemory, Port, ReceiveRight, SendRight};

use crate::arrays;

/// The message that the kernel delivers.
pub(crate) static MESSAGE: OnceLock<Vec<u8>> = OnceLock::new();

/// Calls of the kernel that send, and of servers.
pub(crate) static CALLS: AtomicU64 = AtomicU64::new(0);

/// There is only one thread: no need for the cost of an atomic addition, which C does not have.
#[inline(always)]
fn called() {
    CALLS.store(CALLS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// As C's `mach_msg`, with what a trap would be given.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn null_mach_msg(
    buffer: *mut u8,
    option: u32,
    _send_size: u32,
    receive_size: u32,
    _receive_name: u32,
    _timeout: u32,
    _notify: u32,
) -> i32 {
    if option & SEND != 0 {
        called();
    }
    if option & RECEIVE != 0 {
        let message = MESSAGE.get().map_or(&[][..], Vec::as_slice);
        assert!(message.len() <= receive_size as usize, "the message fits");
        // SAFETY: the buffer has room for `receive_size` bytes, and a message is never larger, as just
        // tested.
        unsafe { buffer.copy_from_nonoverlapping(message.as_ptr(), message.len()) };
    }
    // 0, but the compiler is not to know that where it is called.
    i32::from(CALLS.load(Ordering::Relaxed) == u64::MAX)
}

const SEND: u32 = 1;
const RECEIVE: u32 = 2;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn null_mig_get_reply_port() -> u32 {
    0x707
}

/// Releases nothing.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn null_release(_name: u32) {}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn null_memory_object_create(_: u32, _: u32, _: u64, _: u32, _: u32, _: u64) -> i32 {
    called();
    0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn null_memory_object_data_initialize(_: u32, _: u32, _: u64, _: *const u8, _: usize) -> i32 {
    called();
    0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn null_memory_object_data_request(_: u32, _: u32, _: u64, _: u64, _: i32) -> i32 {
    called();
    0
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn null_arrays_put(_: u32, _: *const i32, count: usize, _: *const u8, size: usize) -> i32 {
    called();
    (count + size) as i32
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn null_arrays_get(_: u32) -> i32 {
    called();
    0
}

/// What `arrays_get` answers.
static NUMBERS: [i32; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// The task.
#[derive(Clone, Copy)]
pub(crate) struct Null;

/// Memory that is somewhere.
pub(crate) struct Memory {
    address: *mut u8,
    len: usize,
}

impl Memory {
    /// Memory of the program that is never freed.
    pub(crate) fn of(bytes: &'static mut [u8]) -> Self {
        Memory { address: bytes.as_mut_ptr(), len: bytes.len() }
    }
}

// SAFETY: nothing else has the memory.
unsafe impl Send for Memory {}
// SAFETY: a shared borrow only reads.
unsafe impl Sync for Memory {}

impl Deref for Memory {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the messages of this program refer to memory that is never freed.
        unsafe { std::slice::from_raw_parts(self.address, self.len) }
    }
}

impl DerefMut for Memory {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the messages of this program refer to memory that is never freed.
        unsafe { std::slice::from_raw_parts_mut(self.address, self.len) }
    }
}

impl Drop for Memory {
    #[inline]
    fn drop(&mut self) {
        null_release(0);
    }
}

// SAFETY: it delivers the messages of this program, in which rights are numbers and memory is never freed.
unsafe impl Kernel for Null {
    type Abi = GnuX86_64;
    type Region = Memory;
    type Lent<'a> = u64;

    #[inline]
    unsafe fn mach_msg(&self, buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
        let send = if call.send { SEND } else { 0 };
        let receive = if call.receive.is_some() { RECEIVE } else { 0 };
        let timeout = call.send_timeout.or(call.receive_timeout).unwrap_or(0);
        // SAFETY: in a message that is sent the first word is initialised; otherwise it is not looked at.
        let send_size = if call.send { (unsafe { buffer[0].assume_init() } >> 32) as u32 } else { 0 };
        let receive_size = if call.receive.is_some() { size_of_val(buffer) as u32 } else { 0 };
        let name = call.receive.map_or(0, |name| name.0);
        let address = buffer.as_mut_ptr().cast();
        KernReturn(null_mach_msg(address, send | receive, send_size, receive_size, name, timeout, 0)).ok()
    }

    fn allocate_port(&self) -> Result<Name, KernReturn> {
        Err(KernReturn::KERN_RESOURCE_SHORTAGE)
    }

    fn allocate_port_set(&self) -> Result<Name, KernReturn> {
        Err(KernReturn::KERN_RESOURCE_SHORTAGE)
    }

    #[inline]
    unsafe fn release(&self, _kind: RightKind, name: Name) {
        null_release(name.0);
    }

    unsafe fn copy_send(&self, _name: Name) -> Result<(), KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    unsafe fn make_send(&self, _receive: Name) -> Result<(), KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    unsafe fn make_send_once(&self, _receive: Name) -> Result<Name, KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    unsafe fn move_member(&self, _receive: Name, _set: Name) -> Result<(), KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    unsafe fn request_notification(&self, _: Name, _: Notification, _: Name) -> Result<Name, KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    #[inline]
    fn reply_port(&self) -> Result<Name, KernReturn> {
        Ok(Name(null_mig_get_reply_port()))
    }

    unsafe fn destroy_reply_port(&self, name: Name) {
        null_release(name.0);
    }

    fn allocate(&self, size: usize) -> Result<Memory, KernReturn> {
        Ok(Memory::of(vec![0; size].leak()))
    }

    #[inline]
    fn region_into_wire(&self, region: Memory) -> u64 {
        let region = std::mem::ManuallyDrop::new(region);
        region.address as u64
    }

    #[inline]
    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Memory {
        Memory { address: address as *mut u8, len: size }
    }

    #[inline]
    fn lend(&self, bytes: &[u8]) -> u64 {
        bytes.as_ptr() as u64
    }

    #[inline]
    fn lent_address(lent: &u64) -> u64 {
        *lent
    }
}

/// Servers whose work is a call, as in C.
pub(crate) struct Server;

impl memory_object_default::MemoryObjectDefault<Null> for Server {
    #[inline(always)]
    fn memory_object_create(
        &self,
        port: Port<'_, Null>,
        object: ReceiveRight<Null>,
        size: u64,
        control: SendRight<Null>,
        name: SendRight<Null>,
        page_size: u64,
    ) -> Result<(), KernReturn> {
        let [object, control, name] =
            [object.into_raw(), control.into_raw(), name.into_raw()].map(|name| name.0);
        KernReturn(null_memory_object_create(port.name().0, object, size, control, name, page_size)).ok()
    }

    #[inline(always)]
    fn memory_object_data_initialize(
        &self,
        port: Port<'_, Null>,
        control: SendRight<Null>,
        offset: u64,
        data: OolMemory<Null>,
    ) -> Result<(), KernReturn> {
        let (control, data) = (control.into_raw().0, keep(data));
        let (address, len) = (data.as_ptr(), data.len());
        KernReturn(null_memory_object_data_initialize(port.name().0, control, offset, address, len)).ok()
    }
}

impl memory_object::MemoryObject<Null> for Server {
    #[inline(always)]
    fn memory_object_data_request(
        &self,
        port: Port<'_, Null>,
        control: SendRight<Null>,
        offset: u64,
        length: u64,
        access: i32,
    ) -> Result<(), KernReturn> {
        let control = control.into_raw().0;
        KernReturn(null_memory_object_data_request(port.name().0, control, offset, length, access)).ok()
    }
}

impl arrays::Arrays<Null> for Server {
    #[inline(always)]
    fn arrays_put(
        &self,
        port: Port<'_, Null>,
        numbers: &[i32],
        bytes: OolMemory<Null>,
    ) -> Result<i32, KernReturn> {
        let bytes = keep(bytes);
        Ok(null_arrays_put(port.name().0, numbers.as_ptr(), numbers.len(), bytes.as_ptr(), bytes.len()))
    }

    #[inline(always)]
    fn arrays_get(&self, port: Port<'_, Null>) -> Result<arrays::ArraysGetReply<Null>, KernReturn> {
        KernReturn(null_arrays_get(port.name().0)).ok()?;
        let page = Memory { address: std::ptr::without_provenance_mut(0x1_0000), len: 4096 };
        Ok(arrays::ArraysGetReply {
            numbers: NUMBERS.into_iter().collect(),
            bytes: OolMemory::from_region(page),
        })
    }
}

/// What a server function in C does with memory: it has the address, and frees nothing yet.
#[inline]
fn keep(memory: OolMemory<Null>) -> std::mem::ManuallyDrop<OolMemory<Null>> {
    std::mem::ManuallyDrop::new(memory)
}
