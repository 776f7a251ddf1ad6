//! Names that are different in C and would be one in Rust, which writes all functions, arguments and fields
//! in `snake_case`.
//!
//! The name that is written so already keeps it, else the first; each further one gets a number: `GetPort`
//! and `get_port` become `get_port_2` and `get_port`. A name of underscores only is `unnamed`.

use std::collections::BTreeSet;

use proc_macro2::Ident;

use super::names::{snake, snake_text};
use crate::model::{Interface, Member};

/// The interface with the names of its routines and arguments told apart.
pub(super) fn told_apart(interface: &Interface) -> Interface {
    let mut interface = interface.clone();
    let routines = &mut interface.routines;
    rename(routines.iter_mut().map(|routine| &mut routine.name), &[]);
    rename(routines.iter_mut().map(|routine| &mut routine.user), &[]);
    for routine in routines {
        rename(routine.args.iter_mut().map(|arg| &mut arg.name), &[]);
    }
    interface
}

/// The fields of a structure. `padding_8` and the like are the names of what lies between them.
pub(super) fn fields(members: &[Member]) -> Vec<Ident> {
    let ends = members.iter().map(|Member { offset, ty, .. }| offset + ty.bytes());
    let padding: Vec<String> = ends.map(|end| format!("padding_{end}")).collect();
    let mut names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    rename(names.iter_mut(), &padding);
    names.iter().map(|name| snake(name)).collect()
}

/// Gives new names to those that would be the same as another one in Rust, or as one of `taken`.
fn rename<'n>(names: impl Iterator<Item = &'n mut String>, taken: &[String]) {
    let mut taken: BTreeSet<String> = taken.iter().cloned().collect();
    let (exact, others): (Vec<_>, Vec<_>) = names.partition(|name| **name == snake_text(name));
    for name in exact.into_iter().chain(others) {
        let wanted = snake_text(name);
        if taken.insert(wanted.clone()) {
            continue;
        }
        *name = numbered(&wanted, |candidate| taken.contains(candidate));
        taken.insert(name.clone());
    }
}

/// The first of `name_2`, `name_3` and so on that is not taken.
fn numbered(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let candidates = (2u64..).map(|number| format!("{name}_{number}"));
    candidates.into_iter().find(|candidate| !is_taken(candidate)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(names: &[&str], taken: &[&str]) -> Vec<String> {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let taken: Vec<String> = taken.iter().map(|name| (*name).to_owned()).collect();
        rename(names.iter_mut(), &taken);
        names
    }

    #[test]
    fn the_name_in_rusts_form_keeps_it() {
        assert_eq!(
            renamed(&["GetPort", "get_port", "get__port"], &[]),
            ["get_port_2", "get_port", "get_port_3"]
        );
        assert_eq!(renamed(&["base", "BASE", "Base", "base_2"], &[]), ["base", "base_3", "base_4", "base_2"]);
        assert_eq!(renamed(&["_", "__", "a"], &[]), ["_", "unnamed_2", "a"]);
        assert_eq!(renamed(&["self", "self_"], &[]), ["self", "self_2"]);
        assert_eq!(renamed(&["padding_4", "x"], &["padding_4"]), ["padding_4_2", "x"]);
    }
}
