//! `mig lsp`

mod buffers;
mod document;
mod text;
mod wire;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, BufRead, Write};
use std::path::Path;

use clap::Args;
use mig_codegen::Config;
use serde_json::{Value, json};

use self::buffers::Buffers;
use self::document::Document;
use self::wire::Incoming;
use crate::options::Options;
use crate::{Failure, INPUT};

/// Serve an editor: the language server protocol on standard input and output
///
/// Errors as you type, what a name is and where its bytes are, definitions, references, symbols, completion
/// and formatting. Folders of included files and macros are given as to the other verbs.
#[derive(Args)]
pub(crate) struct Lsp {
    /// Standard input and output, which is the only way; editors say it
    #[arg(long, hide = true)]
    stdio: bool,
    #[command(flatten)]
    options: Options,
}

/// Errors of the protocol.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const NOT_INITIALIZED: i32 = -32002;

impl Lsp {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let config = self.options.config().lints(true);
        if let Err(error) = config.clone().check_only(mig_codegen::Input::Text { name: "", text: b"" }) {
            if let mig_codegen::Error::Config(_) = error {
                return Err(self.options.failure(&error));
            }
        }
        let (documents, buffers) = (BTreeMap::new(), Buffers::default());
        let mut server = Server { config, documents, buffers, state: State::New };
        match server.serve(&mut io::stdin().lock(), &mut io::stdout().lock()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(INPUT),
            Err(error) => {
                self.options.tell_error(&format!("the editor: {error}"));
                Err(INPUT)
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Ready,
    ShutDown,
}

struct Server {
    config: Config,
    /// By their URIs.
    documents: BTreeMap<String, Document>,
    buffers: Buffers,
    state: State,
}

impl Server {
    /// Serves until the editor says that it is over. True if it has said so beforehand, as it should.
    fn serve(&mut self, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<bool> {
        while let Some(incoming) = wire::read(input)? {
            let message = match incoming {
                Incoming::Message(message) => message,
                Incoming::Malformed => {
                    wire::write(output, &failed(&Value::Null, PARSE_ERROR, "no JSON"))?;
                    continue;
                }
            };
            let method = message["method"].as_str().unwrap_or_default();
            if method == "exit" {
                return Ok(self.state == State::ShutDown);
            }
            match message.get("id") {
                // An answer to something that was never asked has no method.
                Some(_) if method.is_empty() => {}
                Some(id) => {
                    let answer = match self.request(method, &message["params"]) {
                        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
                        Err((code, what)) => failed(id, code, what),
                    };
                    wire::write(output, &answer)?;
                }
                None => {
                    for (uri, diagnostics) in self.notification(method, &message["params"]) {
                        let params = json!({ "uri": uri, "diagnostics": diagnostics });
                        let method = "textDocument/publishDiagnostics";
                        wire::write(
                            output,
                            &json!({ "jsonrpc": "2.0", "method": method, "params": params }),
                        )?;
                    }
                }
            }
        }
        Ok(self.state == State::ShutDown)
    }

    fn request(&mut self, method: &str, params: &Value) -> Result<Value, (i32, &'static str)> {
        match (self.state, method) {
            (State::New, "initialize") => {
                self.state = State::Ready;
                return Ok(abilities());
            }
            (State::New, _) => return Err((NOT_INITIALIZED, "`initialize` comes first")),
            (State::Ready, "shutdown") => {
                self.state = State::ShutDown;
                return Ok(Value::Null);
            }
            (State::ShutDown, _) | (State::Ready, "initialize") => {
                return Err((INVALID_REQUEST, "not now"));
            }
            (State::Ready, _) => {}
        }
        let uri = params["textDocument"]["uri"].as_str().unwrap_or_default();
        let document = self.documents.get(uri);
        let position = &params["position"];
        let answer = match method {
            "textDocument/hover" => document.and_then(|document| document.hover(position)),
            "textDocument/definition" => document.and_then(|document| document.definition(position)),
            "textDocument/references" => {
                document.and_then(|document| document.references(position, &self.buffers))
            }
            "textDocument/documentSymbol" => document.and_then(Document::symbols),
            "textDocument/formatting" => document.and_then(Document::formatting),
            "textDocument/completion" => document.map(|document| document.completion(&self.config)),
            _ => return Err((METHOD_NOT_FOUND, "not known here")),
        };
        Ok(answer.unwrap_or(Value::Null))
    }

    /// The diagnostics to send after a notification, by file.
    fn notification(&mut self, method: &str, params: &Value) -> BTreeMap<String, Vec<Value>> {
        let uri = params["textDocument"]["uri"].as_str().unwrap_or_default();
        let Some(path) = text::path_of(uri).filter(|_| self.state == State::Ready) else {
            return BTreeMap::new();
        };
        // The whole text comes each time; of several changes the last one counts.
        let changes = &params["contentChanges"];
        let last = changes.as_array().and_then(|changes| changes.last()).map(|change| &change["text"]);
        let text = match method {
            "textDocument/didOpen" => params["textDocument"]["text"].as_str(),
            "textDocument/didChange" => last.and_then(Value::as_str),
            "textDocument/didClose" => {
                self.buffers.close(&path);
                let closed = self.documents.remove(uri);
                return self.told_of(
                    closed.iter().flat_map(|closed| closed.told().keys().cloned()).collect(),
                    &path,
                );
            }
            _ => None,
        };
        let Some(text) = text else { return BTreeMap::new() };
        self.buffers.open(&path, text.to_owned());
        self.documents.entry(uri.to_owned()).or_insert_with(|| Document::new(&path));
        self.told_of(BTreeSet::new(), &path)
    }

    /// Reads the documents again that depend on a file. Returns the diagnostics to send, from all buffers:
    /// those of `files`, and of each file that had any before or has some now. A file that has none any more
    /// is sent with an empty list, so that the editor forgets the old ones.
    fn told_of(&mut self, mut files: BTreeSet<String>, changed: &Path) -> BTreeMap<String, Vec<Value>> {
        for document in self.documents.values_mut() {
            if document.reads(changed, &self.buffers) {
                files.extend(document.told().keys().cloned());
                document.read(&self.buffers, &self.config);
                files.extend(document.told().keys().cloned());
            }
        }
        let about = |uri: &String| {
            let all = self.documents.values().filter_map(|document| document.told().get(uri)).flatten();
            // Two buffers that include a file say the same of it.
            let mut said = HashSet::new();
            all.filter(|one| said.insert(one.to_string())).cloned().collect::<Vec<_>>()
        };
        files.iter().map(|uri| (uri.clone(), about(uri))).collect()
    }
}

fn abilities() -> Value {
    json!({
        "capabilities": {
            "textDocumentSync": { "openClose": true, "change": 1 },
            "hoverProvider": true,
            "definitionProvider": true,
            "referencesProvider": true,
            "documentSymbolProvider": true,
            "documentFormattingProvider": true,
            "completionProvider": {},
        },
        "serverInfo": { "name": "mig", "version": env!("CARGO_PKG_VERSION") },
    })
}

fn failed(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}
