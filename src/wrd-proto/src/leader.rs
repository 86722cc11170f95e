//! Monitor ↔ leader, while a login is under way (the socket that `wrd-leader.socket` accepted, or
//! descriptor 0 of a leader that a stand-alone monitor started).
//!
//! `Begin` → (`Tries` → (`Asks` → `Answered`)… → `Denied`)… → `Authenticated` → one of
//! - `StartSession` → `SessionReady` | `SessionFailed`; the leader then lives on as the session's
//!   leader and is spoken to over `sessions/<uid>.sock` (see [`crate::session`]);
//! - `HandedOver`: another leader has the session, this one ends;
//! - `Refused`: the leader tells its gate and ends.

use crate::{Address, ConnectionId, Line, UserName};
use serde::{Deserialize, Serialize};

/// Most tries on one connection; the first is what the client had in its Client Info.
pub const MAX_TRIES: u32 = 5;

/// From the monitor to a leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToLeader {
    /// One descriptor: the leader's end of the login socket (see [`crate::login`]). Where NLA has proven a name,
    /// no other account's login is let in on this connection. Who is `returning` has shown the cookie of their session:
    /// PAM looks at that account once, without credentials, before anything is tried.
    Begin { connection: ConnectionId, client: Address, proven: Option<UserName>, returning: Option<UserName> },
    /// This uid has no session: open one and become its leader.
    StartSession,
    /// This uid's session has taken the connection.
    HandedOver,
    /// No session can take this login; the text is for the user's screen.
    Refused(Line),
}

/// From a leader to the monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLeader {
    /// PAM authenticated this user and their account may be used.
    Authenticated { uid: u32, user: UserName },
    /// The worker runs and `sessions/<uid>.sock` is listening.
    SessionReady,
    /// The session could not be started; the user's screen says the same text.
    SessionFailed { text: Line },
    /// The login was denied (for the journal and for counting), which the user is told only after so many ms; the leader
    /// goes on or closes.
    Denied { user: UserName, text: Line, pause_ms: u16 },
    /// NLA has proven a name, and PAM refuses the password that the client then delegated for it: what is enrolled for
    /// that account is out of date. At most once; `Denied` follows.
    Stale,
    /// The gate does not keep to the protocol of the login; the leader ends.
    Broken { reason: Line },
    /// Credentials are being tried: the first ones, others after a denial or, where a question was cancelled, without
    /// one. At most [`MAX_TRIES`] times.
    Tries,
    /// The user is asked something: until [`FromLeader::Answered`] or the next `Denied` this login waits for a person.
    /// At most [`crate::login::MAX_QUESTIONS`] times.
    Asks,
    /// The user has answered: this login is being tried on.
    Answered,
}
