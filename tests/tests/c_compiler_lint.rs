//! What the lint `c-compiler` says of GNU MIG, held against GNU MIG and gcc.

use std::fs;
use std::path::{Path, PathBuf};

use mig_codegen::{Config, Input};
use mig_tests::oracle::{self, System, Variant, packages_or_skip};

const TYPES: &str = "subsystem s 7000; import \"types.h\";
type port_t = MACH_MSG_TYPE_COPY_SEND ctype: mach_port_t;
type byte_t = MACH_MSG_TYPE_CHAR ctype: char;
type ten_t = array[*:10] of byte_t;
type sixteen_t = array[*:16] of byte_t;
type three_t = array[3] of port_t;
";

const C_TYPES: &str = "#include <mach/port.h>
typedef char ten_t[10], sixteen_t[16];
typedef const char *const_ten_t, *const_sixteen_t;
typedef mach_port_t three_t[3];
";

/// The stubs of an interface by a system's MIG, in a folder of their own.
struct Stubs<'a> {
    system: System,
    packages: &'a Path,
    folder: PathBuf,
}

impl Stubs<'_> {
    fn new<'a>(system: System, packages: &'a Path, name: &str, text: &str) -> Stubs<'a> {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("c_compiler_lint").join(system.name).join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("types.h"), C_TYPES).unwrap();
        fs::write(folder.join("s.defs"), text).unwrap();
        oracle::generate(system, packages, &folder, "s.defs", Variant::Plain, &folder).unwrap();
        Stubs { system, packages, folder }
    }

    fn compile(&self, source: &str) -> Result<(), String> {
        oracle::compile(self.system, self.packages, &self.folder, source)
    }

    /// Whether the structure of the request, as the stub declares it, has the type of `b` at this offset.
    fn request_has_b_at(&self, offset: u32) -> bool {
        let stub = fs::read_to_string(self.folder.join("user.c")).unwrap();
        let end = stub.find("} Request;").unwrap();
        let start = stub[..end].rfind("typedef struct {").unwrap();
        let structure = &stub[start..end];
        let text = format!(
            "#include <stdint.h>\n#include \"user.h\"\n{structure}}} Request;\n\
             _Static_assert(__builtin_offsetof(Request, bType) == {offset}, \"elsewhere\");\n"
        );
        fs::write(self.folder.join("offset.c"), text).unwrap();
        match self.compile("offset") {
            Ok(()) => true,
            Err(error) => {
                assert!(error.contains("elsewhere"), "{error}");
                false
            }
        }
    }
}

/// Whether the lint warns of an interface.
fn is_warned_of(system: System, text: &str) -> bool {
    let abi = if system.name.ends_with("amd64") { "gnu-x86_64" } else { "gnu-i386" };
    let config = Config::new().abi(abi).lints(true);
    let analysis = config.analysis(Input::Text { name: "s.defs", text: text.as_bytes() }).unwrap();
    assert!(!analysis.report.diagnostics.has_errors(), "{}", analysis.report);
    analysis.report.to_string().contains("MIG0404")
}

#[test]
fn gnu_mig_misplaces_what_follows_an_array_of_no_whole_addresses() {
    let Some(packages) = packages_or_skip() else { return };
    for system in System::ALL {
        let is_64 = system.name.ends_with("amd64");
        // After the header, the type word and the array with its padding: 24, 4, 12 or 16; 32, 8, 16.
        for (ty, offset, is_there) in
            [("ten_t", if is_64 { 56 } else { 40 }, false), ("sixteen_t", if is_64 { 56 } else { 44 }, true)]
        {
            let text = format!("{TYPES}routine f(p : port_t; a : {ty}; b : int);");
            let stubs = Stubs::new(system, &packages, ty, &text);
            assert_eq!(stubs.request_has_b_at(offset), is_there, "{}: {ty}", system.name);
            assert_eq!(is_warned_of(system, &text), !is_there, "{}: {ty}", system.name);
        }
    }
}

/// Not that of 2022, which is no reason to write what the next one refuses.
#[test]
fn gnu_mig_of_2023_makes_stubs_that_do_not_compile() {
    let Some(packages) = packages_or_skip() else { return };
    let arrays = "routine f(p : port_t; out a : sixteen_t; out b : sixteen_t);";
    let rights = "routine f(p : port_t; a : three_t);";
    for system in System::ALL {
        let is_new = system.name.starts_with("trixie");
        for (name, routine, source) in [("arrays", arrays, "server"), ("rights", rights, "user")] {
            let text = format!("{TYPES}{routine}");
            let stubs = Stubs::new(system, &packages, name, &text);
            let compiled = stubs.compile(source);
            assert_eq!(compiled.is_err(), is_new, "{}: {name}: {compiled:?}", system.name);
            assert!(is_warned_of(system, &text), "{}: {name}", system.name);
        }
    }
    let one = format!("{TYPES}routine f(p : port_t; out a : sixteen_t);");
    for system in System::ALL {
        let stubs = Stubs::new(system, &packages, "one", &one);
        assert_eq!(stubs.compile("server").and_then(|()| stubs.compile("user")), Ok(()), "{}", system.name);
        assert!(!is_warned_of(system, &one), "{}", system.name);
    }
}
