//! A look at the pages that the store has, for whoever wants to know them without asking as a kernel does.

use core::time::Duration;

use mig_runtime::abi::Gnu;
use mig_runtime::platform::Platform;
use mig_runtime::{Kernel, NameOf};

use super::SwapPager;
use super::moves::pause;
use crate::store::{Store, Stored};

/// How long a page that is being read is given until it is looked for again.
const PAUSE: Duration = Duration::from_micros(200);

impl<K: Kernel<Abi = Gnu>, P: Platform, S: Store> SwapPager<K, P, S> {
    /// Has a look at each page of an object that is in the store, by the name of the object's port: its
    /// number, and where it is. Nothing becomes of that place until `look` returns, and the object's messages
    /// wait for as long.
    ///
    /// A page that is being written is not in the store yet; whoever wants those, too, waits until nothing is
    /// [on its way](Self::free_buffers).
    pub fn look_at_stored(&self, port: NameOf<K>, look: &mut dyn FnMut(u64, &Stored<S::Place>)) {
        let Some(entry) = self.find(port) else { return };
        let mut next = Some(0);
        while let Some(from) = next {
            let mut state = entry.lock();
            let pages = state.object.pages_mut();
            let Some(page) = pages.in_store(from).next() else { return };
            next = match pages.look(page, |place| look(page, place)) {
                Some(()) => page.checked_add(1),
                // The place is with whoever reads the page or moves it, and comes back.
                None => {
                    drop(state);
                    pause::<P>(PAUSE);
                    next
                }
            };
        }
    }
}
