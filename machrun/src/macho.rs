//! What the loader has to know of a Mach-O file. The file is not trusted: whatever is wrong with it is an
//! error that says what was found.

use object::LittleEndian as Le;
use object::macho::{self, MachHeader64};
use object::read::macho::{LoadCommandVariant, MachHeader as _, Section as _, Segment as _};

/// An executable may want this much memory.
const MOST_MEMORY: u64 = 1 << 30;

/// Bytes of a pointer.
const POINTER: u8 = 8;

/// An executable.
pub(crate) struct Program<'f> {
    pub(crate) segments: Vec<Segment<'f>>,
    pub(crate) sections: Vec<Section>,
    /// The address of the image that the pointers in the file are for.
    pub(crate) base: u64,
    /// Where `main` is, from the beginning of the image.
    pub(crate) entry: u64,
    /// Pointers into the image.
    pub(crate) rebases: Vec<Place>,
    /// Pointers to what libraries have.
    pub(crate) binds: Vec<Bind<'f>>,
}

/// A part of the image, at an address from its beginning.
pub(crate) struct Segment<'f> {
    pub(crate) start: u64,
    pub(crate) size: u64,
    /// The rest is zero.
    pub(crate) bytes: &'f [u8],
    /// `VM_PROT_READ` and so on: the same bits as those of `mprotect`.
    pub(crate) protection: u32,
}

/// A part of a segment.
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) kind: macho::SectionType,
    pub(crate) start: u64,
    pub(crate) size: u64,
}

/// A pointer in the image, from its beginning.
pub(crate) type Place = u64;

/// A pointer that is to hold the address of a symbol.
pub(crate) struct Bind<'f> {
    pub(crate) place: Place,
    pub(crate) symbol: &'f str,
    pub(crate) addend: i64,
}

impl<'f> Program<'f> {
    /// Reads an executable for x86_64.
    pub(crate) fn parse(file: &'f [u8]) -> Result<Self, String> {
        let wrong = |what: &str, error: object::Error| format!("{what}: {error}");
        let header =
            MachHeader64::<Le>::parse(file, 0).map_err(|error| wrong("no Mach-O file of 64 bits", error))?;
        if !header.is_little_endian() || header.cputype(Le) != macho::CPU_TYPE_X86_64 {
            return Err(format!("the program is for {:?}; only x86_64 can be run", header.cputype(Le)));
        }
        if header.filetype(Le) != macho::MH_EXECUTE {
            return Err(format!("no executable, but a Mach-O file of type {:?}", header.filetype(Le)));
        }
        let mut parts = Parts::default();
        let mut commands =
            header.load_commands(Le, file, 0).map_err(|error| wrong("the load commands", error))?;
        while let Some(command) = commands.next().map_err(|error| wrong("a load command", error))? {
            let variant = command.variant().map_err(|error| wrong("a load command", error))?;
            parts.add(file, command.cmd(), variant)?;
        }
        parts.finish(file)
    }

    /// The section of this kind, if there is one.
    pub(crate) fn section_of(&self, kind: macho::SectionType) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind)
    }

    /// The section of this name, if there is one.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// How many bytes the image has.
    pub(crate) fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.start + segment.size).max().unwrap_or(0)
    }
}

/// What the load commands have told so far.
#[derive(Default)]
struct Parts<'f> {
    /// By their numbers in the file; the page at 0 is one without memory.
    segments: Vec<Option<Segment<'f>>>,
    sections: Vec<Section>,
    base: Option<u64>,
    entry: Option<u64>,
    fix_ups: Option<&'f macho::DyldInfoCommand<Le>>,
}

impl<'f> Parts<'f> {
    fn add(
        &mut self,
        file: &'f [u8],
        command: macho::LoadCommandType,
        variant: LoadCommandVariant<'f, Le>,
    ) -> Result<(), String> {
        match variant {
            LoadCommandVariant::Segment64(segment, data) => self.add_segment(file, segment, data)?,
            LoadCommandVariant::DyldInfo(info) => self.fix_ups = Some(info),
            LoadCommandVariant::EntryPoint(main) => self.entry = Some(main.entryoff.get(Le)),
            LoadCommandVariant::LinkeditData(_) if command == macho::LC_DYLD_CHAINED_FIXUPS => {
                return Err("LC_DYLD_CHAINED_FIXUPS: only LC_DYLD_INFO can be loaded".to_string());
            }
            _ => {}
        }
        Ok(())
    }

    fn add_segment(
        &mut self,
        file: &'f [u8],
        segment: &'f macho::SegmentCommand64<Le>,
        data: &'f [u8],
    ) -> Result<(), String> {
        let name = text(&segment.segname);
        let (address, size) = (segment.vmaddr.get(Le), segment.vmsize.get(Le));
        if name == "__PAGEZERO" {
            self.segments.push(None);
            return Ok(());
        }
        let base = *self.base.get_or_insert(address);
        let start = address.checked_sub(base).filter(|start| {
            start.checked_add(size).is_some_and(|end| end <= MOST_MEMORY) && start % 4096 == 0
        });
        let start = start.ok_or(format!("segment {name} is at {address:#x}, with {size:#x} bytes"))?;
        let bytes = segment.data(Le, file).map_err(|()| format!("segment {name} is not in the file"))?;
        if bytes.len() as u64 > size {
            return Err(format!("segment {name} has {:#x} bytes for {size:#x}", bytes.len()));
        }
        let sections = segment.sections(Le, data).map_err(|error| format!("sections of {name}: {error}"))?;
        for section in sections {
            self.sections.push(section_of(section, base, start, size)?);
        }
        let protection = segment.initprot.get(Le).0 & 7;
        self.segments.push(Some(Segment { start, size, bytes, protection }));
        Ok(())
    }

    fn finish(self, file: &'f [u8]) -> Result<Program<'f>, String> {
        let info = self.fix_ups.ok_or("no LC_DYLD_INFO: nothing says which pointers depend on addresses")?;
        let size = |place: &u8| self.segments.get(usize::from(*place)).and_then(Option::as_ref);
        let place = |segment: u8, offset: u64| {
            let found = size(&segment)
                .filter(|found| offset.checked_add(POINTER.into()).is_some_and(|end| end <= found.size));
            found
                .map(|found| found.start + offset)
                .ok_or(format!("a fix-up at {offset:#x} of segment {segment}"))
        };
        let wrong = |error: object::Error| format!("LC_DYLD_INFO: {error}");
        // As many as there are pointers: a few bytes can ask for any number.
        let most =
            self.segments.iter().flatten().map(|segment| segment.size).sum::<u64>() / u64::from(POINTER);

        let mut rebases = Vec::new();
        for rebase in info.rebases(Le, file, POINTER).map_err(wrong)? {
            let rebase = rebase.map_err(wrong)?;
            if rebase.kind != macho::REBASE_TYPE_POINTER {
                return Err(format!("a rebase of type {:?}", rebase.kind));
            }
            if rebases.len() as u64 >= most {
                return Err("more rebases than pointers".to_string());
            }
            rebases.push(place(rebase.segment_index, rebase.segment_offset)?);
        }
        let mut binds = Vec::new();
        let lists = [
            info.binds(Le, file, POINTER).map_err(wrong)?,
            info.weak_binds(Le, file, POINTER).map_err(wrong)?,
            info.lazy_binds(Le, file, POINTER).map_err(wrong)?,
        ];
        for bind in lists.into_iter().flatten() {
            let bind = bind.map_err(wrong)?;
            if bind.kind != macho::BIND_TYPE_POINTER {
                return Err(format!("a bind of type {:?}", bind.kind));
            }
            if binds.len() as u64 >= most {
                return Err("more binds than pointers".to_string());
            }
            binds.push(Bind {
                place: place(bind.segment_index, bind.segment_offset)?,
                symbol: std::str::from_utf8(bind.symbol).map_err(|_| "a symbol that is no text")?,
                addend: bind.addend,
            });
        }
        let entry = self.entry.ok_or("no LC_MAIN: where the program begins is not said")?;
        let program = Program {
            segments: self.segments.into_iter().flatten().collect(),
            sections: self.sections,
            base: self.base.unwrap_or(0),
            entry,
            rebases,
            binds,
        };
        program.check()?;
        Ok(program)
    }
}

impl Program<'_> {
    /// Refuses what the loader would not do right.
    fn check(&self) -> Result<(), String> {
        let executable = self.segments.iter().find(|segment| segment.protection & 4 != 0);
        if !executable.is_some_and(|code| (code.start..code.start + code.size).contains(&self.entry)) {
            return Err(format!("the entry point {:#x} is in no code", self.entry));
        }
        for kind in [macho::S_MOD_INIT_FUNC_POINTERS, macho::S_INIT_FUNC_OFFSETS] {
            if let Some(section) = self.section_of(kind) {
                return Err(format!("section {}: initializers are not run", section.name));
            }
        }
        Ok(())
    }
}

fn section_of(section: &macho::Section64<Le>, base: u64, segment: u64, room: u64) -> Result<Section, String> {
    let name = text(&section.sectname);
    let (address, size) = (section.addr.get(Le), section.size.get(Le));
    let start = address.checked_sub(base).filter(|&start| {
        start >= segment && start.checked_add(size).is_some_and(|end| end <= segment + room)
    });
    let start = start.ok_or(format!("section {name} at {address:#x} is not in its segment"))?;
    let kind = section.flags(Le).typ();
    Ok(Section { name, kind, start, size })
}

fn text(name: &[u8; 16]) -> String {
    let len = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..len]).into_owned()
}
