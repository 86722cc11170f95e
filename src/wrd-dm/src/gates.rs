//! Starting a gate for an accepted connection, and its place among the processes of this machine.

use crate::places::GateUser;
use anyhow::Context;
use nix::unistd::Pid;
use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::{CapabilitySet, capabilities};
use std::net::TcpStream;
use std::path::Path;
use wrd_sys::RawChannel;
use wrd_sys::spawn::Program;

/// Starts `wrd-gate` with the client as descriptor 3; its pid, and our end of its descriptor 4.
pub fn start(libexec: &Path, user: GateUser, client: TcpStream) -> anyhow::Result<(Pid, RawChannel)> {
    let path = libexec.join("wrd-gate");
    let (ours, theirs) = RawChannel::pair().context("cannot make a socket pair")?;
    let mut program = Program::new(&path)
        .fd(3, client.into())
        .fd(4, theirs.into())
        .current_dir(Path::new("/"))
        .own_process_group()
        .pass_env("WRD_LOG")
        .pass_env("JOURNAL_STREAM");
    if let GateUser::Other { uid, gid } = user {
        program = program.user(uid, gid);
    }
    let child = program.spawn().with_context(|| format!("cannot start {}", path.display()))?;
    Ok((pid_of(&child), ours))
}

/// How gates of strangers yield to those who work: a flood of logins must not slow a desktop down.
pub struct Priority {
    /// That of a gate that relays, where we may give it back; else gates are left at it from the start.
    working: Option<i32>,
}

impl Priority {
    pub fn new() -> Self {
        let may = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_NICE));
        Self { working: getpriority_process(None).ok().filter(|_| may) }
    }

    /// Puts a gate that was just started behind all who work.
    pub fn lower(&self, gate: Pid) {
        self.set(gate, STRANGER);
    }

    /// Puts a gate that relays beside them.
    pub fn raise(&self, gate: Pid) {
        self.set(gate, 0);
    }

    fn set(&self, gate: Pid, behind: i32) {
        let Some(working) = self.working else { return };
        if let Err(error) = setpriority_process(rustix::process::Pid::from_raw(gate.as_raw()), working + behind) {
            tracing::warn!("cannot set the priority of a gate: {error}; pid={gate}");
        }
    }
}

/// Steps of niceness.
const STRANGER: i32 = 10;

/// The pid of a child, which this monitor reaps by itself.
pub fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_raw(child.id() as i32)
}
