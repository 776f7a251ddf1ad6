//! Faults that are taken by the thread that touches the page, in a handler of SIGBUS.
//!
//! The signal is the answer to one instruction of the program's own, so that the handler may do what the
//! program might do in that place: take memory, lock, wait. None of this library's locks is held by a thread
//! that touches the memory of a mapping.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};

use crate::VmError;
use crate::core::Core;
use crate::space::PAGE;

static CORES: RwLock<Vec<Weak<Core>>> = RwLock::new(Vec::new());

/// Who had the signal before.
static BEFORE: OnceLock<Before> = OnceLock::new();

struct Before(libc::sigaction);

// SAFETY: a number, flags, and the address of a function.
unsafe impl Send for Before {}
// SAFETY: as above.
unsafe impl Sync for Before {}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// Brings the pages of this one from now on.
pub(crate) fn serve(core: &Arc<Core>) -> Result<(), VmError> {
    let mut cores = CORES.write().unwrap_or_else(PoisonError::into_inner);
    if BEFORE.get().is_none() {
        // With the lock held, so that the handler is not its own predecessor.
        let _ = BEFORE.set(Before(install()?));
    }
    cores.push(Arc::downgrade(core));
    Ok(())
}

/// It has no pages any more.
pub(crate) fn serve_no_more(core: &Arc<Core>) {
    let mut cores = CORES.write().unwrap_or_else(PoisonError::into_inner);
    cores.retain(|one| !ptr::eq(one.as_ptr(), Arc::as_ptr(core)));
}

fn install() -> Result<libc::sigaction, VmError> {
    let handler: Handler = handle;
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: numbers and addresses that may be 0; the mask is empty then.
    let mut action = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    // On the stack of the thread, and entered again by what it touches.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_RESTART;
    // SAFETY: the handler has the arguments that SA_SIGINFO says, and both structures live as long as the
    // call.
    let result = unsafe { libc::sigaction(libc::SIGBUS, &action, before.as_mut_ptr()) };
    if result != 0 {
        return Err(VmError::System(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)));
    }
    // SAFETY: the call has filled it in.
    Ok(unsafe { before.assume_init() })
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: a location of this thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above; what the program was about to read there is put back.
    let before = unsafe { *errno };
    // SAFETY: the kernel passes a whole structure, which nobody writes to.
    let info_of_this = unsafe { &*info };
    // SAFETY: the signal is SIGBUS, which has an address.
    let address = unsafe { info_of_this.si_addr() }.addr() as u64 & !(PAGE as u64 - 1);
    let cores = CORES.read().unwrap_or_else(PoisonError::into_inner);
    let place = |core: Arc<Core>| {
        let place = core.lock().at(address);
        place.map(|(object, page)| (core, object, page))
    };
    let place = cores.iter().filter_map(Weak::upgrade).find_map(place);
    drop(cores);
    let is_here = place.is_some_and(|(core, object, page)| core.bring(&object, page));
    // SAFETY: as above.
    unsafe { *errno = before };
    if !is_here {
        pass_on(signal, info, context);
    }
}

/// Does what would have been done without this handler.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let before = BEFORE.get().map(|Before(action)| (action.sa_sigaction, action.sa_flags));
    match before {
        Some((handler, flags)) if handler > libc::SIG_IGN => {
            if flags & libc::SA_SIGINFO != 0 {
                // SAFETY: it was installed as one that has these arguments.
                let handler = unsafe { std::mem::transmute::<libc::sighandler_t, Handler>(handler) };
                handler(signal, info, context);
            } else {
                // SAFETY: it was installed as one that has this argument.
                let handler =
                    unsafe { std::mem::transmute::<libc::sighandler_t, extern "C" fn(c_int)>(handler) };
                handler(signal);
            }
        }
        // The instruction is tried again, and then the signal ends the process.
        // SAFETY: the default action has no handler to be wrong about.
        _ => unsafe {
            libc::signal(libc::SIGBUS, libc::SIG_DFL);
        },
    }
}
