//! Starting a gate for an accepted connection, in the place of those who serve strangers.

use crate::places::GateUser;
use anyhow::Context;
use nix::unistd::Pid;
use std::net::TcpStream;
use std::path::Path;
use wrd_sys::RawChannel;
use wrd_sys::place::Place;
use wrd_sys::spawn::Program;

/// Starts `wrd-gate` with the client as descriptor 3; its pid, and our end of its descriptor 4.
pub fn start(libexec: &Path, user: GateUser, place: &Place, client: TcpStream) -> anyhow::Result<(Pid, RawChannel)> {
    let path = libexec.join("wrd-gate");
    let (ours, theirs) = RawChannel::pair().context("cannot make a socket pair")?;
    let mut program = Program::new(&path)
        .fd(3, client.into())
        .fd(4, theirs.into())
        .current_dir(Path::new("/"))
        .own_process_group()
        // We wait until it has become a gate, and so let a flood in no faster than strangers have processors for it: with
        // gates that begin in our own place, keys of those who work took ten times as long (p95) in a flood.
        .place(place.clone())
        .pass_env("WRD_LOG")
        .pass_env("JOURNAL_STREAM");
    if let GateUser::Other { uid, gid } = user {
        program = program.user(uid, gid);
    }
    let child = program.spawn().with_context(|| format!("cannot start {}", path.display()))?;
    Ok((pid_of(&child), ours))
}

/// The pid of a child, which this monitor reaps by itself.
pub fn pid_of(child: &std::process::Child) -> Pid {
    Pid::from_raw(child.id() as i32)
}
