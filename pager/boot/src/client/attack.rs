//! Messages that the pager does not expect.

use alloc::boxed::Box;
use alloc::vec;

use gnumach::{GnuMach, ReceiveRight, SendRight};
use mach_defs::gnu::{default_pager, memory_object, memory_object_default, notify};
use mig_runtime::{Dest, MsgBuf, OolMemory, SendOptions, Type};

use crate::memory::{Memory, PAGE};
use crate::object::{create, manager};
use crate::{Checks, boot, supervisor};

/// Bytes of a message that is larger than any that the pager receives whole.
const LARGE: usize = 256 << 10;

/// Sends it to the pager's public port and to an object, both of which work all the same then.
pub(crate) fn attack(checks: &mut Checks, host: &SendRight, mebibytes: u32) {
    let manager = manager(host);
    let object = create(&manager, mebibytes);
    let mut memory = Memory::map(&object, mebibytes, false);
    memory.fill(1, |_| true);
    for port in [&manager, &object] {
        malformed(port);
        forged(port);
    }
    memory.check(checks, 1, |_| true);
    memory.fill(2, |_| true);
    memory.check(checks, 2, |_| true);
    let info = default_pager::default_pager_info(&manager);
    checks.that(info.is_ok(), "the pager no longer answers");
    // An object port is not for administrators.
    let info = default_pager::default_pager_info(&object);
    checks.that(info.is_err(), "an object answers for the pager");
    let wild = default_pager::default_pager_object_pages(&manager, &SendRight::null(GnuMach), 0);
    checks.that(wild.is_err(), "a null object has pages");
}

/// Sends messages that would stop a pager or use up the memory of the machine, each followed by a look
/// whether memory is still paged, the kernel's and an object's.
pub(crate) fn exhaust(checks: &mut Checks, host: &SendRight, mebibytes: u32) {
    let manager = manager(host);
    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);
    let object = create(&manager, 1 << 10);
    let mut round = 1;
    let mut goes_on = |checks: &mut Checks, what: &str| {
        memory.check(checks, round, |_| true);
        round += 1;
        memory.fill(round, |_| true);
        let other = create(&manager, 1);
        let mut mapped = Memory::map(&other, 1, false);
        mapped.fill(round, |_| true);
        mapped.check(checks, round, |_| true);
        let info = default_pager::default_pager_info(&manager);
        checks.that(info.is_ok(), what);
    };
    // More pages in a message than there are buffers, by nobody and then by whoever says that it is a kernel.
    let control = new_port();
    let _ = memory_object::memory_object_init(&object, &control, &new_port(), PAGE as _);
    for control in [&new_port(), &control] {
        for pages in [1, 31, 32, 33, 64, 65, 255, 256, 257, 1000] {
            // Pages that take room, and of which none is touched after this.
            let mut data = OolMemory::allocate(&GnuMach, pages * PAGE).expect("vm_allocate");
            for (at, page) in data.chunks_exact_mut(PAGE).enumerate() {
                page[..8].copy_from_slice(&(at as u64 + 1).to_ne_bytes());
            }
            let _ = memory_object::memory_object_data_return(&object, control, 0, &data, true, false);
        }
    }
    goes_on(checks, "after messages with many pages");
    // Memory that is not there yet: 200 MiB, more than the machine has.
    let stores = supervisor().and_then(|port| boot::boot_backing_stores(&port)).expect("boot_backing_stores");
    let client = supervisor().and_then(|port| boot::boot_client(&port, 1, 16)).expect("boot_client");
    for port in [&object, &manager, &stores, &client] {
        for id in [2208, 2250, 2276, 0] {
            send_untouched(port, id, 200 << 20);
        }
    }
    goes_on(checks, "after messages with much memory");
    // Data in the message itself, more than is received.
    let mut buffer = Box::new(MsgBuf::<LARGE>::new());
    let data = vec![0x55_u8; LARGE - 1024];
    for (port, id) in [(&object, 2208), (&manager, 2250), (&manager, 2276), (&object, 0), (&manager, 0)] {
        let mut request = buffer.request(&GnuMach);
        // The short form of i386 has no room for this number of elements.
        let fits = request.slice(Type::inline(9, 8, 0).long(), &data, data.len());
        checks.that(fits.is_ok(), "a large message cannot be written");
        let _ = request.send(id, Dest::copy_send(port), SendOptions::NONE);
    }
    drop((buffer, data));
    goes_on(checks, "after large messages");
    // Objects whose kernel does not listen, asked for by requests that have answers.
    for _ in 0..4 {
        let (port, control, name) = (new_port(), new_port(), new_port());
        let (Ok(right), Ok(to)) = (port.make_send(), manager.try_clone()) else { return };
        let _ = memory_object_default::memory_object_create(to, port, 0, &control, &name, PAGE as _);
        for page in 0..40 {
            let offset = (page * PAGE) as _;
            let _ = memory_object::memory_object_data_request(&right, &control, offset, PAGE as _, 1);
        }
        // The kernel of this one is gone before it has ended its use.
        drop(control);
    }
    goes_on(checks, "after objects whose kernel does not listen");
}

/// Sends this many bytes that are nowhere yet.
fn send_untouched(port: &SendRight, id: i32, size: usize) {
    let Ok(memory) = OolMemory::allocate(&GnuMach, size) else { return };
    let mut buffer = MsgBuf::<256>::new();
    let mut request = buffer.request(&GnuMach);
    request.ool(Type::out_of_line(9, 8), memory);
    let _ = request.send(id, Dest::copy_send(port), SendOptions::NONE);
}

/// Unknown ids, and those of the kernel's messages with nothing or with nonsense in them.
fn malformed(port: &SendRight) {
    let ids = (2200..2212).chain(2250..2254).chain(2275..2283).chain([0, -1, 64, 70, 72, 2100, i32::MAX]);
    for id in ids {
        let mut buffer = MsgBuf::<64>::new();
        let request = buffer.request(&GnuMach);
        let _ = request.send(id, Dest::copy_send(port), SendOptions::NONE);

        let mut buffer = MsgBuf::<8192>::new();
        let mut request = buffer.request(&GnuMach);
        for word in 0..8_u32 {
            request.data(Type::inline(2, 32, 1), &word.wrapping_mul(0x0101_0101));
        }
        let _ = request.send(id, Dest::copy_send(port), SendOptions::NONE);

        // Larger than anything that is declared, with rights to release.
        let right = new_port();
        let mut buffer = MsgBuf::<8192>::new();
        let mut request = buffer.request(&GnuMach);
        for _ in 0..8 {
            request.copy_send(port);
        }
        request.make_send(&right);
        let _ = request.slice(Type::inline(9, 8, 0), &[0x55_u8; 1024], 1024);
        request.ool(Type::out_of_line(9, 8), &[1_u8; 16]);
        let _ = request.send(id, Dest::copy_send(port), SendOptions::NONE);
    }
}

/// Well-formed messages that only the kernel may send.
fn forged(port: &SendRight) {
    let control = new_port();
    let (Ok(right), Ok(name)) = (control.make_send(), new_port().make_send()) else { return };
    let data: &[u8] = &[0xee; PAGE];
    let _ = memory_object::memory_object_data_return(port, &control, 0, data, true, false);
    let _ = memory_object::memory_object_data_return(port, &control, 1, data, true, false);
    let _ = memory_object::memory_object_data_return(port, &control, 0, &data[..100], true, false);
    let _ = memory_object_default::memory_object_data_initialize(port, &control, 0, data);
    for (offset, length) in [(0, 0), (1, PAGE), (0, PAGE), (!0 << 12, PAGE), (0, !0 << 12)] {
        let _ = memory_object::memory_object_data_request(port, &control, offset as _, length as _, 3);
        let _ = memory_object::memory_object_data_unlock(port, &control, offset as _, length as _, 3);
    }
    let _ = memory_object::memory_object_init(port, &control, &new_port(), 123);
    let _ = memory_object::memory_object_init(port, &control, &new_port(), PAGE as _);
    let again = port.try_clone();
    if let Ok(port) = again {
        let _ = memory_object::memory_object_terminate(port, new_port(), new_port());
    }
    let again = port.try_clone();
    if let Ok(port) = again {
        let _ = memory_object_default::memory_object_create(
            port,
            new_port(),
            PAGE as _,
            &control,
            &new_port(),
            PAGE as _,
        );
    }
    for rights_made in [0_u32, u32::MAX] {
        // With a send right, where the kernel has a send-once right.
        let mut buffer = MsgBuf::<64>::new();
        let mut request = buffer.request(&GnuMach);
        request.data(Type::inline(2, 32, 1), &rights_made);
        let _ = request.send(notify::id::MACH_NOTIFY_NO_SENDERS, Dest::copy_send(port), SendOptions::NONE);
    }
    drop((right, name));
}

fn new_port() -> ReceiveRight {
    ReceiveRight::allocate(&GnuMach).expect("mach_port_allocate")
}
