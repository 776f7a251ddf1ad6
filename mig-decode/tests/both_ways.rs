//! Every message of every interface that comes with the compiler, from arguments to bytes and back.

use mig_codegen::Config;
use mig_codegen::abi::Abi;
use mig_codegen::model::{Arg, Interface, Message, MessageKind, Role, Routine, SlotRole, Type, TypeKind};
use mig_decode::{Dictionary, Ports, encode};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Random numbers that a seed decides.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

fn hex(bytes: usize, random: &mut Random) -> Value {
    let digits: String = (0..bytes).map(|_| format!("{:02x}", random.below(256))).collect();
    json!({ "hex": digits })
}

fn right(disposition: &str, port: usize, random: &mut Random) -> Value {
    let name = random.next() >> (64 - 8 * port);
    json!({ "name": name, "right": disposition })
}

fn list(element: &Type, count: u64, port: usize, random: &mut Random) -> Value {
    match element.bytes() {
        1 if !matches!(element.kind, TypeKind::Struct { .. }) => hex(count as usize, random),
        _ => Value::Array((0..count).map(|_| value(element, port, random)).collect()),
    }
}

fn memory(count: u64, pointer: usize, random: &mut Random) -> Value {
    json!({ "address": random.next() >> (64 - 8 * pointer), "count": count, "deallocate": random.below(2) == 1 })
}

fn value(ty: &Type, port: usize, random: &mut Random) -> Value {
    match &ty.kind {
        TypeKind::Port(_) => right(disposition(ty), port, random),
        TypeKind::Scalar(scalar) => match scalar.bits {
            32 if ty.is_bool() => json!(random.below(2) == 1),
            32 if scalar.is_float => json!(f32::from(random.below(1000) as u16) / 8.0),
            64 if scalar.is_float => json!(random.below(1000) as f64 / 8.0),
            8 | 16 | 32 | 64 if ty.is_unsigned() || ty.is_name() => {
                json!(random.next() >> (64 - scalar.bits))
            }
            8 | 16 | 32 | 64 => json!(random.next() as i64 >> (64 - scalar.bits)),
            bits => hex(bits as usize / 8, random),
        },
        TypeKind::FixedString { size: most, .. } | TypeKind::BoundedString { max: most } => {
            let letters = random.below(u64::from(*most)) as usize;
            json!((0..letters).map(|_| char::from(32 + random.below(95) as u8)).collect::<String>())
        }
        TypeKind::Struct { members, .. } => {
            let fields = members.iter().map(|member| (member.name.clone(), value(&member.ty, port, random)));
            Value::Object(fields.collect())
        }
        TypeKind::Fixed { element, count, .. } => list(element, u64::from(*count), port, random),
        TypeKind::Bounded { element, max } => {
            let count = random.below(u64::from(*max).min(40) + 1);
            list(element, count, port, random)
        }
        TypeKind::Indefinite { .. } | TypeKind::OutOfLine { .. } => unreachable!("depends on the ABI"),
    }
}

/// What a sender says of such a right.
fn disposition(ty: &Type) -> &'static str {
    let port = ty.port().expect("a right");
    port.sender.or(port.receiver).map_or("make_send_once", name_of)
}

fn name_of(right: mig_abi::Disposition) -> &'static str {
    use mig_abi::Disposition::*;
    match right {
        MoveReceive => "move_receive",
        MoveSend => "move_send",
        MoveSendOnce => "move_send_once",
        CopySend => "copy_send",
        MakeSend => "make_send",
        MakeSendOnce => "make_send_once",
    }
}

fn argument(abi: &Abi, arg: &Arg, counts: &mut [u64], index: usize, random: &mut Random) -> Value {
    if let (Some(part), Some((_, max))) = (arg.part(), arg.ty.parts()) {
        let is_fixed = matches!(arg.ty.kind, TypeKind::Fixed { .. });
        let count = if is_fixed { max.into() } else { random.below(u64::from(max) + 1) };
        return (0..count).map(|_| argument(abi, &part, counts, index, random)).collect();
    }
    let (port, pointer) = (abi.facts.port, abi.facts.pointer);
    let is_typed = abi.facts.family == mig_abi::Family::Typed;
    let count = arg.same_count.map(|first| counts[first]);
    let (element, value) = match &arg.ty.kind {
        TypeKind::Indefinite { element, inline_max } => {
            let is_inline = is_typed && random.below(2) == 0;
            let count = count.unwrap_or_else(|| random.below(u64::from(*inline_max).min(30) + 1));
            let value = match is_inline {
                true => list(element, count, port, random),
                false => memory(count, pointer, random),
            };
            counts[index] = count;
            (element, value)
        }
        TypeKind::OutOfLine { element, count: fixed, max } => {
            let most = max.map_or(1000, u64::from);
            let count = fixed.map(u64::from).or(count).unwrap_or_else(|| random.below(most + 1));
            counts[index] = count;
            (element, memory(count, pointer, random))
        }
        TypeKind::Bounded { element, .. } if count.is_some() => {
            return list(element, count.unwrap_or(0), port, random);
        }
        _ => {
            let value = value(&arg.ty, port, random);
            counts[index] = value.as_array().map_or(0, |list| list.len() as u64);
            return value;
        }
    };
    let mut value = value;
    if let (Some(fields), Some(rights)) =
        (value.as_object_mut().filter(|f| f.contains_key("address")), element.port())
    {
        let name = rights.sender.map_or("make_send", name_of);
        fields.insert("right".to_owned(), json!(name));
    }
    value
}

fn arguments(abi: &Abi, routine: &Routine, table: &Message, random: &mut Random) -> Map<String, Value> {
    let mut given = Map::new();
    let mut counts = vec![0; routine.args.len()];
    for (index, arg) in routine.args.iter().enumerate() {
        let slots =
            || table.slots.iter().filter(|slot| slot.arg == Some(index) && slot.role != SlotRole::Trailer);
        if slots().next().is_none() {
            continue;
        }
        if table.kind == MessageKind::Request && arg.role == Role::Out {
            given.insert(format!("{}Cnt", arg.name), json!(random.below(100)));
            continue;
        }
        given.insert(arg.name.clone(), argument(abi, arg, &mut counts, index, random));
    }
    given
}

/// Sends a message's arguments there and back.
fn both_ways(
    dictionary: &Dictionary,
    interface: &Interface,
    routine: &Routine,
    random: &mut Random,
) -> usize {
    let mut messages = 0;
    for table in [Some(&routine.request), routine.reply.as_ref()].into_iter().flatten() {
        let given = arguments(interface.abi, routine, table, random);
        let what = || format!("{} {} {:?} {given:?}", interface.abi.name(), routine.name, table.kind);
        let bytes = encode(interface, routine, table.kind, &Ports::default(), &given);
        let bytes = bytes.unwrap_or_else(|error| panic!("{}: {error}", what()));
        assert!(
            bytes.len() >= table.min_size as usize && bytes.len() <= table.max_size as usize,
            "{}",
            what()
        );
        let decoded = dictionary.decode(&bytes);
        assert_eq!(decoded.faults, [], "{}", what());
        assert_eq!(decoded.len, bytes.len(), "{}", what());
        let read: Map<String, Value> = decoded.arguments.into_iter().collect();
        assert_eq!(read, given, "{}", what());
        messages += 1;
    }
    messages
}

#[test]
fn what_is_encoded_is_decoded() {
    let mut messages = 0;
    for abi in ["gnu-i386", "gnu-x86_64", "gnu-x86_64-2022", "osf-32", "apple-32", "apple-64"] {
        let config = Config::new().abi(abi);
        let mut all = Dictionary::new(&config).unwrap();
        all.add_shipped(&config);
        for interface in all.interfaces() {
            let mut dictionary = Dictionary::new(&config).unwrap();
            dictionary.add(interface);
            for routine in &interface.routines {
                for seed in 0..8 {
                    messages += both_ways(&dictionary, interface, routine, &mut Random(seed));
                }
            }
        }
    }
    assert!(messages > 20_000, "{messages}");
}

/// A descriptor for each part, and counts of the parts.
#[test]
fn arrays_of_what_is_out_of_line() {
    let text = "subsystem parts 900;
        type port_t = MACH_MSG_TYPE_COPY_SEND; type int = MACH_MSG_TYPE_INTEGER_32;
        type ints_t = ^array[] of int; type ten_t = ^array[10] of int; type ports_t = ^array[] of port_t;
        type three_t = array[3] of ints_t; type some_t = array[*:3] of ints_t; type tens_t = array[*:2] of ten_t;
        type lists_t = array[*:2] of ports_t; type two_t = array[2] of ports_t;
        routine a(p : port_t; in x : three_t; in n : int; inout y : some_t; out z : tens_t);
        routine b(p : port_t; in x : lists_t; out y : two_t);";
    for abi in ["osf-32", "apple-64"] {
        let config = Config::new().abi(abi);
        let input = mig_codegen::Input::Text { name: "parts.defs", text: text.as_bytes() };
        let interface = config.interface(input).unwrap().value;
        let mut dictionary = Dictionary::new(&config).unwrap();
        dictionary.add(&interface);
        for (seed, routine) in (0..20).flat_map(|seed| interface.routines.iter().map(move |r| (seed, r))) {
            both_ways(&dictionary, &interface, routine, &mut Random(seed));
        }
    }
}

/// Of an interface with a kernel side ports are addresses, so that headers of 64 bits have their ids
/// elsewhere.
#[test]
fn messages_of_a_kernel_are_found_among_those_of_tasks() {
    let config = Config::new().abi("apple-64");
    let text = "subsystem KernelServer clock 3100; #include <mach/std_types.defs>
        routine clock_read(clock : mach_port_t; in zone : int; out now : int);";
    let text = text.replace("#include", "\n#include").replace(".defs>", ".defs>\n");
    let input = mig_codegen::Input::Text { name: "clock.defs", text: text.as_bytes() };
    let kernel = config.interface(input).unwrap().value;
    let in_task = text.replace("KernelServer", "");
    let input = mig_codegen::Input::Text { name: "clock.defs", text: in_task.as_bytes() };
    let task = config.interface(input).unwrap().value;
    let mut dictionary = Dictionary::new(&config).unwrap();
    dictionary.add(&task);
    dictionary.add(&kernel);
    for interface in [&task, &kernel] {
        let ports = Ports { remote: Some((0x1234, 19)), local: Some((0x5678, 21)), ..Ports::default() };
        let arguments = json!({ "zone": 7 });
        let arguments = arguments.as_object().unwrap();
        let bytes =
            encode(interface, &interface.routines[0], MessageKind::Request, &ports, arguments).unwrap();
        let id_at = if interface.is_in_kernel() { 28 } else { 20 };
        assert_eq!(bytes[id_at..id_at + 4], 3100_u32.to_le_bytes());
        let decoded = dictionary.decode(&bytes);
        assert_eq!(decoded.faults, []);
        assert_eq!(decoded.header.unwrap().remote, (0x1234, 19));
        assert_eq!(decoded.arguments, [("zone".to_owned(), json!(7))]);
    }
}

proptest! {
    /// Neither bytes by chance nor messages with bytes changed are too much for it.
    #[test]
    fn nothing_is_too_much(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        id in 2000_u32..2300,
        at in 0_usize..200,
        size in prop_oneof![Just(None), (0_u32..300).prop_map(Some)],
    ) {
        let config = Config::new().abi("gnu-i386");
        let mut dictionary = Dictionary::new(&config).unwrap();
        dictionary.add(&config.interface("<mach/mach.defs>").unwrap().value);
        let mut bytes = bytes;
        if bytes.len() >= 24 {
            bytes[20..24].copy_from_slice(&id.to_le_bytes());
            let size = size.unwrap_or(bytes.len() as u32);
            bytes[4..8].copy_from_slice(&size.to_le_bytes());
            bytes.truncate(at.max(24));
        }
        let read: usize = dictionary.decode_all(&bytes).map(|decoded| decoded.len).sum();
        prop_assert!(read >= bytes.len());
    }
}

/// Mach 2.5: the bytes are those of its headers, `msg_header_t` and `msg_type_t`, by hand.
#[test]
fn messages_of_mach_2_5() {
    let text = "subsystem pager 2250;
        type port_t = MSG_TYPE_PORT; type port_all_t = MSG_TYPE_PORT_ALL; type int = MSG_TYPE_INTEGER_32;
        simpleroutine pager_create(old : port_t; new : port_all_t; name : port_t; size : int);
        routine pager_size(old : port_t; out size : int);";
    let input = mig_codegen::Input::Text { name: "pager.defs", text: text.as_bytes() };
    let interface = Config::new().abi("mach-25").interface(input).unwrap().value;
    let ports = Ports { remote: Some((9, 0)), local: Some((7, 0)), ..Ports::default() };
    let arguments = json!({ "new": 5, "name": 6, "size": 8192 });
    let words = |bytes: &[u8]| {
        let words = bytes.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        words.collect::<Vec<_>>()
    };
    let create = &interface.routines[0];
    let bytes =
        encode(&interface, create, MessageKind::Request, &ports, arguments.as_object().unwrap()).unwrap();
    // Not simple, the size, no type, local and remote port, id. Inline, one element of 32 bits.
    let inline = |name: u32| 1 << 28 | 1 << 16 | 32 << 8 | name;
    assert_eq!(words(&bytes), [0, 48, 0, 7, 9, 2250, inline(5), 5, inline(6), 6, inline(2), 8192]);
    let size = &interface.routines[1];
    let arguments = json!({ "size": 4096 });
    let reply = encode(&interface, size, MessageKind::Reply, &ports, arguments.as_object().unwrap()).unwrap();
    assert_eq!(words(&reply), [1 << 24, 40, 0, 7, 9, 2351, inline(2), 0, inline(2), 4096]);

    let mut dictionary = Dictionary::new(&Config::new().abi("mach-25")).unwrap();
    dictionary.add(&interface);
    for (bytes, complex, value) in [(&bytes, true, 8192), (&reply, false, 4096)] {
        let decoded = dictionary.decode(bytes);
        assert_eq!(decoded.faults, []);
        let header = decoded.header.unwrap();
        assert_eq!((header.complex, header.remote.0, header.local.0, header.seqno), (complex, 9, 7, None));
        assert_eq!(decoded.arguments.last(), Some(&("size".to_owned(), json!(value))));
    }
}
