//! The names of codes, against the headers that declare them.
//!
//! GNU Mach: `mach/kern_return.h`, `mach/message.h`, `mach/mig_errors.h` and `device/device_types.h` of
//! Debian's package `gnumach-dev`, 1.8+git20250702. macOS: the same files of the SDK of macOS 27, and
//! `servers/bootstrap.h`; the codes of devices are those of XNU's `osfmk/device/device_types.h`.

use mig_runtime::KernReturn;
use mig_runtime::abi::{Apple32, Apple64, GnuI386, GnuX86_64, Osf32, System};

const BOTH: &str = "
D_IO_QUEUED -1
D_IO_ERROR 2500
D_WOULD_BLOCK 2501
D_NO_SUCH_DEVICE 2502
D_ALREADY_OPEN 2503
D_DEVICE_DOWN 2504
D_INVALID_OPERATION 2505
D_INVALID_RECNUM 2506
D_INVALID_SIZE 2507
D_NO_MEMORY 2508
D_READ_ONLY 2509
KERN_SUCCESS 0
KERN_INVALID_ADDRESS 1
KERN_PROTECTION_FAILURE 2
KERN_NO_SPACE 3
KERN_INVALID_ARGUMENT 4
KERN_FAILURE 5
KERN_RESOURCE_SHORTAGE 6
KERN_NOT_RECEIVER 7
KERN_NO_ACCESS 8
KERN_MEMORY_FAILURE 9
KERN_MEMORY_ERROR 10
KERN_NOT_IN_SET 12
KERN_NAME_EXISTS 13
KERN_ABORTED 14
KERN_INVALID_NAME 15
KERN_INVALID_TASK 16
KERN_INVALID_RIGHT 17
KERN_INVALID_VALUE 18
KERN_UREFS_OVERFLOW 19
KERN_INVALID_CAPABILITY 20
KERN_RIGHT_EXISTS 21
KERN_INVALID_HOST 22
KERN_MEMORY_PRESENT 23
MACH_MSG_VM_KERNEL 1024
MACH_MSG_IPC_KERNEL 2048
MACH_MSG_VM_SPACE 0x1000
MACH_MSG_IPC_SPACE 0x2000
MACH_RCV_IN_PROGRESS 0x10004001
MACH_RCV_INVALID_NAME 0x10004002
MACH_RCV_TIMED_OUT 0x10004003
MACH_RCV_TOO_LARGE 0x10004004
MACH_RCV_INTERRUPTED 0x10004005
MACH_RCV_PORT_CHANGED 0x10004006
MACH_RCV_INVALID_NOTIFY 0x10004007
MACH_RCV_INVALID_DATA 0x10004008
MACH_RCV_PORT_DIED 0x10004009
MACH_RCV_IN_SET 0x1000400a
MACH_RCV_HEADER_ERROR 0x1000400b
MACH_RCV_BODY_ERROR 0x1000400c
MACH_SEND_IN_PROGRESS 0x10000001
MACH_SEND_INVALID_DATA 0x10000002
MACH_SEND_INVALID_DEST 0x10000003
MACH_SEND_TIMED_OUT 0x10000004
MACH_SEND_INTERRUPTED 0x10000007
MACH_SEND_MSG_TOO_SMALL 0x10000008
MACH_SEND_INVALID_REPLY 0x10000009
MACH_SEND_INVALID_RIGHT 0x1000000a
MACH_SEND_INVALID_NOTIFY 0x1000000b
MACH_SEND_INVALID_MEMORY 0x1000000c
MACH_SEND_NO_BUFFER 0x1000000d
MACH_SEND_INVALID_TYPE 0x1000000f
MACH_SEND_INVALID_HEADER 0x10000010
MIG_SERVER_DIED -308
MIG_ARRAY_TOO_LARGE -307
MIG_EXCEPTION -306
MIG_NO_REPLY -305
MIG_BAD_ARGUMENTS -304
MIG_BAD_ID -303
MIG_REMOTE_ERROR -302
MIG_REPLY_MISMATCH -301
MIG_TYPE_ERROR -300
";

const GNU_MACH: &str = "
KERN_WRITE_PROTECTION_FAILURE 24
KERN_TERMINATED 26
KERN_TIMEDOUT 27
KERN_INTERRUPTED 28
MACH_SEND_WILL_NOTIFY 0x10000005
MACH_SEND_NOTIFY_IN_PROGRESS 0x10000006
MACH_SEND_NO_NOTIFY 0x1000000e
MIG_DESTROY_REQUEST -309
";

const XNU: &str = "
BOOTSTRAP_NOT_PRIVILEGED 1100
BOOTSTRAP_NAME_IN_USE 1101
BOOTSTRAP_UNKNOWN_SERVICE 1102
BOOTSTRAP_SERVICE_ACTIVE 1103
BOOTSTRAP_BAD_COUNT 1104
BOOTSTRAP_NO_MEMORY 1105
BOOTSTRAP_NO_CHILDREN 1106
KERN_ALREADY_IN_SET 11
KERN_MEMORY_DATA_MOVED 24
KERN_MEMORY_RESTART_COPY 25
KERN_INVALID_PROCESSOR_SET 26
KERN_POLICY_LIMIT 27
KERN_INVALID_POLICY 28
KERN_INVALID_OBJECT 29
KERN_ALREADY_WAITING 30
KERN_DEFAULT_SET 31
KERN_EXCEPTION_PROTECTED 32
KERN_INVALID_LEDGER 33
KERN_INVALID_MEMORY_CONTROL 34
KERN_INVALID_SECURITY 35
KERN_NOT_DEPRESSED 36
KERN_TERMINATED 37
KERN_LOCK_SET_DESTROYED 38
KERN_LOCK_UNSTABLE 39
KERN_LOCK_OWNED 40
KERN_LOCK_OWNED_SELF 41
KERN_SEMAPHORE_DESTROYED 42
KERN_RPC_SERVER_TERMINATED 43
KERN_RPC_TERMINATE_ORPHAN 44
KERN_RPC_CONTINUE_ORPHAN 45
KERN_NOT_SUPPORTED 46
KERN_NODE_DOWN 47
KERN_NOT_WAITING 48
KERN_OPERATION_TIMED_OUT 49
KERN_CODESIGN_ERROR 50
KERN_POLICY_STATIC 51
KERN_INSUFFICIENT_BUFFER_SIZE 52
KERN_DENIED 53
KERN_MISSING_KC 54
KERN_INVALID_KC 55
KERN_NOT_FOUND 56
KERN_INVALID_GUARD_OBJECT_SLOT 57
KERN_RETURN_MAX 256
MACH_RCV_INVALID_TYPE 0x1000400d
MACH_RCV_SCATTER_SMALL 0x1000400e
MACH_RCV_INVALID_TRAILER 0x1000400f
MACH_RCV_IN_PROGRESS_TIMED 0x10004011
MACH_RCV_INVALID_REPLY 0x10004012
MACH_RCV_INVALID_ARGUMENTS 0x10004013
MACH_SEND_INVALID_VOUCHER 0x10000005
MACH_SEND_TOO_LARGE 0x1000000e
MACH_SEND_INVALID_TRAILER 0x10000011
MACH_SEND_INVALID_CONTEXT 0x10000012
MACH_SEND_INVALID_OPTIONS 0x10000013
MACH_SEND_INVALID_RT_OOL_SIZE 0x10000015
MACH_SEND_NO_GRANT_DEST 0x10000016
MACH_SEND_MSG_FILTERED 0x10000017
MACH_SEND_AUX_TOO_SMALL 0x10000018
MACH_SEND_AUX_TOO_LARGE 0x10000019
MIG_TRAILER_ERROR -309
";

/// Names and numbers of a table.
fn table(text: &'static str) -> Vec<(&'static str, KernReturn)> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => i32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    let line = |line: &'static str| {
        let (name, text) = line.split_once(' ').unwrap();
        (name, KernReturn(number(text).unwrap()))
    };
    text.lines().filter(|line| !line.is_empty()).map(line).collect()
}

/// All of a system's.
fn of(system: System) -> Vec<(&'static str, KernReturn)> {
    let own = if system == System::Xnu { XNU } else { GNU_MACH };
    [table(BOTH), table(own)].concat()
}

#[test]
fn each_system_has_its_names() {
    for system in [System::GnuMach, System::Xnu] {
        for (name, code) in of(system) {
            assert_eq!(code.name_on(system), Some(name), "{code:?} on {system:?}");
        }
    }
}

/// And no others: what a table does not have has no name.
#[test]
fn no_system_has_names_of_another() {
    let candidates = (-400..3000).chain(0x1000_0000..0x1000_5000).chain(0x2000..0x2400).map(KernReturn);
    for system in [System::GnuMach, System::Xnu] {
        let known = of(system);
        let named = candidates.clone().filter(|code| code.name_on(system).is_some());
        for code in named {
            assert!(known.iter().any(|(_, known)| *known == code), "{code:?} on {system:?}");
        }
    }
}

#[test]
fn a_code_prints_as_its_abi_names_it() {
    let code = KernReturn(-309);
    assert_eq!(code.on::<Apple64>().to_string(), "MIG_TRAILER_ERROR (-309)");
    assert_eq!(code.on::<Osf32>().to_string(), "MIG_TRAILER_ERROR (-309)");
    assert_eq!(code.on::<GnuI386>().to_string(), "MIG_DESTROY_REQUEST (-309)");
    assert_eq!(format!("{:?}", code.on::<Apple32>()), "MIG_TRAILER_ERROR");
    assert_eq!(KernReturn(46).on::<Apple64>().to_string(), "KERN_NOT_SUPPORTED (46)");
    assert_eq!(KernReturn(46).on::<GnuX86_64>().to_string(), "return code 46");
    assert_eq!(format!("{:?}", KernReturn(46).on::<GnuX86_64>()), "KernReturn(46)");
    // One name for two numbers, and one number for two names.
    assert_eq!(KernReturn::KERN_TERMINATED.on::<Apple64>().to_string(), "KERN_TERMINATED (37)");
    assert_eq!(KernReturn::GNU_KERN_TERMINATED.on::<GnuX86_64>().to_string(), "KERN_TERMINATED (26)");
    assert_eq!(KernReturn(26).on::<Apple64>().to_string(), "KERN_INVALID_PROCESSOR_SET (26)");
}

/// Whoever has only the number sees what both systems say, where that differs.
#[test]
fn without_an_abi_it_is_what_the_systems_agree_on() {
    assert_eq!(KernReturn(-303).to_string(), "MIG_BAD_ID (-303)");
    assert_eq!(KernReturn(1102).to_string(), "BOOTSTRAP_UNKNOWN_SERVICE (1102)");
    assert_eq!(KernReturn(12345).to_string(), "return code 12345");
    let both = "MIG_DESTROY_REQUEST on GNU Mach, MIG_TRAILER_ERROR on XNU (-309)";
    assert_eq!(KernReturn(-309).to_string(), both);
    assert_eq!(format!("{:?}", KernReturn(0x1000_000e)), "MACH_SEND_NO_NOTIFY|MACH_SEND_TOO_LARGE");
    assert_eq!(KernReturn(0x1000_000e).name(), None);
    assert_eq!(format!("{:?}", KernReturn(0x1000_0013)), "MACH_SEND_INVALID_OPTIONS");
}

/// The error of a call knows its kernel.
#[test]
fn the_error_of_a_call_prints_by_its_kernel() {
    use mig_runtime::CallError;
    use mig_runtime::kernel::local::Local;
    let of_apple: CallError<Local<Apple64>> = KernReturn(-309).into();
    let of_gnu: CallError<Local<GnuX86_64>> = KernReturn(-309).into();
    assert_eq!(of_apple.to_string(), "MIG_TRAILER_ERROR (-309)");
    assert_eq!(of_gnu.to_string(), "MIG_DESTROY_REQUEST (-309)");
    assert!(format!("{of_apple:?}").contains("MIG_TRAILER_ERROR"));
}
