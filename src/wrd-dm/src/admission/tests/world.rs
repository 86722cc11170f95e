//! A naive model of the room: everything that it must say and may want is known here by simpler books.

use super::*;
use std::collections::BTreeSet;

/// The world around the room: it does what the room wants done at once, and keeps its own, simpler books.
pub struct World {
    pub room: Admission,
    pub rules: Rules,
    start: Instant,
    pub now: Instant,
    pub last: u64,
    pub guests: BTreeMap<ConnectionId, (IpAddr, Place)>,
    came: BTreeMap<ConnectionId, Instant>,
    /// Who is just coming to a place, and does not have to go from there again.
    newcomer: Option<ConnectionId>,
    /// Leader processes that run, wanted or not.
    pub leaders: BTreeMap<ConnectionId, IpAddr>,
    /// Until when leaders keep a denial to themselves; and those that have ended without having told it.
    pauses: BTreeMap<ConnectionId, Instant>,
    /// Whose credentials are being checked, and until when at most, if that is known; and leaders that nobody wants.
    checked: BTreeMap<ConnectionId, Option<Instant>>,
    parting: BTreeSet<ConnectionId>,
    /// Whose leader has asked something that is not answered.
    asked: BTreeSet<ConnectionId>,
    ended: Vec<(IpAddr, Instant)>,
    pub in_line: BTreeSet<ConnectionId>,
    /// By address, in ms since the start: when it came in, and what it did wrong.
    arrivals: Vec<(IpAddr, u64)>,
    refusals: BTreeMap<IpAddr, Refusals>,
    /// What the kernel was told last, and when; and what it is to know, by address and until when.
    pub dropped: (Option<u64>, Vec<IpNet>),
    to_drop: BTreeMap<IpAddr, u64>,
    pub offences: Vec<(IpAddr, u64, u64)>,
    pub turned_away: Vec<(ConnectionId, Reason)>,
    pub refused_logins: usize,
    /// Everything is checked against the books; too slow for floods.
    pub strict: bool,
}

/// Of the second that began then, in ms since the start.
#[derive(Default)]
struct Refusals {
    from: u64,
    count: usize,
}

impl World {
    pub fn new(rules: Rules, seed: u64) -> Self {
        let now = Instant::now();
        Self {
            room: Admission::new(rules.clone(), seed),
            rules,
            start: now,
            now,
            last: 0,
            guests: BTreeMap::new(),
            came: BTreeMap::new(),
            newcomer: None,
            leaders: BTreeMap::new(),
            pauses: BTreeMap::new(),
            checked: BTreeMap::new(),
            parting: BTreeSet::new(),
            asked: BTreeSet::new(),
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

    /// For floods, which are too many to be looked at one by one.
    pub fn loose(rules: Rules, seed: u64) -> Self {
        Self { strict: false, ..Self::new(rules, seed) }
    }

    fn ms(&self) -> u64 {
        self.now.duration_since(self.start).as_millis() as u64
    }

    pub fn count(&self, which: impl Fn(&Place) -> bool) -> usize {
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

    pub fn arrive(&mut self, address: IpAddr) -> Result<ConnectionId, Refusal> {
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
            self.came.insert(id, self.now);
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

    pub fn speak(&mut self, id: ConnectionId) {
        if !self.is(id, Place::Silent) {
            return;
        }
        match self.room.speaks(id, self.now) {
            Ok(()) => {
                self.set(id, Place::Starting);
                self.newcomer = Some(id);
            }
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

    pub fn show(&mut self, id: ConnectionId) {
        if self.is(id, Place::Starting) {
            self.set(id, Place::Screen(self.now));
            self.newcomer = Some(id);
            self.room.shows_screen(id, self.now);
        }
        self.settle();
    }

    pub fn submit(&mut self, id: ConnectionId) {
        let there = self.guests.get(&id).is_some_and(|(_, place)| matches!(place, Place::Starting | Place::Screen(_)));
        if there && !self.leaders.contains_key(&id) && self.in_line.insert(id) {
            self.room.wants_leader(id, self.now);
        }
        self.settle();
    }

    /// By its leader, or by NLA where it has none yet; the user knows at once.
    pub fn deny(&mut self, id: ConnectionId) {
        self.deny_after(id, Duration::ZERO);
    }

    pub fn deny_after(&mut self, id: ConnectionId, pause: Duration) {
        let guest = self.guests.get(&id).map(|(address, _)| *address);
        if let Some(address) = self.leaders.get(&id).copied().or(guest) {
            self.offend(address, self.rules.admission.penalty_denied_seconds);
            self.room.denied(id, pause, self.now);
        }
        if self.leaders.contains_key(&id) {
            self.pauses.insert(id, self.now + pause);
            self.asked.remove(&id);
        }
        self.check_until(id, Some(Some(self.now + pause)));
        self.settle();
    }

    pub fn try_again(&mut self, id: ConnectionId) {
        self.check_until(id, Some(None));
        if self.asked.remove(&id) {
            let (address, _) = self.guests[&id];
            self.offend(address, self.rules.admission.penalty_denied_seconds);
        }
        self.room.tries(id, self.now);
        self.settle();
    }

    pub fn ask(&mut self, id: ConnectionId) {
        self.check_until(id, None);
        let is_heard = self.guests.contains_key(&id) && self.leaders.contains_key(&id) && !self.parting.contains(&id);
        self.asked.extend(is_heard.then_some(id));
        self.room.asks(id, self.now);
        self.settle();
    }

    pub fn answer(&mut self, id: ConnectionId) {
        self.asked.remove(&id);
        self.check_until(id, Some(None));
        self.room.answered(id, self.now);
        self.settle();
    }

    /// What a leader is busy with from now on.
    fn check_until(&mut self, id: ConnectionId, checked: Option<Option<Instant>>) {
        self.checked.remove(&id);
        if self.leaders.contains_key(&id) && !self.parting.contains(&id) {
            self.checked.extend(checked.map(|until| (id, until)));
        }
    }

    fn is_being_checked(&self, id: ConnectionId) -> bool {
        self.checked.get(&id).is_some_and(|until| until.is_none_or(|until| until > self.now))
    }

    pub fn accept(&mut self, id: ConnectionId) {
        if self.guests.contains_key(&id) && self.leaders.remove(&id).is_some() {
            self.set(id, Place::Inside);
            self.pauses.remove(&id);
            self.asked.remove(&id);
            self.forget_leader(id);
            self.room.authenticated(id, self.now);
        }
        self.settle();
    }

    pub fn leave(&mut self, id: ConnectionId, offence: Option<Offence>) {
        let Some((address, place)) = self.guests.remove(&id) else { return };
        let rules = &self.rules.admission;
        let seconds = match offence {
            Some(Offence::Crash) => rules.penalty_crash_seconds,
            Some(Offence::Late) => rules.penalty_late_seconds,
            None | Some(Offence::Silent) if self.asked.contains(&id) => rules.penalty_denied_seconds,
            Some(Offence::Silent) => rules.penalty_silent_seconds,
            Some(Offence::Denied) | None => 0,
        };
        if place != Place::Leaving {
            self.offend(address, seconds);
        }
        self.in_line.remove(&id);
        self.part(id);
        self.room.left(id, offence, self.now);
        self.settle();
    }

    pub fn leader_ends(&mut self, id: ConnectionId) {
        if let Some(address) = self.leaders.remove(&id) {
            let pause = self.pauses.remove(&id).filter(|until| *until > self.now);
            self.ended.extend(pause.map(|until| (address, until)));
            self.forget_leader(id);
            self.room.leader_left(id, self.now);
        }
        self.settle();
    }

    fn forget_leader(&mut self, id: ConnectionId) {
        self.checked.remove(&id);
        self.parting.remove(&id);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.ended.retain(|(_, until)| *until > self.now);
        let ms = self.ms();
        self.to_drop.retain(|_, until| *until > ms);
        self.room.expire(self.now);
        self.settle();
    }

    pub fn offend(&mut self, address: IpAddr, seconds: u32) {
        if !self.is_exempt(address) && seconds > 0 {
            self.offences.push((address, self.ms(), u64::from(seconds) * 1000));
        }
    }

    pub fn is(&self, id: ConnectionId, place: Place) -> bool {
        self.guests.get(&id).is_some_and(|(_, is)| *is == place)
    }

    fn set(&mut self, id: ConnectionId, place: Place) {
        if let Some(guest) = self.guests.get_mut(&id) {
            guest.1 = place;
        }
    }

    /// Nobody wants its leader any more, if it has one.
    fn part(&mut self, id: ConnectionId) {
        self.checked.remove(&id);
        self.asked.remove(&id);
        if self.leaders.contains_key(&id) {
            self.parting.insert(id);
        }
    }

    /// Those of a place of whom somebody has to go, and since when they are there.
    fn who_may_have_to_go(
        &self,
        since: impl Fn(ConnectionId, &Place) -> Option<Instant>,
    ) -> Vec<(Instant, ConnectionId)> {
        let there = self.guests.iter().filter_map(|(id, (address, place))| Some((since(*id, place)?, *id, *address)));
        let mut there: Vec<_> =
            there.filter(|(_, id, _)| self.newcomer != Some(*id) && !self.is_being_checked(*id)).collect();
        if !there.iter().all(|(_, _, address)| self.is_exempt(*address)) {
            there.retain(|(_, _, address)| !self.is_exempt(*address));
        }
        // Four of one address are as good as one.
        let of = |address: IpAddr| there.iter().filter(|(_, _, other)| *other == address).count().max(4);
        let most = there.iter().map(|(_, _, address)| of(*address)).max();
        let mut found: Vec<_> = there
            .iter()
            .filter(|(_, _, address)| Some(of(*address)) == most)
            .map(|(since, id, _)| (*since, *id))
            .collect();
        found.sort();
        found
    }

    /// Whether the one that is turned away is one of those that the rules name.
    fn had_to_go(&self, id: ConnectionId, reason: Reason) {
        let at_screen = self.who_may_have_to_go(|_, place| match place {
            Place::Screen(since) => Some(*since),
            _ => None,
        });
        let came = |pool: fn(&Place) -> bool| {
            self.who_may_have_to_go(|id, place| if pool(place) { self.came.get(&id).copied() } else { None })
        };
        let mut pool = match reason {
            Reason::Screens => at_screen.into_iter().take(1).collect(),
            Reason::Startups => came(|place| *place == Place::Starting),
            Reason::Connections => match came(|place| *place == Place::Starting) {
                none if none.is_empty() => came(|place| matches!(place, Place::Screen(_))),
                starting => starting,
            },
            Reason::Silent | Reason::WaitingRoom => unreachable!("they have no gate"),
        };
        if reason == Reason::Screens {
            // Where nobody else may go, the new one.
            pool.extend(self.newcomer.filter(|_| pool.is_empty()).map(|id| (self.now, id)));
        } else {
            let young = |(came, _): &(Instant, ConnectionId)| *came + Duration::from_secs(3) > self.now;
            let all = pool.len();
            match pool.iter().filter(|guest| !young(guest)).count() {
                0 => pool.truncate(all.div_ceil(2)),
                old => pool.truncate(old),
            }
        }
        assert!(pool.iter().any(|(_, other)| *other == id), "{id} has to go for {reason:?}, and not one of {pool:?}");
    }

    /// Whether a connection is closed that says nothing, for the reason that is given.
    fn had_to_be_closed(&self, id: ConnectionId, reason: Reason) {
        let came = self.came[&id];
        if reason == Reason::Silent {
            assert!(came + self.rules.silence <= self.now, "{id} is closed too soon");
        } else {
            assert_eq!(reason, Reason::WaitingRoom);
            let silent = self.guests.iter().filter(|(_, (_, place))| *place == Place::Silent);
            let before = silent.filter(|(other, _)| (self.came[*other], **other) < (came, id)).count();
            assert_eq!(before, 0, "{id} is closed before others that wait longer");
        }
    }

    fn settle(&mut self) {
        while let Some(action) = self.room.next_action() {
            match action {
                Action::Close(id, reason) => {
                    self.had_to_be_closed(id, reason);
                    let (address, place) = self.guests.remove(&id).expect("closed twice");
                    assert_eq!(place, Place::Silent, "{id} has a gate");
                    if reason == Reason::Silent {
                        self.offend(address, self.rules.admission.penalty_silent_seconds);
                    }
                }
                Action::TurnAway(id, reason) => {
                    assert!(!self.is(id, Place::Inside), "{id} is logged in and turned away for {reason:?}");
                    if self.strict {
                        self.had_to_go(id, reason);
                    }
                    self.turned_away.push((id, reason));
                    self.in_line.remove(&id);
                    self.set(id, Place::Leaving);
                }
                Action::OpenLeader(id) => {
                    assert!(self.in_line.remove(&id), "{id} never asked");
                    let (address, _) = self.guests[&id];
                    assert!(self.leaders.insert(id, address).is_none());
                    self.check_until(id, Some(None));
                }
                Action::RefuseLogin(id, _) => {
                    self.refused_logins += 1;
                    self.in_line.remove(&id);
                    self.part(id);
                }
                Action::Drop(networks) => {
                    let ms = self.ms();
                    assert!(self.dropped.0.is_none_or(|told| told + 100 <= ms), "the kernel is told too often");
                    self.dropped = (Some(ms), networks);
                }
            }
        }
        self.newcomer = None;
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
        let exempt =
            |network: &IpNet| rules.exempt.iter().any(|exempt| network.contains(exempt) || exempt.contains(network));
        assert!(!dropped.iter().any(exempt), "somebody is dropped who is exempt");
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
