//! Clients that mean no good, or do not know how: each ends in a clear message, soon, and alone.

mod common;

use common::{Identity, Monitor, accept, dial, listener, start};
use ironrdp_pdu::nego::SecurityProtocol;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wrd_proto::gate::{Stage, ToMonitor};
use wrd_test_client::connection_request;
use wrd_test_client::online::{Trust, tls};

const SOON: Duration = Duration::from_secs(30);

fn connect(deadline_ms: u32) -> (TcpStream, Monitor, Arc<Identity>) {
    let identity = Arc::new(Identity::new());
    let (listener, address) = listener();
    let socket = dial(address);
    let monitor = accept(&listener, &identity, deadline_ms);
    (socket, monitor, identity)
}

/// Reads to the end; a reset counts as one.
fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = socket.read_to_end(&mut bytes);
    bytes
}

fn expect_failure(monitor: &mut Monitor, identity: &Identity, wanted: Stage, words: &str) {
    match monitor.next(identity) {
        ToMonitor::Failed { stage, reason } => {
            assert_eq!(stage, wanted);
            assert!(reason.contains(words), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    monitor.exit_code(SOON);
}

#[test]
fn the_gate_is_in_its_sandbox_before_it_reads_a_byte() {
    let (_socket, monitor, _identity) = connect(60_000);
    let path = format!("/proc/{}/status", monitor.gate.id());
    let end = Instant::now() + SOON;
    loop {
        let status = std::fs::read_to_string(&path).unwrap();
        let is =
            |line: &str| status.lines().any(|found| found.split_whitespace().collect::<Vec<_>>().join(" ") == line);
        if is("NoNewPrivs: 1") && is("Seccomp: 2") && is("Threads: 1") {
            return;
        }
        assert!(Instant::now() < end, "{status}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn garbage_is_refused() {
    let (mut socket, mut monitor, identity) = connect(60_000);
    socket.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    expect_failure(&mut monitor, &identity, Stage::Negotiation, "the client sent no RDP: a PDU cannot begin with 0x47");
    assert!(read_to_end(&mut socket).is_empty());
}

#[test]
fn a_request_that_is_too_long_is_refused() {
    let (mut socket, mut monitor, identity) = connect(60_000);
    socket.write_all(&[3, 0, 0xff, 0xff]).unwrap();
    expect_failure(&mut monitor, &identity, Stage::Negotiation, "longer");
}

#[test]
fn a_client_without_tls_is_told_so() {
    let (mut socket, mut monitor, identity) = connect(60_000);
    socket.write_all(&connection_request(SecurityProtocol::empty())).unwrap();
    let answer = read_to_end(&mut socket);
    // TPKT, X.224 connection confirm, RDP_NEG_FAILURE with SSL_REQUIRED_BY_SERVER.
    assert_eq!(answer.len(), 19);
    assert_eq!(answer[11..], [3, 0, 8, 0, 1, 0, 0, 0]);
    drop(socket);
    expect_failure(&mut monitor, &identity, Stage::Negotiation, "no security that is served");
}

#[test]
fn half_a_handshake_is_noticed() {
    for rest in [&b"\x16\x03\x01\x02\x00\x01"[..], &b"this is no ClientHello at all"[..]] {
        let (mut socket, mut monitor, identity) = connect(60_000);
        socket.write_all(&connection_request(SecurityProtocol::SSL)).unwrap();
        let mut confirm = [0; 19];
        socket.read_exact(&mut confirm).unwrap();
        socket.write_all(rest).unwrap();
        drop(socket);
        match monitor.next(&identity) {
            ToMonitor::Failed { stage: Stage::Tls, .. } => {}
            other => panic!("{other:?}"),
        }
        monitor.exit_code(SOON);
    }
}

#[test]
fn bytes_in_clear_are_never_taken_for_bytes_under_tls() {
    let (mut socket, mut monitor, identity) = connect(60_000);
    let mut bytes = connection_request(SecurityProtocol::SSL);
    bytes.extend([3, 0, 0, 8, 2, 0xf0, 0x80, 0]);
    socket.write_all(&bytes).unwrap();
    expect_failure(&mut monitor, &identity, Stage::Tls, "before TLS");
}

#[test]
fn tls_without_rdp_is_refused() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let (mut socket, monitor, identity) = connect(60_000);
        let server = serve(monitor, &identity);
        negotiate(&mut socket);
        let mut stream = tls(socket, Trust::Only(&identity.certificate), version).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let (mut monitor, message) = server.join().unwrap();
        assert!(matches!(&message, ToMonitor::Failed { stage: Stage::Connection, .. }), "{message:?}");
        monitor.exit_code(SOON);
    }
}

#[test]
fn a_trickle_of_bytes_does_not_hold_a_gate() {
    let (mut socket, mut monitor, identity) = connect(1000);
    let began = Instant::now();
    for byte in connection_request(SecurityProtocol::SSL).into_iter().take(15) {
        // Once the gate has given up, writing fails.
        let _ = socket.write_all(&[byte]);
        std::thread::sleep(Duration::from_millis(100));
    }
    expect_failure(&mut monitor, &identity, Stage::Negotiation, "too long");
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[test]
fn silence_does_not_hold_a_gate_at_any_stage() {
    let (_socket, mut monitor, identity) = connect(300);
    expect_failure(&mut monitor, &identity, Stage::Negotiation, "too long");

    let (mut socket, mut monitor, identity) = connect(300);
    negotiate(&mut socket);
    expect_failure(&mut monitor, &identity, Stage::Tls, "too long");

    let (socket, monitor, identity) = connect(900);
    let server = serve(monitor, &identity);
    let _client = start(socket, &identity, "");
    let (_, message) = server.join().unwrap();
    assert!(matches!(&message, ToMonitor::Failed { stage: Stage::Connection, .. }), "{message:?}");
}

#[test]
fn a_client_that_goes_away_is_no_error() {
    let (socket, mut monitor, identity) = connect(60_000);
    drop(socket);
    expect_failure(&mut monitor, &identity, Stage::Negotiation, "disconnected");
    assert_eq!(monitor.exit_code(SOON), Some(0));
}

fn negotiate(socket: &mut TcpStream) {
    socket.write_all(&connection_request(SecurityProtocol::SSL)).unwrap();
    let mut confirm = [0; 19];
    socket.read_exact(&mut confirm).unwrap();
}

/// Serves the gate while the test plays the client.
fn serve(monitor: Monitor, identity: &Arc<Identity>) -> JoinHandle<(Monitor, ToMonitor)> {
    let identity = identity.clone();
    std::thread::spawn(move || {
        let message = monitor.next(&identity);
        (monitor, message)
    })
}
