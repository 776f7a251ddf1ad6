//! A reply that was kept for later is sent once.

use mach_defs::gnu::default_pager::{DefaultPagerInfo, default_pager_info_reply};
use mig_runtime::{KernReturn, Kernel, ReplyTo, abi};

fn answer<K: Kernel<Abi = abi::Gnu>>(token: ReplyTo<K>, info: DefaultPagerInfo) -> Result<(), KernReturn> {
    default_pager_info_reply(token, Ok(info))?;
    default_pager_info_reply(token, Err(KernReturn::KERN_FAILURE))
}

fn main() {}
