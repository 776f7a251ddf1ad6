//! Routines and their arguments.

use nom::combinator::opt;
use nom::multi::separated_list1;
use nom::sequence::{delimited, preceded};
use nom::{Parser as _, branch::alt};

use super::expected::Expected;
use super::input::{Parsed, Tokens, any, ident, punct};
use super::types::{declaration, native};
use crate::ast::{Argument, ArgumentType, Direction, Flag, FlagKind, Routine, RoutineKind, StatementKind};
use crate::keyword::Keyword;
use crate::source::Span;
use crate::token::Punct;

/// The words for directions.
pub(crate) const DIRECTIONS: &[Keyword] = &[
    Keyword::In,
    Keyword::Out,
    Keyword::InOut,
    Keyword::RequestPort,
    Keyword::ReplyPort,
    Keyword::SReplyPort,
    Keyword::UReplyPort,
    Keyword::WaitTime,
    Keyword::SendTime,
    Keyword::MsgOption,
    Keyword::MsgSeqno,
    Keyword::MsgType,
    Keyword::MsgKind,
    Keyword::SecToken,
    Keyword::ServerSecToken,
    Keyword::UserSecToken,
    Keyword::AuditToken,
    Keyword::ServerAuditToken,
    Keyword::UserAuditToken,
    Keyword::ServerContextToken,
    Keyword::ServerImpl,
    Keyword::UserImpl,
];

/// The words for flags.
pub(super) const FLAGS: &[Keyword] = &[
    Keyword::IsLong,
    Keyword::IsNotLong,
    Keyword::Dealloc,
    Keyword::NotDealloc,
    Keyword::ServerCopy,
    Keyword::CountInOut,
    Keyword::RetCode,
    Keyword::SameCount,
    Keyword::PhysicalCopy,
    Keyword::Overwrite,
    Keyword::Auto,
    Keyword::Const,
];

/// What follows the keyword of a routine.
pub(super) fn routine(kind: RoutineKind, input: Tokens<'_>) -> Parsed<'_, StatementKind> {
    let (rest, (name, arguments)) = (ident, arguments).parse(input)?;
    let (rest, result) = match kind {
        RoutineKind::Function => preceded(punct(Punct::Colon), argument_type).map(Some).parse(rest)?,
        _ => (rest, None),
    };
    Ok((rest, StatementKind::Routine(Routine { kind, name, arguments, result })))
}

fn arguments(input: Tokens<'_>) -> Parsed<'_, Vec<Argument>> {
    let list = separated_list1(punct(Punct::Semicolon), argument);
    // Not `opt`: an error inside an argument tells more than "`)` was expected".
    let (rest, _) = punct(Punct::LParen)(input)?;
    if rest.peek().is(Punct::RParen) {
        return rest.advance(Vec::new());
    }
    let (rest, arguments) = { list }.parse(rest)?;
    let (rest, _) = punct(Punct::RParen)(rest)?;
    Ok((rest, arguments))
}

fn argument(input: Tokens<'_>) -> Parsed<'_, Argument> {
    let (rest, direction) = opt(direction).parse(input)?;
    let (rest, name) = ident(rest)?;
    let (rest, (ty, flags)) = preceded(punct(Punct::Colon), (argument_type, flags)).parse(rest)?;
    let doc = input.shared.docs.lines(input.peek().doc, input.shared.sources);
    let span = input.span_to(&rest);
    Ok((rest, Argument { direction, name, ty, flags, doc, span }))
}

fn argument_type(input: Tokens<'_>) -> Parsed<'_, ArgumentType> {
    if let Ok((rest, native)) = native(input) {
        return Ok((rest, ArgumentType::Native(native, input.span_to(&rest))));
    }
    alt((declaration.map(ArgumentType::Declared), ident.map(ArgumentType::Named))).parse(input)
}

fn direction(input: Tokens<'_>) -> Parsed<'_, (Direction, Span)> {
    let direction = match input.keyword() {
        // In a dialect without this word it is the argument's name.
        Some(word) if !word.is_reserved() && input.ahead(1).is(Punct::Colon) => None,
        Some(word) => of_word(word),
        None => None,
    };
    match direction {
        Some(direction) => input.advance((direction, input.peek().span)),
        None => input.fail(Expected::keywords(DIRECTIONS)),
    }
}

fn of_word(word: Keyword) -> Option<Direction> {
    Some(match word {
        Keyword::In => Direction::In,
        Keyword::Out => Direction::Out,
        Keyword::InOut => Direction::InOut,
        Keyword::RequestPort => Direction::RequestPort,
        Keyword::ReplyPort => Direction::ReplyPort,
        Keyword::SReplyPort => Direction::SReplyPort,
        Keyword::UReplyPort => Direction::UReplyPort,
        Keyword::WaitTime => Direction::WaitTime,
        Keyword::SendTime => Direction::SendTime,
        Keyword::MsgOption => Direction::MsgOption,
        Keyword::MsgSeqno => Direction::MsgSeqno,
        Keyword::MsgType => Direction::MsgType,
        Keyword::MsgKind => Direction::MsgKind,
        Keyword::SecToken => Direction::SecToken,
        Keyword::ServerSecToken => Direction::ServerSecToken,
        Keyword::UserSecToken => Direction::UserSecToken,
        Keyword::AuditToken => Direction::AuditToken,
        Keyword::ServerAuditToken => Direction::ServerAuditToken,
        Keyword::UserAuditToken => Direction::UserAuditToken,
        Keyword::ServerContextToken => Direction::ServerContextToken,
        Keyword::ServerImpl => Direction::ServerImpl,
        Keyword::UserImpl => Direction::UserImpl,
        _ => return None,
    })
}

/// `, flag`, any number of them
pub(super) fn flags(input: Tokens<'_>) -> Parsed<'_, Vec<Flag>> {
    any(|input| preceded(punct(Punct::Comma), flag).parse(input))(input)
}

fn flag(input: Tokens<'_>) -> Parsed<'_, Flag> {
    let (rest, kind) = flag_kind(input)?;
    let brackets = delimited(punct(Punct::LBracket), |i| Ok((i, ())), punct(Punct::RBracket));
    let (rest, run_time) = opt(brackets).parse(rest)?;
    Ok((rest, Flag { kind, run_time: run_time.is_some(), span: input.span_to(&rest) }))
}

fn flag_kind(input: Tokens<'_>) -> Parsed<'_, FlagKind> {
    let kind = match input.keyword() {
        Some(Keyword::IsLong) => FlagKind::IsLong,
        Some(Keyword::IsNotLong) => FlagKind::IsNotLong,
        Some(Keyword::Dealloc) => FlagKind::Dealloc,
        Some(Keyword::NotDealloc) => FlagKind::NotDealloc,
        Some(Keyword::ServerCopy) => FlagKind::ServerCopy,
        Some(Keyword::CountInOut) => FlagKind::CountInOut,
        Some(Keyword::RetCode) => FlagKind::RetCode,
        Some(Keyword::SameCount) => FlagKind::SameCount,
        Some(Keyword::PhysicalCopy) => FlagKind::PhysicalCopy,
        Some(Keyword::Overwrite) => FlagKind::Overwrite,
        Some(Keyword::Auto) => FlagKind::Auto,
        Some(Keyword::Const) => FlagKind::Const,
        _ => return input.fail(Expected::keywords(FLAGS)),
    };
    input.advance(kind)
}
