//! The calls of `default_pager`: what administrators ask.

use alloc::collections::TryReserveError;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ffi::CStr;

use mach_defs::gnu::default_pager::{
    DefaultPager, DefaultPagerInfo, DefaultPagerObject, DefaultPagerObjectsReply, DefaultPagerPage, VmOffset,
    VmSize,
};
use mach_defs::gnu::hurd::default_pager as hurd;
use mig_runtime::abi::Gnu;
use mig_runtime::platform::Platform;
use mig_runtime::{
    Elements, KernReturn, Kernel, Largest, NameOf, Port, ReceiveRight, SendRight, Seqno, Subsystem, subsystem,
};

use super::SwapPager;
use super::entry::{Admitted, Entry, Rights};
use crate::areas::{Area, Areas, HURD_EINVAL, RUNS_MAX};
use crate::object::Origin;
use crate::store::Store;

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> DefaultPager<K> for SwapPager<K, P, S> {
    fn default_pager_object_create(
        &self,
        default_pager: Port<'_, K>,
        object_size: VmSize,
    ) -> Result<SendRight<K>, KernReturn> {
        let client = self.enter(default_pager.name())?;
        if client.is_none() {
            self.administers(default_pager)?;
        }
        let size = wide(object_size);
        let pages = size.div_ceil(self.page_size as u64);
        let port = ReceiveRight::allocate(&self.kernel)?;
        let entry = self.add_object(Origin::External { pages }, Rights::unused(Arc::new(port)), client)?;
        let port = {
            let mut state = entry.lock();
            state.object.right_made();
            state.rights.port.clone()
        };
        let right = port.make_send().and_then(|right| self.watch(&entry, 1).map(|()| right));
        right.inspect_err(|_| self.forget(&entry))
    }

    fn default_pager_info(&self, default_pager: Port<'_, K>) -> Result<DefaultPagerInfo, KernReturn> {
        let mut space = self.store.space();
        match self.room_of_client(default_pager.name()) {
            Some([most, more]) => {
                (space.total, space.free) = (space.total.min(most), space.free.min(more));
            }
            None => self.administers(default_pager)?,
        }
        let bytes = |pages: u64| saturate(pages.saturating_mul(self.page_size as u64));
        Ok(DefaultPagerInfo {
            dpi_total_space: bytes(space.total),
            dpi_free_space: bytes(space.free),
            dpi_page_size: saturate(self.page_size as u64),
        })
    }

    fn default_pager_objects(
        &self,
        default_pager: Port<'_, K>,
        _objects_max: u32,
        _ports_max: u32,
    ) -> Result<DefaultPagerObjectsReply<K>, KernReturn> {
        self.administers(default_pager)?;
        let (objects, ports): (_, Vec<_>) =
            self.objects.all().iter().map(|entry| self.describe(entry)).unzip();
        Ok(DefaultPagerObjectsReply { objects, ports: ports.into() })
    }

    fn default_pager_object_pages(
        &self,
        default_pager: Port<'_, K>,
        memory_object: SendRight<K>,
        _pages_max: u32,
    ) -> Result<Vec<DefaultPagerPage>, KernReturn> {
        self.administers(default_pager)?;
        let is_it = |entry: &&Arc<Entry<K, P, S>>| {
            let state = entry.lock();
            state.rights.user.as_ref().is_some_and(|user| user.name.name() == memory_object.name())
        };
        let entries = self.objects.all();
        let entry = entries.iter().find(is_it).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        stored_pages(entry, |page| DefaultPagerPage { dpp_offset: saturate(self.offset(page)) })
            .map_err(|_| KernReturn::KERN_RESOURCE_SHORTAGE)
    }

    fn default_pager_paging_file(
        &self,
        default_pager: Port<'_, K>,
        master_device_port: SendRight<K>,
        filename: &CStr,
        add: bool,
    ) -> Result<(), KernReturn> {
        self.administers(default_pager)?;
        self.is_stranger(&master_device_port)?;
        let (areas, name) = (self.areas()?, self::name(filename)?);
        if add { areas.add_file(master_device_port, name) } else { self.remove_areas(&*areas, &[name]) }
    }
}

/// The calls that only the Hurd has.
impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> hurd::DefaultPager<K> for SwapPager<K, P, S> {
    fn default_pager_paging_storage(
        &self,
        default_pager: Port<'_, K>,
        device_port: SendRight<K>,
        runs: Elements<'_, hurd::Recnum, K>,
        name: &CStr,
        add: bool,
    ) -> Result<(), KernReturn> {
        self.administers(default_pager)?;
        self.is_stranger(&device_port)?;
        let (areas, name) = (self.areas()?, self::name(name)?);
        if !add {
            return self.remove_areas(&*areas, &[name]);
        }
        // One more than there may be, which is refused, and not a machine's memory full.
        let runs = runs.chunks(2).take(RUNS_MAX + 1).map(|run| match run {
            #[allow(clippy::unnecessary_cast)]
            [first, count] => Ok((*first as u64, *count as u64)),
            _ => Err(HURD_EINVAL),
        });
        let runs = runs.collect::<Result<Vec<_>, _>>()?;
        areas.add_storage(device_port, &runs, Area::named(name))
    }

    fn default_pager_object_set_size(
        &self,
        memory_object: Port<'_, K>,
        seqno: Seqno,
        object_size_limit: VmSize,
    ) -> Result<(), KernReturn> {
        self.set_object_size(memory_object.name(), Some(seqno), wide(object_size_limit))
    }

    fn default_pager_storage_info(
        &self,
        default_pager: Port<'_, K>,
    ) -> Result<hurd::DefaultPagerStorageInfoReply, KernReturn> {
        self.administers(default_pager)?;
        let areas = self.areas()?.list();
        let bytes = |pages: u64| saturate(pages.saturating_mul(self.page_size as u64));
        Ok(hurd::DefaultPagerStorageInfoReply {
            size: areas.iter().map(|area| bytes(area.space.total)).collect(),
            free: areas.iter().map(|area| bytes(area.space.free)).collect(),
            name: areas.iter().flat_map(|area| area.name.bytes().chain([0])).map(|byte| byte as _).collect(),
        })
    }
}

/// `default_pager_object_set_size`, the one call of `default_pager` that goes to an object, for the servers
/// of objects.
pub fn object_calls<K: Kernel<Abi = Gnu>, P: Platform, S: Store>(
    pager: &SwapPager<K, P, S>,
) -> impl Subsystem<K> + '_ {
    /// Its number, and what its messages have at most.
    const ID: i32 = 2282;
    const SIZE: usize = 64;
    let largest = Largest { request: SIZE, reply: SIZE };
    subsystem(ID..ID + 1, largest, move |request, reply| hurd::default_pager_server(pager, request, reply))
}

/// How many pages of an object are looked at before others have their turn.
const PIECE: usize = 64;

/// The pages of an object that the store has. No memory is asked for with the lock in hands, and there may
/// not be enough for all.
fn stored_pages<K: Kernel, P: Platform, S: Store, T>(
    entry: &Entry<K, P, S>,
    tell: impl Fn(u64) -> T,
) -> Result<Vec<T>, TryReserveError> {
    let mut pages = Vec::new();
    let mut piece = [0; PIECE];
    let mut from = 0;
    loop {
        let count = {
            let state = entry.lock();
            let found = piece.iter_mut().zip(state.object.pages().in_store(from));
            found.map(|(place, page)| *place = page).count()
        };
        pages.try_reserve(count)?;
        pages.extend(piece[..count].iter().map(|page| tell(*page)));
        if count < PIECE {
            return Ok(pages);
        }
        from = piece[PIECE - 1] + 1;
    }
}

/// A name as messages have it.
fn name(name: &CStr) -> Result<&str, KernReturn> {
    name.to_str().map_err(|_| KernReturn::KERN_INVALID_ARGUMENT)
}

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> SwapPager<K, P, S> {
    pub(super) fn areas(&self) -> Result<Arc<dyn Areas<K>>, KernReturn> {
        self.areas.lock().clone().ok_or(KernReturn::KERN_FAILURE)
    }

    /// Gives an object another size, in bytes, of which a part of a page is rounded up.
    fn set_object_size(&self, port: NameOf<K>, seqno: Option<Seqno>, size: u64) -> Result<(), KernReturn> {
        self.counters.administration.count();
        let entry = self.find(port).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        let pages = size.div_ceil(self.page_size as u64);
        let turn = entry.turn(seqno).admit().map_err(|_| KernReturn::KERN_INVALID_ARGUMENT)?;
        let (before, user) = {
            let mut state = turn.lock();
            let before = state.object.set_size(pages).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
            (before, state.rights.user.clone())
        };
        let mut from = pages;
        while let Some(next) = self.forget_pages_from(&entry, &turn, from) {
            from = next;
        }
        drop(turn);
        if let Some(user) = user.filter(|_| before > pages) {
            let most = u64::MAX / self.page_size as u64;
            let (start, end) = (self.offset(pages), self.offset(before.min(most)));
            self.sent(user.control.drop_pages(start, end - start));
        }
        Ok(())
    }

    /// Forgets some pages from this one on, and says where to go on. `None` if there are no more.
    fn forget_pages_from(
        &self,
        entry: &Entry<K, P, S>,
        turn: &Admitted<'_, K, P, S>,
        mut from: u64,
    ) -> Option<u64> {
        let mut places = [const { None }; PIECE];
        let mut count = 0;
        {
            let mut state = turn.lock();
            for place in &mut places {
                let Some((page, forgotten)) = state.object.pages_mut().forget_next(from) else { break };
                (*place, from) = (forgotten, page + 1);
                count += 1;
            }
            let charged = state.charged.min(count);
            state.charged -= charged;
            self.discharge_others(entry, charged);
        }
        places.into_iter().flatten().for_each(|place| self.store.free(place));
        (count == PIECE as u64).then_some(from)
    }

    /// Refuses a port of the pager's own: a call to it would wait for the thread that makes the call.
    pub(super) fn is_stranger(&self, device: &SendRight<K>) -> Result<(), KernReturn> {
        if self.is_own_port(device.name()) { Err(KernReturn::KERN_INVALID_ARGUMENT) } else { Ok(()) }
    }

    /// Counts a call, and refuses it unless it came to one of the ports for it.
    pub(super) fn administers(&self, port: Port<'_, K>) -> Result<(), KernReturn> {
        self.counters.administration.count();
        let is_for_it = [&self.administration, &self.manager, &self.backing_stores.port]
            .iter()
            .any(|own| own.name() == port.name());
        if is_for_it { Ok(()) } else { Err(KernReturn::KERN_INVALID_ARGUMENT) }
    }

    /// An object for the list, with its name port. One that has none now is left as zeros.
    fn describe(&self, entry: &Entry<K, P, S>) -> (DefaultPagerObject, SendRight<K>) {
        let (user, pages) = {
            let state = entry.lock();
            (state.rights.user.clone(), state.object.pages().count_in_store())
        };
        let name = user.and_then(|user| user.name.try_clone().ok());
        let Some(name) = name.filter(|name| !name.is_null()) else {
            return (DefaultPagerObject::default(), SendRight::null(self.kernel.clone()));
        };
        let size = self.offset(pages);
        let object = DefaultPagerObject { dpo_object: entry.handle.into(), dpo_size: saturate(size) };
        (object, name)
    }
}

/// A length in bytes.
#[allow(clippy::unnecessary_cast)]
fn wide(bytes: VmSize) -> u64 {
    bytes as u64
}

/// A number of bytes in a reply, the largest possible one if it is too large.
#[allow(clippy::unnecessary_fallible_conversions)]
fn saturate(bytes: u64) -> VmOffset {
    VmOffset::try_from(bytes).unwrap_or(VmOffset::MAX)
}
