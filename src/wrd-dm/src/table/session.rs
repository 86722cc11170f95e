//! One session per uid: who starts it, who waits for it, and how a connection gets attached.

use super::connection::{Leader, Stage, text};
use super::reconnect::Expected;
use super::requests::{self, Asked};
use super::{Action, Note, Table, Timing, starting};
use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::time::Instant;
use wrd_proto::leader::ToLeader;
use wrd_proto::session::{FromSession, SessionInfo, State, ToSession};
use wrd_proto::{ConnectionId, Line, UserName};

/// What is known of the session of a uid, and who stands in line for it.
#[derive(Debug)]
pub struct Session {
    phase: Phase,
    asked: Asked,
    origin: Origin,
    pub(super) user: UserName,
    info: Option<SessionInfo>,
    /// Why it is ending, where it said so.
    reason: Option<Line>,
    waiting: VecDeque<ConnectionId>,
    /// The connection whose link was offered; one at a time.
    attaching: Option<ConnectionId>,
    pub(super) deadline: Option<Instant>,
    /// What the client attached last may come back with.
    pub(super) cookie: Option<Expected>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is being looked for.
    Absent,
    /// This connection's leader was told to start it.
    Starting(ConnectionId),
    /// Its socket is connected; it has yet to describe itself.
    Joining,
    Live,
    /// No more connections; its socket closes when it has ended.
    Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Started,
    Found,
}

/// What a look for a session's socket found.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked {
    /// Connected, by a peer that may be a leader; `Describe` was not sent yet.
    Found,
    Missing,
    /// There is something, and it cannot be used.
    Unusable(Line),
}

/// Why a session cannot do that now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    NoSession,
    Starting,
    NothingAttached,
}

impl Session {
    fn new(user: UserName) -> Self {
        Self {
            phase: Phase::Absent,
            asked: Asked::default(),
            origin: Origin::Found,
            user,
            info: None,
            reason: None,
            waiting: VecDeque::new(),
            attaching: None,
            deadline: None,
            cookie: None,
        }
    }

    pub(super) fn is_joining(&self) -> bool {
        matches!(self.phase, Phase::Joining) && self.deadline.is_some()
    }

    pub(super) fn is_attached(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.client.is_some())
    }

    pub(super) fn describe(&self, uid: u32) -> SessionInfo {
        let mut info = self.info.clone().unwrap_or_else(|| starting(uid, self.user.clone()));
        if self.phase == Phase::Ending {
            info.state = State::Ending;
        }
        info
    }
}

impl Table {
    /// Takes note of a session that may be there (its socket was seen).
    pub fn discover(&mut self, uid: u32) {
        if let Entry::Vacant(vacant) = self.sessions.entry(uid) {
            vacant.insert(Session::new(UserName::default()));
            self.act(Action::Look(uid));
        }
    }

    /// The answer to [`Action::Look`].
    pub fn looked(&mut self, uid: u32, looked: Looked, now: Instant) {
        let Some(session) = self.sessions.get_mut(&uid) else { return };
        if session.phase != Phase::Absent {
            return;
        }
        match looked {
            Looked::Found => {
                session.phase = Phase::Joining;
                session.deadline = Some(now + Timing::ANSWER);
                self.act(Action::TellSession(uid, ToSession::Describe));
            }
            Looked::Missing => self.start(uid, now),
            Looked::Unusable(reason) => {
                self.refuse_all(uid, &reason);
                self.sessions.remove(&uid);
            }
        }
    }

    /// A session's leader tells something.
    pub fn session_says(&mut self, uid: u32, message: FromSession, now: Instant) {
        let Some(session) = self.sessions.get_mut(&uid) else { return };
        if let Err(fault) = requests::of_session(&message).check(session.phase, &mut session.asked) {
            return self.session_broken(uid, &fault);
        }
        match message {
            FromSession::Description(info) | FromSession::Changed(info) => self.described(uid, info, now),
            FromSession::Attached { connection } if session.attaching == Some(connection) => {
                session.attaching = None;
                session.deadline = None;
                self.attached(uid, connection);
                self.serve(uid, now);
            }
            FromSession::AttachRefused { connection, text } if session.attaching == Some(connection) => {
                session.attaching = None;
                session.deadline = None;
                let ending = session.phase == Phase::Ending;
                self.not_attached(uid, connection, ending.then_some(()).ok_or(text));
                self.serve(uid, now);
            }
            // A link that was given up on; the worker finds it closed.
            FromSession::Attached { .. } | FromSession::AttachRefused { .. } => {}
            FromSession::Ending { reason } => {
                session.reason = Some(reason);
                self.ending(uid, now);
            }
            FromSession::Left { connection } => self.client_left(uid, connection),
        }
    }

    /// What speaks for this session does not keep to the protocol, or cannot be understood: it is spoken to no
    /// more, and whoever waits for it is told.
    pub fn session_broken(&mut self, uid: u32, reason: &str) {
        self.note(Note::SessionFault { uid, reason: reason.to_owned() });
        let attaching = self.sessions.get_mut(&uid).and_then(|session| session.attaching.take());
        if let Some(id) = attaching {
            self.not_attached(uid, id, Err(text(BROKEN)));
        }
        self.refuse_all(uid, BROKEN);
        self.session_left(uid);
    }

    /// A session's socket closed: the session has ended.
    pub fn session_left(&mut self, uid: u32) {
        let Some(session) = self.sessions.get_mut(&uid) else { return };
        if matches!(session.phase, Phase::Absent | Phase::Starting(_)) {
            return;
        }
        session.phase = Phase::Absent;
        session.asked = Asked::default();
        session.origin = Origin::Found;
        session.deadline = None;
        session.cookie = None;
        let known = session.info.take();
        let reason = session.reason.take().unwrap_or_else(|| text("its leader ended"));
        let attaching = session.attaching.take();
        self.act(Action::DropSession(uid));
        if let Some(info) = known {
            self.note(Note::SessionEnded { uid, user: info.user, reason });
        }
        if let Some(id) = attaching {
            self.not_attached(uid, id, Ok(()));
        }
        self.look_again(uid);
    }

    /// Ends the attached connection of a session.
    pub fn disconnect(&mut self, uid: u32) -> Result<(), NotNow> {
        let session = self.sessions.get_mut(&uid).ok_or(NotNow::NoSession)?;
        // Also of a client whose line was cut.
        session.cookie = None;
        match session.phase {
            Phase::Absent | Phase::Starting(_) | Phase::Joining => Err(NotNow::Starting),
            _ if !session.is_attached() => Err(NotNow::NothingAttached),
            _ => {
                self.act(Action::TellSession(uid, ToSession::Disconnect));
                Ok(())
            }
        }
    }

    /// Ends a session.
    pub fn terminate(&mut self, uid: u32) -> Result<(), NotNow> {
        let session = self.sessions.get_mut(&uid).ok_or(NotNow::NoSession)?;
        session.cookie = None;
        match session.phase {
            Phase::Absent | Phase::Starting(_) => Err(NotNow::Starting),
            Phase::Joining | Phase::Live | Phase::Ending => {
                self.act(Action::TellSession(uid, ToSession::Terminate));
                Ok(())
            }
        }
    }

    /// A login of this uid is authenticated.
    pub(super) fn wait_for_session(&mut self, uid: u32, id: ConnectionId, user: UserName, now: Instant) {
        match self.sessions.get_mut(&uid) {
            Some(session) => {
                session.waiting.push_back(id);
                self.serve(uid, now);
            }
            None => {
                let mut session = Session::new(user);
                session.waiting.push_back(id);
                self.sessions.insert(uid, session);
                self.act(Action::Look(uid));
            }
        }
    }

    /// The leader that was told to start the session says that it is there.
    pub(super) fn session_ready(&mut self, uid: u32, id: ConnectionId) {
        // From here on it is spoken to over its own socket, as after a restart of the monitor.
        self.drop_leader(id);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.stage = Stage::Waiting(uid);
        let wants = connection.is_wanted();
        if !wants {
            connection.stage = Stage::Over;
            self.forget(id);
        }
        let Some(session) = self.sessions.get_mut(&uid) else { return };
        if wants {
            session.waiting.push_front(id);
        }
        session.phase = Phase::Absent;
        session.origin = Origin::Started;
        session.deadline = None;
        self.act(Action::Look(uid));
    }

    /// The start of a session came to nothing: whoever waits gets a chance of their own.
    pub(super) fn start_failed(&mut self, uid: u32, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.stage = Stage::Over;
            self.forget(id);
        }
        let Some(session) = self.sessions.get_mut(&uid) else { return };
        if session.phase == Phase::Starting(id) {
            session.phase = Phase::Absent;
            session.deadline = None;
            self.look_again(uid);
        }
    }

    /// A connection that was waiting is over.
    pub(super) fn leave_line(&mut self, uid: u32, id: ConnectionId) {
        let Some(session) = self.sessions.get_mut(&uid) else { return };
        session.waiting.retain(|waiting| *waiting != id);
        if session.waiting.is_empty() && session.phase == Phase::Ending && session.attaching.is_none() {
            session.deadline = None;
        }
    }

    /// The deadline of a session has passed.
    pub(super) fn session_late(&mut self, uid: u32, now: Instant) {
        let Some(session) = self.sessions.get_mut(&uid) else { return };
        session.deadline = None;
        match session.phase {
            Phase::Absent => {}
            Phase::Starting(id) => {
                self.note(Note::SessionFault { uid, reason: "it did not start in time".to_owned() });
                self.refuse(id, text("Your session did not start in time."));
                self.drop_leader(id);
                self.start_failed(uid, id);
            }
            Phase::Joining => {
                self.note(Note::SessionFault { uid, reason: "it does not describe itself".to_owned() });
                self.refuse_all(uid, "Your session does not answer.");
            }
            Phase::Live => {
                if let Some(id) = session.attaching.take() {
                    self.note(Note::SessionFault { uid, reason: "it does not take the connection".to_owned() });
                    self.not_attached(uid, id, Err(text("Your session does not answer.")));
                }
                self.serve(uid, now);
            }
            Phase::Ending => {
                let attaching = session.attaching.take();
                if let Some(id) = attaching {
                    self.not_attached(uid, id, Err(text("Your session is ending. Try again in a moment.")));
                }
                self.refuse_all(uid, "Your previous session is still ending. Try again in a moment.");
            }
        }
    }

    /// Goes on with the line of a session, as far as its phase allows now.
    fn serve(&mut self, uid: u32, now: Instant) {
        let Some(session) = self.sessions.get_mut(&uid) else { return };
        match session.phase {
            Phase::Absent | Phase::Starting(_) => {}
            Phase::Joining if session.waiting.is_empty() => {}
            // It did not answer before; this login asks once more how it is.
            Phase::Joining => session.deadline = session.deadline.or(Some(now + Timing::ANSWER)),
            Phase::Ending if session.waiting.is_empty() => {}
            Phase::Ending => session.deadline = session.deadline.or(Some(now + Timing::ENDING)),
            Phase::Live => {
                if session.attaching.is_some() {
                    return;
                }
                let Some(id) = session.waiting.pop_front() else { return };
                session.attaching = Some(id);
                session.deadline = Some(now + Timing::ANSWER);
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.stage = Stage::Attaching(uid);
                    let client = connection.client.clone();
                    self.act(Action::Attach { uid, id, client });
                }
            }
        }
    }

    /// There is no session: the first in line whose leader is still there starts one.
    fn start(&mut self, uid: u32, now: Instant) {
        loop {
            let Some(session) = self.sessions.get_mut(&uid) else { return };
            let Some(id) = session.waiting.pop_front() else {
                self.sessions.remove(&uid);
                return;
            };
            match self.connections.get_mut(&id) {
                // PAM has seen no password of whoever comes back: that opens no session.
                Some(connection) if connection.back.is_some() => {
                    self.refuse(id, text("Your session has ended. Log in again to start another one."));
                }
                Some(connection) if connection.leader == Leader::Speaks => {
                    connection.stage = Stage::Starting(uid);
                    session.phase = Phase::Starting(id);
                    session.user = connection.user.clone().unwrap_or_default();
                    session.deadline = Some(now + self.timing.start);
                    return self.act(Action::TellLeader(id, ToLeader::StartSession));
                }
                _ => self.refuse(id, text("Your session ended as soon as it had started.")),
            }
        }
    }

    /// Somebody may still wait, or the session may be there after all (a leader of an earlier monitor).
    fn look_again(&mut self, uid: u32) {
        if self.sessions.get(&uid).is_some_and(|session| session.waiting.is_empty()) {
            self.sessions.remove(&uid);
        } else {
            self.act(Action::Look(uid));
        }
    }

    fn described(&mut self, uid: u32, info: SessionInfo, now: Instant) {
        if info.uid != uid {
            return self.session_broken(uid, "it says it is the session of another uid");
        }
        // Ids stay unique beside connections that an earlier monitor accepted.
        if let Some(client) = &info.client {
            self.last_id = self.last_id.max(client.connection.0);
        }
        let Some(session) = self.sessions.get_mut(&uid) else { return };
        session.user = info.user.clone();
        let state = info.state;
        if let Some(cookie) = &mut session.cookie {
            cookie.follow(&info, now);
        }
        let attached = info.client.as_ref().map(|client| client.connection);
        session.info = Some(info);
        if session.phase == Phase::Joining {
            session.phase = Phase::Live;
            session.deadline = None;
            let user = session.user.clone();
            let origin = session.origin;
            self.note(match origin {
                Origin::Started => Note::SessionStarted { uid, user },
                Origin::Found => Note::SessionFound { uid, user },
            });
            if let Some(client) = attached {
                self.wants_cookie(uid, client);
            }
        }
        if state == State::Ending {
            return self.ending(uid, now);
        }
        self.serve(uid, now);
    }

    fn ending(&mut self, uid: u32, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&uid) {
            session.phase = Phase::Ending;
            session.cookie = None;
            self.serve(uid, now);
        }
    }

    fn attached(&mut self, uid: u32, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.stage != Stage::Attaching(uid) {
            return;
        }
        connection.stage = Stage::Linked(uid);
        if connection.leader == Leader::Speaks {
            self.act(Action::TellLeader(id, ToLeader::HandedOver));
            self.drop_leader(id);
        }
        self.act(Action::Link(id));
        self.wants_cookie(uid, id);
        self.note(Note::Attached { id, uid });
    }

    /// A link was not taken. `Ok` puts the connection back in front of the line where it can wait for the
    /// next session; `Err` is why it is refused.
    fn not_attached(&mut self, uid: u32, id: ConnectionId, why: Result<(), Line>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.stage != Stage::Attaching(uid) {
            return;
        }
        match why {
            Ok(()) if connection.leader == Leader::Speaks => {
                connection.stage = Stage::Waiting(uid);
                self.act(Action::DropLink(id));
                if let Some(session) = self.sessions.get_mut(&uid) {
                    session.waiting.push_front(id);
                }
            }
            Ok(()) => self.refuse(id, text("Your session has ended.")),
            Err(text) => self.refuse(id, text),
        }
    }

    fn refuse_all(&mut self, uid: u32, reason: &str) {
        let waiting = self.sessions.get_mut(&uid).map(|session| std::mem::take(&mut session.waiting));
        for id in waiting.unwrap_or_default() {
            self.refuse(id, text(reason));
        }
    }
}

const BROKEN: &str = "Your session is out of order.";
