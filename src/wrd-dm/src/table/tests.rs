//! The tables against random gates, leaders, sessions and callers, and the plain stories one by one.

use super::request_tests::proof_of;
use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use wrd_proto::gate::{Returning, Security, SessionKey, Stage, ToMonitor};
use wrd_proto::leader::FromLeader;
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
                Action::Asks(id) | Action::Answered(id) => assert!(self.leaders.contains(&id), "{id} has no leader"),
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
    assert!(world.notes.iter().any(|note| note.contains("Sign while Signed(Auto)")), "{:?}", world.notes);
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
    let denied = || FromLeader::Denied { user: user(9), text: line("no"), pause_ms: 2000 };
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
fn a_question_gives_the_screen_its_time_again_but_once() {
    let mut world = World::new();
    let id = world.connect();
    world.gate(id, sign());
    world.gate(id, ToMonitor::Screen);
    world.gate(id, ToMonitor::OpenLogin);
    world.pass(Duration::from_secs(100));
    world.leader(id, FromLeader::Asks);
    world.pass(Duration::from_secs(100));
    assert!(world.gates.contains(&id), "the user looks for the answer");
    world.leader(id, FromLeader::Answered);
    world.leader(id, FromLeader::Asks);
    world.pass(Duration::from_secs(22));
    assert!(world.gates.contains(&id));
    world.pass(Duration::from_secs(1));
    assert!(!world.gates.contains(&id), "a second question gives no more");
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

#[test]
fn nla_proves_a_name_and_lets_nobody_in() {
    let mut world = World::new();
    let id = world.prove("alice");
    assert_eq!(world.verdicts.get(&id), Some(&true));
    assert!(!world.table.connection(id).unwrap().is_authenticated());
    let proven = Proven { uid: world.uid_of(id), name: UserName::truncated("alice") };
    assert_eq!(world.table.who_was_proven(id), Some(&proven));
    world.gate(id, ToMonitor::OpenLogin);
    assert!(world.leaders.contains(&id));
    world.authenticate(id);
    assert!(world.table.connection(id).unwrap().is_authenticated());
    assert_eq!(world.starting.get(&world.uid_of(id)), Some(&id));
}

#[test]
fn a_refusal_is_told_at_its_time_and_counts_as_a_wrong_password() {
    let mut world = World::new();
    let id = world.prove("wrong");
    let denied = format!("Denied {{ id: {id:?}, client: \"192.0.2.7\", user: \"wrong\"");
    assert!(world.notes.iter().any(|note| note.starts_with(&denied)), "{:?}", world.notes);
    assert_eq!(world.table.next_deadline(), Some(world.now + Timing::REFUSAL));
    world.pass(Timing::REFUSAL - Duration::from_millis(1));
    assert_eq!(world.verdicts.get(&id), None);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.verdicts.get(&id), Some(&false));
    assert_eq!(world.table.connection(id).unwrap().outcome(), Outcome::Denied);
    // Its gate may say that it gives up, and no more; it has a moment for that.
    assert!(world.gates.contains(&id));
    world.pass(Timing::ANSWER);
    assert!(!world.gates.contains(&id) && world.table.connections.is_empty());
}

#[test]
fn a_gate_whose_client_was_refused_goes_nowhere() {
    for told in [false, true] {
        for wrong in [ToMonitor::OpenLogin, ToMonitor::NtlmChallenge, sign(), ToMonitor::NtlmProof(proof_of("alice"))] {
            let mut world = World::new();
            let id = world.prove("wrong");
            if told {
                world.pass(Timing::REFUSAL);
            }
            world.gate(id, wrong);
            assert!(!world.gates.contains(&id) && world.opened.is_empty());
        }
    }
}

#[test]
fn a_gate_that_leaves_before_the_refusal_is_not_told() {
    let mut world = World::new();
    let id = world.prove("wrong");
    world.gate(id, ToMonitor::Failed { stage: Stage::Tls, reason: line("gone") });
    world.pass(Timing::REFUSAL);
    assert_eq!(world.verdicts.get(&id), None);
    world.pass(Duration::from_secs(123));
    assert!(world.table.connections.is_empty());
}

#[test]
fn where_nla_is_required_there_is_no_login_and_no_screen_without_it() {
    for wrong in [ToMonitor::OpenLogin, ToMonitor::Screen] {
        let mut world = World { security: Security::NlaRequired, ..World::new() };
        let id = world.connect();
        world.gate(id, sign());
        world.gate(id, wrong.clone());
        assert!(!world.gates.contains(&id) && world.opened.is_empty());
        assert!(world.notes.iter().any(|note| note.contains("while Signed(NlaRequired)")), "{:?}", world.notes);
        let id = world.prove("alice");
        world.gate(id, wrong);
        assert!(world.gates.contains(&id));
    }
}

#[test]
fn where_nla_is_off_there_is_no_challenge() {
    let mut world = World { security: Security::Tls, ..World::new() };
    let id = world.connect();
    world.gate(id, sign());
    world.gate(id, ToMonitor::NtlmChallenge);
    assert!(!world.gates.contains(&id));
}

#[test]
fn an_nla_that_was_begun_is_not_left_for_a_login() {
    for wrong in [ToMonitor::OpenLogin, ToMonitor::Screen, ToMonitor::NtlmChallenge, sign()] {
        let mut world = World::new();
        let id = world.connect();
        world.gate(id, sign());
        world.gate(id, ToMonitor::NtlmChallenge);
        world.gate(id, wrong);
        assert!(!world.gates.contains(&id) && world.opened.is_empty());
    }
}

#[test]
fn the_login_of_another_account_than_the_proven_one_is_refused_and_its_entry_reaped() {
    let mut world = World::new();
    let id = world.prove("other");
    world.gate(id, ToMonitor::OpenLogin);
    world.authenticate(id);
    let uid = world.uid_of(id);
    assert!(world.refused.contains(&id) && world.starting.is_empty() && world.table.sessions.is_empty());
    assert!(!world.table.connection(id).unwrap().is_authenticated());
    assert_eq!(world.table.connection(id).unwrap().outcome(), Outcome::Denied);
    assert_eq!(world.forgotten, [Proven { uid: uid + 1, name: UserName::truncated("other") }]);
    assert!(world.notes.iter().any(|note| note.starts_with("Denied ")), "{:?}", world.notes);
}

#[test]
fn what_pam_refuses_of_what_nla_has_proven_is_forgotten() {
    let mut world = World::new();
    let id = world.prove("alice");
    world.gate(id, ToMonitor::OpenLogin);
    world.leader(id, FromLeader::Stale);
    assert_eq!(world.forgotten, [Proven { uid: world.uid_of(id), name: UserName::truncated("alice") }]);
    // The user may type the new password.
    world.leader(id, FromLeader::Denied { user: user(9), text: line("no"), pause_ms: 2000 });
    world.gate(id, ToMonitor::Screen);
    world.authenticate(id);
    assert!(world.table.connection(id).unwrap().is_authenticated());
    // Without NLA there is nothing to forget.
    let id = world.connect();
    world.gate(id, sign());
    world.gate(id, ToMonitor::OpenLogin);
    world.leader(id, FromLeader::Stale);
    assert_eq!(world.forgotten.len(), 1);
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
    Challenge(u64),
    Prove(u64, &'static str),
    ComeBack(u64, u32),
    Left(u32, u64),
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
        1 => id().prop_map(Op::Challenge),
        2 => (id(), proptest::sample::select(vec!["alice", "other", "wrong"])).prop_map(|(id, name)| Op::Prove(id, name)),
        2 => (id(), uid()).prop_map(|(id, uid)| Op::ComeBack(id, uid)),
        1 => (uid(), id()).prop_map(|(uid, id)| Op::Left(uid, id)),
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
            Op::Challenge(id) => self.gate(ConnectionId(id), ToMonitor::NtlmChallenge),
            Op::Prove(id, name) => {
                self.gate(ConnectionId(id), sign());
                self.gate(ConnectionId(id), ToMonitor::NtlmChallenge);
                self.gate(ConnectionId(id), ToMonitor::NtlmProof(proof_of(name)));
            }
            Op::ComeBack(id, uid) => {
                let claim = self.cookie.get(&uid).cloned().unwrap_or_else(|| claim(99));
                self.gate(ConnectionId(id), sign());
                self.gate(ConnectionId(id), ToMonitor::Reconnect(claim));
            }
            Op::Left(uid, id) => self.session(uid, FromSession::Left { connection: ConnectionId(id) }),
            Op::Authenticate(id) => self.authenticate(ConnectionId(id)),
            Op::Denied(id) => {
                let message = FromLeader::Denied { user: user(9), text: line("no"), pause_ms: 2000 };
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
    fn whatever_happens_the_rules_hold_and_nobody_waits_for_ever(
        ops in proptest::collection::vec(op(), 0..60),
        security in proptest::sample::select(request_tests::ALL),
    ) {
        let mut world = World { security, ..World::new() };
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

/// A session whose first client is relayed: its uid, that client, and the next connection that could be its.
fn attached(world: &mut World) -> (u32, ConnectionId) {
    let first = world.log_in();
    let uid = world.uid_of(first);
    world.ready(uid);
    world.describe(uid);
    world.attach(uid);
    world.gate(first, ToMonitor::Relaying);
    world.session(uid, FromSession::Changed(with_client(uid, Some(first))));
    (uid, first)
}

fn with_client(uid: u32, connection: Option<ConnectionId>) -> SessionInfo {
    let address = Address::truncated("192.0.2.7");
    let client = connection.map(|connection| AttachedClient { connection, address, since: 0, width: 0, height: 0 });
    SessionInfo { client, ..info(uid, State::Connected) }
}

/// A connection that presents a cookie; whether that was taken.
fn come_back(world: &mut World, claim: Claim) -> (ConnectionId, bool) {
    let id = world.connect();
    world.gate(id, sign());
    world.gate(id, ToMonitor::Reconnect(claim));
    if world.returning.get(&id) == Some(&Returning::Granted) {
        (id, true)
    } else {
        assert!(!world.leaders.contains(&id), "a leader for a cookie that is wrong");
        assert_eq!(world.returning.get(&id), Some(&Returning::Refused));
        assert_eq!(world.table.connection(id).unwrap().outcome(), Outcome::Denied);
        (id, false)
    }
}

/// What `World::authenticate` does, as the user of the session.
fn let_in(world: &mut World, id: ConnectionId, uid: u32) {
    world.leader(id, FromLeader::Authenticated { uid, user: user(uid) });
}

/// Until the next connection is of a uid, as these tests have it.
fn skip_to(world: &mut World, uid: u32) {
    while (world.table.last_id + 1) % 3 != u64::from(uid) {
        let id = world.connect();
        world.gate_ends(id);
    }
}

#[test]
fn a_cut_client_comes_back_by_its_cookie_once_and_gets_another() {
    let mut world = World::new();
    let (uid, _) = attached(&mut world);
    world.session(uid, FromSession::Changed(with_client(uid, None)));
    let cookie = world.cookie[&uid].clone();
    skip_to(&mut world, uid);
    let (id, taken) = come_back(&mut world, cookie.clone());
    assert!(taken);
    assert!(!world.table.connection(id).unwrap().is_authenticated(), "the leader has yet to look at the account");
    assert_eq!(world.table.who_is_back(id), Some(&Back { uid, name: user(uid) }));
    // Replayed meanwhile, and afterwards.
    assert!(!come_back(&mut world, cookie.clone()).1);
    let_in(&mut world, id, uid);
    world.attach(uid);
    assert!(world.linked.contains(&id));
    assert!(world.notes.iter().any(|note| note.starts_with("Returned")), "{:?}", world.notes);
    assert!(!come_back(&mut world, cookie.clone()).1);
    // The new one is for the new client, which may know of a cut before we do.
    assert_ne!(world.cookie[&uid], cookie);
    let cookie = world.cookie[&uid].clone();
    assert!(come_back(&mut world, cookie).1);
}

#[test]
fn what_is_not_the_cookie_of_a_session_now_is_refused_and_the_login_goes_on() {
    let mut world = World::new();
    let (uid, _) = attached(&mut world);
    let cookie = world.cookie[&uid].clone();
    let forged = Claim { verifier: SessionKey::new([0xee; 16]), ..cookie.clone() };
    let other = Claim { logon_id: cookie.logon_id + 1, ..cookie.clone() };
    for wrong in [forged, other] {
        let (id, taken) = come_back(&mut world, wrong);
        assert!(!taken);
        // As everybody else; and once only.
        world.gate(id, ToMonitor::Screen);
        world.gate(id, ToMonitor::OpenLogin);
        assert!(world.leaders.contains(&id));
        world.gate(id, ToMonitor::Reconnect(cookie.clone()));
        assert!(!world.gates.contains(&id), "a second try");
    }
    let refusals = world.notes.iter().filter(|note| note.starts_with("Denied")).count();
    assert_eq!(refusals, 2, "each is an offence of its source");
    assert!(come_back(&mut world, cookie).1, "none of that has used the right one up");
}

#[test]
fn a_cookie_is_good_for_its_time_after_the_cut() {
    for (seconds, good) in [(899, true), (900, false)] {
        let mut world = World::new();
        let (uid, _) = attached(&mut world);
        // However long the client was attached.
        world.pass(Duration::from_secs(100_000));
        world.session(uid, FromSession::Changed(with_client(uid, None)));
        world.pass(Duration::from_secs(seconds / 2));
        // Said again, which is not another cut.
        world.session(uid, FromSession::Changed(with_client(uid, None)));
        world.pass(Duration::from_secs(seconds - seconds / 2));
        let cookie = world.cookie[&uid].clone();
        assert_eq!(come_back(&mut world, cookie).1, good, "after {seconds} s");
    }
}

#[test]
fn a_cookie_is_gone_with_whatever_is_no_cut() {
    type Event = fn(&mut World, u32, ConnectionId);
    let events: [(&str, Event); 7] = [
        ("the client says good-bye", |world, uid, connection| world.session(uid, FromSession::Left { connection })),
        ("an administrator disconnects", |world, uid, _| world.table.disconnect(uid).unwrap()),
        ("the session is terminated", |world, uid, _| world.table.terminate(uid).unwrap()),
        ("the user logs out", |world, uid, _| world.session(uid, FromSession::Ending { reason: line("logged out") })),
        ("the session is gone", |world, uid, _| world.end(uid)),
        ("another client takes over", |world, uid, _| {
            skip_to(world, uid);
            world.log_in();
            world.attach(uid);
        }),
        ("it is switched off", |world, _, _| {
            let timing = Timing { reconnect: Duration::ZERO, ..world.table.timing };
            world.table.set_timing(timing);
        }),
    ];
    for (what, event) in events {
        let mut world = World::new();
        let (uid, first) = attached(&mut world);
        let cookie = world.cookie[&uid].clone();
        event(&mut world, uid, first);
        world.settle();
        assert!(!come_back(&mut world, cookie).1, "{what}");
    }
    // The good-bye of a client that was taken over is nobody else's.
    let mut world = World::new();
    let (uid, first) = attached(&mut world);
    skip_to(&mut world, uid);
    world.log_in();
    world.attach(uid);
    world.session(uid, FromSession::Left { connection: first });
    let cookie = world.cookie[&uid].clone();
    assert!(come_back(&mut world, cookie).1);
}

#[test]
fn where_it_is_switched_off_nobody_is_given_a_cookie() {
    let mut world = World::new();
    let timing = Timing { reconnect: Duration::ZERO, ..world.table.timing };
    world.table.set_timing(timing);
    attached(&mut world);
    assert!(world.cookie.is_empty());
}

#[test]
fn a_restarted_monitor_gives_new_cookies_to_clients_that_are_attached() {
    let mut world = World::new();
    for (uid, client) in [(1, Some(ConnectionId(40))), (2, None)] {
        world.running.insert(uid);
        world.table.discover(uid);
        world.settle();
        world.session(uid, FromSession::Description(with_client(uid, client)));
    }
    assert_eq!(world.cookie.keys().collect::<Vec<_>>(), [&1]);
    let cookie = world.cookie[&1].clone();
    assert!(come_back(&mut world, cookie).1);
}

#[test]
fn a_cookie_starts_no_session() {
    let mut world = World::new();
    let (uid, _) = attached(&mut world);
    let cookie = world.cookie[&uid].clone();
    let (id, taken) = come_back(&mut world, cookie);
    assert!(taken);
    // Between the cookie and the leader's word the user logs out elsewhere.
    world.end(uid);
    let_in(&mut world, id, uid);
    assert!(world.starting.is_empty() && world.refused.contains(&id), "{:?}", world.notes);
}

#[test]
fn a_leader_lets_nobody_else_back() {
    let mut world = World::new();
    let (uid, _) = attached(&mut world);
    let cookie = world.cookie[&uid].clone();
    let (id, _) = come_back(&mut world, cookie);
    let_in(&mut world, id, uid + 1);
    assert!(!world.table.connection(id).unwrap().is_authenticated());
    assert!(world.refused.contains(&id) && world.starting.is_empty());
}

#[test]
fn whose_account_may_not_be_used_any_more_can_log_in_as_everybody_does() {
    let mut world = World::new();
    let (uid, _) = attached(&mut world);
    let cookie = world.cookie[&uid].clone();
    let (id, _) = come_back(&mut world, cookie);
    world.gate(id, ToMonitor::Screen);
    world.leader(id, FromLeader::Denied { user: user(uid), text: line("expired"), pause_ms: 2000 });
    assert_eq!(world.table.who_is_back(id), None);
    // With a password: as whoever that is.
    let_in(&mut world, id, uid + 1);
    assert_eq!(world.starting.get(&(uid + 1)), Some(&id));
}

#[test]
fn behind_nla_a_cookie_is_for_who_was_proven() {
    let mut world = World { security: Security::NlaRequired, ..World::new() };
    let first = world.prove("user");
    let uid = world.uid_of(first);
    world.gate(first, ToMonitor::OpenLogin);
    world.authenticate(first);
    world.ready(uid);
    world.describe(uid);
    world.attach(uid);
    let cookie = world.cookie[&uid].clone();
    // Without NLA there is nothing.
    let id = world.connect();
    world.gate(id, sign());
    world.gate(id, ToMonitor::Reconnect(cookie.clone()));
    assert!(!world.gates.contains(&id) && !world.returning.contains_key(&id));
    // Proven to be somebody else, which uses nothing up.
    skip_to(&mut world, uid);
    let other = world.prove("other");
    world.gate(other, ToMonitor::Reconnect(cookie.clone()));
    assert_eq!(world.returning.get(&other), Some(&Returning::Refused));
    skip_to(&mut world, uid);
    let id = world.prove("user");
    world.gate(id, ToMonitor::Reconnect(cookie));
    assert_eq!(world.returning.get(&id), Some(&Returning::Granted));
}
