//! The files that were read, and places in them.

/// A place in the [source map](SourceMap): a range of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// Every text that was read, each at its own range of offsets.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {}
