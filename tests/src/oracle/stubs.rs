//! Client and server stubs as functions: arguments in, what they did out.

use std::io;
use std::path::Path;

use super::process::{Call, Event, Process, number};

/// The name that a client stub gets for its reply port.
pub const REPLY_PORT: u32 = 0x707;

/// What a stub sees of the bytes around a reply buffer and a message buffer.
const BUFFER: usize = 64 * 1024;

/// What goes back to a client stub from `mach_msg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This error.
    Error(u32),
    /// Success, and this reply, if one was to be received.
    Reply(Vec<u8>),
}

/// A message that a client stub sends, with the other arguments of `mach_msg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// `MACH_SEND_MSG`, `MACH_RCV_MSG` and so on.
    pub option: u32,
    /// The size of the buffer for the reply.
    pub receive_size: usize,
    /// Where the reply is to come from.
    pub receive_name: u32,
    /// In milliseconds.
    pub timeout: u32,
}

/// `MACH_RCV_MSG`
const RECEIVE: u32 = 2;

/// `MACH_RCV_TOO_LARGE`
const MACH_RCV_TOO_LARGE: u32 = 0x1000_4004;

impl Message {
    /// True if the stub waits for a reply.
    fn receives(&self) -> bool {
        self.option & RECEIVE != 0
    }
}

/// What a client stub did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// What it sent, unless it refused the arguments.
    pub sent: Option<Message>,
    /// What it returned.
    pub result: u32,
    /// The bytes of each argument as it left them.
    pub arguments: Vec<Vec<u8>>,
    /// The functions that it called, in order.
    pub events: Vec<String>,
}

/// The client stubs of an interface.
#[derive(Debug)]
pub struct Client {
    /// The program around them, for its memory.
    pub process: Process,
    calls: Vec<Call>,
}

impl Client {
    /// Starts a program around client stubs.
    ///
    /// # Errors
    ///
    /// If it cannot be run.
    pub fn start(program: &Path) -> io::Result<Self> {
        let mut process = Process::start(program)?;
        let calls = process.calls()?;
        Ok(Client { process, calls })
    }

    /// The stub with a C name: its parameters, name and size.
    pub fn stub(&self, name: &str) -> Option<&Call> {
        self.calls.iter().find(|call| call.name == name)
    }

    /// Calls a stub. `arguments` has the bytes of each, in order; `mach_msg` is answered by `answer`, which
    /// may read and write the program's memory.
    ///
    /// # Errors
    ///
    /// If there is no such stub, or it crashed.
    pub fn call(
        &mut self,
        name: &str,
        arguments: &[Vec<u8>],
        fill: u8,
        mut answer: impl FnMut(&mut Process, &Message) -> io::Result<Answer>,
    ) -> io::Result<Called> {
        let index = self.calls.iter().position(|call| call.name == name);
        let index = index.ok_or_else(|| io::Error::other(format!("no client stub `{name}`")))?;
        self.process.call(index, &arguments.concat(), fill)?;
        let mut sent = None;
        let mut events = Vec::new();
        loop {
            match self.process.event()? {
                Event::Finished { result, arguments } => {
                    return Ok(Called { sent, result, arguments, events });
                }
                Event::Upcall { name, arguments } if name == "mach_msg" => {
                    let (address, message) = self.message(&arguments)?;
                    let answer = answer(&mut self.process, &message)?;
                    sent = Some(message);
                    events.push(name);
                    let code = self.deliver(address, sent.as_ref(), &answer)?;
                    self.process.answer(u64::from(code))?;
                }
                Event::Upcall { name, arguments } => {
                    let value = support(&mut self.process, &name, &arguments)?;
                    events.push(name);
                    self.process.answer(value)?;
                }
            }
        }
    }

    fn message(&mut self, arguments: &[(String, Vec<u8>)]) -> io::Result<(u64, Message)> {
        let value = |index: usize| number(&arguments[index].1);
        let narrow = |index: usize| value(index) as u32;
        let bytes = self.process.read(value(0), value(2) as usize)?;
        let message = Message {
            bytes,
            option: narrow(1),
            receive_size: value(3) as usize,
            receive_name: narrow(4),
            timeout: narrow(5),
        };
        Ok((value(0), message))
    }

    /// Gives the stub what it waits for; as from a kernel, a reply that does not fit is an error.
    fn deliver(&mut self, address: u64, sent: Option<&Message>, answer: &Answer) -> io::Result<u32> {
        let room = sent.map_or(0, |message| message.receive_size);
        match answer {
            Answer::Error(code) => Ok(*code),
            Answer::Reply(bytes) if bytes.len() > room && sent.is_some_and(Message::receives) => {
                Ok(MACH_RCV_TOO_LARGE)
            }
            Answer::Reply(bytes) => self.process.write(address, bytes).map(|()| 0),
        }
    }
}

/// Name and bytes of each argument of a call.
pub type Arguments = Vec<(String, Vec<u8>)>;

/// What a demux function did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Whether it knows the id.
    pub known: bool,
    /// The reply that it made.
    pub reply: Vec<u8>,
    /// The function that it called, and with what.
    pub function: Option<(String, Arguments)>,
    /// The other functions that it called, in order.
    pub events: Vec<String>,
}

/// The server stubs of an interface.
#[derive(Debug)]
pub struct Server {
    /// The program around them, for its memory.
    pub process: Process,
}

impl Server {
    /// Starts a program around server stubs.
    ///
    /// # Errors
    ///
    /// If it cannot be run.
    pub fn start(program: &Path) -> io::Result<Self> {
        Ok(Server { process: Process::start(program)? })
    }

    /// Gives a received message to the demux function. The server's function is played by `function`, which
    /// gets the bytes of the arguments, may read and write the program's memory, and says what the function
    /// returns.
    ///
    /// # Errors
    ///
    /// If a stub crashed.
    pub fn serve(
        &mut self,
        request: &[u8],
        fill: u8,
        mut function: impl FnMut(&mut Process, &[(String, Vec<u8>)]) -> io::Result<u32>,
    ) -> io::Result<Served> {
        let mut buffer = request.to_vec();
        buffer.resize(BUFFER.max(request.len()), 0xee);
        let request = self.process.place(&buffer)?;
        let reply = self.process.place(&vec![fill; BUFFER])?;
        self.process.demux(request, reply, fill)?;
        let mut called = None;
        let mut events = Vec::new();
        let known = loop {
            match self.process.event()? {
                Event::Finished { result, .. } => break result != 0,
                Event::Upcall { name, arguments } if is_support(&name) => {
                    let value = support(&mut self.process, &name, &arguments)?;
                    events.push(name);
                    self.process.answer(value)?;
                }
                Event::Upcall { name, arguments } => {
                    let value = function(&mut self.process, &arguments)?;
                    called = Some((name, arguments));
                    self.process.answer(u64::from(value))?;
                }
            }
        };
        let size = number(&self.process.read(reply + crate::wire::SIZE as u64, 4)?) as usize;
        let reply = self.process.read(reply, size.min(BUFFER))?;
        Ok(Served { known, reply, function: called, events })
    }
}

fn is_support(name: &str) -> bool {
    let names = [
        "mig_get_reply_port",
        "mig_dealloc_reply_port",
        "mig_put_reply_port",
        "mig_allocate",
        "mig_deallocate",
    ];
    names.contains(&name)
}

/// Plays the functions of the C library that stubs call.
fn support(process: &mut Process, name: &str, arguments: &[(String, Vec<u8>)]) -> io::Result<u64> {
    match name {
        "mig_get_reply_port" => Ok(u64::from(REPLY_PORT)),
        "mig_allocate" => process.allocate(number(&arguments[0].1) as usize),
        _ => Ok(0),
    }
}
