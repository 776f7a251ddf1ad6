//! The calls of `default_pager`: what administrators ask.

use alloc::sync::Arc;
use alloc::vec::Vec;

use mach_defs::native::default_pager::{
    DefaultPager, DefaultPagerInfo, DefaultPagerObject, DefaultPagerObjectsReply, DefaultPagerPage, VmOffset,
    VmSize,
};
use mig_runtime::abi::Native;
use mig_runtime::platform::Platform;
use mig_runtime::{KernReturn, Kernel, Port, ReceiveRight, SendRight};

use super::SwapPager;
use super::entry::{Entry, Rights};
use crate::object::Origin;
use crate::store::Store;

impl<K: Kernel<Abi = Native>, P: Platform, S: Store> DefaultPager<K> for SwapPager<K, P, S> {
    fn default_pager_object_create(
        &self,
        default_pager: Port<'_, K>,
        object_size: VmSize,
    ) -> Result<SendRight<K>, KernReturn> {
        self.administers(default_pager)?;
        let size = wide(object_size);
        let pages = size.div_ceil(self.page_size as u64);
        let port = ReceiveRight::allocate(&self.kernel)?;
        let entry = self.add_object(Origin::External { pages }, Rights::unused(port))?;
        let port = {
            let mut state = entry.lock();
            state.object.right_made();
            state.rights.port.clone()
        };
        let right = port.make_send().and_then(|right| self.watch(&entry, 1).map(|()| right));
        right.inspect_err(|_| self.forget(&entry))
    }

    fn default_pager_info(&self, default_pager: Port<'_, K>) -> Result<DefaultPagerInfo, KernReturn> {
        self.administers(default_pager)?;
        let space = self.store.space();
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
        let (objects, ports) = self.entries().iter().map(|entry| self.describe(entry)).unzip();
        Ok(DefaultPagerObjectsReply { objects, ports })
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
        let entries = self.entries();
        let entry = entries.iter().find(is_it).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        let state = entry.lock();
        let pages = state.object.pages.in_store();
        Ok(pages.map(|page| DefaultPagerPage { dpp_offset: saturate(self.offset(page)) }).collect())
    }
}

impl<K: Kernel<Abi = Native>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// Counts a call, and refuses it unless it came to one of the ports for it.
    fn administers(&self, port: Port<'_, K>) -> Result<(), KernReturn> {
        self.counters.administration.count();
        let is_for_it = [&self.administration, &self.manager].iter().any(|own| own.name() == port.name());
        if is_for_it { Ok(()) } else { Err(KernReturn::KERN_INVALID_ARGUMENT) }
    }

    fn entries(&self) -> Vec<Arc<Entry<K, P, S>>> {
        self.objects.lock().by_port.values().cloned().collect()
    }

    /// An object for the list, with its name port. One that has none now is left as zeros.
    fn describe(&self, entry: &Entry<K, P, S>) -> (DefaultPagerObject, SendRight<K>) {
        let (user, pages) = {
            let state = entry.lock();
            (state.rights.user.clone(), state.object.pages.count_in_store())
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
