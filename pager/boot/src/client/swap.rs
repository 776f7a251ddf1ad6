//! Changes the paging space while memory is in it.

use alloc::vec::Vec;
use core::ffi::CStr;

use gnumach::SendRight;
use mach_defs::gnu::default_pager::{self, default_pager_paging_file};
use mach_defs::gnu::hurd::default_pager::default_pager_storage_info;
use mig_runtime::KernReturn;

use crate::Checks;
use crate::memory::Memory;
use crate::object::manager;

/// The disk that the pager has from the start, and another one.
const DISKS: [&CStr; 2] = if cfg!(target_arch = "x86") { [c"hd0", c"hd2"] } else { [c"ata", c"ata2"] };

/// Adds a disk, takes the first one away, adds it again; and asks for what makes no sense.
pub(crate) fn swap(checks: &mut Checks, host: &SendRight, device: &SendRight, mebibytes: u32) {
    let manager = manager(host);
    let file = |name: &CStr, add| {
        default_pager_paging_file(&manager, device, name, add).map_err(|error| error.code())
    };
    let space = || default_pager::default_pager_info(&manager).expect("default_pager_info").dpi_total_space;
    let one = space();
    checks.that(file(c"nowhere", true).is_err() && space() == one, "a disk that does not exist");
    let invalid = Err(KernReturn::KERN_INVALID_ARGUMENT);
    checks.that(file(DISKS[0], true) == invalid && space() == one, "a disk that is in use");
    checks.that(file(c"nowhere", false) == invalid, "a disk that was never added");

    let mut memory = Memory::allocate(mebibytes);
    memory.fill(1, |_| true);
    let alone = file(DISKS[0], false);
    checks
        .that_is(alone == Err(KernReturn::KERN_RESOURCE_SHORTAGE), format_args!("nowhere to go: {alone:?}"));
    let added = file(DISKS[1], true);
    checks.that_is(added.is_ok() && space() > one, format_args!("a disk is added: {added:?}"));
    memory.fill(2, |page| page % 2 == 0);
    let removed = file(DISKS[0], false);
    checks.that_is(removed.is_ok(), format_args!("a disk is taken away: {removed:?}"));
    let info = default_pager_storage_info(&manager).expect("default_pager_storage_info");
    let name: Vec<u8> = info.name.to_vec();
    checks.that(info.size.len() == 1 && name == DISKS[1].to_bytes_with_nul(), "one disk is left");
    memory.check(checks, 2, |page| page % 2 == 0);
    memory.check(checks, 1, |page| page % 2 != 0);
    memory.fill(3, |_| true);
    let again = file(DISKS[0], true);
    checks.that_is(again.is_ok(), format_args!("it comes again: {again:?}"));
    let back = file(DISKS[1], false);
    checks.that_is(back.is_ok() && space() == one, format_args!("the disk of the start is left: {back:?}"));
    memory.check(checks, 3, |_| true);
}
