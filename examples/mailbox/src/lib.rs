//! A mail office: the server of the tutorial (`docs/book/guide.md`).

use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, CString};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mach_defs::native::notify::{self, Notify};
use mig_runtime::{
    KernReturn, Kernel, Name, Notification, Port, PortSet, ReceiveRight, ReplyTo, SendRight, Server, Stop,
};

/// The interface of clients.
#[allow(missing_docs)]
pub mod mailbox {
    mig_runtime::include_interface!("mailbox");
}
/// The interface of whoever runs the office.
#[allow(missing_docs)]
pub mod postmaster {
    mig_runtime::include_interface!("postmaster");
}
use mailbox::{Abi, Mailbox};
use postmaster::{Postmaster, PostmasterCountReply};

/// What a program that uses the office may meet.
pub type Error = Box<dyn std::error::Error>;

/// From this many boxes on no more are opened.
const MANY: usize = 10_000;

/// A box has at most this many letters, and this many clients that wait for one.
const FULL: usize = 1000;

/// The server's object.
pub struct Office<K: Kernel> {
    /// What the server receives from: the two ports below, and one for each box.
    ports: PortSet<K>,
    /// Where clients open boxes.
    pub office: ReceiveRight<K>,
    /// Where the office is run from.
    pub postmaster: ReceiveRight<K>,
    stop: Stop<K>,
    boxes: Mutex<HashMap<Name, Mail<K>>>,
}

struct Mail<K: Kernel> {
    /// With it the port is destroyed.
    _port: ReceiveRight<K>,
    letters: VecDeque<CString>,
    /// Clients that wait for a letter.
    waiting: VecDeque<ReplyTo<K>>,
}

impl<K: Kernel<Abi = Abi>> Office<K> {
    /// An office without boxes.
    ///
    /// # Errors
    ///
    /// As `mach_port_allocate`.
    pub fn new(kernel: &K) -> Result<Self, KernReturn> {
        let (office, postmaster) = (ReceiveRight::allocate(kernel)?, ReceiveRight::allocate(kernel)?);
        let ports = PortSet::allocate(kernel)?;
        ports.insert(&office)?;
        ports.insert(&postmaster)?;
        Ok(Self { ports, office, postmaster, stop: Stop::new(kernel)?, boxes: Mutex::default() })
    }

    /// What serves it, with four threads.
    pub fn server(&self) -> Server<'_, K>
    where
        Self: Sync,
    {
        Server::until(&self.ports, &self.stop)
            .with(mailbox::mailbox(self))
            .with(postmaster::postmaster(self))
            .with(notify::notify(self))
            .threads(4)
    }

    /// A panic of another thread has not left half a letter here.
    fn boxes(&self) -> MutexGuard<'_, HashMap<Name, Mail<K>>> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Kernel<Abi = Abi>> Mailbox<K> for Office<K> {
    fn mailbox_open(&self, office: Port<'_, K>) -> Result<SendRight<K>, KernReturn> {
        if office.name() != self.office.name() {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        if self.boxes().len() >= MANY {
            return Err(KernReturn::KERN_RESOURCE_SHORTAGE);
        }
        let port = ReceiveRight::allocate(office.kernel())?;
        // The news comes to the port of the box itself, and not before the one right to it has been made.
        port.request_notification(Notification::NoSenders { sync: 1 }, &port)?;
        self.ports.insert(&port)?;
        let right = port.make_send()?;
        let empty = Mail { letters: VecDeque::new(), waiting: VecDeque::new(), _port: port };
        self.boxes().insert(right.name(), empty);
        Ok(right)
    }

    fn mailbox_post(&self, port: Port<'_, K>, letter: &CStr) -> Result<(), KernReturn> {
        let mut boxes = self.boxes();
        let mail = boxes.get_mut(&port.name()).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        // Whoever has given up meanwhile cannot be answered, and the letter is for the next.
        while let Some(client) = mail.waiting.pop_front() {
            if mailbox::mailbox_take_reply(client, Ok(letter.to_owned())).is_ok() {
                return Ok(());
            }
        }
        if mail.letters.len() == FULL {
            return Err(KernReturn::KERN_RESOURCE_SHORTAGE);
        }
        mail.letters.push_back(letter.to_owned());
        Ok(())
    }

    fn mailbox_take(&self, port: Port<'_, K>) -> Result<CString, KernReturn> {
        let mut boxes = self.boxes();
        let mail = boxes.get_mut(&port.name()).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        if let Some(letter) = mail.letters.pop_front() {
            return Ok(letter);
        }
        if mail.waiting.len() == FULL {
            mail.waiting.pop_front(); // it may have given up long ago
        }
        mail.waiting.push_back(port.defer());
        Err(KernReturn::MIG_NO_REPLY)
    }
}

impl<K: Kernel<Abi = Abi>> Postmaster<K> for Office<K> {
    fn postmaster_count(&self, port: Port<'_, K>) -> Result<PostmasterCountReply, KernReturn> {
        if port.name() != self.postmaster.name() {
            return Err(KernReturn::KERN_NO_ACCESS);
        }
        let boxes = self.boxes();
        let letters: usize = boxes.values().map(|mail| mail.letters.len()).sum();
        Ok(PostmasterCountReply { boxes: boxes.len() as i32, letters: letters as i32 })
    }

    fn postmaster_close(&self, port: Port<'_, K>) -> Result<(), KernReturn> {
        if port.name() == self.postmaster.name() {
            self.stop.stop();
        }
        Ok(())
    }
}

impl<K: Kernel<Abi = Abi>> Notify<K> for Office<K> {
    fn mach_notify_no_senders(&self, port: Port<'_, K>, _mscount: u32) -> Result<(), KernReturn> {
        // Clients can send such a message too, but only the kernel has the send-once right that it was asked
        // for with.
        if !port.is_send_once() {
            return Err(KernReturn::KERN_INVALID_RIGHT);
        }
        let closed = self.boxes().remove(&port.name());
        drop(closed); // without the lock, since this releases rights
        Ok(())
    }
}
