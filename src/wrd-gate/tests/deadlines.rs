//! Every deadline of the gate's own, each time with one that is short where all others are an hour: what is played holds
//! a gate until that one is over, and not any longer. The defaults are those of the documented table.
//!
//! Between the steps a client does not fall silent, it sends a byte now and then: that moves no deadline.

mod common;

use common::{Identity, Monitor, accept_as, accept_over, denied, dial, listener, worker};
use ironrdp_connector::sspi::credssp::TsRequest;
use ironrdp_pdu::nego::SecurityProtocol;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wrd_gate::credssp::subject_public_key;
use wrd_gate::{Deadlines, Policy, log_panics};
use wrd_proto::Line;
use wrd_proto::gate::{Returning, Security, Stage, ToGate, ToMonitor};
use wrd_proto::login::{FromGate, FromLeader, Prompt, Tone};
use wrd_rdp::pdu;
use wrd_sys::channel::Blocking;
use wrd_sys::spawn::Program;
use wrd_sys::{Channel, ChannelError, RawChannel, Wiping};
use wrd_test_client::nla::{self, Tokens, judge};
use wrd_test_client::online::{Client, Tls, Trust, tls};
use wrd_test_client::{Kind, PLAIN, connection_request, reconnect};

/// As in the shipped gate: it decides how buffers grow.
#[global_allocator]
static MEMORY: Wiping = Wiping;

const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(3600);
/// By when a gate has ended whose deadline was short.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two bytes of a client that has not quite fallen silent.
const TRICKLE: Duration = Duration::from_millis(100);
/// What the gates of this program are told by.
const DEADLINES: &str = "WRD_TEST_DEADLINES";

/// Not a test: what is started as the gate.
#[test]
fn a_gate() {
    if let Ok(given) = std::env::var(DEADLINES) {
        let mut deadlines = Deadlines::default();
        for (field, ms) in fields(&mut deadlines).into_iter().zip(given.split(' ')) {
            *field = Duration::from_millis(ms.parse().unwrap());
        }
        wrd_sys::log::init();
        log_panics();
        let ended = wrd_gate::run(&Policy::full(), deadlines);
        std::process::exit(i32::from(ended != ExitCode::SUCCESS));
    }
}

/// Every one of them, or this does not compile.
macro_rules! every_field {
    ($deadlines:expr; $($field:ident)*) => {{
        let Deadlines { $($field),* } = $deadlines;
        [$($field),*]
    }};
}

fn fields(deadlines: &mut Deadlines) -> [&mut Duration; 17] {
    every_field!(deadlines;
        negotiation handshake first_pdu credssp after_credssp sequence activation first_input told
        reading verdict session login_stall stall hand_over answer good_bye)
}

/// Where the table has each of them: how its row begins, and what follows the number of seconds.
const ROWS: [(&str, &str); 17] = [
    ("X.224 connection request", ""),
    ("TLS handshake", ""),
    ("the first PDU under TLS", ""),
    ("CredSSP, from its first message to its last", ""),
    ("the first PDU behind CredSSP", " again"),
    ("from the first PDU to Client Info", ""),
    ("becoming active for the login screen", ""),
    ("the first key or move of the pointer", ""),
    ("reading what PAM said last", ""),
    ("a last message on the login screen", ""),
    ("PAM's verdict on a password or an answer", ""),
    ("from there to the desktop", ""),
    ("a client that takes nothing of what is there for it", " before the login"),
    ("a client that takes nothing of what is there for it", " after it"),
    ("a link that takes, or brings, no transcript", ""),
    ("an answer of the monitor's", ""),
    ("a client that is told to go", ""),
];

#[test]
fn the_defaults_are_those_of_the_table_and_the_table_has_no_others() {
    let page = include_str!("../../../docs/security-model.md");
    let (_, section) = page.split_once("### Deadlines").unwrap();
    let (_, table) = section.split_once("|---|---|---|\n").unwrap();
    let rows: Vec<[&str; 3]> = table
        .lines()
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect::<Vec<_>>().try_into().unwrap())
        .collect();
    let mut deadlines = Deadlines::default();
    for (field, (what, rest)) in fields(&mut deadlines).into_iter().zip(ROWS) {
        let [_, keeper, time] = rows.iter().find(|row| row[0].starts_with(what)).unwrap_or_else(|| panic!("{what}"));
        assert!(keeper.contains("gate"), "{what}: {keeper}");
        let wanted = format!("{} s{rest}", field.as_secs_f32());
        let is_there = time.split([',', ';']).any(|part| part.trim().starts_with(&wanted));
        assert!(is_there, "{what}: {wanted}, where the table has {time}");
    }
    for [what, keeper, time] in &rows {
        let known = ROWS.iter().any(|(known, _)| what.starts_with(known)) || time.contains("`login_seconds`");
        assert!(known || !keeper.contains("gate"), "{what}: none of the gate's");
    }
}

/// None that a test sees the end of; but a client that was told to go is hardly waited for, so that what the gate says
/// of it comes at once.
fn long() -> Deadlines {
    let mut deadlines = Deadlines::default();
    fields(&mut deadlines).into_iter().for_each(|field| *field = LONG);
    Deadlines { good_bye: SHORT / 4, ..deadlines }
}

fn program(mut deadlines: Deadlines) -> Program {
    let ms = fields(&mut deadlines).map(|field| field.as_millis().to_string()).join(" ");
    let args = ["--exact", "a_gate", "--nocapture", "--test-threads=1"];
    let program = Program::new(&std::env::current_exe().unwrap()).env(DEADLINES, ms).pass_env("WRD_LOG");
    // The harness runs it in a thread of its own, for which the allocator would make calls that a gate may not make.
    let program = program.env("MALLOC_ARENA_MAX", "1");
    args.iter().fold(program, Program::arg)
}

const LOGIN_MS: u32 = 3_600_000;

fn gate(listener: &TcpListener, identity: &Identity, deadlines: Deadlines) -> Monitor {
    patient(accept_as(listener, identity, (Security::Auto, LOGIN_MS), program(deadlines)))
}

/// A gate that says nothing fails its test.
fn patient(monitor: Monitor) -> Monitor {
    setsockopt(&monitor.channel.as_fd(), sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE.as_secs() as i64, 0)).unwrap();
    monitor
}

fn connect(deadlines: Deadlines) -> (TcpStream, Monitor, Arc<Identity>) {
    let identity = Arc::new(Identity::new());
    let (listener, address) = listener();
    let socket = dial(address);
    let monitor = gate(&listener, &identity, deadlines);
    (socket, monitor, identity)
}

/// Connects a client; the closure plays monitor, leader and worker in a thread of its own.
fn play<T: Send + 'static>(
    deadlines: Deadlines,
    password: &str,
    server: impl FnOnce(Monitor, &Identity) -> T + Send + 'static,
) -> (Client, JoinHandle<T>) {
    let (socket, monitor, identity) = connect(deadlines);
    let thread = serve(monitor, &identity, server);
    (common::start(socket, &identity, password), thread)
}

fn serve<T: Send + 'static>(
    monitor: Monitor,
    identity: &Arc<Identity>,
    server: impl FnOnce(Monitor, &Identity) -> T + Send + 'static,
) -> JoinHandle<T> {
    let identity = identity.clone();
    std::thread::spawn(move || server(monitor, &identity))
}

/// The next thing that the gate says is that its client took too long, here.
fn took_too_long(monitor: &Monitor, identity: &Identity, wanted: Stage) {
    let ToMonitor::Failed { stage, reason } = monitor.next(identity) else { panic!("it goes on") };
    assert_eq!((stage, reason.as_str()), (wanted, "the client took too long"));
}

/// Sends `bytes` one by one until they, or the other side, come to an end.
fn trickle(stream: &mut impl Write, bytes: &[u8]) {
    for byte in bytes {
        if stream.write_all(&[*byte]).and_then(|()| stream.flush()).is_err() {
            return;
        }
        std::thread::sleep(TRICKLE);
    }
}

/// What such a client is given time for at most.
fn many(first: &[u8]) -> Vec<u8> {
    let count = PATIENCE.as_millis() / TRICKLE.as_millis();
    let mut bytes = first.to_vec();
    bytes.resize(count as usize, 0);
    bytes
}

/// A PDU of 1024 bytes begins.
const A_PDU: &[u8] = &[3, 0, 4, 0];

fn negotiate(socket: &mut TcpStream, offer: SecurityProtocol) {
    socket.write_all(&connection_request(offer)).unwrap();
    socket.read_exact(&mut [0; 19]).unwrap();
}

fn shake_hands(mut socket: TcpStream, identity: &Identity, offer: SecurityProtocol) -> Tls {
    negotiate(&mut socket, offer);
    tls(socket, Trust::Only(&identity.certificate), &rustls::version::TLS13).unwrap()
}

#[test]
fn the_connection_request() {
    let began = Instant::now();
    let (mut socket, monitor, identity) = connect(Deadlines { negotiation: SHORT, ..long() });
    let client = std::thread::spawn(move || trickle(&mut socket, &many(&[3, 0, 4, 0])));
    took_too_long(&monitor, &identity, Stage::Negotiation);
    assert!(began.elapsed() >= SHORT);
    client.join().unwrap();
}

#[test]
fn the_handshake() {
    let (mut socket, monitor, identity) = connect(Deadlines { handshake: SHORT, ..long() });
    let began = Instant::now();
    negotiate(&mut socket, SecurityProtocol::SSL);
    // The head of a record of 512 bytes.
    let client = std::thread::spawn(move || trickle(&mut socket, &many(&[0x16, 3, 1, 2, 0, 1])));
    took_too_long(&monitor, &identity, Stage::Tls);
    assert!(began.elapsed() >= SHORT);
    client.join().unwrap();
}

#[test]
fn the_first_pdu() {
    // The head of a TSRequest of 1 KiB for CredSSP.
    for (offer, first) in [(SecurityProtocol::SSL, A_PDU), (SecurityProtocol::HYBRID, &[0x30, 0x82, 4, 0])] {
        let (socket, monitor, identity) = connect(Deadlines { first_pdu: SHORT, ..long() });
        let server = serve(monitor, &identity, |monitor, identity| {
            took_too_long(&monitor, identity, Stage::Connection);
            Instant::now()
        });
        let began = Instant::now();
        trickle(&mut shake_hands(socket, &identity, offer), &many(first));
        assert!(server.join().unwrap() >= began + SHORT);
    }
}

const CHALLENGE: [u8; 8] = *b"eightpcs";

fn challenge(monitor: &Monitor, identity: &Identity) {
    assert_eq!(monitor.next(identity), ToMonitor::NtlmChallenge);
    monitor.channel.send(&ToGate::NtlmChallenge { challenge: CHALLENGE }).unwrap();
}

#[test]
fn credssp() {
    let (socket, monitor, identity) = connect(Deadlines { credssp: SHORT, ..long() });
    let server = serve(monitor, &identity, |monitor, identity| {
        challenge(&monitor, identity);
        took_too_long(&monitor, identity, Stage::Connection);
        Instant::now()
    });
    let mut stream = shake_hands(socket, &identity, SecurityProtocol::HYBRID);
    let mut client = nla::client(("alice", "", "secret"), b"", Tokens::Raw, 6);
    let (request, _) = nla::say(&mut client, TsRequest::default()).unwrap();
    let began = Instant::now();
    stream.write_all(&nla::encode(&request)).unwrap();
    trickle(&mut stream, &many(&[0x30, 0x82, 4, 0]));
    assert!(server.join().unwrap() >= began + SHORT);
}

#[test]
fn the_first_pdu_behind_credssp() {
    let (socket, monitor, identity) = connect(Deadlines { after_credssp: SHORT, ..long() });
    let server = serve(monitor, &identity, |monitor, identity| {
        challenge(&monitor, identity);
        let ToMonitor::NtlmProof(proof) = monitor.next(identity) else { panic!("no proof") };
        let began = Instant::now();
        monitor.channel.send(&ToGate::NtlmVerdict(judge(&proof, CHALLENGE, "secret"))).unwrap();
        took_too_long(&monitor, identity, Stage::Connection);
        began.elapsed()
    });
    let key = subject_public_key(&identity.certificate).unwrap();
    let kind = Kind { password: "secret", ..PLAIN };
    let trust = Trust::Only(&identity.certificate);
    let mut client = Client::start_nla(socket, trust, kind, (&key, Tokens::Raw)).unwrap();
    trickle(&mut client.stream, &many(A_PDU));
    assert!(server.join().unwrap() >= SHORT);
}

/// Also of whole PDUs, each of them in time.
#[test]
fn the_sequence_up_to_client_info() {
    let (mut client, server) = play(Deadlines { sequence: SHORT, ..long() }, "", |monitor, identity| {
        took_too_long(&monitor, identity, Stage::Connection);
    });
    while client.step().is_ok() {
        std::thread::sleep(SHORT / 4);
    }
    server.join().unwrap();
}

#[test]
fn becoming_active() {
    let (mut client, server) = play(Deadlines { activation: SHORT, ..long() }, "", |monitor, identity| {
        took_too_long(&monitor, identity, Stage::Login);
    });
    client.until_client_info().unwrap();
    trickle(&mut client.stream, &many(A_PDU));
    server.join().unwrap();
}

/// The client tells of its locks, which says nothing of a user.
fn sync_on_and_on(client: &mut Client) {
    const SYNC: &[u8] = &[0x04, 0x03, 0x60];
    while client.stream.write_all(SYNC).and_then(|()| client.stream.flush()).is_ok() {
        std::thread::sleep(TRICKLE);
    }
}

#[test]
fn the_first_input() {
    let (mut client, server) = play(Deadlines { first_input: SHORT, ..long() }, "", |monitor, identity| {
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        took_too_long(&monitor, identity, Stage::Login);
    });
    client.until_active().unwrap();
    sync_on_and_on(&mut client);
    server.join().unwrap();
}

#[test]
fn the_first_input_after_a_denial_before_which_nobody_could_type() {
    let (mut client, server) = play(Deadlines { first_input: SHORT, ..long() }, "wrong", |monitor, identity| {
        let leader = open(&monitor, identity);
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        std::thread::sleep(SHORT * 3 / 2);
        let began = Instant::now();
        leader.send(&denied("No.")).unwrap();
        took_too_long(&monitor, identity, Stage::Login);
        assert!(began.elapsed() >= SHORT);
    });
    client.until_active().unwrap();
    sync_on_and_on(&mut client);
    server.join().unwrap();
}

/// A leader that has the first credentials.
fn open(monitor: &Monitor, identity: &Identity) -> Channel<FromLeader, FromGate> {
    assert_eq!(monitor.next(identity), ToMonitor::OpenLogin);
    let leader = monitor.open_login();
    assert!(matches!(leader.recv().unwrap(), FromGate::Credentials { .. }));
    leader
}

/// Hears the login screen out; whether the gate said that this login is over.
fn is_told_so(client: &mut Client) -> bool {
    let said: Vec<_> = std::iter::from_fn(|| client.hear()).filter(|pdu| pdu.first() == Some(&3)).collect();
    said == [pdu::set_error_info(pdu::EndReason::Denied), pdu::disconnect_ultimatum()]
}

/// A verdict that does not come is told on the screen, which nobody looks at here.
const NO_VERDICT: Duration = Duration::from_secs(2);

#[test]
fn a_verdict_on_a_password_and_the_text_that_there_is_none() {
    let deadlines = Deadlines { verdict: NO_VERDICT, reading: SHORT, ..long() };
    let (mut client, server) = play(deadlines, "secret", |mut monitor, identity| {
        let began = Instant::now();
        let _leader = open(&monitor, identity);
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        assert_eq!(monitor.exit_code(PATIENCE), Some(0));
        assert!(began.elapsed() >= NO_VERDICT + SHORT);
    });
    client.until_active().unwrap();
    assert!(is_told_so(&mut client));
    server.join().unwrap();
}

#[test]
fn a_verdict_on_an_answer() {
    let deadlines = Deadlines { verdict: NO_VERDICT, reading: SHORT, ..long() };
    let (asks, asked) = std::sync::mpsc::channel();
    let (mut client, server) = play(deadlines, "secret", move |mut monitor, identity| {
        let leader = open(&monitor, identity);
        leader.send(&FromLeader::Ask { kind: Prompt::Hidden, text: Line::truncated("Code:") }).unwrap();
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        asks.send(()).unwrap();
        assert!(matches!(leader.recv().unwrap(), FromGate::Answer(_)));
        assert_eq!(monitor.exit_code(PATIENCE), Some(0));
        Instant::now()
    });
    client.until_active().unwrap();
    asked.recv().unwrap();
    // Longer than a verdict may take: the user's time does not count.
    std::thread::sleep(NO_VERDICT);
    let began = Instant::now();
    client.type_line("1234").unwrap();
    assert!(is_told_so(&mut client));
    assert!(server.join().unwrap() >= began + NO_VERDICT + SHORT);
}

#[test]
fn a_verdict_on_who_comes_back() {
    let deadlines = Deadlines { verdict: NO_VERDICT, reading: SHORT, ..long() };
    let (mut client, server) = play(deadlines, "", |mut monitor, identity| {
        assert!(matches!(monitor.next(identity), ToMonitor::Reconnect(_)));
        monitor.channel.send(&ToGate::Reconnect(Returning::Granted)).unwrap();
        let _leader = monitor.open_login();
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        assert_eq!(monitor.exit_code(PATIENCE), Some(0));
    });
    client.cookie = Some(reconnect::forged(7, *b"cookie of alice!"));
    client.until_active().unwrap();
    assert!(is_told_so(&mut client));
    server.join().unwrap();
}

#[test]
fn a_session() {
    let (mut client, server) =
        play(Deadlines { session: NO_VERDICT, reading: SHORT, ..long() }, "secret", |mut monitor, identity| {
            let leader = open(&monitor, identity);
            assert_eq!(monitor.next(identity), ToMonitor::Screen);
            let began = Instant::now();
            leader.send(&FromLeader::Accepted).unwrap();
            assert_eq!(monitor.exit_code(PATIENCE), Some(0));
            assert!(began.elapsed() >= NO_VERDICT + SHORT);
        });
    client.until_active().unwrap();
    assert!(is_told_so(&mut client));
    server.join().unwrap();
}

#[test]
fn what_was_told_last() {
    let (mut client, server) = play(Deadlines { told: SHORT, ..long() }, "secret", |monitor, identity| {
        let leader = open(&monitor, identity);
        let began = Instant::now();
        leader.send(&FromLeader::Tell { tone: Tone::Info, text: Line::truncated("It expires soon.") }).unwrap();
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        leader.send(&FromLeader::Accepted).unwrap();
        let _link = monitor.link();
        assert_eq!(monitor.next(identity), ToMonitor::Relaying);
        assert!(began.elapsed() >= SHORT);
    });
    client.until_active().unwrap();
    client.until_end();
    server.join().unwrap();
}

/// How long a client may take nothing here: more than it may be kept from its processor until it stops on purpose.
const STALL: Duration = Duration::from_secs(3);

/// A client whose line holds a few kilobytes, and its gate.
fn narrow(deadlines: Deadlines, password: &str) -> (Client, Monitor, Arc<Identity>) {
    let identity = Arc::new(Identity::new());
    let (listener, address) = listener();
    // Inherited by what it accepts.
    setsockopt(&listener, sockopt::SndBuf, &4096).unwrap();
    let socket = dial(address);
    setsockopt(&socket, sockopt::RcvBuf, &4096).unwrap();
    let monitor = gate(&listener, &identity, deadlines);
    let serving = serve(monitor, &identity, |monitor, identity| {
        let ToMonitor::Sign { message, .. } = monitor.channel.recv().unwrap() else { panic!("no handshake") };
        monitor.channel.send(&ToGate::Signature(identity.sign(&message).try_into().unwrap())).unwrap();
        monitor
    });
    let client = common::start(socket, &identity, password);
    (client, serving.join().unwrap(), identity)
}

#[test]
fn a_client_that_takes_nothing_before_its_login() {
    let (mut client, monitor, identity) = narrow(Deadlines { login_stall: STALL, ..long() }, "");
    client.until_active().unwrap();
    assert_eq!(monitor.next(&identity), ToMonitor::Screen);
    took_too_long(&monitor, &identity, Stage::Login);
}

#[test]
fn a_client_that_takes_nothing_of_its_desktop() {
    let (mut client, mut monitor, identity) = narrow(Deadlines { stall: STALL, ..long() }, "secret");
    let server = std::thread::spawn(move || {
        open(&monitor, &identity).send(&FromLeader::Accepted).unwrap();
        let mut link = monitor.link();
        // One that is not read any more fails this test.
        link.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut acceptor = worker::acceptor(&worker::read_transcript(&mut link).unwrap());
        worker::activate(&mut link, &mut acceptor).unwrap().expect("the client");
        assert_eq!(monitor.next(&identity), ToMonitor::Relaying);
        let began = Instant::now();
        // Until the gate goes; it takes no more than it can hold.
        while link.write_all(&filler()).is_ok() {}
        // No fault of the gate's.
        assert_eq!(monitor.exit_code(PATIENCE), Some(0));
        assert!(began.elapsed() >= STALL);
    });
    client.until_active().unwrap();
    server.join().unwrap();
}

/// A PDU that says nothing.
fn filler() -> Vec<u8> {
    let mut pdu = vec![3, 0];
    pdu.extend(16_000_u16.to_be_bytes());
    pdu.resize(16_000, 7);
    pdu
}

#[test]
fn the_transcript() {
    let (mut client, server) = play(Deadlines { hand_over: SHORT, ..long() }, "secret", |mut monitor, identity| {
        open(&monitor, identity).send(&FromLeader::Accepted).unwrap();
        let (_ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        // As one that nobody reads.
        while theirs.write(&[0; 4096]).is_ok() {}
        while theirs.write(&[0]).is_ok() {}
        let began = Instant::now();
        monitor.channel.send_fds(&ToGate::Link, &[theirs.as_fd()]).unwrap();
        assert_eq!(monitor.exit_code(PATIENCE), Some(1));
        assert!(began.elapsed() >= SHORT);
    });
    client.until_client_info().unwrap();
    client.until_end();
    server.join().unwrap();
}

#[test]
fn an_answer_of_the_monitors() {
    let (mut socket, monitor, identity) = connect(Deadlines { answer: SHORT, ..long() });
    let began = Instant::now();
    let client = std::thread::spawn(move || {
        negotiate(&mut socket, SecurityProtocol::SSL);
        drop(tls(socket, Trust::Only(&identity.certificate), &rustls::version::TLS13));
    });
    let ToMonitor::Sign { .. } = monitor.channel.recv().unwrap() else { panic!("no handshake") };
    let ToMonitor::Failed { stage, reason } = monitor.channel.recv().unwrap() else { panic!("it goes on") };
    assert!(stage == Stage::Tls && reason.contains("it took too long"), "{stage:?}: {reason}");
    assert!(began.elapsed() >= SHORT);
    client.join().unwrap();
}

#[test]
fn a_monitor_that_does_not_listen() {
    let identity = Identity::new();
    let (ours, theirs) = RawChannel::pair().unwrap();
    let channel: Channel<ToMonitor, ToGate> = RawChannel::from(theirs.as_fd().try_clone_to_owned().unwrap()).typed();
    channel.set_nonblocking(Blocking::No).unwrap();
    while channel.send(&ToMonitor::Screen).is_ok() {}
    assert!(matches!(channel.send(&ToMonitor::Screen), Err(ChannelError::WouldBlock)));
    drop(channel);
    let (listener, address) = listener();
    let mut socket = dial(address);
    let program = program(Deadlines { answer: SHORT, ..long() });
    let mut monitor = accept_over((ours, theirs), &listener, &identity, (Security::Auto, LOGIN_MS), program);
    negotiate(&mut socket, SecurityProtocol::SSL);
    drop(tls(socket, Trust::Only(&identity.certificate), &rustls::version::TLS13));
    assert_eq!(monitor.exit_code(PATIENCE), Some(1));
}

#[test]
fn a_client_that_does_not_go() {
    let (mut socket, mut monitor, _identity) = connect(Deadlines { good_bye: SHORT, ..long() });
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let ToMonitor::Failed { .. } = monitor.channel.recv().unwrap() else { panic!("it goes on") };
    assert_eq!(monitor.exit_code(PATIENCE), Some(1));
    // It is still there.
    drop(socket);
}
