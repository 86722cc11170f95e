//! NLA with a real gate in its sandbox: a client that proves a password, the test as monitor and leader.

mod common;

use common::{Identity, Monitor, accept_secured, dial, listener, worker};
use ironrdp_pdu::nego::SecurityProtocol;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use wrd_gate::credssp::subject_public_key;
use wrd_proto::gate::{NtlmProof, NtlmVerdict, Security, Stage, ToGate, ToMonitor};
use wrd_proto::login::{FromGate, FromLeader};
use wrd_proto::transcript::Transcript;
use wrd_rdp::acceptor::new_acceptor;
use wrd_rdp::replay::{replay, settings};
use wrd_test_client::nla::{Tokens, judge};
use wrd_test_client::online::{Client, Trust, tls};
use wrd_test_client::{Kind, PLAIN, connection_request};

const SOON: Duration = Duration::from_secs(30);
const CHALLENGE: [u8; 8] = *b"eightpcs";
const PASSWORD: &str = "canary-pässword";

/// Connects with NLA and this password; the closure plays monitor and leader in a thread of its own.
fn play<T: Send + 'static>(
    password: &str,
    tokens: Tokens,
    log: Option<OwnedFd>,
    server: impl FnOnce(Monitor, &Identity) -> T + Send + 'static,
) -> (std::io::Result<Client>, JoinHandle<T>) {
    let identity = Arc::new(Identity::new());
    let (listener, address) = listener();
    let socket = dial(address);
    let monitor = accept_secured(&listener, &identity, Security::Auto, log);
    let thread = {
        let identity = identity.clone();
        std::thread::spawn(move || server(monitor, &identity))
    };
    let key = subject_public_key(&identity.certificate).unwrap();
    let kind = Kind { password, ..PLAIN };
    (Client::start_nla(socket, Trust::Only(&identity.certificate), kind, (&key, tokens)), thread)
}

/// Up to the proof, which is given back with what the monitor thinks of it.
fn proof(monitor: &Monitor, identity: &Identity) -> (NtlmProof, NtlmVerdict) {
    assert_eq!(monitor.next(identity), ToMonitor::NtlmChallenge);
    monitor.channel.send(&ToGate::NtlmChallenge { challenge: CHALLENGE }).unwrap();
    let ToMonitor::NtlmProof(proof) = monitor.next(identity) else { panic!("no proof") };
    let verdict = judge(&proof, CHALLENGE, PASSWORD);
    monitor.channel.send(&ToGate::NtlmVerdict(verdict.clone())).unwrap();
    (proof, verdict)
}

#[test]
fn a_proven_password_is_handed_over_and_the_worker_can_go_on() {
    for tokens in [Tokens::Raw, Tokens::Spnego] {
        let (log, logged) = std::io::pipe().map(|(read, write)| (write, read)).unwrap();
        let (client, server) = play(PASSWORD, tokens, Some(log.into()), |mut monitor, identity| {
            let (proof, verdict) = proof(&monitor, identity);
            assert_eq!(proof.user.as_str(), "alice");
            assert!(matches!(verdict, NtlmVerdict::Proven(_)));
            assert_eq!(monitor.next(identity), ToMonitor::OpenLogin);
            let leader = monitor.open_login();
            let FromGate::Credentials { user, password, .. } = leader.recv().unwrap() else { panic!("no credentials") };
            assert_eq!((user.as_str(), password.expose()), ("alice", PASSWORD.as_bytes()));
            leader.send(&FromLeader::Accepted).unwrap();
            let mut link = monitor.link();
            let block = worker::read_block(&mut link).unwrap();
            let transcript: Transcript = wrd_sys::channel::decode(&block).unwrap();
            assert_eq!(monitor.next(identity), ToMonitor::Relaying);
            let (security, size) = settings(&transcript);
            assert!(security.intersects(SecurityProtocol::HYBRID_EX) && !security.intersects(SecurityProtocol::SSL));
            let replayed = replay(new_acceptor(security, size), &transcript).unwrap();
            assert_eq!(replayed.client.width, PLAIN.width);
            let canary: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert!(!block.windows(canary.len()).any(|window| window == canary));
            drop(link);
            monitor.exit_code(SOON)
        });
        let mut client = client.unwrap();
        client.until_client_info().unwrap();
        assert_eq!(server.join().unwrap(), Some(0));
        let mut log = String::new();
        { logged }.read_to_string(&mut log).unwrap();
        assert!(log.contains("wants to prove"), "{log}");
        assert!(!log.contains("canary"), "{log}");
    }
}

#[test]
fn a_wrong_password_is_refused_in_credssp_and_never_comes_to_a_leader() {
    for tokens in [Tokens::Raw, Tokens::Spnego] {
        let (client, server) = play("canary-wrong", tokens, None, |mut monitor, identity| {
            assert_eq!(proof(&monitor, identity).1, NtlmVerdict::Refused);
            let ToMonitor::Failed { stage, reason } = monitor.next(identity) else { panic!("it goes on") };
            assert_eq!(
                (stage, reason.as_str()),
                (Stage::Connection, "credssp: the client did not prove a password of an enrolled user")
            );
            monitor.exit_code(SOON)
        });
        // STATUS_LOGON_FAILURE.
        let error = client.err().expect("refused").to_string();
        assert!(error.contains("c000006d") || error.contains("C000006D"), "{error}");
        assert_ne!(server.join().unwrap(), Some(0));
    }
}

/// The whole of what the gate says to such a first PDU.
fn refused(security: Security, asked: SecurityProtocol) -> Vec<u8> {
    let identity = Identity::new();
    let (listener, address) = listener();
    let mut socket = dial(address);
    let mut monitor = accept_secured(&listener, &identity, security, None);
    socket.write_all(&connection_request(asked)).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    drop(socket);
    assert!(matches!(monitor.next(&identity), ToMonitor::Failed { stage: Stage::Negotiation, .. }));
    monitor.exit_code(SOON);
    answer
}

#[test]
fn who_does_not_offer_what_the_policy_wants_is_told_so() {
    // RDP_NEG_FAILURE with HYBRID_REQUIRED_BY_SERVER and SSL_REQUIRED_BY_SERVER (MS-RDPBCGR 2.2.1.2.2).
    assert_eq!(refused(Security::NlaRequired, SecurityProtocol::SSL)[11..], [3, 0, 8, 0, 5, 0, 0, 0]);
    assert_eq!(refused(Security::Tls, SecurityProtocol::HYBRID)[11..], [3, 0, 8, 0, 1, 0, 0, 0]);
}

/// A client that has agreed on NLA, shaken hands, and now sends these bytes.
fn strange(bytes: &[u8]) -> (String, Option<i32>) {
    let identity = Arc::new(Identity::new());
    let (listener, address) = listener();
    let mut socket: TcpStream = dial(address);
    let mut monitor = accept_secured(&listener, &identity, Security::NlaRequired, None);
    let server = {
        let identity = identity.clone();
        std::thread::spawn(move || {
            let ToMonitor::Failed { reason, .. } = monitor.next(&identity) else { panic!("it goes on") };
            (reason.to_string(), monitor.exit_code(SOON))
        })
    };
    socket.write_all(&connection_request(SecurityProtocol::HYBRID)).unwrap();
    let mut confirm = [0; 19];
    socket.read_exact(&mut confirm).unwrap();
    // RDP_NEG_RSP with PROTOCOL_HYBRID.
    assert_eq!((confirm[11], confirm[15]), (2, 2));
    let mut stream = tls(socket, Trust::Only(&identity.certificate), &rustls::version::TLS13).unwrap();
    stream.write_all(bytes).unwrap();
    stream.flush().unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    drop(stream);
    server.join().unwrap()
}

#[test]
fn what_is_no_credssp_ends_the_connection_and_no_gate_dies_of_it() {
    for (bytes, reason) in [
        (&[3, 0, 0, 7, 2, 0xf0, 0x80][..], "an element 0x03 where 0x30 is due"),
        (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], "more than 16 bits"),
        (&[0x30, 0x80, 0, 0], "indefinite"),
        (&[0x30, 0x82, 0xff, 0xff], "at most 16384"),
        (&[0x30, 0], "ends too early"),
        // Version 2, and a first message without a token.
        (&[0x30, 5, 0xa0, 3, 2, 1, 2], "version 2"),
        (&[0x30, 5, 0xa0, 3, 2, 1, 6], "without a token"),
    ] {
        let (said, code) = strange(bytes);
        assert!(said.contains(reason), "{said}");
        assert_eq!(code, Some(1), "{said}");
    }
}
