//! The calls of OSF's default pager about paging space, and the alerts of XNU's.
//!
//! A backing store is a port and the areas that were added to it. Two of the calls have the numbers of calls
//! of the Hurd's, so they come to ports of their own.

use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use mach_defs::gnu::pager::backing_store::{BackingStore, BackingStoreFlavor, Integer, Recnum};
use mach_defs::gnu::pager::default_pager_alerts::default_pager_space_alert;
use mig_runtime::abi::Gnu;
use mig_runtime::kernel::NoWait;
use mig_runtime::platform::{Mutex, Platform};
use mig_runtime::{
    ArrayVec, KernReturn, Kernel, NameOf, Notification, Port, PortSet, ReceiveRight, SendRight,
};

use super::SwapPager;
use crate::areas::{Area, HURD_EINVAL};
use crate::store::{Store, VOLUMES_MAX, VolumeInfo};

/// `DEFAULT_PAGER_BACKING_STORE_MAXPRI`. OSF's pager gives this priority to whoever asks for it or for none
/// (-1), and the lowest to all others.
const HIGHEST: i32 = 4;
const NO_PRIORITY: i32 = -1;

/// `BACKING_STORE_BASIC_INFO`, and how many numbers that are.
const BASIC_INFO: BackingStoreFlavor = 1;
const BASIC_INFO_COUNT: u32 = 15;

/// `HI_WAT_ALERT`: little is left.
const HIGH_WATER: i32 = 1;
/// `LO_WAT_ALERT`: much is free.
const LOW_WATER: i32 = 2;

/// The backing stores of a pager, and who is to be told of its room.
pub(super) struct BackingStores<K: Kernel, P: Platform> {
    /// For the calls that concern no store, or make one.
    pub(super) port: ReceiveRight<K>,
    /// Around this port and those of the stores.
    pub(super) set: PortSet<K>,
    /// Those that are made. The thread that hears of the kernel's objects looks here, too, so nobody asks for
    /// memory with the lock in hands.
    all: Mutex<P, [Option<Made<K>>; VOLUMES_MAX]>,
    last_group: AtomicU32,
    alerts: Mutex<P, Alerts<K>>,
    /// Somebody is to be told.
    armed: AtomicBool,
}

/// A backing store.
struct Made<K: Kernel> {
    port: ReceiveRight<K>,
    /// That of its areas.
    group: u32,
    priority: u8,
    /// How many segments were added, for their names.
    segments: u32,
    /// Nobody has a right to it any more.
    is_orphan: bool,
}

/// Whom to tell, once, and of what: the number of free pages below which, or above which.
struct Alerts<K: Kernel> {
    below: Option<(u64, SendRight<NoWait<K>>)>,
    above: Option<(u64, SendRight<NoWait<K>>)>,
}

impl<K: Kernel, P: Platform> BackingStores<K, P> {
    pub(super) fn new(port: ReceiveRight<K>, set: PortSet<K>) -> Self {
        Self {
            port,
            set,
            all: Mutex::<P, _>::new([const { None }; VOLUMES_MAX]),
            last_group: AtomicU32::new(0),
            alerts: Mutex::<P, _>::new(Alerts { below: None, above: None }),
            armed: AtomicBool::new(false),
        }
    }

    /// Whether a port is one of these.
    pub(super) fn has(&self, name: NameOf<K>) -> bool {
        self.port.name() == name || self.group(name).is_ok()
    }

    /// The number of the store that has this port.
    fn group(&self, port: NameOf<K>) -> Result<u32, KernReturn> {
        self.with(port, |store| store.group)
    }

    fn with<R>(&self, port: NameOf<K>, look: impl FnOnce(&mut Made<K>) -> R) -> Result<R, KernReturn> {
        let mut all = self.all.lock();
        let store = all.iter_mut().flatten().find(|store| store.port.name() == port);
        store.map(look).ok_or(KernReturn::KERN_INVALID_ARGUMENT)
    }
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> BackingStore<K> for SwapPager<K, P, S> {
    fn default_pager_backing_store_create(
        &self,
        default_pager: Port<'_, K>,
        priority: i32,
        _clsize: i32,
    ) -> Result<SendRight<K>, KernReturn> {
        self.administers(default_pager)?;
        self.areas()?;
        let port = ReceiveRight::allocate(&self.kernel)?;
        let right = port.make_send()?;
        self.backing_stores.set.insert(&port)?;
        // One that nobody can speak of any more does not take a place for ever.
        port.request_notification(Notification::NoSenders { sync: 1 }, &port).map(drop)?;
        self.forget_orphans()?;
        // Areas that are not of such a store have 0.
        let group = self.backing_stores.last_group.fetch_add(1, Relaxed).wrapping_add(1).max(1);
        let priority = if [HIGHEST, NO_PRIORITY].contains(&priority) { HIGHEST as u8 } else { 0 };
        let made = Made { port, group, priority, segments: 0, is_orphan: false };
        let mut all = self.backing_stores.all.lock();
        let place = all.iter_mut().find(|place| place.is_none());
        *place.ok_or(KernReturn::KERN_RESOURCE_SHORTAGE)? = Some(made);
        Ok(right)
    }

    fn default_pager_backing_store_delete(&self, backing_store: Port<'_, K>) -> Result<(), KernReturn> {
        self.counters.administration.count();
        let (areas, group) = (self.areas()?, self.backing_stores.group(backing_store.name())?);
        let of_store = areas.list().into_iter().filter(|area| area.group == group);
        let names: Vec<_> = of_store.map(|area| area.name).collect();
        self.remove_areas(&*areas, &names)?;
        let mut all = self.backing_stores.all.lock();
        let is_it = |store: &mut Made<K>| store.group == group;
        let gone = all.iter_mut().find_map(|store| store.take_if(is_it));
        drop(all);
        drop(gone);
        Ok(())
    }

    fn default_pager_add_segment(
        &self,
        backing_store: Port<'_, K>,
        device: SendRight<K>,
        offset: Recnum,
        count: Recnum,
        record_size: i32,
    ) -> Result<(), KernReturn> {
        self.counters.administration.count();
        self.is_stranger(&device)?;
        let areas = self.areas()?;
        let (group, priority, segment) = self.backing_stores.with(backing_store.name(), |store| {
            store.segments = store.segments.wrapping_add(1);
            (store.group, store.priority, store.segments)
        })?;
        let record_size = usize::try_from(record_size).map_err(|_| KernReturn::KERN_INVALID_ARGUMENT)?;
        let name = format!("backing store {group}, segment {segment}");
        let area = Area { name: &name, priority, group, record_size: Some(record_size) };
        #[allow(clippy::unnecessary_cast)]
        let run = (offset as u64, count as u64);
        areas.add_storage(device, &[run], area).map_err(|code| match code {
            HURD_EINVAL => KernReturn::KERN_INVALID_ARGUMENT,
            code => code,
        })
    }

    fn default_pager_backing_store_info(
        &self,
        backing_store: Port<'_, K>,
        flavor: BackingStoreFlavor,
        info_max: u32,
    ) -> Result<ArrayVec<Integer, 20>, KernReturn> {
        self.counters.administration.count();
        if flavor != BASIC_INFO || info_max < BASIC_INFO_COUNT {
            return Err(KernReturn::KERN_INVALID_ARGUMENT);
        }
        let store = |store: &mut Made<K>| (store.group, store.priority);
        let (group, priority) = self.backing_stores.with(backing_store.name(), store)?;
        let areas = self.areas()?.list();
        let sum = |figure: fn(&VolumeInfo) -> u64| {
            areas.iter().filter(|area| area.group == group).map(figure).sum::<u64>()
        };
        let all = self.counters.figures();
        let figures: [u64; BASIC_INFO_COUNT as usize] = [
            // Of the pager.
            all.pages_a_write.iter().sum(),
            all.data_request,
            all.supplied,
            all.written + all.same_filled,
            all.unavailable,
            all.data_initialize,
            all.data_initialize,
            // Of this store.
            sum(|area| area.space.total),
            sum(|area| area.space.free),
            sum(|area| area.counters.pages_read),
            sum(|area| area.counters.failed_reads),
            sum(|area| area.counters.pages_written),
            sum(|area| area.counters.failed_slots),
            priority.into(),
            self.page_size as u64,
        ];
        Ok(figures.into_iter().map(|figure| Integer::try_from(figure).unwrap_or(Integer::MAX)).collect())
    }

    fn default_pager_triggers(
        &self,
        default_pager: Port<'_, K>,
        hi_wat: i32,
        lo_wat: i32,
        flags: i32,
        trigger_port: SendRight<K>,
    ) -> Result<(), KernReturn> {
        self.administers(default_pager)?;
        self.is_stranger(&trigger_port)?;
        let bytes = if flags == HIGH_WATER { hi_wat } else { lo_wat };
        let bytes = u64::try_from(bytes).map_err(|_| KernReturn::KERN_INVALID_ARGUMENT)?;
        let pages = bytes / self.page_size as u64;
        let alert = (!trigger_port.is_null()).then(|| (pages, NoWait::right(trigger_port)));
        let mut alerts = self.backing_stores.alerts.lock();
        let before = match flags {
            HIGH_WATER => core::mem::replace(&mut alerts.below, alert),
            LOW_WATER => core::mem::replace(&mut alerts.above, alert),
            _ => {
                drop(alerts);
                return Err(KernReturn::KERN_INVALID_ARGUMENT);
            }
        };
        drop(alerts);
        drop(before);
        self.backing_stores.armed.store(true, Relaxed);
        self.tell_of_space();
        Ok(())
    }
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// Nobody has a right to a backing store. It goes when it has no segments, which can be taken away by
    /// their names.
    pub(super) fn backing_store_left(&self, port: NameOf<K>) -> Result<(), KernReturn> {
        self.backing_stores.with(port, |store| store.is_orphan = true)?;
        self.forget_orphans()
    }

    /// Forgets backing stores to which nobody has a right, and that have no segments.
    fn forget_orphans(&self) -> Result<(), KernReturn> {
        let areas = self.areas()?.list();
        let is_over =
            |store: &mut Made<K>| store.is_orphan && !areas.iter().any(|area| area.group == store.group);
        let gone = || self.backing_stores.all.lock().iter_mut().find_map(|store| store.take_if(is_over));
        while let Some(store) = gone() {
            drop(store);
        }
        Ok(())
    }

    /// Tells whoever wants to know that there is little room, or much again.
    pub(super) fn tell_of_space(&self) {
        let stores = &self.backing_stores;
        if !stores.armed.load(Relaxed) {
            return;
        }
        let free = self.store.space().free;
        let (below, above) = {
            let mut alerts = stores.alerts.lock();
            let below = alerts.below.take_if(|(pages, _)| free < *pages);
            let above = alerts.above.take_if(|(pages, _)| free > *pages);
            stores.armed.store(alerts.below.is_some() || alerts.above.is_some(), Relaxed);
            (below, above)
        };
        for (alert, flag) in [(below, HIGH_WATER), (above, LOW_WATER)] {
            if let Some((_, port)) = alert {
                self.sent(default_pager_space_alert(&port, flag).map_err(KernReturn::from));
            }
        }
    }
}
