//! The listener on the leaders' socket: for each connection of the monitor's one leader, started clean.
//!
//! Always true: a leader has its connection as descriptor 0 and none of the listener's, is among strangers from its
//! first instruction on, and outlives it; what goes wrong with one is that login's trouble alone; at rest nothing
//! wakes the listener up. Deliberately absent: reading so much as a byte of a connection, and any confinement, which
//! every desktop would inherit.

use crate::options::Options;
use crate::wait::{Interest, wait};
use anyhow::{Context, bail, ensure};
use nix::errno::Errno;
use nix::sys::socket::{SockFlag, accept4, getsockopt, sockopt};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Uid;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wrd_sys::listen::{inherited, take_fd};
use wrd_sys::place::Place;
use wrd_sys::process::{self, Signals, Told};
use wrd_sys::spawn::Program;

/// Serves the socket that systemd has handed over until told to end.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let sockets = inherited(&[SOCKET_NAME]).context("cannot take the socket over")?;
    let Ok([(_, socket)]) = <[_; 1]>::try_from(sockets) else {
        bail!("no socket of the name {SOCKET_NAME} was handed over: this is for wrd-leader.socket to start");
    };
    // Whatever stands there by then is what is started: an upgrade is for the next login.
    let leader = std::env::current_exe().context("cannot find our own executable")?.with_file_name("wrd-leader");
    let signals = Signals::take_over()?;
    Listener { socket, signals, leader, options, running: 0 }.serve()
}

struct Listener<'a> {
    socket: OwnedFd,
    signals: Signals,
    /// The program to start.
    leader: PathBuf,
    options: &'a Options,
    /// How many that we have started have not been reaped.
    running: usize,
}

impl Listener<'_> {
    fn serve(mut self) -> anyhow::Result<()> {
        loop {
            let fds = [(self.socket.as_fd(), Interest::Read), (self.signals.as_fd(), Interest::Read)];
            let events = wait(&fds, None)?;
            let [connections, told] = events.as_slice() else { bail!("poll lost a descriptor") };
            if told.readable && self.is_told_to_end()? {
                return Ok(());
            }
            if connections.readable
                && let Some(connection) = self.accept()?
                && let Err(error) = self.start(connection)
            {
                tracing::error!("a login has no leader: {error:#}");
            }
        }
    }

    fn is_told_to_end(&mut self) -> std::io::Result<bool> {
        while let Some(told) = self.signals.next()? {
            match told {
                Told::Child => self.reap(),
                Told::Terminate => return Ok(true),
            }
        }
        Ok(false)
    }

    fn reap(&mut self) {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            match status {
                // Where that is a failure, it has said so itself.
                WaitStatus::Exited(..) => {}
                WaitStatus::Signaled(pid, signal, _) => tracing::warn!(%pid, "a leader was killed by {signal}"),
                _ => return,
            }
            self.running = self.running.saturating_sub(1);
        }
    }

    /// The next connection, where there is one yet.
    fn accept(&self) -> anyhow::Result<Option<OwnedFd>> {
        match accept4(self.socket.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            Ok(number) => Ok(Some(take_fd(number)?)),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => Ok(None),
            Err(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)) => {
                tracing::warn!("a login waits, for there is no room for its connection: {errno}");
                std::thread::sleep(ROOM_RECHECK);
                Ok(None)
            }
            Err(errno) => Err(errno).context("cannot accept"),
        }
    }

    /// Starts a leader for `connection`, which is closed where that fails.
    fn start(&mut self, connection: OwnedFd) -> anyhow::Result<()> {
        let peer = Uid::from_raw(getsockopt(&connection, sockopt::PeerCredentials)?.uid());
        ensure!(peer == Uid::effective(), "uid {peer} asks for one");
        ensure!(self.running < MAX_LEADERS, "there are {MAX_LEADERS} already");
        let strangers =
            Place::own().and_then(|own| own.of_strangers()).context("cannot tell the place of strangers")?;
        let program = Program::new(&self.leader)
            .arg("--runtime-dir")
            .arg(&self.options.runtime_dir)
            .arg("--state-dir")
            .arg(&self.options.state_dir)
            .arg("--config-dir")
            .arg(&self.options.config_dir)
            .fd(0, connection)
            // The unit's, what administrators have added to it included.
            .envs(std::env::vars_os())
            .current_dir(Path::new("/"))
            .own_session()
            .place(strangers);
        // Not waiting until it has started: among strangers that may take a while, and others come to log in.
        process::fork(|| {
            let error = program.exec();
            tracing::error!("a login has no leader: cannot start {}: {error}", self.leader.display());
            1
        })
        .context("cannot fork")?;
        self.running += 1;
        Ok(())
    }
}

/// The socket's `FileDescriptorName=`.
const SOCKET_NAME: &str = "leader";
/// One for every session and every login under way; of the latter the monitor allows far less.
const MAX_LEADERS: usize = 4096;
/// Where neither a session nor a login ends, nothing else tells that there is room again.
const ROOM_RECHECK: Duration = Duration::from_millis(100);
