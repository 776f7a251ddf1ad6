//! Bytes of an attacker, read as a program whose servers are wanted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mig_decode::subsystems;

/// Headers of Mach-O files, since few inputs would begin with one.
const STARTS: [&[u8]; 5] = [
    &[],
    // 64 bits, little-endian, for arm64 and for x86_64.
    &[0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1, 0, 0, 0, 0],
    &[0xcf, 0xfa, 0xed, 0xfe, 0x07, 0, 0, 1, 3, 0, 0, 0],
    // 32 bits, big-endian, for PowerPC; and for several processors.
    &[0xfe, 0xed, 0xfa, 0xce, 0, 0, 0, 18, 0, 0, 0, 0],
    &[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1],
];

fuzz_target!(|input: &[u8]| {
    let Some((start, rest)) = input.split_first() else { return };
    let bytes = [STARTS[usize::from(*start) % STARTS.len()], rest].concat();
    for one in subsystems(&bytes).unwrap_or_default() {
        assert!(one.start < one.end && !one.routines.is_empty());
        assert!(one.routines.iter().all(|routine| (one.start..one.end).contains(&routine.id)));
        assert!(one.routines.iter().all(|routine| routine.max_reply <= one.max_reply));
    }
});
