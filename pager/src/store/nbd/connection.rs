//! A connection to a server, with any number of requests under way.
//!
//! There is no thread that reads: whoever waits for a reply reads them all, one after the other, until its
//! own has come, and leaves the others for their threads. When anything goes wrong, or takes too long, the
//! connection is dead for everybody.

use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::vec;
use std::vec::Vec;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::addr::SocketAddrArg;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sendmsg,
};

use super::address::Server;
use super::protocol::{self, Command, Export, Failure, REPLY_HEAD};
use crate::store::disk::RUN;

/// How long a server may take for anything once it is not to be waited for.
const HURRY: Duration = Duration::from_secs(1);

/// How often a thread that waits for a server looks whether it still may.
const LOOK: Duration = Duration::from_millis(100);

/// How long a server may take.
#[derive(Clone)]
pub(super) struct Patience {
    /// For a reply, and to connect.
    limit: Duration,
    /// Since when it is not to be waited for any longer than it takes to say something.
    stopped: Arc<OnceLock<Instant>>,
}

impl Patience {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, stopped: Arc::default() }
    }

    /// From now on nobody waits for a server that does not answer.
    pub(super) fn end(&self) {
        let _ = self.stopped.set(Instant::now());
    }

    pub(super) fn has_ended(&self) -> bool {
        self.stopped.get().is_some()
    }

    /// How long what began at this time may still take.
    fn left(&self, since: Instant) -> Duration {
        let until = since + self.limit;
        let until = self.stopped.get().map_or(until, |stopped| until.min(since.max(*stopped) + HURRY));
        until.saturating_duration_since(Instant::now())
    }

    /// The same, until the next look at it. An error at the end.
    fn until_next_look(&self, since: Instant) -> io::Result<Duration> {
        let left = self.left(since);
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left.min(LOOK)) }
    }
}

/// A connection that has opened its export.
pub(super) struct Connection {
    socket: Socket,
    patience: Patience,
    /// Held while a request is sent, so that it is in one piece.
    sending: Mutex<()>,
    state: Mutex<State>,
    /// A reply has come, or nobody reads.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The handle of the last request.
    last: u64,
    /// Requests without a reply, and how many bytes theirs is to have.
    open: HashMap<u64, usize>,
    /// Replies that their threads have not taken yet: an error, and data.
    replies: HashMap<u64, (u32, Vec<u8>)>,
    /// A thread reads.
    is_read: bool,
    is_dead: bool,
}

/// The connection is dead, or the request took too long. Nobody knows what has become of it.
pub(super) struct Lost;

/// A request that has been sent.
#[must_use = "its reply is to be taken"]
pub(super) struct Sent {
    handle: u64,
    since: Instant,
}

impl Connection {
    /// Connects, and opens the export, as long as there is patience.
    pub(super) fn open(place: &Place, export: &str, patience: Patience) -> Result<(Self, Export), Failure> {
        let since = Instant::now();
        let socket = Socket::connect(place, since, &patience)?;
        let export = protocol::handshake(&mut Timed { socket: &socket, since, patience: &patience }, export)?;
        let (sending, state, changed) = (Mutex::new(()), Mutex::default(), Condvar::new());
        Ok((Self { socket, patience, sending, state, changed }, export))
    }

    fn stream(&self, since: Instant) -> Timed<'_> {
        Timed { socket: &self.socket, since, patience: &self.patience }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Sends a request, with data if it is a write, whose reply is to have `expected` bytes of data.
    pub(super) fn send(
        &self,
        command: Command,
        offset: u64,
        len: usize,
        data: &[&[u8]],
        expected: usize,
    ) -> Result<Sent, Lost> {
        let since = Instant::now();
        let handle = {
            let mut state = self.state();
            if state.is_dead {
                return Err(Lost);
            }
            state.last += 1;
            let handle = state.last;
            state.open.insert(handle, expected);
            handle
        };
        let head = protocol::request(command, handle, offset, len as u32);
        let mut slices = [IoSlice::new(&[]); 1 + RUN];
        slices[0] = IoSlice::new(&head);
        slices[1..].iter_mut().zip(data).for_each(|(slice, piece)| *slice = IoSlice::new(piece));
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = self.stream(since).write_slices(&mut slices[..1 + data.len()]);
        drop(sending);
        match sent {
            Ok(()) => Ok(Sent { handle, since }),
            Err(_) => Err(self.die()),
        }
    }

    /// Waits for the reply to a request: an error, or 0, and data.
    pub(super) fn reply(&self, sent: Sent) -> Result<(u32, Vec<u8>), Lost> {
        let mut state = self.state();
        loop {
            if let Some(reply) = state.replies.remove(&sent.handle) {
                return Ok(reply);
            }
            if state.is_dead {
                return Err(Lost);
            }
            let Ok(left) = self.patience.until_next_look(sent.since) else {
                drop(state);
                return Err(self.die());
            };
            if state.is_read {
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            state.is_read = true;
            drop(state);
            let read = self.read_reply(sent.since);
            state = self.state();
            state.is_read = false;
            match read {
                Some((handle, reply)) => drop(state.replies.insert(handle, reply)),
                None => state.is_dead = true,
            }
            self.changed.notify_all();
        }
    }

    /// Reads a reply to whichever request. `None` if there is none such, or it takes too long for a request
    /// of this time.
    fn read_reply(&self, since: Instant) -> Option<(u64, (u32, Vec<u8>))> {
        let mut stream = self.stream(since);
        let mut head = [0; REPLY_HEAD];
        stream.read_exact(&mut head).ok()?;
        let (error, handle) = protocol::reply(&head)?;
        let expected = self.state().open.remove(&handle)?;
        let mut data = vec![0; if error == 0 { expected } else { 0 }];
        stream.read_exact(&mut data).ok()?;
        Some((handle, (error, data)))
    }

    /// Ends the connection, whose threads are told.
    fn die(&self) -> Lost {
        self.state().is_dead = true;
        self.socket.shut_down();
        self.changed.notify_all();
        Lost
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    /// Says goodbye, if the server listens.
    fn drop(&mut self) {
        if !self.is_dead() {
            let head = protocol::request(Command::Disconnect, 0, 0, 0);
            let patience = Patience::new(self.patience.limit.min(HURRY));
            let mut stream = Timed { socket: &self.socket, since: Instant::now(), patience: &patience };
            let _ = stream.write_all(&head);
        }
    }
}

/// Where a server listens, with the name of its host looked up.
pub(super) enum Place {
    Tcp(Vec<SocketAddr>),
    Unix(PathBuf),
}

impl Place {
    /// Looks the name up. It is done once and not for each connection: the C library holds locks for that,
    /// and another thread that has one may be waiting for a page of this store.
    pub(super) fn of(server: &Server) -> io::Result<Self> {
        Ok(match server {
            Server::Unix(path) => Self::Unix(path.clone()),
            Server::Tcp(host, port) => Self::Tcp((&**host, *port).to_socket_addrs()?.collect()),
        })
    }
}

/// Connects a socket to an address. Now and then it is looked whether there is patience still.
fn connect(
    family: AddressFamily,
    address: &impl SocketAddrArg,
    since: Instant,
    patience: &Patience,
) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    loop {
        let time = patience.until_next_look(since)?;
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        match poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&time)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    rustix::net::sockopt::socket_error(&socket)??;
    rustix::io::ioctl_fionbio(&socket, false)?;
    Ok(socket)
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn connect(place: &Place, since: Instant, patience: &Patience) -> io::Result<Self> {
        let addresses = match place {
            Place::Unix(path) => {
                let address = SocketAddrUnix::new(path)?;
                return Ok(Self::Unix(connect(AddressFamily::UNIX, &address, since, patience)?.into()));
            }
            Place::Tcp(addresses) => addresses,
        };
        let mut why = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in addresses {
            let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
            match connect(family, address, since, patience).map(TcpStream::from) {
                // Requests are small, and each is waited for.
                Ok(stream) => return stream.set_nodelay(true).map(|()| Self::Tcp(stream)),
                Err(error) => why = error,
            }
            if patience.left(since).is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        Err(why)
    }

    fn limit_read(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_read_timeout(Some(limit)),
        }
    }

    fn limit_write(&self, limit: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_write_timeout(Some(limit)),
        }
    }

    fn shut_down(&self) {
        // What is shut down already stays so.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

/// A socket as long as there is patience: a server that sends a byte now and then does not stay for longer.
struct Timed<'a> {
    socket: &'a Socket,
    since: Instant,
    patience: &'a Patience,
}

impl Timed<'_> {
    /// Does a transfer that takes as long as it is given. Now and then it is looked whether there is
    /// patience still.
    fn transfer(
        &self,
        mut transfer: impl FnMut(&Socket, Duration) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            match transfer(self.socket, self.patience.until_next_look(self.since)?) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                result => return result,
            }
        }
    }

    /// Writes all of these.
    fn write_slices(&mut self, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            match self.write_vectored(slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut slices, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.transfer(|socket, time| {
            socket.limit_read(time)?;
            match socket {
                Socket::Tcp(stream) => (&mut &*stream).read(buffer),
                Socket::Unix(stream) => (&mut &*stream).read(buffer),
            }
        })
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.transfer(|socket, time| {
            socket.limit_write(time)?;
            // Not `write_vectored` of the standard library: where the server has gone it raises SIGPIPE,
            // which ends a program that is not Rust's.
            let mut nothing = SendAncillaryBuffer::default();
            let sent = match socket {
                Socket::Tcp(stream) => sendmsg(stream, slices, &mut nothing, SendFlags::NOSIGNAL),
                Socket::Unix(stream) => sendmsg(stream, slices, &mut nothing, SendFlags::NOSIGNAL),
            };
            Ok(sent?)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
