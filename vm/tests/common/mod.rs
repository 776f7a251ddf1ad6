//! A kernel's half with the default pager as its manager.
#![allow(dead_code, unreachable_pub)]

use mach_pager::store::MemoryStore;
use mach_pager::{Config, Service, Supplies};
use mach_vm::{Changes, Faults, Limits, Vm, VmError};
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Std;

pub const PAGE: usize = 4096;

/// A kernel's half, unless this user may not have one; CI may.
pub fn vm(host: &Host, limits: Limits) -> Option<Vm> {
    match Vm::new(host, limits) {
        Err(why @ (VmError::NotPermitted | VmError::OldKernel)) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: {why}");
            None
        }
        vm => Some(vm.unwrap()),
    }
}

/// Runs `test` with this many resident pages, and counts rights at its end: with a pager that has threads of
/// its own for everything, and with one that is served in the threads of the kernel's half; where a thread
/// takes faults, and where a signal does; where changes are told by hashes, and by write protection.
pub fn paged(resident: usize, test: impl Fn(&Vm, &Service<Local, Std, MemoryStore<Std>>)) {
    let plans = [
        (Config::default(), Faults::Thread, Changes::Hashed),
        (in_place(), Faults::Thread, Changes::Hashed),
        (Config::default(), Faults::Signal, Changes::Hashed),
        (in_place(), Faults::Signal, Changes::Hashed),
        (Config::default(), Faults::Thread, Changes::Protected),
        (in_place(), Faults::Thread, Changes::Protected),
    ];
    for (config, faults, changes) in plans {
        let host = Host::new();
        let pager = host.new_task("pager");
        let before = pager.census();
        let limits = Limits { resident: resident * PAGE, faults, changes, ..Limits::default() };
        let Some(vm) = vm(&host, limits) else { continue };
        let store = MemoryStore::<Std>::new(PAGE, 4000);
        let service = Service::<_, Std, _>::start(&pager, store, config).unwrap();
        vm.set_default_manager(service.right().unwrap()).unwrap();
        test(&vm, &service);
        assert_eq!(vm.statistics().resident, 0, "all memory has been given back");
        drop(vm);
        service.stop().unwrap();
        assert_eq!(pager.census(), before);
    }
}

/// A pager without a thread between a fault and its page.
pub fn in_place() -> Config {
    Config { supplies: Supplies::InPlace, inline: true, ..Config::default() }
}

/// Fills a page with what says which one it is.
pub fn stamp(page: &mut [u8], number: u64) {
    for (at, word) in page.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&(number * 512 + at as u64).to_le_bytes());
    }
}
