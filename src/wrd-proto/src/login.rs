//! Gate ↔ leader: the credentials of one login. The monitor makes this socket and never reads it.
//!
//! The gate sends `Credentials`, the leader answers `Denied` (and, while `may_retry`, waits for the
//! next `Credentials`) or `Accepted`. After `Accepted` the link comes from the monitor, or
//! `SessionFailed` from here. Closing the socket cancels.

use crate::{Line, Secret, UserName};
use serde::{Deserialize, Serialize};

/// From the gate to the leader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromGate {
    /// `domain` is what the client sent beside the name (may be empty; policy is the leader's).
    Credentials { user: UserName, domain: UserName, password: Secret },
}

/// From the leader to the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLeader {
    /// PAM (or the one-time password) said no. `text` is for the user's screen.
    Denied { text: Line, may_retry: bool },
    /// The user is authenticated; the session is being found or started.
    Accepted,
    /// The user is authenticated but there is no session for them, and why.
    SessionFailed { text: Line },
}
