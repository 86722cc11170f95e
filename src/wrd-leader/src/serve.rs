//! A running session: its socket, the monitors on it, the worker, and the end.
//!
//! Always true: a resting session wakes nobody; a monitor that does not read loses its connection and
//! nothing else; what the worker says is believed only about the user's own session. Deliberately
//! absent: opening and closing the session (`session.rs`).

use crate::login::GateChannel;
use crate::logind::Hints;
use crate::memory::Memory;
use crate::wait::{Event, Interest, wait};
use crate::worker::Worker;
use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect, getsockopt, listen, socket, sockopt,
};
use nix::sys::stat::{Mode, umask};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wrd_proto::session::{AttachedClient, FromSession, SessionInfo, State, ToSession};
use wrd_proto::worker::{FromWorker, ToWorker};
use wrd_proto::{Address, ConnectionId, Line};
use wrd_sys::RawChannel;
use wrd_sys::channel::{Channel, ChannelError};
use wrd_sys::process::{Signals, Told};

/// A session from its first `Ready` until nothing of it is left.
pub struct Session {
    info: SessionInfo,
    worker: Worker,
    worker_talks: bool,
    listener: Option<Listener>,
    signals: Signals,
    hints: Option<Hints>,
    memory: Memory,
    monitors: Vec<Monitor>,
    phase: Phase,
}

enum Phase {
    Running,
    /// The worker has closed its channel: its exit status, due any moment, says why.
    Silent {
        until: Instant,
    },
    /// The worker was told to end, or said that it does.
    Ending {
        until: Instant,
        reason: Line,
    },
}

impl Phase {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Running => None,
            Self::Silent { until } | Self::Ending { until, .. } => Some(*until),
        }
    }
}

/// A connection of the monitor's (an old one lingers while a restarted monitor makes a new one).
pub struct Monitor {
    channel: Channel<FromSession, ToSession>,
    /// It has not seen the latest `info`.
    stale: bool,
}

impl Session {
    pub fn new(info: SessionInfo, worker: Worker, listener: Listener, signals: Signals, memory: Memory) -> Self {
        let hints = info.logind.as_ref().map(|id| Hints::new(id.to_string()));
        let (listener, monitors, phase) = (Some(listener), Vec::new(), Phase::Running);
        Self { info, worker, worker_talks: true, listener, signals, hints, memory, monitors, phase }
    }

    /// Serves until the session has ended. The monitors that come back are for dropping once PAM has
    /// closed the session: their end is what says that it is over.
    pub fn serve(mut self, gate: GateChannel) -> Vec<Monitor> {
        // Kept open while the gate keeps it: to a gate that waits for its link its end is a failure.
        let mut gate = Some(gate);
        if let Err(error) = self.turns(&mut gate) {
            tracing::error!("the session ends because its leader cannot go on: {error:#}");
        }
        let ending = self.worker.ending();
        match (&self.phase, self.worker.ended_well()) {
            (Phase::Ending { .. }, _) | (_, true) => tracing::info!("the desktop is gone: {ending}"),
            _ => tracing::warn!("the desktop is gone: {ending}"),
        }
        self.ending(&format!("the desktop is gone: {ending}"));
        // No new connection from here on, before the next session of this user wants the name.
        drop(self.listener.take());
        drop(self.worker);
        self.monitors
    }

    /// Ends a session that nobody has heard of.
    pub fn abandon(self) {
        let _ = self.worker.channel.send(&ToWorker::Terminate);
    }

    fn turns(&mut self, gate: &mut Option<GateChannel>) -> anyhow::Result<()> {
        loop {
            let events = self.wait(gate.as_ref())?;
            if events.told.readable {
                self.signalled()?;
            }
            if events.worker.readable {
                self.worker_speaks();
            }
            if events.gate.readable {
                *gate = None;
            }
            // Backwards, because one that fails is taken out.
            for (index, event) in events.monitors.iter().enumerate().rev() {
                if let Err(error) = self.monitor_event(index, *event) {
                    tracing::debug!("a monitor's connection ends: {error:#}");
                    self.monitors.remove(index);
                }
            }
            if events.listener.readable {
                self.accept();
            }
            if self.worker.reap() || self.phase.deadline().is_some_and(|until| Instant::now() >= until) {
                return Ok(());
            }
            if let Some(hints) = &mut self.hints {
                hints.follow(self.info.client.is_some());
            }
        }
    }

    fn wait(&self, gate: Option<&GateChannel>) -> anyhow::Result<Events> {
        let monitors = self.monitors.iter().map(|monitor| {
            (monitor.channel.as_fd(), if monitor.stale { Interest::ReadOrWrite } else { Interest::Read })
        });
        let mut fds = vec![(self.signals.as_fd(), Interest::Read)];
        fds.extend(monitors);
        let optional = [
            self.worker_talks.then(|| self.worker.channel.as_fd()),
            gate.map(AsFd::as_fd),
            self.listener.as_ref().map(|listener| listener.fd.as_fd()),
        ];
        fds.extend(optional.iter().flatten().map(|fd| (*fd, Interest::Read)));

        let mut events = wait(&fds, self.phase.deadline())?.into_iter();
        let mut next = || events.next().unwrap_or_default();
        let told = next();
        let monitors = self.monitors.iter().map(|_| next()).collect();
        let [worker, gate, listener] = optional.map(|fd| if fd.is_some() { next() } else { Event::default() });
        Ok(Events { told, worker, gate, listener, monitors })
    }

    fn signalled(&mut self) -> anyhow::Result<()> {
        while let Some(told) = self.signals.next().context("reading signals")? {
            if told == Told::Terminate {
                self.terminate("the session was terminated");
            }
        }
        Ok(())
    }

    fn worker_speaks(&mut self) {
        match self.worker.channel.recv() {
            Ok(FromWorker::Attached { connection, width, height }) => {
                if let Some(client) = self.info.client.as_mut().filter(|client| client.connection == connection) {
                    (client.width, client.height) = (width, height);
                    self.changed();
                }
            }
            Ok(FromWorker::Detached { connection }) => {
                // The one before it, where a client was taken over.
                if self.is_attached(connection) {
                    tracing::info!(connection = %connection, "client detached");
                    self.info.client = None;
                    self.info.state = self.resting_state();
                    self.changed();
                }
            }
            Ok(FromWorker::Left { connection }) => {
                // A monitor that does not hear it is none: the cookie would be good for longer than it should. It knows
                // by itself whose the cookie is; the client may be gone already, and the session locked since then.
                self.tell_monitors(&FromSession::Left { connection });
            }
            Ok(FromWorker::Unusable) => self.memory.forget(),
            Ok(FromWorker::Ending { reason }) => {
                tracing::info!(%reason, "the session ends");
                self.ending(&reason);
            }
            Ok(FromWorker::Failed { text }) => self.ending(&text),
            Ok(FromWorker::Ready { .. }) | Err(ChannelError::WouldBlock) => {}
            Err(ChannelError::Closed) => {
                self.worker_talks = false;
                if let Phase::Running = self.phase {
                    self.phase = Phase::Silent { until: Instant::now() + GRACE };
                }
            }
            Err(error) => {
                tracing::warn!("the worker talks nonsense, ending the session: {error}");
                self.worker_talks = false;
                self.ending("the desktop is broken");
            }
        }
    }

    fn monitor_event(&mut self, index: usize, event: Event) -> anyhow::Result<()> {
        let Some(monitor) = self.monitors.get_mut(index) else { return Ok(()) };
        if event.writable && monitor.stale {
            monitor.stale = false;
            match monitor.channel.send(&FromSession::Changed(self.info.clone())) {
                Ok(()) => {}
                Err(ChannelError::WouldBlock) => monitor.stale = true,
                Err(error) => return Err(error.into()),
            }
        }
        if !event.readable {
            return Ok(());
        }
        let (message, fd) = match monitor.channel.recv_fd() {
            Err(ChannelError::WouldBlock) => return Ok(()),
            other => other?,
        };
        let answer = match (message, fd) {
            (ToSession::Attach { connection, client }, Some(link)) => Some(self.attach(connection, client, &link)),
            (ToSession::Describe, None) => Some(FromSession::Description(self.info.clone())),
            (ToSession::Disconnect, None) => {
                self.tell_worker(&ToWorker::Disconnect, &[])?;
                None
            }
            (ToSession::Cookie { connection, cookie }, None) => {
                // For nobody else: the next one gets one of its own.
                if self.is_attached(connection)
                    && let Err(error) = self.tell_worker(&ToWorker::Cookie { connection, cookie }, &[])
                {
                    tracing::debug!("ignoring that the client will need its password after a cut: {error}");
                }
                None
            }
            (ToSession::Terminate, None) => {
                self.terminate("the session was terminated");
                None
            }
            (message, fd) => bail!("{message:?} (descriptor: {}) is out of order", fd.is_some()),
        };
        if let (Some(answer), Some(monitor)) = (answer, self.monitors.get(index)) {
            monitor.channel.send(&answer)?;
        }
        Ok(())
    }

    fn attach(&mut self, connection: ConnectionId, client: Address, link: &OwnedFd) -> FromSession {
        let refused = |text: &str| FromSession::AttachRefused { connection, text: Line::truncated(text) };
        let Phase::Running = self.phase else {
            return refused("Your session is just ending. Try again in a moment.");
        };
        let message = ToWorker::Attach { connection, client: client.clone() };
        if let Err(error) = self.tell_worker(&message, &[link]) {
            tracing::warn!("the worker does not take a connection: {error}");
            return refused("Your desktop does not answer.");
        }
        tracing::info!(connection = %connection, client = %client, "client attached");
        self.info.client = Some(AttachedClient { connection, address: client, since: now(), width: 0, height: 0 });
        self.info.state = State::Connected;
        self.changed();
        FromSession::Attached { connection }
    }

    fn accept(&mut self) {
        let accepted = self.listener.as_ref().map(Listener::accept);
        match accepted {
            Some(Ok(Some(channel))) => {
                if self.monitors.len() >= MAX_MONITORS {
                    self.monitors.remove(0);
                }
                if let Phase::Ending { reason, .. } = &self.phase {
                    // It came too late to hear it with the others.
                    let _ = channel.send(&FromSession::Ending { reason: reason.clone() });
                }
                self.monitors.push(Monitor { channel, stale: false });
            }
            Some(Err(error)) => tracing::warn!("ignoring a connection to the session: {error:#}"),
            _ => {}
        }
    }

    fn terminate(&mut self, reason: &str) {
        if let Err(error) = self.tell_worker(&ToWorker::Terminate, &[]) {
            tracing::debug!("ignoring that the worker cannot be told to end: {error}");
        }
        self.ending(reason);
    }

    /// Tells everybody once, and sets the worker its time.
    fn ending(&mut self, reason: &str) {
        if let Phase::Ending { .. } = self.phase {
            return;
        }
        let reason = Line::truncated(reason);
        self.phase = Phase::Ending { until: Instant::now() + GRACE, reason: reason.clone() };
        self.info.state = State::Ending;
        self.tell_monitors(&FromSession::Ending { reason });
    }

    /// At once, and who cannot be told is gone.
    fn tell_monitors(&mut self, message: &FromSession) {
        self.monitors.retain(|monitor| monitor.channel.send(message).is_ok());
    }

    fn is_attached(&self, connection: ConnectionId) -> bool {
        self.info.client.as_ref().is_some_and(|client| client.connection == connection)
    }

    fn changed(&mut self) {
        for monitor in &mut self.monitors {
            monitor.stale = true;
        }
    }

    fn resting_state(&self) -> State {
        match self.phase {
            Phase::Running => State::Disconnected,
            _ => State::Ending,
        }
    }

    fn tell_worker(&self, message: &ToWorker, fds: &[&OwnedFd]) -> Result<(), ChannelError> {
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
        self.worker.channel.send_fds(message, &fds)
    }
}

/// What one wait has brought.
struct Events {
    told: Event,
    worker: Event,
    gate: Event,
    listener: Event,
    monitors: Vec<Event>,
}

/// `sessions/<uid>.sock`. Dropping it takes the name away first, so that whoever finds a socket there
/// finds a session behind it.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    path: PathBuf,
}

impl Listener {
    /// Fails where a session answers at `path`: two leaders of one user must not be.
    pub fn check_free(path: &Path) -> anyhow::Result<()> {
        let fd = seqpacket()?;
        match connect(fd.as_raw_fd(), &UnixAddr::new(path)?) {
            Err(Errno::ENOENT | Errno::ECONNREFUSED) => Ok(()),
            Ok(()) | Err(Errno::EAGAIN) => bail!("there is one already, which the login service does not know of"),
            Err(errno) => Err(errno).with_context(|| path.display().to_string()),
        }
    }

    pub fn bind(path: &Path) -> anyhow::Result<Self> {
        Self::check_free(path)?;
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("cannot remove {}", path.display()));
        }
        let fd = seqpacket()?;
        // From birth: there must be no moment at which others can connect.
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = bind(fd.as_raw_fd(), &UnixAddr::new(path)?);
        umask(before);
        bound.with_context(|| format!("cannot listen at {}", path.display()))?;
        let listener = Self { fd, path: path.to_owned() };
        listen(&listener.fd, Backlog::new(8)?)?;
        Ok(listener)
    }

    /// A connection of somebody who may: root, or the user of a server that runs as that user.
    fn accept(&self) -> anyhow::Result<Option<Channel<FromSession, ToSession>>> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = match accept4(self.fd.as_raw_fd(), flags) {
            Ok(number) => wrd_sys::listen::take_fd(number)?,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let uid = getsockopt(&fd, sockopt::PeerCredentials)?.uid();
        if uid != 0 && uid != nix::unistd::geteuid().as_raw() {
            bail!("uid {uid} may not talk to this session");
        }
        Ok(Some(RawChannel::from(fd).typed()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn seqpacket() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
}

/// Seconds since the epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

/// How long a worker may take to close its applications.
const GRACE: Duration = Duration::from_secs(5);
const MAX_MONITORS: usize = 4;
