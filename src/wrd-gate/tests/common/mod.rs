//! A monitor and a leader made for tests: they start the real gate and answer it.

#![allow(dead_code)]

pub mod worker;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;
use wrd_proto::gate::{Security, Start, ToGate, ToMonitor};
use wrd_proto::login::{FromGate, FromLeader};
use wrd_proto::{Bytes, ConnectionId, Line, Text};
use wrd_sys::spawn::Program;
use wrd_sys::{Channel, RawChannel};
use wrd_test_client::online::{Client, Trust};
use wrd_test_client::{Kind, PLAIN};

/// A certificate and its key.
pub struct Identity {
    pub certificate: Vec<u8>,
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Identity {
    pub fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap().self_signed(&pair).unwrap();
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pair.serialize_der(), &random).unwrap();
        Self { certificate: certificate.der().to_vec(), key, random }
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(&self.random, message).unwrap().as_ref().to_vec()
    }
}

/// The monitor's end of one gate.
pub struct Monitor {
    pub channel: Channel<ToGate, ToMonitor>,
    pub gate: Child,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.gate.kill();
        let _ = self.gate.wait();
    }
}

/// Starts a gate for the connection that `listener` accepts next.
pub fn accept(listener: &TcpListener, identity: &Identity, login_deadline_ms: u32) -> Monitor {
    accept_logging(listener, identity, login_deadline_ms, None)
}

/// The same, with everything the gate can log written to `log`.
pub fn accept_logging(
    listener: &TcpListener,
    identity: &Identity,
    login_deadline_ms: u32,
    log: Option<OwnedFd>,
) -> Monitor {
    accept_program(listener, identity, login_deadline_ms, logging(log))
}

/// The same with a policy.
pub fn accept_secured(
    listener: &TcpListener,
    identity: &Identity,
    security: Security,
    log: Option<OwnedFd>,
) -> Monitor {
    accept_as(listener, identity, (security, 60_000), logging(log))
}

fn logging(log: Option<OwnedFd>) -> Program {
    let program = Program::new(Path::new(&gate_program()));
    match log {
        Some(log) => program.fd(2, log).env("WRD_LOG", "trace"),
        None => program.pass_env("WRD_LOG"),
    }
}

/// The same with a program of one's own for a gate.
pub fn accept_program(
    listener: &TcpListener,
    identity: &Identity,
    login_deadline_ms: u32,
    program: Program,
) -> Monitor {
    accept_as(listener, identity, (Security::Auto, login_deadline_ms), program)
}

/// The same with all of that.
pub fn accept_as(listener: &TcpListener, identity: &Identity, given: (Security, u32), program: Program) -> Monitor {
    accept_over(RawChannel::pair().unwrap(), listener, identity, given, program)
}

/// The same over a pair of sockets that the test has made.
pub fn accept_over(
    (ours, theirs): (RawChannel, RawChannel),
    listener: &TcpListener,
    identity: &Identity,
    (security, login_deadline_ms): (Security, u32),
    program: Program,
) -> Monitor {
    let (socket, peer) = listener.accept().unwrap();
    let gate = program.fd(3, socket.into()).fd(4, theirs.into()).spawn().unwrap();
    let channel: Channel<ToGate, ToMonitor> = ours.typed();
    let start = Start {
        connection: ConnectionId(1),
        client: Text::truncated(&peer.ip().to_string()),
        host_name: Text::truncated("lab.example.org"),
        chain: vec![Bytes::try_from(identity.certificate.clone()).unwrap()],
        schemes: vec![0x0403],
        max_width: 7680,
        max_height: 4320,
        login_deadline_ms,
        security,
        sessions: Vec::new(),
    };
    channel.send(&ToGate::Start(start)).unwrap();
    Monitor { channel, gate }
}

/// Where cargo put the gate: next to the tests' own folder.
fn gate_program() -> String {
    option_env!("CARGO_BIN_EXE_wrd-gate").map_or_else(
        || {
            let own = std::env::current_exe().unwrap();
            own.ancestors().nth(2).unwrap().join("wrd-gate").to_str().unwrap().to_owned()
        },
        str::to_owned,
    )
}

/// What a test does when the gate asks for something.
pub enum Then {
    /// Goes on.
    Next,
    /// Gives this message back to the test.
    Stop(ToMonitor),
}

impl Monitor {
    /// Serves signatures until another message comes.
    pub fn next(&self, identity: &Identity) -> ToMonitor {
        loop {
            match self.channel.recv().expect("a message of the gate") {
                ToMonitor::Sign { scheme, message } => {
                    assert_eq!(scheme, 0x0403);
                    let signature = Bytes::try_from(identity.sign(&message)).unwrap();
                    self.channel.send(&ToGate::Signature(signature)).unwrap();
                }
                other => return other,
            }
        }
    }

    /// Answers `OpenLogin`; returned is the leader's end.
    pub fn open_login(&self) -> Channel<FromLeader, FromGate> {
        let (ours, theirs) = RawChannel::pair().unwrap();
        self.channel.send_fds(&ToGate::Login, &[theirs.as_fd()]).unwrap();
        ours.typed()
    }

    /// Gives the gate its link; returned is the worker's end.
    pub fn link(&self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().unwrap();
        self.channel.send_fds(&ToGate::Link, &[theirs.as_fd()]).unwrap();
        ours
    }

    /// Exit code of the gate, which must end by itself within `patience`.
    pub fn exit_code(&mut self, patience: Duration) -> Option<i32> {
        self.exit_status(patience).code()
    }

    /// How the gate ended, by itself within `patience`.
    pub fn exit_status(&mut self, patience: Duration) -> ExitStatus {
        let end = std::time::Instant::now() + patience;
        loop {
            if let Some(status) = self.gate.try_wait().unwrap() {
                return status;
            }
            assert!(std::time::Instant::now() < end, "the gate still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub fn denied(text: &str) -> FromLeader {
    FromLeader::Denied { text: Line::truncated(text), may_retry: true }
}

/// A connected pair of TCP sockets by way of a listener.
pub fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A client of alice's up to TLS.
pub fn start(socket: TcpStream, identity: &Identity, password: &str) -> Client {
    Client::start(socket, Trust::Only(&identity.certificate), Kind { password, ..PLAIN }).unwrap()
}

pub fn dial(address: std::net::SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket
}
