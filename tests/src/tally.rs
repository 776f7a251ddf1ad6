//! What the comparison has found: counts, differences, and the differences that are meant to be.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::deviations::{self, BROKEN, REASONS, Reason};
use crate::oracle::{Broken, CAbi};
use crate::values::Side;
use crate::wire::Field;

/// Counts and differences.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Files that declare an interface.
    pub files: usize,
    /// Files that only declare types.
    pub types_only: usize,
    /// Interfaces in all their variants.
    pub variants: usize,
    /// Routines in all variants.
    pub routines: usize,
    /// Messages with values of some kind, requests and replies.
    pub cases: usize,
    /// Damaged requests.
    pub damaged_requests: usize,
    /// Damaged replies.
    pub damaged_replies: usize,
    /// Single comparisons.
    pub checks: usize,
    /// Differences that should not be.
    pub failures: Vec<String>,
    /// Routines without a C server stub, by job.
    pub broken: Vec<(String, Broken)>,
    /// Differences in what becomes of damaged messages.
    pub deviations: Vec<Deviation>,
}

/// A damaged message that C and our code treat differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The interface in its variant.
    pub job: String,
    /// The ABI.
    pub abi: CAbi,
    /// The routine.
    pub routine: String,
    /// The message.
    pub side: Side,
    /// What is wrong with it.
    pub damage: String,
    /// What C does.
    pub c: String,
    /// What our code does.
    pub ours: String,
}

/// For a difference in a message that nobody has damaged.
pub const SENT: &str = "as sent";

impl Deviation {
    /// True if a field of a type word was damaged.
    pub fn is(&self, field: Field) -> bool {
        self.damage.contains(&format!(": {field:?} = "))
    }

    /// True for this message and these outcomes, where "refused" is the code for a malformed one.
    pub fn was(&self, side: Side, c: &str, ours: &str) -> bool {
        let refused = match side {
            Side::Request => "MIG_BAD_ARGUMENTS (-304)",
            Side::Reply => "MIG_TYPE_ERROR (-300)",
        };
        let code = |name| if name == "refused" { refused } else { name };
        self.side == side && self.c == code(c) && self.ours == code(ours)
    }
}

impl Tally {
    /// Adds what another one has counted.
    pub fn add(&mut self, other: Tally) {
        self.files += other.files;
        self.types_only += other.types_only;
        self.variants += other.variants;
        self.routines += other.routines;
        self.cases += other.cases;
        self.damaged_requests += other.damaged_requests;
        self.damaged_replies += other.damaged_replies;
        self.checks += other.checks;
        self.failures.extend(other.failures);
        self.broken.extend(other.broken);
        self.deviations.extend(other.deviations);
    }

    /// What is wrong, one line each: differences without a reason, reasons without a difference, and the
    /// table of routines that C cannot compile if it is longer or shorter than what happened.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = self.failures.clone();
        for deviation in &self.deviations {
            if !REASONS.iter().any(|reason| (reason.applies)(deviation)) {
                let Deviation { job, routine, side, damage, c, ours, .. } = deviation;
                complaints.push(format!("{job}: {routine}: {side:?}, {damage}: C {c}, ours {ours}"));
            }
        }
        for reason in REASONS {
            if !self.deviations.iter().any(reason.applies) {
                complaints.push(format!("no message differs as the table says: {}", reason.what));
            }
        }
        let is = |known: &deviations::Broken, job: &str, broken: &Broken| {
            known.routine == broken.routine
                && job.starts_with(known.system)
                && broken.message.ends_with(known.message)
        };
        for (job, broken) in &self.broken {
            if !BROKEN.iter().any(|known| is(known, job, broken)) {
                let Broken { routine, message } = broken;
                complaints
                    .push(format!("{job}: the C compiler does not take the stub of {routine}: {message}"));
            }
        }
        for known in BROKEN {
            if !self.broken.iter().any(|(job, broken)| is(known, job, broken)) {
                let deviations::Broken { system, routine, .. } = known;
                complaints.push(format!("{system}: the C compiler takes the stub of {routine} after all"));
            }
        }
        complaints
    }

    /// The summary and the table of deviations, as they stand in the documentation.
    pub fn tables(&self) -> String {
        let mut text = "| | |\n|---|---:|\n".to_string();
        for (what, count) in [
            ("files that declare an interface", self.files),
            ("files that only declare types", self.types_only),
            ("interfaces in all variants", self.variants),
            ("routines in them", self.routines),
            ("requests and replies with values", self.cases),
            ("damaged requests", self.damaged_requests),
            ("damaged replies", self.damaged_replies),
            ("comparisons", self.checks),
            ("differences that have a reason", self.deviations.len()),
        ] {
            let _ = writeln!(text, "| {what} | {count} |");
        }
        text.push_str("\n| message | C | ours | why | times | routines |\n|---|---|---|---|---:|---:|\n");
        for Reason { what, c, ours, why, applies } in REASONS {
            let found: Vec<_> = self.deviations.iter().filter(|found| applies(found)).collect();
            let routines: BTreeSet<_> = found.iter().map(|found| &found.routine).collect();
            let (times, routines) = (found.len(), routines.len());
            let _ = writeln!(text, "| {what} | {c} | {ours} | {why} | {times} | {routines} |");
        }
        text
    }
}
