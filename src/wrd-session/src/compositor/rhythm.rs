//! When applications may draw again: at once after a rest, and never more often than the output shows.
//!
//! Without it an animation would run as fast as the machine can. Nothing wakes up unless a frame was drawn
//! within the last interval.

use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The output says 60 Hz.
const INTERVAL: Duration = Duration::from_millis(16);

pub struct Rhythm {
    timer: TimerFd,
    last: Option<Instant>,
}

impl Rhythm {
    pub fn new() -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        Ok(Self { timer, last: None })
    }

    /// A frame was shown: whether applications may draw the next at once. If not, [`Rhythm::is_due`] will
    /// say when.
    pub fn may_go_on(&mut self) -> bool {
        let now = Instant::now();
        let left = self.last.and_then(|last| (last + INTERVAL).checked_duration_since(now)).unwrap_or_default();
        if !left.is_zero() {
            match self.timer.set(Expiration::OneShot(left.into()), TimerSetTimeFlags::empty()) {
                Ok(()) => return false,
                Err(error) => tracing::error!(%error, "applications draw as fast as they can"),
            }
        }
        self.last = Some(now);
        true
    }

    /// Whether the wait is over; says so once.
    pub fn is_due(&mut self) -> bool {
        let due = self.timer.wait().is_ok();
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}

impl AsFd for Rhythm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}
