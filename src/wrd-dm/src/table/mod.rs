//! The request table and the table of sessions: what each connection may ask now, and which login gets
//! which session. Pure: events and the time go in, [`Action`]s come out in order.
//!
//! Always true: a request that a connection's stage does not allow ends that connection; a uid has at
//! most one session, and at most one leader is told to start it; a login that waits is attached, refused
//! or ended, by a deadline at the latest. Deliberately absent: sockets, processes, clocks, logging.

mod connection;
mod nla;
mod reconnect;
#[cfg(test)]
mod request_tests;
mod requests;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use wrd_proto::gate::{NtlmProof, NtlmVerdict, Returning};
use wrd_proto::leader::{FromLeader, ToLeader};
use wrd_proto::session::{SessionInfo, State, ToSession};
use wrd_proto::{Address, Bytes, ConnectionId, Line, UserName};

pub use connection::{Connection, Outcome, Stage};
pub use nla::Proven;
pub use reconnect::Back;
pub use requests::gate_may_say;
pub use session::{Looked, NotNow};

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Check, sign and answer; what cannot be signed ends the connection ([`Table::broken`]).
    Sign {
        id: ConnectionId,
        scheme: u16,
        message: Bytes<512>,
    },
    /// Make a challenge for NLA and send it; told by [`Table::challenged`].
    Challenge(ConnectionId),
    /// Judge what the client has answered to it; answered with [`Table::proven`] or [`Table::not_proven`].
    Judge(ConnectionId, Box<NtlmProof>),
    TellVerdict(ConnectionId, NtlmVerdict),
    /// What is enrolled for this account is not its password any more.
    Forget(Proven),
    TellReconnect(ConnectionId, Returning),
    /// Make a cookie for the attached client of this session and have it sent; told by [`Table::cookie_made`].
    MakeCookie {
        uid: u32,
        client: ConnectionId,
    },
    /// Get a leader for this connection; answered with [`Table::login_failed`] where there is none.
    OpenLeader(ConnectionId),
    /// The leader of this connection has credentials to try.
    Tries(ConnectionId),
    /// The leader of this connection waits for its user, not for PAM.
    Asks(ConnectionId),
    /// The user has answered.
    Answered(ConnectionId),
    /// Tell the gate why it goes no further.
    RefuseGate(ConnectionId, Line),
    /// Send the gate its end of the link.
    Link(ConnectionId),
    /// The gate needs the monitor no more: close its channel.
    Release(ConnectionId),
    /// End the gate.
    EndGate(ConnectionId),
    TellLeader(ConnectionId, ToLeader),
    DropLeader(ConnectionId),
    /// Connect to this uid's session socket; answered with [`Table::looked`].
    Look(u32),
    /// Make a link for this connection and offer it to the session.
    Attach {
        uid: u32,
        id: ConnectionId,
        client: Address,
    },
    /// The link that was made for this connection is not wanted any more.
    DropLink(ConnectionId),
    TellSession(u32, ToSession),
    DropSession(u32),
    Note(Note),
}

/// What is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
pub enum Note {
    Denied {
        id: ConnectionId,
        client: Address,
        user: UserName,
        text: Line,
        /// Until the user knows.
        pause: Duration,
    },
    /// NLA has proven this name, which lets nobody in yet.
    Proven {
        id: ConnectionId,
        client: Address,
        uid: u32,
        user: UserName,
    },
    LoggedIn {
        id: ConnectionId,
        client: Address,
        uid: u32,
        user: UserName,
    },
    /// As `LoggedIn`, but by the cookie of the session.
    Returned {
        id: ConnectionId,
        client: Address,
        uid: u32,
        user: UserName,
    },
    /// The connection has its desktop.
    Attached {
        id: ConnectionId,
        uid: u32,
    },
    Refused {
        id: ConnectionId,
        text: Line,
    },
    /// The connection broke the rules, or what serves it did.
    Broken {
        id: ConnectionId,
        client: Address,
        reason: String,
    },
    /// It has to end for what this machine lacks.
    Unserved {
        id: ConnectionId,
        client: Address,
        reason: String,
    },
    Deadline {
        id: ConnectionId,
        client: Address,
    },
    /// There are too many: this one goes, though it did nothing wrong.
    TurnedAway {
        id: ConnectionId,
        client: Address,
        reason: String,
    },
    SessionStarted {
        uid: u32,
        user: UserName,
    },
    /// Found again after a restart of the monitor.
    SessionFound {
        uid: u32,
        user: UserName,
    },
    SessionEnded {
        uid: u32,
        user: UserName,
        reason: Line,
    },
    /// The session's leader does not keep to the protocol or does not answer.
    SessionFault {
        uid: u32,
        reason: String,
    },
}

impl Note {
    /// What a leader's message is by itself, whether its connection is there to hear of it or not.
    pub fn of_leader(id: ConnectionId, client: &Address, message: &FromLeader) -> Option<Self> {
        let client = client.clone();
        match message {
            FromLeader::Denied { user, text, pause_ms } => {
                let pause = Duration::from_millis((*pause_ms).into());
                Some(Self::Denied { id, client, user: user.clone(), text: text.clone(), pause })
            }
            FromLeader::Broken { reason } => {
                Some(Self::Broken { id, client, reason: format!("it told its leader {reason}") })
            }
            _ => None,
        }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From accept to an authenticated user, or to the login screen.
    pub login: Duration,
    /// From the login screen to an authenticated user, and once more from the first question on.
    pub screen: Duration,
    /// From `StartSession` to `SessionReady`.
    pub start: Duration,
    /// From a cut line to the client's return without a password; zero where that is switched off.
    pub reconnect: Duration,
}

impl Timing {
    /// A gate ends a slow client itself and says so; the monitor steps in this much later.
    pub const GRACE: Duration = Duration::from_secs(3);
    /// From a client's wrong answer in NLA to the word that it is: longer than any look-up takes.
    pub const REFUSAL: Duration = Duration::from_millis(250);
    /// For a session's leader to describe itself, or to take a connection.
    pub const ANSWER: Duration = Duration::from_secs(10);
    /// For a session that is ending, while somebody waits for the next one.
    pub const ENDING: Duration = Duration::from_secs(30);

    /// From authentication to relaying, behind the deadlines of the session: what ends, what starts, and
    /// the answers of leader and gate.
    fn session(&self) -> Duration {
        Self::ENDING + self.start + 3 * Self::ANSWER
    }
}

/// All connections whose gates are this monitor's children, and all sessions.
#[derive(Debug)]
pub struct Table {
    connections: BTreeMap<ConnectionId, Connection>,
    sessions: BTreeMap<u32, session::Session>,
    actions: VecDeque<Action>,
    last_id: u64,
    timing: Timing,
}

impl Table {
    pub fn new(timing: Timing) -> Self {
        Self { connections: BTreeMap::new(), sessions: BTreeMap::new(), actions: VecDeque::new(), last_id: 0, timing }
    }

    pub fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// The next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Table::expire`] has something to do; `None` while nothing waits.
    pub fn next_deadline(&self) -> Option<Instant> {
        let connections = self.connections.values().filter_map(|connection| connection.deadline);
        let sessions = self.sessions.values().filter_map(|session| session.deadline);
        connections.chain(sessions).min()
    }

    /// Acts on every deadline that `now` has reached.
    pub fn expire(&mut self, now: Instant) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let late: Vec<_> = self.connections.iter().filter(|(_, c)| due(c.deadline)).map(|(id, _)| *id).collect();
        for id in late {
            self.connection_late(id, now);
        }
        let late: Vec<_> = self.sessions.iter().filter(|(_, s)| due(s.deadline)).map(|(uid, _)| *uid).collect();
        for uid in late {
            self.session_late(uid, now);
        }
    }

    pub fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id)
    }

    /// Sessions, and how many of them have a client.
    pub fn session_count(&self) -> (usize, usize) {
        let attached = self.sessions.values().filter(|session| session.is_attached()).count();
        (self.sessions.len(), attached)
    }

    /// Every session as callers see it.
    pub fn sessions(&self) -> impl Iterator<Item = SessionInfo> {
        self.sessions.iter().map(|(uid, session)| session.describe(*uid))
    }

    /// Whether a session was found that has yet to say what it is.
    pub fn is_joining(&self) -> bool {
        self.sessions.values().any(|session| session.is_joining())
    }

    fn note(&mut self, note: Note) {
        self.actions.push_back(Action::Note(note));
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }
}

fn starting(uid: u32, user: UserName) -> SessionInfo {
    SessionInfo {
        uid,
        user,
        logind: None,
        state: State::Starting,
        desktop: Default::default(),
        wayland_display: Default::default(),
        started: 0,
        leader_pid: 0,
        worker_pid: 0,
        client: None,
    }
}
