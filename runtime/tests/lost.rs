//! Messages that a server cannot receive: too large, or bringing more than its task has room for. Each is
//! told of with its sequence number, what came of it is released, and everybody else is served as before.

mod families;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Range;
use std::sync::Mutex;

use families::Words;
use mig_runtime::abi::{Apple32, Apple64, GnuI386, GnuX86_64};
use mig_runtime::kernel::local::{Census, Host, Local};
use mig_runtime::platform::Std;
use mig_runtime::{
    Builder, CallOptions, Complex, Dest, KernReturn, MsgBuf, OolMemory, ReceiveRight, Received, Reply,
    SendRight, Seqno, Server, Shape, Subsystem,
};

thread_local!(static POOR: Cell<bool> = const { Cell::new(false) });

/// Refuses more than 16 KiB to threads that are poor.
struct Limited;

// SAFETY: the allocator of the system does all that is not refused.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > 1 << 14 && POOR.try_with(Cell::get).unwrap_or(false) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static LIMITED: Limited = Limited;

/// One routine that takes whatever comes, and remembers where it stood.
#[derive(Default)]
struct Notes(Mutex<Vec<Seqno>>);

impl<A: Words> Subsystem<Local<A>> for &Notes {
    fn ids(&self) -> Range<i32> {
        700..701
    }

    fn max_request_size(&self) -> usize {
        64
    }

    fn max_reply_size(&self) -> usize {
        64
    }

    fn dispatch(&self, request: &mut Received<'_, Local<A>>, reply: &mut Reply<'_, Local<A>>) -> bool {
        // From now on this is a thread without memory.
        POOR.set(true);
        reply.serve(|_| {
            self.0.lock().unwrap().push(request.seqno());
            Ok(())
        });
        true
    }
}

struct World<A: Words> {
    server: Local<A>,
    client: Local<A>,
    port: ReceiveRight<Local<A>>,
    to: SendRight<Local<A>>,
}

impl<A: Words> World<A> {
    fn new() -> Self {
        let host: Host<A> = Host::new();
        let (server, client) = (host.new_task("server"), host.new_task("client"));
        let port = ReceiveRight::allocate(&server).unwrap();
        let to = Local::transfer(port.make_send().unwrap(), &client).unwrap();
        Self { server, client, port, to }
    }

    fn call(&self, build: impl FnOnce(&mut Builder<'_, Local<A>>)) -> Result<(), KernReturn> {
        let mut buffer: Box<MsgBuf<400_000>> = Box::default();
        let mut request = buffer.request(&self.client);
        build(&mut request);
        let size = A::FACTS.error_reply;
        let shape = Shape::new(size, size, Complex::Never);
        request.call(700, Dest::copy_send(&self.to), shape, CallOptions::NONE).map(drop)?;
        Ok(())
    }

    /// This many bytes in the message.
    fn call_with_bytes(&self, count: usize) -> Result<(), KernReturn> {
        self.call(|request| {
            for _ in 0..count / 16 {
                A::sixteen_bytes(request);
            }
        })
    }

    fn call_with_rights(&self) -> Result<(), KernReturn> {
        let mine = ReceiveRight::allocate(&self.client).unwrap();
        self.call(|request| {
            A::announce(request, 2);
            request.move_send(mine.make_send().unwrap());
            request.move_send_once(mine.make_send_once().unwrap());
        })
    }

    fn call_with_memory(&self) -> Result<(), KernReturn> {
        let memory = || OolMemory::allocate(&self.client, 100).unwrap();
        self.call(|request| {
            A::announce(request, 2);
            (0..2).for_each(|_| A::memory(request, memory(), true).unwrap());
        })
    }

    /// How many names the server's task has.
    fn names(&self) -> usize {
        let Census { receive, send, send_once, dead_names, port_sets, .. } = self.server.census();
        receive + send + send_once + dead_names + port_sets
    }
}

fn a_server_goes_on_after_each<A: Words>() {
    let world = World::<A>::new();
    let before = (world.server.census(), world.client.census());
    let (notes, lost) = (Notes::default(), Mutex::new(Vec::new()));
    let server = Server::on(&world.port).with(&notes).unclaimed(|message| lost.lock().unwrap().push(message));
    let served = Ok(());
    let died = Err(KernReturn::MIG_SERVER_DIED);
    let refused = Err(KernReturn::KERN_RESOURCE_SHORTAGE);
    server
        .serve_while(|| {
            assert_eq!(world.call_with_bytes(16), served);
            let names = world.names();
            assert_eq!(world.call_with_bytes(300_000), died);
            assert_eq!(world.call_with_bytes(30_000), died, "less, but the thread has no memory");
            world.server.limit_names(names);
            assert_eq!(world.call_with_rights(), died, "there is no room even for the reply right");
            world.server.limit_names(names + 2);
            assert_eq!(world.call_with_rights(), refused);
            assert_eq!(world.names(), names, "the one that had room is released");
            assert_eq!(world.call_with_bytes(16), served);
            world.server.limit_regions(1);
            assert_eq!(world.call_with_memory(), refused);
            world.server.limit_regions(2);
            assert_eq!(world.call_with_memory(), served);
        })
        .unwrap();
    // By hand, too.
    std::thread::scope(|scope| {
        let call = scope.spawn(|| world.call_with_bytes(300_000));
        assert_eq!(server.serve_one::<Std>(None), Ok(true));
        assert_eq!(call.join().unwrap(), died);
    });
    drop(server);
    let told = |seqno, code| (world.port.name(), 700, Seqno(seqno), code);
    let told = [
        told(1, KernReturn::MACH_RCV_TOO_LARGE),
        told(2, KernReturn::MACH_RCV_TOO_LARGE),
        told(3, KernReturn::MACH_RCV_HEADER_ERROR),
        told(4, KernReturn::MACH_RCV_BODY_ERROR),
        told(6, KernReturn::MACH_RCV_BODY_ERROR),
        told(8, KernReturn::MACH_RCV_TOO_LARGE),
    ];
    let lost = lost.into_inner().unwrap();
    assert_eq!(lost.iter().map(|lost| (lost.port, lost.id, lost.seqno, lost.code)).collect::<Vec<_>>(), told);
    assert_eq!(notes.0.into_inner().unwrap(), [Seqno(0), Seqno(5), Seqno(7)]);
    assert_eq!((world.server.census(), world.client.census()), before);
}

/// A reply that there is no room for: the call fails, and what came of it is released.
fn a_client_releases_what_came_of_a_reply<A: Words>() {
    let world = World::<A>::new();
    let before = world.client.census();
    let server = Server::on(&world.port).with(&Memory);
    server
        .serve_while(|| {
            world.client.limit_regions(1);
            assert_eq!(world.call(|_| ()).unwrap_err().without_shortage(), KernReturn::MACH_RCV_BODY_ERROR);
            world.client.limit_regions(usize::MAX);
        })
        .unwrap();
    assert_eq!(world.client.census(), before);
    drop(server);
    assert_eq!(world.server.census(), Census { receive: 1, ..Census::default() });
}

/// A routine that answers with two pieces of memory.
struct Memory;

impl<A: Words> Subsystem<Local<A>> for &Memory {
    fn ids(&self) -> Range<i32> {
        700..701
    }

    fn max_request_size(&self) -> usize {
        64
    }

    fn max_reply_size(&self) -> usize {
        128
    }

    fn dispatch(&self, request: &mut Received<'_, Local<A>>, reply: &mut Reply<'_, Local<A>>) -> bool {
        let kernel = request.kernel();
        reply.serve(|reply| {
            let memory = || OolMemory::allocate(kernel, 100);
            reply.encode::<128>(|reply| {
                A::announce(reply, 2);
                A::memory(reply, memory()?, true)?;
                A::memory(reply, memory()?, true)
            })?;
            Ok(())
        });
        true
    }
}

macro_rules! on_abis {
    ($($module:ident $abi:ident;)*) => { $(
        mod $module {
            #[test]
            fn a_server_goes_on_after_each() {
                super::a_server_goes_on_after_each::<super::$abi>();
            }

            #[test]
            fn a_client_releases_what_came_of_a_reply() {
                super::a_client_releases_what_came_of_a_reply::<super::$abi>();
            }
        }
    )* };
}

on_abis! {
    gnu_i386 GnuI386;
    gnu_x86_64 GnuX86_64;
    apple_32 Apple32;
    apple_64 Apple64;
}
