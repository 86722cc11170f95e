//! The sandbox from inside, each time in a process of its own.
//!
//! `tests/calls.rs` has what the filter makes of the arguments of calls.

mod landlock;

use super::*;
use nix::sys::signal::kill;
use nix::unistd::getppid;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

/// One of the tests below, which are ignored otherwise, as a process of its own: a sandbox is for good.
fn process(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "--test-threads=1", &format!("sandbox::tests::{name}")]);
    command.stdout(Stdio::null());
    command
}

fn in_a_process(name: &str) -> ExitStatus {
    process(name).stderr(Stdio::null()).status().unwrap()
}

/// In the sandbox; the harness's own descriptors stay.
fn inside() {
    enter(&Policy::full(), 64).unwrap();
}

/// The harness could not go on in here.
fn done() -> ! {
    std::process::exit(0)
}

#[test]
#[ignore = "run by another test"]
fn inside_nothing_happens() {
    inside();
    done();
}

#[test]
#[ignore = "run by another test"]
fn inside_a_new_socket() {
    inside();
    let _ = TcpListener::bind("127.0.0.1:0");
    done();
}

#[test]
#[ignore = "run by another test"]
fn inside_a_new_process() {
    inside();
    let _ = Command::new("/bin/true").status();
    done();
}

#[test]
#[ignore = "run by another test"]
fn inside_a_new_thread() {
    inside();
    let _ = std::thread::Builder::new().spawn(|| ());
    done();
}

#[test]
#[ignore = "run by another test"]
fn inside_a_file() {
    inside();
    let _ = File::open("/dev/null");
    done();
}

#[test]
#[ignore = "run by another test"]
fn inside_a_signal() {
    inside();
    let _ = kill(getppid(), None);
    done();
}

#[test]
#[ignore = "run by another test"]
fn inside_the_log_is_shut() {
    inside();
    let _ = nix::sys::socket::shutdown(2, nix::sys::socket::Shutdown::Both);
    done();
}

#[test]
#[ignore = "run by another test"]
fn inside_the_log_blocks_no_more() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    inside();
    let _ = fcntl(std::io::stderr(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
    done();
}

#[test]
#[ignore = "run by another test"]
fn inside_a_message_while_relaying() {
    let (one, _other) = wrd_sys::RawChannel::pair().unwrap();
    let channel = one.typed::<u8, u8>();
    inside();
    channel.send(&1).unwrap();
    relay_only(&Policy::full()).unwrap();
    let _ = channel.send(&1);
    done();
}

#[test]
fn what_is_not_listed_kills() {
    let nothing = process("inside_nothing_happens").output().unwrap();
    assert!(nothing.status.success(), "{}: {}", nothing.status, String::from_utf8_lossy(&nothing.stderr));
    for name in [
        "inside_a_new_socket",
        "inside_a_new_process",
        "inside_a_new_thread",
        "inside_a_file",
        "inside_a_signal",
        "inside_the_log_is_shut",
        "inside_the_log_blocks_no_more",
        "inside_a_message_while_relaying",
    ] {
        let status = in_a_process(name);
        assert_eq!(status.signal(), Some(nix::libc::SIGSYS), "{name}: {status}");
    }
}
