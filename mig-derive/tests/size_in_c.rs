//! A structure that is larger in C than the `.defs` says travels whole.

use mig_runtime::abi::Apple64;
use mig_runtime::kernel::local::Local;
use mig_runtime::{KernReturn, Port, ReceiveRight, Server};

/// 72 bytes in C.
pub type Info = [u64; 9];

mod state {
    mig_derive::interface! {
        abi: "apple-64",
        inline: "
            subsystem state 3400;
            type state_t = MACH_MSG_TYPE_COPY_SEND;
            type byte = MACH_MSG_TYPE_BYTE;
            type int = MACH_MSG_TYPE_INTEGER_32;
            type info_t = struct[36] of byte;
            routine state_swap(state : state_t; given : info_t; key : int; out back : info_t; out sum : int);
        ",
        extern_type: { info_t: crate::Info: 72 },
    }
}
use state::{StateSwapReply, state_swap};

type K = Local<Apple64>;

struct Swap;

impl state::State<K> for Swap {
    fn state_swap(&self, _: Port<'_, K>, given: Info, key: i32) -> Result<StateSwapReply, KernReturn> {
        let mut back = given;
        back.reverse();
        Ok(StateSwapReply { back, sum: key + given[8] as i32 })
    }
}

#[test]
fn all_of_it_arrives() {
    let task = K::new();
    let receive = ReceiveRight::allocate(&task).unwrap();
    let port = receive.make_send().unwrap();
    let server = Server::on(&receive).with(state::state(&Swap));
    std::thread::scope(|scope| {
        scope.spawn(|| server.run().unwrap());
        let reply = state_swap(&port, &[1, 2, 3, 4, 5, 6, 7, 8, 9], 40).unwrap();
        assert_eq!((reply.back, reply.sum), ([9, 8, 7, 6, 5, 4, 3, 2, 1], 49));
        server.stop();
    });
}
