//! Items as text, laid out as rustfmt does it with `use_small_heuristics = "Max"`.
//!
//! The tokens are those that the back end has made, so there is nothing to parse: an item or a statement is
//! known by its first word. What does not fit on a line is opened where rustfmt opens it: parameters, a chain
//! of methods, the arguments of a call, the fields of a structure. Code of another kind than the back end
//! makes may become a line that is too long, but always the same code.

mod tokens;

use proc_macro2::{Delimiter, TokenStream};

use self::tokens::{Kind, TALL, Token, Tokens, has_space, is_tight, width};

/// The length of lines.
const WIDTH: usize = 100;

/// How far a block is indented.
const STEP: usize = 4;

/// The width of elements that share lines.
const SHORT: usize = 10;

/// Prints groups of items, with an empty line between them.
pub(crate) fn print(groups: Vec<TokenStream>) -> String {
    let mut out = String::new();
    for group in groups {
        let mut source = Tokens::default();
        let tokens = source.read(group);
        if tokens.is_empty() {
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        let line = out.len();
        let mut printer = Printer { text: &source.text, out, line, indent: 0 };
        printer.items(&tokens);
        printer.end_line();
        out = printer.out;
    }
    out
}

struct Printer<'t> {
    /// The text in which the tokens lie.
    text: &'t str,
    out: String,
    /// Where the last line begins in `out`.
    line: usize,
    indent: usize,
}

impl<'t> Printer<'t> {
    fn text(&self, token: &Token) -> &'t str {
        &self.text[token.text.0..token.text.1]
    }

    fn end_line(&mut self) {
        self.out.push('\n');
        self.line = self.out.len();
    }

    fn new_line(&mut self) {
        self.end_line();
        for _ in 0..self.indent / STEP {
            self.out.push_str("    ");
        }
    }

    /// Prints lines between two delimiters.
    fn indented<L>(&mut self, of: Delimiter, lines: Vec<L>, mut print: impl FnMut(&mut Self, L)) {
        let (open, close) = delimiters(of);
        self.out.push(open);
        self.indent += STEP;
        for line in lines {
            self.new_line();
            print(self, line);
        }
        self.indent -= STEP;
        self.new_line();
        self.out.push(close);
    }

    /// Whether tokens of this width fit on the rest of the line, with what follows them.
    fn fits(&self, width: usize, after: usize) -> bool {
        self.out.len() - self.line + width + after <= WIDTH
    }

    /// Tokens on one line, but for the blocks among them.
    fn flat(&mut self, tokens: &[Token]) {
        let mut previous = None;
        for token in tokens {
            if previous.is_some_and(|previous| has_space(previous, token)) {
                self.out.push(' ');
            }
            match token.kind {
                Kind::Group(Delimiter::Brace) if token.width >= TALL => self.block(token),
                Kind::Group(delimiter) => {
                    let (open, close) = delimiters(delimiter);
                    let is_padded = token.is_braced() && !token.inner.is_empty() && !is_tight(previous);
                    self.out.push(open);
                    self.out.extend(is_padded.then_some(' '));
                    self.flat(&token.inner);
                    self.out.extend(is_padded.then_some(' '));
                    self.out.push(close);
                }
                _ => self.out.push_str(self.text(token)),
            }
            previous = Some(token);
        }
    }

    /// Items, with empty lines around those that have a body or could have one.
    fn items(&mut self, tokens: &[Token]) {
        let mut previous = None;
        for item in self.statements(tokens) {
            let has_body = item.iter().any(|token| token.width >= TALL)
                || matches!(self.first_word(attributes(item).1), "fn" | "struct" | "trait" | "mod");
            if let Some(previous) = previous {
                if previous || has_body {
                    self.end_line();
                }
                self.new_line();
            }
            self.with_attributes(item, Self::statement);
            previous = Some(has_body);
        }
    }

    /// What is between braces: statements, or the arms of a `match`.
    fn block(&mut self, braces: &Token) {
        if braces.inner.is_empty() {
            self.out.push_str("{}");
        } else if braces.inner.iter().any(|token| token.kind == Kind::Arrow) {
            self.indented(Delimiter::Brace, arms(&braces.inner), Self::arm);
        } else {
            let statements = self.statements(&braces.inner);
            self.indented(Delimiter::Brace, statements, |printer, tokens| {
                printer.with_attributes(tokens, Self::statement);
            });
        }
    }

    fn statements<'a>(&self, mut tokens: &'a [Token]) -> Vec<&'a [Token]> {
        let mut statements = Vec::new();
        while !tokens.is_empty() {
            let (statement, rest) = tokens.split_at(self.end_of_statement(tokens));
            statements.push(statement);
            tokens = rest;
        }
        statements
    }

    fn end_of_statement(&self, tokens: &[Token]) -> usize {
        let (attributes, rest) = attributes(tokens);
        let ends_with_braces = matches!(
            self.first_word(rest),
            "enum" | "fn" | "for" | "if" | "impl" | "loop" | "match" | "mod" | "struct" | "trait" | "while"
        );
        let is_else = |next: Option<&Token>| next.is_some_and(|next| self.text(next) == "else");
        let is_end = |index: &usize| match rest[*index].kind {
            Kind::Semicolon => true,
            Kind::Group(Delimiter::Brace) => ends_with_braces && !is_else(rest.get(index + 1)),
            _ => false,
        };
        attributes.len() + (0..rest.len()).find(is_end).map_or(rest.len(), |index| index + 1)
    }

    /// The word that says what an item or a statement is; empty for an expression.
    fn first_word(&self, tokens: &[Token]) -> &'t str {
        let words = tokens.iter().take_while(|token| token.kind == Kind::Keyword);
        let mut words = words.map(|token| self.text(token)).filter(|word| *word != "pub");
        match (words.next(), words.next()) {
            (Some("const" | "unsafe"), Some("fn")) => "fn",
            (Some(word), _) => word,
            (None, _) => "",
        }
    }

    /// The attributes and documentation of something on lines of their own, then the thing itself.
    fn with_attributes(&mut self, tokens: &[Token], print: impl FnOnce(&mut Self, &[Token])) {
        let (attributes, rest) = attributes(tokens);
        for attribute in attributes.chunks(2) {
            match self.documentation(&attribute[1]) {
                Some(line) => {
                    self.out.push_str("///");
                    self.out.push_str(&line);
                }
                None => {
                    self.out.push_str("#[");
                    self.expression(&attribute[1].inner, 1);
                    self.out.push(']');
                }
            }
            self.new_line();
        }
        print(self, rest);
    }

    /// The line of documentation that an attribute is; `None` where it would be another one as a comment.
    fn documentation(&self, attribute: &Token) -> Option<String> {
        let [name, _, text] = &attribute.inner[..] else { return None };
        let line =
            self.text(text).strip_prefix('"')?.strip_suffix('"').filter(|_| self.text(name) == "doc")?;
        let mut pieces = line.split('\\');
        let mut plain = pieces.next()?.to_owned();
        while let Some(piece) = pieces.next() {
            match piece {
                "" => {
                    plain.push('\\');
                    plain.push_str(pieces.next()?);
                }
                _ if piece.starts_with('"') => plain.push_str(piece),
                _ => return None,
            }
        }
        (!plain.starts_with('/')).then_some(plain)
    }

    fn statement(&mut self, tokens: &[Token]) {
        let (tokens, end) = match tokens.split_last() {
            Some((last, rest)) if last.kind == Kind::Semicolon => (rest, ";"),
            _ => (tokens, ""),
        };
        match (self.first_word(tokens), tokens.split_last()) {
            ("fn", _) => self.function(tokens, end.len()),
            ("struct", Some((body, head))) if body.is_braced() => {
                self.flat(head);
                self.out.push(' ');
                self.fields(body);
            }
            ("mod" | "trait" | "impl", Some((body, head))) if body.is_braced() => {
                self.flat(head);
                self.out.push(' ');
                self.indented(Delimiter::Brace, vec![&body.inner], |printer, items| printer.items(items));
            }
            ("if" | "match", _) => self.expression(tokens, end.len()),
            _ => self.assignment(tokens, end.len()),
        }
        self.out.push_str(end);
    }

    /// The fields of a structure, or of a value of one.
    fn fields(&mut self, braces: &Token) {
        self.indented(Delimiter::Brace, elements(&braces.inner), |printer, field| {
            printer.with_attributes(field, |printer, field| printer.expression(field, 1));
            let is_rest = field.first().is_some_and(|first| first.kind == Kind::Range);
            printer.out.extend((!is_rest).then_some(','));
        });
    }

    fn function(&mut self, tokens: &[Token], after: usize) {
        let (head, body) = match tokens.split_last() {
            Some((last, head)) if last.is_braced() => (head, Some(last)),
            _ => (tokens, None),
        };
        let bounds = head.iter().position(|token| self.text(token) == "where");
        let (head, bounds) = head.split_at(bounds.unwrap_or(head.len()));
        let after = if bounds.is_empty() { after + 2 * usize::from(body.is_some()) } else { 0 };
        self.signature(head, after);
        if !bounds.is_empty() {
            self.bounds(bounds);
            self.new_line();
        } else if body.is_some() {
            self.out.push(' ');
        }
        if let Some(body) = body {
            self.block(body);
        }
    }

    fn signature(&mut self, head: &[Token], after: usize) {
        let is_list = |token: &Token| token.kind == Kind::Group(Delimiter::Parenthesis);
        match head.iter().position(is_list) {
            Some(params) if !self.fits(width(head), after) => {
                self.flat(&head[..params]);
                self.list(&head[params]);
                self.out.extend((params + 1 < head.len()).then_some(' '));
                self.flat(&head[params + 1..]);
            }
            _ => self.flat(head),
        }
    }

    /// `where` and the bounds after it.
    fn bounds(&mut self, tokens: &[Token]) {
        // A list of parameters on several lines, with nothing after it, leaves a line with one character.
        match &self.out[self.line + self.indent..] {
            ")" => self.out.push(' '),
            _ => self.new_line(),
        }
        self.out.push_str("where");
        self.indent += STEP;
        for bound in elements(&tokens[1..]) {
            self.new_line();
            self.flat(bound);
            self.out.push(',');
        }
        self.indent -= STEP;
    }

    /// The elements of a list, each on lines of its own.
    fn list(&mut self, group: &Token) {
        let Kind::Group(delimiter) = group.kind else { return };
        let elements = elements(&group.inner);
        let is_short = |element: &&[Token]| element.len() == 1 && width(element) <= SHORT;
        if delimiter == Delimiter::Bracket && elements.iter().all(is_short) {
            return self.indented(delimiter, vec![elements], Self::filled);
        }
        self.indented(delimiter, elements, |printer, element| {
            printer.expression(element, 1);
            printer.out.push(',');
        });
    }

    /// As many elements on each line as fit.
    fn filled(&mut self, elements: Vec<&[Token]>) {
        for (index, element) in elements.into_iter().enumerate() {
            if index > 0 && self.fits(width(element), 2) {
                self.out.push(' ');
            } else if index > 0 {
                self.new_line();
            }
            self.flat(element);
            self.out.push(',');
        }
    }

    /// Arguments of which the last is a closure without a block: it gets one, if the others fit on the line.
    fn with_closure(&mut self, arguments: &[Token], after: usize) -> bool {
        let is_bar = |token: &Token| token.kind == Kind::OpenBar;
        let Some(closure) = arguments.iter().rposition(is_bar).filter(|index| *index > 0) else {
            return false;
        };
        let Some(end) = arguments.iter().rposition(|token| token.kind == Kind::CloseBar) else {
            return false;
        };
        let (head, value) = arguments.split_at(end + 1);
        if elements(&arguments[closure..]).len() > 1 || !self.fits(width(head), 3) {
            return false;
        }
        self.out.push('(');
        self.flat(head);
        self.out.push(' ');
        self.block_or_value(value, after + 1);
        self.out.push(')');
        true
    }

    fn arm(&mut self, (pattern, value): (&[Token], &[Token])) {
        self.flat(pattern);
        self.out.push(' ');
        match value {
            [block] if block.is_braced() => self.block(block),
            _ => {
                self.block_or_value(value, 1);
                self.out.extend((!self.out.ends_with('}')).then_some(','));
            }
        }
    }

    /// What an arm or a closure returns; in braces, if it takes more than the rest of the line.
    fn block_or_value(&mut self, value: &[Token], after: usize) {
        if self.opens_here(value, after) {
            return self.flat(value);
        }
        self.indented(Delimiter::Brace, vec![value], |printer, value| printer.expression(value, 0));
    }

    /// `left = right`, or an expression.
    fn assignment(&mut self, tokens: &[Token], after: usize) {
        let equal = tokens.iter().position(|token| token.kind == Kind::Equal);
        let Some(equal) = equal.filter(|_| !self.opens_here(tokens, after)) else {
            return self.expression(tokens, after);
        };
        let (left, right) = tokens.split_at(equal + 1);
        self.flat(left);
        if self.indent + STEP + width(right) + after + spare(right) <= WIDTH {
            self.indent += STEP;
            self.new_line();
            self.flat(right);
            self.indent -= STEP;
        } else {
            self.out.push(' ');
            self.expression(right, after);
        }
    }

    /// An expression, with the width of what follows it on its last line.
    fn expression(&mut self, tokens: &[Token], after: usize) {
        if self.opens_here(tokens, after) {
            return self.flat(tokens);
        }
        if let Some(bar) = tokens.iter().position(|token| token.kind == Kind::CloseBar) {
            if attributes(tokens).0.is_empty() && tokens[..=bar].iter().all(|token| token.inner.is_empty()) {
                let (head, value) = tokens.split_at(bar + 1);
                self.flat(head);
                self.out.push(' ');
                return self.block_or_value(value, after);
            }
        }
        match self.methods(tokens) {
            (root, methods) if !methods.is_empty() => self.chain(root, &methods, after),
            _ => self.opened(tokens, after),
        }
    }

    /// Whether tokens can be printed where the line is now, with none of their lists opened.
    fn opens_here(&self, tokens: &[Token], after: usize) -> bool {
        let whole = width(tokens);
        match whole < TALL {
            true => self.fits(whole, after + spare(tokens)),
            false => first_line(tokens).is_some_and(|width| self.fits(width, 0)),
        }
    }

    /// What an expression begins with, and the methods that are called on it one after the other.
    fn methods<'a>(&self, tokens: &'a [Token]) -> (&'a [Token], Vec<&'a [Token]>) {
        let is_dot = |index: &usize| tokens[*index].kind == Kind::Dot;
        let mut dots: Vec<usize> = (0..tokens.len()).filter(is_dot).collect();
        // What is not wider than an indentation has the first method after it.
        if dots.first().is_some_and(|dot| width(&tokens[..*dot]) <= STEP) {
            dots.remove(0);
        }
        let ends = dots.iter().skip(1).copied().chain([tokens.len()]);
        let methods = dots.iter().zip(ends).map(|(dot, end)| &tokens[*dot..end]).collect();
        (&tokens[..dots.first().copied().unwrap_or(tokens.len())], methods)
    }

    /// A chain of methods: each on its own line, or the arguments of the last one.
    fn chain(&mut self, root: &[Token], methods: &[&[Token]], after: usize) {
        let Some((last, others)) = methods.split_last() else { return };
        let all_but_last = width(root) + others.iter().map(|method| width(method)).sum::<usize>();
        let lines = last.iter().map(|token| elements(&token.inner).len()).max().unwrap_or(0) + 2;
        let fits_alone = self.indent + STEP + width(last) + after <= WIDTH;
        self.flat(root);
        if self.fits(all_but_last - width(root), 0) && (lines >= 5 || others.is_empty() && !fits_alone) {
            others.iter().for_each(|method| self.flat(method));
            return self.opened(last, after);
        }
        self.indent += STEP;
        for (index, method) in methods.iter().enumerate() {
            self.new_line();
            let is_last = index + 1 == methods.len();
            match self.fits(width(method), if is_last { after } else { 0 }) {
                true => self.flat(method),
                false => self.opened(method, after),
            }
        }
        self.indent -= STEP;
    }

    /// An expression whose last list is opened.
    fn opened(&mut self, tokens: &[Token], after: usize) {
        let is_list = |token: &Token| !token.inner.is_empty();
        let Some(index) = tokens.iter().rposition(is_list) else { return self.flat(tokens) };
        let (head, group, rest) = (&tokens[..index], &tokens[index], &tokens[index + 1..]);
        self.flat(head);
        let has_gap = head.last().is_some_and(|last| has_space(last, group));
        self.out.extend(has_gap.then_some(' '));
        match (group.kind, &elements(&group.inner)[..]) {
            (Kind::Group(Delimiter::Brace), _) if group.width >= TALL => self.block(group),
            (Kind::Group(Delimiter::Brace), _) => self.fields(group),
            (Kind::Group(Delimiter::Parenthesis), [only]) if only.iter().any(is_list) => {
                self.out.push('(');
                self.expression(only, after + 1);
                self.out.push(')');
            }
            (Kind::Group(Delimiter::Parenthesis), _) if self.with_closure(&group.inner, after) => {}
            _ => self.list(group),
        }
        self.out.extend(rest.first().is_some_and(|next| has_space(group, next)).then_some(' '));
        self.flat(rest);
    }
}

/// How much room rustfmt leaves after a chain of methods that ends with `?`.
fn spare(tokens: &[Token]) -> usize {
    let is_chain = || tokens.iter().any(|token| token.kind == Kind::Dot);
    match tokens.last() {
        Some(last) if last.kind == Kind::Question && is_chain() => 2,
        _ => 0,
    }
}

/// The width of the first line of tokens that open a block at their end, or a closure's as the last of
/// several arguments. `None` if the block is elsewhere.
fn first_line(tokens: &[Token]) -> Option<usize> {
    let tall = tokens.iter().position(|token| token.width >= TALL)?;
    let (before, group, after) = (&tokens[..tall], &tokens[tall], &tokens[tall + 1..]);
    let is_end = after.iter().all(|token| token.kind == Kind::Question);
    let gap = before.last().is_some_and(|last| has_space(last, group));
    let opened = width(before) + usize::from(gap) + 1;
    if group.is_braced() {
        return is_end.then_some(opened);
    }
    let elements = elements(&group.inner);
    let (last, others) = elements.split_last()?;
    let is_closure = last.iter().any(|token| matches!(token.kind, Kind::CloseBar | Kind::NoParameters));
    let can_overflow = is_end && (others.is_empty() || is_closure);
    let before: usize = others.iter().map(|element| width(element) + 2).sum();
    first_line(last).filter(|_| can_overflow).map(|last| opened + before + last)
}

/// The attributes of an item, each a `#` and a group, and the rest of it.
fn attributes(tokens: &[Token]) -> (&[Token], &[Token]) {
    let pairs = tokens.chunks(2).take_while(|pair| pair[0].kind == Kind::Hash && pair.len() == 2).count();
    tokens.split_at(pairs * 2)
}

/// What stands between the commas of a list.
fn elements(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0;
    let elements = tokens.split(|token| {
        match token.kind {
            Kind::Less | Kind::OpenBar => depth += 1,
            Kind::Greater | Kind::CloseBar => depth -= 1,
            _ => {}
        }
        depth == 0 && token.kind == Kind::Comma
    });
    elements.filter(|element| !element.is_empty()).collect()
}

/// The arms of a `match`: each with its pattern and `=>`, and its value.
fn arms(mut tokens: &[Token]) -> Vec<(&[Token], &[Token])> {
    let mut arms = Vec::new();
    while let Some(arrow) = tokens.iter().position(|token| token.kind == Kind::Arrow) {
        let (pattern, rest) = tokens.split_at(arrow + 1);
        let is_block = rest.first().is_some_and(Token::is_braced);
        let comma = rest.iter().position(|token| token.kind == Kind::Comma).unwrap_or(rest.len());
        let end = if is_block { 1 } else { comma };
        arms.push((pattern, &rest[..end]));
        let is_comma = rest.get(end).is_some_and(|token| token.kind == Kind::Comma);
        tokens = &rest[end + usize::from(is_comma)..];
    }
    arms
}

fn delimiters(delimiter: Delimiter) -> (char, char) {
    match delimiter {
        Delimiter::Parenthesis => ('(', ')'),
        Delimiter::Bracket => ('[', ']'),
        Delimiter::Brace | Delimiter::None => ('{', '}'),
    }
}
