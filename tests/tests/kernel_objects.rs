//! Which calls of `mach-defs` say that they are for an object of the kernel: on macOS a wrong word ends the
//! program.

use mig_runtime::abi::{Apple32, Apple64};
use mig_runtime::{KernReturn, Name, SendOnceRight, SendRight};
use mig_tests::oracle::REPLY_PORT;
use mig_tests::wire_kernel::Wire;

/// One call of each interface, whose stubs are all made in one way. Nobody answers.
macro_rules! on {
    ($($test:ident: $module:ident, $abi:ident;)*) => { $(
        #[test]
        fn $test() {
            use mach_defs::$module as defs;
            let kernel = Wire::<$abi>::new();
            let port = SendRight::null(kernel.clone());
            let _ = defs::clock::clock_get_time(&port);
            let _ = defs::host_priv::host_get_boot_info(&port);
            let _ = defs::mach_host::host_page_size(&port);
            let _ = defs::mach_port::mach_port_type(&port, Name(1));
            let _ = defs::mach_vm::mach_vm_deallocate(&port, 0, 0);
            let _ = defs::semaphore::semaphore_signal(&port);
            let _ = defs::task::task_suspend(&port);
            let _ = defs::thread_act::thread_suspend(&port);
            let _ = defs::mach_ports::mach_ports_lookup(&port);
            let _ = defs::mach_voucher::mach_voucher_extract_attr_content(&port, 1, 10);
            let _ = defs::memory_entry::mach_memory_entry_purgable_control(&port, 0, 0);
            let _ = defs::processor::processor_start(&port);
            let _ = defs::processor_set::processor_set_destroy(&port);
            let _ = defs::vm_map::vm_deallocate(&port, 0, 0);
            let to_kernel = kernel.take_sent();
            assert!(to_kernel.iter().all(|sent| sent.call.kernel_object && sent.call.receive.is_some()));
            assert_eq!(to_kernel.len(), 14);

            // Tasks serve these.
            let _ = defs::exc::exception_raise(&port, &port, &port, 1, &[]);
            let _ = defs::mach_exc::mach_exception_raise(&port, &port, &port, 1, &[]);
            let _ = defs::audited_mach_exc::mach_exception_raise(&port, &port, &port, 1, &[]);
            let once = || SendOnceRight::null(kernel.clone());
            let _ = defs::notify::mach_notify_dead_name(once(), Name(1));
            let _ = defs::clock_reply::clock_alarm_reply(&kernel, once(), KernReturn(0), 0, &[0, 0]);
            let to_tasks = kernel.take_sent();
            assert!(!to_tasks.iter().any(|sent| sent.call.kernel_object));
            assert_eq!(to_tasks.len(), 5);
        }
    )* };
}

on! {
    apple_64: apple_64, Apple64;
    apple_32: apple_32, Apple32;
}

/// The request as `libSystem` of macOS 26 sends it: the bootstrap port and two null ports for the task 0x203,
/// with the reply port 0x1003.
///
/// A public trace of a real Mac has these bytes, with the answer 0 to them by `mach_msg2_internal`, and the
/// end of the program by `mach_msg`.
#[test]
fn ports_are_registered_as_macos_26_does() {
    let kernel = Wire::<Apple64>::new();
    // SAFETY: this kernel has no rights: it counts what is made of names.
    let right = |name| unsafe { SendRight::from_raw(kernel.clone(), Name(name)) };
    let (task, bootstrap, none) = (right(0x203), right(0x1203), right(0));
    let _ = mach_defs::apple_64::task::mach_ports_register(&task, &bootstrap, &none, &none);
    let sent = kernel.take_sent();
    let expected: [u32; 16] = [
        0x8000_1513,
        64,
        0x203,
        REPLY_PORT,
        0,
        3403,
        3,
        0x1203,
        0,
        0x13_0000,
        0,
        0,
        0x13_0000,
        0,
        0,
        0x13_0000,
    ];
    let words: Vec<u32> =
        sent[0].flight.bytes.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
    assert_eq!(words, expected);
}
