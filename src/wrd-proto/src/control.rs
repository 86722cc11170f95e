//! wrdctl ↔ monitor, over `/run/wrd-dm/control`. Callers are known by `SO_PEERCRED`: root may all, a
//! user only what is theirs. One request, then its responses, per connection.

use crate::session::SessionInfo;
use crate::{Line, Text, UserName};
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
    Error { kind: ErrorKind, text: Line },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    NotFound,
    NotPermitted,
    /// The session exists but cannot do that now (nothing is attached, it is still starting).
    WrongState,
    Internal,
}
