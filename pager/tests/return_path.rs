//! What makes memory free takes none: the threads that serve the kernel's objects and those that write
//! allocate nothing while pages come, go to the store, find it full and go back. Nor do they release
//! anything, so that they never want the allocator's lock, which a thread that waits for memory might hold.
//!
//! The kernel is `local`, in the same program and with the same allocator, so what is done inside of its
//! calls is not counted.
#![cfg(feature = "std")]

mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use mach_defs::native::memory_object_default;
use mach_pager::store::{SwapStore, Volumes, superblock};
use mach_pager::{Config, Duty, Service, Statistics};
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::kernel::{MsgCall, PortKind, RightKind};
use mig_runtime::platform::Std;
use mig_runtime::{KernReturn, Kernel, Name, Notification, ReceiveRight, SendRight};
use world::{InMemory, Object, PAGE, page};

/// Calls of the allocator by threads that are watched, outside of the kernel.
static CALLS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

impl Counting {
    fn count() {
        if WATCHED.get() {
            CALLS.fetch_add(1, SeqCst);
        }
    }
}

// SAFETY: all is passed on to `System`; counting changes nothing about it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count();
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        Self::count();
        // SAFETY: the caller keeps the promises of `dealloc`, and `memory` came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Does something in the kernel: nothing is counted.
fn inside<R>(call: impl FnOnce() -> R) -> R {
    let watched = WATCHED.replace(false);
    let result = call();
    WATCHED.set(watched);
    result
}

/// `local`, whose own use of the allocator does not count.
#[derive(Clone, Debug)]
struct Outside(Local);

struct Region(ManuallyDrop<<Local as Kernel>::Region>);

impl Deref for Region {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: it is not used again.
        inside(|| unsafe { ManuallyDrop::drop(&mut self.0) });
    }
}

// SAFETY: everything is done by the kernel inside.
unsafe impl Kernel for Outside {
    type Abi = <Local as Kernel>::Abi;
    type Region = Region;
    /// The address. As on GNU Mach, the end of a loan means nothing: `local` has a list of what is lent,
    /// where it stays.
    type Lent<'a> = u64;

    unsafe fn mach_msg(&self, buffer: &mut [MaybeUninit<u64>], call: MsgCall) -> Result<(), KernReturn> {
        // SAFETY: the caller's promise.
        inside(|| unsafe { self.0.mach_msg(buffer, call) })
    }

    fn is_same_task(&self, other: &Self) -> bool {
        self.0.is_same_task(&other.0)
    }

    fn allocate_port(&self) -> Result<Name, KernReturn> {
        inside(|| self.0.allocate_port())
    }

    fn construct_port(&self, kind: PortKind) -> Result<Name, KernReturn> {
        inside(|| self.0.construct_port(kind))
    }

    fn allocate_port_set(&self) -> Result<Name, KernReturn> {
        inside(|| self.0.allocate_port_set())
    }

    unsafe fn release(&self, kind: RightKind, name: Name) {
        // SAFETY: the caller's promise.
        inside(|| unsafe { self.0.release(kind, name) });
    }

    unsafe fn copy_send(&self, name: Name) -> Result<(), KernReturn> {
        // SAFETY: the caller's promise.
        inside(|| unsafe { self.0.copy_send(name) })
    }

    unsafe fn make_send(&self, receive: Name) -> Result<(), KernReturn> {
        // SAFETY: the caller's promise.
        inside(|| unsafe { self.0.make_send(receive) })
    }

    unsafe fn make_send_once(&self, receive: Name) -> Result<Name, KernReturn> {
        // SAFETY: the caller's promise.
        inside(|| unsafe { self.0.make_send_once(receive) })
    }

    unsafe fn move_member(&self, receive: Name, set: Name) -> Result<(), KernReturn> {
        // SAFETY: the caller's promise.
        inside(|| unsafe { self.0.move_member(receive, set) })
    }

    unsafe fn request_notification(
        &self,
        name: Name,
        which: Notification,
        notify: Name,
    ) -> Result<Name, KernReturn> {
        // SAFETY: the caller's promise.
        inside(|| unsafe { self.0.request_notification(name, which, notify) })
    }

    fn reply_port(&self) -> Result<Name, KernReturn> {
        inside(|| self.0.reply_port())
    }

    unsafe fn destroy_reply_port(&self, name: Name) {
        // SAFETY: the caller's promise.
        inside(|| unsafe { self.0.destroy_reply_port(name) });
    }

    fn allocate(&self, size: usize) -> Result<Region, KernReturn> {
        inside(|| self.0.allocate(size)).map(|region| Region(ManuallyDrop::new(region)))
    }

    fn region_into_wire(&self, mut region: Region) -> u64 {
        // SAFETY: `region` is forgotten.
        let inner = unsafe { ManuallyDrop::take(&mut region.0) };
        std::mem::forget(region);
        inside(|| self.0.region_into_wire(inner))
    }

    unsafe fn region_from_wire(&self, address: u64, size: usize) -> Region {
        // SAFETY: the caller's promise.
        Region(ManuallyDrop::new(inside(|| unsafe { self.0.region_from_wire(address, size) })))
    }

    fn lend(&self, bytes: &[u8]) -> u64 {
        inside(|| {
            let lent = self.0.lend(bytes);
            let address = Local::lent_address(&lent);
            std::mem::forget(lent);
            address
        })
    }

    fn lent_address(lent: &u64) -> u64 {
        *lent
    }
}

type Pager = Service<Outside, Std, Volumes<InMemory, Std>>;

/// A pager of the least size, whose threads that may not wait are watched.
fn start(task: &Local, disk: &InMemory) -> Pager {
    superblock::format(disk, PAGE, [7; 16]).unwrap();
    let space = Volumes::new(PAGE);
    space.add("disk", SwapStore::open(disk.clone()).unwrap(), 0, 0).unwrap();
    let config = Config {
        buffers: 2,
        held_pages: 40,
        hand_backs: 4,
        map_bytes: 64 << 10,
        map_ahead: 64 << 10,
        io_threads: 1,
        internal_threads: 1,
        ..Config::default()
    };
    let watch = |duty| WATCHED.set(matches!(duty, Duty::Internal | Duty::Writes));
    Service::start_with(&Outside(task.clone()), space, config, Arc::new(watch)).unwrap()
}

fn create(service: &Pager, kernel: &Local) -> Object {
    let manager = service.right().unwrap();
    let task = manager.kernel().0.clone();
    // SAFETY: the right is that of this task, and has just been given up.
    let manager = unsafe { SendRight::from_raw(task, manager.into_raw()) };
    let manager = Local::transfer(manager, kernel).unwrap();
    let port = ReceiveRight::allocate(kernel).unwrap();
    let object = Object::using(port.make_send().unwrap());
    let (control, name) = (&object.control, &object.name);
    memory_object_default::memory_object_create(manager, port, 0, control, name, PAGE as u64).unwrap();
    object
}

#[test]
fn taking_pages_allocates_and_releases_nothing() {
    let host = Host::new();
    let (kernel, task) = (host.new_task("kernel"), host.new_task("pager"));
    kernel.send_always();
    let disk = InMemory(Arc::new(Mutex::new(vec![0; 1 << 20])));
    let service = start(&task, &disk);
    let pager = service.pager();
    let buffers = pager.free_buffers();
    let object = create(&service, &kernel);
    let settle = |returned: u64| {
        while pager.statistics().returned < returned || pager.free_buffers() < buffers {
            thread::yield_now();
        }
    };
    let offset = |page: u64| page * PAGE as u64;
    // Its threads are at work.
    object.data_return(0, &page(1));
    settle(1);
    let mut returned = 1;

    CALLS.store(0, SeqCst);
    for round in 0..4_u8 {
        {
            // More than there are buffers, in messages of one page and of four, while the disk takes none.
            let _disk = disk.0.lock().unwrap();
            for number in 0..20 {
                object.data_return(offset(number), &page(round + number as u8));
            }
            object.data_return(offset(40), &[page(3), page(4), page(5), page(6)].concat());
            // The first content of this page is not written any more.
            object.data_return(offset(19), &page(round));
            returned += 25;
            while pager.statistics().returned < returned {
                thread::yield_now();
            }
        }
        object.data_return(offset(50), &[round; PAGE]);
        returned += 1;
        settle(returned);
        // Some are read, some were never there.
        object.request(0, offset(64));
        let mut answers = 0;
        while answers < 64 {
            answers += object.answers().len();
            thread::yield_now();
        }
    }
    // More than the disk has room for.
    for number in 100..400 {
        object.data_return(offset(number), &page(number as u8));
        returned += 1;
        settle(returned);
    }
    let calls = CALLS.load(SeqCst);

    let Statistics { held, same_filled, written, superseded, handed_back, supplied, unavailable, .. } =
        pager.statistics();
    assert!(held > 50 && superseded > 0 && written > 250, "{held} {superseded} {written}");
    assert!(same_filled == 4 && handed_back > 20 && supplied > 20, "{same_filled} {handed_back} {supplied}");
    assert!(unavailable > 100, "{unavailable}");
    assert_eq!(calls, 0, "calls of the allocator");

    WATCHED.set(true);
    drop(Box::new(1));
    WATCHED.set(false);
    assert_eq!(CALLS.load(SeqCst), 2, "the calls are counted");
    object.terminate();
    assert_eq!(service.stop(), Ok(()));
}
