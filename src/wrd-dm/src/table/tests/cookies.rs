//! Coming back by a cookie.

use super::*;

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
