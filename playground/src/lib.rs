//! The compiler for a browser, as WebAssembly: `docs/book/try/try.js` calls it.
//!
//! Texts go in and out by one buffer of this side, whose place the page asks for: it writes a request there,
//! calls [`compile`], and reads the answer. Both are JSON.

use std::sync::Mutex;

use mig_codegen::abi::Abi;
use mig_codegen::pages::Page;
use mig_codegen::{Config, Error, Input};
use serde_json::{Value, json};

/// The request, and afterwards the answer.
static BUFFER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Makes room for a request of this many bytes, and says where it is.
// SAFETY: no other function of a program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn room(len: usize) -> *mut u8 {
    with_buffer(|buffer| {
        *buffer = vec![0; len];
        buffer.as_mut_ptr()
    })
}

/// Answers the request, and says how long the answer is.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn compile() -> usize {
    with_buffer(|buffer| {
        *buffer = answer(buffer).to_string().into_bytes();
        buffer.len()
    })
}

/// Where the answer is.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn place() -> *const u8 {
    with_buffer(|buffer| buffer.as_ptr())
}

fn with_buffer<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    work(&mut BUFFER.lock().expect("there is one thread"))
}

/// Answers `{"defs": …, "abi": …, "beside": …}` with what is wrong, the Rust text, and the page of `mig doc`;
/// a request of another form with the names of all ABIs.
pub fn answer(request: &[u8]) -> Value {
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    let text = |name: &str| request[name].as_str();
    let (Some(defs), Some(abi)) = (text("defs"), text("abi")) else {
        return json!({ "abis": Abi::names() });
    };
    match results(defs, abi, text("beside")) {
        Ok(results) => results,
        Err(error) => json!({ "report": error.to_string() }),
    }
}

fn results(defs: &str, abi: &str, beside: Option<&str>) -> Result<Value, Error> {
    let config = Config::new().abi(abi).lints(true);
    let input = Input::Text { name: "try.defs", text: defs.as_bytes() };
    let analysis = config.analysis(input)?;
    let report = analysis.report.to_string();
    let mut page = Page::new(analysis.require_interface()?.clone(), analysis.report.sources.clone());
    if let Some(beside) = beside.filter(|beside| *beside != abi) {
        match config.clone().abi(beside).interface(input) {
            Ok(other) => page = page.beside(other.value),
            // It is not for that ABI, which is worth knowing and no reason to show nothing.
            Err(error) => return Ok(json!({ "report": format!("{report}on {beside}: {error}") })),
        }
    }
    // An ABI may have layouts and no stubs.
    let (rust, report) = match config.text_of(&analysis) {
        Ok(rust) => (rust.value, report),
        Err(error) => (String::new(), report + &error.to_string()),
    };
    Ok(json!({ "report": report, "rust": rust, "page": page.html(None) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAMP: &str =
        "subsystem lamp 4000; type lamp_t = MACH_MSG_TYPE_COPY_SEND; routine on(lamp : lamp_t);";

    fn ask(request: &Value) -> Value {
        let request = request.to_string();
        let place = room(request.len());
        assert!(!place.is_null());
        with_buffer(|buffer| buffer.copy_from_slice(request.as_bytes()));
        let len = compile();
        assert!(!super::place().is_null());
        with_buffer(|buffer| {
            assert_eq!(buffer.len(), len);
            serde_json::from_slice(buffer).unwrap()
        })
    }

    #[test]
    fn a_request_is_answered_in_its_place() {
        let names = ask(&json!({}));
        assert!(names["abis"].as_array().unwrap().contains(&json!("apple-64")));
        let lamp = ask(&json!({ "defs": LAMP, "abi": "gnu-i386", "beside": "apple-64" }));
        assert_eq!(lamp["report"], "");
        assert!(lamp["rust"].as_str().unwrap().contains("pub fn on<"));
        let page = lamp["page"].as_str().unwrap();
        assert!(
            page.contains("Request on gnu-i386: 24 bytes") && page.contains("Reply on apple-64: 36 bytes")
        );
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_line() {
        let answer = |defs: &str, abi: &str, beside: &str| {
            answer(json!({ "defs": defs, "abi": abi, "beside": beside }).to_string().as_bytes())
        };
        let wrong = answer(&LAMP.replace(": lamp_t)", ": lmp_t)"), "gnu-i386", "gnu-i386");
        let report = wrong["report"].as_str().unwrap();
        assert!(
            report.contains("MIG0204") && report.contains("^^^^^") && report.contains("`lamp_t`?"),
            "{report}"
        );
        assert!(wrong["rust"].is_null());
        // Layouts without stubs, an ABI that there is not, and an interface that one of two ABIs refuses.
        let old = answer(&LAMP.replace("MACH_MSG_TYPE_COPY_SEND", "MSG_TYPE_PORT"), "mach-25", "mach-25");
        assert!(old["page"].as_str().unwrap().contains("Request on mach-25: 24 bytes"), "{old}");
        let none = answer(LAMP, "vax", "vax");
        assert!(none["report"].as_str().unwrap().contains("unknown ABI"));
        let one = answer(&format!("{LAMP} skip 3;"), "gnu-i386", "apple-64");
        assert!(one["report"].as_str().unwrap().starts_with("on apple-64: "), "{one}");
    }
}
