//! The socket that Wayland clients connect to.

use smithay::reexports::wayland_server::ListeningSocket;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Names are tried up to this one, as libwayland does.
const LAST: u32 = 32;

pub struct Socket {
    listener: ListeningSocket,
    name: String,
}

impl Socket {
    /// The first `wayland-N` that nobody holds; 0 is left to a local desktop.
    pub fn bind(runtime_dir: &Path) -> io::Result<Self> {
        let mut last = io::Error::other("all names are taken");
        for number in 1..=LAST {
            let name = format!("wayland-{number}");
            match ListeningSocket::bind_absolute(runtime_dir.join(&name)) {
                Ok(listener) => return Ok(Self { listener, name }),
                Err(smithay::reexports::wayland_server::BindError::AlreadyInUse) => {}
                Err(error) => last = io::Error::other(error),
            }
        }
        Err(last)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next client that waits, if any.
    pub fn accept(&self) -> Option<UnixStream> {
        self.listener.accept().unwrap_or_else(|error| {
            tracing::warn!(%error, "ignoring a Wayland client that cannot be accepted");
            None
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
