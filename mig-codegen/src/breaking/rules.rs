//! The rules, with a page for each.

/// Whom a broken rule breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// Programs that were compiled against the old file: their messages are not understood, or understood as
    /// something else.
    Wire,
    /// Programs that are compiled again: their calls, or what these mean to them, change.
    Source,
}

impl Category {
    /// Its name: `wire` or `source`.
    pub fn name(self) -> &'static str {
        match self {
            Category::Wire => "wire",
            Category::Source => "source",
        }
    }
}

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, which it keeps for ever.
    pub name: &'static str,
    /// Whom a change against the rule breaks.
    pub category: Category,
    /// The rule in a sentence.
    pub title: &'static str,
    /// Why, and what to do.
    pub text: &'static str,
}

macro_rules! rules {
    ($($name:ident: $category:ident, $title:literal, $text:literal;)*) => {
        $(#[doc = $title]
        pub static $name: Rule =
            Rule { name: stringify!($name), category: Category::$category, title: $title, text: $text };)*
        /// All rules.
        pub static ALL: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    SUBSYSTEM_NO_DELETE: Wire, "a subsystem stays",
        "A file that declared a subsystem is gone, or declares none any more. Whoever speaks it is answered\n\
         MIG_BAD_ID, or not at all.";
    ROUTINE_SAME_ID: Wire, "a routine keeps its message id",
        "The id of a request is the subsystem's number plus the routine's place in the file. A routine that was\n\
         inserted, removed or moved changes the ids of all that follow. New routines belong at the end; what is\n\
         removed leaves a `skip;` in its place.";
    ROUTINE_NO_DELETE_WITHOUT_SKIP: Wire, "the id of a removed routine is not given to another one",
        "Old clients still send the request, and the server takes it for another routine's. Leave a `skip;`\n\
         where the routine was.";
    ROUTINE_NO_DELETE: Source, "a routine stays",
        "Its id is not in use any more, so old clients are answered MIG_BAD_ID; programs that call the routine\n\
         do not compile.";
    ROUTINE_SAME_NAME: Source, "a routine keeps its name",
        "The message is the same, so compiled programs do not notice; the functions have another name.";
    KIND_SAME: Wire, "what has a reply keeps it, and what has none gets none",
        "The client of a `routine` waits for a reply; that of a `simpleroutine` does not, and gives no right to\n\
         send one.";
    MESSAGE_SAME_SLOTS: Wire, "a message has the same pieces in the same order",
        "An argument was added, removed or moved, or travels in another way (in the message, out of line, as a\n\
         right). A receiver compares each piece with its own declaration, and refuses the message. Declare a\n\
         new routine, and keep the old one.";
    SLOT_SAME_OFFSET: Wire, "a piece of a message stays where it is",
        "Something before it has another size. Only the first such piece of a message is told.";
    SLOT_SAME_TYPE: Wire, "a piece of a message keeps its type",
        "The size of the data, the size of an element, or what its type word or descriptor says is another one,\n\
         and the receiver compares these.";
    LIMIT_NO_SHRINK: Wire, "an array may have as many elements as before",
        "Compiled clients send arrays up to the old limit, and the server refuses what is longer.";
    ARG_SAME_DISPOSITION: Wire, "a right travels as before",
        "What the sender does with the right (move, copy, make), or what the receiver gets, is another thing:\n\
         one side loses a right, or has one too many.";
    ARG_SAME_DEALLOC: Wire, "the sender's memory is its own, or the message's, as before",
        "With `dealloc` the kernel takes the memory from the sender. A caller that does not know loses memory,\n\
         or frees what is gone.";
    COMPILED_SAME_SHAPE: Wire, "a compiled server has the arguments and replies of the file",
        "The table that Apple's stubs leave in a program says how many words the arguments of a routine's\n\
         function are, and how large its reply can be. Where the file says something else, the program was not\n\
         compiled from it, or not for this ABI. The table has no more: other changes are not seen in it.";
    CALL_SAME_ARGUMENTS: Source, "a call has the same arguments",
        "Callers give one argument too few, or one too many.";
    ARG_SAME_NAME: Source, "an argument keeps its name",
        "Named arguments of Rust's traits and structures of results change with it. Messages do not.";
    ARG_SAME_TYPE: Source, "an argument keeps the type that programmers see",
        "The bytes may be the same, but the declared type, its `ctype` or its translation is another one.";
    TIMEOUT_SAME: Source, "a call waits as long as before",
        "`waittime`, `sendtime` or `msgoption` in force for the routine has changed. What callers see is\n\
         MACH_RCV_TIMED_OUT or MACH_SEND_TIMED_OUT where there was none, or the other way round.";
}

/// The rule of this name, in any case.
pub fn by_name(name: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.name.eq_ignore_ascii_case(name))
}
