//! Paging space that administrators add and take away, and the size of objects: the calls of the Hurd's
//! default pager.

mod world;

use std::ffi::CString;
use std::fmt;
use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use mach_defs::gnu::default_pager;
use mach_defs::gnu::hurd::default_pager as hurd;
use mach_defs::gnu::pager::backing_store as osf;
use mach_defs::gnu::pager::default_pager_alerts::{DefaultPagerAlerts, default_pager_alerts};
use mach_pager::Config;
use mach_pager::areas::{Area, Areas as _, Devices, HURD_EINVAL, PagingSpace};
use mach_pager::store::{Disk, DiskError, MemoryStore, Runs, Store as _, SwapStore, Volumes, superblock};
use mig_runtime::kernel::local::Local;
use mig_runtime::platform::Std;
use mig_runtime::{CallError, Dest, KernReturn, MsgBuf, ReceiveRight, SendOptions, SendRight, Server, Type};
use world::Answer::*;
use world::{Object, PAGE, World, page};

const SIZE: u64 = PAGE as u64;
const RECORD: usize = 512;
/// Records of a page.
const RECORDS: u64 = (PAGE / RECORD) as u64;

/// A device in memory.
#[derive(Clone)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn new(pages: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![0; pages * PAGE])))
    }

    fn formatted(pages: usize) -> Self {
        let disk = Self::new(pages);
        superblock::format(&disk, PAGE, [7; 16]).unwrap();
        disk
    }
}

impl Disk for Memory {
    fn size(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    fn record_size(&self) -> usize {
        RECORD
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let bytes = self.0.lock().unwrap();
        let from = bytes.get(offset as usize..).and_then(|from| from.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or(DiskError::Io)?);
        Ok(buffer.len())
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let data = pieces.concat();
        let mut bytes = self.0.lock().unwrap();
        let to = bytes.get_mut(offset as usize..).and_then(|to| to.get_mut(..data.len()));
        to.ok_or(DiskError::Io)?.copy_from_slice(&data);
        Ok(data.len())
    }

    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }
}

/// Says that a call has come, and says when it may go on.
type Silence = (Sender<()>, Receiver<()>);

/// The devices of a machine: some have names, and one is known by a right to its port.
#[derive(Clone, Default)]
struct Machine {
    named: Arc<Mutex<Vec<(&'static str, Memory)>>>,
    by_port: Arc<Mutex<Option<Memory>>>,
    /// The next call about a port says here that it has come, and waits there.
    silent: Arc<Mutex<Option<Silence>>>,
    console: Arc<Mutex<Vec<String>>>,
}

/// `D_NO_SUCH_DEVICE`
const NO_SUCH_DEVICE: KernReturn = KernReturn(2502);

impl Devices<Local> for Machine {
    type Disk = Memory;

    fn open(&self, _master: SendRight<Local>, name: &str) -> Result<Memory, KernReturn> {
        let named = self.named.lock().unwrap();
        named.iter().find(|device| device.0 == name).map(|device| device.1.clone()).ok_or(NO_SUCH_DEVICE)
    }

    fn attach(&self, _device: SendRight<Local>) -> Result<Memory, KernReturn> {
        let silent = self.silent.lock().unwrap().take();
        if let Some((asked, answered)) = silent {
            asked.send(()).unwrap();
            answered.recv().unwrap();
        }
        self.by_port.lock().unwrap().clone().ok_or(KernReturn::MIG_BAD_ID)
    }

    fn most_pages(&self) -> u64 {
        1000
    }

    fn tell(&self, line: fmt::Arguments<'_>) {
        self.console.lock().unwrap().push(line.to_string());
    }
}

type Space = Arc<Volumes<Runs<Memory>, Std>>;

/// A pager with a device of this many pages, `first`.
fn world(machine: &Machine, pages: usize) -> World<Space> {
    let space = Space::new(Volumes::new(PAGE));
    let first = SwapStore::open(Runs::whole(Memory::formatted(pages + 2))).unwrap();
    space.add("first", first, 4, 0).unwrap();
    // What is returned stays in the store, however full that is.
    let config = Config { precious_below: 0, ..Config::default() };
    let world = World::with(space.clone(), config);
    world.pager.set_areas(Arc::new(PagingSpace::new(machine.clone(), space)));
    world
}

impl Machine {
    fn add(&self, name: &'static str, device: Memory) {
        self.named.lock().unwrap().push((name, device));
    }

    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.console.lock().unwrap())
    }
}

/// `default_pager_paging_file`
fn paging_file(world: &World<Space>, name: &str, add: bool) -> Result<(), KernReturn> {
    let name = CString::new(name).unwrap();
    let master = ReceiveRight::allocate(&world.task).unwrap();
    let right = master.make_send().unwrap();
    world.call(|manager| default_pager::default_pager_paging_file(manager, &right, &name, add))
}

/// `default_pager_paging_storage`, with the records of pages.
fn storage(
    world: &World<Space>,
    device: &SendRight<Local>,
    runs: &[u64],
    name: &str,
    add: bool,
) -> Result<(), KernReturn> {
    let name = CString::new(name).unwrap();
    let runs: Vec<hurd::Recnum> = runs.iter().map(|run| (run * RECORDS) as hurd::Recnum).collect();
    world.call(|manager| hurd::default_pager_paging_storage(manager, device, &runs, &name, add))
}

/// Stores pages with these tags from 0 on, and sees that they are there.
fn fill(world: &World<Space>, object: &Object, tags: std::ops::Range<u8>) {
    for tag in tags.clone() {
        object.data_return(u64::from(tag) * SIZE, &page(tag));
        world.settle();
    }
    check(world, object, tags);
}

fn check(world: &World<Space>, object: &Object, tags: std::ops::Range<u8>) {
    for tag in tags {
        let offset = u64::from(tag) * SIZE;
        object.request(offset, SIZE);
        world.settle();
        assert_eq!(object.answers(), [Supply { offset, tag, precious: false }]);
    }
}

#[test]
fn a_paging_file_is_added_and_its_pages_move_off_before_it_goes() {
    let machine = Machine::default();
    machine.add("hd1", Memory::formatted(42));
    machine.add("hd2", Memory::formatted(42));
    let world = world(&machine, 10);
    let object = world.create();
    fill(&world, &object, 0..10);
    assert_eq!(world.pager.space().free, 0);
    assert_eq!(paging_file(&world, "hd1", true), Ok(()));
    assert_eq!(world.pager.space().free, 40);
    fill(&world, &object, 10..30);
    assert_eq!(paging_file(&world, "first", false), Ok(()));
    assert_eq!((world.pager.space().total, world.pager.space().free), (40, 10));
    check(&world, &object, 0..30);
    // There is nowhere to go to.
    assert_eq!(paging_file(&world, "hd1", false), Err(KernReturn::KERN_RESOURCE_SHORTAGE));
    check(&world, &object, 0..30);
    fill(&world, &object, 30..35);
    assert_eq!(paging_file(&world, "hd2", true), Ok(()));
    assert_eq!(paging_file(&world, "hd1", false), Ok(()));
    check(&world, &object, 0..35);
    let info = world.call(hurd::default_pager_storage_info).unwrap();
    assert_eq!((info.size, info.free), (vec![40 * SIZE], vec![5 * SIZE]));
    assert!(info.name.starts_with(b"hd2") && info.name.len() == 4, "{:?}", info.name);
    assert_eq!(
        machine.said(),
        [
            "paging space hd1: 40 pages added",
            "paging space first: removed",
            "paging space hd1: there is no room for its pages elsewhere, or they cannot be read; it is used again",
            "paging space hd2: 40 pages added",
            "paging space hd1: removed",
        ]
    );
    object.terminate();
    world.settle();
    assert_eq!(world.pager.space().free, 40);
}

#[test]
fn a_page_that_changes_or_is_asked_for_while_it_moves_is_right() {
    let machine = Machine::default();
    machine.add("hd1", Memory::formatted(42));
    let world = world(&machine, 20);
    let object = world.create();
    fill(&world, &object, 0..20);
    assert_eq!(paging_file(&world, "hd1", true), Ok(()));
    // On their way while the area goes: one is read, one is written.
    object.request(3 * SIZE, SIZE);
    object.data_return(4 * SIZE, &page(104));
    world.serve();
    let gone = std::thread::scope(|scope| {
        let gone = scope.spawn(|| paging_file(&world, "first", false));
        while !gone.is_finished() {
            world.transfer_one();
        }
        gone.join().unwrap()
    });
    assert_eq!(gone, Ok(()));
    world.settle();
    assert!(object.answers().contains(&Supply { offset: 3 * SIZE, tag: 3, precious: false }));
    check(&world, &object, 0..4);
    check(&world, &object, 5..20);
    object.request(4 * SIZE, SIZE);
    world.settle();
    assert_eq!(object.answers(), [Supply { offset: 4 * SIZE, tag: 104, precious: false }]);
    object.terminate();
    world.settle();
    assert_eq!(world.pager.space().free, 40);
}

#[test]
fn parts_of_a_device_are_storage() {
    let machine = Machine::default();
    let disk = Memory::new(100);
    *machine.by_port.lock().unwrap() = Some(disk.clone());
    let world = world(&machine, 1);
    let port = ReceiveRight::allocate(&world.task).unwrap();
    let device = port.make_send().unwrap();
    assert_eq!(storage(&world, &device, &[10, 5, 50, 3], "/swap", true), Ok(()));
    assert_eq!(world.pager.space().total, 9);
    let object = world.create();
    fill(&world, &object, 1..10);
    let touched = disk
        .0
        .lock()
        .unwrap()
        .chunks(PAGE)
        .map(|page| page.iter().any(|byte| *byte != 0))
        .collect::<Vec<_>>();
    assert_eq!(touched.iter().filter(|touched| **touched).count(), 8);
    assert!(touched[10..15].iter().chain(&touched[50..53]).all(|touched| *touched));
    object.terminate();
    world.settle();
    assert_eq!(storage(&world, &device, &[10, 5, 50, 3], "/swap", false), Ok(()));
    assert_eq!(world.pager.space().total, 1);
    // It may come again.
    assert_eq!(storage(&world, &device, &[12, 5], "/swap", true), Ok(()));
}

#[test]
fn a_device_that_does_not_answer_holds_up_nobody_but_whoever_names_it() {
    let machine = Machine::default();
    *machine.by_port.lock().unwrap() = Some(Memory::new(20));
    let areas = PagingSpace::<Local, _, Std>::new(machine.clone(), Space::new(Volumes::new(PAGE)));
    let task: Local = Local::new();
    let [one, other] = [(); 2].map(|()| ReceiveRight::allocate(&task).unwrap());
    let add = |port: &ReceiveRight<Local>, first: u64, name| {
        areas.add_storage(port.make_send().unwrap(), &[(first * RECORDS, 4 * RECORDS)], Area::named(name))
    };
    let (asked, is_asked) = channel();
    let (answers, is_answered) = channel();
    *machine.silent.lock().unwrap() = Some((asked, is_answered));
    let in_use = Err(KernReturn::KERN_INVALID_ARGUMENT);
    thread::scope(|scope| {
        let slow = scope.spawn(|| add(&one, 0, "slow"));
        is_asked.recv().unwrap();
        assert_eq!(add(&other, 0, "other"), Ok(()));
        assert_eq!(areas.begin_removal("other"), Ok(()));
        assert!(areas.remove("other"));
        // Its parts are nobody else's meanwhile; the rest of it is.
        assert_eq!(add(&one, 3, "late"), in_use);
        assert_eq!(add(&one, 4, "rest"), Ok(()));
        answers.send(()).unwrap();
        assert_eq!(slow.join().unwrap(), Ok(()));
    });
    assert_eq!(add(&one, 0, "late"), in_use);
    // A device that answers with an error leaves its parts to whoever comes next.
    let there = machine.by_port.lock().unwrap().take();
    assert_eq!(add(&other, 0, "other"), Err(KernReturn::MIG_BAD_ID));
    *machine.by_port.lock().unwrap() = there;
    assert_eq!(add(&other, 0, "slow"), in_use, "the name is taken");
    assert_eq!(add(&other, 0, "other"), Ok(()));
    let names: Vec<_> = areas.list().into_iter().map(|area| area.name).collect();
    assert_eq!(names, ["rest", "slow", "other"]);
}

#[test]
fn what_makes_no_sense_is_refused_with_a_line_and_nothing_is_added() {
    let machine = Machine::default();
    machine.add("letters", Memory::new(10));
    machine.add("tiny", Memory::new(0));
    let world = world(&machine, 5);
    let (invalid, space) = (KernReturn::KERN_INVALID_ARGUMENT, world.pager.space());
    let refused = |result: Result<(), KernReturn>, code: KernReturn, line: &str| {
        assert_eq!(result, Err(code), "{line}");
        assert_eq!(machine.said(), [line]);
        assert_eq!(world.pager.space(), space);
    };
    refused(paging_file(&world, "", true), invalid, "paging space without a name: is not used");
    let none = format!("paging space hd9: it cannot be opened: {NO_SUCH_DEVICE}");
    refused(paging_file(&world, "hd9", true), NO_SUCH_DEVICE, &none);
    let not_ours = "it has no superblock of swap space; format it first";
    refused(paging_file(&world, "letters", true), invalid, &format!("paging space letters: {not_ours}"));
    refused(paging_file(&world, "tiny", true), invalid, &format!("paging space tiny: {not_ours}"));
    let no_such = "paging space hd9: there is no paging space of this name";
    refused(paging_file(&world, "hd9", false), invalid, no_such);
    machine.add("first", Memory::formatted(9));
    let taken = "paging space first: paging space of this name is in use already";
    refused(paging_file(&world, "first", true), invalid, taken);

    let port = ReceiveRight::allocate(&world.task).unwrap();
    let device = port.make_send().unwrap();
    let bad_id = format!("paging space s: its device says {}", KernReturn::MIG_BAD_ID);
    refused(storage(&world, &device, &[0, 1], "s", true), KernReturn::MIG_BAD_ID, &bad_id);
    *machine.by_port.lock().unwrap() = Some(Memory::new(20));
    for (runs, why) in [
        (&[][..], "Empty"),
        (&[3, 0], "Empty"),
        (&[0, 21], "BeyondEnd"),
        (&[25, 1], "BeyondEnd"),
        (&[0, 5, 4, 3], "Overlap"),
    ] {
        refused(storage(&world, &device, runs, "s", true), HURD_EINVAL, &format!("paging space s: {why}"));
    }
    // No device of this machine is as large as that.
    *machine.by_port.lock().unwrap() = Some(Memory::new(1001));
    let large = "1001 pages take more memory than there is for a list of them";
    let shortage = KernReturn::KERN_RESOURCE_SHORTAGE;
    refused(storage(&world, &device, &[0, 1001], "s", true), shortage, &format!("paging space s: {large}"));
    machine.add("large", Memory::formatted(1001));
    refused(paging_file(&world, "large", true), shortage, &format!("paging space large: {large}"));
    *machine.by_port.lock().unwrap() = Some(Memory::new(20));
    // As many parts as a message may bring: neither memory nor time for all of them.
    let parts = vec![1; 2 * 100_000];
    let many = "paging space s: it is in more than 4096 parts";
    refused(storage(&world, &device, &parts, "s", true), HURD_EINVAL, many);
    assert_eq!(storage(&world, &device, &[0], "s", true), Err(HURD_EINVAL), "half a run");
    assert_eq!(storage(&world, &device, &[2, 3], "s", true), Ok(()));
    machine.said();
    let space = world.pager.space();
    assert_eq!(storage(&world, &device, &[4, 3], "t", true), Err(invalid));
    assert_eq!(machine.said(), ["paging space t: it is in use already"]);
    assert_eq!(world.pager.space(), space);
    // A name that is none, and a pager without paging space that can change.
    let bytes = CString::new(vec![0xff]).unwrap();
    let result =
        world.call(|manager| default_pager::default_pager_paging_file(manager, &device, &bytes, true));
    assert_eq!(result, Err(invalid));
    let fixed = World::new();
    let right = ReceiveRight::allocate(&fixed.task).unwrap().make_send().unwrap();
    let result =
        fixed.call(|manager| default_pager::default_pager_paging_file(manager, &right, c"hd0", true));
    assert_eq!(result, Err(KernReturn::KERN_FAILURE));
}

#[test]
fn an_object_gets_another_size() {
    let machine = Machine::default();
    let world = world(&machine, 50);
    let object = Object::using(world.create_external(4 * SIZE));
    object.init();
    world.settle();
    assert_eq!(object.answers(), [Ready]);
    let set_size = |bytes: u64| {
        let right = object.port.try_clone().unwrap();
        std::thread::scope(|scope| {
            let call = scope.spawn(move || hurd::default_pager_object_set_size(&right, bytes));
            while !call.is_finished() {
                world.serve();
            }
            call.join().unwrap().map_err(|error| error.code())
        })
    };
    fill(&world, &object, 0..4);
    object.request(4 * SIZE, SIZE);
    world.settle();
    assert_eq!(object.answers(), [Error { offset: 4 * SIZE, size: SIZE }]);
    assert_eq!(set_size(6 * SIZE - 7), Ok(()));
    fill(&world, &object, 4..6);
    assert_eq!((world.pager.space().used(), object.answers()), (6, vec![]));
    // The kernel drops what goes, and it does not come back with the old content.
    assert_eq!(set_size(2 * SIZE), Ok(()));
    assert_eq!(object.answers(), [Drop { offset: 2 * SIZE, size: 4 * SIZE }]);
    assert_eq!(world.pager.space().used(), 2);
    object.request(2 * SIZE, SIZE);
    world.settle();
    assert_eq!(object.answers(), [Error { offset: 2 * SIZE, size: SIZE }]);
    assert_eq!(set_size(3 * SIZE), Ok(()));
    object.request(2 * SIZE, SIZE);
    world.settle();
    assert_eq!(object.answers(), [Unavailable { offset: 2 * SIZE, size: SIZE }]);
    check(&world, &object, 0..2);
    object.terminate();
    // The kernel's objects have no size to change.
    let internal = world.create();
    let right = internal.port.try_clone().unwrap();
    let result = std::thread::scope(|scope| {
        let call = scope.spawn(move || hurd::default_pager_object_set_size(&right, SIZE));
        while !call.is_finished() {
            world.serve();
        }
        call.join().unwrap().map_err(|error| error.code())
    });
    assert_eq!(result, Err(KernReturn::KERN_INVALID_ARGUMENT));
    fill(&world, &internal, 0..2);
    internal.terminate();
    world.settle();
}

#[test]
fn a_port_of_the_pagers_own_is_no_device() {
    let machine = Machine::default();
    *machine.by_port.lock().unwrap() = Some(Memory::new(10));
    let world = world(&machine, 1);
    let object = Local::transfer(world.create_external(SIZE), &world.task).unwrap();
    for own in [&world.task_to_manager(), &object] {
        assert_eq!(storage(&world, own, &[0, 5], "own", true), Err(KernReturn::KERN_INVALID_ARGUMENT));
        let file = world.call(|manager| default_pager::default_pager_paging_file(manager, own, c"own", true));
        assert_eq!(file, Err(KernReturn::KERN_INVALID_ARGUMENT));
    }
    assert_eq!(world.pager.space().total, 1);
}

/// A right of the task to the port for OSF's calls.
fn stores(world: &World<Space>) -> SendRight<Local> {
    Local::transfer(world.pager.backing_store_port().make_send().unwrap(), &world.task).unwrap()
}

/// A call that is served meanwhile.
fn served<T: Send>(
    world: &World<Space>,
    call: impl FnOnce() -> Result<T, CallError<Local>> + Send,
) -> Result<T, KernReturn> {
    std::thread::scope(|scope| {
        let call = scope.spawn(call);
        while !call.is_finished() {
            world.serve();
            thread::yield_now();
        }
        call.join().unwrap().map_err(|error| error.code())
    })
}

fn create_store(world: &World<Space>, priority: i32) -> Result<SendRight<Local>, KernReturn> {
    let stores = stores(world);
    served(world, || osf::default_pager_backing_store_create(&stores, priority, 0))
}

/// `default_pager_add_segment`, with the records of pages.
fn add_segment(
    world: &World<Space>,
    store: &SendRight<Local>,
    device: &SendRight<Local>,
    pages: Range<u64>,
    record_size: usize,
) -> Result<(), KernReturn> {
    let (first, count) = (pages.start * RECORDS, (pages.end - pages.start) * RECORDS);
    served(world, || {
        osf::default_pager_add_segment(store, device, first as _, count as _, record_size as i32)
    })
}

fn info(world: &World<Space>, store: &SendRight<Local>) -> Vec<i32> {
    served(world, || osf::default_pager_backing_store_info(store, 1, 20)).unwrap().to_vec()
}

#[test]
fn a_backing_store_has_segments_and_its_pages_move_off_before_it_goes() {
    let machine = Machine::default();
    *machine.by_port.lock().unwrap() = Some(Memory::new(100));
    let world = world(&machine, 10);
    let port = ReceiveRight::allocate(&world.task).unwrap();
    let device = port.make_send().unwrap();
    let low = create_store(&world, 2).unwrap();
    let high = create_store(&world, -1).unwrap();
    assert_eq!(add_segment(&world, &low, &device, 0..8, RECORD), Ok(()));
    assert_eq!(add_segment(&world, &high, &device, 8..16, RECORD), Ok(()));
    assert_eq!(add_segment(&world, &high, &device, 16..24, RECORD), Ok(()));
    assert_eq!(world.pager.space().total, 34);
    let object = world.create();
    fill(&world, &object, 0..12);
    // The first device and this store have the highest priority and take turns; nothing is in the other one.
    let [low_info, high_info] = [&low, &high].map(|store| info(&world, store));
    assert_eq!(low_info[7..9], [8, 8]);
    let in_first = 10 - world.pager.store().list()[0].space.free as i32;
    assert_eq!(high_info[7..9], [16, 16 - 12 + in_first]);
    assert_eq!((low_info[13], high_info[13], high_info[14]), (0, 4, PAGE as i32));
    // Pages: supplied and written, of all stores; and read and written of this one.
    assert_eq!((high_info[2], high_info[3]), (12, 12));
    assert_eq!((high_info[9], high_info[11]), (12 - in_first, 12 - in_first));

    let delete = |store: &SendRight<Local>| served(&world, || osf::default_pager_backing_store_delete(store));
    assert_eq!(delete(&high), Ok(()));
    check(&world, &object, 0..12);
    assert_eq!(world.pager.space().total, 18);
    // There is nowhere else for all of them.
    assert_eq!(paging_file(&world, "first", false), Err(KernReturn::KERN_RESOURCE_SHORTAGE));
    assert_eq!(delete(&low), Err(KernReturn::KERN_RESOURCE_SHORTAGE));
    check(&world, &object, 0..12);
    assert_eq!(info(&world, &low)[7], 8);
    object.terminate();
    world.settle();
    assert_eq!(delete(&low), Ok(()));
    assert_eq!(world.pager.space(), MemoryStore::<Std>::new(PAGE, 10).space());
    // Their ports are gone.
    assert!(delete(&low).is_err());
}

#[test]
fn backing_stores_that_nobody_has_a_right_to_leave_room_for_others() {
    let machine = Machine::default();
    *machine.by_port.lock().unwrap() = Some(Memory::new(100));
    let world = world(&machine, 10);
    let before = world.pager_task.census();
    for _ in 0..200 {
        drop(create_store(&world, 4).unwrap());
    }
    world.settle();
    assert_eq!(world.pager_task.census(), before);
    // One with a segment stays until that is taken away, by its name.
    let port = ReceiveRight::allocate(&world.task).unwrap();
    let device = port.make_send().unwrap();
    let store = create_store(&world, 4).unwrap();
    assert_eq!(add_segment(&world, &store, &device, 0..8, RECORD), Ok(()));
    drop(store);
    world.settle();
    assert_ne!(world.pager_task.census(), before);
    let name = world.pager.store().list()[1].name.clone();
    assert_eq!(paging_file(&world, &name, false), Ok(()));
    drop(create_store(&world, 4).unwrap());
    world.settle();
    assert_eq!(world.pager_task.census(), before);
    // As many as there are places, and no more, as long as somebody has a right to each.
    let all: Vec<_> = (0..64).map(|_| create_store(&world, 4).unwrap()).collect();
    assert_eq!(create_store(&world, 4).map(drop), Err(KernReturn::KERN_RESOURCE_SHORTAGE));
    // What posts to them as the kernel does is not believed.
    all.iter().for_each(forge_no_senders);
    world.settle();
    assert_eq!(create_store(&world, 4).map(drop), Err(KernReturn::KERN_RESOURCE_SHORTAGE));
    drop(all);
    world.settle();
    assert_eq!(world.pager_task.census(), before);
}

/// `mach_notify_no_senders`, from somebody else than the kernel.
fn forge_no_senders(port: &SendRight<Local>) {
    let mut buffer = MsgBuf::<256>::new();
    let mut message = buffer.request(port.kernel());
    message.data(Type::inline(2, 32, 1), &1_u32);
    message.send(70, Dest::copy_send(port), SendOptions::NONE).unwrap();
}

#[test]
fn what_osfs_pager_refuses_is_refused() {
    let machine = Machine::default();
    let world = world(&machine, 1);
    let port = ReceiveRight::allocate(&world.task).unwrap();
    let device = port.make_send().unwrap();
    let store = create_store(&world, 4).unwrap();
    let stores = stores(&world);
    let wrong = KernReturn::KERN_INVALID_ARGUMENT;
    // No device.
    assert_eq!(add_segment(&world, &store, &device, 0..9, RECORD), Err(KernReturn::MIG_BAD_ID));
    *machine.by_port.lock().unwrap() = Some(Memory::new(100));
    let add = |pages, record_size| add_segment(&world, &store, &device, pages, record_size);
    assert_eq!(add(10..15, RECORD), Ok(()));
    for (pages, record_size) in [
        // In use, nothing, beyond the end, far beyond it, and records of another size.
        (14..20, RECORD),
        (20..20, RECORD),
        (90..101, RECORD),
        (u64::MAX / PAGE as u64..u64::MAX / PAGE as u64 + 3, RECORD),
        (20..30, PAGE),
        (20..30, 0),
        (20..30, usize::MAX),
    ] {
        assert_eq!(add(pages.clone(), record_size), Err(wrong), "{pages:?} of {record_size}");
    }
    assert_eq!(world.pager.space().total, 6);
    // A port of the pager's own is no device, and the port for all stores is none of them.
    assert_eq!(add_segment(&world, &store, &store, 20..30, RECORD), Err(wrong));
    assert_eq!(add_segment(&world, &stores, &device, 20..30, RECORD), Err(wrong));
    let facts = |port: &SendRight<Local>, flavor, count| {
        served(&world, || osf::default_pager_backing_store_info(port, flavor, count)).map(|info| info.len())
    };
    assert_eq!(facts(&store, 1, 15), Ok(15));
    assert_eq!([facts(&store, 2, 20), facts(&store, 1, 14), facts(&stores, 1, 20)], [Err(wrong); 3]);
    let delete = |port: &SendRight<Local>| served(&world, || osf::default_pager_backing_store_delete(port));
    assert_eq!(delete(&stores), Err(wrong));
    assert!(served(&world, || osf::default_pager_backing_store_create(&store, 0, 0)).is_err());
    // There are as many as there can be devices.
    let others: Vec<_> = (1..64).map(|_| create_store(&world, 0).unwrap()).collect();
    assert_eq!(create_store(&world, 0).map(drop), Err(KernReturn::KERN_RESOURCE_SHORTAGE));
    assert_eq!(delete(&others[0]), Ok(()));
    assert!(create_store(&world, 0).is_ok());
    // The numbers are OSF's and XNU's.
    assert_eq!(osf::id::DEFAULT_PAGER_BACKING_STORE_CREATE, 2280);
    assert_eq!(osf::id::DEFAULT_PAGER_BACKING_STORE_INFO, 2283);
    assert_eq!(osf::id::DEFAULT_PAGER_TRIGGERS, 2285);
    // The calls that both have are served here as well; the Hurd's are not.
    assert!(served(&world, || default_pager::default_pager_info(&stores)).is_ok());
    assert!(
        served(&world, || hurd::default_pager_paging_storage(&stores, &device, &[], c"a", true)).is_err()
    );
}

/// What a port for alerts has been told.
#[derive(Default)]
struct Told(Mutex<Vec<i32>>);

impl DefaultPagerAlerts<Local> for Told {
    fn default_pager_space_alert(
        &self,
        _alert_port: mig_runtime::Port<'_, Local>,
        flags: i32,
    ) -> Result<(), KernReturn> {
        self.0.lock().unwrap().push(flags);
        Ok(())
    }
}

#[test]
fn an_alert_comes_once_when_room_is_short_and_when_there_is_much() {
    let world = world(&Machine::default(), 20);
    let stores = stores(&world);
    let port = ReceiveRight::allocate(&world.task).unwrap();
    let trigger = |high: u64, low: u64, flags| {
        let right = port.make_send().unwrap();
        let bytes = |pages: u64| (pages * SIZE) as i32;
        served(&world, || osf::default_pager_triggers(&stores, bytes(high), bytes(low), flags, &right))
    };
    let told = || {
        let told = Told::default();
        let server = Server::on(&port).with(default_pager_alerts(&told));
        while server.serve_one::<Std>(Some(0)).is_ok() {}
        drop(server);
        told.0.into_inner().unwrap()
    };
    assert_eq!(trigger(8, 0, 1), Ok(()));
    assert_eq!(trigger(0, 15, 2), Ok(()));
    assert_eq!(told(), [2], "there is as much as that");
    let object = world.create();
    fill(&world, &object, 0..12);
    assert_eq!(told(), [], "8 pages are left");
    fill(&world, &object, 12..14);
    assert_eq!(told(), [1], "and only once");
    assert_eq!(trigger(0, 15, 2), Ok(()));
    assert_eq!(told(), []);
    object.terminate();
    world.settle();
    assert_eq!(told(), [2]);
    // Nobody is told, and nothing else is asked for.
    let nobody = SendRight::null(world.task.clone());
    assert_eq!(trigger(30, 0, 1), Ok(()));
    assert_eq!(told(), [1]);
    assert_eq!(served(&world, || osf::default_pager_triggers(&stores, i32::MAX, 0, 1, &nobody)), Ok(()));
    assert_eq!(told(), []);
    for flags in [0, 3, 4, 8] {
        assert_eq!(trigger(1, 1, flags), Err(KernReturn::KERN_INVALID_ARGUMENT));
    }
    let negative = served(&world, || osf::default_pager_triggers(&stores, -1, 0, 1, &nobody));
    assert_eq!(negative, Err(KernReturn::KERN_INVALID_ARGUMENT));
}
