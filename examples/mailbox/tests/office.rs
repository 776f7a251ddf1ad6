//! The mail office under clients that die, give up, and ask for what is not theirs. Every test ends with the
//! rights that it began with.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::Mutex;
use std::thread;

use mailbox_example::Office;
use mailbox_example::mailbox::{mailbox_open, mailbox_post, mailbox_take};
use mailbox_example::postmaster::{postmaster_close, postmaster_count};
use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{KernReturn, SendRight};

/// An hour: whatever takes so long is not waited for.
const LONG: u32 = 3_600_000;

/// Serves an office while `work` runs, which gets a task of a client and its right to the office, and one to
/// the postmaster.
fn with_office(work: impl FnOnce(&Local, &SendRight<Local>, &SendRight<Local>)) {
    let host: Host = Host::new();
    let (server, client) = (host.new_task("server"), host.new_task("client"));
    let before = server.census();
    let office = Office::new(&server).unwrap();
    let to_office = Local::transfer(office.office.make_send().unwrap(), &client).unwrap();
    let to_postmaster = Local::transfer(office.postmaster.make_send().unwrap(), &client).unwrap();
    let serving = office.server();
    serving.serve_while(|| work(&client, &to_office, &to_postmaster)).unwrap();
    drop(serving);
    drop((to_office, to_postmaster));
    client.terminate();
    drop(office);
    assert_eq!(server.census(), before);
}

/// Waits until the office has this many boxes.
fn wait_for(boxes: i32, to_postmaster: &SendRight<Local>) {
    while postmaster_count(to_postmaster).unwrap().boxes != boxes {
        thread::yield_now();
    }
}

#[test]
fn each_letter_comes_to_one_client() {
    const LETTERS: usize = 300;
    with_office(|_, to_office, to_postmaster| {
        let mail = mailbox_open(to_office).unwrap();
        let taken = Mutex::new(BTreeSet::new());
        let take = || {
            for _ in 0..LETTERS / 3 {
                let letter = mailbox_take(&mail, LONG).unwrap();
                assert!(taken.lock().unwrap().insert(letter.clone()), "{letter:?} came twice");
            }
        };
        thread::scope(|scope| {
            (0..3).for_each(|_| drop(scope.spawn(take)));
            for number in 0..LETTERS {
                mailbox_post(&mail, &CString::new(number.to_string()).unwrap()).unwrap();
            }
        });
        assert_eq!(taken.into_inner().unwrap().len(), LETTERS);
        assert_eq!(postmaster_count(to_postmaster).unwrap().letters, 0);
    });
}

#[test]
fn a_letter_is_not_lost_on_a_client_that_has_given_up() {
    with_office(|_, to_office, _| {
        let mail = mailbox_open(to_office).unwrap();
        let nothing = mailbox_take(&mail, 1).map_err(KernReturn::from);
        assert_eq!(nothing, Err(KernReturn::MACH_RCV_TIMED_OUT));
        mailbox_post(&mail, c"one").unwrap();
        assert_eq!(mailbox_take(&mail, LONG).unwrap().as_c_str(), c"one");
    });
}

#[test]
fn a_box_goes_with_its_clients() {
    with_office(|client, to_office, to_postmaster| {
        let other = client.host().new_task("other");
        let theirs = Local::transfer(to_office.try_clone().unwrap(), &other).unwrap();
        let kept = mailbox_open(to_office).unwrap();
        let boxes: Vec<_> = (0..5).map(|_| mailbox_open(&theirs).unwrap()).collect();
        mailbox_post(&boxes[0], c"never read").unwrap();
        wait_for(6, to_postmaster);
        other.terminate();
        wait_for(1, to_postmaster);
        drop(kept);
        wait_for(0, to_postmaster);
        drop((theirs, boxes));
    });
}

#[test]
fn only_the_postmaster_closes() {
    with_office(|_, to_office, to_postmaster| {
        assert_eq!(postmaster_count(to_office).map_err(KernReturn::from), Err(KernReturn::KERN_NO_ACCESS));
        postmaster_close(to_office).unwrap();
        let mail = mailbox_open(to_office).unwrap();
        assert!(mailbox_open(&mail).is_err(), "a box is no office");
        postmaster_close(to_postmaster).unwrap();
    });
}
