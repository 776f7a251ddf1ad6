//! ABIs as the compiler sees them: the facts of [`mig_abi`], and what only a compiler needs.
//!
//! A dialect is two constants of data: an [`Abi`] (how its messages look) and a [`Language`] (what its own
//! compiler makes of the words of a `.defs` file). The grammar accepts the words of all dialects; a dialect's
//! `Language` says which of them it takes.

mod target;

use mig_abi::{Facts, Family, MsgOption};
use mig_parser::diagnostics::Severity;

pub use target::Target;

/// An ABI and the language of the C compiler for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Abi {
    /// What both sides of a message agree on.
    pub facts: Facts,
    /// The same facts for messages of which one side is the kernel itself (`subsystem KernelUser`,
    /// `KernelServer`).
    pub facts_in_kernel: Facts,
    /// The type in the runtime's module `abi`; one with the same wire format where the dialect has none of
    /// its own.
    pub rust_name: &'static str,
    /// The processors that have this ABI. The first is the default where the host's is none of them.
    pub targets: &'static [&'static Target],
    /// Types that exist without a declaration: name, message type number, bits.
    pub built_in: &'static [(&'static str, u32, u32)],
    /// What its compiler accepts.
    pub language: &'static Language,
}

/// What a dialect's compiler accepts, and how it takes the rest.
#[derive(Debug, PartialEq, Eq)]
pub struct Language {
    /// Its name in a message to the user.
    pub name: &'static str,
    /// The constructs that this compiler does not simply accept.
    pub exceptions: &'static [(Feature, Verdict)],
    /// The names of its message types.
    pub message_types: MessageTypes,
    /// A second declaration of a type.
    pub redefined_type: Severity,
    /// A second `subsystem` statement.
    pub second_subsystem: Severity,
    /// Types exist only after the `subsystem` statement.
    pub subsystem_first: bool,
    /// A `waittime` limits the sending, too.
    pub wait_time_sends: bool,
    /// Message options of its `mach/message.h`, but for those that have the same bits everywhere.
    pub options: &'static [MsgOption],
}

/// How a dialect names its message types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageTypes {
    /// `MACH_MSG_TYPE_…`, rights by what is done to them.
    Mach3,
    /// `MSG_TYPE_…`, rights by what they are.
    Mach25,
}

impl MessageTypes {
    /// The prefix of all names.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            MessageTypes::Mach3 => "MACH_MSG_TYPE_",
            MessageTypes::Mach25 => "MSG_TYPE_",
        }
    }
}

/// A construct that not all dialects have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// `skip N`
    SkipCount,
    /// `struct { … }`
    StructMembers,
    /// `(NAME, bits)`
    LongType,
    /// `procedure`, `simpleprocedure`, `function`
    Procedures,
    /// `error NAME`
    ErrorStatement,
    /// `subsystem kernel`
    KernelSubsystem,
    /// `msgtype`, as a statement or an argument
    MsgType,
    /// `msgkind`, as a statement or an argument
    MsgKind,
    /// `sendtime`, as a statement or an argument
    SendTime,
    /// Apple's statements
    AppleStatements,
    /// `PointerTo (…)` and its kin
    NativeTypes,
    /// `iimport`, `dimport`
    AppleImports,
    /// Arguments from a message's trailer
    TrailerArguments,
    /// `sectoken` and the audit and context tokens
    AppleTokens,
    /// `intranpayload`
    InTranPayload,
    /// `islong`, `isnotlong`, `servercopy`
    TypedFlags,
    /// `retcode`
    RetCode,
    /// `samecount`, `physicalcopy`, `overwrite`, `auto`, `const`
    UntypedFlags,
}

impl Feature {
    /// The construct in the words of a diagnostic.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Feature::SkipCount => "`skip` with a number",
            Feature::StructMembers => "a structure with members",
            Feature::LongType => "a type with a size",
            Feature::Procedures => "a procedure or function",
            Feature::ErrorStatement => "the statement `error`",
            Feature::KernelSubsystem => "`subsystem kernel`",
            Feature::MsgType => "`msgtype`",
            Feature::MsgKind => "`msgkind`",
            Feature::SendTime => "`sendtime`",
            Feature::AppleStatements => "this statement",
            Feature::NativeTypes => "a native C type",
            Feature::AppleImports => "this kind of import",
            Feature::TrailerArguments | Feature::AppleTokens => "an argument from the trailer",
            Feature::InTranPayload => "`intranpayload`",
            Feature::TypedFlags | Feature::RetCode | Feature::UntypedFlags => "this flag",
        }
    }
}

/// What a compiler makes of a construct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It accepts the construct.
    Accept,
    /// It accepts the construct without effect: a warning.
    Ignore,
    /// It accepts the construct, but advises against it: a warning.
    Obsolete,
    /// It refuses the construct: an error.
    Reject,
}

impl Language {
    /// What this compiler makes of a construct.
    pub fn verdict(&self, feature: Feature) -> Verdict {
        self.exceptions.iter().find(|(f, _)| *f == feature).map_or(Verdict::Accept, |(_, verdict)| *verdict)
    }
}

impl Abi {
    /// Every ABI that has a name on the command line.
    pub const ALL: &'static [&'static Abi] = &[
        &GNU_I386,
        &GNU_X86_64,
        &GNU_X86_64_2022,
        &CMU_32,
        &MACH_25,
        &OSF_32,
        &APPLE_32,
        &APPLE_64,
        &GNU_I386_2021,
    ];

    /// The ABI with this name.
    pub fn by_name(name: &str) -> Option<&'static Abi> {
        Abi::ALL.iter().copied().find(|abi| abi.name() == name)
    }

    /// The default for a target with addresses of this many bits: Apple's for its systems, whose vendor is
    /// `apple`, else GNU Mach's.
    pub fn for_target(vendor: &str, pointer_width: u32) -> &'static Abi {
        match (vendor, pointer_width) {
            ("apple", ..=32) => &APPLE_32,
            ("apple", _) => &APPLE_64,
            (_, ..=32) => &GNU_I386,
            _ => &GNU_X86_64,
        }
    }

    /// The default where nothing says what the target is: that of the machine that the compiler runs on.
    pub fn host() -> &'static Abi {
        Abi::for_target(if cfg!(target_vendor = "apple") { "apple" } else { "" }, usize::BITS)
    }

    /// The ABI with this name, and the processor if the name ends in one: `apple-64-x86_64`.
    pub fn with_target(name: &str) -> Option<(&'static Abi, Option<&'static Target>)> {
        if let Some(abi) = Abi::by_name(name) {
            return Some((abi, None));
        }
        let (abi, target) = name.rsplit_once('-')?;
        let abi = Abi::by_name(abi).filter(|abi| abi.targets.len() > 1)?;
        Some((abi, Some(abi.target(target)?)))
    }

    /// Every name that [`with_target`](Self::with_target) knows.
    pub fn names() -> Vec<String> {
        let mut names = Vec::new();
        for abi in Abi::ALL {
            names.push(abi.name().to_owned());
            if abi.targets.len() > 1 {
                names.extend(abi.targets.iter().map(|target| format!("{}-{}", abi.name(), target.processor)));
            }
        }
        names
    }

    /// The target with this processor, as `-arch` names it. A later one of a kind has messages of the same
    /// layout.
    pub fn target(&self, processor: &str) -> Option<&'static Target> {
        let processor = match processor {
            "aarch64" | "arm64e" => "arm64",
            "x86_64h" => "x86_64",
            other => other,
        };
        self.targets.iter().copied().find(|target| target.processor == processor)
    }

    /// The target where none is asked for: the host's processor, if the ABI is for it.
    pub fn default_target(&self) -> &'static Target {
        self.target(std::env::consts::ARCH).unwrap_or(self.targets[0])
    }

    /// Its name on the command line.
    pub fn name(&self) -> &'static str {
        self.facts.name
    }

    /// What can be declared for its messages.
    pub fn rules(&self) -> &'static Rules {
        match self.facts.family {
            Family::Typed => &TYPED,
            Family::Untyped => &UNTYPED,
        }
    }
}

/// What the messages of an ABI ask of the types that a file declares.
#[derive(Debug)]
pub struct Rules {
    /// Each value is described by a type word, which has a short and a long form, and counts elements of at
    /// least one byte that have a name.
    pub type_words: bool,
    /// Most bytes of an array without a bound that stands in the message; 0 if it never does.
    pub inline_bytes: u64,
    /// A declaration can put an element of an array out of line.
    pub elements_out_of_line: bool,
    /// Data of a fixed size, or with a bound, can be out of line.
    pub sizes_out_of_line: bool,
    /// Bits of a port in a message whose slot has its name; `None` if a slot is as large as the ABI's ports
    /// are.
    pub port_bits: Option<u32>,
}

static TYPED: Rules = Rules {
    type_words: true,
    inline_bytes: 2048,
    elements_out_of_line: false,
    sizes_out_of_line: false,
    port_bits: None,
};

static UNTYPED: Rules = Rules {
    type_words: false,
    inline_bytes: 0,
    elements_out_of_line: true,
    sizes_out_of_line: true,
    port_bits: Some(32),
};

/// GNU MIG since 2023.
static GNU: Language = Language {
    name: "GNU MIG",
    exceptions: &[
        (Feature::KernelSubsystem, Verdict::Reject),
        (Feature::MsgType, Verdict::Reject),
        (Feature::MsgKind, Verdict::Reject),
        (Feature::Procedures, Verdict::Reject),
        (Feature::ErrorStatement, Verdict::Reject),
        (Feature::SendTime, Verdict::Reject),
        (Feature::AppleStatements, Verdict::Reject),
        (Feature::NativeTypes, Verdict::Reject),
        (Feature::AppleImports, Verdict::Reject),
        (Feature::TrailerArguments, Verdict::Reject),
        (Feature::AppleTokens, Verdict::Reject),
        (Feature::RetCode, Verdict::Ignore),
        (Feature::UntypedFlags, Verdict::Reject),
    ],
    message_types: MessageTypes::Mach3,
    redefined_type: Severity::Error,
    second_subsystem: Severity::Error,
    subsystem_first: true,
    wait_time_sends: false,
    options: MsgOption::MACH3,
};

/// GNU MIG until 2021: CMU's, with `intranpayload`. It has no types of its own, so files declare `int`
/// themselves.
static GNU_2021: Language = Language {
    name: "GNU MIG of 2021",
    exceptions: &[
        (Feature::KernelSubsystem, Verdict::Reject),
        (Feature::MsgType, Verdict::Reject),
        (Feature::MsgKind, Verdict::Reject),
        (Feature::Procedures, Verdict::Obsolete),
        (Feature::StructMembers, Verdict::Reject),
        (Feature::SendTime, Verdict::Reject),
        (Feature::AppleStatements, Verdict::Reject),
        (Feature::NativeTypes, Verdict::Reject),
        (Feature::AppleImports, Verdict::Reject),
        (Feature::TrailerArguments, Verdict::Reject),
        (Feature::AppleTokens, Verdict::Reject),
        (Feature::RetCode, Verdict::Ignore),
        (Feature::UntypedFlags, Verdict::Reject),
    ],
    message_types: MessageTypes::Mach3,
    redefined_type: Severity::Warning,
    second_subsystem: Severity::Warning,
    subsystem_first: false,
    wait_time_sends: false,
    options: MsgOption::MACH3,
};

/// The MIG of Carnegie Mellon's Mach 3.
static CMU: Language = Language {
    name: "CMU MIG",
    exceptions: &[
        (Feature::KernelSubsystem, Verdict::Reject),
        (Feature::MsgType, Verdict::Reject),
        (Feature::MsgKind, Verdict::Ignore),
        (Feature::Procedures, Verdict::Obsolete),
        (Feature::StructMembers, Verdict::Reject),
        (Feature::SendTime, Verdict::Reject),
        (Feature::AppleStatements, Verdict::Reject),
        (Feature::NativeTypes, Verdict::Reject),
        (Feature::AppleImports, Verdict::Reject),
        (Feature::TrailerArguments, Verdict::Reject),
        (Feature::AppleTokens, Verdict::Reject),
        (Feature::InTranPayload, Verdict::Reject),
        (Feature::RetCode, Verdict::Reject),
        (Feature::UntypedFlags, Verdict::Reject),
    ],
    message_types: MessageTypes::Mach3,
    redefined_type: Severity::Warning,
    second_subsystem: Severity::Warning,
    subsystem_first: false,
    wait_time_sends: false,
    options: MsgOption::MACH3,
};

/// The MIG of Mach 2.5.
static MACH_2_5: Language = Language {
    name: "the MIG of Mach 2.5",
    exceptions: &[
        (Feature::StructMembers, Verdict::Reject),
        (Feature::MsgKind, Verdict::Reject),
        (Feature::AppleStatements, Verdict::Reject),
        (Feature::NativeTypes, Verdict::Reject),
        (Feature::AppleImports, Verdict::Reject),
        (Feature::TrailerArguments, Verdict::Reject),
        (Feature::AppleTokens, Verdict::Reject),
        (Feature::InTranPayload, Verdict::Reject),
        (Feature::RetCode, Verdict::Reject),
        (Feature::UntypedFlags, Verdict::Reject),
    ],
    message_types: MessageTypes::Mach25,
    redefined_type: Severity::Warning,
    second_subsystem: Severity::Warning,
    subsystem_first: false,
    wait_time_sends: false,
    options: MsgOption::MACH25,
};

/// The MIG of OSF's MK6 and MK7.
static OSF: Language = Language {
    name: "OSF MIG",
    exceptions: &[
        (Feature::KernelSubsystem, Verdict::Reject),
        (Feature::MsgType, Verdict::Reject),
        (Feature::MsgKind, Verdict::Reject),
        (Feature::SkipCount, Verdict::Reject),
        (Feature::StructMembers, Verdict::Reject),
        (Feature::LongType, Verdict::Reject),
        (Feature::Procedures, Verdict::Reject),
        (Feature::ErrorStatement, Verdict::Ignore),
        (Feature::SendTime, Verdict::Reject),
        (Feature::AppleStatements, Verdict::Reject),
        (Feature::NativeTypes, Verdict::Reject),
        (Feature::AppleImports, Verdict::Reject),
        (Feature::AppleTokens, Verdict::Reject),
        (Feature::InTranPayload, Verdict::Reject),
        (Feature::TypedFlags, Verdict::Reject),
    ],
    message_types: MessageTypes::Mach3,
    redefined_type: Severity::Warning,
    second_subsystem: Severity::Warning,
    subsystem_first: false,
    wait_time_sends: false,
    options: MsgOption::OSF,
};

/// Apple's MIG.
static APPLE: Language = Language {
    name: "Apple's MIG",
    exceptions: &[
        (Feature::KernelSubsystem, Verdict::Reject),
        (Feature::MsgType, Verdict::Reject),
        (Feature::MsgKind, Verdict::Reject),
        (Feature::SkipCount, Verdict::Reject),
        (Feature::StructMembers, Verdict::Reject),
        (Feature::LongType, Verdict::Reject),
        (Feature::Procedures, Verdict::Reject),
        (Feature::ErrorStatement, Verdict::Ignore),
        (Feature::InTranPayload, Verdict::Reject),
        (Feature::TypedFlags, Verdict::Reject),
    ],
    message_types: MessageTypes::Mach3,
    redefined_type: Severity::Warning,
    second_subsystem: Severity::Warning,
    subsystem_first: false,
    wait_time_sends: true,
    options: MsgOption::APPLE,
};

/// `gnu-i386`: GNU Mach on i386.
pub static GNU_I386: Abi = Abi {
    facts: Facts::GNU_I386,
    facts_in_kernel: Facts::GNU_I386.in_kernel(),
    rust_name: "GnuI386",
    targets: &[&target::GNU_I386],
    built_in: &[
        ("char", 8, 8),
        ("short", 1, 16),
        ("int", 2, 32),
        ("int64", 11, 64),
        ("uintptr_t", 2, 32),
        ("intptr_t", 2, 32),
    ],
    language: &GNU,
};

/// `gnu-i386-2021`: the same messages, for files that declare what GNU MIG has built in since 2022.
pub static GNU_I386_2021: Abi = Abi {
    facts: Facts { name: "gnu-i386-2021", ..Facts::GNU_I386 },
    built_in: &[],
    language: &GNU_2021,
    ..GNU_I386
};

/// `gnu-x86_64`: GNU Mach on x86_64 since 2023.
pub static GNU_X86_64: Abi = Abi {
    facts: Facts::GNU_X86_64,
    facts_in_kernel: Facts::GNU_X86_64.in_kernel(),
    rust_name: "GnuX86_64",
    targets: &[&target::GNU_X86_64],
    built_in: &[
        ("char", 8, 8),
        ("short", 1, 16),
        ("int", 2, 32),
        ("int64", 11, 64),
        ("uintptr_t", 11, 64),
        ("intptr_t", 11, 64),
    ],
    language: &GNU,
};

/// `gnu-x86_64-2022`: GNU Mach on x86_64 until 2023, which Debian 12 still has.
pub static GNU_X86_64_2022: Abi = Abi {
    facts: Facts::GNU_X86_64_2022,
    facts_in_kernel: Facts::GNU_X86_64_2022.in_kernel(),
    rust_name: "GnuX86_64Of2022",
    built_in: &[
        ("char", 8, 8),
        ("short", 1, 16),
        ("int", 2, 32),
        ("uintptr_t", 11, 64),
        ("intptr_t", 11, 64),
    ],
    ..GNU_X86_64
};

/// `cmu-32`: CMU Mach 3, whose messages are those of `gnu-i386`.
pub static CMU_32: Abi = Abi {
    facts: Facts { name: "cmu-32", ..Facts::GNU_I386 },
    facts_in_kernel: Facts::GNU_I386.in_kernel(),
    rust_name: "GnuI386",
    targets: &[&target::MACH_I386],
    built_in: &[],
    language: &CMU,
};

/// `mach-25`: Mach 2.5, of machines of 32 bits. Its type words are those of Mach 3 but for the numbers of
/// rights, its header is not, and its kernels know no right that can be used only once.
pub static MACH_25: Abi = Abi {
    facts: Facts::MACH_25,
    facts_in_kernel: Facts::MACH_25.in_kernel(),
    rust_name: "Mach25",
    targets: &[&target::MACH_I386],
    built_in: &[],
    language: &MACH_2_5,
};

/// `osf-32`: OSF Mach on i386.
pub static OSF_32: Abi = Abi {
    facts: Facts::OSF_32,
    facts_in_kernel: Facts::OSF_32.in_kernel(),
    rust_name: "Osf32",
    targets: &[&target::MACH_I386],
    built_in: &[],
    language: &OSF,
};

/// `apple-32`: Apple's kernels, tasks of 32 bits.
pub static APPLE_32: Abi = Abi {
    facts: Facts::APPLE_32,
    facts_in_kernel: Facts::APPLE_32.in_kernel(),
    rust_name: "Apple32",
    targets: &[&target::APPLE_I386],
    built_in: &[],
    language: &APPLE,
};

/// `apple-64`: Apple's kernels, tasks of 64 bits.
pub static APPLE_64: Abi = Abi {
    facts: Facts::APPLE_64,
    facts_in_kernel: Facts::APPLE_64.in_kernel(),
    rust_name: "Apple64",
    targets: &[&target::APPLE_ARM64, &target::APPLE_X86_64],
    built_in: &[],
    language: &APPLE,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_that_of_the_targets_kernel() {
        // Vendor and width of aarch64-apple-darwin, arm64_32-apple-watchos, x86_64-unknown-linux-gnu and
        // i686-unknown-hurd-gnu.
        let targets = [("apple", 64), ("apple", 32), ("unknown", 64), ("unknown", 32)];
        let names = targets.map(|(vendor, width)| Abi::for_target(vendor, width).name());
        assert_eq!(names, ["apple-64", "apple-32", "gnu-x86_64", "gnu-i386"]);
    }
}
