//! Coming back to a session over a new line, without a password (MS-RDPBCGR 1.3.1.5, 5.5): what goes to the client, and
//! what comes back.
//!
//! TLS has no client random, and zeros stand in its place (5.5): whoever has heard either of the two has the right to
//! come back. Neither is ever logged.

use crate::Key;
use serde::{Deserialize, Serialize};

/// For the client that is attached now (ARC_SC_PRIVATE_PACKET, 2.2.4.2): made by the monitor, good for one return.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookie {
    /// Which cookie this is; says nothing about its session.
    pub logon_id: u32,
    /// ArcRandomBits.
    pub secret: Key,
}

/// What a client makes of its cookie (ARC_CS_PRIVATE_PACKET, 2.2.4.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub logon_id: u32,
    /// SecurityVerifier.
    pub verifier: Key,
}
