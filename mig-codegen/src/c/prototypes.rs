//! The functions of C's stubs, with the parameters that MIG gives them.

use mig_parser::ast::RoutineKind;

use super::{Words, declaration};
use crate::Side;
use crate::model::{Arg, Dealloc, Interface, PortType, Role, Routine, Type, TypeKind};

/// Writes the prototypes of a side's functions.
pub(super) fn write(text: &mut String, interface: &Interface, side: Side) {
    *text += match side {
        Side::Client => "/* The functions that a client calls. */\n\n",
        _ => "/* The functions that a server is made of. */\n\n",
    };
    let words = Words::of(interface);
    for routine in &interface.routines {
        let name = if side == Side::Client { &routine.user } else { &routine.server };
        let args = routine.args.iter().enumerate();
        let kernel = if side == Side::Client { interface.kernel_user } else { interface.kernel_server };
        let view = View { side, kernel, words };
        let list: Vec<String> =
            args.flat_map(|(index, arg)| view.parameters(arg, is_counted(routine, index))).collect();
        let list = if list.is_empty() { "void".to_owned() } else { format!("\n\t{}\n", list.join(",\n\t")) };
        *text += &format!("extern {} {name}({list});\n\n", result(words, routine));
    }
}

/// How many words the arguments of a server's function are.
pub(super) fn server_words(interface: &Interface, routine: &Routine) -> u32 {
    let view = View { side: Side::Server, kernel: interface.kernel_server, words: Words::of(interface) };
    let words = routine.args.iter().enumerate().map(|(index, arg)| {
        let parameters = view.parameters(arg, is_counted(routine, index)).len() as u32;
        if parameters == 1 { words(&arg.ty) } else { parameters }
    });
    words.sum()
}

/// A structure is as many words as it has; anything else is one, whether it is passed or pointed to.
fn words(ty: &Type) -> u32 {
    match &ty.kind {
        TypeKind::Struct { .. } => ty.bytes() / 4,
        TypeKind::Fixed { element, by_value: true, .. } if element.bytes() >= 4 => ty.bytes() / 4,
        _ => 1,
    }
    .max(1)
}

/// What the function returns.
fn result(words: &Words, routine: &Routine) -> String {
    match (routine.kind, routine.result) {
        (RoutineKind::Procedure | RoutineKind::SimpleProcedure, _) => "void".to_owned(),
        (_, Some(index)) => declaration(words, &routine.args[index].ty, None, "").trim_end().to_owned(),
        _ => "kern_return_t".to_owned(),
    }
}

/// The side from which an argument is seen.
#[derive(Clone, Copy)]
struct View {
    side: Side,
    /// This side is in the kernel.
    kernel: bool,
    words: &'static Words,
}

impl View {
    /// The parameters that an argument is: its value, the kind of right if that is not always the same, the
    /// number of elements, and whether the memory goes with the message.
    fn parameters(self, arg: &Arg, counted: bool) -> Vec<String> {
        if !self.has(arg) {
            return Vec::new();
        }
        let (name, ty) = (&arg.name, &arg.ty);
        let (comes_back, sends) = (arg.in_reply(), self.sends(arg));
        let star = if comes_back { "*" } else { "" };
        let value = match (comes_back, is_c_array(ty)) {
            (false, true) => format!("const {}", declaration(self.words, ty, self.c_type(ty), name)),
            (true, false) => declaration(self.words, ty, self.c_type(ty), &format!("*{name}")),
            _ => declaration(self.words, ty, self.c_type(ty), name),
        };
        let mut list = vec![value];
        if self.is_polymorphic(arg) {
            list.push(format!("{} {star}{name}Poly", self.words.kind));
        }
        if arg
            .ty
            .parts()
            .is_some_and(|(part, _)| matches!(part.kind, TypeKind::OutOfLine { count: None, .. }))
        {
            list.push(format!("mach_msg_type_number_t *{name}Subs"));
        }
        if counted {
            list.push(format!("{} {star}{name}Cnt", self.words.count));
        }
        // Only the sender has to say whether its memory goes with the message.
        if arg.dealloc == Dealloc::RunTime && sends {
            list.push(format!("boolean_t {star}{name}Dealloc"));
        }
        let may_be_inline = matches!(ty.kind, TypeKind::Indefinite { .. });
        if arg.server_copy && self.side == Side::Server && arg.in_request() && may_be_inline {
            list.push(format!("boolean_t {name}SCopy"));
        }
        list
    }

    /// Whether this side's function has a parameter for the argument.
    fn has(self, arg: &Arg) -> bool {
        let is_client = self.side == Side::Client;
        match arg.role {
            Role::RequestPort | Role::In | Role::Out | Role::InOut => true,
            Role::ReplyPort { client, server } | Role::Trailer { client, server, .. } => {
                if is_client {
                    client
                } else {
                    server
                }
            }
            Role::WaitTime | Role::SendTime | Role::MsgOption => is_client,
        }
    }

    /// Whether this side gives the value.
    fn sends(self, arg: &Arg) -> bool {
        match self.side {
            Side::Client => !matches!(arg.role, Role::Out),
            _ => arg.in_reply(),
        }
    }

    /// Whether this side says, or is told, which kind of right the argument is.
    fn is_polymorphic(self, arg: &Arg) -> bool {
        let received = match self.side {
            Side::Client => arg.in_reply(),
            _ => !matches!(arg.role, Role::Out),
        };
        right(&arg.ty).is_some_and(|port| {
            // A server in a kernel replies with rights in the form in which they are received.
            let as_received = self.kernel && self.side == Side::Server;
            let sent = if as_received { port.receiver } else { port.sender };
            self.sends(arg) && sent.is_none() || received && port.receiver.is_none()
        })
    }

    /// What this side calls the type, where that is not its name.
    fn c_type(self, ty: &Type) -> Option<&str> {
        let given = match self.side {
            Side::Client => ty.c.user.as_deref(),
            _ => ty.c.trans.as_deref().or(ty.c.server.as_deref()),
        };
        match given.or(ty.name.as_deref()) {
            // Rights in a kernel are its own objects.
            Some("mach_port_t") if self.kernel => Some("ipc_port_t"),
            _ => given,
        }
    }
}

/// Whether C passes a pointer to the first element, whichever way the argument travels.
fn is_c_array(ty: &Type) -> bool {
    matches!(
        ty.kind,
        TypeKind::Fixed { by_value: false, .. }
            | TypeKind::Bounded { .. }
            | TypeKind::FixedString { .. }
            | TypeKind::BoundedString { .. }
    )
}

/// Whether the number of elements is a parameter of its own.
fn is_counted(routine: &Routine, index: usize) -> bool {
    let arg = &routine.args[index];
    match arg.ty.kind {
        TypeKind::Bounded { .. } | TypeKind::Indefinite { .. } => arg.same_count.is_none(),
        // Data of fixed size whose type word has the short form: `^int`.
        TypeKind::OutOfLine { count: None, .. } => {
            let messages = [Some(&routine.request), routine.reply.as_ref()];
            let mut slots = messages.into_iter().flatten().flat_map(|message| &message.slots);
            let word = slots.find_map(|slot| slot.word.filter(|_| slot.arg == Some(index)));
            arg.same_count.is_none() && word.is_none_or(|word| word.long)
        }
        _ => false,
    }
}

/// The right that a type is, or that its elements are.
fn right(ty: &Type) -> Option<PortType> {
    match &ty.kind {
        TypeKind::Port(port) => Some(*port),
        _ => right(ty.element()?),
    }
}
