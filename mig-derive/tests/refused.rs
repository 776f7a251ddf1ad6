//! What a client's errors say, and what comes back with them: with each ABI, in tasks of `local`, by what
//! they have left.

use mig_runtime::kernel::local::{Host, Local};
use mig_runtime::{
    AnyRight, CallErrorKind, KernReturn, Port, ReceiveRight, SendOnceRight, SendRight, Server,
};

/// Reads what a receiver of `post_letters` reads.
macro_rules! take {
    ($body:ident, Apple32) => {
        take!($body, untyped)
    };
    ($body:ident, Apple64) => {
        take!($body, untyped)
    };
    ($body:ident, untyped) => {{
        $body.descriptors(6).unwrap();
        let bell = $body.send_once_right().unwrap();
        for _ in 0..4 {
            $body.next_descriptor().unwrap();
        }
        (bell, $body.receive_right().unwrap())
    }};
    ($body:ident, $typed:ident) => {{
        let bell = $body.send_once_right().unwrap();
        for _ in 0..2 {
            assert!($body.skip());
        }
        (bell, $body.receive_right().unwrap())
    }};
}

macro_rules! post {
    ($module:ident, $abi:literal, $marker:ident) => {
        mod $module {
            use super::*;

            mod post {
                mig_derive::interface! {
                    inline: "
                        subsystem post 4000;
                        type post_t = MACH_MSG_TYPE_MOVE_SEND;
                        type letter_t = MACH_MSG_TYPE_MOVE_SEND;
                        type letters_t = array[*:4] of letter_t;
                        type stamp_t = MACH_MSG_TYPE_INTEGER_32;
                        type stamps_t = array[*:2] of stamp_t;
                        type box_t = MACH_MSG_TYPE_MOVE_RECEIVE;
                        type bell_t = MACH_MSG_TYPE_MOVE_SEND_ONCE;
                        simpleroutine post_letters(post : post_t; bell : bell_t; letters : letters_t; stamps : stamps_t; sender : box_t);
                        routine post_stamps(post : post_t; stamps : stamps_t);
                        type sack_t = ^array[] of letter_t;
                        simpleroutine post_sack(post : post_t; sack : sack_t; stamps : stamps_t);
                    ",
                    abi: $abi,
                }
            }

            type Task = Local<mig_runtime::abi::$marker>;

            struct Clerk;

            impl post::Post<Task> for Clerk {
                fn post_stamps(&self, _: Port<'_, Task>, _: &[i32]) -> Result<(), KernReturn> {
                    Err(KernReturn::KERN_NO_SPACE)
                }
            }

            fn letters<const N: usize>(port: &ReceiveRight<Task>) -> [SendRight<Task>; N] {
                std::array::from_fn(|_| port.make_send().unwrap())
            }

            #[test]
            fn everything_that_was_moved_comes_back() {
                let task: Task = Host::new().new_task("client");
                let before = task.census();
                {
                    let port = ReceiveRight::allocate(&task).unwrap();
                    let [post] = letters(&port);
                    let bell = port.make_send_once().unwrap();
                    let sender = ReceiveRight::allocate(&task).unwrap();
                    let held = task.census();
                    // Nine letters where four are the most, and too many stamps after them.
                    let nine: [_; 9] = letters(&port);
                    let with_letters = task.census();
                    let name = (post.name(), bell.name(), sender.name());
                    let error = post::post_letters(post, bell, nine, &[1, 2, 3], sender).unwrap_err();
                    assert_eq!((error.code(), error.kind()), (KernReturn::MIG_ARRAY_TOO_LARGE, CallErrorKind::Refused));
                    assert_eq!(error.routine(), Some("post_letters"));
                    assert_eq!(
                        error.to_string(),
                        "post_letters: refused before it was sent: MIG_ARRAY_TOO_LARGE (-307)"
                    );
                    assert_eq!(task.census(), with_letters, "nothing is released, nothing is sent");

                    let mut request = error.into_unsent().unwrap();
                    assert_eq!(request.id(), 4000);
                    let nine = request.take_refused();
                    assert!(nine.iter().all(|right| matches!(right, AnyRight::MoveSend(_))));
                    assert_eq!(nine.len(), 9);
                    drop(nine);
                    assert_eq!(task.census(), held);
                    let post = request.take_destination().unwrap();
                    let rights: (SendOnceRight<Task>, ReceiveRight<Task>) = take(request);
                    assert_eq!((post.name(), rights.0.name(), rights.1.name()), name);
                    drop((post, rights));
                }
                assert_eq!(task.census(), before);
            }

            /// Their names are in memory that the kernel would have copied.
            #[test]
            fn rights_out_of_line_come_back() {
                let task: Task = Host::new().new_task("client");
                let before = task.census();
                let port = ReceiveRight::allocate(&task).unwrap();
                let [post] = letters(&port);
                let sack: [_; 5] = letters(&port);
                let with_letters = task.census();
                let error = post::post_sack(post, sack, &[1, 2, 3]).unwrap_err();
                let mut request = error.into_unsent().unwrap();
                let sack = request.take_refused();
                assert!(sack.iter().all(|right| matches!(right, AnyRight::MoveSend(_))));
                assert_eq!(sack.len(), 5);
                assert_eq!(task.census().send_references, with_letters.send_references);
                drop((request, sack, port));
                assert_eq!(task.census(), before);
            }

            /// The same where it is the kernel that does not send the request.
            #[test]
            fn rights_out_of_line_come_back_from_the_kernel() {
                let task: Task = Host::new().new_task("client");
                let before = task.census();
                let (office, port) = (ReceiveRight::allocate(&task).unwrap(), ReceiveRight::allocate(&task).unwrap());
                let [post] = letters(&office);
                drop(office);
                let sack: [_; 5] = letters(&port);
                let names = sack.each_ref().map(|letter| letter.name());
                let held = task.census();
                let error = post::post_sack(post, sack, &[1, 2]).unwrap_err();
                assert_eq!((error.code(), error.kind()), (KernReturn::MACH_SEND_INVALID_DEST, CallErrorKind::NotSent));
                let mut request = error.into_unsent().unwrap();
                let sack = request.take_refused();
                assert_eq!(sack.iter().map(AnyRight::name).collect::<Vec<_>>(), names);
                assert_eq!(task.census().send_references, held.send_references);
                drop((request, sack, port));
                assert_eq!(task.census(), before);
            }

            #[test]
            fn an_error_that_nobody_looks_at_releases_it_all() {
                let task: Task = Host::new().new_task("client");
                let before = task.census();
                let port = ReceiveRight::allocate(&task).unwrap();
                let with_port = task.census();
                let [post] = letters(&port);
                let bell = port.make_send_once().unwrap();
                let sender = ReceiveRight::allocate(&task).unwrap();
                let five: [_; 5] = letters(&port);
                drop(post::post_letters(post, bell, five, &[], sender).unwrap_err());
                assert_eq!(task.census().send_references, with_port.send_references);
                drop(port);
                assert_eq!(task.census(), before);
            }

            #[test]
            fn an_error_names_its_routine_and_who_said_it() {
                let host = Host::new();
                let (office, client): (Task, Task) = (host.new_task("office"), host.new_task("client"));
                let port = ReceiveRight::allocate(&office).unwrap();
                let to_office = || Local::transfer(port.make_send().unwrap(), &client).unwrap();
                Server::on(&port)
                    .with(post::post(&Clerk))
                    .serve_while(|| {
                        let error = post::post_stamps(to_office(), &[1, 2]).unwrap_err();
                        assert_eq!(error.to_string(), "post_stamps: the server answered KERN_NO_SPACE (3)");
                        assert_eq!((error.routine(), error.kind()), (Some("post_stamps"), CallErrorKind::Answer));
                        let error = post::post_stamps(to_office(), &[1, 2, 3]).unwrap_err();
                        assert_eq!(error.kind(), CallErrorKind::Refused);
                        assert!(error.to_string().starts_with("post_stamps: refused before it was sent"));
                    })
                    .unwrap();
                let right = to_office();
                drop(port);
                let error = post::post_stamps(right, &[]).unwrap_err();
                assert_eq!(error.kind(), CallErrorKind::NotSent);
                assert!(error.to_string().starts_with("post_stamps: request 4001 not sent: MACH_SEND_INVALID_DEST"));
                assert_eq!(format!("{error:?}").find("routine: \"post_stamps\""), Some("CallError { ".len()));
            }

            // The rights of the first argument and the last, past empty arrays.
            fn take(request: mig_runtime::Unsent<Task>) -> (SendOnceRight<Task>, ReceiveRight<Task>) {
                request.read(|mut body| take!(body, $marker))
            }
        }
    };
}

post!(gnu_i386, "gnu-i386", GnuI386);
post!(gnu_x86_64, "gnu-x86_64", GnuX86_64);
post!(apple_32, "apple-32", Apple32);
post!(apple_64, "apple-64", Apple64);
