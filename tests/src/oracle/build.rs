//! From a `.defs` file to two programs: preprocessor, migcom, gcc.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::prototype::{self, Prototype};
use super::{CAbi, driver, sources};

/// Which form of an interface is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As the file stands.
    Plain,
    /// With `SEQNOS` defined: the server's functions get sequence numbers.
    Seqnos,
}

impl Variant {
    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Variant::Plain => "plain",
            Variant::Seqnos => "SEQNOS",
        }
    }

    const fn defines(self) -> &'static [&'static str] {
        match self {
            Variant::Plain => &[],
            Variant::Seqnos => &["-DSEQNOS=1"],
        }
    }
}

/// The C stubs of one interface, compiled.
#[derive(Debug)]
pub struct Unit {
    /// The program around the client stubs.
    pub client: PathBuf,
    /// The program around the server stubs.
    pub server: PathBuf,
    /// What the client stubs look like.
    pub user: Vec<Prototype>,
    /// What the functions look like that the server stubs call.
    pub functions: Vec<Prototype>,
}

/// Compiles the stubs of `file`, found under `include`, into `folder`.
///
/// # Errors
///
/// The message of the tool that failed.
pub fn build(
    abi: CAbi,
    packages: &Path,
    include: &Path,
    file: &str,
    variant: Variant,
    folder: &Path,
) -> Result<Unit, String> {
    generate(abi, packages, include, file, variant, folder)?;
    let user = prototype::parse(&read(&folder.join("user.h"))?)?;
    let functions = prototype::parse(&read(&folder.join("server.h"))?)?;
    let demux = prototype::demux(&read(&folder.join("server.c"))?)?;
    write(&folder.join("client_driver.c"), &driver::client(&user))?;
    write(&folder.join("server_driver.c"), &driver::server(&functions, &demux))?;
    shim(abi, folder)?;
    let client = program(abi, packages, folder, "client", "user")?;
    let server = program(abi, packages, folder, "server", "server")?;
    Ok(Unit { client, server, user, functions })
}

/// Makes the C stubs of `file`, found under `include`: `user.c`, `server.c` and their headers in `folder`.
///
/// # Errors
///
/// The message of the tool that failed.
pub fn generate(
    abi: CAbi,
    packages: &Path,
    include: &Path,
    file: &str,
    variant: Variant,
    folder: &Path,
) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut preprocess = Command::new("gcc");
    preprocess
        .args(["-E", "-x", "c", "-undef", "-nostdinc"])
        .args(abi.predefined())
        .args(variant.defines())
        .arg("-I")
        .arg(include)
        .arg(include.join(file));
    let preprocessed = output(&mut preprocess, &[])?;
    let mut mig = Command::new(abi.mig(packages));
    mig.args(["-user", "user.c", "-server", "server.c", "-header", "user.h", "-sheader", "server.h"]);
    output(mig.current_dir(folder), &preprocessed).map(drop)
}

fn shim(abi: CAbi, folder: &Path) -> Result<(), String> {
    let mut gcc = Command::new("gcc");
    gcc.args([abi.machine(), "-O1", "-fno-pie", "-c", "-o"])
        .arg(folder.join("shim.o"))
        .arg(sources().join("shim.c"));
    output(&mut gcc, &[]).map(drop)
}

/// Compiles stubs and driver and links them with the shim.
fn program(abi: CAbi, packages: &Path, folder: &Path, name: &str, stubs: &str) -> Result<PathBuf, String> {
    let driver = format!("{name}_driver");
    for source in [stubs, &driver] {
        compile(abi, packages, folder, source)?;
    }
    let program = folder.join(name);
    let mut gcc = Command::new("gcc");
    gcc.args([abi.machine(), "-no-pie", "-o"]).arg(&program);
    gcc.args([stubs, &driver, "shim"].map(|part| folder.join(part).with_extension("o")));
    output(&mut gcc, &[])?;
    Ok(program)
}

/// Without optimisation, so that what a stub does not initialise stays what the stack held.
fn compile(abi: CAbi, packages: &Path, folder: &Path, source: &str) -> Result<(), String> {
    let own_headers = output(Command::new("gcc").arg("-print-file-name=include"), &[])?;
    let mut gcc = Command::new("gcc");
    gcc.args([
        abi.machine(),
        "-O0",
        "-w",
        "-std=gnu11",
        "-fno-pie",
        "-fno-stack-protector",
        "-ffreestanding",
    ])
    .args(["-nostdinc", "-isystem"])
    .arg(String::from_utf8_lossy(&own_headers).trim())
    .arg("-I")
    .arg(sources())
    .arg("-I")
    .arg(sources().join("include"))
    .arg("-I")
    .arg(abi.include(packages))
    .arg("-c")
    .arg(folder.join(source).with_extension("c"))
    .arg("-o")
    .arg(folder.join(source).with_extension("o"));
    output(&mut gcc, &[]).map(drop)
}

/// Runs a program with `input` and returns what it prints; the error is what it complains of.
fn output(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| format!("{name}: {error}");
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
