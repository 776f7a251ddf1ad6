//! The generated text of small interfaces, word by word. `BLESS=1` writes what is generated now; read it
//! before it is committed.

use std::path::Path;
use std::{env, fs};

use mig_codegen::{Config, Input, Side};

/// The text for an interface of a few lines.
fn text(source: &str, abi: &str) -> Result<String, String> {
    let input = Input::Text { name: "test.defs", text: source.as_bytes() };
    let output = Config::new().abi(abi).text(input);
    output.map(|output| output.value).map_err(|error| error.to_string())
}

#[track_caller]
fn golden(name: &str, config: Config) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rust");
    let input = folder.join(name).with_extension("defs");
    let generated = config.text(&input).unwrap();
    assert_eq!(generated.warnings.to_string(), "");
    let golden = input.with_extension("rs");
    if env::var_os("BLESS").is_some() {
        fs::write(&golden, &generated.value).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(&expected, &generated.value);
    let diff = diff.unified_diff().header("committed", "generated now").to_string();
    assert!(expected == generated.value, "{name}\n{diff}");
}

/// Both sides; rights, data out of line, sequence numbers.
#[test]
fn objects() {
    golden("objects", Config::new().abi("gnu-x86_64").define("SEQNOS", "1"));
}

/// Both sides; replies, a structure that 64-bit machines would align otherwise, a time-out, a string.
#[test]
fn clock() {
    golden("clock", Config::new().abi("gnu-i386"));
}

/// Apple's messages; arrays, memory, a token from the trailer.
#[test]
fn raise() {
    golden("raise", Config::new().abi("apple-64"));
}

/// OSF's messages; rights, memory, sequence numbers from the trailer.
#[test]
fn store_osf() {
    golden("store_osf", Config::new().abi("osf-32").define("SEQNOS", "1"));
}

/// The server alone; arrays.
#[test]
fn store() {
    golden("store", Config::new().abi("gnu-x86_64").side(Side::Server));
}

/// A parameter may have the name of a variable of the stub, which gives way.
#[test]
fn a_time_out_may_be_called_like_a_variable() {
    let source = "subsystem s 10; type p_t = MACH_MSG_TYPE_COPY_SEND; type n_t = MACH_MSG_TYPE_INTEGER_32;
                  routine f(p : p_t; shape : n_t; waittime options : n_t);";
    let rust = text(source, "gnu-x86_64").unwrap();
    let call = "request.call(id::F, dest, shape_, options_)?";
    for line in ["let shape_ = ", "let options_ = ", "receive_timeout: Some(options)", call] {
        assert!(rust.contains(line), "{line} in\n{rust}");
    }
}

/// One side of it is a kernel, to which ports are addresses: its stubs have an ABI of their own.
#[test]
fn a_side_in_a_kernel_has_stubs_of_the_kernels_abi() {
    let interface = |kernel: &str| {
        format!(
            "subsystem {kernel} s 10; type p_t = MACH_MSG_TYPE_COPY_SEND; type a_t = ^array[] of p_t;
             routine f(p : p_t; out a : a_t);"
        )
    };
    for (abi, name) in [
        ("gnu-i386", "GnuI386"),
        ("gnu-x86_64", "GnuX86_64"),
        ("gnu-x86_64-2022", "GnuX86_64Of2022"),
        ("cmu-32", "GnuI386"),
        ("osf-32", "Osf32"),
        ("apple-32", "Apple32"),
        ("apple-64", "Apple64"),
    ] {
        for kernel in ["", "KernelUser", "KernelServer"] {
            let rust = text(&interface(kernel), abi).unwrap();
            let alias = match kernel {
                "" => format!("pub type Abi = rt::abi::{name};"),
                _ => format!("pub type Abi = rt::abi::InKernel<rt::abi::{name}>;"),
            };
            assert!(rust.contains(&alias), "{kernel} {abi}: {rust}");
            assert!(rust.contains("pub fn f<K") && rust.contains("pub trait "), "{kernel} {abi}");
        }
    }
}

#[test]
fn a_time_that_only_c_knows_is_an_error() {
    let interface = |time: &str, option: &str| {
        format!(
            "subsystem s 10; type p_t = MACH_MSG_TYPE_COPY_SEND; waittime {time}; msgoption {option}; routine f(p : p_t); routine g(p : p_t);"
        )
    };
    let rust = text(&interface("0x10", "MACH_RCV_LARGE"), "gnu-i386").unwrap();
    assert!(rust.contains("receive_timeout: Some(16)") && rust.contains("bits: 2048"), "{rust}");
    let error = text(&interface("PATIENCE", "SOME_BITS"), "gnu-i386").unwrap_err();
    assert_eq!(error.matches("error[").count(), 2, "{error}");
    let marked = text(&interface("1", "MACH_RCV_LARG"), "osf-32").unwrap_err();
    assert!(
        marked.contains("did you mean `MACH_RCV_LARGE`?") && marked.contains("^^^^^^^^^^^^^^^^^^^^^^^ only"),
        "{marked}"
    );
    for hint in ["the waiting time `PATIENCE`", "`-D PATIENCE=…`", "the message option `SOME_BITS`"] {
        assert!(error.contains(hint), "{error}");
    }
}

/// A request to the kernel: with a time of its own, too.
#[test]
fn requests_to_objects_of_the_kernel_say_so() {
    let source = "subsystem s 10; type int = MACH_MSG_TYPE_INTEGER_32; type p_t = MACH_MSG_TYPE_COPY_SEND;
         routine f(p : p_t); waittime 7; routine g(p : p_t);";
    let input = Input::Text { name: "s.defs", text: source.as_bytes() };
    for (kernel_objects, calls) in [(true, [1, 1, 0]), (false, [0, 0, 2])] {
        let config = Config::new().abi("apple-64").kernel_objects(kernel_objects);
        let text = config.text(input).unwrap().value;
        let calls_of = [
            text.matches("rt::CallOptions::KERNEL_OBJECT)").count(),
            text.matches("..rt::CallOptions::KERNEL_OBJECT").count(),
            text.matches("rt::CallOptions::NONE").count(),
        ];
        assert_eq!(calls_of, calls, "{text}");
        let first = text.lines().next().unwrap();
        assert_eq!(first.contains("abi apple-64; kernel objects"), kernel_objects, "{first}");
    }
}

/// What no object of the kernel takes is an error on the ABIs whose kernel asks, and only where a client is
/// made.
#[test]
fn what_the_kernel_does_not_take_is_an_error() {
    let error = |config: Config, routine: &str| {
        let source = format!(
            "subsystem s 10; type p_t = MACH_MSG_TYPE_COPY_SEND; type o_t = ^array[] of MACH_MSG_TYPE_BYTE; {routine}"
        );
        let input = Input::Text { name: "s.defs", text: source.as_bytes() };
        config.text(input).err().map(|error| error.to_string())
    };
    let four = "routine f(p : p_t; a : p_t; b : o_t; c : p_t; d : o_t);";
    let three = "routine f(p : p_t; a : p_t; b : o_t; c : p_t; out d : o_t);";
    let one_way = "simpleroutine f(p : p_t);";
    let kernel = |abi: &str| Config::new().abi(abi).kernel_objects(true);
    for abi in ["apple-64", "apple-32"] {
        let said = error(kernel(abi), four).unwrap();
        assert!(said.contains("MIG0504") && said.contains("the request of `f` has 4 descriptors"), "{said}");
        let said = error(kernel(abi), one_way).unwrap();
        assert!(said.contains("MIG0504") && said.contains("`f` waits for no reply"), "{said}");
        assert_eq!(error(kernel(abi), three), None);
        for routine in [four, one_way] {
            assert_eq!(error(kernel(abi).side(Side::Server), routine), None);
            assert_eq!(error(Config::new().abi(abi), routine), None);
        }
    }
    for routine in [four, one_way] {
        assert_eq!(error(kernel("osf-32"), routine), None);
        assert_eq!(error(kernel("gnu-x86_64"), routine.replace("MACH_MSG_TYPE_BYTE", "char").as_str()), None);
    }
}
