//! What the tests that cross crates share.

pub mod c_calls;
pub mod compare;
pub mod convert;
pub mod deviations;
pub mod form;
pub mod glue;
pub mod jobs;
pub mod oracle;
pub mod run;
pub mod server_text;
pub mod slots;
pub mod tally;
pub mod values;
pub mod wire;
pub mod wire_kernel;

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// The book's programs, compiled and run.
#[cfg(doctest)]
mod book {
    macro_rules! pages {
        ($($(#[$when:meta])* $name:ident: $file:literal;)*) => {$(
            $(#[$when])*
            #[doc = include_str!(concat!("../../docs/book/", $file))]
            struct $name;
        )*};
    }
    pages! {
        Client: "client.md";
        Rights: "rights.md";
        Memory: "memory.md";
        Failures: "failures.md";
        BuildScript: "build_script.md";
        Macro: "macro.md";
        Decoding: "decoding.md";
        Production: "production.md";
        #[cfg(target_os = "linux")]
        DefaultPager: "default_pager.md";
        #[cfg(target_os = "linux")]
        MemoryObjects: "memory_objects.md";
    }
}
