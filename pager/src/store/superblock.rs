//! What the first and the last slot of a swap device say about it.
//!
//! A superblock is a record of 512 bytes at the start of a slot whose other bytes are zero: magic `MACHSWAP`,
//! version, page size, the lower half of the number of slots, a UUID, the upper half of that number, and at
//! its end a CRC-32 of all bytes before. Numbers are little-endian and have 32 bits. The first slot and the
//! last one hold the same; all others hold pages.
//!
//! Swap devices of Linux (and the Hurd, which uses theirs) are known too, in version 1 with pages of 4096
//! bytes: the first slot has the text `SWAPSPACE2` at its end, and from byte 1024 on the version, the number
//! of the last slot, and the numbers of the slots to stay away from.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::{Range, RangeInclusive};

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::disk::{self, Disk, DiskError};

const MAGIC: [u8; 8] = *b"MACHSWAP";
const VERSION: u32 = 1;

/// Page sizes that a swap device may have, in bytes; all are powers of two.
const PAGE_SIZES: RangeInclusive<usize> = 512..=65536;

/// A device has two superblocks and room for a page.
const SLOTS_MIN: u64 = 3;

/// What a [place](super::Slot) can tell apart. A device with more, which has 256 TiB with pages of 4 KiB, is
/// not used to its end.
pub(super) const SLOTS_MAX: u64 = 1 << 36;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Superblock {
    magic: [u8; 8],
    version: U32,
    page_size: U32,
    slots_low: U32,
    uuid: [u8; 16],
    slots_high: U32,
    reserved: [u8; 468],
    checksum: U32,
}

/// The header of a Linux swap device, from byte 1024 of its first page on.
#[derive(FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct LinuxHeader {
    version: U32,
    last_page: U32,
    bad_count: U32,
    uuid: [u8; 16],
    label: [u8; 16],
    padding: [u8; 468],
    bad: [U32; LINUX_BAD_MAX],
}

const LINUX_HEADER: usize = 1024;
const LINUX_PAGE_SIZE: usize = 4096;
const LINUX_SIGNATURE: &[u8; 10] = b"SWAPSPACE2";
const LINUX_BAD_MAX: usize = 637;

/// What a swap device is, as its superblock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who made the format.
    pub format: Format,
    /// Tells devices apart.
    pub uuid: [u8; 16],
    /// Bytes in a page, and in a slot.
    pub page_size: usize,
    /// Slots of the device, with those that hold no pages.
    pub slots: u64,
    /// Slots that the format says not to use.
    pub bad: Vec<u32>,
}

/// Who made the format of a swap device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// This crate. Both superblocks say the same.
    Ours,
    /// This crate. The first superblock is damaged or unreadable: this is from the backup in the last slot.
    OursFromBackup,
    /// This crate. The backup in the last slot is damaged or unreadable.
    OursWithoutBackup,
    /// Linux, whose swap devices have no backup.
    Linux,
    /// Nobody: all slots are for pages.
    Raw,
}

impl Header {
    /// The slots between the superblocks, which hold pages.
    pub fn usable(&self) -> Range<u64> {
        match self.format {
            Format::Linux => 1..self.slots,
            Format::Raw => 0..self.slots,
            _ => 1..self.slots - 1,
        }
    }
}

/// Why a device is no swap device, or could not be made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The device failed to read or to write a superblock.
    Disk(DiskError),
    /// There is no superblock of ours, nor one of Linux.
    NotSwap,
    /// There is a superblock of ours, but it is damaged, and so is its backup.
    Damaged,
    /// The superblock is of a version that this crate does not know.
    Version(u32),
    /// A page has this many bytes, which is no power of two in reach, or no multiple of the device's record.
    PageSize(usize),
    /// The device is smaller than its superblock says. Both are sizes in bytes.
    CutShort {
        /// What the superblock says.
        said: u64,
        /// What the device has.
        found: u64,
    },
    /// There is no room for a page on a device of this many bytes.
    TooSmall(u64),
    /// There is not enough memory for a bit for each slot.
    Memory,
}

impl From<DiskError> for HeaderError {
    fn from(error: DiskError) -> Self {
        HeaderError::Disk(error)
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Disk(error) => write!(f, "its superblock could not be reached: {error}"),
            HeaderError::NotSwap => f.write_str("it has no superblock of swap space; format it first"),
            HeaderError::Damaged => {
                f.write_str("its superblock and the backup are both damaged; format it anew")
            }
            HeaderError::Version(version) => {
                write!(
                    f,
                    "its superblock has version {version}, and this program knows version {VERSION}; format it anew"
                )
            }
            HeaderError::PageSize(size) => write!(f, "pages of {size} bytes cannot be kept on it"),
            HeaderError::CutShort { said, found } => {
                write!(f, "it was cut short: it should have {said} bytes and has {found}; format it anew")
            }
            HeaderError::TooSmall(size) => write!(f, "{size} bytes are too small for swap space"),
            HeaderError::Memory => f.write_str("there is not enough memory to keep track of its slots"),
        }
    }
}

impl core::error::Error for HeaderError {}

/// Makes a device swap space: writes the backup of the superblock, then the superblock. What else the device
/// holds stays as it is.
///
/// # Errors
///
/// [`HeaderError`]. A device that was swap space before is that still, unless writing the first slot itself
/// failed half-way.
pub fn format(disk: &impl Disk, page_size: usize, uuid: [u8; 16]) -> Result<Header, HeaderError> {
    check_page_size(disk, page_size)?;
    let slots = slots_in(disk.size(), page_size);
    if slots < SLOTS_MIN {
        return Err(HeaderError::TooSmall(disk.size()));
    }
    let page = Superblock::new(page_size, slots, uuid).to_page();
    for slot in [slots - 1, 0] {
        disk::write(disk, slot * page_size as u64, &[&page]).map_err(|(_, error)| error)?;
        disk.flush()?;
    }
    Ok(Header { format: Format::Ours, uuid, page_size, slots, bad: Vec::new() })
}

/// Reads what a device says it is.
///
/// The backup is used only if the first slot cannot be read, or is still recognisable as what it was: a
/// device that was since given to somebody else, such as a file system, may have our backup in its last slot
/// and is not ours.
///
/// # Errors
///
/// [`HeaderError`] if it is no swap space that can be used.
pub fn read(disk: &impl Disk) -> Result<Header, HeaderError> {
    if disk.size() < SLOTS_MIN * *PAGE_SIZES.start() as u64 {
        return Err(HeaderError::NotSwap);
    }
    let first = Superblock::read(disk, 0);
    let header = match first.as_ref().map_err(|error| HeaderError::Disk(*error)).and_then(Superblock::header)
    {
        Ok(header) => Header { format: compare_backup(disk, &header), ..header },
        Err(HeaderError::Version(version)) => return Err(HeaderError::Version(version)),
        Err(error) => backup(disk)
            .filter(|backup| first.as_ref().ok().is_none_or(|first| first.resembles(backup)))
            .or_else(|| linux(disk))
            .ok_or(error)?,
    };
    check_page_size(disk, header.page_size)?;
    let said = header.slots * header.page_size as u64;
    match disk.size() {
        found if found < said => Err(HeaderError::CutShort { said, found }),
        found if header.usable().is_empty() => Err(HeaderError::TooSmall(found)),
        _ => Ok(header),
    }
}

/// A device that says nothing about itself.
pub(super) fn raw(disk: &impl Disk, page_size: usize) -> Result<Header, HeaderError> {
    check_page_size(disk, page_size)?;
    match slots_in(disk.size(), page_size) {
        0 => Err(HeaderError::TooSmall(disk.size())),
        slots => Ok(Header { format: Format::Raw, uuid: [0; 16], page_size, slots, bad: Vec::new() }),
    }
}

/// Whether the last slot says the same as the first one.
fn compare_backup(disk: &impl Disk, first: &Header) -> Format {
    let offset = (first.slots - 1) * first.page_size as u64;
    match Superblock::read(disk, offset).map(|backup| backup.header()) {
        Ok(Ok(backup)) if backup == *first => Format::Ours,
        _ => Format::OursWithoutBackup,
    }
}

/// Looks for the backup where the last slot of the device is, for each page size.
fn backup(disk: &impl Disk) -> Option<Header> {
    PAGE_SIZES.filter(|size| size.is_power_of_two()).find_map(|page_size| {
        let slots = slots_in(disk.size(), page_size);
        let offset = slots.checked_sub(1)? * page_size as u64;
        let header = Superblock::read(disk, offset).ok()?.header().ok()?;
        let in_place = (header.page_size, header.slots) == (page_size, slots);
        in_place.then_some(Header { format: Format::OursFromBackup, ..header })
    })
}

fn linux(disk: &impl Disk) -> Option<Header> {
    let mut page = vec![0; LINUX_PAGE_SIZE];
    disk::read(disk, 0, &mut page).ok()?;
    let body = page.strip_suffix(LINUX_SIGNATURE)?;
    let (header, _) = LinuxHeader::ref_from_prefix(&body[LINUX_HEADER..]).ok()?;
    let bad = header.bad.get(..header.bad_count.get() as usize)?;
    Some(Header {
        format: Format::Linux,
        uuid: header.uuid,
        page_size: LINUX_PAGE_SIZE,
        slots: (header.version.get() == 1).then_some(u64::from(header.last_page.get()) + 1)?,
        bad: bad.iter().map(|slot| slot.get()).collect(),
    })
}

fn check_page_size(disk: &impl Disk, page_size: usize) -> Result<(), HeaderError> {
    let fits =
        PAGE_SIZES.contains(&page_size) && page_size.is_power_of_two() && page_size >= disk.record_size();
    if fits { Ok(()) } else { Err(HeaderError::PageSize(page_size)) }
}

/// How many slots a device has room for.
fn slots_in(bytes: u64, page_size: usize) -> u64 {
    (bytes / page_size as u64).min(SLOTS_MAX)
}

impl Superblock {
    fn new(page_size: usize, slots: u64, uuid: [u8; 16]) -> Self {
        let mut superblock = Superblock {
            magic: MAGIC,
            version: VERSION.into(),
            page_size: (page_size as u32).into(),
            slots_low: (slots as u32).into(),
            uuid,
            slots_high: ((slots >> 32) as u32).into(),
            reserved: [0; 468],
            checksum: 0.into(),
        };
        superblock.checksum = superblock.expected_checksum().into();
        superblock
    }

    fn expected_checksum(&self) -> u32 {
        let bytes = self.as_bytes();
        crc32fast::hash(&bytes[..bytes.len() - size_of::<U32>()])
    }

    fn to_page(&self) -> Vec<u8> {
        let mut page = vec![0; self.page_size.get() as usize];
        page[..size_of::<Self>()].copy_from_slice(self.as_bytes());
        page
    }

    /// Reads the start of a slot, whatever it holds.
    fn read(disk: &impl Disk, offset: u64) -> Result<Self, DiskError> {
        let mut start = vec![0; disk.record_size().max(size_of::<Self>())];
        disk::read(disk, offset, &mut start)?;
        Self::read_from_prefix(&start).map(|(superblock, _)| superblock).map_err(|_| DiskError::Io)
    }

    fn slots(&self) -> u64 {
        u64::from(self.slots_high.get()) << 32 | u64::from(self.slots_low.get())
    }

    /// What it says, if it is whole.
    fn header(&self) -> Result<Header, HeaderError> {
        if self.magic != MAGIC {
            return Err(HeaderError::NotSwap);
        }
        if self.checksum.get() != self.expected_checksum() {
            return Err(HeaderError::Damaged);
        }
        match self.version.get() {
            VERSION if !(SLOTS_MIN..=SLOTS_MAX).contains(&self.slots()) => Err(HeaderError::Damaged),
            VERSION => Ok(Header {
                format: Format::Ours,
                uuid: self.uuid,
                page_size: self.page_size.get() as usize,
                slots: self.slots(),
                bad: Vec::new(),
            }),
            version => Err(HeaderError::Version(version)),
        }
    }

    /// Whether this was the superblock that `backup` is the backup of.
    fn resembles(&self, backup: &Header) -> bool {
        self.magic == MAGIC || self.uuid == backup.uuid
    }
}
