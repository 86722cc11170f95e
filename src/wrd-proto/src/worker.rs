//! Leader ↔ worker, over descriptor 3 of the worker.

use crate::reconnect::Cookie;
use crate::{Address, ConnectionId, Line, Text};
use serde::{Deserialize, Serialize};

/// From the leader to its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// One descriptor: the link. A connection that is attached is told (Set Error Info 0x5) and closed.
    Attach { connection: ConnectionId, client: Address },
    /// End the attached connection (Set Error Info 0x1), keep the desktop.
    Disconnect,
    /// End the session: tell the client (Set Error Info 0x2), close the applications, exit.
    Terminate,
    /// For the client of this connection, once it is active: Save Session Info.
    Cookie { connection: ConnectionId, cookie: Cookie },
}

/// From a worker to its leader. A worker runs with its user's rights: nothing here is believed beyond
/// what it says about the user's own session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The compositor listens and the desktop's command was started.
    Ready {
        wayland_display: Text<64>,
    },
    /// The desktop cannot start; the worker exits. The text is for the user's screen.
    Failed {
        text: Line,
    },
    /// A client has finished its activation, or changed its size (physical px).
    Attached {
        connection: ConnectionId,
        width: u16,
        height: u16,
    },
    Detached {
        connection: ConnectionId,
    },
    /// The user logged out, or the session's command ended.
    Ending {
        reason: Line,
    },
    /// Before `Detached`: the client has said good-bye or was sent away, which is no cut line. Behind it: the session was
    /// locked, and the client is not to come back without a password.
    Left {
        connection: ConnectionId,
    },
    /// The installed session that this is failed at once: the next login must choose it to have it again.
    Unusable,
}
