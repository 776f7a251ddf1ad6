//! From a `.defs` file to two programs: preprocessor, migcom, gcc.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::prototype::{self, Prototype};
use super::{System, driver, sources};

/// Which form of an interface is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As the file stands.
    Plain,
    /// With `SEQNOS` defined: the server's functions get sequence numbers.
    Seqnos,
    /// With `KERNEL_USER` defined: the client is a kernel.
    KernelUser,
    /// With `KERNEL_SERVER` defined: the server is a kernel.
    KernelServer,
}

impl Variant {
    /// All of them.
    pub const ALL: [Variant; 4] =
        [Variant::Plain, Variant::Seqnos, Variant::KernelUser, Variant::KernelServer];

    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self.define() {
            Some(name) => name,
            None => "plain",
        }
    }

    /// The macro that makes it.
    pub const fn define(self) -> Option<&'static str> {
        match self {
            Variant::Plain => None,
            Variant::Seqnos => Some("SEQNOS"),
            Variant::KernelUser => Some("KERNEL_USER"),
            Variant::KernelServer => Some("KERNEL_SERVER"),
        }
    }
}

/// The C stubs of one interface, compiled.
#[derive(Debug)]
pub struct Unit {
    /// The program around the client stubs.
    pub client: PathBuf,
    /// The program around the server stubs; none where the client is a kernel, whose server is that of
    /// another variant.
    pub server: Option<PathBuf>,
    /// What the client stubs look like.
    pub user: Vec<Prototype>,
    /// What the functions look like that the server stubs call.
    pub functions: Vec<Prototype>,
    /// The routines without a server stub.
    pub broken: Vec<Broken>,
}

/// A routine whose server stub the C compiler refuses; it is cut out of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its name.
    pub routine: String,
    /// The first thing that the compiler says about it.
    pub message: String,
}

impl Broken {
    /// The routines of a unit that were cut out when it was built.
    ///
    /// # Errors
    ///
    /// If it was not built.
    pub fn read(folder: &Path) -> Result<Vec<Broken>, String> {
        let text = read(&folder.join("broken"))?;
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        Ok(lines
            .map(|(routine, message)| Broken { routine: routine.into(), message: message.into() })
            .collect())
    }

    fn write(broken: &[Broken], folder: &Path) -> Result<(), String> {
        let lines = broken.iter().map(|broken| format!("{}: {}\n", broken.routine, broken.message));
        write(&folder.join("broken"), &lines.collect::<String>())
    }
}

/// Compiles the stubs of `file`, found under `include`, into `folder`.
///
/// # Errors
///
/// The message of the tool that failed.
pub fn build(
    system: impl Into<System>,
    packages: &Path,
    include: &Path,
    file: &str,
    variant: Variant,
    folder: &Path,
) -> Result<Unit, String> {
    let system = system.into();
    generate(system, packages, include, file, variant, folder)?;
    let user = prototype::parse(&read(&folder.join("user.h"))?)?;
    let functions = prototype::parse(&read(&folder.join("server.h"))?)?;
    let tools = Tools { system, packages, folder };
    tools.shim()?;
    write(&folder.join("client_driver.c"), &driver::client(&user))?;
    let client = tools.program("client", "user")?;
    let mut unit = Unit { client, server: None, user, functions, broken: Vec::new() };
    if variant == Variant::KernelUser {
        return Ok(unit);
    }
    let demux = prototype::demux(&read(&folder.join("server.c"))?)?;
    write(&folder.join("server_driver.c"), &driver::server(&unit.functions, &demux))?;
    unit.broken = tools.cut_broken_stubs()?;
    Broken::write(&unit.broken, folder)?;
    unit.server = Some(tools.program("server", "server")?);
    Ok(unit)
}

/// Makes the C stubs of `file`, found under `include`: `user.c`, `server.c` and their headers in `folder`.
///
/// # Errors
///
/// The message of the tool that failed.
pub fn generate(
    system: impl Into<System>,
    packages: &Path,
    include: &Path,
    file: &str,
    variant: Variant,
    folder: &Path,
) -> Result<(), String> {
    let system = system.into();
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut preprocess = Command::new("gcc");
    preprocess
        .args(["-E", "-x", "c", "-undef", "-nostdinc"])
        .args(system.abi.predefined())
        .args(variant.define().map(|name| format!("-D{name}=1")))
        .arg("-I")
        .arg(include)
        .arg(include.join(file));
    let preprocessed = output(&mut preprocess, &[])?;
    let mut mig = Command::new(system.mig(packages));
    mig.args(["-user", "user.c", "-server", "server.c", "-header", "user.h", "-sheader", "server.h"]);
    output(mig.current_dir(folder), &preprocessed).map(drop)
}

/// Compiles `source.c` in a folder as C's stubs are compiled.
///
/// # Errors
///
/// What the compiler says.
pub fn compile(system: System, packages: &Path, folder: &Path, source: &str) -> Result<(), String> {
    Tools { system, packages, folder }.compile(source)
}

/// The C compiler for one unit.
struct Tools<'a> {
    system: System,
    packages: &'a Path,
    folder: &'a Path,
}

impl Tools<'_> {
    /// Compiles what all programs have.
    fn shim(&self) -> Result<(), String> {
        let mut gcc = Command::new("gcc");
        gcc.args([self.system.abi.machine(), "-O1", "-fno-pie", "-c", "-o"])
            .arg(self.folder.join("shim.o"))
            .arg(sources().join("shim.c"));
        output(&mut gcc, &[]).map(drop)
    }

    /// Compiles stubs and driver and links them with the shim.
    fn program(&self, name: &str, stubs: &str) -> Result<PathBuf, String> {
        let driver = format!("{name}_driver");
        for source in [stubs, &driver] {
            self.compile(source)?;
        }
        let program = self.folder.join(name);
        let mut gcc = Command::new("gcc");
        gcc.args([self.system.abi.machine(), "-no-pie", "-o"]).arg(&program);
        gcc.args([stubs, &driver, "shim"].map(|part| self.folder.join(part).with_extension("o")));
        output(&mut gcc, &[])?;
        Ok(program)
    }

    /// Without optimisation, so that what a stub does not initialise stays what the stack held.
    fn compile(&self, source: &str) -> Result<(), String> {
        let own_headers = output(Command::new("gcc").arg("-print-file-name=include"), &[])?;
        let mut gcc = Command::new("gcc");
        gcc.args([
            self.system.abi.machine(),
            "-O0",
            "-w",
            "-std=gnu11",
            "-fno-pie",
            "-fno-stack-protector",
            "-ffreestanding",
        ])
        .args(["-include", "kern/ipc_port.h", "-nostdinc", "-isystem"])
        .arg(String::from_utf8_lossy(&own_headers).trim())
        .arg("-I")
        .arg(sources())
        .arg("-I")
        .arg(sources().join("include"))
        .arg("-I")
        .arg(self.system.include(self.packages))
        .arg("-c")
        .arg(self.folder.join(source).with_extension("c"))
        .arg("-o")
        .arg(self.folder.join(source).with_extension("o"));
        output(&mut gcc, &[]).map(drop)
    }

    /// Cuts the bodies of those server stubs out that do not compile.
    fn cut_broken_stubs(&self) -> Result<Vec<Broken>, String> {
        let source = self.folder.join("server.c");
        let mut broken = Vec::new();
        while let Err(complaint) = self.compile("server") {
            let found = first_complaint(&complaint).ok_or_else(|| complaint.clone())?;
            let text = read(&source)?;
            let cut = without_body(&text, &found.routine).ok_or(complaint)?;
            write(&source, &cut)?;
            broken.push(found);
        }
        Ok(broken)
    }
}

/// The stub that gcc complains of first, and how.
fn first_complaint(complaint: &str) -> Option<Broken> {
    let (_, rest) = complaint.split_once(": In function '_X")?;
    let (routine, _) = rest.split_once('\'')?;
    let (_, message) = rest.split_once(": error: ")?;
    Some(Broken { routine: routine.to_string(), message: message.lines().next()?.to_string() })
}

/// A file of server stubs in which this routine's does nothing; `None` if it has no body.
fn without_body(text: &str, routine: &str) -> Option<String> {
    let head = format!(
        "mig_internal void _X{routine}\n\t(mach_msg_header_t *InHeadP, mach_msg_header_t *OutHeadP)\n"
    );
    let (before, rest) = text.split_once(&head)?;
    let (body, after) = rest.split_once("\n}\n")?;
    (body != "{").then(|| format!("{before}{head}{{\n}}\n{after}"))
}

/// Runs a program with `input` and returns what it prints; the error is what it complains of.
fn output(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| format!("{name}: {error}");
    // Its messages are read.
    command.env("LC_ALL", "C");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input)).map_err(failed)?;
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{name}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
