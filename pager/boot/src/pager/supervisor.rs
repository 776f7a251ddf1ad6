//! The programs that the pager starts: what they tell, and when they end.

use alloc::vec::Vec;

use gnumach::exception::{self, Report};
use gnumach::{Bare, GnuMach, ReceiveRight, SendRight, println};
use mach_defs::gnu::notify::{self, Notify};
use mach_defs::gnu::{exc, mach};
use mach_pager::Quota;
use mig_runtime::platform::Mutex;
use mig_runtime::{DeadName, KernReturn, Name, Port, PortSet, Server};

use crate::boot::{self, Boot, Natural};
use crate::newer::{self, VmSize};
use crate::{Pager, set_manager};

/// How often it looks whether the pagers are at work, in milliseconds.
const HEALTH: u32 = 1000;

/// Bytes for what is noted of a client's pages.
const QUOTA_NOTES: usize = 64 << 10;

/// `TASK_BOOTSTRAP_PORT`
const TASK_BOOTSTRAP_PORT: i32 = 4;

/// Starts programs, reports their exceptions, and waits for their end.
pub(crate) struct Supervisor<'a> {
    host: &'a SendRight,
    pagers: &'a [Pager],
    ports: PortSet<GnuMach>,
    /// The bootstrap port of the programs.
    boot: ReceiveRight,
    /// Where the kernel tells of their end.
    notify: ReceiveRight,
    /// Where it tells of their exceptions: their own memory may be what is amiss.
    exceptions: ReceiveRight,
    programs: Mutex<Bare, Vec<Program>>,
}

/// A program.
pub(crate) struct Program {
    task: SendRight,
    must_die: bool,
    /// How many checks it has made, and how many of them failed.
    done: Option<(u32, u32)>,
    ended: bool,
}

impl Program {
    /// Takes a program over, by the number that the boot script gives for its task.
    pub(crate) fn new(task: &str, must_die: bool) -> Result<Self, &'static str> {
        let name = task.parse().map_err(|_| "a program is not given as a task")?;
        // SAFETY: the kernel has put a send right under this name, for this program to own.
        let task = unsafe { SendRight::from_raw(GnuMach, Name(name)) };
        Ok(Self { task, must_die, done: None, ended: false })
    }
}

impl<'a> Supervisor<'a> {
    pub(crate) fn new(
        host: &'a SendRight,
        pagers: &'a [Pager],
        programs: Vec<Program>,
    ) -> Result<Self, KernReturn> {
        let ports = PortSet::allocate(&GnuMach)?;
        let port = || {
            let port = ReceiveRight::allocate(&GnuMach)?;
            ports.insert(&port)?;
            Ok::<_, KernReturn>(port)
        };
        let (boot, notify, exceptions) = (port()?, port()?, port()?);
        let programs = Mutex::<Bare, _>::new(programs);
        Ok(Self { host, pagers, ports, boot, notify, exceptions, programs })
    }

    /// Starts the programs, and returns when all have ended.
    pub(crate) fn run(&self) {
        if let Err(code) = self.start() {
            println!("supervisor: a program cannot be started: {code}");
            return;
        }
        let server =
            Server::on(&self.ports).with(boot::boot(self)).with(notify::notify(self)).with(exc::exc(&Report));
        while !self.programs.lock().iter().all(|program| program.ended) {
            match server.serve_one::<Bare>(Some(HEALTH)) {
                Ok(_) | Err(KernReturn::MACH_RCV_TIMED_OUT) => {}
                Err(code) => {
                    println!("supervisor: {code}");
                    return;
                }
            }
            for (index, pager) in self.pagers.iter().enumerate() {
                if let Err(code) = pager.health() {
                    println!("supervisor: a server of pager {index} has ended: {code}");
                    return;
                }
            }
        }
    }

    fn start(&self) -> Result<(), KernReturn> {
        let right = self.boot.make_send()?;
        for program in self.programs.lock().iter() {
            mach::task_set_special_port(&program.task, TASK_BOOTSTRAP_PORT, &right)?;
            exception::send_to(&program.task, &self.exceptions)?;
            // Newer kernels give a task no more address space than the machine has memory, and it can be as
            // large as the paging space, too.
            let _ = newer::vm_set_size_limit(self.host, &program.task, VmSize::MAX, VmSize::MAX);
            program.task.request_dead_name(&self.notify)?;
            mach::task_resume(&program.task)?;
        }
        Ok(())
    }

    /// Tells of each program whether it did what it must; true if all did.
    pub(crate) fn verdict(&self) -> bool {
        let mut good = true;
        for (index, program) in self.programs.lock().iter().enumerate() {
            let fine = match program.done {
                Some((checks, failures)) => {
                    println!("program {index}: {checks} checks, {failures} failed");
                    checks > 0 && failures == 0 && !program.must_die
                }
                None if !program.ended => {
                    println!("program {index}: not waited for");
                    false
                }
                None => {
                    println!("program {index}: ended before it was done");
                    program.must_die && program.ended
                }
            };
            good &= fine;
        }
        good
    }
}

impl Boot<GnuMach> for Supervisor<'_> {
    fn boot_done(
        &self,
        _boot: Port<'_, GnuMach>,
        program: Natural,
        checks: Natural,
        failures: Natural,
    ) -> Result<(), KernReturn> {
        let mut programs = self.programs.lock();
        let program = programs.get_mut(program as usize).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        program.done = Some((checks, failures));
        Ok(())
    }

    fn boot_backing_stores(&self, _boot: Port<'_, GnuMach>) -> Result<SendRight, KernReturn> {
        self.pagers.first().ok_or(KernReturn::KERN_FAILURE)?.backing_store_right()
    }

    fn boot_client(
        &self,
        _boot: Port<'_, GnuMach>,
        objects: Natural,
        pages: Natural,
    ) -> Result<SendRight, KernReturn> {
        let quota = Quota { objects: objects as usize, pages: pages.into(), map_bytes: QUOTA_NOTES };
        self.pagers.first().ok_or(KernReturn::KERN_FAILURE)?.client_right(quota)
    }

    fn boot_manager(&self, _boot: Port<'_, GnuMach>, pager: Natural) -> Result<(), KernReturn> {
        let pager = self.pagers.get(pager as usize).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        set_manager(self.host, pager)
    }
}

impl Notify<GnuMach> for Supervisor<'_> {
    fn mach_notify_dead_name(
        &self,
        _notify: Port<'_, GnuMach>,
        dead: DeadName<GnuMach>,
    ) -> Result<(), KernReturn> {
        let mut programs = self.programs.lock();
        if let Some(program) = programs.iter_mut().find(|program| program.task.name() == dead.name()) {
            program.ended = true;
        }
        Ok(())
    }
}
