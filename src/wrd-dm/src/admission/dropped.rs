//! Sources whose new connections the kernel drops: they went on although they were refused, again and again. To drop a
//! packet costs a thousandth of a refusal, and a client that is honest after all tries again by itself, a second later
//! (TCP's first retransmission) and a few seconds later.
//!
//! Always true: a source is dropped for [`LASTS`] and then refused again at least once before it is dropped again; not
//! more than [`MOST`] are dropped at a time; the kernel is told at most once in [`PACE`], however many there are.

use super::sources::Source;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Dropped {
    until: BTreeMap<Source, Instant>,
    /// When the kernel was told last.
    told: Option<Instant>,
    /// It does not know of the last change yet.
    stale: bool,
}

impl Dropped {
    /// Whether this source is dropped from now on, and was not before. Told with [`Dropped::tell`].
    pub fn add(&mut self, source: Source, now: Instant) -> bool {
        if self.until.len() >= MOST || self.until.contains_key(&source) {
            return false;
        }
        self.until.insert(source, now + LASTS);
        self.stale = true;
        true
    }

    /// When [`Dropped::expire`] or [`Dropped::tell`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.stale { self.told.map(|told| told + PACE) } else { self.until.values().min().copied() }
    }

    /// Forgets whose time is over. Told with [`Dropped::tell`].
    pub fn expire(&mut self, now: Instant) {
        let before = self.until.len();
        self.until.retain(|_, until| *until > now);
        self.stale |= self.until.len() != before;
    }

    /// What the kernel is to be told, if it is time for that: all networks that are dropped.
    pub fn tell(&mut self, now: Instant) -> Option<Vec<IpNet>> {
        if !self.stale || self.told.is_some_and(|told| told + PACE > now) {
            return None;
        }
        (self.told, self.stale) = (Some(now), false);
        Some(self.until.keys().map(|source| source.network()).collect())
    }
}

/// Long enough that dropping pays, short enough for a client that is honest to come through at its next attempt.
pub const LASTS: Duration = Duration::from_secs(3);
/// As many as every kernel has room for in a listening socket's filter: `net.core.optmem_max` is 20 kB before Linux 6.7.
pub const MOST: usize = 128;
const PACE: Duration = Duration::from_millis(100);
