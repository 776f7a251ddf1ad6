//! A client that dies at any point of a call leaves nothing behind in its server, and nothing stuck: others
//! are served as before.

use std::ops::Range;
use std::sync::Mutex;

mod families;

use families::Words;
use mig_runtime::abi::{Apple64, Family, GnuI386, GnuX86_64, TaskAbi};
use mig_runtime::kernel::local::{Census, Host, Local};
use mig_runtime::platform::Std;
use mig_runtime::{
    Body, Builder, CallError, CallOptions, Complex, Dest, KernReturn, MsgBuf, OolMemory, ReceiveRight,
    Received, Reply, ReplyTo, SendRight, Server, Shape, Subsystem,
};

/// A call with a receive right and memory in, a send right and memory out.
const EXCHANGE: i32 = 800;
/// The same, answered later.
const LATER: i32 = 801;

/// Bytes of a message with a right and memory.
const fn size<A: TaskAbi>(reply: bool) -> usize {
    let header = A::FACTS.header;
    match (A::FACTS.family, A::FACTS.pointer) {
        (Family::Typed, 8) => header + if reply { 16 } else { 0 } + 16 + 16,
        (Family::Typed, _) => header + if reply { 8 } else { 0 } + 8 + 16,
        (Family::Untyped, _) => header + 4 + 12 + A::FACTS.memory_descriptor,
    }
}

fn shape<A: TaskAbi>(reply: bool) -> Shape {
    Shape::new(size::<A>(reply), size::<A>(reply), Complex::Always)
}

fn memory<A: Words>(message: &mut Builder<'_, Local<A>>, task: &Local<A>) {
    A::memory(message, OolMemory::allocate(task, 100).unwrap(), true).unwrap();
}

/// What a server does in the middle of a routine.
type Hook = Box<dyn FnMut() + Send>;

struct Exchange<A: TaskAbi> {
    during: Mutex<Option<Hook>>,
    later: Mutex<Vec<ReplyTo<Local<A>>>>,
}

impl<A: Words> Exchange<A> {
    fn results(task: &Local<A>, reply: &mut Builder<'_, Local<A>>) -> Result<(), KernReturn> {
        let port = ReceiveRight::allocate(task)?;
        A::announce(reply, 2);
        // The port dies with this function; its send right is a dead name wherever it comes to.
        reply.move_send(port.make_send()?);
        memory(reply, task);
        Ok(())
    }
}

impl<A: Words> Subsystem<Local<A>> for &Exchange<A> {
    fn ids(&self) -> Range<i32> {
        EXCHANGE..LATER + 1
    }

    fn max_request_size(&self) -> usize {
        128
    }

    fn max_reply_size(&self) -> usize {
        128
    }

    fn dispatch(&self, request: &mut Received<'_, Local<A>>, reply: &mut Reply<'_, Local<A>>) -> bool {
        let task = request.kernel();
        reply.serve(|reply| {
            let mut body = request.body(shape::<A>(false))?;
            let _right = body.receive_right()?;
            if let Some(hook) = &mut *self.during.lock().unwrap() {
                hook();
            }
            // The memory is still in the message.
            if request.id() == LATER {
                self.later.lock().unwrap().push(request.port().defer());
                return Err(KernReturn::MIG_NO_REPLY.into());
            }
            reply.encode::<128>(|reply| Exchange::results(task, reply))?;
            Ok(())
        });
        true
    }
}

struct World<A: TaskAbi> {
    host: Host<A>,
    server: Local<A>,
    port: ReceiveRight<Local<A>>,
    exchange: Exchange<A>,
}

/// A client with the server's port and one of its own.
struct Client<A: TaskAbi> {
    task: Local<A>,
    to: SendRight<Local<A>>,
}

impl<A: Words> World<A> {
    fn new() -> Self {
        let host: Host<A> = Host::new();
        let server = host.new_task("server");
        let exchange = Exchange { during: Mutex::default(), later: Mutex::default() };
        Self { port: ReceiveRight::allocate(&server).unwrap(), host, server, exchange }
    }

    fn client(&self) -> Client<A> {
        let task = self.host.new_task("client");
        let to = Local::transfer(self.port.make_send().unwrap(), &task).unwrap();
        Client { task, to }
    }

    fn serve(&self, server: &Server<'_, Local<A>>) {
        while server.serve_one::<Std>(Some(0)).is_ok() {}
    }

    /// What is left when everything is over: the server's port, and whoever comes next is served.
    fn nothing_is_left(&self, what: &str) {
        *self.exchange.during.lock().unwrap() = None;
        self.exchange.later.lock().unwrap().clear();
        {
            let server = Server::on(&self.port).with(&self.exchange);
            self.serve(&server);
            let other = self.client();
            let result = server.serve_while(|| other.call(EXCHANGE, |_| ())).unwrap();
            assert_eq!(result.map_err(KernReturn::from), Ok(()), "{what}");
        }
        assert_eq!(self.server.census(), Census { receive: 1, ..Census::default() }, "{what}");
        assert_eq!(self.host.port_count(), 1, "{what}");
    }
}

impl<A: Words> Client<A> {
    fn fill(&self, request: &mut Builder<'_, Local<A>>) {
        A::announce(request, 2);
        request.move_receive(ReceiveRight::allocate(&self.task).unwrap());
        memory(request, &self.task);
    }

    /// Calls, and looks at the reply before it is taken apart.
    fn call(&self, id: i32, look: impl FnOnce(&Body<'_, Local<A>>)) -> Result<(), CallError<Local<A>>> {
        let mut buffer = MsgBuf::<256>::new();
        let mut request = buffer.request(&self.task);
        self.fill(&mut request);
        let reply = request.call(id, Dest::copy_send(&self.to), shape::<A>(true), CallOptions::NONE)?;
        look(&reply);
        Ok(())
    }
}

fn at_every_point<A: Words>() {
    // While the request is built.
    let world = World::<A>::new();
    let client = world.client();
    let mut buffer = MsgBuf::<256>::new();
    let mut request = buffer.request(&client.task);
    client.fill(&mut request);
    client.task.terminate();
    drop(request);
    drop(client);
    world.nothing_is_left("built");

    // While it waits for room in the queue.
    let world = World::<A>::new();
    world.server.set_queue_limit(world.port.name(), 0).unwrap();
    let client = world.client();
    std::thread::scope(|scope| {
        let (built, is_built) = std::sync::mpsc::channel();
        let client = &client;
        let call = scope.spawn(move || {
            let mut buffer = MsgBuf::<256>::new();
            let mut request = buffer.request(&client.task);
            client.fill(&mut request);
            built.send(()).unwrap();
            let shape = shape::<A>(true);
            let reply = request.call(EXCHANGE, Dest::copy_send(&client.to), shape, CallOptions::NONE);
            reply.map(drop).unwrap_err().code()
        });
        is_built.recv().unwrap();
        client.task.terminate();
        let code = call.join().unwrap();
        // The task may have ended before the send began.
        assert!(code.is_send_error() || code == KernReturn::KERN_INVALID_TASK, "{code:?}");
    });
    world.server.set_queue_limit(world.port.name(), 5).unwrap();
    drop(client);
    world.nothing_is_left("waiting for room");

    // While the request is in the queue, and before or after the server takes it.
    for id in [EXCHANGE, LATER] {
        let world = World::<A>::new();
        let client = world.client();
        std::thread::scope(|scope| {
            let call = scope.spawn(|| client.call(id, |_| ()).map_err(KernReturn::from));
            while world.server.receive_status(world.port.name()).unwrap().queued == 0 {
                std::thread::yield_now();
            }
            client.task.terminate();
            assert!(call.join().unwrap().unwrap_err().is_receive_error());
        });
        drop(client);
        world.nothing_is_left("queued");
    }

    // In the middle of the routine, which answers at once or later.
    for id in [EXCHANGE, LATER] {
        let world = World::<A>::new();
        let client = world.client();
        let task = client.task.clone();
        *world.exchange.during.lock().unwrap() = Some(Box::new(move || task.terminate()));
        let server = Server::on(&world.port).with(&world.exchange);
        let result = server.serve_while(|| client.call(id, |_| ()).map_err(KernReturn::from)).unwrap();
        assert!(result.unwrap_err().is_receive_error());
        for token in world.exchange.later.lock().unwrap().drain(..) {
            let answer =
                token.answer::<128, ()>(id, Ok(()), |reply, ()| Exchange::results(&world.server, reply));
            assert_eq!(answer, Err(KernReturn::MACH_SEND_INVALID_DEST));
        }
        drop((server, client));
        world.nothing_is_left("served");
    }

    // While the answer is in its queue: nobody waits for it.
    let world = World::<A>::new();
    let client = world.client();
    let reply = ReceiveRight::allocate(&client.task).unwrap();
    let mut buffer = MsgBuf::<256>::new();
    let mut request = buffer.request(&client.task);
    client.fill(&mut request);
    let to_reply = mig_runtime::AnyRight::make_send_once(&reply);
    request
        .send_with_reply_port(EXCHANGE, Dest::copy_send(&client.to), to_reply, mig_runtime::SendOptions::NONE)
        .unwrap();
    {
        let server = Server::on(&world.port).with(&world.exchange);
        world.serve(&server);
    }
    assert_eq!(client.task.receive_status(reply.name()).unwrap().queued, 1);
    client.task.terminate();
    drop((reply, client));
    world.nothing_is_left("answered");

    // With the answer in its hands.
    let world = World::<A>::new();
    let client = world.client();
    let server = Server::on(&world.port).with(&world.exchange);
    server.serve_while(|| client.call(EXCHANGE, |_| client.task.terminate())).unwrap().unwrap();
    drop((server, client));
    world.nothing_is_left("received");
}

#[test]
fn gnu_i386() {
    at_every_point::<GnuI386>();
}

#[test]
fn gnu_x86_64() {
    at_every_point::<GnuX86_64>();
}

#[test]
fn apple_64() {
    at_every_point::<Apple64>();
}
