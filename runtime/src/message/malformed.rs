//! What is wrong with a message that is not as declared.

use core::fmt;

use crate::kern_return::KernReturn;

/// What is wrong with a message that does not match its declaration.
///
/// A server answers [`MIG_BAD_ARGUMENTS`](KernReturn::MIG_BAD_ARGUMENTS); a client's call ends with
/// [`MIG_TYPE_ERROR`](KernReturn::MIG_TYPE_ERROR), or with
/// [`MIG_ARRAY_TOO_LARGE`](KernReturn::MIG_ARRAY_TOO_LARGE) for a count.
// As wide as a pointer: a `Result` with it and something larger is then copied word by word, which optimises
// away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[non_exhaustive]
pub enum Malformed {
    /// Too short, or longer than its arguments.
    Size,
    /// The complex bit is not as declared, or an argument needs it and it is clear.
    Complex,
    /// A type word is not the declared one, or makes no whole number of elements.
    Type,
    /// An array has more elements than declared.
    Count,
    /// A string has no NUL.
    String,
    /// A descriptor of an untyped message is not the declared one, or contradicts the count in the data.
    Descriptor,
    /// The trailer is not of a known type, or does not have the field that is wanted.
    Trailer,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the message is too short, or longer than its arguments",
            Self::Complex => "the complex bit of the message is wrong",
            Self::Type => "a type word is not the declared one",
            Self::Count => "an array has too many elements",
            Self::String => "a string has no NUL",
            Self::Descriptor => "a descriptor is not the declared one",
            Self::Trailer => "the trailer does not have the wanted field",
        })
    }
}

impl core::error::Error for Malformed {}

impl From<Malformed> for KernReturn {
    /// The code that a server answers to a malformed request.
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Descriptor => Self::MIG_TYPE_ERROR,
            Malformed::Trailer => Self::MIG_TRAILER_ERROR,
            _ => Self::MIG_BAD_ARGUMENTS,
        }
    }
}
