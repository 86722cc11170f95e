//! A login as its gate sees it: a monitor and a leader that say anything at any time, and a client that does what the
//! gate lets it do.

use super::peer::{Peer, byte, frame};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use wrd_gate::Deadlines;
use wrd_gate::login::{Event, Login};
use wrd_gate::monitor::Monitor;
use wrd_proto::gate::{Domain, NtlmProof, Returning, ToMonitor};
use wrd_proto::login::{FromGate, SessionChoice};
use wrd_proto::reconnect::Claim;
use wrd_proto::{Bytes, Key, Secret, UserName};
use wrd_sys::RawChannel;

/// Steps: what happens (1 byte), and a frame for those with one.
pub fn gate_login(data: &[u8]) {
    is_linked(data);
}

/// Whether the client gets a desktop.
pub fn is_linked(data: &[u8]) -> bool {
    let (to_monitor, peer) = Peer::pair();
    // The monitor has said what it has to say before it is asked.
    let deadlines = Deadlines { answer: Duration::ZERO, ..Deadlines::default() };
    let monitor = Monitor::new(to_monitor.into(), deadlines.answer).expect("a socket can be told not to wait");
    let monitor = Arc::new(monitor);
    let login = Login::new(Arc::clone(&monitor), deadlines);
    let mut world = World { login, monitor, peer, leader: None, was: Was::default(), rest: data };
    while let Some(what) = byte(&mut world.rest) {
        world.step(what % 16);
        world.listen();
    }
    world.events();
    world.listen();
    world.was.linked
}

const PASSWORD: &[u8] = b"canary-password";
const ANSWER: &[u8] = b"canary-answer";

struct World<'a> {
    login: Login,
    monitor: Arc<Monitor>,
    /// The monitor's end.
    peer: Peer<ToMonitor>,
    /// The leader's, of the login socket that was given last.
    leader: Option<Peer<FromGate>>,
    was: Was,
    rest: &'a [u8],
}

/// What was, as far as it decides what may be.
#[derive(Default)]
struct Was {
    opened: bool,
    /// The gate has sent credentials, or needs none, and nothing that lets it send others has come since.
    tried: bool,
    asked: bool,
    accepted: bool,
    linked: bool,
    over: bool,
}

impl World<'_> {
    fn step(&mut self, what: u8) {
        match what {
            0 => self.peer.says(frame(&mut self.rest), &[]),
            1 | 2 => self.gives_login(usize::from(what)),
            3 => self.leader_says(0),
            4 => self.leader_says(1),
            5 => self.events(),
            6 => {
                let (user, domain) = (UserName::truncated("alice"), UserName::default());
                let session = SessionChoice::Last;
                let done = self.login.submit(user, domain, secret(PASSWORD), session);
                self.did(done);
            }
            7 if !self.was.opened && !self.was.over => self.comes_back(),
            8 => {
                let done = self.login.answer(secret(ANSWER));
                self.did(done);
            }
            9 => {
                let done = self.login.cancel();
                self.did(done);
            }
            10 => {
                self.peer.says(frame(&mut self.rest), &[]);
                let _ = self.monitor.sign(0x0403, &[0x20; 64]);
            }
            11 => {
                self.peer.says(frame(&mut self.rest), &[]);
                let _ = self.monitor.ntlm_challenge();
            }
            12 => {
                self.peer.says(frame(&mut self.rest), &[]);
                let _ = self.monitor.ntlm_verdict(proof());
            }
            13 => self.peer.goes(),
            14 => self.leader = None,
            _ => {}
        }
    }

    /// The monitor says something with an end of a new login socket beside it, or two.
    fn gives_login(&mut self, ends: usize) {
        let (end, leader) = Peer::pair();
        self.peer.says(frame(&mut self.rest), &vec![end.as_fd(); ends]);
        self.leader = Some(leader);
    }

    fn leader_says(&mut self, descriptors: usize) {
        let frame = frame(&mut self.rest);
        let (extra, _other) = RawChannel::pair().expect("sockets can be made");
        if let Some(leader) = &self.leader {
            leader.says(frame, &vec![extra.as_fd(); descriptors]);
        }
    }

    /// As the gate does it with Client Info, before anything else is tried.
    fn comes_back(&mut self) {
        self.peer.says(frame(&mut self.rest), &[]);
        match self.login.come_back(Claim { logon_id: 7, verifier: Key::new([7; 16]) }) {
            Ok(Returning::Granted) => (self.was.opened, self.was.tried) = (true, true),
            Ok(Returning::Refused) | Err(_) => {}
        }
    }

    fn did(&mut self, done: Result<(), Event>) {
        if let Err(event) = done {
            assert!(matches!(event, Event::Failed(_)), "{event:?} at once");
            self.happened(event);
        }
    }

    fn events(&mut self) {
        // A login socket that comes is none, nor is a leader that goes.
        let mut silent = 0;
        // Each takes a message, or ends it.
        for _ in 0..10_000 {
            match self.login.next_event() {
                Some(event) => {
                    assert!(!self.was.over, "{event:?} behind the end");
                    self.listen();
                    self.happened(event);
                    silent = 0;
                }
                None if silent < 2 => silent += 1,
                None => return,
            }
        }
        panic!("one event leads to more and more");
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Denied { may_retry: true, .. } => {
                assert!(self.was.tried, "what nobody has tried is denied");
                (self.was.tried, self.was.asked) = (false, false);
            }
            Event::Ask { .. } => {
                assert!(self.was.tried && !self.was.asked, "a question of nobody's, or two at once");
                self.was.asked = true;
            }
            Event::Tell { .. } => assert!(self.was.tried && !self.was.asked, "told at no time"),
            Event::Accepted => {
                assert!(self.was.tried && !self.was.accepted, "what nobody has tried is accepted");
                self.was.accepted = true;
            }
            Event::Link(_) => {
                assert!(self.was.tried && !self.was.asked, "a desktop for nobody");
                (self.was.linked, self.was.over) = (true, true);
            }
            Event::Denied { may_retry: false, .. } | Event::Failed(_) => self.was.over = true,
        }
        if self.was.over {
            let mut fds = Vec::new();
            self.login.watch(&mut fds);
            assert!(fds.is_empty() && !self.login.is_busy() && self.login.deadline().is_none());
        }
    }

    /// What the gate has told both since the last time.
    fn listen(&mut self) {
        for message in self.peer.hears() {
            let frame = wrd_sys::channel::encode(&message).expect("what was decoded can be encoded");
            assert!(!frame.windows(6).any(|bytes| bytes == b"canary"), "the monitor hears what it must not");
            if let ToMonitor::OpenLogin = message {
                assert!(!self.was.opened && !self.was.over, "another leader is asked for");
                self.was.opened = true;
            }
        }
        for message in self.leader.iter().flat_map(Peer::hears).collect::<Vec<_>>() {
            assert!(!self.was.over, "{message:?} behind the end");
            match message {
                FromGate::Credentials { password, .. } => {
                    assert!(!self.was.tried, "credentials while others are tried");
                    assert_eq!(password.expose(), PASSWORD);
                    self.was.tried = true;
                }
                FromGate::Answer(_) | FromGate::Cancel => {
                    assert!(self.was.asked, "an answer to nothing");
                    self.was.asked = false;
                }
            }
        }
    }
}

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes.to_vec()).expect("it is short")
}

fn proof() -> NtlmProof {
    NtlmProof {
        user: UserName::truncated("alice"),
        domain: Domain::default(),
        proof: [1; 16],
        client_challenge: Bytes::default(),
        encrypted_session_key: None,
        mic: [1; 16],
        negotiate: Bytes::default(),
        challenge: Bytes::default(),
        authenticate: Bytes::default(),
    }
}
