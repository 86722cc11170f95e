//! A worker from its start to its end: the channel to the leader, the desktop, the loop.

use crate::deadlines::Deadlines;
use crate::desktop::chosen::Chosen;
use crate::desktop::{self, Desktop};
use crate::lock;
use crate::source::{KeyboardLayout, Size};
use crate::state::{Leader, State};
use anyhow::Context;
use calloop::EventLoop;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use wrd_config::{SESSION_FOLDERS, SessionId, SessionSettings};
use wrd_proto::worker::FromWorker;
use wrd_proto::{Line, Text};
use wrd_sys::RawChannel;

/// Where our leader has put our end of the channel.
const LEADER_FD: i32 = 3;
/// The desktop's size until the first client says its own.
const FIRST_SIZE: Size = Size { width: 1280, height: 720 };

/// Runs the session until it ends; nothing of it is left then.
pub fn run(config_dir: &Path, session: Option<SessionId>) -> anyhow::Result<()> {
    wrd_sys::harden::give_large_memory_back();
    let fd = wrd_sys::listen::take_fd(LEADER_FD).context("descriptor 3 is to be the channel to the leader")?;
    let leader: Leader = RawChannel::from(fd).typed();
    let termination = wrd_sys::termination::event()?;
    let started = EventLoop::try_new().map_err(Into::into).and_then(|events| Ok((events, start(config_dir, session)?)));
    let (mut events, desktop): (EventLoop<'static, State<Desktop>>, Desktop) = match started {
        Ok(started) => started,
        Err(error) => {
            let text = Line::truncated(&format!("The desktop cannot start: {error:#}."));
            leader.send(&FromWorker::Failed { text })?;
            return Err(error);
        }
    };
    let ready = FromWorker::Ready { wayland_display: Text::truncated(desktop.socket_name()) };
    desktop.insert_into(&events.handle(), |state| &mut state.source)?;
    let (handle, signal) = (events.handle(), events.get_signal());
    let mut state = State::new(desktop, leader, handle, signal, Deadlines::default())?;
    state.end_on(termination)?;
    if let Some(locks) = lock::watch() {
        state.lock_on(locks)?;
    }
    state.report(&ready);
    let result = events.run(None, &mut state, State::turn);
    state.source.end();
    result.context("the loop failed")
}

fn start(config_dir: &Path, session: Option<SessionId>) -> anyhow::Result<Desktop> {
    let home = std::env::home_dir().context("there is no home folder")?;
    let (settings, errors) = SessionSettings::load(config_dir, &home);
    for error in &errors {
        tracing::warn!(%error, "a setting is ignored");
    }
    let Chosen { session, notice } = Chosen::find(session, &SESSION_FOLDERS);
    Desktop::start(&desktop::Options {
        size: FIRST_SIZE,
        keyboard: KeyboardLayout::default(),
        settings,
        session,
        notices: errors.iter().map(ToString::to_string).chain(notice).collect(),
        runtime_dir: runtime_dir().context("there is no folder for sockets")?,
        home,
    })
}

/// `$XDG_RUNTIME_DIR`, else a folder of this user's own under the temporary directory.
fn runtime_dir() -> io::Result<PathBuf> {
    let given = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    if let Some(dir) = given.filter(|dir| dir.is_absolute() && dir.is_dir()) {
        return Ok(dir);
    }
    let uid = nix::unistd::geteuid().as_raw();
    let dir = std::env::temp_dir().join(format!("wrd-session-{uid}"));
    match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let about = std::fs::symlink_metadata(&dir)?;
    if about.is_dir() && about.uid() == uid && about.mode() & 0o077 == 0 {
        Ok(dir)
    } else {
        Err(io::Error::other(format!("{} is there but is not a private folder of this user", dir.display())))
    }
}
