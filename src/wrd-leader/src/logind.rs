//! logind: another graphical session of the same user, and the hints on ours.
//!
//! Always true: every question is asked in a forked helper that ends with it, because the D-Bus library
//! makes threads, some of which wake up twice a second for ever; the leader stays one resting thread.

use crate::wait::{Interest, wait};
use anyhow::{Context, bail};
use logind_zbus::manager::ManagerProxyBlocking;
use logind_zbus::session::{SessionProxyBlocking, SessionState, SessionType};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use wrd_sys::process;
use zbus::blocking::{Connection, connection};
use zbus::proxy::CacheProperties;
use zbus::zvariant::OwnedObjectPath;

/// A graphical session of `uid`'s, described for its user: one desktop at a time, because two would
/// share the user's bus, their services and their files.
pub fn graphical_session(uid: u32) -> anyhow::Result<Option<String>> {
    let (mut answer, mut answer_in) = std::io::pipe()?;
    let helper = process::fork(|| {
        if process::close_all_but(&answer_in).and_then(|()| process::default_signals()).is_err() {
            return FAILED;
        }
        let (code, text) = match find_graphical_session(uid) {
            Ok(None) => (NONE, String::new()),
            Ok(Some(text)) => (FOUND, text),
            Err(error) => (FAILED, error.to_string()),
        };
        let _ = answer_in.write_all(text.as_bytes());
        code
    })?;
    drop(answer_in);
    let events = wait(&[(answer.as_fd(), Interest::Read)], Some(Instant::now() + 2 * PATIENCE))?;
    let mut text = String::new();
    if events.iter().any(|event| event.readable) {
        answer.read_to_string(&mut text)?;
    } else {
        kill(helper, Signal::SIGKILL)?;
    }
    use nix::sys::wait::WaitStatus::Exited;
    match waitpid(helper, None).context("waiting for the helper")? {
        Exited(_, NONE) => Ok(None),
        Exited(_, FOUND) => Ok(Some(text)),
        status => bail!("{text} ({status:?})"),
    }
}

fn find_graphical_session(uid: u32) -> zbus::Result<Option<String>> {
    let connection = connect()?;
    let manager = ManagerProxyBlocking::builder(&connection).cache_properties(CacheProperties::No).build()?;
    for session in manager.list_sessions()? {
        if session.uid() != uid {
            continue;
        }
        let proxy = proxy(&connection, session.path().clone())?;
        // A session may end while we look, and newer systemds have types and states of which the
        // library knows nothing: none of those is a reason to keep somebody out.
        let graphical = matches!(proxy.type_(), Ok(SessionType::Wayland | SessionType::X11 | SessionType::MIR));
        if graphical && !matches!(proxy.state(), Ok(SessionState::Closing)) {
            let (tty, remote) = (proxy.TTY().unwrap_or_default(), proxy.remote_host().unwrap_or_default());
            return Ok(Some(description(session.sid(), session.seat(), &tty, &remote)));
        }
    }
    Ok(None)
}

/// In whole texts, which the login screen has in other languages.
fn description(id: &str, seat: &str, tty: &str, remote: &str) -> String {
    match (seat, tty, remote) {
        ("", _, remote) if !remote.is_empty() => format!("session {id}, used from {remote}"),
        ("", "", _) => format!("session {id}"),
        ("", place, _) | (place, "", _) => format!("session {id} on {place}"),
        (seat, tty, _) => format!("session {id} on {seat} ({tty})"),
    }
}

/// Tells logind whether somebody is looking at our session. They are hints: a failure is logged and
/// ignored.
#[derive(Debug)]
pub struct Hints {
    /// logind's id.
    session: String,
    /// What logind believes: at first that somebody is looking.
    attached: bool,
    /// Before the first client comes there is nothing to tell.
    used: bool,
    /// The last one, which may still be under way: two at once could arrive in the wrong order.
    helper: Option<Pid>,
}

impl Hints {
    pub fn new(session: String) -> Self {
        Self { session, attached: true, used: false, helper: None }
    }

    /// To be called whenever something has happened, the end of a child included.
    pub fn follow(&mut self, attached: bool) {
        let under_way = self.helper.is_some_and(|pid| kill(pid, None).is_ok());
        self.used |= attached;
        if under_way || !self.used || attached == self.attached {
            return;
        }
        let helper = process::fork(|| {
            let told = process::close_all_but(&std::io::stderr())
                .and_then(|()| process::default_signals())
                .map_err(anyhow::Error::from)
                .and_then(|()| Ok(tell(&self.session, attached)?));
            if let Err(error) = &told {
                tracing::debug!("ignoring that logind did not take a hint: {error}");
            }
            i32::from(told.is_err())
        });
        match helper {
            Ok(pid) => self.helper = Some(pid),
            Err(error) => tracing::debug!("ignoring that no hint can be given: {error}"),
        }
        self.attached = attached;
    }
}

fn tell(session: &str, attached: bool) -> zbus::Result<()> {
    let connection = connect()?;
    let manager = ManagerProxyBlocking::builder(&connection).cache_properties(CacheProperties::No).build()?;
    let proxy = proxy(&connection, manager.get_session(session)?)?;
    proxy.set_idle_hint(!attached)?;
    proxy.set_locked_hint(!attached)
}

fn proxy(connection: &Connection, path: OwnedObjectPath) -> zbus::Result<SessionProxyBlocking<'_>> {
    SessionProxyBlocking::builder(connection).path(path)?.cache_properties(CacheProperties::No).build()
}

fn connect() -> zbus::Result<Connection> {
    connection::Builder::system()?.method_timeout(PATIENCE).build()
}

const PATIENCE: Duration = Duration::from_secs(5);

const NONE: i32 = 0;
const FOUND: i32 = 1;
const FAILED: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_described_by_where_its_user_finds_it() {
        assert_eq!(description("2", "seat0", "tty2", ""), "session 2 on seat0 (tty2)");
        assert_eq!(description("2", "seat0", "", ""), "session 2 on seat0");
        assert_eq!(description("c1", "", "wrd", "192.0.2.7"), "session c1, used from 192.0.2.7");
        assert_eq!(description("2", "", "pts/3", ""), "session 2 on pts/3");
        assert_eq!(description("2", "", "", ""), "session 2");
    }
}
