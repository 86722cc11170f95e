//! Logins, takeovers, starts that fail, requests out of their stage, deadlines.

use super::*;

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
fn what_this_machine_lacks_is_held_against_nobody() {
    let mut world = World::new();
    let [ours, theirs, late, wrong] = [(); 4].map(|()| world.connect());
    for id in [late, wrong] {
        world.gate(id, sign());
        world.gate(id, ToMonitor::OpenLogin);
    }
    world.leader(wrong, FromLeader::Denied { user: user(9), text: line("no"), pause_ms: 2000 });
    world.table.unserved(ours, "no descriptor is left");
    world.table.broken(theirs, "it shouts");
    world.table.login_failed(late, line("too many people are logging in"));
    world.table.login_failed(wrong, line("too many people are logging in"));
    let outcomes = [ours, theirs, late, wrong].map(|id| world.table.connection(id).unwrap().outcome());
    assert_eq!(outcomes, [Outcome::Unserved, Outcome::Broken, Outcome::Unserved, Outcome::Denied]);
    world.settle();
    for id in [late, wrong] {
        world.gate_ends(id);
    }
    assert!(world.gates.is_empty() && world.table.connections.is_empty());
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
fn a_leader_that_asks_on_and_on_is_no_leader() {
    for (last, words) in [(FromLeader::Asks, "Asks"), (FromLeader::Answered, "Answered")] {
        let mut world = World::new();
        let id = world.connect();
        world.gate(id, sign());
        world.gate(id, ToMonitor::Screen);
        world.gate(id, ToMonitor::OpenLogin);
        for _ in 0..MAX_QUESTIONS {
            world.leader(id, FromLeader::Asks);
            world.leader(id, FromLeader::Answered);
            assert!(world.gates.contains(&id), "{words}");
        }
        world.leader(id, last);
        assert!(!world.gates.contains(&id) && !world.leaders.contains(&id), "{words}");
    }
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
