// Every interface: what it is, the feature that it belongs to, its module and its file. `lib.rs` makes
// modules of the lists, and `tests/generated.rs` what is in the modules, and the features.
// `BLESS=1 cargo test -p mach-defs` does that after a change.
//
// `with NAME` defines a macro; `of kernel` says that the request ports are objects of the kernel
// (`Config::kernel_objects`).

/// Those of GNU Mach.
macro_rules! gnu {
    ($make:ident $($how:tt)*) => {
        $make! { $($how)*
            /// Calls of tasks to the kernel: threads, memory, and a memory manager's answers (`mach`, 2000).
            "gnu-mach" mach = "mach/mach";
            /// Calls of tasks to the kernel that came with Mach 4 (`mach4`, 4000).
            "gnu-mach4" mach4 = "mach/mach4";
            /// What the kernel asks of a memory manager (`memory_object`, 2200).
            "gnu-memory_object" memory_object = "mach/memory_object";
            /// The same with sequence numbers.
            "gnu-memory_object" seqnos_memory_object = "mach/memory_object" with SEQNOS;
            /// What the kernel asks of the default memory manager alone (`memory_object_default`, 2250).
            "gnu-memory_object_default" memory_object_default = "mach/memory_object_default";
            /// The same with sequence numbers.
            "gnu-memory_object_default" seqnos_memory_object_default = "mach/memory_object_default" with SEQNOS;
            /// What tasks ask of the default memory manager (`default_pager`, 2275).
            "gnu-default_pager" default_pager = "mach/default_pager";
            /// What the kernel tells about port rights (`notify`, 64).
            "gnu-notify" notify = "mach/notify";
            /// The same with sequence numbers.
            "gnu-notify" seqnos_notify = "mach/notify" with SEQNOS;
            /// What the kernel tells about new tasks (`task_notify`, 4400).
            "gnu-task_notify" task_notify = "mach/task_notify";
            /// Calls of tasks to the kernel about port names and rights (`mach_port`, 3200).
            "gnu-mach_port" mach_port = "mach/mach_port";
            /// Calls to the kernel about processors, scheduling, time and wired memory (`mach_host`, 2600).
            "gnu-mach_host" mach_host = "mach/mach_host";
            /// Calls that look into the kernel (`mach_debug`, 3000).
            "gnu-mach_debug" mach_debug = "mach_debug/mach_debug";
            /// Calls that only GNU Mach has (`gnumach`, 4200).
            "gnu-gnumach" gnumach = "mach/gnumach";
            /// Calls that only machines of the i386 family have (`mach_i386`, 3800).
            "gnu-mach_i386" mach_i386 = "mach/mach_i386";
            /// Calls that may change from one release to the next (`experimental`, 424242).
            "gnu-experimental" experimental = "mach/experimental";
            /// What the kernel tells about exceptions of threads (`exc`, 2400).
            "gnu-exc" exc = "mach/exc";
            /// What tasks ask of a device (`device`, 2800).
            "gnu-device" device = "device/device";
            /// The same without waiting (`device_request`, 2800).
            "gnu-device_request" device_request = "device/device_request";
            /// What a device answers later (`device_reply`, 2900).
            "gnu-device_reply" device_reply = "device/device_reply";
            /// The same with sequence numbers.
            "gnu-device_reply" seqnos_device_reply = "device/device_reply" with SEQNOS;
        }
    };
}

/// Those of the Hurd.
macro_rules! hurd {
    ($make:ident $($how:tt)*) => {
        $make! { $($how)*
            /// The server of the ACPI tables (`acpi`, 41000).
            "hurd-acpi" acpi = "hurd/acpi";
            /// The authentication server (`auth`, 25000).
            "hurd-auth" auth = "hurd/auth";
            /// Its answers as messages of their own (`auth_reply`, 25100).
            "hurd-auth_reply" auth_reply = "hurd/auth_reply";
            /// Its calls without waiting (`auth_request`, 25000).
            "hurd-auth_request" auth_request = "hurd/auth_request";
            /// The crash server (`crash`, 32000).
            "hurd-crash" crash = "hurd/crash";
            /// Its answer as a message of its own (`crash_reply`, 32100).
            "hurd-crash_reply" crash_reply = "hurd/crash_reply";
            /// What tasks ask of the Hurd's default memory manager (`default_pager`, 2275).
            "hurd-default_pager" default_pager = "hurd/default_pager";
            /// Its answer as a message of its own (`default_pager_reply`, 2375).
            "hurd-default_pager_reply" default_pager_reply = "hurd/default_pager_reply";
            /// The exec server (`exec`, 30000).
            "hurd-exec" exec = "hurd/exec";
            /// A call that it had for a while (`exec_experimental`, 434242).
            "hurd-exec_experimental" exec_experimental = "hurd/exec_experimental";
            /// What a new program asks (`exec_startup`, 30500).
            "hurd-exec_startup" exec_startup = "hurd/exec_startup";
            /// Files and directories (`fs`, 20000).
            "hurd-fs" fs = "hurd/fs";
            /// A call that they had for a while (`fs_experimental`, 444242).
            "hurd-fs_experimental" fs_experimental = "hurd/fs_experimental";
            /// What file systems tell of changes (`fs_notify`, 20500).
            "hurd-fs_notify" fs_notify = "hurd/fs_notify";
            /// The control ports of translators (`fsys`, 22000).
            "hurd-fsys" fsys = "hurd/fsys";
            /// Their answers as messages of their own (`fsys_reply`, 22100).
            "hurd-fsys_reply" fsys_reply = "hurd/fsys_reply";
            /// Files that stand for sockets (`ifsock`, 34000).
            "hurd-ifsock" ifsock = "hurd/ifsock";
            /// Requests to network interfaces (`iioctl`, 112000).
            "hurd-iioctl" iioctl = "hurd/iioctl";
            /// What ends calls that are under way (`interrupt`, 33000).
            "hurd-interrupt" interrupt = "hurd/interrupt";
            /// What can be read or written (`io`, 21000).
            "hurd-io" io = "hurd/io";
            /// Its answers as messages of their own (`io_reply`, 21100).
            "hurd-io_reply" io_reply = "hurd/io_reply";
            /// Its calls without waiting (`io_request`, 21000).
            "hurd-io_request" io_request = "hurd/io_request";
            /// A user who is logged in (`login`, 36000).
            "hurd-login" login = "hurd/login";
            /// What a process understands on its message port (`msg`, 23000).
            "hurd-msg" msg = "hurd/msg";
            /// Its answers to signals as messages of their own (`msg_reply`, 23100).
            "hurd-msg_reply" msg_reply = "hurd/msg_reply";
            /// Signals without waiting (`msg_request`, 23000).
            "hurd-msg_request" msg_request = "hurd/msg_request";
            /// The password server (`password`, 38000).
            "hurd-password" password = "hurd/password";
            /// The PCI arbiter (`pci`, 39000).
            "hurd-pci" pci = "hurd/pci";
            /// The server of the Internet protocols (`pfinet`, 37000).
            "hurd-pfinet" pfinet = "hurd/pfinet";
            /// Requests to the clock of the machine (`pioctl`, 140000).
            "hurd-pioctl" pioctl = "hurd/pioctl";
            /// The process server (`process`, 24000).
            "hurd-process" process = "hurd/process";
            /// Its answers as messages of their own (`process_reply`, 24100).
            "hurd-process_reply" process_reply = "hurd/process_reply";
            /// Its calls without waiting (`process_request`, 24000).
            "hurd-process_request" process_request = "hurd/process_request";
            /// Requests to routes (`rioctl`, 148000).
            "hurd-rioctl" rioctl = "hurd/rioctl";
            /// The server that switches the machine off (`shutdown`, 40000).
            "hurd-shutdown" shutdown = "hurd/shutdown";
            /// Sockets (`socket`, 26000).
            "hurd-socket" socket = "hurd/socket";
            /// The server that starts the system and ends it (`startup`, 29000).
            "hurd-startup" startup = "hurd/startup";
            /// What it tells when the system goes down (`startup_notify`, 29500).
            "hurd-startup_notify" startup_notify = "hurd/startup_notify";
            /// Its answers as messages of their own (`startup_reply`, 29100).
            "hurd-startup_reply" startup_reply = "hurd/startup_reply";
            /// Terminals (`term`, 28000).
            "hurd-term" term = "hurd/term";
            /// Requests to terminals (`tioctl`, 156000).
            "hurd-tioctl" tioctl = "hurd/tioctl";
        }
    };
}

/// Those of Apple's kernels.
macro_rules! apple {
    ($make:ident $($how:tt)*) => {
        $make! { $($how)*
            /// What the kernel tells about exceptions of threads, with codes of 32 bits (`exc`, 2401).
            "apple-exc" exc = "mach/exc";
            /// The same with codes of 64 bits (`mach_exc`, 2405).
            "apple-mach_exc" mach_exc = "mach/mach_exc";
            /// What the kernel tells about port rights (`notify`, 64).
            "apple-notify" notify = "mach/notify";
            /// The same with sequence numbers.
            "apple-notify" seqnos_notify = "mach/notify" with SEQNOS;
            /// What the kernel tells about exceptions, with the audit token of each sender.
            "apple-mach_exc" audited_mach_exc = "mach/mach_exc" with AUDIT_TOKENS;
            /// What the kernel tells about port rights, with the audit token of each sender.
            "apple-notify" audited_notify = "mach/notify" with AUDIT_TOKENS;
            /// What the kernel does with a task (`task`, 3400).
            "apple-task" task = "mach/task" of kernel;
            /// Two calls on a task in the form that they had before macOS 15 (3403 and 3404).
            "apple-mach_ports" mach_ports = "mach/mach_ports" of kernel;
            /// What the kernel does with a thread (`thread_act`, 3600).
            "apple-thread_act" thread_act = "mach/thread_act" of kernel;
            /// Calls of tasks to the kernel about port names and rights (`mach_port`, 3200).
            "apple-mach_port" mach_port = "mach/mach_port" of kernel;
            /// Calls of tasks to the kernel about memory (`mach_vm`, 4800).
            "apple-mach_vm" mach_vm = "mach/mach_vm" of kernel;
            /// The same with addresses of the task's own width (`vm_map`, 3800).
            "apple-vm_map" vm_map = "mach/vm_map" of kernel;
            /// What the kernel does with a port that stands for memory (`memory_entry`, 4900).
            "apple-memory_entry" memory_entry = "mach/memory_entry" of kernel;
            /// What a voucher holds (`mach_voucher`, 5400).
            "apple-mach_voucher" mach_voucher = "mach/mach_voucher" of kernel;
            /// What the kernel does with a processor (`processor`, 3000).
            "apple-processor" processor = "mach/processor" of kernel;
            /// What the kernel tells about a processor set (`processor_set`, 4000).
            "apple-processor_set" processor_set = "mach/processor_set" of kernel;
            /// What the kernel tells about the machine (`mach_host`, 200).
            "apple-mach_host" mach_host = "mach/mach_host" of kernel;
            /// What the kernel does for whoever holds the privileged port of the host (`host_priv`, 400).
            "apple-host_priv" host_priv = "mach/host_priv" of kernel;
            /// What tasks ask of a clock (`clock`, 1000).
            "apple-clock" clock = "mach/clock" of kernel;
            /// What a clock answers later (`clock_reply`, 3125107).
            "apple-clock_reply" clock_reply = "mach/clock_reply";
            /// What tasks do with a semaphore (`semaphore`, 617200).
            "apple-semaphore" semaphore = "mach/semaphore" of kernel;
        }
    };
}

/// Those of OSF Mach.
macro_rules! osf {
    ($make:ident $($how:tt)*) => {
        $make! { $($how)*
            /// What the kernel asks of a memory manager (`memory_object`, 2200).
            "osf-memory_object" memory_object = "mach/memory_object";
            /// The same with sequence numbers.
            "osf-memory_object" seqnos_memory_object = "mach/memory_object" with SEQNOS;
            /// What the kernel asks of the default memory manager alone (`memory_object_default`, 2250).
            "osf-memory_object_default" memory_object_default = "mach/memory_object_default";
            /// The same with sequence numbers.
            "osf-memory_object_default" seqnos_memory_object_default = "mach/memory_object_default" with SEQNOS;
            /// A default memory manager's answers (`mach`, 2000).
            "osf-mach" mach = "mach/mach";
            /// What tasks ask of the default memory manager (`default_pager_object`, 2275).
            "osf-default_pager_object" default_pager_object = "mach/default_pager_object";
            /// What the kernel does for whoever pages its memory (`mach_host`, 2600).
            "osf-mach_host" mach_host = "mach/mach_host";
        }
    };
}

/// Those of other systems' default memory managers, as messages of GNU Mach.
macro_rules! pager {
    ($make:ident $($how:tt)*) => {
        $make! { $($how)*
            /// What administrators ask of OSF Mach's default memory manager (`backing_store`, 2280).
            "pager-backing_store" backing_store = "pager/backing_store";
            /// What XNU's tells them (`default_pager_alerts`, 2295).
            "pager-backing_store" default_pager_alerts = "pager/default_pager_alerts";
        }
    };
}
