//! Waiting: for descriptors, until a point in time. Without a deadline nothing wakes up by itself.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// What is worth waking up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    Read,
    ReadOrWrite,
}

/// What happened on one descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Something to read, or the other side closed.
    pub readable: bool,
    pub writable: bool,
}

/// Waits for the first event. One entry for each of `fds`; none has an event once `deadline` has passed.
pub fn wait(fds: &[(BorrowedFd<'_>, Interest)], deadline: Option<Instant>) -> nix::Result<Vec<Event>> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|(fd, interest)| match interest {
            Interest::Read => PollFd::new(*fd, PollFlags::POLLIN),
            Interest::ReadOrWrite => PollFd::new(*fd, PollFlags::POLLIN | PollFlags::POLLOUT),
        })
        .collect();
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match poll(&mut polled, timeout(left)) {
            Ok(0) if left.is_none_or(|left| !left.is_zero()) => {}
            Ok(_) => return Ok(polled.iter().map(event).collect()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn event(fd: &PollFd<'_>) -> Event {
    let seen = fd.revents().unwrap_or(PollFlags::empty());
    let ended = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    Event { readable: seen.intersects(PollFlags::POLLIN | ended), writable: seen.intersects(PollFlags::POLLOUT) }
}

/// In whole ms, rounded up: rounded down, the last millisecond would be spent spinning.
fn timeout(left: Option<Duration>) -> PollTimeout {
    match left {
        None => PollTimeout::NONE,
        Some(left) => PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_deadline_ends_the_wait_and_a_closed_peer_is_readable() {
        let (read, write) = std::io::pipe().unwrap();
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(wait(&[(read.as_fd(), Interest::Read)], Some(soon)).unwrap(), [Event::default()]);
        assert!(Instant::now() >= soon);
        drop(write);
        assert!(wait(&[(read.as_fd(), Interest::Read)], None).unwrap()[0].readable);
    }
}
