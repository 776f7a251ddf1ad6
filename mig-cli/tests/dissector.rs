//! What tshark shows of captured messages by a script of `mig dissector`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CLOCK: &str = "subsystem clock 3100;
type port_t = MACH_MSG_TYPE_COPY_SEND;
type number_t = MACH_MSG_TYPE_INTEGER_32;
type moment_t = MACH_MSG_TYPE_INTEGER_64;
type letter_t = MACH_MSG_TYPE_CHAR;
type numbers_t = array[*:10] of number_t;
type name_t = c_string[16];
type page_t = ^array[] of letter_t;
routine clock_read(clock : port_t; in zones : numbers_t; out now : moment_t);
simpleroutine clock_tell(clock : port_t; who : port_t; name : name_t; page : page_t);
";

struct Clock {
    folder: PathBuf,
    abi: &'static str,
}

impl Clock {
    fn new(test: &str, abi: &'static str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("mig-dissector").join(test).join(abi);
        fs::create_dir_all(&folder).unwrap();
        let old = CLOCK.replace("MACH_MSG_TYPE_COPY_SEND", "MSG_TYPE_PORT");
        // Mach 2.5 has integers of 64 bits without a name.
        let old = old.replace("MACH_MSG_TYPE_INTEGER_64", "(11, 64)").replace("MACH_MSG", "MSG");
        let text = if abi == "mach-25" { &old } else { CLOCK };
        fs::write(folder.join("clock.defs"), text).unwrap();
        let clock = Clock { folder, abi };
        clock.mig(&["dissector", "clock.defs", "-o", "clock.lua"]);
        clock
    }

    fn mig(&self, arguments: &[&str]) -> Vec<u8> {
        let mut mig = Command::new(env!("CARGO_BIN_EXE_mig"));
        mig.args(arguments).args(["--abi", self.abi]).current_dir(&self.folder).stdin(Stdio::null());
        let output = mig.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn message(&self, arguments: &[&str]) -> Vec<u8> {
        self.mig(&[&["encode", "--raw", "--defs", "clock.defs"], arguments].concat())
    }

    /// What tshark shows of a capture; `None` where it is not installed, except in CI.
    fn shown(&self, scripts: &[&str], messages: &[Vec<u8>], arguments: &[&str]) -> Option<String> {
        let file = self.folder.join("capture.pcap");
        fs::write(&file, capture(messages)).unwrap();
        let mut tshark = Command::new("tshark");
        // No settings of whoever runs the tests.
        tshark.env("HOME", &self.folder).env_remove("XDG_CONFIG_HOME").stdin(Stdio::null());
        for script in scripts {
            tshark.arg("-X").arg(format!("lua_script:{script}"));
        }
        match tshark.current_dir(&self.folder).arg("-r").arg(&file).args(arguments).output() {
            Ok(output) => {
                let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() && !complaint.contains("Lua"), "{complaint}");
                Some(String::from_utf8(output.stdout).unwrap())
            }
            Err(error) if std::env::var_os("CI").is_some() => panic!("tshark: {error}"),
            Err(error) => {
                eprintln!("skipped: tshark: {error}");
                None
            }
        }
    }
}

/// A file of `pcap-savefile(5)`: a message in each packet.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut words: Vec<u8> = Vec::new();
    let mut put = |numbers: &[u32]| words.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    // The version is two numbers of 16 bits. LINKTYPE_USER0.
    put(&[0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65535, 147]);
    let mut file = std::mem::take(&mut words);
    for message in messages {
        let len = message.len() as u32;
        file.extend([0, 0, len, len].iter().flat_map(|number: &u32| number.to_le_bytes()));
        file.extend(message);
    }
    file
}

fn fields(names: &[&str]) -> Vec<String> {
    let names = names.iter().flat_map(|name| ["-e".to_owned(), format!("mach_clock.{name}")]);
    ["-T".to_owned(), "fields".to_owned()].into_iter().chain(names).collect()
}

const ABIS: [&str; 6] = ["gnu-i386", "gnu-x86_64", "gnu-x86_64-2022", "osf-32", "apple-64", "mach-25"];

#[test]
fn arguments_are_shown_and_filtered_by() {
    for abi in ABIS {
        let clock = Clock::new("arguments", abi);
        let messages = [
            clock.message(&["clock_read", "zones=[1,-2,3]"]),
            clock.message(&["clock_read", "--reply", "now=-5000000000"]),
            clock.message(&["clock_tell", "who=259", "name=noon", r#"page={"address":4096,"count":77}"#]),
        ];
        let names = ["clock_read.zones", "clock_read.now", "clock_tell.who", "clock_tell.name"];
        let arguments = fields(&names);
        let arguments: Vec<&str> = arguments.iter().map(|argument| &**argument).collect();
        let Some(shown) = clock.shown(&["clock.lua"], &messages, &arguments) else { return };
        let lines: Vec<&str> = shown.lines().collect();
        let name = if abi == "gnu-x86_64" { "0x0000000000000103" } else { "0x00000103" };
        let expected = ["1,-2,3\t\t\t", "\t-5000000000\t\t", &format!("\t\t{name}\tnoon")];
        assert_eq!(lines, expected, "{abi}");

        let filter = ["-Y", "mach_clock.clock_read.zones == -2", "-T", "fields", "-e", "frame.number"];
        assert_eq!(clock.shown(&["clock.lua"], &messages, &filter).unwrap().trim(), "1", "{abi}");
        let text = clock.shown(&["clock.lua"], &messages, &["-V"]).unwrap();
        for part in ["clock_read request", "return code: 0", "clock_tell.page: 77"] {
            assert!(text.contains(part), "{abi} {part}: {text}");
        }
        assert!(!text.contains("Expert Info"), "{abi}: {text}");
    }
}

#[test]
fn messages_that_are_wrong_are_marked() {
    for abi in ABIS {
        let clock = Clock::new("wrong", abi);
        let good = clock.message(&["clock_read", "zones=[1,2,3]"]);
        let mut short = good[..good.len() - 4].to_vec();
        short[4..8].copy_from_slice(&(good.len() as u32 - 4).to_le_bytes());
        let mut long = [&good[..], &[0; 8]].concat();
        long[4..8].copy_from_slice(&(good.len() as u32 + 8).to_le_bytes());
        let mut unknown = good.clone();
        let at = good.windows(4).position(|word| word == 3100_u32.to_le_bytes()).unwrap();
        unknown[at..at + 4].copy_from_slice(&9_u32.to_le_bytes());
        let messages = [good[..10].to_vec(), good[..good.len() - 4].to_vec(), short, long, unknown];
        let columns =
            ["-T", "fields", "-e", "frame.number", "-e", "_ws.expert.message", "-e", "mach.msgh_id"];
        let Some(shown) = clock.shown(&["clock.lua"], &messages, &columns) else { return };
        let lines: Vec<&str> = shown.lines().collect();
        for (line, part) in lines.iter().zip([
            "1\t10 bytes are no header",
            "2\tmsgh_size is",
            "3\tThe message ends in clock_read.zones",
            "4\t8 bytes after the last argument",
            "5\t\t9",
        ]) {
            assert!(line.starts_with(part), "{abi} {part}: {shown}");
        }
        assert_eq!(lines.len(), 5, "{abi}");
    }
}

#[test]
fn scripts_of_two_subsystems_work_side_by_side() {
    let clock = Clock::new("two", "gnu-i386");
    let notify = clock.mig(&["dissector", "<mach/notify.defs>"]);
    fs::write(clock.folder.join("notify.lua"), notify).unwrap();
    // A dead-name notification, as the kernel sends it.
    let digits = "1200000020000000000000000301000007000000480000000f2001102b020000";
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let dead_name: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
    let messages = [clock.message(&["clock_read", "zones=[7]"]), dead_name];
    let columns =
        ["-T", "fields", "-e", "mach_clock.clock_read.zones", "-e", "mach_notify.mach_notify_dead_name.name"];
    let Some(shown) = clock.shown(&["clock.lua", "notify.lua"], &messages, &columns) else { return };
    assert_eq!(shown.lines().collect::<Vec<_>>(), ["7\t", "\t555"]);
}

/// By the layout of C: `half` stands at 0 of eight bytes, `whole` at 4.
#[test]
fn members_of_structures_are_shown_and_filtered_by() {
    let shapes = "subsystem shapes 3300;
type port_t = MACH_MSG_TYPE_COPY_SEND;
type short_t = MACH_MSG_TYPE_INTEGER_16;
type number_t = MACH_MSG_TYPE_INTEGER_32;
type point_t = struct { short_t half; number_t whole; };
type line_t = struct { point_t from; point_t to; };
type lines_t = array[*:4] of line_t;
simpleroutine shapes_draw(shapes : port_t; one : point_t; all : lines_t);
";
    for abi in ["gnu-i386", "gnu-x86_64"] {
        let clock = Clock::new("members", abi);
        fs::write(clock.folder.join("shapes.defs"), shapes).unwrap();
        clock.mig(&["dissector", "shapes.defs", "-o", "shapes.lua"]);
        let point = |half: i32, whole: i32| format!(r#"{{"half":{half},"whole":{whole}}}"#);
        let line = |a: &str, b: &str| format!(r#"{{"from":{a},"to":{b}}}"#);
        let one = format!("one={}", point(-1, 2));
        let all = format!("all=[{},{}]", line(&point(3, 4), &point(5, 6)), line(&point(7, 8), &point(9, 10)));
        let message = clock.mig(&["encode", "--raw", "--defs", "shapes.defs", "shapes_draw", &one, &all]);
        let names = ["one.half", "one.whole", "all.from.half", "all.to.whole"];
        let names = names.map(|name| format!("mach_shapes.shapes_draw.{name}"));
        let mut columns = vec!["-T", "fields"];
        names.iter().for_each(|name| columns.extend(["-e", name]));
        let Some(shown) = clock.shown(&["shapes.lua"], &[message], &columns) else { return };
        assert_eq!(shown.trim_end(), "-1\t2\t3,7\t6,10", "{abi}");
    }
}

/// Every interface that comes with the command has a script that Lua takes.
#[test]
fn every_interface_has_a_script() {
    let clock = Clock::new("every", "apple-64");
    let mut scripts = Vec::new();
    for (name, text) in mach_defs::definitions::files("apple-64") {
        if text.contains("\nsubsystem") || text.starts_with("subsystem") {
            let script = clock.mig(&["dissector", &format!("<{name}>")]);
            let file = format!("{}.lua", Path::new(name).file_stem().unwrap().to_str().unwrap());
            fs::write(clock.folder.join(&file), script).unwrap();
            scripts.push(file);
        }
    }
    assert!(scripts.len() > 10, "{}", scripts.len());
    let scripts: Vec<&str> = scripts.iter().map(|script| &**script).collect();
    clock.shown(&scripts, &[], &[]);
}
