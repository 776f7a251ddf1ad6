//! Types.

use nom::combinator::opt;
use nom::multi::many1;
use nom::sequence::{delimited, preceded, separated_pair, terminated};
use nom::{Parser as _, branch::alt};

use super::expected::{Class, Expected};
use super::expression::{expression, number};
use super::input::{Parsed, Tokens, any, ident, keyword, punct};
use super::routine::flags;
use super::statement::colon_name;
use crate::ast::{
    Basic, Bound, Ident, IpcName, Member, Native, TypeDecl, TypeKind, TypeOption, TypeOptionKind, TypeSpec,
};
use crate::keyword::Keyword;
use crate::token::{Kind, Punct};

/// The keywords with which an option of a type starts.
pub(crate) const OPTIONS: &[Keyword] = &[
    Keyword::InTran,
    Keyword::OutTran,
    Keyword::Destructor,
    Keyword::InTranPayload,
    Keyword::CType,
    Keyword::CUserType,
    Keyword::CServerType,
];

/// The keywords with which a type starts.
pub(super) const STARTS: &[Keyword] = &[
    Keyword::Array,
    Keyword::Struct,
    Keyword::CString,
    Keyword::Polymorphic,
    Keyword::PointerTo,
    Keyword::PointerToIfNot,
    Keyword::ValueOf,
];

/// `name = type options`
pub(super) fn declaration(input: Tokens<'_>) -> Parsed<'_, TypeDecl> {
    separated_pair(ident, punct(Punct::Equal), spec).map(|(name, spec)| TypeDecl { name, spec }).parse(input)
}

/// A type with its options.
pub(super) fn spec(input: Tokens<'_>) -> Parsed<'_, TypeSpec> {
    let (rest, (kind, options)) = (kind, any(option)).parse(input)?;
    Ok((rest, TypeSpec { kind, options, span: input.span_to(&rest) }))
}

/// A type inside a type; options belong to the outermost.
fn element(input: Tokens<'_>) -> Parsed<'_, Box<TypeSpec>> {
    let (rest, kind) = input.nested(kind)?;
    Ok((rest, Box::new(TypeSpec { kind, options: Vec::new(), span: input.span_to(&rest) })))
}

fn kind(input: Tokens<'_>) -> Parsed<'_, TypeKind> {
    if let Ok((rest, native)) = native(input) {
        return Ok((rest, TypeKind::Native(native)));
    }
    let token = input.peek();
    match (token.kind, input.keyword()) {
        (Kind::Punct(Punct::Caret), _) => {
            preceded(punct(Punct::Caret), element).map(TypeKind::Pointer).parse(input)
        }
        (Kind::Punct(Punct::LParen), _) => long_form.map(TypeKind::Basic).parse(input),
        (_, Some(Keyword::Array)) => array(input),
        (_, Some(Keyword::Struct)) => {
            preceded(keyword(Keyword::Struct), alt((struct_array, members))).parse(input)
        }
        (_, Some(Keyword::CString)) => c_string(input),
        (Kind::Ident, None | Some(_)) if !is_ipc_name(input) => match ident(input) {
            Ok((rest, name)) => Ok((rest, TypeKind::Named(name))),
            Err(_) => expected_type(input),
        },
        (Kind::Ident | Kind::Number, _) => short_form.map(TypeKind::Basic).parse(input),
        _ => expected_type(input),
    }
}

fn expected_type<T>(input: Tokens<'_>) -> Parsed<'_, T> {
    let puncts = Expected::punct(Punct::Caret).or(Expected::punct(Punct::LParen));
    let classes = Expected::class(Class::MessageType)
        .or(Expected::class(Class::Name))
        .or(Expected::class(Class::Number));
    input.fail(Expected::keywords(STARTS).or(puncts).or(classes))
}

/// `array [ ] of type`
fn array(input: Tokens<'_>) -> Parsed<'_, TypeKind> {
    let bound = alt((upper_bound, expression.map(Bound::Fixed), |i| Ok((i, Bound::Unbounded))));
    let bound = delimited(punct(Punct::LBracket), bound, punct(Punct::RBracket));
    let element = preceded(keyword(Keyword::Of), element);
    preceded(keyword(Keyword::Array), (bound, element))
        .map(|(bound, element)| TypeKind::Array { bound, element })
        .parse(input)
}

/// `*` or `* : N`
fn upper_bound(input: Tokens<'_>) -> Parsed<'_, Bound> {
    preceded(punct(Punct::Star), opt(preceded(punct(Punct::Colon), expression)))
        .map(|most| most.map_or(Bound::Unbounded, Bound::UpTo))
        .parse(input)
}

/// `[N] of type`, after `struct`
fn struct_array(input: Tokens<'_>) -> Parsed<'_, TypeKind> {
    let count = delimited(punct(Punct::LBracket), expression, punct(Punct::RBracket));
    (terminated(count, keyword(Keyword::Of)), element)
        .map(|(count, element)| TypeKind::StructArray { count, element })
        .parse(input)
}

/// `type name;`
pub(super) fn member(input: Tokens<'_>) -> Parsed<'_, Member> {
    terminated((ident, ident), punct(Punct::Semicolon)).map(|(ty, name)| Member { ty, name }).parse(input)
}

/// `{ type name; … }`, after `struct`
fn members(input: Tokens<'_>) -> Parsed<'_, TypeKind> {
    delimited(punct(Punct::LBrace), many1(member), punct(Punct::RBrace)).map(TypeKind::Struct).parse(input)
}

/// `c_string[N]` or `c_string[*:N]`
fn c_string(input: Tokens<'_>) -> Parsed<'_, TypeKind> {
    let most = preceded((punct(Punct::Star), punct(Punct::Colon)), expression);
    let bound = alt((most.map(Bound::UpTo), expression.map(Bound::Fixed)));
    let bound = delimited(punct(Punct::LBracket), bound, punct(Punct::RBracket));
    preceded(keyword(Keyword::CString), bound).map(TypeKind::CString).parse(input)
}

/// `NAME` or `NAME | NAME`
fn short_form(input: Tokens<'_>) -> Parsed<'_, Basic> {
    (ipc_name, opt(preceded(punct(Punct::Bar), ipc_name)))
        .map(|(sender, receiver)| Basic { sender, receiver, bits: None, flags: Vec::new() })
        .parse(input)
}

/// `( NAME, bits, flags )`
fn long_form(input: Tokens<'_>) -> Parsed<'_, Basic> {
    let inner = (terminated(short_form, punct(Punct::Comma)), expression, flags);
    delimited(punct(Punct::LParen), inner, punct(Punct::RParen))
        .map(|(names, bits, flags)| Basic { bits: Some(bits), flags, ..names })
        .parse(input)
}

fn is_ipc_name(input: Tokens<'_>) -> bool {
    // Case counts in these names, unlike in keywords.
    let text = input.text(input.peek());
    let is_symbol = text.strip_prefix("MACH_").unwrap_or(text).starts_with("MSG_TYPE_");
    input.keyword() == Some(Keyword::Polymorphic) || is_symbol
}

fn ipc_name(input: Tokens<'_>) -> Parsed<'_, IpcName> {
    let token = input.peek();
    match token.kind {
        Kind::Number => number.map(IpcName::Number).parse(input),
        Kind::Ident if input.keyword() == Some(Keyword::Polymorphic) => {
            input.advance(IpcName::Polymorphic(token.span))
        }
        Kind::Ident if is_ipc_name(input) => ident.map(IpcName::Symbol).parse(input),
        _ => {
            let names = Expected::class(Class::MessageType).or(Expected::class(Class::Number));
            input.fail(names.or(Expected::keyword(Keyword::Polymorphic)))
        }
    }
}

/// Apple's `PointerTo (…)` and its kin; without the parenthesis the words are names.
pub(super) fn native(input: Tokens<'_>) -> Parsed<'_, Native> {
    let open = input.ahead(1).is(Punct::LParen);
    let keyword = input.keyword().filter(|_| open);
    let Some(keyword @ (Keyword::PointerTo | Keyword::PointerToIfNot | Keyword::ValueOf)) = keyword else {
        return input.fail(Expected::default());
    };
    let (input, _) = input.advance(())?;
    let phrase = || many1(ident);
    let (open, close) = (punct(Punct::LParen), punct(Punct::RParen));
    match keyword {
        Keyword::PointerTo => delimited(open, phrase(), close).map(Native::PointerTo).parse(input),
        Keyword::ValueOf => delimited(open, phrase(), close).map(Native::ValueOf).parse(input),
        _ => delimited(open, separated_pair(phrase(), punct(Punct::Comma), phrase()), close)
            .map(|(words, bad)| Native::PointerToIfNot(words, bad))
            .parse(input),
    }
}

fn option(input: Tokens<'_>) -> Parsed<'_, TypeOption> {
    let Some(word) = input.keyword().filter(|k| OPTIONS.contains(k)) else {
        return input.fail(Expected::keywords(OPTIONS));
    };
    let (rest, _) = input.advance(())?;
    let (rest, kind) = match word {
        Keyword::InTran => translation
            .map(|(trans, function, server)| TypeOptionKind::InTran { trans, function, server })
            .parse(rest)?,
        Keyword::OutTran => translation
            .map(|(server, function, trans)| TypeOptionKind::OutTran { server, function, trans })
            .parse(rest)?,
        Keyword::Destructor => (colon_name, in_parentheses)
            .map(|(function, trans)| TypeOptionKind::Destructor { function, trans })
            .parse(rest)?,
        Keyword::InTranPayload => (colon_name, ident)
            .map(|(trans, function)| TypeOptionKind::InTranPayload { trans, function })
            .parse(rest)?,
        Keyword::CType => colon_name.map(TypeOptionKind::CType).parse(rest)?,
        Keyword::CUserType => colon_name.map(TypeOptionKind::CUserType).parse(rest)?,
        _ => colon_name.map(TypeOptionKind::CServerType).parse(rest)?,
    };
    Ok((rest, TypeOption { kind, span: input.span_to(&rest) }))
}

/// `: result function ( argument )`
fn translation(input: Tokens<'_>) -> Parsed<'_, (Ident, Ident, Ident)> {
    (colon_name, ident, in_parentheses).parse(input)
}

fn in_parentheses(input: Tokens<'_>) -> Parsed<'_, Ident> {
    delimited(punct(Punct::LParen), ident, punct(Punct::RParen)).parse(input)
}
