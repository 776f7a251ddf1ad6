//! Ports, and what of a kernel the stubs stand on: [`Micro`].
//!
//! A kernel does more between a task and this: it makes addresses of a task's names when a message is sent,
//! and names of addresses when it is received. Neither the stubs nor the servers see any of that.

use std::cell::Cell;
use std::collections::VecDeque;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mig_runtime::abi::{GnuX86_64, InKernel};
use mig_runtime::disposition::{COPY_SEND, MAKE_SEND, MAKE_SEND_ONCE, MOVE_SEND, MOVE_SEND_ONCE};
use mig_runtime::kernel::{Kernel, MsgCall, Notification, RightKind};
use mig_runtime::{KernReturn, PortAddress, ReceiveRight, Received, Reply};

use crate::{Counter, Counters, counter};

/// What a port of the kernel stands for.
#[derive(Clone)]
pub enum Object {
    /// A counter.
    Counter(Arc<Counter>),
}

/// `struct ipc_port`: an object of the kernel, or messages for a task.
struct Ipc {
    object: Option<Object>,
    messages: Mutex<VecDeque<Vec<u64>>>,
}

/// How many ports there are.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

impl Drop for Ipc {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many ports there are, for a test.
pub fn alive() -> usize {
    ALIVE.load(Ordering::Relaxed)
}

/// Makes a port; the right is its only reference.
fn new_port(object: Option<Object>) -> PortAddress {
    ALIVE.fetch_add(1, Ordering::Relaxed);
    PortAddress(Arc::into_raw(Arc::new(Ipc { object, messages: Mutex::default() })) as u64)
}

/// Makes a port of the kernel.
pub fn create(object: Object) -> Result<ReceiveRight<Micro>, KernReturn> {
    // SAFETY: the reference has just been made.
    Ok(unsafe { ReceiveRight::from_raw(Micro, new_port(Some(object))) })
}

/// The object behind the port of a message.
pub fn object(port: PortAddress) -> Option<Object> {
    // SAFETY: the message holds a reference, and so the address is that of a port.
    unsafe { (port.0 as *const Ipc).as_ref() }?.object.clone()
}

thread_local! {
    /// The port for the replies to calls of this thread.
    static REPLY_PORT: Cell<PortAddress> = const { Cell::new(PortAddress::NULL) };
}

/// Ends the reply port of a thread that ends.
pub fn forget_reply_port() {
    let port = REPLY_PORT.take();
    if port.is_valid() {
        // SAFETY: the thread's own reference.
        unsafe { Micro.release(RightKind::Receive, port) };
    }
}

/// `mach_msg_header_t` of GNU Mach on x86_64, as the kernel has it.
#[repr(C)]
struct Header {
    bits: u32,
    size: u32,
    remote: PortAddress,
    local: PortAddress,
    seqno: u32,
    id: i32,
}

/// The kernel, to its own stubs.
#[derive(Clone, Copy, Debug)]
pub struct Micro;

impl Micro {
    /// What is done to a right of the header when its message is sent; returns how it arrives.
    ///
    /// # Safety
    ///
    /// The sender has the right.
    unsafe fn copy_in(self, disposition: u8, port: PortAddress) -> u8 {
        match disposition {
            COPY_SEND | MAKE_SEND => {
                // SAFETY: the caller's promise.
                let _ = unsafe { self.copy_send(port) };
                MOVE_SEND
            }
            MAKE_SEND_ONCE => {
                // SAFETY: the caller's promise.
                let _ = unsafe { self.make_send_once(port) };
                MOVE_SEND_ONCE
            }
            moved => moved,
        }
    }

    /// Sends a message, which owns all that it brings from now on. (Rights in its body that are copied or
    /// made would be copied in like those of the header; the interfaces here have none.)
    ///
    /// # Safety
    ///
    /// As [`Kernel::mach_msg`].
    unsafe fn send(self, mut message: Vec<u64>) -> Result<(), KernReturn> {
        // SAFETY: it is a message, and so has a header.
        let header = unsafe { &mut *message.as_mut_ptr().cast::<Header>() };
        let destination = header.remote;
        if !destination.is_valid() {
            return Err(KernReturn::MACH_SEND_INVALID_DEST);
        }
        // SAFETY: the sender has both.
        let remote = unsafe { self.copy_in(header.bits as u8, destination) };
        // SAFETY: as above.
        let local = unsafe { self.copy_in((header.bits >> 8) as u8, header.local) };
        header.bits = header.bits & !0xffff | u32::from(local) << 8 | u32::from(remote);
        // SAFETY: the message holds a reference.
        let port = unsafe { &*(destination.0 as *const Ipc) };
        match port.object {
            None => port.messages.lock().unwrap_or_else(PoisonError::into_inner).push_back(message),
            Some(_) => {
                // SAFETY: it has just been copied in.
                unsafe { self.dispatch(message) };
                // SAFETY: the right that the message was sent with, which is the dispatcher's.
                unsafe { self.release(RightKind::Send, destination) };
            }
        }
        Ok(())
    }

    /// `ipc_kobject_server`: serves a request to a port of the kernel.
    ///
    /// # Safety
    ///
    /// The message has been copied in, and nobody else has what it brings but for the right to its port.
    unsafe fn dispatch(self, message: Vec<u64>) {
        let mut message: Vec<_> = message.into_iter().map(MaybeUninit::new).collect();
        let mut storage = [const { MaybeUninit::uninit() }; 64];
        // SAFETY: the caller's promise.
        let mut request = unsafe { Received::in_kernel(&self, &mut message) };
        let mut reply = Reply::new(&self, &mut storage);
        // No answer but `MIG_BAD_ID` to what no subsystem knows.
        let _known = counter::counter_server(&Counters, &mut request, &mut reply);
        // A client that is gone gets no reply.
        let _ = reply.answer(request);
    }

    /// Takes the next message of a port, as its receiver has it.
    ///
    /// # Safety
    ///
    /// The caller has the receive right.
    unsafe fn receive(self, from: PortAddress, buffer: &mut [MaybeUninit<u64>]) -> Result<(), KernReturn> {
        // SAFETY: the caller's promise.
        let port = unsafe { &*(from.0 as *const Ipc) };
        let next = port.messages.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        // A kernel would wait here.
        let mut message = next.ok_or(KernReturn::MACH_RCV_TIMED_OUT)?;
        if message.len() > buffer.len() {
            return Err(KernReturn::MACH_RCV_TOO_LARGE);
        }
        // SAFETY: it is a message, and so has a header.
        let header = unsafe { &mut *message.as_mut_ptr().cast::<Header>() };
        let (remote, local) = (header.bits & 0xff, header.bits >> 8 & 0xff);
        header.bits = header.bits & !0xffff | remote << 8 | local;
        (header.remote, header.local) = (header.local, header.remote);
        // SAFETY: the right that it was sent with ends with its way.
        unsafe { self.release(RightKind::Send, header.local) };
        buffer.iter_mut().zip(message).for_each(|(to, from)| *to = MaybeUninit::new(from));
        Ok(())
    }
}

// SAFETY: an address is that of an `Ipc` of which the right holds a reference, and messages are delivered
// with what was moved into them, once.
unsafe impl Kernel for Micro {
    type Abi = InKernel<GnuX86_64>;
    /// Where Mach has a `vm_map_copy_t`.
    type Region = Box<[u8]>;
    type Lent<'a> = u64;

    unsafe fn mach_msg(
        &self,
        buffer: &mut [MaybeUninit<u64>],
        call: MsgCall<PortAddress>,
    ) -> Result<(), KernReturn> {
        if call.send {
            // SAFETY: the caller has initialised the header, whose second word is the size, and as many
            // bytes.
            let size = unsafe { buffer[0].assume_init() } >> 32;
            let words = buffer.iter().take((size as usize).div_ceil(8));
            // SAFETY: as above; all of this ABI's messages are whole words.
            let message = words.map(|word| unsafe { word.assume_init() }).collect();
            // SAFETY: the caller's promise.
            unsafe { self.send(message) }?;
        }
        match call.receive {
            // SAFETY: the caller's promise.
            Some(from) => unsafe { self.receive(from, buffer) },
            None => Ok(()),
        }
    }

    fn allocate_port(&self) -> Result<PortAddress, KernReturn> {
        Ok(new_port(None))
    }

    fn allocate_port_set(&self) -> Result<PortAddress, KernReturn> {
        Err(KernReturn::KERN_RESOURCE_SHORTAGE)
    }

    unsafe fn release(&self, _: RightKind, port: PortAddress) {
        // SAFETY: the caller's promise: one reference.
        unsafe { Arc::decrement_strong_count(port.0 as *const Ipc) };
    }

    unsafe fn copy_send(&self, port: PortAddress) -> Result<(), KernReturn> {
        // SAFETY: the caller has a reference.
        unsafe { Arc::increment_strong_count(port.0 as *const Ipc) };
        Ok(())
    }

    unsafe fn make_send(&self, receive: PortAddress) -> Result<(), KernReturn> {
        // SAFETY: the caller's promise.
        unsafe { self.copy_send(receive) }
    }

    unsafe fn make_send_once(&self, receive: PortAddress) -> Result<PortAddress, KernReturn> {
        // SAFETY: the caller's promise.
        unsafe { self.copy_send(receive) }.map(|()| receive)
    }

    unsafe fn move_member(&self, _: PortAddress, _: PortAddress) -> Result<(), KernReturn> {
        Err(KernReturn::KERN_INVALID_NAME)
    }

    unsafe fn request_notification(
        &self,
        _: PortAddress,
        _: Notification,
        _: PortAddress,
    ) -> Result<PortAddress, KernReturn> {
        Err(KernReturn::KERN_INVALID_ARGUMENT)
    }

    fn reply_port(&self) -> Result<PortAddress, KernReturn> {
        if !REPLY_PORT.get().is_valid() {
            REPLY_PORT.set(new_port(None));
        }
        Ok(REPLY_PORT.get())
    }

    unsafe fn destroy_reply_port(&self, _: PortAddress) {
        forget_reply_port();
    }

    fn allocate(&self, size: usize) -> Result<Self::Region, KernReturn> {
        Ok(vec![0; size].into_boxed_slice())
    }

    fn region_into_wire(&self, region: Self::Region) -> u64 {
        Box::into_raw(region).cast::<u8>() as u64
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Self::Region {
        // SAFETY: the caller's promise: it comes from `region_into_wire`, with this size.
        unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(address as *mut u8, size)) }
    }

    fn lend(&self, bytes: &[u8]) -> u64 {
        // The copy, which the message owns.
        self.region_into_wire(bytes.into())
    }

    fn lent_address(lent: &u64) -> u64 {
        *lent
    }
}
