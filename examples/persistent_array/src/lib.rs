//! A file as a memory object that is written, too: each page that returns is appended with its number and a
//! checksum, so that a program which is killed leaves either the page before or the one after, and never a
//! part of both. The last record of a page counts.
//!
//! A page is stored as the program left it when the page had to go, which may be in the middle of a change:
//! a program that needs more than one page to change at once keeps a journal in the array.
#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mach_defs::gnu::mach;
use mach_defs::gnu::memory_object::MemoryObject;
use mig_runtime::kernel::local::Local;
use mig_runtime::{KernReturn, OolMemory, Port, ReceiveRight, SendRight};

const PAGE: usize = 4096;
/// A record: the checksum of what follows, the number of the page, and the page.
const RECORD: usize = 16 + PAGE;

/// An array in a file.
pub struct PersistentArray {
    path: PathBuf,
    log: Mutex<Log>,
}

struct Log {
    file: File,
    /// Where the last record of each page is, counted in records.
    places: Vec<Option<u64>>,
    /// How many records there are, of which each page needs one.
    records: u64,
}

impl PersistentArray {
    /// Opens an array of this many pages, or makes one, all zeros. What is behind the last whole record was
    /// being written when a program ended, and is forgotten.
    ///
    /// # Errors
    ///
    /// Those of the file, or it is of a larger array.
    pub fn open(path: &Path, pages: usize) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut log = Log { file, places: vec![None; pages], records: 0 };
        while let Some(page) = log.page_of_record(log.records)? {
            *log.places.get_mut(page).ok_or(ErrorKind::InvalidData)? = Some(log.records);
            log.records += 1;
        }
        Ok(Self { path: path.into(), log: Mutex::new(log) })
    }

    fn with<R>(&self, body: impl FnOnce(&mut Log) -> io::Result<R>) -> Result<R, KernReturn> {
        body(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
            .map_err(|_| KernReturn::KERN_FAILURE)
    }
}

impl Log {
    /// The page of a record; `None` if it is not whole.
    fn page_of_record(&self, record: u64) -> io::Result<Option<usize>> {
        let mut bytes = [0; RECORD];
        match self.file.read_exact_at(&mut bytes, record * RECORD as u64) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        }
        let sum = u64::from_le_bytes(bytes[..8].try_into().unwrap_or_default());
        let page = u64::from_le_bytes(bytes[8..16].try_into().unwrap_or_default());
        Ok((sum == checksum(&bytes[8..])).then_some(page as usize))
    }

    fn read(&self, page: usize) -> io::Result<Vec<u8>> {
        let mut data = vec![0; PAGE];
        if let Some(record) = self.places.get(page).ok_or(ErrorKind::InvalidInput)? {
            self.file.read_exact_at(&mut data, record * RECORD as u64 + 16)?;
        }
        Ok(data)
    }

    fn write(&mut self, page: usize, data: &[u8]) -> io::Result<()> {
        let place = self.places.get_mut(page).ok_or(ErrorKind::InvalidInput)?;
        let mut record = [&[0; 8], &(page as u64).to_le_bytes()[..], data].concat();
        let sum = checksum(&record[8..]);
        record[..8].copy_from_slice(&sum.to_le_bytes());
        self.file.write_all_at(&record, self.records * RECORD as u64)?;
        *place = Some(self.records);
        self.records += 1;
        Ok(())
    }

    /// Writes the last record of each page to a new file, which takes the place of the old one.
    fn tidy(&mut self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&new)?;
        let mut tidy = Self { file, places: vec![None; self.places.len()], records: 0 };
        for page in (0..self.places.len()).filter(|page| self.places[*page].is_some()) {
            tidy.write(page, &self.read(page)?)?;
        }
        tidy.file.sync_all()?;
        fs::rename(&new, path)?;
        *self = tidy;
        Ok(())
    }
}

/// Not 0 for a record of zeros, which a file may have at its end after a loss of power.
fn checksum(bytes: &[u8]) -> u64 {
    u64::from(crc32fast::hash(bytes)) | 1 << 32
}

impl MemoryObject<Local> for PersistentArray {
    fn memory_object_init(
        &self,
        _object: Port<'_, Local>,
        control: SendRight<Local>,
        _name: SendRight<Local>,
        _page_size: u64,
    ) -> Result<(), KernReturn> {
        Ok(mach::memory_object_ready(&control, false, 0)?)
    }

    fn memory_object_data_request(
        &self,
        _object: Port<'_, Local>,
        control: SendRight<Local>,
        offset: u64,
        length: u64,
        _access: i32,
    ) -> Result<(), KernReturn> {
        match self.with(|log| log.read(offset as usize / PAGE)) {
            Ok(page) => {
                let no_reply = ReceiveRight::null(control.kernel().clone());
                Ok(mach::memory_object_data_supply(&control, offset, &page[..], 0, false, &no_reply)?)
            }
            Err(code) => Ok(mach::memory_object_data_error(&control, offset, length, code)?),
        }
    }

    fn memory_object_data_return(
        &self,
        _object: Port<'_, Local>,
        control: SendRight<Local>,
        offset: u64,
        data: OolMemory<Local>,
        _dirty: bool,
        _kernel_copy: bool,
    ) -> Result<(), KernReturn> {
        let written = self.with(|log| {
            let pages = (offset as usize / PAGE..).zip(data.chunks_exact(PAGE));
            pages.into_iter().try_for_each(|(page, data)| log.write(page, data))?;
            let is_full = log.records > 4 * log.places.len() as u64 + 64;
            if is_full { log.tidy(&self.path) } else { Ok(()) }
        });
        match written {
            Ok(()) => Ok(()),
            // Nobody may go on with memory that is not kept.
            Err(code) => Ok(mach::memory_object_destroy(&control, code)?),
        }
    }

    fn memory_object_terminate(
        &self,
        _object: Port<'_, Local>,
        _control: ReceiveRight<Local>,
        _name: ReceiveRight<Local>,
    ) -> Result<(), KernReturn> {
        self.with(|log| log.file.sync_data())
    }
}
