//! What tells on macOS that a message waits.

use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use mig_runtime::Server;
use mig_runtime::kernel::darwin::Darwin;

use crate::serve_waiting;

/// A kqueue that has an event while a message waits for a server: a descriptor that can be read then, and so
/// one for `AsyncFd`, `poll` and another kqueue.
pub struct Waiting(OwnedFd);

impl Waiting {
    /// Of this server.
    ///
    /// # Errors
    ///
    /// As `kqueue` and `kevent`.
    pub fn of(server: &Server<'_, Darwin>) -> io::Result<Self> {
        let ports = server.receives_from().map_err(io::Error::other)?;
        // SAFETY: it has no precondition.
        let queue = match unsafe { libc::kqueue() } {
            -1 => return Err(io::Error::last_os_error()),
            // SAFETY: it is new, and nobody else's.
            queue => Self(unsafe { OwnedFd::from_raw_fd(queue) }),
        };
        // Without further flags nothing is received: the event lasts as long as there is a message.
        let change = libc::kevent {
            ident: ports.0 as usize,
            filter: libc::EVFILT_MACHPORT,
            flags: libc::EV_ADD,
            fflags: 0,
            data: 0,
            udata: ptr::null_mut(),
        };
        // SAFETY: there is one change, and room for no event.
        match unsafe { libc::kevent(queue.as_raw_fd(), &change, 1, ptr::null_mut(), 0, ptr::null()) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(queue),
        }
    }

    /// Waits until there is a message.
    ///
    /// # Errors
    ///
    /// As `kevent`; `Interrupted` by a signal.
    pub fn wait(&self) -> io::Result<()> {
        let mut event = MaybeUninit::uninit();
        // SAFETY: there is no change, and room for one event.
        match unsafe { libc::kevent(self.as_raw_fd(), ptr::null(), 0, event.as_mut_ptr(), 1, ptr::null()) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

impl AsFd for Waiting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Waiting {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Serves in a loop on kqueue, until the server is told to stop. Other filters may be in the same kqueue.
///
/// # Errors
///
/// Those of the kqueue and of the server.
pub fn serve_on_kqueue(server: &Server<'_, Darwin>) -> io::Result<()> {
    let waiting = Waiting::of(server)?;
    while serve_waiting(server).map_err(io::Error::other)? {
        match waiting.wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => result?,
        }
    }
    Ok(())
}

/// What `dispatch_source_t` and `dispatch_queue_t` point to.
#[repr(C)]
struct DispatchObject(c_void);

/// `dispatch_function_t`
type DispatchFunction = unsafe extern "C" fn(*mut c_void);

unsafe extern "C" {
    #[link_name = "_dispatch_source_type_mach_recv"]
    static MACH_RECV: DispatchObject;
    safe fn dispatch_get_global_queue(class: isize, flags: usize) -> *mut DispatchObject;
    fn dispatch_source_create(
        kind: *const DispatchObject,
        handle: usize,
        mask: usize,
        queue: *mut DispatchObject,
    ) -> *mut DispatchObject;
    fn dispatch_set_context(object: *mut DispatchObject, context: *mut c_void);
    fn dispatch_source_set_event_handler_f(source: *mut DispatchObject, handler: DispatchFunction);
    fn dispatch_source_set_cancel_handler_f(source: *mut DispatchObject, handler: DispatchFunction);
    fn dispatch_source_cancel(source: *mut DispatchObject);
    fn dispatch_resume(object: *mut DispatchObject);
    fn dispatch_release(object: *mut DispatchObject);
}

/// A server on a queue of dispatch. Dropping it ends the service; a message that is being served is served to
/// its end.
pub struct OnQueue(*mut DispatchObject);

impl OnQueue {
    /// Serves on the global queue. The ports of the server must live as long as the program, since dispatch
    /// may look at them until it has called the cancel handler.
    ///
    /// # Errors
    ///
    /// As [`Server::receives_from`], or that dispatch makes no source.
    pub fn serve(server: Server<'static, Darwin>) -> io::Result<Self> {
        let ports = server.receives_from().map_err(io::Error::other)?;
        let queue = dispatch_get_global_queue(0, 0);
        // SAFETY: this type of source is for names of ports and sets from which this task receives.
        let source = unsafe { dispatch_source_create(&raw const MACH_RECV, ports.0 as usize, 0, queue) };
        if source.is_null() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let context = Box::into_raw(Box::new(server)).cast();
        // SAFETY: the source is new, and so for the next three calls.
        unsafe { dispatch_set_context(source, context) };
        // SAFETY: the handler gets this context, which is a server.
        unsafe { dispatch_source_set_event_handler_f(source, message_waits) };
        // SAFETY: this handler is called once, after the last call of the other.
        unsafe { dispatch_source_set_cancel_handler_f(source, cancelled) };
        // SAFETY: it has its handlers.
        unsafe { dispatch_resume(source) };
        Ok(Self(source))
    }
}

impl Drop for OnQueue {
    fn drop(&mut self) {
        // SAFETY: this value has a reference.
        unsafe { dispatch_source_cancel(self.0) };
        // SAFETY: it is the last, which the handlers do not need.
        unsafe { dispatch_release(self.0) };
    }
}

/// # Safety
///
/// `server` is a server that lives.
unsafe extern "C" fn message_waits(server: *mut c_void) {
    // SAFETY: the caller's promise.
    let server: &Server<'static, Darwin> = unsafe { &*server.cast() };
    // Dispatch has nobody to tell. It calls again while a message waits.
    let _ = serve_waiting(server);
}

/// # Safety
///
/// `server` is a server in a box, of which this is the last use.
unsafe extern "C" fn cancelled(server: *mut c_void) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(server.cast::<Server<'static, Darwin>>()) });
}
