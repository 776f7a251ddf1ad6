//! Messages of the untyped ABIs: descriptors first, then plain data after an NDR record.

pub(crate) mod descriptor;
pub(crate) mod format;
pub(crate) mod read;
pub(crate) mod release;
pub(crate) mod write;
