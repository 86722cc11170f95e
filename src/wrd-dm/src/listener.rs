//! The listening sockets: handed over by systemd or opened by ourselves, and accepting from them.

use crate::syn_filter;
use anyhow::Context;
use calloop::RegistrationToken;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A listening socket and its place in the loop.
pub struct Listener {
    pub socket: Rc<TcpListener>,
    pub token: RegistrationToken,
}

/// Opens what `--listen` names.
pub fn open(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow::anyhow!(
            "{address} is taken by another program (`ss -ltnp sport = :{}` shows which): end it, or choose another port with --listen",
            address.port()
        ),
        ErrorKind::AddrNotAvailable => anyhow::anyhow!("{address} is no address of this machine: see --listen"),
        ErrorKind::PermissionDenied => {
            anyhow::anyhow!("port {} is for root only: choose one above 1023 with --listen", address.port())
        }
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}")),
    })
}

/// What holds for every connection that it accepts, which inherit it: small late packets are worse than many, and a
/// client that vanished must be noticed some day.
pub fn prepare(listener: &TcpListener) -> anyhow::Result<()> {
    let set = || -> nix::Result<()> {
        setsockopt(listener, sockopt::TcpNoDelay, &true)?;
        setsockopt(listener, sockopt::KeepAlive, &true)?;
        setsockopt(listener, sockopt::TcpKeepIdle, &60)?;
        setsockopt(listener, sockopt::TcpKeepInterval, &10)?;
        setsockopt(listener, sockopt::TcpKeepCount, &6)
    };
    set().context("cannot prepare a listening socket")?;
    // What an earlier monitor had dropped, if it could not take that back.
    syn_filter::clear(listener);
    Ok(())
}

/// Takes connections from one listener after the other.
pub struct Acceptor {
    /// Given up for a moment where no descriptor is left, so that a connection can be taken and closed
    /// instead of waking us for ever.
    spare: Option<File>,
    failures: Quiet,
}

impl Acceptor {
    pub fn new() -> anyhow::Result<Self> {
        let spare = Some(File::open("/dev/null").context("cannot open /dev/null")?);
        Ok(Self { spare, failures: Quiet::default() })
    }

    /// The next connection that waits, with its client's address: an IPv4 client of an IPv6 listener is an
    /// IPv4 client.
    pub fn accept(&mut self, listener: &TcpListener) -> Option<(TcpStream, IpAddr)> {
        match listener.accept() {
            Ok((stream, address)) => Some((stream, address.ip().to_canonical())),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionAborted) => None,
            Err(error) => {
                let full = matches!(
                    error.raw_os_error().map(Errno::from_raw),
                    Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS)
                );
                if full {
                    self.spare = None;
                    let closed = listener.accept().is_ok();
                    self.spare = File::open("/dev/null").ok();
                    self.fails(&format!("{error}; a connection was closed: {closed}"));
                } else {
                    self.fails(&error.to_string());
                }
                None
            }
        }
    }

    fn fails(&mut self, why: &str) {
        if let Some(others) = self.failures.may_speak(Instant::now()) {
            tracing::warn!(not_logged = others, "connection refused: {why}");
        }
    }
}

/// Says something at most once in ten seconds.
#[derive(Default)]
pub struct Quiet {
    last: Option<Instant>,
    silent: u32,
}

impl Quiet {
    const EVERY: Duration = Duration::from_secs(10);

    /// How often nothing was said since the last time, if something may be said now.
    pub fn may_speak(&mut self, now: Instant) -> Option<u32> {
        if self.last.is_some_and(|last| now.duration_since(last) < Self::EVERY) {
            self.silent = self.silent.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;

    #[test]
    fn connections_are_what_their_listener_was_prepared_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        prepare(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, address) = Acceptor::new().unwrap().accept(&listener).unwrap();
        assert!(address.is_loopback());
        assert!(getsockopt(&stream, sockopt::TcpNoDelay).unwrap() && getsockopt(&stream, sockopt::KeepAlive).unwrap());
        assert_eq!(getsockopt(&stream, sockopt::TcpKeepIdle).unwrap(), 60);
        assert_eq!(getsockopt(&stream, sockopt::TcpKeepInterval).unwrap(), 10);
        assert_eq!(getsockopt(&stream, sockopt::TcpKeepCount).unwrap(), 6);
    }

    #[test]
    fn a_flood_is_counted_and_told_once_in_a_while() {
        let start = Instant::now();
        let mut quiet = Quiet::default();
        assert_eq!(quiet.may_speak(start), Some(0));
        assert_eq!(quiet.may_speak(start + Duration::from_secs(1)), None);
        assert_eq!(quiet.may_speak(start + Duration::from_secs(9)), None);
        assert_eq!(quiet.may_speak(start + Duration::from_secs(11)), Some(2));
    }
}
