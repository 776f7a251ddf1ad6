//! What the feature `tracing` writes, and what `mig decode` reads of it.

use std::io;
use std::sync::{Arc, Mutex};

use mig_decode::{Dictionary, bytes_of};
use mig_runtime::kernel::local::Local;
use mig_runtime::{ReceiveRight, Server};

mod clock {
    mig_derive::interface! {
        inline: "
            subsystem clock 3100;
            type clock_t = MACH_MSG_TYPE_COPY_SEND;
            routine clock_add(clock : clock_t; seconds : int; out now : int);
        ",
        abi: "gnu-x86_64"
    }
}

const CLOCK: &str = "
    subsystem clock 3100;
    type clock_t = MACH_MSG_TYPE_COPY_SEND;
    routine clock_add(clock : clock_t; seconds : int; out now : int);
";

/// Collects what the threads of a program log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Clock;

impl clock::Clock<Local> for Clock {
    fn clock_add(
        &self,
        _: mig_runtime::Port<'_, Local>,
        seconds: i32,
    ) -> Result<i32, mig_runtime::KernReturn> {
        Ok(seconds + 1)
    }
}

#[test]
fn the_events_of_a_call_are_its_messages() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    tracing::subscriber::set_global_default(subscriber.with_writer(move || writer.clone()).finish()).unwrap();
    let task = Local::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let right = port.make_send().unwrap();
    Server::on(&port)
        .with(clock::clock(&Clock))
        .serve_while(|| clock::clock_add(&right, 41))
        .unwrap()
        .unwrap();
    drop(port);
    assert!(clock::clock_add(&right, 1).is_err());
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("failed code=MACH_SEND_INVALID_DEST"), "{text}");

    let config = mig_codegen::Config::new().abi("gnu-x86_64");
    let mut dictionary = Dictionary::new(&config).unwrap();
    let input = mig_codegen::Input::Text { name: "clock.defs", text: CLOCK.as_bytes() };
    dictionary.add(&config.interface(input).unwrap().value);
    let calls: Vec<_> = dictionary
        .decode_all(&bytes_of(text.as_bytes()))
        .filter_map(|one| {
            assert!(one.faults.is_empty() || one.message.is_none(), "{one:?}");
            Some((one.message?.kind, one.arguments))
        })
        .collect();
    for (name, value) in [("seconds", 41), ("now", 42)] {
        let seen =
            calls.iter().flat_map(|(_, arguments)| arguments).filter(|(n, v)| n == name && *v == value);
        assert_eq!(seen.count(), 2, "{name} is sent once and received once: {calls:?}");
    }
}
