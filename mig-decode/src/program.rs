//! The tables that Apple's stubs leave in a program: which ids a server takes, with how many arguments, and
//! how large its replies are.
//!
//! The C server of a subsystem has a structure `mig_subsystem` of `<mach/mig.h>` in its constant data, whose
//! symbol ends in `_subsystem`: a pointer to the demux function, the first id and the one after the last, the
//! size of the largest reply, a reserved word, and a `routine_descriptor` for each id. Of a program without
//! symbols the structures are found by their shape: it has so many zeros and equal numbers that nothing else
//! has it by chance.

use object::macho::{MachHeader32, MachHeader64};
use object::read::macho::{FatArch as _, LoadCommandIterator, MachHeader, MachOFatFile32, MachOFatFile64};
use object::{
    Architecture, Endianness, File, FileKind, Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind,
};

/// A subsystem of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compiled {
    /// The processor that the program is for, as Apple's `-arch` calls it; one file may be for several.
    pub processor: &'static str,
    /// The width of a pointer, in bytes.
    pub pointer: usize,
    /// The name of the structure's symbol, without the underscore of C; none if the program has no symbols.
    pub symbol: Option<String>,
    /// Where the structure is, as the program's sections have it.
    pub address: u64,
    /// The id of its first routine.
    pub start: u32,
    /// One past the id of the last.
    pub end: u32,
    /// `msgh_size` of the largest reply.
    pub max_reply: u32,
    /// The routines; ids that are skipped are not in it.
    pub routines: Vec<CompiledRoutine>,
}

/// A routine of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompiledRoutine {
    /// The id of its request.
    pub id: u32,
    /// How many words the arguments of the server's function are: one each, and one for each word of a
    /// structure.
    pub arguments: u32,
    /// `msgh_size` of its largest reply; of a routine without one, that of a reply with a return code.
    pub max_reply: u32,
}

/// More programs than these are not in one file.
const MOST_PROCESSORS: usize = 32;
/// More ids than these are not in one subsystem.
const MOST_IDS: u32 = 4096;
/// No reply is larger.
const MOST_REPLY: u32 = 1 << 26;
/// The server's function has no more arguments.
const MOST_ARGUMENTS: u32 = 1024;
/// Descriptors that are looked at in one file before it is refused.
const MOST_WORK: usize = 1 << 26;

/// The subsystems of a Mach-O file, of each processor that it is for, in the order of their places.
///
/// # Errors
///
/// What is wrong with the file, if it is none or is cut off.
pub fn subsystems(bytes: &[u8]) -> Result<Vec<Compiled>, String> {
    let slices = slices(bytes)?;
    let mut work = MOST_WORK;
    let mut found = Vec::new();
    for slice in slices {
        found.extend(of_program(slice, &mut work)?);
    }
    Ok(found)
}

/// True if bytes begin as a Mach-O file does.
pub fn is_program(bytes: &[u8]) -> bool {
    use FileKind::{MachO32, MachO64, MachOFat32, MachOFat64};
    matches!(FileKind::parse(bytes), Ok(MachO32 | MachO64 | MachOFat32 | MachOFat64))
}

/// The programs in a file.
fn slices(bytes: &[u8]) -> Result<Vec<&[u8]>, String> {
    let wrong = |error: object::Error| format!("the list of processors: {error}");
    let slices: Vec<_> = match FileKind::parse(bytes) {
        Ok(FileKind::MachO32 | FileKind::MachO64) => return Ok(vec![bytes]),
        Ok(FileKind::MachOFat32) => {
            let file = MachOFatFile32::parse(bytes).map_err(wrong)?;
            file.arches().iter().take(MOST_PROCESSORS + 1).map(|arch| arch.data(bytes)).collect()
        }
        Ok(FileKind::MachOFat64) => {
            let file = MachOFatFile64::parse(bytes).map_err(wrong)?;
            file.arches().iter().take(MOST_PROCESSORS + 1).map(|arch| arch.data(bytes)).collect()
        }
        _ => return Err(format!("no Mach-O file: it begins with {:02x?}", &bytes[..bytes.len().min(4)])),
    };
    if slices.len() > MOST_PROCESSORS {
        return Err(format!("it is for more than {MOST_PROCESSORS} processors"));
    }
    slices
        .into_iter()
        .enumerate()
        .map(|(n, slice)| slice.map_err(|error| format!("program {n}: {error}")))
        .collect()
}

fn of_program(bytes: &[u8], work: &mut usize) -> Result<Vec<Compiled>, String> {
    let damaged = |error: object::Error| format!("the program is damaged: {error}");
    let file = File::parse(bytes).map_err(damaged)?;
    match &file {
        File::MachO32(file) => {
            is_whole::<MachHeader32<Endianness>>(file.endian(), file.macho_load_commands(), bytes)
        }
        File::MachO64(file) => {
            is_whole::<MachHeader64<Endianness>>(file.endian(), file.macho_load_commands(), bytes)
        }
        _ => Ok(()),
    }
    .map_err(damaged)?;
    let mut program = Program {
        processor: match file.architecture() {
            Architecture::Aarch64 => "arm64",
            Architecture::Aarch64_Ilp32 => "arm64_32",
            Architecture::Arm => "arm",
            Architecture::X86_64 => "x86_64",
            Architecture::I386 => "i386",
            Architecture::PowerPc => "ppc",
            Architecture::PowerPc64 => "ppc64",
            _ => return Err("it is for a processor that no Mach runs on".to_owned()),
        },
        pointer: if file.is_64() { 8 } else { 4 },
        is_little: file.is_little_endian(),
        sections: Vec::new(),
        work,
    };
    for section in file.sections() {
        let data = match section.kind() {
            SectionKind::Text | SectionKind::UninitializedData | SectionKind::Debug => continue,
            _ => section.data().map_err(|error| format!("a section is not in the file: {error}"))?,
        };
        program.sections.push((section.address(), data));
    }
    let mut found = Vec::new();
    for symbol in file.symbols() {
        let name = symbol.name().unwrap_or_default();
        if name.ends_with("_subsystem") && symbol.is_definition() {
            found.extend(program.at(symbol.address(), Some(name.strip_prefix('_').unwrap_or(name)))?);
        }
    }
    if found.is_empty() {
        found = program.by_shape()?;
    }
    found.sort_by_key(|one| one.address);
    found.dedup_by_key(|one| one.address);
    Ok(found)
}

/// Walks what says where everything is: the reader takes what is cut off there for nothing.
fn is_whole<H: MachHeader<Endian = Endianness>>(
    endian: Endianness,
    commands: object::Result<LoadCommandIterator<'_, Endianness>>,
    bytes: &[u8],
) -> object::Result<()> {
    let mut commands = commands?;
    while let Some(command) = commands.next()? {
        if let Some(symbols) = command.symtab()? {
            symbols.symbols::<H, _>(endian, bytes)?;
        }
    }
    Ok(())
}

/// The data of a program.
struct Program<'a> {
    processor: &'static str,
    pointer: usize,
    is_little: bool,
    sections: Vec<(u64, &'a [u8])>,
    work: &'a mut usize,
}

impl Program<'_> {
    /// The structure at an address, if there is one: others have such names, too.
    fn at(&mut self, address: u64, name: Option<&str>) -> Result<Option<Compiled>, String> {
        let holds = |(start, data): &&(u64, &[u8])| {
            address.checked_sub(*start).is_some_and(|at| at < data.len() as u64)
        };
        let Some(&(start, data)) = self.sections.iter().find(holds) else { return Ok(None) };
        self.structure(&data[(address - start) as usize..], address, name)
    }

    /// All that look like one.
    fn by_shape(&mut self) -> Result<Vec<Compiled>, String> {
        let mut found = Vec::new();
        for (start, data) in std::mem::take(&mut self.sections) {
            let mut at = start.next_multiple_of(self.pointer as u64) - start;
            while let Some(rest) =
                usize::try_from(at).ok().and_then(|at| data.get(at..)).filter(|rest| !rest.is_empty())
            {
                let one = self.structure(rest, start.wrapping_add(at), None)?;
                at += match &one {
                    Some(one) => self.size(one.end - one.start) as u64,
                    None => self.pointer as u64,
                };
                found.extend(one);
            }
        }
        Ok(found)
    }

    /// The bytes of a structure with this many descriptors.
    fn size(&self, ids: u32) -> usize {
        let (head, each) = if self.pointer == 8 { (32, 40) } else { (20, 24) };
        head + each * ids as usize
    }

    /// The structure at the start of these bytes, if its numbers are those of one.
    fn structure(
        &mut self,
        bytes: &[u8],
        address: u64,
        name: Option<&str>,
    ) -> Result<Option<Compiled>, String> {
        let head = self.size(0);
        let Some(first) = bytes.get(..head) else { return Ok(None) };
        let at = self.pointer;
        let (start, end, max_reply) =
            (self.word(first, at), self.word(first, at + 4), self.word(first, at + 8));
        let rest_is_zero = first[at + 12..].iter().all(|byte| *byte == 0);
        let is_one = start < end && end - start <= MOST_IDS && is_reply(max_reply) && rest_is_zero;
        let Some(descriptors) = bytes.get(head..self.size(end.saturating_sub(start))).filter(|_| is_one)
        else {
            return Ok(None);
        };
        let mut routines = Vec::new();
        let each = self.size(1) - head;
        for (id, descriptor) in (start..end).zip(descriptors.chunks_exact(each)) {
            *self.work = self.work.checked_sub(1).ok_or("too much in it looks like a subsystem")?;
            match self.routine(id, descriptor) {
                Some(routine) => routines.extend(routine),
                None => return Ok(None),
            }
        }
        // The union of the replies is as large as the largest of them.
        let largest = routines.iter().map(|routine| routine.max_reply).max();
        let symbol = name.map(str::to_owned);
        let Program { processor, pointer, .. } = *self;
        let found = Compiled { processor, pointer, symbol, address, start, end, max_reply, routines };
        Ok((largest == Some(max_reply)).then_some(found))
    }

    /// A routine, or nothing for an id that is skipped; `None` if the bytes are no descriptor.
    fn routine(&self, id: u32, descriptor: &[u8]) -> Option<Option<CompiledRoutine>> {
        let pointer = self.pointer;
        // The function of the server is called by the stub and not from here, nobody describes arguments any
        // more, and what follows the size of the reply aligns the next descriptor.
        let (function, numbers) = (&descriptor[..pointer], 2 * pointer);
        let (arguments, reply) =
            (self.word(descriptor, numbers), self.word(descriptor, numbers + 8 + pointer));
        let zeros = [
            function,
            &descriptor[numbers + 4..numbers + 8 + pointer],
            &descriptor[numbers + 12 + pointer..],
        ];
        if !zeros.into_iter().flatten().all(|byte| *byte == 0) {
            return None;
        }
        if (arguments, reply) == (0, 0) {
            let stub = &descriptor[pointer..numbers];
            return stub.iter().all(|byte| *byte == 0).then_some(None);
        }
        let is_one = (1..=MOST_ARGUMENTS).contains(&arguments) && is_reply(reply);
        is_one.then_some(Some(CompiledRoutine { id, arguments, max_reply: reply }))
    }

    fn word(&self, bytes: &[u8], at: usize) -> u32 {
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).unwrap_or_default();
        if self.is_little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) }
    }
}

/// Whether a reply can have this size: a header, the NDR record and a return code at least.
fn is_reply(size: u32) -> bool {
    (36..=MOST_REPLY).contains(&size) && size % 4 == 0
}
