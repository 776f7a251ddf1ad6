//! The syntax tree: what a `.defs` file says, in its own order and with spans, before anything is resolved.

use std::collections::BTreeSet;

use crate::source::Span;

/// A whole file after preprocessing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ast {
    /// The statements in order; those with syntax errors are left out.
    pub statements: Vec<Statement>,
    /// The types whose declarations have syntax errors. They are not in the tree, but a statement that uses
    /// one is not wrong for that.
    pub wrong_types: Vec<String>,
    /// The end of the file.
    pub end: Span,
}

impl Ast {
    /// The names of all types that are declared, as statements and in arguments, and of the C types that they
    /// mention.
    pub fn type_names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for decl in self.statements.iter().flat_map(|statement| declarations(&statement.kind)) {
            names.insert(decl.name.name.as_str());
            for option in &decl.spec.options {
                names.extend(option.kind.c_types().into_iter().map(|ident| ident.name.as_str()));
            }
        }
        names
    }
}

/// The types that a statement declares.
fn declarations(statement: &StatementKind) -> Vec<&TypeDecl> {
    match statement {
        StatementKind::Type(decl) => vec![decl],
        StatementKind::Routine(routine) => {
            let types = routine.arguments.iter().map(|argument| &argument.ty).chain(&routine.result);
            types
                .filter_map(|ty| if let ArgumentType::Declared(decl) = ty { Some(decl) } else { None })
                .collect()
        }
        _ => Vec::new(),
    }
}

impl TypeOptionKind {
    /// The C types that the options after it name.
    fn c_types(&self) -> Vec<&Ident> {
        match self {
            Self::InTran { trans, server, .. } | Self::OutTran { trans, server, .. } => vec![trans, server],
            Self::Destructor { trans, .. } | Self::InTranPayload { trans, .. } => vec![trans],
            Self::CType(name) | Self::CUserType(name) | Self::CServerType(name) => vec![name],
        }
    }
}

/// One statement, up to its `;`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it says.
    pub kind: StatementKind,
    /// From its first token to its last.
    pub span: Span,
    /// The comment directly before it, a line an entry, without comment marks.
    pub doc: Vec<String>,
}

/// The statements of all dialects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatementKind {
    /// `subsystem name base`
    Subsystem(Subsystem),
    /// `waittime X`; `None` is `nowaittime`.
    WaitTime(Option<Text>),
    /// `sendtime X`; `None` is `nosendtime`.
    SendTime(Option<Text>),
    /// `msgoption X`
    MsgOption(Text),
    /// `msgtype X`
    MsgType(Text),
    /// `msgkind X`
    MsgKind(Text),
    /// `serverprefix X`
    ServerPrefix(Ident),
    /// `userprefix X`
    UserPrefix(Ident),
    /// `serverdemux X`
    ServerDemux(Ident),
    /// `error X`
    Error(Ident),
    /// `usespecialreplyport N`
    UseSpecialReplyPort(Number),
    /// `consumeonsenderror X`
    ConsumeOnSendError(Text),
    /// `UserTypeLimit N`
    UserTypeLimit(Number),
    /// `OnStackLimit N`
    OnStackLimit(Number),
    /// `type name = …`
    Type(TypeDecl),
    /// `routine …` and its kin
    Routine(Routine),
    /// `skip` or `skip N`
    Skip(Option<Number>),
    /// `import <…>` and its kin
    Import(Import),
    /// `rcsid "…"`
    RcsId(Text),
}

/// A name with the place where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ident {
    /// The name as spelled.
    pub name: String,
    /// Its place.
    pub span: Span,
}

/// An integer, or an integer expression already computed as MIG does: unsigned, 32 bits, wrapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// The value.
    pub value: u32,
    /// The expression's place.
    pub span: Span,
}

/// A token whose text is taken as it stands: a time-out, a file name with its quotes or brackets, a quoted
/// string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Its place.
    pub span: Span,
}

/// `subsystem [kernelserver|kerneluser] name base`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subsystem {
    /// The modifiers in order.
    pub modifiers: Vec<(SubsystemModifier, Span)>,
    /// The subsystem's name.
    pub name: Ident,
    /// The message id of its first routine.
    pub base: Number,
}

/// Which side of a subsystem lives in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubsystemModifier {
    /// `kerneluser`
    KernelUser,
    /// `kernelserver`
    KernelServer,
    /// `kernel`, of Mach 2.5: the server.
    Kernel,
}

/// `import`, `uimport`, `simport`, `iimport`, `dimport`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Which outputs the C compiler includes it in.
    pub kind: ImportKind,
    /// The file name with its `"…"` or `<…>`.
    pub file: Text,
}

/// The import keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportKind {
    /// `import`: both sides.
    Both,
    /// `uimport`: the client.
    User,
    /// `simport`: the server.
    Server,
    /// `iimport`: implementation files.
    Internal,
    /// `dimport`: definition headers.
    Define,
}

/// `type name = spec`, as a statement or inside an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeDecl {
    /// The new name.
    pub name: Ident,
    /// What it stands for.
    pub spec: TypeSpec,
}

/// A type with its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSpec {
    /// The type proper.
    pub kind: TypeKind,
    /// `intran:`, `ctype:` and so on, in order.
    pub options: Vec<TypeOption>,
    /// All of it.
    pub span: Span,
}

/// The type forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    /// A message type name or number, short or long form.
    Basic(Basic),
    /// A declared name.
    Named(Ident),
    /// `array[…] of element`
    Array {
        /// What stands in the brackets.
        bound: Bound,
        /// The element.
        element: Box<TypeSpec>,
    },
    /// `struct[N] of element`
    StructArray {
        /// How many.
        count: Number,
        /// The element.
        element: Box<TypeSpec>,
    },
    /// `^ type`: out of line.
    Pointer(Box<TypeSpec>),
    /// `c_string[…]`
    CString(Bound),
    /// `struct { type name; … }`
    Struct(Vec<Member>),
    /// Apple's `PointerTo (…)`, `PointerToIfNot (…, …)`, `ValueOf (…)`
    Native(Native),
}

/// `NAME`, `IN|OUT`, `(NAME, bits, flags)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    /// The name that the sender uses, and the receiver too unless `receiver` is given.
    pub sender: IpcName,
    /// The name after `|`.
    pub receiver: Option<IpcName>,
    /// The element size in bits of the long form.
    pub bits: Option<Number>,
    /// The flags inside the parentheses of the long form.
    pub flags: Vec<Flag>,
}

/// A message type: a number, `polymorphic`, or `MACH_MSG_TYPE_…` (in Mach 2.5 `MSG_TYPE_…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpcName {
    /// A bare number.
    Number(Number),
    /// The keyword `polymorphic`.
    Polymorphic(Span),
    /// `MACH_MSG_TYPE_…` or `MSG_TYPE_…`, complete and as spelled.
    Symbol(Ident),
}

/// What stands in the brackets of an array or a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `[N]`
    Fixed(Number),
    /// `[*:N]`
    UpTo(Number),
    /// `[]` or `[*]`
    Unbounded,
}

/// A member of `struct { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its declared type.
    pub ty: Ident,
    /// Its name.
    pub name: Ident,
}

/// Apple's native types: identifiers that only a C compiler understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Native {
    /// `PointerTo ( words )`
    PointerTo(Vec<Ident>),
    /// `PointerToIfNot ( words , bad value )`
    PointerToIfNot(Vec<Ident>, Vec<Ident>),
    /// `ValueOf ( words )`
    ValueOf(Vec<Ident>),
}

/// An option after a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeOption {
    /// Which one.
    pub kind: TypeOptionKind,
    /// All of it.
    pub span: Span,
}

/// The options after a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeOptionKind {
    /// `intran: TransType function ( ServerType )`
    InTran {
        /// The translated type.
        trans: Ident,
        /// The conversion.
        function: Ident,
        /// The type in the message.
        server: Ident,
    },
    /// `outtran: ServerType function ( TransType )`
    OutTran {
        /// The type in the message.
        server: Ident,
        /// The conversion.
        function: Ident,
        /// The translated type.
        trans: Ident,
    },
    /// `destructor: function ( TransType )`
    Destructor {
        /// The function that ends a translated value.
        function: Ident,
        /// The translated type.
        trans: Ident,
    },
    /// `intranpayload: TransType function`
    InTranPayload {
        /// The translated type.
        trans: Ident,
        /// The conversion from a protected payload.
        function: Ident,
    },
    /// `ctype: T`
    CType(Ident),
    /// `cusertype: T`
    CUserType(Ident),
    /// `cservertype: T`
    CServerType(Ident),
}

/// `routine name ( … )`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routine {
    /// The keyword.
    pub kind: RoutineKind,
    /// Its name.
    pub name: Ident,
    /// Its arguments in order.
    pub arguments: Vec<Argument>,
    /// The result type of a `function`.
    pub result: Option<ArgumentType>,
}

/// The routine keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RoutineKind {
    /// `routine`: a request and a reply.
    Routine,
    /// `simpleroutine`: a request only.
    SimpleRoutine,
    /// `procedure`: as `routine`, errors go to the error procedure.
    Procedure,
    /// `simpleprocedure`: as `simpleroutine`, errors go to the error procedure.
    SimpleProcedure,
    /// `function`: returns a value.
    Function,
}

/// `[direction] name : type, flags`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The direction keyword, if there is one.
    pub direction: Option<(Direction, Span)>,
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: ArgumentType,
    /// The flags after it.
    pub flags: Vec<Flag>,
    /// The comment before it.
    pub doc: Vec<String>,
    /// All of it.
    pub span: Span,
}

/// The type of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentType {
    /// A declared type.
    Named(Ident),
    /// `T = spec`, for this argument only.
    Declared(TypeDecl),
    /// An Apple native type.
    Native(Native, Span),
}

/// The direction keywords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // one variant a keyword, named as it
pub enum Direction {
    In,
    Out,
    InOut,
    RequestPort,
    ReplyPort,
    SReplyPort,
    UReplyPort,
    WaitTime,
    SendTime,
    MsgOption,
    MsgSeqno,
    MsgType,
    MsgKind,
    SecToken,
    ServerSecToken,
    UserSecToken,
    AuditToken,
    ServerAuditToken,
    UserAuditToken,
    ServerContextToken,
    ServerImpl,
    UserImpl,
}

/// `, flag` or `, dealloc[]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Which one.
    pub kind: FlagKind,
    /// True with `[]`.
    pub run_time: bool,
    /// Its place.
    pub span: Span,
}

/// The flags of arguments and long-form types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // one variant a keyword, named as it
pub enum FlagKind {
    IsLong,
    IsNotLong,
    Dealloc,
    NotDealloc,
    ServerCopy,
    CountInOut,
    RetCode,
    SameCount,
    PhysicalCopy,
    Overwrite,
    Auto,
    Const,
}
