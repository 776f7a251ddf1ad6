//! The preprocessor against the C compiler's on programs of macros that are drawn at random: what both take
//! has the same tokens, and what one refuses the other refuses.

use std::fs;
use std::path::Path;
use std::process::Command;

use mig_parser::{FileSystem, Memory, Options, preprocessed};

/// A linear congruential generator: the same programs on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// The names of macros. Few, so that they meet each other; some are parameters, too.
const MACROS: &[&str] = &["A", "B", "C", "D", "EMPTY", "F", "G", "H", "CAT", "x"];
const PARAMETERS: &[&str] = &["x", "y", "z"];
const PLAIN: &[&str] =
    &["a", "b", "1", "02", "0x1f", "'c'", "\"s\\\"t\"", "+", "->", "<", ">", "=", ".", "-", "%"];
const PREDEFINED: &[&str] = &["__LINE__", "__COUNTER__", "__FILE__", "__INCLUDE_LEVEL__", "__DATE__NOT"];

/// A program: directives and lines of text.
fn program(random: &mut Random) -> String {
    let mut text = String::new();
    let mut open = 0;
    for _ in 0..12 + random.below(24) {
        match random.below(12) {
            0..5 => text += &definition(random),
            5 => text += &format!("#undef {}\n", random.one_of(MACROS)),
            6 => {
                text += &format!("#if {}\n", condition(random, 3));
                open += 1;
            }
            7 if open > 0 && random.chance(30) => text += &format!("#elif {}\n", condition(random, 2)),
            7 if open > 0 => {
                text += "#endif\n";
                open -= 1;
            }
            8 if random.chance(30) => {
                let name = random.one_of(MACROS);
                let word = random.one_of(&["push_macro", "pop_macro"]);
                text += &match random.chance(50) {
                    true => format!("#pragma {word}(\"{name}\")\n"),
                    false => format!("_Pragma(\"{word}(\\\"{name}\\\")\")\n"),
                };
            }
            _ => text += &format!("{} ;\n", words(random, 6, &[], false)),
        }
    }
    for _ in 0..open {
        text += "#endif\n";
    }
    // Calls that the end of the file leaves open are errors in both.
    text + "end\n"
}

fn definition(random: &mut Random) -> String {
    let name = random.one_of(MACROS);
    // A second definition would be an error in one of them.
    let mut text = format!("#undef {name}\n#define {name}");
    if random.chance(30) {
        return text + " " + &words(random, 4, &[], false) + "\n";
    }
    let count = random.below(4);
    let mut parameters: Vec<&str> = PARAMETERS[..count].to_vec();
    let rest = match random.below(4) {
        0 => Some(("...", "__VA_ARGS__")),
        1 => Some(("rest...", "rest")),
        _ => None,
    };
    let mut list: Vec<&str> = parameters.clone();
    if let Some((written, name)) = rest {
        list.push(written);
        parameters.push(name);
    }
    text += &format!("({}) ", list.join(if random.chance(50) { ", " } else { "," }));
    text += &words(random, 7, &parameters, rest.is_some_and(|(written, _)| written == "..."));
    text + "\n"
}

/// Some words; in a replacement list with its parameters and operators.
fn words(random: &mut Random, most: usize, parameters: &[&str], variadic: bool) -> String {
    let mut text = String::new();
    for _ in 0..random.below(most + 1) {
        match random.below(14) {
            0..3 if !parameters.is_empty() => text += random.one_of(parameters),
            3 if !parameters.is_empty() => {
                text += &format!("#{}{}", random.one_of(&["", " "]), random.one_of(parameters));
            }
            4 if !parameters.is_empty() => {
                let (left, right) = (random.one_of(parameters), random.one_of(parameters));
                let left = random.one_of(&["a", "x", "y", "A", "1", left]);
                text += &format!("{left} ## {}", random.one_of(&["b", "2", "x", right]));
            }
            5 if parameters.len() > 1 && (variadic || parameters.contains(&"rest")) => {
                text += &format!("(q, ## {})", parameters[parameters.len() - 1]);
            }
            6 if variadic => {
                text += &format!("__VA_OPT__({})", random.one_of(&["", ",", "x y", "a ## b", "A"]))
            }
            7..9 => text += &call(random, parameters),
            9 => text += random.one_of(PREDEFINED),
            10 => text += random.one_of(MACROS),
            _ => text += random.one_of(PLAIN),
        }
        text += random.one_of(&[" ", " ", "  ", "\t", " /* c */ "]);
    }
    text
}

/// A call of a macro, perhaps with arguments that are none.
fn call(random: &mut Random, parameters: &[&str]) -> String {
    let mut text = format!("{}{}(", random.one_of(MACROS), random.one_of(&["", " ", ""]));
    for index in 0..random.below(4) {
        if index > 0 {
            text += ",";
        }
        match random.below(8) {
            0 => {}
            1 => text += "(a, b)",
            2 => text += random.one_of(MACROS),
            3 => {
                text += &format!("{}({})", random.one_of(MACROS), random.one_of(&["", "1", "a, b", "EMPTY"]))
            }
            4 if !parameters.is_empty() => text += random.one_of(parameters),
            5 => text += random.one_of(&["a  b", " a ", "EMPTY", "\"q\"", "'\\n'", "__LINE__"]),
            _ => text += random.one_of(PLAIN),
        }
    }
    // In a line of text the closing parenthesis may come later.
    text + if parameters.is_empty() && random.chance(10) { "\n)" } else { ")" }
}

/// An expression of `#if`; a macro in it has any value or none.
fn condition(random: &mut Random, depth: usize) -> String {
    if depth == 0 || random.chance(25) {
        return match random.below(5) {
            0 => format!("defined {}", random.one_of(MACROS)),
            1 => format!("defined({})", random.one_of(MACROS)),
            2 => random
                .one_of(&[
                    "0",
                    "1",
                    "7u",
                    "0x10",
                    "'a'",
                    "0777",
                    "2147483648",
                    "-1",
                    "18446744073709551615u",
                    "1L",
                ])
                .to_owned(),
            3 => "unknown".to_owned(),
            _ => format!("{}", random.below(9)),
        };
    }
    let (left, right) = (condition(random, depth - 1), condition(random, depth - 1));
    match random.below(9) {
        0 => format!("!({left})"),
        1 => format!("(~{left})"),
        2 => format!("({left} ? {right} : {})", condition(random, depth - 1)),
        3 => format!("({left}) && ({right})"),
        4 => format!("({left}) || ({right})"),
        _ => {
            let sign = random.one_of(&[
                "+", "-", "*", "/", "%", "<<", ">>", "<", ">", "<=", ">=", "==", "!=", "&", "|", "^",
            ]);
            format!("({left}) {sign} ({right})")
        }
    }
}

/// The C compiler's tokens of a file, or nothing if it refuses it.
fn reference(file: &Path) -> std::io::Result<Option<Vec<String>>> {
    let mut gcc = Command::new("gcc");
    let output = gcc.args(["-E", "-P", "-undef", "-nostdinc", "-w", "-x", "c"]).arg(file).output()?;
    if !output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let text: String =
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
    let files = Memory::new().file("out.c", text);
    Ok(Some(preprocessed(&Options::new(), &files, "out.c").0))
}

#[test]
fn programs_at_random_give_the_tokens_of_the_c_compiler() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cpp_random");
    fs::create_dir_all(&folder).expect("a folder");
    // Another seed draws other programs, and more of them are asked for by hand.
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let mut random = Random(number("MIG_SEED", 2026));
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..number("MIG_CASES", 300) {
        let text = program(&mut random);
        let file = folder.join("program.c");
        fs::write(&file, &text).expect("written");
        let expected = match reference(&file) {
            Ok(expected) => expected,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "gcc: {error}");
                println!("skipped: gcc: {error}");
                return;
            }
        };
        let (found, said) = preprocessed(&Options::new(), &FileSystem, &file);
        let found = (!said.contains("error[")).then_some(found);
        assert_eq!(found, expected, "{text}\nwhat we say: {said}");
        *if expected.is_some() { &mut taken } else { &mut refused } += 1;
    }
    println!("{taken} were taken, {refused} were refused");
}
