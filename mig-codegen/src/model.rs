//! What an interface means: every name resolved, every message laid out for one ABI.

mod form;
mod message;
mod types;

use mig_parser::ast::{ImportKind, RoutineKind};
use mig_parser::source::Span;

#[doc(inline)]
pub use mig_abi::{Facts, TrailerField};

pub use self::form::{Extent, Form, Memory, Parts, Plain, Rights};
pub use self::message::{
    Check, Complex, InLine, Indirect, Message, MessageKind, Slot, SlotRole, Steps, TypeWord, TypedStep,
    UntypedStep,
};
pub use self::types::{CTypes, Member, PortType, Scalar, Type, TypeKind};
use crate::abi::Abi;

/// A subsystem.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The subsystem's name.
    pub name: String,
    /// The ABI that it is laid out for.
    pub abi: &'static Abi,
    /// Message id of its first routine.
    pub base: u32,
    /// One past its last id, counting trailing skips.
    pub end: u32,
    /// `subsystem KernelUser`
    pub kernel_user: bool,
    /// `subsystem KernelServer`
    pub kernel_server: bool,
    /// The name of the demux function.
    pub demux: String,
    /// What C's stubs include.
    pub imports: Vec<Import>,
    /// The routines, in the order of their ids; skipped ids have none.
    pub routines: Vec<Routine>,
    /// The comment before the subsystem statement.
    pub doc: Vec<String>,
    /// The subsystem statement.
    pub span: Span,
}

/// A file that C's stubs include.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Which stubs include it.
    pub kind: ImportKind,
    /// Its name with `"…"` or `<…>`.
    pub file: String,
}

impl Interface {
    /// The sizes and offsets in its messages: those of tasks, or those of a kernel that is one side of it.
    pub fn facts(&self) -> &'static Facts {
        if self.is_in_kernel() { &self.abi.facts_in_kernel } else { &self.abi.facts }
    }

    /// True if one side is a kernel, so that ports are addresses.
    pub fn is_in_kernel(&self) -> bool {
        self.kernel_user || self.kernel_server
    }

    /// The same with this before the names of both sides' functions and of the demux function, as MIG's
    /// option `-prefix` has it.
    pub(crate) fn with_prefix(mut self, prefix: &str) -> Self {
        for routine in &mut self.routines {
            routine.user.insert_str(0, prefix);
            routine.server.insert_str(0, prefix);
        }
        self.demux.insert_str(0, prefix);
        self
    }
}

/// A routine with its two messages.
#[derive(Clone, Debug)]
pub struct Routine {
    /// As declared.
    pub name: String,
    /// The message id of its request; the reply's is 100 more.
    pub id: u32,
    /// Its keyword.
    pub kind: RoutineKind,
    /// The C name of the client stub, prefixes applied.
    pub user: String,
    /// The C name of the server function, prefixes applied.
    pub server: String,
    /// Its arguments in order.
    pub args: Vec<Arg>,
    /// Index of the request port among them.
    pub request_port: usize,
    /// Index of the argument that carries the value of a `function`; it is the first one, named like the
    /// routine.
    pub result: Option<usize>,
    /// `waittime` in force, in milliseconds, if it has an effect on this routine.
    pub wait_time: Option<u32>,
    /// `sendtime` in force, in milliseconds.
    pub send_time: Option<u32>,
    /// `msgoption` in force: bits of `mach_msg`'s options.
    pub msg_option: Option<u32>,
    /// The request; without slots until `layout` has filled it in.
    pub request: Message,
    /// The reply of success; `None` for one-way kinds.
    pub reply: Option<Message>,
    /// Its comment.
    pub doc: Vec<String>,
    /// Its statement.
    pub span: Span,
}

/// An argument.
#[derive(Clone, Debug)]
pub struct Arg {
    /// As declared.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Its type.
    pub ty: Type,
    /// What it is to a programmer.
    pub form: Form,
    /// `dealloc`, in its three forms.
    pub dealloc: Dealloc,
    /// `countinout`: the request says how many elements of this result the client takes.
    pub count_in_out: bool,
    /// `retcode`: it takes the place of the return code.
    pub ret_code: bool,
    /// `servercopy`: a C server is told whether the array stands in the message.
    pub server_copy: bool,
    /// `samecount`: the array whose count this one shares.
    pub same_count: Option<usize>,
    /// `physicalcopy`
    pub physical_copy: bool,
    /// Its comment.
    pub doc: Vec<String>,
    /// All of it.
    pub span: Span,
}

/// What an argument is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Where the request goes.
    RequestPort,
    /// Where the reply goes.
    ReplyPort {
        /// The client gives it.
        client: bool,
        /// The server gets it.
        server: bool,
    },
    /// A value in the request.
    In,
    /// A value in the reply.
    Out,
    /// A value in both messages.
    InOut,
    /// How long the client waits for the reply, in milliseconds.
    WaitTime,
    /// How long the client waits until the request is sent, in milliseconds.
    SendTime,
    /// Bits of `mach_msg`'s options.
    MsgOption,
    /// What the kernel tells a receiver about a message: in the trailer, or in the header of a typed ABI.
    Trailer {
        /// The field.
        field: TrailerField,
        /// The client finds it at the reply.
        client: bool,
        /// The server finds it at the request.
        server: bool,
    },
}

impl Routine {
    /// The id of its reply.
    pub fn reply_id(&self) -> u32 {
        // Routines whose ids are too large have been reported, and are laid out nevertheless.
        self.id.saturating_add(REPLY_ID_OFFSET)
    }

    /// The first argument with a role that `wanted` is true for.
    pub fn find(&self, wanted: impl Fn(Role) -> bool) -> Option<&Arg> {
        self.args.iter().find(|arg| wanted(arg.role))
    }

    /// The arguments that come back, with their indices.
    pub fn results(&self) -> Vec<(usize, &Arg)> {
        self.args.iter().enumerate().filter(|(_, arg)| arg.in_reply()).collect()
    }

    /// The fields that the client finds in the trailer of the reply.
    pub fn client_trailer(&self) -> Vec<TrailerField> {
        let found = self.args.iter().filter_map(|arg| match arg.role {
            Role::Trailer { field, client: true, .. } => Some(field),
            _ => None,
        });
        found.collect()
    }

    /// The argument that stands for the return code of a request which carries nothing else: the flag
    /// `retcode` has an effect only in a complex message, where this argument is not in the body.
    pub fn ret_code(&self) -> Option<&Arg> {
        self.args.iter().find(|arg| arg.ret_code).filter(|_| self.request.complex == Complex::Always)
    }
}

impl Arg {
    /// One of the parts of an array whose elements are out of line, as if it were the argument.
    pub fn part(&self) -> Option<Arg> {
        let Form::Parts(parts) = &self.form else { return None };
        let (ty, _) = self.ty.parts()?;
        Some(Arg { form: (*parts.part).clone(), ty: ty.clone(), ..self.clone() })
    }

    /// True if its value travels in the request.
    pub fn in_request(&self) -> bool {
        matches!(self.role, Role::In | Role::InOut)
    }

    /// True if its value travels in the reply.
    pub fn in_reply(&self) -> bool {
        matches!(self.role, Role::Out | Role::InOut)
    }

    /// The field that the kernel adds to the request for the server, if the argument is one.
    pub fn server_trailer(&self) -> Option<TrailerField> {
        match self.role {
            Role::Trailer { field, server: true, .. } => Some(field),
            _ => None,
        }
    }
}

/// A reply's id is its request's plus this.
pub const REPLY_ID_OFFSET: u32 = 100;

/// True for the kinds that have no reply.
pub fn is_one_way(kind: RoutineKind) -> bool {
    matches!(kind, RoutineKind::SimpleRoutine | RoutineKind::SimpleProcedure)
}

/// Whether the sender's memory goes with the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dealloc {
    /// The sender keeps it.
    No,
    /// The message takes it.
    Yes,
    /// The caller decides: `dealloc[]`.
    RunTime,
}
