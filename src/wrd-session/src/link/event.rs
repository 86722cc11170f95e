//! What comes out of a connection: events, errors, and the few words for how a client is shown pictures and
//! sent away.

use super::channels::MAX_MESSAGE;
use crate::source::{Rect, Size};
use wrd_rdp::acceptor::DriveError;
use wrd_rdp::input::{Input, InputError};
use wrd_rdp::pdu::EndReason;
use wrd_rdp::replay::ReplayError;

/// What a client did or became.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The activation is finished, for the first time or again; nothing is shown yet.
    Active,
    /// Pictures can be sent from here on, the client shows nothing, and it has lost its pointers.
    Ready(Show),
    Input(Vec<Input>),
    /// The client wants another desktop size (legal already).
    Resize(Size),
    /// The client does not want to be drawn to (its window is minimised), or wants it again.
    Output(Output),
    /// The client has lost what it showed here.
    Refresh(Vec<Rect>),
    Acknowledged {
        frame: u32,
        queue_depth: u32,
    },
    /// The client has said good-bye.
    Disconnected,
}

/// How this client is shown pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// [`super::Connection::frame`].
    Pipeline,
    /// [`super::Connection::bitmaps`].
    Bitmaps,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Wanted,
    Suppressed,
}

/// Encoded px and where they go.
#[derive(Clone, Debug)]
pub struct Pixels {
    pub target: Rect,
    pub data: Vec<u8>,
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("the transcript does not lead to a connection: {0}")]
    Replay(#[from] ReplayError),
    #[error("{0}")]
    Sequence(#[from] DriveError),
    #[error("malformed: {0}")]
    Malformed(ironrdp_core::DecodeError),
    #[error("{0}")]
    Input(#[from] InputError),
    #[error("on a virtual channel: {0}")]
    Channel(ironrdp_pdu::PduError),
    #[error("a channel message of {0} bytes, at most {max} are allowed", max = MAX_MESSAGE)]
    TooLong(u32),
    #[error("a compressed channel message, though compression was not offered")]
    Compressed,
    #[error("{0} bits a pixel, where 15, 16, 24 or 32 can be served")]
    Depth(u16),
    #[error("cannot be encoded: {0}")]
    Encode(ironrdp_core::EncodeError),
}

/// The last words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    Reason(EndReason),
    /// The client has sent what no client sends.
    NotUnderstood,
}
