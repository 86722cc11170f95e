//! Message sockets: `SOCK_SEQPACKET`, one postcard message to a datagram, descriptors beside it.
//!
//! A message longer than [`MAX_FRAME`] is an error on either side, a datagram that was cut is one too, and
//! so are more than [`MAX_FDS`] descriptors; whatever came with a message that is refused is closed. Buffers
//! are wiped, because a message may carry a password.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socketpair};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use zeroize::Zeroizing;

/// Largest message in bytes (the same figure as `wrd_proto::MAX_FRAME`).
pub const MAX_FRAME: usize = 64 * 1024;
/// Most descriptors beside one message.
pub const MAX_FDS: usize = 4;

/// What can go wrong on a message socket.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    #[error("the other side closed")]
    Closed,
    #[error("no message is waiting")]
    WouldBlock,
    #[error("a message of {0} bytes where at most {MAX_FRAME} are allowed")]
    TooLong(usize),
    #[error("a malformed message: {0}")]
    Malformed(postcard::Error),
    #[error("a message with {0} descriptors where {1} are due")]
    Descriptors(usize, usize),
    #[error(transparent)]
    Os(#[from] Errno),
}

impl From<ChannelError> for std::io::Error {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Os(errno) => errno.into(),
            ChannelError::WouldBlock => std::io::ErrorKind::WouldBlock.into(),
            ChannelError::Closed => std::io::ErrorKind::UnexpectedEof.into(),
            other => std::io::Error::new(std::io::ErrorKind::InvalidData, other),
        }
    }
}

/// An untyped message socket: what is passed around before it is known who speaks on it.
#[derive(Debug)]
pub struct RawChannel(OwnedFd);

impl RawChannel {
    /// A connected pair, close-on-exec, blocking.
    pub fn pair() -> Result<(Self, Self), Errno> {
        let (a, b) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(a), Self(b)))
    }

    /// Says who speaks: this side sends `Tx` and receives `Rx`.
    pub fn typed<Tx: Serialize, Rx: DeserializeOwned>(self) -> Channel<Tx, Rx> {
        Channel { fd: self.0, _types: PhantomData }
    }
}

impl From<OwnedFd> for RawChannel {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<RawChannel> for OwnedFd {
    fn from(channel: RawChannel) -> Self {
        channel.0
    }
}

impl AsFd for RawChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A message socket on which this side sends `Tx` and receives `Rx`.
#[derive(Debug)]
pub struct Channel<Tx, Rx> {
    fd: OwnedFd,
    _types: PhantomData<fn(Tx) -> Rx>,
}

impl<Tx: Serialize, Rx: DeserializeOwned> Channel<Tx, Rx> {
    /// Sends one message without descriptors. On a non-blocking socket a full queue is `WouldBlock`.
    pub fn send(&self, message: &Tx) -> Result<(), ChannelError> {
        self.send_fds(message, &[])
    }

    /// Sends one message with `fds` beside it (at most [`MAX_FDS`]).
    pub fn send_fds(&self, message: &Tx, fds: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        if fds.len() > MAX_FDS {
            return Err(ChannelError::Descriptors(fds.len(), MAX_FDS));
        }
        let frame = encode(message)?;
        let raw: Vec<RawFd> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
        let iov = [IoSlice::new(&frame)];
        loop {
            match sendmsg::<UnixAddr>(self.fd.as_raw_fd(), &iov, control, MsgFlags::MSG_NOSIGNAL, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(ChannelError::WouldBlock),
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Err(ChannelError::Closed),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Receives one message, which must come with no descriptor.
    pub fn recv(&self) -> Result<Rx, ChannelError> {
        match self.recv_fds()? {
            (message, fds) if fds.is_empty() => Ok(message),
            (_, fds) => Err(ChannelError::Descriptors(fds.len(), 0)),
        }
    }

    /// Receives one message and what descriptors came with it (close-on-exec; dropped means closed).
    pub fn recv_fds(&self) -> Result<(Rx, Vec<OwnedFd>), ChannelError> {
        let mut buffer = Zeroizing::new(vec![0u8; MAX_FRAME]);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        // Owns what the kernel puts there, which it does with as many as fit even where it says that it cut.
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = loop {
            let mut iov = [IoSliceMut::new(&mut buffer)];
            match recvmsg(&self.fd, &mut iov, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(message) => break message,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Err(ChannelError::WouldBlock),
                Err(rustix::io::Errno::CONNRESET) => return Err(ChannelError::Closed),
                Err(errno) => return Err(Errno::from_raw(errno.raw_os_error()).into()),
            }
        };
        let mut fds = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = part {
                fds.extend(rights);
            }
        }
        if message.flags.contains(ReturnFlags::CTRUNC) {
            // Too many, or more than this process may open.
            return Err(ChannelError::Descriptors(fds.len().saturating_add(1), fds.len()));
        }
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(ChannelError::TooLong(message.bytes));
        }
        if message.bytes == 0 && fds.is_empty() {
            return Err(ChannelError::Closed);
        }
        let frame = buffer.get(..message.bytes).unwrap_or_default();
        Ok((decode(frame)?, fds))
    }

    /// Receives a message with the one descriptor that belongs to it, or with none.
    pub fn recv_fd(&self) -> Result<(Rx, Option<OwnedFd>), ChannelError> {
        let (message, mut fds) = self.recv_fds()?;
        if fds.len() > 1 {
            return Err(ChannelError::Descriptors(fds.len(), 1));
        }
        Ok((message, fds.pop()))
    }

    pub fn set_nonblocking(&self, on: Blocking) -> Result<(), Errno> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        let mut flags = OFlag::from_bits_retain(fcntl(&self.fd, FcntlArg::F_GETFL)?);
        flags.set(OFlag::O_NONBLOCK, on == Blocking::No);
        fcntl(&self.fd, FcntlArg::F_SETFL(flags))?;
        Ok(())
    }

    pub fn into_raw(self) -> RawChannel {
        RawChannel(self.fd)
    }
}

impl<Tx, Rx> AsFd for Channel<Tx, Rx> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<Tx, Rx> AsRawFd for Channel<Tx, Rx> {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Whether calls on a socket wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    Yes,
    No,
}

/// One message as its datagram.
pub fn encode<T: Serialize>(message: &T) -> Result<Zeroizing<Vec<u8>>, ChannelError> {
    let frame = Zeroizing::new(postcard::to_stdvec(message).map_err(ChannelError::Malformed)?);
    if frame.len() > MAX_FRAME {
        return Err(ChannelError::TooLong(frame.len()));
    }
    Ok(frame)
}

/// One datagram as its message; bytes left over are an error.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, ChannelError> {
    if frame.len() > MAX_FRAME {
        return Err(ChannelError::TooLong(frame.len()));
    }
    match postcard::take_from_bytes(frame) {
        Ok((message, [])) => Ok(message),
        Ok(_) => Err(ChannelError::Malformed(postcard::Error::SerdeDeCustom)),
        Err(error) => Err(ChannelError::Malformed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout};
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    enum Message {
        Number(u32),
        Text(String),
    }

    fn pair() -> (Channel<Message, Message>, Channel<Message, Message>) {
        let (a, b) = RawChannel::pair().unwrap();
        (a.typed(), b.typed())
    }

    #[test]
    fn messages_and_descriptors_arrive_together() {
        let (a, b) = pair();
        let (extra, _other) = RawChannel::pair().unwrap();
        a.send(&Message::Number(7)).unwrap();
        a.send_fds(&Message::Text("x".into()), &[extra.as_fd()]).unwrap();
        assert_eq!(b.recv().unwrap(), Message::Number(7));
        let (message, fd) = b.recv_fd().unwrap();
        assert_eq!(message, Message::Text("x".into()));
        assert!(fd.is_some());
    }

    #[test]
    fn an_unexpected_descriptor_is_an_error() {
        let (a, b) = pair();
        let (extra, _other) = RawChannel::pair().unwrap();
        a.send_fds(&Message::Number(1), &[extra.as_fd()]).unwrap();
        assert!(matches!(b.recv(), Err(ChannelError::Descriptors(1, 0))));
    }

    /// A peer that sends more than a message may carry: nothing of it may stay open here.
    #[test]
    fn descriptors_that_are_refused_are_closed() {
        for count in [1, MAX_FDS, MAX_FDS + 1, 200] {
            let (a, b) = pair();
            // Its write end stays open as long as anybody has a copy of it.
            let (read, write) = nix::unistd::pipe().unwrap();
            let frame = encode(&Message::Number(1)).unwrap();
            let raw = vec![write.as_raw_fd(); count];
            let rights = [ControlMessage::ScmRights(&raw)];
            let iov = [IoSlice::new(&frame)];
            sendmsg::<UnixAddr>(a.as_raw_fd(), &iov, &rights, MsgFlags::empty(), None).unwrap();
            drop(write);
            assert!(matches!(b.recv(), Err(ChannelError::Descriptors(..))), "{count}");
            let mut poll = [PollFd::new(read.as_fd(), PollFlags::empty())];
            nix::poll::poll(&mut poll, PollTimeout::ZERO).unwrap();
            assert_eq!(poll[0].revents(), Some(PollFlags::POLLHUP), "of {count} one is left open");
        }
    }

    #[test]
    fn closing_and_garbage_and_length_are_told_apart() {
        let (a, b) = pair();
        assert!(matches!(a.send(&Message::Text("x".repeat(MAX_FRAME))), Err(ChannelError::TooLong(_))));
        nix::sys::socket::send(a.as_raw_fd(), &[9, 9, 9], MsgFlags::empty()).unwrap();
        assert!(matches!(b.recv(), Err(ChannelError::Malformed(_))));
        b.set_nonblocking(Blocking::No).unwrap();
        assert!(matches!(b.recv(), Err(ChannelError::WouldBlock)));
        drop(a);
        assert!(matches!(b.recv(), Err(ChannelError::Closed)));
    }

    #[test]
    fn bytes_behind_a_message_are_an_error() {
        let mut frame = encode(&Message::Number(1)).unwrap().to_vec();
        frame.push(0);
        assert!(decode::<Message>(&frame).is_err());
    }
}
