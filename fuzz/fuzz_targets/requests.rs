//! Requests of an attacker, to the demux functions of all interfaces. Whatever they do, each right and each
//! region is released once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mig_fuzz::{Choice, Demux, REQUEST_PORT, assert_nothing_left, request, with_abi};
use mig_runtime::{MsgBuf, Receive, Received, Reply};
use mig_tests::wire_kernel::{Formed, Wire};

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = Choice::split(input) else { return };
    with_abi!(choice.abi, abi => serve(abi::DEMUXES, choice, body));
});

fn serve<A: Formed>(demuxes: &[Demux<A>], choice: Choice, body: &[u8]) {
    let demux = &demuxes[usize::from(choice.function) % demuxes.len()];
    let Some(flight) = request::<A>(choice, demux.base, body) else { return };
    let kernel = Wire::<A>::new();
    kernel.answer(move |_| Ok(flight.clone()));
    let (mut buffer, mut storage) = (MsgBuf::<8192>::new(), MsgBuf::<64>::new());
    let Ok(mut request) = Received::receive(
        &kernel,
        buffer.words(),
        Receive::from(mig_runtime::PortName::from_word(REQUEST_PORT.0.into())),
    ) else {
        return;
    };
    let mut reply = Reply::new(&kernel, storage.words());
    (demux.serve)(&mut request, &mut reply);
    // The kernel takes every reply.
    let _ = reply.answer(request);
    assert_nothing_left(&kernel);
}
