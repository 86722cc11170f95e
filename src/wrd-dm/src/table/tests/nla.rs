//! What NLA proves, and what PAM says of it then.

use super::*;

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
