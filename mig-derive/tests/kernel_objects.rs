//! `kernel_objects: true`: what goes to the kernel goes the kernel's way, and what goes to a task does not.

use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{CallError, KernReturn, Port, PortSet, ReceiveRight, SendRight, Server};

macro_rules! counter {
    ($module:ident, $kernel:literal) => {
        mod $module {
            mig_derive::interface! {
                abi: "apple-64",
                kernel_objects: $kernel,
                inline: "
                    subsystem counter 7000;
                    type int = MACH_MSG_TYPE_INTEGER_32;
                    type counter_t = MACH_MSG_TYPE_COPY_SEND;
                    type reply_t = MACH_MSG_TYPE_MAKE_SEND_ONCE;
                    routine add(counter : counter_t; a : int; out sum : int);
                    routine add_at(counter : counter_t; ureplyport reply : reply_t; a : int; out sum : int);
                    waittime 60000;
                    routine add_soon(counter : counter_t; a : int; out sum : int);
                ",
            }
        }
    };
}

counter!(to_kernel, true);
counter!(to_task, false);

/// Answers one more.
struct OneMore;

impl to_task::Counter<Local<Apple64>> for OneMore {
    fn add(&self, _: Port<'_, Local<Apple64>>, a: i32) -> Result<i32, KernReturn> {
        Ok(a + 1)
    }

    fn add_at(&self, _: Port<'_, Local<Apple64>>, a: i32) -> Result<i32, KernReturn> {
        Ok(a + 1)
    }

    fn add_soon(&self, _: Port<'_, Local<Apple64>>, a: i32) -> Result<i32, KernReturn> {
        Ok(a + 1)
    }
}

type Task = Local<Apple64>;

/// All three calls of a client, at its own port and at the thread's.
macro_rules! sums {
    ($module:ident, $port:expr, $reply:expr) => {
        [$module::add($port, 1), $module::add_at($port, $reply, 2), $module::add_soon($port, 3)]
            .map(|sum: Result<i32, CallError<Task>>| sum.map_err(KernReturn::from))
    };
}

#[test]
fn each_kind_of_port_takes_its_own_kind_of_call() {
    let task: Task = Host::new().new_task("task");
    let [object, queue, reply] = [(); 3].map(|()| ReceiveRight::allocate(&task).unwrap());
    task.make_kernel_object(object.name()).unwrap();
    let ports = PortSet::allocate(&task).unwrap();
    ports.insert(&object).unwrap();
    ports.insert(&queue).unwrap();
    let server = Server::on(&ports).with(to_task::counter(&OneMore));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| server.run());
        let [object, queue]: [SendRight<Task>; 2] = [&object, &queue].map(|port| port.make_send().unwrap());
        let answers = [
            sums!(to_kernel, &object, &reply),
            sums!(to_task, &queue, &reply),
            sums!(to_kernel, &queue, &reply),
            sums!(to_task, &object, &reply),
        ];
        server.stop();
        let sums = [Ok(2), Ok(3), Ok(4)];
        let refused = [Err(KernReturn::MACH_SEND_INVALID_OPTIONS); 3];
        assert_eq!(answers, [sums, sums, refused, refused]);
        running.join().unwrap().unwrap();
    });
}
