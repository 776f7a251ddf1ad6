//! Any order of what the threads of a pager do, between a kernel, attackers and a failing store: see the
//! module.

#[path = "chaos/mod.rs"]
mod interleaved;
mod world;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_order_loses_a_page(input in prop::collection::vec(any::<u8>(), 1..1200)) {
        interleaved::run(&input);
    }
}
