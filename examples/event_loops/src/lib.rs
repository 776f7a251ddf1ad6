//! A server in somebody else's loop, which tells when a message waits: a kqueue, a queue of dispatch, or the
//! executor of an async task.
//!
//! The server does what all three need with [`serve_waiting`], which never waits. What is macOS's own is in
//! the module `macos`, which only its targets have.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

use mig_runtime::platform::Std;
use mig_runtime::{KernReturn, Kernel, Port, Server};

#[cfg(target_vendor = "apple")]
pub mod macos;

/// The interface of the service.
#[allow(missing_docs)]
pub mod tally {
    mig_runtime::include_interface!("tally");
}
pub use tally::Abi;
use tally::Tally;

/// The server's object.
#[derive(Default)]
pub struct Sum(AtomicI32);

impl Sum {
    /// What was added so far.
    pub fn get(&self) -> i32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<K: Kernel<Abi = Abi>> Tally<K> for Sum {
    fn tally_add(&self, _tally: Port<'_, K>, number: i32) -> Result<(), KernReturn> {
        self.0.fetch_add(number, Ordering::Relaxed);
        Ok(())
    }
}

/// Serves the messages that wait. False if the server was told to stop.
///
/// # Errors
///
/// As [`Server::serve_one`].
pub fn serve_waiting<K: Kernel>(server: &Server<'_, K>) -> Result<bool, KernReturn> {
    loop {
        match server.serve_one::<Std>(Some(0)) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // There is none, or another thread took it.
            Err(KernReturn::MACH_RCV_TIMED_OUT) => return Ok(true),
            Err(code) => return Err(code),
        }
    }
}

/// Serves until the server is told to stop, as one task of an executor. `readable` waits for messages.
///
/// # Errors
///
/// Those of `readable` and of the server.
pub async fn serve<K: Kernel>(
    server: &Server<'_, K>,
    mut readable: impl AsyncFnMut() -> io::Result<()>,
) -> io::Result<()> {
    while serve_waiting(server).map_err(io::Error::other)? {
        readable().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use mig_runtime::ReceiveRight;
    use mig_runtime::abi::Apple64;
    use mig_runtime::kernel::local::{Host, Local};

    use super::tally::{tally, tally_add};
    use super::*;

    /// A future that is ready whenever it is asked.
    fn done<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("nothing in these tests waits"),
        }
    }

    #[test]
    fn a_task_serves_what_comes_and_ends_when_it_is_told_to() {
        let host: Host<Apple64> = Host::new();
        let (task, client) = (host.new_task("server"), host.new_task("client"));
        let sum = Sum::default();
        let port = ReceiveRight::allocate(&task).unwrap();
        let to_tally = Local::transfer(port.make_send().unwrap(), &client).unwrap();
        let server = Server::on(&port).with(tally(&sum));
        tally_add(&to_tally, 1).unwrap();
        let mut seen = Vec::new();
        let result = done(serve(&server, async || {
            seen.push(sum.get());
            match seen.len() {
                1 => (2..5).for_each(|number| tally_add(&to_tally, number).unwrap()),
                2 => {} // woken for nothing
                _ => server.stop(),
            }
            Ok(())
        }));
        result.unwrap();
        // Whatever waits is served before the next wait.
        assert_eq!(seen, [1, 10, 10]);
    }

    #[test]
    fn the_error_of_whoever_waits_ends_the_task() {
        let port = ReceiveRight::allocate(&Local::<Apple64>::new()).unwrap();
        let sum = Sum::default();
        let server = Server::on(&port).with(tally(&sum));
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        let error = done(serve(&server, async || Err(closed()))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
