//! Processor time and instructions of what people wait for: a thousand files checked, an edit in an editor, a
//! million messages decoded.
//!
//! ```text
//! cargo bench -p mig-cli --bench speed
//! ```
//!
//! Processor time is that of user and system together, so on a machine with two processors the clock on the
//! wall shows half of what `mig check` takes. Instructions are those in user mode, which valgrind counts.

mod cost;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use cost::{collected, has_valgrind, processor_time};
use mig_codegen::Config;
use mig_decode::{Dictionary, MessageKind, Ports, encode};
use serde_json::{Value, json};

const ABI: &str = "gnu-i386";
const FILES: usize = 1000;
const EDITS: usize = 100;
const MESSAGES: usize = 1_000_000;
const PART: usize = 10_000;

fn main() -> ExitCode {
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("speed");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    check(&folder)?;
    edit(&folder)?;
    decode(&folder)
}

/// The interfaces of GNU Mach, again and again under other names, with what they include.
fn check(folder: &Path) -> Result<(), String> {
    let interfaces: Vec<_> = texts().filter(|(_, text)| text.contains("\nsubsystem")).collect();
    let mut mig = mig(&["check"]);
    for number in 0..FILES {
        let (_, text) = interfaces[number % interfaces.len()];
        let file = folder.join(format!("{number}.defs"));
        fs::write(&file, text).map_err(|error| error.to_string())?;
        mig.arg(file);
    }
    report(&format!("check of {FILES} files"), time(&mig, None)?, instructions(&mig, None)?);
    Ok(())
}

/// A session that changes the largest file: its cost without that of the process, for each change.
fn edit(folder: &Path) -> Result<(), String> {
    let (name, text) = largest()?;
    let session = |edits: usize| -> Result<PathBuf, String> {
        let file = folder.join(format!("session-{edits}"));
        let mut session = File::create(&file).map_err(|error| error.to_string())?;
        let mut say = |message: Value| {
            let message = message.to_string();
            write!(session, "Content-Length: {}\r\n\r\n{message}", message.len())
        };
        let document =
            |version: usize| json!({ "uri": "file:///edited.defs", "languageId": "mig", "version": version });
        let mut opened = document(0);
        opened["text"] = json!(text);
        let mut said = say(json!({ "id": 0, "method": "initialize", "params": {} }));
        said = said.and_then(|()| {
            say(json!({ "method": "textDocument/didOpen", "params": { "textDocument": opened } }))
        });
        for edit in 1..=edits {
            // A word at the end of the file, as one types it.
            let changed = format!("{text}\nskip;{}", " ".repeat(edit));
            let params = json!({ "textDocument": document(edit), "contentChanges": [{ "text": changed }] });
            said = said.and_then(|()| say(json!({ "method": "textDocument/didChange", "params": params })));
        }
        said = said.and_then(|()| say(json!({ "id": 1, "method": "shutdown" })));
        said.and_then(|()| say(json!({ "method": "exit" }))).map_err(|error| error.to_string())?;
        Ok(file)
    };
    let mut lsp = mig(&["lsp"]);
    if let Some(include) = packages() {
        lsp.arg("-I").arg(include);
    }
    let (one, many) = (session(0)?, session(EDITS)?);
    let took = time(&lsp, Some(&many))?.saturating_sub(time(&lsp, Some(&one))?);
    let count = instructions(&lsp, Some(&many))?.zip(instructions(&lsp, Some(&one))?);
    let count = count.map(|(many, one)| many.saturating_sub(one) / EDITS as u64);
    report(&format!("an edit of {name}, {} bytes", text.len()), took / EDITS as u32, count);
    Ok(())
}

/// Messages of several interfaces, as a task and its pager exchange them.
fn decode(folder: &Path) -> Result<(), String> {
    let config = Config::new().abi(ABI);
    let mut dictionary = Dictionary::new(&config).map_err(|error| error.to_string())?;
    dictionary.add_shipped(&config);
    let (request, reply) = (MessageKind::Request, MessageKind::Reply);
    let words: Vec<u32> = (1..=10).collect();
    let messages = [
        ("mach_notify_dead_name", request, json!({ "name": 555 })),
        (
            "memory_object_data_request",
            request,
            json!({ "memory_control": 6, "offset": 4096, "length": 4096, "desired_access": 1 }),
        ),
        (
            "memory_object_data_return",
            request,
            json!({ "memory_control": 6, "offset": 4096, "data": { "address": 4096, "count": 4096 }, "dirty": 1, "kernel_copy": 0 }),
        ),
        ("vm_allocate", request, json!({ "address": 0, "size": 4096, "anywhere": true })),
        ("vm_allocate", reply, json!({ "address": 8192 })),
        ("task_info", request, json!({ "flavor": 1, "task_info_outCnt": 10 })),
        ("task_info", reply, json!({ "task_info_out": words })),
        ("mach_port_allocate", request, json!({ "right": 1 })),
    ];
    let mut all = Vec::new();
    for (routine, kind, arguments) in &messages {
        let (interface, routine) = dictionary.routine(routine).ok_or_else(|| format!("no `{routine}`"))?;
        let ports = Ports { remote: Some((0x103, 17)), local: None, seqno: 7 };
        let arguments = arguments.as_object().ok_or("arguments")?;
        all.extend(encode(interface, routine, *kind, &ports, arguments)?);
    }
    let capture = |count: usize| {
        let file = folder.join(format!("capture-{count}"));
        fs::write(&file, all.repeat(count / messages.len())).map_err(|error| error.to_string())?;
        Ok::<_, String>(file)
    };
    let whole = capture(MESSAGES)?;
    // Valgrind would take minutes: it counts a part, without the start.
    let (less, more) = (capture(PART)?, capture(2 * PART)?);
    for format in [&["decode"][..], &["decode", "--json"]] {
        let count = |file: &Path| instructions(mig(format).arg(file), None);
        let count = count(&more)?.zip(count(&less)?);
        let count = count.map(|(more, less)| more.saturating_sub(less) * (MESSAGES / PART) as u64);
        report(
            &format!("{} of {MESSAGES} messages", format.join(" ")),
            time(mig(format).arg(&whole), None)?,
            count,
        );
    }
    fs::remove_file(&whole).map_err(|error| error.to_string())
}

fn mig(arguments: &[&str]) -> Command {
    let mut mig = Command::new(env!("CARGO_BIN_EXE_mig"));
    mig.args(arguments).args(["--abi", ABI]);
    mig
}

/// The texts of GNU Mach's interfaces that come with the command.
fn texts() -> impl Iterator<Item = (&'static str, &'static str)> {
    mach_defs::definitions::files(ABI).filter(|(name, _)| name.starts_with("mach"))
}

/// The folder of Debian's GNU Mach, where the bench is told of the packages.
fn packages() -> Option<PathBuf> {
    let include = PathBuf::from(std::env::var_os("MIG_PACKAGES")?).join("trixie-i386/usr/include");
    include.is_dir().then_some(include)
}

/// The largest file of the packages, or of those that come with the command.
fn largest() -> Result<(String, String), String> {
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    match packages() {
        Some(include) => below(&include, &mut files).map_err(|error| error.to_string())?,
        None => files.extend(texts().map(|(name, text)| (name.into(), text.to_owned()))),
    }
    let (path, text) = files.into_iter().max_by_key(|(_, text)| text.len()).ok_or("no files")?;
    Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text))
}

fn below(folder: &Path, files: &mut BTreeMap<PathBuf, String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            below(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "defs") {
            files.insert(path.clone(), fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// The least processor time of several runs.
fn time(command: &Command, input: Option<&Path>) -> Result<Duration, String> {
    let mut least = Duration::MAX;
    for _ in 0..5 {
        let start = processor_time(libc::RUSAGE_CHILDREN);
        finish(copy(command, None), input)?;
        least = least.min(processor_time(libc::RUSAGE_CHILDREN) - start);
    }
    Ok(least)
}

/// The instructions that a command takes; `None` without valgrind.
fn instructions(command: &Command, input: Option<&Path>) -> Result<Option<u64>, String> {
    if !has_valgrind() {
        return Ok(None);
    }
    let mut counted = copy(command, Some(&["--tool=callgrind", "--callgrind-out-file=/dev/null"]));
    counted.stderr(Stdio::piped());
    let said = finish(counted, input)?;
    match collected(&said) {
        0 => Err("callgrind counts nothing".to_owned()),
        count => Ok(Some(count)),
    }
}

/// The same command again, under valgrind if it is given options.
fn copy(command: &Command, valgrind: Option<&[&str]>) -> Command {
    let mut copy = match valgrind {
        None => Command::new(command.get_program()),
        Some(options) => {
            let mut valgrind = Command::new("valgrind");
            valgrind.args(options).arg(command.get_program());
            valgrind
        }
    };
    copy.args(command.get_args()).stdout(Stdio::null());
    copy
}

/// Runs it to its end. Returns what it says, where that is piped.
fn finish(mut command: Command, input: Option<&Path>) -> Result<String, String> {
    let input = input.map_or(Ok(Stdio::null()), |file| File::open(file).map(Stdio::from));
    command.stdin(input.map_err(|error| error.to_string())?);
    let child = command.spawn().and_then(std::process::Child::wait_with_output);
    let output = child.map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stderr).into_owned()),
        false => Err(format!("{}: {}", command.get_program().to_string_lossy(), output.status)),
    }
}

fn report(what: &str, time: Duration, instructions: Option<u64>) {
    print!("{what:40} {:8.1} ms", time.as_secs_f64() * 1000.0);
    if let Some(instructions) = instructions {
        print!(" {:8.1} M instructions", instructions as f64 / 1e6);
    }
    println!();
}
