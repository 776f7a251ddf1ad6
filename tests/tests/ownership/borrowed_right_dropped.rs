//! A right that a message copies is there until the message has been sent: its name may be that of another right afterwards.
#![forbid(unsafe_code)]

use mig_runtime::kernel::local::Local;
use mig_runtime::{Dest, MsgBuf, PortArray, SendOptions, SendRight, WordForm};

fn copied(to: &SendRight<Local>, right: SendRight<Local>) {
    let mut buffer = MsgBuf::<64>::new();
    let mut message = buffer.request(to.kernel());
    message.copy_send(&right);
    drop(right);
    let _ = message.send(1, Dest::copy_send(to), SendOptions::NONE);
}

fn array(to: &SendRight<Local>, rights: Vec<SendRight<Local>>) {
    let array = PortArray::copy_send(&rights);
    drop(rights);
    let mut buffer = MsgBuf::<64>::new();
    let _ = buffer.request(to.kernel()).ports(WordForm::Short, array, 4);
}

fn main() {}
