//! Calls of C stubs with values by argument name: where C wants them, in registers, behind pointers, after
//! pointers to pointers.

use std::io;

use mig_codegen::model::{Arg, Role, Routine, Type, TypeKind};

use crate::oracle::{Answer, CAbi, Called, Client, Message, Process, Served, Server};
use crate::values::{Value, Values, capacity, size_of};
use crate::wire;

/// A message between tasks, without addresses of any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flight {
    /// The bytes; out-of-line addresses are zero.
    pub bytes: Vec<u8>,
    /// The out-of-line data, in the order of the type words.
    pub memory: Vec<Vec<u8>>,
}

impl Flight {
    /// Takes a message and its out-of-line data out of a C program.
    ///
    /// # Errors
    ///
    /// If the program has ended.
    pub fn lift(abi: CAbi, process: &mut Process, bytes: &[u8]) -> io::Result<Self> {
        let mut flight = Flight { bytes: bytes.to_vec(), memory: Vec::new() };
        for (offset, size) in wire::pointers(abi, bytes) {
            let address = wire::pointer_at(abi.pointer(), bytes, offset);
            flight.memory.push(if size == 0 { Vec::new() } else { process.read(address, size)? });
            wire::set_pointer(abi.pointer(), &mut flight.bytes, offset, 0);
        }
        Ok(flight)
    }

    /// Puts the message and its out-of-line data into a C program.
    ///
    /// # Errors
    ///
    /// If the program has ended.
    pub fn lower(&self, abi: CAbi, process: &mut Process) -> io::Result<Vec<u8>> {
        let mut bytes = self.bytes.clone();
        for ((offset, size), data) in wire::pointers(abi, &self.bytes).into_iter().zip(&self.memory) {
            let mut data = data.clone();
            data.resize(data.len().max(size), 0);
            let address = process.place(&data)?;
            wire::set_pointer(abi.pointer(), &mut bytes, offset, address);
        }
        Ok(bytes)
    }

    /// What the receiver sees.
    pub fn received(&self, abi: CAbi, seqno: u32) -> Self {
        Flight { bytes: wire::received(abi, &self.bytes, seqno), memory: self.memory.clone() }
    }
}

/// What a parameter of a C function has to do with an argument of the routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Value,
    Count,
    Disposition,
    Deallocate,
    ServerCopy,
}

/// The argument that a parameter belongs to, and what it is of it.
fn part<'a>(routine: &'a Routine, parameter: &str) -> Option<(&'a Arg, Part)> {
    let find = |name: &str| routine.args.iter().find(|arg| arg.name == name);
    if let Some(arg) = find(parameter) {
        return Some((arg, Part::Value));
    }
    let suffixes = [
        ("Poly", Part::Disposition),
        ("Cnt", Part::Count),
        ("Dealloc", Part::Deallocate),
        ("SCopy", Part::ServerCopy),
    ];
    suffixes.into_iter().find_map(|(suffix, part)| Some((find(parameter.strip_suffix(suffix)?)?, part)))
}

/// How C passes a value of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    /// By itself, or by a pointer if it comes back.
    ByValue,
    /// An array that the caller has: by a pointer to its first element.
    Array,
    /// An array that is passed like the one before, and comes back by a pointer to such a pointer.
    Indefinite,
    /// By an address, and back by a pointer to one.
    OutOfLine,
}

fn passing(ty: &Type) -> Passing {
    match ty.kind {
        TypeKind::Scalar(_) | TypeKind::Port(_) | TypeKind::Struct { .. } => Passing::ByValue,
        TypeKind::Fixed { by_value: true, .. } => Passing::ByValue,
        TypeKind::Indefinite { .. } => Passing::Indefinite,
        TypeKind::OutOfLine { .. } => Passing::OutOfLine,
        _ => Passing::Array,
    }
}

/// Bytes of `count` elements of an array, or of a value of fixed size.
fn extent(ty: &Type, count: u32) -> usize {
    let size = match &ty.kind {
        TypeKind::Bounded { element, .. }
        | TypeKind::Indefinite { element, .. }
        | TypeKind::OutOfLine { element, .. } => size_of(element) * count,
        _ => size_of(ty),
    };
    size as usize
}

fn pointer(abi: CAbi, address: u64) -> Vec<u8> {
    address.to_le_bytes()[..abi.pointer()].to_vec()
}

/// What a client stub did, and the values that it returned.
#[derive(Clone, Debug)]
pub struct ClientRun {
    /// What it sent, if anything, and what it returned.
    pub called: Called,
    /// What it sent, without addresses.
    pub sent: Option<Flight>,
    /// The arguments that come back, as it left them.
    pub values: Values,
}

/// Calls a routine's client stub. Bytes that it leaves as they were, on stack and in buffers, are `fill`.
///
/// # Errors
///
/// If there is no such stub, or it crashed.
pub fn call(
    abi: CAbi,
    client: &mut Client,
    routine: &Routine,
    values: &Values,
    fill: u8,
    mut answer: impl FnMut(&Message) -> Result<Flight, u32>,
) -> io::Result<ClientRun> {
    client.process.reset();
    let missing = || io::Error::other(format!("no client stub `{}`", routine.user));
    let parameters = client.stub(&routine.user).ok_or_else(missing)?.parameters.clone();
    let mut arguments = Vec::new();
    for (name, size) in &parameters {
        let mut bytes = argument(abi, &mut client.process, routine, name, *size, values, fill)?;
        bytes.resize(*size, 0);
        arguments.push(bytes);
    }
    let mut sent = None;
    let called = client.call(&routine.user, &arguments, fill, |process, message| {
        sent = Some(Flight::lift(abi, process, &message.bytes)?);
        match answer(message) {
            Ok(reply) => Ok(Answer::Reply(reply.lower(abi, process)?)),
            Err(code) => Ok(Answer::Error(code)),
        }
    })?;
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    // After an error there may be no memory after what the stub has written so far.
    let values = match called.result {
        0 => results(abi, client, routine, &names, &called.arguments)?,
        _ => Values::new(),
    };
    Ok(ClientRun { called, sent, values })
}

/// The bytes of one argument of a client stub.
fn argument(
    abi: CAbi,
    process: &mut Process,
    routine: &Routine,
    name: &str,
    size: usize,
    values: &Values,
    fill: u8,
) -> io::Result<Vec<u8>> {
    let Some((arg, part)) = part(routine, name) else {
        return Ok(vec![0; size]);
    };
    let value = values.get(&arg.name).cloned().unwrap_or_default();
    if is_local(abi, size) && part == Part::Value {
        return Ok(if arg.in_request() { value.bytes } else { vec![fill; size] });
    }
    if arg.in_reply() {
        let storage = storage(abi, process, arg, part, &value, fill)?;
        return Ok(pointer(abi, storage));
    }
    Ok(match part {
        Part::Count => value.count.to_le_bytes().to_vec(),
        Part::Disposition => value.disposition.to_le_bytes().to_vec(),
        Part::Deallocate | Part::ServerCopy => u32::from(value.deallocate).to_le_bytes().to_vec(),
        Part::Value if passing(&arg.ty) == Passing::ByValue => value.bytes,
        Part::Value => pointer(abi, process.place(&value.bytes)?),
    })
}

/// True for an argument that is a local variable of the driver: a C type that is an array, or a structure by
/// value.
fn is_local(abi: CAbi, size: usize) -> bool {
    size > abi.pointer()
}

/// Memory for what comes back, with what goes there.
fn storage(
    abi: CAbi,
    process: &mut Process,
    arg: &Arg,
    part: Part,
    value: &Value,
    fill: u8,
) -> io::Result<u64> {
    let goes = arg.role == Role::InOut;
    match (part, passing(&arg.ty)) {
        (Part::Value, Passing::Indefinite | Passing::OutOfLine) => {
            let size = extent(&arg.ty, capacity(&arg.ty)).max(value.bytes.len());
            let mut bytes = if goes { value.bytes.clone() } else { Vec::new() };
            bytes.resize(size, fill);
            let buffer = process.place(&bytes)?;
            process.place(&pointer(abi, buffer))
        }
        (Part::Value, _) => {
            let mut bytes = if goes { value.bytes.clone() } else { Vec::new() };
            bytes.resize(extent(&arg.ty, capacity(&arg.ty)), fill);
            process.place(&bytes)
        }
        (Part::Count, _) => {
            let count = if goes || arg.count_in_out { value.count } else { capacity(&arg.ty) };
            process.place(&count.to_le_bytes())
        }
        (Part::Disposition, _) => process.place(&value.disposition.to_le_bytes()),
        (Part::Deallocate | Part::ServerCopy, _) => process.place(&u32::from(value.deallocate).to_le_bytes()),
    }
}

/// The values that a client stub has put where its pointers pointed.
fn results(
    abi: CAbi,
    client: &mut Client,
    routine: &Routine,
    names: &[&str],
    arguments: &[Vec<u8>],
) -> io::Result<Values> {
    let process = &mut client.process;
    let mut values = Values::new();
    for (name, bytes) in names.iter().zip(arguments) {
        let Some((arg, part)) = part(routine, name).filter(|(arg, _)| arg.in_reply()) else { continue };
        let value = values.entry(arg.name.clone()).or_default();
        let address = wire::pointer_at(abi.pointer(), bytes, 0);
        match part {
            Part::Count => value.count = wire::u32_at(&process.read(address, 4)?, 0),
            Part::Disposition => value.disposition = wire::u32_at(&process.read(address, 4)?, 0),
            _ => {}
        }
    }
    for (name, bytes) in names.iter().zip(arguments) {
        let Some((arg, Part::Value)) = part(routine, name).filter(|(arg, _)| arg.in_reply()) else {
            continue;
        };
        let value = values.entry(arg.name.clone()).or_default();
        if is_local(abi, bytes.len()) {
            value.bytes = bytes[..extent(&arg.ty, value.count).min(bytes.len())].to_vec();
            continue;
        }
        let mut address = wire::pointer_at(abi.pointer(), bytes, 0);
        if matches!(passing(&arg.ty), Passing::Indefinite | Passing::OutOfLine) {
            address = wire::pointer_at(abi.pointer(), &process.read(address, abi.pointer())?, 0);
        }
        // a count that no one can mean is not read: it is what a broken stub made of a damaged message
        let size = extent(&arg.ty, value.count.min(1 << 16));
        value.bytes = if size == 0 { Vec::new() } else { process.read(address, size)? };
    }
    Ok(values)
}

/// What a demux function did, and the values that the server's function saw.
#[derive(Clone, Debug)]
pub struct ServerRun {
    /// What the demux function did.
    pub served: Served,
    /// The reply, without addresses.
    pub reply: Flight,
    /// What the server's function was given; empty if it was not called.
    pub seen: Values,
}

/// Gives a received message to the demux function; the server's function returns `values` and `code`.
///
/// # Errors
///
/// If a stub crashed.
pub fn serve(
    abi: CAbi,
    server: &mut Server,
    routine: &Routine,
    request: &Flight,
    values: &Values,
    code: u32,
    fill: u8,
) -> io::Result<ServerRun> {
    server.process.reset();
    let request = request.lower(abi, &mut server.process)?;
    let mut seen = Values::new();
    let served = server.serve(&request, fill, |process, arguments| {
        seen = function(abi, process, routine, arguments, values)?;
        Ok(code)
    })?;
    let reply = Flight::lift(abi, &mut server.process, &served.reply)?;
    Ok(ServerRun { served, reply, seen })
}

/// The server's function: looks at what it is given, and puts its results where the pointers point.
fn function(
    abi: CAbi,
    process: &mut Process,
    routine: &Routine,
    arguments: &[(String, Vec<u8>)],
    values: &Values,
) -> io::Result<Values> {
    let seen = look(abi, process, routine, arguments)?;
    for (name, bytes) in arguments {
        let Some((arg, part)) = part(routine, name).filter(|(arg, _)| arg.in_reply()) else { continue };
        let Some(value) = values.get(&arg.name) else { continue };
        put(abi, process, arg, part, wire::pointer_at(abi.pointer(), bytes, 0), value)?;
    }
    Ok(seen)
}

/// The values of the arguments that came with the request.
fn look(
    abi: CAbi,
    process: &mut Process,
    routine: &Routine,
    arguments: &[(String, Vec<u8>)],
) -> io::Result<Values> {
    let mut values = Values::new();
    let given =
        |arg: &Arg| arg.in_request() || arg.role == Role::RequestPort || arg.server_trailer().is_some();
    for (name, bytes) in arguments {
        let Some((arg, part)) = part(routine, name) else { continue };
        match part {
            Part::Count if given(arg) || arg.count_in_out => {
                let count = match arg.in_reply() {
                    true => wire::u32_at(&process.read(wire::pointer_at(abi.pointer(), bytes, 0), 4)?, 0),
                    false => wire::u32_at(bytes, 0),
                };
                values.entry(arg.name.clone()).or_default().count = count;
            }
            Part::Disposition if given(arg) => {
                values.entry(arg.name.clone()).or_default().disposition = wire::u32_at(bytes, 0);
            }
            _ => {}
        }
    }
    for (name, bytes) in arguments {
        let Some((arg, Part::Value)) = part(routine, name).filter(|(arg, _)| given(arg)) else { continue };
        let value = values.entry(arg.name.clone()).or_default();
        value.bytes = seen_bytes(abi, process, arg, bytes, value.count)?;
    }
    Ok(values)
}

fn seen_bytes(abi: CAbi, process: &mut Process, arg: &Arg, bytes: &[u8], count: u32) -> io::Result<Vec<u8>> {
    let way = passing(&arg.ty);
    if way == Passing::ByValue && !arg.in_reply() {
        return Ok(bytes[..size_of(&arg.ty) as usize].to_vec());
    }
    let mut address = wire::pointer_at(abi.pointer(), bytes, 0);
    if arg.in_reply() && matches!(way, Passing::Indefinite | Passing::OutOfLine) {
        address = wire::pointer_at(abi.pointer(), &process.read(address, abi.pointer())?, 0);
    }
    let size = extent(&arg.ty, count.min(1 << 16));
    if size == 0 { Ok(Vec::new()) } else { process.read(address, size) }
}

/// Puts one result of the server's function where its pointer points.
fn put(abi: CAbi, process: &mut Process, arg: &Arg, part: Part, to: u64, value: &Value) -> io::Result<()> {
    match (part, passing(&arg.ty)) {
        (Part::Count, _) => process.write(to, &value.count.to_le_bytes()),
        (Part::Disposition, _) => process.write(to, &value.disposition.to_le_bytes()),
        (Part::Deallocate | Part::ServerCopy, _) => {
            process.write(to, &u32::from(value.deallocate).to_le_bytes())
        }
        (Part::Value, Passing::Indefinite) if value.count <= capacity(&arg.ty) => {
            let inline = wire::pointer_at(abi.pointer(), &process.read(to, abi.pointer())?, 0);
            process.write(inline, &value.bytes)
        }
        (Part::Value, Passing::Indefinite | Passing::OutOfLine) => {
            let memory = process.place(&value.bytes)?;
            process.write(to, &pointer(abi, memory))
        }
        (Part::Value, _) => process.write(to, &value.bytes),
    }
}
