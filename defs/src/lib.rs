//! Interface definitions of Mach, and the bindings generated from them.
#![no_std]
