//! Declared types: what a type form means, and what is wrong with it.

use std::cell::RefCell;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use mig_abi::{Disposition, Facts, TypeWords};
use mig_parser::ast::{
    Basic, Bound, Ident, IpcName, Member as AstMember, TypeDecl, TypeKind as AstKind, TypeSpec,
};
use mig_parser::diagnostics::{Diagnostic, Diagnostics, Severity};
use mig_parser::source::Span;
use mig_parser::suggest::nearest;

use super::flags::Flags;
use super::message_types::{self, MessageType};
use super::suggest::Declarations;
use super::{flags, language};
use crate::abi::{Abi, Feature, MessageTypes};
use crate::codes;
use crate::model::{CTypes, Dealloc, Member, PortType, Scalar, Type, TypeKind};
use crate::wire::{BYTE, STRING_C, Wire, is_counted};

/// Types nest at most this deep; recursive walks rely on it.
const DEEPEST: u32 = 64;

/// The ABIs that a type is built into, as it reads in a sentence, and how to declare it for another one.
fn built_in_elsewhere(name: &str, abi: &Abi) -> Option<(String, String)> {
    let having = || Abi::ALL.iter().filter(|abi| abi.built_in.iter().any(|ty| ty.0 == name));
    // Some of these types have the size of a pointer, so an ABI with the same size is shown.
    let alike = having().find(|other| other.facts.pointer == abi.facts.pointer).or(having().next())?;
    let &(_, number, bits) = alike.built_in.iter().find(|ty| ty.0 == name)?;
    let names: Vec<String> = having().map(|abi| format!("`{}`", abi.name())).collect();
    let prefix = abi.language.message_types.prefix();
    let declaration = format!("type {name} = {prefix}{};", mig_abi::MessageType::name_of(number, bits)?);
    Some((names.join(", "), declaration))
}

/// A type with the properties that an argument of it starts from.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) ty: Type,
    pub(super) dealloc: Dealloc,
    /// `islong` or `isnotlong`, where one was written.
    long: Option<bool>,
    /// How many types are inside one another.
    depth: u32,
}

/// A name in the table of types.
struct Entry {
    /// `None` if the declaration was wrong; it has been reported. Outside of the table, which moves its
    /// entries each time that it grows.
    declared: Option<Box<Declared>>,
    /// The place of its declaration; `None` for a built-in type.
    span: Option<Span>,
}

/// The types declared so far.
pub(super) struct Types<'a> {
    pub(super) abi: &'static Abi,
    /// The sizes and offsets in the messages of the file.
    facts: &'static Facts,
    elsewhere: &'a dyn Declarations,
    /// The file imports C headers.
    imports: bool,
    table: HashMap<String, Entry>,
    /// The unknown types that have been reported, since once is enough.
    unknown: RefCell<HashSet<String>>,
}

impl<'a> Types<'a> {
    pub(super) fn new(
        abi: &'static Abi,
        facts: &'static Facts,
        elsewhere: &'a dyn Declarations,
        imports: bool,
        wrong: &[String],
    ) -> Self {
        let built_in = abi.built_in.iter().map(|&(name, type_number, bits)| {
            let mut ty = anonymous(TypeKind::Scalar(Scalar {
                type_number,
                received: type_number,
                bits,
                is_float: false,
            }));
            ty.name = Some(name.to_owned());
            let declared = plain(ty);
            (name.to_owned(), Entry { declared: Some(Box::new(declared)), span: None })
        });
        Types {
            abi,
            facts,
            elsewhere,
            imports,
            table: built_in.collect(),
            unknown: RefCell::new(wrong.iter().cloned().collect()),
        }
    }

    /// `type name = …`
    pub(super) fn declare(&mut self, decl: &TypeDecl, out: &mut Diagnostics) {
        let name = &decl.name;
        if let Some(earlier) = self.table.get(&name.name) {
            let mut diagnostic = match self.abi.language.redefined_type {
                Severity::Error => Diagnostic::error(
                    codes::TYPE_TWICE,
                    name.span,
                    format!("the type `{}` is declared twice", name.name),
                    "declared again here",
                ),
                Severity::Warning => Diagnostic::warning(
                    codes::TYPE_TWICE,
                    name.span,
                    format!("the type `{}` is declared twice", name.name),
                    "this declaration wins",
                ),
            };
            diagnostic = match earlier.span {
                Some(span) => diagnostic.with_note(span, "first declared here"),
                None => diagnostic.with_help(format!(
                    "`{}` is built into `{}`: remove this declaration, or compile a file of before 2022 with `--abi gnu-i386-2021`",
                    name.name,
                    self.abi.name()
                )),
            };
            out.push(diagnostic);
        }
        let declared = self.declared(decl, out).map(Box::new);
        self.table.insert(name.name.clone(), Entry { declared, span: Some(name.span) });
    }

    /// A declared type by name, if there is one.
    pub(super) fn find(&self, name: &str) -> Option<Declared> {
        self.table.get(name)?.declared.as_deref().cloned()
    }

    /// A declared type by name.
    pub(super) fn look_up(&self, name: &Ident, out: &mut Diagnostics) -> Option<Declared> {
        match self.table.get(&name.name) {
            Some(entry) => entry.declared.as_deref().cloned(),
            None => {
                if self.unknown.borrow_mut().insert(name.name.clone()) {
                    out.push(self.unknown(name));
                }
                None
            }
        }
    }

    fn unknown(&self, name: &Ident) -> Diagnostic {
        let diagnostic = Diagnostic::error(
            codes::UNKNOWN_TYPE,
            name.span,
            format!("unknown type `{}`", name.name),
            "not declared before this line",
        );
        let file = self.elsewhere.file_of(&name.name);
        if let Some((whose, declaration)) = built_in_elsewhere(&name.name, self.abi) {
            let abi = self.abi.name();
            let include = file.map_or(String::new(), |file| format!("add `#include <{file}>`, or "));
            return diagnostic.with_help(format!(
                "it is built into {whose}; for `{abi}` {include}write `{declaration}` above this line"
            ));
        }
        if let Some(file) = file {
            return diagnostic
                .with_help(format!("`{file}` declares it: add `#include <{file}>` above this line"));
        }
        match nearest(&name.name, self.table.keys().map(|name| name.as_ref())) {
            Some(nearest) => diagnostic.with_help(format!("did you mean `{nearest}`?")),
            None if self.imports => diagnostic.with_help(format!(
                "if it comes from a C header that is imported, say how it travels: `type {} = struct[N] of int;`",
                name.name
            )),
            None => diagnostic,
        }
    }

    /// The type of a declaration, as a statement or in an argument.
    pub(super) fn declared(&self, decl: &TypeDecl, out: &mut Diagnostics) -> Option<Declared> {
        let mut declared = self.spec(&decl.spec, out)?;
        let name = &decl.name.name;
        // A new name drops the C types of the old one.
        let old = declared.ty.name.replace(name.clone());
        declared.ty.alias_of = declared.ty.alias_of.or(old);
        declared.ty.c = CTypes::default();
        flags::options(&mut declared.ty, &decl.spec.options, self.abi, out);
        self.check_variable(&declared.ty, decl, out)?;
        self.size_in_c(&mut declared.ty, decl, out)?;
        declared.ty.long = self.long_form(&declared.ty, declared.long, decl.spec.span, out)?;
        Some(declared)
    }

    /// A type that has another size in C: the stubs copy what C has.
    fn size_in_c(&self, ty: &mut Type, decl: &TypeDecl, out: &mut Diagnostics) -> Option<()> {
        let names = [ty.name.as_deref(), ty.c.user.as_deref().filter(|_| ty.c.user == ty.c.server)];
        let size = names.into_iter().flatten().find_map(|name| self.elsewhere.size_in_c(name));
        let Some(size) = size.filter(|&size| size != ty.bytes()) else { return Some(()) };
        let why = match ty.bytes() {
            0 => "only plain data of fixed size has one",
            _ if self.abi.rules().type_words => "its type word says how large the data in the message is",
            _ => {
                let byte =
                    TypeKind::Scalar(Scalar { type_number: BYTE, received: BYTE, bits: 8, is_float: false });
                let element = Arc::new(anonymous(byte));
                ty.kind = TypeKind::Fixed { element, count: size, by_value: true };
                return Some(());
            }
        };
        out.error(
            codes::SIZE_IN_C,
            decl.spec.span,
            format!("`{}` can't have {size} bytes", decl.name.name),
            why,
        );
        None
    }

    /// Refuses an array of variable size of which the dialect cannot make a message.
    fn check_variable(&self, ty: &Type, decl: &TypeDecl, out: &mut Diagnostics) -> Option<()> {
        if !is_counted(ty) {
            return Some(());
        }
        let c = &ty.c;
        // Data of fixed size out of line is a single value, although Rust's stubs count it.
        let is_single =
            self.abi.rules().type_words && matches!(ty.kind, TypeKind::OutOfLine { max: Some(_), .. });
        let is_translated = c.in_tran.is_some()
            || c.out_tran.is_some()
            || c.destructor.is_some()
            || c.in_tran_payload.is_some();
        if is_translated && !is_single {
            out.error(
                codes::TRANSLATED_ARRAY,
                decl.spec.span,
                format!("`{}` is a variable array and can't be translated", decl.name.name),
                "`intran`, `outtran` and `destructor` work on single values",
            );
            return None;
        }
        let unnamed = match &ty.kind {
            TypeKind::Bounded { element, .. } | TypeKind::Indefinite { element, .. } => {
                element.name.is_none()
            }
            _ => false,
        };
        if unnamed && self.abi.rules().type_words {
            out.push(
                Diagnostic::error(
                    codes::UNNAMED_ELEMENT,
                    decl.spec.span,
                    format!("the variable array `{}` needs an element type with a name", decl.name.name),
                    "this element type has no name",
                )
                .with_help("declare the element first: `type element = …;`, then `array[…] of element`"),
            );
            return None;
        }
        Some(())
    }

    /// Whether the type word has the long form.
    pub(super) fn long_form(
        &self,
        ty: &Type,
        wanted: Option<bool>,
        span: Span,
        out: &mut Diagnostics,
    ) -> Option<bool> {
        if !self.abi.rules().type_words {
            return Some(false);
        }
        let wire = self.wire(ty, span, out)?;
        if wire.bits >= 1 << 16 {
            out.push(
                Diagnostic::error(
                    codes::TYPE_TOO_LARGE,
                    span,
                    format!("an element of {} bits is too large for a type word", wire.bits),
                    "a type word has 16 bits for this",
                )
                .with_help("declare an array of smaller elements"),
            );
            return None;
        }
        let need = LongForm::of(ty, &wire);
        match wanted {
            Some(false) if need.too_small || need.unbounded && need.rights => {
                out.push(
                    Diagnostic::error(
                        codes::SHORT_FORM,
                        span,
                        "the short form of the type word is too small",
                        "this needs the long form",
                    )
                    .with_help("remove `isnotlong`: it has no room for 256 bits, 4096 elements or an array of ports without a bound"),
                );
                return None;
            }
            Some(false) if need.unbounded && self.abi.facts.type_words == TypeWords::Short4Long12 => {
                out.warning(
                    codes::FLAGS,
                    span,
                    "the short form of the type word has room for 4095 elements",
                    "a longer array can't be sent",
                );
            }
            Some(true) if !need.long() && !need.polymorphic && !is_counted(ty) => {
                out.warning(codes::FLAGS, span, "`islong` is not needed", "the short form has room for this");
            }
            _ => {}
        }
        Some(wanted.unwrap_or(need.long()))
    }

    /// What a type word says about a type.
    fn wire(&self, ty: &Type, span: Span, out: &mut Diagnostics) -> Option<Wire> {
        let wire = Wire::of(ty, self.facts);
        if wire.is_none() {
            out.error(
                codes::TYPE_TOO_LARGE,
                span,
                "this type is too large for a message",
                "it has more elements than a type word can count",
            );
        }
        wire
    }

    fn spec(&self, spec: &TypeSpec, out: &mut Diagnostics) -> Option<Declared> {
        match &spec.kind {
            AstKind::Basic(basic) => self.basic(basic, spec.span, out),
            AstKind::Named(name) => self.look_up(name, out),
            AstKind::Array { bound, element } => self.array(*bound, element, spec.span, out),
            AstKind::StructArray { count, element } => {
                self.fixed_array(count.value, true, element, spec.span, out)
            }
            AstKind::Pointer(target) => self.pointer(target, spec.span, out),
            AstKind::CString(bound) => c_string(*bound, spec.span, out).map(plain),
            AstKind::Struct(members) => self.structure(members, spec.span, out),
            AstKind::Native(native) => self.native(native, spec.span, out),
        }
    }

    fn basic(&self, basic: &Basic, span: Span, out: &mut Diagnostics) -> Option<Declared> {
        let sender = self.message_type(&basic.sender, out)?;
        let received = match &basic.receiver {
            Some(name) => self.message_type(name, out)?,
            None => sender,
        };
        if let (Some(a), Some(b)) = (sender.bits, received.bits) {
            if a != b {
                out.error(
                    codes::SIDES_DIFFER,
                    span,
                    "the two sides of `|` have different sizes",
                    format!("{a} bits sent, {b} bits received"),
                );
                return None;
            }
        }
        let implied = sender.bits.or(received.bits);
        if let Some(bits) = basic.bits {
            if !language(self.abi, Feature::LongType, bits.span, out) {
                return None;
            }
        }
        let bits = match (basic.bits, implied) {
            (Some(written), Some(implied)) if written.value != implied => {
                self.strange_size(written.value, implied, sender, written.span, out)?
            }
            (Some(written), _) => written.value,
            (None, Some(implied)) => implied,
            (None, None) => {
                out.push(
                    Diagnostic::error(
                        codes::SIZE_NEEDED,
                        span,
                        "this message type has no size of its own",
                        "how many bits?",
                    )
                    .with_help("write the size after it: `(NAME, bits)`"),
                );
                return None;
            }
        };
        let kind = basic_kind(sender, received.received, bits, span, out)?;
        let mut declared = plain(anonymous(kind));
        let flags = Flags::read(&basic.flags, self.abi, out);
        declared.dealloc = flags.dealloc.unwrap_or(Dealloc::No);
        declared.long = flags.long;
        Some(declared)
    }

    fn message_type(&self, name: &IpcName, out: &mut Diagnostics) -> Option<MessageType> {
        let found = message_types::look_up(name, self.abi);
        if let (None, IpcName::Symbol(symbol)) = (found, name) {
            let mut diagnostic = Diagnostic::error(
                codes::UNKNOWN_MESSAGE_TYPE,
                symbol.span,
                format!("unknown message type `{}`", symbol.name),
                format!("{} has no such message type", self.abi.language.name),
            );
            let names = self.abi.language.message_types;
            if let Some(abi) = message_types::in_another_language(&symbol.name, names) {
                diagnostic = diagnostic.with_help(format!("compile such a file with `--abi {abi}`"));
            } else if let Some(nearest) =
                nearest(&symbol.name, message_types::all(names).iter().map(String::as_str))
            {
                diagnostic = diagnostic.with_help(format!("did you mean `{nearest}`?"));
            }
            out.push(diagnostic);
        }
        found
    }

    /// A written size that is not the one that the name implies.
    fn strange_size(
        &self,
        written: u32,
        implied: u32,
        ty: MessageType,
        span: Span,
        out: &mut Diagnostics,
    ) -> Option<u32> {
        if ty.sent.is_none_or(Disposition::is_right) {
            out.error(
                codes::STRANGE_SIZE,
                span,
                format!("a port takes {implied} bits in a message of `{}`", self.abi.name()),
                format!("not {written}"),
            );
            return None;
        }
        out.warning(
            codes::STRANGE_SIZE,
            span,
            format!("unusual size: {written} bits instead of {implied}"),
            "the written size is used",
        );
        Some(written)
    }

    fn array(&self, bound: Bound, element: &TypeSpec, span: Span, out: &mut Diagnostics) -> Option<Declared> {
        let max = match bound {
            Bound::Fixed(count) => return self.fixed_array(count.value, false, element, span, out),
            Bound::UpTo(max) => max.value,
            Bound::Unbounded => 0,
        };
        let declared = self.element(element, max > 0, span, out)?;
        let size = self.element_size(&declared.ty, element.span, out)?;
        let inline_max = (self.abi.rules().inline_bytes / size) as u32;
        let element = Arc::new(declared.ty.clone());
        let kind = match max {
            0 => TypeKind::Indefinite { element, inline_max },
            max => TypeKind::Bounded { element, max },
        };
        nest(declared, kind, span, out)
    }

    fn fixed_array(
        &self,
        count: u32,
        by_value: bool,
        element: &TypeSpec,
        span: Span,
        out: &mut Diagnostics,
    ) -> Option<Declared> {
        let declared = self.element(element, !by_value, span, out)?;
        if count == 0 {
            let in_descriptors =
                declared.ty.port().is_some() || matches!(declared.ty.kind, TypeKind::OutOfLine { .. });
            if in_descriptors && !self.abi.rules().type_words {
                out.error(codes::NO_BYTES, span, "this type has no size", "an array of no descriptors");
                return None;
            }
            out.warning(codes::NO_BYTES, span, "this type has no size", "an array of no elements");
        }
        let kind = TypeKind::Fixed { element: Arc::new(declared.ty.clone()), count, by_value };
        let declared = nest(declared, kind, span, out)?;
        if self.abi.rules().type_words {
            self.wire(&declared.ty, span, out)?;
        }
        Some(declared)
    }

    /// The element of an array: neither variable nor, where type words stand before the data or the array has
    /// no bound, out of line.
    fn element(
        &self,
        spec: &TypeSpec,
        may_be_out_of_line: bool,
        array: Span,
        out: &mut Diagnostics,
    ) -> Option<Declared> {
        let element = self.spec(spec, out)?;
        let what = match element.ty.kind {
            TypeKind::OutOfLine { .. } if may_be_out_of_line && self.abi.rules().elements_out_of_line => {
                return Some(element);
            }
            TypeKind::OutOfLine { .. } => "out of line",
            _ if element.ty.parts().is_some() => "arrays of what is out of line",
            _ if is_counted(&element.ty) => "of variable size",
            _ => return Some(element),
        };
        out.push(
            Diagnostic::error(
                codes::TOO_COMPLICATED,
                array,
                "this type is too complicated",
                format!("its elements are {what}"),
            )
            .with_help(match self.abi.rules().elements_out_of_line {
                true => "the elements of an `array[N]` may be out of line; those of other arrays must be inline, and all of fixed size",
                false => "the elements of an array must be inline and of fixed size",
            }),
        );
        None
    }

    fn element_size(&self, element: &Type, span: Span, out: &mut Diagnostics) -> Option<u64> {
        if !self.abi.rules().type_words {
            return Some(1);
        }
        let size = self.wire(element, span, out)?.bytes(1).unwrap_or(0);
        if size == 0 {
            out.error(
                codes::NO_BYTES,
                span,
                "an element of a variable array needs a size",
                "this type has no bytes",
            );
            return None;
        }
        Some(size)
    }

    fn pointer(&self, target: &TypeSpec, span: Span, out: &mut Diagnostics) -> Option<Declared> {
        let declared = self.spec(target, out)?;
        let any_size = self.abi.rules().sizes_out_of_line;
        let complicated = |why: &str, out: &mut Diagnostics| {
            out.push(
                Diagnostic::error(codes::TOO_COMPLICATED, span, "this type is too complicated", why)
                    .with_help("data out of line is written `^array[] of element`"),
            );
        };
        let kind = match declared.ty.kind.clone() {
            TypeKind::OutOfLine { .. } => {
                complicated("it is out of line twice", out);
                return None;
            }
            _ if declared.ty.parts().is_some() => {
                complicated("its elements are out of line already", out);
                return None;
            }
            TypeKind::Indefinite { element, .. } => TypeKind::OutOfLine { element, count: None, max: None },
            TypeKind::Bounded { element, max } if any_size => {
                TypeKind::OutOfLine { element, count: None, max: Some(max) }
            }
            TypeKind::Bounded { .. } | TypeKind::BoundedString { .. } => {
                complicated("a bounded array can't be out of line", out);
                return None;
            }
            kind if !any_size => {
                let (element, max) = match kind {
                    TypeKind::Fixed { element, count, .. } => (element, count),
                    TypeKind::FixedString { size, whole: false } => (Arc::new(character()), size),
                    kind => (Arc::new(Type { kind, ..declared.ty.clone() }), 1),
                };
                self.fixed_out_of_line(span, out);
                TypeKind::OutOfLine { element, count: None, max: Some(max) }
            }
            TypeKind::Fixed { element, count, .. } => {
                TypeKind::OutOfLine { element, count: Some(count), max: None }
            }
            kind => TypeKind::OutOfLine {
                element: Arc::new(Type { kind, ..declared.ty.clone() }),
                count: Some(1),
                max: None,
            },
        };
        nest(declared, kind, span, out)
    }

    /// Data of fixed size out of line, where a type word stands before it. The stubs of Mach 3 announce none
    /// of it; those of Mach 2.5 all.
    fn fixed_out_of_line(&self, span: Span, out: &mut Diagnostics) {
        if self.abi.language.message_types == MessageTypes::Mach25 {
            return;
        }
        let message = "C stubs exchange nothing of this data";
        let label = format!("the type word of {} announces 0 elements of it", self.abi.language.name);
        let help = "use `^array[] of element`: its count travels with it. Rust's stubs take this for one";
        out.push(Diagnostic::warning(codes::FIXED_OUT_OF_LINE, span, message, label).with_help(help));
    }

    fn structure(&self, members: &[AstMember], span: Span, out: &mut Diagnostics) -> Option<Declared> {
        if !language(self.abi, Feature::StructMembers, span, out) {
            return None;
        }
        let mut laid_out = Vec::new();
        let mut names = HashMap::with_capacity(members.len());
        let mut end = 0u64;
        let mut alignment = 1u64;
        let mut depth = 0;
        let mut wrong = false;
        for member in members {
            let name = &member.name;
            if let Some(first) = names.insert(&name.name, name.span) {
                out.push(
                    Diagnostic::error(
                        codes::NAME_TWICE,
                        name.span,
                        format!("two members are called `{}`", name.name),
                        "used again here",
                    )
                    .with_note(first, "first used here"),
                );
                wrong = true;
            }
            let Some((declared, size, align)) = self.member(member, out) else {
                wrong = true;
                continue;
            };
            let offset = end.next_multiple_of(align);
            end = offset + size;
            alignment = alignment.max(align);
            depth = depth.max(declared.depth);
            // Too large an offset makes too large a structure, which is reported below.
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            laid_out.push(Member { name: name.name.clone(), ty: declared.ty, offset });
        }
        if wrong {
            return None;
        }
        let Ok(size) = u32::try_from(end.next_multiple_of(alignment)) else {
            out.error(
                codes::TYPE_TOO_LARGE,
                span,
                "this structure is too large for a message",
                "4 GiB or more",
            );
            return None;
        };
        let kind = TypeKind::Struct { members: laid_out.into(), size, alignment: alignment as u32 };
        nest(Declared { depth, ..plain(anonymous(kind.clone())) }, kind, span, out)
    }

    /// A member's type, size and alignment in bytes.
    fn member(&self, member: &AstMember, out: &mut Diagnostics) -> Option<(Declared, u64, u64)> {
        let declared = self.look_up(&member.ty, out)?;
        let Some(alignment) = self.alignment(&declared.ty) else {
            out.error(
                codes::STRUCT_MEMBER,
                member.ty.span,
                format!("`{}` can't be in a structure", member.ty.name),
                "only plain data of fixed size can",
            );
            return None;
        };
        let size = self.wire(&declared.ty, member.ty.span, out)?.bytes(1).unwrap_or(0);
        Some((declared, size, alignment))
    }

    /// The alignment of plain data of fixed size, in bytes; `None` for other types.
    pub(super) fn alignment(&self, ty: &Type) -> Option<u64> {
        let word = self.abi.facts.alignment as u64;
        match &ty.kind {
            TypeKind::Scalar(scalar) => Some(word.min(u64::from(scalar.bits / 8)).max(1)),
            TypeKind::FixedString { size, whole: true } => Some(word.min(u64::from(*size)).max(1)),
            TypeKind::FixedString { whole: false, .. } => Some(1),
            TypeKind::Fixed { element, .. } => self.alignment(element),
            TypeKind::Struct { alignment, .. } => Some(u64::from(*alignment)),
            _ => None,
        }
    }
}

/// What asks for the long form of a type word.
struct LongForm {
    /// The short form has no room for the size of an element, or for their number.
    too_small: bool,
    /// The number of elements has no bound.
    unbounded: bool,
    /// The elements are rights, or may be.
    rights: bool,
    /// The sender says what the elements are.
    polymorphic: bool,
}

impl LongForm {
    fn of(ty: &Type, wire: &Wire) -> Self {
        let unbounded =
            matches!(ty.kind, TypeKind::OutOfLine { max: None, .. } | TypeKind::Indefinite { .. });
        let number = match ty.kind {
            // The C compilers announce none of the elements.
            TypeKind::OutOfLine { .. } => 0,
            TypeKind::Bounded { max, .. } | TypeKind::BoundedString { max } => {
                u64::from(max) * u64::from(wire.number)
            }
            TypeKind::Indefinite { .. } => 0,
            _ => u64::from(wire.number),
        };
        let polymorphic = wire.sent.is_none() || wire.received.is_none();
        LongForm {
            too_small: wire.bits >= 1 << 8 || number >= 1 << 12,
            unbounded,
            rights: polymorphic || wire.sent.is_some_and(Disposition::is_right),
            polymorphic,
        }
    }

    /// True for the long form where the declaration does not choose a form.
    fn long(&self) -> bool {
        self.too_small || self.unbounded
    }
}

/// A character of a string.
fn character() -> Type {
    let scalar = Scalar { type_number: STRING_C, received: STRING_C, bits: 8, is_float: false };
    anonymous(TypeKind::Scalar(scalar))
}

/// A type without a name, C types or a long type word.
fn anonymous(kind: TypeKind) -> Type {
    Type { name: None, alias_of: None, kind, c: CTypes::default(), long: false }
}

/// A type made of another one, from which it has its flags.
fn nest(inner: Declared, kind: TypeKind, span: Span, out: &mut Diagnostics) -> Option<Declared> {
    let depth = inner.depth + 1;
    if depth > DEEPEST {
        out.error(
            codes::TOO_COMPLICATED,
            span,
            "this type is too complicated",
            format!("more than {DEEPEST} types are inside one another"),
        );
        return None;
    }
    Some(Declared { ty: anonymous(kind), depth, ..inner })
}

/// A type of this kind, without a name.
pub(super) fn plain_scalar(kind: TypeKind) -> Declared {
    plain(anonymous(kind))
}

fn plain(ty: Type) -> Declared {
    Declared { ty, dealloc: Dealloc::No, long: None, depth: 1 }
}

/// What a message type of this many bits is: a right, a string, or plain data.
fn basic_kind(
    sender: MessageType,
    received: Option<u32>,
    bits: u32,
    span: Span,
    out: &mut Diagnostics,
) -> Option<TypeKind> {
    let MessageType { sent, is_float, .. } = sender;
    let is_right = |name: Option<u32>| name.is_none_or(Disposition::is_right);
    if is_right(sent) != is_right(received) {
        out.error(
            codes::SIDES_DIFFER,
            span,
            "one side of `|` is a port right, the other is not",
            "a right can't become data, nor data a right",
        );
        return None;
    }
    if let Some(number) = [sent, received].into_iter().flatten().find(|&number| number > 0xff) {
        out.error(
            codes::TYPE_TOO_LARGE,
            span,
            format!("the message type number {number} is too large"),
            "a type word has 8 bits for it",
        );
        return None;
    }
    let port = PortType {
        sender: sent.and_then(Disposition::from_number),
        receiver: received.and_then(Disposition::from_number),
        number: sender.number,
    };
    let (Some(type_number), Some(received_number)) = (sent, received) else {
        return Some(TypeKind::Port(port));
    };
    if Disposition::is_right(type_number) {
        return Some(TypeKind::Port(port));
    }
    if bits == 0 || bits % 8 != 0 {
        out.error(
            codes::NO_BYTES,
            span,
            "the size is not a whole number of bytes",
            format!("{bits} {}", if bits == 1 { "bit" } else { "bits" }),
        );
        return None;
    }
    // A string of one byte can hold nothing: it is the character that a longer array is made of.
    if type_number == STRING_C && bits > 8 {
        return Some(TypeKind::FixedString { size: bits / 8, whole: true });
    }
    Some(TypeKind::Scalar(Scalar { type_number, received: received_number, bits, is_float }))
}

fn c_string(bound: Bound, span: Span, out: &mut Diagnostics) -> Option<Type> {
    let kind = match bound {
        Bound::Fixed(size) if size.value > 0 => TypeKind::FixedString { size: size.value, whole: false },
        Bound::UpTo(max) if max.value > 0 => TypeKind::BoundedString { max: max.value },
        _ => {
            out.push(
                Diagnostic::error(codes::NO_BYTES, span, "a string needs a size", "how many bytes at most?")
                    .with_help("write `c_string[N]` or `c_string[*:N]`; the NUL counts"),
            );
            return None;
        }
    };
    Some(anonymous(kind))
}
