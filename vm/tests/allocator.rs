//! Collections in memory that is paged.
#![cfg(all(target_os = "linux", feature = "allocator-api2"))]

mod common;

use std::alloc::Layout;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use common::{PAGE, paged};
use mach_vm::{Limits, Vm};

#[test]
fn a_vector_is_larger_than_what_may_be_resident() {
    paged(64, |vm, _| {
        let mut numbers = Vec::new_in(vm.clone());
        // It grows, each time into another allocation.
        (0..200_000_u64).for_each(|number| numbers.push(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        numbers.sort_unstable();
        assert!(numbers.is_sorted());
        let sum =
            (0..200_000_u64).fold(0_u64, |sum, at| sum.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        assert_eq!(numbers.iter().fold(0_u64, |sum, number| sum.wrapping_add(*number)), sum);
        assert!(vm.statistics().peak_resident <= 64 * PAGE);
        assert!(vm.statistics().returned > 300);
    });
}

#[test]
fn small_and_odd_allocations() {
    paged(64, |vm, _| {
        let one = Box::new_in(17_u8, vm.clone());
        assert_eq!(*one, 17);
        let empty: Vec<u64, Vm> = Vec::new_in(vm.clone());
        assert!(empty.is_empty());
        let large = Layout::from_size_align(PAGE, 2 * PAGE).unwrap();
        assert!(vm.allocate_in(large).is_err());
    });
    let host = mig_runtime::kernel::local::Host::new();
    let Some(vm) = common::vm(&host, Limits::default()) else { return };
    assert!(Vec::<u8, _>::new_in(vm).try_reserve(1).is_err(), "nobody pages it");
}

trait AllocateIn {
    fn allocate_in(&self, layout: Layout) -> Result<(), ()>;
}

impl AllocateIn for Vm {
    fn allocate_in(&self, layout: Layout) -> Result<(), ()> {
        // `Vm` has a method of the same name.
        Allocator::allocate(self, layout).map(drop).map_err(drop)
    }
}
