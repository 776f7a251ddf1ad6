//! The exception server on an emulated machine: what it repairs, what it forwards in which form, and that no
//! right is left over.

use std::sync::Mutex;

use exception_server_example::emulated::{
    DEFAULT_WIDE, EXC_BREAKPOINT, Exit, Instruction, MEMORY, Machine, PROGRAM, STATE_NARROW, STATE_WIDE,
};
use exception_server_example::registers::{ARM_THREAD_STATE64, program_counter, with_program_counter};
use exception_server_example::{
    BEHAVIOR, Catcher, EXC_BAD_ACCESS, EXC_MASK_BAD_ACCESS, Handlers, Raised, ThreadState,
};
use mach_defs::apple_64::exc::{self, Exc};
use mach_defs::apple_64::mach_exc::{self, MachExc};
use mach_defs::apple_64::task::{task, task_swap_exception_ports};
use mach_defs::apple_64::thread_act::{thread_act, thread_get_state, thread_set_state};
use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{KernReturn, Port, PortSet, ReceiveRight, SendRight, Server};

use Instruction::{Breakpoint, Load};

type Task = Local<Apple64>;

/// An address that is as bad as any, and wider than 32 bits.
const WILD: u64 = 0xdead_0000_0008;
const EXC_MASK_BREAKPOINT: i32 = 1 << EXC_BREAKPOINT;

/// A machine with its kernel, a task for our server, and one for the server that was there before.
struct World {
    host: Host<Apple64>,
    kernel: Task,
    ours: Task,
    before: Task,
}

impl World {
    fn new() -> Self {
        let host: Host<Apple64> = Host::new();
        let [kernel, ours, before] = ["kernel", "ours", "before"].map(|label| host.new_task(label));
        Self { host, kernel, ours, before }
    }

    /// Does `work` while the machine's kernel serves, and then counts rights.
    fn with_machine(self, work: impl FnOnce(&Self, &Machine<Task>)) {
        let census = [&self.kernel, &self.ours, &self.before].map(Local::census);
        let machine = Machine::new(&self.kernel).unwrap();
        // XNU tells these ports from those that a task receives from.
        for port in [&machine.task, &machine.thread] {
            self.kernel.make_kernel_object(port.name()).unwrap();
        }
        let ports = PortSet::allocate(&self.kernel).unwrap();
        ports.insert(&machine.task).unwrap();
        ports.insert(&machine.thread).unwrap();
        let server = Server::on(&ports).with(task(&machine)).with(thread_act(&machine));
        server.serve_while(|| work(&self, &machine)).unwrap();
        drop(server);
        drop((machine, ports));
        // Only the reply ports of this thread may be there still.
        assert_eq!([&self.kernel, &self.ours, &self.before].map(Local::census), census);
        for task in [&self.kernel, &self.ours, &self.before] {
            task.terminate();
        }
        assert_eq!(self.host.port_count(), 0);
    }
}

/// Makes `port` the server of some exceptions, and returns those that were there before.
fn take_over(machine: &Machine<Task>, mask: i32, port: &ReceiveRight<Task>, behavior: i32) -> Handlers<Task> {
    let to_task = Local::transfer(machine.task.make_send().unwrap(), port.kernel()).unwrap();
    let new_port = port.make_send().unwrap();
    task_swap_exception_ports(&to_task, mask, &new_port, behavior, ARM_THREAD_STATE64).unwrap().into()
}

/// What an exception server saw: exception, codes, program counter.
type Seen = (i32, Vec<i64>, Option<u64>);

/// Steps over loads from the first page, and writes down what it is asked.
fn step_over_null(seen: &Mutex<Vec<Seen>>) -> impl Fn(&Raised<'_, Task>) -> Option<ThreadState> + use<'_> {
    |raised| {
        let counter = program_counter(raised.flavor, raised.state)?;
        seen.lock().unwrap().push((raised.exception, raised.code.to_vec(), Some(counter)));
        let null = raised.code[1] < 0x1000;
        null.then(|| with_program_counter(raised.flavor, raised.state, counter + 4))?
    }
}

/// A debugger that lets the program go on after the instruction, and writes down what it is asked.
#[derive(Default)]
struct Debugger {
    seen: Mutex<Vec<Seen>>,
}

impl Debugger {
    fn step(&self, exception: i32, code: Vec<i64>, flavor: i32, state: &[u32]) -> ThreadState {
        let counter = program_counter(flavor, state);
        self.seen.lock().unwrap().push((exception, code, counter));
        with_program_counter(flavor, state, counter.unwrap() + 4).unwrap()
    }

    fn seen(self) -> Vec<Seen> {
        self.seen.into_inner().unwrap()
    }
}

impl MachExc<Task> for Debugger {
    fn mach_exception_raise(
        &self,
        _port: Port<'_, Task>,
        thread: SendRight<Task>,
        _task: SendRight<Task>,
        exception: i32,
        code: &[i64],
    ) -> Result<(), KernReturn> {
        let state = thread_get_state(&thread, ARM_THREAD_STATE64, 1296)?;
        let state = self.step(exception, code.to_vec(), ARM_THREAD_STATE64, &state);
        Ok(thread_set_state(&thread, ARM_THREAD_STATE64, &state)?)
    }

    fn mach_exception_raise_state(
        &self,
        _port: Port<'_, Task>,
        exception: i32,
        code: &[i64],
        flavor: i32,
        old_state: &[u32],
    ) -> Result<mach_exc::MachExceptionRaiseStateReply, KernReturn> {
        let new_state = self.step(exception, code.to_vec(), flavor, old_state);
        Ok(mach_exc::MachExceptionRaiseStateReply { flavor, new_state })
    }

    fn mach_exception_raise_state_identity(
        &self,
        _port: Port<'_, Task>,
        _thread: SendRight<Task>,
        _task: SendRight<Task>,
        exception: i32,
        code: &[i64],
        flavor: i32,
        old_state: &[u32],
    ) -> Result<mach_exc::MachExceptionRaiseStateIdentityReply, KernReturn> {
        let new_state = self.step(exception, code.to_vec(), flavor, old_state);
        Ok(mach_exc::MachExceptionRaiseStateIdentityReply { flavor, new_state })
    }
}

impl Exc<Task> for Debugger {
    fn exception_raise_state(
        &self,
        _port: Port<'_, Task>,
        exception: i32,
        code: &[i32],
        flavor: i32,
        old_state: &[u32],
    ) -> Result<exc::ExceptionRaiseStateReply, KernReturn> {
        let code = code.iter().map(|&code| code.into()).collect();
        let new_state = self.step(exception, code, flavor, old_state);
        Ok(exc::ExceptionRaiseStateReply { flavor, new_state })
    }
}

#[test]
fn a_bad_access_is_repaired() {
    World::new().with_machine(|world, machine| {
        let port = ReceiveRight::allocate(&world.ours).unwrap();
        let previous = take_over(machine, EXC_MASK_BAD_ACCESS, &port, BEHAVIOR);
        let seen = Mutex::default();
        let catcher = Catcher::new(previous, step_over_null(&seen));
        let server = Server::on(&port).with(mach_exc::mach_exc(&catcher));
        let program = [Load(MEMORY), Load(0x18), Load(MEMORY), Load(0)];
        server.serve_while(|| assert_eq!(machine.run(&program), Exit::Done)).unwrap();
        let faults = [(0x18, PROGRAM + 4), (0, PROGRAM + 12)];
        let expected =
            faults.map(|(address, counter)| (EXC_BAD_ACCESS, vec![1, address], Some(counter))).to_vec();
        assert_eq!(*seen.lock().unwrap(), expected);
    });
}

#[test]
fn without_another_server_the_kernel_is_told() {
    World::new().with_machine(|world, machine| {
        let port = ReceiveRight::allocate(&world.ours).unwrap();
        let mask = EXC_MASK_BAD_ACCESS | EXC_MASK_BREAKPOINT;
        let seen = Mutex::default();
        let catcher = Catcher::new(take_over(machine, mask, &port, BEHAVIOR), step_over_null(&seen));
        let server = Server::on(&port).with(mach_exc::mach_exc(&catcher));
        server
            .serve_while(|| {
                assert_eq!(machine.run(&[Load(WILD)]), Exit::Killed(EXC_BAD_ACCESS));
                assert_eq!(machine.run(&[Breakpoint]), Exit::Killed(EXC_BREAKPOINT));
            })
            .unwrap();
        // It was asked about the first alone.
        assert_eq!(seen.lock().unwrap().len(), 1);
    });
}

/// What the server does not handle goes to a debugger that wants it in the form `behavior`; returns what that
/// saw.
fn forward(behavior: i32) -> Vec<Seen> {
    let debugger = Debugger::default();
    World::new().with_machine(|world, machine| {
        let mask = EXC_MASK_BAD_ACCESS | EXC_MASK_BREAKPOINT;
        let old_port = ReceiveRight::allocate(&world.before).unwrap();
        take_over(machine, mask, &old_port, behavior);
        let old = Server::on(&old_port).with(mach_exc::mach_exc(&debugger)).with(exc::exc(&debugger));

        let port = ReceiveRight::allocate(&world.ours).unwrap();
        let seen = Mutex::default();
        let catcher = Catcher::new(take_over(machine, mask, &port, BEHAVIOR), step_over_null(&seen));
        let server = Server::on(&port).with(mach_exc::mach_exc(&catcher));

        let program = [Load(0), Load(WILD), Breakpoint, Load(MEMORY)];
        old.serve_while(|| {
            server.serve_while(|| assert_eq!(machine.run(&program), Exit::Done)).unwrap();
        })
        .unwrap();
        assert_eq!(seen.lock().unwrap().len(), 2);
    });
    debugger.seen()
}

#[test]
fn what_is_not_handled_goes_to_the_server_before() {
    for behavior in [DEFAULT_WIDE, STATE_WIDE, BEHAVIOR] {
        let expected = [
            (EXC_BAD_ACCESS, vec![1, WILD as i64], Some(PROGRAM + 4)),
            (EXC_BREAKPOINT, vec![1, 0], Some(PROGRAM + 8)),
        ];
        assert_eq!(forward(behavior), expected, "behavior {behavior:#x}");
    }
}

#[test]
fn narrow_codes_lose_the_upper_half() {
    let expected =
        [(EXC_BAD_ACCESS, vec![1, 8], Some(PROGRAM + 4)), (EXC_BREAKPOINT, vec![1, 0], Some(PROGRAM + 8))];
    assert_eq!(forward(STATE_NARROW), expected);
}

/// The server before may refuse, too.
#[test]
fn a_refusal_is_passed_on() {
    struct Refuses;
    impl MachExc<Task> for Refuses {}

    World::new().with_machine(|world, machine| {
        let old_port = ReceiveRight::allocate(&world.before).unwrap();
        take_over(machine, EXC_MASK_BAD_ACCESS, &old_port, BEHAVIOR);
        let old = Server::on(&old_port).with(mach_exc::mach_exc(&Refuses));
        let port = ReceiveRight::allocate(&world.ours).unwrap();
        let previous = take_over(machine, EXC_MASK_BAD_ACCESS, &port, BEHAVIOR);
        let catcher = Catcher::new(previous, |_: &Raised<'_, Task>| None);
        let server = Server::on(&port).with(mach_exc::mach_exc(&catcher));
        old.serve_while(|| {
            server
                .serve_while(|| {
                    assert_eq!(machine.run(&[Load(0)]), Exit::Killed(EXC_BAD_ACCESS));
                })
                .unwrap();
        })
        .unwrap();
    });
}
