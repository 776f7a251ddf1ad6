//! A disk that the kernel drives, by the device interface.

use alloc::ffi::CString;
use alloc::vec::Vec;

use gnumach::{Bare, SendRight};
use mach_defs::gnu::device;
use mach_pager::store::{Disk, DiskError};
use mig_runtime::KernReturn;
use mig_runtime::platform::Mutex;

/// `D_READ | D_WRITE`
const READ_WRITE: u32 = 3;

/// `DEV_GET_RECORDS`: how many records, and their size.
const GET_RECORDS: u32 = 1;

/// Bytes in one call: what the kernel's driver takes at once.
const TRANSFER: usize = 128 << 10;

/// How many threads write at once: those of the pager that do nothing else, and one that moves pages.
const WRITERS: usize = 3;

/// An open device.
pub(crate) struct Device {
    device: SendRight,
    records: u64,
    record_size: usize,
    /// Memory to put pieces together in, as the interface has one range in a call. It is there from the
    /// start, for the threads that write must not need any more.
    buffers: Mutex<Bare, Vec<Vec<u8>>>,
}

impl Device {
    /// Opens a device by its name.
    pub(crate) fn open(master: &SendRight, name: &str) -> Result<Self, KernReturn> {
        let name = CString::new(name).map_err(|_| KernReturn::KERN_INVALID_ARGUMENT)?;
        Self::attach(device::device_open(master, READ_WRITE, &name)?)
    }

    /// Uses a device that is open.
    pub(crate) fn attach(device: SendRight) -> Result<Self, KernReturn> {
        let status = device::device_get_status(&device, GET_RECORDS, 2)?;
        let [records, record_size] = *status else { return Err(KernReturn::KERN_INVALID_ARGUMENT) };
        let (records, record_size) = (records as u32, record_size as usize);
        if !record_size.is_power_of_two() || record_size > TRANSFER {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        let buffers = (0..WRITERS).map(|_| Vec::with_capacity(TRANSFER)).collect();
        Ok(Self { device, records: records.into(), record_size, buffers: Mutex::<Bare, _>::new(buffers) })
    }

    /// The number of the record at an offset.
    #[allow(clippy::useless_conversion)] // on x86_64 only
    fn record(&self, offset: u64) -> Result<device::Recnum, DiskError> {
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
}

impl Disk for Device {
    fn size(&self) -> u64 {
        self.records * self.record_size as u64
    }

    fn record_size(&self) -> usize {
        self.record_size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let wanted = buffer.len().min(TRANSFER) as i32;
        let data =
            device::device_read(&self.device, 0, self.record(offset)?, wanted).map_err(|_| DiskError::Io)?;
        let len = data.len().min(buffer.len());
        buffer[..len].copy_from_slice(&data[..len]);
        Ok(len)
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        let record = self.record(offset)?;
        let mut buffer = self.gather(pieces);
        let written = device::device_write(&self.device, 0, record, &buffer);
        buffer.clear();
        self.buffers.lock().push(buffer);
        written.map(|bytes| bytes.max(0) as usize).map_err(|_| DiskError::Io)
    }

    /// The interface has no such call; the kernel writes before it answers.
    fn flush(&self) -> Result<(), DiskError> {
        Ok(())
    }
}
