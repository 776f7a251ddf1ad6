//! Disks on the bare machine.

mod ata;
mod device;

use mach_pager::store::{Disk, DiskError};

use ata::Ata;
use device::Device;

/// The paging disk.
pub(crate) enum AnyDisk {
    /// Driven by this program.
    Ata(Ata),
    /// Driven by the kernel.
    Device(Device),
}

impl AnyDisk {
    /// Opens a disk by its name: `ata`, `ata2`, or that of a device of the kernel.
    pub(crate) fn open(master: &gnumach::Send, name: &str) -> Result<Self, &'static str> {
        match name {
            "ata" => Ata::open(master, ata::FIRST).map(Self::Ata),
            "ata2" => Ata::open(master, ata::SECOND).map(Self::Ata),
            name => Device::open(master, name).map(Self::Device),
        }
    }
}

impl Disk for AnyDisk {
    fn size(&self) -> u64 {
        match self {
            Self::Ata(disk) => disk.size(),
            Self::Device(disk) => disk.size(),
        }
    }

    fn record_size(&self) -> usize {
        match self {
            Self::Ata(disk) => disk.record_size(),
            Self::Device(disk) => disk.record_size(),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        match self {
            Self::Ata(disk) => disk.read_at(offset, buffer),
            Self::Device(disk) => disk.read_at(offset, buffer),
        }
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        match self {
            Self::Ata(disk) => disk.write_at(offset, pieces),
            Self::Device(disk) => disk.write_at(offset, pieces),
        }
    }

    fn flush(&self) -> Result<(), DiskError> {
        match self {
            Self::Ata(disk) => disk.flush(),
            Self::Device(disk) => disk.flush(),
        }
    }
}
