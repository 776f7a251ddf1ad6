//! A kernel's own side of its interfaces: an object behind a port, which a server of `KernelServer` serves,
//! and a message that the kernel sends by a stub of `KernelUser`.
//!
//! To a kernel a port is not a name but the structure itself. Here that is an [`Arc`], and each right is one
//! reference of it.

pub mod ports;

use std::sync::{Arc, Mutex, PoisonError};

use mig_runtime::{CallError, KernReturn, Port, PortAddress, ReceiveRight, SendOnceRight};

use crate::ports::{Micro, Object};

/// What the kernel serves, with rights as the kernel has them.
pub mod counter {
    mig_derive::interface! {
        path: "defs/counter.defs",
        abi: "gnu-x86_64",
        define: { KERNEL_SERVER: 1 },
        extern_type: { counter_object_t: std::sync::Arc<crate::Counter> },
    }
}

/// What the kernel sends.
pub mod alarm {
    mig_derive::interface! {
        path: "defs/alarm.defs",
        abi: "gnu-x86_64",
        define: { KERNEL_USER: 1 },
    }
}

/// An object of the kernel.
#[derive(Default)]
pub struct Counter {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    value: i32,
    alarms: Vec<(i32, SendOnceRight<Micro>)>,
}

impl Counter {
    /// A counter behind a port of its own.
    pub fn create() -> Result<ReceiveRight<Micro>, KernReturn> {
        ports::create(Object::Counter(Arc::default()))
    }

    /// Adds, and takes the alarms out for which it is time.
    fn add(&self, by: i32) -> (i32, Vec<SendOnceRight<Micro>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.value = state.value.wrapping_add(by);
        let value = state.value;
        let (due, later) = std::mem::take(&mut state.alarms).into_iter().partition(|(at, _)| *at <= value);
        state.alarms = later;
        (value, due.into_iter().map(|(_, alarm)| alarm).collect())
    }
}

/// The server of all counters: which of them is meant, the port says.
pub struct Counters;

impl counter::Counter<Micro> for Counters {
    fn counter_of_port(&self, port: PortAddress) -> Result<Arc<Counter>, KernReturn> {
        match ports::object(port) {
            Some(Object::Counter(counter)) => Ok(counter),
            None => Err(KernReturn::KERN_INVALID_ARGUMENT),
        }
    }

    fn counter_add(&self, counter: Arc<Counter>, _: Port<'_, Micro>, by: i32) -> Result<i32, KernReturn> {
        let (value, due) = counter.add(by);
        // Whoever does not listen any more has lost the alarm.
        due.into_iter().for_each(|alarm| drop(ring(alarm, value)));
        Ok(value)
    }

    fn counter_alarm(
        &self,
        counter: Arc<Counter>,
        _: Port<'_, Micro>,
        at: i32,
        alarm: SendOnceRight<Micro>,
    ) -> Result<(), KernReturn> {
        counter.state.lock().unwrap_or_else(PoisonError::into_inner).alarms.push((at, alarm));
        Ok(())
    }
}

/// Sends the message of the kernel.
fn ring(alarm: SendOnceRight<Micro>, value: i32) -> Result<(), CallError<Micro>> {
    alarm::alarm_rang(alarm, value)
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use mig_runtime::{Receive, Received};

    use super::*;

    #[test]
    fn an_alarm_rings_when_its_time_has_come() {
        let before = ports::alive();
        {
            let receive = Counter::create().unwrap();
            let port = receive.make_send().unwrap();
            let bell = ReceiveRight::allocate(&Micro).unwrap();
            counter::counter_alarm(&port, 42, bell.make_send_once().unwrap()).unwrap();
            assert_eq!(counter::counter_add(&port, 40).unwrap(), 40);
            assert_eq!(counter::counter_add(&port, 3).unwrap(), 43);
            let mut buffer = [const { MaybeUninit::uninit() }; 16];
            let rung = Received::receive(&Micro, &mut buffer, Receive::from(bell.name())).unwrap();
            assert_eq!(rung.id(), alarm::id::ALARM_RANG);
            drop(rung);
        }
        ports::forget_reply_port();
        assert_eq!(ports::alive(), before);
    }
}
