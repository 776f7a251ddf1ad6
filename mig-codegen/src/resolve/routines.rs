//! Routines: which argument is what, what it may be, and the names of the stubs.

use hashbrown::HashMap;
use mig_abi::Disposition;
use mig_parser::ast::{
    self, Argument, ArgumentType, Direction, Ident, RoutineKind, Statement, SubsystemModifier,
};
use mig_parser::diagnostics::{Diagnostic, Diagnostics};
use mig_parser::source::Span;

use super::flags::Flags;
use super::options::Setting;
use super::roles;
use super::types::Declared;
use super::{Resolver, language};
use crate::abi::{Feature, MessageTypes};
use crate::codes;
use crate::lints::description;
use crate::model::{Arg, Dealloc, Form, Message, Role, Routine, Scalar, Type, TypeKind, is_one_way};
use crate::wire::{INTEGER_32, is_counted};

impl<'a> Resolver<'a> {
    pub(super) fn routine(
        &mut self,
        routine: &'a ast::Routine,
        statement: &'a Statement,
        id: u32,
        out: &mut Diagnostics,
    ) {
        let name = &routine.name;
        if let Some(first) = self.names.insert(&name.name, name.span) {
            out.push(
                Diagnostic::error(
                    codes::ROUTINE_TWICE,
                    name.span,
                    format!("the routine `{}` is declared twice", name.name),
                    "declared again here",
                )
                .with_note(first, "first declared here"),
            );
        }
        if matches!(
            routine.kind,
            RoutineKind::Procedure | RoutineKind::SimpleProcedure | RoutineKind::Function
        ) && !language(self.abi, Feature::Procedures, name.span, out)
        {
            return;
        }
        let Some(arguments) = self.arguments(routine, out) else { return };
        let Some(request_port) = request_port(routine, &arguments, out) else { return };
        let waits = !is_one_way(routine.kind) || self.abi.language.wait_time_sends;
        let state = &mut self.state;
        let mut number = |setting: &mut Option<Setting>| setting.as_mut().and_then(|set| set.value(out));
        let wait_time = if waits { number(&mut state.wait_time) } else { None };
        let send_time = number(&mut state.send_time);
        let msg_option = number(&mut state.msg_option);
        self.routines.push(Routine {
            name: name.name.clone(),
            id,
            kind: routine.kind,
            user: format!("{}{}", self.state.user_prefix, name.name),
            server: format!("{}{}", self.state.server_prefix, name.name),
            args: arguments,
            request_port,
            result: routine.result.as_ref().map(|_| 0),
            wait_time,
            send_time,
            msg_option,
            request: Message::default(),
            reply: None,
            doc: description(&statement.doc),
            span: statement.span,
        });
    }

    /// The arguments, and the result of a function before them; `None` if one of them is wrong.
    fn arguments(&self, routine: &ast::Routine, out: &mut Diagnostics) -> Option<Vec<Arg>> {
        let mut args = Vec::new();
        let mut wrong = false;
        if let Some(result) = &routine.result {
            match self.result(routine, result, out) {
                Some(arg) => args.push(arg),
                None => wrong = true,
            }
        }
        let directions = directions(routine);
        wrong |= !unique_names(routine, out);
        let replaced = replaced(routine, &directions, out);
        let is_left_out = |index, direction| {
            // These arguments say what a field of the header is, which stubs set by themselves.
            matches!(direction, Direction::MsgType | Direction::MsgKind) || replaced.contains(&index)
        };
        for (index, (argument, &direction)) in routine.arguments.iter().zip(&directions).enumerate() {
            match self.argument(routine, argument, direction, &args, out) {
                Some(_) if is_left_out(index, direction) => {}
                Some(arg) => args.push(arg),
                None => wrong = true,
            }
        }
        (!wrong).then_some(args)
    }

    /// The value of a function travels as an argument of the routine's name, before the others.
    fn result(&self, routine: &ast::Routine, ty: &ArgumentType, out: &mut Diagnostics) -> Option<Arg> {
        let declared = self.argument_type(ty, out)?;
        let name = &routine.name;
        let by_value = match &declared.ty.kind {
            TypeKind::Scalar(_) | TypeKind::Struct { .. } | TypeKind::OutOfLine { .. } => true,
            TypeKind::Port(port) => port.sender.is_some() && port.receiver.is_some(),
            TypeKind::Fixed { by_value, .. } => *by_value,
            _ => false,
        };
        if !by_value {
            out.error(
                codes::TOO_COMPLICATED,
                name.span,
                format!("`{}` can't return a value of this type", name.name),
                "only single values of a known type can be returned",
            );
            return None;
        }
        Some(Arg {
            name: name.name.clone(),
            role: Role::Out,
            form: self.form(&declared.ty, name, name.span, out)?,
            ty: declared.ty,
            dealloc: declared.dealloc,
            count_in_out: false,
            ret_code: false,
            same_count: None,
            server_copy: false,
            physical_copy: false,
            doc: Vec::new(),
            span: name.span,
        })
    }

    fn argument_type(&self, ty: &ArgumentType, out: &mut Diagnostics) -> Option<Declared> {
        match ty {
            ArgumentType::Named(name) => self.types.look_up(name, out),
            ArgumentType::Declared(decl) => self.types.declared(decl, out),
            ArgumentType::Native(native, span) => self.types.native(native, *span, out),
        }
    }

    fn argument(
        &self,
        routine: &ast::Routine,
        argument: &Argument,
        direction: Direction,
        earlier: &[Arg],
        out: &mut Diagnostics,
    ) -> Option<Arg> {
        let known = self.check_direction(routine, argument, direction, out);
        let flags = Flags::read(&argument.flags, self.abi, out);
        let declared = self.argument_type(&argument.ty, out)?;
        known?;
        let mut arg = Arg {
            name: argument.name.name.clone(),
            role: self.role(argument, direction, out)?,
            form: self.form(&declared.ty, &argument.name, argument.span, out)?,
            dealloc: flags.dealloc.unwrap_or(declared.dealloc),
            count_in_out: false,
            ret_code: false,
            same_count: None,
            server_copy: false,
            physical_copy: false,
            doc: argument.doc.clone(),
            span: argument.span,
            ty: declared.ty,
        };
        if let Some(long) = flags.long {
            arg.ty.long = self.types.long_form(&arg.ty, Some(long), argument.span, out)?;
        }
        self.check_in_out(&arg, out)?;
        self.apply_flags(&mut arg, &flags, out);
        if arg.dealloc != Dealloc::No && self.abi.language.message_types == MessageTypes::Mach25 {
            arg.ty.give_up();
            arg.form = self.form(&arg.ty, &argument.name, argument.span, out)?;
        }
        arg.server_copy = flags.server_copy.is_some();
        arg.physical_copy = flags.physical_copy;
        self.ret_code(&mut arg, &flags, routine, earlier, out)?;
        same_count(&mut arg, &flags, earlier, out)?;
        check_type(&arg, direction, out)?;
        self.check_translations(&arg, out);
        Some(arg)
    }

    /// Whether the dialect has this kind of argument, and the routine may have it.
    fn check_direction(
        &self,
        routine: &ast::Routine,
        argument: &Argument,
        direction: Direction,
        out: &mut Diagnostics,
    ) -> Option<()> {
        let span = argument.direction.map_or(argument.name.span, |(_, span)| span);
        let feature = match direction {
            Direction::SendTime => Some(Feature::SendTime),
            Direction::MsgType => Some(Feature::MsgType),
            Direction::MsgKind => Some(Feature::MsgKind),
            Direction::ServerSecToken
            | Direction::UserSecToken
            | Direction::ServerImpl
            | Direction::UserImpl => Some(Feature::TrailerArguments),
            Direction::SecToken
            | Direction::AuditToken
            | Direction::ServerAuditToken
            | Direction::UserAuditToken
            | Direction::ServerContextToken => Some(Feature::AppleTokens),
            _ => None,
        };
        if let Some(feature) = feature {
            if !language(self.abi, feature, span, out) {
                return None;
            }
        }
        if is_one_way(routine.kind) && matches!(direction, Direction::Out | Direction::InOut) {
            let word = match routine.kind {
                RoutineKind::SimpleProcedure => "simpleprocedure",
                _ => "simpleroutine",
            };
            out.push(
                Diagnostic::error(
                    codes::NO_REPLY,
                    span,
                    format!("a `{word}` has no reply"),
                    format!("`{}` can't come back", argument.name.name),
                )
                .with_help("declare it a `routine`, or send the value in another message"),
            );
            return None;
        }
        Some(())
    }

    /// What an argument is to a programmer; an error if nothing has been thought of.
    fn form(&self, ty: &Type, name: &Ident, span: Span, out: &mut Diagnostics) -> Option<Form> {
        let form = Form::of(ty);
        if form.is_none() {
            let message = format!("`{}` is not generated yet", name.name);
            let why = "an array of this kind has no form in Rust yet";
            out.error(codes::ARGUMENT_NOT_GENERATED, span, message, why);
        }
        form
    }

    fn role(&self, argument: &Argument, direction: Direction, out: &mut Diagnostics) -> Option<Role> {
        let role = roles::role(argument, direction);
        if role.is_none() {
            out.error(
                codes::ARGUMENT_NOT_GENERATED,
                argument.span,
                format!("`{}` is not generated yet", argument.name.name),
                "no trailer has a field of this name",
            );
        }
        role
    }

    /// A variable array that goes both ways would need two places for one count.
    fn check_in_out(&self, arg: &Arg, out: &mut Diagnostics) -> Option<()> {
        let in_line = match arg.ty.kind {
            // What is in descriptors has its places whatever its count is.
            TypeKind::Bounded { .. } if !matches!(arg.form, Form::Plain(_)) => self.abi.rules().type_words,
            TypeKind::Bounded { .. } | TypeKind::BoundedString { .. } => true,
            TypeKind::Indefinite { .. } => self.abi.rules().inline_bytes > 0,
            _ => false,
        };
        if arg.role != Role::InOut || !in_line {
            return Some(());
        }
        out.push(
            Diagnostic::error(
                codes::IN_OUT,
                arg.span,
                format!("the variable array `{}` can't be `inout`", arg.name),
                "its size would have to change on the way",
            )
            .with_help("declare an `in` and an `out` argument"),
        );
        None
    }

    fn apply_flags(&self, arg: &mut Arg, flags: &Flags, out: &mut Diagnostics) {
        let mut meaningless = |span: Span, message: String, label: &str| {
            out.warning(codes::MEANINGLESS_FLAG, span, message, label);
        };
        if let Some(span) = flags.server_copy {
            if !(arg.in_request() && matches!(arg.ty.kind, TypeKind::Indefinite { .. })) {
                let message = format!("`servercopy` is meaningless on `{}`", arg.name);
                meaningless(span, message, "only for an `array[]` that is sent to the server");
            }
        }
        if let Some(span) = flags.count_in_out {
            let in_line = match arg.ty.kind {
                TypeKind::Bounded { .. } => !matches!(arg.form, Form::Parts(_)),
                TypeKind::Indefinite { .. } => self.abi.rules().inline_bytes > 0,
                _ => false,
            };
            arg.count_in_out = arg.role == Role::Out && in_line;
            if !arg.count_in_out {
                let message = format!("`countinout` is meaningless on `{}`", arg.name);
                meaningless(span, message, "only for an inline variable array that comes back");
            }
        }
        if let Some(span) = flags.dealloc_span {
            let can = can_dealloc(&arg.ty) || self.gives_up_rights(arg) || self.kernel_sends(arg);
            if arg.dealloc != Dealloc::No && !can {
                arg.dealloc = Dealloc::No;
                let message = format!("`dealloc` is meaningless on `{}`", arg.name);
                meaningless(span, message, "only for memory out of line; ignored");
            }
        }
    }

    /// `retcode`: one number, in a routine that has no reply.
    fn ret_code(
        &self,
        arg: &mut Arg,
        flags: &Flags,
        routine: &ast::Routine,
        earlier: &[Arg],
        out: &mut Diagnostics,
    ) -> Option<()> {
        let Some(span) = flags.ret_code else { return Some(()) };
        let why = match () {
            () if !is_one_way(routine.kind) => "only a `simpleroutine` can send a return code of its own",
            () if arg.role != Role::In || !is_integer(&arg.ty) => {
                "it must be an integer of 32 bits that is sent"
            }
            () if earlier.iter().any(|arg| arg.ret_code) => "there is another one",
            () => {
                arg.ret_code = true;
                return Some(());
            }
        };
        out.error(codes::RET_CODE, span, format!("`{}` can't be the return code", arg.name), why);
        None
    }

    /// Kernels set the deallocate bit of inline rights that they give away.
    fn kernel_sends(&self, arg: &Arg) -> bool {
        arg.in_request() && self.has(SubsystemModifier::KernelUser) || arg.in_reply() && self.kernel_serves()
    }

    /// The deallocate bit of an inline right takes it from its sender in Mach 2.5, which has no disposition
    /// for that.
    fn gives_up_rights(&self, arg: &Arg) -> bool {
        self.abi.language.message_types == MessageTypes::Mach25 && arg.ty.port().is_some()
    }

    /// A server type that is not the translated type needs a function between them.
    fn check_translations(&self, arg: &Arg, out: &mut Diagnostics) {
        let c = &arg.ty.c;
        let mut server = c.server.as_deref().or(arg.ty.name.as_deref());
        if server == Some("mach_port_t") && self.kernel_serves() {
            // A kernel has the port itself, not a name of it.
            server = Some("ipc_port_t");
        }
        let Some(trans) = c.trans.as_deref().filter(|trans| Some(*trans) != server) else { return };
        let mut missing = |word: &str| {
            out.warning(
                codes::NO_TRANSLATION,
                arg.span,
                format!("`{}` has no `{word}` function", arg.name),
                format!("its type is translated to `{trans}`, but not in this direction"),
            );
        };
        if (arg.in_request() || arg.role == Role::RequestPort) && c.in_tran.is_none() {
            missing("intran");
        }
        if arg.in_reply() && c.out_tran.is_none() {
            missing("outtran");
        }
    }
}

/// Checks the type of an argument with a place in the header, or beside the message: a port or an integer.
fn check_type(arg: &Arg, direction: Direction, out: &mut Diagnostics) -> Option<()> {
    let (code, what, needed) = match direction {
        Direction::RequestPort if !is_port_to_send_to(arg) => {
            (codes::REQUEST_PORT, "can't be the request port", "it must be one send or send-once right")
        }
        Direction::ReplyPort | Direction::SReplyPort | Direction::UReplyPort if !is_port_to_send_to(arg) => {
            (codes::REPLY_PORT, "can't be a reply port", "it must be one send or send-once right")
        }
        Direction::WaitTime
        | Direction::SendTime
        | Direction::MsgOption
        | Direction::MsgSeqno
        | Direction::MsgType
        | Direction::MsgKind
            if !is_integer(&arg.ty) =>
        {
            (codes::NOT_AN_INTEGER, "has the wrong type", "it must be an integer of 32 bits")
        }
        _ => return Some(()),
    };
    out.error(code, arg.span, format!("`{}` {what}", arg.name), needed);
    None
}

/// `samecount`: an array that shares the count of the variable array before it.
fn same_count(arg: &mut Arg, flags: &Flags, earlier: &[Arg], out: &mut Diagnostics) -> Option<()> {
    let Some(span) = flags.same_count else { return Some(()) };
    let is_array = |arg: &Arg| {
        is_counted(&arg.ty)
            && !matches!(arg.ty.kind, TypeKind::BoundedString { .. })
            && !matches!(arg.form, Form::Parts(_))
    };
    let goes_the_same_way =
        |other: &Arg| other.in_request() == arg.in_request() && other.in_reply() == arg.in_reply();
    let first = earlier.iter().rposition(|other| is_array(other) && other.same_count.is_none());
    match first.filter(|&first| is_array(arg) && goes_the_same_way(&earlier[first])) {
        Some(first) => {
            arg.same_count = Some(first);
            Some(())
        }
        None => {
            out.error(
                codes::SAME_COUNT,
                span,
                format!("`{}` has no count to share", arg.name),
                "a variable array of the same direction must stand before it",
            );
            None
        }
    }
}

/// The direction of each argument: one without a keyword is the request port as long as there is none, else
/// it is sent.
fn directions(routine: &ast::Routine) -> Vec<Direction> {
    let mut has_request_port = false;
    routine
        .arguments
        .iter()
        .map(|argument| {
            let direction = match argument.direction {
                Some((direction, _)) => direction,
                None if has_request_port => Direction::In,
                None => Direction::RequestPort,
            };
            has_request_port |= direction == Direction::RequestPort;
            direction
        })
        .collect()
}

/// Whether no two arguments have the same name.
fn unique_names(routine: &ast::Routine, out: &mut Diagnostics) -> bool {
    let mut names = HashMap::with_capacity(routine.arguments.len());
    let mut unique = true;
    for argument in &routine.arguments {
        let name = &argument.name;
        if let Some(first) = names.insert(&name.name, name.span) {
            out.push(
                Diagnostic::error(
                    codes::NAME_TWICE,
                    name.span,
                    format!("two arguments are called `{}`", name.name),
                    "used again here",
                )
                .with_note(first, "first used here"),
            );
            unique = false;
        }
    }
    unique
}

/// The arguments without effect, because a later one has their role: as in C, the last one counts.
fn replaced(routine: &ast::Routine, directions: &[Direction], out: &mut Diagnostics) -> Vec<usize> {
    let mut replaced = Vec::new();
    let mut roles: HashMap<&'static str, usize> = HashMap::new();
    for (index, direction) in directions.iter().enumerate() {
        for role in single_roles(*direction) {
            let Some(first) = roles.insert(role, index) else { continue };
            out.push(
                Diagnostic::warning(
                    codes::ROLE_TWICE,
                    routine.arguments[index].span,
                    format!("`{}` has two {role}s", routine.name.name),
                    "this one is used",
                )
                .with_note(routine.arguments[first].span, "this one is left out"),
            );
            replaced.push(first);
        }
    }
    replaced
}

/// The roles of an argument that only one argument can have.
fn single_roles(direction: Direction) -> &'static [&'static str] {
    match direction {
        Direction::RequestPort => &["request port"],
        Direction::ReplyPort => &["client reply port", "server reply port"],
        Direction::UReplyPort => &["client reply port"],
        Direction::SReplyPort => &["server reply port"],
        Direction::WaitTime => &["waiting time"],
        Direction::SendTime => &["sending time"],
        Direction::MsgOption => &["message option"],
        Direction::MsgSeqno => &["sequence number"],
        _ => &[],
    }
}

fn request_port(routine: &ast::Routine, args: &[Arg], out: &mut Diagnostics) -> Option<usize> {
    let found = args.iter().position(|arg| arg.role == Role::RequestPort);
    if found.is_none() {
        out.push(
            Diagnostic::error(
                codes::NO_REQUEST_PORT,
                routine.name.span,
                format!("`{}` has no request port", routine.name.name),
                "where would its message go?",
            )
            .with_help("its first argument without a direction is the request port: `server : mach_port_t`"),
        );
    }
    found
}

/// Whether an argument is one send or send-once right, as its receiver sees it in the header.
fn is_port_to_send_to(arg: &Arg) -> bool {
    match arg.ty.kind {
        TypeKind::Port(port) => {
            matches!(port.receiver, None | Some(Disposition::MoveSend | Disposition::MoveSendOnce))
        }
        _ => false,
    }
}

fn is_integer(ty: &Type) -> bool {
    matches!(
        ty.kind,
        TypeKind::Scalar(Scalar { type_number: INTEGER_32, received: INTEGER_32, bits: 32, .. })
    )
}

/// Whether values of a type are memory that can move with a message.
fn can_dealloc(ty: &Type) -> bool {
    matches!(ty.kind, TypeKind::OutOfLine { .. } | TypeKind::Indefinite { .. }) || ty.parts().is_some()
}
