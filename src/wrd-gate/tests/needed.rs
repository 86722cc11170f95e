//! Every rule of the sandbox is needed: without any one of them a real gate dies of SIGSYS, in a connection that it
//! serves with all of them. A rule is one way to make a call, so that none of several is there for nothing.
//!
//! This program is its own gate: the shipped one has no way to leave a rule out. What is played with it: a login at
//! once, a login on the screen, a relay in both directions with a client that reads slowly, a stop and a continuation,
//! a panic, a machine whose clock the vDSO cannot read.

mod common;

use common::{Identity, Monitor, accept_program, denied, dial, listener, worker};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use wrd_gate::sandbox::{Stage, enter};
use wrd_gate::{Deadlines, Policy, log_panics};
use wrd_proto::gate::ToMonitor;
use wrd_proto::login::{FromGate, FromLeader};
use wrd_rdp::pdu;
use wrd_sys::spawn::Program;
use wrd_sys::{Channel, Wiping};
use wrd_test_client::online::{Client, Trust, next_pdu};
use wrd_test_client::{Kind, PLAIN};

/// As in the shipped one: it decides how buffers grow.
#[global_allocator]
static MEMORY: Wiping = Wiping;

const PATIENCE: Duration = Duration::from_secs(60);
/// What the gates of this program are told by: the rule to leave out, from which stage on, and whether to panic.
const WITHOUT: &str = "WRD_TEST_WITHOUT";
const STAGE: &str = "WRD_TEST_STAGE";
const PANIC: &str = "WRD_TEST_PANIC";

fn main() -> ExitCode {
    if let Ok(name) = std::env::var(WITHOUT) {
        return be_a_gate(&name);
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        if !args.iter().any(|arg| arg == "--ignored") {
            println!("every_rule_is_needed: test");
        }
        return ExitCode::SUCCESS;
    }
    every_rule_is_needed()
}

fn be_a_gate(without: &str) -> ExitCode {
    let stage = if std::env::var_os(STAGE).is_some() { Stage::Relay } else { Stage::Login };
    let policy = Policy::full().without(without, stage);
    wrd_sys::log::init();
    log_panics();
    if std::env::var_os(PANIC).is_some() {
        enter(&policy, 5).unwrap();
        panic!("as the test wants it");
    }
    wrd_gate::run(&policy, Deadlines::default())
}

fn every_rule_is_needed() -> ExitCode {
    let mut failures = Vec::new();
    for scenario in SCENARIOS {
        let status = scenario.play("", Stage::Login);
        if status.code() != Some(scenario.code) {
            failures.push(format!("with every rule, {}: {status}", scenario.name));
        }
    }
    for stage in [Stage::Login, Stage::Relay] {
        for rule in Policy::full().rules(stage) {
            let dies = |scenario: &&Scenario| scenario.play(rule.name, stage).signal() == Some(nix::libc::SIGSYS);
            match SCENARIOS.iter().find(dies) {
                Some(scenario) => println!("{stage:?} without {}: dies, {}", rule.name, scenario.name),
                None => failures.push(format!("{stage:?} without {}: no gate misses it", rule.name)),
            }
        }
    }
    failures.iter().for_each(|failure| println!("FAILED: {failure}"));
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One connection with a gate of this program.
struct Scenario {
    name: &'static str,
    start: Start,
    /// Plays the client; whatever fails because the gate died is no concern of its.
    client: fn(TcpStream, Pid) -> std::io::Result<()>,
    /// How the gate ends that has every rule.
    code: i32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Plain,
    Panicking,
    WithoutVdso,
}

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "in a login at once", start: Start::Plain, client: at_once, code: 0 },
    Scenario { name: "in a login on the screen", start: Start::Plain, client: on_the_screen, code: 0 },
    Scenario { name: "stopped and continued", start: Start::Plain, client: stopped, code: 0 },
    Scenario { name: "stopped and continued in the relay", start: Start::Plain, client: stopped_in_the_relay, code: 0 },
    Scenario { name: "in a panic", start: Start::Panicking, client: only_connected, code: 101 },
    #[cfg(target_arch = "x86_64")]
    Scenario { name: "without a vDSO", start: Start::WithoutVdso, client: at_once, code: 0 },
];

impl Scenario {
    fn play(&self, without: &str, stage: Stage) -> ExitStatus {
        let (listener, address) = listener();
        let socket = dial(address);
        let own = std::env::current_exe().unwrap();
        let mut program = match self.start {
            // Stops before it becomes the gate, so that it can be seized.
            Start::WithoutVdso => Program::new("/bin/sh".as_ref()).arg("-c").arg("kill -STOP $$; exec \"$0\"").arg(own),
            Start::Plain | Start::Panicking => Program::new(&own),
        };
        program = program.env(WITHOUT, without).pass_env("WRD_LOG");
        if stage == Stage::Relay {
            program = program.env(STAGE, "relay");
        }
        if self.start == Start::Panicking {
            program = program.env(PANIC, "yes");
        }
        let mut monitor = accept_program(&listener, identity(), 60_000, program);
        let gate = Pid::from_raw(monitor.gate.id() as i32);
        if self.start == Start::WithoutVdso {
            take_the_vdso_away(gate);
        }
        std::thread::scope(|scope| {
            let client = scope.spawn(|| (self.client)(socket, gate));
            serve(&monitor);
            let status = monitor.exit_status(PATIENCE);
            drop(client.join().unwrap());
            status
        })
    }
}

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(Identity::new)
}

/// Monitor, leader and worker for as long as the gate lives.
fn serve(monitor: &Monitor) {
    std::thread::scope(|scope| {
        let mut monitor_half = Some(());
        while let Ok(message) = monitor.channel.recv() {
            match message {
                ToMonitor::Sign { message, .. } => {
                    let signature = identity().sign(&message).try_into().unwrap();
                    let _ = monitor.channel.send(&wrd_proto::gate::ToGate::Signature(signature));
                }
                ToMonitor::OpenLogin if monitor_half.take().is_some() => {
                    let leader = monitor.open_login();
                    scope.spawn(move || lead(&leader).is_some().then(|| drop(work(monitor.link()))));
                }
                _ => {}
            }
        }
    });
}

/// Denies until the right password comes; nothing where the gate goes away first.
fn lead(leader: &Channel<FromLeader, FromGate>) -> Option<()> {
    loop {
        let FromGate::Credentials { password, .. } = leader.recv().ok()? else { return None };
        if password.expose() == b"right" {
            return leader.send(&FromLeader::Accepted).ok();
        }
        leader.send(&denied("No.")).ok()?;
    }
}

/// Brings the client to its desktop, sends and takes more than sockets hold, and says good-bye.
fn work(mut link: UnixStream) -> std::io::Result<()> {
    let mut acceptor = worker::acceptor(&worker::read_transcript(&mut link)?);
    let Some(mut incoming) = worker::activate(&mut link, &mut acceptor)? else { return Ok(()) };
    for _ in 0..MANY {
        link.write_all(&filler())?;
    }
    // The client's answer comes behind as much.
    for _ in 0..MANY {
        if next_pdu(&mut link, &mut incoming)?.is_none() {
            return Ok(());
        }
    }
    link.write_all(&pdu::end(pdu::EndReason::LoggedOut))
}

const MANY: usize = 800;

/// A PDU that says nothing.
fn filler() -> Vec<u8> {
    let mut pdu = vec![3, 0];
    pdu.extend(16_000_u16.to_be_bytes());
    pdu.resize(16_000, 7);
    pdu
}

fn connected(socket: TcpStream, password: &str) -> std::io::Result<Client> {
    let mut client = Client::start(socket, Trust::Only(&identity().certificate), Kind { password, ..PLAIN })?;
    client.until_active()?;
    Ok(client)
}

/// Takes what the worker sends, late, and sends as much.
fn relayed(client: &mut Client) -> std::io::Result<()> {
    std::thread::sleep(Duration::from_millis(300));
    let mut taken = 0;
    while taken < MANY {
        let Some(pdu) = client.hear() else { return Ok(()) };
        taken += usize::from(pdu == filler());
    }
    for _ in 0..MANY {
        client.stream.write_all(&filler())?;
    }
    while client.hear().is_some() {}
    Ok(())
}

fn at_once(socket: TcpStream, _: Pid) -> std::io::Result<()> {
    relayed(&mut connected(socket, "right")?)
}

fn on_the_screen(socket: TcpStream, _: Pid) -> std::io::Result<()> {
    let mut client = connected(socket, "wrong")?;
    client.type_line("right")?;
    // The rest is as in a login at once, with a desktop that the client is not asked about again.
    while client.hear().is_some_and(|pdu| pdu != pdu::deactivate_all()) {}
    Ok(())
}

fn stopped(socket: TcpStream, gate: Pid) -> std::io::Result<()> {
    std::thread::sleep(Duration::from_millis(300));
    stop_and_continue(gate);
    drop(socket);
    Ok(())
}

fn stopped_in_the_relay(socket: TcpStream, gate: Pid) -> std::io::Result<()> {
    let mut client = connected(socket, "right")?;
    for _ in 0..MANY {
        client.hear();
    }
    // Nothing moves now: the worker waits.
    std::thread::sleep(Duration::from_millis(300));
    stop_and_continue(gate);
    for _ in 0..MANY {
        client.stream.write_all(&filler())?;
    }
    while client.hear().is_some() {}
    Ok(())
}

fn only_connected(mut socket: TcpStream, _: Pid) -> std::io::Result<()> {
    let _ = socket.read(&mut [0]);
    Ok(())
}

fn stop_and_continue(gate: Pid) {
    let _ = kill(gate, Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(100));
    let _ = kill(gate, Signal::SIGCONT);
    std::thread::sleep(Duration::from_millis(100));
}

/// Lets the stopped shell become the gate and makes its C library believe that there is no vDSO, as on machines whose
/// clock that cannot read: there the same functions are system calls.
#[cfg(target_arch = "x86_64")]
fn take_the_vdso_away(gate: Pid) {
    const AT_SYSINFO_EHDR: u64 = 33;
    const AT_IGNORE: u64 = 1;
    let end = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(format!("/proc/{gate}/stat")).unwrap().contains(") T ") {
        assert!(Instant::now() < end, "the shell does not stop");
        std::thread::sleep(Duration::from_millis(10));
    }
    ptrace::seize(gate, ptrace::Options::PTRACE_O_TRACEEXEC).unwrap();
    kill(gate, Signal::SIGCONT).unwrap();
    loop {
        match waitpid(gate, None).unwrap() {
            WaitStatus::PtraceEvent(_, _, event) if event == nix::libc::PTRACE_EVENT_EXEC => break,
            _ => ptrace::cont(gate, None).unwrap(),
        }
    }
    // On the new stack: number of arguments, arguments, 0, environment, 0, pairs of the auxiliary vector.
    let memory = std::fs::File::options().read(true).write(true).open(format!("/proc/{gate}/mem")).unwrap();
    let mut at = ptrace::getregs(gate).unwrap().rsp;
    let mut next = || {
        let mut word = [0; 8];
        memory.read_exact_at(&mut word, at).unwrap();
        at += 8;
        (at - 8, u64::from_ne_bytes(word))
    };
    let (_, arguments) = next();
    for _ in 0..=arguments {
        next();
    }
    while next().1 != 0 {}
    loop {
        let (place, kind) = next();
        if kind == AT_SYSINFO_EHDR {
            memory.write_all_at(&AT_IGNORE.to_ne_bytes(), place).unwrap();
            break;
        }
        assert_ne!(kind, 0, "there is no vDSO to take away");
        next();
    }
    ptrace::detach(gate, None).unwrap();
}

#[cfg(not(target_arch = "x86_64"))]
fn take_the_vdso_away(_: Pid) {}
