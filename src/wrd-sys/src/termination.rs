//! Requests to end this process (SIGTERM, SIGINT, SIGHUP) as something to poll, without a signal mask:
//! whatever is started later must not inherit one.

use nix::libc;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

static EVENT: AtomicI32 = AtomicI32::new(-1);

#[allow(unsafe_code)]
extern "C" fn tell(_: libc::c_int) {
    let one = 1u64;
    // SAFETY: errno is this thread's own; a handler must leave it as it was.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the location is valid as long as the thread.
    let before = unsafe { *errno };
    // SAFETY: writes eight bytes of our own to a descriptor that is never closed.
    unsafe { libc::write(EVENT.load(Ordering::Relaxed), (&raw const one).cast(), size_of::<u64>()) };
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// A descriptor that is readable from the first request to end on. Call it once.
#[allow(unsafe_code)]
pub fn event() -> io::Result<OwnedFd> {
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let ours = nix::unistd::dup(&event)?;
    nix::fcntl::fcntl(&ours, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    // The handler's copy stays open for good.
    EVENT.store(OwnedFd::from(event).into_raw_fd(), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(tell), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        // SAFETY: the handler only writes to a descriptor and leaves errno alone.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;

    #[test]
    fn a_request_to_end_is_an_event() {
        let event = event().unwrap();
        let readable = || {
            let mut fds = [PollFd::new(event.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO).unwrap()
        };
        assert_eq!(readable(), 0);
        nix::sys::signal::raise(Signal::SIGTERM).unwrap();
        assert_eq!(readable(), 1);
    }
}
