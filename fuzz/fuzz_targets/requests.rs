//! Requests of an attacker, to the demux functions of all interfaces. Whatever they do, each right and each region is released once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mig_fuzz::{
    Choice, Demux, REQUEST_PORT, apple_32, apple_64, assert_nothing_left, gnu_i386, gnu_x86_64, osf_32,
    request,
};
use mig_runtime::{MsgBuf, Receive, Received, Reply};
use mig_tests::wire_kernel::{Formed, Wire};

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = Choice::split(input) else { return };
    match choice.abi % 5 {
        0 => serve(gnu_i386::DEMUXES, choice, body),
        1 => serve(gnu_x86_64::DEMUXES, choice, body),
        2 => serve(apple_32::DEMUXES, choice, body),
        3 => serve(apple_64::DEMUXES, choice, body),
        _ => serve(osf_32::DEMUXES, choice, body),
    }
});

fn serve<A: Formed>(demuxes: &[Demux<A>], choice: Choice, body: &[u8]) {
    let demux = &demuxes[usize::from(choice.function) % demuxes.len()];
    let Some(flight) = request::<A>(choice, demux.base, body) else { return };
    let kernel = Wire::<A>::new();
    kernel.answer(move |_| Ok(flight.clone()));
    let (mut buffer, mut storage) = (MsgBuf::<8192>::new(), MsgBuf::<64>::new());
    let Ok(mut request) = Received::receive(&kernel, buffer.words(), Receive::from(REQUEST_PORT)) else {
        return;
    };
    let mut reply = Reply::new(&kernel, storage.words());
    (demux.serve)(&mut request, &mut reply);
    // The kernel takes every reply.
    let _ = reply.answer(request);
    assert_nothing_left(&kernel);
}
