//! The names of the generated items, chosen once, so that no two are the same: the interface's own types and
//! functions first, then what is named after them, with an underscore at its end where it has to give way.

use std::collections::BTreeMap;

use proc_macro2::Ident;

use super::{names, type_names};
use crate::model::{Arg, Form, Interface, Role};

/// Names by the message id of the routine that they are for.
type OfRoutines = BTreeMap<u32, Ident>;

/// The names of an interface's items.
pub(super) struct ItemNames {
    /// The types by their C names.
    pub(super) types: BTreeMap<String, Ident>,
    /// The trait of servers.
    pub(super) server: Ident,
    /// The structures of several results: as they travel, and as a method returns them.
    pub(super) results: OfRoutines,
    pub(super) returned: OfRoutines,
    /// The demux function, and the function that makes a subsystem for a server loop.
    pub(super) demux: Ident,
    pub(super) adapter: Ident,
    /// What serves one routine, writes its results, and answers it later.
    pub(super) stubs: OfRoutines,
    pub(super) encoders: OfRoutines,
    pub(super) deferred: OfRoutines,
    /// The methods that translate.
    translations: BTreeMap<Translation, Ident>,
}

/// What a method translates. C calls one function whatever the types are; in Rust each of them has a method.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Translation {
    function: String,
    keyword: Keyword,
    /// The declared type of data. All rights are one: their names are translated.
    data: Option<String>,
    /// The type that it is translated to or from.
    translated: Option<String>,
}

/// Which of the words names a function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keyword {
    InTran,
    InTranPayload,
    OutTran,
}

impl Translation {
    fn of(arg: &Arg, keyword: Keyword, function: &str) -> Self {
        let is_right = keyword != Keyword::OutTran && matches!(arg.form, Form::Right(_));
        let data = (!is_right && keyword != Keyword::InTranPayload).then(|| arg.ty.name.clone()).flatten();
        Translation { function: function.to_owned(), keyword, data, translated: arg.ty.c.trans.clone() }
    }
}

impl ItemNames {
    pub(super) fn new(interface: &Interface) -> Self {
        let routines = || interface.routines.iter();
        let stem = interface.demux.strip_suffix("_server").unwrap_or(&interface.demux);

        let types = type_names(interface);
        let mut taken = Taken(types.values().cloned().collect());
        let server = names::camel(stem);
        let is_taken = taken.0.iter().any(|other| *other == server);
        let server = taken.next(&if is_taken { server + "Server" } else { server });
        let mut structures = |suffix: &str| {
            let name = |name: &str| names::camel(name) + suffix;
            routines().map(|routine| (routine.id, taken.next(&name(&routine.name)))).collect::<OfRoutines>()
        };
        let (results, returned) = (structures("Reply"), structures("Results"));

        let mut taken = Taken(routines().map(|routine| names::snake(&routine.user)).collect());
        // The adapter calls it, and has variables of these names.
        let functions = taken.0.len();
        taken.0.extend(["server", "request", "out"].map(names::ident));
        let demux = taken.next(&names::snake_text(&interface.demux));
        taken.0.drain(functions..functions + 3);
        let stem = names::snake_text(stem);
        let adapter = taken.next(&if demux == stem { stem + "_subsystem" } else { stem });
        let mut functions = |before: &str, after: &str| {
            let name = |name: &str| format!("{before}{}{after}", names::snake_text(name));
            routines().map(|routine| (routine.id, taken.next(&name(&routine.name)))).collect::<OfRoutines>()
        };
        let (stubs, encoders) = (functions("serve_", ""), functions("encode_", ""));
        let deferred = functions("", "_reply");

        let translations = translations(interface);
        Self { types, server, results, returned, demux, adapter, stubs, encoders, deferred, translations }
    }

    /// All methods that translate.
    pub(super) fn translations(&self) -> impl Iterator<Item = &Ident> {
        self.translations.values()
    }

    /// The method that stands for a C function where it translates this argument.
    pub(super) fn translation(&self, arg: &Arg, keyword: Keyword, function: &str) -> Ident {
        let method = self.translations.get(&Translation::of(arg, keyword, function));
        method.cloned().unwrap_or_else(|| names::snake(function))
    }
}

/// The methods that translate stand in one trait with those of the routines.
fn translations(interface: &Interface) -> BTreeMap<Translation, Ident> {
    let mut taken = Taken(interface.routines.iter().map(|routine| names::snake(&routine.name)).collect());
    let mut translations = BTreeMap::new();
    for arg in interface.routines.iter().flat_map(|routine| &routine.args) {
        let c = &arg.ty.c;
        let received = arg.in_request() || arg.role == Role::RequestPort;
        let functions = [
            (Keyword::InTran, c.in_tran.as_ref().filter(|_| received)),
            (Keyword::InTranPayload, c.in_tran_payload.as_ref().filter(|_| arg.role == Role::RequestPort)),
            (Keyword::OutTran, c.out_tran.as_ref().filter(|_| arg.in_reply())),
        ];
        for (keyword, function) in functions {
            let Some(function) = function else { continue };
            let name = || taken.next(&names::snake_text(function));
            translations.entry(Translation::of(arg, keyword, function)).or_insert_with(name);
        }
    }
    translations
}

/// Names that are in use.
struct Taken(Vec<Ident>);

impl Taken {
    /// A new name as near to the wanted one as can be.
    fn next(&mut self, wanted: &str) -> Ident {
        let name = names::unlike(wanted, &self.0);
        self.0.push(name.clone());
        name
    }
}
