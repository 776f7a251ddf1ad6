//! Translations of data: C calls one function for arguments of several types, and data of fixed size may be
//! out of line. Each type has a method here.

use mig_runtime::kernel::local::{self, Host};
use mig_runtime::platform::Std;
use mig_runtime::{KernReturn, Port, ReceiveRight, SendRight, Server};

/// What the server makes of numbers.
#[derive(Debug, PartialEq)]
pub struct Sum(i64);

type Local = local::Local<mig_runtime::abi::Apple64>;

mod adder {
    mig_derive::interface! {
        abi: "apple-64",
        inline: "
            subsystem adder 4300;
            type mach_port_t = MACH_MSG_TYPE_COPY_SEND;
            type int = MACH_MSG_TYPE_INTEGER_32;
            type pair_t = array[2] of int intran: sum_t sum(pair_t);
            type outside_t = ^array[3] of int intran: sum_t sum(outside_t) outtran: outside_t parts(sum_t);
            routine add(p : mach_port_t; in pair : pair_t; in outside : outside_t; out parts : outside_t);
        ",
        extern_type: { sum_t: crate::Sum },
    }
}

struct Adder;

impl adder::Adder<Local> for Adder {
    fn sum(&self, pair: [i32; 2]) -> Result<Sum, KernReturn> {
        Ok(Sum(pair.iter().map(|number| i64::from(*number)).sum()))
    }

    fn sum_(&self, outside: [i32; 3]) -> Result<Sum, KernReturn> {
        Ok(Sum(outside.iter().map(|number| i64::from(*number)).sum()))
    }

    fn parts(&self, sum: Sum) -> Result<[i32; 3], KernReturn> {
        Ok([sum.0 as i32, 0, 0])
    }

    fn add(&self, _: Port<'_, Local>, pair: Sum, outside: Sum) -> Result<Sum, KernReturn> {
        Ok(Sum(pair.0 * outside.0))
    }
}

#[test]
fn each_type_has_a_method() {
    let host = Host::new();
    let (caller, task) = (host.new_task("caller"), host.new_task("server"));
    let port = ReceiveRight::allocate(&task).unwrap();
    let right: SendRight<Local> = Local::transfer(port.make_send().unwrap(), &caller).unwrap();
    let parts = std::thread::scope(|scope| {
        scope.spawn(|| assert!(Server::on(&port).with(adder::adder(&Adder)).serve_one::<Std>(None).unwrap()));
        adder::add(&right, &[2, 3], &[4, 5, 6]).unwrap()
    });
    assert_eq!(parts, [75, 0, 0]);
}
