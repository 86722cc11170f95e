//! One connection: its stage, and what the requests of its gate and its leader lead to.

use super::nla::Nla;
use super::reconnect::Back;
use super::requests::{self, Asked, Decides, Rule};
use super::{Action, Note, Table, Timing};
use std::time::Instant;
use wrd_proto::gate::{self, Security, ToMonitor};
use wrd_proto::leader::{FromLeader, ToLeader};
use wrd_proto::{Address, ConnectionId, Line, UserName};

/// A connection from its accept until its gate is gone (or until the session it is starting is there).
#[derive(Debug)]
pub struct Connection {
    pub(super) client: Address,
    pub(super) since: Instant,
    pub(super) user: Option<UserName>,
    pub(super) security: Security,
    pub(super) nla: Nla,
    /// It comes back to a session; until its leader denies that.
    pub(super) back: Option<Back>,
    /// Since when it shows the login screen.
    screen: Option<Instant>,
    /// The user was asked something, which gives the login screen its time once more: once only, however much is
    /// asked.
    asked_user: bool,
    /// How it will have ended, should its gate end now.
    pub(super) outcome: Outcome,
    pub(super) stage: Stage,
    asked: Asked,
    pub(super) gate: Gate,
    /// Why its gate has given it up.
    last_word: Option<(gate::Stage, Line)>,
    pub(super) leader: Leader,
    pub(super) deadline: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// X.224 up to TLS.
    Unsigned,
    /// The one signature is given. NLA, a login or the login screen comes next, as this allows.
    Signed(Security),
    /// In NLA: the client has its challenge.
    Challenged,
    /// In NLA: the client's answer is being judged.
    Proving,
    /// In NLA: the answer was wrong, which the client is not told at once.
    Disproven,
    /// Behind NLA, up to Client Info, and on the login screen until there is something to try.
    Proven,
    /// On the login screen, without NLA, until there is something to try.
    Screen,
    /// Gate and leader speak with each other.
    Login,
    /// Authenticated; waits in the line of its session.
    Waiting(u32),
    /// Its leader was told to start the session.
    Starting(u32),
    /// Its link was offered to the session.
    Attaching(u32),
    /// The gate has the link.
    Linked(u32),
    Relaying(u32),
    /// Told why not, or being ended.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Runs,
    /// It has said its last word, and is about to end.
    Done,
    /// It has closed its channel, as it does by ending, which is yet to be seen.
    Closed,
    /// It is being killed, and told nothing any more.
    Killed,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leader {
    None,
    Speaks,
    Gone,
}

/// What a connection was to the source it came from. A fault of the gate's process itself is seen by
/// whoever reaps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went away, or was sent away, before it had tried any credentials.
    Left,
    /// Its credentials were refused.
    Denied,
    /// It took too long.
    Late,
    /// Its gate broke the rules.
    Broken,
    /// It was ended through no fault of its own.
    Unserved,
    /// It was authenticated.
    Authenticated,
}

impl Connection {
    /// How it will have ended, should its gate end now.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Authenticated; before that nothing about it is known to be true.
    pub fn is_authenticated(&self) -> bool {
        self.user.is_some()
    }

    /// Since when it shows the login screen to somebody who is not authenticated.
    pub fn at_screen(&self) -> Option<Instant> {
        self.screen.filter(|_| self.user.is_none())
    }

    /// It has a leader, and nobody is authenticated.
    pub fn is_trying(&self) -> bool {
        self.leader == Leader::Speaks && self.user.is_none()
    }

    /// Its end needs no further explanation: it said why, or we ended it.
    pub fn is_explained(&self) -> bool {
        matches!(self.gate, Gate::Done | Gate::Killed) || self.stage == Stage::Over
    }

    /// Somebody is still there to get a desktop.
    pub(super) fn is_wanted(&self) -> bool {
        self.gate == Gate::Runs
    }

    /// Where and why its gate has given it up, if it has.
    pub fn last_word(&self) -> Option<&(gate::Stage, Line)> {
        self.last_word.as_ref()
    }

    pub fn client(&self) -> &Address {
        &self.client
    }

    /// Who is logged in, where somebody is.
    pub fn user(&self) -> Option<&UserName> {
        self.user.as_ref()
    }

    pub fn since(&self) -> Instant {
        self.since
    }
}

impl Table {
    /// The gate of an accepted connection is about to run; `id` is from [`Table::unused_id`].
    pub fn accepted(&mut self, id: ConnectionId, client: Address, security: Security, now: Instant) {
        let connection = Connection {
            client,
            since: now,
            user: None,
            security,
            nla: Nla::default(),
            back: None,
            screen: None,
            asked_user: false,
            outcome: Outcome::Left,
            stage: Stage::Unsigned,
            asked: Asked::default(),
            gate: Gate::Runs,
            last_word: None,
            leader: Leader::None,
            deadline: Some(now + self.timing.login + Timing::GRACE),
        };
        self.connections.insert(id, connection);
    }

    /// A name for a connection, never given to another.
    pub fn unused_id(&mut self) -> ConnectionId {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = ConnectionId(self.last_id);
            if !self.connections.contains_key(&id) {
                return id;
            }
        }
    }

    /// The gate asks or tells something.
    pub fn gate_says(&mut self, id: ConnectionId, message: ToMonitor, now: Instant) {
        let Some(connection) = self.connections.get(&id) else { return };
        let rule = requests::of_gate(&message);
        let served = match connection.gate {
            Gate::Runs => self.ask(id, rule, |table| table.serve_gate(id, message, now)),
            Gate::Done => Err(format!("{} after its last word", rule.name)),
            Gate::Closed | Gate::Killed | Gate::Gone => Ok(()),
        };
        if let Err(fault) = served {
            self.broken(id, &fault);
        }
    }

    /// The leader of a login tells something.
    pub fn leader_says(&mut self, id: ConnectionId, message: FromLeader, now: Instant) {
        if self.hears_leader(id)
            && let Err(fault) =
                self.ask(id, requests::of_leader(&message), |table| table.serve_leader(id, message, now))
        {
            self.broken(id, &format!("its leader said {fault}"));
            self.leader_left(id);
        }
    }

    /// Whether this connection still has a leader to hear of.
    pub fn hears_leader(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| connection.leader == Leader::Speaks)
    }

    /// Serves a request that the request table allows now; of another, says what is wrong with it.
    pub(super) fn ask(
        &mut self,
        id: ConnectionId,
        rule: &Rule<Stage>,
        serve: impl FnOnce(&mut Self),
    ) -> Result<(), String> {
        let Some(connection) = self.connections.get_mut(&id) else { return Ok(()) };
        let before = connection.is_authenticated();
        rule.check(connection.stage, &mut connection.asked)?;
        serve(self);
        let after = self.connections.get(&id).map_or(before, Connection::is_authenticated);
        if before != after && rule.decides == Decides::Nothing {
            return Err(format!("{}, which does not decide, and was let in", rule.name));
        }
        Ok(())
    }

    fn serve_gate(&mut self, id: ConnectionId, message: ToMonitor, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match message {
            ToMonitor::Sign { scheme, message } => {
                connection.stage = Stage::Signed(connection.security);
                self.act(Action::Sign { id, scheme, message });
            }
            ToMonitor::NtlmChallenge => {
                connection.stage = Stage::Challenged;
                self.act(Action::Challenge(id));
            }
            ToMonitor::NtlmProof(proof) => {
                connection.stage = Stage::Proving;
                self.act(Action::Judge(id, Box::new(proof)));
            }
            ToMonitor::Screen => {
                connection.screen = Some(now);
                if let Stage::Signed(_) = connection.stage {
                    connection.stage = Stage::Screen;
                }
                if !connection.is_authenticated() {
                    connection.deadline = Some(now + self.timing.screen + Timing::GRACE);
                }
            }
            ToMonitor::OpenLogin => {
                connection.stage = Stage::Login;
                connection.leader = Leader::Speaks;
                self.act(Action::OpenLeader(id));
            }
            ToMonitor::Reconnect(claim) => self.reconnect(id, &claim, now),
            ToMonitor::Relaying => {
                if let Stage::Linked(uid) = connection.stage {
                    connection.stage = Stage::Relaying(uid);
                }
                connection.deadline = None;
                self.act(Action::Release(id));
            }
            ToMonitor::Failed { stage, reason } => {
                connection.gate = Gate::Done;
                connection.last_word = Some((stage, reason));
                self.over(id);
            }
        }
    }

    fn serve_leader(&mut self, id: ConnectionId, message: FromLeader, now: Instant) {
        let client = self.connections.get(&id).map(|connection| &connection.client);
        if let Some(note) = client.and_then(|client| Note::of_leader(id, client, &message)) {
            self.note(note);
        }
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match message {
            FromLeader::Denied { .. } => {
                connection.outcome = Outcome::Denied;
                // What comes next is typed, and PAM sees it.
                connection.back = None;
            }
            FromLeader::Authenticated { uid, user } if !connection.nla.admits(uid) => {
                self.not_who_was_proven(id, uid, user);
            }
            FromLeader::Authenticated { uid, user } if connection.back.as_ref().is_some_and(|back| back.uid != uid) => {
                self.not_who_is_back(id, uid, user);
            }
            FromLeader::Authenticated { uid, user } => {
                connection.user = Some(user.clone());
                connection.outcome = Outcome::Authenticated;
                connection.stage = Stage::Waiting(uid);
                connection.deadline = Some(now + self.timing.session());
                let client = connection.client.clone();
                let note = match connection.back {
                    Some(_) => Note::Returned { id, client, uid, user: user.clone() },
                    None => Note::LoggedIn { id, client, uid, user: user.clone() },
                };
                self.note(note);
                self.wait_for_session(uid, id, user, now);
            }
            FromLeader::Tries => self.act(Action::Tries(id)),
            FromLeader::Stale => self.stale(id),
            FromLeader::Asks => {
                if !std::mem::replace(&mut connection.asked_user, true) && connection.is_wanted() {
                    connection.deadline = Some(now + self.timing.screen + Timing::GRACE);
                }
                self.act(Action::Asks(id));
            }
            FromLeader::Answered => self.act(Action::Answered(id)),
            FromLeader::Broken { .. } => {
                connection.outcome = Outcome::Broken;
                self.end_gate(id);
            }
            FromLeader::SessionReady => {
                if let Stage::Starting(uid) = connection.stage {
                    self.session_ready(uid, id);
                }
            }
            FromLeader::SessionFailed { text } => {
                // Gate and user hear it from the leader itself.
                if let Stage::Starting(uid) = connection.stage {
                    self.note(Note::Refused { id, text });
                    self.drop_leader(id);
                    self.start_failed(uid, id);
                }
            }
        }
    }

    /// The connection cannot go on, and its gate is not trusted to say so.
    pub fn broken(&mut self, id: ConnectionId, reason: &str) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.outcome = Outcome::Broken;
        let client = connection.client.clone();
        self.note(Note::Broken { id, client, reason: reason.to_owned() });
        self.end_gate(id);
    }

    /// The connection cannot go on, and neither it nor its gate is to blame.
    pub fn unserved(&mut self, id: ConnectionId, reason: &str) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.outcome == Outcome::Left {
            connection.outcome = Outcome::Unserved;
        }
        let client = connection.client.clone();
        self.note(Note::Unserved { id, client, reason: reason.to_owned() });
        self.end_gate(id);
    }

    /// The connection has to make room, for `reason`.
    pub fn turn_away(&mut self, id: ConnectionId, reason: &str) {
        let Some(connection) = self.connections.get(&id) else { return };
        let client = connection.client.clone();
        self.note(Note::TurnedAway { id, client, reason: reason.to_owned() });
        self.end_gate(id);
    }

    /// The gate has closed its channel. A moment later it must be gone.
    pub fn gate_closed(&mut self, id: ConnectionId, now: Instant) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.gate == Gate::Runs
        {
            connection.gate = Gate::Closed;
            connection.deadline = Some(now + Timing::GRACE);
        }
    }

    /// The gate's process is gone.
    pub fn gate_left(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.gate = Gate::Gone;
        connection.deadline = None;
        self.over(id);
        self.forget(id);
    }

    /// No leader could be had for this connection, or it may not keep the one that it has. That it leaves now is not held
    /// against it.
    pub fn login_failed(&mut self, id: ConnectionId, text: Line) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.leader = Leader::Gone;
            if connection.outcome == Outcome::Left {
                connection.outcome = Outcome::Unserved;
            }
            self.refuse(id, text);
        }
    }

    /// The leader of a login closed, or cannot be understood.
    pub fn leader_left(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.leader != Leader::Speaks {
            return;
        }
        connection.leader = Leader::Gone;
        self.act(Action::DropLeader(id));
        let Some(connection) = self.connections.get(&id) else { return };
        match connection.stage {
            // The gate hears of it on its own socket, and shows what the leader said last.
            Stage::Login => self.over(id),
            Stage::Waiting(_) => self.refuse(id, text("The login ended while its session was awaited.")),
            Stage::Starting(uid) => {
                self.refuse(id, text("Your session could not be started."));
                self.start_failed(uid, id);
            }
            _ => {}
        }
    }

    /// The deadline of a connection has passed.
    pub(super) fn connection_late(&mut self, id: ConnectionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.deadline = None;
        if connection.stage == Stage::Disproven && connection.gate == Gate::Runs {
            return self.tell_refusal(id, now);
        }
        if connection.gate == Gate::Closed {
            return self.broken(id, "its gate closed its channel and lives on");
        }
        if connection.outcome == Outcome::Left {
            connection.outcome = Outcome::Late;
        }
        let client = connection.client.clone();
        self.note(Note::Deadline { id, client });
        self.end_gate(id);
    }

    fn end_gate(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && matches!(connection.gate, Gate::Runs | Gate::Done | Gate::Closed)
        {
            connection.gate = Gate::Killed;
            self.act(Action::EndGate(id));
        }
        self.over(id);
    }

    /// Tells the user why there is no session, by the leader where it still speaks for us.
    pub(super) fn refuse(&mut self, id: ConnectionId, text: Line) {
        let Some(connection) = self.connections.get(&id) else { return };
        let gate = connection.gate;
        let by_leader =
            connection.leader == Leader::Speaks && matches!(connection.stage, Stage::Waiting(_) | Stage::Attaching(_));
        self.note(Note::Refused { id, text: text.clone() });
        if by_leader {
            self.act(Action::TellLeader(id, ToLeader::Refused(text)));
            self.drop_leader(id);
        } else if gate == Gate::Runs {
            self.act(Action::RefuseGate(id, text));
        }
        self.over(id);
    }

    /// Ends the part that this connection plays in the tables, but for a session that it is starting.
    pub(super) fn over(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match connection.stage {
            // Others may wait for this start, and the user may come back: the leader carries on.
            Stage::Starting(_) => return,
            Stage::Relaying(_) if connection.gate == Gate::Runs => return,
            _ => {}
        }
        let stage = std::mem::replace(&mut connection.stage, Stage::Over);
        self.drop_leader(id);
        match stage {
            Stage::Waiting(uid) => self.leave_line(uid, id),
            Stage::Attaching(_) => self.act(Action::DropLink(id)),
            _ => {}
        }
    }

    pub(super) fn drop_leader(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.leader == Leader::Speaks
        {
            connection.leader = Leader::Gone;
            self.act(Action::DropLeader(id));
        }
    }

    /// Removes what is left of a connection without a gate, unless it is starting a session.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        let gone = |c: &Connection| c.gate == Gate::Gone && !matches!(c.stage, Stage::Starting(_));
        if self.connections.get(&id).is_some_and(gone) {
            self.connections.remove(&id);
        }
    }
}

pub(super) fn text(text: &str) -> Line {
    Line::truncated(text)
}
