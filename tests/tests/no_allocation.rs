//! Serving an exception allocates nothing: in the program that crashed, another thread may hold the allocator's lock for ever.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mach_defs::apple_64::mach_exc::{
    self, MachExc, MachExceptionRaiseStateIdentityReply, MachExceptionRaiseStateReply,
};
use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::Local;
use mig_runtime::{
    ArrayVec, CallError, KernReturn, MsgBuf, Port, Receive, ReceiveRight, Received, Reply, SendRight,
    array_vec,
};

type Task = Local<Apple64>;

thread_local! {
    /// Allocations of this thread, while it counts.
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

struct Counting;

// SAFETY: the allocator of the system does everything.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = COUNT.try_with(|count| count.set(count.get().map(|count| count + 1)));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations this makes.
fn allocations(body: impl FnOnce()) -> usize {
    COUNT.set(Some(0));
    body();
    COUNT.take().unwrap()
}

struct Handler;

/// Registers as the handler leaves them.
fn changed(old: &[u32]) -> ArrayVec<u32, 1296> {
    let mut new: ArrayVec<u32, 1296> = array_vec(old);
    new.iter_mut().for_each(|word| *word = !*word);
    new
}

impl MachExc<Task> for Handler {
    fn mach_exception_raise(
        &self,
        _port: Port<'_, Task>,
        thread: SendRight<Task>,
        task: SendRight<Task>,
        exception: i32,
        code: &[i64],
    ) -> Result<(), KernReturn> {
        // What is dropped goes to the kernel, which allocates as it likes here.
        let _ = (thread.into_raw(), task.into_raw());
        assert_eq!((exception, code), (1, &[2, -1][..]));
        Ok(())
    }

    fn mach_exception_raise_state(
        &self,
        _port: Port<'_, Task>,
        _exception: i32,
        code: &[i64],
        flavor: i32,
        old_state: &[u32],
    ) -> Result<MachExceptionRaiseStateReply, KernReturn> {
        assert_eq!(code, [2, -1]);
        Ok(MachExceptionRaiseStateReply { flavor, new_state: changed(old_state) })
    }

    fn mach_exception_raise_state_identity(
        &self,
        _port: Port<'_, Task>,
        thread: SendRight<Task>,
        task: SendRight<Task>,
        _exception: i32,
        code: &[i64],
        flavor: i32,
        old_state: &[u32],
    ) -> Result<MachExceptionRaiseStateIdentityReply, KernReturn> {
        let _ = (thread.into_raw(), task.into_raw());
        assert_eq!(code, [2, -1]);
        Ok(MachExceptionRaiseStateIdentityReply { flavor, new_state: changed(old_state) })
    }
}

/// Serves what `client` sends, and returns what serving it has allocated. Messages go by the emulated kernel, whose allocations do not count.
fn serve<T: Send>(client: impl FnOnce(&SendRight<Task>) -> Result<T, CallError<Task>> + Send) -> (usize, T) {
    let task = Task::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let to = port.make_send().unwrap();
    std::thread::scope(|scope| {
        let client = scope.spawn(|| client(&to).unwrap());
        let (mut request, mut storage) = (MsgBuf::<8192>::new(), MsgBuf::<8192>::new());
        let mut request = Received::receive(&task, request.words(), Receive::from(port.name())).unwrap();
        let mut reply = Reply::new(&task, storage.words());
        let made = allocations(|| assert!(mach_exc::mach_exc_server(&Handler, &mut request, &mut reply)));
        assert_eq!(reply.code(), KernReturn::KERN_SUCCESS);
        reply.answer(request).unwrap();
        (made, client.join().unwrap())
    })
}

#[test]
fn exceptions_are_served_without_an_allocation() {
    let old: Vec<u32> = (0..1296).collect();
    let new: Vec<u32> = old.iter().map(|word| !word).collect();
    assert_eq!(serve(|to| mach_exc::mach_exception_raise(to, to, to, 1, &[2, -1])), (0, ()));
    let (made, reply) = serve(|to| mach_exc::mach_exception_raise_state(to, 1, &[2, -1], 6, &old));
    assert_eq!((made, &reply.new_state[..]), (0, &new[..]));
    let (made, reply) =
        serve(|to| mach_exc::mach_exception_raise_state_identity(to, to, to, 1, &[2, -1], 6, &old[..68]));
    assert_eq!((made, &reply.new_state[..]), (0, &new[..68]));
    // The counter counts.
    assert_eq!(allocations(|| drop(Box::new(1))), 1);
}
