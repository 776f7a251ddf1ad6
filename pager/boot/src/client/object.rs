//! Works on objects that the pager makes for whoever asks.

use gnumach::{GnuMach, SendRight, task};
use mach_defs::gnu::mach::{self, VmAddress};
use mach_defs::gnu::{default_pager, mach_port};
use mig_runtime::ReceiveRight;

use crate::memory::{Memory, PAGE, make_room, map_into, page};
use crate::{Checks, boot, supervisor};

/// The default memory manager of the machine: the kernel tells it to whoever asks for a change to none.
pub(crate) fn manager(host: &SendRight) -> SendRight {
    mach::vm_set_default_memory_manager(host, &ReceiveRight::null(GnuMach)).expect("the default manager")
}

/// A new object of some MiB.
pub(crate) fn create(manager: &SendRight, mebibytes: u32) -> SendRight {
    let size = (mebibytes as VmAddress) << 20;
    default_pager::default_pager_object_create(manager, size).expect("default_pager_object_create")
}

/// Maps an object into this task and another one: each sees what the other writes, and it stays when a
/// mapping goes.
pub(crate) fn share(checks: &mut Checks, host: &SendRight, mebibytes: u32) {
    let object = create(&manager(host), mebibytes);
    let mut memory = Memory::map(&object, mebibytes, false);
    memory.fill(1, |_| true);

    let other = mach::task_create(&task(), false).expect("task_create");
    let there = map_into(&other, &object, (mebibytes as usize) << 20, false).expect("vm_map");
    let address = |page: usize| there + (page * PAGE) as VmAddress;
    for at in (0..memory.pages()).step_by(2) {
        match mach::vm_read(&other, address(at), PAGE as VmAddress) {
            Ok(data) => checks.page(&data, 1, at),
            Err(error) => checks.that_is(false, format_args!("vm_read: {error}")),
        }
        let written = mach::vm_write(&other, address(at), &page(2, at));
        checks.that_is(written.is_ok(), format_args!("vm_write: {written:?}"));
    }
    memory.check(checks, 2, |page| page % 2 == 0);
    memory.check(checks, 1, |page| page % 2 != 0);

    // Without any mapping for a while.
    make_room();
    drop(memory);
    mach::task_terminate(&other).expect("task_terminate");
    let memory = Memory::map(&object, mebibytes, false);
    memory.check(checks, 2, |page| page % 2 == 0);
    memory.check(checks, 1, |page| page % 2 != 0);
}

/// Writes an object of which a copy was made: the copy keeps what was there then.
///
/// The kernel copies a page before it is written. Once the copy has a memory object, because some of it has
/// been paged out, the kernel gives such a page to the pager at once, with `memory_object_data_initialize`.
pub(crate) fn copy(checks: &mut Checks, host: &SendRight, mebibytes: u32) {
    let object = create(&manager(host), mebibytes);
    let mut memory = Memory::map(&object, mebibytes, false);
    memory.fill(1, |_| true);
    let copy = Memory::map(&object, mebibytes, true);
    memory.fill(2, |page| page % 2 == 0);
    // Some of the copy has to go. This stays, so that the kernel is short of memory until the end.
    let mut pressure = Memory::allocate(2 * mebibytes);
    pressure.fill(3, |_| true);
    memory.fill(2, |page| page % 2 != 0);
    memory.check(checks, 2, |_| true);
    copy.check(checks, 1, |_| true);
    drop(pressure);
    make_room();
}

/// Has memory from before and after a change of the default memory manager: each keeps the objects that it
/// has.
pub(crate) fn change(checks: &mut Checks, host: &SendRight, mebibytes: u32) {
    let first = manager(host);
    let mut old = Memory::allocate(mebibytes);
    old.fill(1, |_| true);
    page_out(&first, &old, mebibytes);
    set_manager(1);
    let second = manager(host);
    checks.that(second.name() != first.name(), "the manager is the one that it was");
    let mut new = Memory::allocate(mebibytes);
    new.fill(2, |_| true);
    page_out(&second, &new, mebibytes);
    old.check(checks, 1, |_| true);
    old.fill(3, |page| page % 2 == 0);
    new.check(checks, 2, |_| true);
    old.check(checks, 3, |page| page % 2 == 0);
    old.check(checks, 1, |page| page % 2 != 0);
    let managed = |memory: &Memory| (name_of(&first, memory).is_some(), name_of(&second, memory).is_some());
    checks.that(managed(&old) == (true, false), "what was there is not the first manager's alone");
    checks.that(managed(&new) == (false, true), "what is new is not the second manager's alone");
    set_manager(0);
    checks.that(manager(host).name() == first.name(), "the first manager is not back");
}

/// Lets the supervisor make one of its pagers the default memory manager.
fn set_manager(pager: u32) {
    let changed = supervisor().and_then(|port| boot::boot_manager(&port, pager));
    changed.expect("boot_manager");
}

/// Asks the pager about its space and its objects.
pub(crate) fn ask(checks: &mut Checks, host: &SendRight, mebibytes: u32) {
    let manager = manager(host);
    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);

    let info = default_pager::default_pager_info(&manager).expect("default_pager_info");
    checks.that(info.dpi_page_size as usize == PAGE, "the size of a page");
    checks.that(info.dpi_free_space < info.dpi_total_space, "no space is used");

    let mine = name_of(&manager, &memory);
    checks.that(mine.is_some(), "the object of this memory is not in the list");
    if let Some(name) = mine {
        let pages = default_pager::default_pager_object_pages(&manager, &name, 0).expect("object_pages");
        let end = (mebibytes as usize) << 20;
        checks.that(!pages.is_empty(), "no page of this memory is in paging space");
        for page in &pages {
            let offset = page.dpp_offset as usize;
            checks.that(offset % PAGE == 0 && offset < end, "a page lies outside of the object");
        }
    }
    // Not an object, but a port that exists.
    let none = default_pager::default_pager_object_pages(&manager, &manager, 0);
    checks.that(none.is_err(), "the pager has pages of what is none of its objects");
    ask_as_client(checks);
    memory.check(checks, 1, |_| true);
    checks.that(mach_port::mach_port_type(&task(), manager.name()).is_ok(), "the right to the pager");
}

/// Asks for more than a client's quota, and uses what it has.
fn ask_as_client(checks: &mut Checks) {
    const OBJECTS: u32 = 2;
    const PAGES: u32 = 512;
    let client = supervisor().and_then(|port| boot::boot_client(&port, OBJECTS, PAGES)).expect("boot_client");
    let info = default_pager::default_pager_info(&client).expect("default_pager_info");
    let room = (info.dpi_total_space as usize, info.dpi_free_space as usize);
    let all = PAGES as usize * PAGE;
    checks.that_is(room == (all, all), format_args!("the room of a client: {room:?}"));
    let list = default_pager::default_pager_objects(&client, 0, 0);
    checks.that(list.is_err(), "a client sees all objects");
    let mut objects = [(); OBJECTS as usize].map(|()| Memory::map(&create(&client, 1), 1, false));
    for (memory, round) in objects.iter_mut().zip(4..) {
        memory.fill(round, |_| true);
    }
    let one_more = default_pager::default_pager_object_create(&client, PAGE as VmAddress);
    checks.that(one_more.is_err(), "a client has more objects than its quota");
    for (memory, round) in objects.iter().zip(4..) {
        memory.check(checks, round, |_| true);
    }
}

/// Uses other memory until some of this memory has been paged out.
fn page_out(manager: &SendRight, memory: &Memory, mebibytes: u32) {
    let mut other = Memory::allocate(2 * mebibytes);
    for round in 100..110 {
        other.fill(round, |_| true);
        if name_of(manager, memory).is_some() {
            return;
        }
    }
}

/// The name port of the memory object below some memory, if it is one of the pager's.
fn name_of(manager: &SendRight, memory: &Memory) -> Option<SendRight> {
    let objects = default_pager::default_pager_objects(manager, 0, 0).expect("default_pager_objects");
    assert_eq!(objects.ports.len(), objects.objects.len(), "a port for each object");
    // The kernel tells the name port of what is mapped at an address.
    let region = mach::vm_region(&task(), memory.address() as VmAddress).expect("vm_region");
    objects.ports.into_iter().find(|name| name.name() == region.object_name.name())
}
