//! A Rust type that is put in the place of a C type has its size.

mod fs {
    mig_derive::interface! {
        abi: "gnu-x86_64",
        side: client,
        inline: "
            subsystem fs 100;
            type file_t = MACH_MSG_TYPE_COPY_SEND;
            type stat_t = struct[3] of int;
            routine fs_stat(file : file_t; out stat : stat_t);
        ",
        extern_type: { stat_t: crate::Stat },
    }
}

type Stat = [i32; 4];

fn main() {}
