//! Coming back to a session without a password, by the cookie that its client was given (MS-RDPBCGR 5.5).
//!
//! Always true: a session has one cookie at most, that of the client attached last; it is good for one return, to that
//! session only, while the client is attached (it may know of the cut before we do) and for a while after its line was
//! cut; it is gone with the client's good-bye, with another client, and with the session. Nobody has a session started
//! by it: PAM has not seen a password. A restarted monitor knows no cookies, and makes new ones for the clients it finds
//! attached.

use super::connection::{Leader, Outcome, Stage};
use super::{Action, Note, Table};
use std::time::{Duration, Instant};
use wrd_proto::gate::Returning;
use wrd_proto::reconnect::Claim;
use wrd_proto::session::SessionInfo;
use wrd_proto::{ConnectionId, Line, UserName};

/// What a client has to present to come back to a session.
#[derive(Debug)]
pub(super) struct Expected {
    claim: Claim,
    /// Whose cookie it is.
    client: ConnectionId,
    /// Since when its line is known to be cut.
    cut: Option<Instant>,
}

impl Expected {
    /// Constant in time for all that is secret.
    fn is(&self, claim: &Claim, patience: Duration, now: Instant) -> bool {
        let in_time = match self.cut {
            Some(cut) => now.saturating_duration_since(cut) < patience,
            None => !patience.is_zero(),
        };
        self.claim == *claim && in_time
    }

    /// Takes note of who is attached.
    pub fn follow(&mut self, info: &SessionInfo, now: Instant) {
        if info.client.as_ref().is_none_or(|client| client.connection != self.client) {
            self.cut.get_or_insert(now);
        }
    }
}

/// Whose session a connection comes back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    pub uid: u32,
    pub name: UserName,
}

impl Table {
    /// The session of `uid` has a client that needs a cookie.
    pub(super) fn wants_cookie(&mut self, uid: u32, client: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&uid) {
            session.cookie = None;
            if !self.timing.reconnect.is_zero() {
                self.act(Action::MakeCookie { uid, client });
            }
        }
    }

    /// The cookie that was made for [`Action::MakeCookie`]: `claim` is what its client will make of it.
    pub fn cookie_made(&mut self, uid: u32, client: ConnectionId, claim: Claim) {
        if let Some(session) = self.sessions.get_mut(&uid) {
            session.cookie = Some(Expected { claim, client, cut: None });
        }
    }

    /// The client of this connection has left of its own will, or by ours.
    pub(super) fn client_left(&mut self, uid: u32, client: ConnectionId) {
        if let Some(session) = self.sessions.get_mut(&uid)
            && session.cookie.as_ref().is_some_and(|cookie| cookie.client == client)
        {
            session.cookie = None;
        }
    }

    /// A client presents a cookie. What is right is used up by that, whatever comes of it.
    pub(super) fn reconnect(&mut self, id: ConnectionId, claim: &Claim, now: Instant) {
        let patience = self.timing.reconnect;
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let found = self.sessions.iter_mut().find(|(uid, session)| {
            let right = session.cookie.as_ref().is_some_and(|cookie| cookie.is(claim, patience, now));
            right && connection.nla.admits(**uid)
        });
        let Some((uid, session)) = found else {
            connection.outcome = Outcome::Denied;
            let client = connection.client.clone();
            let (user, text) = (UserName::default(), Line::truncated(NO_COOKIE));
            self.note(Note::Denied { id, client, user, text, pause: Duration::ZERO });
            return self.act(Action::TellReconnect(id, Returning::Refused));
        };
        session.cookie = None;
        connection.back = Some(Back { uid: *uid, name: session.user.clone() });
        connection.stage = Stage::Login;
        connection.leader = Leader::Speaks;
        self.act(Action::TellReconnect(id, Returning::Granted));
        self.act(Action::OpenLeader(id));
    }

    /// Who comes back, for the leader of that login.
    pub fn who_is_back(&self, id: ConnectionId) -> Option<&Back> {
        self.connections.get(&id)?.back.as_ref()
    }

    /// The leader has found another account under the name of the one that has the session.
    pub(super) fn not_who_is_back(&mut self, id: ConnectionId, uid: u32, user: UserName) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.outcome = Outcome::Denied;
        // So that its leader is told; nobody is in the line of that session.
        connection.stage = Stage::Waiting(uid);
        let client = connection.client.clone();
        let text = format!("uid {uid} has come back to the session of another");
        self.note(Note::Denied { id, client, user, text: Line::truncated(&text), pause: Duration::ZERO });
        self.refuse(id, Line::truncated(ANOTHER));
    }
}

const NO_COOKIE: &str = "no session has this reconnect cookie now";
const ANOTHER: &str = "This account is not the one that has the session. Log in again.";
