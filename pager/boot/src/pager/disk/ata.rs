//! The first ATA disk of a channel, by programmed I/O: the kernel for x86_64 drives none.
//!
//! Commands and registers are those of the ATA standard, with 28-bit addresses: the first 128 GiB.

use core::time::Duration;

use gnumach::{Bare, SendRight, io};
use mach_pager::store::{Disk, DiskError};
use mig_runtime::platform::{Mutex, Platform};

/// Where the registers of the two channels begin.
pub(super) const FIRST: u16 = 0x1f0;
pub(super) const SECOND: u16 = 0x170;

/// The registers of a channel, from there on.
const DATA: u16 = 0;
const COUNT: u16 = 2;
const ADDRESS: [u16; 3] = [3, 4, 5];
const DRIVE: u16 = 6;
const STATUS: u16 = 7;
const COMMAND: u16 = 7;
const CONTROL: u16 = 0x206;

/// No interrupts, which nobody takes here.
const NO_INTERRUPTS: u8 = 2;

/// The first drive, with block addresses.
const FIRST_DRIVE: u8 = 0xe0;

/// Bits of the status.
const BUSY: u8 = 0x80;
const FAULT: u8 = 0x20;
const DATA_REQUEST: u8 = 0x08;
const ERROR: u8 = 0x01;

/// Commands.
const READ_MULTIPLE: u8 = 0xc4;
const WRITE_MULTIPLE: u8 = 0xc5;
const SET_MULTIPLE: u8 = 0xc6;
const FLUSH_CACHE: u8 = 0xe7;
const IDENTIFY: u8 = 0xec;

const SECTOR: usize = 512;

/// Sectors that are transferred without a look at the status: those of a page.
const BLOCK: usize = 8;

/// Bytes in a command: 256 sectors, whose count is written as 0.
const TRANSFER: usize = 256 * SECTOR;

/// How long the disk may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The disk.
pub(crate) struct Ata {
    sectors: u64,
    /// Held for the length of a command.
    channel: Mutex<Bare, Channel>,
}

impl Ata {
    /// Takes the channel whose registers begin at `base`.
    pub(crate) fn open(master: &SendRight, base: u16) -> Result<Self, &'static str> {
        for (first, last) in [(DATA, STATUS), (CONTROL, CONTROL)] {
            io::allow(master, base + first, base + last)
                .map_err(|_| "the kernel does not allow the disk's ports")?;
        }
        let mut channel = Channel { base };
        let sectors = channel.identify().map_err(|_| "there is no ATA disk")?;
        Ok(Self { sectors, channel: Mutex::<Bare, _>::new(channel) })
    }

    /// The number of the sector at an offset.
    fn sector(&self, offset: u64, len: usize) -> Result<u32, DiskError> {
        let sector = offset / SECTOR as u64;
        let end = sector + (len / SECTOR) as u64;
        if end > self.sectors { Err(DiskError::Io) } else { Ok(sector as u32) }
    }
}

impl Disk for Ata {
    fn size(&self) -> u64 {
        self.sectors * SECTOR as u64
    }

    fn record_size(&self) -> usize {
        SECTOR
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, DiskError> {
        let len = buffer.len().min(TRANSFER);
        let sector = self.sector(offset, len)?;
        self.channel.lock().read(sector, &mut buffer[..len])?;
        Ok(len)
    }

    fn write_at(&self, offset: u64, pieces: &[&[u8]]) -> Result<usize, DiskError> {
        // Whole pieces, and of the first one as much as a command takes.
        let first = pieces.first().map_or(0, |piece| piece.len().min(TRANSFER));
        let mut len = first;
        let mut whole = 1;
        for piece in pieces.iter().skip(1).take_while(|_| first == pieces[0].len()) {
            if len + piece.len() > TRANSFER {
                break;
            }
            len += piece.len();
            whole += 1;
        }
        let sector = self.sector(offset, len)?;
        let pieces =
            pieces[..whole.min(pieces.len())].iter().map(|piece| &piece[..piece.len().min(TRANSFER)]);
        self.channel.lock().write(sector, len, pieces)?;
        Ok(len)
    }

    fn flush(&self) -> Result<(), DiskError> {
        let mut channel = self.channel.lock();
        channel.put(DRIVE, FIRST_DRIVE);
        channel.put(COMMAND, FLUSH_CACHE);
        channel.wait(0)
    }
}

/// The registers of a channel. There is one for each, in [`Ata`].
struct Channel {
    base: u16,
}

impl Channel {
    fn put(&mut self, register: u16, value: u8) {
        // SAFETY: the kernel has allowed the ports, and the disk touches no memory.
        unsafe { io::write(self.base + register, value) };
    }

    fn status(&self) -> u8 {
        // SAFETY: the kernel has allowed the ports, and the disk touches no memory.
        unsafe { io::read(self.base + STATUS) }
    }

    /// Waits until the disk is no longer busy and has these bits in its status.
    fn wait(&self, bits: u8) -> Result<(), DiskError> {
        let start = Bare::now();
        loop {
            let status = self.status();
            if status & BUSY == 0 {
                if status & (FAULT | ERROR) != 0 {
                    return Err(DiskError::Io);
                }
                if status & bits == bits {
                    return Ok(());
                }
            }
            if Bare::now() - start > PATIENCE.as_nanos() as u64 {
                return Err(DiskError::Io);
            }
        }
    }

    /// Finds the disk, and makes it transfer [`BLOCK`] sectors at once. Returns its size in sectors.
    fn identify(&mut self) -> Result<u64, DiskError> {
        self.put(CONTROL, NO_INTERRUPTS);
        self.put(DRIVE, FIRST_DRIVE);
        if self.status() == 0xff {
            return Err(DiskError::Io); // nothing is connected
        }
        self.put(COMMAND, IDENTIFY);
        if self.status() == 0 {
            return Err(DiskError::Io); // no drive
        }
        self.wait(DATA_REQUEST)?;
        let mut facts = [0; SECTOR];
        // SAFETY: as in `put`.
        unsafe { io::read_into(self.base + DATA, &mut facts) };
        // Words 60 and 61.
        let sectors = u32::from_le_bytes([facts[120], facts[121], facts[122], facts[123]]);

        self.put(COUNT, BLOCK as u8);
        self.put(DRIVE, FIRST_DRIVE);
        self.put(COMMAND, SET_MULTIPLE);
        self.wait(0)?;
        Ok(sectors.into())
    }

    /// Starts a command for the sectors of `len` bytes.
    fn start(&mut self, command: u8, sector: u32, len: usize) -> Result<(), DiskError> {
        self.wait(0).or_else(|_| self.forget_error())?;
        self.put(COUNT, (len / SECTOR) as u8);
        let [low, middle, high, top] = sector.to_le_bytes();
        for (register, byte) in ADDRESS.into_iter().zip([low, middle, high]) {
            self.put(register, byte);
        }
        self.put(DRIVE, FIRST_DRIVE | top & 0x0f);
        self.put(COMMAND, command);
        Ok(())
    }

    /// An error of the command before is in the status until the next one; a disk that is not busy takes
    /// that.
    fn forget_error(&self) -> Result<(), DiskError> {
        if self.status() & (BUSY | FAULT) == 0 { Ok(()) } else { Err(DiskError::Io) }
    }

    fn read(&mut self, sector: u32, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.start(READ_MULTIPLE, sector, buffer.len())?;
        for block in buffer.chunks_mut(BLOCK * SECTOR) {
            self.wait(DATA_REQUEST)?;
            // SAFETY: as in `put`.
            unsafe { io::read_into(self.base + DATA, block) };
        }
        Ok(())
    }

    /// Writes pieces, each of whole blocks but for the last.
    fn write<'a>(
        &mut self,
        sector: u32,
        len: usize,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Result<(), DiskError> {
        self.start(WRITE_MULTIPLE, sector, len)?;
        for block in pieces.flat_map(|piece| piece.chunks(BLOCK * SECTOR)) {
            self.wait(DATA_REQUEST)?;
            // SAFETY: as in `put`.
            unsafe { io::write_from(self.base + DATA, block) };
        }
        self.wait(0)
    }
}
