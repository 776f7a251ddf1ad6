//! Paging space that administrators add and take away while the pager works.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mig_runtime::platform::{Mutex, Platform};
use mig_runtime::{KernReturn, Kernel, NameOf, SendRight};

use crate::store::superblock::HeaderError;
use crate::store::{Disk, Runs, Store as _, SwapStore, VolumeError, VolumeInfo, Volumes};

/// `EINVAL` of the Hurd, with which its pager answers for storage that makes no sense.
pub const HURD_EINVAL: KernReturn = KernReturn(0x4000_0016);

/// How many parts of a device an area may have: a file in more pieces is no good paging space.
pub const RUNS_MAX: usize = 4096;

/// What the calls of administrators do to the paging space. A pager that [has](crate::SwapPager::set_areas)
/// none answers them with `KERN_FAILURE`.
///
/// Where one of these fails, nothing has changed.
pub trait Areas<K: Kernel>: Send + Sync {
    /// Adds a device by its name, as `default_pager_paging_file` has it. It must be swap space.
    ///
    /// # Errors
    ///
    /// What the call answers.
    fn add_file(&self, master: SendRight<K>, name: &str) -> Result<(), KernReturn>;

    /// Adds parts of a device, each a first record and a number of records, as `default_pager_paging_storage`
    /// and `default_pager_add_segment` have it. What they hold is lost.
    ///
    /// # Errors
    ///
    /// What the call answers; [`HURD_EINVAL`] for parts that make no sense.
    fn add_storage(
        &self,
        device: SendRight<K>,
        runs: &[(u64, u64)],
        area: Area<'_>,
    ) -> Result<(), KernReturn>;

    /// Begins to take an area away: nothing is written to it any more.
    ///
    /// # Errors
    ///
    /// What the call answers.
    fn begin_removal(&self, name: &str) -> Result<(), KernReturn>;

    /// Takes an area away for good. False if there are pages in it still.
    fn remove(&self, name: &str) -> bool;

    /// Goes on to use an area that was to be taken away; `why` is for whoever reads what happens on the
    /// machine.
    fn cancel_removal(&self, name: &str, why: &str);

    /// What there is.
    fn list(&self) -> Vec<VolumeInfo>;
}

/// An area that is to be added.
#[derive(Clone, Copy, Debug)]
pub struct Area<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Areas of higher priorities are used first.
    pub priority: u8,
    /// The number of the backing store that it is a segment of, or 0.
    pub group: u32,
    /// Bytes of a record, if whoever adds it says so: those of the device's, or it is not added.
    pub record_size: Option<usize>,
}

impl<'a> Area<'a> {
    /// One of which no more is said than its name.
    pub fn named(name: &'a str) -> Self {
        Self { name, priority: PRIORITY, group: 0, record_size: None }
    }
}

/// Opens the devices that administrators name. A host implements it.
pub trait Devices<K: Kernel>: Send + Sync + 'static {
    /// A device.
    type Disk: Disk;

    /// Opens a device by its name.
    ///
    /// # Errors
    ///
    /// What the call answers, as the code of `device_open`.
    fn open(&self, master: SendRight<K>, name: &str) -> Result<Self::Disk, KernReturn>;

    /// Uses a device that somebody else has opened.
    ///
    /// # Errors
    ///
    /// What the call answers, as the code of `device_get_status`.
    fn attach(&self, device: SendRight<K>) -> Result<Self::Disk, KernReturn>;

    /// How many pages a new area may have, for each of which there is a bit in memory: whoever drives a
    /// device may say that it is of any size.
    fn most_pages(&self) -> u64 {
        u64::MAX
    }

    /// Shows a line to whoever looks after the machine.
    fn tell(&self, line: fmt::Arguments<'_>);
}

/// The devices of a host as the areas of a pager that keeps its pages in [`Volumes`].
pub struct PagingSpace<K: Kernel, V: Devices<K>, P: Platform> {
    devices: V,
    volumes: Arc<Volumes<Runs<V::Disk>, P>>,
    /// The areas that are parts of devices, or are about to be, so that none is used twice.
    storage: Mutex<P, Vec<Storage<NameOf<K>>>>,
    /// Of the last one.
    number: AtomicU64,
    kernel: core::marker::PhantomData<fn(K)>,
}

struct Storage<N> {
    number: u64,
    /// `None` as long as the area is not there yet.
    name: Option<String>,
    device: N,
    runs: Vec<(u64, u64)>,
}

/// The priority of an area for which none is said: that of OSF's pager for such.
const PRIORITY: u8 = 0;

impl<K: Kernel, V: Devices<K>, P: Platform> PagingSpace<K, V, P> {
    /// The areas in `volumes`, which is the store of the pager, too.
    pub fn new(devices: V, volumes: Arc<Volumes<Runs<V::Disk>, P>>) -> Self {
        let (storage, number) = (Mutex::<P, _>::new(Vec::new()), AtomicU64::new(0));
        Self { devices, volumes, storage, number, kernel: core::marker::PhantomData }
    }

    /// Sees to it that nobody else gets these parts of a device. Returns the number by which they are known.
    fn reserve(&self, device: NameOf<K>, runs: &[(u64, u64)]) -> Option<u64> {
        let meets = |one: &(u64, u64), other: &(u64, u64)| {
            one.0 < other.0.saturating_add(other.1) && other.0 < one.0.saturating_add(one.1)
        };
        let is_used = |used: &Storage<_>| {
            used.device == device && used.runs.iter().any(|used| runs.iter().any(|run| meets(used, run)))
        };
        let number = self.number.fetch_add(1, Relaxed);
        let reserved = Storage { number, name: None, device, runs: runs.into() };
        let mut storage = self.storage.lock();
        if storage.iter().any(is_used) {
            return None;
        }
        storage.push(reserved);
        Some(number)
    }

    /// A store on parts of a device, which may be slow to say how large it is.
    fn attach(
        &self,
        device: SendRight<K>,
        runs: &[(u64, u64)],
        area: Area<'_>,
    ) -> Result<SwapStore<Runs<V::Disk>, P>, KernReturn> {
        let name = area.name;
        let disk = self.devices.attach(device);
        let disk = disk.map_err(|code| self.refuse(name, &format_args!("its device says {code}"), code))?;
        if area.record_size.is_some_and(|size| size != disk.record_size()) {
            return Err(self.refuse(name, &"its records have another size", HURD_EINVAL));
        }
        let page_size = self.volumes.page_size();
        if page_size % disk.record_size() != 0 {
            return Err(self.refuse(name, &"its records are larger than pages", HURD_EINVAL));
        }
        let parts = Runs::new(disk, runs);
        let parts = parts.map_err(|error| self.refuse(name, &format_args!("{error:?}"), HURD_EINVAL))?;
        self.check_size(name, parts.size())?;
        SwapStore::raw(parts, page_size).map_err(|error| self.refuse(name, &error, HURD_EINVAL))
    }

    fn add(
        &self,
        area: Area<'_>,
        store: Result<SwapStore<Runs<V::Disk>, P>, HeaderError>,
    ) -> Result<(), KernReturn> {
        let Area { name, priority, group, .. } = area;
        let store = store.map_err(|error| self.refuse(name, &error, KernReturn::KERN_INVALID_ARGUMENT))?;
        let pages = store.space().total;
        let added = self.volumes.add(name, store, priority, group);
        added.map_err(|error| {
            let code = match error {
                VolumeError::TooMany => KernReturn::KERN_RESOURCE_SHORTAGE,
                _ => KernReturn::KERN_INVALID_ARGUMENT,
            };
            self.refuse(name, &error, code)
        })?;
        self.devices.tell(format_args!("paging space {name}: {pages} pages added"));
        Ok(())
    }

    fn refuse(&self, name: &str, why: &dyn fmt::Display, code: KernReturn) -> KernReturn {
        self.devices.tell(format_args!("paging space {name}: {why}"));
        code
    }

    fn check_size(&self, name: &str, bytes: u64) -> Result<(), KernReturn> {
        let (pages, most) = (bytes / self.volumes.page_size() as u64, self.devices.most_pages());
        if pages <= most {
            return Ok(());
        }
        let code = KernReturn::KERN_RESOURCE_SHORTAGE;
        Err(self.refuse(
            name,
            &format_args!("{pages} pages take more memory than there is for a list of them"),
            code,
        ))
    }

    fn check_name(&self, name: &str) -> Result<(), KernReturn> {
        match name {
            "" => Err(self.refuse("without a name", &"is not used", KernReturn::KERN_INVALID_ARGUMENT)),
            _ => Ok(()),
        }
    }
}

impl<K: Kernel, V: Devices<K>, P: Platform> Areas<K> for PagingSpace<K, V, P> {
    fn add_file(&self, master: SendRight<K>, name: &str) -> Result<(), KernReturn> {
        self.check_name(name)?;
        if self.list().iter().any(|area| area.name == name) {
            // Before it is opened a second time.
            return Err(self.refuse(name, &VolumeError::NameTaken, KernReturn::KERN_INVALID_ARGUMENT));
        }
        let disk = self.devices.open(master, name);
        let disk =
            disk.map_err(|code| self.refuse(name, &format_args!("it cannot be opened: {code}"), code))?;
        self.check_size(name, disk.size())?;
        let area = Area::named(name);
        self.add(area, SwapStore::open(Runs::whole(disk)))
    }

    fn add_storage(
        &self,
        device: SendRight<K>,
        runs: &[(u64, u64)],
        area: Area<'_>,
    ) -> Result<(), KernReturn> {
        let name = area.name;
        self.check_name(name)?;
        if runs.len() > RUNS_MAX {
            return Err(self.refuse(name, &format_args!("it is in more than {RUNS_MAX} parts"), HURD_EINVAL));
        }
        // Before the device is spoken to, which may take its time: two calls must not both find it unused.
        let Some(number) = self.reserve(device.name(), runs) else {
            return Err(self.refuse(name, &"it is in use already", KernReturn::KERN_INVALID_ARGUMENT));
        };
        let store = self.attach(device, runs, area);
        let mut new_name = Some(String::from(name));
        let mut storage = self.storage.lock();
        let added = store.and_then(|store| self.add(area, Ok(store)));
        match &added {
            Ok(()) => {
                let reserved = storage.iter_mut().find(|storage| storage.number == number);
                reserved.into_iter().for_each(|storage| storage.name = new_name.take());
            }
            Err(_) => storage.retain(|storage| storage.number != number),
        }
        drop(storage);
        added
    }

    fn begin_removal(&self, name: &str) -> Result<(), KernReturn> {
        self.volumes
            .begin_removal(name)
            .map_err(|error| self.refuse(name, &error, KernReturn::KERN_INVALID_ARGUMENT))
    }

    fn remove(&self, name: &str) -> bool {
        // As long as another area could get this name.
        let mut storage = self.storage.lock();
        let removed = self.volumes.remove(name) != Err(VolumeError::InUse);
        if removed {
            storage.retain(|storage| storage.name.as_deref() != Some(name));
        }
        drop(storage);
        if removed {
            self.devices.tell(format_args!("paging space {name}: removed"));
        }
        removed
    }

    fn cancel_removal(&self, name: &str, why: &str) {
        // Somebody else may have removed it meanwhile.
        let _ = self.volumes.cancel_removal(name);
        self.devices.tell(format_args!("paging space {name}: {why}; it is used again"));
    }

    fn list(&self) -> Vec<VolumeInfo> {
        self.volumes.list()
    }
}
