//! The other end of a message socket of what is tried: it says any bytes, and understands what it hears.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeTuple, Serializer};
use std::os::fd::{AsFd, BorrowedFd};
use wrd_sys::channel::Blocking;
use wrd_sys::{Channel, ChannelError, RawChannel};

/// `Rx` is what the side that is tried says.
pub struct Peer<Rx>(Option<Channel<Raw, Rx>>);

/// A frame that need not be a message.
pub struct Raw(Vec<u8>);

impl<Rx: DeserializeOwned> Peer<Rx> {
    /// The end for what is tried, and the other.
    pub fn pair() -> (RawChannel, Self) {
        let (theirs, ours) = RawChannel::pair().expect("sockets can be made");
        let ours = ours.typed();
        ours.set_nonblocking(Blocking::No).expect("a socket can be told not to wait");
        (theirs, Self(Some(ours)))
    }

    /// Where nobody listens any more, or has not listened for long, it is lost.
    pub fn says(&self, frame: &[u8], descriptors: &[BorrowedFd<'_>]) {
        if let Some(channel) = &self.0 {
            let _ = channel.send_fds(&Raw(frame.to_vec()), descriptors);
        }
    }

    /// What was said to it since the last time, all of it messages without a descriptor.
    pub fn hears(&self) -> Vec<Rx> {
        let (mut heard, mut ends) = (Vec::new(), 0);
        // Looked at before it is read, which takes and wipes room for the longest message.
        while let Some(channel) = self.0.as_ref().filter(|channel| is_readable(channel.as_fd())) {
            match channel.recv() {
                Ok(message) => heard.push(message),
                // Where it went without having read everything, that is said before what it has said last.
                Err(ChannelError::Closed) if ends == 0 => ends += 1,
                Err(ChannelError::Closed) => break,
                Err(error) => panic!("{error} of what is tried"),
            }
        }
        heard
    }

    pub fn goes(&mut self) {
        self.0 = None;
    }
}

fn is_readable(socket: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(socket, PollFlags::POLLIN)];
    loop {
        match poll(&mut polled, PollTimeout::ZERO) {
            Ok(ready) => return ready > 0,
            // libFuzzer's clock.
            Err(Errno::EINTR) => {}
            Err(errno) => panic!("a socket cannot be looked at: {errno}"),
        }
    }
}

impl Serialize for Raw {
    /// As postcard has it: bytes, and no length before them.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| tuple.serialize_element(byte))?;
        tuple.end()
    }
}

/// A byte of a script.
pub fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (byte, behind) = rest.split_first()?;
    *rest = behind;
    Some(*byte)
}

/// A frame in a script: its length (1 byte) and bytes.
pub fn frame<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = byte(rest).unwrap_or_default();
    let (frame, behind) = rest.split_at(rest.len().min(length.into()));
    *rest = behind;
    frame
}
