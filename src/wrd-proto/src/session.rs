//! Monitor ↔ session leader over `sessions/<uid>.sock` (root only). A monitor that was restarted
//! connects again and asks for `Describe`; the newest monitor is the one that counts.

use crate::reconnect::Cookie;
use crate::{Address, ConnectionId, Line, Text, UserName};
use serde::{Deserialize, Serialize};

/// From the monitor to a session's leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToSession {
    /// Answered with `Description`.
    Describe,
    /// A login of this uid. One descriptor: the worker's end of the link. Answered with `Attached`
    /// or `AttachRefused`; a connection that is attached already is told and closed first.
    Attach { connection: ConnectionId, client: Address },
    /// End the attached connection, keep the desktop.
    Disconnect,
    /// End the session.
    Terminate,
    /// For the client of this connection, where it is the attached one: what it may come back with.
    Cookie { connection: ConnectionId, cookie: Cookie },
}

/// From a session's leader to the monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromSession {
    Description(SessionInfo),
    /// The worker has the link.
    Attached {
        connection: ConnectionId,
    },
    AttachRefused {
        connection: ConnectionId,
        text: Line,
    },
    /// A client came or went, or changed its size: the whole description again.
    Changed(SessionInfo),
    /// The session is ending; the socket closes when it has ended.
    Ending {
        reason: Line,
    },
    /// The client of this connection has not lost its line: it said good-bye, or was sent away. Or it had, and the session
    /// was locked since then.
    Left {
        connection: ConnectionId,
    },
}

/// One session as `wrdctl` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    pub uid: u32,
    pub user: UserName,
    /// logind's id, where there is logind.
    pub logind: Option<Text<64>>,
    pub state: State,
    /// Name of the desktop (`XDG_SESSION_DESKTOP`).
    pub desktop: Text<64>,
    pub wayland_display: Text<64>,
    /// Seconds since the epoch.
    pub started: u64,
    pub leader_pid: u32,
    pub worker_pid: u32,
    /// The attached client.
    pub client: Option<AttachedClient>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedClient {
    pub connection: ConnectionId,
    pub address: Address,
    /// Seconds since the epoch.
    pub since: u64,
    /// Desktop size in physical px; 0×0 until the client has finished its activation.
    pub width: u16,
    pub height: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A first login is being served; there is no worker to attach to yet.
    Starting,
    Connected,
    Disconnected,
    Ending,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::Starting => "starting",
            State::Connected => "connected",
            State::Disconnected => "disconnected",
            State::Ending => "ending",
        })
    }
}
