//! Connections from any of the addresses that are this attacker's.

use anyhow::{Context, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Longer than a server on the busiest machine needs to answer or to give up.
pub const PATIENCE: Duration = Duration::from_secs(100);

/// Shorter than TCP needs to try again, and longer than a server needs that is not in the way.
const IMPATIENCE: Duration = Duration::from_millis(900);

/// Addresses that follow one another.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    first: IpAddr,
    count: usize,
}

impl FromStr for Range {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (first, count) = text.split_once('+').unwrap_or((text, "1"));
        let range = Self { first: first.parse().context("no address")?, count: count.parse().context("no count")? };
        ensure!(range.count > 0, "no address at all");
        Ok(range)
    }
}

impl Range {
    fn nth(&self, index: usize) -> IpAddr {
        match self.first {
            IpAddr::V4(first) => IpAddr::V4(first.to_bits().wrapping_add(index as u32).into()),
            IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from_bits(first.to_bits().wrapping_add((index as u128) << 64))),
        }
    }
}

pub struct Net {
    to: Vec<SocketAddr>,
    from: Vec<Range>,
    next: AtomicUsize,
}

impl Net {
    pub fn new(to: Vec<SocketAddr>, from: Vec<Range>) -> Self {
        Self { to, from, next: AtomicUsize::new(0) }
    }

    /// The next address.
    pub fn source(&self) -> IpAddr {
        let total: usize = self.from.iter().map(|range| range.count).sum();
        let mut index = self.next.fetch_add(1, Ordering::Relaxed) % total;
        for range in &self.from {
            if index < range.count {
                return range.nth(index);
            }
            index -= range.count;
        }
        self.from[0].first
    }

    /// Connects from the next address.
    pub fn dial(&self) -> io::Result<TcpStream> {
        self.dial_from(self.source())
    }

    /// Connects from one of this attacker's addresses.
    pub fn dial_from(&self, source: IpAddr) -> io::Result<TcpStream> {
        self.dial_within(PATIENCE, source)
    }

    /// Connects from the next address, unless the server drops that.
    pub fn dial_quickly(&self) -> io::Result<TcpStream> {
        self.dial_within(IMPATIENCE, self.source())
    }

    fn dial_within(&self, time: Duration, source: IpAddr) -> io::Result<TcpStream> {
        let (socket, to) = self.socket_for(source, SockFlag::empty())?;
        // Bounds connect(2) as well.
        let bound =
            |time: Duration| setsockopt(&socket, sockopt::SendTimeout, &TimeVal::milliseconds(time.as_millis() as i64));
        bound(time)?;
        connect(socket.as_raw_fd(), &to)?;
        bound(PATIENCE)?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Begins to connect from the next address, and does not wait for the server.
    pub fn begin(&self) -> io::Result<TcpStream> {
        let (socket, to) = self.socket_for(self.source(), SockFlag::SOCK_NONBLOCK)?;
        match connect(socket.as_raw_fd(), &to) {
            Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(socket)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Bound to this address, and the server for it.
    fn socket_for(&self, source: IpAddr, flags: SockFlag) -> io::Result<(OwnedFd, SockaddrStorage)> {
        let to = self.to.iter().find(|to| to.is_ipv4() == source.is_ipv4());
        let to = to.ok_or_else(|| io::Error::other(format!("no server for {source}")))?;
        let family = if source.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, flags | SockFlag::SOCK_CLOEXEC, None)?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0)))?;
        Ok((socket, (*to).into()))
    }
}

/// How the server left a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server has ended it.
    Closed,
    /// The server still had it open when patience was over.
    Open,
}

/// Reads what the server still says, without looking at it, until it ends the connection.
pub fn end_of(mut socket: &TcpStream) -> End {
    let mut sink = [0; 16384];
    loop {
        match io::Read::read(&mut socket, &mut sink) {
            Ok(0) => return End::Closed,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return End::Open;
            }
            Err(_) => return End::Closed,
        }
    }
}

/// Says nothing any more, so that a server which waits for more has nothing left to wait for.
pub fn finish(socket: &TcpStream) -> End {
    let _ = socket.shutdown(Shutdown::Write);
    end_of(socket)
}
