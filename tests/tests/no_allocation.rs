//! A server of exceptions allocates nothing while it serves, and neither does a client that asks for threads
//! and their states: in the program that crashed, another thread may hold the allocator's lock for ever.
//!
//! Messages go by the emulated kernel, whose own allocations do not count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::Mutex;

use mach_defs::apple_64::mach_exc::{
    self, MachExc, MachExceptionRaiseStateIdentityReply, MachExceptionRaiseStateReply, mach_exc,
};
use mach_defs::apple_64::task::{self, task_threads};
use mach_defs::apple_64::thread_act::{self, thread_get_state};
use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::Local;
use mig_runtime::kernel::{Kernel, MsgCall, Notification, RightKind};
use mig_runtime::platform::Std;
use mig_runtime::{
    ArrayVec, KernReturn, Name, Port, PortSet, ReceiveRight, Rights, SendRight, Server, array_vec,
};

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

/// What this returns, and how many allocations it makes.
fn counted<T>(body: impl FnOnce() -> T) -> (T, usize) {
    COUNT.set(Some(0));
    let result = body();
    (result, COUNT.take().expect("it was counted"))
}

/// Does not count what `body` allocates.
fn uncounted<T>(body: impl FnOnce() -> T) -> T {
    let count = COUNT.take();
    let result = body();
    COUNT.set(count);
    result
}

/// A task of the emulated kernel, whose allocations are a kernel's.
#[derive(Clone, Debug)]
struct Task(Local<Apple64>);

// SAFETY: the emulated kernel does everything.
unsafe impl Kernel for Task {
    type Abi = Apple64;
    type Region = <Local<Apple64> as Kernel>::Region;
    type Lent<'a> = <Local<Apple64> as Kernel>::Lent<'a>;

    unsafe fn mach_msg(&self, buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
        // SAFETY: the caller's promise, here and below.
        uncounted(|| unsafe { self.0.mach_msg(buffer, call) })
    }
    fn is_same_task(&self, other: &Self) -> bool {
        self.0.is_same_task(&other.0)
    }
    fn allocate_port(&self) -> Result<Name, KernReturn> {
        uncounted(|| self.0.allocate_port())
    }
    fn allocate_port_set(&self) -> Result<Name, KernReturn> {
        uncounted(|| self.0.allocate_port_set())
    }
    unsafe fn release(&self, kind: RightKind, name: Name) {
        // SAFETY: as above.
        uncounted(|| unsafe { self.0.release(kind, name) });
    }
    unsafe fn copy_send(&self, name: Name) -> Result<(), KernReturn> {
        // SAFETY: as above.
        uncounted(|| unsafe { self.0.copy_send(name) })
    }
    unsafe fn make_send(&self, receive: Name) -> Result<(), KernReturn> {
        // SAFETY: as above.
        uncounted(|| unsafe { self.0.make_send(receive) })
    }
    unsafe fn make_send_once(&self, receive: Name) -> Result<Name, KernReturn> {
        // SAFETY: as above.
        uncounted(|| unsafe { self.0.make_send_once(receive) })
    }
    unsafe fn move_member(&self, receive: Name, set: Name) -> Result<(), KernReturn> {
        // SAFETY: as above.
        uncounted(|| unsafe { self.0.move_member(receive, set) })
    }
    unsafe fn request_notification(
        &self,
        name: Name,
        which: Notification,
        notify: Name,
    ) -> Result<Name, KernReturn> {
        // SAFETY: as above.
        uncounted(|| unsafe { self.0.request_notification(name, which, notify) })
    }
    fn reply_port(&self) -> Result<Name, KernReturn> {
        uncounted(|| self.0.reply_port())
    }
    unsafe fn destroy_reply_port(&self, name: Name) {
        // SAFETY: as above.
        uncounted(|| unsafe { self.0.destroy_reply_port(name) });
    }
    fn allocate(&self, size: usize) -> Result<Self::Region, KernReturn> {
        uncounted(|| self.0.allocate(size))
    }
    fn region_into_wire(&self, region: Self::Region) -> u64 {
        uncounted(|| self.0.region_into_wire(region))
    }
    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Self::Region {
        // SAFETY: as above.
        uncounted(|| unsafe { self.0.region_from_wire(address, size) })
    }
    fn lend<'a>(&self, bytes: &'a [u8]) -> Self::Lent<'a> {
        uncounted(|| self.0.lend(bytes))
    }
    fn lent_address(lent: &Self::Lent<'_>) -> u64 {
        Local::<Apple64>::lent_address(lent)
    }
}

/// A server of exceptions, and the kernel's of a task with three threads.
struct Handler {
    threads: Mutex<[SendRight<Task>; 3]>,
}

impl Handler {
    fn new(to: &SendRight<Task>) -> Self {
        Self { threads: Mutex::new([(); 3].map(|()| to.try_clone().unwrap())) }
    }
}

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
        assert_eq!((exception, code, thread.name()), (1, &[2, -1][..], task.name()));
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
        _thread: SendRight<Task>,
        _task: SendRight<Task>,
        _exception: i32,
        code: &[i64],
        flavor: i32,
        old_state: &[u32],
    ) -> Result<MachExceptionRaiseStateIdentityReply, KernReturn> {
        assert_eq!(code, [2, -1]);
        Ok(MachExceptionRaiseStateIdentityReply { flavor, new_state: changed(old_state) })
    }
}

impl thread_act::ThreadAct<Task> for Handler {
    fn thread_get_state(
        &self,
        _target: Port<'_, Task>,
        flavor: i32,
        most: u32,
    ) -> Result<ArrayVec<u32, 1296>, KernReturn> {
        Ok((0..most).map(|word| word ^ flavor as u32).collect())
    }
}

impl task::Task<Task> for Handler {
    fn task_threads(&self, _target: Port<'_, Task>) -> Result<Rights<Task, SendRight<Task>>, KernReturn> {
        self.threads.lock().unwrap().iter().map(SendRight::try_clone).collect()
    }
}

/// Each of the three messages once.
fn raise(to: &SendRight<Task>, old: &[u32]) {
    let new: Vec<u32> = old.iter().map(|word| !word).collect();
    mach_exc::mach_exception_raise(to, to, to, 1, &[2, -1]).unwrap();
    let reply = mach_exc::mach_exception_raise_state(to, 1, &[2, -1], 6, old).unwrap();
    assert_eq!(reply.new_state[..], new[..]);
    let reply =
        mach_exc::mach_exception_raise_state_identity(to, to, to, 1, &[2, -1], 6, &old[..68]).unwrap();
    assert_eq!(reply.new_state[..], new[..68]);
}

fn states() -> Vec<u32> {
    (0..1296).collect()
}

/// What a loop allocates that serves this many rounds of messages.
fn loop_of(rounds: usize) -> usize {
    let port = ReceiveRight::allocate(&Task(Local::new())).unwrap();
    let to = port.make_send().unwrap();
    let handler = Handler::new(&to);
    let server = Server::on(&port).with(mach_exc(&handler));
    std::thread::scope(|scope| {
        let (server, to) = (&server, &to);
        let running = scope.spawn(move || counted(|| server.run().unwrap()).1);
        (0..rounds).for_each(|_| raise(to, &states()));
        server.stop();
        running.join().unwrap()
    })
}

#[test]
fn a_loop_allocates_its_two_buffers_and_nothing_for_a_message() {
    // The third is of the standard library's scope of threads.
    assert_eq!((loop_of(0), loop_of(1), loop_of(30)), (3, 3, 3));
}

#[test]
fn a_single_turn_allocates_its_two_buffers() {
    let port = ReceiveRight::allocate(&Task(Local::new())).unwrap();
    let to = port.make_send().unwrap();
    let handler = Handler::new(&to);
    let server = Server::on(&port).with(mach_exc(&handler));
    std::thread::scope(|scope| {
        let client = scope.spawn(|| raise(&to, &states()));
        let turns = [(); 3].map(|()| counted(|| server.serve_one::<Std>(None)));
        assert_eq!(turns, [(Ok(true), 2); 3]);
        client.join().unwrap();
    });
}

#[test]
fn threads_and_their_states_come_without_an_allocation() {
    let task = Task(Local::new());
    let (set, port) = (PortSet::allocate(&task).unwrap(), ReceiveRight::allocate(&task).unwrap());
    // As in XNU, where these are calls to objects of the kernel.
    task.0.make_kernel_object(port.name()).unwrap();
    set.insert(&port).unwrap();
    let to = port.make_send().unwrap();
    let handler = Handler::new(&to);
    let server = Server::on(&set).with(task::task(&handler)).with(thread_act::thread_act(&handler));
    server
        .serve_while(|| {
            let (state, made) = counted(|| thread_get_state(&to, 6, 68).unwrap());
            let state: [u32; 68] = state[..].try_into().unwrap();
            assert_eq!((made, state), (0, std::array::from_fn(|word| word as u32 ^ 6)));
            let (threads, made) =
                counted(|| task_threads(&to).unwrap().filter(|thread| thread.name() == to.name()).count());
            assert_eq!((threads, made), (3, 0));
        })
        .unwrap();
}

#[test]
fn the_counter_counts() {
    assert_eq!(counted(|| drop(std::hint::black_box(Box::new(1)))).1, 1);
}
