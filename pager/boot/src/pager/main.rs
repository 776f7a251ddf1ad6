//! The default memory manager of the machine, and the program that starts the others and tells how they
//! fared.
//!
//! Its line in the kernel's boot script is
//!
//! ```text
//! pager ${host-port} ${device-port} disk=DISK… [ballast=MIB] [strangers=yes] [client=${TASK} | dying=${TASK}]… $(task-create) $(task-resume)
//! ```
//!
//! - `disk`: `ata`, the first disk by the driver in this program, `ata2`, the third one, or the name of a
//!   device that the kernel drives, such as `hd0`. It must be swap space. There is a pager for each disk; the
//!   first one is the default memory manager until a program asks for another one.
//! - `client`: a program of another line, made there by `$(TASK=task-create)` and not resumed. It is started
//!   when the pager serves. It must tell that it is done, with `boot_done`; one that is given as `dying` must
//!   not live to do so.
//! - `ballast`: this many MiB are wired and not used, which makes the machine smaller than the kernel can
//!   start in;
//! - `strangers`: a program pages objects of its own, so that the kernel has not counted all pages.
//!
//! When the last of them has ended it prints what happened, and ends QEMU.

#![no_std]
#![no_main]

extern crate alloc;

mod disk;
mod report;
mod supervisor;

/// The calls of the programs to this one.
mod boot {
    mig_runtime::include_interface!("boot");
}

/// A call that only newer kernels have.
#[allow(dead_code)]
mod newer {
    mig_runtime::include_interface!("newer");
}

use alloc::sync::Arc;
use alloc::vec::Vec;

use gnumach::{Arguments, Bare, GnuMach, println};
use mach_defs::gnu::mach;
use mach_pager::areas::PagingSpace;
use mach_pager::store::{Runs, Store, SwapStore, Volumes};
use mach_pager::{Config, Duty, Service};
use mig_runtime::{KernReturn, OolMemory};

use disk::{AnyDisk, Machine};
use supervisor::{Program, Supervisor};

gnumach::main!(main);

/// What QEMU is ended with.
const ALL_WELL: u8 = 16;
const FAILED: u8 = 17;

/// Bytes for what a pager notes of a page, for each page of its disk: pages follow each other in their
/// objects, if not always.
const NOTES: u64 = 12;
/// What share of the free memory the notes of all pagers may take.
const NOTES_SHARE: u64 = 8;
/// What share of the free memory the bits of the pages of a disk may take that an administrator adds.
const LIST_SHARE: u64 = 64;
/// Bytes for all else that a pager allocates while it serves.
const HEAP: u64 = 5 << 18;

fn main(mut arguments: Arguments) {
    let (host, device) = (arguments.port(), arguments.port());
    let verdict = match run(&host, &device, arguments) {
        Ok(true) => ALL_WELL,
        Ok(false) => FAILED,
        Err(why) => {
            println!("pager: {why}");
            FAILED
        }
    };
    let ended = gnumach::io::end_qemu(&device, verdict);
    println!("pager: QEMU goes on, without a device `isa-debug-exit`: {ended:?}");
}

/// Serves until every client has ended. True if all is as it must be.
fn run(
    host: &gnumach::SendRight,
    device: &gnumach::SendRight,
    arguments: Arguments,
) -> Result<bool, &'static str> {
    let mut disks = Vec::new();
    let mut programs = Vec::new();
    let mut ballast = 0;
    let mut strangers = false;
    for word in arguments {
        match word.split_once('=') {
            Some(("disk", name)) => disks.push(open(device, name)?),
            Some(("client", task)) => programs.push(Program::new(task, false)?),
            Some(("dying", task)) => programs.push(Program::new(task, true)?),
            Some(("ballast", mebibytes)) => {
                ballast = mebibytes.parse().map_err(|_| "the ballast is no number")?;
            }
            Some(("strangers", _)) => strangers = true,
            _ => return Err("an argument is none of disk=, client=, dying=, ballast=, strangers="),
        }
    }
    gnumach::exception::report().map_err(|_| "exceptions cannot be reported")?;
    if statistic(PAGE_SIZE_AT) != PAGE_SIZE as u64 {
        // Each object would be refused when the kernel makes it, and its pages would be lost.
        return Err("the kernel's pages have another size than those of the paging space");
    }
    // Before there is anything that must not wait for memory.
    gnumach::wire_task(host).map_err(|_| "the task cannot be wired")?;
    let _ballast = OolMemory::allocate(&GnuMach, ballast << 20).map_err(|_| "too much ballast")?;
    let share = free_memory() / NOTES_SHARE / disks.len().max(1) as u64;
    let notes: Vec<_> = disks.iter().map(|space| memory_for_notes(space, share)).collect();
    // The allocator keeps what is released, so that it has no need of the kernel later, when the kernel needs
    // the pager.
    let memory: u64 = notes.iter().map(|notes| HEAP + notes).sum();
    let reserved = Vec::<u8>::new().try_reserve_exact(memory as usize);
    reserved.map_err(|_| "there is not enough memory for what the pager needs while it serves")?;
    let pagers = disks.into_iter().zip(notes).map(|(space, notes)| start(host, space, notes));
    let pagers = pagers.collect::<Result<Vec<_>, _>>()?;
    // What they have taken from the kernel themselves, before anybody else may send them anything.
    gnumach::wire_task(host).map_err(|_| "the pagers cannot be wired")?;
    let first = pagers.first().ok_or("no disk=")?;
    set_manager(host, first).map_err(|_| "the kernel does not take the pager")?;
    println!(
        "pager: {} MiB of paging space; at work",
        (first.pager().store().space().total * PAGE_SIZE as u64) >> 20
    );

    let supervisor = Supervisor::new(host, &pagers, programs).map_err(|_| "no port for the supervisor")?;
    let before = report::Counts::of_started(&pagers);
    supervisor.run();
    Ok(supervisor.verdict() & report::finish(&pagers, &before, strangers))
}

/// The paging space of a pager: one disk, and what administrators add to it.
type Swap = Arc<Volumes<Runs<AnyDisk>, Bare>>;
type Pager = Service<GnuMach, Bare, Swap>;

/// Bytes in a page.
const PAGE_SIZE: usize = 4096;

/// The priority of the disk that a pager begins with: above those that are added.
const PRIORITY: u8 = 4;

fn open(master: &gnumach::SendRight, name: &str) -> Result<Swap, &'static str> {
    let refused = |error: &dyn core::fmt::Display| println!("pager: the disk {name}: {error}");
    let useless = "its disk is of no use; x86_64 has `ata`, which this program drives, and i386 `hd0`";
    let disk = AnyDisk::open(master, name).inspect_err(|code| refused(code)).map_err(|_| useless)?;
    let store =
        SwapStore::open(Runs::whole(disk)).inspect_err(|error| refused(error)).map_err(|_| useless)?;
    let space = Volumes::new(PAGE_SIZE);
    space.add(name, store, PRIORITY, 0).inspect_err(|error| refused(error)).map_err(|_| useless)?;
    Ok(Arc::new(space))
}

/// Where `vm_statistics` has the size of a page, and how many are free.
const PAGE_SIZE_AT: usize = 0;
const FREE_COUNT_AT: usize = 1;

fn statistic(at: usize) -> u64 {
    let statistics = mach::vm_statistics(&gnumach::task()).unwrap_or_default();
    u64::from(statistics[at] as u32)
}

/// Bytes of memory that the kernel has left.
fn free_memory() -> u64 {
    statistic(FREE_COUNT_AT) * PAGE_SIZE as u64
}

/// Bytes for what is noted of the pages of a store, no more than `share`. Says so if that is too little to
/// use all of its disk.
fn memory_for_notes(store: &Swap, share: u64) -> u64 {
    let pages = store.space().total;
    let (wanted, usable) = (pages * NOTES + (64 << 10), share / NOTES);
    if wanted > share {
        println!(
            "pager: {} of {} MiB of paging space are used at a time: {} KiB of memory, of {} KiB free, note no more pages",
            (usable * PAGE_SIZE as u64) >> 20,
            (pages * PAGE_SIZE as u64) >> 20,
            share >> 10,
            free_memory() >> 10
        );
    }
    wanted.min(share)
}

/// Starts a pager, of which the kernel does not know yet.
fn start(host: &gnumach::SendRight, space: Swap, notes: u64) -> Result<Pager, &'static str> {
    let wire = host.try_clone().map_err(|_| "no right to the host")?;
    let prepare = move |duty| {
        // What makes memory free may use what the kernel keeps for emergencies. What takes memory waits as
        // the program does for which it is taken: it would use all of that up. So does what anyone may ask
        // for.
        if !matches!(duty, Duty::Administration | Duty::External | Duty::Supplies) {
            gnumach::wire_current(&wire).expect("thread_wire");
        }
        if matches!(duty, Duty::Internal | Duty::Writes) {
            gnumach::count_allocations();
        }
    };
    // Pages for which no buffer is free stay in their messages: the kernel's memory for them is in use either
    // way, and it does not take pages back into an object that it is about to end. Where the disk is full a
    // page is given up soon, since all pages that the kernel has go around that often before one makes room.
    // All memory for notes is taken now: the threads that write must not wait for any.
    let (map_bytes, map_ahead) = (notes as usize, notes as usize);
    let (buffers, external_buffers, held_pages, hand_backs) = (64, 32, 1 << 12, 4);
    let config = Config {
        buffers,
        external_buffers,
        held_pages,
        hand_backs,
        map_bytes,
        map_ahead,
        ..Config::default()
    };
    let service = Service::start_with(&GnuMach, space.clone(), config, Arc::new(prepare));
    let service = service.map_err(|_| "the pager does not start")?;
    let machine = Machine { most_pages: 8 * free_memory() / LIST_SHARE };
    service.pager().set_areas(Arc::new(PagingSpace::new(machine, space)));
    Ok(service)
}

/// Makes a pager the default memory manager. Another one that was it keeps the objects that it has.
fn set_manager(host: &gnumach::SendRight, pager: &Pager) -> Result<(), KernReturn> {
    mach::vm_set_default_memory_manager(host, pager.pager().manager_port())?;
    Ok(())
}
