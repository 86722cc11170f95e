//! The client's socket, in clear and then under TLS: bytes in as PDUs, bytes out.
//!
//! The socket never blocks. Until the relay runs, reading and writing wait with a deadline; what comes in
//! is held up to [`MOST_INCOMING`], and nothing is read beyond that.

use crate::credssp;
use crate::deadline::{Deadline, WaitError, wait};
use nix::poll::{PollFd, PollFlags};
use nix::sys::socket::{setsockopt, sockopt};
use rustls::{ServerConfig, ServerConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use wrd_rdp::framing::{FramingError, MAX_PDU, PduBuffer};

/// Most bytes from the client that are held, beyond which its socket is not read.
pub const MOST_INCOMING: usize = 2 * MAX_PDU;
/// The X.224 connection request is the only PDU in clear; routing token and all it stays far below this.
const LONGEST_REQUEST: usize = 4096;

/// What rustls reads at once: when less came there is no more at present.
const TLS_READ: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the client disconnected")]
    Gone,
    #[error("the client took too long")]
    TimedOut,
    #[error("the client sent no RDP")]
    Framing(#[from] FramingError),
    #[error("the client sent no credssp")]
    CredSsp(#[from] credssp::DerError),
    #[error("tls")]
    Tls(#[from] rustls::Error),
    #[error("the client sent data before TLS was agreed on")]
    EarlyData,
    #[error("socket: {0}")]
    Io(std::io::Error),
}

impl From<WaitError> for ClientError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut => Self::TimedOut,
            WaitError::Os(errno) => Self::Io(errno.into()),
        }
    }
}

impl From<std::io::Error> for ClientError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => Self::Gone,
            // What the kernel says when keep-alive or the user time-out has given up.
            ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}

#[derive(Debug)]
pub struct Client {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// What came in and was not taken yet.
    pub incoming: PduBuffer,
    /// How long the client may take nothing of what is there for it.
    patience: Duration,
    /// Set while it takes nothing: when that has been too long.
    stalled: Option<Deadline>,
}

/// Whether the client may still send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Open,
    Ended,
}

/// How much of what was queued is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    All,
    Some,
    Nothing,
}

impl Client {
    /// `patience` is how long it may take nothing of what is there for it.
    pub fn new(fd: OwnedFd, patience: Duration) -> Result<Self, ClientError> {
        let socket = TcpStream::from(fd);
        socket.set_nonblocking(true)?;
        tune(&socket);
        let incoming = PduBuffer::with_limit(LONGEST_REQUEST);
        Ok(Self { socket, tls: None, incoming, patience, stalled: None })
    }

    /// From here on the client may leave its window closed for so long.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// When a client that takes nothing is given up.
    pub fn stalled(&self) -> Option<Deadline> {
        self.stalled
    }

    /// The next PDU, waited for.
    pub fn read_pdu(&mut self, deadline: Deadline) -> Result<Vec<u8>, ClientError> {
        self.read(deadline, |incoming| Ok(incoming.next_pdu()?.map(<[u8]>::to_vec)))
    }

    /// The next TSRequest, which comes where RDP's own framing is not spoken yet.
    pub fn read_ts_request(&mut self, deadline: Deadline) -> Result<Vec<u8>, ClientError> {
        self.read(deadline, |incoming| {
            let Some(length) = credssp::measure(incoming.rest())? else { return Ok(None) };
            let request = incoming.rest().get(..length).map(<[u8]>::to_vec);
            if request.is_some() {
                incoming.consume(length);
            }
            Ok(request)
        })
    }

    fn read(
        &mut self,
        deadline: Deadline,
        take: impl Fn(&mut PduBuffer) -> Result<Option<Vec<u8>>, ClientError>,
    ) -> Result<Vec<u8>, ClientError> {
        loop {
            if let Some(message) = take(&mut self.incoming)? {
                return Ok(message);
            }
            let before = self.incoming.len();
            let stream = self.receive()?;
            if self.incoming.len() > before {
                // Also before the end is reported: the last PDU may have come with it. For a client that has always said
                // more by now (while it becomes active what is not due is passed over) nobody below ever waits.
                if deadline.is_over() {
                    return Err(ClientError::TimedOut);
                }
                continue;
            }
            if stream == Stream::Ended {
                return Err(ClientError::Gone);
            }
            self.wait(PollFlags::POLLIN, deadline)?;
        }
    }

    /// Sends `bytes`, waiting until the kernel has taken them.
    pub fn send(&mut self, bytes: &[u8], deadline: Deadline) -> Result<(), ClientError> {
        if self.tls.is_some() {
            self.queue(bytes)?;
            while self.flush()? != Flushed::All {
                self.wait(PollFlags::POLLOUT, self.stalled.map_or(deadline, |stalled| stalled.min(deadline)))?;
            }
            return Ok(());
        }
        let mut left = bytes;
        while !left.is_empty() {
            match self.socket.write(left) {
                Ok(written) => left = left.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::POLLOUT, deadline)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Shakes hands. From here on everything is under TLS.
    pub fn start_tls(&mut self, config: Arc<ServerConfig>, deadline: Deadline) -> Result<(), ClientError> {
        // Bytes sent in clear must never be taken for bytes that came under TLS.
        if !self.incoming.is_empty() {
            return Err(ClientError::EarlyData);
        }
        let mut tls = Box::new(ServerConnection::new(config)?);
        tls.set_buffer_limit(None);
        self.tls = Some(tls);
        self.incoming.set_limit(MAX_PDU);
        loop {
            let flushed = self.flush()? == Flushed::All;
            let Some(tls) = &self.tls else { return Ok(()) };
            match (flushed, tls.is_handshaking()) {
                (true, false) => return Ok(()),
                (true, true) => self.wait(PollFlags::POLLIN, deadline)?,
                (false, _) => self.wait(PollFlags::POLLOUT, deadline)?,
            }
            if flushed && self.receive()? == Stream::Ended {
                return Err(ClientError::Gone);
            }
        }
    }

    /// Takes in what has arrived, without waiting.
    pub fn receive(&mut self) -> Result<Stream, ClientError> {
        let Some(tls) = self.tls.as_deref_mut() else {
            let mut socket = &self.socket;
            while self.incoming.len() < LONGEST_REQUEST {
                match self.incoming.fill(LONGEST_REQUEST, |spare| socket.read(spare)) {
                    Ok(0) => return Ok(Stream::Ended),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
            return Ok(Stream::Open);
        };
        while self.incoming.len() < MOST_INCOMING {
            let read = match tls.read_tls(&mut Forgetful(&self.socket)) {
                Ok(0) => return Ok(Stream::Ended),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // The alert that says why; if it cannot be sent, nothing more is lost.
                    let _ = tls.write_tls(&mut self.socket);
                    return Err(error.into());
                }
            };
            let length = state.plaintext_bytes_to_read();
            if length > 0 {
                self.incoming.fill(length, |spare| tls.reader().read(spare))?;
            }
            if state.peer_has_closed() {
                return Ok(Stream::Ended);
            }
            if read < TLS_READ {
                break;
            }
        }
        Ok(Stream::Open)
    }

    /// Encrypts `bytes` for [`Client::flush`] to send.
    pub fn queue(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let Some(tls) = self.tls.as_deref_mut() else { return Err(ClientError::EarlyData) };
        Ok(tls.writer().write_all(bytes)?)
    }

    /// Sends what is queued as far as the kernel takes it.
    pub fn flush(&mut self) -> Result<Flushed, ClientError> {
        let flushed = self.write_tls()?;
        match flushed {
            Flushed::All => self.stalled = None,
            Flushed::Some => self.stalled = Some(Deadline::after(self.patience)),
            Flushed::Nothing => drop(self.stalled.get_or_insert_with(|| Deadline::after(self.patience))),
        }
        if self.stalled.is_some_and(Deadline::is_over) { Err(ClientError::TimedOut) } else { Ok(flushed) }
    }

    fn write_tls(&mut self) -> Result<Flushed, ClientError> {
        let Some(tls) = self.tls.as_deref_mut() else { return Ok(Flushed::All) };
        let mut flushed = Flushed::Nothing;
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(_) => flushed = Flushed::Some,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(flushed),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Flushed::All)
    }

    /// Whether anything is queued.
    pub fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Protocol version and cipher suite, for the log.
    pub fn tls_summary(&self) -> String {
        let Some(tls) = &self.tls else { return "none".to_owned() };
        format!("{:?} {:?}", tls.protocol_version(), tls.negotiated_cipher_suite().map(|suite| suite.suite()))
            .replace("Some(", "")
            .replace(')', "")
    }

    /// Ends the connection so that what was sent last arrives: closing a socket that has unread bytes makes
    /// the kernel reset the connection, and the client then loses what it has not read yet.
    pub fn close(mut self, patience: Duration) {
        let deadline = Deadline::after(patience);
        if let Some(tls) = self.tls.as_deref_mut() {
            tls.send_close_notify();
        }
        while self.wants_write() && self.flush().is_ok_and(|flushed| flushed != Flushed::All) {
            if self.wait(PollFlags::POLLOUT, deadline).is_err() {
                return;
            }
        }
        let _ = self.socket.shutdown(Shutdown::Write);
        let mut scratch = [0; 4096];
        // A client that keeps sending is not waited for either.
        for _ in 0..256 {
            match self.socket.read(&mut scratch) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.wait(PollFlags::POLLIN, deadline).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn wait(&self, flags: PollFlags, deadline: Deadline) -> Result<(), ClientError> {
        Ok(wait(&mut [PollFd::new(self.socket.as_fd(), flags)], Some(deadline))?)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Reads into memory that it wipes first. rustls decrypts in place and leaves what it has decrypted where it is, behind
/// the end of what it holds, for the next bytes to be read there, which may be fewer than a password takes.
struct Forgetful<'a>(&'a TcpStream);

impl Read for Forgetful<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        buffer.fill(0);
        self.0.read(buffer)
    }
}

/// Latency first, and a client that vanished without a word is noticed within about two minutes. None of it
/// is essential: a socket that is no TCP (in tests) has none of these.
fn tune(socket: &TcpStream) {
    let ignore = |what: &str, result: nix::Result<()>| {
        if let Err(errno) = result {
            tracing::debug!("ignoring that {what} cannot be set: {errno}");
        }
    };
    ignore("TCP_NODELAY", setsockopt(socket, sockopt::TcpNoDelay, &true));
    ignore("SO_KEEPALIVE", setsockopt(socket, sockopt::KeepAlive, &true));
    ignore("TCP_KEEPIDLE", setsockopt(socket, sockopt::TcpKeepIdle, &60));
    ignore("TCP_KEEPINTVL", setsockopt(socket, sockopt::TcpKeepInterval, &15));
    ignore("TCP_KEEPCNT", setsockopt(socket, sockopt::TcpKeepCount, &4));
    ignore("TCP_USER_TIMEOUT", setsockopt(socket, sockopt::TcpUserTimeout, &120_000));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_client_that_is_never_silent_does_not_get_past_a_deadline() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (minute, pdu) = (Duration::from_secs(60), [3, 0, 0, 7, 2, 0xf0, 0x80]);
        let mut client = Client::new(ours.into(), minute).unwrap();
        theirs.write_all(&[pdu, pdu].concat()).unwrap();
        assert_eq!(client.read_pdu(Deadline::after(minute)).unwrap(), pdu);
        // What has come in time is there in time.
        let over = Deadline::after(Duration::ZERO);
        assert_eq!(client.read_pdu(over).unwrap(), pdu);
        theirs.write_all(&pdu).unwrap();
        assert!(matches!(client.read_pdu(over), Err(ClientError::TimedOut)));
    }
}
