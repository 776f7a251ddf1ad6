//! An interface that does not say which ABI it is for has that of the target.

use mig_runtime::abi::{Abi as _, Native};

mod lamp {
    mig_derive::interface! {
        inline: "
            subsystem lamp 4000;
            type lamp_t = MACH_MSG_TYPE_COPY_SEND;
            type number_t = MACH_MSG_TYPE_INTEGER_32;
            #if defined(__APPLE__) && defined(__LP64__)
            skip;
            #endif
            routine lamp_watts(lamp : lamp_t; out watts : number_t);
        ",
    }
}

/// Two types that are one.
trait Same<T> {}
impl<T> Same<T> for T {}

#[test]
fn the_default_is_the_abi_of_the_target() {
    fn same<A: Same<B>, B>() {}
    same::<lamp::Abi, Native>();
    let apple = cfg!(target_vendor = "apple");
    let size = if cfg!(target_pointer_width = "64") { "64" } else { "32" };
    let name = match (apple, size) {
        (true, _) => format!("apple-{size}"),
        (false, "64") => "gnu-x86_64".to_owned(),
        (false, _) => "gnu-i386".to_owned(),
    };
    assert_eq!(Native::FACTS.name, name);
}

#[test]
fn the_macros_of_the_target_are_predefined() {
    let id = if cfg!(all(target_vendor = "apple", target_pointer_width = "64")) { 4001 } else { 4000 };
    assert_eq!(lamp::id::LAMP_WATTS, id);
}
