//! A dead-name notification brings a reference of the dead name. Whoever takes it has it, and if nobody does
//! it is released.

use std::sync::Mutex;

use mig_runtime::abi::TaskAbi;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Std;
use mig_runtime::{
    DeadName, Dest, KernReturn, MsgBuf, Name, Port, ReceiveRight, SendOptions, SendRight, Server, Type,
};

struct World<A: TaskAbi> {
    watcher: Local<A>,
    other: Local<A>,
    port: ReceiveRight<Local<A>>,
}

impl<A: TaskAbi> World<A> {
    /// So many ports have died, and notifications of it are in the queue of this world's port.
    fn after_deaths(count: usize) -> Self {
        let host: Host<A> = Host::new();
        let (watcher, other) = (host.new_task("watcher"), host.new_task("other"));
        let world = Self { port: ReceiveRight::allocate(&watcher).unwrap(), watcher, other };
        for _ in 0..count {
            let (theirs, right) = world.right();
            drop(right.request_dead_name(&world.port).unwrap());
            drop(theirs);
        }
        assert_eq!(world.watcher.census().dead_references, count as u64);
        world
    }

    fn right(&self) -> (ReceiveRight<Local<A>>, SendRight<Local<A>>) {
        let theirs = ReceiveRight::allocate(&self.other).unwrap();
        let right = Local::transfer(theirs.make_send().unwrap(), &self.watcher).unwrap();
        (theirs, right)
    }

    /// Serves all that is in the queue, and counts the references of dead names that are left.
    fn serve(&self, server: &Server<'_, Local<A>>) -> u64 {
        while server.serve_one::<Std>(Some(0)).is_ok() {}
        assert_eq!(self.watcher.census().bad_releases, 0);
        assert_eq!(self.watcher.census().queued, 0);
        self.watcher.census().dead_references
    }
}

/// The message of the kernel, sent with a send right.
macro_rules! made_up {
    ($family:ident, $to:expr, $name:expr) => {{
        let mut buffer = MsgBuf::<64>::new();
        let mut news = buffer.request($to.kernel());
        made_up!(@$family news $name);
        news.send(72, Dest::copy_send($to), SendOptions::NONE).unwrap();
    }};
    (@typed $news:ident $name:expr) => { $news.data(Type::inline(15, 32, 1), &$name) };
    (@untyped $news:ident $name:expr) => { $news.ndr(); $news.value(&$name) };
}

macro_rules! on_abis {
    ($($family:ident $abi:ident;)*) => { $(
        mod $abi {
            use super::*;
            use mach_defs::$abi::notify::{self, Abi, Notify};

            struct Deaf;

            impl Notify<Local<Abi>> for Deaf {}

            /// Keeps what it is told, with the reference or without.
            #[derive(Default)]
            struct Told {
                kept: Mutex<Vec<DeadName<Local<Abi>>>>,
                keeps: bool,
                names: Mutex<Vec<(Name, bool)>>,
            }

            impl Notify<Local<Abi>> for Told {
                fn mach_notify_dead_name(
                    &self,
                    _: Port<'_, Local<Abi>>,
                    dead: DeadName<Local<Abi>>,
                ) -> Result<(), KernReturn> {
                    self.names.lock().unwrap().push((dead.name(), dead.is_genuine()));
                    if self.keeps {
                        self.kept.lock().unwrap().push(dead);
                    }
                    Ok(())
                }
            }

            #[test]
            fn told_not_implemented_or_not_served_nothing_is_left() {
                let world = World::<Abi>::after_deaths(10);
                let told = Told::default();
                assert_eq!(world.serve(&Server::on(&world.port).with(notify::notify(&told))), 0);
                assert_eq!(told.names.lock().unwrap().len(), 10);
                let world = World::<Abi>::after_deaths(10);
                assert_eq!(world.serve(&Server::on(&world.port).with(notify::notify(&Deaf))), 0);
                let world = World::<Abi>::after_deaths(10);
                assert_eq!(world.serve(&Server::on(&world.port)), 0);
            }

            #[test]
            fn a_name_is_nobody_elses_while_the_reference_is_held() {
                let world = World::<Abi>::after_deaths(1);
                let told = Told { keeps: true, ..Told::default() };
                assert_eq!(world.serve(&Server::on(&world.port).with(notify::notify(&told))), 1);
                let dead = told.kept.lock().unwrap().pop().unwrap();
                let (_theirs, right) = world.right();
                assert_ne!(right.name(), dead.name());
                drop(dead);
                assert_eq!(world.watcher.census().dead_references, 0);
            }

            /// The news of a death that was asked for too late: on every kernel with a reference of its own.
            #[test]
            fn a_port_that_is_dead_already_is_told_of_at_once() {
                let world = World::<Abi>::after_deaths(0);
                let (theirs, right) = world.right();
                drop(theirs);
                drop(right.request_dead_name(&world.port).unwrap());
                let told = Told::default();
                assert_eq!(world.serve(&Server::on(&world.port).with(notify::notify(&told))), 1);
                assert_eq!(*told.names.lock().unwrap(), [(right.name(), true)]);
            }

            /// Anybody with a send right can say so; it brings no reference, and takes none.
            #[test]
            fn made_up_news_release_nothing() {
                let world = World::<Abi>::after_deaths(0);
                let (theirs, dead) = world.right();
                drop(theirs);
                let (_alive, alive) = world.right();
                let to = Local::transfer(world.port.make_send().unwrap(), &world.other).unwrap();
                let once = Local::transfer(world.port.make_send_once().unwrap(), &world.other).unwrap();
                made_up!($family, &to, dead.name());
                // With a send-once right it looks like the kernel's, but only dead names are released as
                // such.
                notify::mach_notify_dead_name(once, alive.name()).unwrap();
                let told = Told::default();
                let server = Server::on(&world.port).with(notify::notify(&told));
                while server.serve_one::<Std>(Some(0)).is_ok() {}
                assert_eq!(*told.names.lock().unwrap(), [(dead.name(), false), (alive.name(), true)]);
                assert_eq!(world.watcher.census().dead_references, 1, "the right's own");
                assert_eq!(world.watcher.census().send, 1);
            }
        }
    )* };
}

on_abis! {
    typed gnu_i386;
    typed gnu_x86_64;
    untyped apple_32;
    untyped apple_64;
}
