//! One request and its answers over the control socket.

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::getuid;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use wrd_proto::control::{ErrorKind, Request, Response};
use wrd_proto::session::SessionInfo;
use wrd_sys::{Channel, ChannelError, RawChannel};

/// Why a command failed, in words for the person who gave it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{session}: {text}")]
    Of { session: String, kind: ErrorKind, text: String },
    #[error("{text}")]
    Refused { kind: ErrorKind, text: String },
    #[error("wrd-dm is not running (nobody answers on {}): see `systemctl status wrd-dm.socket`", .0.display())]
    NotRunning(PathBuf),
    #[error("cannot connect to {}: {errno}", .path.display())]
    Connect { path: PathBuf, errno: Errno },
    #[error("wrd-dm does not answer")]
    Silence,
    #[error("wrd-dm has closed without an answer: see `systemctl status wrd-dm.service`")]
    Closed,
    #[error("wrd-dm answered something else than what was asked")]
    Answer,
    #[error("cannot speak with wrd-dm: {0}")]
    Channel(ChannelError),
    /// Before anything was asked.
    #[error("{0}")]
    Own(String),
    #[error("{0}")]
    OwnRefusal(String),
}

impl Error {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Of { kind: ErrorKind::NotFound, .. } | Self::Refused { kind: ErrorKind::NotFound, .. } => 3,
            Self::Of { kind: ErrorKind::NotPermitted, .. } | Self::Refused { kind: ErrorKind::NotPermitted, .. } => 4,
            Self::Connect { errno: Errno::EACCES | Errno::EPERM, .. } | Self::OwnRefusal(_) => 4,
            Self::NotRunning(_) | Self::Closed => 5,
            _ => 1,
        }
    }
}

impl From<ChannelError> for Error {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::WouldBlock => Self::Silence,
            ChannelError::Closed => Self::Closed,
            other => Self::Channel(other),
        }
    }
}

/// Where to ask.
pub struct Client {
    candidates: Vec<PathBuf>,
}

impl Client {
    /// At `socket`; else at the service's, else at that of the caller's own stand-alone server.
    pub fn new(socket: Option<PathBuf>) -> Self {
        let candidates = match socket {
            Some(path) => vec![path],
            None => vec![PathBuf::from(SERVICE), own_server()],
        };
        Self { candidates }
    }

    /// Asks, and collects the sessions of the answer.
    pub fn ask(&self, request: &Request) -> Result<Vec<SessionInfo>, Error> {
        let session = |response| match response {
            Response::Session(info) => Ok(info),
            _ => Err(Error::Answer),
        };
        self.answers(request)?.into_iter().map(session).collect()
    }

    /// Asks, and collects what is answered before the end.
    pub fn answers(&self, request: &Request) -> Result<Vec<Response>, Error> {
        let channel = self.connect()?;
        channel.send(request)?;
        let mut answers = Vec::new();
        loop {
            match channel.recv()? {
                Response::Done => return Ok(answers),
                Response::Error { kind, text } => return Err(Error::Refused { kind, text: printable(&text) }),
                response => answers.push(response),
            }
        }
    }

    fn connect(&self) -> Result<Channel<Request, Response>, Error> {
        for path in &self.candidates {
            match connect_to(path) {
                Ok(channel) => return Ok(channel.typed()),
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ECONNREFUSED) => {}
                Err(errno) => return Err(Error::Connect { path: path.clone(), errno }),
            }
        }
        Err(Error::NotRunning(self.candidates.first().cloned().unwrap_or_default()))
    }
}

fn connect_to(path: &Path) -> nix::Result<RawChannel> {
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    // A server that hangs must not hang us.
    let patience = TimeVal::seconds(10);
    setsockopt(&fd, sockopt::ReceiveTimeout, &patience)?;
    setsockopt(&fd, sockopt::SendTimeout, &patience)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(RawChannel::from(fd))
}

/// The same place as `wrd_config::Paths::standalone`, without making anything there.
fn own_server() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_dir());
    let folder = match runtime {
        Some(dir) => dir.join("wrd-dm"),
        None => std::env::temp_dir().join(format!("wrd-dm-{}", getuid())),
    };
    folder.join("control")
}

/// Text of the server's without what could steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

const SERVICE: &str = "/run/wrd-dm/control";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_not_there_is_its_own_exit_code() {
        let dir = tempfile::tempdir().unwrap();
        let error = Client::new(Some(dir.path().join("control"))).ask(&Request::List).unwrap_err();
        assert_eq!(error.exit_code(), 5);
        assert!(error.to_string().contains("systemctl status wrd-dm.socket"));
    }

    #[test]
    fn every_kind_of_refusal_has_its_exit_code() {
        let of = |kind| Error::Of { session: "alice".into(), kind, text: "x".into() }.exit_code();
        assert_eq!(of(ErrorKind::NotFound), 3);
        assert_eq!(of(ErrorKind::NotPermitted), 4);
        assert_eq!(of(ErrorKind::WrongState), 1);
        assert_eq!(of(ErrorKind::Internal), 1);
    }
}
