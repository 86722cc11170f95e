//! The monitor, as the gate sees it: a message socket, always with a deadline.

use crate::deadline::{Deadline, WaitError, wait};
use nix::poll::{PollFd, PollFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use wrd_proto::gate::{NtlmProof, NtlmVerdict, Returning, Stage, ToGate, ToMonitor};
use wrd_proto::reconnect::Claim;
use wrd_proto::{Bytes, Line};
use wrd_sys::channel::Blocking;
use wrd_sys::{Channel, ChannelError, RawChannel};

#[derive(Debug)]
pub struct Monitor {
    channel: Channel<ToMonitor, ToGate>,
    /// How long it may take for anything that needs nobody else.
    patience: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    #[error("the monitor")]
    Channel(#[from] ChannelError),
    #[error("the monitor")]
    Wait(#[from] WaitError),
    #[error("the monitor answered out of turn")]
    OutOfTurn,
    #[error("{0}")]
    Refused(Line),
}

impl Monitor {
    pub fn new(fd: OwnedFd, patience: Duration) -> Result<Self, ChannelError> {
        let channel = RawChannel::from(fd).typed();
        channel.set_nonblocking(Blocking::No)?;
        Ok(Self { channel, patience })
    }

    pub fn send(&self, message: &ToMonitor) -> Result<(), MonitorError> {
        let deadline = Deadline::after(self.patience);
        loop {
            match self.channel.send(message) {
                Err(ChannelError::WouldBlock) => {
                    wait(&mut [PollFd::new(self.channel.as_fd(), PollFlags::POLLOUT)], Some(deadline))?;
                }
                other => return Ok(other?),
            }
        }
    }

    /// The next message, waited for.
    pub fn receive(&self) -> Result<(ToGate, Option<OwnedFd>), MonitorError> {
        let deadline = Deadline::after(self.patience);
        loop {
            match self.channel.recv_fd() {
                Err(ChannelError::WouldBlock) => {
                    wait(&mut [PollFd::new(self.channel.as_fd(), PollFlags::POLLIN)], Some(deadline))?;
                }
                other => return Ok(other?),
            }
        }
    }

    /// The next message if one is there.
    pub fn try_receive(&self) -> Result<Option<(ToGate, Option<OwnedFd>)>, MonitorError> {
        match self.channel.recv_fd() {
            Ok(message) => Ok(Some(message)),
            Err(ChannelError::WouldBlock) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Has the monitor sign a TLS handshake.
    pub fn sign(&self, scheme: u16, message: &[u8]) -> Result<Vec<u8>, MonitorError> {
        let message = Bytes::try_from(message.to_vec()).map_err(|_| MonitorError::OutOfTurn)?;
        self.send(&ToMonitor::Sign { scheme, message })?;
        match self.receive()? {
            (ToGate::Signature(signature), None) => Ok(signature.into_vec()),
            (ToGate::Refused(line), _) => Err(MonitorError::Refused(line)),
            _ => Err(MonitorError::OutOfTurn),
        }
    }

    /// A challenge for the client's NLA.
    pub fn ntlm_challenge(&self) -> Result<[u8; 8], MonitorError> {
        self.send(&ToMonitor::NtlmChallenge)?;
        match self.receive()? {
            (ToGate::NtlmChallenge { challenge }, None) => Ok(challenge),
            (ToGate::Refused(line), _) => Err(MonitorError::Refused(line)),
            _ => Err(MonitorError::OutOfTurn),
        }
    }

    /// What the monitor thinks of the client's answer to it.
    pub fn ntlm_verdict(&self, proof: NtlmProof) -> Result<NtlmVerdict, MonitorError> {
        self.send(&ToMonitor::NtlmProof(proof))?;
        match self.receive()? {
            (ToGate::NtlmVerdict(verdict), None) => Ok(verdict),
            (ToGate::Refused(line), _) => Err(MonitorError::Refused(line)),
            _ => Err(MonitorError::OutOfTurn),
        }
    }

    /// Whether the client may come back to its session by this.
    pub fn reconnect(&self, claim: Claim) -> Result<Returning, MonitorError> {
        self.send(&ToMonitor::Reconnect(claim))?;
        match self.receive()? {
            (ToGate::Reconnect(returning), None) => Ok(returning),
            (ToGate::Refused(line), _) => Err(MonitorError::Refused(line)),
            _ => Err(MonitorError::OutOfTurn),
        }
    }

    /// Says that and why the gate gives up; whether the monitor is there to hear it.
    pub fn failed(&self, stage: Stage, reason: &str) -> bool {
        self.channel.send(&ToMonitor::Failed { stage, reason: Line::truncated(reason) }).is_ok()
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}
