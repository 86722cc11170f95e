//! The first block on a link: what the gate has read from the client so far, so that a worker can
//! bring a fresh acceptor to the same state.
//!
//! On the wire: length of the block as u32, little endian (at most [`MAX_TRANSCRIPT`]), then a
//! [`Transcript`] in postcard. Behind it whole RDP PDUs in both directions, nothing else.

use crate::Bytes;
use serde::{Deserialize, Serialize};

/// Largest transcript in bytes, its length field not counted.
pub const MAX_TRANSCRIPT: usize = 64 * 1024;
/// Most PDUs in a transcript (a client joins at most 31 static channels and three more).
pub const MAX_PDUS: usize = 64;

/// The client's side of the connection sequence up to and including Client Info.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transcript {
    /// The protocols the gate offered (`RDP_NEG_REQ` bits); the worker's acceptor gets the same.
    pub security: u32,
    /// Largest desktop the gate honours, physical px; the worker's acceptor gets the same.
    pub max_width: u16,
    pub max_height: u16,
    /// How far the client has been served with this transcript.
    pub progress: Progress,
    /// The Windows identifier of the keyboard layout that the user chose on the login screen, where they did; the
    /// worker takes none that is not in its list.
    pub layout: Option<u32>,
    /// Whole PDUs from the client in order, TLS taken off, the password in Client Info blanked.
    pub pdus: Vec<Bytes<MAX_TRANSCRIPT>>,
}

/// What the client has seen when the worker takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The client waits for licensing.
    Licensing,
    /// The login screen was drawn; the gate has sent Deactivate-All and the client waits for a new
    /// Demand Active. Late input of the old activation may still arrive and is dropped.
    Deactivated,
}
