//! The command `mach-pager run`, as a user runs it. Where userfaultfd is not permitted, the tests say what to
//! grant and are skipped; CI may have it.
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]

mod nbd_server;

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nbd_server::{SERVERS, Server, free_port, is_installed};
use rustix::process::Signal;

/// What may be resident; the tests' programs use several times as much.
const RESIDENT: &str = "256K";

/// What the command prints where a user may not have userfaultfd.
const NOT_PERMITTED: &str = "userfaultfd is not permitted";

fn mach_pager() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mach-pager"));
    command.stdin(Stdio::null());
    command
}

/// Runs a program with these options of the command.
fn run(options: &[&str], program: &[&str]) -> Output {
    mach_pager().arg("run").args(options).arg("--").args(program).output().unwrap()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// True if programs can be paged here.
fn is_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        let output = run(&["--resident", RESIDENT], &["true"]);
        let error = error(&output);
        let is_refused = error.contains(NOT_PERMITTED) || error.contains("Linux 6.8");
        if is_refused && std::env::var_os("CI").is_none() {
            eprintln!("skipped: {error}");
            return false;
        }
        assert!(output.status.success(), "{error}");
        true
    })
}

/// The figure after this word in the table.
fn figure(table: &str, word: &str) -> u64 {
    let (_, after) = table.split_once(&format!("  {word} ")).unwrap_or_else(|| panic!("{word}: {table}"));
    after.split_whitespace().next().unwrap().parse().unwrap()
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A program of C that is compiled once, by its name in `tests/run`; `None` if there is no compiler, which CI
/// has.
fn compiled(name: &str, options: &[&str]) -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run").join(name).with_extension("c");
    let program = tempfile::Builder::new().prefix(name).tempdir_in(folder()).unwrap().keep().join(name);
    let mut compiler = Command::new("gcc");
    compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread"]).args(options);
    let output = match compiler.arg("-o").arg(&program).arg(source).output() {
        Err(why) if std::env::var_os("CI").is_none() => {
            eprintln!("skipped: gcc: {why}");
            return None;
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{}", error(&output));
    Some(program)
}

/// Runs a part of the program that uses memory in every way.
fn family(part: &str, options: &[&str]) {
    let Some(program) = compiled("family", &[]).filter(|_| is_permitted()) else { return };
    let output = run(&[&["--resident", RESIDENT], options].concat(), &[program.to_str().unwrap(), part]);
    let table = error(&output);
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "every byte is right\n");
    assert_eq!(figure(&table, "lost"), 0, "{table}");
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

#[test]
fn every_function_of_malloc_with_threads() {
    family("allocate", &[]);
}

/// Of some five megabytes in small pieces that were freed little is left in the swap space.
#[test]
fn what_is_freed_in_small_pieces_takes_no_room() {
    let Some(program) = compiled("family", &[]).filter(|_| is_permitted()) else { return };
    let report = program.with_file_name("report");
    let options = ["--resident", RESIDENT, "--report", report.to_str().unwrap()];
    let output = run(&options, &[program.to_str().unwrap(), "pieces"]);
    let table = error(&output);
    assert_eq!(output.status.code(), Some(0), "{table}");
    let json = fs::read_to_string(&report).unwrap();
    let number = |name: &str| -> u64 {
        let (_, after) = json.split_once(&format!("\"{name}\": ")).unwrap();
        after.split([',', '\n']).next().unwrap().parse().unwrap()
    };
    let used = number("swap_total") - number("swap_free");
    assert!(number("pages_out") > 1000 && used < 400, "{used} pages: {table}");
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

#[test]
fn memory_that_is_mapped_with_threads() {
    family("map", &[]);
}

#[test]
fn memory_that_is_mapped_with_threads_and_compressed() {
    family("map", &["--compress"]);
}

#[test]
fn what_a_program_protects_it_feels() {
    family("protect", &[]);
}

#[test]
fn system_calls_and_signals_in_memory_that_is_not_there() {
    family("system", &[]);
}

#[test]
fn programs_are_started() {
    family("start", &[]);
}

#[test]
fn descriptors_that_a_program_does_not_know_stay() {
    family("descriptors", &[]);
}

#[test]
fn children_see_the_memory_as_it_was_at_the_fork() {
    family("fork", &[]);
}

#[test]
fn the_locale_is_there_whenever_a_thread_begins() {
    family("locale", &[]);
}

#[test]
fn a_program_that_becomes_another_is_paged_still() {
    family("exec", &[]);
}

#[test]
fn gnu_sort_at_four_times_what_may_be_resident() {
    if !is_permitted() {
        return;
    }
    // A quarter of a megabyte of text and as much for its lines, and what their comparison takes.
    let mut words = String::new();
    for number in 0..9_000_u64 {
        writeln!(words, "{} and a line with the number {number}", number * 7919 % 9_001).unwrap();
    }
    let file = tempfile::Builder::new().prefix("words").tempfile_in(folder()).unwrap();
    fs::write(&file, words).unwrap();
    let path = file.path().to_str().unwrap();
    let report = file.path().with_extension("json");
    let arguments = ["sort", "-n", "--parallel=1", "-S", "16M", path];
    let plain = Command::new(arguments[0]).args(&arguments[1..]).output().unwrap();
    let paged =
        run(&["--resident", RESIDENT, "--progress", "--report", report.to_str().unwrap()], &arguments);
    let table = error(&paged);
    assert_eq!(paged.status.code(), Some(0), "{table}");
    assert!(paged.stdout == plain.stdout, "{table}");
    assert!(figure(&table, "pages in") > 200, "{table}");
    // The report says what the table says.
    let json = fs::read_to_string(&report).unwrap();
    for (name, word) in [("faults", "faults"), ("pages_in", "pages in"), ("pages_out", "pages out")] {
        assert!(json.contains(&format!("\"{name}\": {}", figure(&table, word))), "{json}{table}");
    }
    assert!(json.contains("\"program\": \"sort\",\n  \"exit_code\": 0,\n  \"signal\": null,"), "{json}");
    let (_, peak) = json.split_once("\"peak_resident\": ").unwrap();
    assert!(peak.split(',').next().unwrap().parse::<u64>().unwrap() <= 256 << 10, "{json}");
    fs::remove_file(report).unwrap();
}

/// Runs a program alone and paged, and compares what it prints. CI has the program.
fn prints_the_same(name: &str, arguments: &[&str], input: &str) {
    let file = tempfile::Builder::new().prefix("input").tempfile_in(folder()).unwrap();
    fs::write(&file, input).unwrap();
    let open = || fs::File::open(file.path()).unwrap();
    let alone = match Command::new(name).args(arguments).stdin(open()).output() {
        Err(why) if std::env::var_os("CI").is_none() => return eprintln!("skipped: {name}: {why}"),
        output => output.unwrap(),
    };
    assert!(alone.status.success(), "{}", error(&alone));
    if !is_permitted() {
        return;
    }
    let mut paged = mach_pager();
    paged.args(["run", "--resident", RESIDENT, "--", name]).args(arguments).stdin(open());
    let paged = paged.output().unwrap();
    let table = error(&paged);
    assert!(paged.stdout == alone.stdout, "{}{table}", String::from_utf8_lossy(&paged.stdout));
    assert_eq!(paged.status.code(), Some(0), "{table}");
    assert!(figure(&table, "pages in") > 50, "{table}");
}

#[test]
fn sqlite_in_memory_is_whole() {
    let rows = "
        create table t(a integer primary key, b text, c integer);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000)
            insert into t select i, 'row ' || (i * 7919 % 4001), i * 31 % 1009 from n;
        create index tb on t(b);
        select count(*), sum(c), max(b) from t where b > 'row 5';
        pragma integrity_check;
    ";
    prints_the_same("sqlite3", &[":memory:"], rows);
}

/// A server of redis that is spoken to by its socket, and ends with this.
struct Redis {
    server: Child,
    socket: BufReader<UnixStream>,
}

impl Redis {
    /// Starts a server by this command, that keeps its dump in this folder.
    fn start(mut command: Command, folder: &Path, name: &str) -> Self {
        command.args(["--port", "0", "--save", "", "--enable-debug-command", "yes", "--unixsocket", name]);
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        let mut server = command.spawn().unwrap();
        // The whole path may be longer than that of a socket.
        let folder = fs::File::open(folder).unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        loop {
            if let Ok(socket) = UnixStream::connect(&path) {
                return Self { server, socket: BufReader::new(socket) };
            }
            assert_eq!(server.try_wait().unwrap(), None, "the server has ended");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Sends commands, and returns the first line of the answer to each, or of what it contains.
    fn ask(&mut self, commands: &[String]) -> Vec<String> {
        let text: String = commands.iter().map(|command| format!("{command}\r\n")).collect();
        let mut to = self.socket.get_ref().try_clone().unwrap();
        std::thread::scope(|scope| {
            // As it may not read more before its answers have been read.
            scope.spawn(move || to.write_all(text.as_bytes()).unwrap());
            commands.iter().map(|_| self.answer()).collect()
        })
    }

    fn answer(&mut self) -> String {
        let line = self.line();
        let Some(length) = line.strip_prefix('$') else { return line };
        let mut text = vec![0; length.parse::<usize>().unwrap() + 2];
        self.socket.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap().trim_end().to_owned()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.socket.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn digest(&mut self) -> String {
        self.ask(&["DEBUG DIGEST".to_owned()]).remove(0)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.socket.get_ref().write_all(b"SHUTDOWN NOSAVE\r\n");
        let _ = self.server.wait();
    }
}

/// What redis saves in a child is what it had at the fork, although it changes it meanwhile.
#[test]
fn redis_at_four_times_what_may_be_resident_saves_what_it_had_at_the_fork() {
    const KEYS: u64 = 3000;
    let value = |number: u64, turn: u64| {
        let words = (0..16).map(|at| (number * 31 + turn + at).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        words.map(|word| format!("{word:016x}")).collect::<String>()
    };
    let set = |number, turn| format!("SET key:{number} {}", value(number, turn));
    let folder = tempfile::tempdir_in(folder()).unwrap();
    if !is_permitted() {
        return;
    }
    let mut paged = mach_pager();
    let report = folder.path().join("report");
    paged.args(["run", "--resident", "512K", "--report", report.to_str().unwrap(), "--", "redis-server"]);
    paged.stderr(Stdio::null());
    if Command::new("redis-server").arg("--version").output().is_err() && std::env::var_os("CI").is_none() {
        return eprintln!("skipped: there is no redis-server");
    }
    let mut redis = Redis::start(paged, folder.path(), "paged");
    let done = redis.ask(&(0..KEYS).map(|number| set(number, 0)).collect::<Vec<_>>());
    assert!(done.iter().all(|answer| answer == "+OK"), "{done:?}");
    let before = redis.digest();
    let started = redis.ask(&["BGSAVE".to_owned()]);
    assert_eq!(started, ["+Background saving started"]);
    // Every third one changes, and the others are read back.
    let changed = |number: u64| number % 3 == 0;
    let commands =
        (0..KEYS).map(|number| if changed(number) { set(number, 1) } else { format!("GET key:{number}") });
    let answers = redis.ask(&commands.collect::<Vec<_>>());
    for (number, answer) in (0..).zip(&answers) {
        let expected = if changed(number) { "+OK".to_owned() } else { value(number, 0) };
        assert_eq!(*answer, expected, "key {number}");
    }
    while redis.ask(&["INFO persistence".to_owned()])[0].contains("rdb_bgsave_in_progress:1") {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let info = redis.ask(&["INFO persistence".to_owned()]).remove(0);
    assert!(info.contains("rdb_last_bgsave_status:ok"), "{info}");
    assert_ne!(redis.digest(), before);
    drop(redis);
    let json = fs::read_to_string(&report).unwrap();
    let (_, peak) = json.split_once("\"peak_resident\": ").unwrap();
    let peak: u64 = peak.split(',').next().unwrap().parse().unwrap();
    assert!(peak < 540 << 10, "{json}");
    let mut plain = Redis::start(Command::new("redis-server"), folder.path(), "plain");
    assert_eq!(plain.digest(), before);
}

#[test]
fn the_end_of_the_program_is_the_end_of_the_command() {
    if !is_permitted() {
        return;
    }
    for (script, code, signal) in
        [("exit 7", Some(7), None), ("kill -TERM $$", None, Some(15)), ("kill -SEGV $$", None, Some(11))]
    {
        let output = run(&[], &["sh", "-c", script]);
        let table = error(&output);
        assert_eq!((output.status.code(), output.status.signal()), (code, signal), "{script}: {table}");
        assert!(table.contains("  faults  "), "{table}");
    }
    let Some(program) = compiled("family", &[]) else { return };
    for (part, code, signal) in [("abort", None, Some(6)), ("quick", Some(42), None)] {
        let output = run(&[], &[program.to_str().unwrap(), part]);
        assert_eq!((output.status.code(), output.status.signal()), (code, signal), "{}", error(&output));
    }
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

/// The command has its library in itself, and needs no other file: neither does the command that it runs.
#[test]
fn a_copy_of_the_command_runs_a_copy_of_it() {
    if !is_permitted() {
        return;
    }
    let folder = tempfile::tempdir_in(folder()).unwrap();
    let copy = folder.path().join("copy of it: one file");
    fs::copy(env!("CARGO_BIN_EXE_mach-pager"), &copy).unwrap();
    let output = Command::new(&copy).arg("run").arg(&copy).args(["run", "sh", "-c", "exit 7"]).output();
    let output = output.unwrap();
    let tables = error(&output);
    assert_eq!(output.status.code(), Some(7), "{tables}");
    assert_eq!(tables.matches("  faults  ").count(), 2, "{tables}");
    assert!(!tables.contains("preload"), "{tables}");
}

/// A program that pages itself has what it prints for itself.
#[test]
fn output_and_input_are_the_programs() {
    if !is_permitted() {
        return;
    }
    let mut command = mach_pager();
    let command = command.args(["run", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"a word").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"a word"[..], Some(0)));
}

#[test]
fn what_cannot_be_paged_is_refused_before_it_runs() {
    let folder = tempfile::tempdir_in(folder()).unwrap();
    let in_folder = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (text, marker, small) = (in_folder("text"), in_folder("marker"), in_folder("small"));
    fs::write(&text, "no swap").unwrap();
    assert!(mach_pager().args(["format", &small, "--size", "1M"]).output().unwrap().status.success());
    let (in_use, copy, small_too) = (in_folder("in use"), in_folder("copy"), in_folder("link"));
    assert!(mach_pager().args(["format", &in_use, "--size", "1M"]).output().unwrap().status.success());
    let locked = fs::File::open(&in_use).unwrap();
    rustix::fs::flock(&locked, rustix::fs::FlockOperation::LockExclusive).unwrap();
    fs::copy(&small, &copy).unwrap();
    std::os::unix::fs::symlink(&small, &small_too).unwrap();
    let no_report = in_folder("no report");
    let touch = ["touch", marker.as_str()];
    let privileged = in_folder("privileged");
    fs::copy("/bin/true", &privileged).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    fs::set_permissions(&privileged, mode).unwrap();
    // Nobody listens there.
    let nobody = format!("nbd://127.0.0.1:{}/swap", free_port());
    let mut cases: Vec<(Vec<&str>, Vec<&str>, i32, &str)> = vec![
        (vec!["--resident", "10K"], touch.into(), 2, "--resident: 10.0 KiB are too little, take "),
        (vec!["--swap", &small, "--swap", &small_too], touch.into(), 2, "link is given twice"),
        (vec!["--swap", &small, "--swap-size", "1G"], touch.into(), 2, "cannot be used with"),
        (vec!["--swap", "nbd://host:port/"], touch.into(), 2, "--swap: nbd://host:port/: a host and a port"),
        (vec!["--swap", "nbd+unix:///swap"], touch.into(), 2, "the socket is missing, as in nbd+unix:"),
        (vec!["--swap", "nbds://localhost/"], touch.into(), 2, "there is no TLS here; a tunnel such as"),
        (vec![], vec![], 2, "PROGRAM"),
        (vec!["--report", "/nowhere/report"], touch.into(), 1, "/nowhere/report cannot be written: "),
        (vec![], vec!["no-program-of-this-name"], 1, "there is no program no-program-of-this-name in PATH"),
        (vec![], vec!["./no-program-of-this-name"], 1, "./no-program-of-this-name: No such file"),
        (vec![], vec![folder.path().to_str().unwrap()], 1, "Is a directory"),
        (vec![], vec![&text], 1, "this is no program"),
        (vec![], vec![&privileged], 1, "a program that has privileges of its own takes no library"),
    ];
    if is_permitted() {
        cases.extend([
            (vec!["--swap", text.as_str()], touch.into(), 1, "cannot be used for swapping: "),
            (vec!["--swap", &marker], touch.into(), 1, "does not exist; `mach-pager format"),
            (vec!["--swap", &in_use], touch.into(), 1, "in use"),
            (vec!["--swap", &small, "--swap", &copy], touch.into(), 1, "the same swap space as another"),
            (
                vec!["--swap-size", "1K"],
                touch.into(),
                1,
                "1024 bytes is too small: say more with --swap-size",
            ),
            (vec!["--swap-size", "1024T"], touch.into(), 1, "say less with --swap-size"),
            (vec!["--report", &no_report, "--swap", &text], touch.into(), 1, "cannot be used for swapping: "),
            (vec!["--report", &text, "--swap", &text], touch.into(), 1, "cannot be used for swapping: "),
            (vec!["--swap", &nobody], touch.into(), 1, "is one started, and is the address right?"),
            (
                vec!["--swap", "nbd+unix:///?socket=/nowhere/nbd.sock"],
                touch.into(),
                1,
                "no server can be reached: ",
            ),
        ]);
    }
    let static_program = compiled("family", &["-static"]);
    let static_program = static_program.as_ref().map(|path| path.to_str().unwrap());
    cases.extend(static_program.map(|path| (vec![], vec![path], 1, "a static program takes no library")));
    for (options, program, code, says) in &cases {
        let output = run(options, program);
        let error = error(&output);
        assert_eq!(output.status.code(), Some(*code), "{options:?} {program:?}: {error}");
        assert!(error.contains(says), "{options:?} {program:?}: {error}");
        assert_eq!(error.matches("error: ").count(), 1, "{error}");
        assert!(!Path::new(&marker).exists(), "nothing of the program has run");
    }
    assert!(!Path::new(&no_report).exists() && fs::read_to_string(&text).unwrap() == "no swap");
}

/// A user that the system gives nothing, and kernels that are too old.
#[test]
fn what_the_system_does_not_have_is_told() {
    let Some(program) = compiled("lacking", &[]) else { return };
    let says = |which: &str, what: &str| {
        let command = [which, env!("CARGO_BIN_EXE_mach-pager"), "run", "echo", "it ran"];
        let output = Command::new(&program).args(command).stdin(Stdio::null()).output().unwrap();
        let error = error(&output);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{error}");
        assert!(error.starts_with("error: ") && error.lines().count() == 1, "{error}");
        assert!(error.contains(what), "{error}");
    };
    let everybody_may = fs::read_to_string("/proc/sys/vm/unprivileged_userfaultfd");
    if rustix::process::geteuid().is_root() && everybody_may.is_ok_and(|text| text == "0\n") {
        says(
            "nobody",
            "userfaultfd is not permitted: run as root, or with CAP_SYS_PTRACE, or give access to",
        );
    }
    if is_permitted() {
        says("-", "Linux 6.8 or newer is needed");
        says("+", "Linux 6.8 or newer is needed");
    }
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

/// Threads that fork while others have locks of the library and of the C library.
#[test]
fn threads_fork_at_any_moment() {
    let Some(program) = compiled("forks", &[]).filter(|_| is_permitted()) else { return };
    let output = run(&["--resident", "1M"], &[program.to_str().unwrap(), "12"]);
    let table = error(&output);
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "48 forks: every byte is right\n");
    assert_eq!(figure(&table, "lost"), 0, "{table}");
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

/// The program of `cargo xtask bench paging --soak`, for a short while.
#[test]
fn memory_that_is_used_by_chance_in_every_way() {
    let Some(program) = compiled("soak", &[]).filter(|_| is_permitted()) else { return };
    let output = run(&["--resident", "2M"], &[program.to_str().unwrap(), "600"]);
    let table = error(&output);
    assert_eq!(output.status.code(), Some(0), "{table}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("2400 steps, ") && text.ends_with(" forks: every byte is right\n"), "{text}");
    assert!(figure(&table, "pages in") > 200 && figure(&table, "lost") == 0, "{table}");
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

/// How many pages are right and lost of the two halves, as the program `failing` prints them.
fn right_and_lost(text: &str) -> [(u64, u64); 2] {
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [a, b, c, d] = numbers[..] else { panic!("{text}") };
    [(a, b), (c, d)]
}

/// Where the swap space is too small, the pages that have no room are lost, and no others.
#[test]
fn swap_space_that_is_too_small_costs_the_pages_that_have_no_room() {
    let Some(program) = compiled("failing", &[]).filter(|_| is_permitted()) else { return };
    let swap = program.with_file_name("swap");
    let swap = swap.to_str().unwrap();
    assert!(mach_pager().args(["format", swap, "--size", "1M"]).output().unwrap().status.success());
    let output = run(&["--resident", RESIDENT, "--swap", swap], &[program.to_str().unwrap(), "600"]);
    let table = error(&output);
    assert_eq!(output.status.code(), Some(0), "{table}");
    let text = String::from_utf8(output.stdout).unwrap();
    let [first, second] = right_and_lost(&text);
    let (right, lost) = (first.0 + second.0, first.1 + second.1);
    // 254 pages have room in the swap space; those that are resident need none.
    assert!(lost > 0 && right >= 254 && right + lost == 600, "{text}{table}");
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

/// A disk that fails for a while under a program costs the program the pages that it meets: access to them is
/// SIGBUS, and all others are right.
#[test]
fn a_disk_that_fails_costs_a_program_the_pages_that_it_meets() {
    const PAGES: u64 = 2000;
    let Some(program) = compiled("failing", &[]).filter(|_| is_permitted()) else { return };
    if !is_installed("nbdkit") {
        return;
    }
    // What fails, and before which step of the program that begins. It ends before the next one.
    for (fails, begins) in [
        (["error=EIO", "error-pread-rate=1"], "read first"),
        (["error=EIO", "error-pwrite-rate=1"], "write"),
        (["error=ENOSPC", "error-pwrite-rate=1"], "write"),
    ] {
        let folder = nbd_server::folder();
        let failing = folder.path().join("failing");
        let mut command = Command::new("nbdkit");
        command.current_dir(folder.path()).args(["-f", "-U", "sock", "--filter=error", "file", "disk"]);
        command.args(fails).arg(format!("error-file={}", failing.display()));
        let mut server =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while UnixStream::connect(folder.path().join("sock")).is_err() {
            assert_eq!(server.try_wait().unwrap(), None, "nbdkit does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        let address = format!("nbd+unix:///?socket={}/sock", folder.path().display());
        assert!(mach_pager().args(["format", "--force", &address]).output().unwrap().status.success());
        let mut command = mach_pager();
        command.args(["run", "--resident", RESIDENT, "--swap", &address, "--"]).arg(&program);
        command.args([&PAGES.to_string(), "ask"]).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut stdin, mut text) = (child.stdin.take().unwrap(), String::new());
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
            if line.contains("right") {
                text += &(line + "\n");
                continue;
            }
            match line == begins {
                true => fs::write(&failing, "").unwrap(),
                false => drop(fs::remove_file(&failing)),
            }
            stdin.write_all(b"\n").unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let table = error(&output);
        assert_eq!(output.status.code(), Some(0), "{fails:?}: {table}");
        let [first, second] = right_and_lost(&text);
        assert_eq!((first.0 + first.1, second.0 + second.1), (PAGES / 2, PAGES / 2));
        match fails {
            // None of these pages was here. The others are right that were not in the pager's 512 buffers
            // still, since a disk of which nothing can be read gets nothing to write either.
            [_, "error-pread-rate=1"] => {
                assert!(first.0 == 0 && second.0 >= PAGES / 2 - 600, "{fails:?}: {text}{table}");
            }
            // What had been written by then is there, but for what was in the pager's 512 buffers.
            ["error=EIO", _] => {
                assert!(first.0 >= PAGES / 2 - 600 && first.1 + second.1 > 0, "{fails:?}: {text}{table}");
            }
            // The pages wait for room in the pager, which has some for more than that.
            _ => assert_eq!(first.1 + second.1, 0, "{fails:?}: {text}{table}"),
        }
        server.kill().unwrap();
        server.wait().unwrap();
    }
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}

/// A program whose pages are on a server that is stopped for a while, killed and started again.
#[test]
fn a_server_that_comes_and_goes_costs_a_program_no_page() {
    let Some(program) = compiled("family", &[]).filter(|_| is_permitted()) else { return };
    for name in SERVERS.into_iter().filter(|name| is_installed(name)) {
        let folder = nbd_server::folder();
        let mut server = Server::start(name, folder.path());
        let address = server.address().to_string();
        let part =
            ["--resident", RESIDENT, "--swap", &address, "--", program.to_str().unwrap(), "map", "tell"];
        let start = || {
            let mut command = mach_pager();
            command.arg("run").args(part).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        // An export that is no swap space yet.
        let refused = error(&start().wait_with_output().unwrap());
        assert!(refused.contains("mach-pager format --force makes it that"), "{refused}");
        assert!(mach_pager().args(["format", "--force", &address]).output().unwrap().status.success());
        let other_name = address.replace("127.0.0.1", "localhost");
        let output = run(&["--swap", &address, "--swap", &other_name], &["true"]);
        assert_eq!(output.status.code(), Some(1), "{}", error(&output));
        assert!(error(&output).contains("the same swap space as another"), "{}", error(&output));
        let mut times = 0;
        // On a fast machine a program may be over before the server was killed.
        while times < 2 {
            let mut child = start();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            let mut printed = String::new();
            // Before that, a server that is away is an error.
            stdout.read_line(&mut printed).unwrap();
            while child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(100));
                if times % 2 == 0 {
                    server.signal(Signal::STOP);
                    std::thread::sleep(Duration::from_millis(200));
                    server.signal(Signal::CONT);
                } else {
                    server.kill();
                    server.restart(folder.path());
                }
                times += 1;
            }
            let output = child.wait_with_output().unwrap();
            let table = error(&output);
            stdout.read_to_string(&mut printed).unwrap();
            assert_eq!(output.status.code(), Some(0), "{table}");
            assert_eq!(printed, "begun\nevery byte is right\n");
            assert_eq!(figure(&table, "lost"), 0, "{table}");
        }
    }
    fs::remove_dir_all(program.parent().unwrap()).unwrap();
}
