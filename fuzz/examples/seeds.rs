//! Writes first inputs for every target into a folder: the interface definitions, and a correct message for
//! each routine.
//!
//! ```text
//! cargo run --example seeds FOLDER
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use mig_codegen::Config;
use mig_codegen::abi::Abi;
use mig_codegen::model::{Complex, InLine, Message, Slot, SlotRole, TypeWord};
use mig_fuzz::{ABIS, Call, Choice, Demux, Formed, with_abi};
use mig_runtime::Type;
use mig_runtime::abi::NDR;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for sources in ["defs", "mig-parser/tests/ui", "mig-codegen/tests"] {
        find(&root.join(sources), &mut files)?;
    }
    texts(&folder.join("front_end"), &files)?;
    for number in 0..ABIS {
        with_abi!(number, abi => messages(&folder, &root, number, &files, abi::DEMUXES, abi::CALLS))?;
    }
    Ok(())
}

/// Every `.defs` file below a folder.
fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "defs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}

fn texts(folder: &Path, files: &[PathBuf]) -> Result<()> {
    for file in files {
        for abi in 0..Abi::ALL.len() {
            seed(folder, &[&[u8::try_from(abi)?], fs::read(file)?.as_slice()])?;
        }
    }
    Ok(())
}

fn messages<A: Formed>(
    folder: &Path,
    root: &Path,
    abi: u8,
    files: &[PathBuf],
    demuxes: &[Demux<A>],
    calls: &[Call<A>],
) -> Result<()> {
    // `gnu`, `apple` or `osf`
    let family = A::FACTS.name.split('-').next().unwrap_or_default();
    let sources = root.join("defs").join(family);
    let config = Config::new().include_dir(&sources).abi(A::FACTS.name);
    for file in files.iter().filter(|file| file.starts_with(&sources)) {
        let Ok(interface) = config.interface(file) else { continue };
        let interface = interface.value;
        let demux = demuxes.iter().position(|demux| demux.name == interface.name);
        for routine in &interface.routines {
            if let Some(demux) = demux {
                let distance = u8::try_from(routine.id - interface.base)?;
                let flags = if routine.reply.is_some() { 2 } else { 0 };
                write::<A>(&folder.join("requests"), abi, demux, distance, flags, &routine.request)?;
            }
            let call = calls.iter().position(|call| call.name == routine.user);
            if let (Some(call), Some(reply)) = (call, &routine.reply) {
                write::<A>(&folder.join("replies"), abi, call, 0, 0, reply)?;
            }
        }
    }
    Ok(())
}

fn write<A: Formed>(
    folder: &Path,
    abi: u8,
    function: usize,
    routine: u8,
    flags: u8,
    message: &Message,
) -> Result<()> {
    let flags = if message.complex == Complex::Never { flags } else { flags | 1 };
    let choice = Choice { abi, function: u16::try_from(function)?, routine, flags };
    let arguments: Vec<u8> = message.slots.iter().flat_map(bytes::<A>).collect();
    seed(folder, &[&choice.bytes(), &arguments])
}

/// A slot of a message in which everything is zero, and whatever is counted is empty.
fn bytes<A: Formed>(slot: &Slot) -> Vec<u8> {
    match (slot.role, &slot.word) {
        (SlotRole::Header | SlotRole::Trailer, _) => Vec::new(),
        (SlotRole::BodyCount, _) => {
            checked(slot, "msgh_descriptor_count").unwrap_or(0).to_le_bytes().to_vec()
        }
        (SlotRole::Port | SlotRole::Ool | SlotRole::OolPorts, _) => descriptor(slot),
        (SlotRole::Ndr, _) => NDR.to_vec(),
        (_, Some(word)) => type_word::<A>(word),
        _ => vec![0; slot.size.unwrap_or(0) as usize],
    }
}

/// What a field must be, if that is declared.
fn checked(slot: &Slot, field: &str) -> Option<u32> {
    slot.check.iter().find(|check| check.field == field).and_then(|check| u32::try_from(check.value).ok())
}

/// A descriptor: of a null right, or of memory that the kernel has copied virtually.
fn descriptor(slot: &Slot) -> Vec<u8> {
    let mut bytes = vec![0; slot.size.unwrap_or(0) as usize];
    if slot.role != SlotRole::Port {
        let size = checked(slot, "size").or_else(|| checked(slot, "count")).unwrap_or(0);
        let at = if bytes.len() == 16 { 12 } else { 4 };
        bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
        bytes[9] = 1;
    }
    if slot.role != SlotRole::Ool {
        bytes[10] = checked(slot, "disposition").unwrap_or(17) as u8;
    }
    bytes[11] = checked(slot, "type").unwrap_or(0) as u8;
    bytes
}

/// A type word as its receiver sees it: that of a right, which no [`Type`] is, has another name and nothing
/// else.
fn type_word<A: Formed>(word: &TypeWord) -> Vec<u8> {
    let ty = match word.in_line {
        InLine::No => Type::out_of_line(0, word.out_of_line_bits as u16).deallocate(),
        _ => Type::inline(0, word.bits as u16, 0),
    };
    let ty = if word.long { ty.long() } else { ty.short() }.with_number(word.number.unwrap_or(0));
    let mut bytes = ty.word::<A>()[..ty.word_len::<A>()].to_vec();
    let name = if bytes.len() == 12 { 4 } else { 0 };
    bytes[name] = word.received.unwrap_or(17) as u8;
    bytes
}

/// An input, named by its contents.
fn seed(folder: &Path, parts: &[&[u8]]) -> Result<()> {
    let bytes = parts.concat();
    // FNV-1a
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    fs::create_dir_all(folder)?;
    Ok(fs::write(folder.join(format!("{hash:016x}")), bytes)?)
}
