//! The programs that this session has started: each in a process group of its own, reaped, and all ended
//! when the session ends.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// What a program is to the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The configured command: when it ends, the session does.
    Session,
    Application,
}

/// One that has ended.
#[derive(Debug)]
pub struct Ended {
    pub name: String,
    pub role: Role,
    pub status: ExitStatus,
}

struct Running {
    name: String,
    role: Role,
    child: Child,
    /// Readable when it has ended.
    pidfd: OwnedFd,
}

#[derive(Default)]
pub struct Children {
    running: Vec<Running>,
}

impl Children {
    /// Starts `command`; `epoll` will say when it ends. It reads nothing and writes where this process does.
    pub fn start(&mut self, name: &str, role: Role, command: &mut Command, epoll: &Epoll) -> io::Result<()> {
        let mut child = command.stdin(Stdio::null()).process_group(0).spawn()?;
        let watched = pidfd_open(rustix::process::Pid::from_child(&child), PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|pidfd| Ok(epoll.add(&pidfd, EpollEvent::new(EpollFlags::EPOLLIN, 0)).map(|()| pidfd)?));
        match watched {
            Ok(pidfd) => {
                self.running.push(Running { name: name.to_owned(), role, child, pidfd });
                Ok(())
            }
            Err(error) => {
                // Nobody would notice its end.
                let killed = child.kill().and_then(|()| child.wait());
                killed.and(Err(error))
            }
        }
    }

    /// Those that have ended since the last call.
    pub fn reap(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        self.running.retain_mut(|running| match running.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                ended.push(Ended { name: std::mem::take(&mut running.name), role: running.role, status });
                false
            }
            Err(error) => {
                tracing::error!(%error, program = running.name, "a program cannot be waited for");
                false
            }
        });
        ended
    }

    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Asks all to end, and kills those that have not after `patience`; `meanwhile` is called whenever
    /// `also` is readable.
    pub fn end(&mut self, patience: Duration, also: impl AsFd, mut meanwhile: impl FnMut()) {
        self.signal(Signal::SIGTERM);
        let end = Instant::now() + patience;
        while !self.is_empty() {
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                let names: Vec<_> = self.running.iter().map(|running| running.name.as_str()).collect();
                tracing::warn!(?names, "programs that do not end are killed");
                self.signal(Signal::SIGKILL);
                break;
            };
            let fds: Vec<BorrowedFd> =
                self.running.iter().map(|running| running.pidfd.as_fd()).chain([also.as_fd()]).collect();
            let mut fds: Vec<_> = fds.into_iter().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            if poll(&mut fds, wait).is_ok_and(|ready| ready > 0) {
                meanwhile();
            }
            self.reap();
        }
        for running in &mut self.running {
            if let Err(error) = running.child.wait() {
                tracing::error!(%error, program = running.name, "a program cannot be waited for");
            }
        }
        self.running.clear();
    }

    fn signal(&self, signal: Signal) {
        for running in &self.running {
            let Ok(group) = i32::try_from(running.child.id()) else { continue };
            if let Err(error) = killpg(Pid::from_raw(group), signal) {
                tracing::debug!(%error, program = running.name, "ignoring a program that takes no signal");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::epoll::{EpollCreateFlags, EpollTimeout};

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn an_end_wakes_the_loop_and_is_reaped_once() {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let mut children = Children::default();
        children.start("three", Role::Session, &mut shell("exit 3"), &epoll).unwrap();
        let mut events = [EpollEvent::empty()];
        assert_eq!(epoll.wait(&mut events, EpollTimeout::try_from(5000).unwrap()).unwrap(), 1);
        let ended = children.reap();
        assert_eq!(
            ended.iter().map(|ended| (ended.role, ended.status.code())).collect::<Vec<_>>(),
            [(Role::Session, Some(3))]
        );
        assert!(children.reap().is_empty() && children.is_empty());
    }

    #[test]
    fn all_are_ended_the_stubborn_ones_too_with_their_children() {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let mut children = Children::default();
        children.start("meek", Role::Application, &mut shell("sleep 60 & wait"), &epoll).unwrap();
        children
            .start("stubborn", Role::Application, &mut shell("trap '' TERM; while :; do sleep 1; done"), &epoll)
            .unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let groups: Vec<_> = children.running.iter().map(|running| running.child.id() as i32).collect();
        let start = Instant::now();
        children.end(Duration::from_millis(400), &epoll.0, || {});
        assert!(start.elapsed() < Duration::from_secs(4));
        for group in groups {
            // What is left of a group are zombies of the sleeps, which init reaps; nothing that runs.
            let alive = |entry: std::fs::DirEntry| {
                let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
                let mut fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
                let state = fields.next().unwrap_or("Z").to_owned();
                fields.nth(1).and_then(|group| group.parse::<i32>().ok()) == Some(group) && state != "Z"
            };
            // What was killed ends in its own time.
            let end = Instant::now() + Duration::from_secs(30);
            while std::fs::read_dir("/proc").unwrap().flatten().any(alive) {
                assert!(Instant::now() < end, "group {group} is still there");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
