//! Memory that was given to a message is no longer the caller's.

use mach_defs::gnu::mach::memory_object_data_supply;
use mig_runtime::{CallError, Kernel, OolMemory, ReceiveRight, SendRight, abi};

fn supply<K: Kernel<Abi = abi::Gnu>>(
    control: &SendRight<K>,
    page: OolMemory<K>,
    reply_to: &ReceiveRight<K>,
) -> Result<u8, CallError<K>> {
    memory_object_data_supply(control, 0, page, 0, false, reply_to)?;
    Ok(page[0])
}

fn main() {}
