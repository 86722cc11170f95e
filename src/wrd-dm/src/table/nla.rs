//! What NLA does to a connection: its challenge, who is proven, and what that forbids afterwards.
//!
//! Always true: one challenge and one answer a connection; every refusal is told in the same time, whatever was wrong;
//! a proven name lets nobody in, it only keeps out everybody else, by uid.

use super::connection::{Outcome, Stage};
use super::{Action, Note, Table, Timing};
use std::time::{Duration, Instant};
use wrd_proto::gate::{NtlmVerdict, SessionKey};
use wrd_proto::{ConnectionId, Line, UserName};

/// The account behind a name that was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    pub uid: u32,
    pub name: UserName,
}

/// A connection's NLA.
#[derive(Debug, Default)]
pub(super) struct Nla {
    challenge: Option<[u8; 8]>,
    proven: Option<Proven>,
}

impl Nla {
    /// Whether the login of `uid` may be this connection's.
    pub fn admits(&self, uid: u32) -> bool {
        self.proven.as_ref().is_none_or(|proven| proven.uid == uid)
    }
}

impl Table {
    /// The challenge that was made for [`Action::Challenge`].
    pub fn challenged(&mut self, id: ConnectionId, challenge: [u8; 8]) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.nla.challenge = Some(challenge);
        }
    }

    /// For [`Action::Judge`], once: what the client has answered to.
    pub fn take_challenge(&mut self, id: ConnectionId) -> Option<[u8; 8]> {
        self.connections.get_mut(&id)?.nla.challenge.take()
    }

    /// The client knows the password of `proven`.
    pub fn proven(&mut self, id: ConnectionId, proven: Proven, key: SessionKey) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.stage != Stage::Proving {
            return;
        }
        connection.stage = Stage::Proven;
        let (uid, user, client) = (proven.uid, proven.name.clone(), connection.client.clone());
        connection.nla.proven = Some(proven);
        self.note(Note::Proven { id, client, uid, user });
        self.act(Action::TellVerdict(id, NtlmVerdict::Proven(key)));
    }

    /// The client's answer is refused. It hears that at a time that says nothing about why.
    pub fn not_proven(&mut self, id: ConnectionId, user: UserName, text: Line, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.stage != Stage::Proving {
            return;
        }
        (connection.stage, connection.outcome) = (Stage::Disproven, Outcome::Denied);
        let at = now + Timing::REFUSAL;
        connection.deadline = Some(connection.deadline.map_or(at, |deadline| deadline.min(at)));
        let client = connection.client.clone();
        self.note(Note::Denied { id, client, user, text, pause: Duration::ZERO });
    }

    /// What is left for the gate is to tell its client and to end.
    pub(super) fn tell_refusal(&mut self, id: ConnectionId, now: Instant) {
        self.act(Action::TellVerdict(id, NtlmVerdict::Refused));
        self.over(id);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.deadline = Some(now + Timing::ANSWER);
        }
    }

    /// Who is proven, for the leader of its login.
    pub fn who_was_proven(&self, id: ConnectionId) -> Option<&Proven> {
        self.connections.get(&id)?.nla.proven.as_ref()
    }

    /// PAM has let in somebody else than NLA has proven. The leader compares names: this is one name with two uids, an
    /// account that was made anew since it was enrolled.
    pub(super) fn not_who_was_proven(&mut self, id: ConnectionId, uid: u32, user: UserName) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(proven) = connection.nla.proven.clone() else { return };
        connection.outcome = Outcome::Denied;
        // So that its leader is told; nobody is in the line of that session.
        connection.stage = Stage::Waiting(uid);
        let client = connection.client.clone();
        let text = format!("uid {uid} has logged in where uid {} was proven", proven.uid);
        self.note(Note::Denied { id, client, user, text: Line::truncated(&text), pause: Duration::ZERO });
        self.act(Action::Forget(proven));
        self.refuse(id, Line::truncated(ANOTHER));
    }

    /// PAM has refused the password that NLA has proven: it is no longer that of the account.
    pub(super) fn stale(&mut self, id: ConnectionId) {
        if let Some(proven) = self.who_was_proven(id).cloned() {
            self.act(Action::Forget(proven));
        }
    }
}

const ANOTHER: &str = "This account is not the one that was enrolled. Log in again.";
