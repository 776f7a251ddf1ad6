//! A server keeps nothing that lies in the message it was called with.

use mach_defs::gnu::mach::Mach;
use mig_runtime::{KernReturn, Kernel, Port, abi};

struct Server<K: Kernel + 'static>(std::sync::Mutex<Option<Port<'static, K>>>);

impl<K: Kernel<Abi = abi::Gnu>> Mach<K> for Server<K> {
    fn thread_terminate(&self, thread: Port<'_, K>) -> Result<(), KernReturn> {
        *self.0.lock().unwrap() = Some(thread);
        Ok(())
    }
}

fn main() {}
