//! Every deadline of a leader's, each time with one that is short where all others are an hour: what is played keeps a
//! login until that one is over, and not any longer. The defaults are those of the documented table.
//!
//! What a question does to them is shown beside the dialogue (`nobody_is_waited_for_longer_than_the_login_may_last`), but
//! for the backstop, which only one test of a process can have.

use clap::Parser;
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{User, alarm, geteuid};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};
use wrd_leader::Deadlines;
use wrd_leader::dialogue::Dialogue;
use wrd_leader::options::Options;
use wrd_proto::leader::{FromLeader, ToLeader};
use wrd_proto::login::{self, FromGate, Prompt, SessionChoice};
use wrd_proto::{Address, ConnectionId, Secret, UserName};
use wrd_sys::spawn::Program;
use wrd_sys::{Channel, RawChannel};

const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(3600);
/// By when a leader has ended whose deadline was short.
const PATIENCE: i64 = 30;
/// What the leaders of this program are told by.
const DEADLINES: &str = "WRD_TEST_DEADLINES";
const PASSWORD: &str = "kelp-otter-42";

const NONE: Deadlines = Deadlines { login: LONG, answering: LONG, verdict: LONG, link: LONG, backstop: None };

/// Not a test: what is started as the leader.
#[test]
fn a_leader() {
    let Ok(given) = std::env::var(DEADLINES) else { return };
    let mut ms = given.split(' ').map(|ms| ms.parse().unwrap());
    let mut next = || Duration::from_millis(ms.next().unwrap());
    let [login, answering, verdict, link] = [next(), next(), next(), next()];
    let backstop = Some(next().as_secs() as u32).filter(|seconds| *seconds > 0);
    let options = Options::parse_from(["wrd-leader", "--standalone", "--one-time-password-fd", "5"]);
    wrd_sys::log::init();
    let done = wrd_leader::login::run(&options, Deadlines { login, answering, verdict, link, backstop });
    std::process::exit(i32::from(done.is_err()));
}

struct Stage {
    leader: Child,
    monitor: Channel<ToLeader, FromLeader>,
    gate: Channel<FromGate, login::FromLeader>,
    leaders_end: RawChannel,
    began: Instant,
}

impl Stage {
    fn new(deadlines: Deadlines) -> Self {
        let Deadlines { login, answering, verdict, link, backstop } = deadlines;
        let backstop = Duration::from_secs(backstop.unwrap_or(0).into());
        let ms = [login, answering, verdict, link, backstop].map(|time| time.as_millis().to_string());
        let (ours, theirs) = RawChannel::pair().unwrap();
        let (password, mut password_in) = std::io::pipe().unwrap();
        writeln!(password_in, "{PASSWORD}").unwrap();
        drop(password_in);
        let began = Instant::now();
        let program = Program::new(&std::env::current_exe().unwrap()).env(DEADLINES, ms.join(" "));
        let args = ["--exact", "a_leader", "--nocapture", "--test-threads=1"];
        let program = args.iter().fold(program, Program::arg).fd(0, theirs.into()).fd(5, password.into());
        let leader = program.spawn().unwrap();
        let (gate, leaders_end) = RawChannel::pair().unwrap();
        let (monitor, gate) = (ours.typed(), gate.typed());
        for socket in [monitor.as_fd(), gate.as_fd()] {
            setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE)).unwrap();
        }
        Self { leader, monitor, gate, leaders_end, began }
    }

    fn begin(deadlines: Deadlines) -> Self {
        let stage = Self::new(deadlines);
        let (connection, client) = (ConnectionId(7), Address::truncated("192.0.2.7"));
        let begin = ToLeader::Begin { connection, client, proven: None, returning: None };
        stage.monitor.send_fds(&begin, &[stage.leaders_end.as_fd()]).unwrap();
        stage
    }

    /// Of this program's own user.
    fn log_in(&self) {
        let (user, domain) = (UserName::truncated(&me().name), UserName::default());
        let password = Secret::new(PASSWORD.into()).unwrap();
        let session = SessionChoice::Last;
        self.gate.send(&FromGate::Credentials { user, domain, password, session }).unwrap();
        assert_eq!(self.gate.recv().unwrap(), login::FromLeader::Accepted);
        assert_eq!(self.monitor.recv().unwrap(), FromLeader::Tries);
        assert!(matches!(self.monitor.recv().unwrap(), FromLeader::Authenticated { .. }));
    }

    /// The leader has said its last, and ends, not before this time is over.
    fn ends_after(mut self, time: Duration) -> ExitStatus {
        let until = Instant::now() + Duration::from_secs(PATIENCE as u64);
        let status = loop {
            match self.leader.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < until, "the leader does not end"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(self.began.elapsed() >= time);
        status
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.leader.kill();
        let _ = self.leader.wait();
    }
}

fn me() -> User {
    User::from_uid(geteuid()).unwrap().unwrap()
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let page = include_str!("../../../docs/security-model.md");
    let (_, section) = page.split_once("### Deadlines").unwrap();
    let has = |row: &str, words: &str| {
        let row = section.lines().find(|line| line.starts_with(&format!("| {row}"))).unwrap_or_else(|| panic!("{row}"));
        assert!(row.contains(words), "{words}: {row}");
    };
    let Deadlines { login, answering, verdict, link, backstop } = Deadlines::FULL;
    assert_eq!(login, answering, "counted anew");
    let (login, backstop) = (login.as_secs(), backstop.unwrap());
    has("PAM's verdict", &format!("the leader takes no credentials after {login} s"));
    has("PAM's verdict", &format!("killed by an alarm after {backstop} s, both counted anew from the first question"));
    has("what becomes of whom PAM has let in", &format!("| leader | {} s |", verdict.as_secs()));
    has("a gate that has yet to take its link", &format!("| leader | {} s |", link.as_secs()));
}

#[test]
fn a_monitor_that_begins_no_login() {
    let status = Stage::new(Deadlines { login: SHORT, ..NONE }).ends_after(SHORT);
    assert_eq!(status.code(), Some(1));
}

#[test]
fn credentials() {
    let stage = Stage::begin(Deadlines { login: SHORT, ..NONE });
    let said = stage.gate.recv().unwrap();
    assert!(matches!(said, login::FromLeader::Denied { may_retry: false, .. }), "{said:?}");
    assert_eq!(stage.ends_after(SHORT).code(), Some(0));
}

#[test]
fn what_becomes_of_whom_was_let_in() {
    let stage = Stage::begin(Deadlines { verdict: SHORT, ..NONE });
    stage.log_in();
    let said = stage.gate.recv().unwrap();
    assert!(matches!(said, login::FromLeader::SessionFailed { .. }), "{said:?}");
    assert_eq!(stage.ends_after(SHORT).code(), Some(0));
}

#[test]
fn a_gate_that_does_not_take_its_link() {
    let stage = Stage::begin(Deadlines { link: SHORT, ..NONE });
    stage.log_in();
    stage.monitor.send(&ToLeader::HandedOver).unwrap();
    assert_eq!(stage.ends_after(SHORT).code(), Some(0));
}

#[test]
fn a_backstop_until_somebody_is_let_in() {
    let backstop = Some(2);
    // One that waits on and on, as a module may.
    let status = Stage::begin(Deadlines { backstop, ..NONE }).ends_after(2 * SHORT);
    assert_eq!(status.signal(), Some(Signal::SIGALRM as i32));
    let stage = Stage::begin(Deadlines { backstop, verdict: 3 * SHORT, ..NONE });
    stage.log_in();
    assert_eq!(stage.ends_after(3 * SHORT).code(), Some(0));
}

#[test]
fn the_first_question_sets_the_backstop_anew() {
    let [(gate, client), (monitor, _server)] = [RawChannel::pair().unwrap(), RawChannel::pair().unwrap()];
    let (gate, monitor) = (gate.typed(), monitor.typed());
    let client: Channel<FromGate, login::FromLeader> = client.typed();
    let deadlines = Deadlines { backstop: Some(1000), ..NONE };
    let mut dialogue = Dialogue::new(&gate, &monitor, Instant::now(), deadlines);
    for remaining in [1000, 5000] {
        alarm::set(5000);
        client.send(&FromGate::Answer(Secret::new(b"yes".to_vec()).unwrap())).unwrap();
        dialogue.ask(Prompt::Shown, "Sure?").unwrap();
        let left = alarm::cancel().unwrap();
        assert!((remaining - 100..=remaining).contains(&left), "{left} s for {remaining} s");
    }
}
