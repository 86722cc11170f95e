//! Finding the sockets of sessions: at the start, and whenever a uid without a known session logs in.

use crate::leaders::connect_to;
use crate::table::Looked;
use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::Uid;
use std::path::Path;
use std::time::{Duration, SystemTime};
use wrd_proto::Line;
use wrd_sys::RawChannel;

/// The uids whose sockets are in `folder`. A folder that cannot be read has none, as it has none when it
/// is missing.
pub fn uids(folder: &Path) -> Vec<u32> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!("cannot read {}: {error}", folder.display());
            }
            return Vec::new();
        }
    };
    let uid = |name: &std::ffi::OsStr| name.to_str()?.strip_suffix(".sock")?.parse().ok();
    listing.flatten().filter_map(|item| uid(&item.file_name())).take(MAX_SESSIONS).collect()
}

/// Connects to a session's socket. One that nobody has listened on for long is removed.
pub fn look(socket: &Path, owner: Uid, now: SystemTime) -> (Looked, Option<RawChannel>) {
    let channel = match connect_to(socket) {
        Ok(channel) => channel,
        Err(Errno::ENOENT) => return (Looked::Missing, None),
        Err(Errno::ECONNREFUSED) => {
            // Its leader is dead, or has yet to call listen; the next one replaces it anyway.
            let age =
                socket.symlink_metadata().and_then(|metadata| metadata.modified()).map(|at| now.duration_since(at));
            if matches!(age, Ok(Ok(age)) if age >= STALE)
                && let Err(error) = std::fs::remove_file(socket)
            {
                tracing::warn!("cannot remove {}: {error}", socket.display());
            }
            return (Looked::Missing, None);
        }
        Err(errno) => {
            tracing::warn!("cannot connect to {}: {errno}", socket.display());
            return (unusable(), None);
        }
    };
    match getsockopt(&channel, sockopt::PeerCredentials) {
        Ok(peer) if peer.uid() == owner.as_raw() => (Looked::Found, Some(channel)),
        Ok(peer) => {
            tracing::error!("{} belongs to uid {}, which is no session leader", socket.display(), peer.uid());
            (unusable(), None)
        }
        Err(errno) => {
            tracing::warn!("cannot see who listens on {}: {errno}", socket.display());
            (unusable(), None)
        }
    }
}

fn unusable() -> Looked {
    Looked::Unusable(Line::truncated("Your session cannot be reached."))
}

/// More sockets than this are not looked at.
const MAX_SESSIONS: usize = 4096;
/// Nobody takes this long from making a socket to listening on it.
const STALE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    use std::os::fd::AsRawFd;

    #[test]
    fn a_socket_is_missing_found_stale_or_of_a_stranger() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7.sock");
        let me = nix::unistd::geteuid();
        assert_eq!(look(&path, me, SystemTime::now()).0, Looked::Missing);

        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        listen(&listener, Backlog::new(4).unwrap()).unwrap();
        assert!(matches!(look(&path, me, SystemTime::now()), (Looked::Found, Some(_))));
        let stranger = Uid::from_raw(me.as_raw() + 1);
        assert!(matches!(look(&path, stranger, SystemTime::now()), (Looked::Unusable(_), None)));
        std::fs::write(dir.path().join("nonsense.sock"), "").unwrap();
        std::fs::write(dir.path().join("8.lock"), "").unwrap();
        assert_eq!(uids(dir.path()), [7]);

        drop(listener);
        assert_eq!(look(&path, me, SystemTime::now()).0, Looked::Missing);
        assert!(path.exists());
        assert_eq!(look(&path, me, SystemTime::now() + STALE).0, Looked::Missing);
        assert!(!path.exists());
        assert_eq!(uids(&dir.path().join("nowhere")), []);
    }

    #[test]
    fn a_file_in_the_place_of_a_socket_is_stale() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7.sock");
        std::fs::write(&path, "").unwrap();
        assert_eq!(look(&path, nix::unistd::geteuid(), SystemTime::now()).0, Looked::Missing);
    }
}
