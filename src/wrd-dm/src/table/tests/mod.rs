//! The tables: the plain stories one by one, and random gates, leaders, sessions and callers.

mod cookies;
mod model;
mod nla;
mod stories;

use super::request_tests::proof_of;
use super::*;
use std::collections::{BTreeMap, BTreeSet};
use wrd_proto::gate::{Returning, Security, SessionKey, Stage, ToMonitor};
use wrd_proto::leader::FromLeader;
use wrd_proto::login::MAX_QUESTIONS;
use wrd_proto::reconnect::Claim;
use wrd_proto::session::{AttachedClient, FromSession};

/// The world around the tables: it does what they want done, and checks that they may want it.
struct World {
    table: Table,
    now: Instant,
    /// Leaders that were told to start a session, by uid.
    starting: BTreeMap<u32, ConnectionId>,
    /// Sessions that run: their socket can be connected to.
    running: BTreeSet<u32>,
    /// Sessions the monitor is connected to.
    connected: BTreeSet<u32>,
    leaders: BTreeSet<ConnectionId>,
    gates: BTreeSet<ConnectionId>,
    offered: BTreeMap<ConnectionId, u32>,
    signed: BTreeSet<ConnectionId>,
    opened: BTreeSet<ConnectionId>,
    linked: BTreeSet<ConnectionId>,
    refused: BTreeSet<ConnectionId>,
    /// What NLA came to, as it was told.
    verdicts: BTreeMap<ConnectionId, bool>,
    forgotten: Vec<Proven>,
    /// What became of those who came back.
    returning: BTreeMap<ConnectionId, Returning>,
    /// The cookie that the session's client was given last.
    cookie: BTreeMap<u32, Claim>,
    cookies: u32,
    security: Security,
    notes: Vec<String>,
}

impl World {
    fn new() -> Self {
        let timing = Timing {
            login: Duration::from_secs(120),
            screen: Duration::from_secs(120),
            start: Duration::from_secs(60),
            reconnect: Duration::from_secs(900),
        };
        Self {
            table: Table::new(timing),
            now: Instant::now(),
            starting: BTreeMap::new(),
            running: BTreeSet::new(),
            connected: BTreeSet::new(),
            leaders: BTreeSet::new(),
            gates: BTreeSet::new(),
            offered: BTreeMap::new(),
            signed: BTreeSet::new(),
            opened: BTreeSet::new(),
            linked: BTreeSet::new(),
            refused: BTreeSet::new(),
            verdicts: BTreeMap::new(),
            forgotten: Vec::new(),
            returning: BTreeMap::new(),
            cookie: BTreeMap::new(),
            cookies: 0,
            security: Security::Auto,
            notes: Vec::new(),
        }
    }

    fn settle(&mut self) {
        while let Some(action) = self.table.next_action() {
            match action {
                Action::Sign { id, .. } => assert!(self.signed.insert(id), "{id} signs twice"),
                Action::Challenge(id) => self.table.challenged(id, [7; 8]),
                Action::Judge(id, proof) => self.judge(id, &proof),
                Action::TellVerdict(id, verdict) => {
                    let proven = matches!(verdict, NtlmVerdict::Proven(_));
                    assert_eq!(self.verdicts.insert(id, proven), None, "{id} is judged twice");
                }
                Action::TellReconnect(id, returning) => {
                    assert!(self.gates.contains(&id));
                    self.returning.insert(id, returning);
                }
                Action::MakeCookie { uid, client } => {
                    self.cookies += 1;
                    let claim = claim(self.cookies);
                    self.cookie.insert(uid, claim.clone());
                    self.table.cookie_made(uid, client, claim);
                }
                Action::Forget(proven) => self.forgotten.push(proven),
                Action::Tries(id) | Action::Asks(id) | Action::Answered(id) => {
                    assert!(self.leaders.contains(&id), "{id} has no leader");
                }
                Action::OpenLeader(id) => {
                    assert!(self.signed.contains(&id), "{id} opens a login before TLS");
                    let proven = self.verdicts.get(&id).copied();
                    assert_ne!(proven, Some(false), "{id} opens a login although it was refused");
                    assert!(proven.is_some() || !self.security.requires_nla(), "{id} opens a login without NLA");
                    assert!(self.opened.insert(id), "{id} opens two logins");
                    self.leaders.insert(id);
                }
                Action::RefuseGate(id, _) => {
                    assert!(self.gates.contains(&id), "{id} is refused without a gate");
                    self.refused.insert(id);
                }
                Action::Link(id) => {
                    assert!(self.offered.remove(&id).is_some(), "{id} gets a link that was never offered");
                    assert!(self.linked.insert(id), "{id} gets two links");
                }
                Action::Release(id) => assert!(self.linked.contains(&id)),
                Action::EndGate(id) => {
                    if self.gates.remove(&id) {
                        self.table.gate_left(id);
                    }
                }
                Action::TellLeader(id, message) => {
                    assert!(self.leaders.contains(&id), "{id} has no leader for {message:?}");
                    match message {
                        ToLeader::StartSession => {
                            assert_eq!(self.table.who_is_back(id), None, "a session is started by a cookie");
                            let uid = self.uid_of(id);
                            assert!(!self.running.contains(&uid), "a second session of {uid} is started");
                            assert_eq!(self.starting.insert(uid, id), None, "{uid} is started twice");
                        }
                        ToLeader::Refused(_) => drop(self.refused.insert(id)),
                        ToLeader::HandedOver | ToLeader::Begin { .. } => {}
                    }
                }
                Action::DropLeader(id) => {
                    self.leaders.remove(&id);
                    self.starting.retain(|_, leader| *leader != id);
                }
                Action::Look(uid) => {
                    let found = self.running.contains(&uid);
                    if found {
                        self.connected.insert(uid);
                    }
                    self.table.looked(uid, if found { Looked::Found } else { Looked::Missing }, self.now);
                }
                Action::Attach { uid, id, .. } => {
                    assert_eq!(uid, self.uid_of(id), "{id} is attached to the session of another");
                    assert!(self.connected.contains(&uid), "{id} is attached to nothing");
                    assert!(!self.offered.values().any(|other| *other == uid), "{uid} is offered two links at once");
                    self.offered.insert(id, uid);
                }
                Action::DropLink(id) => drop(self.offered.remove(&id)),
                Action::TellSession(uid, _) => assert!(self.connected.contains(&uid), "{uid} is not connected"),
                Action::DropSession(uid) => {
                    self.connected.remove(&uid);
                }
                Action::Note(note) => self.notes.push(format!("{note:?}")),
            }
        }
        for uid in self.starting.keys() {
            assert!(self.table.sessions.contains_key(uid), "the start of {uid} is forgotten");
        }
    }

    /// "wrong" proves nothing, "other" to be somebody else, and anybody else to be who they are.
    fn judge(&mut self, id: ConnectionId, proof: &NtlmProof) {
        assert_eq!(self.table.take_challenge(id), Some([7; 8]));
        let (uid, name) = (self.uid_of(id), proof.user.clone());
        let uid = if name.as_str() == "other" { uid + 1 } else { uid };
        match name.as_str() {
            "wrong" => self.table.not_proven(id, name, line("wrong password"), self.now),
            _ => self.table.proven(id, Proven { uid, name }, SessionKey::new([9; 16])),
        }
    }

    /// A connection that has gone through NLA as `name`.
    fn prove(&mut self, name: &str) -> ConnectionId {
        let id = self.connect();
        for message in [sign(), ToMonitor::NtlmChallenge, ToMonitor::NtlmProof(proof_of(name))] {
            self.gate(id, message);
        }
        id
    }

    /// Users are numbered after their connections, three of them.
    fn uid_of(&self, id: ConnectionId) -> u32 {
        (id.0 % 3) as u32
    }

    fn connect(&mut self) -> ConnectionId {
        let id = self.table.unused_id();
        self.table.accepted(id, Address::truncated("192.0.2.7"), self.security, self.now);
        self.gates.insert(id);
        id
    }

    fn gate(&mut self, id: ConnectionId, message: ToMonitor) {
        if self.gates.contains(&id) {
            self.table.gate_says(id, message, self.now);
        }
        self.settle();
    }

    fn leader(&mut self, id: ConnectionId, message: FromLeader) {
        if self.leaders.contains(&id) {
            self.table.leader_says(id, message, self.now);
        }
        self.settle();
    }

    fn session(&mut self, uid: u32, message: FromSession) {
        if self.connected.contains(&uid) {
            self.table.session_says(uid, message, self.now);
        }
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.table.expire(self.now);
        self.settle();
    }

    fn authenticate(&mut self, id: ConnectionId) {
        let uid = self.uid_of(id);
        self.leader(id, FromLeader::Authenticated { uid, user: user(uid) });
    }

    /// A new connection up to its authentication.
    fn log_in(&mut self) -> ConnectionId {
        let id = self.connect();
        self.gate(id, sign());
        self.gate(id, ToMonitor::OpenLogin);
        self.authenticate(id);
        id
    }

    fn ready(&mut self, uid: u32) {
        if let Some(id) = self.starting.remove(&uid) {
            self.running.insert(uid);
            self.leader(id, FromLeader::SessionReady);
        }
    }

    fn describe(&mut self, uid: u32) {
        self.session(uid, FromSession::Description(info(uid, State::Disconnected)));
    }

    /// Takes what is offered to the session of `uid`.
    fn attach(&mut self, uid: u32) {
        if let Some((id, _)) = self.offered.iter().find(|(_, other)| **other == uid) {
            let connection = *id;
            self.session(uid, FromSession::Attached { connection });
        }
    }

    fn end(&mut self, uid: u32) {
        self.running.remove(&uid);
        if self.connected.remove(&uid) {
            self.table.session_left(uid);
        }
        self.settle();
    }

    fn gate_ends(&mut self, id: ConnectionId) {
        if self.gates.remove(&id) {
            self.table.gate_left(id);
        }
        self.settle();
    }

    fn leader_ends(&mut self, id: ConnectionId) {
        if self.leaders.remove(&id) {
            self.starting.retain(|_, leader| *leader != id);
            self.table.leader_left(id);
        }
        self.settle();
    }
}

fn user(uid: u32) -> UserName {
    UserName::truncated(&format!("user{uid}"))
}

fn info(uid: u32, state: State) -> SessionInfo {
    SessionInfo { state, ..starting(uid, user(uid)) }
}

fn line(text: &str) -> Line {
    Line::truncated(text)
}

/// The cookies of these tests are numbered.
fn claim(number: u32) -> Claim {
    Claim { logon_id: number, verifier: SessionKey::new([number as u8; 16]) }
}

fn sign() -> ToMonitor {
    ToMonitor::Sign { scheme: 0x0403, message: Bytes::default() }
}
