//! The mail office and two clients, as three tasks of the in-process kernel.

use mailbox_example::mailbox::{mailbox_open, mailbox_post, mailbox_take};
use mailbox_example::postmaster::{postmaster_close, postmaster_count};
use mailbox_example::{Error, Office};
use mig_runtime::KernReturn;
use mig_runtime::kernel::local::{Host, Local};

fn main() -> Result<(), Error> {
    let host: Host = Host::new();
    let [server, anna, ben] = ["server", "anna", "ben"].map(|label| host.new_task(label));
    let office = Office::new(&server)?;
    // How the first right comes to a client is the system's business: a bootstrap server, or here the
    // emulated host.
    let to_office = Local::transfer(office.office.make_send()?, &anna)?;
    let to_postmaster = Local::transfer(office.postmaster.make_send()?, &ben)?;

    office.server().serve_while(|| {
        let inbox = mailbox_open(&to_office)?;
        let for_ben = Local::transfer(inbox.try_clone()?, &ben)?;
        std::thread::scope(|scope| {
            scope.spawn(|| mailbox_post(&for_ben, c"are you there?"));
            // There is no letter yet, or there is: the answer comes either way.
            println!("anna reads: {}", mailbox_take(&inbox, 10_000)?.to_string_lossy());
            Ok::<_, Error>(())
        })?;

        let nothing = mailbox_take(&inbox, 10).map_err(KernReturn::from);
        assert_eq!(nothing, Err(KernReturn::MACH_RCV_TIMED_OUT));
        mailbox_post(&for_ben, c"hello?")?;
        println!("in time: {}", mailbox_take(&inbox, 10_000)?.to_string_lossy());

        drop((inbox, for_ben)); // as the kernel does when both clients end
        while postmaster_count(&to_postmaster)?.boxes > 0 {
            std::thread::yield_now();
        }
        println!("no box is left");
        postmaster_close(&to_postmaster)?;
        Ok(())
    })?
}
