//! Argument values for any routine, chosen from the model of the interface.

use std::collections::BTreeMap;

use mig_abi::Disposition;
use mig_codegen::model::{Arg, PortType, Role, Routine, Type, TypeKind};

/// An argument's value as C holds it in memory: ports are names of four bytes, arrays their elements, strings
/// end with a NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// For an array: how many elements.
    pub count: u32,
    /// For a port: what becomes of the right, as the sender says.
    pub disposition: u32,
    /// For out-of-line data: the message takes the sender's memory.
    pub deallocate: bool,
}

/// Values by argument.
pub type Values = BTreeMap<String, Value>;

/// The kinds of values that every routine is tried with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each byte another one, arrays of three elements.
    Ordinary,
    /// Zeros, null ports, empty arrays.
    Empty,
    /// All bits set, arrays as long as they may be inline.
    Full,
    /// One element more than fits inline, for arrays that then travel out of line; else as ordinary.
    Overflowing,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Ordinary, Kind::Empty, Kind::Full, Kind::Overflowing];
}

/// The message that carries values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the client.
    Request,
    /// From the server.
    Reply,
}

/// Values for all arguments that a client gives or a server returns.
pub fn values(routine: &Routine, side: Side, kind: Kind) -> Values {
    let given = |arg: &Arg| match side {
        Side::Request => arg.in_request() || is_control(arg) || arg.count_in_out,
        Side::Reply => arg.in_reply(),
    };
    let args = routine.args.iter().enumerate().filter(|(_, arg)| given(arg));
    args.map(|(index, arg)| {
        let seed = routine
            .id
            .wrapping_mul(7)
            .wrapping_add(31 * index as u32 + if side == Side::Reply { 97 } else { 0 });
        // Without a port to send to, or to wait at, there is no message.
        let kind = if is_control(arg) && kind == Kind::Empty { Kind::Ordinary } else { kind };
        let value = match arg.role {
            Role::Out if side == Side::Request => limit(&arg.ty, kind),
            _ => value(&arg.ty, kind, seed),
        };
        (arg.name.clone(), value)
    })
    .collect()
}

/// True for an argument that the client gives for the message itself: ports of the header, time-out, options.
fn is_control(arg: &Arg) -> bool {
    matches!(
        arg.role,
        Role::RequestPort | Role::ReplyPort { client: true, .. } | Role::WaitTime | Role::MsgOption
    )
}

/// How many elements of a `countinout` array the client takes: all that are declared, or fewer than the
/// server has.
fn limit(ty: &Type, kind: Kind) -> Value {
    let declared = ty.declared_max();
    Value { count: if kind == Kind::Overflowing { declared.min(2) } else { declared }, ..Value::default() }
}

/// The most elements that a variable array holds inline; 0 for one out of line.
pub fn capacity(ty: &Type) -> u32 {
    match ty.kind {
        TypeKind::Bounded { max, .. } | TypeKind::BoundedString { max } => max,
        TypeKind::Indefinite { inline_max, .. } => inline_max,
        _ => 0,
    }
}

/// Values as both sides must agree on them: without what only one of them can say.
///
/// A count is that of a variable array; a disposition that of a polymorphic argument; a string ends at its
/// NUL; whose memory it was is forgotten.
pub fn agreed(routine: &Routine, values: &Values) -> Values {
    let known = values.iter().filter_map(|(name, value)| {
        let arg = routine.args.iter().find(|arg| arg.name == *name)?;
        Some((name.clone(), agreed_value(arg, value)))
    });
    known.collect()
}

fn agreed_value(arg: &Arg, value: &Value) -> Value {
    let mut value = Value { deallocate: false, ..value.clone() };
    match &arg.ty.kind {
        TypeKind::Bounded { .. } | TypeKind::Indefinite { .. } | TypeKind::OutOfLine { count: None, .. } => {
            value.disposition = 0;
        }
        TypeKind::FixedString { .. } | TypeKind::BoundedString { .. } => {
            let text = value.bytes.iter().position(|byte| *byte == 0);
            value.bytes.truncate(text.unwrap_or(value.bytes.len()));
            (value.count, value.disposition) = (0, 0);
        }
        TypeKind::Port(port) if port.receiver.is_none() => value.count = 0,
        _ => (value.count, value.disposition) = (0, 0),
    }
    value
}

fn value(ty: &Type, kind: Kind, seed: u32) -> Value {
    match &ty.kind {
        TypeKind::Scalar(scalar) if scalar.type_number == 0 => boolean(kind != Kind::Empty),
        TypeKind::Port(port) => Value {
            bytes: name(kind, seed, 0).to_le_bytes().to_vec(),
            disposition: disposition(port),
            ..Value::default()
        },
        TypeKind::FixedString { size, .. } => text(kind, seed, *size),
        TypeKind::BoundedString { max } => text(kind, seed, *max),
        TypeKind::Fixed { element, count, .. } => elements(element, kind, seed, *count),
        TypeKind::Bounded { element, max } => elements(element, kind, seed, length(kind, *max, *max)),
        TypeKind::Indefinite { element, inline_max } => {
            elements(element, kind, seed, length(kind, *inline_max, *inline_max + 1))
        }
        TypeKind::OutOfLine { element, count, max } => Value {
            deallocate: kind != Kind::Full,
            ..elements(element, kind, seed, count.unwrap_or(length(kind, max.unwrap_or(5000), 5001)))
        },
        _ => Value { bytes: pattern(kind, seed, size_of(ty)), ..Value::default() },
    }
}

/// What becomes of the sender's right; where the `.defs` lets it choose, it moves what the receiver wants, or
/// a send-once right.
fn disposition(port: &PortType) -> u32 {
    port.sender.or(port.receiver).unwrap_or(Disposition::MoveSendOnce) as u32
}

fn boolean(value: bool) -> Value {
    Value { bytes: u32::from(value).to_le_bytes().to_vec(), ..Value::default() }
}

fn length(kind: Kind, full: u32, overflowing: u32) -> u32 {
    match kind {
        Kind::Ordinary => full.min(3),
        Kind::Empty => 0,
        Kind::Full => full,
        Kind::Overflowing => overflowing,
    }
}

fn elements(element: &Type, kind: Kind, seed: u32, count: u32) -> Value {
    let mut value = Value { count, ..Value::default() };
    if let TypeKind::Port(port) = &element.kind {
        value.disposition = disposition(port);
    }
    for index in 0..count {
        match &element.kind {
            TypeKind::Port(_) => value.bytes.extend(name(kind, seed, index).to_le_bytes()),
            _ => value.bytes.extend(pattern(kind, seed.wrapping_add(index * 5), size_of(element))),
        }
    }
    value
}

/// A port name: no two are the same, and the empty one is null.
fn name(kind: Kind, seed: u32, index: u32) -> u32 {
    if kind == Kind::Empty { 0 } else { (seed % 0xffff + 1) * 0x1000 + index + 3 }
}

fn text(kind: Kind, seed: u32, size: u32) -> Value {
    let length = match kind {
        Kind::Ordinary => 3.min(size - 1),
        Kind::Empty => 0,
        Kind::Full | Kind::Overflowing => size - 1,
    };
    let mut bytes: Vec<u8> = (0..length).map(|i| b'a' + (seed.wrapping_add(i) % 26) as u8).collect();
    bytes.push(0);
    Value { count: length + 1, bytes, ..Value::default() }
}

fn pattern(kind: Kind, seed: u32, size: u32) -> Vec<u8> {
    match kind {
        Kind::Empty => vec![0; size as usize],
        Kind::Full => vec![0xff; size as usize],
        _ => (0..size).map(|i| (seed.wrapping_add(13 * i).wrapping_add(0x11)) as u8).collect(),
    }
}

/// Bytes of a value of fixed size in memory.
pub fn size_of(ty: &Type) -> u32 {
    match &ty.kind {
        TypeKind::Scalar(scalar) => scalar.bits / 8,
        TypeKind::Port(_) => 4,
        TypeKind::Fixed { element, count, .. } => size_of(element) * count,
        TypeKind::Struct { size, .. } | TypeKind::FixedString { size, .. } => *size,
        TypeKind::BoundedString { max } => *max,
        TypeKind::Bounded { element, max } => size_of(element) * max,
        TypeKind::Indefinite { element, .. } | TypeKind::OutOfLine { element, .. } => size_of(element),
    }
}
