//! Whole logins: a real client on one side, the test as monitor, leader and worker on the other.

#[path = "logins/channels.rs"]
mod channels;
mod common;

use common::{Identity, Monitor, accept, accept_logging, denied, dial, listener, start, worker};
use ironrdp_acceptor::Acceptor;
use ironrdp_connector::connection_activation::ConnectionActivationState;
use ironrdp_connector::{ClientConnectorState, Sequence};
use ironrdp_core::WriteBuf;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wrd_proto::gate::{Returning, Stage, ToGate, ToMonitor};
use wrd_proto::login::{FromGate, FromLeader, Prompt, Tone};
use wrd_proto::reconnect::Claim;
use wrd_proto::transcript::{Progress, Transcript};
use wrd_proto::{Key, Line};
use wrd_rdp::framing::PduBuffer;
use wrd_rdp::pdu;
use wrd_sys::Channel;
use wrd_test_client::online::{Client, next_pdu};
use wrd_test_client::reconnect;

const SOON: Duration = Duration::from_secs(30);

/// Connects; the closure plays monitor, leader and worker in a thread of its own.
fn play<T: Send + 'static>(
    password: &str,
    deadline_ms: u32,
    server: impl FnOnce(Monitor, &Identity) -> T + Send + 'static,
) -> (Client, std::thread::JoinHandle<T>) {
    let identity = Arc::new(Identity::new());
    let (listener, address) = listener();
    let socket = dial(address);
    let monitor = accept(&listener, &identity, deadline_ms);
    let thread = {
        let identity = identity.clone();
        std::thread::spawn(move || server(monitor, &identity))
    };
    (start(socket, &identity, password), thread)
}

fn open(monitor: &Monitor, identity: &Identity) -> Channel<FromLeader, FromGate> {
    assert_eq!(monitor.next(identity), ToMonitor::OpenLogin);
    monitor.open_login()
}

fn expect_password(leader: &Channel<FromLeader, FromGate>, wanted: &str) {
    let message = leader.recv().unwrap();
    let FromGate::Credentials { user, password, .. } = message else { panic!("{message:?}") };
    assert_eq!(user.as_str(), "alice");
    assert_eq!(password.expose(), wanted.as_bytes());
}

fn ask(leader: &Channel<FromLeader, FromGate>, kind: Prompt, text: &str) {
    leader.send(&FromLeader::Ask { kind, text: Line::truncated(text) }).unwrap();
}

/// What the leader has said is on the screen by now.
fn wait_for_screen(said: &std::sync::mpsc::Receiver<()>) {
    said.recv().unwrap();
    std::thread::sleep(Duration::from_millis(500));
}

fn expect_answer(leader: &Channel<FromLeader, FromGate>, wanted: &str) {
    let message = leader.recv().unwrap();
    let FromGate::Answer(answer) = message else { panic!("{message:?}") };
    assert_eq!(answer.expose(), wanted.as_bytes());
}

/// A worker that has taken the link and the transcript.
fn take_over(monitor: &Monitor, identity: &Identity) -> (UnixStream, Acceptor, Transcript) {
    let mut link = monitor.link();
    let transcript = worker::read_transcript(&mut link).unwrap();
    assert_eq!(monitor.next(identity), ToMonitor::Relaying);
    (link, worker::acceptor(&transcript), transcript)
}

fn activate(link: &mut UnixStream, acceptor: &mut Acceptor) {
    worker::activate(link, acceptor).unwrap().expect("a PDU of the client");
}

/// A login with the right password at once, up to the relay.
fn relayed<T: Send + 'static>(
    worker: impl FnOnce(UnixStream, Monitor) -> T + Send + 'static,
) -> (Client, std::thread::JoinHandle<T>) {
    let (mut client, server) = play("secret", 60_000, |monitor, identity| {
        let leader = open(&monitor, identity);
        expect_password(&leader, "secret");
        leader.send(&FromLeader::Accepted).unwrap();
        // As when another leader has the session already: this one ends before the link is there.
        drop(leader);
        std::thread::sleep(Duration::from_millis(50));
        let (mut link, mut acceptor, transcript) = take_over(&monitor, identity);
        assert_eq!((transcript.progress, transcript.layout), (Progress::Licensing, None));
        let secret: Vec<u8> = "secret".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(!transcript.pdus.iter().any(|pdu| pdu.windows(secret.len()).any(|w| w == secret)));
        activate(&mut link, &mut acceptor);
        worker(link, monitor)
    });
    client.until_active().unwrap();
    (client, server)
}

/// A server PDU of `length` bytes that says nothing.
fn filler(length: u16, fill: u8) -> Vec<u8> {
    let mut pdu = vec![3, 0];
    pdu.extend(length.to_be_bytes());
    pdu.resize(length.into(), fill);
    pdu
}

#[test]
fn the_right_password_at_once_needs_no_screen() {
    let (mut client, server) = relayed(|mut link, mut monitor| {
        let mut heard = [0; 4];
        link.read_exact(&mut heard).unwrap();
        assert_eq!(heard, [0x04, 0x04, 0x00, 0x1e]);
        link.write_all(&filler(20, 7)).unwrap();
        link.write_all(&pdu::end(pdu::EndReason::TakenOver)).unwrap();
        drop(link);
        monitor.exit_code(SOON)
    });
    client.stream.write_all(&[0x04, 0x04, 0x00, 0x1e]).unwrap();
    assert_eq!(client.hear().unwrap(), filler(20, 7));
    assert_eq!(client.hear().unwrap(), pdu::set_error_info(pdu::EndReason::TakenOver));
    assert_eq!(client.hear().unwrap(), pdu::disconnect_ultimatum());
    assert_eq!(client.hear(), None, "nothing of the gate's own behind a worker's good-bye");
    drop(client);
    assert_eq!(server.join().unwrap(), Some(0));
}

#[test]
fn a_wrong_password_then_the_right_one_on_the_login_screen() {
    let (says, said) = std::sync::mpsc::channel();
    let (mut client, server) = play("wrong", 60_000, move |mut monitor, identity| {
        let leader = open(&monitor, identity);
        expect_password(&leader, "wrong");
        leader.send(&denied("No.")).unwrap();
        says.send(()).unwrap();
        expect_password(&leader, "also wrong");
        leader.send(&denied("No.")).unwrap();
        says.send(()).unwrap();
        expect_password(&leader, "geheim€");
        leader.send(&FromLeader::Accepted).unwrap();
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        let (mut link, mut acceptor, transcript) = take_over(&monitor, identity);
        assert_eq!((transcript.progress, transcript.layout), (Progress::Deactivated, None));
        activate(&mut link, &mut acceptor);
        link.write_all(&pdu::end(pdu::EndReason::LoggedOut)).unwrap();
        drop(link);
        monitor.exit_code(SOON)
    });
    client.until_active().unwrap();
    wait_for_screen(&said);
    client.type_line("also wrong").unwrap();
    wait_for_screen(&said);
    client.type_line("geheim€").unwrap();
    // Bitmaps of the login screen come until it is taken away.
    let mut bitmaps = 0;
    loop {
        let pdu = client.hear().expect("Deactivate All");
        if pdu == pdu::deactivate_all() {
            break;
        }
        bitmaps += usize::from(pdu.get(3) == Some(&1));
    }
    assert!(bitmaps >= 13 * 10, "{bitmaps} tiles");
    let ClientConnectorState::Connected { result } = &client.connector.state else { panic!("not connected") };
    let mut activation = result.activation_factory.create();
    while !matches!(activation.connection_activation_state(), ConnectionActivationState::Finalized { .. }) {
        let input = match activation.next_pdu_hint() {
            Some(_) => client.hear().expect("the new activation"),
            None => Vec::new(),
        };
        let mut output = WriteBuf::new();
        activation.step(&input, None, &mut output).unwrap();
        client.stream.write_all(output.filled()).unwrap();
    }
    assert_eq!(client.hear().unwrap(), pdu::set_error_info(pdu::EndReason::LoggedOut));
    drop(client);
    assert_eq!(server.join().unwrap(), Some(0));
}

#[test]
fn the_layout_that_was_chosen_is_handed_on() {
    let (mut client, server) = play("", 60_000, |monitor, identity| {
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        let leader = open(&monitor, identity);
        expect_password(&leader, "secret");
        leader.send(&FromLeader::Accepted).unwrap();
        take_over(&monitor, identity).2.layout
    });
    client.until_active().unwrap();
    // From the password past the button to the layouts, one of them, and back past the name.
    for line in ["\t\t", "german", "\t\tsecret"] {
        client.type_line(line).unwrap();
    }
    client.until_end();
    assert_eq!(server.join().unwrap(), Some(0x0407));
}

#[test]
fn a_question_before_the_screen_is_there_opens_it_and_is_answered() {
    let (says, said) = std::sync::mpsc::channel();
    let (mut client, server) = play("secret", 60_000, move |monitor, identity| {
        let leader = open(&monitor, identity);
        expect_password(&leader, "secret");
        leader.send(&FromLeader::Tell { tone: Tone::Info, text: Line::truncated("A code was sent.") }).unwrap();
        ask(&leader, Prompt::Hidden, "Code:");
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        says.send(()).unwrap();
        expect_answer(&leader, "12 34");
        leader.send(&FromLeader::Tell { tone: Tone::Error, text: Line::truncated("Wrong.") }).unwrap();
        ask(&leader, Prompt::Shown, "Again:");
        says.send(()).unwrap();
        expect_answer(&leader, "");
        leader.send(&FromLeader::Accepted).unwrap();
        take_over(&monitor, identity).2.progress
    });
    client.until_active().unwrap();
    wait_for_screen(&said);
    client.type_line("12 34").unwrap();
    wait_for_screen(&said);
    client.enter().unwrap();
    while client.hear().expect("Deactivate All") != pdu::deactivate_all() {}
    assert_eq!(server.join().unwrap(), Progress::Deactivated);
}

#[test]
fn a_question_that_is_cancelled_ends_in_the_next_try() {
    let (says, said) = std::sync::mpsc::channel();
    let (mut client, server) = play("secret", 60_000, move |mut monitor, identity| {
        let leader = open(&monitor, identity);
        expect_password(&leader, "secret");
        ask(&leader, Prompt::Hidden, "Code:");
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        says.send(()).unwrap();
        let message = leader.recv().unwrap();
        assert!(matches!(message, FromGate::Cancel), "{message:?}");
        leader.send(&denied("Cancelled.")).unwrap();
        says.send(()).unwrap();
        expect_password(&leader, "again");
        leader.send(&FromLeader::Denied { text: Line::truncated("No more."), may_retry: false }).unwrap();
        drop(leader);
        says.send(()).unwrap();
        monitor.exit_code(SOON)
    });
    client.until_active().unwrap();
    wait_for_screen(&said);
    // What was begun is not sent; Escape is key 1 of a keyboard.
    client.stream.write_all(&[0x04, 0x04, 0x00, 0x02]).unwrap();
    client.stream.write_all(&[0x04, 0x04, 0x00, 0x01]).unwrap();
    wait_for_screen(&said);
    client.type_line("again").unwrap();
    wait_for_screen(&said);
    client.enter().unwrap();
    assert_eq!(after_the_screen(&mut client).len(), 2);
    assert_eq!(server.join().unwrap(), Some(0));
}

#[test]
fn whoever_is_asked_has_the_time_again_and_need_not_touch_anything() {
    let begin = Instant::now();
    let (mut client, server) = play("secret", 4000, |mut monitor, identity| {
        let leader = open(&monitor, identity);
        expect_password(&leader, "secret");
        std::thread::sleep(Duration::from_millis(3000));
        ask(&leader, Prompt::Hidden, "Code:");
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        let message = monitor.next(identity);
        assert!(matches!(message, ToMonitor::Failed { stage: Stage::Login, .. }), "{message:?}");
        monitor.exit_code(SOON)
    });
    client.until_active().unwrap();
    let said = after_the_screen(&mut client);
    assert_eq!(said, [pdu::set_error_info(pdu::EndReason::LogonTimeout), pdu::disconnect_ultimatum()]);
    assert!(begin.elapsed() > Duration::from_millis(6900), "{:?}", begin.elapsed());
    assert_ne!(server.join().unwrap(), Some(0));
}

#[test]
fn what_was_told_last_can_be_read_before_the_desktop_comes() {
    let (mut client, server) = play("secret", 60_000, |monitor, identity| {
        let leader = open(&monitor, identity);
        expect_password(&leader, "secret");
        let told = Instant::now();
        leader.send(&FromLeader::Tell { tone: Tone::Info, text: Line::truncated("It expires soon.") }).unwrap();
        leader.send(&FromLeader::Accepted).unwrap();
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        let _link = monitor.link();
        assert_eq!(monitor.next(identity), ToMonitor::Relaying);
        assert!(told.elapsed() > Duration::from_secs(3), "{:?}", told.elapsed());
    });
    client.until_active().unwrap();
    server.join().unwrap();
}

#[test]
fn no_log_at_any_level_has_a_password_in_it() {
    let identity = Arc::new(Identity::new());
    let (listener, address) = listener();
    let socket = dial(address);
    let log = tempfile::NamedTempFile::new().unwrap();
    let out = log.reopen().unwrap();
    let monitor = accept_logging(&listener, &identity, 60_000, Some(out.into()));
    let (says, said) = std::sync::mpsc::channel();
    let server = {
        let identity = identity.clone();
        std::thread::spawn(move || {
            let mut monitor = monitor;
            let leader = open(&monitor, &identity);
            expect_password(&leader, "canary-sent");
            leader.send(&denied("No.")).unwrap();
            says.send(()).unwrap();
            expect_password(&leader, "canary-typed");
            ask(&leader, Prompt::Hidden, "Code:");
            says.send(()).unwrap();
            expect_answer(&leader, "canary-answered");
            drop(leader);
            says.send(()).unwrap();
            monitor.exit_code(SOON)
        })
    };
    let mut client = start(socket, &identity, "canary-sent");
    client.until_active().unwrap();
    wait_for_screen(&said);
    client.type_line("canary-typed").unwrap();
    wait_for_screen(&said);
    client.type_line("canary-answered").unwrap();
    wait_for_screen(&said);
    client.enter().unwrap();
    after_the_screen(&mut client);
    assert_eq!(server.join().unwrap(), Some(0));
    let log = std::fs::read(log.path()).unwrap();
    assert!(log.windows(5).any(|w| w == b"alice"), "the log is there");
    for canary in ["canary", "c\0a\0n\0a\0", "99, 97, 110, 97", "63616e6172", "99, 0, 97, 0, 110", "630061006e00"] {
        assert!(!log.windows(canary.len()).any(|w| w.eq_ignore_ascii_case(canary.as_bytes())), "{canary}");
    }
}

/// Reads behind the login screen's bitmaps; what is left is how the gate ended it.
fn after_the_screen(client: &mut Client) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| client.hear()).filter(|pdu| pdu.first() == Some(&3)).collect()
}

#[test]
fn a_session_that_cannot_be_had_is_explained_and_can_be_closed() {
    let (says, said) = std::sync::mpsc::channel();
    let (mut client, server) = play("secret", 60_000, move |mut monitor, identity| {
        let leader = open(&monitor, identity);
        expect_password(&leader, "secret");
        leader.send(&FromLeader::Accepted).unwrap();
        leader.send(&FromLeader::SessionFailed { text: Line::truncated("Your home is not there.") }).unwrap();
        says.send(()).unwrap();
        monitor.exit_code(SOON)
    });
    client.until_active().unwrap();
    wait_for_screen(&said);
    client.enter().unwrap();
    let said = after_the_screen(&mut client);
    assert_eq!(said, [pdu::set_error_info(pdu::EndReason::Denied), pdu::disconnect_ultimatum()]);
    assert_eq!(server.join().unwrap(), Some(0));
}

#[test]
fn a_leader_that_dies_ends_on_the_screen_too() {
    let (says, said) = std::sync::mpsc::channel();
    let (mut client, server) = play("secret", 60_000, move |mut monitor, identity| {
        drop(open(&monitor, identity));
        says.send(()).unwrap();
        monitor.exit_code(SOON)
    });
    client.until_active().unwrap();
    wait_for_screen(&said);
    client.enter().unwrap();
    assert_eq!(after_the_screen(&mut client).len(), 2);
    assert_eq!(server.join().unwrap(), Some(0));
}

#[test]
fn a_login_screen_that_nobody_uses_ends_with_the_reason() {
    let (mut client, server) = play("", 4000, |mut monitor, identity| {
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        let message = monitor.next(identity);
        assert!(matches!(message, ToMonitor::Failed { stage: Stage::Login, .. }), "{message:?}");
        monitor.exit_code(SOON)
    });
    client.until_active().unwrap();
    let said = after_the_screen(&mut client);
    assert_eq!(said, [pdu::set_error_info(pdu::EndReason::LogonTimeout), pdu::disconnect_ultimatum()]);
    assert_ne!(server.join().unwrap(), Some(0));
}

#[test]
fn a_worker_that_goes_without_a_word_is_reported_at_a_boundary() {
    for rest in [&[][..], &filler(1000, 5)[..400]] {
        let rest = rest.to_vec();
        let (mut client, server) = relayed(move |mut link, mut monitor| {
            link.write_all(&filler(100, 9)).unwrap();
            link.write_all(&rest).unwrap();
            drop(link);
            monitor.exit_code(SOON)
        });
        assert_eq!(client.hear().unwrap(), filler(100, 9));
        assert_eq!(client.hear().unwrap(), pdu::set_error_info(pdu::EndReason::Crashed));
        assert_eq!(client.hear().unwrap(), pdu::disconnect_ultimatum());
        assert_eq!(client.hear(), None);
        drop(client);
        // The gate did what it is for.
        assert_eq!(server.join().unwrap(), Some(0));
    }
}

#[test]
fn a_client_that_goes_closes_the_link() {
    let (client, server) = relayed(|mut link, mut monitor| {
        let mut rest = Vec::new();
        link.read_to_end(&mut rest).unwrap();
        monitor.exit_code(SOON)
    });
    drop(client);
    assert_eq!(server.join().unwrap(), Some(0));
}

#[test]
fn a_client_that_says_good_bye_is_not_told_of_a_crash() {
    let (mut client, server) = relayed(|mut link, mut monitor| {
        let farewell = pdu::disconnect_ultimatum();
        let mut said = vec![0; farewell.len()];
        link.read_exact(&mut said).unwrap();
        assert_eq!(said, farewell);
        // The worker has nothing to answer, and closes before the client does.
        drop(link);
        monitor.exit_code(SOON)
    });
    client.stream.write_all(&pdu::disconnect_ultimatum()).unwrap();
    assert_eq!(client.hear(), None);
    assert_eq!(server.join().unwrap(), Some(0));
}

#[test]
fn a_restart_of_the_monitor_cuts_nothing_and_an_idle_relay_sleeps() {
    let (mut client, server) = relayed(|mut link, monitor| {
        let mut monitor = monitor;
        // The channel closes as it would with the monitor.
        let (other, _) = wrd_sys::RawChannel::pair().unwrap();
        drop(std::mem::replace(&mut monitor.channel, other.typed()));
        let switches = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", monitor.gate.id())).unwrap();
            let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
            lines.map(|line| line.split_whitespace().last().unwrap().parse::<u64>().unwrap()).sum::<u64>()
        };
        let rests = || {
            let before = switches();
            std::thread::sleep(Duration::from_millis(700));
            switches() == before
        };
        // It may still have been about to fall asleep.
        assert!((0..20).any(|_| rests()), "the relay wakes up for nothing");
        link.write_all(&filler(50, 1)).unwrap();
        let mut heard = [0; 4];
        link.read_exact(&mut heard).unwrap();
        link.write_all(&pdu::end(pdu::EndReason::Disconnected)).unwrap();
        drop(link);
        monitor.exit_code(SOON)
    });
    assert_eq!(client.hear().unwrap(), filler(50, 1));
    client.stream.write_all(&[0x04, 0x04, 0x00, 0x1e]).unwrap();
    while client.hear().is_some() {}
    drop(client);
    assert_eq!(server.join().unwrap(), Some(0));
}

#[test]
fn a_client_that_stops_reading_stops_the_worker_and_loses_nothing() {
    const PDUS: u32 = 4000;
    let (sender, receiver) = std::sync::mpsc::channel();
    let (mut client, server) = relayed(move |mut link, mut monitor| {
        link.set_nonblocking(true).unwrap();
        let mut written = 0;
        let stream: Vec<u8> = (0..PDUS).flat_map(|n| filler(16000, n as u8)).collect();
        // Until it is full: that is the buffers of two sockets and the gate's own, not everything.
        let mut quiet = Instant::now();
        while quiet.elapsed() < Duration::from_millis(500) && written < stream.len() {
            match link.write(&stream[written..]) {
                Ok(length) => (written, quiet) = (written + length, Instant::now()),
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        assert!(written < 32 * 1024 * 1024, "{written} bytes are held somewhere");
        let memory = std::fs::read_to_string(format!("/proc/{}/status", monitor.gate.id())).unwrap();
        let rss = memory.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        let kilobytes: u64 = rss.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kilobytes < 24 * 1024, "{rss}");
        sender.send(()).unwrap();
        link.set_nonblocking(false).unwrap();
        link.write_all(&stream[written..]).unwrap();
        link.write_all(&pdu::disconnect_ultimatum()).unwrap();
        drop(link);
        monitor.exit_code(Duration::from_secs(60))
    });
    receiver.recv().unwrap();
    for n in 0..PDUS {
        assert!(client.hear().unwrap() == filler(16000, n as u8), "PDU {n}");
    }
    assert_eq!(client.hear().unwrap(), pdu::disconnect_ultimatum());
    drop(client);
    assert_eq!(server.join().unwrap(), Some(0));
}

#[test]
fn a_worker_that_stops_reading_stops_the_client_and_loses_nothing() {
    const PDUS: u32 = 3000;
    let (mut client, server) = relayed(move |mut link, mut monitor| {
        std::thread::sleep(Duration::from_millis(700));
        let mut incoming = PduBuffer::default();
        for n in 0..PDUS {
            let pdu = next_pdu(&mut link, &mut incoming).unwrap().unwrap();
            assert!(pdu == filler(9000, n as u8), "PDU {n}");
        }
        link.write_all(&pdu::disconnect_ultimatum()).unwrap();
        drop(link);
        monitor.exit_code(SOON)
    });
    for n in 0..PDUS {
        client.stream.write_all(&filler(9000, n as u8)).unwrap();
    }
    assert_eq!(client.hear().unwrap(), pdu::disconnect_ultimatum());
    drop(client);
    assert_eq!(server.join().unwrap(), Some(0));
}

/// A verifier that nothing else looks like.
const VERIFIER: [u8; 16] = *b"cookie of alice!";

/// The gate asks about the cookie of the test's client.
fn comes_back(monitor: &Monitor, identity: &Identity, returning: Returning) {
    let claim = Claim { logon_id: 7, verifier: Key::new(VERIFIER) };
    assert_eq!(monitor.next(identity), ToMonitor::Reconnect(claim));
    monitor.channel.send(&ToGate::Reconnect(returning)).unwrap();
}

/// A client that comes back with that cookie, and this password beside it.
fn play_back<T: Send + 'static>(
    password: &str,
    server: impl FnOnce(Monitor, &Identity) -> T + Send + 'static,
) -> (Client, std::thread::JoinHandle<T>) {
    let (mut client, thread) = play(password, 60_000, server);
    client.cookie = Some(reconnect::forged(7, VERIFIER));
    (client, thread)
}

#[test]
fn a_cookie_that_is_right_needs_neither_password_nor_screen() {
    let (mut client, server) = play_back("", |monitor, identity| {
        comes_back(&monitor, identity, Returning::Granted);
        let leader = monitor.open_login();
        leader.send(&FromLeader::Accepted).unwrap();
        let (mut link, mut acceptor, transcript) = take_over(&monitor, identity);
        assert_eq!(transcript.progress, Progress::Licensing);
        let shown = |pdu: &[u8]| pdu.windows(4).any(|part| part == &VERIFIER[..4]);
        assert!(!transcript.pdus.iter().any(|pdu| shown(pdu)), "the worker is shown the cookie");
        activate(&mut link, &mut acceptor);
        (monitor, link)
    });
    client.until_active().unwrap();
    server.join().unwrap();
}

/// `ironrdp-acceptor` takes any client that presents a cookie, whatever is in it, for one that needs no credentials.
#[test]
fn a_cookie_that_is_wrong_leaves_a_client_without_password_on_the_login_screen() {
    let (says, said) = std::sync::mpsc::channel();
    let (mut client, server) = play_back("", move |monitor, identity| {
        comes_back(&monitor, identity, Returning::Refused);
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        says.send(()).unwrap();
        let leader = open(&monitor, identity);
        expect_password(&leader, "secret");
    });
    client.until_active().unwrap();
    wait_for_screen(&said);
    client.type_line("secret").unwrap();
    server.join().unwrap();
}

#[test]
fn a_cookie_that_is_malformed_is_none() {
    let malformed =
        [[0; 28], [0xff; 28], std::array::from_fn(|at| if at == 4 { 2 } else { reconnect::forged(7, VERIFIER)[at] })];
    for cookie in malformed {
        let (mut client, server) = play("", 60_000, |monitor, identity| {
            assert_eq!(monitor.next(identity), ToMonitor::Screen);
        });
        client.cookie = Some(cookie);
        client.until_active().unwrap();
        server.join().unwrap();
    }
}

#[test]
fn where_the_cookie_is_wrong_the_password_beside_it_is_tried() {
    let (mut client, server) = play_back("secret", |monitor, identity| {
        comes_back(&monitor, identity, Returning::Refused);
        let leader = open(&monitor, identity);
        expect_password(&leader, "secret");
    });
    client.until_client_info().unwrap();
    server.join().unwrap();
}

#[test]
fn whose_account_may_not_be_used_any_more_is_told_on_the_login_screen() {
    let (says, said) = std::sync::mpsc::channel();
    let (mut client, server) = play_back("secret", move |monitor, identity| {
        comes_back(&monitor, identity, Returning::Granted);
        let leader = monitor.open_login();
        leader.send(&denied("Your password has expired.")).unwrap();
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        says.send(()).unwrap();
        // Typed: the one beside the cookie was for nobody but the cookie's owner.
        expect_password(&leader, "typed");
    });
    client.until_active().unwrap();
    wait_for_screen(&said);
    client.type_line("typed").unwrap();
    server.join().unwrap();
}
