//! Replies of an attacker, to the client functions of all interfaces. Whatever they do, each right and each
//! region is released once.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mig_fuzz::{Call, Choice, assert_nothing_left, reply, with_abi};
use mig_runtime::KernReturn;
use mig_tests::wire_kernel::{Formed, Wire};

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = Choice::split(input) else { return };
    with_abi!(choice.abi, abi => call(abi::CALLS, choice, body));
});

fn call<A: Formed>(calls: &[Call<A>], choice: Choice, body: &[u8]) {
    let call = &calls[usize::from(choice.function) % calls.len()];
    let kernel = Wire::<A>::new();
    let body = body.to_vec();
    kernel.answer(move |request| reply::<A>(choice, request, &body).ok_or(KernReturn::MACH_RCV_TIMED_OUT));
    (call.run)(&kernel);
    assert_nothing_left(&kernel);
}
