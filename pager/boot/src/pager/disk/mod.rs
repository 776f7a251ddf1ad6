//! Disks on the bare machine.

mod ata;
mod device;

use core::fmt;

use gnumach::{GnuMach, println};
use mach_pager::areas::Devices;
use mach_pager::store::{Disk, DiskError};
use mig_runtime::KernReturn;

use ata::Ata;
use device::Device;

/// `D_NO_SUCH_DEVICE`
const NO_SUCH_DEVICE: KernReturn = KernReturn(2502);

/// The disks of the machine, for administrators.
pub(crate) struct Machine {
    /// How many pages one of them may have.
    pub(crate) most_pages: u64,
}

impl Devices<GnuMach> for Machine {
    type Disk = AnyDisk;

    fn open(&self, master: gnumach::SendRight, name: &str) -> Result<AnyDisk, KernReturn> {
        AnyDisk::open(&master, name)
    }

    fn attach(&self, device: gnumach::SendRight) -> Result<AnyDisk, KernReturn> {
        Device::attach(device).map(AnyDisk::Device)
    }

    fn most_pages(&self) -> u64 {
        self.most_pages
    }

    fn tell(&self, line: fmt::Arguments<'_>) {
        println!("pager: {line}");
    }
}

/// The paging disk.
pub(crate) enum AnyDisk {
    /// Driven by this program.
    Ata(Ata),
    /// Driven by the kernel.
    Device(Device),
}

impl AnyDisk {
    /// Opens a disk by its name: `ata`, `ata2`, or that of a device of the kernel.
    pub(crate) fn open(master: &gnumach::SendRight, name: &str) -> Result<Self, KernReturn> {
        let ata = match name {
            "ata" => ata::FIRST,
            "ata2" => ata::SECOND,
            name => return Device::open(master, name).map(Self::Device),
        };
        Ata::open(master, ata).map(Self::Ata).map_err(|why| {
            println!("pager: {name}: {why}");
            NO_SUCH_DEVICE
        })
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
