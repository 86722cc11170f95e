//! Starting a program with exactly the descriptors it should have, at numbers it knows.

use crate::place::Place;
use nix::libc;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A program to start. Its environment is empty but for what is set here; descriptors 0, 1 and 2 are
/// `/dev/null`, `/dev/null` and our own standard error unless given otherwise; everything from 3 on that
/// was not given is closed. No signal is blocked or ignored, whatever we do with ours.
#[derive(Debug)]
pub struct Program {
    command: Command,
    fds: Vec<(RawFd, OwnedFd)>,
    uid_gid: Option<(u32, u32)>,
    place: Option<Place>,
    own_session: bool,
}

impl Program {
    pub fn new(path: &Path) -> Self {
        let mut command = Command::new(path);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        Self { command, fds: Vec::new(), uid_gid: None, place: None, own_session: false }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Passes one variable of our own environment on, where it is set.
    pub fn pass_env(mut self, name: &str) -> Self {
        if let Some(value) = std::env::var_os(name) {
            self.command.env(name, value);
        }
        self
    }

    pub fn envs(mut self, vars: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        self.command.envs(vars);
        self
    }

    pub fn current_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Gives the child `fd` as its descriptor `number`.
    pub fn fd(mut self, number: RawFd, fd: OwnedFd) -> Self {
        self.fds.push((number, fd));
        self
    }

    /// The child leads a process group of its own: Ctrl-C on our terminal is for us alone.
    pub fn own_process_group(mut self) -> Self {
        self.command.process_group(0);
        self
    }

    /// The child leads a session of its own, of processes as of keys, like what an init starts: no signal to a group
    /// and no key of the kernel's is shared with us, nor with others that we start so.
    pub fn own_session(mut self) -> Self {
        self.own_session = true;
        self
    }

    /// The child runs in this place from its first instruction on.
    pub fn place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// The child runs with this uid and gid, no supplementary group and no way to any capability. Any failure to get
    /// there fails the start.
    pub fn user(mut self, uid: u32, gid: u32) -> Self {
        self.uid_gid = Some((uid, gid));
        self
    }

    /// Starts it. The given descriptors are closed here, whatever comes of it.
    pub fn spawn(mut self) -> io::Result<Child> {
        self.prepare();
        self.command.spawn()
    }

    /// Becomes it, in a child that [`crate::process::fork`] has made: where nobody is to wait until it has started.
    /// Returns only where that fails.
    pub fn exec(mut self) -> io::Error {
        self.prepare();
        self.command.exec()
    }

    #[allow(unsafe_code)]
    fn prepare(&mut self) {
        let fds: Vec<(RawFd, RawFd)> = self.fds.iter().map(|(number, fd)| (*number, fd.as_raw_fd())).collect();
        let (uid_gid, own_session) = (self.uid_gid, self.own_session);
        let place = self.place.take();
        // SAFETY: the closure runs between fork and exec and makes system calls only (see `arrange`).
        unsafe {
            self.command.pre_exec(move || {
                crate::process::default_signals()?;
                arrange(&fds)?;
                if own_session {
                    crate::process::begin_session()?;
                }
                if let Some(place) = &place {
                    place.take()?;
                }
                if let Some((uid, gid)) = uid_gid {
                    crate::harden::become_user(uid, gid)?;
                }
                Ok(())
            });
        }
    }
}

/// Most descriptors that a program is given.
const MAX_FDS: usize = 8;

/// Puts each descriptor at its number and closes all others from 3 on. Allocates nothing.
#[allow(unsafe_code)]
pub(crate) fn arrange(fds: &[(RawFd, RawFd)]) -> io::Result<()> {
    let top = fds.iter().map(|(number, _)| *number).max().unwrap_or(2).max(2);
    // First out of the way, so that no target is overwritten before it has been moved; to numbers that
    // the kernel finds free, because any number may be in use here.
    let mut moved = [-1; MAX_FDS];
    if fds.len() > MAX_FDS {
        return Err(io::Error::from_raw_os_error(libc::E2BIG));
    }
    for ((_, from), to) in fds.iter().zip(&mut moved) {
        // SAFETY: fcntl with F_DUPFD_CLOEXEC takes two numbers.
        *to = unsafe { libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, top + 1) };
        if *to < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    for ((number, _), from) in fds.iter().zip(&moved) {
        // SAFETY: dup2 takes two numbers; the copy has no close-on-exec, which is what is wanted.
        if unsafe { libc::dup2(*from, *number) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // Numbers between 3 and `top` that were not asked for, and everything above. The standard library's
    // own pipe, through which it reports a failed exec, is close-on-exec: marking instead of closing
    // keeps it working until the exec.
    for number in 3..=top {
        if !fds.iter().any(|(wanted, _)| *wanted == number) {
            // SAFETY: fcntl with F_SETFD takes a number; an unused descriptor is an error we ignore.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    // SAFETY: close_range with CLOEXEC only sets a flag on a range of numbers.
    if unsafe { libc::close_range(top as u32 + 1, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn the_child_has_the_given_descriptors_and_no_other() {
        let (mut read, write) = std::io::pipe().unwrap();
        let extra = std::fs::File::open("/dev/null").unwrap();
        let leaked = std::fs::File::open("/dev/null").unwrap();
        // Even a descriptor that was made without close-on-exec must not get through.
        nix::fcntl::fcntl(leaked.as_fd(), nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
        let mut child = Program::new(Path::new("/bin/sh"))
            .arg("-c")
            .arg("ls /proc/self/fd | tr '\\n' ' ' >&5")
            .fd(5, write.into())
            .fd(4, extra.into())
            .pass_env("PATH")
            .spawn()
            .unwrap();
        assert!(child.wait().unwrap().success());
        let mut seen = String::new();
        read.read_to_string(&mut seen).unwrap();
        // 3 is ls's own view of the directory.
        assert_eq!(seen.trim(), "0 1 2 3 4 5");
    }

    #[test]
    fn the_child_can_be_told_to_end() {
        use nix::sys::signal::{SigSet, Signal};
        let blocked = SigSet::from(Signal::SIGTERM);
        // In a thread: other tests start programs meanwhile.
        let child = std::thread::spawn(move || {
            blocked.thread_block().unwrap();
            Program::new(Path::new("/bin/sh")).arg("-c").arg("kill -TERM $$; exit 7").spawn().unwrap()
        });
        let status = child.join().unwrap().wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGTERM));
    }

    #[test]
    fn descriptors_of_any_number_reach_their_places() {
        // As in a server with hundreds of connections.
        let many: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let pipes: Vec<_> = (0..3).map(|_| std::io::pipe().unwrap()).collect();
        let mut program = Program::new(Path::new("/bin/sh")).arg("-c").arg("for n in 3 4 5; do echo $n >&$n; done");
        let mut readers = Vec::new();
        for (number, (read, write)) in (3..).zip(pipes) {
            program = program.fd(number, write.into());
            readers.push(read);
        }
        assert!(program.spawn().unwrap().wait().unwrap().success());
        for (number, mut read) in (3..).zip(readers) {
            let mut seen = String::new();
            read.read_to_string(&mut seen).unwrap();
            assert_eq!(seen, format!("{number}\n"));
        }
        drop(many);
    }

    /// Not a test: what `a_session_of_its_own…` starts. Descriptor 5 is told its session and its session keyring.
    #[test]
    #[ignore = "a program of another test"]
    fn tells_its_session() {
        use std::io::Write;
        let mut told = std::fs::File::from(crate::listen::take_fd(5).unwrap());
        write!(told, "{} {}", nix::unistd::getsid(None).unwrap(), session_keyring()).unwrap();
    }

    /// Negative where there is none.
    #[allow(unsafe_code)]
    fn session_keyring() -> i64 {
        // SAFETY: takes numbers.
        unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_GET_KEYRING_ID, libc::KEY_SPEC_SESSION_KEYRING, 0) }
    }

    #[test]
    fn a_session_of_its_own_is_one_of_processes_and_of_keys() {
        let start = || {
            let (mut read, write) = std::io::pipe().unwrap();
            let program = Program::new(&std::env::current_exe().unwrap())
                .arg("--ignored")
                .arg("--exact")
                .arg("spawn::tests::tells_its_session")
                .fd(5, write.into())
                .own_session();
            let mut child = program.spawn().unwrap();
            assert!(child.wait().unwrap().success());
            let mut told = String::new();
            read.read_to_string(&mut told).unwrap();
            let (session, keyring) = told.split_once(' ').unwrap();
            assert_eq!(session, child.id().to_string());
            keyring.parse::<i64>().unwrap()
        };
        let keyrings = [session_keyring(), start(), start()];
        if keyrings[1] < 0 {
            println!("no keyrings here");
            return;
        }
        assert!(keyrings[0] != keyrings[1] && keyrings[1] != keyrings[2] && keyrings[0] != keyrings[2], "{keyrings:?}");
    }

    /// A thread of root's that has given up one capability; all of them for none.
    #[allow(unsafe_code)]
    fn give_up(capability: Option<u32>) {
        let Some(capability) = capability else { return crate::harden::drop_capabilities().unwrap() };
        // _LINUX_CAPABILITY_VERSION_3, this thread; effective, permitted, inheritable, lower and upper half.
        let (header, mut sets) = ([0x2008_0522_u32, 0], [0_u32; 6]);
        // SAFETY: writes a body of six words, which are there.
        assert_eq!(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) }, 0);
        sets[..3].iter_mut().for_each(|set| *set &= !(1 << capability));
        // SAFETY: reads what was just written.
        assert_eq!(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }, 0);
    }

    #[test]
    fn who_cannot_become_another_user_starts_nothing() {
        const NOBODY: u32 = 65534;
        const SETGID: u32 = 6;
        const SETUID: u32 = 7;
        const SETPCAP: u32 = 8;
        let start =
            |uid, gid| Program::new(Path::new("/bin/true")).user(uid, gid).spawn().map(|mut child| child.wait());
        if !nix::unistd::geteuid().is_root() {
            assert!(start(NOBODY, NOBODY).is_err() && start(0, 0).is_err());
            return;
        }
        start(NOBODY, NOBODY).unwrap().unwrap();
        // Groups alone, with the gid that it has already, and uid alone; what does not empty the bounding set.
        for (lacks, gid) in
            [(None, NOBODY), (Some(SETGID), NOBODY), (Some(SETGID), 0), (Some(SETUID), NOBODY), (Some(SETPCAP), NOBODY)]
        {
            let started = std::thread::spawn(move || {
                give_up(lacks);
                start(NOBODY, gid).is_ok()
            });
            assert!(!started.join().unwrap(), "without {lacks:?}, gid {gid}");
        }
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error() {
        assert!(Program::new(Path::new("/nonexistent")).spawn().is_err());
    }
}
