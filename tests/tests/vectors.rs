//! Messages of another compiler, as data: what its client sends, what its server makes of that, and the same
//! for damaged messages.
//!
//! The vectors are JSON files, one for each subsystem, in the format that `vectors/support.rs` reads. Each
//! file tells the types of the arguments; from them the test writes an interface definition, generates Rust
//! from it for the ABI of the vectors, and compiles and runs a program that replays every case against the
//! generated client and demux.
//!
//! Those in `vectors/built_in` always run; `MIG_VECTORS` names a folder with more.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use mig_codegen::abi::Abi;
use mig_codegen::model::{Interface, Message, Routine, SlotRole, TypeKind};
use mig_codegen::{Config, Input};
use mig_tests::files_below;
use serde_json::Value;
use syn::{FnArg, Item, ReturnType, TraitItem};

#[test]
fn every_vector_holds() {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/built_in");
    let mut files = files_below(&built_in, "json").expect("the folder of vectors can be read");
    assert_eq!(files.len(), 2, "an untyped ABI and a typed one");
    if let Some(folder) = env::var_os("MIG_VECTORS") {
        let more = files_below(Path::new(&folder), "json").expect("the folder of vectors can be read");
        assert!(!more.is_empty(), "no vectors in {}", Path::new(&folder).display());
        files.extend(more);
    }
    files.sort();
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vectors");
    write_program(&program, &files);
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--target-dir"])
        .arg(program.join("target"))
        .current_dir(&program)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "not every vector holds");
}

/// Writes the crate with the bindings of all files and the calls of all routines.
fn write_program(folder: &Path, files: &[PathBuf]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in the repository");
    let source = folder.join("src");
    fs::create_dir_all(&source).expect("the program's folder can be made");
    let manifest = format!(
        "[package]\nname = \"vectors\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         mig-runtime = {{ path = {:?}, features = [\"std\"] }}\nserde_json = \"1\"\n\n[workspace]\n",
        root.join("runtime"),
    );
    fs::write(folder.join("Cargo.toml"), manifest).expect("the manifest can be written");
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock file can be copied");
    let support = root.join("tests/vectors/support.rs");
    let mut main = format!("#[path = {support:?}]\nmod support;\n");
    let mut runs = String::new();
    for (index, path) in files.iter().enumerate() {
        let text = fs::read(path).expect("vectors can be read");
        let vectors: Value = serde_json::from_slice(&text).expect("vectors are JSON");
        let module = module(&vectors);
        fs::write(source.join(format!("m{index}.rs")), module).expect("a module can be written");
        let _ = writeln!(main, "mod m{index};");
        let _ = writeln!(runs, "    support::run({path:?}, &m{index}::routines(), &mut tally);");
    }
    main += &format!(
        "fn main() -> std::process::ExitCode {{\n    let mut tally = support::Tally::default();\n{runs}    support::finish(tally)\n}}\n"
    );
    fs::write(source.join("main.rs"), main).expect("the program can be written");
}

/// The bindings of a subsystem, and after them the calls with values of the vectors.
fn module(vectors: &Value) -> String {
    let abi = text(vectors, "abi");
    // Vectors of an older system of the same ABI say which year's it was.
    let known = Abi::by_name(abi).or_else(|| Abi::by_name(abi.rsplit_once('-')?.0));
    let abi = known.unwrap_or_else(|| panic!("the ABI `{abi}` of the vectors is not known"));
    let (defs, interface) = definition(vectors, abi);
    let config = Config::new().abi(abi.name());
    let input = Input::Text { name: "vectors.defs", text: defs.as_bytes() };
    let generated = config.text(input).unwrap_or_else(|error| panic!("{error}\n{defs}")).value;
    let calls = calls(vectors, &interface, &generated);
    format!("#![allow(warnings)]\n{generated}\n{calls}")
}

/// An interface definition with the argument types of the vectors.
///
/// Whether a string has a fixed size the vectors do not tell; their messages do.
fn definition(vectors: &Value, abi: &'static Abi) -> (String, Interface) {
    if abi.rules().type_words {
        return analyzed(vectors, abi, &[]);
    }
    let routines = list(vectors, "routines");
    let mut variable: Vec<(usize, &str)> = Vec::new();
    for (index, routine) in routines.iter().enumerate() {
        // A string that goes both ways has always a fixed size.
        let is_open = |(_, ty): &(&String, &Value)| ty["cstring"] == true && ty["dir"] != "inout";
        for (name, _) in arguments(routine).filter(is_open) {
            variable.push((index, name));
            let (_, interface) = analyzed(vectors, abi, &variable);
            if !is_variable_string(routine, &interface.routines[index], name) {
                variable.pop();
            }
        }
    }
    analyzed(vectors, abi, &variable)
}

/// Whether the messages have the offset and the length of a string of variable size where it would be one.
fn is_variable_string(vectors: &Value, routine: &Routine, name: &str) -> bool {
    let cases = list(vectors, "cases");
    let messages = cases.iter().flat_map(|case| {
        let reply = routine.reply.as_ref().map(|reply| (reply, "reply_hex", "server_outs"));
        let both = [Some((&routine.request, "request_hex", "args")), reply].into_iter().flatten();
        both.filter_map(move |(message, bytes, values)| {
            Some((message, case[bytes].as_str()?, case[values][name]["hex"].as_str()?))
        })
    });
    let mut found = None;
    for (message, bytes, value) in messages {
        let (bytes, value) = (unhex(bytes), unhex(value));
        let len = value.iter().position(|byte| *byte == 0).unwrap_or(value.len()) as u32 + 1;
        let Some(at) = place_of_string(message, routine, name, &bytes) else { continue };
        let words = [word(&bytes, at), word(&bytes, at + 4)];
        let is_it = words[0] == Some(0) && words[1].is_some_and(|word| word == len || word < len && word > 1);
        found = Some(found.unwrap_or(true) && is_it);
    }
    found.unwrap_or(false)
}

/// Where the offset of a string is, after arrays as long as they are in these bytes.
fn place_of_string(message: &Message, routine: &Routine, name: &str, bytes: &[u8]) -> Option<usize> {
    let (mut at, mut count) = (0usize, 0);
    for slot in &message.slots {
        let is_it = slot.arg.is_some_and(|index| routine.args[index].name == name);
        match (slot.role, slot.size) {
            (SlotRole::Offset, _) if is_it => return Some(at),
            (SlotRole::Count, _) => {
                count = word(bytes, at)?;
                at += 4;
            }
            (SlotRole::Pad, None) => at = at.next_multiple_of(4),
            (_, Some(size)) => at += size as usize,
            (_, None) => at += count as usize * slot.element? as usize,
        }
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).filter_map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()).collect()
}

fn analyzed(vectors: &Value, abi: &'static Abi, variable: &[(usize, &str)]) -> (String, Interface) {
    let mut defs = format!("subsystem {} {};\n", text(vectors, "subsystem"), vectors["base"]);
    let mut id = vectors["base"].as_u64().expect("a base");
    for (index, routine) in list(vectors, "routines").iter().enumerate() {
        while id < routine["id"].as_u64().expect("an id") {
            defs += "skip;\n";
            id += 1;
        }
        id += 1;
        defs += &options(routine);
        let types = TypeWords::of(routine, abi);
        let mut elements = String::new();
        let args: Vec<String> = arguments(routine)
            .map(|(name, ty)| match &types {
                Some(types) => types.argument(index, routine, name, ty, &mut elements),
                None => argument(routine, name, ty, variable.contains(&(index, name))),
            })
            .collect();
        defs += &elements;
        let _ =
            writeln!(defs, "{} {}({});", text(routine, "kind"), text(routine, "routine"), args.join("; "));
        defs += if abi.rules().type_words { "nowaittime;\n" } else { "nowaittime;\nnosendtime;\n" };
        defs += "msgoption MACH_MSG_OPTION_NONE;\n";
    }
    let _ = writeln!(defs, "serverdemux {};", text(vectors, "demux"));
    let config = Config::new().abi(abi.name());
    let input = Input::Text { name: "vectors.defs", text: defs.as_bytes() };
    let interface = config.interface(input).unwrap_or_else(|error| panic!("{error}\n{defs}")).value;
    (defs, interface)
}

/// What the type words of a routine's messages say, in the order of its arguments: what the vectors leave
/// open of the types.
struct TypeWords {
    request: Vec<TypeWord>,
    reply: Vec<TypeWord>,
}

/// A type word.
#[derive(Clone, Copy)]
struct TypeWord {
    bits: u64,
    number: u64,
}

impl TypeWords {
    /// `None` for an untyped ABI.
    fn of(routine: &Value, abi: &Abi) -> Option<Self> {
        if !abi.rules().type_words {
            return None;
        }
        let first = |key: &str| {
            let mut cases = list(routine, "cases")
                .iter()
                .filter(|case| key == "request_hex" || case["reply_retcode"] == "KERN_SUCCESS");
            let bytes = cases.find_map(|case| case[key].as_str());
            bytes.map(|bytes| type_words(&unhex(bytes), abi)).unwrap_or_default()
        };
        // The first word of a reply is that of the return code.
        let reply = first("reply_hex").into_iter().skip(1).collect();
        Some(TypeWords { request: first("request_hex"), reply })
    }

    /// The declaration of an argument, after those of the elements of arrays.
    fn argument(
        &self,
        index: usize,
        routine: &Value,
        name: &str,
        ty: &Value,
        elements: &mut String,
    ) -> String {
        let direction = text(ty, "dir");
        let flags: String = list_of_text(&ty["flags"]).map(|flag| format!(", {flag}")).collect();
        let spec = self.spec(index, routine, name, ty, elements);
        format!("{direction} {name} : {name}_{index}_t = {spec}{flags}")
    }

    fn spec(&self, index: usize, routine: &Value, name: &str, ty: &Value, elements: &mut String) -> String {
        let word = self.word(routine, name);
        let ipc = text(ty, "ipc");
        let base = match (ipc, word.map(|word| word.bits)) {
            ("STRUCT", Some(16)) => "MACH_MSG_TYPE_INTEGER_16".to_owned(),
            ("STRUCT", Some(32)) => "MACH_MSG_TYPE_INTEGER_32".to_owned(),
            ("STRUCT", Some(64)) => "MACH_MSG_TYPE_INTEGER_64".to_owned(),
            ("STRUCT", _) => "MACH_MSG_TYPE_BYTE".to_owned(),
            ("POLYMORPHIC", _) => "polymorphic".to_owned(),
            _ if ipc.starts_with(char::is_lowercase) => ipc.to_owned(),
            _ => format!("MACH_MSG_TYPE_{ipc}"),
        };
        let number = |key: &str| ty[key].as_u64().unwrap_or(0);
        if ty["cstring"] == true {
            return match word {
                Some(TypeWord { bits, number: 1 }) if bits > 8 => format!("(MACH_MSG_TYPE_STRING_C, {bits})"),
                Some(word) if word.number != number("bits") / 8 => {
                    format!("c_string[*:{}]", number("bits") / 8)
                }
                _ => format!("c_string[{}]", number("bits") / 8),
            };
        }
        let unit = word.map_or(32, |word| word.bits);
        if ty["var"] != true {
            // A `bool` could not hold the values of the vectors; an array of one has the same type word.
            return match (ipc, word.map_or(1, |word| word.number)) {
                ("BOOLEAN", number) => format!("array[{number}] of {base}"),
                (_, 1) => base,
                (_, number) => format!("struct[{number}] of {base}"),
            };
        }
        let bits = element_bits(routine, name, unit);
        let element = format!("{name}_{index}_element_t");
        let group = match bits / unit {
            0 | 1 => base,
            times => format!("struct[{times}] of {base}"),
        };
        let _ = writeln!(elements, "type {element} = {group};");
        match (ty["indef"] == true, ty["inline"] == true) {
            (true, _) => format!("array[] of {element}"),
            (false, true) => format!("array[*:{}] of {element}", number("num")),
            (false, false) => format!("^array[] of {element}"),
        }
    }

    /// The type word of an argument, in the request or in the reply.
    fn word(&self, routine: &Value, name: &str) -> Option<TypeWord> {
        let place = |in_message: fn(&str, bool) -> bool| {
            let mut travelling = arguments(routine).filter(|(_, ty)| {
                let counted = list_of_text(&ty["flags"]).any(|flag| flag == "countinout");
                in_message(text(ty, "dir"), counted)
            });
            travelling.position(|(other, _)| other == name)
        };
        let in_reply = place(|dir, _| matches!(dir, "out" | "inout")).and_then(|at| self.reply.get(at));
        let in_request = place(|dir, counted| matches!(dir, "in" | "inout") || dir == "out" && counted);
        let is_out = routine["argtypes"][name]["dir"] == "out";
        let word = if is_out { in_reply } else { in_request.and_then(|at| self.request.get(at)) };
        word.copied()
    }
}

/// The type words of a message.
fn type_words(bytes: &[u8], abi: &Abi) -> Vec<TypeWord> {
    let facts = &abi.facts;
    let wide = facts.pointer == 8;
    let mut words = Vec::new();
    let mut at = facts.header;
    while let Some(first) = word(bytes, at) {
        let (bits, number, in_line, length) = match (wide, first >> 29 & 1) {
            (true, in_line) => (first >> 8 & 0xffff, word(bytes, at + 4).unwrap_or(0), in_line, 8),
            (false, 0) => (first >> 8 & 0xff, first >> 16 & 0xfff, first >> 28 & 1, 4),
            (false, _) => {
                let (name, number) = (word(bytes, at + 4).unwrap_or(0), word(bytes, at + 8).unwrap_or(0));
                (name >> 16, number, first >> 28 & 1, 12)
            }
        };
        let data = if in_line == 1 { (bits as usize * number as usize).div_ceil(8) } else { facts.pointer };
        words.push(TypeWord { bits: bits.into(), number: number.into() });
        at += length + data.next_multiple_of(if wide { 8 } else { 4 });
    }
    words
}

/// The statements that give a routine the options of its calls.
fn options(routine: &Value) -> String {
    const SEND_TIMEOUT: u64 = 0x10;
    const RECEIVE_TIMEOUT: u64 = 0x100;
    let cases = list(routine, "cases");
    let Some(case) = cases.iter().find(|case| case["options"].is_number()) else { return String::new() };
    let given = |direction: &str| arguments(routine).any(|(_, ty)| ty["dir"] == direction);
    let bits = case["options"].as_u64().unwrap_or(0);
    let mut statements = String::new();
    if !given("waittime") && !given("msgoption") && bits & RECEIVE_TIMEOUT != 0 {
        let _ = writeln!(statements, "waittime {};", case["timeout"]);
    } else if !given("waittime") && !given("sendtime") && !given("msgoption") && bits & SEND_TIMEOUT != 0 {
        let _ = writeln!(statements, "sendtime {};", case["timeout"]);
    }
    let others = bits & !(SEND_TIMEOUT | RECEIVE_TIMEOUT | 3);
    if !given("msgoption") && others != 0 {
        let _ = writeln!(statements, "msgoption {others};");
    }
    statements
}

/// The declaration of an argument.
fn argument(routine: &Value, name: &str, ty: &Value, variable_string: bool) -> String {
    let direction = text(ty, "dir");
    let flags: Vec<&str> = list_of_text(&ty["flags"]).collect();
    let flags: String = flags.iter().map(|flag| format!(", {flag}")).collect();
    let spec = type_spec(routine, name, ty, variable_string);
    format!("{direction} {name} : {} = {spec}{flags}", text(ty, "type"))
}

fn type_spec(routine: &Value, name: &str, ty: &Value, variable_string: bool) -> String {
    let number = |key: &str| ty[key].as_u64().unwrap_or(0);
    let (bits, count) = (number("bits"), number("num"));
    if ty["cstring"] == true {
        return format!("c_string[{}{}]", if variable_string { "*:" } else { "" }, bits / 8);
    }
    let ipc = text(ty, "ipc");
    let unit = unit_bits(ipc);
    let base = base_type(routine, name, ipc);
    // So many of the basic type make an element.
    let group = |bits: u64| match bits / unit {
        0 | 1 => base.clone(),
        times => format!("struct[{times}] of {base}"),
    };
    let (in_line, var) = (ty["inline"] == true, ty["var"] == true);
    match (var, ty["indef"] == true) {
        (true, true) => format!("array[] of {}", group(element_bits(routine, name, unit))),
        (true, false) if in_line => format!("array[*:{count}] of {}", group(bits / count.max(1))),
        (true, false) => format!("^array[] of {}", group(element_bits(routine, name, unit))),
        (false, _) => {
            let value = match ty["array"] == true && count > 1 {
                true => format!("array[{count}] of {}", group(bits / count)),
                false => group(bits),
            };
            if in_line { value } else { format!("^{value}") }
        }
    }
}

/// The message type. Truth values are integers here: a `bool` could not hold those of the vectors.
fn base_type(routine: &Value, name: &str, ipc: &str) -> String {
    let poly = format!("{name}Poly");
    let server_chooses = list(routine, "cases").iter().any(|case| case["server_args"][&poly].is_string());
    match ipc {
        "BOOLEAN" => "MACH_MSG_TYPE_INTEGER_32".to_owned(),
        "POLYMORPHIC" => "polymorphic".to_owned(),
        _ if ipc.starts_with("PORT_") && ipc != "PORT_NAME" => format!("MACH_MSG_TYPE_{ipc}"),
        _ if server_chooses => format!("MACH_MSG_TYPE_{ipc} | polymorphic"),
        _ => format!("MACH_MSG_TYPE_{ipc}"),
    }
}

fn unit_bits(ipc: &str) -> u64 {
    match ipc {
        "INTEGER_64" | "REAL_64" => 64,
        "INTEGER_16" => 16,
        "INTEGER_8" | "BYTE" | "CHAR" => 8,
        _ => 32,
    }
}

/// Bits of an element out of line: a value has a number of bytes and a count.
fn element_bits(routine: &Value, name: &str, unit: u64) -> u64 {
    let count = format!("{name}Cnt");
    let of = |values: &Value| {
        let bytes = values[name]["hex"].as_str()?.len() as u64 / 2;
        let count = values[&count]["value"].as_u64().filter(|count| *count > 0)?;
        Some(bytes * 8 / count)
    };
    list(routine, "cases")
        .iter()
        .find_map(|case| of(&case["args"]).or(of(&case["server_outs"])))
        .unwrap_or(unit)
}

/// The calls of the generated code: for each routine of the client, and as an implementation of the server's
/// trait.
fn calls(vectors: &Value, interface: &Interface, generated: &str) -> String {
    let file = syn::parse_file(generated).expect("generated code is Rust");
    let routines = list(vectors, "routines");
    let clients: Vec<&syn::ItemFn> = file
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Fn(function) if ends_in_call_error(&function.sig.output) => Some(function),
            _ => None,
        })
        .collect();
    let server = file
        .items
        .iter()
        .find_map(|item| match item {
            Item::Trait(server) => Some(server),
            _ => None,
        })
        .expect("both sides are generated");
    let structs: BTreeMap<String, Vec<String>> = file
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Struct(item) => {
                let fields = item.fields.iter().filter_map(|field| field.ident.as_ref());
                Some((item.ident.to_string(), fields.map(ToString::to_string).collect()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(clients.len(), routines.len(), "a function for each routine");
    let mut out = String::from("use crate::support::*;\ntype Rec = Recorder<Abi>;\n");
    let mut table = String::new();
    let mut methods = String::new();
    let methods_of_trait = server.items.iter().filter_map(|item| match item {
        TraitItem::Fn(method) => Some(method),
        _ => None,
    });
    for (index, ((routine, client), method)) in
        routines.iter().zip(&clients).zip(methods_of_trait).enumerate()
    {
        let outs: Vec<&str> = arguments(routine)
            .filter(|(_, ty)| matches!(text(ty, "dir"), "out" | "inout"))
            .map(|(name, _)| name.as_str())
            .collect();
        let _ = write!(out, "{}", client_call(index, routine, client, &outs, &structs));
        methods += &server_method(routine, method, &outs, &structs);
        let demux = &interface.demux;
        let strings: Vec<&str> = interface.routines[index]
            .args
            .iter()
            .filter(|arg| {
                matches!(arg.ty.kind, TypeKind::FixedString { .. } | TypeKind::BoundedString { .. })
                    && (arg.in_request() || arg.in_reply())
            })
            .map(|arg| arg.name.as_str())
            .collect();
        let _ = writeln!(
            table,
            "        Routine {{ file: {:?}, name: {:?}, call: call_{index}, demux: |s, q, r| {demux}(s, q, r), strings: &{strings:?} }},",
            text(vectors, "file"),
            text(routine, "routine"),
        );
    }
    let name = &server.ident;
    let _ = write!(
        out,
        "impl {name}<Rec> for Script<'_> {{\n{methods}}}\n\npub fn routines() -> Vec<Routine<Abi>> {{\n    vec![\n{table}    ]\n}}\n"
    );
    out
}

fn ends_in_call_error(output: &ReturnType) -> bool {
    let ReturnType::Type(_, ty) = output else { return false };
    tokens(ty).contains("CallError")
}

fn tokens(item: &impl quote::ToTokens) -> String {
    item.to_token_stream().to_string()
}

/// Tokens whose kernel is the one of the test.
fn of_recorder(tokens: &str) -> String {
    let words: Vec<&str> = tokens.split(' ').map(|word| if word == "K" { "Rec" } else { word }).collect();
    words.join(" ")
}

/// A client's function with arguments of the vectors.
fn client_call(
    index: usize,
    routine: &Value,
    client: &syn::ItemFn,
    outs: &[&str],
    structs: &BTreeMap<String, Vec<String>>,
) -> String {
    let mut params = client.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(param) => Some(param),
        FnArg::Receiver(_) => None,
    });
    let mut args: Vec<String> = Vec::new();
    let in_client = arguments(routine).filter(|(_, ty)| {
        let counted = list_of_text(&ty["flags"]).any(|flag| flag == "countinout");
        match text(ty, "dir") {
            "in" | "inout" | "requestport" | "replyport" | "ureplyport" | "msgoption" | "sendtime"
            | "waittime" => true,
            "out" => counted,
            _ => false,
        }
    });
    if client.sig.inputs.len() > in_client.clone().count() {
        params.next();
        args.push("k".to_owned());
    }
    for ((name, ty), param) in in_client.zip(params) {
        args.push(match text(ty, "dir") {
            "out" => format!("limit(v, {name:?})"),
            _ if tokens(&param.ty).starts_with("impl Into < rt :: AnyRight") => {
                format!("arg::<rt::AnyRight<'static, Rec>>(v, {name:?})")
            }
            _ if tokens(&param.ty).starts_with("impl Into < rt :: OolArg") => {
                format!("arg::<rt::OolArg<'static, Rec>>(v, {name:?})")
            }
            _ if tokens(&param.ty).starts_with("impl IntoIterator") => {
                let item = of_recorder(&tokens(&param.ty)).replace("impl IntoIterator < Item =", "Vec<");
                format!("arg::<{item}>(v, {name:?})")
            }
            _ => format!("arg(v, {name:?})"),
        });
    }
    let function = &client.sig.ident;
    let result = result_struct(&client.sig.output, structs);
    // What the client finds in the trailer of the reply comes beside its results.
    let has_trailer = arguments(routine).any(|(_, ty)| {
        let direction = text(ty, "dir");
        direction.starts_with("user") || matches!(direction, "sectoken" | "audittoken")
    });
    let out = if has_trailer { "out.0" } else { "out" };
    let seen: Vec<String> = match (&outs, result) {
        ([], _) => Vec::new(),
        ([name], _) => vec![format!("({name:?}, {out}.seen())")],
        (names, Some(fields)) => names
            .iter()
            .zip(fields)
            .map(|(name, field)| format!("({name:?}, {out}.{field}.seen())"))
            .collect(),
        (names, None) => panic!("{names:?} without a structure"),
    };
    format!(
        "fn call_{index}(v: Values<'_>, k: &Rec) -> Result<Sight, rt::CallError<Rec>> {{\n    let out = {function}({})?;\n    Ok(vec![{}])\n}}\n",
        args.join(", "),
        seen.join(", "),
    )
}

/// The fields of the structure in a result.
fn result_struct<'s>(
    output: &ReturnType,
    structs: &'s BTreeMap<String, Vec<String>>,
) -> Option<&'s Vec<String>> {
    let text = tokens(output);
    structs
        .iter()
        .find(|(name, _)| text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == *name))
        .map(|(_, fields)| fields)
}

/// A server's method that notes its arguments and answers what the vectors say.
fn server_method(
    routine: &Value,
    method: &syn::TraitItemFn,
    outs: &[&str],
    structs: &BTreeMap<String, Vec<String>>,
) -> String {
    let signature = of_recorder(&tokens(&method.sig));
    let params = method.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(param) => Some(tokens(&param.pat)),
        FnArg::Receiver(_) => None,
    });
    let in_server = arguments(routine).filter(|(_, ty)| {
        let counted = list_of_text(&ty["flags"]).any(|flag| flag == "countinout");
        match text(ty, "dir") {
            "waittime" | "sendtime" | "msgoption" | "replyport" | "ureplyport" | "sreplyport" => false,
            "usersectoken" | "useraudittoken" | "userimpl" => false,
            "out" => counted,
            _ => true,
        }
    });
    let seen: Vec<String> = in_server
        .zip(params)
        .map(|((name, ty), param)| match text(ty, "dir") {
            "out" => format!("(\"{name}Cnt\", {param}.seen())"),
            _ => format!("({name:?}, {param}.seen())"),
        })
        .collect();
    let result = match outs {
        [] => "()".to_owned(),
        [name] => format!("arg(self.outs, {name:?})"),
        names => {
            let Some((structure, fields)) = structs.iter().find(|(name, _)| {
                let text = tokens(&method.sig.output);
                text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == **name)
            }) else {
                panic!("{names:?} without a structure")
            };
            let values: Vec<String> = names
                .iter()
                .zip(fields)
                .map(|(name, field)| format!("{field}: arg(self.outs, {name:?})"))
                .collect();
            format!("{structure} {{ {} }}", values.join(", "))
        }
    };
    format!(
        "    {signature} {{\n        self.called({:?}, vec![{}])?;\n        Ok({result})\n    }}\n",
        text(routine, "routine"),
        seen.join(", "),
    )
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value}"))
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn list_of_text(value: &Value) -> impl Iterator<Item = &str> + Clone {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The arguments of a routine, in order.
fn arguments(routine: &Value) -> impl Iterator<Item = (&String, &Value)> + Clone {
    routine["argtypes"].as_object().into_iter().flatten()
}
