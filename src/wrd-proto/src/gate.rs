//! Monitor ↔ gate.
//!
//! The stages, in order, which the monitor enforces (anything else ends the connection):
//! `Start` → at most one `Sign` → at most one `OpenLogin` → at most one `Link` → `Relaying`.
//! `Screen` comes once, before `OpenLogin` or behind it (a refused Client Info login ends on the screen).
//! `Failed` may come at any stage before `Relaying` and is the last message.

use crate::{Address, Bytes, ConnectionId, Line, Text};
use serde::{Deserialize, Serialize};

/// Most certificates in a chain that the monitor hands to a gate.
pub const MAX_CHAIN: usize = 8;

/// From the monitor to the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGate {
    /// The first message: what this connection is and may do.
    Start(Start),
    /// The signature over the message of the gate's `Sign`.
    Signature(Bytes<1024>),
    /// The answer to `OpenLogin`. One descriptor: the login socket (see [`crate::login`]).
    Login,
    /// The login is authenticated and its session takes it. One descriptor: the link, a stream socket
    /// (see [`crate::transcript`]).
    Link,
    /// What the gate asked for cannot be had; the text is for the user's screen.
    Refused(Line),
}

/// What a gate is told before it reads the first byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub connection: ConnectionId,
    pub client: Address,
    /// Name of this machine, for the login screen.
    pub host_name: Text<255>,
    /// DER, leaf first; at most [`MAX_CHAIN`].
    pub chain: Vec<Bytes<8192>>,
    /// TLS `SignatureScheme` code points that the monitor's key can sign with, best first (at most 8).
    pub schemes: Vec<u16>,
    /// Largest desktop this server draws, in physical px.
    pub max_width: u16,
    pub max_height: u16,
    /// How long the client may take to a finished login, or to the login screen and then as long again, in ms.
    pub login_deadline_ms: u32,
}

/// From the gate to the monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToMonitor {
    /// Sign this for the TLS handshake. Only the exact layouts of a TLS 1.3 CertificateVerify and a
    /// TLS 1.2 ECDHE ServerKeyExchange are signed, once per connection.
    Sign { scheme: u16, message: Bytes<512> },
    /// The login screen is shown from now on: somebody may take their time to type.
    Screen,
    /// There are credentials to try: a leader is wanted.
    OpenLogin,
    /// The transcript is written and the relay runs; the monitor is not needed any more.
    Relaying,
    /// The gate gives up; for the journal.
    Failed { stage: Stage, reason: Line },
}

/// How far a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// X.224 connection request and confirm.
    Negotiation,
    Tls,
    /// MCS, GCC, channel joins, Client Info.
    Connection,
    /// Credentials are being tried or typed.
    Login,
    Relay,
}
