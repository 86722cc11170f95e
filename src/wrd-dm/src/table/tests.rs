//! The tables against random gates, leaders, sessions and callers, and the plain stories one by one.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use wrd_proto::gate::{Stage, ToMonitor};
use wrd_proto::leader::FromLeader;
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
    notes: Vec<String>,
}

impl World {
    fn new() -> Self {
        let timing = Timing {
            login: Duration::from_secs(120),
            screen: Duration::from_secs(120),
            start: Duration::from_secs(60),
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
            notes: Vec::new(),
        }
    }

    fn settle(&mut self) {
        while let Some(action) = self.table.next_action() {
            match action {
                Action::Sign { id, .. } => assert!(self.signed.insert(id), "{id} signs twice"),
                Action::OpenLeader(id) => {
                    assert!(self.signed.contains(&id), "{id} opens a login before TLS");
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

    /// Users are numbered after their connections, three of them.
    fn uid_of(&self, id: ConnectionId) -> u32 {
        (id.0 % 3) as u32
    }

    fn connect(&mut self) -> ConnectionId {
        let id = self.table.unused_id();
        self.table.accepted(id, Address::truncated("192.0.2.7"), self.now);
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

fn sign() -> ToMonitor {
    ToMonitor::Sign { scheme: 0x0403, message: Bytes::default() }
}

#[test]
fn a_first_login_starts_a_session_and_a_second_finds_it() {
    let mut world = World::new();
    let first = world.log_in();
    let uid = world.uid_of(first);
    assert_eq!(world.starting.get(&uid), Some(&first));
    world.ready(uid);
    world.describe(uid);
    world.attach(uid);
    assert!(world.linked.contains(&first));
    world.gate(first, ToMonitor::Relaying);
    assert_eq!(world.table.next_deadline(), None, "idle is without a timer");

    world.connect();
    world.connect();
    let second = world.log_in();
    assert_eq!(world.uid_of(second), uid);
    assert!(world.starting.is_empty());
    world.attach(uid);
    assert!(world.linked.contains(&second));
    assert!(!world.leaders.contains(&second));
}

#[test]
fn a_second_first_login_waits_for_the_first_and_then_takes_over() {
    let mut world = World::new();
    let first = world.log_in();
    let uid = world.uid_of(first);
    world.connect();
    world.connect();
    let second = world.log_in();
    assert_eq!(world.starting.len(), 1);
    world.ready(uid);
    world.describe(uid);
    world.attach(uid);
    world.attach(uid);
    assert!(world.linked.contains(&first) && world.linked.contains(&second));
}

#[test]
fn where_a_start_fails_the_next_in_line_starts() {
    let mut world = World::new();
    let first = world.log_in();
    let uid = world.uid_of(first);
    world.connect();
    world.connect();
    let second = world.log_in();
    world.starting.remove(&uid);
    world.leader(first, FromLeader::SessionFailed { text: line("no home") });
    assert_eq!(world.starting.get(&uid), Some(&second));
    assert!(!world.leaders.contains(&first));
    // Also where its leader dies, or never comes to an end.
    world.leader_ends(second);
    assert!(world.table.sessions.is_empty());
    assert!(world.refused.contains(&second));
}

#[test]
fn a_start_that_never_ends_is_given_up() {
    let mut world = World::new();
    let first = world.log_in();
    world.pass(Duration::from_secs(61));
    assert!(world.refused.contains(&first));
    assert!(world.table.sessions.is_empty());
    assert!(!world.leaders.contains(&first));
}

#[test]
fn a_session_is_started_though_its_client_went_away() {
    let mut world = World::new();
    let first = world.log_in();
    let uid = world.uid_of(first);
    world.gate_ends(first);
    assert_eq!(world.starting.get(&uid), Some(&first));
    world.ready(uid);
    world.describe(uid);
    assert_eq!(world.table.session_count(), (1, 0));
    assert!(world.table.connections.is_empty());
}

#[test]
fn a_login_during_the_end_waits_and_gets_a_new_session() {
    let mut world = World::new();
    let first = world.log_in();
    let uid = world.uid_of(first);
    world.ready(uid);
    world.describe(uid);
    world.attach(uid);
    world.session(uid, FromSession::Ending { reason: line("logged out") });
    world.connect();
    world.connect();
    let second = world.log_in();
    assert!(world.starting.is_empty() && world.offered.is_empty());
    world.end(uid);
    assert_eq!(world.starting.get(&uid), Some(&second));
    assert!(world.notes.iter().any(|note| note.contains("logged out")));
}

#[test]
fn a_login_that_was_offered_to_a_dying_session_gets_the_next_one() {
    let mut world = World::new();
    let first = world.log_in();
    let uid = world.uid_of(first);
    world.ready(uid);
    world.describe(uid);
    world.attach(uid);
    world.connect();
    world.connect();
    let second = world.log_in();
    assert_eq!(world.offered.get(&second), Some(&uid));
    world.end(uid);
    assert_eq!(world.starting.get(&uid), Some(&second));
}

#[test]
fn a_session_of_an_earlier_monitor_is_found_at_the_login() {
    let mut world = World::new();
    world.running.insert(1);
    let client = AttachedClient {
        connection: ConnectionId(40),
        address: Address::truncated("192.0.2.9"),
        since: 0,
        width: 0,
        height: 0,
    };
    let first = world.log_in();
    assert_eq!(world.uid_of(first), 1);
    assert!(world.starting.is_empty());
    let mut description = info(1, State::Connected);
    description.client = Some(client);
    world.session(1, FromSession::Description(description));
    assert_eq!(world.offered.get(&first), Some(&1));
    assert_eq!(world.connect(), ConnectionId(41), "ids are never used twice");
}

#[test]
fn a_session_that_does_not_answer_keeps_nobody_waiting() {
    let mut world = World::new();
    world.running.insert(1);
    let first = world.log_in();
    world.pass(Timing::ANSWER);
    assert!(world.refused.contains(&first));
    assert!(!world.table.is_joining());
    // It may wake up.
    world.describe(1);
    world.connect();
    world.connect();
    let second = world.log_in();
    assert_eq!(world.offered.get(&second), Some(&1));
    world.pass(Timing::ANSWER);
    assert!(world.refused.contains(&second) && world.offered.is_empty());
    // The link that was given up on is taken too late.
    world.session(1, FromSession::Attached { connection: second });
    assert!(!world.linked.contains(&second));
}

#[test]
fn a_request_out_of_its_stage_ends_the_connection() {
    for wrong in [ToMonitor::OpenLogin, ToMonitor::Relaying] {
        let mut world = World::new();
        let id = world.connect();
        world.gate(id, wrong);
        assert!(!world.gates.contains(&id));
        assert!(world.opened.is_empty() && world.table.connections.is_empty());
    }
    let mut world = World::new();
    let id = world.connect();
    world.gate(id, sign());
    world.gate(id, sign());
    assert!(!world.gates.contains(&id));
    assert!(world.notes.iter().any(|note| note.contains("Sign while Signed")), "{:?}", world.notes);
}

#[test]
fn a_leader_out_of_its_stage_ends_the_connection_and_is_dropped() {
    let mut world = World::new();
    let id = world.connect();
    world.gate(id, sign());
    world.gate(id, ToMonitor::OpenLogin);
    world.leader(id, FromLeader::SessionReady);
    assert!(!world.gates.contains(&id) && !world.leaders.contains(&id));
    assert!(world.table.connections.is_empty());
}

#[test]
fn a_leader_that_denies_on_and_on_is_no_leader() {
    let mut world = World::new();
    let id = world.connect();
    world.gate(id, sign());
    world.gate(id, ToMonitor::OpenLogin);
    let denied = || FromLeader::Denied { user: user(9), text: line("no") };
    for _ in 0..wrd_proto::leader::MAX_TRIES {
        world.leader(id, denied());
        assert!(world.gates.contains(&id));
    }
    world.leader(id, denied());
    assert!(!world.gates.contains(&id) && !world.leaders.contains(&id));
}

#[test]
fn a_slow_client_is_ended_at_its_deadline() {
    let mut world = World::new();
    let id = world.connect();
    world.pass(Duration::from_secs(122));
    assert!(world.gates.contains(&id));
    world.pass(Duration::from_secs(1));
    assert!(!world.gates.contains(&id));
    assert_eq!(world.table.next_deadline(), None);
}

#[test]
fn callers_are_told_what_cannot_be_done() {
    let mut world = World::new();
    assert_eq!(world.table.terminate(1), Err(NotNow::NoSession));
    let first = world.log_in();
    let uid = world.uid_of(first);
    assert_eq!(world.table.terminate(uid), Err(NotNow::Starting));
    assert_eq!(world.table.disconnect(uid), Err(NotNow::Starting));
    world.ready(uid);
    world.describe(uid);
    assert_eq!(world.table.disconnect(uid), Err(NotNow::NothingAttached));
    assert_eq!(world.table.terminate(uid), Ok(()));
    world.settle();
}

#[derive(Clone, Debug)]
enum Op {
    Connect,
    LogIn,
    Sign(u64),
    OpenLogin(u64),
    Relaying(u64),
    Failed(u64),
    Screen(u64),
    Authenticate(u64),
    Denied(u64),
    Ready(u32),
    FakeReady(u64),
    StartFails(u32),
    Describe(u32),
    DescribeAsOther(u32),
    Attached(u32),
    WrongAttached(u32, u64),
    AttachRefused(u32),
    Ending(u32),
    End(u32),
    Appears(u32),
    Discover(u32),
    GateEnds(u64),
    LeaderEnds(u64),
    Disconnect(u32),
    Terminate(u32),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let id = || 1u64..12;
    let uid = || 0u32..3;
    prop_oneof![
        1 => Just(Op::Connect),
        4 => Just(Op::LogIn),
        1 => id().prop_map(Op::Sign),
        1 => id().prop_map(Op::OpenLogin),
        2 => id().prop_map(Op::Relaying),
        1 => id().prop_map(Op::Failed),
        1 => id().prop_map(Op::Screen),
        1 => id().prop_map(Op::Authenticate),
        1 => id().prop_map(Op::Denied),
        4 => uid().prop_map(Op::Ready),
        1 => id().prop_map(Op::FakeReady),
        1 => uid().prop_map(Op::StartFails),
        4 => uid().prop_map(Op::Describe),
        1 => uid().prop_map(Op::DescribeAsOther),
        4 => uid().prop_map(Op::Attached),
        1 => (uid(), id()).prop_map(|(uid, id)| Op::WrongAttached(uid, id)),
        1 => uid().prop_map(Op::AttachRefused),
        1 => uid().prop_map(Op::Ending),
        2 => uid().prop_map(Op::End),
        1 => uid().prop_map(Op::Appears),
        1 => uid().prop_map(Op::Discover),
        2 => id().prop_map(Op::GateEnds),
        1 => id().prop_map(Op::LeaderEnds),
        1 => uid().prop_map(Op::Disconnect),
        1 => uid().prop_map(Op::Terminate),
        1 => (1u64..40).prop_map(Op::Pass),
    ]
}

impl World {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Connect => drop(self.connect()),
            Op::LogIn => drop(self.log_in()),
            Op::Sign(id) => self.gate(ConnectionId(id), sign()),
            Op::OpenLogin(id) => self.gate(ConnectionId(id), ToMonitor::OpenLogin),
            Op::Relaying(id) => self.gate(ConnectionId(id), ToMonitor::Relaying),
            Op::Failed(id) => {
                let message = ToMonitor::Failed { stage: Stage::Tls, reason: line("x") };
                self.gate(ConnectionId(id), message);
            }
            Op::Screen(id) => self.gate(ConnectionId(id), ToMonitor::Screen),
            Op::Authenticate(id) => self.authenticate(ConnectionId(id)),
            Op::Denied(id) => {
                let message = FromLeader::Denied { user: user(9), text: line("no") };
                self.leader(ConnectionId(id), message);
            }
            Op::Ready(uid) => self.ready(uid),
            Op::FakeReady(id) => {
                // A leader that was told to start says so only once it has; others may say anything.
                if !self.starting.values().any(|starting| starting.0 == id) {
                    self.leader(ConnectionId(id), FromLeader::SessionReady);
                }
            }
            Op::StartFails(uid) => {
                if let Some(id) = self.starting.remove(&uid) {
                    self.leader(id, FromLeader::SessionFailed { text: line("x") });
                }
            }
            Op::Describe(uid) => self.describe(uid),
            Op::DescribeAsOther(uid) => self.session(uid, FromSession::Description(info(uid + 7, State::Connected))),
            Op::Attached(uid) => self.attach(uid),
            Op::WrongAttached(uid, id) => {
                if !self.offered.contains_key(&ConnectionId(id)) {
                    self.session(uid, FromSession::Attached { connection: ConnectionId(id) });
                }
            }
            Op::AttachRefused(uid) => {
                if let Some((id, _)) = self.offered.iter().find(|(_, other)| **other == uid) {
                    let connection = *id;
                    self.session(uid, FromSession::AttachRefused { connection, text: line("x") });
                }
            }
            Op::Ending(uid) => self.session(uid, FromSession::Ending { reason: line("x") }),
            Op::End(uid) => self.end(uid),
            Op::Appears(uid) => {
                if !self.starting.contains_key(&uid) {
                    self.running.insert(uid);
                }
            }
            Op::Discover(uid) => self.table.discover(uid),
            Op::GateEnds(id) => self.gate_ends(ConnectionId(id)),
            Op::LeaderEnds(id) => self.leader_ends(ConnectionId(id)),
            Op::Disconnect(uid) => drop(self.table.disconnect(uid)),
            Op::Terminate(uid) => drop(self.table.terminate(uid)),
            Op::Pass(seconds) => self.pass(Duration::from_secs(seconds)),
        }
        self.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn whatever_happens_the_rules_hold_and_nobody_waits_for_ever(ops in proptest::collection::vec(op(), 0..60)) {
        let mut world = World::new();
        for op in ops {
            world.apply(op);
        }
        // Long after everybody has fallen silent, whoever is not relaying has been ended.
        for _ in 0..20 {
            world.pass(Duration::from_secs(60));
        }
        prop_assert_eq!(world.table.next_deadline(), None);
        for connection in world.table.connections.values() {
            let relaying = matches!(connection.stage, connection::Stage::Relaying(_));
            prop_assert!(relaying, "{:?} is left over", connection);
        }
        prop_assert!(world.starting.is_empty());
        prop_assert!(world.offered.is_empty(), "{:?}", world.offered);
        // And once those have gone too, nothing is left but sessions that run.
        for id in world.gates.clone() {
            world.gate_ends(id);
        }
        for uid in 0..3 {
            world.end(uid);
        }
        prop_assert!(world.table.connections.is_empty());
        prop_assert!(world.leaders.is_empty(), "{:?}", world.leaders);
        prop_assert_eq!(world.table.session_count(), (0, 0));
    }
}
