//! Writes first inputs for every target into a folder: the interface definitions, and a correct message for each routine.
//!
//! ```text
//! cargo run --example seeds FOLDER
//! ```

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use mig_codegen::Config;
use mig_codegen::abi::Abi;
use mig_codegen::model::{Complex, InLine, Message, Role, Slot, TypeWord};
use mig_fuzz::{Choice, Known, gnu_i386, gnu_x86_64};
use mig_runtime::Type;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for sources in ["defs", "mig-parser/tests/ui", "mig-codegen/tests"] {
        find(&root.join(sources), &mut files)?;
    }
    texts(&folder.join("front_end"), &files)?;
    let functions = Functions {
        demuxes: gnu_i386::DEMUXES.iter().map(|demux| demux.name).collect(),
        calls: gnu_i386::CALLS.iter().map(|call| call.name).collect(),
    };
    messages::<gnu_i386::Abi>(&folder, &root, 0, &files, &functions)?;
    let functions = Functions {
        demuxes: gnu_x86_64::DEMUXES.iter().map(|demux| demux.name).collect(),
        calls: gnu_x86_64::CALLS.iter().map(|call| call.name).collect(),
    };
    messages::<gnu_x86_64::Abi>(&folder, &root, 1, &files, &functions)
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

/// What there is to call, by name.
struct Functions {
    demuxes: Vec<&'static str>,
    calls: Vec<&'static str>,
}

fn messages<A: Known>(
    folder: &Path,
    root: &Path,
    abi: u8,
    files: &[PathBuf],
    functions: &Functions,
) -> Result<()> {
    let config = Config::new().include_dir(root.join("defs/gnu")).abi(A::FACTS.name);
    for file in files.iter().filter(|file| file.starts_with(root.join("defs/gnu"))) {
        let Ok(interface) = config.interface(file) else { continue };
        let interface = interface.value;
        let demux = functions.demuxes.iter().position(|name| *name == interface.name);
        for routine in &interface.routines {
            if let Some(demux) = demux {
                let distance = u8::try_from(routine.id - interface.base)?;
                let flags = if routine.reply.is_some() { 2 } else { 0 };
                write::<A>(&folder.join("requests"), abi, demux, distance, flags, &routine.request)?;
            }
            let call = functions.calls.iter().position(|name| *name == routine.user);
            if let (Some(call), Some(reply)) = (call, &routine.reply) {
                write::<A>(&folder.join("replies"), abi, call, 0, 0, reply)?;
            }
        }
    }
    Ok(())
}

fn write<A: Known>(
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
fn bytes<A: Known>(slot: &Slot) -> Vec<u8> {
    match (slot.role, &slot.word) {
        (Role::Header, _) => Vec::new(),
        (_, Some(word)) => {
            let ty = type_word(word);
            ty.word::<A>()[..ty.word_len::<A>()].to_vec()
        }
        _ => vec![0; slot.size.unwrap_or(0) as usize],
    }
}

fn type_word(word: &TypeWord) -> Type {
    let inline = word.in_line != InLine::No;
    Type {
        name: word.received.unwrap_or(17) as u8,
        bits: if inline { word.bits } else { word.out_of_line_bits } as u16,
        number: word.number.unwrap_or(0),
        inline,
        long: word.long,
        deallocate: !inline,
    }
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
