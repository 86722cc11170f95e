//! What a gate does as a process: others that it starts, lines in the log that it shares with its monitor, its end.

use crate::frames::{flood, live_on};
use crate::rogue::{FORGED, Rogue};
use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, raise};
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::{Pid, getppid};
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

const ORPHANS: usize = 4;

pub fn act(rogue: &mut Rogue, act: &str) -> Result<()> {
    match act {
        // The unit forbids none of these; the gate's own filter does.
        "process-exec" => {
            let status = Command::new("/bin/true").status();
            rogue.say(format!("exec: {}", status.map_or_else(|error| error.to_string(), |status| status.to_string())));
        }
        "process-thread" => {
            let thread = std::thread::Builder::new().spawn(|| 7);
            rogue.say(format!("thread: {}", thread.map_or_else(|error| error.to_string(), |_| "it runs".into())));
        }
        // A child that outlives this process and keeps the client's socket.
        "process-fork" => {
            let client = Stdio::from(rogue.client.as_fd().try_clone_to_owned()?);
            let child = Command::new("/bin/sleep").arg("3").stdin(client).spawn();
            rogue.say(format!("fork: {}", child.map_or_else(|error| error.to_string(), |_| "it runs".into())));
        }
        // Children that wait for the end of this process and then speak in its place.
        "process-orphans" => {
            for _ in 0..ORPHANS {
                let channel = Stdio::from(rogue.monitor()?.as_fd().try_clone_to_owned()?);
                Command::new(std::env::current_exe()?).arg("orphan").stdout(channel).spawn()?;
            }
            // Until they wait.
            std::thread::sleep(Duration::from_millis(500));
            rogue.say("orphans");
        }
        "process-abort" => std::process::abort(),
        // The exit code of a Rust program that panics.
        "process-panic" => std::process::exit(101),
        "process-stop" => {
            raise(Signal::SIGSTOP)?;
            live_on();
        }
        "process-log" => {
            eprintln!("{FORGED}");
            // Without an end: the monitor's next line must not become a part of it.
            write!(std::io::stderr(), "half a line ")?;
            rogue.monitor()?.send(&wrd_proto::gate::ToMonitor::Relaying)?;
            rogue.listen();
        }
        "process-spin" => while is_there(rogue.client.as_fd()) {},
        // Not here: shutting the log, which would be the monitor's end of it, too. That is for the gate's own filter to
        // forbid (wrd-gate, `sandbox`).
        other => bail!("no act {other}"),
    }
    Ok(())
}

/// Whether the client has not gone, which takes a while to be found out.
fn is_there(client: BorrowedFd<'_>) -> bool {
    for _ in 0..1_000_000 {
        std::hint::spin_loop();
    }
    let seen = recv(client.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT);
    matches!(seen, Ok(1) | Err(Errno::EAGAIN | Errno::EINTR))
}

/// What a child of the rogue's does.
pub fn helper(what: &str) -> ExitCode {
    let parent = getppid();
    if what != "orphan" || parent == Pid::from_raw(1) {
        return ExitCode::FAILURE;
    }
    while getppid() == parent {
        std::hint::spin_loop();
    }
    // As long as anybody listens, with an end in case somebody listens for ever.
    let sent = flood(std::io::stdout().as_fd(), 20_000_000);
    // In one piece, because there are several.
    let line = format!("rogue gate: an orphan has sent {sent} messages\n");
    match std::io::stderr().write_all(line.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
