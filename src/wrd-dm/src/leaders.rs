//! Getting a leader for a login: their listener starts one for each connection to its socket; stand-alone the
//! monitor starts it.

use crate::gates::pid_of;
use crate::places::{Authority, Mode};
use anyhow::Context;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::Pid;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use wrd_config::Paths;
use wrd_sys::RawChannel;
use wrd_sys::spawn::Program;

/// A channel to a new leader, and its pid where it is our child.
pub fn open(mode: &Mode, paths: &Paths) -> anyhow::Result<(RawChannel, Option<Pid>)> {
    match mode {
        Mode::System => {
            let path = paths.leader_socket();
            let channel = connect_to(&path).with_context(|| format!("cannot connect to {}", path.display()))?;
            Ok((channel, None))
        }
        Mode::Standalone(authority) => {
            let (ours, theirs) = RawChannel::pair().context("cannot make a socket pair")?;
            let pid = start(paths, authority, theirs)?;
            Ok((ours, Some(pid)))
        }
    }
}

/// Connects to a message socket at `path` without waiting.
pub fn connect_to(path: &Path) -> nix::Result<RawChannel> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(RawChannel::from(fd))
}

fn start(paths: &Paths, authority: &Authority, channel: RawChannel) -> anyhow::Result<Pid> {
    let path = paths.libexec_dir.join("wrd-leader");
    let mut program = Program::new(&path)
        .arg("--standalone")
        .arg("--runtime-dir")
        .arg(&paths.runtime_dir)
        .arg("--state-dir")
        .arg(&paths.state_dir)
        .arg("--config-dir")
        .arg(&paths.config_dir)
        .fd(0, channel.into())
        .current_dir(Path::new("/"))
        .own_process_group();
    for name in PASSED_ON {
        program = program.pass_env(name);
    }
    let locale = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with("LC_"));
    program = program.envs(std::env::vars_os().filter(|(name, _)| locale(name)));
    program = match authority {
        Authority::Pam => program.env(TUNABLES.0, TUNABLES.1),
        Authority::OneTimePassword(password) => {
            let pipe = filled_pipe(password.as_bytes()).context("cannot make a pipe")?;
            program.fd(5, pipe).arg("--one-time-password-fd").arg("5")
        }
    };
    let child = program.spawn().with_context(|| format!("cannot start {}", path.display()))?;
    Ok(pid_of(&child))
}

/// The reading end of a pipe that holds `bytes` and nothing else.
fn filled_pipe(bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let (read, mut write) = std::io::pipe()?;
    write.write_all(bytes)?;
    Ok(read.into())
}

/// What PAM's modules free is wiped, as the unit has it (`wrd_sys::harden::wipe_freed_memory`). Without PAM there are
/// none, and the desktop inherits what the leader has.
const TUNABLES: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");

/// What a leader that is no child of systemd's needs of our environment; it chooses again itself.
const PASSED_ON: [&str; 19] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "WRD_LOG",
    "XCURSOR_THEME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CONFIG_HOME",
    "XDG_DATA_DIRS",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaders_forget_as_those_of_the_unit() {
        let unit = include_str!("../../../units/wrd-leader.service");
        let (name, value) = TUNABLES;
        assert!(unit.lines().any(|line| line == format!("Environment={name}={value}")));
    }
}
