//! A disk that the kernel drives, by the device interface, or that a program drives which offers the same.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::cell::Cell;
use core::time::Duration;

use gnumach::{Bare, GnuMach};
use mach_defs::gnu::device_reply::{DeviceReply, device_reply_server};
use mach_defs::gnu::device_request;
use mach_pager::store::{Disk, DiskError};
use mig_runtime::kernel::NoWait;
use mig_runtime::platform::{Mutex, Platform};
use mig_runtime::{
    CallError, KernReturn, MsgBuf, OolMemory, Port, Receive, ReceiveError, ReceiveRight, Received, Reply,
    SendRight,
};

use self::patient::{device_get_status, device_open};

/// The calls that have an answer at once, unless the device is silent.
mod patient {
    mig_runtime::include_interface!("patient");
}

/// `D_READ | D_WRITE`
const READ_WRITE: u32 = 3;

/// `DEV_GET_RECORDS`: how many records, and their size.
const GET_RECORDS: u32 = 1;

/// Bytes in one call: what the kernel's driver takes at once.
const TRANSFER: usize = 128 << 10;

/// How many threads write at once: those of the pager that do nothing else, and one that moves pages.
const WRITERS: usize = 3;

/// How many threads have calls at once: those, and those that supply pages.
const CALLS: usize = 8;

/// How long a device may take for a transfer, and to take the message that asks for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a message is sent again that a device has no room for.
const AGAIN: Duration = Duration::from_millis(10);

/// A message to a device never waits for room in its queue.
type Task = NoWait<GnuMach>;

/// An open device.
///
/// Whoever drives it may never answer, and a thread that waits for it has other devices to serve. So each
/// transfer is given up after [`PATIENCE`]. The device owes that answer still: until it has come, no other
/// transfer begins. For a write that was given up may be done later, and a page that has been written to the
/// same place since would be lost by it.
pub(crate) struct Device {
    device: SendRight<Task>,
    records: u64,
    record_size: usize,
    calls: Mutex<Bare, Calls>,
    /// Memory to put pieces together in, as the interface has one range in a call. It is there from the
    /// start, for the threads that write must not need any more.
    buffers: Mutex<Bare, Vec<Vec<u8>>>,
}

/// Ports for answers, each for one call.
struct Calls {
    free: Vec<ReceiveRight<Task>>,
    /// Those of transfers that were given up.
    owed: Vec<ReceiveRight<Task>>,
    /// How many of those there are, with one that a thread looks at.
    owes: usize,
}

/// What a device has said.
enum Answer {
    Read(OolMemory<Task>),
    Written(i32),
}

impl Device {
    /// Opens a device by its name.
    pub(crate) fn open(master: &gnumach::SendRight, name: &str) -> Result<Self, KernReturn> {
        let name = CString::new(name).map_err(|_| KernReturn::KERN_INVALID_ARGUMENT)?;
        Self::attach(device_open(master, READ_WRITE, &name)?)
    }

    /// Uses a device that is open.
    pub(crate) fn attach(device: gnumach::SendRight) -> Result<Self, KernReturn> {
        let status = device_get_status(&device, GET_RECORDS, 2)?;
        let [records, record_size] = *status else { return Err(KernReturn::KERN_INVALID_ARGUMENT) };
        let (records, record_size) = (records as u32, record_size as usize);
        if !record_size.is_power_of_two() || record_size > TRANSFER {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        let buffers = (0..WRITERS).map(|_| Vec::with_capacity(TRANSFER)).collect();
        let free = (0..CALLS).map(|_| ReceiveRight::allocate(&NoWait::new(GnuMach)));
        let calls = Calls { free: free.collect::<Result<_, _>>()?, owed: Vec::with_capacity(CALLS), owes: 0 };
        Ok(Self {
            device: NoWait::right(device),
            records: records.into(),
            record_size,
            calls: Mutex::<Bare, _>::new(calls),
            buffers: Mutex::<Bare, _>::new(buffers),
        })
    }

    /// The number of the record at an offset.
    #[allow(clippy::useless_conversion)] // on x86_64 only
    fn record(&self, offset: u64) -> Result<device_request::Recnum, DiskError> {
        (offset / self.record_size as u64).try_into().map_err(|_| DiskError::Io)
    }

    /// At most [`TRANSFER`] bytes of the pieces, in one.
    fn gather(&self, pieces: &[&[u8]]) -> Vec<u8> {
        let free = self.buffers.lock().pop();
        let mut buffer = free.unwrap_or_else(|| Vec::with_capacity(TRANSFER));
        for piece in pieces {
            let room = TRANSFER - buffer.len();
            buffer.extend_from_slice(&piece[..room.min(piece.len())]);
        }
        buffer
    }

    /// Has the device do something, and waits for the answer.
    fn call(
        &self,
        ask: impl Fn(&SendRight<Task>, &ReceiveRight<Task>) -> Result<(), CallError<Task>>,
    ) -> Result<Answer, DiskError> {
        let port = self.port()?;
        let mut answer = Some(Err(DiskError::Io));
        if self.is_asked(|| ask(&self.device, &port)) {
            answer = answer_at(&port, PATIENCE);
        }
        let mut calls = self.calls.lock();
        match answer {
            Some(answer) => {
                calls.free.push(port);
                answer
            }
            None => {
                calls.owed.push(port);
                calls.owes += 1;
                Err(DiskError::Io)
            }
        }
    }

    /// Sends a message, once the device has room for it. False if it has not.
    fn is_asked(&self, ask: impl Fn() -> Result<(), CallError<Task>>) -> bool {
        let start = Bare::now();
        loop {
            match ask().map_err(KernReturn::from) {
                Ok(()) => return true,
                Err(KernReturn::MACH_SEND_TIMED_OUT) if Bare::now() - start < PATIENCE.as_nanos() as u64 => {
                    gnumach::sleep(AGAIN);
                }
                Err(_) => return false,
            }
        }
    }

    /// A port for an answer, unless the device owes others.
    fn port(&self) -> Result<ReceiveRight<Task>, DiskError> {
        let mut calls = self.calls.lock();
        while calls.owes > 0 {
            // Another thread may be looking.
            let port = calls.owed.pop().ok_or(DiskError::Io)?;
            drop(calls);
            let has_come = answer_at(&port, Duration::ZERO).is_some();
            calls = self.calls.lock();
            if !has_come {
                calls.owed.push(port);
                return Err(DiskError::Io);
            }
            calls.free.push(port);
            calls.owes -= 1;
        }
        calls.free.pop().ok_or(DiskError::Io)
    }
}

/// The answer that has come to a port, or comes within this time.
fn answer_at(port: &ReceiveRight<Task>, time: Duration) -> Option<Result<Answer, DiskError>> {
    let kernel = port.kernel();
    let mut buffer = MsgBuf::<256>::new();
    let receive = Receive { timeout: Some(time.as_millis() as u32), ..Receive::from(port.name()) };
    let mut message = match Received::receive(kernel, buffer.words(), receive) {
        Ok(message) => message,
        Err(ReceiveError::Lost(_)) => return Some(Err(DiskError::Io)),
        // There may be one still.
        Err(_) => return None,
    };
    let heard = Heard(Cell::new(None));
    let mut storage = MsgBuf::<256>::new();
    // An answer has no answer, and one that says an error and nothing else is none of the interface's.
    device_reply_server(&heard, &mut message, &mut Reply::new(kernel, storage.words()));
    Some(heard.0.take().ok_or(DiskError::Io))
}

/// Takes what a device says.
struct Heard(Cell<Option<Answer>>);

impl DeviceReply<Task> for Heard {
    fn device_read_reply(
        &self,
        _port: Port<'_, Task>,
        code: KernReturn,
        data: OolMemory<Task>,
    ) -> Result<(), KernReturn> {
        code.ok()?;
        self.0.set(Some(Answer::Read(data)));
        Ok(())
    }

    fn device_write_reply(
        &self,
        _port: Port<'_, Task>,
        code: KernReturn,
        bytes: i32,
    ) -> Result<(), KernReturn> {
        code.ok()?;
        self.0.set(Some(Answer::Written(bytes)));
        Ok(())
    }
}

impl Disk for Device {
    fn size(&self) -> u64 {
        self.records * self.record_size as u64
    }

    fn record_size(&self) -> usize {
        self.record_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let (record, wanted) = (self.record(offset)?, buffer.len().min(TRANSFER) as i32);
        let answer =
            self.call(|device, port| device_request::device_read_request(device, port, 0, record, wanted))?;
        let Answer::Read(data) = answer else { return Err(DiskError::Io) };
        let len = data.len().min(buffer.len());
        buffer[..len].copy_from_slice(&data[..len]);
        Ok(len)
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let record = self.record(offset)?;
        let mut buffer = self.gather(pieces);
        let answer =
            self.call(|device, port| device_request::device_write_request(device, port, 0, record, &buffer));
        buffer.clear();
        self.buffers.lock().push(buffer);
        let Answer::Written(bytes) = answer? else { return Err(DiskError::Io) };
        Ok(bytes.max(0) as usize)
    }

    /// The interface has no such call; the kernel writes before it answers.
    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }
}
