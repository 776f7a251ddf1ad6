//! `cargo xtask bench paging --soak TIME`: a program that uses its memory by chance, and checks every byte.

use std::process::Command;

use super::made;
use crate::command::{cargo, program, root, run, target};

pub(super) fn run_it(time: &str) -> Result<(), String> {
    let seconds = seconds(time).ok_or("--soak: a time is to be like 90s or 10m")?;
    run(cargo().args(["build", "--release", "-p", "mach-pager-cli"]))?;
    let soak = target().join("soak");
    let source = root().join("pager/cli/tests/run/soak.c");
    run(program("gcc").args(["-O1", "-pthread", "-o"]).arg(&soak).arg(source))?;
    let mut command = Command::new(made("mach-pager"));
    command.args(["run", "--resident", "8M", "--"]).arg(soak).arg(format!("{seconds}s"));
    run(&mut command)
}

fn seconds(text: &str) -> Option<u64> {
    match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => number.parse().ok(),
        (_, Some(number)) => number.parse::<u64>().ok()?.checked_mul(60),
        _ => None,
    }
}
