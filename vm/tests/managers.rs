//! Memory objects that a trait impl serves, and managers that are slow, wrong or gone.
#![cfg(target_os = "linux")]

mod common;

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{PAGE, stamp};
use mach_defs::gnu::mach;
use mach_defs::gnu::memory_object::{MemoryObject, memory_object};
use mach_defs::gnu::memory_object_default::{MemoryObjectDefault, memory_object_default};
use mach_vm::{Faults, Limits, Protection, Vm, VmError};
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::platform::Std;
use mig_runtime::{KernReturn, OolMemory, Port, PortSet, ReceiveRight, SendRight, Server};

const PAGES: usize = 300;

/// What a manager does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    /// All pages at once, although it was asked for one.
    Generous,
    /// It has nothing.
    Empty,
    Errors,
    Silent,
    /// It takes its time, so that its queue is full.
    Slow,
    /// Another content each time.
    Changing,
    Destroys,
    NeverReady,
    Refuses,
}

/// A manager with its pages in memory.
struct Manager {
    manner: Manner,
    pages: Mutex<Vec<u8>>,
    requests: AtomicU64,
    ended: AtomicU64,
}

/// What a manager has at first.
fn expected() -> Vec<u8> {
    let mut pages = vec![0; PAGES * PAGE];
    pages.chunks_exact_mut(PAGE).enumerate().for_each(|(number, page)| stamp(page, number as u64));
    pages
}

impl Manager {
    fn new(manner: Manner) -> Self {
        Self { manner, pages: Mutex::new(expected()), requests: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    fn supply(&self, control: &SendRight<Local>, offset: u64, data: &[u8]) -> Result<(), KernReturn> {
        let no_reply = ReceiveRight::null(control.kernel().clone());
        mach::memory_object_data_supply(control, offset, data, 0, false, &no_reply).map_err(KernReturn::from)
    }
}

impl MemoryObject<Local> for Manager {
    fn memory_object_init(
        &self,
        _: Port<'_, Local>,
        control: SendRight<Local>,
        _name: SendRight<Local>,
        page_size: u64,
    ) -> Result<(), KernReturn> {
        assert_eq!(page_size, PAGE as u64);
        match self.manner {
            Manner::NeverReady => Ok(()),
            Manner::Refuses => {
                mach::memory_object_destroy(&control, KernReturn::KERN_NO_ACCESS).map_err(KernReturn::from)
            }
            _ => mach::memory_object_ready(&control, false, 0).map_err(KernReturn::from),
        }
    }

    fn memory_object_data_request(
        &self,
        _: Port<'_, Local>,
        control: SendRight<Local>,
        offset: u64,
        length: u64,
        _access: i32,
    ) -> Result<(), KernReturn> {
        let count = self.requests.fetch_add(1, Ordering::SeqCst);
        let pages = self.pages.lock().unwrap();
        let range = offset as usize..(offset + length) as usize;
        match self.manner {
            Manner::Generous => self.supply(&control, 0, &pages),
            Manner::Empty => {
                mach::memory_object_data_unavailable(&control, offset, length).map_err(KernReturn::from)
            }
            Manner::Errors => {
                mach::memory_object_data_error(&control, offset, length, KernReturn::KERN_FAILURE)
                    .map_err(KernReturn::from)
            }
            Manner::Silent => Ok(()),
            Manner::Changing => self.supply(&control, offset, &vec![(count % 251) as u8; length as usize]),
            Manner::Destroys => {
                mach::memory_object_destroy(&control, KernReturn::KERN_FAILURE).map_err(KernReturn::from)
            }
            _ => self.supply(&control, offset, &pages[range]),
        }
    }

    fn memory_object_data_return(
        &self,
        _: Port<'_, Local>,
        _control: SendRight<Local>,
        offset: u64,
        data: OolMemory<Local>,
        dirty: bool,
        _kernel_copy: bool,
    ) -> Result<(), KernReturn> {
        assert!(dirty);
        if self.manner == Manner::Slow {
            thread::sleep(Duration::from_millis(5));
        }
        self.pages.lock().unwrap()[offset as usize..][..data.len()].copy_from_slice(&data);
        Ok(())
    }

    fn memory_object_terminate(
        &self,
        _: Port<'_, Local>,
        _control: ReceiveRight<Local>,
        _name: ReceiveRight<Local>,
    ) -> Result<(), KernReturn> {
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Serves a manager while `test` maps its object, with 64 resident pages. Counts rights at the end.
fn with(manager: &Manager, test: impl FnOnce(&Vm, &dyn Fn() -> SendRight<Local>)) {
    // Nobody waits for so long where an answer comes.
    let patience = match manager.manner {
        Manner::Silent | Manner::NeverReady => Duration::from_millis(300),
        _ => Duration::from_secs(600),
    };
    with_patience(patience, manager, test);
}

fn with_patience(
    patience: Duration,
    manager: &Manager,
    test: impl FnOnce(&Vm, &dyn Fn() -> SendRight<Local>),
) {
    with_faults(Faults::Thread, patience, manager, test);
}

fn with_faults(
    faults: Faults,
    patience: Duration,
    manager: &Manager,
    test: impl FnOnce(&Vm, &dyn Fn() -> SendRight<Local>),
) {
    let host = Host::new();
    let task = host.new_task("manager");
    let before = task.census();
    let limits = Limits { resident: 64 * PAGE, patience, faults, ..Limits::default() };
    let Some(vm) = common::vm(&host, limits) else { return };
    let port = ReceiveRight::allocate(&task).unwrap();
    let server = Server::on(&port).with(memory_object(manager));
    server
        .serve_while(|| {
            test(&vm, &|| port.make_send().unwrap());
            assert_eq!(vm.statistics().resident, 0);
            while manager.ended.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
        })
        .unwrap();
    drop((vm, server));
    drop(port);
    assert_eq!(task.census(), before);
}

/// True in the process in which the test `name` is to end by this signal, or without one; its parent comes
/// out of here when it has seen that.
fn in_child(name: &str, signal: Option<i32>) -> bool {
    if std::env::var_os("VM_CHILD").is_some() {
        return true;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("VM_CHILD", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned();
    if !text.contains("skipped: ") {
        assert_eq!(child.status.signal(), signal, "{text}");
        assert!(text.contains("as far as that"), "{text}");
    }
    false
}

/// What the compiler does not leave out.
fn look(byte: u8) {
    std::hint::black_box(byte);
}

/// Touches a page of the object of a manager that will not have it.
fn dies(name: &str, manner: Manner, touch: impl FnOnce(&[u8])) {
    dies_with(Faults::Thread, name, manner, touch);
}

fn dies_with(faults: Faults, name: &str, manner: Manner, touch: impl FnOnce(&[u8])) {
    const SIGBUS: i32 = 7;
    if in_child(name, Some(SIGBUS)) {
        let patience = Duration::from_millis(if manner == Manner::Silent { 300 } else { 600_000 });
        with_faults(faults, patience, &Manager::new(manner), |vm, right| {
            let mapping = vm.map(right(), 0, PAGES * PAGE, Protection::Read).unwrap();
            eprintln!("as far as that");
            touch(&mapping);
            panic!("it should have ended");
        });
    }
}

#[test]
fn a_trait_impl_is_mapped() {
    let manager = Manager::new(Manner::Good);
    with(&manager, |vm, right| {
        let mapping = vm.map(right(), 0, PAGES * PAGE, Protection::Read).unwrap();
        assert!(mapping[..] == expected()[..]);
        assert!(mapping[..] == expected()[..], "and again, through 64 pages");
        assert!(vm.statistics().peak_resident <= 64 * PAGE);
        assert_eq!(vm.statistics().returned, 0);
        assert!(mapping.into_memory().is_err());
    });
    assert!(manager.requests.load(Ordering::SeqCst) >= 2 * PAGES as u64 - 64);
}

#[test]
fn a_part_of_an_object_is_mapped() {
    let manager = Manager::new(Manner::Generous);
    with(&manager, |vm, right| {
        let mapping = vm.map(right(), 100 * PAGE as u64, 50 * PAGE, Protection::Read).unwrap();
        assert!(mapping[..] == expected()[100 * PAGE..150 * PAGE]);
    });
    assert_eq!(manager.requests.load(Ordering::SeqCst), 1, "the others came unasked");
}

#[test]
fn what_is_written_returns() {
    let manager = Manager::new(Manner::Good);
    with(&manager, |vm, right| {
        let mapping = vm.map(right(), 0, PAGES * PAGE, Protection::ReadWrite).unwrap();
        let mut memory = mapping.into_memory().unwrap();
        memory.chunks_exact_mut(PAGE).step_by(3).for_each(|page| page.reverse());
        memory.chunks_exact_mut(PAGE).step_by(5).for_each(|page| page[17] ^= 0xff);
    });
    let mut expected = expected();
    expected.chunks_exact_mut(PAGE).step_by(3).for_each(|page| page.reverse());
    expected.chunks_exact_mut(PAGE).step_by(5).for_each(|page| page[17] ^= 0xff);
    assert!(*manager.pages.lock().unwrap() == expected);
}

/// The last page may be written to and given up before the thread that has brought it knows that it is there.
#[test]
fn what_is_written_last_returns_too() {
    let manager = Manager::new(Manner::Good);
    with(&manager, |vm, right| {
        for round in 1..=500 {
            let mapping = vm.map(right(), 0, PAGE, Protection::ReadWrite).unwrap();
            stamp(&mut mapping.into_memory().unwrap(), round);
            while manager.ended.load(Ordering::SeqCst) < round {
                thread::yield_now();
            }
            let mut expected = [0; PAGE];
            stamp(&mut expected, round);
            assert!(manager.pages.lock().unwrap()[..PAGE] == expected, "round {round}");
        }
    });
}

/// The queue is full when the last page has gone into it, and the end of the object must come after it.
#[test]
fn a_slow_manager_hears_of_the_end() {
    let manager = Manager::new(Manner::Slow);
    with(&manager, |vm, right| {
        let mapping = vm.map(right(), 0, PAGES * PAGE, Protection::ReadWrite).unwrap();
        let mut memory = mapping.into_memory().unwrap();
        memory[..40 * PAGE].chunks_exact_mut(PAGE).step_by(2).for_each(|page| page.reverse());
    });
    assert_eq!(manager.ended.load(Ordering::SeqCst), 1);
}

#[test]
fn a_page_that_is_unavailable_is_zeros() {
    with(&Manager::new(Manner::Empty), |vm, right| {
        let mapping = vm.map(right(), 0, PAGES * PAGE, Protection::Read).unwrap();
        assert!(mapping.iter().all(|byte| *byte == 0));
    });
}

#[test]
fn threads_that_touch_one_page_all_get_it() {
    with(&Manager::new(Manner::Good), |vm, right| {
        let mapping = vm.map(right(), 0, PAGES * PAGE, Protection::Read).unwrap();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for page in 0..PAGES {
                        assert_eq!(mapping[page * PAGE + 8], ((page * 512 + 1) & 0xff) as u8);
                    }
                });
            }
        });
    });
}

#[test]
fn an_object_that_is_refused_is_not_mapped() {
    for (manner, error) in [(Manner::NeverReady, VmError::NotReady), (Manner::Refuses, VmError::Refused)] {
        with(&Manager::new(manner), |vm, right| {
            assert_eq!(vm.map(right(), 0, PAGE, Protection::Read).map(drop), Err(error));
            assert_eq!(vm.statistics().destroyed, 1);
        });
    }
}

#[test]
fn an_error_is_sigbus() {
    dies("an_error_is_sigbus", Manner::Errors, |memory| look(memory[0]));
}

#[test]
fn silence_is_sigbus() {
    dies("silence_is_sigbus", Manner::Silent, |memory| look(memory[5 * PAGE]));
}

#[test]
fn an_error_is_sigbus_without_a_thread() {
    dies_with(Faults::Signal, "an_error_is_sigbus_without_a_thread", Manner::Errors, |memory| {
        look(memory[0])
    });
}

#[test]
fn silence_is_sigbus_without_a_thread() {
    let name = "silence_is_sigbus_without_a_thread";
    dies_with(Faults::Signal, name, Manner::Silent, |memory| look(memory[5 * PAGE]));
}

/// A SIGBUS that is none of a mapping's has the effect that it had.
#[test]
fn another_sigbus_is_passed_on() {
    const SIGBUS: i32 = 7;
    if in_child("another_sigbus_is_passed_on", Some(SIGBUS)) {
        let limits = Limits { faults: Faults::Signal, ..Limits::default() };
        let Some(_vm) = common::vm(&Host::new(), limits) else { return };
        let path =
            std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bus-{}", std::process::id()));
        let file = std::fs::File::create_new(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (access, shared) = (rustix::mm::ProtFlags::READ, rustix::mm::MapFlags::SHARED);
        // SAFETY: new memory, of which nobody has a reference. The file has no bytes.
        let memory = unsafe { rustix::mm::mmap(std::ptr::null_mut(), PAGE, access, shared, &file, 0) };
        eprintln!("as far as that");
        if let Ok(memory) = memory {
            // SAFETY: it is mapped; the signal comes before there is a value.
            look(unsafe { memory.cast::<u8>().read_volatile() });
        }
        panic!("it should have ended");
    }
}

#[test]
fn a_trait_impl_is_mapped_without_a_thread() {
    let manager = Manager::new(Manner::Good);
    with_faults(Faults::Signal, Duration::from_secs(600), &manager, |vm, right| {
        let mapping = vm.map(right(), 0, PAGES * PAGE, Protection::ReadWrite).unwrap();
        assert!(mapping[..] == expected()[..]);
        let mut memory = mapping.into_memory().unwrap();
        memory.iter_mut().step_by(PAGE).for_each(|byte| *byte = 5);
        // The thread's own error number is what it was before a fault.
        assert!(std::fs::metadata("/nowhere").is_err());
        look(memory[0]);
        assert_eq!(std::io::Error::last_os_error().kind(), std::io::ErrorKind::NotFound);
    });
    assert!(manager.pages.lock().unwrap().iter().step_by(PAGE).all(|byte| *byte == 5));
}

#[test]
fn a_destroyed_object_is_sigbus() {
    dies("a_destroyed_object_is_sigbus", Manner::Destroys, |memory| look(memory[0]));
}

/// A slice does not change by itself.
#[test]
fn another_content_is_sigbus() {
    dies("another_content_is_sigbus", Manner::Changing, |memory| {
        let first = memory[0];
        memory.iter().step_by(PAGE).for_each(|byte| look(*byte));
        // The compiler takes it that the first byte is as it was.
        assert_eq!(std::hint::black_box(memory)[0], first);
    });
}

/// One manager that does not answer is no harm to the memory of others.
#[test]
fn a_silent_manager_costs_its_own_mapping() {
    if !in_child("a_silent_manager_costs_its_own_mapping", None) {
        return;
    }
    with_patience(Duration::from_secs(600), &Manager::new(Manner::Silent), |vm, right| {
        let stuck = vm.map(right(), 0, PAGES * PAGE, Protection::Read).unwrap();
        let good = Manager::new(Manner::Good);
        let port = ReceiveRight::allocate(&right().kernel().host().new_task("good")).unwrap();
        let server = Server::on(&port).with(memory_object(&good));
        thread::scope(|scope| {
            let waits = scope.spawn(|| stuck[0]);
            server
                .serve_while(|| {
                    let mapping =
                        vm.map(port.make_send().unwrap(), 0, PAGES * PAGE, Protection::Read).unwrap();
                    assert!(mapping[..] == expected()[..]);
                })
                .unwrap();
            assert!(!waits.is_finished());
            eprintln!("as far as that");
            // The thread waits still, and would for minutes.
            std::process::exit(0);
        });
    });
}

/// A default manager with one thread, which may be the kernel's, and room for one message at its object. When
/// it is asked for a page for the first time it wants all of them back.
struct Demanding {
    task: Local,
    set: PortSet<Local>,
    object: Mutex<Option<ReceiveRight<Local>>>,
    reply: ReceiveRight<Local>,
    pages: Mutex<HashMap<u64, Vec<u8>>>,
    asked: AtomicU64,
    ended: AtomicU64,
}

impl MemoryObjectDefault<Local> for Demanding {
    fn memory_object_create(
        &self,
        _: Port<'_, Local>,
        object: ReceiveRight<Local>,
        _size: u64,
        _control: SendRight<Local>,
        _name: SendRight<Local>,
        _page_size: u64,
    ) -> Result<(), KernReturn> {
        self.task.set_queue_limit(object.name(), 1)?;
        self.set.insert(&object)?;
        *self.object.lock().unwrap() = Some(object);
        Ok(())
    }
}

impl MemoryObject<Local> for Demanding {
    fn memory_object_data_request(
        &self,
        _: Port<'_, Local>,
        control: SendRight<Local>,
        offset: u64,
        length: u64,
        _access: i32,
    ) -> Result<(), KernReturn> {
        if self.asked.fetch_add(1, Ordering::SeqCst) == 0 {
            let all = (PAGES * PAGE) as u64;
            mach::memory_object_lock_request(&control, 0, all, 2, true, 0, &self.reply)?;
        }
        for page in (offset..offset + length).step_by(PAGE) {
            let data = self.pages.lock().unwrap()[&page].clone();
            let no_reply = ReceiveRight::null(self.task.clone());
            mach::memory_object_data_supply(&control, page, &data[..], 0, false, &no_reply)?;
        }
        Ok(())
    }

    fn memory_object_data_return(
        &self,
        _: Port<'_, Local>,
        _control: SendRight<Local>,
        offset: u64,
        data: OolMemory<Local>,
        _dirty: bool,
        _kernel_copy: bool,
    ) -> Result<(), KernReturn> {
        let offsets = (offset..).step_by(PAGE);
        self.pages.lock().unwrap().extend(offsets.zip(data.chunks(PAGE).map(<[u8]>::to_vec)));
        Ok(())
    }

    fn memory_object_lock_completed(
        &self,
        _: Port<'_, Local>,
        _control: SendRight<Local>,
        offset: u64,
        length: u64,
    ) -> Result<(), KernReturn> {
        assert_eq!((offset, length), (0, (PAGES * PAGE) as u64));
        Ok(())
    }

    fn memory_object_terminate(
        &self,
        _: Port<'_, Local>,
        _control: ReceiveRight<Local>,
        _name: ReceiveRight<Local>,
    ) -> Result<(), KernReturn> {
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn what_the_default_manager_wants_back_it_gets_though_its_only_thread_has_asked_for_it() {
    let host = Host::new();
    let task = host.new_task("manager");
    let before = task.census();
    // Nobody waits for this long.
    let limits = Limits {
        resident: 64 * PAGE,
        patience: Duration::from_secs(1 << 20),
        faults: Faults::Calls,
        ..Limits::default()
    };
    let vm = Vm::new(&host, limits).unwrap();
    let manager = Demanding {
        set: PortSet::allocate(&task).unwrap(),
        object: Mutex::default(),
        reply: ReceiveRight::allocate(&task).unwrap(),
        pages: Mutex::default(),
        asked: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        task: task.clone(),
    };
    let port = ReceiveRight::allocate(&task).unwrap();
    manager.set.insert(&port).unwrap();
    vm.set_default_manager(port.make_send().unwrap()).unwrap();
    let server =
        Server::on(&manager.set).with(memory_object_default(&manager)).with(memory_object(&manager)).inline();
    server
        .serve_while(|| {
            let memory = vm.open(PAGES * PAGE).unwrap();
            // No two side by side, so that each page returns in a message of its own.
            for page in (0..PAGES).step_by(2) {
                memory.write_at(page * PAGE, &expected()[page * PAGE..][..PAGE]).unwrap();
            }
            let mut back = vec![0; PAGE];
            memory.read_at(0, &mut back).unwrap();
            assert_eq!(back, expected()[..PAGE]);
            let completed = Server::on(&manager.reply).with(memory_object(&manager));
            assert_eq!(completed.serve_one::<Std>(None), Ok(true));
            drop(completed);
            let written: Vec<u64> = (0..PAGES).step_by(2).map(|page| (page * PAGE) as u64).collect();
            assert!(written.iter().all(|page| manager.pages.lock().unwrap().contains_key(page)));
            for page in (0..PAGES).step_by(2) {
                memory.read_at(page * PAGE, &mut back).unwrap();
                assert_eq!(back, expected()[page * PAGE..][..PAGE], "page {page}");
            }
            drop(memory);
            while manager.ended.load(Ordering::SeqCst) == 0 {
                thread::yield_now();
            }
        })
        .unwrap();
    drop((vm, server));
    drop((manager, port));
    assert_eq!(task.census(), before);
}
