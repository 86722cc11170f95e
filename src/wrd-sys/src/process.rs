//! Forking a child that becomes something else by steps of its own, and signals as readable events.
//!
//! [`crate::spawn`] is the way to start a program; this is for the one program that must do more than
//! system calls in a child (the session leader: becoming the user, asking with a library that makes
//! threads; its listener: telling why a leader has not started, for which it does not wait). It therefore
//! refuses to fork where there is a second thread.

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{ForkResult, Pid};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `child` in a forked copy of this process, which exits with what it returns.
///
/// Nothing of the caller's is dropped in the child, not even by a panic: what a value would close or
/// delete there belongs to the parent. Fails where this process has more than one thread, since the
/// child would have the locks of the others and not the others.
#[allow(unsafe_code)]
pub fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("{threads} threads where a fork wants one")));
    }
    // SAFETY: this is the only thread, so the copy is a whole process.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or(125);
            // SAFETY: ends the process without running anything of the caller's.
            unsafe { libc::_exit(code) }
        }
    }
}

/// In a forked child before it execs: puts each descriptor at its number and marks all others from 3 on
/// to be closed by the exec.
pub fn keep_for_exec(fds: &[(RawFd, &OwnedFd)]) -> io::Result<()> {
    let raw: Vec<(RawFd, RawFd)> = fds.iter().map(|(number, fd)| (*number, fd.as_raw_fd())).collect();
    crate::spawn::arrange(&raw)
}

/// In a forked child that does not exec: closes every descriptor from 3 on but `kept`.
///
/// What owns the others is a copy of the parent's that is never dropped here (see [`fork`]).
#[allow(unsafe_code)]
pub fn close_all_but(kept: &impl AsRawFd) -> io::Result<()> {
    let kept = kept.as_raw_fd().unsigned_abs();
    for (first, last) in [(3, kept.saturating_sub(1)), (kept.max(2) + 1, u32::MAX)] {
        // SAFETY: takes numbers; nothing in this copy uses the descriptors any more.
        if first <= last && unsafe { libc::close_range(first, last, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// In a forked child before it execs: every signal has its default action again (Rust ignores SIGPIPE,
/// and an ignored signal stays ignored across exec) and none is blocked.
#[allow(unsafe_code)]
pub fn default_signals() -> io::Result<()> {
    for number in 1..=64 {
        // SAFETY: sets a default action; the numbers that allow none (9, 19, 32, 33) fail without effect.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}

/// In a forked child before it execs: a session of its own, and a keyring of that session, empty. Where this machine
/// has no keyrings, or none for us, there is nothing that could be shared.
#[allow(unsafe_code)]
pub(crate) fn begin_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: without a name it only takes a number.
    let keyring = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, 0) };
    match Errno::result(keyring) {
        Ok(_) | Err(Errno::ENOSYS | Errno::EPERM | Errno::EACCES) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

static TERMINATION_NOTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: libc::c_int) {
    TERMINATION_NOTED.store(true, Ordering::Relaxed);
}

/// From now on a request to end (SIGTERM, SIGINT, SIGHUP) is only noted, for the [`Signals`] that follow.
///
/// A handler and not the signal mask, because children that libraries start in between would inherit
/// the mask and never end.
#[allow(unsafe_code)]
pub fn note_termination() -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in TERMINATION {
        // SAFETY: the handler only stores to an atomic.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// What a process is told by signals, as something to poll.
#[derive(Debug)]
pub struct Signals(SignalFd);

/// One event of [`Signals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A child changed its state.
    Child,
    /// Somebody wants this process to end.
    Terminate,
}

impl Signals {
    /// Blocks SIGCHLD and the requests to end, which come out of here instead; one that was noted
    /// earlier comes first.
    pub fn take_over() -> io::Result<Self> {
        let mut set = SigSet::from_iter(TERMINATION);
        set.add(Signal::SIGCHLD);
        set.thread_block()?;
        let fd = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        if TERMINATION_NOTED.swap(false, Ordering::Relaxed) {
            nix::sys::signal::kill(nix::unistd::getpid(), Signal::SIGTERM)?;
        }
        Ok(Self(fd))
    }

    /// The next event, if there is one.
    pub fn next(&self) -> io::Result<Option<Told>> {
        match self.0.read_signal() {
            Ok(Some(info)) if info.ssi_signo == Signal::SIGCHLD as u32 => Ok(Some(Told::Child)),
            Ok(Some(_)) => Ok(Some(Told::Terminate)),
            Ok(None) | Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const TERMINATION: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_does_not_fork() {
        // The test harness itself is the second thread.
        assert!(fork(|| 0).is_err());
    }
}
