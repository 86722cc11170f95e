//! A gate that was taken over, in the place of the installed one: what its monitor does to one that says and does
//! what no gate may.
//!
//! The monitor starts it like any gate, with the client as descriptor 3 and itself as 4. A client whose first line is
//! `rogue STAGE/ACT [USER PASSWORD [SESSION]]` gets a gate that goes on honestly up to that stage and then does that act; every
//! other client gets the real gate, from the folder `real` beside this program, with its descriptors untouched. It
//! tells its client in lines of JSON what it sees, each as soon as it sees it, because it may be killed at the next
//! moment; it judges nothing. Deliberately absent: any sandbox of its own, so that what is seen is what the monitor
//! and its unit alone hold against a gate; and killing fellow gates, which have the same uid: against that the gate's
//! own seccomp filter stands, and nothing else.

mod frames;
mod login;
mod process;
mod reach;
mod rogue;

use nix::sys::socket::{MsgFlags, recv};
use rogue::Rogue;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

const CLIENT: i32 = 3;
const WORD: &[u8] = b"rogue ";

fn main() -> ExitCode {
    if let Some(worker) = std::env::args().nth(1) {
        return process::helper(&worker);
    }
    let Some(case) = asked_for() else {
        let error = real_gate();
        eprintln!("rogue gate: there is no real gate: {error}");
        return ExitCode::FAILURE;
    };
    match Rogue::new(&case).and_then(|mut rogue| rogue.play(&case)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rogue gate: {case}: {error:#}");
            ExitCode::SUCCESS
        }
    }
}

/// The case that the client's first line asks for. Nothing is taken from the socket.
fn asked_for() -> Option<String> {
    let mut bytes = [0; 4096];
    for _ in 0..500 {
        let seen = recv(CLIENT, &mut bytes, MsgFlags::MSG_PEEK).ok()?;
        let said = bytes.get(..seen).filter(|said| !said.is_empty())?;
        if !said.starts_with(WORD) && !WORD.starts_with(said) {
            return None;
        }
        if let Some(end) = said.iter().position(|byte| *byte == b'\n') {
            return String::from_utf8(said.get(WORD.len()..end)?.to_vec()).ok();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// Becomes the real gate; the error if it cannot.
fn real_gate() -> std::io::Error {
    match std::env::current_exe() {
        Ok(own) => Command::new(own.with_file_name("real").join("wrd-gate")).exec(),
        Err(error) => error,
    }
}
