//! A server and a client of an interface of one's own, as two tasks of the in-process kernel.

use std::sync::Mutex;
use std::time::Instant;

use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{KernReturn, Kernel, Port, ReceiveRight, SendOnceRight, Server};

mod clock {
    mig_runtime::include_interface!("clock");
}
use clock::{Clock, ClockGetTimeReply};

/// A clock that runs from when it was made. It owns the alarms that have not rung yet.
struct Wall<K: Kernel> {
    start: Instant,
    alarms: Mutex<Vec<(i32, SendOnceRight<K>)>>,
}

impl<K: Kernel<Abi = clock::Abi>> Clock<K> for Wall<K> {
    fn clock_get_time(&self, _clock: Port<'_, K>) -> Result<ClockGetTimeReply, KernReturn> {
        let time = self.start.elapsed();
        Ok(ClockGetTimeReply { seconds: time.as_secs() as i32, nanoseconds: time.subsec_nanos() as i32 })
    }

    fn clock_alarm(
        &self,
        _clock: Port<'_, K>,
        seconds: i32,
        alarm: SendOnceRight<K>,
    ) -> Result<(), KernReturn> {
        if seconds < 0 {
            return Err(KernReturn::KERN_INVALID_ARGUMENT); // `alarm` is released here
        }
        self.alarms.lock().unwrap().push((seconds, alarm));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let host: Host = Host::new();
    let (server_task, client_task) = (host.new_task("server"), host.new_task("client"));
    let port: ReceiveRight<Local> = ReceiveRight::allocate(&server_task)?;
    let to_clock = Local::transfer(port.make_send()?, &client_task)?;

    let wall = Wall { start: Instant::now(), alarms: Mutex::new(Vec::new()) };
    let server = Server::on(&port).with(clock::clock(&wall));
    server.serve_while(|| {
        let time = clock::clock_get_time(&to_clock)?;
        println!("the clock has run for {} s and {} ns", time.seconds, time.nanoseconds);

        let bell = ReceiveRight::allocate(&client_task)?;
        clock::clock_alarm(&to_clock, 60, bell.make_send_once()?)?;
        clock::clock_get_time(&to_clock)?; // one thread serves in order, so the alarm is set by now
        println!("alarms set: {}", wall.alarms.lock().unwrap().len());
        Ok(())
    })?
}
