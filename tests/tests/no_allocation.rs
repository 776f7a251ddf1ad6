//! Serving an exception allocates nothing: in the program that crashed, another thread may hold the allocator's lock for ever.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use mach_defs::apple_64::mach_exc;
use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::Local;
use mig_runtime::{KernReturn, MsgBuf, Port, Receive, ReceiveRight, Received, Reply, SendRight};

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

impl mach_exc::MachExc<Task> for Handler {
    fn mach_exception_raise(
        &self,
        _port: Port<'_, Task>,
        thread: SendRight<Task>,
        task: SendRight<Task>,
        exception: i32,
        code: &[i64],
    ) -> Result<(), KernReturn> {
        // What is dropped goes to the kernel, which allocates as it likes here.
        (thread.into_raw(), task.into_raw());
        assert_eq!((exception, code), (1, &[2, -1][..]));
        Ok(())
    }
}

#[test]
fn a_raised_exception_is_served_without_an_allocation() {
    let task = Task::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let to = port.make_send().unwrap();
    std::thread::scope(|scope| {
        let client = scope.spawn(|| mach_exc::mach_exception_raise(&to, &to, &to, 1, &[2, -1]));
        let (mut request, mut storage) = (MsgBuf::<8192>::new(), MsgBuf::<8192>::new());
        let mut request = Received::receive(&task, request.words(), Receive::from(port.name())).unwrap();
        let mut reply = Reply::new(&task, storage.words());
        let made = allocations(|| assert!(mach_exc::mach_exc_server(&Handler, &mut request, &mut reply)));
        assert_eq!((made, reply.code()), (0, KernReturn::KERN_SUCCESS));
        reply.answer(request).unwrap();
        client.join().unwrap().unwrap();
    });
    // The counter counts.
    assert_eq!(allocations(|| drop(Box::new(1))), 1);
}
