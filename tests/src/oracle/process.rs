//! A running program around C stubs, and the protocol that `oracle/shim.c` describes.

use std::io::{self, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A client stub as the program lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The C name.
    pub name: String,
    /// Name and size in bytes of each parameter.
    pub parameters: Vec<(String, usize)>,
}

/// What a program says while it carries out a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stub calls this function; [`Process::answer`] goes on.
    Upcall {
        /// The function's name.
        name: String,
        /// Name and bytes of each argument.
        arguments: Vec<(String, Vec<u8>)>,
    },
    /// The call has returned.
    Finished {
        /// What it returned.
        result: u32,
        /// The bytes of each argument as the stub left it.
        arguments: Vec<Vec<u8>>,
    },
}

/// A program around C stubs.
#[derive(Debug)]
pub struct Process {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    next: u64,
}

/// The memory that the shim maps; both ends agree on where it is.
const ARENA: u64 = 0x3000_0000;
const ARENA_SIZE: u64 = 0x0200_0000;

impl Process {
    /// Starts a program.
    ///
    /// # Errors
    ///
    /// If it cannot be run.
    pub fn start(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take().expect("a pipe was asked for");
        let from = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        Ok(Process { child, to, from, next: ARENA })
    }

    /// The client stubs in it.
    ///
    /// # Errors
    ///
    /// If the program has ended.
    pub fn calls(&mut self) -> io::Result<Vec<Call>> {
        self.to.write_all(b"I")?;
        let mut calls = Vec::new();
        loop {
            let list = self.list()?;
            let Some((name, parameters)) = list.split_first() else { return Ok(calls) };
            let parameters =
                parameters.chunks_exact(2).map(|pair| (text(&pair[0]), number(&pair[1]) as usize)).collect();
            calls.push(Call { name: text(name), parameters });
        }
    }

    /// Forgets what was allocated.
    pub fn reset(&mut self) {
        self.next = ARENA;
    }

    /// Memory in the program, at an address that starts a page.
    ///
    /// # Errors
    ///
    /// If there is no more.
    pub fn allocate(&mut self, size: usize) -> io::Result<u64> {
        let address = self.next;
        self.next += (size.max(1) as u64).next_multiple_of(4096);
        if self.next > ARENA + ARENA_SIZE {
            return Err(io::Error::other("the program's memory is used up"));
        }
        Ok(address)
    }

    /// Memory in the program with these bytes in it.
    ///
    /// # Errors
    ///
    /// If there is no more, or the program has ended.
    pub fn place(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let address = self.allocate(bytes.len())?;
        self.write(address, bytes)?;
        Ok(address)
    }

    /// Writes the program's memory.
    ///
    /// # Errors
    ///
    /// If the program has ended.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(b"W")?;
        self.to.write_all(&address.to_le_bytes())?;
        self.sized(bytes)
    }

    /// Reads the program's memory.
    ///
    /// # Errors
    ///
    /// If the program has ended, as it does if the address is wrong.
    pub fn read(&mut self, address: u64, size: usize) -> io::Result<Vec<u8>> {
        self.to.write_all(b"R")?;
        self.to.write_all(&address.to_le_bytes())?;
        self.to.write_all(&length(size).to_le_bytes())?;
        self.item()
    }

    /// Calls a client stub with the bytes of all its arguments. [`event`](Self::event) says what happens.
    ///
    /// # Errors
    ///
    /// If the program has ended.
    pub fn call(&mut self, index: usize, arguments: &[u8], fill: u8) -> io::Result<()> {
        self.to.write_all(b"C")?;
        self.to.write_all(&length(index).to_le_bytes())?;
        self.to.write_all(&[fill])?;
        self.sized(arguments)
    }

    /// Calls the demux function on two buffers of its memory. [`event`](Self::event) says what happens.
    ///
    /// # Errors
    ///
    /// If the program has ended.
    pub fn demux(&mut self, request: u64, reply: u64, fill: u8) -> io::Result<()> {
        self.to.write_all(b"D")?;
        self.to.write_all(&request.to_le_bytes())?;
        self.to.write_all(&reply.to_le_bytes())?;
        self.to.write_all(&[fill])
    }

    /// What happens next in the call.
    ///
    /// # Errors
    ///
    /// If the program has ended: a stub crashed.
    pub fn event(&mut self) -> io::Result<Event> {
        self.to.flush()?;
        let mut tag = [0];
        self.from.read_exact(&mut tag)?;
        match tag[0] {
            b'U' => {
                let list = self.list()?;
                let (name, arguments) =
                    list.split_first().ok_or_else(|| io::Error::other("an empty upcall"))?;
                let arguments =
                    arguments.chunks_exact(2).map(|pair| (text(&pair[0]), pair[1].clone())).collect();
                Ok(Event::Upcall { name: text(name), arguments })
            }
            b'F' => {
                let mut result = [0; 8];
                self.from.read_exact(&mut result)?;
                let result = number(&result) as u32;
                Ok(Event::Finished { result, arguments: self.list()? })
            }
            other => Err(io::Error::other(format!("the program says {other:#x}"))),
        }
    }

    /// Returns from an upcall.
    ///
    /// # Errors
    ///
    /// If the program has ended.
    pub fn answer(&mut self, value: u64) -> io::Result<()> {
        self.to.write_all(b"A")?;
        self.to.write_all(&value.to_le_bytes())
    }

    fn sized(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all(&length(bytes.len()).to_le_bytes())?;
        self.to.write_all(bytes)?;
        self.to.flush()
    }

    fn item(&mut self) -> io::Result<Vec<u8>> {
        self.to.flush()?;
        let mut size = [0; 4];
        self.from.read_exact(&mut size)?;
        let mut bytes = vec![0; number(&size) as usize];
        self.from.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&mut self) -> io::Result<Vec<Vec<u8>>> {
        self.to.flush()?;
        let mut count = [0; 4];
        self.from.read_exact(&mut count)?;
        (0..number(&count)).map(|_| self.item()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and is of no use any more in any case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A little-endian number of at most 8 bytes.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn length(size: usize) -> u32 {
    u32::try_from(size).expect("arguments are small")
}
