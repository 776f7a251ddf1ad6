//! The exception server on an emulated thread: where it makes the thread go on, what it leaves to others, and
//! that no right is left over.

use std::sync::Mutex;

use mach_defs::apple_64::mach_exc::{mach_exc, mach_exception_raise, mach_exception_raise_state};
use mach_defs::apple_64::thread_act::{ThreadAct, thread_act};
use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{ArrayVec, CallError, KernReturn, Port, ReceiveRight, Server, array_vec};
use trap_handler_example::registers::{NATIVE, Registers};
use trap_handler_example::{EXC_ARITHMETIC, EXC_BAD_ACCESS, EXC_BAD_INSTRUCTION, Trap, Traps};

type Task = Local<Apple64>;

const CODE: std::ops::Range<u64> = 0x10_0000..0x20_0000;
const LANDING: u64 = 0x7_0000_1000;
/// `EXC_BREAKPOINT`
const EXC_BREAKPOINT: i32 = 6;

/// A thread that stands still.
struct Thread(Mutex<Registers>);

impl Thread {
    /// At this instruction, with a stack that is aligned for nothing.
    fn at(counter: u64) -> Self {
        let mut registers = Registers::new(&[0x1111; Registers::WORDS as usize]).unwrap();
        registers.call(counter, [0; 4]);
        Self(Mutex::new(registers))
    }
}

impl ThreadAct<Task> for Thread {
    fn thread_get_state(
        &self,
        _: Port<'_, Task>,
        flavor: i32,
        most: u32,
    ) -> Result<ArrayVec<u32, 1296>, KernReturn> {
        assert_eq!((flavor, most), (NATIVE, Registers::WORDS));
        Ok(array_vec(self.0.lock().unwrap().words()))
    }

    fn thread_set_state(&self, _: Port<'_, Task>, flavor: i32, new: &[u32]) -> Result<(), KernReturn> {
        assert_eq!(flavor, NATIVE);
        *self.0.lock().unwrap() = Registers::new(new).ok_or(KernReturn::KERN_INVALID_ARGUMENT)?;
        Ok(())
    }
}

/// Raises an exception of a thread that is at `counter`, and returns the answer and where the thread is then.
fn raise(counter: u64, exception: i32, code: &[i64]) -> (Result<(), KernReturn>, Registers) {
    let host: Host<Apple64> = Host::new();
    let (kernel, program) = (host.new_task("kernel"), host.new_task("program"));
    kernel.send_always();
    let census = program.census();
    let thread = Thread::at(counter);
    let result = {
        let control = ReceiveRight::allocate(&kernel).unwrap();
        kernel.make_kernel_object(control.name()).unwrap();
        let exceptions = ReceiveRight::allocate(&program).unwrap();
        let to_server = Local::transfer(exceptions.make_send().unwrap(), &kernel).unwrap();
        let own = control.make_send().unwrap();
        let traps = Traps { code: CODE, landing: LANDING };
        let server = Server::on(&exceptions).with(mach_exc(&traps));
        let calls = Server::on(&control).with(thread_act(&thread));
        calls.serve_while(|| {
            let raised = || mach_exception_raise(&to_server, &own, &own, exception, code);
            server.serve_while(raised).unwrap().map_err(|error: CallError<Task>| error.code())
        })
    };
    assert_eq!(program.census(), census, "rights are left over");
    (result.unwrap(), thread.0.into_inner().unwrap())
}

/// Where a thread goes on that trapped like this.
fn landed(counter: u64, trap: Trap) -> Registers {
    let mut registers = Thread::at(counter).0.into_inner().unwrap();
    let address = trap.address;
    let arguments =
        [trap.offset, trap.exception as u64, u64::from(address.is_some()), address.unwrap_or_default()];
    registers.call(LANDING, arguments);
    registers
}

#[test]
fn a_trap_of_the_code_lands_in_the_runtime() {
    for (exception, code, address) in [
        (EXC_BAD_ACCESS, [1, 0x7fff_0000_0018], Some(0x7fff_0000_0018)),
        (EXC_BAD_INSTRUCTION, [1, 0], None),
        (EXC_ARITHMETIC, [1, 0], None),
    ] {
        let (answer, after) = raise(CODE.start + 8, exception, &code);
        assert_eq!(answer, Ok(()));
        assert_eq!(after.program_counter(), LANDING);
        assert_eq!(after, landed(CODE.start + 8, Trap { offset: 8, exception, address }));
    }
}

#[test]
fn what_is_not_of_the_code_goes_to_the_next_server() {
    for (counter, exception) in
        [(CODE.end, EXC_BAD_ACCESS), (CODE.start - 4, EXC_BAD_ACCESS), (CODE.start, EXC_BREAKPOINT)]
    {
        let (answer, after) = raise(counter, exception, &[1, 0x18]);
        assert_eq!(answer, Err(KernReturn::KERN_FAILURE));
        assert_eq!(after, Thread::at(counter).0.into_inner().unwrap());
    }
}

/// Anybody who has a right to the port can send anything; the server that is written by hand ends the
/// program.
#[test]
fn other_messages_are_refused_and_the_server_goes_on() {
    let task: Task = Local::new();
    let port = ReceiveRight::allocate(&task).unwrap();
    let traps = Traps { code: CODE, landing: LANDING };
    let to_server = port.make_send().unwrap();
    Server::on(&port)
        .with(mach_exc(&traps))
        .serve_while(|| {
            for _ in 0..2 {
                let answer = mach_exception_raise_state(&to_server, EXC_BAD_ACCESS, &[1, 0], NATIVE, &[0; 4]);
                assert_eq!(answer.unwrap_err().code(), KernReturn::MIG_BAD_ID);
            }
        })
        .unwrap();
}
