//! `mach_vm_allocate` and its kin for programs in C: [`mach_vm`] behind numbers and codes. The header
//! `include/mach_vm.h` says what each function does.
#![cfg(target_os = "linux")]

mod instance;
mod object;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::time::Duration;

use mach_vm::{AccessError, Faults, Limits, Protection, VmError};
use mig_runtime::KernReturn;

use crate::instance::{Instance, Paging};
use crate::object::{Callbacks, Context, Pager};

/// `kern_return_t`
pub type Code = c_int;

const KERN_NOT_SUPPORTED: KernReturn = KernReturn(46);
const VM_FLAGS_ANYWHERE: c_int = 1;
const VM_PROT_READ: i32 = 1;
const VM_PROT_WRITE: i32 = 2;
const VM_BEHAVIOR_WILLNEED: i32 = 4;
const VM_BEHAVIOR_FREE: i32 = 6;

/// `mach_vm_options_t`
#[repr(C)]
#[derive(Debug)]
pub struct Options {
    resident: u64,
    paging: u64,
    swap: *const c_char,
    faults: u32,
    patience: u32,
}

/// `mach_vm_statistics_t`
#[repr(C)]
#[derive(Debug, Default)]
pub struct Statistics {
    resident: u64,
    peak_resident: u64,
    requests: u64,
    rescued: u64,
    returned: u64,
    dropped: u64,
}

/// What went wrong, as a code of Mach's.
struct Failed(KernReturn);

impl From<KernReturn> for Failed {
    fn from(code: KernReturn) -> Self {
        Self(code)
    }
}

impl From<VmError> for Failed {
    fn from(error: VmError) -> Self {
        Self(match error {
            VmError::NotPermitted => KernReturn::KERN_NO_ACCESS,
            VmError::OldKernel | VmError::OnlyCalls => KERN_NOT_SUPPORTED,
            VmError::LimitTooSmall(_) | VmError::BadRange => KernReturn::KERN_INVALID_ARGUMENT,
            VmError::Refused | VmError::NotReady | VmError::NoManager => KernReturn::KERN_MEMORY_FAILURE,
            VmError::Kernel(code) => code,
            VmError::System(_) => KernReturn::KERN_RESOURCE_SHORTAGE,
            _ => KernReturn::KERN_FAILURE,
        })
    }
}

impl From<AccessError> for Failed {
    fn from(error: AccessError) -> Self {
        Self(match error {
            AccessError::OutOfRange => KernReturn::KERN_INVALID_ADDRESS,
            AccessError::ReadOnly => KernReturn::KERN_PROTECTION_FAILURE,
            _ => KernReturn::KERN_MEMORY_ERROR,
        })
    }
}

const INVALID: Failed = Failed(KernReturn::KERN_INVALID_ARGUMENT);

fn code(result: Result<(), Failed>) -> Code {
    match result {
        Ok(()) => KernReturn::KERN_SUCCESS.0,
        Err(Failed(code)) => code.0,
    }
}

/// A size in whole pages.
fn pages(size: u64) -> Result<usize, Failed> {
    let size = usize::try_from(size).ok().and_then(|size| size.checked_next_multiple_of(4096));
    size.filter(|size| *size > 0).ok_or(INVALID)
}

/// # Safety
///
/// `options` and `vm` are null or valid, and `swap` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mach_vm_create(options: *const Options, vm: *mut u64) -> Code {
    // SAFETY: the caller's promise.
    let (Some(options), Some(vm)) = (unsafe { options.as_ref() }, unsafe { vm.as_mut() }) else {
        return code(Err(INVALID));
    };
    let swap = (!options.swap.is_null()).then(|| {
        // SAFETY: the caller's promise.
        unsafe { CStr::from_ptr(options.swap) }
    });
    code(create(options, swap).map(|number| *vm = number))
}

fn create(options: &Options, swap: Option<&CStr>) -> Result<u64, Failed> {
    use std::os::unix::ffi::OsStrExt as _;

    let faults = match options.faults {
        0 => Faults::Thread,
        1 => Faults::Signal,
        _ => return Err(INVALID),
    };
    let resident = usize::try_from(options.resident).map_err(|_| INVALID)?;
    let mut limits = Limits { resident, faults, ..Limits::default() };
    if options.patience > 0 {
        limits.patience = Duration::from_millis(options.patience.into());
    }
    let paging = match swap {
        Some(path) => Paging::File(Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()))),
        None => Paging::Memory(if options.paging == 0 { 1 << 30 } else { options.paging }),
    };
    instance::add(Instance::new(limits, paging)?)
}

/// Ends a vm.
#[unsafe(no_mangle)]
pub extern "C" fn mach_vm_destroy(vm: u64) -> Code {
    code(instance::remove(vm).and_then(|instance| instance.end()))
}

/// # Safety
///
/// `address` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mach_vm_allocate(vm: u64, address: *mut u64, size: u64, flags: c_int) -> Code {
    // SAFETY: the caller's promise.
    let address = unsafe { address.as_mut() };
    code(place(vm, address, size, flags, |instance, size| instance.allocate(size)))
}

/// # Safety
///
/// `address` and `pager` are null or valid, and the pager's functions may be called with `context` until the
/// memory has been deallocated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mach_vm_map(
    vm: u64,
    address: *mut u64,
    size: u64,
    flags: c_int,
    pager: *const Callbacks,
    context: *mut c_void,
    offset: u64,
    protection: i32,
) -> Code {
    // SAFETY: the caller's promise.
    let (address, pager) = (unsafe { address.as_mut() }, unsafe { pager.as_ref() });
    let protection = match protection {
        VM_PROT_READ => Ok(Protection::Read),
        both if both == VM_PROT_READ | VM_PROT_WRITE => Ok(Protection::ReadWrite),
        _ => Err(INVALID),
    };
    // SAFETY: the caller's promise.
    let pager = pager.map(|functions| unsafe { Pager::new(*functions, Context(context)) });
    code(place(vm, address, size, flags, |instance, size| {
        instance.map(pager.ok_or(INVALID)?, offset, size, protection?)
    }))
}

/// Says where new memory is.
fn place(
    vm: u64,
    address: Option<&mut u64>,
    size: u64,
    flags: c_int,
    make: impl FnOnce(&Instance, usize) -> Result<u64, Failed>,
) -> Result<(), Failed> {
    let address = address.filter(|_| flags == VM_FLAGS_ANYWHERE).ok_or(INVALID)?;
    *address = make(&*instance::get(vm)?, pages(size)?)?;
    Ok(())
}

/// Gives memory back. Nobody may use it any more.
#[unsafe(no_mangle)]
pub extern "C" fn mach_vm_deallocate(vm: u64, address: u64, size: u64) -> Code {
    code(pages(size).and_then(|size| instance::get(vm)?.deallocate(address, size)))
}

/// Says what becomes of memory.
#[unsafe(no_mangle)]
pub extern "C" fn mach_vm_behavior_set(vm: u64, address: u64, size: u64, behavior: i32) -> Code {
    let set = || {
        let (instance, size) = (instance::get(vm)?, usize::try_from(size).map_err(|_| INVALID)?);
        match behavior {
            VM_BEHAVIOR_WILLNEED => instance.with(address, size, |memory, bytes| {
                memory.will_need(bytes);
                Ok(())
            }),
            VM_BEHAVIOR_FREE => instance.with(address, size, |memory, bytes| Ok(memory.discard(bytes)?)),
            _ => Err(INVALID),
        }
    };
    code(set())
}

/// # Safety
///
/// `data` has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mach_vm_read_overwrite(vm: u64, address: u64, size: u64, data: *mut c_void) -> Code {
    let read = || {
        let (instance, size) = (instance::get(vm)?, size_of_buffer(data, size)?);
        // SAFETY: the caller's promise.
        let data = unsafe { std::slice::from_raw_parts_mut(data.cast::<u8>(), size) };
        instance.with(address, size, |memory, bytes| Ok(memory.read_at(bytes.start, data)?))
    };
    code(read())
}

/// # Safety
///
/// `data` has `size` bytes, and nobody else uses the memory meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mach_vm_write(vm: u64, address: u64, data: *const c_void, size: u64) -> Code {
    let write = || {
        let (instance, size) = (instance::get(vm)?, size_of_buffer(data, size)?);
        // SAFETY: the caller's promise.
        let data = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) };
        instance.with(address, size, |memory, bytes| Ok(memory.write_at(bytes.start, data)?))
    };
    code(write())
}

fn size_of_buffer(data: *const c_void, size: u64) -> Result<usize, Failed> {
    usize::try_from(size).ok().filter(|size| !data.is_null() && *size <= isize::MAX as usize).ok_or(INVALID)
}

/// # Safety
///
/// `statistics` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mach_vm_statistics(vm: u64, statistics: *mut Statistics) -> Code {
    let count = || {
        // SAFETY: the caller's promise.
        let to = unsafe { statistics.as_mut() }.ok_or(INVALID)?;
        let from = instance::get(vm)?.statistics();
        *to = Statistics {
            resident: from.resident as u64,
            peak_resident: from.peak_resident as u64,
            requests: from.requests,
            rescued: from.rescued,
            returned: from.returned,
            dropped: from.dropped,
        };
        Ok(())
    };
    code(count())
}

/// What a code means.
#[unsafe(no_mangle)]
pub extern "C" fn mach_vm_error_string(code: Code) -> *const c_char {
    let text = match KernReturn(code) {
        KernReturn::KERN_SUCCESS => c"success",
        KernReturn::KERN_INVALID_ADDRESS => c"the range is no memory of this vm",
        KernReturn::KERN_PROTECTION_FAILURE => c"the memory was mapped for reading only",
        KernReturn::KERN_INVALID_ARGUMENT => c"there is no such vm, or an argument is wrong",
        KernReturn::KERN_RESOURCE_SHORTAGE => c"there is not enough memory, or no thread",
        KernReturn::KERN_NO_ACCESS => {
            c"userfaultfd is not permitted: run as root, or with CAP_SYS_PTRACE, or take MACH_VM_FAULTS_SIGNAL"
        }
        KernReturn::KERN_MEMORY_FAILURE => c"the manager of the object has refused it, or is gone",
        KernReturn::KERN_MEMORY_ERROR => c"a page cannot be had from its manager",
        KERN_NOT_SUPPORTED => c"Linux 6.8 or newer is needed",
        _ => c"a call of the system failed, or the swap file cannot be used",
    };
    text.as_ptr()
}
