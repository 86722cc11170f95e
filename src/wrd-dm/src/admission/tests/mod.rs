//! The room against a naive model under random strangers, and its promises one by one.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

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

/// The world around the room: it does what the room wants done at once, and keeps its own, simpler books.
struct World {
    room: Admission,
    rules: Rules,
    start: Instant,
    now: Instant,
    last: u64,
    guests: BTreeMap<ConnectionId, (IpAddr, Place)>,
    /// Leader processes that run, wanted or not.
    leaders: BTreeMap<ConnectionId, IpAddr>,
    /// Until when leaders keep a denial to themselves; and those that have ended without having told it.
    pauses: BTreeMap<ConnectionId, Instant>,
    ended: Vec<(IpAddr, Instant)>,
    in_line: BTreeSet<ConnectionId>,
    /// By address, in ms since the start: when it came in, and what it did wrong.
    arrivals: Vec<(IpAddr, u64)>,
    refusals: BTreeMap<IpAddr, Refusals>,
    /// What the kernel was told last, and when; and what it is to know, by address and until when.
    dropped: (Option<u64>, Vec<IpNet>),
    to_drop: BTreeMap<IpAddr, u64>,
    offences: Vec<(IpAddr, u64, u64)>,
    turned_away: Vec<(ConnectionId, Reason)>,
    refused_logins: usize,
    /// Everything is checked against the books; too slow for floods.
    strict: bool,
}

/// Of the second that began then, in ms since the start.
#[derive(Default)]
struct Refusals {
    from: u64,
    count: usize,
}

impl World {
    fn new(rules: Rules, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            room: Admission::new(rules.clone(), seed),
            rules,
            start: now,
            now,
            last: 0,
            guests: BTreeMap::new(),
            leaders: BTreeMap::new(),
            pauses: BTreeMap::new(),
            ended: Vec::new(),
            in_line: BTreeSet::new(),
            arrivals: Vec::new(),
            refusals: BTreeMap::new(),
            dropped: (None, Vec::new()),
            to_drop: BTreeMap::new(),
            offences: Vec::new(),
            turned_away: Vec::new(),
            refused_logins: 0,
            strict: true,
        }
    }

    fn ms(&self) -> u64 {
        self.now.duration_since(self.start).as_millis() as u64
    }

    fn count(&self, which: impl Fn(&Place) -> bool) -> usize {
        self.guests.values().filter(|(_, place)| which(place)).count()
    }

    /// Of leaders, and of such that are to be missed for a while.
    fn places(&self) -> usize {
        self.leaders.len() + self.ended.len()
    }

    fn places_of(&self, address: IpAddr) -> usize {
        let ended = self.ended.iter().map(|(address, _)| address);
        self.leaders.values().chain(ended).filter(|other| **other == address).count()
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        self.rules.admission.exempt.iter().any(|network| network.contains(&address))
    }

    /// What must be said to one more connection of this address.
    fn verdict(&self, address: IpAddr) -> Result<(), Refusal> {
        if self.is_exempt(address) {
            return Ok(());
        }
        let rules = &self.rules.admission;
        let (min, max) = (u64::from(rules.penalty_min_seconds) * 1000, u64::from(rules.penalty_max_seconds) * 1000);
        let (mut until, mut enforced) = (0, false);
        for (_, at, ms) in self.offences.iter().filter(|(other, ..)| *other == address) {
            enforced &= until > *at;
            until = (until.max(*at) + ms).min(at + max);
            enforced |= until - at >= min;
        }
        if enforced && until > self.ms() {
            return Err(Refusal::Penalty { left: Duration::from_millis(until - self.ms()) });
        }
        let strange = |place: &Place| !matches!(place, Place::Inside | Place::Leaving);
        let own = self.guests.values().filter(|(other, place)| *other == address && strange(place)).count();
        if own >= rules.source_connections as usize {
            return Err(Refusal::SourceConnections);
        }
        // A bucket that holds a minute's worth and is filled evenly, in ms of filling.
        let (minute, price) = (60_000, 60_000 / u64::from(rules.source_connections_per_minute));
        let (mut level, mut last) = (minute, 0);
        for (_, at) in self.arrivals.iter().filter(|(other, _)| *other == address) {
            level = minute.min(level + at - last) - price;
            last = *at;
        }
        if minute.min(level + self.ms() - last) < price { Err(Refusal::SourceRate) } else { Ok(()) }
    }

    fn arrive(&mut self, address: IpAddr) -> Result<ConnectionId, Refusal> {
        self.last += 1;
        let id = ConnectionId(self.last);
        let verdict = self.strict.then(|| self.verdict(address));
        let expected = self.room.arrive(id, address, self.now);
        if let Some(verdict) = verdict {
            let verdict = verdict.map_err(|refusal| self.refuse(address, refusal));
            assert_eq!(expected, verdict, "{address}");
        }
        if expected.is_ok() {
            self.guests.insert(id, (address, Place::Silent));
            self.arrivals.push((address, self.ms()));
        }
        self.settle();
        expected.map(|()| id)
    }

    /// What becomes of a refusal when there are many.
    fn refuse(&mut self, address: IpAddr, refusal: Refusal) -> Refusal {
        let ms = self.ms();
        let refusals = self.refusals.entry(address).or_insert(Refusals { from: ms, count: 0 });
        if ms >= refusals.from + 1000 {
            *refusals = Refusals { from: ms, count: 0 };
        }
        refusals.count += 1;
        if refusals.count < 10 || self.to_drop.contains_key(&address) {
            return refusal;
        }
        self.to_drop.insert(address, ms + 3000);
        Refusal::Flood { lasts: Duration::from_secs(3) }
    }

    fn speak(&mut self, id: ConnectionId) {
        if !self.is(id, Place::Silent) {
            return;
        }
        match self.room.speaks(id, self.now) {
            Ok(()) => self.set(id, Place::Starting),
            Err(refusal) => {
                // Whoever is refused is so because nobody else could go.
                let trying = |id: &ConnectionId| self.leaders.contains_key(id);
                let strangers = self.guests.iter().filter(|(_, (_, place))| *place == Place::Starting);
                assert!(strangers.map(|(id, _)| id).all(trying), "{refusal:?} while others stand");
                self.guests.remove(&id);
            }
        }
        self.settle();
    }

    fn show(&mut self, id: ConnectionId) {
        if self.is(id, Place::Starting) {
            self.set(id, Place::Screen(self.now));
            self.room.shows_screen(id, self.now);
        }
        self.settle();
    }

    fn submit(&mut self, id: ConnectionId) {
        let there = self.guests.get(&id).is_some_and(|(_, place)| matches!(place, Place::Starting | Place::Screen(_)));
        if there && !self.leaders.contains_key(&id) && self.in_line.insert(id) {
            self.room.wants_leader(id, self.now);
        }
        self.settle();
    }

    /// By its leader, or by NLA where it has none yet; the user knows at once.
    fn deny(&mut self, id: ConnectionId) {
        self.deny_after(id, Duration::ZERO);
    }

    fn deny_after(&mut self, id: ConnectionId, pause: Duration) {
        let guest = self.guests.get(&id).map(|(address, _)| *address);
        if let Some(address) = self.leaders.get(&id).copied().or(guest) {
            self.offend(address, self.rules.admission.penalty_denied_seconds);
            self.room.denied(id, pause, self.now);
        }
        if self.leaders.contains_key(&id) {
            self.pauses.insert(id, self.now + pause);
        }
        self.settle();
    }

    fn ask(&mut self, id: ConnectionId) {
        self.room.asks(id, self.now);
        self.settle();
    }

    fn answer(&mut self, id: ConnectionId) {
        self.room.answered(id, self.now);
        self.settle();
    }

    fn accept(&mut self, id: ConnectionId) {
        if self.guests.contains_key(&id) && self.leaders.remove(&id).is_some() {
            self.set(id, Place::Inside);
            self.pauses.remove(&id);
            self.room.authenticated(id, self.now);
        }
        self.settle();
    }

    fn leave(&mut self, id: ConnectionId, offence: Option<Offence>) {
        let Some((address, place)) = self.guests.remove(&id) else { return };
        let rules = &self.rules.admission;
        let seconds = match offence {
            Some(Offence::Crash) => rules.penalty_crash_seconds,
            Some(Offence::Late) => rules.penalty_late_seconds,
            Some(Offence::Silent) => rules.penalty_silent_seconds,
            Some(Offence::Denied) | None => 0,
        };
        if place != Place::Leaving {
            self.offend(address, seconds);
        }
        self.in_line.remove(&id);
        self.room.left(id, offence, self.now);
        self.settle();
    }

    fn leader_ends(&mut self, id: ConnectionId) {
        if let Some(address) = self.leaders.remove(&id) {
            let pause = self.pauses.remove(&id).filter(|until| *until > self.now);
            self.ended.extend(pause.map(|until| (address, until)));
            self.room.leader_left(id, self.now);
        }
        self.settle();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.ended.retain(|(_, until)| *until > self.now);
        let ms = self.ms();
        self.to_drop.retain(|_, until| *until > ms);
        self.room.expire(self.now);
        self.settle();
    }

    fn offend(&mut self, address: IpAddr, seconds: u32) {
        if !self.is_exempt(address) && seconds > 0 {
            self.offences.push((address, self.ms(), u64::from(seconds) * 1000));
        }
    }

    fn is(&self, id: ConnectionId, place: Place) -> bool {
        self.guests.get(&id).is_some_and(|(_, is)| *is == place)
    }

    fn set(&mut self, id: ConnectionId, place: Place) {
        if let Some(guest) = self.guests.get_mut(&id) {
            guest.1 = place;
        }
    }

    fn settle(&mut self) {
        while let Some(action) = self.room.next_action() {
            match action {
                Action::Close(id, reason) => {
                    let (address, place) = self.guests.remove(&id).expect("closed twice");
                    assert_eq!(place, Place::Silent, "{id} has a gate");
                    if reason == Reason::Silent {
                        self.offend(address, self.rules.admission.penalty_silent_seconds);
                    }
                }
                Action::TurnAway(id, reason) => {
                    assert!(!self.is(id, Place::Inside), "{id} is logged in and turned away for {reason:?}");
                    self.turned_away.push((id, reason));
                    self.in_line.remove(&id);
                    self.set(id, Place::Leaving);
                }
                Action::OpenLeader(id) => {
                    assert!(self.in_line.remove(&id), "{id} never asked");
                    let (address, _) = self.guests[&id];
                    assert!(self.leaders.insert(id, address).is_none());
                }
                Action::RefuseLogin(id, _) => {
                    self.refused_logins += 1;
                    self.in_line.remove(&id);
                }
                Action::Drop(networks) => {
                    let ms = self.ms();
                    assert!(self.dropped.0.is_none_or(|told| told + 100 <= ms), "the kernel is told too often");
                    self.dropped = (Some(ms), networks);
                }
            }
        }
        if self.strict {
            self.check();
        }
    }

    fn check(&self) {
        let rules = &self.rules.admission;
        assert!(self.count(|place| *place == Place::Silent) <= self.rules.waiting);
        assert!(self.count(|place| *place == Place::Starting) <= rules.startups.full as usize);
        assert!(self.count(|place| matches!(place, Place::Screen(_))) <= rules.login_screens as usize);
        assert!(self.places() <= rules.logins as usize);
        let gates = |place: &Place| !matches!(place, Place::Silent | Place::Leaving);
        assert!(self.count(gates) <= self.rules.connections);
        let dropped = &self.dropped.1;
        let knows = |address: &IpAddr| dropped.iter().any(|network| network.contains(address));
        let told_just_now = self.dropped.0.is_some_and(|told| told + 100 > self.ms());
        let is_known = self.to_drop.keys().all(knows) && self.to_drop.len() == dropped.len();
        assert!(is_known || told_just_now, "{dropped:?} are dropped, and not {:?}", self.to_drop);
        assert!(!dropped.iter().any(|network| self.is_exempt(network.addr())), "an exempt source is dropped");
        let dropping = !self.to_drop.is_empty() || !dropped.is_empty();
        let silent = self.count(|place| *place == Place::Silent) > 0;
        let waited_for = silent || !self.ended.is_empty() || dropping;
        let perhaps = waited_for || self.pauses.values().any(|until| *until > self.now);
        let deadline = self.room.next_deadline();
        assert!(deadline.is_some() >= waited_for && deadline.is_some() <= perhaps, "{deadline:?}");
        assert!(deadline.is_none_or(|at| at > self.now), "nothing comes of a deadline");
        let share = (rules.logins as usize / 4).max(1);
        let has_share = |address| !self.is_exempt(address) && self.places_of(address) >= share;
        assert!(
            self.places() == rules.logins as usize || self.in_line.iter().all(|id| has_share(self.guests[id].0)),
            "a login waits for nothing"
        );
        for address in self.leaders.values().filter(|address| !self.is_exempt(**address)) {
            assert!(self.places_of(*address) <= share, "more than its share");
        }
        assert!(self.room.sources.len() <= Sources::MOST);
        assert_eq!(self.room.guests.len(), self.guests.len());
    }
}

#[derive(Clone, Debug)]
enum Op {
    /// Of this address, so many at once.
    Arrive(usize, usize),
    Speak(u64),
    Show(u64),
    Submit(u64),
    Deny(u64, u64),
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

/// The share of logins that succeed in two seconds while connections from so many sources have stood for so many
/// seconds, 300 of them where that many are let in, and so many more come each second.
fn successes(stop: Stop, sources: u32, (stood, per_second): (u64, u32)) -> f64 {
    const TRIES: u32 = 50;
    let good = (0..TRIES).filter(|seed| {
        let mut world = World { strict: false, ..World::new(rules(), u64::from(*seed)) };
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
    let mut world = World { strict: false, ..World::new(rules(), 7) };
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
