//! What a declaration says about a message as a whole, and where a message comes from.

use super::malformed::Malformed;
use crate::abi::{Abi, Family};

/// Whether a message of this declaration is complex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complex {
    /// It holds a right or out-of-line memory for certain.
    Always,
    /// It holds neither.
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
    pub(crate) fn check<A: Abi>(self, complex: bool, arguments: usize) -> Result<(), Malformed> {
        let typed = A::FACTS.family == Family::Typed;
        let (min, max) = (self.min - A::FACTS.header, self.max - A::FACTS.header);
        let fits = match min == max {
            true => arguments == min,
            // What is too long in a typed message is found when its arguments end.
            false => arguments >= min && (typed || arguments <= max),
        };
        if !fits {
            return Err(Malformed::Size);
        }
        match self.complex {
            Complex::Always if !complex => Err(Malformed::Complex),
            Complex::Never if complex => Err(Malformed::Complex),
            Complex::Depends if complex && !typed => Err(Malformed::Complex),
            _ => Ok(()),
        }
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
