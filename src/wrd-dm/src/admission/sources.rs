//! What is remembered of sources: how fast they come, and what is held against them. A source is an
//! address or the network it belongs to, since whoever has one address of an IPv6 network has them all.
//!
//! Always true: a penalty ends, and at the longest so long after its last offence as was configured; only
//! a source's own offences and connections count against it; memory is bounded, and whoever floods it with
//! new sources drives out the harmless ones first.

use super::{Offence, Refusal};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use wrd_config::Admission;

/// Who is held to account for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source(IpNet);

impl Source {
    pub fn of(address: IpAddr, rules: &Admission) -> Self {
        let bits = if address.is_ipv4() { rules.ipv4_prefix_bits } else { rules.ipv6_prefix_bits };
        let network = u8::try_from(bits).ok().and_then(|bits| IpNet::new(address, bits).ok());
        Self(network.unwrap_or_else(|| IpNet::from(address)).trunc())
    }

    pub fn network(self) -> IpNet {
        self.0
    }
}

/// All sources that something is remembered of.
#[derive(Debug, Default)]
pub struct Sources(BTreeMap<Source, Score>);

#[derive(Clone, Copy, Debug)]
struct Score {
    /// When everything it has opened will have been paid for by time: one connection costs a minute's part.
    paid: Instant,
    /// Until when something is held against it.
    penalty: Instant,
    /// That was enough to turn it away once, so it is until the end.
    enforced: bool,
    /// Of the second that began then.
    refusals: u32,
    counted_from: Instant,
}

impl Sources {
    /// Most sources remembered: more than there can be connections that are not logged in.
    pub const MOST: usize = 4 * Admission::MOST as usize;

    /// Why this source may not open a connection or try a login now.
    pub fn penalty(&self, source: Source, now: Instant) -> Option<Refusal> {
        let score = self.0.get(&source).filter(|score| score.enforced && score.penalty > now)?;
        Some(Refusal::Penalty { left: score.penalty.duration_since(now) })
    }

    /// Counts a connection, unless there were too many in the last minute.
    pub fn count(&mut self, source: Source, rules: &Admission, now: Instant) -> Result<(), Refusal> {
        let price = MINUTE / rules.source_connections_per_minute.max(1);
        let score = self.score(source, now);
        let paid = score.paid.max(now) + price;
        if paid > now + MINUTE {
            return Err(Refusal::SourceRate);
        }
        score.paid = paid;
        Ok(())
    }

    /// Holds an offence against a source.
    pub fn punish(&mut self, source: Source, offence: Offence, rules: &Admission, now: Instant) {
        let seconds = match offence {
            Offence::Crash => rules.penalty_crash_seconds,
            Offence::Denied => rules.penalty_denied_seconds,
            Offence::Late => rules.penalty_late_seconds,
            Offence::Silent => rules.penalty_silent_seconds,
        };
        let score = self.score(source, now);
        if score.penalty <= now {
            score.enforced = false;
        }
        let most = now + Duration::from_secs(rules.penalty_max_seconds.into());
        score.penalty = (score.penalty.max(now) + Duration::from_secs(seconds.into())).min(most);
        score.enforced |= score.penalty >= now + Duration::from_secs(rules.penalty_min_seconds.into());
    }

    /// Counts a refusal: whether there were too many within a second.
    pub fn goes_on(&mut self, source: Source, now: Instant) -> bool {
        let score = self.score(source, now);
        if score.counted_from + SECOND <= now {
            (score.counted_from, score.refusals) = (now, 0);
        }
        score.refusals = score.refusals.saturating_add(1);
        score.refusals >= REFUSALS
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn score(&mut self, source: Source, now: Instant) -> &mut Score {
        if self.0.len() >= Self::MOST && !self.0.contains_key(&source) {
            self.forget(now);
        }
        self.0.entry(source).or_insert(Score {
            paid: now,
            penalty: now,
            enforced: false,
            refusals: 0,
            counted_from: now,
        })
    }

    /// Forgets what no longer counts; where that is too little the least bad quarter too, so that this is
    /// not done at every new source.
    fn forget(&mut self, now: Instant) {
        self.0.retain(|_, score| score.penalty > now || score.paid > now);
        if self.0.len() < Self::MOST {
            return;
        }
        let mut by_weight: Vec<_> = self.0.iter().map(|(source, score)| (score.penalty, score.paid, *source)).collect();
        by_weight.sort_unstable();
        for (_, _, source) in by_weight.iter().take(Self::MOST / 4) {
            self.0.remove(source);
        }
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// More than people and their programs try within a second.
const REFUSALS: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        Source::of(address.parse().unwrap(), &Admission::default())
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        let wide = Admission { ipv4_prefix_bits: 24, ..Admission::default() };
        let of = |address: &str| Source::of(address.parse().unwrap(), &wide);
        assert_eq!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn penalties_add_up_count_from_the_minimum_on_and_end() {
        let (rules, mut sources, start) = (Admission::default(), Sources::default(), Instant::now());
        let (bad, good) = (source("192.0.2.1"), source("192.0.2.2"));
        sources.punish(bad, Offence::Denied, &rules, start);
        sources.punish(bad, Offence::Denied, &rules, start);
        assert_eq!(sources.penalty(bad, start), None, "10 s are below the minimum");
        sources.punish(bad, Offence::Denied, &rules, start);
        let left = Duration::from_secs(15);
        assert_eq!(sources.penalty(bad, start), Some(Refusal::Penalty { left }));
        assert_eq!(sources.penalty(good, start), None);
        // Once enforced it stays so, below the minimum too, until it is over.
        assert!(sources.penalty(bad, start + Duration::from_secs(14)).is_some());
        assert_eq!(sources.penalty(bad, start + left), None);
        sources.punish(bad, Offence::Denied, &rules, start + left);
        assert_eq!(sources.penalty(bad, start + left), None, "the slate was clean");
        for _ in 0..99 {
            sources.punish(bad, Offence::Crash, &rules, start);
        }
        assert_eq!(sources.penalty(bad, start), Some(Refusal::Penalty { left: Duration::from_secs(600) }));
    }

    #[test]
    fn a_health_check_every_two_seconds_is_no_offence() {
        let (rules, mut sources, start) = (Admission::default(), Sources::default(), Instant::now());
        for second in (0..600).step_by(2) {
            let now = start + Duration::from_secs(second);
            assert_eq!(sources.penalty(source("192.0.2.1"), now), None);
            sources.punish(source("192.0.2.1"), Offence::Silent, &rules, now);
        }
    }

    #[test]
    fn a_source_has_a_minute_of_connections_and_gets_more_with_time() {
        let (rules, mut sources, start) = (Admission::default(), Sources::default(), Instant::now());
        let mut count = |now| sources.count(source("192.0.2.1"), &rules, now);
        assert_eq!((0..1000).filter(|_| count(start).is_ok()).count(), 120);
        let later = start + Duration::from_secs(10);
        assert_eq!((0..1000).filter(|_| count(later).is_ok()).count(), 20);
    }

    #[test]
    fn a_flood_of_sources_drives_out_the_harmless_ones() {
        let (rules, mut sources, now) = (Admission::default(), Sources::default(), Instant::now());
        let bad = source("192.0.2.1");
        sources.punish(bad, Offence::Crash, &rules, now);
        for number in 0..100_000u32 {
            let address = IpAddr::from(number.to_be_bytes());
            sources.count(Source::of(address, &rules), &rules, now).unwrap();
            assert!(sources.len() <= Sources::MOST);
        }
        assert!(sources.penalty(bad, now).is_some());
        // What has passed is forgotten first, and then all of it.
        sources.forget(now + Duration::from_secs(3600));
        assert_eq!(sources.len(), 0);
    }
}
