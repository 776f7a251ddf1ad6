//! Arrays of rights as a message brings them: each right is owned by one value, and released once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mig_runtime::abi::{Apple64, GnuX86_64, TaskAbi};
use mig_runtime::kernel::local::Local;
use mig_runtime::kernel::{Kernel, Name};
use mig_runtime::{
    Body, Complex, Copying, Dest, MsgBuf, PortArray, Receive, ReceiveRight, Received, Rights, SendOptions,
    SendRight, Shape,
};

/// How an array out of line is written and read, in each family.
trait Memory: TaskAbi + Sized {
    fn write(message: &mut mig_runtime::Builder<'_, Local<Self>>, rights: PortArray<'static, Local<Self>>);
    fn read(body: &mut Body<'_, Local<Self>>) -> Rights<Local<Self>, SendRight<Local<Self>>>;
}

impl Memory for GnuX86_64 {
    fn write(message: &mut mig_runtime::Builder<'_, Local<Self>>, rights: PortArray<'static, Local<Self>>) {
        message.ool_ports(rights, Copying::MOVE).unwrap();
    }
    fn read(body: &mut Body<'_, Local<Self>>) -> Rights<Local<Self>, SendRight<Local<Self>>> {
        body.ool_ports().unwrap()
    }
}

impl Memory for Apple64 {
    fn write(message: &mut mig_runtime::Builder<'_, Local<Self>>, rights: PortArray<'static, Local<Self>>) {
        message.descriptors(1);
        message.rights_memory(rights, Copying::MOVE).unwrap();
        message.ndr();
    }
    fn read(body: &mut Body<'_, Local<Self>>) -> Rights<Local<Self>, SendRight<Local<Self>>> {
        body.descriptors(1).unwrap();
        let rights = body.rights_memory().unwrap();
        body.ndr().unwrap();
        rights
    }
}

/// Sends send rights to four ports out of line, gives `test` what arrives, and ends with the census as it
/// was.
fn with_rights<A: Memory>(test: impl FnOnce(Rights<Local<A>, SendRight<Local<A>>>, [Name; 4])) {
    let task = Local::<A>::new();
    let to = ReceiveRight::allocate(&task).unwrap();
    let ports = [(); 4].map(|()| ReceiveRight::allocate(&task).unwrap());
    let before = task.census();
    let mut buffer = MsgBuf::<128>::new();
    let mut message = buffer.request(&task);
    A::write(&mut message, PortArray::moving(ports.each_ref().map(|port| port.make_send().unwrap())));
    message.send(1, Dest::make_send(&to), SendOptions::NONE).unwrap();
    let mut buffer = MsgBuf::<128>::new();
    let request = Received::receive(&task, buffer.words(), Receive::from(to.name())).unwrap();
    let mut body = request.body(Shape::new(A::FACTS.header, 128, Complex::Always)).unwrap();
    let rights = A::read(&mut body);
    body.end().unwrap();
    drop(request);
    assert_eq!(rights.len(), 4);
    test(rights, ports.each_ref().map(ReceiveRight::name));
    assert_eq!(task.census(), before, "rights and memory before and after");
}

fn seen<K: Kernel<Abi: TaskAbi>>(rights: &Rights<K, SendRight<K>>) -> Vec<Name> {
    let mut names = Vec::new();
    rights.visit(|right| names.push(right.name()));
    names
}

fn what_is_taken_is_the_callers<A: Memory>() {
    with_rights::<A>(|mut rights, [a, b, c, d]| {
        assert_eq!(seen(&rights), [a, b, c, d]);
        let first = rights.next().unwrap();
        assert_eq!((first.name(), rights.len()), (a, 3));
        // What is not taken is released with the array.
        drop(rights);
    });
    with_rights::<A>(|rights, names| {
        let all: Vec<_> = rights.collect();
        assert_eq!(all.iter().map(SendRight::name).collect::<Vec<_>>(), names);
    });
}

fn what_is_not_kept_is_released<A: Memory>() {
    with_rights::<A>(|mut rights, [a, b, c, d]| {
        assert_eq!(rights.next().unwrap().name(), a);
        rights.retain(|right| right.name() != c);
        assert_eq!(seen(&rights), [b, d]);
        assert_eq!(rights.next().unwrap().name(), b);
        rights.retain(|_| false);
        assert_eq!((rights.len(), rights.next().is_none()), (0, true));
    });
}

fn a_panic_ends_nothing_twice<A: Memory>() {
    with_rights::<A>(|mut rights, [_, _, c, _]| {
        let mut retain =
            || rights.retain(|right| if right.name() == c { panic!("at the third") } else { true });
        catch_unwind(AssertUnwindSafe(&mut retain)).unwrap_err();
    });
    with_rights::<A>(|rights, [_, b, ..]| {
        let visit = || rights.visit(|right| assert_ne!(right.name(), b));
        catch_unwind(AssertUnwindSafe(visit)).unwrap_err();
    });
}

#[test]
fn typed() {
    what_is_taken_is_the_callers::<GnuX86_64>();
    what_is_not_kept_is_released::<GnuX86_64>();
    a_panic_ends_nothing_twice::<GnuX86_64>();
}

#[test]
fn untyped() {
    what_is_taken_is_the_callers::<Apple64>();
    what_is_not_kept_is_released::<Apple64>();
    a_panic_ends_nothing_twice::<Apple64>();
}

#[test]
fn rights_of_this_program_are_an_array_too() {
    let task = Local::<GnuX86_64>::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let before = task.census();
    let mut rights = Rights::from([(); 3].map(|()| port.make_send().unwrap()));
    assert_eq!(seen(&rights), [port.name(); 3]);
    rights.retain(|_| true);
    assert_eq!(PortArray::moving(rights.by_ref().take(2)).len(), 2);
    assert_eq!(rights.len(), 1);
    drop(rights);
    assert_eq!(task.census(), before);
}
