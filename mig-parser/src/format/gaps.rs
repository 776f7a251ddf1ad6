//! What stands before each token: nothing, a space, or the end of a line, and how deep that line is indented.
//!
//! A small machine follows the tokens. It knows statements by their first word and no more of the grammar
//! than where the parts of a routine and of a type begin, so it says something sensible of wrong text, too.

use super::items::{Conditional, Item, What};
use crate::grammar::{DIRECTIONS, STARTS, TYPE_OPTIONS};
use crate::keyword::Keyword;
use crate::token::{Kind, Names, Punct, Symbol, Token};

/// What stands before a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    Nothing,
    Space,
    /// To the column of the names of arguments.
    Tab,
    /// A space, or a new line if the declaration does not fit in one.
    Soft,
    /// As `Soft`, and the declaration never stays in one line.
    Option,
    /// As `Soft`, but only if what follows would not fit in the line otherwise.
    Late,
    /// A new line.
    Line,
    /// The white space of the text.
    AsWritten,
}

/// How a token is placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) gap: Gap,
    /// Tabs before it, if it begins a line.
    pub(super) indent: usize,
    /// Tabs before a comment in the line above it.
    pub(super) comment: usize,
}

/// Tabs before an argument's name.
const ARGUMENT: usize = 2;
/// Tabs before the further lines of an argument.
const ARGUMENT_PART: usize = 3;
/// How far to look for the end of a macro's arguments.
const MACRO_CALL: usize = 64;

/// The place of each token. Comments, directives and skipped lines have `None`.
pub(super) fn places(items: &[Item<'_>], names: &Names) -> Vec<Option<Place>> {
    let mut state = State::default();
    // The state before each `#if` that is open, since its other branches begin in the same state.
    let mut branches = Vec::new();
    let mut places = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        places.push(match item.what {
            What::Token(token) => {
                let context = Context { items, at, token, names };
                let (place, begins) = state.place(&context);
                state.advance(&context, begins);
                Some(place)
            }
            What::Directive(conditional) => {
                match conditional {
                    Conditional::If | Conditional::Never => branches.push(state),
                    Conditional::Else => state = branches.last().copied().unwrap_or(state),
                    Conditional::End => drop(branches.pop()),
                    Conditional::No => {}
                }
                None
            }
            _ => None,
        });
    }
    places
}

/// A token where it stands.
struct Context<'a> {
    items: &'a [Item<'a>],
    at: usize,
    token: Token,
    names: &'a Names,
}

impl Context<'_> {
    fn item(&self) -> &Item<'_> {
        &self.items[self.at]
    }

    fn keyword(&self) -> Option<Keyword> {
        (self.token.kind == Kind::Ident).then(|| self.names.keyword(self.token.symbol)).flatten()
    }

    /// The next token, unless a directive stands before it.
    fn next(&self) -> Option<&Token> {
        let next = self.items[self.at + 1..].iter().find(|item| !item.is_comment())?;
        next.token()
    }

    fn next_is(&self, punct: Punct) -> bool {
        self.next().is_some_and(|token| token.is(punct))
    }

    /// Whether the token begins a statement if it begins a line, whatever came before. Inside a line the same
    /// word may be a macro, as in `userprefix USERPREFIX;`, which is common: keywords are known in any case.
    fn begins_statement(&self) -> bool {
        // These words begin arguments, too.
        let ambiguous = [Keyword::WaitTime, Keyword::MsgOption];
        self.keyword().is_some_and(|k| k.is_reserved() && STARTS.contains(&k) && !ambiguous.contains(&k))
    }

    /// The white space of the text, no more than one space.
    fn as_spaced(&self) -> Gap {
        let follows_comment = self.at > 0 && self.items[self.at - 1].is_comment();
        if self.item().before.is_empty() && !follows_comment { Gap::Nothing } else { Gap::Space }
    }

    /// Whether the parenthesis here is that of a macro which makes the routine's name: then the parenthesis
    /// of the arguments follows it.
    fn is_macro_call(&self) -> bool {
        let mut depth = 0;
        for (ahead, item) in self.items[self.at..].iter().enumerate().take(MACRO_CALL) {
            depth += i32::from(item.is(Punct::LParen)) - i32::from(item.is(Punct::RParen));
            if depth == 0 {
                let after = Context { at: self.at + ahead, ..*self };
                return after.next_is(Punct::LParen);
            }
        }
        false
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Statement {
    /// Between two statements.
    #[default]
    None,
    Routine,
    Type,
    Skip,
    /// One of the short ones.
    Plain,
    /// Words that begin no statement, most likely a macro.
    Unknown,
}

/// Where in a statement the machine is.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    statement: Statement,
    /// The statement before this one was a `skip`.
    after_skip: bool,
    /// Parentheses, braces and brackets that are open.
    parens: u32,
    braces: u32,
    brackets: u32,
    /// In the parentheses of a routine, its arguments; the number of parentheses around them.
    arguments: Option<u32>,
    /// At the start of an argument, and at its first word.
    starts: bool,
    direction: bool,
    /// Before the colon of an option.
    option: bool,
    /// The last token of the statement.
    last: Option<(Kind, Symbol)>,
    /// How many tokens are left in which the preprocessor may take a file name: there a line break changes
    /// what a token is.
    file_name: u8,
}

impl State {
    fn last_is(&self, punct: Punct) -> bool {
        self.last.is_some_and(|(kind, _)| kind == Kind::Punct(punct))
    }

    fn last_is_word(&self) -> bool {
        self.last.is_some_and(|(kind, _)| kind == Kind::Ident)
    }

    /// Directly among the arguments of a routine, in no other bracket.
    fn in_arguments(&self) -> bool {
        self.arguments == Some(self.parens) && self.braces == 0 && self.brackets == 0
    }

    /// In no bracket at all, or directly among arguments: where the parts of a declaration stand.
    fn in_declaration(&self) -> bool {
        let outside = self.parens == 0 && self.braces == 0 && self.brackets == 0;
        self.in_arguments() || (outside && matches!(self.statement, Statement::Type | Statement::Routine))
    }

    /// Tabs before the further lines of a declaration.
    fn part(&self) -> usize {
        if self.arguments.is_some() { ARGUMENT_PART } else { 1 }
    }

    /// The place of a token, and whether it begins a statement.
    fn place(&self, here: &Context<'_>) -> (Place, bool) {
        if self.statement == Statement::None {
            return (self.first(here), true);
        }
        let mut place = self.place_in_statement(here);
        if here.begins_statement() {
            if here.item().newlines > 0 || place.gap == Gap::Line {
                return (Place { gap: Gap::Line, indent: 0, comment: 0 }, true);
            }
            // If a line began here, the token would begin a statement.
            if matches!(place.gap, Gap::Soft | Gap::Option | Gap::Late) {
                place.gap = here.as_spaced();
            }
        }
        (place, false)
    }

    fn place_in_statement(&self, here: &Context<'_>) -> Place {
        let at = |gap, indent| Place { gap, indent, comment: indent };
        if self.file_name > 0 || self.statement == Statement::Unknown {
            return at(Gap::AsWritten, 0);
        }
        // A `#` that begins a line would be a directive.
        if here.token.is(Punct::Hash) {
            return at(here.as_spaced(), 0);
        }
        if self.in_arguments() && self.starts && !here.token.is(Punct::RParen) {
            let indent = if here.is_direction() { 1 } else { ARGUMENT };
            return Place { gap: Gap::Line, indent, comment: ARGUMENT };
        }
        if self.in_arguments() && (here.token.is(Punct::RParen) || here.token.is(Punct::Semicolon)) {
            return at(Gap::Nothing, ARGUMENT);
        }
        if here.token.is(Punct::Semicolon) && self.parens == 0 && self.braces == 0 {
            return at(Gap::Nothing, 0);
        }
        if self.braces > 0 && (self.last_is(Punct::LBrace) || self.last_is(Punct::Semicolon)) {
            let indent = self.part() - 1;
            return if here.token.is(Punct::RBrace) {
                Place { gap: Gap::Line, indent, comment: indent + 1 }
            } else {
                at(Gap::Line, indent + 1)
            };
        }
        at(self.gap(here), self.part())
    }

    /// The place of the first token of a statement.
    fn first(&self, here: &Context<'_>) -> Place {
        let statement = here.statement();
        let gap = match statement {
            // A `#` that begins a line would be a directive.
            _ if here.token.is(Punct::Hash) => here.as_spaced(),
            // An empty statement
            _ if here.token.is(Punct::Semicolon) => Gap::Nothing,
            Statement::Unknown => Gap::AsWritten,
            // People who count ids like to have several in a line, so these stay together.
            Statement::Skip if self.after_skip && here.item().newlines == 0 => Gap::Space,
            _ => Gap::Line,
        };
        Place { gap, indent: 0, comment: 0 }
    }

    /// What stands between the last token and this one, inside a statement.
    fn gap(&self, here: &Context<'_>) -> Gap {
        use Punct::{Bar, Caret, Colon, Comma, Equal, LBrace, LBracket, LParen, RBracket, RParen, Semicolon};
        let Kind::Punct(punct) = here.token.kind else { return self.gap_before_word(here) };
        match punct {
            // Without a space the two would be one token, as `^` and `=` are.
            _ if self.last.is_some_and(|(last, _)| last.joins(punct)) => here.as_spaced(),
            Semicolon | Comma | RParen | RBracket => Gap::Nothing,
            Colon if self.brackets > 0 || self.option => Gap::Nothing,
            _ if self.last_is(LBracket) || self.last_is(LParen) || self.last_is(Caret) => Gap::Nothing,
            _ if self.brackets > 0 => self.gap_in_brackets(here),
            LBracket if self.last_is_word() => Gap::Nothing,
            LParen if self.last_is_word() && !self.last_is_operator(here) => Gap::Nothing,
            Colon | LBrace | Bar if self.statement != Statement::Plain => Gap::Space,
            Equal => Gap::Space,
            _ => self.gap_after(here),
        }
    }

    fn gap_before_word(&self, here: &Context<'_>) -> Gap {
        let opened = self.last_is(Punct::LBracket) || self.last_is(Punct::LParen);
        if opened || self.last_is(Punct::Caret) {
            return Gap::Nothing;
        }
        if self.brackets > 0 {
            return self.gap_in_brackets(here);
        }
        let is_option = here.keyword().is_some_and(|keyword| TYPE_OPTIONS.contains(&keyword));
        if is_option && here.next_is(Punct::Colon) && self.in_declaration() {
            return Gap::Option;
        }
        self.gap_after(here)
    }

    /// The gap that follows from the last token alone.
    fn gap_after(&self, here: &Context<'_>) -> Gap {
        let Some((Kind::Punct(last), _)) = self.last else {
            let first_word = matches!(self.statement, Statement::Plain | Statement::Skip);
            // `import<a.h>`
            return if first_word && self.last_is_import(here) { Gap::Space } else { self.after_word(here) };
        };
        match last {
            Punct::Equal if self.in_arguments() => Gap::Soft,
            Punct::Equal if self.in_declaration() => Gap::Late,
            Punct::Comma if self.in_arguments() => Gap::Late,
            Punct::Colon | Punct::Bar if self.statement == Statement::Plain => here.as_spaced(),
            Punct::Equal | Punct::Comma | Punct::Colon | Punct::Bar | Punct::RBracket => Gap::Space,
            _ => here.as_spaced(),
        }
    }

    fn after_word(&self, here: &Context<'_>) -> Gap {
        if self.direction && self.in_arguments() {
            let word = self.last.map_or("", |(_, symbol)| here.names.text(symbol));
            return if word.len() < 8 { Gap::Tab } else { Gap::Space };
        }
        here.as_spaced()
    }

    fn gap_in_brackets(&self, here: &Context<'_>) -> Gap {
        if self.last_is(Punct::Colon) { Gap::Nothing } else { here.as_spaced() }
    }

    fn last_keyword(&self, here: &Context<'_>) -> Option<Keyword> {
        self.last.filter(|(kind, _)| *kind == Kind::Ident).and_then(|(_, symbol)| here.names.keyword(symbol))
    }

    fn last_is_import(&self, here: &Context<'_>) -> bool {
        self.last_keyword(here).is_some_and(Keyword::is_import)
    }

    /// `array[] of (INTEGER, 32)`
    fn last_is_operator(&self, here: &Context<'_>) -> bool {
        self.last_keyword(here) == Some(Keyword::Of)
    }

    /// Takes the token.
    fn advance(&mut self, here: &Context<'_>, begins: bool) {
        if begins {
            if here.token.is(Punct::Semicolon) {
                return;
            }
            *self = State { statement: here.statement(), file_name: self.file_name, ..State::default() };
        }
        let less = matches!(here.token.kind, Kind::Punct(Punct::Less | Punct::LessEq | Punct::Shl));
        if less && (self.file_name > 0 || self.last_is_import(here)) {
            // In another line it might be the name of a file.
            self.statement = Statement::Unknown;
        }
        self.advance_in_statement(here, begins);
        self.last = Some((here.token.kind, here.token.symbol));
        self.file_name = match here.token.symbol {
            Symbol::HAS_INCLUDE | Symbol::HAS_INCLUDE_NEXT => 2,
            _ if here.keyword().is_some_and(Keyword::is_import) => u8::from(here.breaks_after()),
            _ => self.file_name.saturating_sub(1),
        };
        let ended = here.token.is(Punct::Semicolon)
            && self.braces == 0
            && (self.parens == 0 || self.statement == Statement::Type);
        if ended {
            *self = State { after_skip: self.statement == Statement::Skip, ..State::default() };
        }
    }

    fn advance_in_statement(&mut self, here: &Context<'_>, begins: bool) {
        let in_arguments = self.in_arguments();
        let was_start = std::mem::take(&mut self.starts);
        self.direction = in_arguments && was_start && here.is_direction();
        let in_declaration = self.in_declaration();
        let Kind::Punct(punct) = here.token.kind else {
            let is_option = here.keyword().is_some_and(|keyword| TYPE_OPTIONS.contains(&keyword));
            self.option = !begins && is_option && in_declaration && here.next_is(Punct::Colon);
            return;
        };
        self.option = false;
        match punct {
            Punct::LParen => {
                let opens = self.statement == Statement::Routine
                    && self.arguments.is_none()
                    && self.parens == 0
                    && !here.is_macro_call();
                self.parens += 1;
                if opens {
                    self.arguments = Some(self.parens);
                    self.starts = true;
                }
            }
            Punct::RParen => {
                if in_arguments {
                    self.arguments = None;
                }
                self.parens = self.parens.saturating_sub(1);
            }
            Punct::LBrace => self.braces += 1,
            Punct::RBrace => self.braces = self.braces.saturating_sub(1),
            Punct::LBracket => self.brackets += 1,
            Punct::RBracket => self.brackets = self.brackets.saturating_sub(1),
            Punct::Semicolon => {
                self.brackets = 0;
                self.starts = self.in_arguments();
            }
            _ => {}
        }
    }
}

impl Context<'_> {
    /// The kind of statement that this word begins.
    fn statement(&self) -> Statement {
        match self.keyword().filter(|keyword| STARTS.contains(keyword)) {
            Some(
                Keyword::Routine
                | Keyword::SimpleRoutine
                | Keyword::Procedure
                | Keyword::SimpleProcedure
                | Keyword::Function,
            ) => Statement::Routine,
            Some(Keyword::Type) => Statement::Type,
            Some(Keyword::Skip) => Statement::Skip,
            Some(_) => Statement::Plain,
            None => Statement::Unknown,
        }
    }

    /// Whether this is the word before an argument's name: a direction, or a macro in its place.
    fn is_direction(&self) -> bool {
        let is_word = self.token.kind == Kind::Ident;
        let next_is_word = self.next().is_some_and(|next| next.kind == Kind::Ident);
        let known = self.keyword().is_some_and(|keyword| DIRECTIONS.contains(&keyword));
        is_word && (next_is_word || known && !self.next_is(Punct::Colon))
    }

    /// Whether its line ends after it.
    fn breaks_after(&self) -> bool {
        self.items.get(self.at + 1).is_some_and(|next| next.newlines > 0 || next.is_comment())
    }
}
