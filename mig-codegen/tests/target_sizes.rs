//! A size that is asked of the C compiler is the target's.

use mig_codegen::{Config, Input};

/// The size of a type that is as large as a pointer.
const PLACE: &str = "
    subsystem target 56100;
    type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
    #if __SIZEOF_POINTER__ == 8 && __SIZEOF_POINTER__ * __CHAR_BIT__ == 64
    type address_t = MACH_MSG_TYPE_INTEGER_64;
    #elif __SIZEOF_POINTER__ == 4 && __LONG_MAX__ == 2147483647
    type address_t = MACH_MSG_TYPE_INTEGER_32;
    #endif
    #if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error all of them are little-endian
    #endif
    routine place(p : mach_port_t; where : address_t);
";

fn offset_behind(config: &Config) -> u32 {
    let input = Input::Text { name: "place.defs", text: PLACE.as_bytes() };
    let output = config.interface(input).expect("no errors");
    assert_eq!(output.warnings.to_string(), "");
    output.value.routines[0].request.min_size
}

#[test]
fn an_address_has_the_size_of_the_target() {
    // Header, then the NDR record or the type word, then the address.
    for (abi, size) in [
        ("gnu-i386", 24 + 4 + 4),
        ("cmu-32", 24 + 4 + 4),
        ("gnu-x86_64", 32 + 8 + 8),
        ("osf-32", 24 + 8 + 4),
        ("apple-32", 24 + 8 + 4),
        ("apple-64", 24 + 8 + 8),
        ("apple-64-arm64", 24 + 8 + 8),
        ("apple-64-x86_64", 24 + 8 + 8),
    ] {
        assert_eq!(offset_behind(&Config::new().abi(abi)), size, "{abi}");
    }
}

/// XNU's headers stop where no processor is known.
#[test]
fn the_processor_is_the_one_that_is_asked_for() {
    let arch = "
        subsystem arch 1;
        type p_t = MACH_MSG_TYPE_COPY_SEND;
        #if defined (__i386__) || defined (__x86_64__)
        routine intel(p : p_t);
        #elif defined (__arm__) || defined (__arm64__)
        routine arm(p : p_t);
        #else
        #error architecture not supported
        #endif
    ";
    let name = |config: Config| {
        let input = Input::Text { name: "arch.defs", text: arch.as_bytes() };
        config.interface(input).map(|output| output.value.routines[0].name.clone())
    };
    let config = Config::new();
    assert_eq!(name(config.clone().abi("apple-64-arm64")).expect("no errors"), "arm");
    assert_eq!(name(config.clone().abi("apple-64-x86_64")).expect("no errors"), "intel");
    assert_eq!(name(config.clone().abi("apple-64").arch("arm64")).expect("no errors"), "arm");
    assert_eq!(name(config.clone().abi("apple-64").arch("x86_64")).expect("no errors"), "intel");
    assert_eq!(name(config.clone().abi("apple-32")).expect("no errors"), "intel");
    assert!(name(config.clone().abi("apple-64")).is_ok());
    let wrong = name(config.clone().abi("gnu-i386").arch("arm64")).expect_err("another processor");
    assert_eq!(wrong.to_string(), "`gnu-i386` is not for `arm64`, but for i386");
    assert!(name(config.abi("apple-64-arm64").arch("x86_64")).is_err());
}
