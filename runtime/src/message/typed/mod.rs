//! Messages of the typed ABIs: a type word before each argument, which says what it is.

pub(crate) mod format;
pub(crate) mod read;
pub(crate) mod release;
pub(crate) mod word;
pub(crate) mod write;
