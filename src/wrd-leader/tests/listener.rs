//! The real `wrd-leader --listen`. What it starts is a script that stands beside it under the name it looks for and
//! tells about itself.

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, listen, recv, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::Pid;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};
use wrd_sys::spawn::Program;

const TELLS: &str = r#"#!/bin/sh
{
    for number in 0 1 2 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$number ] || echo "fd $number"; done
    echo "args $*"
    # Without a child: for the time that takes, the shell would have signals blocked.
    for file in stat status; do while read -r line; do echo "$line"; done </proc/$$/$file; done
    env
} >"$0.told"
cat "$0.told" >&0
"#;
const SCHED_BATCH: &str = "3";

struct Stage {
    dir: tempfile::TempDir,
    listener: Child,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let at = |name: &str| dir.path().join(name);
        // A link and not a copy, which another test's child could still have open for writing.
        std::fs::hard_link(env!("CARGO_BIN_EXE_wrd-leader"), at("listener")).unwrap();
        let listening = message_socket();
        bind(listening.as_raw_fd(), &UnixAddr::new(&at("socket")).unwrap()).unwrap();
        listen(&listening, Backlog::new(16).unwrap()).unwrap();
        let log = std::fs::File::create(at("log")).unwrap();
        let listener = Program::new("/bin/sh".as_ref())
            .arg("-c")
            // As systemd does it: the pid is known only to the child.
            .arg("LISTEN_PID=$$ exec \"$0\" --listen --config-dir /some/where")
            .arg(at("listener"))
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "leader")
            .env("ADDED", "by an administrator")
            .pass_env("PATH")
            .fd(2, log.into())
            .fd(3, listening)
            .spawn()
            .unwrap();
        Self { dir, listener }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What is started from now on. In place as `install` does it: by another file of the name.
    fn leader(&self, script: &str) {
        std::fs::write(self.at("new"), script).unwrap();
        std::fs::set_permissions(self.at("new"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::rename(self.at("new"), self.at("wrd-leader")).unwrap();
    }

    /// Connects; all that the leader tells until it has closed the connection.
    fn log_in(&self) -> String {
        let connection = message_socket();
        setsockopt(&connection, sockopt::ReceiveTimeout, &TimeVal::seconds(60)).unwrap();
        connect(connection.as_raw_fd(), &UnixAddr::new(&self.at("socket")).unwrap()).unwrap();
        let (mut told, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        loop {
            match recv(connection.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap() {
                0 => return String::from_utf8(told).unwrap(),
                length => told.extend_from_slice(&buffer[..length]),
            }
        }
    }

    fn wait_log(&self, part: &str) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let log = std::fs::read_to_string(self.at("log")).unwrap();
            if log.contains(part) {
                return;
            }
            assert!(Instant::now() < until, "no {part:?} in: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.listener.kill();
        let _ = self.listener.wait();
    }
}

fn message_socket() -> OwnedFd {
    socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

#[test]
fn each_connection_has_a_leader_of_its_own_that_starts_clean() {
    let stage = Stage::new();
    stage.leader(TELLS);
    let mut pids = Vec::new();
    for _ in 0..3 {
        let told = stage.log_in();
        let line = |start: &str| told.lines().find_map(|line| line.strip_prefix(start)).map(str::trim);
        let fds: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("fd ")).collect();
        assert_eq!(fds, ["0", "1", "2"], "{told}");
        assert_eq!(
            line("args "),
            Some("--runtime-dir /run/wrd-dm --state-dir /var/lib/wrd-dm --config-dir /some/where")
        );
        assert_eq!(line("PPid:"), Some(stage.listener.id().to_string().as_str()));
        assert_eq!(line("SigBlk:"), Some("0000000000000000"));
        assert_eq!(line("ADDED="), Some("by an administrator"));
        assert!(!told.contains("LISTEN_"), "{told}");
        // proc_pid_stat(5), from its third field on.
        let stat: Vec<&str> = told.lines().find_map(|line| line.split_once(") ")).unwrap().1.split(' ').collect();
        let pid = line("Pid:").unwrap().to_owned();
        assert_eq!((stat[2], stat[3]), (pid.as_str(), pid.as_str()), "process group and session");
        assert_eq!(stat[38], SCHED_BATCH);
        assert!(!pids.contains(&pid));
        pids.push(pid);
    }
}

#[test]
fn what_goes_wrong_with_a_leader_is_its_own_logins_trouble() {
    let mut stage = Stage::new();
    assert_eq!(stage.log_in(), "", "of a program that is not there");
    stage.wait_log("cannot start");
    stage.leader("#!/bin/sh\nkill -KILL $$\n");
    assert_eq!(stage.log_in(), "");
    stage.wait_log("was killed by SIGKILL");
    stage.leader("#!/bin/sh\nexit 1\n");
    assert_eq!(stage.log_in(), "");
    // And what has come in place of it by the next login is what that one gets.
    stage.leader(TELLS);
    assert!(stage.log_in().contains("fd 0"));
    assert!(stage.listener.try_wait().unwrap().is_none());
    kill(Pid::from_raw(stage.listener.id() as i32), Signal::SIGTERM).unwrap();
    assert!(stage.listener.wait().unwrap().success());
}

#[test]
fn without_a_socket_it_says_who_is_to_start_it() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_wrd-leader")).arg("--listen").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("wrd-leader.socket"));
}
