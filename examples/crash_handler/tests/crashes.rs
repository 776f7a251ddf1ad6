//! The handler and the reporter as tasks of the in-process kernel: what is reported, what is refused, and
//! that no right is left over.

use std::sync::Mutex;

use crash_handler_example::crash::{crash, crash_report};
use crash_handler_example::{Handler, Report, Reporter};
use mach_defs::apple_64::mach_exc::{mach_exc, mach_exception_raise};
use mach_defs::apple_64::task::{Task as TaskCalls, task};
use mach_defs::apple_64::thread_act::{ThreadAct, thread_act};
use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{KernReturn, Port, PortSet, ReceiveRight, Rights, SendRight, Server};

type Task = Local<Apple64>;

/// What the kernel has of the program: a task with the handler's thread and two others.
struct Machine {
    task: ReceiveRight<Task>,
    threads: [ReceiveRight<Task>; 3],
    calls: Mutex<Vec<(&'static str, usize)>>,
}

impl Machine {
    fn call(&self, what: &'static str, thread: &Port<'_, Task>) -> Result<(), KernReturn> {
        let place = self.threads.iter().position(|known| known.name() == thread.name());
        self.calls.lock().unwrap().push((what, place.ok_or(KernReturn::KERN_INVALID_ARGUMENT)?));
        Ok(())
    }
}

impl TaskCalls<Task> for Machine {
    fn task_threads(&self, _: Port<'_, Task>) -> Result<Rights<Task, SendRight<Task>>, KernReturn> {
        self.threads.iter().map(ReceiveRight::make_send).collect()
    }
}

impl ThreadAct<Task> for Machine {
    fn thread_suspend(&self, thread: Port<'_, Task>) -> Result<(), KernReturn> {
        self.call("suspend", &thread)
    }

    fn thread_resume(&self, thread: Port<'_, Task>) -> Result<(), KernReturn> {
        self.call("resume", &thread)
    }
}

/// What the reporter sees.
type Seen = (i32, Vec<i64>, Vec<(&'static str, usize)>);

struct World {
    program: Task,
    machine: Machine,
    /// For the kernel: the handler's port.
    exceptions: SendRight<Task>,
    /// For the program: the same.
    handler: SendRight<Task>,
    own_task: SendRight<Task>,
    thread: SendRight<Task>,
}

/// Does `work` while the kernel, the handler and the reporter serve; returns what was reported, and when, and
/// all calls for threads.
fn with_handler(work: impl FnOnce(&World)) -> (Vec<Seen>, Vec<(&'static str, usize)>) {
    let host: Host<Apple64> = Host::new();
    let [kernel, program, other] = ["kernel", "program", "reporter"].map(|label| host.new_task(label));
    kernel.send_always();
    let census = [&program, &other].map(Local::census);
    let object = || {
        let port = ReceiveRight::allocate(&kernel).unwrap();
        kernel.make_kernel_object(port.name()).unwrap();
        port
    };
    let give = |port: &ReceiveRight<Task>, to| Local::transfer(port.make_send().unwrap(), to).unwrap();
    let machine =
        Machine { task: object(), threads: [object(), object(), object()], calls: Mutex::default() };
    let objects = PortSet::allocate(&kernel).unwrap();
    machine.threads.iter().chain([&machine.task]).for_each(|port| objects.insert(port).unwrap());

    let (port, service) =
        (ReceiveRight::allocate(&program).unwrap(), ReceiveRight::allocate(&other).unwrap());
    let seen = Mutex::new(Vec::new());
    let world = World {
        exceptions: give(&port, &kernel),
        handler: port.make_send().unwrap(),
        own_task: give(&machine.task, &program),
        thread: give(&machine.threads[1], &program),
        program: program.clone(),
        machine,
    };
    let reporter = Reporter(|report: Report<Task>| {
        let calls = world.machine.calls.lock().unwrap().clone();
        seen.lock().unwrap().push((report.exception, report.code, calls));
        7
    });
    let own_thread = give(&world.machine.threads[0], &program);
    let handler = Handler::new(world.own_task.try_clone().unwrap(), own_thread, give(&service, &program));
    let kernel_calls = Server::on(&objects).with(task(&world.machine)).with(thread_act(&world.machine));
    let reports = Server::on(&service).with(crash(&reporter));
    let server = Server::on(&port).with(mach_exc(&handler)).with(crash(&handler));
    let all = || reports.serve_while(|| server.serve_while(|| work(&world)));
    kernel_calls.serve_while(all).unwrap().unwrap().unwrap();
    drop((kernel_calls, server, reports));
    drop((handler, port, service));
    let calls = world.machine.calls.lock().unwrap().clone();
    drop(world);
    assert_eq!([&program, &other].map(Local::census), census, "rights are left over");
    (seen.into_inner().unwrap(), calls)
}

const SUSPENDED: [(&str, usize); 2] = [("suspend", 1), ("suspend", 2)];
const RESUMED: [(&str, usize); 2] = [("resume", 1), ("resume", 2)];

#[test]
fn a_crash_is_reported_while_the_other_threads_stand_still() {
    let (seen, calls) = with_handler(|world| {
        let [_, crashed, _] = &world.machine.threads;
        let (thread, task) = (crashed.make_send().unwrap(), world.machine.task.make_send().unwrap());
        let answer = mach_exception_raise(&world.exceptions, &thread, &task, 1, &[1, 0x7000_0000_0018]);
        // The kernel goes on to look for somebody who repairs it.
        assert_eq!(answer.unwrap_err().code(), KernReturn::KERN_FAILURE);
    });
    assert_eq!(seen, [(1, vec![1, 0x7000_0000_0018], SUSPENDED.to_vec())]);
    assert_eq!(calls, [SUSPENDED, RESUMED].concat());
}

#[test]
fn a_report_can_be_had_without_a_crash() {
    let (seen, _) = with_handler(|world| {
        let answer = crash_report(&world.handler, 1000, &world.own_task, &world.thread, 0, &[]);
        assert_eq!(answer.unwrap(), 7);
    });
    assert_eq!(seen, [(0, vec![], SUSPENDED.to_vec())]);
}

/// A child that was forked sends its exceptions to the port of its parent.
#[test]
fn the_crash_of_another_task_is_not_reported() {
    let (seen, calls) = with_handler(|world| {
        let child = ReceiveRight::allocate(world.exceptions.kernel()).unwrap();
        let (thread, task) = (child.make_send().unwrap(), child.make_send().unwrap());
        let answer = mach_exception_raise(&world.exceptions, &thread, &task, 1, &[1, 0]);
        assert_eq!(answer.unwrap_err().code(), KernReturn::KERN_FAILURE);
        let stranger = ReceiveRight::allocate(&world.program).unwrap();
        let task = stranger.make_send().unwrap();
        let answer = crash_report(&world.handler, 1000, &task, &task, 0, &[]);
        assert_eq!(answer.unwrap_err().code(), KernReturn::KERN_INVALID_ARGUMENT);
    });
    assert_eq!((seen.len(), calls.len()), (0, 0));
}
