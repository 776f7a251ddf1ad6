//! The tables of an interface as text and as JSON.
