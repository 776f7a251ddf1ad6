//! Safe code cannot make a message, or anything that releases one, take numbers for rights or addresses.
//! There is a test for each way in which it once could, or might, with the census of the task around it.
//! Attempts that do not even compile are in `tests/tests/ownership`.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use mig_runtime::abi::{Apple32, Apple64, GnuI386, GnuX86_64, TaskAbi, Typed, Untyped};
use mig_runtime::kernel::local::{Census, Local};
use mig_runtime::{
    AnyRight, Body, Builder, CallOptions, Complex, Copying, Descriptor, Dest, KernReturn, Malformed, MsgBuf,
    OolMemory, PortArray, PortSet, Receive, ReceiveRight, Received, Reply, SendOptions, SendRight, Shape,
    Type, Word,
};

/// A task with a right that is the victim, and a region.
struct Victim<A: TaskAbi> {
    task: Local<A>,
    port: ReceiveRight<Local<A>>,
    right: SendRight<Local<A>>,
    region: OolMemory<Local<A>>,
    census: Census,
}

impl<A: TaskAbi> Victim<A> {
    fn new() -> Self {
        let task = Local::new();
        let port = ReceiveRight::allocate(&task).unwrap();
        let right = port.make_send().unwrap();
        let region = OolMemory::allocate(&task, 16).unwrap();
        let census = task.census();
        Self { task, port, right, region, census }
    }

    /// Builds a request and throws it away.
    fn build(&self, build: impl FnOnce(&mut Builder<'_, Local<A>>)) {
        let mut buffer = MsgBuf::<8192>::new();
        build(&mut buffer.request(&self.task));
        self.is_whole();
    }

    /// Builds a request that cannot be sent.
    fn refuse(&self, build: impl FnOnce(&mut Builder<'_, Local<A>>)) {
        let mut buffer = MsgBuf::<8192>::new();
        let mut request = buffer.request(&self.task);
        build(&mut request);
        let sent = request.send(1, Dest::copy_send(&self.right), SendOptions::NONE);
        assert_eq!(sent.map_err(|error| error.code()), Err(KernReturn::MIG_TYPE_ERROR));
        self.is_whole();
    }

    /// Sends a request to itself, and reads it.
    fn read<R>(
        &self,
        build: impl FnOnce(&mut Builder<'_, Local<A>>),
        read: impl FnOnce(Body<'_, Local<A>>) -> R,
    ) -> R {
        let mut buffer = MsgBuf::<1024>::new();
        let mut request = buffer.request(&self.task);
        build(&mut request);
        request.send(1, Dest::copy_send(&self.right), SendOptions::NONE).unwrap();
        let mut buffer = MsgBuf::<1024>::new();
        let received =
            Received::receive(&self.task, buffer.words(), Receive::from(self.port.name())).unwrap();
        let shape = Shape::new(A::FACTS.header, 1024, Complex::Always);
        let result = read(received.body(shape).unwrap());
        drop(received);
        result
    }

    /// Nothing has been released that this test owns, nor has anything of it leaked.
    fn is_whole(&self) {
        assert_eq!(self.task.census(), self.census, "{}", A::FACTS.name);
        assert_eq!(self.region.len(), 16);
    }

    fn panics(&self, body: impl FnOnce()) {
        assert!(catch_unwind(AssertUnwindSafe(body)).is_err(), "{}", A::FACTS.name);
        self.is_whole();
    }
}

/// The addresses of `Local` are 1, 2, 3, …; on other kernels they are pointers.
const ADDRESS: u64 = 1;

/// What writes a part of a message.
type Attempt<'a, A> = &'a dyn Fn(&mut Builder<'_, Local<A>>);

/// Runs a check on two ABIs of a family.
fn both<A: TaskAbi, B: TaskAbi>(one: fn(&Victim<A>), other: fn(&Victim<B>)) {
    one(&Victim::new());
    other(&Victim::new());
}

#[test]
fn no_type_word_of_data_is_that_of_a_right() {
    for name in 16..=21 {
        assert!(Word::new(name, 5).is_none());
        assert!(catch_unwind(|| Type::inline(name, 32, 1)).is_err());
        assert!(catch_unwind(|| Type::out_of_line(name, 32)).is_err());
    }
    assert_eq!(Word::new(15, 5).map(|word| (word.name(), word.value())), Some((15, 5)));
}

/// Whatever the type word says of addresses, data is data.
#[test]
fn data_is_in_the_message() {
    fn check<A: TaskAbi<Format = Typed>>(victim: &Victim<A>) {
        let given = Type::out_of_line(9, 8).deallocate().with_number(8);
        victim.build(|request| {
            request.move_send(victim.right.try_clone().unwrap());
            request.data(given, &ADDRESS);
            request.slice(given, &ADDRESS.to_le_bytes(), 8).unwrap();
            request.fixed_string(given, c"\x01").unwrap();
            request.indefinite_copy(given, &ADDRESS.to_le_bytes()).unwrap();
        });
        let found = victim.read(
            |request| {
                request.move_send(victim.right.try_clone().unwrap());
                request.data(given, &ADDRESS);
            },
            |mut body| {
                drop(body.send_right().unwrap());
                body.data::<u64>(Type::inline(9, 8, 8).long())
            },
        );
        assert_eq!(found, Ok(ADDRESS));
        victim.is_whole();
    }
    both::<GnuI386, GnuX86_64>(check, check);
}

/// Bytes that no type word counts would be the next type word.
#[test]
fn a_type_word_counts_all_of_its_data() {
    fn check<A: TaskAbi<Format = Typed>>(victim: &Victim<A>) {
        let start =
            |request: &mut Builder<'_, Local<A>>| request.move_send(victim.right.try_clone().unwrap());
        // Elements of 8 and of no bytes.
        for ty in [Type::inline(11, 64, 1), Type::inline(9, 0, 1), Type::inline(9, 0, 1).long()] {
            victim.build(|request| {
                start(request);
                assert_eq!(request.slice(ty, &[17u8; 12], 100), Err(KernReturn::MIG_TYPE_ERROR));
                assert_eq!(request.indefinite_copy(ty, &[17u8; 12]), Err(KernReturn::MIG_TYPE_ERROR));
                assert_eq!(request.ool_copy(ty, &[17u8; 12]), Err(KernReturn::MIG_TYPE_ERROR));
            });
            let mut buffer = MsgBuf::<256>::new();
            let mut request = buffer.request(&victim.task);
            start(&mut request);
            request.ool(ty, OolMemory::allocate(&victim.task, 12).unwrap());
            assert!(request.send(1, Dest::copy_send(&victim.right), SendOptions::NONE).is_err());
            victim.is_whole();
        }
        victim.panics(|| {
            victim.build(|request| {
                start(request);
                request.data(Type::inline(9, 8, 3), &[17u8; 12]);
            });
        });
    }
    both::<GnuI386, GnuX86_64>(check, check);
}

/// A short type word has 8 bits for the size and 12 for the number on i386: what is cut off would say that
/// less data follows.
#[test]
fn what_a_short_type_word_has_no_room_for_is_not_cut_off() {
    let victim = Victim::<GnuI386>::new();
    let right = || victim.right.try_clone().unwrap();
    let attempts: [Attempt<'_, GnuI386>; 4] = [
        &|request| request.data(Type::inline(9, 8, 4096 + 8), &[17u8; 4096 + 8]),
        &|request| request.data(Type::inline(9, 256 + 8, 1), &[17u8; 33]),
        &|request| request.slice(Type::inline(9, 256 + 8, 1), &[[17u8; 33]; 2], 2).unwrap(),
        &|request| request.fixed_string(Type::inline(12, 8, 4096 + 8), c"").unwrap(),
    ];
    for attempt in attempts {
        victim.panics(|| {
            victim.build(|request| {
                request.move_send(right());
                attempt(request);
            });
        });
    }
    victim.build(|request| {
        let long = request.slice(Type::inline(9, 8, 1), &[17u8; 4096 + 8], 5000);
        assert_eq!(long, Err(KernReturn::MIG_ARRAY_TOO_LARGE));
    });
}

#[test]
fn a_reader_takes_what_the_type_word_says() {
    fn check<A: TaskAbi<Format = Typed>>(victim: &Victim<A>) {
        // Behind the data that is left a right of any name could stand.
        let build = |request: &mut Builder<'_, Local<A>>| {
            request.move_send(victim.right.try_clone().unwrap());
            request.data(Type::inline(2, 32, 4), &[17u32, 18, 19, 20]);
        };
        victim.panics(|| {
            victim.read(build, |mut body| {
                drop(body.send_right());
                let _ = body.data::<u32>(Type::inline(2, 32, 4));
            });
        });
        // Memory is no data, whatever its type word says.
        let found = victim.read(
            |request| {
                request.move_send(victim.right.try_clone().unwrap());
                request.ool(Type::out_of_line(9, 8), OolMemory::allocate(&victim.task, 64).unwrap());
            },
            |mut body| {
                drop(body.send_right());
                body.data::<[u8; 64]>(Type::out_of_line(9, 8).with_number(64)).map(drop)
            },
        );
        assert_eq!(found, Err(Malformed::Type));
        victim.is_whole();
    }
    both::<GnuI386, GnuX86_64>(check, check);
}

/// The bytes of a descriptor of memory, or of a right.
fn descriptor(kind: u8) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&ADDRESS.to_le_bytes());
    (bytes[8], bytes[10], bytes[11], bytes[12]) = (1, 17, kind, 8);
    bytes
}

#[test]
fn descriptors_are_owed_and_counted() {
    fn check<A: TaskAbi<Format = Untyped>>(victim: &Victim<A>) {
        let task = &victim.task;
        let right = || victim.right.try_clone().unwrap();
        let memory = || OolMemory::allocate(task, 8).unwrap();
        for kind in 0..5 {
            // Plain data in the place of a descriptor.
            victim.refuse(|request| {
                request.descriptors(1);
                request.value(&descriptor(kind));
            });
            // In front of the count, which is then after it.
            victim.refuse(|request| {
                request.value(&1u32);
                request.value(&descriptor(kind));
                request.descriptors(1);
                request.move_send(right());
            });
            // A descriptor too few, with the rest as data.
            victim.refuse(|request| {
                request.descriptors(2);
                request.move_send(right());
                request.ndr();
                request.value(&descriptor(kind));
                request.array(&descriptor(kind), 16).unwrap();
                request.fixed_text(c"\x11", 32);
                request.text(c"\x11", 32).unwrap();
                request.return_code(KernReturn(17));
                request.count(17).unwrap();
            });
        }
        // One too many: it is released.
        victim.refuse(|request| {
            request.descriptors(1);
            request.move_send(right());
            request.move_send(right());
        });
        victim.refuse(|request| request.move_send(right()));
        victim.refuse(|request| {
            request.descriptors(1);
            request.move_send(right());
            assert!(request.memory(memory(), Copying::MOVE).is_err());
            assert!(request.memory_result(memory(), Copying::VIRTUAL).is_err());
            assert!(request.rights_memory(PortArray::moving(vec![right()]), Copying::MOVE).is_err());
            assert!(request.rights(PortArray::moving(vec![right()]), 2).is_err());
        });
        // Announced twice.
        victim.refuse(|request| {
            request.descriptors(1);
            request.move_send(right());
            request.descriptors(1);
            request.move_send(right());
        });
        // Announced, and nothing more.
        victim.refuse(|request| request.descriptors(u32::MAX));
    }
    both::<Apple32, Apple64>(check, check);
}

#[test]
fn a_reply_owes_its_descriptors_too() {
    fn check<A: TaskAbi<Format = Untyped>>(victim: &Victim<A>) {
        let mut buffer = MsgBuf::<256>::new();
        let mut reply = Reply::new(&victim.task, buffer.words());
        let encoded = reply.encode::<256>(|reply| {
            reply.descriptors(2);
            reply.move_send(victim.right.try_clone().unwrap());
            Ok(())
        });
        assert_eq!(encoded, Err(KernReturn::MIG_TYPE_ERROR));
        drop(reply);
        victim.is_whole();
    }
    both::<Apple32, Apple64>(check, check);
}

/// Data that is read before the descriptors would leave the sender's data in their place.
#[test]
fn no_data_is_read_while_descriptors_are_left() {
    fn check<A: TaskAbi<Format = Untyped>>(victim: &Victim<A>) {
        let found = victim.read(
            |request| {
                request.descriptors(1);
                request.move_send(victim.right.try_clone().unwrap());
                request.value(&descriptor(0));
            },
            |mut body| {
                let data = (body.value::<[u8; 12]>(), body.ndr(), body.array::<u8>(99).is_err());
                assert_eq!(data, (Err(Malformed::Descriptor), Err(Malformed::Descriptor), true));
                assert!(body.fixed_text(8).is_err() && body.text(8).is_err() && body.counted(1).is_err());
                (body.send_right().unwrap().name(), body.send_right().is_err())
            },
        );
        assert_eq!(found, (victim.right.name(), true));
        victim.is_whole();
    }
    both::<Apple32, Apple64>(check, check);
}

/// A closure that puts another builder in the place of the reply's would leave its length with bytes that
/// nobody has written.
#[test]
fn a_reply_is_written_by_its_own_builder() {
    fn check<A: TaskAbi>(victim: &Victim<A>) {
        let other: &'static mut MsgBuf<512> = Box::leak(Box::new(MsgBuf::new()));
        let mut buffer = MsgBuf::<256>::new();
        let mut reply = Reply::new(&victim.task, buffer.words());
        let encoded = reply.encode::<128>(|reply| {
            *reply = other.request(&victim.task);
            (0..10).for_each(|_| reply.return_code(KernReturn(17)));
            Ok(())
        });
        assert_eq!(encoded, Err(KernReturn::MIG_TYPE_ERROR));
        drop(reply);
        victim.is_whole();
    }
    both::<GnuI386, GnuX86_64>(check, check);
    both::<Apple32, Apple64>(check, check);
}

/// A name means something in one task only; here two tasks have the same.
#[test]
fn rights_of_another_task_are_not_taken_for_those_of_this_one() {
    fn check<A: TaskAbi>(victim: &Victim<A>) {
        let foreign = Victim::<A>::new();
        assert_eq!((foreign.port.name(), foreign.right.name()), (victim.port.name(), victim.right.name()));
        let mut buffer = MsgBuf::<256>::new();
        let right = || foreign.right.try_clone().unwrap();
        let to_foreign = |request: Builder<'_, Local<A>>| {
            drop(request.send(1, Dest::copy_send(&foreign.right), SendOptions::NONE));
        };
        victim.panics(|| to_foreign(buffer.request(&victim.task)));
        let receive = || ReceiveRight::allocate(&foreign.task).unwrap();
        let attempts: [Attempt<'_, A>; 3] =
            [&|request| request.move_send(right()), &|request| request.poly(right()), &|request| {
                request.move_receive(receive())
            }];
        for attempt in attempts {
            victim.panics(|| victim.build(|request| attempt(request)));
        }
        victim.panics(|| drop(PortArray::moving(vec![victim.right.try_clone().unwrap(), right()])));
        victim.panics(|| drop(PortArray::copy_send([&victim.right, &foreign.right])));
        victim.panics(|| _ = PortSet::allocate(&victim.task).unwrap().insert(&foreign.port));
        victim.panics(|| drop(victim.right.request_dead_name(&foreign.port)));
        let reply = AnyRight::make_send_once(&foreign.port);
        victim.panics(|| {
            let mut buffer = MsgBuf::<256>::new();
            let shape = Shape::new(A::FACTS.error_reply, 256, Complex::Depends);
            let request = buffer.request(&victim.task);
            let to = Dest::copy_send(&victim.right);
            drop(request.call_with_reply_port(1, to, reply, shape, CallOptions::NONE));
        });
        foreign.is_whole();
    }
    both::<GnuI386, GnuX86_64>(check, check);
    both::<Apple32, Apple64>(check, check);
}

/// A word of data in the header would be a disposition, and the name of a port to receive from.
#[test]
fn data_is_no_destination_and_no_reply_port() {
    fn check<A: TaskAbi>(victim: &Victim<A>) {
        // With the five bits of 17, and those of the receive right's name.
        let word = || AnyRight::Data(Word::new(0x31, victim.port.name().0).unwrap());
        let mut buffer = MsgBuf::<256>::new();
        let sent = buffer.request(&victim.task).send(1, word(), SendOptions::NONE);
        assert_eq!(sent.unwrap_err().code(), KernReturn::MACH_SEND_INVALID_HEADER);
        let shape = Shape::new(A::FACTS.error_reply, 256, Complex::Depends);
        let request = buffer.request(&victim.task);
        let to = Dest::copy_send(&victim.right);
        let options = CallOptions { receive_timeout: Some(0), ..CallOptions::NONE };
        let called = request.call_with_reply_port(1, to, word(), shape, options);
        assert_eq!(called.map(drop).unwrap_err().code(), KernReturn::MACH_RCV_INVALID_NAME);
        let received = Received::receive(&victim.task, buffer.words(), Receive::from(victim.port.name()));
        assert_eq!(received.map(|message| message.id()), Ok(1), "what was sent is still in its queue");
        victim.is_whole();
    }
    both::<GnuI386, GnuX86_64>(check, check);
    both::<Apple32, Apple64>(check, check);
}

/// Messages of any size and number of descriptors, as a program sends them that passes on what it is given.
#[test]
fn descriptors_are_taken_by_their_kind() {
    fn check<A: TaskAbi<Format = Untyped>>(victim: &Victim<A>) {
        let task = &victim.task;
        let right = || victim.right.try_clone().unwrap();
        let port = ReceiveRight::allocate(task).unwrap();
        for count in [1, 2, 7] {
            let mut storage = vec![std::mem::MaybeUninit::uninit(); 64 + 8 * count as usize];
            let mut request = Builder::on(task, &mut storage);
            let room = request.room();
            request.descriptors(3 * count);
            for _ in 0..count {
                request.move_send(right());
                request.memory(OolMemory::allocate(task, 5).unwrap(), Copying::MOVE).unwrap();
                request.rights_memory(PortArray::moving(vec![right(), right()]), Copying::MOVE).unwrap();
            }
            request.value(&17u32);
            assert!(request.room() < room);
            let to_port = port.make_send().unwrap();
            request.send(1, Dest::move_send(to_port), SendOptions::NONE).unwrap();
            let mut buffer = MsgBuf::<1024>::new();
            let received = Received::receive(task, buffer.words(), Receive::from(port.name())).unwrap();
            assert_eq!((received.descriptor_count(), received.is_complex()), (3 * count, true));
            let mut body = received.body(Shape::new(A::FACTS.header, 1024, Complex::Always)).unwrap();
            let mut kinds = String::new();
            while let Some(descriptor) = body.next_descriptor().unwrap() {
                match descriptor {
                    Descriptor::Right(AnyRight::MoveSend(right)) => {
                        kinds += &format!("{} ", right.name() == victim.right.name())
                    }
                    Descriptor::Memory(memory) => kinds += &format!("{} ", memory.len()),
                    Descriptor::Rights(rights) => kinds += &format!("{}; ", rights.len()),
                    _ => panic!("nothing else was sent"),
                }
                // The last one is left to the body.
                if body.descriptor_count() == 1 {
                    break;
                }
            }
            assert_eq!(kinds, "true 5 2; ".repeat(count as usize - 1) + "true 5 ");
        }
        drop(port);
        victim.is_whole();
    }
    both::<Apple32, Apple64>(check, check);
}
