//! The comparison of generated code with the stubs of the C MIG, routine by routine.
//!
//! For each kind of values: what the client functions send, what the demux functions make of it, what the
//! clients make of the replies; then every damaged form of a request and a reply. Both sides get the same
//! bytes, and the generated code stands on a kernel that counts rights and memory ([`Wire`]).

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mig_codegen::model::{Arg, Form, Interface, MessageKind, Routine, TypeKind};
use mig_runtime::abi::{InKernel, TaskAbi};
use mig_runtime::{KernReturn, PortName, Receive, Received, Reply};

use crate::c_calls::{self, Flight};
use crate::convert::{Make, See};
use crate::jobs::Job;
use crate::oracle::{Broken, CAbi, Client, Server, Variant};
use crate::tally::{Deviation, SENT, Tally};
use crate::values::{Kind, Side, Values, agreed, values};
use crate::wire;
use crate::wire_kernel::{Known, LARGEST_CLAIM, Sent, Wire};
use crate::{server_text, slots};

/// The generated code of an interface.
pub trait Bindings<A: Known>: Sync {
    /// Calls the client function of a routine, and returns its results.
    ///
    /// # Errors
    ///
    /// The code that it returns.
    fn call(&self, routine: &str, client: &Wire<A>, given: &Values) -> Result<Values, KernReturn>;

    /// Gives a request to the demux function.
    fn demux(
        &self,
        server: &Recorder<A>,
        request: &mut Received<'_, Wire<A>>,
        reply: &mut Reply<'_, Wire<A>>,
    ) -> bool;
}

/// Makes an argument.
pub fn make<A: Known, T: Make<Wire<A>>>(kernel: &Wire<A>, values: &Values, name: &str) -> T {
    let value = values.get(name).unwrap_or_else(|| panic!("no value for `{name}`"));
    T::make(kernel, value)
}

/// A server whose methods record what they are given and return what they are told.
pub struct Recorder<A: Known> {
    kernel: Wire<A>,
    results: Values,
    code: KernReturn,
    called: Mutex<Option<(String, Values)>>,
}

impl<A: Known> Recorder<A> {
    fn new(kernel: &Wire<A>, results: &Values, code: u32) -> Self {
        let code = KernReturn(code as i32);
        Recorder { kernel: kernel.clone(), results: results.clone(), code, called: Mutex::default() }
    }

    /// The method of this routine has been called.
    pub fn called(&self, routine: &str) {
        *self.call() = Some((routine.to_string(), Values::new()));
    }

    /// It was given this.
    pub fn saw<T: See<Wire<A>>>(&self, name: &str, value: &T) {
        let value = value.see(&self.kernel);
        if let Some((_, seen)) = &mut *self.call() {
            seen.insert(name.to_string(), value);
        }
    }

    /// It was told that the client takes this many elements.
    pub fn saw_limit(&self, name: &str, limit: u32) {
        if let Some((_, seen)) = &mut *self.call() {
            seen.entry(name.to_string()).or_default().count = limit;
        }
    }

    /// The method that was called, and what it was given.
    fn call(&self) -> MutexGuard<'_, Option<(String, Values)>> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is to return.
    ///
    /// # Errors
    ///
    /// The code, unless it is that of success.
    pub fn answer(&self) -> Result<(), KernReturn> {
        self.code.ok()
    }

    /// A result.
    pub fn make<T: Make<Wire<A>>>(&self, name: &str) -> T {
        make(&self.kernel, &self.results, name)
    }
}

/// What became of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken, with these values.
    Taken(Values),
    /// It was refused with this code.
    Refused(u32),
    /// No routine has this id.
    Unknown,
    /// It was taken for the request of this routine.
    Elsewhere(String),
    /// The program ended.
    Crash,
    /// Our code panicked.
    Panic(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Taken(_) => f.write_str("taken"),
            Outcome::Refused(code) => write!(f, "{}", KernReturn(*code as i32)),
            Outcome::Unknown => f.write_str("unknown id"),
            Outcome::Elsewhere(routine) => write!(f, "taken for {routine}"),
            Outcome::Crash => f.write_str("crash"),
            Outcome::Panic(message) => write!(f, "panic: {message}"),
        }
    }
}

/// What our client function did.
struct OurCall {
    sent: Option<Sent>,
    outcome: Outcome,
    destroyed: usize,
    left: Vec<String>,
}

/// What our demux function did.
struct OurService {
    outcome: Outcome,
    code: u32,
    reply: Option<Flight>,
    left: Vec<String>,
}

/// `KERN_FAILURE`, for a server's function that fails.
const KERN_FAILURE: u32 = 5;
/// `MACH_RCV_TIMED_OUT`
const TIMED_OUT: u32 = 0x1000_4003;
/// `MACH_NOTIFY_SEND_ONCE`
const SEND_ONCE_NOTIFICATION: u32 = 71;
/// The sequence number that requests are received with.
const SEQNO: u32 = 0x51;
/// What C's stacks and buffers are filled with.
const FILLS: [u8; 2] = [0, 0xa5];

/// Calls a client function of ours.
fn our_call<A: Known>(
    bindings: &dyn Bindings<A>,
    routine: &Routine,
    given: &Values,
    answer: Result<Flight, u32>,
) -> OurCall {
    let kernel = Wire::<A>::new();
    kernel.answer(move |_| answer.clone().map_err(|code| KernReturn(code as i32)));
    let work = || bindings.call(&routine.name, &kernel, given);
    let outcome = match caught(work) {
        Ok(Ok(results)) => Outcome::Taken(agreed(routine, &results)),
        Ok(Err(code)) => Outcome::Refused(code.0 as u32),
        Err(message) => Outcome::Panic(message),
    };
    let sent = kernel.take_sent().into_iter().next();
    OurCall { sent, outcome, destroyed: kernel.destroyed_reply_ports(), left: kernel.census() }
}

/// The comparison of one interface.
pub struct Comparison<'a, A: Known + TaskAbi>
where
    InKernel<A>: Known,
{
    job: &'a Job,
    interface: &'a Interface,
    bindings: &'a dyn Bindings<A>,
    /// The same with the client in a kernel.
    in_kernel: Option<&'a dyn Bindings<InKernel<A>>>,
    programs: Programs,
    /// The routines without a C server stub.
    broken: Vec<String>,
    tally: &'a mut Tally,
}

/// The programs around the C stubs; one that has crashed is started again.
struct Programs {
    client_program: PathBuf,
    server_program: PathBuf,
    client: Client,
    server: Server,
}

impl Programs {
    fn start(client: &Path, server: &Path) -> io::Result<Self> {
        Ok(Programs {
            client_program: client.to_owned(),
            server_program: server.to_owned(),
            client: Client::start(client)?,
            server: Server::start(server)?,
        })
    }
}

/// Compares one interface; `units` has the compiled C stubs, in a folder for each job.
///
/// # Errors
///
/// What went wrong apart from a difference.
pub fn compare<A: Known + TaskAbi>(
    job: &Job,
    packages: &Path,
    units: &Path,
    bindings: Option<&dyn Bindings<A>>,
    in_kernel: Option<&dyn Bindings<InKernel<A>>>,
    tally: &mut Tally,
) -> Result<(), String>
where
    InKernel<A>: Known,
{
    let folder = units.join(job.name());
    let interface = job.interface(packages)?;
    tally.variants += 1;
    tally.routines += interface.routines.len();
    if job.variant == Variant::KernelServer {
        return server_text::compare(job, &interface, &folder, tally);
    }
    // The server of a kernel is the one that any client has.
    let server = match job.variant {
        Variant::KernelUser => units.join(Job { variant: Variant::Plain, ..job.clone() }.name()),
        _ => folder.clone(),
    };
    let failed = |error: io::Error| format!("{}: {error}", job.name());
    let programs = Programs::start(&folder.join("client"), &server.join("server")).map_err(failed)?;
    let bindings = bindings.ok_or_else(|| format!("{}: no generated code", job.name()))?;
    let broken: Vec<Broken> = Broken::read(&server)?;
    let names = broken.iter().map(|broken| broken.routine.clone()).collect();
    if job.variant != Variant::KernelUser {
        tally.broken.extend(broken.into_iter().map(|broken| (job.name(), broken)));
    }
    let mut comparison =
        Comparison { job, interface: &interface, bindings, in_kernel, programs, broken: names, tally };
    for routine in &interface.routines {
        comparison.routine(routine).map_err(failed)?;
    }
    Ok(())
}

impl<A: Known + TaskAbi> Comparison<'_, A>
where
    InKernel<A>: Known,
{
    fn routine(&mut self, routine: &Routine) -> io::Result<()> {
        for kind in Kind::ALL {
            let given = values(routine, Side::Request, kind);
            let results = values(routine, Side::Reply, kind);
            let what = format!("{kind:?} values");
            let Some(sent) = self.request(routine, &given, &what)? else { continue };
            let request = sent.received(A::C, SEQNO);
            let Some(reply) = self.serve(routine, &request, &results, &what)? else { continue };
            if routine.reply.is_some() && self.job.variant != Variant::KernelUser {
                self.reply(routine, &given, &reply.received(A::C, 0), &what)?;
            }
            let has_two_forms = |message: Side| {
                let mut args = routine.args.iter().filter(|arg| match message {
                    Side::Request => arg.in_request(),
                    Side::Reply => arg.in_reply(),
                });
                args.any(|arg| matches!(arg.ty.kind, TypeKind::Indefinite { .. }))
            };
            let worth = |side| kind == Kind::Ordinary || kind == Kind::Overflowing && has_two_forms(side);
            if worth(Side::Request) {
                self.damaged_requests(routine, &request, &results)?;
            }
            if worth(Side::Reply) && routine.reply.is_some() && self.job.variant != Variant::KernelUser {
                self.damaged_replies(routine, &given, &reply.received(A::C, 0))?;
            }
        }
        Ok(())
    }

    fn fail(&mut self, routine: &Routine, what: &str, message: impl fmt::Display) {
        let line = format!("{}: {}: {what}: {message}", self.job.name(), routine.name);
        self.tally.failures.push(line);
    }

    fn expect<T: PartialEq + fmt::Debug>(
        &mut self,
        routine: &Routine,
        what: &str,
        which: &str,
        c: &T,
        ours: &T,
    ) {
        self.tally.checks += 1;
        if c != ours {
            self.fail(routine, what, format_args!("{which}:\n     C {c:x?}\n  ours {ours:x?}"));
        }
    }

    /// Nothing may be left behind.
    fn expect_nothing_left(&mut self, routine: &Routine, what: &str, left: &[String]) {
        self.tally.checks += 1;
        if !left.is_empty() {
            self.fail(routine, what, format_args!("left behind: {}", left.join(", ")));
        }
    }

    /// Bytes of ours against those of C, which were made twice, on stacks and buffers with another fill.
    fn expect_bytes(&mut self, routine: &Routine, what: &str, which: &str, c: [&Flight; 2], ours: &Flight) {
        self.tally.checks += 1;
        let bytes = c[0].bytes.iter().zip(&c[1].bytes);
        // What differs is what C leaves as it found it.
        let expected: Vec<u8> = bytes.map(|(one, other)| if one == other { *one } else { 0 }).collect();
        let lengths = [c[0].bytes.len(), c[1].bytes.len(), ours.bytes.len()];
        if lengths.iter().any(|length| *length != lengths[0]) {
            return self.fail(routine, what, format_args!("{which}: lengths {lengths:?}"));
        }
        let mut differs = (0..expected.len()).filter(|at| expected[*at] != ours.bytes[*at]);
        if let Some(at) = differs.next() {
            let end = (at + 16).min(expected.len());
            let (c, ours) = (&expected[at..end], &ours.bytes[at..end]);
            self.fail(routine, what, format_args!("{which} from byte {at}: C {c:02x?}, ours {ours:02x?}"));
        }
        if c[0].memory != ours.memory {
            let (c, ours) = (&c[0].memory, &ours.memory);
            self.fail(routine, what, format_args!("{which}, out of line: C {c:02x?}, ours {ours:02x?}"));
        }
    }

    // The client's requests.

    /// Compares what both clients send, and returns what C sends.
    fn request(&mut self, routine: &Routine, given: &Values, what: &str) -> io::Result<Option<Flight>> {
        let answer = match routine.reply.is_some() {
            true => Err(TIMED_OUT),
            false => Ok(Flight::default()),
        };
        let one = self.c_call(routine, given, FILLS[0], answer.clone())?;
        let two = self.c_call(routine, given, FILLS[1], answer.clone())?;
        self.tally.cases += 1;
        if self.job.variant == Variant::KernelUser {
            let (Some(sent), Some(again)) = (one.sent, two.sent) else { return Ok(None) };
            self.table(routine, what, Side::Request, &sent);
            self.sent_by_a_kernel(routine, given, answer, what, [&sent, &again]);
            return Ok(Some(sent));
        }
        let ours = self.our_call(routine, given, answer);
        self.expect_nothing_left(routine, what, &ours.left);
        let result = match one.called.result {
            0 => Outcome::Taken(Values::new()).to_string(),
            code => Outcome::Refused(code).to_string(),
        };
        self.expect(routine, what, "result of the call", &result, &ours.outcome.to_string());
        let destroyed = count(&one.called.events, "mig_dealloc_reply_port");
        self.expect(routine, what, "reply ports destroyed", &destroyed, &ours.destroyed);
        let (Some(c_one), Some(c_two), Some(message)) = (&one.sent, &two.sent, &one.called.sent) else {
            self.expect(
                routine,
                what,
                "whether a request is sent",
                &one.sent.is_some(),
                &ours.sent.is_some(),
            );
            return Ok(None);
        };
        let Some(sent) = &ours.sent else {
            self.fail(routine, what, "ours sends no request");
            return Ok(None);
        };
        self.expect_bytes(routine, what, "request", [c_one, c_two], &sent.flight);
        let call = &sent.call;
        let received = u32::from(call.receive.is_some());
        let timeouts = [(call.send_timeout, 0x10), (call.receive_timeout, 0x100)];
        let timed: u32 = timeouts.iter().filter(|(time, _)| time.is_some()).map(|(_, bit)| bit).sum();
        let option = 1 | received << 1 | timed | call.options;
        self.expect(routine, what, "options", &message.option, &option);
        let timeout = timeouts.iter().find_map(|(time, _)| *time).unwrap_or(0);
        self.expect(routine, what, "time-out", &message.timeout, &timeout);
        let receive = call.receive.map_or(0, |name| name.0);
        self.expect(routine, what, "port for the reply", &message.receive_name, &receive);
        self.table(routine, what, Side::Request, c_one);
        // The C server takes our request for its own client's.
        if !self.is_broken(routine) {
            let request = sent.flight.received(A::C, SEQNO);
            let outcome = self.c_outcome(routine, &request, &Values::new(), KERN_FAILURE)?;
            let ours = Outcome::Taken(agreed(routine, &seen_by_server(routine, given)));
            if outcome.to_string() != ours.to_string() {
                self.fail(routine, what, format_args!("the C server answers our request with {outcome}"));
            }
            let from_c =
                self.c_outcome(routine, &c_one.received(A::C, SEQNO), &Values::new(), KERN_FAILURE)?;
            self.expect_outcome(routine, what, "arguments in the C server", &from_c, &outcome);
        }
        Ok(one.sent)
    }

    /// Compares what a kernel's client sends with what C's have sent.
    fn sent_by_a_kernel(
        &mut self,
        routine: &Routine,
        given: &Values,
        answer: Result<Flight, u32>,
        what: &str,
        c: [&Flight; 2],
    ) {
        // The program around the C stubs has arrays of names, of which the stub makes addresses.
        let is_array = |arg: &Arg| arg.in_request() && matches!(arg.form, Form::Rights(_));
        if wire::shape(A::C).port > size_of::<u32>() && routine.args.iter().any(is_array) {
            return;
        }
        let bindings = self.in_kernel.expect("a job of a kernel has its own generated code");
        let ours = our_call(bindings, routine, given, answer);
        self.expect_nothing_left(routine, what, &ours.left);
        match ours.sent {
            Some(mut sent) => {
                // C leaves the reply port to `mach_msg_rpc_from_kernel`.
                let wire::Shape { local_port, port, .. } = wire::shape(A::C);
                sent.flight.bytes[local_port..local_port + port].fill(0);
                self.expect_bytes(routine, what, "request of a kernel", c, &sent.flight);
            }
            None => self.fail(routine, what, "ours sends no request"),
        }
    }

    fn expect_outcome(&mut self, routine: &Routine, what: &str, which: &str, c: &Outcome, ours: &Outcome) {
        self.tally.checks += 1;
        if c == ours {
            return;
        }
        match (c, ours) {
            (Outcome::Taken(c), Outcome::Taken(ours)) => {
                self.fail(routine, what, format_args!("{which}:\n     C {c:x?}\n  ours {ours:x?}"));
            }
            _ => self.fail(routine, what, format_args!("{which}: C {c}, ours {ours}")),
        }
    }

    /// A message of the C stubs against our slot table, and read by it.
    fn table(&mut self, routine: &Routine, what: &str, side: Side, message: &Flight) {
        self.tally.checks += 2;
        if let Err(error) = slots::compare(A::C, routine, side, &message.bytes) {
            self.fail(routine, what, format_args!("slot table of the {side:?}: {error}"));
        }
        let kind = match side {
            Side::Request => MessageKind::Request,
            Side::Reply => MessageKind::Reply,
        };
        let decoded = mig_decode::decode_as(self.interface, routine, kind, &message.bytes);
        if !decoded.faults.is_empty() {
            self.fail(routine, what, format_args!("`mig decode` of the {side:?}: {:?}", decoded.faults));
        }
    }

    // The server's side.

    /// Gives a request to both servers, and returns the reply of the C server.
    fn serve(
        &mut self,
        routine: &Routine,
        request: &Flight,
        results: &Values,
        what: &str,
    ) -> io::Result<Option<Flight>> {
        if self.is_broken(routine) {
            return Ok(None);
        }
        let mut success = None;
        for code in [KERN_FAILURE, 0] {
            let one = self.c_serve(routine, request, results, code, FILLS[0])?;
            let two = self.c_serve(routine, request, results, code, FILLS[1])?;
            let ours = self.our_service(routine, request, results, code);
            self.tally.cases += 1;
            self.expect_nothing_left(routine, what, &ours.left);
            let seen = Outcome::Taken(agreed(routine, &one.seen));
            self.expect_outcome(routine, what, "arguments in the server", &seen, &ours.outcome);
            self.expect(routine, what, "return code", &return_code(A::C, &one.reply.bytes), &ours.code);
            // A kernel that waits for a reply says where by itself.
            if routine.reply.is_some() && self.job.variant != Variant::KernelUser {
                match &ours.reply {
                    Some(reply) => self.sent_reply(routine, what, [&one.reply, &two.reply], reply),
                    None => self.fail(routine, what, "ours sends no reply"),
                }
                if code == 0 && one.reply.bytes.len() > minimal_reply(A::C) {
                    self.table(routine, what, Side::Reply, &one.reply);
                }
            }
            success = Some(one.reply);
        }
        Ok(success)
    }

    /// Compares the replies of both servers. Where they differ only in what becomes of the server's rights
    /// and memory, they are as the receiver sees them.
    fn sent_reply(&mut self, routine: &Routine, what: &str, c: [&Flight; 2], ours: &Flight) {
        let (sent, our_sent) = (moves(A::C, c[0]), moves(A::C, ours));
        if sent == our_sent {
            return self.expect_bytes(routine, what, "reply", c, ours);
        }
        let [one, two] = c.map(|reply| reply.received(A::C, 0));
        self.expect_bytes(routine, what, "reply as received", [&one, &two], &ours.received(A::C, 0));
        for (c, ours) in sent.iter().zip(&our_sent).filter(|(c, ours)| c != ours) {
            self.tally.deviations.push(Deviation {
                job: self.job.name(),
                abi: A::C,
                routine: routine.name.clone(),
                side: Side::Reply,
                damage: SENT.to_string(),
                c: (*c).to_string(),
                ours: (*ours).to_string(),
            });
        }
    }

    // The client's side of a reply.

    /// Gives a reply to both clients.
    fn reply(&mut self, routine: &Routine, given: &Values, reply: &Flight, what: &str) -> io::Result<()> {
        let c = self.c_reply_outcome(routine, given, reply)?;
        let ours = self.our_call(routine, given, Ok(reply.clone()));
        self.expect_outcome(routine, what, "results in the client", &c, &ours.outcome);
        self.expect_nothing_left(routine, what, &ours.left);
        Ok(())
    }

    // Damage.

    fn damaged_requests(&mut self, routine: &Routine, request: &Flight, results: &Values) -> io::Result<()> {
        let mut all = damaged(A::C, request);
        if routine.id + 1 == self.interface.end {
            all.push(("id".to_string(), with_id(A::C, request, self.interface.end)));
        }
        for (damage, request) in all {
            self.tally.damaged_requests += 1;
            let c = self.c_outcome(routine, &request, results, 0)?;
            let ours = self.our_service(routine, &request, results, 0);
            self.deviation(routine, Side::Request, &damage, &c, &ours.outcome);
            self.expect_rights_released(routine, &damage, &request, &ours.left);
        }
        Ok(())
    }

    fn damaged_replies(&mut self, routine: &Routine, given: &Values, reply: &Flight) -> io::Result<()> {
        let mut all = damaged(A::C, reply);
        all.push(("id".to_string(), with_id(A::C, reply, routine.id + 101)));
        all.push(("id".to_string(), with_id(A::C, reply, SEND_ONCE_NOTIFICATION)));
        for (damage, reply) in all {
            self.tally.damaged_replies += 1;
            let c = self.c_reply_outcome(routine, given, &reply)?;
            let ours = self.our_call(routine, given, Ok(reply.clone()));
            self.deviation(routine, Side::Reply, &damage, &c, &ours.outcome);
            self.expect_rights_released(routine, &damage, &reply, &ours.left);
        }
        Ok(())
    }

    /// Nothing may be left behind of a message that a kernel can have delivered: its items fill it, and
    /// out-of-line data has the deallocate bit.
    fn expect_rights_released(&mut self, routine: &Routine, what: &str, message: &Flight, left: &[String]) {
        let items = wire::items(A::C, &message.bytes);
        if items.is_some_and(|items| items.iter().all(|item| item.inline || item.deallocate)) {
            self.expect_nothing_left(routine, what, left);
        }
    }

    fn deviation(&mut self, routine: &Routine, side: Side, damage: &str, c: &Outcome, ours: &Outcome) {
        self.tally.checks += 1;
        if c == ours {
            return;
        }
        let same = c.to_string() == ours.to_string();
        self.tally.deviations.push(Deviation {
            job: self.job.name(),
            abi: A::C,
            routine: routine.name.clone(),
            side,
            damage: damage.to_string(),
            c: c.to_string(),
            ours: if same { "other values".to_string() } else { ours.to_string() },
        });
    }

    // Both sides, once.

    fn is_broken(&self, routine: &Routine) -> bool {
        self.broken.contains(&routine.name)
    }

    fn c_call(
        &mut self,
        routine: &Routine,
        given: &Values,
        fill: u8,
        answer: Result<Flight, u32>,
    ) -> io::Result<c_calls::ClientRun> {
        c_calls::call(A::C, &mut self.programs.client, routine, given, fill, |_| answer.clone())
    }

    fn c_serve(
        &mut self,
        routine: &Routine,
        request: &Flight,
        results: &Values,
        code: u32,
        fill: u8,
    ) -> io::Result<c_calls::ServerRun> {
        c_calls::serve(A::C, &mut self.programs.server, routine, request, results, code, fill)
    }

    /// What the C server makes of a request; it may be its end.
    fn c_outcome(
        &mut self,
        routine: &Routine,
        request: &Flight,
        results: &Values,
        code: u32,
    ) -> io::Result<Outcome> {
        let Ok(run) = self.c_serve(routine, request, results, code, FILLS[0]) else {
            self.programs.server = Server::start(&self.programs.server_program)?;
            return Ok(Outcome::Crash);
        };
        Ok(match (run.served.known, run.served.function) {
            (false, _) => Outcome::Unknown,
            (true, Some((name, _))) if name != routine.server => Outcome::Elsewhere(name),
            (true, Some(_)) => Outcome::Taken(agreed(routine, &run.seen)),
            (true, None) => Outcome::Refused(return_code(A::C, &run.reply.bytes)),
        })
    }

    /// What the C client makes of a reply; it may be its end.
    fn c_reply_outcome(&mut self, routine: &Routine, given: &Values, reply: &Flight) -> io::Result<Outcome> {
        let Ok(run) = self.c_call(routine, given, FILLS[0], Ok(reply.clone())) else {
            self.programs.client = Client::start(&self.programs.client_program)?;
            return Ok(Outcome::Crash);
        };
        Ok(match run.called.result {
            0 => Outcome::Taken(agreed(routine, &run.values)),
            code => Outcome::Refused(code),
        })
    }

    fn our_call(&self, routine: &Routine, given: &Values, answer: Result<Flight, u32>) -> OurCall {
        our_call(self.bindings, routine, given, answer)
    }

    fn our_service(&self, routine: &Routine, request: &Flight, results: &Values, code: u32) -> OurService {
        let kernel = Wire::<A>::new();
        let request = request.clone();
        kernel.answer(move |_| Ok(request.clone()));
        let recorder = Recorder::new(&kernel, results, code);
        let work = || {
            let (mut storage, mut reply_storage) = (buffer(), buffer());
            let received = Received::receive(&kernel, &mut storage, Receive::from(PortName::from_word(1)));
            let mut received = received.expect("the buffer is large enough");
            let mut reply = Reply::new(&kernel, &mut reply_storage);
            let known = self.bindings.demux(&recorder, &mut received, &mut reply);
            let code = reply.code().0 as u32;
            reply.answer(received).expect("this kernel takes what is sent");
            (known, code)
        };
        let (outcome, code) = match caught(work) {
            Err(message) => (Outcome::Panic(message), 0),
            Ok((false, code)) => (Outcome::Unknown, code),
            Ok((true, code)) => {
                let outcome = match recorder.call().take() {
                    None => Outcome::Refused(code),
                    Some((name, _)) if name != routine.name => Outcome::Elsewhere(name),
                    Some((_, seen)) => Outcome::Taken(agreed(routine, &seen)),
                };
                (outcome, code)
            }
        };
        let reply = kernel.take_sent().into_iter().next().map(|sent| sent.flight);
        OurService { outcome, code, reply, left: kernel.census() }
    }
}

/// Room for any message of these tests.
fn buffer() -> Vec<MaybeUninit<u64>> {
    vec![MaybeUninit::uninit(); 8192]
}

/// What of the client's arguments a server's function is given.
fn seen_by_server(routine: &Routine, given: &Values) -> Values {
    let seen = given.iter().filter(|(name, _)| {
        routine.args.iter().any(|arg| arg.name == **name && (arg.in_request() || arg.count_in_out))
    });
    seen.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Runs our code; a panic is an error with its message.
fn caught<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    let message = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message").to_string()
    };
    catch_unwind(AssertUnwindSafe(work)).map_err(message)
}

/// What becomes of the sender's rights and memory: two entries for each item of a message.
fn moves(abi: CAbi, flight: &Flight) -> Vec<&'static str> {
    let items = wire::items(abi, &flight.bytes).unwrap_or_default();
    let right = |item: &wire::Item| match item.name {
        16..=18 => "moved right",
        19 => "COPY_SEND",
        20 => "MAKE_SEND",
        21 => "MAKE_SEND_ONCE",
        _ => "data",
    };
    let memory = |item: &wire::Item| match (item.inline, item.deallocate) {
        (true, _) => "in line",
        (false, true) => "moved memory",
        (false, false) => "copied memory",
    };
    items.iter().flat_map(|item| [right(item), memory(item)]).collect()
}

fn count(events: &[String], name: &str) -> usize {
    events.iter().filter(|event| *event == name).count()
}

/// The return code of a reply.
fn return_code(abi: CAbi, reply: &[u8]) -> u32 {
    let shape = wire::shape(abi);
    let offset = shape.header + shape.type_word;
    if reply.len() < offset + 4 { 0 } else { wire::u32_at(reply, offset) }
}

/// Bytes of a reply with nothing but a return code.
fn minimal_reply(abi: CAbi) -> usize {
    let shape = wire::shape(abi);
    shape.header + shape.type_word + shape.alignment
}

/// A message with another id.
fn with_id(abi: CAbi, flight: &Flight, id: u32) -> Flight {
    let mut flight = flight.clone();
    wire::set_u32(&mut flight.bytes, wire::shape(abi).id, id);
    flight
}

/// Every damaged form of a message, each with the out-of-line data that its type words claim.
fn damaged(abi: CAbi, flight: &Flight) -> Vec<(String, Flight)> {
    let items = wire::items(abi, &flight.bytes).unwrap_or_default();
    let out_of_line = items.iter().filter(|item| !item.inline).map(|item| item.offset);
    let memory: BTreeMap<usize, &Vec<u8>> = out_of_line.zip(&flight.memory).collect();
    let all = wire::damaged(abi, &flight.bytes).into_iter().filter_map(|(damage, bytes)| {
        let items = wire::items(abi, &bytes).unwrap_or_default();
        let claims: Vec<_> = items.iter().filter(|item| !item.inline).collect();
        // No kernel delivers more than there is.
        if claims.iter().any(|item| item.bytes() > LARGEST_CLAIM) {
            return None;
        }
        let data = |offset| memory.get(offset).map_or(Vec::new(), |data| (*data).clone());
        let memory = claims.iter().map(|item| data(&item.offset)).collect();
        Some((damage, Flight { bytes, memory }))
    });
    all.collect()
}
