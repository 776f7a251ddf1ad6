//! Paging space on NBD servers: Debian's, stopped, killed and started again, and servers that are up to no
//! good.

mod nbd_server;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mach_pager::store::nbd::{self, Address, NbdDisk, Options};
use mach_pager::store::{Disk, DiskError, Slot, Store, SwapStore};
use mig_runtime::platform::Std;
use rustix::process::Signal;

use nbd_server::{SERVERS, SIZE, Server, command, folder, free_port, is_installed};

const COMMAND: &str = env!("CARGO_BIN_EXE_mach-pager");
const PAGE: usize = 4096;

fn page(seed: u64) -> Vec<u8> {
    (0..PAGE as u64 / 8).flat_map(|word| (seed << 32 | word).to_le_bytes()).collect()
}

fn write<D: Disk>(store: &SwapStore<D, Std>, seeds: std::ops::Range<u64>) -> Vec<(Slot, u64)> {
    let pages: Vec<_> = seeds.clone().map(page).collect();
    let slices: Vec<_> = pages.iter().map(|page| &page[..]).collect();
    let mut stored = Vec::new();
    store.write(&slices, &mut |at, result| stored.push((result.expect("written"), seeds.start + at as u64)));
    stored
}

fn check<D: Disk>(store: &SwapStore<D, Std>, stored: &[(Slot, u64)]) {
    for (slot, seed) in stored {
        let mut back = vec![0; PAGE];
        assert_eq!(store.read(slot, &mut back), Ok(()), "page {seed}");
        assert!(back == page(*seed), "page {seed}");
    }
}

/// Waits shortly for replies, and long for a server.
const QUICK: Options =
    Options { limit: Duration::from_millis(300), reconnect: Duration::from_secs(120), discard: true };

#[test]
fn pages_go_to_a_server_and_come_back() {
    for name in SERVERS.into_iter().filter(|name| is_installed(name)) {
        let folder = folder();
        let server = Server::start(name, folder.path());
        let address = server.address();
        let format = |arguments: &[&str]| {
            let output =
                Command::new(COMMAND).arg("format").args(arguments).arg(address.to_string()).output();
            let output = output.unwrap();
            (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
        };
        let why = nbd::open::<Std>(&address).err().unwrap().to_string();
        assert!(why.contains("mach-pager format --force"), "{why}");
        let refused =
            format!("error: {address}: it is not swap space of this program; --force overwrites it\n");
        assert_eq!(format(&[]), (Some(1), refused));
        let (code, text) = format(&["--size", "1M"]);
        assert_eq!((code, text.contains("--size")), (Some(1), true), "{text}");
        let made = format!("{address}: 32.0 MiB of swap space, 8190 pages of 4096 bytes\n");
        assert_eq!(format(&["--force"]), (Some(0), made.clone()));
        assert_eq!(format(&[]), (Some(0), made));

        let store = nbd::open::<Std>(&address).unwrap();
        thread::scope(|scope| {
            for thread in 0..4_u64 {
                let store = &store;
                scope.spawn(move || {
                    let mut stored = Vec::new();
                    for call in 0..4 {
                        stored
                            .extend(write(store, thread * 1000 + call * 64..thread * 1000 + call * 64 + 64));
                        check(store, &stored);
                    }
                    stored.into_iter().step_by(2).for_each(|(slot, _)| store.free(slot));
                });
            }
        });
        // Most free slots lie alone now.
        let stored = write(&store, 10_000..10_064);
        check(&store, &stored);
    }
}

#[test]
fn a_socket_of_this_machine_is_as_good() {
    for name in SERVERS.into_iter().filter(|name| is_installed(name)) {
        let folder = folder();
        // The path of a socket has 107 bytes at most, and this folder may be anywhere: by way of its
        // descriptor.
        let open = std::fs::File::open(folder.path()).unwrap();
        if folder.path().join("sock").as_os_str().len() > 107 {
            eprintln!("skipped: the path of this folder is too long for a socket of {name}");
            continue;
        }
        let process = command(name, folder.path(), None).spawn().unwrap();
        let mut server = Server { name, port: 0, process };
        let path = format!("/proc/self/fd/{}/sock", open.as_raw_fd());
        let address: Address = format!("nbd+unix:///?socket={path}").parse().unwrap();
        while !folder.path().join("sock").exists() || nbd::format(&address, true).is_err() {
            assert!(server.process.try_wait().unwrap().is_none(), "{name} has ended");
            thread::sleep(Duration::from_millis(10));
        }
        let store = nbd::open::<Std>(&address).unwrap();
        let stored = write(&store, 0..200);
        check(&store, &stored);
    }
}

#[cfg(feature = "encryption")]
#[test]
fn a_server_does_not_see_encrypted_pages() {
    if !is_installed("nbdkit") {
        return;
    }
    let folder = folder();
    let server = Server::start("nbdkit", folder.path());
    nbd::format(&server.address(), true).unwrap();
    let store = Options::default().open_encrypted::<Std>(&server.address()).unwrap();
    let secret = [b"a secret".repeat(PAGE / 8 - 1), b"of mine!".to_vec()].concat();
    let mut stored = None;
    store.write(&[&secret], &mut |_, result| stored = result.ok());
    let mut back = vec![0; PAGE];
    store.read(&stored.unwrap(), &mut back).unwrap();
    assert!(back == secret);
    store.disk().flush().unwrap();
    let disk = std::fs::read(folder.path().join("disk")).unwrap();
    assert!(!disk.windows(8).any(|bytes| bytes == b"a secret"));
}

#[test]
fn a_server_that_is_stopped_for_a_while_costs_no_page() {
    for name in SERVERS.into_iter().filter(|name| is_installed(name)) {
        let folder = folder();
        let server = Server::start(name, folder.path());
        nbd::format(&server.address(), true).unwrap();
        let store = QUICK.open::<Std>(&server.address()).unwrap();
        let before = write(&store, 0..100);
        server.signal(Signal::STOP);
        thread::scope(|scope| {
            let writer = scope.spawn(|| write(&store, 1000..1200));
            let reader = scope.spawn(|| check(&store, &before));
            // Longer than a reply may take.
            thread::sleep(3 * QUICK.limit);
            server.signal(Signal::CONT);
            let written = writer.join().unwrap();
            reader.join().unwrap();
            check(&store, &written);
        });
        check(&store, &before);
    }
}

#[test]
fn a_server_that_is_killed_and_started_again_costs_no_page() {
    for name in SERVERS.into_iter().filter(|name| is_installed(name)) {
        let folder = folder();
        let mut server = Server::start(name, folder.path());
        nbd::format(&server.address(), true).unwrap();
        let store = QUICK.open::<Std>(&server.address()).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for thread in 0..3_u64 {
                let (store, is_over) = (&store, &is_over);
                scope.spawn(move || {
                    let mut next = thread * 1_000_000;
                    while !is_over.load(Ordering::Relaxed) {
                        let stored = write(store, next..next + 40);
                        check(store, &stored);
                        stored.into_iter().for_each(|(slot, _)| store.free(slot));
                        next += 40;
                    }
                });
            }
            for _ in 0..3 {
                thread::sleep(Duration::from_millis(100));
                server.kill();
                server.restart(folder.path());
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(store.space().used(), 0);
        assert!(store.is_at_work());
    }
}

#[test]
fn without_a_server_only_what_is_asked_meanwhile_fails() {
    for name in SERVERS.into_iter().filter(|name| is_installed(name)) {
        let folder = folder();
        let mut server = Server::start(name, folder.path());
        let options = Options { reconnect: Duration::from_millis(100), ..QUICK };
        let disk = NbdDisk::connect(&server.address(), options).unwrap();
        let [one, two] = [1, 2].map(page);
        assert_eq!(disk.write_at(0, &[&one, &two]), Ok(2 * PAGE));
        server.kill();
        let mut back = vec![0; PAGE];
        assert_eq!(disk.write_at(0, &[&two]), Err(DiskError::Io));
        assert_eq!(disk.read_at(0, &mut back), Err(DiskError::Io));
        let mut told = Vec::new();
        disk.write_each_at(&[(0, &[&two]), (8192, &[&one])], &mut |at, result| told.push((at, result)));
        assert_eq!(told, [(0, Err(DiskError::Io)), (1, Err(DiskError::Io))]);
        server.restart(folder.path());
        while disk.read_at(PAGE as u64, &mut back).is_err() {}
        assert!(back == two);
        assert_eq!(disk.read_at(0, &mut back), Ok(PAGE));
        assert!(back == one);
    }
}

#[test]
fn a_server_that_is_not_there_is_told_in_one_line() {
    // Nobody listens there any more.
    let port = free_port();
    let address: Address = format!("nbd://127.0.0.1:{port}/swap").parse().unwrap();
    let why = NbdDisk::connect(&address, QUICK).unwrap_err().to_string();
    assert!(why.starts_with(&format!("{address}: no server can be reached: ")), "{why}");
    let output = Command::new(COMMAND).args(["format", "nbd://localhost:port/"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: nbd://localhost:port/: a host and a port are to follow nbd://, as in nbd://localhost:10809/\n"
    );
    for (server, text) in
        [(&b"SSH-2.0-OpenSSH_9.2p1\r\n"[..], "it is no NBD server"), (b"", "the server ends the connection")]
    {
        let hostile = Hostile::start(move |mut stream| stream.write_all(server));
        let why = NbdDisk::connect(&hostile.address, QUICK).unwrap_err().to_string();
        assert!(why.contains(text), "{why}");
    }
    let silent = Hostile::start(|mut stream| stream.read_to_end(&mut Vec::new()).map(drop));
    let why = NbdDisk::connect(&silent.address, QUICK).unwrap_err().to_string();
    assert!(why.contains("does not answer in time"), "{why}");
}

/// A server that does with each connection what it is told to.
struct Hostile {
    address: Address,
    is_over: std::sync::Arc<AtomicBool>,
}

impl Hostile {
    fn start(serve: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("nbd://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let is_over = std::sync::Arc::new(AtomicBool::new(false));
        let ends = is_over.clone();
        let serve = std::sync::Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let serve = serve.clone();
                thread::spawn(move || serve(stream.unwrap()));
            }
        });
        Self { address, is_over }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Opens the export as an honest server would.
fn welcome(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"NBDMAGICIHAVEOPT\0\x03")?;
    // Flags, and the option with an empty name and one kind of information.
    stream.read_exact(&mut [0; 4 + 16 + 8])?;
    let option = |kind: u32, body: &[u8]| {
        let head = [&0x0003_e889_0455_65a9_u64.to_be_bytes()[..], &7_u32.to_be_bytes(), &kind.to_be_bytes()];
        [&head.concat()[..], &(body.len() as u32).to_be_bytes(), body].concat()
    };
    stream.write_all(&option(3, &[&[0, 0][..], &SIZE.to_be_bytes(), &[0, 1]].concat()))?;
    stream.write_all(&option(1, &[]))
}

/// Reads the head of a request, and says its handle.
fn request(stream: &mut TcpStream) -> std::io::Result<[u8; 8]> {
    let mut head = [0; 28];
    stream.read_exact(&mut head)?;
    Ok(head[8..16].try_into().unwrap())
}

fn reply(error: u32, handle: [u8; 8], data: &[u8]) -> Vec<u8> {
    [&0x6744_6698_u32.to_be_bytes()[..], &error.to_be_bytes(), &handle, data].concat()
}

/// Waits for whatever a busy machine brings late, and not for another server.
const PATIENT: Options =
    Options { limit: Duration::from_secs(60), reconnect: Duration::from_millis(150), discard: false };

/// Waits for nothing for long.
const HASTY: Options = Options { limit: Duration::from_millis(100), ..PATIENT };

/// Connects to a server that says welcome, if not always in time.
fn hastily(hostile: &Hostile) -> NbdDisk {
    loop {
        if let Ok(disk) = NbdDisk::connect(&hostile.address, HASTY) {
            return disk;
        }
    }
}

#[test]
fn a_server_that_is_up_to_no_good_fails_what_is_asked_and_no_more() {
    type Answer = fn(&mut TcpStream, [u8; 8]) -> std::io::Result<()>;
    let answers: [Answer; 9] = [
        // It ends the connection, says nothing, or goes on for ever without an end.
        |_, _| Ok(()),
        |stream, _| stream.read_to_end(&mut Vec::new()).map(drop),
        |stream, handle| {
            for byte in reply(0, handle, &[7; PAGE]) {
                stream.write_all(&[byte])?;
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        },
        // Another magic, another handle, one that was there before, too little, an error that is none.
        |stream, _| stream.write_all(&[0xff; 4096]),
        |stream, handle| stream.write_all(&reply(0, handle.map(|byte| !byte), &[7; PAGE])),
        |stream, handle| stream.write_all(&[reply(5, [0; 8], &[]), reply(0, handle, &[])].concat()),
        |stream, handle| stream.write_all(&reply(0, handle, &[7; 100])),
        |stream, handle| stream.write_all(&reply(u32::MAX, handle, &[7; PAGE])),
        |stream, handle| stream.write_all(&reply(108, handle, &[])),
    ];
    for answer in answers {
        let hostile = Hostile::start(move |mut stream| {
            welcome(&mut stream)?;
            let handle = request(&mut stream)?;
            answer(&mut stream, handle)
        });
        let disk = hastily(&hostile);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert_eq!(disk.read_at(0, &mut [0; PAGE]), Err(DiskError::Io)));
            }
        });
    }
}

#[test]
fn replies_come_in_any_order_and_twice_for_nobody() {
    let is_used = AtomicBool::new(false);
    let hostile = Hostile::start(move |mut stream| {
        if is_used.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        welcome(&mut stream)?;
        let mut handles = Vec::new();
        for _ in 0..3 {
            handles.push(request(&mut stream)?);
            stream.read_exact(&mut [0; PAGE])?;
        }
        handles.reverse();
        for (handle, error) in handles.into_iter().zip([0, 28, 5]) {
            stream.write_all(&reply(error, handle, &[]))?;
        }
        // The client is still there.
        let handle = request(&mut stream)?;
        stream.write_all(&[reply(0, handle, &[9; PAGE]), reply(0, handle, &[8; PAGE])].concat())?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    let disk = NbdDisk::connect(&hostile.address, PATIENT).unwrap();
    let page = page(1);
    let runs: [(u64, &[&[u8]]); 3] =
        [0, 1, 2].map(|at| (at * PAGE as u64, &[&page[..]][..].to_vec().leak()[..]));
    let mut told = Vec::new();
    disk.write_each_at(&runs, &mut |at, result| told.push((at, result)));
    told.sort_by_key(|(at, _)| *at);
    assert_eq!(told, [(0, Err(DiskError::Io)), (1, Err(DiskError::Full)), (2, Ok(PAGE))]);
    let mut back = [0; PAGE];
    assert_eq!(disk.read_at(0, &mut back), Ok(PAGE));
    assert_eq!(back, [9; PAGE]);
    assert_eq!(disk.read_at(0, &mut back), Err(DiskError::Io));
}

#[test]
fn a_server_whose_export_has_become_smaller_is_not_used_again() {
    let connections = std::sync::atomic::AtomicU64::new(0);
    let hostile = Hostile::start(move |mut stream| {
        if connections.fetch_add(1, Ordering::Relaxed) == 0 {
            return welcome(&mut stream);
        }
        let mut smaller = [0; 4096];
        stream.write_all(b"NBDMAGICIHAVEOPT\0\x03")?;
        let _ = stream.read(&mut smaller)?;
        let head = [&0x0003_e889_0455_65a9_u64.to_be_bytes()[..], &7_u32.to_be_bytes()].concat();
        let size = [&[0, 0][..], &(SIZE - 4096).to_be_bytes(), &[0, 1]].concat();
        stream.write_all(
            &[&head[..], &[0, 0, 0, 3, 0, 0, 0, 12], &size, &head, &[0, 0, 0, 1, 0, 0, 0, 0]].concat(),
        )?;
        loop {
            let handle = request(&mut stream)?;
            stream.write_all(&reply(0, handle, &[7; PAGE]))?;
        }
    });
    let disk = NbdDisk::connect(&hostile.address, PATIENT).unwrap();
    assert_eq!(disk.read_at(0, &mut [0; PAGE]), Err(DiskError::Io));
}

#[test]
fn whatever_bytes_a_server_replies_nothing_panics_or_stays() {
    let options = Options { reconnect: Duration::ZERO, ..PATIENT };
    for seed in 1..40_u64 {
        let hostile = Hostile::start(move |mut stream| {
            welcome(&mut stream)?;
            let handle = request(&mut stream)?;
            let mut state = seed;
            let mut random = move || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u8
            };
            // A reply with some of its bytes changed, more after it, or cut off.
            let mut bytes = reply(u32::from(random() % 2), handle, &[7; 2 * PAGE]);
            for _ in 0..random() % 4 {
                let at = usize::from(random() % 16);
                bytes[at] = random();
            }
            bytes.truncate(usize::from(random()) * usize::from(random()));
            stream.write_all(&bytes)
        });
        let Ok(disk) = NbdDisk::connect(&hostile.address, options) else { panic!("it was welcome") };
        let mut back = [0; PAGE];
        match disk.read_at(0, &mut back) {
            Ok(len) => assert_eq!((len, back), (PAGE, [7; PAGE])),
            Err(error) => assert_eq!(error, DiskError::Io),
        }
    }
}

#[test]
fn a_server_that_takes_nothing_does_not_hold_a_write_for_ever() {
    let hostile = Hostile::start(|mut stream| {
        welcome(&mut stream)?;
        // It reads no more than the socket holds by itself.
        thread::sleep(Duration::from_secs(1));
        match stream.set_nonblocking(true) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    });
    let disk = hastily(&hostile);
    let pages = vec![1; 64 * PAGE];
    let pieces: Vec<&[u8]> = pages.chunks(PAGE).collect();
    for _ in 0..3 {
        assert_eq!(disk.write_at(0, &pieces), Err(DiskError::Io));
    }
}

#[test]
fn whoever_waits_for_a_server_is_woken_when_the_pager_stops() {
    // What a request would wait for lasts longer than any test may.
    const FOR_EVER: Duration = Duration::from_secs(1 << 20);
    let options = Options { limit: FOR_EVER, reconnect: FOR_EVER, discard: false };
    // Servers that never answer; that go, and let nobody in again; that go, and are silent to whoever
    // connects.
    for [goes, is_silent] in [[false, false], [true, false], [true, true]] {
        let connections = std::sync::atomic::AtomicU64::new(0);
        let (asked, is_asked) = std::sync::mpsc::channel();
        let hostile = Hostile::start(move |mut stream| {
            let is_first = connections.fetch_add(1, Ordering::Relaxed) == 0;
            if is_first {
                welcome(&mut stream)?;
                request(&mut stream)?;
            }
            let _ = asked.send(());
            if if is_first { goes } else { !is_silent } {
                return Ok(());
            }
            stream.read_to_end(&mut Vec::new()).map(drop)
        });
        let disk = NbdDisk::connect(&hostile.address, options).unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert_eq!(disk.read_at(0, &mut [0; PAGE]), Err(DiskError::Io)));
            }
            // The request has come, and where the server went so has the next connection.
            (0..=u8::from(goes)).for_each(|_| is_asked.recv().unwrap());
            disk.stop_waiting();
        });
        assert_eq!(disk.read_at(0, &mut [0; PAGE]), Err(DiskError::Io), "nor does anybody wait later");
    }
}

#[test]
fn a_server_that_answers_is_waited_for_when_the_pager_stops() {
    let hostile = Hostile::start(|mut stream| {
        welcome(&mut stream)?;
        loop {
            let handle = request(&mut stream)?;
            stream.write_all(&reply(0, handle, &[7; PAGE]))?;
        }
    });
    let disk = NbdDisk::connect(&hostile.address, Options::default()).unwrap();
    disk.stop_waiting();
    let mut back = [0; PAGE];
    assert_eq!(disk.read_at(0, &mut back), Ok(PAGE));
    assert_eq!(back, [7; PAGE]);
}
