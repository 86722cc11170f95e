//! Whom the server has time for: every connection from its accept until its user is known. Pure: events,
//! the time and a seed go in; verdicts and [`Action`]s come out.
//!
//! A connection waits in silence (one descriptor, no process) until its first bytes, then has a gate
//! (the startups), perhaps a login screen, perhaps a leader, and leaves this room when its user is
//! authenticated. Each of these has a ceiling of its own. Where the server as a whole is full it is never
//! the newcomer that must go, but another, drawn by lot: a flood of connections that stand and do nothing
//! keeps nobody out.
//!
//! Always true: no ceiling is exceeded; an exempt source is never refused for what sources are held to;
//! nobody is refused for the offences of another source; a resting server has no deadline.
//! Deliberately absent: sockets, processes, clocks, logging, and who a user is.

mod dropped;
mod sources;
#[cfg(test)]
mod tests;

use dropped::Dropped;
#[cfg(test)]
pub use dropped::MOST as MOST_DROPPED;
use ipnet::IpNet;
use sources::{Source, Sources};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use wrd_config::{Startups, System};
use wrd_proto::ConnectionId;

/// What is to be done, in this order.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Close a connection that has said nothing yet; it is forgotten here.
    Close(ConnectionId, Reason),
    /// End a gate; answered by [`Admission::left`] once it has ended.
    TurnAway(ConnectionId, Reason),
    /// Get a leader; answered by [`Admission::leader_left`], at the latest when the leader has ended.
    OpenLeader(ConnectionId),
    /// The login goes no further: tell the user, and end its leader if it has one.
    RefuseLogin(ConnectionId, &'static str),
    /// Have the kernel drop new connections of these networks, and of no others.
    Drop(Vec<IpNet>),
}

/// Why a connection that was let in has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    Silent,
    WaitingRoom,
    Startups,
    Screens,
    Connections,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Penalty {
        left: Duration,
    },
    SourceConnections,
    SourceRate,
    /// It was refused so often just now that its connections are dropped for a while.
    Flood {
        lasts: Duration,
    },
    Startups,
    Connections,
}

/// What is held against a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Its gate died or broke the rules.
    Crash,
    /// Wrong credentials.
    Denied,
    /// It kept its place for long and tried no login.
    Late,
    /// It went away without having tried a login.
    Silent,
}

/// What all of this is held to.
#[derive(Clone, Debug)]
pub struct Rules {
    pub admission: wrd_config::Admission,
    /// Connections with a gate, logged in or not.
    pub connections: usize,
    /// Connections that have said nothing yet.
    pub waiting: usize,
    /// How long they may say nothing.
    pub silence: Duration,
}

impl Rules {
    /// By a configuration, for a process that may have this many descriptors.
    pub fn new(config: &System, descriptors: u64) -> Self {
        let login = Duration::from_secs(config.limits.login_seconds.into());
        Self {
            admission: config.admission.clone(),
            connections: config.limits.connections as usize,
            waiting: usize::try_from(descriptors / 4).unwrap_or(WAITING).min(WAITING),
            silence: SILENCE.min(login),
        }
    }
}

pub struct Admission {
    rules: Rules,
    sources: Sources,
    dropped: Dropped,
    guests: BTreeMap<ConnectionId, Guest>,
    /// Leaders that have authenticated nobody. One may outlive its connection while PAM keeps it.
    leaders: BTreeMap<ConnectionId, Leader>,
    /// Those that ended before the pause behind their denial: their places are not free until then, or guessing would
    /// be as fast as hanging up.
    ended: Vec<Leader>,
    actions: VecDeque<Action>,
    lots: fastrand::Rng,
}

/// A connection.
#[derive(Clone, Copy, Debug)]
struct Guest {
    source: Source,
    exempt: bool,
    since: Instant,
    place: Place,
    /// Since when it waits for a leader.
    in_line: Option<Instant>,
    /// Its leader has asked something, and has no answer yet: what was tried before that has no verdict.
    asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It has said nothing yet.
    Silent,
    /// A gate listens to it.
    Starting,
    /// It shows the login screen, since then.
    Screen(Instant),
    /// Authenticated.
    Inside,
    /// Its gate is being ended to make room.
    Leaving,
}

#[derive(Clone, Copy, Debug)]
struct Leader {
    source: Source,
    exempt: bool,
    /// When it was started, last tried or denied a login, or last asked or was answered.
    heard: Instant,
    /// Until when it keeps its last denial from its user.
    rests_until: Instant,
    state: LeaderState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaderState {
    /// It has not said anything about the last credentials, or an answer of the user's, yet.
    Trying,
    /// It waits for its user to answer a question, who may be nobody.
    Asking,
    /// It has denied a login, and does not tell its user yet.
    Resting,
    /// It has told its user that the login is denied, and waits for other credentials.
    Denied,
    /// Nobody wants it any more: it is ending.
    Parting,
}

impl Admission {
    pub fn new(rules: Rules, seed: u64) -> Self {
        Self {
            rules,
            sources: Sources::default(),
            dropped: Dropped::default(),
            guests: BTreeMap::new(),
            leaders: BTreeMap::new(),
            ended: Vec::new(),
            actions: VecDeque::new(),
            lots: fastrand::Rng::with_seed(seed),
        }
    }

    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Admission::expire`] has something to do; `None` while nobody waits in silence or for a denial, and nobody's
    /// connections are dropped.
    pub fn next_deadline(&self) -> Option<Instant> {
        let silent = self.guests.values().filter(|guest| guest.place == Place::Silent);
        let silent = silent.map(|guest| guest.since + self.rules.silence);
        let resting = self.leaders.values().filter(|leader| leader.state == LeaderState::Resting).chain(&self.ended);
        silent.chain(resting.map(|leader| leader.rests_until)).chain(self.dropped.next_deadline()).min()
    }

    /// Acts on every deadline that `now` has reached.
    pub fn expire(&mut self, now: Instant) {
        let silence = self.rules.silence;
        let late = |guest: &Guest| guest.place == Place::Silent && guest.since + silence <= now;
        let late: Vec<_> = self.guests.iter().filter(|(_, guest)| late(guest)).map(|(id, _)| *id).collect();
        for id in late {
            self.left(id, Some(Offence::Silent), now);
            self.actions.push_back(Action::Close(id, Reason::Silent));
        }
        let mut rested = false;
        for leader in self.leaders.values_mut() {
            if leader.state == LeaderState::Resting && leader.rests_until <= now {
                (leader.state, rested) = (LeaderState::Denied, true);
            }
        }
        self.ended.retain(|leader| {
            rested |= leader.rests_until <= now;
            leader.rests_until > now
        });
        if rested {
            self.serve_line(now);
        }
        self.dropped.expire(now);
        self.tell_kernel(now);
    }

    /// Of a change in what it drops, if it is time for that.
    fn tell_kernel(&mut self, now: Instant) {
        let networks = self.dropped.tell(now);
        self.actions.extend(networks.map(Action::Drop));
    }

    /// A connection was accepted; nothing of it has been read.
    pub fn arrive(&mut self, id: ConnectionId, address: IpAddr, now: Instant) -> Result<(), Refusal> {
        let rules = &self.rules.admission;
        let source = Source::of(address, rules);
        let exempt = rules.exempt.iter().any(|network| network.contains(&address));
        if !exempt && let Err(refusal) = self.weigh(source, now) {
            return Err(self.refuse(source, refusal, now));
        }
        if self.count(|guest| guest.place == Place::Silent) >= self.rules.waiting {
            let longest = self.guests.iter().filter(|(_, guest)| guest.place == Place::Silent);
            if let Some(id) = longest.min_by_key(|(id, guest)| (guest.since, **id)).map(|(id, _)| *id) {
                self.guests.remove(&id);
                self.actions.push_back(Action::Close(id, Reason::WaitingRoom));
            }
        }
        self.guests.insert(id, Guest { source, exempt, since: now, place: Place::Silent, in_line: None, asked: false });
        Ok(())
    }

    /// Whether a source may have one more connection.
    fn weigh(&mut self, source: Source, now: Instant) -> Result<(), Refusal> {
        if let Some(refusal) = self.sources.penalty(source, now) {
            return Err(refusal);
        }
        let most = self.rules.admission.source_connections as usize;
        if self.count(|guest| guest.source == source && guest.is_stranger()) >= most {
            return Err(Refusal::SourceConnections);
        }
        self.sources.count(source, &self.rules.admission, now)
    }

    /// Whoever goes on although it is refused is not even refused for a while: that would cost more than its attempts.
    fn refuse(&mut self, source: Source, refusal: Refusal, now: Instant) -> Refusal {
        let goes_on = self.sources.goes_on(source, now) && !self.has_exempt_part(source);
        if !goes_on || !self.dropped.add(source, now) {
            return refusal;
        }
        self.tell_kernel(now);
        Refusal::Flood { lasts: dropped::LASTS }
    }

    /// Whether somebody in this network is held to nothing that sources are: the kernel cannot tell them apart.
    fn has_exempt_part(&self, source: Source) -> bool {
        let own = source.network();
        self.rules.admission.exempt.iter().any(|exempt| own.contains(exempt) || exempt.contains(&own))
    }

    /// The first bytes of a connection are there: may it have a gate? A refused one is forgotten, and so is one that
    /// had to go a moment before.
    pub fn speaks(&mut self, id: ConnectionId, now: Instant) -> Result<(), Refusal> {
        if !self.guests.contains_key(&id) {
            return Err(Refusal::Connections);
        }
        let verdict = self.make_room(now);
        match self.guests.get_mut(&id) {
            Some(guest) if verdict.is_ok() => guest.place = Place::Starting,
            _ => drop(self.guests.remove(&id)),
        }
        verdict
    }

    /// A gate shows the login screen.
    pub fn shows_screen(&mut self, id: ConnectionId, now: Instant) {
        match self.guests.get_mut(&id) {
            Some(guest) if guest.place == Place::Starting => guest.place = Place::Screen(now),
            _ => return,
        }
        let most = self.rules.admission.login_screens as usize;
        if self.count(Guest::is_at_screen) > most {
            // The one shown longest of whoever shows the most; where all of them are busy, the new one.
            let shown = |guest: &Guest| match guest.place {
                Place::Screen(since) => Some(since),
                _ => None,
            };
            let candidates = self.candidates(|other, guest| other != id && guest.is_at_screen());
            let longest = candidates.into_iter().min_by_key(|(_, guest)| shown(guest)).map(|(id, _)| id);
            self.turn_away(longest.unwrap_or(id), Reason::Screens);
        }
    }

    /// A gate has credentials to try.
    pub fn wants_leader(&mut self, id: ConnectionId, now: Instant) {
        let Some(guest) = self.guests.get_mut(&id).filter(|guest| guest.has_stranger_at_gate()) else { return };
        if !guest.exempt && self.sources.penalty(guest.source, now).is_some() {
            return self.actions.push_back(Action::RefuseLogin(id, PENALTY));
        }
        guest.in_line = Some(now);
        self.serve_line(now);
    }

    /// A leader has denied a login, which it tells its user after a pause, and may wait for another; or NLA has, which
    /// needs no leader.
    pub fn denied(&mut self, id: ConnectionId, pause: Duration, now: Instant) {
        let Some(leader) = self.leaders.get_mut(&id) else {
            if let Some(guest) = self.guests.get(&id).filter(|guest| !guest.exempt) {
                self.sources.punish(guest.source, Offence::Denied, &self.rules.admission, now);
            }
            return;
        };
        leader.rests_until = now + pause.min(PAUSE);
        let state = if leader.rests_until > now { LeaderState::Resting } else { LeaderState::Denied };
        // Its connection may be gone: who does not wait for the answer is not spared for that.
        if !leader.exempt {
            self.sources.punish(leader.source, Offence::Denied, &self.rules.admission, now);
        }
        self.turn(id, state, now);
        self.serve_line(now);
    }

    /// A leader says that its gate broke the rules, which may be gone by then.
    pub fn broken(&mut self, id: ConnectionId, now: Instant) {
        if let Some(leader) = self.leaders.get(&id).filter(|leader| !leader.exempt) {
            self.sources.punish(leader.source, Offence::Crash, &self.rules.admission, now);
        }
    }

    /// A leader has credentials, of a first try or of another one.
    pub fn tries(&mut self, id: ConnectionId, now: Instant) {
        let cancelled = self.guests.get(&id).filter(|guest| guest.asked && !guest.exempt);
        if let Some(source) = cancelled.map(|guest| guest.source) {
            self.sources.punish(source, Offence::Denied, &self.rules.admission, now);
        }
        self.turn(id, LeaderState::Trying, now);
    }

    /// A leader has asked its user something: it is idle until [`Admission::answered`].
    pub fn asks(&mut self, id: ConnectionId, now: Instant) {
        self.turn(id, LeaderState::Asking, now);
        self.serve_line(now);
    }

    /// Its user has answered: it is as busy as with the first credentials, and for no longer.
    pub fn answered(&mut self, id: ConnectionId, now: Instant) {
        self.turn(id, LeaderState::Trying, now);
    }

    /// What a leader is busy with from now on. One that is ending stays so.
    fn turn(&mut self, id: ConnectionId, state: LeaderState, now: Instant) {
        let Some(leader) = self.leaders.get_mut(&id).filter(|leader| leader.state != LeaderState::Parting) else {
            return;
        };
        (leader.state, leader.heard) = (state, now);
        if let Some(guest) = self.guests.get_mut(&id) {
            guest.asked = state == LeaderState::Asking;
        }
    }

    /// A user is authenticated: the connection is no stranger's any more.
    pub fn authenticated(&mut self, id: ConnectionId, now: Instant) {
        if let Some(guest) = self.guests.get_mut(&id) {
            (guest.place, guest.asked) = (Place::Inside, false);
        }
        self.leaders.remove(&id);
        self.serve_line(now);
    }

    /// A leader has ended, or none could be had.
    pub fn leader_left(&mut self, id: ConnectionId, now: Instant) {
        self.ended.extend(self.leaders.remove(&id).filter(|leader| leader.rests_until > now));
        self.serve_line(now);
    }

    /// Whether a leader of this connection counts that has authenticated nobody.
    pub fn has_leader(&self, id: ConnectionId) -> bool {
        self.leaders.contains_key(&id)
    }

    /// A connection has ended, and what was wrong with that. Ending it to make room was no offence of its. To go away at
    /// a question is at least as bad as a wrong password, as that may be what is asked about.
    pub fn left(&mut self, id: ConnectionId, offence: Option<Offence>, now: Instant) {
        let Some(guest) = self.guests.remove(&id) else { return };
        let offence = match offence {
            None | Some(Offence::Silent) if guest.asked => Some(Offence::Denied),
            offence => offence,
        };
        if let Some(offence) = offence.filter(|_| !guest.exempt && guest.place != Place::Leaving) {
            self.sources.punish(guest.source, offence, &self.rules.admission, now);
        }
        if let Some(leader) = self.leaders.get_mut(&id) {
            leader.state = LeaderState::Parting;
        }
    }

    /// Sees to it that one more gate may run.
    fn make_room(&mut self, now: Instant) -> Result<(), Refusal> {
        let startups = self.rules.admission.startups;
        let starting = self.count(Guest::is_starting);
        if self.lots.u32(0..100) < chance(startups, starting) {
            let victim = self.draw(Guest::is_starting, now);
            match victim {
                Some(victim) => self.turn_away(victim, Reason::Startups),
                None if starting >= startups.full as usize => return Err(Refusal::Startups),
                None => {}
            }
        }
        if self.count(Guest::has_gate) >= self.rules.connections {
            let victim = self.draw(Guest::is_starting, now).or_else(|| self.draw(Guest::is_at_screen, now));
            self.turn_away(victim.ok_or(Refusal::Connections)?, Reason::Connections);
        }
        Ok(())
    }

    /// Draws one of those who may have to go. Whoever has just come is spared while somebody older is there: a client
    /// that knows this server has its desktop before the lot can fall on it. Where all have just come, as when a
    /// flood begins, the later half of them is spared.
    fn draw(&mut self, pool: impl Fn(&Guest) -> bool, now: Instant) -> Option<ConnectionId> {
        let mut drawn = self.candidates(|_, guest| pool(guest));
        drawn.sort_by_key(|(_, guest)| guest.since);
        let older = drawn.partition_point(|(_, guest)| guest.since + YOUNG <= now);
        drawn.truncate(if older > 0 { older } else { drawn.len().div_ceil(2) });
        self.lots.choice(drawn).map(|(id, _)| id)
    }

    /// Those of `pool` whose credentials are not being tried just now, up to the answer; exempt ones only where there is
    /// nobody else, and of these those of the sources that have the most. Up to [`FEW`] count alike: two people of one
    /// office are no flood.
    fn candidates(&self, pool: impl Fn(ConnectionId, &Guest) -> bool) -> Vec<(ConnectionId, Guest)> {
        let mut found: Vec<(ConnectionId, Guest)> = self
            .guests
            .iter()
            .filter(|(id, guest)| pool(**id, guest) && !self.is_trying(**id))
            .map(|(id, guest)| (*id, *guest))
            .collect();
        if found.iter().any(|(_, guest)| !guest.exempt) {
            found.retain(|(_, guest)| !guest.exempt);
        }
        let mut counts = counted(found.iter().map(|(_, guest)| guest.source));
        counts.values_mut().for_each(|count| *count = FEW.max(*count));
        let most = counts.values().max().copied();
        found.retain(|(_, guest)| counts.get(&guest.source).copied() == most);
        found
    }

    fn is_trying(&self, id: ConnectionId) -> bool {
        let busy = |leader: &Leader| matches!(leader.state, LeaderState::Trying | LeaderState::Resting);
        self.leaders.get(&id).is_some_and(busy)
    }

    fn turn_away(&mut self, id: ConnectionId, reason: Reason) {
        if let Some(guest) = self.guests.get_mut(&id) {
            (guest.place, guest.in_line) = (Place::Leaving, None);
            self.actions.push_back(Action::TurnAway(id, reason));
        }
    }

    /// Gives leaders to those in line, as far as there are any: first to the source that has the fewest, then in
    /// order. None has more than its share, so that what one guess says of a source is known before the next ones
    /// are tried. Where there are none left, those that only wait for a user to try again are taken away: otherwise
    /// a few who never do would keep everybody out.
    fn serve_line(&mut self, now: Instant) {
        let most = self.rules.admission.logins as usize;
        let share = (most / SHARES).max(1);
        let is_full = |held: &BTreeMap<Source, usize>, guest: &Guest| {
            !guest.exempt && held.get(&guest.source).is_some_and(|held| *held >= share)
        };
        while self.leaders.len() + self.ended.len() < most {
            let held = self.held();
            let line = self.guests.iter_mut().filter_map(|(id, guest)| Some((guest.in_line?, *id, guest)));
            let line = line.filter(|(_, _, guest)| !is_full(&held, guest));
            let next = line.min_by_key(|(since, id, guest)| (held.get(&guest.source).copied(), *since, *id));
            let Some((_, id, guest)) = next else { break };
            guest.in_line = None;
            let (source, exempt) = (guest.source, guest.exempt);
            if !exempt && self.sources.penalty(source, now).is_some() {
                self.actions.push_back(Action::RefuseLogin(id, PENALTY));
                continue;
            }
            let leader = Leader { source, exempt, heard: now, rests_until: now, state: LeaderState::Trying };
            self.leaders.insert(id, leader);
            self.actions.push_back(Action::OpenLeader(id));
        }
        let held = self.held();
        let line = self.guests.values().filter(|guest| guest.in_line.is_some());
        let (full, others): (Vec<&Guest>, Vec<&Guest>) = line.partition(|guest| is_full(&held, guest));
        let (others, full) = (others.len(), counted(full.into_iter().map(|guest| guest.source)));
        self.make_leaders_part(others, |_| true, now);
        for (source, wanted) in full {
            self.make_leaders_part(wanted, |leader| leader.source == source, now);
        }
    }

    /// Sees to it that `wanted` of these leaders are ending, as far as there are idle ones.
    fn make_leaders_part(&mut self, wanted: usize, of: impl Fn(&Leader) -> bool, now: Instant) {
        let parting = self.leaders.values().filter(|leader| leader.state == LeaderState::Parting);
        let parting = parting.chain(&self.ended).filter(|leader| of(leader)).count();
        for _ in parting..wanted {
            let held = self.held();
            let idle = self.leaders.iter().filter(|(_, leader)| of(leader) && leader.is_idle(now));
            let longest = idle.max_by_key(|(_, leader)| (held.get(&leader.source).copied(), Reverse(leader.heard)));
            let Some(id) = longest.map(|(id, _)| *id) else { return };
            self.turn(id, LeaderState::Parting, now);
            self.actions.push_back(Action::RefuseLogin(id, BUSY));
        }
    }

    /// How many leaders each source has.
    fn held(&self) -> BTreeMap<Source, usize> {
        counted(self.leaders.values().chain(&self.ended).map(|leader| leader.source))
    }

    fn count(&self, which: impl Fn(&Guest) -> bool) -> usize {
        self.guests.values().filter(|guest| which(guest)).count()
    }
}

impl Guest {
    fn is_starting(&self) -> bool {
        self.place == Place::Starting
    }

    fn is_at_screen(&self) -> bool {
        matches!(self.place, Place::Screen(_))
    }

    fn has_stranger_at_gate(&self) -> bool {
        self.is_starting() || self.is_at_screen()
    }

    fn is_stranger(&self) -> bool {
        self.place == Place::Silent || self.has_stranger_at_gate()
    }

    fn has_gate(&self) -> bool {
        self.place == Place::Inside || self.has_stranger_at_gate()
    }
}

impl Leader {
    fn is_idle(&self, now: Instant) -> bool {
        match self.state {
            LeaderState::Trying => self.heard + VERDICT <= now,
            LeaderState::Asking | LeaderState::Denied => true,
            LeaderState::Resting | LeaderState::Parting => false,
        }
    }
}

/// In percent: how likely somebody has to go when there is one more than `starting`.
fn chance(startups: Startups, starting: usize) -> u32 {
    let Startups { begin, percent, full } = startups;
    let starting = u32::try_from(starting).unwrap_or(u32::MAX);
    match starting {
        _ if starting < begin => 0,
        _ if starting >= full => 100,
        _ => percent + (100 - percent) * (starting - begin) / (full - begin),
    }
}

fn counted(sources: impl Iterator<Item = Source>) -> BTreeMap<Source, usize> {
    let mut counts = BTreeMap::new();
    for source in sources {
        *counts.entry(source).or_insert(0) += 1;
    }
    counts
}

/// A real client speaks at once; this is for lines that lose packets.
const SILENCE: Duration = Duration::from_secs(10);
/// One source has at most one of so many parts of the leaders.
const SHARES: usize = 4;
/// So many connections of one source, of those in one place, are as good as one.
const FEW: usize = 4;
/// Each costs a descriptor and nothing else.
const WAITING: usize = 1024;
/// A client that needs to ask nobody is logged in by then.
const YOUNG: Duration = Duration::from_secs(3);
/// As long as a gate waits for what its leader says of the credentials.
const VERDICT: Duration = Duration::from_secs(60);

/// Longer than any module has its denials wait.
const PAUSE: Duration = Duration::from_secs(30);

const PENALTY: &str = "Too many logins from your address have failed. Please try again in a few minutes.";
const BUSY: &str = "Too many people are logging in just now. Please connect again.";
