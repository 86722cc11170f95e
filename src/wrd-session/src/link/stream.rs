//! The socket of a link: non-blocking, whole PDUs in, [`Outbox`] out.

use super::outbox::{Flushed, Outbox};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use wrd_rdp::framing::{FramingError, PduBuffer};

/// See the module.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    pub input: PduBuffer,
    pub output: Outbox,
}

/// What one read gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    Bytes,
    /// Nothing for now.
    Nothing,
    /// The other side has closed.
    End,
}

#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Framing(#[from] FramingError),
}

/// Bytes read at once; one turn of the loop reads so much, then others have theirs.
pub const READ: usize = 64 * 1024;

impl Stream {
    pub fn new(link: OwnedFd) -> io::Result<Self> {
        let socket = UnixStream::from(link);
        socket.set_nonblocking(true)?;
        Ok(Self { socket, input: PduBuffer::default(), output: Outbox::default() })
    }

    /// Another descriptor of the same socket, for a second event source.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

    pub fn receive(&mut self) -> io::Result<Received> {
        let socket = &mut self.socket;
        loop {
            match self.input.fill(READ, |space| socket.read(space)) {
                Ok(0) => return Ok(Received::End),
                Ok(_) => return Ok(Received::Bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Nothing),
                Err(error) => return Err(error),
            }
        }
    }

    pub fn flush(&mut self) -> io::Result<Flushed> {
        let socket = &mut self.socket;
        self.output.flush(|slices| socket.write_vectored(slices))
    }

    /// Says that nothing more will be written.
    pub fn finish(&self) -> io::Result<()> {
        self.socket.shutdown(std::net::Shutdown::Write)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
