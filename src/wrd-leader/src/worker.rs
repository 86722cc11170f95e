//! The worker: forked, made the user's for good, executed; and everything it leaves behind, ended.
//!
//! Always true: what execs has the user's ids and no way back, verified, or does not exec at all.

use crate::account::{Account, DEFAULT_SHELL};
use crate::environment::Environment;
use anyhow::Context;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{AccessFlags, Gid, Pid, Uid, access, getresgid, getresuid, setresgid, setresuid, setsid};
use std::ffi::{CString, OsStr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wrd_config::SessionId;
use wrd_proto::Line;
use wrd_proto::worker::{FromWorker, ToWorker};
use wrd_sys::RawChannel;
use wrd_sys::channel::{Blocking, Channel};

/// What to run, and as whom.
#[derive(Debug)]
pub struct Launch<'a> {
    pub account: &'a Account,
    pub environment: &'a Environment,
    /// The worker's program.
    pub program: PathBuf,
    pub config_dir: &'a Path,
    /// Which installed session it starts; none: the configured one.
    pub session: Option<&'a SessionId>,
}

/// A running worker, and with it every process of the session that is a descendant of ours. Dropping
/// it ends and reaps them all.
pub struct Worker {
    pub pid: Pid,
    pub channel: Channel<ToWorker, FromWorker>,
    ended: Option<WaitStatus>,
}

impl Launch<'_> {
    /// Starts the worker.
    pub fn fork(&self) -> anyhow::Result<Worker> {
        // Orphans of the session come back to us, so that its end can find them.
        nix::sys::prctl::set_child_subreaper(true)?;
        let (ours, theirs) = RawChannel::pair()?;
        let channel = ours.typed();
        channel.set_nonblocking(Blocking::No)?;
        let pid = wrd_sys::process::fork(|| {
            let channel: Channel<FromWorker, ToWorker> = theirs.typed();
            let Err(text) = self.become_worker(&channel);
            let _ = channel.send(&FromWorker::Failed { text: Line::truncated(&text) });
            1
        })
        .context("cannot fork the worker")?;
        Ok(Worker { pid, channel, ended: None })
    }

    /// Returns only where it fails, with a text for the user.
    fn become_worker(&self, channel: &Channel<FromWorker, ToWorker>) -> Result<std::convert::Infallible, String> {
        let internal =
            |what: &str, error: &dyn std::fmt::Display| format!("The desktop cannot start: {what}: {error}.");
        let fd = channel.as_fd().try_clone_to_owned().map_err(|e| internal("channel", &e))?;
        // A session of its own: nothing of the leader's reaches it by terminal or process group.
        setsid().map_err(|e| internal("setsid", &e))?;
        raise_oom_score();
        self.become_user().map_err(|e| internal("cannot become the user", &e))?;
        // The desktop cannot outlive its leader: nobody would close the session after it.
        nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).map_err(|e| internal("parent's end", &e))?;
        // As the user, since root may well see what they do not (NFS, FUSE).
        std::env::set_current_dir(&self.account.home).map_err(|e| self.home_text(&e))?;
        std::fs::read_dir(".").map_err(|e| self.home_text(&e))?;
        // The shell would only say so in the log.
        access(&self.program, AccessFlags::X_OK).map_err(|e| internal(&self.program.to_string_lossy(), &e.desc()))?;
        wrd_sys::process::default_signals().map_err(|e| internal("signals", &e))?;
        wrd_sys::process::keep_for_exec(&[(3, &fd)]).map_err(|e| internal("descriptors", &e))?;
        let command = Command::for_shell(&self.account.shell, &self.program, (self.config_dir, self.session))
            .ok_or_else(|| internal("a path has a NUL in it", &self.program.display()))?;
        let errno = match nix::unistd::execve(&command.file, &command.arguments, &self.environment.to_strings()) {
            Ok(never) => match never {},
            Err(errno) => errno,
        };
        Err(internal(&command.file.to_string_lossy(), &errno.desc()))
    }

    /// The groups are those that the leader took on before it opened the session, because PAM modules
    /// (pam_group) may have added to them.
    fn become_user(&self) -> anyhow::Result<()> {
        let (uid, gid) = (Uid::from_raw(self.account.uid), Gid::from_raw(self.account.gid));
        if !Uid::effective().is_root() {
            anyhow::ensure!(Uid::effective() == uid, "not root, and not that user");
            return Ok(());
        }
        setresgid(gid, gid, gid).context("setresgid")?;
        setresuid(uid, uid, uid).context("setresuid")?;
        let (uids, gids) = (getresuid()?, getresgid()?);
        let is_user = uids.real == uid && uids.effective == uid && uids.saved == uid;
        let is_group = gids.real == gid && gids.effective == gid && gids.saved == gid;
        let root = Uid::from_raw(0);
        let way_back = !uid.is_root() && setresuid(root, root, root).is_ok();
        anyhow::ensure!(is_user && is_group && !way_back, "the ids are not the user's afterwards");
        Ok(())
    }

    fn home_text(&self, error: &std::io::Error) -> String {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        format!("The home folder {} of {} cannot be read: {reason}.", self.account.home.display(), self.account.name)
    }
}

impl Worker {
    /// Reaps what has ended; whether the worker itself has.
    pub fn reap(&mut self) -> bool {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            match status {
                WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _) if pid == self.pid => {
                    self.ended = Some(status);
                }
                WaitStatus::StillAlive => break,
                _ => {}
            }
        }
        self.ended.is_some()
    }

    /// How it ended, for a person.
    pub fn ending(&self) -> String {
        match self.ended {
            Some(WaitStatus::Exited(_, 0)) => "it ended".to_owned(),
            Some(WaitStatus::Exited(_, code)) => format!("it exited with status {code}"),
            Some(WaitStatus::Signaled(_, signal, _)) => format!("it was killed by {signal}"),
            _ => "it is not answering".to_owned(),
        }
    }

    /// Whether the worker ended of its own accord and well.
    pub fn ended_well(&self) -> bool {
        matches!(self.ended, Some(WaitStatus::Exited(_, 0)))
    }

    /// Ends every process of the session that descends from us: first asked, then made to.
    fn end_all(&mut self) {
        for (signal, patience) in [(Signal::SIGTERM, ASKED), (Signal::SIGKILL, KILLED)] {
            let until = Instant::now() + patience;
            loop {
                let alive = self.signal_all(signal);
                if alive == 0 {
                    return;
                }
                if Instant::now() >= until {
                    break;
                }
                std::thread::sleep(RECHECK);
            }
        }
        tracing::warn!("ignoring processes of the session that do not end");
    }

    /// Signals the worker's process group and our children; how many children there are.
    fn signal_all(&mut self, signal: Signal) -> usize {
        if !self.reap() {
            // Not a group yet where it has just been forked: the loop below has it too.
            let _ = killpg(self.pid, signal);
        }
        let ours = cgroup(Pid::this());
        let mut alive = 0;
        for child in children() {
            // A process that was moved elsewhere (systemd-run --user --scope) was meant to outlive us.
            if child == self.pid || cgroup(child) == ours {
                let _ = kill(child, signal);
                alive += 1;
            }
        }
        self.reap();
        alive
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end_all();
    }
}

/// The leader must survive where memory runs out, since it closes the session; its children need not.
pub fn lower_own_oom_score() {
    if let Err(error) = std::fs::write(OOM_SCORE, "-900") {
        tracing::debug!("ignoring that the OOM score stays: {error}");
    }
}

fn raise_oom_score() {
    let score = std::fs::read_to_string(OOM_SCORE).ok().and_then(|text| text.trim().parse::<i32>().ok());
    if score.is_some_and(|score| score < 0) {
        let _ = std::fs::write(OOM_SCORE, "0");
    }
}

/// Our children: those we forked and the orphans that came to us.
fn children() -> Vec<Pid> {
    let lists = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let text: String = lists
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .collect::<Vec<_>>()
        .join(" ");
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw).collect()
}

fn cgroup(pid: Pid) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()
}

/// A user's login shell, told to become the worker.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    file: CString,
    arguments: Vec<CString>,
}

impl Command {
    /// The shell reads its login files first (the `-` before its name), so that the desktop has what a
    /// console login has. A shell whose language is unknown here is not made to read any: /bin/sh is.
    fn for_shell(shell: &Path, program: &Path, (config_dir, session): (&Path, Option<&SessionId>)) -> Option<Self> {
        let name = shell.file_name().unwrap_or_default().to_str().unwrap_or_default();
        let (file, name, script) = match name {
            "sh" | "ash" | "bash" | "dash" | "ksh" | "ksh93" | "mksh" | "yash" | "zsh" => (shell, name, POSIX),
            "fish" => (shell, name, "exec $argv"),
            "csh" | "tcsh" => (shell, name, "exec $argv:q"),
            _ => (Path::new(DEFAULT_SHELL), "sh", POSIX),
        };
        let c = |text: &OsStr| CString::new(text.as_bytes()).ok();
        let mut arguments = vec![c(OsStr::new(&format!("-{name}")))?, c"-c".to_owned(), c(OsStr::new(script))?];
        arguments.push(c(program.as_os_str())?);
        arguments.push(c"--config-dir".to_owned());
        arguments.push(c(config_dir.as_os_str())?);
        if let Some(session) = session {
            arguments.push(c(OsStr::new(&format!("--session={session}")))?);
        }
        Some(Self { file: c(file.as_os_str())?, arguments })
    }
}

const POSIX: &str = r#"exec "$0" "$@""#;
const OOM_SCORE: &str = "/proc/self/oom_score_adj";
const ASKED: Duration = Duration::from_secs(2);
const KILLED: Duration = Duration::from_secs(5);
const RECHECK: Duration = Duration::from_millis(20);

/// Where the worker's program is: beside our own.
pub fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find our own executable")?;
    Ok(own.with_file_name("wrd-session"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn command(shell: &str) -> Vec<String> {
        let session = SessionId::parse("sway");
        let given = (Path::new("/etc/w"), session.as_ref());
        let command = Command::for_shell(Path::new(shell), Path::new("/lib/wrd-session"), given).unwrap();
        let all = std::iter::once(command.file).chain(command.arguments);
        all.map(|text| text.into_string().unwrap()).collect()
    }

    #[test]
    fn shells_are_started_as_login_shells_in_their_own_language() {
        let rest = ["/lib/wrd-session", "--config-dir", "/etc/w", "--session=sway"];
        assert_eq!(command("/bin/bash")[..4], ["/bin/bash", "-bash", "-c", POSIX]);
        assert_eq!(command("/usr/bin/fish")[..4], ["/usr/bin/fish", "-fish", "-c", "exec $argv"]);
        assert_eq!(command("/opt/bin/nu")[..4], ["/bin/sh", "-sh", "-c", POSIX]);
        for shell in ["/bin/bash", "/usr/bin/fish", "/opt/bin/nu", "/"] {
            assert_eq!(command(shell)[4..], rest);
        }
    }

    #[test]
    fn a_posix_shell_hands_every_argument_on() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("a program");
        std::fs::write(&program, "#!/bin/sh\nprintf '%s|' \"$@\"\n").unwrap();
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let session = SessionId::parse("c++");
        let given = (Path::new("/etc/it's \"here\""), session.as_ref());
        let command = Command::for_shell(Path::new("/bin/sh"), &program, given).unwrap();
        let text = |c: &CStr| OsStr::from_bytes(c.to_bytes()).to_owned();
        let output = std::process::Command::new(text(&command.file))
            .args(command.arguments.iter().skip(1).map(|c| text(c)))
            .env("HOME", folder.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "--config-dir|/etc/it's \"here\"|--session=c++|");
    }

    /// In a process that becomes the worker, where it is let.
    #[test]
    fn a_worker_that_cannot_become_its_user_does_not_run() {
        use std::os::unix::fs::PermissionsExt;
        use wrd_sys::spawn::Program;
        const FOLDER: &str = "WRD_TEST_FOLDER";
        let Some(folder) = std::env::var_os(FOLDER) else {
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("worker");
            std::fs::write(&program, "#!/bin/sh\n: >\"$0.ran\"\n").unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            let child = Program::new(&std::env::current_exe().unwrap())
                .arg("--exact")
                .arg("worker::tests::a_worker_that_cannot_become_its_user_does_not_run")
                .env(FOLDER, folder.path());
            // Of root that leaves the number: no capability.
            let child = if Uid::effective().is_root() { child.user(0, 0) } else { child };
            assert!(child.spawn().unwrap().wait().unwrap().success());
            assert!(!program.with_extension("ran").exists());
            return;
        };
        let other = Uid::effective().as_raw() + 1;
        let account =
            Account { name: "other".into(), uid: other, gid: other, home: "/".into(), shell: "/bin/sh".into() };
        let launch = Launch {
            account: &account,
            environment: &Environment::base(&account),
            program: Path::new(&folder).join("worker"),
            config_dir: Path::new("/etc/wrd-dm"),
            session: None,
        };
        let (_ours, theirs) = RawChannel::pair().unwrap();
        let Err(text) = launch.become_worker(&theirs.typed());
        assert!(text.contains("cannot become the user"), "{text}");
    }
}
