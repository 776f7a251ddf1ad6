//! What a declaration says about a message as a whole, and where a message comes from.

use super::malformed::Malformed;
use crate::abi::Abi;
use crate::message::format::Rules;

/// Whether a message of this declaration is complex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complex {
    /// The message holds a right or out-of-line memory in every case.
    Always,
    /// The message holds neither in any case.
    Never,
    /// The values decide.
    Depends,
}

/// What the declaration says about a message as a whole; sizes are those of `msgh_size`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The size with every variable argument empty.
    pub min: usize,
    /// The size with every variable argument at its bound; equal to `min` if there is none.
    pub max: usize,
    /// Whether the complex bit is set.
    pub complex: Complex,
}

impl Shape {
    /// Messages of these sizes.
    pub const fn new(min: usize, max: usize, complex: Complex) -> Self {
        Self { min, max, complex }
    }

    /// Checks a message as a whole: its complex bit, and its size, here without the header.
    #[inline]
    pub(crate) fn check<A: Abi>(self, complex: bool, size: usize) -> Result<(), Malformed> {
        let header = A::FACTS.header;
        A::Format::check(Self { min: self.min - header, max: self.max - header, ..self }, complex, size)
    }

    /// Checks the size of a message that may be this large at most if its size varies.
    #[inline(always)]
    pub(crate) fn check_size(self, size: usize, most: usize) -> Result<(), Malformed> {
        let fits = match self.min == self.max {
            true => size == self.min,
            false => size >= self.min && size <= most,
        };
        if fits { Ok(()) } else { Err(Malformed::Size) }
    }

    /// Checks the complex bit; `may_depend` is whether there are messages in which the values decide.
    #[inline(always)]
    pub(crate) fn check_complex(self, complex: bool, may_depend: bool) -> Result<(), Malformed> {
        let fits = match self.complex {
            Complex::Always => complex,
            Complex::Never => !complex,
            Complex::Depends => may_depend || !complex,
        };
        if fits { Ok(()) } else { Err(Malformed::Complex) }
    }
}

/// Where the arguments come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The kernel has delivered them: all that they describe is this task's.
    Delivered,
    /// This task has built them and could not send them: memory without the deallocate bit was only lent.
    Unsent,
}
