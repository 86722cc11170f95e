//! The messages between the processes of wrd-dm: types, limits, nothing else.
//!
//! Every socket between two processes has one module here, with both directions in it. A message is a
//! serde type in the postcard encoding, one message to a `SOCK_SEQPACKET` datagram; file descriptors
//! travel beside it (the doc comment of a variant says how many). Limits stand beside the message:
//! strings and byte strings are [`Text`] and [`Bytes`], whose length is checked while decoding.
//!
//! Always true: decoding arbitrary bytes neither panics nor allocates more than the frame's own size.
//! Deliberately absent: I/O, clocks, sockets, and any process's logic.

pub mod bounded;
pub mod control;
pub mod gate;
pub mod leader;
pub mod login;
pub mod names;
pub mod reconnect;
pub mod secret;
pub mod session;
pub mod transcript;
pub mod worker;

pub use bounded::{Bytes, Text, TooLong};
pub use secret::{Key, Secret};

use serde::{Deserialize, Serialize};

/// Largest message on any of our sockets, in bytes; longer ones are an error on either side.
pub const MAX_FRAME: usize = 64 * 1024;

/// Names one accepted connection, unique for the lifetime of a monitor; in every log line about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

impl std::fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A user name as typed or as the system knows it, in UTF-8.
pub type UserName = Text<256>;
/// One line for a person: the reason of a failure, shown on the screen and logged.
pub type Line = Text<512>;
/// A client's address, `ip` without port, as text (the form `PAM_RHOST` wants).
pub type Address = Text<64>;
