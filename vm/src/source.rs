//! Where pages are that a process has from the one that it is a child of.

/// What has the pages that were not there when a process began.
pub trait Source: Send + Sync {
    /// True if it has the page at this address.
    fn has(&self, address: usize) -> bool;

    /// Reads it. False if that is not possible any more; then access to the page is SIGBUS.
    fn read(&self, address: usize, page: &mut [u8]) -> bool;
}
