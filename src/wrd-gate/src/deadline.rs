//! Points in time that something must be done by, and waiting for descriptors until then.

use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};
use std::time::{Duration, Instant};

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    #[error("it took too long")]
    TimedOut,
    #[error("poll: {0}")]
    Os(Errno),
}

impl Deadline {
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    pub fn is_over(self) -> bool {
        Instant::now() >= self.0
    }

    /// How long until then.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// In whole ms, rounded up so that a wait never ends just before its deadline.
    fn timeout(self) -> PollTimeout {
        let left = self.left();
        let ms = left.as_millis().saturating_add(u128::from(!left.subsec_nanos().is_multiple_of(1_000_000)));
        PollTimeout::try_from(i32::try_from(ms).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
    }
}

/// Waits until one of `fds` is ready; without a deadline for ever.
pub fn wait(fds: &mut [PollFd<'_>], deadline: Option<Deadline>) -> Result<(), WaitError> {
    loop {
        let timeout = deadline.map_or(PollTimeout::NONE, Deadline::timeout);
        match poll(fds, timeout) {
            Ok(0) if deadline.is_some_and(Deadline::is_over) => return Err(WaitError::TimedOut),
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(errno) => return Err(WaitError::Os(errno)),
        }
    }
}
