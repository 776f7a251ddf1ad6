//! Panics that unwind. Apple's linkers describe most functions by one word of *compact unwind*, which glibc's
//! unwinder does not know; so it is given a description in DWARF's form, made from these words. Functions
//! that no word can describe have one in DWARF's form in the file already.
//!
//! Only functions with a frame pointer are translated, as are all that Rust compiles for macOS. Unwinding
//! ends at any other.

use std::ptr;

use crate::macho::Program;

/// The mode of an encoding: with a frame pointer.
const MODE: u32 = 0x0f00_0000;
const FRAME: u32 = 0x0100_0000;

/// DWARF's numbers of registers.
mod register {
    pub(super) const RBP: u8 = 6;
    pub(super) const RETURN_ADDRESS: u8 = 16;
    /// Those that a compact encoding can name: rbx, r12 to r15.
    pub(super) const SAVED: [u8; 5] = [3, 12, 13, 14, 15];
}

/// The descriptions of a program's functions, for glibc's unwinder.
pub(crate) struct Frames {
    /// Of functions with compact words. The unwinder keeps pointers to it.
    translated: &'static [u8],
    /// Those in the file.
    in_file: Option<usize>,
}

impl Frames {
    /// Reads the words of a program that is in memory, with its pointers set.
    pub(crate) fn of(program: &Program<'_>, image: &[u8], base: usize) -> Result<Self, String> {
        let mut translated = Vec::new();
        if let Some(section) = program.section("__unwind_info") {
            let info = &image[section.start as usize..(section.start + section.size) as usize];
            let functions = functions(info).ok_or("__unwind_info is not what it should be")?;
            translate(&functions, image, base, &mut translated).ok_or("__unwind_info leaves the image")?;
        }
        // This ends the list.
        translated.extend([0; 4]);
        let in_file = program.section("__eh_frame").and_then(|section| {
            let end = (section.start + section.size) as usize;
            // The list in the file must have an end as well.
            let ends = image.get(end..end + 4).is_some_and(|word| word == [0; 4]);
            (ends && section.size != 0).then(|| base + section.start as usize)
        });
        Ok(Self { translated: translated.leak(), in_file })
    }

    /// Tells the unwinder: both lists at once, since newer ones want what they are told to be apart from the
    /// rest.
    pub(crate) fn register(&self) {
        unsafe extern "C" {
            fn __register_frame_table(lists: *const *const u8);
        }
        let in_file = self.in_file.map_or(ptr::null(), |begin| begin as *const u8);
        let lists = vec![self.translated.as_ptr(), in_file, ptr::null()].leak();
        // SAFETY: a null pointer ends the table; each list has an end, and stays where it is, since an image
        // is never unmapped.
        unsafe { __register_frame_table(lists.as_ptr()) };
    }
}

/// A function, by offsets from the beginning of the image.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    start: u32,
    end: u32,
    encoding: u32,
    /// Where the pointer to its personality function is.
    personality: Option<u32>,
    /// What that function reads.
    data: Option<u32>,
}

/// The functions that `__unwind_info` describes, each up to the next.
fn functions(info: &[u8]) -> Option<Vec<Function>> {
    let word = |at: usize| word(info, at);
    let half =
        |at: usize| info.get(at..at + 2).map(|half| usize::from(u16::from_le_bytes([half[0], half[1]])));
    let index = |part: usize| Some((word(4 * part)? as usize, word(4 * part + 4)? as usize));
    let ((common, common_len), (personalities, _), (pages, pages_len)) = (index(1)?, index(3)?, index(5)?);

    let mut found: Vec<Function> = Vec::new();
    for page in (0..pages_len.checked_sub(1)?).map(|page| pages + 12 * page) {
        let (first, second, data_begin) = (word(page)?, word(page + 4)? as usize, word(page + 8)? as usize);
        let (end, data_end) = (word(page + 12)?, word(page + 20)? as usize);
        let data_of = |start: u32| {
            let places = (data_begin..data_end).step_by(8);
            let mut entries = places.map_while(|at| Some((word(at)?, word(at + 4)?)));
            entries.find(|&(function, _)| function == start).map(|(_, data)| data)
        };
        let (entries, len) = (second + half(second + 4)?, half(second + 6)?);
        let begun = found.len();
        for entry in 0..len {
            let (start, encoding) = match word(second)? {
                REGULAR => (word(entries + 8 * entry)?, word(entries + 8 * entry + 4)?),
                COMPRESSED => {
                    let entry = word(entries + 4 * entry)?;
                    let (own, encoding) = (second + half(second + 8)?, (entry >> 24) as usize);
                    let encoding = match encoding.checked_sub(common_len) {
                        None => word(common + 4 * encoding)?,
                        Some(place) => word(own + 4 * place)?,
                    };
                    (first.checked_add(entry & 0x00ff_ffff)?, encoding)
                }
                _ => return None,
            };
            if let Some(before) = found.get_mut(begun..).and_then(<[_]>::last_mut) {
                before.end = start;
            }
            let personality = match encoding >> 28 & 3 {
                0 => None,
                number => Some(word(personalities + 4 * (number as usize - 1))?),
            };
            let data = if encoding & HAS_DATA != 0 { data_of(start) } else { None };
            found.push(Function { start, end, encoding, personality, data });
        }
    }
    Some(found)
}

/// The kinds of second-level pages.
const REGULAR: u32 = 2;
const COMPRESSED: u32 = 3;
/// The function has data for its personality function.
const HAS_DATA: u32 = 0x4000_0000;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?).map(|word| u32::from_le_bytes(word.try_into().expect("4 bytes")))
}

/// Writes the functions with a frame pointer in the form of `.eh_frame`.
fn translate(functions: &[Function], image: &[u8], base: usize, out: &mut Vec<u8>) -> Option<()> {
    // For each personality function, the place of what its functions share.
    let mut shared: Vec<(Option<u32>, usize)> = Vec::new();
    for function in functions.iter().filter(|function| function.encoding & MODE == FRAME) {
        let known = shared.iter().find(|(personality, _)| *personality == function.personality);
        let common = match known {
            Some(&(_, place)) => place,
            None => {
                let pointer = match function.personality {
                    Some(at) => Some(image.get(at as usize..at as usize + 8)?),
                    None => None,
                };
                let place = common_entry(pointer, out);
                shared.push((function.personality, place));
                place
            }
        };
        function_entry(function, common, base, out);
    }
    Some(())
}

/// What functions with this personality function share; returns where it is.
fn common_entry(personality: Option<&[u8]>, out: &mut Vec<u8>) -> usize {
    let place = begin_entry(out);
    out.extend([0; 4]);
    // Version 1; addresses as they are; code counts single bytes, data -8.
    out.push(1);
    match personality {
        Some(pointer) => {
            out.extend(b"zPLR\0");
            out.extend([1, 0x78, register::RETURN_ADDRESS, 11, 0]);
            out.extend(pointer);
            out.extend([0, 0]);
        }
        None => {
            out.extend(b"zR\0");
            out.extend([1, 0x78, register::RETURN_ADDRESS, 1, 0]);
        }
    }
    end_entry(place, out);
    place
}

fn function_entry(function: &Function, common: usize, base: usize, out: &mut Vec<u8>) {
    const DEFINE_CFA: u8 = 0x0c;
    const OFFSET: u8 = 0x80;
    let place = begin_entry(out);
    out.extend(((place + 4 - common) as u32).to_le_bytes());
    out.extend((base as u64 + u64::from(function.start)).to_le_bytes());
    out.extend(u64::from(function.end.saturating_sub(function.start)).to_le_bytes());
    if function.personality.is_some() {
        out.push(8);
        let data = function.data.map_or(0, |data| base as u64 + u64::from(data));
        out.extend(data.to_le_bytes());
    } else {
        out.push(0);
    }
    // The frame begins above the return address and the old frame pointer.
    out.extend([
        DEFINE_CFA,
        register::RBP,
        16,
        OFFSET | register::RETURN_ADDRESS,
        1,
        OFFSET | register::RBP,
        2,
    ]);
    // From this many words below the frame pointer on there are up to five registers, of three bits each.
    let below = (function.encoding >> 16 & 0xff) as u8;
    for slot in 0..5_u8 {
        let saved = (function.encoding >> (3 * slot) & 7) as usize;
        if let Some(&register) = saved.checked_sub(1).and_then(|saved| register::SAVED.get(saved)) {
            out.push(OFFSET | register);
            uleb(u32::from(below) + 2 - u32::from(slot), out);
        }
    }
    end_entry(place, out);
}

fn begin_entry(out: &mut Vec<u8>) -> usize {
    out.extend([0; 4]);
    out.len() - 4
}

/// Pads an entry, with instructions that do nothing, and writes its length.
fn end_entry(place: usize, out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(8), 0);
    let len = (out.len() - place - 4) as u32;
    out[place..place + 4].copy_from_slice(&len.to_le_bytes());
}

fn uleb(mut value: u32, out: &mut Vec<u8>) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        out.push(if value == 0 { byte } else { byte | 0x80 });
        if value == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a frame pointer and rbx 8 bytes below it; without one, and 16 bytes of stack.
    const WITH_FRAME: u32 = 0x0101_0001;
    const FRAMELESS: u32 = 0x0202_0000;

    /// `unwind_info_section_header`, as `mach-o/compact_unwind_encoding.h` has it, with a compressed and a
    /// regular page, of two functions each.
    fn section() -> Vec<u8> {
        let header = [1, 28, 1, 32, 1, 36, 3];
        let (common, personality) = ([WITH_FRAME], [0x3000]);
        // Where the functions begin, the page, and the functions' data.
        let pages = [[0x1000, 80, 72], [0x2000, 104, 72], [0x2100, 0, 80]];
        let data = [0x2000, 0x5000];
        let encoding = WITH_FRAME | HAS_DATA | 1 << 28;
        // Entries at 12, two of them; encodings of its own at 20, one. The first entry has the common one,
        // the second its own.
        let compressed = [COMPRESSED, 2 << 16 | 12, 1 << 16 | 20, 0, 1 << 24 | 0x20, FRAMELESS];
        let regular = [REGULAR, 2 << 16 | 8, 0x2000, encoding, 0x2080, FRAMELESS];
        let words = [&header[..], &common, &personality, pages.as_flattened(), &data, &compressed, &regular];
        words.concat().into_iter().flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn both_kinds_of_pages_are_read() {
        let found = functions(&section()).unwrap();
        let starts: Vec<_> = found.iter().map(|function| (function.start, function.end)).collect();
        assert_eq!(starts, [(0x1000, 0x1020), (0x1020, 0x2000), (0x2000, 0x2080), (0x2080, 0x2100)]);
        assert_eq!((found[0].encoding, found[1].encoding), (WITH_FRAME, FRAMELESS));
        assert_eq!((found[2].personality, found[2].data), (Some(0x3000), Some(0x5000)));
        assert_eq!((found[3].encoding, found[3].personality, found[3].data), (FRAMELESS, None, None));
    }

    #[test]
    fn a_function_with_a_frame_pointer_is_translated() {
        let function =
            Function { start: 0x10, end: 0x30, encoding: WITH_FRAME, personality: None, data: None };
        let frameless = Function { encoding: FRAMELESS, ..function_at(0x30) };
        let mut out = Vec::new();
        translate(&[function, frameless], &[], 0x1000, &mut out).unwrap();
        let common = [16, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x78, 16, 1, 0, 0, 0, 0];
        // The common entry is padded to 24 bytes; of the other one this is all but the padding.
        assert_eq!(out[4..17], common[4..17]);
        let place = 4 + u32::from_le_bytes(out[..4].try_into().unwrap()) as usize;
        assert_eq!(place % 8, 0);
        let entry = &out[place..];
        assert_eq!(u32::from_le_bytes(entry[4..8].try_into().unwrap()) as usize, place + 4);
        assert_eq!(entry[8..16], 0x1010_u64.to_le_bytes());
        assert_eq!(entry[16..24], 0x20_u64.to_le_bytes());
        // The frame is 16 bytes above rbp; the return address, rbp and rbx are 1, 2 and 3 words below that.
        assert_eq!(entry[24..34], [0, 0x0c, 6, 16, 0x90, 1, 0x86, 2, 0x83, 3]);
        assert_eq!(out.len(), place + 4 + u32::from_le_bytes(entry[..4].try_into().unwrap()) as usize);
    }

    fn function_at(start: u32) -> Function {
        Function { start, end: start + 0x10, encoding: 0, personality: None, data: None }
    }

    #[test]
    fn no_bytes_bring_the_reader_down() {
        let good = section();
        for at in 0..good.len() {
            for byte in [0, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                if let Some(functions) = functions(&bad) {
                    let _ = translate(&functions, &[0; 64], 0, &mut Vec::new());
                }
            }
            let _ = functions(&good[..at]);
        }
    }
}
