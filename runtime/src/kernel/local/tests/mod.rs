mod memory;
mod names;
mod notifications;
mod policies;
mod queues;
mod random;
mod rights;
mod untyped;
mod wire;

use crate::abi::{GnuI386, GnuX86_64, TaskAbi};
use crate::kern_return::KernReturn;
use crate::kernel::local::{Host, Local};
use crate::kernel::{Kernel, Name, Notification, RightKind};

/// Runs a test that is generic over the ABI on both.
macro_rules! on_both_abis {
    ($($name:ident)*) => {
        mod gnu_i386 { $(#[test] fn $name() { super::$name::<crate::abi::GnuI386>() })* }
        mod gnu_x86_64 { $(#[test] fn $name() { super::$name::<crate::abi::GnuX86_64>() })* }
    };
}
pub(super) use on_both_abis;

/// Two tasks of one host.
fn pair<A: TaskAbi>() -> (Local<A>, Local<A>) {
    let host = Host::new();
    (host.new_task("a"), host.new_task("b"))
}

impl<A: TaskAbi> Local<A> {
    /// After releases that were meant to be bad.
    fn forget_bad_releases(&self) {
        self.with_task(|task| task.bad_releases = 0);
    }
}

/// Nothing is alive once both tasks have ended.
fn end<A: TaskAbi>(a: Local<A>, b: Local<A>) {
    let host = a.host();
    assert_eq!(a.census().bad_releases, 0);
    assert_eq!(b.census().bad_releases, 0);
    drop((a, b));
    assert_eq!(host.port_count(), 0);
}

#[test]
fn type_words_of_the_tests_are_those_of_captured_messages() {
    use wire::{BYTE, COPY_SEND, MAKE_SEND, MOVE_RECEIVE, Type};
    fn word<A: TaskAbi>(name: u32, inline: bool, deallocate: bool) -> u32 {
        let bits = if name == BYTE { 8 } else { A::FACTS.port as u32 * 8 };
        let bytes = Type { name, bits, number: 1, inline, deallocate }.bytes::<A>();
        u32::from_ne_bytes(bytes[..4].try_into().unwrap())
    }
    assert_eq!(word::<GnuI386>(MOVE_RECEIVE, true, false), 0x1001_2010);
    assert_eq!(word::<GnuI386>(MAKE_SEND, true, false), 0x1001_2014);
    assert_eq!(word::<GnuI386>(BYTE, false, false), 0x2000_0000);
    assert_eq!(word::<GnuI386>(BYTE, false, true), 0x6000_0000);
    assert_eq!(word::<GnuX86_64>(COPY_SEND, true, false), 0x2000_4013);
    assert_eq!(word::<GnuX86_64>(MOVE_RECEIVE, true, false), 0x2000_4010);
    assert_eq!(word::<GnuX86_64>(BYTE, false, false), 0x4000_0809);
    assert_eq!(word::<GnuX86_64>(BYTE, false, true), 0xc000_0809);
}

/// The methods of [`Kernel`] that take names, for tests that keep account of every reference by themselves. A
/// mistake is an error of the task, and no worse.
impl<A: TaskAbi> Local<A> {
    fn release(&self, kind: RightKind, name: Name) {
        // SAFETY: as above.
        unsafe { Kernel::release(self, kind, name) };
    }

    fn copy_send(&self, name: Name) -> Result<(), KernReturn> {
        // SAFETY: as above.
        unsafe { Kernel::copy_send(self, name) }
    }

    fn make_send(&self, receive: Name) -> Result<(), KernReturn> {
        // SAFETY: as above.
        unsafe { Kernel::make_send(self, receive) }
    }

    fn make_send_once(&self, receive: Name) -> Result<Name, KernReturn> {
        // SAFETY: as above.
        unsafe { Kernel::make_send_once(self, receive) }
    }

    fn move_member(&self, receive: Name, set: Name) -> Result<(), KernReturn> {
        // SAFETY: as above.
        unsafe { Kernel::move_member(self, receive, set) }
    }

    fn request_notification(
        &self,
        name: Name,
        which: Notification,
        notify: Name,
    ) -> Result<Name, KernReturn> {
        // SAFETY: as above.
        unsafe { Kernel::request_notification(self, name, which, notify) }
    }

    fn destroy_reply_port(&self, name: Name) {
        // SAFETY: as above.
        unsafe { Kernel::destroy_reply_port(self, name) };
    }
}
