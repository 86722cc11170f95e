//! Sockets that systemd handed over, found by name.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The descriptors of `LISTEN_FDS` that carry one of `names` (`FileDescriptorName=`), with their names.
///
/// The variables are removed from the environment. Call it once, early, before there is a second thread;
/// without socket activation the list is empty.
#[allow(unsafe_code)]
pub fn inherited(names: &[&str]) -> io::Result<Vec<(String, OwnedFd)>> {
    let ours = std::env::var("LISTEN_PID").ok().and_then(|pid| pid.parse::<u32>().ok()) == Some(std::process::id());
    let count = std::env::var("LISTEN_FDS").ok().and_then(|n| n.parse::<RawFd>().ok()).unwrap_or(0);
    let labels = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
        // SAFETY: the caller is still single-threaded (see above).
        unsafe { std::env::remove_var(variable) };
    }
    if !ours {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (index, label) in labels.split(':').enumerate().take(count.clamp(0, 256) as usize) {
        let number = 3 + index as RawFd;
        // SAFETY: systemd gave us this descriptor and nobody else has taken it, because this runs once.
        let fd = unsafe { OwnedFd::from_raw_fd(number) };
        fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        if names.contains(&label) {
            found.push((label.to_owned(), fd));
        }
    }
    Ok(found)
}

/// Takes over a descriptor that our parent put at a number both know.
///
/// Fails where nothing is there. Call it once for a number.
#[allow(unsafe_code)]
pub fn take_fd(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only looks whether the number is in use.
    if unsafe { nix::libc::fcntl(number, nix::libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and by the contract with our parent nobody else uses it.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl(&fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(fd)
}
