//! The foreign functions of `libSystem` that [`Darwin`](super::Darwin) calls, on the task that the program
//! runs in.
//!
//! Those that cannot harm memory, whatever their arguments are, are safe here.

use core::ffi::{CStr, c_char, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use mach2::bootstrap;
use mach2::kern_return::kern_return_t;
use mach2::mach_init;
use mach2::mach_port;
use mach2::mig;
use mach2::port::mach_port_t;
use mach2::traps;
use mach2::vm;
use mach2::vm_statistics::VM_FLAGS_ANYWHERE;

use crate::kern_return::KernReturn;
use crate::kernel::Name;

unsafe extern "C" {
    // `mach2` does not have it.
    #[link_name = "mach_port_move_member"]
    safe fn move_member(task: mach_port_t, member: mach_port_t, after: mach_port_t) -> kern_return_t;

    // `mach2` does not have these.
    #[link_name = "mach_port_construct"]
    fn construct(
        task: mach_port_t,
        options: *const PortOptions,
        context: u64,
        name: *mut mach_port_t,
    ) -> kern_return_t;

    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
}

/// `mach_port_options_t`
#[repr(C)]
struct PortOptions {
    flags: u32,
    queue_limit: u32,
    reserved: [u64; 2],
}

/// A function that not every version of `libSystem` has.
struct Optional {
    name: &'static CStr,
    /// Null until it has been looked up, [`missing`] if there is none.
    address: AtomicPtr<c_void>,
}

/// The address of nothing.
fn missing() -> *mut c_void {
    ptr::without_provenance_mut(1)
}

impl Optional {
    const fn new(name: &'static CStr) -> Self {
        Self { name, address: AtomicPtr::new(ptr::null_mut()) }
    }

    fn address(&self) -> Option<*mut c_void> {
        let mut address = self.address.load(Ordering::Relaxed);
        if address.is_null() {
            /// `RTLD_DEFAULT`
            const ANY_LIBRARY: isize = -2;
            let any = ptr::without_provenance_mut(ANY_LIBRARY as usize);
            // SAFETY: the name is a string of C, and the handle one that is always open.
            address = unsafe { dlsym(any, self.name.as_ptr()) };
            if address.is_null() {
                address = missing();
            }
            self.address.store(address, Ordering::Relaxed);
        }
        (address != missing()).then_some(address)
    }
}

/// `mach_task_self ()`
fn this_task() -> mach_port_t {
    // SAFETY: the port is set before `main`, and never changes.
    unsafe { traps::mach_task_self() }
}

/// The name, without a reference for the caller.
pub(super) fn mach_task_self() -> Name {
    Name(this_task())
}

/// A reference for the caller.
pub(super) fn mach_thread_self() -> Name {
    // SAFETY: it has no precondition.
    Name(unsafe { mach_init::mach_thread_self() })
}

/// A reference for the caller.
pub(super) fn mach_host_self() -> Name {
    // SAFETY: it has no precondition.
    Name(unsafe { mach_init::mach_host_self() })
}

/// The result of a call that also returns a value.
fn with<T>(value: T, code: kern_return_t) -> Result<T, KernReturn> {
    KernReturn(code).ok().map(|()| value)
}

/// # Safety
///
/// `send_size` bytes at `message` are initialised; the rights and memory that they move are the caller's;
/// `receive_size` bytes may be written there.
pub(super) unsafe fn mach_msg(
    message: *mut u8,
    options: u32,
    send_size: u32,
    receive_size: u32,
    receive: Name,
    timeout: u32,
) -> KernReturn {
    // The options are bits, of which the first is the sign here.
    let options = options as i32;
    // SAFETY: the caller's promise; a buffer of words is aligned for a header.
    let code = unsafe {
        mach2::message::mach_msg(message.cast(), options, send_size, receive_size, receive.0, timeout, 0)
    };
    KernReturn(code)
}

/// `mach_msg` with the header's fields and all sizes in `words`, where this version of `libSystem` has it.
///
/// # Safety
///
/// As [`mach_msg`], of the sizes and the rights that `words` speaks of.
pub(super) unsafe fn mach_msg2_internal(message: *mut u8, words: [u64; 7]) -> Option<KernReturn> {
    type Function = unsafe extern "C" fn(*mut c_void, u64, u64, u64, u64, u64, u64, u64) -> kern_return_t;
    static FUNCTION: Optional = Optional::new(c"mach_msg2_internal");
    let address = FUNCTION.address()?;
    // SAFETY: this is its type in `mach/message.h`.
    let function = unsafe { core::mem::transmute::<*mut c_void, Function>(address) };
    let [options, bits, ports, voucher, descriptors, receive_size, timeout] = words;
    // SAFETY: the caller's promise.
    let code = unsafe {
        function(message.cast(), options, bits, ports, voucher, descriptors, receive_size, timeout)
    };
    Some(KernReturn(code))
}

pub(super) fn mach_port_allocate(right: u32) -> Result<Name, KernReturn> {
    let mut name = 0;
    // SAFETY: `name` outlives the call.
    let code = unsafe { mach_port::mach_port_allocate(this_task(), right, &mut name) };
    with(Name(name), code)
}

/// A port with these `MPO_…` flags.
pub(super) fn mach_port_construct(flags: u32) -> Result<Name, KernReturn> {
    let options = PortOptions { flags, queue_limit: 0, reserved: [0; 2] };
    let mut name = 0;
    // SAFETY: `options` and `name` outlive the call.
    let code = unsafe { construct(this_task(), &options, 0, &mut name) };
    with(Name(name), code)
}

/// A receive right for the caller.
pub(super) fn bootstrap_check_in(service: &CStr) -> Result<Name, KernReturn> {
    let mut name = 0;
    // SAFETY: `bootstrap_port` is set before `main`; `service` and `name` outlive the call.
    let code =
        unsafe { bootstrap::bootstrap_check_in(bootstrap::bootstrap_port, service.as_ptr(), &mut name) };
    with(Name(name), code)
}

/// A reference of a send right for the caller.
pub(super) fn bootstrap_look_up(service: &CStr) -> Result<Name, KernReturn> {
    let mut name = 0;
    // SAFETY: as above.
    let code =
        unsafe { bootstrap::bootstrap_look_up(bootstrap::bootstrap_port, service.as_ptr(), &mut name) };
    with(Name(name), code)
}

pub(super) fn mach_port_deallocate(name: Name) -> Result<(), KernReturn> {
    // SAFETY: it works on the table of names.
    KernReturn(unsafe { mach_port::mach_port_deallocate(this_task(), name.0) }).ok()
}

pub(super) fn mach_port_mod_refs(name: Name, right: u32, delta: i32) -> Result<(), KernReturn> {
    // SAFETY: it works on the table of names.
    KernReturn(unsafe { mach_port::mach_port_mod_refs(this_task(), name.0, right, delta) }).ok()
}

pub(super) fn mach_port_insert_right(name: Name, right: Name, disposition: u8) -> Result<(), KernReturn> {
    let disposition = disposition.into();
    // SAFETY: it works on the table of names.
    let code = unsafe { mach_port::mach_port_insert_right(this_task(), name.0, right.0, disposition) };
    KernReturn(code).ok()
}

pub(super) fn mach_port_extract_right(name: Name, disposition: u8) -> Result<Name, KernReturn> {
    let (mut right, mut kind) = (0, 0);
    let disposition = disposition.into();
    // SAFETY: `right` and `kind` outlive the call.
    let code = unsafe {
        mach_port::mach_port_extract_right(this_task(), name.0, disposition, &mut right, &mut kind)
    };
    with(Name(right), code)
}

pub(super) fn mach_port_move_member(member: Name, set: Name) -> Result<(), KernReturn> {
    KernReturn(move_member(this_task(), member.0, set.0)).ok()
}

pub(super) fn mach_port_request_notification(
    name: Name,
    id: i32,
    sync: u32,
    notify: Name,
    disposition: u8,
) -> Result<Name, KernReturn> {
    let mut previous = 0;
    let disposition = disposition.into();
    // SAFETY: `previous` outlives the call.
    let code = unsafe {
        let task = this_task();
        mach_port::mach_port_request_notification(
            task,
            name.0,
            id,
            sync,
            notify.0,
            disposition,
            &mut previous,
        )
    };
    with(Name(previous), code)
}

pub(super) fn mig_get_reply_port() -> Name {
    // SAFETY: it has no precondition.
    Name(unsafe { mig::mig_get_reply_port() })
}

pub(super) fn mig_dealloc_reply_port(name: Name) {
    // SAFETY: it works on the table of names.
    unsafe { mig::mig_dealloc_reply_port(name.0) }
}

pub(super) fn mach_vm_allocate(size: u64) -> Result<u64, KernReturn> {
    let mut address = 0;
    // SAFETY: `address` outlives the call, and memory is only added.
    let code = unsafe { vm::mach_vm_allocate(this_task(), &mut address, size, VM_FLAGS_ANYWHERE) };
    with(address, code)
}

/// # Safety
///
/// The memory is the caller's, and nothing refers to it any more.
pub(super) unsafe fn mach_vm_deallocate(address: u64, size: u64) -> Result<(), KernReturn> {
    // SAFETY: the caller's promise.
    KernReturn(unsafe { vm::mach_vm_deallocate(this_task(), address, size) }).ok()
}
