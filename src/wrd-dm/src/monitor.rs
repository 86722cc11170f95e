//! The monitor's state and what it does for the tables: it turns events of sockets, children and time
//! into calls of [`Table`], and the table's actions into calls of the kernel. It decides nothing itself.

use crate::admission::Admission;
use crate::callers::{self, Callers};
use crate::cert::Identity;
use crate::door::{Door, End};
use crate::enrolment::Store;
use crate::listener::Listener;
use crate::nla::Nla;
use crate::offers::Offers;
use crate::places::{GateUser, Mode};
use crate::shutdown::Shutdown;
use crate::table::{Action, Connection, Looked, Note, Table, Timing};
use crate::wire::Wire;
use crate::{leaders, notes, scan};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{LoopHandle, LoopSignal, RegistrationToken};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};
use wrd_config::{Paths, System};
use wrd_proto::gate::{Start, ToGate, ToMonitor};
use wrd_proto::leader::{FromLeader, ToLeader};
use wrd_proto::session::{FromSession, ToSession};
use wrd_proto::{Address, Bytes, ConnectionId, Line, Text};
use wrd_sys::{ChannelError, RawChannel};

/// Everything that one monitor has.
pub struct Monitor {
    pub handle: LoopHandle<'static, Monitor>,
    pub signal: LoopSignal,
    pub paths: Paths,
    pub mode: Mode,
    pub gate_user: GateUser,
    pub config: System,
    pub identity: Identity,
    pub host_name: Text<255>,
    /// The sessions to choose from.
    pub offers: Offers,
    pub table: Table,
    pub admission: Admission,
    pub door: Door,
    pub nla: Nla,
    /// Who can log in by NLA. None where a one-time password is all there is.
    pub enrolment: Option<Store>,
    pub addresses: Vec<SocketAddr>,
    pub listeners: Vec<Listener>,
    pub callers: Callers,
    pub children: BTreeMap<Pid, Child>,
    pub shutdown: Option<Shutdown>,
    pub sockets: Sockets,
    pub alarm: Option<(Instant, RegistrationToken)>,
    pub status: String,
}

/// The sockets to our own processes.
#[derive(Default)]
pub struct Sockets {
    gates: BTreeMap<ConnectionId, Wire<Monitor, ToGate, ToMonitor>>,
    leaders: BTreeMap<ConnectionId, (LeaderWire, Address)>,
    /// Those of leaders that nobody wants any more, until they have ended.
    parting: BTreeMap<ConnectionId, (LeaderWire, Address)>,
    sessions: BTreeMap<u32, Wire<Monitor, ToSession, FromSession>>,
    /// The gate's end of a link that was offered to a session.
    links: BTreeMap<ConnectionId, OwnedFd>,
}

type LeaderWire = Wire<Monitor, ToLeader, FromLeader>;

/// What a child of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    Gate(ConnectionId),
    Leader(ConnectionId),
}

impl Monitor {
    /// How long things may take by this configuration.
    pub fn timing(config: &System) -> Timing {
        Timing {
            login: Duration::from_secs(config.limits.login_seconds.into()),
            screen: Duration::from_secs(config.limits.login_seconds.into()),
            // The leader keeps to `start_seconds` itself; PAM comes on top.
            start: Duration::from_secs(u64::from(config.session.start_seconds) + 30),
            reconnect: Duration::from_secs(config.login.reconnect_seconds.into()),
        }
    }

    /// Does what the tables want done. Called after every turn of the loop.
    pub fn settle(&mut self) {
        self.perform_all();
        callers::answer_all(self);
        self.perform_all();
        self.set_alarm();
        self.tell_status();
        self.go_on_with_shutdown();
    }

    /// Looks for sessions that are not in the table: a leader may have outlived an earlier monitor.
    pub fn discover_sessions(&mut self) {
        for uid in scan::uids(&self.paths.sessions_dir()) {
            self.table.discover(uid);
        }
    }

    /// Children have changed.
    pub fn reap(&mut self) {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(status) => status,
            };
            let end = match status {
                WaitStatus::Exited(_, 0) => End::Well,
                WaitStatus::Exited(_, PANICKED) => End::Panic,
                WaitStatus::Exited(_, code) => End::Badly(code),
                WaitStatus::Signaled(_, signal, _) => End::Killed(signal),
                _ => continue,
            };
            let Some(child) = status.pid().and_then(|pid| self.children.remove(&pid)) else { continue };
            match child {
                Child::Gate(id) => self.gate_ended(id, &end),
                Child::Leader(id) => {
                    if end != End::Well && self.shutdown.is_none() {
                        tracing::warn!("a session leader failed; connection={id} by={end:?}");
                    }
                }
            }
        }
    }

    pub fn signal_children(&self, signal: Signal, which: impl Fn(Child) -> bool) {
        for (pid, child) in &self.children {
            // Not reaped yet, so the pid is still theirs.
            if which(*child)
                && let Err(errno) = kill(*pid, signal)
            {
                tracing::debug!("ignoring that {child:?} cannot be sent {signal}: {errno}");
            }
        }
    }

    fn gate_ended(&mut self, id: ConnectionId, end: &End) {
        // Its last words may be here and not heard yet.
        if let Some(wire) = self.sockets.gates.remove(&id) {
            // Or others speak on in its place, without an end.
            for message in std::iter::from_fn(|| wire.receive().ok()).take(LAST_WORDS) {
                self.table.gate_says(id, message, Instant::now());
            }
            self.perform_all();
        }
        self.judge(id, end);
        self.table.gate_left(id);
    }

    pub fn listen_to_gate(&mut self, id: ConnectionId, channel: RawChannel) -> anyhow::Result<()> {
        let wire = Wire::open(&self.handle, channel, move |monitor: &mut Monitor, message| {
            monitor.heard_gate(id, message);
        })?;
        self.sockets.gates.insert(id, wire);
        Ok(())
    }

    fn heard_gate(&mut self, id: ConnectionId, message: Result<ToMonitor, ChannelError>) {
        match message {
            Ok(message) => {
                self.table.gate_says(id, message, Instant::now());
                if self.table.connection(id).is_some_and(|connection| connection.at_screen().is_some()) {
                    self.admission.shows_screen(id, Instant::now());
                }
            }
            Err(error) => {
                self.sockets.gates.remove(&id);
                match error {
                    ChannelError::Closed => self.table.gate_closed(id, Instant::now()),
                    error => self.table.broken(id, &error.to_string()),
                }
            }
        }
    }

    fn heard_leader(&mut self, id: ConnectionId, message: Result<FromLeader, ChannelError>) {
        match message {
            // Its gate may have ended in this very turn of the loop.
            Ok(message) if !self.table.hears_leader(id) => self.heard_late(id, &message),
            Ok(message) => {
                self.table.leader_says(id, message, Instant::now());
                if self.table.connection(id).is_some_and(Connection::is_authenticated) {
                    self.admission.authenticated(id, Instant::now());
                }
            }
            Err(error) => {
                if !matches!(error, ChannelError::Closed) {
                    tracing::warn!("a session leader is not understood: {error}; connection={id}");
                }
                self.sockets.parting.remove(&id);
                self.sockets.leaders.remove(&id);
                self.admission.leader_left(id, Instant::now());
                self.table.leader_left(id);
            }
        }
    }

    /// A login that nobody waits for any more was tried all the same; and a gate may have been quicker to go than its
    /// leader to complain of it.
    fn heard_late(&mut self, id: ConnectionId, message: &FromLeader) {
        let wire = self.sockets.parting.get(&id).or_else(|| self.sockets.leaders.get(&id));
        let client = wire.map(|(_, client)| client);
        let Some(note) = client.and_then(|client| Note::of_leader(id, client, message)) else { return };
        match &note {
            Note::Broken { .. } => self.admission.broken(id, Instant::now()),
            note => self.take_note(note),
        }
        notes::log(&note);
    }

    /// A leader is not wanted any more. One that has authenticated nobody counts until it has ended, which
    /// PAM may put off.
    pub fn part_with_leader(&mut self, id: ConnectionId) {
        let Some((wire, client)) = self.sockets.leaders.remove(&id) else { return };
        if self.admission.has_leader(id) {
            wire.finish();
            self.sockets.parting.insert(id, (wire, client));
        }
    }

    fn heard_session(&mut self, uid: u32, message: Result<FromSession, ChannelError>) {
        match message {
            Ok(message) => self.table.session_says(uid, message, Instant::now()),
            Err(ChannelError::Closed) => self.table.session_left(uid),
            Err(error) => self.table.session_broken(uid, &error.to_string()),
        }
    }

    fn perform_all(&mut self) {
        loop {
            if let Some(action) = self.table.next_action() {
                self.perform(action);
            } else if let Some(action) = self.admission.next_action() {
                self.admit(action);
            } else {
                return;
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Sign { id, scheme, message } => match self.sign(scheme, &message) {
                Ok(signature) => self.tell_gate(id, &ToGate::Signature(signature), None),
                Err(error) => self.table.broken(id, &error.to_string()),
            },
            Action::Challenge(id) => self.challenge(id),
            Action::Judge(id, proof) => self.judge_proof(id, &proof),
            Action::TellVerdict(id, verdict) => self.tell_gate(id, &ToGate::NtlmVerdict(verdict), None),
            Action::TellReconnect(id, returning) => self.tell_gate(id, &ToGate::Reconnect(returning), None),
            Action::MakeCookie { uid, client } => self.make_cookie(uid, client),
            Action::Forget(proven) => self.forget_enrolment(&proven),
            Action::OpenLeader(id) => self.admission.wants_leader(id, Instant::now()),
            Action::Tries(id) => self.admission.tries(id, Instant::now()),
            Action::Asks(id) => self.admission.asks(id, Instant::now()),
            Action::Answered(id) => self.admission.answered(id, Instant::now()),
            Action::RefuseGate(id, text) => self.tell_gate(id, &ToGate::Refused(text), None),
            Action::Link(id) => match self.sockets.links.remove(&id) {
                Some(link) => self.tell_gate(id, &ToGate::Link, Some(&link)),
                None => self.table.unserved(id, "its link is gone"),
            },
            Action::Release(id) => {
                self.gate_works(id);
                self.sockets.gates.remove(&id);
            }
            Action::EndGate(id) => {
                self.sockets.gates.remove(&id);
                self.signal_children(Signal::SIGKILL, |child| child == Child::Gate(id));
            }
            Action::TellLeader(id, message) => self.tell_leader(id, &message),
            Action::DropLeader(id) => self.part_with_leader(id),
            Action::Look(uid) => self.look(uid),
            Action::Attach { uid, id, client } => self.attach(uid, id, client),
            Action::DropLink(id) => drop(self.sockets.links.remove(&id)),
            Action::TellSession(uid, message) => self.tell_session(uid, &message, None),
            Action::DropSession(uid) => drop(self.sockets.sessions.remove(&uid)),
            Action::Note(note) => {
                self.take_note(&note);
                notes::log(&note);
            }
        }
    }

    fn sign(&self, scheme: u16, message: &[u8]) -> anyhow::Result<Bytes<1024>> {
        Ok(Bytes::try_from(self.identity.signer.sign(scheme, message)?)?)
    }

    pub fn open_leader(&mut self, id: ConnectionId) -> anyhow::Result<()> {
        let (channel, pid) = leaders::open(&self.mode, &self.paths)?;
        if let Some(pid) = pid {
            self.children.insert(pid, Child::Leader(id));
        }
        let wire = Wire::open(&self.handle, channel, move |monitor: &mut Monitor, message| {
            monitor.heard_leader(id, message);
        })?;
        let (for_gate, for_leader) = RawChannel::pair()?;
        let client = self.table.connection(id).map(|connection| connection.client().clone()).unwrap_or_default();
        let proven = self.table.who_was_proven(id).map(|proven| proven.name.clone());
        let returning = self.table.who_is_back(id).map(|back| back.name.clone());
        let begin = ToLeader::Begin { connection: id, client: client.clone(), proven, returning };
        wire.send(&begin, &[for_leader.as_fd()])?;
        self.sockets.leaders.insert(id, (wire, client));
        self.tell_gate(id, &ToGate::Login, Some(&for_gate.into()));
        Ok(())
    }

    fn look(&mut self, uid: u32) {
        let (mut looked, channel) =
            scan::look(&self.paths.session_socket(uid), self.mode.leader_uid(), SystemTime::now());
        if let Some(channel) = channel {
            let opened = Wire::open(&self.handle, channel, move |monitor: &mut Monitor, message| {
                monitor.heard_session(uid, message);
            });
            match opened {
                Ok(wire) => drop(self.sockets.sessions.insert(uid, wire)),
                Err(error) => {
                    tracing::error!("cannot speak with a session: {error:#}; uid={uid}");
                    looked = Looked::Unusable(Line::truncated("Your session cannot be reached."));
                }
            }
        }
        self.table.looked(uid, looked, Instant::now());
    }

    fn attach(&mut self, uid: u32, id: ConnectionId, client: Address) {
        match socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC) {
            Ok((for_gate, for_worker)) => {
                self.sockets.links.insert(id, for_gate);
                self.tell_session(uid, &ToSession::Attach { connection: id, client }, Some(&for_worker));
            }
            Err(errno) => {
                tracing::error!("cannot make a link: {errno}; connection={id}");
                let text = Line::truncated("The server has no room for another connection.");
                self.table.session_says(uid, FromSession::AttachRefused { connection: id, text }, Instant::now());
            }
        }
    }

    pub fn tell_gate(&mut self, id: ConnectionId, message: &ToGate, fd: Option<&OwnedFd>) {
        // A gate that has closed its channel is on its way out.
        let Some(wire) = self.sockets.gates.get(&id) else { return };
        let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
        match wire.send(message, &fds) {
            Ok(()) | Err(ChannelError::Closed) => {}
            Err(error) => self.table.broken(id, &format!("its gate cannot be told: {error}")),
        }
    }

    fn tell_leader(&mut self, id: ConnectionId, message: &ToLeader) {
        let Some((wire, _)) = self.sockets.leaders.get(&id) else { return };
        match wire.send(message, &[]) {
            // That it closed is heard on the reading side.
            Ok(()) | Err(ChannelError::Closed) => {}
            Err(error) => {
                tracing::warn!("a session leader cannot be told: {error}; connection={id}");
                self.table.leader_left(id);
            }
        }
    }

    pub fn tell_session(&mut self, uid: u32, message: &ToSession, fd: Option<&OwnedFd>) {
        let Some(wire) = self.sockets.sessions.get(&uid) else { return };
        let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
        match wire.send(message, &fds) {
            Ok(()) | Err(ChannelError::Closed) => {}
            // Whoever waits for an answer has a deadline.
            Err(error) => tracing::warn!("a session cannot be told: {error}; uid={uid}"),
        }
    }

    pub fn start_message(&mut self, id: ConnectionId, client: Address) -> Start {
        let sessions = self.offers.current();
        let limits = &self.config.limits;
        Start {
            connection: id,
            client,
            host_name: self.host_name.clone(),
            chain: self.identity.chain.clone(),
            schemes: self.identity.signer.schemes().to_vec(),
            max_width: limits.max_width,
            max_height: limits.max_height,
            login_deadline_ms: limits.login_seconds.saturating_mul(1000),
            security: self.config.login.security,
            sessions,
        }
    }

    /// One timer for the next deadline, none while nothing waits.
    pub fn set_alarm(&mut self) {
        let next = [
            self.table.next_deadline(),
            self.admission.next_deadline(),
            self.shutdown.as_ref().map(Shutdown::deadline),
        ];
        let next = next.into_iter().flatten().min();
        if self.alarm.as_ref().map(|(at, _)| *at) == next {
            return;
        }
        if let Some((_, token)) = self.alarm.take() {
            self.handle.remove(token);
        }
        let Some(at) = next else { return };
        let armed = self.handle.insert_source(Timer::from_deadline(at), |_, (), monitor: &mut Monitor| {
            monitor.alarm = None;
            monitor.table.expire(Instant::now());
            monitor.admission.expire(Instant::now());
            TimeoutAction::Drop
        });
        match armed {
            Ok(token) => self.alarm = Some((at, token)),
            Err(error) => tracing::error!("cannot set a timer: {error}"),
        }
    }

    fn tell_status(&mut self) {
        let (sessions, attached) = self.table.session_count();
        let plural = if sessions == 1 { "" } else { "s" };
        let status = format!("{sessions} session{plural}, {attached} connected");
        if status != self.status {
            // Without systemd nobody listens, which is no fault.
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(&status)]);
            self.status = status;
        }
    }
}

/// More than a gate says in all of its life.
const LAST_WORDS: usize = 16;
/// The exit code of a Rust program that panics.
const PANICKED: i32 = 101;
