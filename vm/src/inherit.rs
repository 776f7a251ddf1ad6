//! Memory that a process has from the one that it is a child of: what was there at the fork is there, and the
//! rest is somewhere else.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::io::Errno;

use crate::VmError;
use crate::core::{Core, hash};
use crate::object::Object;
use crate::pages::Inherited;
use crate::source::Source;
use crate::space::{PAGE, Space};

/// What a page of the address space is, in an entry of `/proc/PID/pagemap`: there, or in the system's swap
/// space. `Documentation/admin-guide/mm/pagemap.rst` has the bits.
const HERE: u64 = 1 << 63 | 1 << 62;

/// Which of the pages are there.
fn here(space: &Space) -> Result<Vec<bool>, Errno> {
    let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let map = File::open("/proc/self/pagemap").map_err(failed)?;
    let mut entries = vec![0; space.len() / PAGE * size_of::<u64>()];
    map.read_exact_at(&mut entries, space.start() / PAGE as u64 * size_of::<u64>() as u64).map_err(failed)?;
    let is_here = |entry: &[u8]| u64::from_ne_bytes(entry.try_into().unwrap_or_default()) & HERE != 0;
    Ok(entries.chunks_exact(size_of::<u64>()).map(is_here).collect())
}

impl Core {
    /// Memory that is there already.
    pub(crate) fn inherit(&self, space: Space, source: Arc<dyn Source>) -> Result<Arc<Object>, VmError> {
        // Whoever touches a page from here on is told of when all is known of it.
        let mut state = self.lock();
        self.places.register(&space)?;
        let here = here(&space)?;
        let pages = here.into_iter().enumerate().map(|(page, is_here)| match is_here {
            true => Inherited::Here,
            false if source.has(space.page(page) as usize) => Inherited::Kept,
            false => Inherited::Untouched,
        });
        let id = state.pages.inherit(pages);
        Ok(state.insert(Object { source: Some(source), ..Object::anonymous(id, space) }))
    }

    /// Puts a page in its place that was inherited. False if it cannot be had.
    pub(crate) fn take_inherited(&self, object: &Object, page: usize) -> bool {
        let mut bytes = [0; PAGE];
        let source = object.source.as_ref();
        let is_read = source.is_some_and(|source| source.read(object.space.page(page) as usize, &mut bytes));
        let content = is_read.then(|| hash(&self.hasher, &bytes));
        self.lock().pages.inherited(object.id, page, content);
        if is_read {
            self.places.place(&object.space, page, &bytes);
            self.placed(object, page);
        } else {
            self.failed(object, page);
        }
        is_read
    }
}
