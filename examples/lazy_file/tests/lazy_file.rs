//! The compressed file as a slice.
#![cfg(target_os = "linux")]

use lazy_file_example::{BLOCK, Compressed};
use mach_defs::gnu::memory_object::memory_object;
use mach_vm::{Limits, Protection, Vm, VmError};
use mig_runtime::kernel::local::Host;
use mig_runtime::{ReceiveRight, Server};

#[test]
fn the_slice_is_the_file() {
    let data: Vec<u8> = (0..40 * BLOCK as u64 + 5000).map(|at| ((at * at) >> 7) as u8).collect();
    let file = Compressed::new(&data);
    let host: Host = Host::new();
    let vm = match Vm::new(&host, Limits { resident: 1 << 20, ..Limits::default() }) {
        Err(why @ (VmError::NotPermitted | VmError::OldKernel)) if std::env::var_os("CI").is_none() => {
            return eprintln!("skipped: {why}");
        }
        vm => vm.unwrap(),
    };
    let port = ReceiveRight::allocate(&host.new_task("file")).unwrap();
    Server::on(&port)
        .with(memory_object(&file))
        .serve_while(|| {
            let mapping = vm.map(port.make_send().unwrap(), 0, file.len(), Protection::Read).unwrap();
            assert!(mapping[..data.len()] == data);
            assert!(mapping[data.len()..].iter().all(|byte| *byte == 0));
            assert!(vm.statistics().peak_resident <= 1 << 20);
        })
        .unwrap();
}
