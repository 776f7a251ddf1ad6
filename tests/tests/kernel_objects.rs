//! Which calls of `mach-defs` say that they are for an object of the kernel: on macOS a wrong word ends the program.

use mig_runtime::abi::{Apple32, Apple64};
use mig_runtime::{KernReturn, Name, SendOnceRight, SendRight};
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
            let to_kernel = kernel.take_sent();
            assert!(to_kernel.iter().all(|sent| sent.call.kernel_object && sent.call.receive.is_some()));
            assert_eq!(to_kernel.len(), 8);

            // Tasks serve these.
            let _ = defs::exc::exception_raise(&port, &port, &port, 1, &[]);
            let _ = defs::mach_exc::mach_exception_raise(&port, &port, &port, 1, &[]);
            let once = || SendOnceRight::null(kernel.clone());
            let _ = defs::notify::mach_notify_dead_name(once(), Name(1));
            let _ = defs::clock_reply::clock_alarm_reply(&kernel, once(), KernReturn(0), 0, &[0, 0]);
            let to_tasks = kernel.take_sent();
            assert!(!to_tasks.iter().any(|sent| sent.call.kernel_object));
            assert_eq!(to_tasks.len(), 4);
        }
    )* };
}

on! {
    apple_64: apple_64, Apple64;
    apple_32: apple_32, Apple32;
}
