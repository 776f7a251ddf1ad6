//! What follows types and arguments: flags, C types and conversions.

use mig_parser::ast::{Flag, FlagKind, Ident, TypeOption, TypeOptionKind};
use mig_parser::diagnostics::Diagnostics;
use mig_parser::source::Span;

use super::language;
use crate::abi::{Abi, Feature, Verdict};
use crate::codes;
use crate::model::{Dealloc, Type};

/// The flags after an argument or in a long type form.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub(super) dealloc: Option<Dealloc>,
    pub(super) long: Option<bool>,
    pub(super) server_copy: Option<Span>,
    pub(super) count_in_out: Option<Span>,
    pub(super) ret_code: Option<Span>,
    pub(super) same_count: Option<Span>,
    pub(super) physical_copy: bool,
    /// Where `dealloc` stands.
    pub(super) dealloc_span: Option<Span>,
}

impl Flags {
    /// Reads the flags, and warns of those that are repeated, contradict each other or belong to another
    /// dialect.
    pub(super) fn read(flags: &[Flag], abi: &Abi, out: &mut Diagnostics) -> Flags {
        let mut read = Flags::default();
        for (index, flag) in flags.iter().enumerate() {
            if flags[..index]
                .iter()
                .any(|earlier| earlier.kind == flag.kind && earlier.run_time == flag.run_time)
            {
                out.warning(codes::FLAGS, flag.span, "this flag is repeated", "it has no more effect");
                continue;
            }
            if flag.run_time && flag.kind != FlagKind::Dealloc {
                out.warning(
                    codes::FLAGS,
                    flag.span,
                    "only `dealloc` can be decided at run time",
                    "`[]` has no effect here",
                );
            }
            read.add(flag, abi, out);
        }
        read
    }

    fn add(&mut self, flag: &Flag, abi: &Abi, out: &mut Diagnostics) {
        let span = flag.span;
        match flag.kind {
            FlagKind::IsLong | FlagKind::IsNotLong => {
                if language(abi, Feature::TypedFlags, span, out) {
                    self.choose_form(flag.kind == FlagKind::IsLong, span, out);
                }
            }
            FlagKind::Dealloc if flag.run_time => self.choose_dealloc(Dealloc::RunTime, span, out),
            FlagKind::Dealloc => self.choose_dealloc(Dealloc::Yes, span, out),
            FlagKind::NotDealloc => self.choose_dealloc(Dealloc::No, span, out),
            FlagKind::ServerCopy => {
                if language(abi, Feature::TypedFlags, span, out) {
                    self.server_copy = Some(span);
                }
            }
            FlagKind::CountInOut => self.count_in_out = Some(span),
            FlagKind::RetCode => {
                if language(abi, Feature::RetCode, span, out)
                    && abi.language.verdict(Feature::RetCode) == Verdict::Accept
                {
                    self.ret_code = Some(span);
                }
            }
            FlagKind::SameCount => {
                if language(abi, Feature::UntypedFlags, span, out) {
                    self.same_count = Some(span);
                }
            }
            FlagKind::PhysicalCopy => {
                self.physical_copy = language(abi, Feature::UntypedFlags, span, out);
            }
            // Rust owns what it is given, and borrows what it only reads: these say nothing new.
            FlagKind::Overwrite | FlagKind::Auto | FlagKind::Const => {
                language(abi, Feature::UntypedFlags, span, out);
            }
        }
    }

    /// `islong`, `isnotlong`
    fn choose_form(&mut self, long: bool, span: Span, out: &mut Diagnostics) {
        self.long = match self.long {
            Some(earlier) if earlier != long => {
                out.warning(
                    codes::FLAGS,
                    span,
                    "`islong` and `isnotlong` cancel each other",
                    "neither has an effect",
                );
                None
            }
            _ => Some(long),
        };
    }

    /// `dealloc`, `notdealloc`
    fn choose_dealloc(&mut self, wanted: Dealloc, span: Span, out: &mut Diagnostics) {
        if self.dealloc.is_some() {
            out.warning(codes::FLAGS, span, "`dealloc` is decided more than once", "decided again here");
        }
        self.dealloc = match (self.dealloc, wanted) {
            (None, wanted) => Some(wanted),
            (Some(Dealloc::RunTime), _) | (_, Dealloc::RunTime) => Some(Dealloc::RunTime),
            (Some(_), _) => None,
        };
        self.dealloc_span = Some(span);
    }
}

/// `intran`, `ctype` and so on.
pub(super) fn options(ty: &mut Type, options: &[TypeOption], abi: &Abi, out: &mut Diagnostics) {
    for option in options {
        let span = option.span;
        let mut set = |slot: &mut Option<String>, name: &Ident, what: &str| {
            if slot.as_ref().is_some_and(|earlier| *earlier != name.name) {
                out.warning(
                    codes::TWO_C_TYPES,
                    span,
                    format!("this type has two {what}s"),
                    format!("`{}` is used", name.name),
                );
            }
            *slot = Some(name.name.clone());
        };
        let c = &mut ty.c;
        match &option.kind {
            TypeOptionKind::InTran { trans, function, server } => {
                set(&mut c.trans, trans, "translated type");
                set(&mut c.in_tran, function, "`intran` function");
                set(&mut c.server, server, "server type");
            }
            TypeOptionKind::OutTran { server, function, trans } => {
                set(&mut c.server, server, "server type");
                set(&mut c.out_tran, function, "`outtran` function");
                set(&mut c.trans, trans, "translated type");
            }
            TypeOptionKind::Destructor { function, trans } => {
                set(&mut c.destructor, function, "`destructor` function");
                set(&mut c.trans, trans, "translated type");
            }
            TypeOptionKind::InTranPayload { trans, function } => {
                set(&mut c.trans, trans, "translated type");
                set(&mut c.in_tran_payload, function, "`intranpayload` function");
                language(abi, Feature::InTranPayload, span, out);
            }
            TypeOptionKind::CType(name) => {
                set(&mut c.user, name, "client type");
                set(&mut c.server, name, "server type");
            }
            TypeOptionKind::CUserType(name) => set(&mut c.user, name, "client type"),
            TypeOptionKind::CServerType(name) => set(&mut c.server, name, "server type"),
        }
    }
    for slot in [&mut ty.c.user, &mut ty.c.server] {
        if *slot == ty.name {
            *slot = None;
        }
    }
}
