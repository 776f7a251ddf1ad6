//! The macro for a program that depends on `mig-runtime` by another name.

extern crate mig_runtime as my_runtime;

mod lamp {
    mig_derive::interface! {
        inline: "
            subsystem lamp 4000;
            type lamp_t = MACH_MSG_TYPE_COPY_SEND;
            type number_t = MACH_MSG_TYPE_INTEGER_32;
            type pair_t = struct { number_t on; number_t off; };
            routine lamp_pair(lamp : lamp_t; out pair : pair_t);
        ",
        abi: "gnu-x86_64",
        crate: my_runtime,
    }
}

/// The types are the runtime's, by whatever name generated code reaches them.
#[test]
fn generated_code_takes_the_runtime_from_the_crate_of_that_name() {
    type Kernel = my_runtime::kernel::local::Local<lamp::Abi>;
    type Call = fn(&my_runtime::SendRight<Kernel>) -> Result<lamp::Pair, my_runtime::CallError<Kernel>>;
    let _: Call = lamp::lamp_pair;
    assert_eq!(
        my_runtime::zerocopy::IntoBytes::as_bytes(&lamp::Pair { on: 1, off: 2 }),
        [1, 0, 0, 0, 2, 0, 0, 0]
    );
}
