//! Threads of one build script that write the same output: each has a temporary file of its own, and none is
//! left.

use std::fs;
use std::path::Path;

use mig_codegen::Config;

#[test]
fn threads_write_one_output() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("one_output");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let input = folder.join("x.defs");
    fs::write(&input, "subsystem aa 1000; type p_t = MACH_MSG_TYPE_COPY_SEND; routine fa(p : p_t);").unwrap();
    for round in 0..30 {
        let out = folder.join(format!("out{round}"));
        fs::create_dir_all(&out).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Config::new().compile_into(&input, &out).unwrap());
            }
        });
        let names: Vec<_> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["x.rs"]);
    }
    fs::remove_dir_all(&folder).unwrap();
}
