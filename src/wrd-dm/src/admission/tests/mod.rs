//! The room against a naive model under random strangers, and its promises one by one.

mod world;

use super::*;
use proptest::prelude::*;
use world::World;

fn rules() -> Rules {
    Rules::new(&System::default(), u64::MAX)
}

/// Everything small, so that every ceiling is met.
fn small() -> Rules {
    let admission = wrd_config::Admission {
        startups: Startups { begin: 2, percent: 50, full: 5 },
        login_screens: 3,
        logins: 2,
        source_connections: 4,
        source_connections_per_minute: 12,
        exempt: vec!["10.0.0.0/8".parse().unwrap()],
        ..Default::default()
    };
    Rules { admission, connections: 9, waiting: 6, silence: Duration::from_secs(10) }
}

#[derive(Clone, Debug)]
enum Op {
    /// Of this address, so many at once.
    Arrive(usize, usize),
    Speak(u64),
    Show(u64),
    Submit(u64),
    Deny(u64, u64),
    Try(u64),
    Ask(u64),
    Answer(u64),
    Accept(u64),
    Leave(u64, Option<Offence>),
    LeaderEnds(u64),
    Pass(u64),
}

/// The last is exempt.
const ADDRESSES: [&str; 4] = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "10.1.2.3"];

fn op() -> impl Strategy<Value = Op> {
    // Of the latest connections, or nothing would ever get far.
    let id = || 0..12u64;
    let offence =
        prop_oneof![Just(None), Just(Some(Offence::Crash)), Just(Some(Offence::Late)), Just(Some(Offence::Silent)),];
    prop_oneof![
        6 => (0..ADDRESSES.len()).prop_map(|which| Op::Arrive(which, 1)),
        1 => (0..ADDRESSES.len(), 2..20usize).prop_map(|(which, times)| Op::Arrive(which, times)),
        6 => id().prop_map(Op::Speak),
        4 => id().prop_map(Op::Show),
        4 => id().prop_map(Op::Submit),
        3 => (id(), prop_oneof![Just(0), 0..5000u64]).prop_map(|(id, pause)| Op::Deny(id, pause)),
        1 => id().prop_map(Op::Try),
        2 => id().prop_map(Op::Ask),
        1 => id().prop_map(Op::Answer),
        1 => id().prop_map(Op::Accept),
        2 => (id(), offence).prop_map(|(id, offence)| Op::Leave(id, offence)),
        2 => id().prop_map(Op::LeaderEnds),
        2 => (0..20_000u64).prop_map(Op::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn no_ceiling_is_exceeded_and_every_verdict_is_the_models(
        ops in prop::collection::vec(op(), 1..150), seed: u64
    ) {
        let mut world = World::new(small(), seed);
        for op in ops {
            let id = |back: u64| ConnectionId(world.last.saturating_sub(back));
            match op {
                Op::Arrive(which, times) => {
                    for _ in 0..times {
                        let _ = world.arrive(ADDRESSES[which].parse().unwrap());
                    }
                }
                Op::Speak(back) => world.speak(id(back)),
                Op::Show(back) => world.show(id(back)),
                Op::Submit(back) => world.submit(id(back)),
                Op::Deny(back, ms) => world.deny_after(id(back), Duration::from_millis(ms)),
                Op::Try(back) => world.try_again(id(back)),
                Op::Ask(back) => world.ask(id(back)),
                Op::Answer(back) => world.answer(id(back)),
                Op::Accept(back) => world.accept(id(back)),
                Op::Leave(back, offence) => world.leave(id(back), offence),
                Op::LeaderEnds(back) => world.leader_ends(id(back)),
                Op::Pass(ms) => world.pass(Duration::from_millis(ms)),
            }
        }
        // In the end everything ends, and nothing is left to wait for.
        for id in world.guests.keys().copied().collect::<Vec<_>>() {
            world.leave(id, None);
        }
        for id in world.leaders.keys().copied().collect::<Vec<_>>() {
            world.leader_ends(id);
        }
        world.pass(Duration::from_secs(660));
        prop_assert_eq!(world.room.next_deadline(), None);
        for address in ADDRESSES {
            prop_assert!(world.arrive(address.parse().unwrap()).is_ok(), "a penalty outlives its most");
        }
    }
}

#[test]
fn who_goes_on_although_it_is_refused_is_dropped_for_a_while() {
    let mut world = World::new(small(), 0);
    let (bad, good) = (address(1), address(2));
    let flood = |world: &mut World| (0..30).filter_map(|_| world.arrive(bad).err()).collect::<Vec<_>>();
    let is_flood = |refusal: &&Refusal| matches!(refusal, Refusal::Flood { .. });
    let said = flood(&mut world);
    assert_eq!(said.iter().position(|refusal| is_flood(&refusal)), Some(9), "{said:?}");
    assert_eq!(said.iter().filter(is_flood).count(), 1, "said once, and refused until the kernel drops it: {said:?}");
    assert_eq!(world.dropped.1, [IpNet::from(bad)]);
    // It is said of nobody else, and not for long.
    assert!(world.arrive(good).is_ok());
    world.pass(Duration::from_millis(2999));
    assert_eq!(world.dropped.1, [IpNet::from(bad)]);
    world.pass(Duration::from_millis(1));
    assert!(world.dropped.1.is_empty());
    // Nine in a second, again and again, are only refused.
    for _ in 0..20 {
        world.pass(Duration::from_millis(1000));
        let refused = (0..9).filter_map(|_| world.arrive(bad).err()).collect::<Vec<_>>();
        assert!(!refused.iter().any(|refusal| is_flood(&refusal)), "{refused:?}");
    }
}

#[test]
fn who_has_just_been_closed_to_make_room_has_no_gate() {
    let mut room = Admission::new(Rules { waiting: 1, ..small() }, 0);
    let now = Instant::now();
    let (first, second) = (ConnectionId(1), ConnectionId(2));
    assert_eq!(room.arrive(first, address(1), now), Ok(()));
    assert_eq!(room.arrive(second, address(2), now), Ok(()));
    // Its first bytes are there before it is closed.
    assert_eq!(room.speaks(first, now), Err(Refusal::Connections));
    assert_eq!(room.next_action(), Some(Action::Close(first, Reason::WaitingRoom)));
    assert_eq!(room.next_action(), None, "nobody else has to go for it");
    assert_eq!(room.speaks(second, now), Ok(()));
}

#[test]
fn the_kernel_drops_no_network_that_has_an_exempt_part() {
    for exempt in ["2001:db8::5/128", "2001:db8::/32", "0.0.0.0/0"] {
        let mut rules = small();
        rules.admission.exempt = vec![exempt.parse().unwrap()];
        let mut world = World::new(rules, 0);
        world.strict = false;
        let flood = |world: &mut World, address: &str| {
            (0..100).filter_map(|_| world.arrive(address.parse().unwrap()).err()).collect::<Vec<_>>()
        };
        let neighbour = flood(&mut world, "2001:db8::6");
        let stranger = flood(&mut world, "2001:db9::6");
        let is_flood = |refusal: &Refusal| matches!(refusal, Refusal::Flood { .. });
        assert_eq!(neighbour.iter().any(is_flood), exempt.starts_with('0'), "{exempt}");
        assert!(stranger.iter().any(is_flood), "{exempt}");
        world.pass(Duration::from_millis(100));
        let exempt: IpNet = exempt.parse().unwrap();
        let dropped = &world.dropped.1;
        assert!(!dropped.is_empty() && !dropped.iter().any(|network| network.contains(&exempt)), "{dropped:?}");
    }
}

#[test]
fn who_goes_away_at_a_question_or_cancels_it_pays_as_for_a_wrong_password() {
    let come = |world: &mut World| {
        let id = world.arrive(address(1)).unwrap();
        world.speak(id);
        world.submit(id);
        world.ask(id);
        id
    };
    let denied = u64::from(small().admission.penalty_denied_seconds) * 1000;
    let offences = |world: &World| world.offences.iter().map(|(_, _, ms)| *ms).collect::<Vec<_>>();
    let mut world = World::new(small(), 1);
    let id = come(&mut world);
    world.try_again(id);
    world.ask(id);
    world.leave(id, Some(Offence::Silent));
    world.leader_ends(id);
    assert_eq!(offences(&world), [denied; 2]);
    // Until the third one the model alone would not have noticed.
    assert!(world.arrive(address(1)).is_ok());
    let id = come(&mut world);
    world.leave(id, None);
    world.leader_ends(id);
    assert!(matches!(world.arrive(address(1)), Err(Refusal::Penalty { .. })));
    // Nobody pays who has answered, or was sent away.
    let mut world = World::new(small(), 1);
    let id = come(&mut world);
    world.answer(id);
    world.leave(id, None);
    world.leader_ends(id);
    let id = come(&mut world);
    for number in 2..4 {
        let other = world.arrive(address(number)).unwrap();
        world.speak(other);
        world.submit(other);
    }
    assert_eq!(world.refused_logins, 1);
    world.leave(id, None);
    assert_eq!(offences(&world), []);
}

#[test]
fn another_try_is_as_busy_as_the_first() {
    let mut world = World::new(small(), 1);
    let ids: Vec<_> = (0..3).map(|number| world.arrive(address(number)).unwrap()).collect();
    for id in &ids[..2] {
        world.speak(*id);
        world.submit(*id);
        world.deny(*id);
        world.try_again(*id);
    }
    world.speak(ids[2]);
    world.submit(ids[2]);
    assert_eq!((world.in_line.len(), world.refused_logins), (1, 0));
    world.deny(ids[0]);
    assert_eq!(world.refused_logins, 1);
}

#[test]
fn a_flood_from_more_sources_than_can_be_dropped() {
    let mut world = World::new(small(), 0);
    world.strict = false;
    for _ in 0..30 {
        for number in 0..300 {
            let _ = world.arrive(address(number));
        }
    }
    // The first was told at once, and the others together.
    assert_eq!(world.dropped.1.len(), 1);
    world.pass(Duration::from_millis(100));
    assert_eq!(world.dropped.1.len(), MOST_DROPPED);
    // The silence of their first connections is over by then as well.
    world.pass(Duration::from_secs(15));
    assert_eq!((world.dropped.1.len(), world.room.next_deadline()), (0, None));
}

fn address(number: u32) -> IpAddr {
    IpAddr::from((0xc612_0000 + number).to_be_bytes())
}

/// What a flood does with its connections.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Silent,
    Gate,
    Screen,
    Login,
}

fn come(world: &mut World, from: IpAddr, stop: Stop) {
    let Ok(id) = world.arrive(from) else { return };
    if !matches!(stop, Stop::Silent) {
        world.speak(id);
    }
    if matches!(stop, Stop::Screen | Stop::Login) {
        world.show(id);
    }
    if matches!(stop, Stop::Login) {
        world.submit(id);
    }
    for (id, _) in std::mem::take(&mut world.turned_away) {
        world.leave(id, None);
    }
}

/// PAM has looked at all that wrong passwords; who is told to end does so.
fn deny_all(world: &mut World, but: Option<ConnectionId>) {
    loop {
        let leaders = world.room.leaders.iter().filter(|(id, _)| Some(**id) != but);
        let found: Vec<_> =
            leaders.filter(|(_, l)| l.state != LeaderState::Denied).map(|(id, l)| (*id, l.state)).collect();
        if found.is_empty() {
            return;
        }
        for (id, state) in found {
            match state {
                LeaderState::Parting => world.leader_ends(id),
                _ => world.deny(id),
            }
        }
    }
}

#[test]
fn a_source_that_has_many_makes_room_before_others() {
    for seed in 0..50 {
        let mut rules = rules();
        rules.admission.startups = Startups { begin: 10, percent: 100, full: 10 };
        let mut world = World::new(rules, seed);
        for number in 1..=5 {
            come(&mut world, address(number), Stop::Gate);
        }
        world.pass(Duration::from_secs(4));
        (0..5).for_each(|_| come(&mut world, address(0), Stop::Gate));
        let id = world.arrive(address(9)).unwrap();
        world.speak(id);
        let gone: Vec<_> = world.turned_away.iter().map(|(id, _)| world.guests[id].0).collect();
        assert_eq!(gone, [address(0)]);
    }
}

#[test]
fn colleagues_behind_one_address_do_not_drive_each_other_out() {
    for seed in 0..50 {
        let mut world = World::loose(rules(), seed);
        for number in 1..=350 {
            come(&mut world, address(number), Stop::Gate);
        }
        world.pass(Duration::from_secs(4));
        let ids: Vec<_> = (0..3).map(|_| world.arrive(address(0)).unwrap()).collect();
        ids.iter().for_each(|id| world.speak(*id));
        for number in 351..400 {
            come(&mut world, address(number), Stop::Gate);
        }
        assert!(ids.iter().all(|id| world.is(*id, Place::Starting)), "{:?}", world.turned_away);
    }
}

/// The share of logins that succeed in two seconds while connections from so many sources have stood for so many
/// seconds, 300 of them where that many are let in, and so many more come each second.
fn successes(stop: Stop, sources: u32, (stood, per_second): (u64, u32)) -> f64 {
    const TRIES: u32 = 50;
    let good = (0..TRIES).filter(|seed| {
        let mut world = World::loose(rules(), u64::from(*seed));
        let mut number = 0;
        let mut flood = |world: &mut World, count| {
            for _ in 0..count {
                number += 1;
                come(world, address(1 + number % sources), stop);
            }
        };
        flood(&mut world, 300);
        deny_all(&mut world, None);
        world.pass(Duration::from_secs(stood));
        let id = world.arrive(address(0)).expect("a source that did nothing");
        world.speak(id);
        for tenth in 0..20 {
            flood(&mut world, per_second / 10);
            world.pass(Duration::from_millis(100));
            if tenth == 10 {
                world.submit(id);
            }
        }
        deny_all(&mut world, Some(id));
        world.accept(id);
        world.is(id, Place::Inside)
    });
    good.count() as f64 / f64::from(TRIES)
}

#[test]
fn three_hundred_that_stand_at_any_stage_keep_nobody_out() {
    for stop in [Stop::Silent, Stop::Gate, Stop::Screen, Stop::Login] {
        for sources in [1, 10, 300] {
            let share = successes(stop, sources, (4, 0));
            assert!(share >= 0.99, "{stop:?} from {sources}: {share}");
        }
    }
}

#[test]
fn nor_do_fifty_more_each_second() {
    for stop in [Stop::Silent, Stop::Gate, Stop::Screen] {
        for sources in [1, 10, 300, 60_000] {
            let share = successes(stop, sources, (4, 50));
            assert!(share >= 0.99, "{stop:?} from {sources}: {share}");
        }
    }
}

#[test]
fn nor_does_a_flood_that_has_just_begun() {
    for stop in [Stop::Silent, Stop::Gate] {
        for sources in [1, 10, 300, 60_000] {
            let share = successes(stop, sources, (0, 80));
            assert!(share >= 0.99, "{stop:?} from {sources}: {share}");
        }
    }
}

#[test]
fn three_hundred_can_stand_at_once() {
    let mut world = World::loose(rules(), 7);
    for number in 0..3000 {
        come(&mut world, address(number), Stop::Gate);
    }
    assert!(world.count(|place| *place == Place::Starting) >= 300);
}

#[test]
fn early_drop_begins_and_rises_as_configured() {
    let startups = Startups { begin: 10, percent: 30, full: 100 };
    let found: Vec<_> = [0, 9, 10, 55, 99, 100, 5000].iter().map(|n| chance(startups, *n)).collect();
    assert_eq!(found, [0, 0, 30, 65, 99, 100, 100]);
}

#[test]
fn a_login_takes_the_place_of_one_that_only_waits_and_else_its_turn() {
    let mut world = World::new(small(), 1);
    let ids: Vec<_> = (0..3).map(|number| world.arrive(address(number)).unwrap()).collect();
    for id in &ids {
        world.speak(*id);
        world.submit(*id);
    }
    assert!(world.in_line.contains(&ids[2]), "two are being tried");
    assert_eq!(world.refused_logins, 0);
    world.deny(ids[0]);
    assert_eq!(world.refused_logins, 1, "the first only waits for its user");
    world.deny(ids[1]);
    assert_eq!(world.refused_logins, 1, "one is enough");
    assert!(world.in_line.contains(&ids[2]), "until its process has ended");
    world.leader_ends(ids[0]);
    assert!(world.leaders.contains_key(&ids[2]));
}

#[test]
fn a_leader_that_waits_for_its_users_answer_keeps_nobody_out() {
    let mut world = World::new(small(), 1);
    let ids: Vec<_> = (0..4).map(|number| world.arrive(address(number)).unwrap()).collect();
    for id in &ids[..3] {
        world.speak(*id);
        world.submit(*id);
    }
    assert_eq!((world.in_line.len(), world.refused_logins), (1, 0), "two are being tried");
    world.ask(ids[0]);
    assert_eq!(world.refused_logins, 1, "one of them only waits for its user");
    // The answer comes too late: it is going.
    world.answer(ids[0]);
    world.leader_ends(ids[0]);
    assert!(world.leaders.contains_key(&ids[2]));
    // Who is answered in time is as busy as before.
    world.ask(ids[1]);
    world.answer(ids[1]);
    world.speak(ids[3]);
    world.submit(ids[3]);
    assert_eq!(world.refused_logins, 1);
    // But not for ever.
    world.pass(VERDICT);
    world.deny(ids[2]);
    assert_eq!(world.refused_logins, 2);
    // Nobody is punished for being asked.
    assert_eq!(world.offences.len(), 1);
}

#[test]
fn a_gate_that_broke_the_rules_and_was_gone_before_its_leader_said_so_is_held_against_its_source() {
    let mut world = World::new(small(), 0);
    let bad = address(1);
    let id = world.arrive(bad).unwrap();
    world.speak(id);
    world.submit(id);
    world.leave(id, Some(Offence::Silent));
    assert!(world.leaders.contains_key(&id), "its leader has not ended yet");
    world.offend(bad, world.rules.admission.penalty_crash_seconds);
    world.room.broken(id, world.now);
    assert!(matches!(world.arrive(bad), Err(Refusal::Penalty { .. })));
    world.leader_ends(id);
}

#[test]
fn a_guess_costs_its_pause_whether_it_is_waited_for_or_not() {
    let mut world = World::new(small(), 1);
    let ids: Vec<_> = (0..3).map(|number| world.arrive(address(number)).unwrap()).collect();
    for id in &ids {
        world.speak(*id);
        world.submit(*id);
    }
    // Both places are taken: by one who waits for the answer, and by one who has gone.
    for id in &ids[..2] {
        world.deny_after(*id, Duration::from_secs(2));
    }
    world.leave(ids[1], None);
    world.leader_ends(ids[1]);
    world.pass(Duration::from_millis(1999));
    assert_eq!((world.leaders.len(), world.in_line.len(), world.refused_logins), (1, 1, 0));
    world.pass(Duration::from_millis(1));
    assert!(world.leaders.contains_key(&ids[2]));
    assert_eq!(world.refused_logins, 0);
}

#[test]
fn one_source_guesses_a_few_at_a_time_and_then_no_more() {
    let mut world = World::new(rules(), 1);
    let guesses: Vec<_> = (0..20).map(|_| world.arrive(address(1)).unwrap()).collect();
    for id in &guesses {
        world.speak(*id);
        world.submit(*id);
    }
    assert_eq!((world.leaders.len(), world.in_line.len()), (8, 12), "a quarter of all");
    // Others are served meanwhile.
    let other = world.arrive(address(2)).unwrap();
    world.speak(other);
    world.submit(other);
    assert!(world.leaders.contains_key(&other));
    for id in &guesses[..8] {
        world.deny(*id);
        world.leave(*id, None);
        world.leader_ends(*id);
    }
    // What the first ones have brought upon the source holds for those in line.
    assert!(world.in_line.is_empty());
    // The first three made room for those behind them; two of these came before the penalty.
    assert_eq!((world.leaders.len(), world.refused_logins), (3, 13));
}

#[test]
fn a_leader_that_outlives_its_connection_still_counts() {
    let mut world = World::new(small(), 1);
    for number in 0..2 {
        let id = world.arrive(address(number)).unwrap();
        world.speak(id);
        world.submit(id);
        world.leave(id, None);
    }
    let id = world.arrive(address(9)).unwrap();
    world.speak(id);
    world.submit(id);
    assert!(world.in_line.contains(&id));
    // And so does what it says in the end.
    world.deny(ConnectionId(1));
    world.leader_ends(ConnectionId(1));
    assert!(world.leaders.contains_key(&id));
    assert_eq!(world.offences.len(), 1);
}

#[test]
fn a_penalty_also_keeps_those_from_trying_who_are_in_already() {
    let mut world = World::new(small(), 1);
    let (first, second) = (world.arrive(address(1)).unwrap(), world.arrive(address(1)).unwrap());
    world.speak(first);
    world.speak(second);
    world.submit(first);
    for _ in 0..3 {
        world.deny(first);
    }
    world.submit(second);
    assert_eq!((world.refused_logins, world.leaders.len()), (1, 1));
}
