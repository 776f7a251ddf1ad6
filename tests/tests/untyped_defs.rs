//! The interface definitions in `defs/apple` and `defs/osf`, against tables that can be compared with the
//! public headers.
//!
//! Apple's numbers and names are in the SDK's headers, `mach/exc.h` and so on: each ends with a table
//! `subsystem_to_name_map_…`, and declares the arguments and the messages of each routine. OSF's are in the
//! headers of its kernel. How a right travels the headers do not say; that comes from the messages which the
//! C stubs send.

use std::path::Path;

use mig_codegen::Config;
use mig_codegen::model::{Interface, Message, Role, Routine, Scalar, SlotRole, Type, TypeKind, is_one_way};

fn interface(abi: &str, file: &str) -> Interface {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../defs");
    let folder = folder.join(if abi == "osf-32" { "osf" } else { "apple" });
    let config = Config::new().abi(abi).include_dir(&folder);
    let output = config.interface(&folder.join("mach").join(file)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(output.warnings.to_string(), "", "{file}");
    output.value
}

/// A line of a table: `id name(arguments)`, where an argument is `[out | inout] name: kind`.
fn lines(interface: &Interface) -> String {
    let line = |routine: &Routine| {
        let args: Vec<String> = routine
            .args
            .iter()
            .map(|arg| {
                let direction = match arg.role {
                    Role::Out => "out ",
                    Role::InOut => "inout ",
                    _ => "",
                };
                format!("{direction}{}: {}", arg.name, kind(&arg.ty))
            })
            .collect();
        let one_way = if is_one_way(routine.kind) { " one way" } else { "" };
        format!("{} {}({}){one_way}\n", routine.id, routine.name, args.join(", "))
    };
    interface.routines.iter().map(line).collect()
}

/// What travels, whatever it is called: integers by their size, rights by what happens to them, `^` for out
/// of line.
fn kind(ty: &Type) -> String {
    match &ty.kind {
        TypeKind::Scalar(scalar) => scalar_kind(*scalar).to_string(),
        TypeKind::Port(port) => port.sender.map_or("any right", |sent| right(sent as u8)).to_string(),
        TypeKind::Fixed { element, count, .. } => format!("[{}; {count}]", kind(element)),
        TypeKind::Bounded { element, max } => format!("[{}; ..{max}]", kind(element)),
        TypeKind::OutOfLine { element, count: Some(1), .. } => format!("^{}", kind(element)),
        TypeKind::OutOfLine { element, .. } | TypeKind::Indefinite { element, .. } => {
            format!("^[{}]", kind(element))
        }
        TypeKind::BoundedString { max } => format!("string ..{max}"),
        other => panic!("these definitions have no {other:?}"),
    }
}

fn scalar_kind(scalar: Scalar) -> &'static str {
    match (scalar.type_number, scalar.bits) {
        (0, 32) => "bool",
        (2, 32) => "i32",
        (3, 64) => "i64",
        (8, 8) => "char",
        (9, 8) => "byte",
        (15, 32) => "name",
        _ => panic!("{scalar:?}"),
    }
}

fn right(disposition: u8) -> &'static str {
    match disposition {
        16 => "move receive",
        17 => "move send",
        18 => "move send-once",
        19 => "send",
        20 => "make send",
        21 => "make send-once",
        other => panic!("disposition {other}"),
    }
}

#[track_caller]
fn assert_table(abi: &str, file: &str, expected: &str) {
    let found = lines(&interface(abi, file));
    let expected: String = expected.trim_start().lines().flat_map(|line| [line, "\n"]).collect();
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected, "{file} for {abi}");
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{file} for {abi}");
}

#[test]
fn apple_exceptions() {
    let exc = "
2401 exception_raise(exception_port: send, thread: send, task: send, exception: i32, code: [i32; ..2])
2402 exception_raise_state(exception_port: send, exception: i32, code: [i32; ..2], inout flavor: i32, old_state: [i32; ..1296], out new_state: [i32; ..1296])
2403 exception_raise_state_identity(exception_port: send, thread: send, task: send, exception: i32, code: [i32; ..2], inout flavor: i32, old_state: [i32; ..1296], out new_state: [i32; ..1296])
";
    let mach_exc = "
2405 mach_exception_raise(exception_port: send, thread: send, task: send, exception: i32, code: [i64; ..2])
2406 mach_exception_raise_state(exception_port: send, exception: i32, code: [i64; ..2], inout flavor: i32, old_state: [i32; ..1296], out new_state: [i32; ..1296])
2407 mach_exception_raise_state_identity(exception_port: send, thread: send, task: send, exception: i32, code: [i64; ..2], inout flavor: i32, old_state: [i32; ..1296], out new_state: [i32; ..1296])
2408 mach_exception_raise_identity_protected(exception_port: send, thread_id: i64, task_id_token: send, exception: i32, code: [i64; ..2])
2409 mach_exception_raise_backtrace(exception_port: send, kcdata_object: send, exception: i32, code: [i64; ..2])
2410 mach_exception_raise_state_identity_protected(exception_port: send, thread_id: i64, task_id_token: send, exception: i32, code: [i64; ..2], inout flavor: i32, old_state: [i32; ..1296], out new_state: [i32; ..1296])
";
    for abi in ["apple-64", "apple-32"] {
        assert_table(abi, "exc.defs", exc);
        assert_table(abi, "mach_exc.defs", mach_exc);
    }
}

#[test]
fn apple_notifications() {
    let notify = "
65 mach_notify_port_deleted(notify: move send-once, name: name) one way
66 mach_notify_send_possible(notify: move send-once, name: name) one way
69 mach_notify_port_destroyed(notify: move send-once, rights: move receive) one way
70 mach_notify_no_senders(notify: move send-once, mscount: i32) one way
71 mach_notify_send_once(notify: move send-once) one way
72 mach_notify_dead_name(notify: move send-once, name: name) one way
";
    for abi in ["apple-64", "apple-32"] {
        assert_table(abi, "notify.defs", notify);
    }
}

#[test]
fn apple_clocks_and_semaphores() {
    let clock = "
1000 clock_get_time(clock_serv: send, out cur_time: [i32; 2])
1001 clock_get_attributes(clock_serv: send, flavor: i32, out clock_attr: [i32; ..1])
1002 clock_alarm(clock_serv: send, alarm_type: i32, alarm_time: [i32; 2], alarm_port: make send-once)
";
    let clock_reply = "
3125107 clock_alarm_reply(alarm_port: any right, alarm_code: i32, alarm_type: i32, alarm_time: [i32; 2]) one way
";
    let semaphore = "
617200 semaphore_signal(semaphore: send)
617201 semaphore_signal_all(semaphore: send)
617202 semaphore_wait(semaphore: send)
617203 semaphore_signal_thread(semaphore: send, thread: send)
617204 semaphore_timedwait(semaphore: send, wait_time: [i32; 2])
617205 semaphore_wait_signal(wait_semaphore: send, signal_semaphore: send)
617206 semaphore_timedwait_signal(wait_semaphore: send, signal_semaphore: send, wait_time: [i32; 2])
";
    for abi in ["apple-64", "apple-32"] {
        assert_table(abi, "clock.defs", clock);
        assert_table(abi, "clock_reply.defs", clock_reply);
        assert_table(abi, "semaphore.defs", semaphore);
    }
}

/// The kernel's own names of some of these begin with `_kernelrpc_`, because `libSystem` tries a trap first.
#[test]
fn apple_memory() {
    let mach_vm = "
4800 mach_vm_allocate(target: send, inout address: i64, size: i64, flags: i32)
4801 mach_vm_deallocate(target: send, address: i64, size: i64)
4802 mach_vm_protect(target_task: send, address: i64, size: i64, set_maximum: bool, new_protection: i32)
4803 mach_vm_inherit(target_task: send, address: i64, size: i64, new_inheritance: i32)
4804 mach_vm_read(target_task: send, address: i64, size: i64, out data: ^[byte])
4805 mach_vm_read_list(target_task: send, inout data_list: [i64; 512], count: i32)
4806 mach_vm_write(target_task: send, address: i64, data: ^[byte])
4807 mach_vm_copy(target_task: send, source_address: i64, size: i64, dest_address: i64)
4808 mach_vm_read_overwrite(target_task: send, address: i64, size: i64, data: i64, out outsize: i64)
4809 mach_vm_msync(target_task: send, address: i64, size: i64, sync_flags: i32)
4810 mach_vm_behavior_set(target_task: send, address: i64, size: i64, new_behavior: i32)
4811 mach_vm_map(target_task: send, inout address: i64, size: i64, mask: i64, flags: i32, object: send, offset: i64, copy: bool, cur_protection: i32, max_protection: i32, inheritance: i32)
4812 mach_vm_machine_attribute(target_task: send, address: i64, size: i64, attribute: i32, inout value: i32)
4813 mach_vm_remap(target_task: send, inout target_address: i64, size: i64, mask: i64, flags: i32, src_task: send, src_address: i64, copy: bool, out cur_protection: i32, out max_protection: i32, inheritance: i32)
4814 mach_vm_page_query(target_map: send, offset: i64, out disposition: i32, out ref_count: i32)
4815 mach_vm_region_recurse(target_task: send, inout address: i64, out size: i64, inout nesting_depth: i32, out info: [i32; ..21])
4816 mach_vm_region(target_task: send, inout address: i64, out size: i64, flavor: i32, out info: [i32; ..10], out object_name: move send)
4817 mach_make_memory_entry(target_task: send, inout size: i64, offset: i64, permission: i32, out object_handle: move send, parent_handle: send)
4818 mach_vm_purgable_control(target_task: send, address: i64, control: i32, inout state: i32)
4819 mach_vm_page_info(target_task: send, address: i64, flavor: i32, out info: [i32; ..32])
4820 mach_vm_page_range_query(target_map: send, address: i64, size: i64, dispositions: i64, inout dispositions_count: i64)
4821 mach_vm_remap_new(target_task: send, inout target_address: i64, size: i64, mask: i64, flags: i32, src_task: send, src_address: i64, copy: bool, inout cur_protection: i32, inout max_protection: i32, inheritance: i32)
4825 mach_vm_range_create(target_task: send, flavor: i32, recipes: [byte; ..1024])
";
    for abi in ["apple-64", "apple-32"] {
        assert_table(abi, "mach_vm.defs", mach_vm);
    }
}

/// Every routine of the SDK that the kernel still has, with its id and the sizes of its messages, and no
/// other.
#[test]
fn apple_routines_are_those_of_the_sdk() {
    let lines: Vec<Vec<&str>> = include_str!("apple_sdk.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
        .collect();
    let mut files: Vec<&str> = lines.iter().map(|line| line[0]).collect();
    files.sort_unstable();
    files.dedup();
    assert_eq!(files.len(), 10);
    for file in files {
        let expected: Vec<String> =
            lines.iter().filter(|line| line[0] == file).map(|line| line[1..].join(" ")).collect();
        let found = interface("apple-64", &format!("{file}.defs"));
        let max = |message: Option<&Message>| message.map_or(0, |message| message.max_size);
        let found = found.routines.iter().map(|routine| {
            let sizes = (max(Some(&routine.request)), max(routine.reply.as_ref()));
            format!("{} {} {} {}", routine.id, routine.name, sizes.0, sizes.1)
        });
        // The header of `mach_port` has no call for one that `libSystem` keeps to itself.
        let found: Vec<String> = found.filter(|line| !line.starts_with("3236 ")).collect();
        assert_eq!(found, expected, "{file}");
    }
}

/// The ids are the same for tasks of 32 bits.
#[test]
fn apple_numbers() {
    for file in ["task", "thread_act", "mach_host", "host_priv", "vm_map", "mach_port", "processor_set"] {
        let numbers = |abi| -> Vec<(u32, String)> {
            let interface = interface(abi, &format!("{file}.defs"));
            interface.routines.iter().map(|routine| (routine.id, routine.name.clone())).collect()
        };
        assert_eq!(numbers("apple-32"), numbers("apple-64"), "{file}");
    }
}

/// What the header of no SDK has: from `osfmk/mach/mach_voucher.defs` and `osfmk/mach/memory_entry.defs` of
/// XNU.
#[test]
fn apple_vouchers_and_memory_entries() {
    for abi in ["apple-64", "apple-32"] {
        assert_table(
            abi,
            "memory_entry.defs",
            "
4900 mach_memory_entry_purgable_control(mem_entry: send, control: i32, inout state: i32)
4901 mach_memory_entry_access_tracking(mem_entry: send, inout access_tracking: i32, out access_tracking_reads: i32, out access_tracking_writes: i32)
4902 mach_memory_entry_ownership(mem_entry: send, owner: send, ledger_tag: i32, ledger_flags: i32)
",
        );
        assert_table(
            abi,
            "mach_voucher.defs",
            "
5400 mach_voucher_extract_attr_content(voucher: send, key: i32, out content: [byte; ..4096])
5401 mach_voucher_extract_attr_recipe(voucher: send, key: i32, out recipe: [byte; ..4096])
5402 mach_voucher_extract_all_attr_recipes(voucher: send, out recipes: [byte; ..5120])
5403 mach_voucher_attr_command(voucher: send, key: i32, command: i32, in_content: [byte; ..4096], out out_content: [byte; ..4096])
5404 mach_voucher_debug_info(task: send, voucher_name: name, out recipes: [byte; ..5120])
",
        );
    }
}

/// What differs between Apple's two ABIs is what is as wide as an address.
#[test]
fn apple_addresses_are_as_wide_as_the_task() {
    let host_default_memory_manager =
        |abi| lines(&interface(abi, "host_priv.defs")).lines().nth(3).map(str::to_string);
    let expected = "403 host_default_memory_manager(host_priv: send, inout default_manager: make send, cluster_size: i32)";
    for (abi, address) in [("apple-64", "i64"), ("apple-32", "i32")] {
        assert_eq!(host_default_memory_manager(abi).as_deref(), Some(expected), "{abi}");
        let vm_wire = format!(
            "404 vm_wire(host_priv: send, task: send, address: {address}, size: {address}, desired_access: i32)"
        );
        assert!(lines(&interface(abi, "host_priv.defs")).contains(&vm_wire), "{abi}");
    }
}

#[test]
fn osf() {
    assert_table(
        "osf-32",
        "memory_object_default.defs",
        "
2250 memory_object_create(pager: move send, new_memory_object: move receive, new_object_size: i32, new_control: make send, new_page_size: i32) one way
2251 memory_object_data_initialize(memory_object: send, memory_control_port: make send, offset: i32, data: ^[byte]) one way
",
    );
    assert_table(
        "osf-32",
        "memory_object.defs",
        "
2200 memory_object_init(memory_object: send, memory_control: make send, memory_object_page_size: i32) one way
2201 memory_object_terminate(memory_object: move send, memory_control: move receive) one way
2203 memory_object_data_request(memory_object: send, memory_control: make send, offset: i32, length: i32, desired_access: i32) one way
2204 memory_object_data_unlock(memory_object: send, memory_control: make send, offset: i32, length: i32, desired_access: i32) one way
2206 memory_object_lock_completed(memory_object: any right, memory_control: make send, offset: i32, length: i32) one way
2207 memory_object_supply_completed(memory_object: any right, memory_control: make send, offset: i32, length: i32, result: i32, error_offset: i32) one way
2208 memory_object_data_return(memory_object: send, memory_control: make send, offset: i32, data: ^[byte], dirty: bool, kernel_copy: bool) one way
2210 memory_object_synchronize(memory_object: send, memory_control: make send, offset: i32, length: i32, sync_flags: i32) one way
2213 memory_object_change_completed(memory_object: any right, memory_control: make send, flavor: i32) one way
2214 memory_object_discard_request(memory_object: send, memory_control: make send, offset: i32, length: i32) one way
",
    );
    assert_table(
        "osf-32",
        "default_pager_object.defs",
        "
2275 default_pager_object_create(default_pager: send, out memory_object: make send, object_size: i32)
2276 default_pager_info(default_pager: send, out info: [i32; 3])
2277 default_pager_objects(default_pager: send, out objects: ^[[i32; 2]], out ports: ^[move send])
2278 default_pager_object_pages(default_pager: send, memory_object: send, out pages: ^[[i32; 1]])
2280 default_pager_backing_store_create(default_pager: send, priority: i32, clsize: i32, out backing_store: make send)
2281 default_pager_backing_store_delete(backing_store: send)
2282 default_pager_add_segment(backing_store: send, device: send, offset: i32, count: i32, record_size: i32)
2283 default_pager_backing_store_info(backing_store: send, flavor: i32, out info: [i32; ..20])
",
    );
    assert_table(
        "osf-32",
        "mach.defs",
        "
2039 memory_object_data_unavailable(memory_control: send, offset: i32, size: i32) one way
2041 vm_set_default_memory_manager(host_priv: send, inout default_manager: move send)
2044 memory_object_lock_request(memory_control: send, offset: i32, size: i32, should_return: i32, should_flush: bool, lock_value: i32, reply_to: make send) one way
2090 memory_object_data_error(memory_control: send, offset: i32, size: i32, error_value: i32) one way
2092 memory_object_destroy(memory_control: send, reason: i32) one way
2093 memory_object_data_supply(memory_control: send, offset: i32, data: ^[byte], lock_value: i32, precious: bool, reply_to: make send) one way
",
    );
    assert_table(
        "osf-32",
        "mach_host.defs",
        "
2600 host_processors(host: send, out processor_list: ^[send])
2601 host_default_memory_manager(host_priv: send, inout default_manager: make send, cluster_size: i32)
",
    );
}

/// Where a message has what, up to the first argument of variable size, and how large it is with the others
/// empty and full.
fn places(routine: &Routine, message: &Message) -> String {
    let known = message.slots.iter().map_while(|slot| Some((slot, slot.offset?)));
    let mut places: Vec<String> = known
        .filter_map(|(slot, offset)| {
            let arg = slot.arg.map_or("", |index| &routine.args[index].name);
            match slot.role {
                SlotRole::Header | SlotRole::Pad | SlotRole::Trailer => None,
                SlotRole::BodyCount => Some(format!("{offset} descriptors")),
                SlotRole::Ndr => Some(format!("{offset} NDR")),
                SlotRole::RetCode => Some(format!("{offset} RetCode")),
                SlotRole::Count => Some(format!("{offset} {arg}Cnt")),
                _ => Some(format!("{offset} {arg}")),
            }
        })
        .collect();
    places.push(match message.min_size {
        size if size == message.max_size => format!("size {size}"),
        size => format!("size {size} to {}", message.max_size),
    });
    places.join(", ")
}

#[track_caller]
fn assert_messages(abi: &str, file: &str, expected: &[(u32, &str)]) {
    let interface = interface(abi, file);
    let found = interface.routines.iter().flat_map(|routine| {
        let request = (routine.id, places(routine, &routine.request));
        let reply = routine.reply.as_ref().map(|reply| (routine.reply_id(), places(routine, reply)));
        [Some(request), reply].into_iter().flatten()
    });
    let found: Vec<(u32, String)> = found.collect();
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.0, found.1.as_str()), *expected, "{file} for {abi}");
    }
    assert_eq!(found.len(), expected.len(), "{file} for {abi}");
}

/// A port takes 12 bytes, integers of 64 bits begin at multiples of 4 (`#pragma pack(4)`), and an array takes
/// what it has.
#[test]
fn messages_of_mach_exc() {
    const CODE: &str = "24 NDR, 32 RetCode, size 36";
    const STATE: &str = "24 NDR, 32 RetCode, 36 flavor, 40 new_stateCnt, 44 new_state, size 44 to 5228";
    for abi in ["apple-64", "apple-32"] {
        assert_messages(
            abi,
            "mach_exc.defs",
            &[
                (
                    2405,
                    "24 descriptors, 28 thread, 40 task, 52 NDR, 60 exception, 64 codeCnt, 68 code, size 68 to 84",
                ),
                (2505, CODE),
                (2406, "24 NDR, 32 exception, 36 codeCnt, 40 code, size 48 to 5248"),
                (2506, STATE),
                (
                    2407,
                    "24 descriptors, 28 thread, 40 task, 52 NDR, 60 exception, 64 codeCnt, 68 code, size 76 to 5276",
                ),
                (2507, STATE),
                (
                    2408,
                    "24 descriptors, 28 task_id_token, 40 NDR, 48 thread_id, 56 exception, 60 codeCnt, 64 code, size 64 to 80",
                ),
                (2508, CODE),
                (
                    2409,
                    "24 descriptors, 28 kcdata_object, 40 NDR, 48 exception, 52 codeCnt, 56 code, size 56 to 72",
                ),
                (2509, CODE),
                (
                    2410,
                    "24 descriptors, 28 task_id_token, 40 NDR, 48 thread_id, 56 exception, 60 codeCnt, 64 code, size 72 to 5272",
                ),
                (2510, STATE),
            ],
        );
    }
}

/// As the structures in `mach/notify.h`, without their trailers.
#[test]
fn messages_of_notify() {
    for abi in ["apple-64", "apple-32"] {
        assert_messages(
            abi,
            "notify.defs",
            &[
                (65, "24 NDR, 32 name, size 36"),
                (66, "24 NDR, 32 name, size 36"),
                (69, "24 descriptors, 28 rights, size 40"),
                (70, "24 NDR, 32 mscount, size 36"),
                (71, "size 24"),
                (72, "24 NDR, 32 name, size 36"),
            ],
        );
    }
}

/// Memory out of line takes 12 bytes where an address takes 4.
#[test]
fn messages_of_osf_to_the_default_memory_manager() {
    assert_messages(
        "osf-32",
        "memory_object_default.defs",
        &[
            (
                2250,
                "24 descriptors, 28 new_memory_object, 40 new_control, 52 NDR, 60 new_object_size, 64 new_page_size, size 68",
            ),
            (2251, "24 descriptors, 28 memory_control_port, 40 data, 52 NDR, 60 offset, 64 dataCnt, size 68"),
        ],
    );
}
