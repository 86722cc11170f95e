//! The door: what the monitor does for [`Admission`](crate::admission). It keeps the connections that have
//! said nothing yet, starts a gate at the first bytes, and ends what has to go.
//!
//! Always true: not one byte of a client is read here, only counted; a connection that is silent costs a
//! descriptor and no process.

use crate::admission::{Action, Offence, Reason, Rules};
use crate::gates;
use crate::listener::Acceptor;
use crate::monitor::{Child, Monitor};
use crate::notes::{Refusals, reason_word};
use crate::syn_filter;
use crate::table::{Note, Outcome};
use anyhow::Context;
use calloop::generic::Generic;
use calloop::{Interest, Mode, PostAction, RegistrationToken};
use ipnet::IpNet;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::Signal;
use rustix::io::ioctl_fionread;
use std::collections::BTreeMap;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};
use wrd_config::System;
use wrd_proto::gate::ToGate;
use wrd_proto::{Address, ConnectionId, Line};
use wrd_sys::place::Place;

/// What stands at the door.
pub struct Door {
    acceptor: Acceptor,
    /// Where gates are until their users are known, and where from then on.
    strangers: Place,
    workers: Place,
    refusals: Refusals,
    /// The listeners have a filter, which what they accept inherits.
    drops: bool,
    /// That has failed, and was logged.
    cannot_drop: bool,
    /// Connections that have said nothing yet. Their sockets are in the loop.
    waiting: BTreeMap<ConnectionId, (IpAddr, RegistrationToken)>,
}

/// How this process works among others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    AsOthers,
    /// Behind those who serve people, without being held up by anybody else: nobody's keys pass through here, and in a
    /// flood there is a lot to do.
    Patient,
}

/// How a gate's process has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Well,
    /// It said or will not say why.
    Badly(i32),
    /// It panicked.
    Panic,
    Killed(Signal),
}

impl Door {
    pub fn new(manner: Manner) -> anyhow::Result<Self> {
        let (refusals, waiting) = (Refusals::default(), BTreeMap::new());
        let workers = Place::own().context("cannot ask for this process's place")?;
        if manner == Manner::Patient
            && let Err(error) = workers.of_patient().take()
        {
            tracing::warn!("cannot step back behind those who serve people: {error}");
        }
        let (acceptor, strangers) = (Acceptor::new()?, workers.of_strangers()?);
        Ok(Self { acceptor, strangers, workers, refusals, drops: false, cannot_drop: false, waiting })
    }
}

impl Monitor {
    /// What admission is held to by this configuration.
    pub fn rules(config: &System) -> Rules {
        // Where the limit cannot be read the usual one of a user's processes is assumed.
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
        Rules::new(config, descriptors)
    }

    /// A listener is ready.
    pub fn accept(&mut self, listener: &TcpListener) {
        let Some((stream, client)) = self.door.acceptor.accept(listener) else { return };
        let id = self.table.unused_id();
        if let Err(refusal) = self.admission.arrive(id, client, Instant::now()) {
            return self.door.refusals.refused(&client, refusal);
        }
        if self.door.drops {
            // What is in effect now is not for the rest of this connection.
            syn_filter::clear(&stream);
        }
        let source = Generic::new(stream, Interest::READ, Mode::Level);
        let watched = self.handle.insert_source(source, move |_, stream, monitor: &mut Self| {
            if let Some((client, _)) = monitor.door.waiting.remove(&id)
                && let Err(error) = monitor.first_bytes(id, client, stream)
            {
                tracing::error!("cannot serve a connection: {error:#}; client={client}");
                monitor.admission.left(id, None, Instant::now());
            }
            Ok(PostAction::Remove)
        });
        match watched {
            Ok(token) => drop(self.door.waiting.insert(id, (client, token))),
            Err(error) => {
                tracing::error!("cannot watch a connection: {error}; client={client}");
                self.admission.left(id, None, Instant::now());
            }
        }
    }

    /// Something of a connection can be read: its first bytes, or only its end.
    fn first_bytes(&mut self, id: ConnectionId, client: IpAddr, stream: &TcpStream) -> anyhow::Result<()> {
        let now = Instant::now();
        if ioctl_fionread(stream).context("cannot ask for its bytes")? == 0 {
            self.door.refusals.turned_away(&client, Reason::Silent);
            self.admission.left(id, Some(Offence::Silent), now);
            return Ok(());
        }
        if let Err(refusal) = self.admission.speaks(id, now) {
            self.door.refusals.refused(&client, refusal);
            return Ok(());
        }
        let address = Address::truncated(&client.to_string());
        let place = &self.door.strangers;
        let (pid, channel) = gates::start(&self.paths.libexec_dir, self.gate_user, place, stream.try_clone()?)?;
        self.table.accepted(id, address.clone(), self.config.login.security, now);
        self.children.insert(pid, Child::Gate(id));
        tracing::debug!("connection accepted; connection={id} client={client}");
        match self.listen_to_gate(id, channel) {
            Ok(()) => {
                let start = self.start_message(id, address);
                self.tell_gate(id, &ToGate::Start(start), None);
            }
            Err(error) => self.table.unserved(id, &format!("{error:#}")),
        }
        Ok(())
    }

    /// Nobody is let in any more who has said nothing yet.
    pub fn close_waiting(&mut self) {
        for (id, (_, token)) in std::mem::take(&mut self.door.waiting) {
            self.handle.remove(token);
            self.admission.left(id, None, Instant::now());
        }
    }

    /// Does what admission wants done.
    pub fn admit(&mut self, action: Action) {
        let connection = |id| self.table.connection(id);
        match action {
            Action::Close(id, reason) => {
                if let Some((client, token)) = self.door.waiting.remove(&id) {
                    self.handle.remove(token);
                    self.door.refusals.turned_away(&client, reason);
                }
            }
            // Whoever was authenticated in the meantime stays.
            Action::TurnAway(id, reason) => {
                if let Some(connection) = connection(id).filter(|connection| !connection.is_authenticated()) {
                    self.door.refusals.turned_away(connection.client(), reason);
                    self.table.turn_away(id, reason_word(reason));
                }
            }
            Action::RefuseLogin(id, text) => {
                if connection(id).is_some_and(|connection| !connection.is_authenticated()) {
                    self.part_with_leader(id);
                    self.table.login_failed(id, Line::truncated(text));
                }
            }
            // A gate that left while its login was in line wants none.
            Action::OpenLeader(id) if connection(id).is_some_and(|connection| connection.is_trying()) => {
                if let Err(error) = self.open_leader(id) {
                    tracing::error!("no session leader for a login: {error:#}; connection={id}");
                    self.admission.leader_left(id, Instant::now());
                    self.table.login_failed(id, Line::truncated("The login service is not available."));
                }
            }
            Action::OpenLeader(id) => self.admission.leader_left(id, Instant::now()),
            Action::Drop(networks) => self.drop_connections_of(&networks),
        }
    }

    /// Of these networks, and of no others.
    pub fn drop_connections_of(&mut self, networks: &[IpNet]) {
        for listener in &self.listeners {
            if let Err(error) = syn_filter::set(&listener.socket, networks)
                && !std::mem::replace(&mut self.door.cannot_drop, true)
            {
                tracing::warn!("a flood is refused connection by connection: the kernel drops none for us ({error})");
            }
        }
        self.door.drops = !networks.is_empty();
    }

    /// Tells admission what the tables have found out.
    pub fn take_note(&mut self, note: &Note) {
        match note {
            Note::Denied { id, pause, .. } => self.admission.denied(*id, *pause, Instant::now()),
            Note::LoggedIn { uid, user, .. } => {
                if let Some(store) = &mut self.enrolment {
                    store.logged_in(*uid, user);
                }
            }
            _ => {}
        }
    }

    /// A gate has the desktop on its client's screen.
    pub fn gate_works(&self, id: ConnectionId) {
        let gate = self.children.iter().find(|(_, child)| **child == Child::Gate(id));
        if let Some((pid, _)) = gate
            && let Err(error) = self.door.workers.give(*pid)
        {
            tracing::warn!("cannot give a gate its place: {error}; connection={id}");
        }
    }

    /// A gate has ended: what that says of its client, for the log and for admission.
    pub fn judge(&mut self, id: ConnectionId, end: &End) {
        let now = Instant::now();
        let Some(connection) = self.table.connection(id) else { return self.admission.left(id, None, now) };
        // Nothing explains a crash; a gate that was taken over may say its last word first.
        let fault = end.fault().filter(|_| end.is_crash() || !connection.is_explained());
        let client = connection.client();
        let user = connection.user().map(|user| user.as_str()).unwrap_or_default();
        let age = now.duration_since(connection.since());
        let seconds = age.as_secs();
        // One line for each connection: a flood is to be found in the journal, and not to fill it.
        match (&fault, connection.last_word()) {
            (Some(fault), _) => tracing::warn!(
                "connection ended by a fault of its gate; connection={id} rhost={client} user={user:?} seconds={seconds} by={fault:?}"
            ),
            (None, Some((stage, reason))) => tracing::info!(
                "connection given up; connection={id} client={client} user={user:?} seconds={seconds} stage={stage:?} reason={:?}",
                &**reason
            ),
            (None, None) => {
                tracing::info!("connection ended; connection={id} client={client} user={user:?} seconds={seconds}");
            }
        }
        let offence = match connection.outcome() {
            _ if fault.is_some() && end.is_crash() => Some(Offence::Crash),
            Outcome::Broken => Some(Offence::Crash),
            Outcome::Late => Some(Offence::Late),
            // A gate gives up a slow client itself, and is not asked why.
            Outcome::Left if age >= LATE => Some(Offence::Late),
            Outcome::Left => Some(Offence::Silent),
            // Counted when it happened; ours, not its.
            Outcome::Denied | Outcome::Authenticated | Outcome::Unserved => None,
        };
        self.admission.left(id, offence, now);
    }
}

impl End {
    /// What was wrong with it, for the log.
    fn fault(&self) -> Option<String> {
        match self {
            Self::Well => None,
            Self::Badly(code) => Some(format!("exit code {code}")),
            Self::Panic => Some("a panic".into()),
            Self::Killed(Signal::SIGSYS) => Some("killed by its seccomp filter".into()),
            Self::Killed(signal) => Some(signal.to_string()),
        }
    }

    /// Its client may have brought that about. The signals that are left are what others end it with: an
    /// administrator, the kernel where memory is short.
    fn is_crash(&self) -> bool {
        use Signal::{SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM};
        match self {
            Self::Panic => true,
            Self::Killed(signal) => !matches!(signal, SIGHUP | SIGINT | SIGKILL | SIGQUIT | SIGTERM),
            Self::Well | Self::Badly(_) => false,
        }
    }
}

/// As long as the shortest of a gate's deadlines.
const LATE: Duration = Duration::from_secs(10);
