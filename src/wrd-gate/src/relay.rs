//! The relay: whole PDUs between TLS and the link, both ways, until one side ends.
//!
//! Bounded: a side is not read while what came from it cannot go on. Nothing wakes up while nothing moves.
//! Always true: what the gate says itself (that the worker is gone) begins at a PDU boundary.

use crate::client::{Client, ClientError, Flushed, MOST_INCOMING, Stream};
use crate::deadline::{Deadline, WaitError, wait};
use crate::deadlines::Deadlines;
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use tracing::debug;
use wrd_proto::transcript::{MAX_TRANSCRIPT, Transcript};
use wrd_rdp::framing::PduBuffer;
use wrd_rdp::pdu::{self, EndReason};

/// How much is read from the link at once.
const CHUNK: usize = 64 * 1024;
/// Most bytes from the link that are held, beyond which it is not read.
const MOST_OUTGOING: usize = 256 * 1024;

/// Why the relay ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The worker said good-bye to the client.
    ByWorker,
    /// The link closed without a word; the client was told by the gate.
    WorkerLost,
    ByClient,
}

pub struct Relay {
    client: Client,
    link: UnixStream,
    /// From the worker to the client.
    outgoing: PduBuffer,
    link_ended: bool,
    /// The last whole PDU of the worker was the ultimatum.
    farewell: bool,
    /// The last whole PDU of the client was the ultimatum: the worker closes without a word.
    client_left: bool,
}

impl Relay {
    /// Hands the transcript over.
    pub fn begin(mut client: Client, link: OwnedFd, transcript: &Transcript, deadlines: &Deadlines) -> Result<Self> {
        let link = UnixStream::from(link);
        link.set_nonblocking(true)?;
        let block = wrd_sys::channel::encode(transcript).context("transcript")?;
        if block.len() > MAX_TRANSCRIPT {
            bail!("a transcript of {} bytes", block.len());
        }
        let deadline = Deadline::after(deadlines.hand_over);
        for mut bytes in [&u32::try_from(block.len())?.to_le_bytes()[..], &block[..]] {
            while !bytes.is_empty() {
                match send(&link, bytes) {
                    Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                    Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => {
                        wait(&mut [PollFd::new(link.as_fd(), PollFlags::POLLOUT)], Some(deadline))
                            .context("hand the transcript over")?;
                    }
                    Err(errno) => return Err(errno).context("hand the transcript over"),
                }
            }
        }
        client.set_patience(deadlines.stall);
        let outgoing = PduBuffer::default();
        Ok(Self { client, link, outgoing, link_ended: false, farewell: false, client_left: false })
    }

    /// Relays until the end. The client is given back for its orderly close.
    pub fn run(mut self) -> (Client, Result<End, ClientError>) {
        let end = self.turn_until_end();
        if let Ok(End::WorkerLost) = end {
            // Whatever the worker had begun and not finished is dropped: this is a boundary.
            let _ = self.client.queue(&pdu::end(EndReason::Crashed));
        }
        (self.client, end)
    }

    fn turn_until_end(&mut self) -> Result<End, ClientError> {
        loop {
            self.serve_client()?;
            self.serve_link()?;
            if self.link_ended && self.outgoing.found().is_empty() && !self.client.wants_write() {
                return Ok(match (self.farewell, self.client_left) {
                    (true, _) => End::ByWorker,
                    (false, true) => End::ByClient,
                    (false, false) => End::WorkerLost,
                });
            }
            let (from_client, from_link) = self.wait()?;
            if from_link {
                self.hear_link();
            }
            if from_client && self.client.receive()? == Stream::Ended {
                // What it said last still reaches the worker, as far as that takes it at once.
                self.serve_link()?;
                return Ok(End::ByClient);
            }
        }
    }

    /// Waits for whatever can move; says whether the client and the link can be read.
    fn wait(&mut self) -> Result<(bool, bool), ClientError> {
        let mut client_flags = PollFlags::empty();
        let mut link_flags = PollFlags::empty();
        client_flags.set(PollFlags::POLLIN, self.client.incoming.len() < MOST_INCOMING);
        client_flags.set(PollFlags::POLLOUT, self.client.wants_write());
        link_flags.set(PollFlags::POLLIN, !self.link_ended && self.outgoing.len() < MOST_OUTGOING);
        link_flags.set(PollFlags::POLLOUT, !self.link_ended && !self.client.incoming.found().is_empty());
        // Hang-up and error are reported without being asked for: a descriptor that nothing is wanted from stays
        // out, or a wait would come back at once, again and again.
        let sides = [(self.client.as_fd(), client_flags), (self.link.as_fd(), link_flags)];
        let mut fds: Vec<_> = sides.iter().filter(|s| !s.1.is_empty()).map(|s| PollFd::new(s.0, s.1)).collect();
        match wait(&mut fds, self.client.stalled()) {
            Ok(()) => {}
            Err(WaitError::TimedOut) => return Err(ClientError::TimedOut),
            Err(WaitError::Os(errno)) => return Err(ClientError::Io(errno.into())),
        }
        // They are seen by reading, too.
        let readable = PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR;
        let mut ready = fds.iter().map(|fd| fd.revents().is_some_and(|flags| flags.intersects(readable)));
        let mut is_ready = |flags: PollFlags| !flags.is_empty() && ready.next() == Some(true);
        Ok((is_ready(client_flags), is_ready(link_flags)))
    }

    /// Takes in what the worker sent.
    fn hear_link(&mut self) {
        while !self.link_ended && self.outgoing.len() < MOST_OUTGOING {
            let mut link = &self.link;
            match self.outgoing.fill(CHUNK, |spare| link.read(spare)) {
                Ok(0) => self.link_ended = true,
                // Less than was asked for: nothing more is there now.
                Ok(length) if length < CHUNK => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    debug!("the link ends: {error}");
                    self.link_ended = true;
                }
            }
        }
    }

    /// Encrypts what is whole, as soon as what was encrypted before is gone, and sends.
    fn serve_client(&mut self) -> Result<(), ClientError> {
        loop {
            if self.client.flush()? != Flushed::All {
                return Ok(());
            }
            if let Err(error) = self.outgoing.whole_pdus() {
                debug!("the worker sent no RDP: {error}");
                self.link_ended = true;
            }
            let run = self.outgoing.found();
            if run.is_empty() {
                return Ok(());
            }
            self.farewell = pdu::is_disconnect_ultimatum(self.outgoing.last_found());
            self.client.queue(run)?;
            let length = run.len();
            self.outgoing.consume(length);
        }
    }

    /// Writes what is whole to the worker, as far as it takes it.
    fn serve_link(&mut self) -> Result<(), ClientError> {
        self.client.incoming.whole_pdus()?;
        if !self.client.incoming.found().is_empty() {
            self.client_left = pdu::is_disconnect_ultimatum(self.client.incoming.last_found());
        }
        while !self.client.incoming.found().is_empty() {
            if self.link_ended {
                let length = self.client.incoming.found().len();
                self.client.incoming.consume(length);
                return Ok(());
            }
            match send(&self.link, self.client.incoming.found()) {
                Ok(length) => self.client.incoming.consume(length),
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                // The worker is gone; what it said before is still to be read.
                Err(errno) => {
                    debug!("the link takes nothing any more: {errno}");
                    let length = self.client.incoming.found().len();
                    self.client.incoming.consume(length);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn send(link: &UnixStream, bytes: &[u8]) -> nix::Result<usize> {
    use nix::sys::socket::{MsgFlags, send};
    use std::os::fd::AsRawFd;
    send(link.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)
}
