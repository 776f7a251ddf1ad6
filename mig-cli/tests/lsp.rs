//! `mig lsp` as an editor talks to it.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

const TYPES: &str = "type clock_t = MACH_MSG_TYPE_COPY_SEND;\n";
/// The comment has characters of two bytes, and of two units of UTF-16.
const CLOCK: &str = "subsystem clock 3100;
#include \"types.defs\"
type seconds_t = MACH_MSG_TYPE_INTEGER_32;
/* Tells the time. */
routine clock_read(clock : clock_t; /* \u{e9}\u{1f600} */ out now : seconds_t);
";

/// What an editor says, and what it was answered.
struct Session {
    folder: PathBuf,
    input: Vec<u8>,
}

impl Session {
    fn new(test: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mig-lsp").join(test);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("types.defs"), TYPES).unwrap();
        Session { folder, input: Vec::new() }
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}", self.folder.join(name).display())
    }

    fn raw(&mut self, text: &str) {
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
    }

    fn say(&mut self, method: &str, params: Value) {
        self.raw(&json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string());
    }

    fn ask(&mut self, id: u32, method: &str, params: Value) {
        self.raw(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
    }

    fn open(&mut self, text: &str) {
        self.ask(0, "initialize", json!({ "capabilities": {} }));
        self.say("initialized", json!({}));
        self.open_also("clock.defs", text);
    }

    fn open_also(&mut self, name: &str, text: &str) {
        let document = json!({ "uri": self.uri(name), "languageId": "mig", "version": 1, "text": text });
        self.say("textDocument/didOpen", json!({ "textDocument": document }));
    }

    fn close(&mut self, name: &str) {
        self.say("textDocument/didClose", json!({ "textDocument": { "uri": self.uri(name) } }));
    }

    fn change(&mut self, text: &str) {
        let document = json!({ "uri": self.uri("clock.defs"), "version": 2 });
        self.say(
            "textDocument/didChange",
            json!({ "textDocument": document, "contentChanges": [{ "text": text }] }),
        );
    }

    /// Asks about a place: the first byte of the `n`th time that `word` stands in the text.
    fn ask_at(&mut self, id: u32, method: &str, word: &str, n: usize) {
        let (at, _) = CLOCK.match_indices(word).nth(n).unwrap();
        let line = CLOCK[..at].rfind('\n').map_or(0, |end| end + 1);
        let position = json!({
            "line": CLOCK[..at].matches('\n').count(),
            "character": CLOCK[line..at].encode_utf16().count(),
        });
        let uri = self.uri("clock.defs");
        self.ask(id, method, json!({ "textDocument": { "uri": uri }, "position": position }));
    }

    /// Runs the server over all of it. Returns its exit code, what it has sent, and what it complains of.
    fn run(&self) -> (Option<i32>, Vec<Value>, String) {
        let mut mig = Command::new(env!("CARGO_BIN_EXE_mig"));
        mig.args(["lsp", "--stdio", "--abi", "gnu-i386"]).current_dir(&self.folder);
        mig.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = mig.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = self.input.clone();
        // A server that has ended does not read the rest.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let mut sent = Vec::new();
        let mut rest = &output.stdout[..];
        while !rest.is_empty() {
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
            let header = std::str::from_utf8(&rest[..end]).unwrap();
            let length: usize = header.strip_prefix("Content-Length: ").unwrap().parse().unwrap();
            sent.push(serde_json::from_slice(&rest[end + 4..end + 4 + length]).unwrap());
            rest = &rest[end + 4 + length..];
        }
        (output.status.code(), sent, String::from_utf8(output.stderr).unwrap())
    }

    fn end(&mut self) -> Vec<Value> {
        self.ask(99, "shutdown", Value::Null);
        self.say("exit", Value::Null);
        let (code, sent, complaint) = self.run();
        assert_eq!((code, complaint.as_str()), (Some(0), ""));
        sent
    }
}

fn answer(sent: &[Value], id: u32) -> &Value {
    let found = sent.iter().find(|message| message["id"] == id && message.get("method").is_none());
    &found.unwrap_or_else(|| panic!("no answer {id}: {sent:?}"))["result"]
}

/// What was told about each file, in order.
fn told(sent: &[Value], uri: &str) -> Vec<Value> {
    let about = |message: &&Value| {
        message["method"] == "textDocument/publishDiagnostics" && message["params"]["uri"] == uri
    };
    sent.iter().filter(about).map(|message| message["params"]["diagnostics"].clone()).collect()
}

#[test]
fn errors_come_as_one_types_and_go() {
    let mut session = Session::new("errors");
    session.open(&CLOCK.replace("seconds_t)", "second_t)"));
    session.change(CLOCK);
    session.change(&CLOCK.replace("type seconds_t", "type clock_t = nothing_t;\ntype seconds_t"));
    fs::write(session.folder.join("types.defs"), TYPES).unwrap();
    let sent = session.end();
    let told = told(&sent, &session.uri("clock.defs"));
    assert_eq!(told.len(), 3);
    let error = &told[0][0];
    // 56 characters before it, one of which takes two units.
    let line = CLOCK.lines().nth(4).unwrap();
    let column = line[..line.find("seconds_t").unwrap()].encode_utf16().count();
    assert_eq!(error["range"]["start"], json!({ "line": 4, "character": column }));
    assert_eq!(error["range"]["end"], json!({ "line": 4, "character": column + "second_t".len() }));
    assert_eq!((&error["code"], &error["severity"]), (&json!("MIG0204"), &json!(1)));
    assert!(error["message"].as_str().unwrap().contains("did you mean `seconds_t`?"), "{error}");
    assert_eq!(told[1], json!([]));
    assert!(!told[2].as_array().unwrap().is_empty());
}

#[test]
fn an_error_of_an_included_file_is_told_there_and_taken_back() {
    let mut session = Session::new("included");
    fs::write(session.folder.join("broken.defs"), "type clock_t = nothing_t;\n").unwrap();
    session.open(&CLOCK.replace("types.defs", "broken.defs"));
    session.change(CLOCK);
    let sent = session.end();
    let told = told(&sent, &session.uri("broken.defs"));
    assert_eq!(told.len(), 2, "{sent:?}");
    assert_eq!(told[0][0]["range"]["start"], json!({ "line": 0, "character": 15 }));
    assert_eq!(told[1], json!([]));
}

#[test]
fn an_open_buffer_is_what_other_files_include() {
    let mut session = Session::new("buffers");
    session.open(CLOCK);
    // Not saved: the type has another name in the buffer. A second name of the file is the same file.
    std::os::unix::fs::symlink(session.folder.join("types.defs"), session.folder.join("link.defs")).unwrap();
    session.open_also("link.defs", "\n\ntype clocks_t = MACH_MSG_TYPE_COPY_SEND;\n");
    session.ask_at(1, "textDocument/references", "clock_t", 0);
    session.close("link.defs");
    session.ask_at(2, "textDocument/references", "clock_t", 0);
    let sent = session.end();
    let told = told(&sent, &session.uri("clock.defs"));
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!((&told[0], &told[2]), (&json!([]), &json!([])));
    let message = told[1][0]["message"].as_str().unwrap();
    assert!(message.contains("unknown type") && message.contains("did you mean `clocks_t`?"), "{message}");
    let places = |id| answer(&sent, id).as_array().unwrap().len();
    assert_eq!((places(1), places(2)), (1, 2));
}

#[test]
fn what_two_buffers_say_of_a_file_that_both_include_is_told_once() {
    let mut session = Session::new("twice");
    fs::write(session.folder.join("types.defs"), "type clock_t = nothing_t;\n").unwrap();
    session.open(CLOCK);
    session.open_also("other.defs", &CLOCK.replace("3100", "3200"));
    session.close("other.defs");
    session.change("subsystem clock 3100;\n");
    let sent = session.end();
    let told = told(&sent, &session.uri("types.defs"));
    let counts: Vec<usize> = told.iter().map(|told| told.as_array().unwrap().len()).collect();
    assert_eq!(counts, [1, 1, 1, 0], "{told:?}");
}

#[test]
fn names_are_known_across_files() {
    let mut session = Session::new("names");
    session.open(CLOCK);
    session.ask_at(1, "textDocument/hover", "clock_read", 0);
    session.ask_at(2, "textDocument/hover", "now", 0);
    session.ask_at(3, "textDocument/hover", "seconds_t", 1);
    session.ask_at(4, "textDocument/hover", "Tells", 0);
    session.ask_at(5, "textDocument/definition", "clock_t", 0);
    session.ask_at(6, "textDocument/definition", "seconds_t", 1);
    session.ask_at(7, "textDocument/references", "clock_t", 0);
    session.ask_at(8, "textDocument/completion", "now", 0);
    let document = json!({ "textDocument": { "uri": session.uri("clock.defs") } });
    session.ask(9, "textDocument/documentSymbol", document.clone());
    session.ask(10, "textDocument/formatting", document);
    let sent = session.end();
    let hover = |id| answer(&sent, id)["contents"]["value"].as_str().unwrap_or_default().to_owned();
    for part in ["message 3100", "Tells the time.", "| 36 | 4 | `now`"] {
        assert!(hover(1).contains(part), "{part}: {}", hover(1));
    }
    assert!(hover(2).contains("`now`: `seconds_t`"), "{}", hover(2));
    assert!(hover(3).contains("4 bytes"), "{}", hover(3));
    assert_eq!(answer(&sent, 4), &Value::Null);
    let clock_t = json!({ "start": { "line": 0, "character": 5 }, "end": { "line": 0, "character": 12 } });
    assert_eq!(answer(&sent, 5), &json!({ "uri": session.uri("types.defs"), "range": clock_t }));
    assert_eq!(answer(&sent, 6)["range"]["start"], json!({ "line": 2, "character": 5 }));
    let references: Vec<_> = answer(&sent, 7).as_array().unwrap().iter().map(|one| &one["uri"]).collect();
    assert_eq!(references, [&json!(session.uri("clock.defs")), &json!(session.uri("types.defs"))]);
    let labels: Vec<_> = answer(&sent, 8).as_array().unwrap().iter().map(|one| &one["label"]).collect();
    for word in ["clock_t", "seconds_t", "routine"] {
        assert!(labels.contains(&&json!(word)), "{word}");
    }
    let symbols = answer(&sent, 9).as_array().unwrap();
    let names: Vec<_> = symbols.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["clock", "seconds_t", "clock_read"]);
    let formatted = answer(&sent, 10)[0]["newText"].as_str().unwrap();
    assert!(formatted.contains("routine clock_read(\n\t\tclock : clock_t;"), "{formatted}");
}

#[test]
fn an_editor_that_breaks_the_rules_is_told() {
    let mut session = Session::new("rules");
    session.ask(1, "textDocument/hover", json!({}));
    session.raw("{ no json");
    session.open(CLOCK);
    session.ask(2, "no/such", json!({}));
    session.ask(3, "textDocument/hover", json!({ "textDocument": { "uri": "file:///nowhere.defs" } }));
    session.ask(4, "textDocument/hover", json!({ "position": { "line": -1, "character": 1e99 } }));
    session.say("textDocument/didChange", json!({ "textDocument": 7 }));
    session.raw("[]");
    session.change("subsystem \u{0} \" ");
    let sent = session.end();
    let code = |id: Value| {
        sent.iter().find(|message| message["id"] == id).map(|message| message["error"]["code"].clone())
    };
    assert_eq!(code(json!(1)), Some(json!(-32002)));
    assert_eq!(code(Value::Null), Some(json!(-32700)));
    assert_eq!(code(json!(2)), Some(json!(-32601)));
    assert_eq!((answer(&sent, 3), answer(&sent, 4)), (&Value::Null, &Value::Null));
    assert_eq!(told(&sent, &session.uri("clock.defs")).len(), 2);
}

#[test]
fn a_stream_that_cannot_be_read_ends_the_server() {
    for (input, wrong) in [
        ("Content-Length: 99999999999\r\n\r\n", "no length up to"),
        ("Content-Length: -1\r\n\r\n", "no length up to"),
        ("Content-Length: 10\r\n\r\n{}", "cut off"),
        ("Content-Length: 10\r\n", "cut off"),
        ("Accept: all\r\n\r\n{}", "without `Content-Length`"),
        (&"x".repeat(5000), "too long"),
    ] {
        let mut session = Session::new("streams");
        session.input = input.as_bytes().to_vec();
        let (code, sent, complaint) = session.run();
        assert_eq!((code, sent.len()), (Some(1), 0), "{input}");
        assert!(complaint.contains(wrong), "{complaint}");
    }
    // An editor that is gone, and one that does not say so first.
    let mut session = Session::new("streams");
    assert_eq!(session.run().0, Some(1));
    session.say("exit", Value::Null);
    assert_eq!(session.run().0, Some(1));
}
