//! wrdctl ↔ monitor, over `/run/wrd-dm/control`. Callers are known by `SO_PEERCRED`: root may all, a
//! user only what is theirs. One request, then its responses, per connection.

use crate::gate::Security;
use crate::session::SessionInfo;
use crate::{Bytes, Line, Text, UserName};
use serde::{Deserialize, Serialize};

/// From a caller to the monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Every session the caller may see: `Session` for each, then `Done`.
    List,
    /// `Session`, then `Done`.
    Show(Target),
    /// End the attached connection; `Done`.
    Disconnect(Target),
    /// End the session; `Done` once it is told to end.
    Terminate(Target),
    /// End every session (root only).
    TerminateAll,
    /// What an enrolment has to be sealed to: `EnrolmentKey`, then `Done`.
    EnrolmentKey,
    /// Keep this entry for NLA (see the crate `wrd-enrol`), which has the user's uid in it: the caller's own, or
    /// anybody's from root; `Done`. No password comes here.
    Enrol { user: UserName, sealed: Bytes<512> },
    /// Forget the entry of this user, or without a name those of the caller; `Done`.
    Forget { user: Option<UserName> },
    /// Every entry the caller may see: `Enrolled` for each, then `Done`.
    Enrolled,
    /// What this server answers whom with: `Listening` for each address, `Status`, then `Done`.
    Status,
}

/// Which session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    Uid(u32),
    User(UserName),
    /// logind's session id.
    Logind(Text<64>),
}

/// From the monitor to a caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    Session(SessionInfo),
    Done,
    Error {
        kind: ErrorKind,
        text: Line,
    },
    /// The text of a public key.
    EnrolmentKey(Text<128>),
    Enrolled(Enrolment),
    /// `ADDRESS:PORT`.
    Listening(Text<64>),
    Status(Status),
}

/// An entry of the store of NT hashes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    pub user: UserName,
    /// `None` where the entry does not say.
    pub uid: Option<u32>,
    /// Whether it can be used: it is whole, this user's, and sealed to the server's key.
    pub good: bool,
}

/// One server, as a caller may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub version: Text<64>,
    pub security: Security,
    /// SHA-256 of the certificate, as clients show it.
    pub fingerprint: Text<128>,
    /// The caller's, or everybody's for root; and how many of them a client is connected to.
    pub sessions: u32,
    pub connected: u32,
    /// Entries for NLA, counted alike; `None` where this server keeps none.
    pub enrolled: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    NotFound,
    NotPermitted,
    /// The session exists but cannot do that now (nothing is attached, it is still starting).
    WrongState,
    Internal,
    /// What was sent cannot be used.
    Invalid,
}
