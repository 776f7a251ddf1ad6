//! Paging space on a server of NBD, the network block device: `qemu-nbd`, `nbdkit`, and what stands behind
//! them.
//!
//! ```no_run
//! use mach_pager::store::{Store, nbd};
//! use mig_runtime::platform::Std;
//!
//! let address = "nbd://localhost/swap".parse()?;
//! nbd::format(&address, true)?;
//! let store = nbd::open::<Std>(&address)?;
//! println!("room for {} pages", store.space().free);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What goes over the wire is neither encrypted nor is it known who answers: on a network that others use,
//! take [`Options::open_encrypted`], or a tunnel. A server has no way to say that an export is in use, so two
//! pagers on one export spoil each other's pages, which their checksums tell. A server on the same machine
//! needs memory to take a page, which there may be none of when the pager frees some.

mod address;
mod connection;
mod protocol;

use std::boxed::Box;
use std::fmt;
use std::io;
use std::string::String;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::vec::Vec;

use mig_runtime::platform::Platform;

pub use self::address::{Address, AddressError};
use self::connection::{Connection, Lost, Patience, Place, Sent};
use self::protocol::{Command, Export, Failure};
use super::disk::{Disk, DiskError, RUN};
use super::file::{self, PAGE_SIZE};
use super::protection::Protection;
use super::superblock::{self, Header, HeaderError};
use super::swap::SwapStore;

/// Writes that are under way at once by one thread.
const AT_ONCE: usize = 16;

/// How long it takes from one try to connect to the next, at first and at most.
const AGAIN: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// Errors of a server: there is no room, and it is shutting down.
const NO_SPACE: u32 = 28;
const SHUTDOWN: u32 = 108;

/// True if a text means an export, and not a file: it begins as an [`Address`] does.
pub fn is_address(text: &str) -> bool {
    ["nbd:", "nbds:", "nbd+unix:", "nbds+unix:"].iter().any(|scheme| text.starts_with(scheme))
}

/// How a server is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long it may take for a reply, and to connect.
    pub limit: Duration,
    /// How long a request is tried once its connection is lost. Meanwhile its thread waits; after that it
    /// fails, and so do others at once, until the server is there again.
    pub reconnect: Duration,
    /// The server is told of room that is empty, a [zone](super::ZONE_SLOTS) at a time.
    pub discard: bool,
}

impl Default for Options {
    /// Ten seconds for a reply, a minute to connect again.
    fn default() -> Self {
        Self { limit: Duration::from_secs(10), reconnect: Duration::from_secs(60), discard: false }
    }
}

impl Options {
    /// Opens an export that is swap space.
    ///
    /// # Errors
    ///
    /// [`NbdError`].
    pub fn open<P: Platform>(self, address: &Address) -> Result<SwapStore<NbdDisk, P>, NbdError> {
        self.open_with(address, SwapStore::open)
    }

    /// The same, and encrypts every page, with keys that are nowhere but in memory.
    ///
    /// # Errors
    ///
    /// [`NbdError`].
    #[cfg(feature = "encryption")]
    pub fn open_encrypted<P: Platform>(
        self,
        address: &Address,
    ) -> Result<SwapStore<NbdDisk, P, super::Encryption<P>>, NbdError> {
        self.open_with(address, |disk| SwapStore::encrypted(disk, file::random))
    }

    fn open_with<P: Platform, C: Protection>(
        self,
        address: &Address,
        store: impl FnOnce(NbdDisk) -> Result<SwapStore<NbdDisk, P, C>, HeaderError>,
    ) -> Result<SwapStore<NbdDisk, P, C>, NbdError> {
        let disk = NbdDisk::connect(address, self)?;
        store(disk).map_err(|error| NbdError::new(address, Problem::Header(error)))
    }
}

/// Opens an export that is swap space.
///
/// # Errors
///
/// [`NbdError`].
pub fn open<P: Platform>(address: &Address) -> Result<SwapStore<NbdDisk, P>, NbdError> {
    Options::default().open(address)
}

/// Makes an export swap space, all of it. What is there already is overwritten only if it is swap space that
/// this function made, or if `force` says so.
///
/// # Errors
///
/// [`NbdError`]; what was there is as it was.
pub fn format(address: &Address, force: bool) -> Result<Header, NbdError> {
    let told = |problem| NbdError::new(address, problem);
    let disk = NbdDisk::connect(address, Options::default())?;
    if !force && !file::is_ours(&disk) {
        return Err(told(Problem::NotOurs));
    }
    let uuid = file::random_uuid().map_err(|error| told(Problem::Io(error.into())))?;
    superblock::format(&disk, PAGE_SIZE, uuid).map_err(|error| told(Problem::Header(error)))
}

/// An export of a server.
///
/// Any number of threads have their requests under way over one connection. A reply that takes too long ends
/// it, as does one that makes no sense; then one thread connects again, and each sends what it has no reply
/// to once more, which is harmless: a page is never written over another. Only a request that has had none
/// for [`Options::reconnect`] fails, and with it the page that it was for. The name of a host is looked up
/// once, when it is first connected to.
///
/// Once [nobody is to wait](Disk::stop_waiting), a reply may take a second, and without a connection a
/// request fails at once.
pub struct NbdDisk {
    address: Address,
    place: Place,
    options: Options,
    patience: Patience,
    export: Export,
    link: Mutex<Link>,
    /// There is a connection, or a try has failed, or nobody is to wait for that.
    tried: Condvar,
}

struct Link {
    connection: Option<Arc<Connection>>,
    /// When the last one was lost, if there is none since.
    lost: Option<Instant>,
    is_connecting: bool,
    /// No try before this, and how long after it if it fails.
    next: Instant,
    pause: Duration,
}

impl fmt::Debug for NbdDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NbdDisk").field("address", &self.address).field("export", &self.export).finish()
    }
}

impl NbdDisk {
    /// Connects to a server.
    ///
    /// # Errors
    ///
    /// [`NbdError`] if there is none within [`Options::limit`], or it does not have the export.
    pub fn connect(address: &Address, options: Options) -> Result<Self, NbdError> {
        let told = |problem| NbdError::new(address, problem);
        let place = Place::of(&address.server).map_err(|error| told(Problem::Io(error)))?;
        let patience = Patience::new(options.limit);
        let opened = Connection::open(&place, &address.export, patience.clone());
        let (connection, export) = opened.map_err(|failure| told(failure.into()))?;
        let link = Link {
            connection: Some(Arc::new(connection)),
            lost: None,
            is_connecting: false,
            next: Instant::now(),
            pause: AGAIN[0],
        };
        Ok(Self {
            address: address.clone(),
            place,
            options,
            patience,
            export,
            link: Mutex::new(link),
            tried: Condvar::new(),
        })
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, or a new one, for a request that has had none since this time. `None` if that takes
    /// too long.
    fn connection(&self, since: &mut Option<Instant>) -> Option<Arc<Connection>> {
        let mut link = self.link();
        loop {
            let now = Instant::now();
            if link.connection.as_ref().is_some_and(|connection| connection.is_dead()) {
                link.connection = None;
                link.lost = Some(now);
                (link.next, link.pause) = (now, AGAIN[0]);
            }
            if let Some(connection) = &link.connection {
                return Some(connection.clone());
            }
            if self.patience.has_ended() {
                return None;
            }
            // As long as one request waits, all do; one that comes later does not wait anew.
            let since = *since.get_or_insert(link.lost.unwrap_or(now));
            let is_over = now.saturating_duration_since(since) >= self.options.reconnect;
            if !link.is_connecting && now >= link.next {
                link.is_connecting = true;
                drop(link);
                let connection = self.connect_again();
                link = self.link();
                link.is_connecting = false;
                link.next = Instant::now() + link.pause;
                link.pause = (2 * link.pause).min(AGAIN[1]);
                if connection.is_some() {
                    link.lost = None;
                }
                link.connection = connection;
                self.tried.notify_all();
                if link.connection.is_some() {
                    continue;
                }
            }
            if is_over {
                return None;
            }
            let end = since + self.options.reconnect;
            let until = if link.is_connecting { end } else { link.next.min(end) };
            let left = until.saturating_duration_since(Instant::now());
            link = self.tried.wait_timeout(link, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// A connection to the same export.
    fn connect_again(&self) -> Option<Arc<Connection>> {
        let (connection, export) =
            Connection::open(&self.place, &self.address.export, self.patience.clone()).ok()?;
        let is_same = export.size >= self.export.size
            && export.block <= self.export.block
            && export.most >= self.export.most;
        is_same.then(|| Arc::new(connection))
    }

    /// Has something done, as often as it takes. Returns the data of the reply.
    fn transfer(
        &self,
        command: Command,
        offset: u64,
        len: usize,
        data: &[&[u8]],
    ) -> Result<Vec<u8>, DiskError> {
        let expected = if command == Command::Read { len } else { 0 };
        let mut since = None;
        loop {
            let connection = self.connection(&mut since).ok_or(DiskError::Io)?;
            let sent = connection.send(command, offset, len, data, expected);
            match sent.and_then(|sent| connection.reply(sent)) {
                Ok((SHUTDOWN, _)) | Err(Lost) => {}
                Ok(reply) => return outcome(reply),
            }
            // Also of a server that opens the export again and again, and does nothing.
            let since = *since.get_or_insert_with(Instant::now);
            if since.elapsed() >= self.options.reconnect {
                return Err(DiskError::Io);
            }
        }
    }

    /// Sends a write, if there is a connection.
    fn send(&self, offset: u64, pieces: &[&[u8]]) -> Option<(Arc<Connection>, Sent)> {
        let connection = self.link().connection.clone()?;
        let len = pieces.iter().map(|piece| piece.len()).sum();
        let sent = connection.send(Command::Write, offset, len, pieces, 0).ok()?;
        Some((connection, sent))
    }

    /// How many of these pieces go into a request.
    fn fitting(&self, pieces: &[&[u8]]) -> (usize, usize) {
        let mut len = 0;
        let fits = |piece: &&&[u8]| {
            len += piece.len();
            len <= self.export.most
        };
        let count = pieces.iter().take(RUN).take_while(fits).count();
        (count, pieces[..count].iter().map(|piece| piece.len()).sum())
    }
}

fn outcome((error, data): (u32, Vec<u8>)) -> Result<Vec<u8>, DiskError> {
    match error {
        0 => Ok(data),
        NO_SPACE => Err(DiskError::Full),
        _ => Err(DiskError::Io),
    }
}

impl Disk for NbdDisk {
    fn size(&self) -> u64 {
        self.export.size
    }

    fn record_size(&self) -> usize {
        self.export.block
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let len = buffer.len().min(self.export.most);
        let data = self.transfer(Command::Read, offset, len, &[])?;
        buffer[..len].copy_from_slice(&data);
        Ok(len)
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let (count, len) = self.fitting(pieces);
        if count == 0 {
            // The first one alone is too long.
            let first = pieces.first().map_or(&[][..], |piece| &piece[..piece.len().min(self.export.most)]);
            return self.transfer(Command::Write, offset, first.len(), &[first]).map(|_| first.len());
        }
        self.transfer(Command::Write, offset, len, &pieces[..count]).map(|_| len)
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    /// All are sent before the first reply is waited for.
    fn write_each_at(&self, runs: &[(u64, &[&[u8]])], done: &mut dyn FnMut(usize, Result<usize, DiskError>)) {
        let fits = |pieces: &[&[u8]]| self.fitting(pieces).0 == pieces.len();
        let sent: Vec<_> = runs
            .iter()
            .map(|(offset, pieces)| if fits(pieces) { self.send(*offset, pieces) } else { None })
            .collect();
        for (at, (sent, (offset, pieces))) in sent.into_iter().zip(runs).enumerate() {
            let reply = sent.and_then(|(connection, sent)| connection.reply(sent).ok());
            let len = pieces.iter().map(|piece| piece.len()).sum();
            match reply {
                // Once more, which takes what time it may.
                None | Some((SHUTDOWN, _)) => done(at, self.write_at(*offset, pieces)),
                Some(reply) => done(at, outcome(reply).map(|_| len)),
            }
        }
    }

    /// A request takes about as long for one page as for many.
    fn prefers_long_writes(&self) -> bool {
        true
    }

    fn flush(&self) -> Result<(), DiskError> {
        if !self.export.can_flush {
            return Ok(());
        }
        self.transfer(Command::Flush, 0, 0, &[]).map(drop)
    }

    fn discard(&self, offset: u64, len: u64) {
        let Ok(len) = u32::try_from(len) else { return };
        if self.options.discard && self.export.can_trim {
            // A server that cannot do it keeps the room.
            let _ = self.transfer(Command::Trim, offset, len as usize, &[]);
        }
    }

    fn stop_waiting(&self) {
        self.patience.end();
        // With the lock, so that nobody has looked before and waits only now.
        drop(self.link());
        self.tried.notify_all();
    }
}

/// What is wrong with an export.
#[derive(Debug)]
pub struct NbdError {
    address: Box<Address>,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Io(io::Error),
    Protocol(&'static str),
    Refused(String),
    ReadOnly,
    NotOurs,
    Header(HeaderError),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Io(error) => Self::Io(error),
            Failure::Protocol(why) => Self::Protocol(why),
            Failure::Refused(why) => Self::Refused(why),
            Failure::ReadOnly => Self::ReadOnly,
        }
    }
}

impl NbdError {
    fn new(address: &Address, problem: Problem) -> Self {
        Self { address: Box::new(address.clone()), problem }
    }
}

impl fmt::Display for NbdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.address)?;
        match &self.problem {
            Problem::Io(error) if is_late(error) => {
                f.write_str("the server does not answer in time; is it stopped, or is it no NBD server?")
            }
            Problem::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => f.write_str(
                "the server ends the connection; does it take another client, or another protocol?",
            ),
            Problem::Io(error) => {
                write!(f, "no server can be reached: {error}; is one started, and is the address right?")
            }
            Problem::Protocol(why) => write!(f, "the server is of no use: {why}"),
            Problem::Refused(why) => write!(f, "the server says: {why}"),
            Problem::ReadOnly => {
                f.write_str("the export can only be read; start the server so that it can be written")
            }
            Problem::NotOurs => f.write_str("it is not swap space of this program; --force overwrites it"),
            Problem::Header(error @ HeaderError::NotSwap) => {
                write!(f, "{error}; mach-pager format --force makes it that")
            }
            Problem::Header(error) => error.fmt(f),
        }
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

impl std::error::Error for NbdError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Io(error) => Some(error),
            Problem::Header(error) => Some(error),
            _ => None,
        }
    }
}
