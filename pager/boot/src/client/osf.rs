//! OSF's calls about paging space, by the kernel's messages: what they answer, and what comes of them.

use gnumach::{Bare, GnuMach, SendRight};
use mach_defs::gnu::default_pager::{DefaultPagerInfo, default_pager_info};
use mach_defs::gnu::device;
use mach_defs::gnu::pager::backing_store::{
    default_pager_add_segment as add_segment, default_pager_backing_store_create as create,
    default_pager_backing_store_delete as delete, default_pager_backing_store_info as info,
    default_pager_triggers as triggers,
};
use mach_defs::gnu::pager::default_pager_alerts::{DefaultPagerAlerts, default_pager_alerts};
use mig_runtime::platform::Mutex;
use mig_runtime::{CallError, KernReturn, Port, ReceiveRight, Server};

use crate::memory::{Memory, PAGE};
use crate::object::manager;
use crate::{Checks, boot, supervisor};

const INVALID: Result<(), KernReturn> = Err(KernReturn::KERN_INVALID_ARGUMENT);
/// `D_NO_SUCH_DEVICE`
const NO_SUCH_DEVICE: KernReturn = KernReturn(2502);
/// `D_READ | D_WRITE`
const READ_WRITE: u32 = 3;
const RECORD: i32 = 512;
/// `BACKING_STORE_BASIC_INFO`, its length, and where it has what.
const BASIC: i32 = 1;
const BASIC_COUNT: usize = 15;
const TOTAL: usize = 7;
const FREE: usize = 8;
const WRITTEN: usize = 11;
const PRIORITY: usize = 13;
const CLUSTER: usize = 14;
/// Flags of a trigger: there is little room, and much.
const HIGH_WATER: i32 = 1;
const LOW_WATER: i32 = 2;

fn code<T>(result: Result<T, CallError<GnuMach>>) -> Result<T, KernReturn> {
    result.map_err(|error| error.code())
}

/// Makes backing stores, gives one a disk if the kernel has one, takes it away while memory is in it; and
/// asks for what makes no sense.
pub(crate) fn osf(checks: &mut Checks, host: &SendRight, master: &SendRight, mebibytes: u32) {
    let (manager, stores) = (manager(host), supervisor().and_then(|port| boot::boot_backing_stores(&port)));
    let stores = stores.expect("boot_backing_stores");
    let space = |port| default_pager_info(port).expect("default_pager_info");
    let before: DefaultPagerInfo = space(&manager);
    checks.that(space(&stores) == before, "both ports tell of the same space");

    // -1 is for the highest priority, 4; all but that get the lowest.
    let [high, low] = [-1, 2].map(|priority| create(&stores, priority, 0).expect("a backing store"));
    for (store, priority) in [(&high, 4), (&low, 0)] {
        let figures = info(store, BASIC, 20).expect("default_pager_backing_store_info");
        checks.that(figures.len() == BASIC_COUNT, "how many figures there are");
        let told = [TOTAL, FREE, PRIORITY, CLUSTER].map(|at| figures[at]);
        checks.that_is(told == [0, 0, priority, PAGE as i32], format_args!("an empty store: {told:?}"));
    }
    checks.that(code(info(&high, 2, 20)).map(drop) == INVALID, "another flavor");
    checks.that(code(info(&high, BASIC, 14)).map(drop) == INVALID, "too little room for the figures");
    checks.that(code(info(&stores, BASIC, 20)).map(drop) == INVALID, "what is no backing store");
    checks.that(code(delete(&stores)) == INVALID, "what is no backing store, to be taken away");

    let nothing = SendRight::null(GnuMach);
    for (device, what) in
        [(&nothing, "no device"), (master, "what is no device"), (&stores, "a port of the pager")]
    {
        let added = code(add_segment(&high, device, 0, 1000, RECORD));
        checks.that_is(added.is_err() && space(&manager) == before, format_args!("{what}: {added:?}"));
    }
    alerts(checks, &stores);
    match code(device::device_open(master, READ_WRITE, c"hd2")) {
        Ok(device) => {
            segments(checks, &manager, &create(&stores, 4, 0).expect("a backing store"), &device, mebibytes)
        }
        // The kernel for x86_64 drives no disk.
        Err(why) => checks.that_is(why == NO_SUCH_DEVICE, format_args!("device_open: {why}")),
    }
    for store in [&high, &low] {
        checks.that(code(delete(store)) == Ok(()), "an empty store is taken away");
        checks.that(code(delete(store)) == Err(KernReturn::MACH_SEND_INVALID_DEST), "and only once");
    }
}

/// Adds segments, uses them, and takes them away.
fn segments(checks: &mut Checks, manager: &SendRight, store: &SendRight, device: &SendRight, mebibytes: u32) {
    let total = || default_pager_info(manager).expect("default_pager_info").dpi_total_space as u64;
    let before = total();
    let records = (16 << 20) / RECORD as u64;
    let add = |first: u64, count: u64, size| code(add_segment(store, device, first as _, count as _, size));
    for (first, count, size, what) in [
        (0, records, 2 * RECORD, "records of another size"),
        (0, records, -1, "records of no size"),
        (0, 0, RECORD, "no records"),
        (0, 4, RECORD, "less than a page"),
        (u32::MAX.into(), 1, RECORD, "records beyond the end"),
    ] {
        let added = add(first, count, size);
        checks.that_is(added == INVALID && total() == before, format_args!("{what}: {added:?}"));
    }
    checks.that(add(8, records, RECORD) == Ok(()), "a segment");
    checks.that(add(records, 8, RECORD) == INVALID, "records that are in use");
    checks.that(add(2 * records, records, RECORD) == Ok(()), "another segment");
    let pages = 2 * records as usize * RECORD as usize / PAGE;
    checks.that(total() == before + (pages * PAGE) as u64, "the space of both");

    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);
    memory.fill(2, |page| page % 2 == 0);
    let figures = info(store, BASIC, 20).expect("default_pager_backing_store_info");
    let [all, free, written] = [TOTAL, FREE, WRITTEN].map(|at| figures[at]);
    let is_used = all == pages as i32 && free < all && written >= all - free;
    checks.that_is(is_used, format_args!("a store in use: {figures:?}"));
    let deleted = code(delete(store));
    checks.that_is(deleted == Ok(()) && total() == before, format_args!("its pages move off: {deleted:?}"));
    memory.check(checks, 2, |page| page % 2 == 0);
    memory.check(checks, 1, |page| page % 2 != 0);
}

/// Has the pager tell of its space.
fn alerts(checks: &mut Checks, stores: &SendRight) {
    let port = ReceiveRight::allocate(&GnuMach).expect("a port");
    let right = port.make_send().expect("a right to it");
    let trigger = |high, low, flags, right| code(triggers(stores, high, low, flags, right));
    checks.that(trigger(-1, 0, HIGH_WATER, &right) == INVALID, "less than no room");
    for flags in [0, 3, 4, 8] {
        checks.that(trigger(0, 0, flags, &right) == INVALID, "flags of something else");
    }
    let told = Told(Mutex::<Bare, _>::new(0));
    // There is never as much room as that, nor as little.
    checks.that(trigger(i32::MAX, 0, HIGH_WATER, &right) == Ok(()), "to be told of little room");
    checks.that(trigger(0, PAGE as i32, LOW_WATER, &right) == Ok(()), "to be told of much room");
    let server = Server::on(&port).with(default_pager_alerts(&told));
    let served = [1000, 1000, 0].map(|wait| server.serve_one::<Bare>(Some(wait)).is_ok());
    checks.that_is(served == [true, true, false], format_args!("two alerts: {served:?}"));
    checks.that(*told.0.lock() == 1 << HIGH_WATER | 1 << LOW_WATER, "one of each");
    checks.that(trigger(0, i32::MAX, LOW_WATER, &right) == Ok(()), "to be told of more room than there is");
    let nobody = SendRight::null(GnuMach);
    checks.that(trigger(0, 0, LOW_WATER, &nobody) == Ok(()), "not to be told any more");
}

/// A bit for each flag that has come.
struct Told(Mutex<Bare, u32>);

impl DefaultPagerAlerts<GnuMach> for Told {
    fn default_pager_space_alert(&self, _port: Port<'_, GnuMach>, flags: i32) -> Result<(), KernReturn> {
        *self.0.lock() |= 1 << (flags & 31);
        Ok(())
    }
}
