//! Whatever gates, leaders, sessions and callers do, in whatever order.

use super::super::request_tests;
use super::*;
use proptest::prelude::*;

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
