//! Runs of the pager as the default memory manager, with programs that use more memory than there is.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use super::kernel::Kernel;
use super::programs::PAGER;
use super::qemu::Machine;
use crate::command::{cargo, run, target};

/// A run: which machine, and what is done on it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) kernel: Kernel,
    /// Memory of the machine, in MiB.
    pub(crate) memory: u32,
    pub(crate) processors: u32,
    /// How much of it the pager takes away, in MiB.
    pub(crate) ballast: u32,
    /// Disks, 2 at most. Each has a pager.
    pub(crate) disks: usize,
    /// Paging space on each, in MiB.
    pub(crate) space: u32,
    /// It is a partition as `mkswap` makes them, in a file that has room for what is written to it and no
    /// more: this machine need not have as much.
    pub(crate) of_linux: bool,
    /// Pages of the disks that fail.
    pub(crate) faults: &'static [Fault],
    pub(crate) programs: Vec<Program>,
    /// What the run is for: words on the console that must not follow 0, or that must follow the number that
    /// they begin with.
    pub(crate) happens: &'static [&'static str],
    pub(crate) limit: Duration,
}

/// A page of the disk that fails each time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// `read` or `write`.
    pub(crate) transfer: &'static str,
    /// Its number on the disk; 0 has the superblock.
    pub(crate) page: u32,
}

/// A program beside the pager.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    /// What it does; see `pager/boot/src/client/main.rs`.
    pub(crate) work: &'static str,
    /// The memory that it does that with, in MiB.
    pub(crate) size: u32,
}

impl Program {
    pub(crate) const fn new(work: &'static str, size: u32) -> Self {
        Program { work, size }
    }

    /// Whether it ends before it is done.
    fn dies(self) -> bool {
        self.work == "die"
    }

    /// Whether it, or a program of its own, is to fail.
    fn may_fail(self) -> bool {
        self.dies() || ["lose", "outgrow"].contains(&self.work)
    }

    /// Whether it says that it is a kernel, and pages what the real one knows nothing of.
    fn poses(self) -> bool {
        self.work == "exhaust"
    }

    /// How many disks it needs: one for each default memory manager that it is to have, and one that it adds
    /// itself.
    fn disks(self) -> usize {
        if ["change", "swap", "osf"].contains(&self.work) { 2 } else { 1 }
    }

    /// How many of them it adds itself.
    fn adds(self) -> usize {
        usize::from(["swap", "osf"].contains(&self.work))
    }
}

/// The memory of a small machine, and how much of it the pager takes away, in MiB.
fn small_memory(kernel: Kernel) -> (u32, u32) {
    match kernel {
        Kernel::X86_64 | Kernel::X86_64Smp => (64, 24),
        Kernel::I386 | Kernel::I3862022 => (32, 0),
    }
}

impl Run {
    /// On a small machine.
    pub(crate) fn small(name: &'static str, kernel: Kernel, programs: &[Program]) -> Self {
        Run {
            name,
            kernel,
            memory: small_memory(kernel).0,
            ballast: small_memory(kernel).1,
            processors: 1,
            disks: programs.iter().map(|program| program.disks()).max().unwrap_or(1),
            space: 64,
            of_linux: false,
            faults: &[],
            programs: programs.to_vec(),
            happens: &[],
            limit: Duration::from_secs(180),
        }
    }

    /// The machine of the run, its disk made and its programs built.
    pub(crate) fn machine(&self) -> Result<Machine, String> {
        let names = if self.kernel.is_i386() { ["hd0", "hd2"] } else { ["ata", "ata2"] };
        let mut pager = format!("ballast={}", self.ballast);
        let mut drives = Vec::new();
        // The first disk of each channel, which is every other one.
        for (at, name) in names.iter().take(self.disks).enumerate() {
            let file = self.make_disk(at)?;
            if at < self.disks - self.programs.iter().map(|program| program.adds()).max().unwrap_or(0) {
                pager += &format!(" disk={name}");
            }
            drives.push(drive(2 * at, &file, self.faults));
        }
        let mut modules = Vec::new();
        for (index, program) in self.programs.iter().enumerate() {
            let kind = if program.dies() { "dying" } else { "client" };
            if program.poses() {
                pager += " strangers=yes";
            }
            pager += &format!(" {kind}=${{program-{index}}}");
            let arguments =
                format!("{index} {} {} $(program-{index}=task-create)", program.work, program.size);
            modules.push(("client", arguments));
        }
        modules.insert(0, ("pager", format!("{pager} $(task-create) $(task-resume)")));
        Ok(Machine {
            kernel: self.kernel.image()?,
            memory: self.memory,
            processors: self.processors,
            programs: PAGER.build(self.kernel)?,
            modules,
            drives,
            may_fail: self.programs.iter().any(|program| program.may_fail()),
            limit: self.limit,
        })
    }

    fn disk(at: usize) -> PathBuf {
        target().join("gnumach").join(format!("swap-{}-{at}.img", std::process::id()))
    }

    /// Makes paging space, with the pager's own command.
    fn make_disk(&self, at: usize) -> Result<PathBuf, String> {
        let folder = target().join("gnumach");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let file = Self::disk(at);
        // A file that is there keeps its size.
        if file.exists() {
            fs::remove_file(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        if self.of_linux {
            let made = swap_of_linux(&file, self.space);
            return made.map(|()| file.clone()).map_err(|error| format!("{}: {error}", file.display()));
        }
        run(cargo()
            .args(["run", "--quiet", "--package", "mach-pager-cli", "--", "format", "--size"])
            .arg(format!("{}M", self.space))
            .arg(&file))?;
        Ok(file)
    }

    /// Runs it, and looks whether that happened which it is for.
    pub(crate) fn run(&self) -> Result<(), String> {
        println!("---- {} on {}", self.name, self.kernel.name());
        let machine = self.machine()?;
        let result = machine.run();
        self.remove_disks();
        let console = result.map_err(|why| format!("{} on {}: {why}", self.name, self.kernel.name()))?;
        for what in self.happens {
            if !happened(&console, what) {
                return Err(format!("{} on {}: no `{what}` happened", self.name, self.kernel.name()));
            }
        }
        Ok(())
    }

    pub(crate) fn remove_disks(&self) {
        for at in 0..self.disks {
            // What is left is made anew the next time.
            let _ = fs::remove_file(Self::disk(at));
        }
    }
}

/// A file without space of its own that Linux would swap to: after 1024 bytes the version and the number of
/// the last page, and at the end of the first page a signature.
fn swap_of_linux(path: &Path, mebibytes: u32) -> io::Result<()> {
    let pages = mebibytes << 8;
    let file = fs::File::create(path)?;
    file.set_len(u64::from(mebibytes) << 20)?;
    file.write_all_at(&[1, pages - 1].map(u32::to_le_bytes).concat(), 1024)?;
    file.write_all_at(b"SWAPSPACE2", 4096 - 10)
}

/// A file as the disk with a number, with the faults that QEMU's `blkdebug` makes, as `-drive` has it.
fn drive(index: usize, file: &Path, faults: &[Fault]) -> String {
    let file = file.display();
    let mut drive =
        format!("if=ide,index={index},format=raw,file.driver=blkdebug,file.image.filename={file}");
    for (at, Fault { transfer, page }) in faults.iter().enumerate() {
        let rule = format!("file.inject-error.{at}");
        let sector = page * 8;
        drive += &format!(",{rule}.event={transfer}_aio,{rule}.iotype={transfer},{rule}.sector={sector}");
    }
    drive
}

/// Whether a word on the console follows a number that is not 0, such as in `15 unavailable`, or the number
/// before it in `what`.
fn happened(console: &str, what: &str) -> bool {
    match what.split_once(' ') {
        Some((number, word)) => count(console, word) == number.parse().ok(),
        None => count(console, what).is_some_and(|count| count > 0),
    }
}

/// The number before a word on the console.
fn count(console: &str, what: &str) -> Option<u64> {
    let (before, _) = console.split_once(&format!(" {what}"))?;
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Fault, count, drive, happened};

    #[test]
    fn faults_are_rules_of_blkdebug() {
        let plain = drive(0, Path::new("swap"), &[]);
        assert_eq!(plain, "if=ide,index=0,format=raw,file.driver=blkdebug,file.image.filename=swap");
        let faults = drive(0, Path::new("swap"), &[Fault { transfer: "read", page: 10 }]);
        let rule = "file.inject-error.0";
        assert_eq!(faults, format!("{plain},{rule}.event=read_aio,{rule}.iotype=read,{rule}.sector=80"));
    }

    #[test]
    fn figures_are_found_in_the_table() {
        let console = "messages: 2 create, 11621 data_request\npages in: 1 supplied, 0 errors\n";
        assert_eq!(count(console, "data_request"), Some(11621));
        assert_eq!(count(console, "errors"), Some(0));
        assert_eq!(count(console, "lost"), None);
        assert!(happened(console, "create") && happened(console, "2 create"));
        assert!(!happened(console, "errors") && !happened(console, "1 create") && !happened(console, "lost"));
    }
}
