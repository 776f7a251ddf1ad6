//! Memory objects whose pages functions of C have.

use std::ffi::{c_int, c_void};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use mach_defs::gnu::mach::{self, VmOffset, VmSize};
use mach_defs::gnu::memory_object::{MemoryObject, memory_object};
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{KernReturn, OolMemory, Port, ReceiveRight, SendRight, Server, Stop};

use crate::Failed;

/// `mach_vm_pager_t`
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Callbacks {
    data_request: Option<unsafe extern "C" fn(*mut c_void, u64, u64, *mut c_void) -> c_int>,
    data_return: Option<unsafe extern "C" fn(*mut c_void, u64, u64, *const c_void) -> c_int>,
    terminate: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// An offset or a size, of which some targets have short ones.
fn wide(value: impl Into<u64>) -> u64 {
    value.into()
}

/// What the functions are called with.
pub(crate) struct Context(pub(crate) *mut c_void);

// SAFETY: it is handed to the functions and nothing else, and those may be called by any thread.
unsafe impl Send for Context {}
// SAFETY: as above; one thread calls them.
unsafe impl Sync for Context {}

/// The functions of an object.
pub(crate) struct Pager {
    functions: Callbacks,
    context: Context,
}

/// A pager that says when its object has ended.
struct Object {
    pager: Pager,
    ended: Sender<()>,
}

impl Pager {
    /// # Safety
    ///
    /// The functions may be called with this context, by a thread of this library, as long as this lives.
    pub(crate) unsafe fn new(functions: Callbacks, context: Context) -> Self {
        Self { functions, context }
    }
}

impl MemoryObject<Local> for Object {
    fn memory_object_init(
        &self,
        _object: Port<'_, Local>,
        control: SendRight<Local>,
        _name: SendRight<Local>,
        _page_size: VmSize,
    ) -> Result<(), KernReturn> {
        mach::memory_object_ready(&control, false, 0).map_err(KernReturn::from)
    }

    fn memory_object_data_request(
        &self,
        _object: Port<'_, Local>,
        control: SendRight<Local>,
        offset: VmOffset,
        length: VmSize,
        _access: i32,
    ) -> Result<(), KernReturn> {
        let mut data = vec![0_u8; length as usize];
        let code = self.pager.functions.data_request.map_or(KernReturn::KERN_FAILURE.0, |fill| {
            // SAFETY: the promise of `new`; the buffer has that size.
            unsafe { fill(self.pager.context.0, wide(offset), wide(length), data.as_mut_ptr().cast()) }
        });
        if code != KernReturn::KERN_SUCCESS.0 {
            return mach::memory_object_data_error(&control, offset, length, KernReturn(code))
                .map_err(KernReturn::from);
        }
        let no_reply = ReceiveRight::null(control.kernel().clone());
        mach::memory_object_data_supply(&control, offset, &data[..], 0, false, &no_reply)
            .map_err(KernReturn::from)
    }

    fn memory_object_data_return(
        &self,
        _object: Port<'_, Local>,
        control: SendRight<Local>,
        offset: VmOffset,
        data: OolMemory<Local>,
        _dirty: bool,
        _kernel_copy: bool,
    ) -> Result<(), KernReturn> {
        let code = self.pager.functions.data_return.map_or(KernReturn::KERN_FAILURE.0, |keep| {
            // SAFETY: the promise of `new`; the data has that size.
            unsafe { keep(self.pager.context.0, wide(offset), data.len() as u64, data.as_ptr().cast()) }
        });
        if code == KernReturn::KERN_SUCCESS.0 {
            return Ok(());
        }
        // What was changed is nowhere any more, so that nothing of the object is to be trusted.
        mach::memory_object_destroy(&control, KernReturn(code)).map_err(KernReturn::from)
    }

    fn memory_object_terminate(
        &self,
        _object: Port<'_, Local>,
        _control: ReceiveRight<Local>,
        _name: ReceiveRight<Local>,
    ) -> Result<(), KernReturn> {
        // Where nobody waits for it any more, nobody wants to know.
        let _ = self.ended.send(());
        Ok(())
    }
}

/// How long functions of C may take for what was returned last.
const PATIENCE: Duration = Duration::from_secs(60);

/// A thread that serves an object.
pub(crate) struct Served {
    stop: Stop<Local>,
    ended: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Served {
    /// Starts it, and returns the right to the object.
    pub(crate) fn start(host: &Host, pager: Pager) -> Result<(Self, SendRight<Local>), Failed> {
        let task = host.new_task("object");
        let port = ReceiveRight::allocate(&task)?;
        let (right, stop) = (port.make_send()?, Stop::new(&task)?);
        let (until, (sender, ended)) = (stop.clone(), mpsc::channel());
        let object = Object { pager, ended: sender };
        let serve = move || {
            // It ends when it is told to.
            let _ = Server::until(&port, &until).with(memory_object(&object)).run();
            if let Some(terminate) = object.pager.functions.terminate {
                // SAFETY: the promise of `Pager::new`.
                unsafe { terminate(object.pager.context.0) };
            }
        };
        let thread = std::thread::Builder::new().name("vm object".to_owned()).spawn(serve);
        let thread = thread.map_err(|_| Failed(KernReturn::KERN_RESOURCE_SHORTAGE))?;
        Ok((Self { stop, ended, thread }, right))
    }

    /// Ends it, once its object has been terminated: all that was returned has been kept then. Where that has
    /// not come, since nobody could send it, it will not.
    pub(crate) fn end(self) {
        let _ = self.ended.recv_timeout(PATIENCE);
        self.end_now();
    }

    /// Ends it before its object has been mapped.
    pub(crate) fn end_now(self) {
        self.stop.stop();
        // It has said by its panic what there is to say.
        let _ = self.thread.join();
    }
}
