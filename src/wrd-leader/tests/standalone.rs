//! The real wrd-leader with the one-time-password authority: this test is its monitor and its gate, and
//! a small worker (a script that runs `worker_program` of this same test binary) stands beside it under
//! the name it looks for.

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{Pid, User};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};
use wrd_proto::leader::{FromLeader, ToLeader};
use wrd_proto::login::{self, FromGate, SessionChoice};
use wrd_proto::reconnect::Cookie;
use wrd_proto::session::{FromSession, SessionInfo, State, ToSession};
use wrd_proto::worker::{FromWorker, ToWorker};
use wrd_proto::{Address, ConnectionId, Key, Line, Secret, Text, UserName};
use wrd_sys::spawn::Program;
use wrd_sys::{Channel, ChannelError, RawChannel, listen};

const PASSWORD: &str = "kelp-otter-42";

struct Stage {
    dir: tempfile::TempDir,
    leader: Child,
    monitor: Channel<ToLeader, FromLeader>,
    gate: Option<Channel<FromGate, login::FromLeader>>,
}

impl Stage {
    /// A leader that has got its `Begin`; `role` is what its worker does.
    fn new(role: &str) -> Self {
        Self::begin(role, None)
    }

    /// For who comes back to their session.
    fn begin(role: &str, returning: Option<&str>) -> Self {
        // Where a hard link to the leader can be: a copy could still be open for writing in a child that
        // another test has just forked, and would then not run.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::hard_link(env!("CARGO_BIN_EXE_wrd-leader"), at("wrd-leader")).unwrap();
        let this = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\nexport ROLE={role} ARGS=\"$*\" PIDS={} SIGNALS=\"$(cat /proc/self/status)\"\n\
             exec {} --ignored --exact worker_program --nocapture\n",
            at("pids").display(),
            this.display()
        );
        std::fs::write(at("wrd-session"), script).unwrap();
        std::fs::set_permissions(at("wrd-session"), PermissionsExt::from_mode(0o755)).unwrap();
        for private in ["run", "xdg"] {
            std::fs::create_dir(at(private)).unwrap();
            std::fs::set_permissions(at(private), PermissionsExt::from_mode(0o700)).unwrap();
        }
        std::fs::write(at("wrd-dm.toml"), "[session]\nstart_seconds = 5\n[desktop]\nname = \"test\"\n").unwrap();

        let (ours, theirs) = RawChannel::pair().unwrap();
        let (password, mut password_in) = std::io::pipe().unwrap();
        writeln!(password_in, "{PASSWORD}").unwrap();
        drop(password_in);
        let leader = Program::new(&at("wrd-leader"))
            .arg("--standalone")
            .args_of(&[("--runtime-dir", &at("run")), ("--state-dir", &at("state")), ("--config-dir", dir.path())])
            .arg("--one-time-password-fd")
            .arg("5")
            .fd(0, theirs.into())
            .fd(5, password.into())
            .pass_env("PATH")
            .env("XDG_RUNTIME_DIR", at("xdg"))
            .env("LD_DEBUG_SECRET", "not for the session")
            .spawn()
            .unwrap();
        let monitor: Channel<ToLeader, FromLeader> = impatient(ours.typed());
        let (gate, leaders_end) = RawChannel::pair().unwrap();
        let begin = ToLeader::Begin {
            connection: ConnectionId(7),
            client: Address::truncated("192.0.2.7"),
            proven: None,
            returning: returning.map(UserName::truncated),
        };
        monitor.send_fds(&begin, &[leaders_end.as_fd()]).unwrap();
        Self { dir, leader, monitor, gate: Some(impatient(gate.typed())) }
    }

    fn gate(&self) -> &Channel<FromGate, login::FromLeader> {
        self.gate.as_ref().unwrap()
    }

    fn present(&self, user: &str, password: &str) -> login::FromLeader {
        self.present_for(user, password, SessionChoice::Last);
        self.gate().recv().unwrap()
    }

    fn present_for(&self, user: &str, password: &str, session: SessionChoice) {
        let (user, domain) = (UserName::truncated(user), UserName::default());
        let password = Secret::new(password.into()).unwrap();
        self.gate().send(&FromGate::Credentials { user, domain, password, session }).unwrap();
    }

    /// What the monitor hears of credentials that were presented, behind that there are any.
    fn heard_of_a_try(&self) -> FromLeader {
        assert_eq!(self.monitor.recv().unwrap(), FromLeader::Tries);
        self.monitor.recv().unwrap()
    }

    fn log_in(&self) {
        let me = me();
        assert_eq!(self.present(&me.name, PASSWORD), login::FromLeader::Accepted);
        let user = UserName::truncated(&me.name);
        assert_eq!(self.heard_of_a_try(), FromLeader::Authenticated { uid: me.uid.as_raw(), user });
    }

    /// Logged in, started, and connected to the session's socket.
    fn session(role: &str) -> (Self, Channel<ToSession, FromSession>) {
        let stage = Self::new(role);
        stage.log_in();
        stage.monitor.send(&ToLeader::StartSession).unwrap();
        assert_eq!(stage.monitor.recv().unwrap(), FromLeader::SessionReady);
        let session = stage.connect();
        (stage, session)
    }

    fn connect(&self) -> Channel<ToSession, FromSession> {
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        connect(fd.as_raw_fd(), &UnixAddr::new(&self.socket()).unwrap()).unwrap();
        impatient(RawChannel::from(fd).typed())
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("run/sessions").join(format!("{}.sock", me().uid))
    }

    /// The start fails: the text that user and monitor get.
    fn failing_start(role: &str) -> String {
        let mut stage = Self::new(role);
        stage.log_in();
        stage.monitor.send(&ToLeader::StartSession).unwrap();
        let FromLeader::SessionFailed { text } = stage.monitor.recv().unwrap() else { panic!("it started") };
        assert_eq!(stage.gate().recv().unwrap(), login::FromLeader::SessionFailed { text: text.clone() });
        stage.leader_ends();
        assert!(!stage.socket().exists());
        text.into_string()
    }

    fn leader_ends(&mut self) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.leader.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "the leader does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

trait ArgsOf: Sized {
    fn args_of(self, pairs: &[(&str, &Path)]) -> Self;
}

impl ArgsOf for Program {
    fn args_of(self, pairs: &[(&str, &Path)]) -> Self {
        pairs.iter().fold(self, |program, (name, value)| program.arg(name).arg(value))
    }
}

fn me() -> User {
    User::from_uid(nix::unistd::geteuid()).unwrap().unwrap()
}

fn impatient<T: serde::Serialize, R: serde::de::DeserializeOwned>(channel: Channel<T, R>) -> Channel<T, R> {
    setsockopt(&channel, sockopt::ReceiveTimeout, &TimeVal::seconds(20)).unwrap();
    channel
}

fn describe(session: &Channel<ToSession, FromSession>) -> SessionInfo {
    session.send(&ToSession::Describe).unwrap();
    loop {
        if let FromSession::Description(info) = session.recv().unwrap() {
            return info;
        }
    }
}

/// Skips `Changed` until something else comes.
fn answer(session: &Channel<ToSession, FromSession>) -> FromSession {
    loop {
        match session.recv().unwrap() {
            FromSession::Changed(_) => {}
            other => return other,
        }
    }
}

/// Waits for a description that `wanted` likes.
fn changed(session: &Channel<ToSession, FromSession>, wanted: impl Fn(&SessionInfo) -> bool) -> SessionInfo {
    loop {
        match session.recv().unwrap() {
            FromSession::Changed(info) if wanted(&info) => return info,
            FromSession::Changed(_) | FromSession::Attached { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn attach(session: &Channel<ToSession, FromSession>, number: u64) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let connection = ConnectionId(number);
    let client = Address::truncated("192.0.2.7");
    session.send_fds(&ToSession::Attach { connection, client }, &[theirs.as_fd()]).unwrap();
    assert_eq!(answer(session), FromSession::Attached { connection });
    ours.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    ours
}

fn wait_gone(pid: i32) {
    let until = Instant::now() + Duration::from_secs(60);
    while kill(Pid::from_raw(pid), None).is_ok() {
        assert!(Instant::now() < until, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_session_from_login_to_log_out() {
    let (mut stage, session) = Stage::session("serve");
    let info = describe(&session);
    assert_eq!((info.uid, info.user.as_str()), (me().uid.as_raw(), me().name.as_str()));
    assert_eq!(
        (info.state, info.desktop.as_str(), info.wayland_display.as_str()),
        (State::Disconnected, "test", "wayland-7")
    );
    assert_eq!(info.leader_pid, stage.leader.id());
    assert_eq!(stage.socket().metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let mut link = attach(&session, 7);
    let info = changed(&session, |info| info.client.as_ref().is_some_and(|client| client.width == 800));
    assert_eq!(info.state, State::Connected);
    let mut report = String::new();
    link.read_to_string(&mut report).unwrap();
    check_report(&report, &stage);

    // Another connection takes over; the worker's word about the first one comes late and changes nothing.
    let _second = attach(&session, 8);
    let info = changed(&session, |info| info.client.as_ref().is_some_and(|client| client.width == 800));
    assert_eq!(info.client.unwrap().connection, ConnectionId(8));
    session.send(&ToSession::Disconnect).unwrap();
    assert_eq!(changed(&session, |info| info.client.is_none()).state, State::Disconnected);

    // A restarted monitor comes while the old one's connection is still there.
    let restarted = stage.connect();
    assert_eq!(describe(&restarted).worker_pid, info.worker_pid);

    restarted.send(&ToSession::Terminate).unwrap();
    assert!(matches!(answer(&restarted), FromSession::Ending { .. }));
    assert!(matches!(restarted.recv(), Err(ChannelError::Closed)));
    stage.leader_ends();
    assert!(!stage.socket().exists());
    wait_gone(info.worker_pid as i32);
}

/// What the worker found itself to be.
fn check_report(report: &str, stage: &Stage) {
    let me = me();
    let has = |line: &str| assert!(report.lines().any(|l| l == line), "no {line:?} in:\n{report}");
    has(&format!("cwd {}", me.dir.canonicalize().unwrap().display()));
    has(&format!("args --config-dir {}", stage.dir.path().display()));
    has(&format!("env HOME={}", me.dir.display()));
    has(&format!("env LOGNAME={}", me.name));
    has("env XDG_SESSION_TYPE=wayland");
    has("env XDG_SESSION_DESKTOP=test");
    has(&format!("env XDG_RUNTIME_DIR={}", stage.dir.path().join("xdg").display()));
    has("signals blocked 0000000000000000");
    has("signals ignored 0000000000000000");
    has("fds 0 1 2 3");
    has("session leader");
    assert!(!report.contains("LD_DEBUG_SECRET") && !report.contains(PASSWORD));
}

#[test]
fn wrong_answers_are_denied_alike_and_the_last_one_ends_it() {
    let mut stage = Stage::new("serve");
    let mut texts = Vec::new();
    for (user, password) in [(me().name.as_str(), "wrong"), ("nobody-at-all", PASSWORD), ("", PASSWORD), ("x\0y", "z")]
    {
        let login::FromLeader::Denied { text, may_retry } = stage.present(user, password) else { panic!("accepted") };
        assert!(may_retry);
        texts.push(text);
        let FromLeader::Denied { user: named, .. } = stage.heard_of_a_try() else { panic!("not told") };
        assert_eq!(named.as_str(), user);
    }
    texts.dedup();
    assert_eq!(texts.len(), 1);
    let last = stage.present(&me().name, "");
    assert!(matches!(last, login::FromLeader::Denied { may_retry: false, .. }));
    stage.leader_ends();
}

#[test]
fn the_monitor_hears_of_a_denial_first_and_may_have_the_user_not_hear_of_it() {
    let mut stage = Stage::new("");
    stage.present_for(&me().name, "wrong", SessionChoice::Last);
    let said = stage.heard_of_a_try();
    assert!(matches!(said, FromLeader::Denied { pause_ms: 2000, .. }), "{said:?}");
    let Stage { monitor, .. } = &stage;
    nix::sys::socket::shutdown(monitor.as_fd().as_raw_fd(), nix::sys::socket::Shutdown::Write).unwrap();
    let heard = stage.gate().recv();
    assert!(heard.is_err(), "the pause was waited for: {heard:?}");
    stage.leader_ends();
}

#[test]
fn an_answer_where_nothing_was_asked_ends_it() {
    for message in [FromGate::Cancel, FromGate::Answer(Secret::new(b"yes".to_vec()).unwrap())] {
        let mut stage = Stage::new("");
        stage.gate().send(&message).unwrap();
        let said = stage.monitor.recv().unwrap();
        assert!(matches!(said, FromLeader::Broken { .. }), "{said:?}");
        stage.leader_ends();
    }
}

/// Which session the user chose last, as another login has left it.
fn remember(stage: &Stage, id: &str) -> PathBuf {
    let folder = stage.dir.path().join("state/last-session");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(me().uid.to_string());
    std::fs::write(&file, format!("{id}\n")).unwrap();
    file
}

fn start_session(stage: &Stage, session: SessionChoice) -> Channel<ToSession, FromSession> {
    stage.present_for(&me().name, PASSWORD, session);
    assert_eq!(stage.gate().recv().unwrap(), login::FromLeader::Accepted);
    assert!(matches!(stage.heard_of_a_try(), FromLeader::Authenticated { .. }));
    stage.monitor.send(&ToLeader::StartSession).unwrap();
    assert_eq!(stage.monitor.recv().unwrap(), FromLeader::SessionReady);
    stage.connect()
}

#[test]
fn the_session_of_the_last_login_is_the_next_one_until_it_is_gone() {
    let stage = Stage::new("serve");
    let file = remember(&stage, "long-gone");
    let session = start_session(&stage, SessionChoice::Last);
    let mut report = String::new();
    attach(&session, 7).read_to_string(&mut report).unwrap();
    assert!(report.lines().any(|line| line.ends_with(" --session=long-gone")), "{report}");
    assert!(!file.exists());
    session.send(&ToSession::Terminate).unwrap();
}

#[test]
fn a_session_that_failed_at_once_is_forgotten() {
    let stage = Stage::new("unusable");
    let file = remember(&stage, "failing");
    let session = start_session(&stage, SessionChoice::Named(Text::truncated("no-such-session")));
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while file.exists() {
        assert!(std::time::Instant::now() < end, "it is remembered");
        std::thread::sleep(Duration::from_millis(10));
    }
    session.send(&ToSession::Terminate).unwrap();
}

#[test]
fn a_session_is_passed_on_by_name_and_what_is_no_name_ends_the_login() {
    for (name, argument) in [("no-such-session", " --session=no-such-session"), ("", "")] {
        let stage = Stage::new("serve");
        let session = start_session(&stage, SessionChoice::Named(Text::truncated(name)));
        let mut report = String::new();
        attach(&session, 7).read_to_string(&mut report).unwrap();
        let expected = format!("args --config-dir {}{argument}", stage.dir.path().display());
        assert!(report.lines().any(|line| line == expected), "no {expected:?} in:\n{report}");
        // Only what is installed is known by its name.
        assert_eq!(describe(&session).desktop.as_str(), "test");
        session.send(&ToSession::Terminate).unwrap();
    }
    for bad in ["../evil", "a/b", "/bin/sh", ".hidden", "a b", "-x", "a\0"] {
        let mut stage = Stage::new("");
        stage.present_for(&me().name, PASSWORD, SessionChoice::Named(Text::truncated(bad)));
        let said = stage.monitor.recv().unwrap();
        assert!(matches!(said, FromLeader::Broken { .. }), "{bad:?}: {said:?}");
        stage.leader_ends();
    }
}

#[test]
fn a_client_or_a_monitor_that_vanishes_ends_the_login() {
    let mut stage = Stage::new("serve");
    stage.gate = None;
    stage.leader_ends();

    let mut stage = Stage::new("serve");
    let (other, _) = RawChannel::pair().unwrap();
    stage.monitor = other.typed();
    stage.leader_ends();
    assert!(matches!(stage.gate().recv(), Err(ChannelError::Closed)));

    // After the login, before there is a verdict.
    let mut stage = Stage::new("serve");
    stage.log_in();
    stage.gate = None;
    stage.leader_ends();
}

#[test]
fn a_login_is_handed_over_or_refused_as_the_monitor_says() {
    let mut stage = Stage::new("serve");
    stage.log_in();
    stage.monitor.send(&ToLeader::HandedOver).unwrap();
    // The leader's end stays open until the gate has what it waits for.
    setsockopt(stage.gate(), sockopt::ReceiveTimeout, &TimeVal::milliseconds(300)).unwrap();
    assert!(matches!(stage.gate().recv(), Err(ChannelError::WouldBlock)));
    stage.gate = None;
    stage.leader_ends();

    let mut stage = Stage::new("serve");
    stage.log_in();
    let text = Line::truncated("too many");
    stage.monitor.send(&ToLeader::Refused(text.clone())).unwrap();
    assert_eq!(stage.gate().recv().unwrap(), login::FromLeader::SessionFailed { text });
    stage.leader_ends();
}

#[test]
fn a_session_that_cannot_start_says_why() {
    assert_eq!(Stage::failing_start("failed"), "the command x was not found");
    assert!(Stage::failing_start("exit").contains("it exited with status 3"));
    assert!(Stage::failing_start("silent").contains("not ready in time"));
    assert!(Stage::failing_start("garbage").contains("talks nonsense"));
}

#[test]
fn a_killed_worker_ends_the_session() {
    let (mut stage, session) = Stage::session("serve");
    let info = describe(&session);
    let mut link = attach(&session, 7);
    link.read_to_string(&mut String::new()).unwrap();
    kill(Pid::from_raw(info.worker_pid as i32), Signal::SIGKILL).unwrap();
    assert!(matches!(answer(&session), FromSession::Ending { .. }));
    stage.leader_ends();
    assert!(!stage.socket().exists());
}

#[test]
fn a_terminated_leader_takes_stubborn_workers_and_their_orphans_along() {
    let (mut stage, session) = Stage::session("stubborn");
    kill(Pid::from_raw(stage.leader.id() as i32), Signal::SIGTERM).unwrap();
    assert!(matches!(answer(&session), FromSession::Ending { .. }));
    // What comes now is refused.
    let (_ours, theirs) = UnixStream::pair().unwrap();
    let connection = ConnectionId(9);
    session.send_fds(&ToSession::Attach { connection, client: Address::default() }, &[theirs.as_fd()]).unwrap();
    assert!(matches!(answer(&session), FromSession::AttachRefused { .. }));
    stage.leader_ends();
    let pids = std::fs::read_to_string(stage.dir.path().join("pids")).unwrap();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        wait_gone(pid.parse().unwrap());
    }
}

#[test]
fn who_comes_back_is_let_in_without_a_password_and_starts_no_session() {
    let me = me();
    for starts in [false, true] {
        let mut stage = Stage::begin("serve", Some(&me.name));
        let user = UserName::truncated(&me.name);
        assert_eq!(stage.monitor.recv().unwrap(), FromLeader::Authenticated { uid: me.uid.as_raw(), user });
        assert_eq!(stage.gate().recv().unwrap(), login::FromLeader::Accepted);
        let verdict = if starts { ToLeader::StartSession } else { ToLeader::HandedOver };
        stage.monitor.send(&verdict).unwrap();
        stage.gate = None;
        stage.leader_ends();
        assert!(!stage.socket().exists() && !stage.dir.path().join("pids").exists());
        assert_eq!(stage.leader.wait().unwrap().success(), !starts);
    }
}

#[test]
fn who_may_not_come_back_can_log_in_and_has_one_try_less() {
    let stage = Stage::begin("serve", Some("somebody-else"));
    let denied = |may_retry| login::FromLeader::Denied {
        text: Line::truncated("The user name or the password is wrong."),
        may_retry,
    };
    assert_eq!(stage.gate().recv().unwrap(), denied(true));
    assert!(
        matches!(stage.monitor.recv().unwrap(), FromLeader::Denied { user, .. } if user.as_str() == "somebody-else")
    );
    stage.log_in();
    stage.monitor.send(&ToLeader::StartSession).unwrap();
    assert_eq!(stage.monitor.recv().unwrap(), FromLeader::SessionReady);

    let stage = Stage::begin("serve", Some("somebody-else"));
    assert_eq!(stage.gate().recv().unwrap(), denied(true));
    for left in (0..wrd_proto::leader::MAX_TRIES - 1).rev() {
        assert_eq!(stage.present("nobody-here", ""), denied(left > 0));
    }
}

#[test]
fn a_cookie_reaches_the_worker_for_the_attached_client_only() {
    let (_stage, session) = Stage::session("serve");
    let cookie = |number: u64| ToSession::Cookie {
        connection: ConnectionId(number),
        cookie: Cookie { logon_id: 1, secret: Key::new([7; 16]) },
    };
    session.send(&cookie(1)).unwrap();
    let _link = attach(&session, 1);
    session.send(&cookie(2)).unwrap();
    session.send(&cookie(1)).unwrap();
    assert_eq!(answer(&session), FromSession::Left { connection: ConnectionId(1) });
    describe(&session);
}

#[test]
fn a_monitor_that_breaks_the_order_or_does_not_read_loses_its_connection_only() {
    let (stage, first) = Stage::session("serve");
    first.send(&ToSession::Attach { connection: ConnectionId(1), client: Address::default() }).unwrap();
    assert!(matches!(first.recv(), Err(ChannelError::Closed)));

    let deaf = stage.connect();
    deaf.set_nonblocking(wrd_sys::channel::Blocking::No).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while let Ok(()) | Err(ChannelError::WouldBlock) = deaf.send(&ToSession::Describe) {
        assert!(Instant::now() < until, "it is still served");
    }
    assert_eq!(describe(&stage.connect()).state, State::Disconnected);
}

/// Not a test: what runs as the worker of the leaders above.
#[test]
#[ignore = "the worker of the other tests"]
fn worker_program() {
    let Ok(role) = std::env::var("ROLE") else { return };
    let fd = listen::take_fd(3).unwrap();
    let channel: Channel<FromWorker, ToWorker> = RawChannel::from(fd).typed();
    let ready = FromWorker::Ready { wayland_display: Text::truncated("wayland-7") };
    match role.as_str() {
        "serve" => {
            channel.send(&ready).unwrap();
            serve(&channel);
        }
        "unusable" => {
            channel.send(&ready).unwrap();
            channel.send(&FromWorker::Unusable).unwrap();
            serve(&channel);
        }
        "stubborn" => {
            // The orphan outlives the shell that makes it and ignores requests.
            let script = "trap '' TERM HUP; (setsid sh -c 'echo $$; while :; do sleep 1000; done' & ); echo $$; \
                          while :; do sleep 1000; done";
            let pids = std::fs::File::create(std::env::var("PIDS").unwrap()).unwrap();
            let mut shell = std::process::Command::new("sh").args(["-c", script]).stdout(pids).spawn().unwrap();
            while std::fs::read_to_string(std::env::var("PIDS").unwrap()).unwrap().lines().count() < 2 {
                std::thread::sleep(Duration::from_millis(10));
            }
            channel.send(&ready).unwrap();
            shell.wait().unwrap();
        }
        "failed" => channel.send(&FromWorker::Failed { text: Line::truncated("the command x was not found") }).unwrap(),
        "exit" => std::process::exit(3),
        "garbage" => {
            nix::sys::socket::send(channel.as_raw_fd(), &[99; 40], nix::sys::socket::MsgFlags::empty()).unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
        _ => std::thread::sleep(Duration::from_secs(60)),
    }
    std::process::exit(0);
}

fn serve(channel: &Channel<FromWorker, ToWorker>) {
    let report = report();
    let mut attached: Option<ConnectionId> = None;
    while let Ok((message, link)) = channel.recv_fd() {
        match message {
            ToWorker::Attach { connection, .. } => {
                let mut link = UnixStream::from(link.unwrap_or_else(|| panic!("no link")));
                link.write_all(report.as_bytes()).unwrap();
                channel.send(&FromWorker::Attached { connection, width: 800, height: 600 }).unwrap();
                if let Some(before) = attached.replace(connection) {
                    channel.send(&FromWorker::Detached { connection: before }).unwrap();
                }
            }
            ToWorker::Disconnect => {
                if let Some(connection) = attached.take() {
                    channel.send(&FromWorker::Detached { connection }).unwrap();
                }
            }
            // So that the test sees it.
            ToWorker::Cookie { connection, .. } => channel.send(&FromWorker::Left { connection }).unwrap(),
            ToWorker::Terminate => return,
        }
    }
}

/// What a worker finds itself to be when it starts.
fn report() -> String {
    // As a program that the shell started saw them: this one has threads, and Rust ignores SIGPIPE.
    let status = std::env::var("SIGNALS").unwrap();
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim().to_owned();
    let mut lines = vec![
        format!("cwd {}", std::env::current_dir().unwrap().display()),
        format!("args {}", std::env::var("ARGS").unwrap()),
        format!("signals blocked {}", field("SigBlk:")),
    ];
    // The C library ignores its own two (32 and 33) in what posix_spawn starts.
    let ignored = u64::from_str_radix(&field("SigIgn:"), 16).unwrap() & !(0b11 << 31);
    lines.push(format!("signals ignored {ignored:016x}"));
    let open = |n: &i32| std::fs::symlink_metadata(format!("/proc/self/fd/{n}")).is_ok();
    let fds: Vec<String> = (0..64).filter(open).map(|n| n.to_string()).collect();
    lines.push(format!("fds {}", fds.join(" ")));
    if nix::unistd::getsid(None).unwrap() == nix::unistd::getpid() {
        lines.push("session leader".into());
    }
    lines.extend(
        std::env::vars().filter(|(name, _)| name != "SIGNALS").map(|(name, value)| format!("env {name}={value}")),
    );
    lines.join("\n") + "\n"
}
