//! What each code of a diagnostic means, for `mig explain` and the page `docs/book/errors.md`.

/// A code: what is wrong, and what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// `MIG` and four digits.
    pub code: &'static str,
    /// What is wrong.
    pub title: &'static str,
    /// Why that is so, and what to do.
    pub text: &'static str,
}

/// The explanation of a code, in any case and with or without `MIG` in front.
pub fn explain(code: &str) -> Option<&'static Explanation> {
    let code = code.trim().to_ascii_uppercase();
    let digits = code.strip_prefix("MIG").unwrap_or(&code);
    ALL.iter().find(|explanation| &explanation.code[3..] == digits)
}

/// All codes as a page.
pub fn page() -> String {
    let mut page = String::from(
        "# Errors and warnings\n\n\
         `mig explain CODE` prints these at the prompt. A code keeps its meaning for ever. `MIG01xx` come\n\
         from the preprocessor, `MIG02xx` from the grammar, `MIG03xx` from what the declarations mean,\n\
         `MIG04xx` from the lints of `mig check`, `MIG05xx` from the generator.\n",
    );
    for Explanation { code, title, text } in ALL {
        page += &format!("\n## {code}: {title}\n\n{text}\n");
    }
    page
}

const fn of(code: &'static str, title: &'static str, text: &'static str) -> Explanation {
    Explanation { code, title, text }
}

/// All of them, by their numbers.
pub const ALL: &[Explanation] = &[
    of(
        "MIG0100",
        "the file cannot be read",
        "The file on the command line or in the build script is missing, is a folder, or may not be read.",
    ),
    of(
        "MIG0101",
        "an included file is not found",
        "It is in no folder that was searched: `\"…\"` is searched beside the file that includes it,\n\
         then as `<…>` in those of `-I` (`Config::include_dir`), in their order. Types that are unknown\n\
         because of it are not reported on their own.",
    ),
    of(
        "MIG0102",
        "files include one another too deep",
        "64 files are open, most likely a cycle; the help shows it. Guard the files with `#ifndef`, or\n\
         include them by `#import`.",
    ),
    of(
        "MIG0103",
        "this is no directive",
        "The word after `#` is unknown, or what must follow it is missing.",
    ),
    of(
        "MIG0104",
        "an `#else`, `#elif` or `#endif` belongs to nothing",
        "No `#if` is open in this file, or its `#else` has passed.",
    ),
    of("MIG0105", "a conditional is not closed", "Each `#if` needs an `#endif` in the same file."),
    of(
        "MIG0106",
        "this is not an expression of `#if`",
        "C's integer expressions are allowed, `defined`, and `__has_include` and its kin with an\n\
         operand in parentheses.",
    ),
    of(
        "MIG0107",
        "division by zero in an `#if`",
        "The divisor has the value 0; a name that is no macro counts as 0.",
    ),
    of(
        "MIG0108",
        "this `#define` defines no macro",
        "A name is missing or is an operator, a parameter is named twice, or `#`, `##` or `__VA_OPT__`\n\
         stand where they mean nothing.",
    ),
    of(
        "MIG0109",
        "a macro is defined again",
        "A warning: from here on the macro has another value. An `#undef` before the line says that this is\n\
         wanted.",
    ),
    of(
        "MIG0110",
        "a macro is not called as it is defined",
        "The number of arguments differs, or the call has no `)`.",
    ),
    of("MIG0111", "`##` makes no token", "Both sides together must be one name, number or sign."),
    of(
        "MIG0112",
        "the file says that it is wrong",
        "An `#error`, or a name that a `#pragma GCC poison` forbids. Often a macro is missing that\n\
         makefiles give: see `-D` and `-imacros`.",
    ),
    of("MIG0113", "the file warns", "A `#warning`."),
    of("MIG0114", "a comment is not closed", "No `*/` follows in this file."),
    of(
        "MIG0115",
        "macros make too much",
        "More than a million tokens, or calls nested 64 deep: a macro that doubles itself, most likely.",
    ),
    of(
        "MIG0116",
        "there is too much input",
        "More text, names, tokens or files than any interface has. Most likely the file is something else.",
    ),
    of("MIG0117", "an option defines no macro", "What stands after `-D` or `-U` is not a name of C."),
    of(
        "MIG0118",
        "a name in an `#if` is no macro",
        "A warning: the name's value decides, and it counts as 0. A macro of the target is misspelled,\n\
         or one of the build must be given with `-D`. A plain switch, as in `#if KERNEL`, may be\n\
         undefined.",
    ),
    of("MIG0200", "a character is not of the language", "It stands outside of comments and strings."),
    of(
        "MIG0201",
        "something else was expected",
        "The label says what could stand here. Parsing goes on after the statement, and in a structure\n\
         after the member.",
    ),
    of(
        "MIG0202",
        "a number is not decimal",
        "MIG knows decimal numbers only: `0x10` would be the number 0 and a name.",
    ),
    of("MIG0203", "a number is too large", "Numbers have 32 bits."),
    of(
        "MIG0204",
        "unknown type",
        "No declaration stands above this line. `int` and its kin are built into GNU MIG; elsewhere\n\
         `mach/std_types.defs` declares them.",
    ),
    of("MIG0205", "types or expressions are nested too deep", "64 levels are allowed."),
    of("MIG0206", "a quote is not closed", "The line ends before the string does."),
    of("MIG0207", "division by zero", "In the size of an array."),
    of("MIG0208", "the file is not UTF-8", "Outside of comments only ASCII means something."),
    of("MIG0209", "too many errors", "The rest is not looked at."),
    of(
        "MIG0301",
        "a type is declared twice",
        "An error in GNU MIG, where built-in types count too: `--abi gnu-i386-2021` takes files of\n\
         before 2022, which declare `int`. In other dialects a warning: the second declaration wins.",
    ),
    of(
        "MIG0302",
        "a type is too complicated",
        "An array of variable arrays, memory out of line inside memory out of line, or too many types\n\
         in one another: no MIG has a message for it.",
    ),
    of(
        "MIG0303",
        "unknown message type",
        "This dialect has no message type of this name; Mach 2.5 (`--abi mach-25`) calls them `MSG_TYPE_…`.",
    ),
    of("MIG0304", "a size is needed", "This message type has no size of its own: write `(NAME, bits)`."),
    of(
        "MIG0305",
        "the sides of `A|B` do not go together",
        "What is sent and what is received must have one size, and be rights both or data both.",
    ),
    of(
        "MIG0306",
        "a strange size",
        "The size is not the one that the message type implies. A warning for data, an error for ports.",
    ),
    of("MIG0307", "nothing, or parts of a byte", "A message has whole bytes."),
    of(
        "MIG0308",
        "a variable array is translated",
        "`intran`, `outtran` and `destructor` are for single values.",
    ),
    of(
        "MIG0309",
        "the element of a variable array has no name",
        "Declare the element first: `type element = …;`.",
    ),
    of("MIG0310", "no type word can describe this type", "It has more elements than the word has room for."),
    of("MIG0311", "the short form is too small", "`isnotlong` stands where the count does not fit."),
    of(
        "MIG0312",
        "data of fixed size out of line",
        "A warning: the C stubs for typed messages announce 0 elements, so no kernel carries any. Rust's\n\
         stubs take the type for an array whose type word says how many come: none from a C stub. With\n\
         `^array[] of element` C says so, too. The stubs of Mach 2.5 announce all elements, and refuse any\n\
         other number: so do Rust's, and there is no warning.",
    ),
    of(
        "MIG0313",
        "a structure cannot have this member",
        "Members are inline data of fixed size: rights and variable arrays need places of their own in\n\
         a message.",
    ),
    of("MIG0314", "two C types for one", "A warning: the last one counts."),
    of(
        "MIG0315",
        "a flag does nothing here",
        "A warning: it is repeated, is cancelled by another, or is not needed.",
    ),
    of(
        "MIG0316",
        "a second subsystem",
        "A file declares one. A warning where the dialect lets the last one count.",
    ),
    of(
        "MIG0317",
        "the subsystem is declared too late",
        "GNU MIG knows no types before it: move the statement up.",
    ),
    of(
        "MIG0318",
        "no subsystem is declared",
        "Write `subsystem NAME BASE;` with the id of the first message. `mig check` takes files of\n\
         types only.",
    ),
    of(
        "MIG0319",
        "not in this dialect",
        "The dialect of `--abi` refuses this construct, or takes it without effect (a warning).",
    ),
    of(
        "MIG0320",
        "a routine has no request port",
        "Its first argument without a direction is the port to which the message goes.",
    ),
    of("MIG0321", "this cannot be the request port", "It must be one send or send-once right."),
    of("MIG0322", "this cannot be a reply port", "It must be one send or send-once right."),
    of("MIG0323", "a number was expected", "Times, options and sequence numbers are integers of 32 bits."),
    of("MIG0324", "two arguments for one role", "A warning: the last one counts."),
    of(
        "MIG0325",
        "a one-way message has no results",
        "Declare a `routine`, or send the value in another message.",
    ),
    of(
        "MIG0326",
        "a variable array cannot be `inout`",
        "Its size would change on the way: declare an `in` and an `out` argument.",
    ),
    of("MIG0327", "a flag means nothing for this argument", "A warning: it is ignored."),
    of("MIG0328", "a routine is declared twice", "Names of routines are unique in a subsystem."),
    of(
        "MIG0329",
        "a name is used twice",
        "Two arguments of a routine, or two members of a structure, have one name.",
    ),
    of(
        "MIG0330",
        "the message ids are too large",
        "Ids are signed numbers of 32 bits, and replies have 100 more.",
    ),
    of("MIG0331", "a message is too large", "Its size does not fit the header."),
    of(
        "MIG0332",
        "a translation is missing",
        "A warning: the type is translated, but the function for this direction is not given.",
    ),
    of(
        "MIG0333",
        "this cannot be the return code",
        "`retcode` marks one integer that a `simpleroutine` sends.",
    ),
    of("MIG0334", "no count to share", "`samecount` needs a variable array of the same direction before it."),
    of("MIG0335", "a native C type cannot be sent", "Its size is not known, or it has no value."),
    of(
        "MIG0336",
        "not a size for this type",
        "`extern_type` gives a size in C to a type whose messages have no room for another one. It is for\n\
         plain data of fixed size on the untyped ABIs, where C's stubs copy whole structures.",
    ),
    of("MIG0390", "not generated yet", "The declaration is right, but no code is made for it."),
    of(
        "MIG0401",
        "nothing uses a type",
        "A warning of `mig check`: the file declares the type, and no argument and no other type is made of\n\
         it. Types of included files are left out. The comment `/* mig: allow(unused-type) */`, directly\n\
         before the declaration, says that it is there on purpose.",
    ),
    of(
        "MIG0402",
        "a request has the id of a reply",
        "A warning of `mig check`: a reply's id is that of its request and 100 more, so in a subsystem of\n\
         more than 100 ids a request and a reply can have the same. A task that receives both on one port\n\
         cannot tell them apart. `skip` over the ids, begin another subsystem, or allow it by the comment\n\
         `/* mig: allow(reply-id) */`, directly before the routine. The first such routine is shown.",
    ),
    of(
        "MIG0403",
        "nothing limits an argument",
        "A warning of `mig check --pedantic`: `array[] of`, `array[*] of` and `^array[] of` in a request\n\
         bring as many elements as the sender likes, and out of line that is as much as it has memory. Many of\n\
         Mach's own interfaces have such arguments. Declare a limit, `array[*:N] of`, which stubs check, or\n\
         look at the length first, and say so with `/* mig: allow(unbounded) */` before the routine, before\n\
         the type, or before the subsystem for the whole file. The first argument of each type is shown.",
    ),
    of(
        "MIG0404",
        "a C compiler makes a wrong stub of an argument",
        "A warning of `mig check`: the declaration is right, and the stubs here are, too; but the other side\n\
         may be made by the C compiler of the ABI. GNU MIG misplaces what follows a bounded array in the\n\
         message if its most bytes are not a multiple of an address's; since 2023 its server of a bounded\n\
         array that follows another variable result does not compile, and neither do its stubs of an array of\n\
         rights of fixed size in the message. With `--pedantic` there is also a warning of what a function of\n\
         a server in C has to look at by itself, since its stub does not: the count of a bounded array in a\n\
         request (GNU, CMU, OSF), and that a string of variable length in a reply ends (OSF, Apple). If no\n\
         side is made by a C compiler, write `/* mig: allow(c-compiler) */` before the routine, the type or\n\
         the subsystem.",
    ),
    of(
        "MIG0405",
        "a routine has the place of one that was deleted",
        "A warning of `mig check --against OLD`, where OLD is a file as it was, or its table by\n\
         `mig abi --json`: a routine was deleted, and all that follow have moved. Clients that were compiled\n\
         before call other routines than they mean. `skip;` in its place keeps the ids. The first routine that\n\
         moved is shown; `/* mig: allow(no-skip) */` before it allows it. `mig breaking` compares everything\n\
         else.",
    ),
    of(
        "MIG0406",
        "a type is translated with some macros only",
        "A warning of `mig check --beside MACRO`, which reads each file a second time with that macro: one of\n\
         the two readings has an `intran`, `outtran`, `destructor` or `intranpayload` of the type, and the\n\
         other has not. A macro that is meant to choose names (`KERNEL_SERVER`) may so choose, unnoticed,\n\
         whether a server is handed objects or bare ports. `/* mig: allow(lost-translation) */` before the type\n\
         says that it is meant.",
    ),
    of(
        "MIG0502",
        "an argument is not generated yet",
        "No MIG, or only a C compiler's, makes a stub for it, or its form in Rust does not exist yet.\n\
         `mig abi` still shows its messages.",
    ),
    of(
        "MIG0503",
        "only a C compiler knows this value",
        "The macro is not defined here: give it with `-D`. Names of `mach/message.h` are known.",
    ),
    of(
        "MIG0504",
        "not for an object of the kernel",
        "With `kernel_objects` each routine waits for a reply and sends three descriptors at most.",
    ),
    of(
        "MIG0505",
        "`extern_type` names nothing",
        "A warning: the interface has no type of this name, no `ctype` and no translated type.",
    ),
];
