//! `[admission]`: how many strangers there may be at a time, and what their sources are held to.
//!
//! Numbers only; what they mean is decided in the monitor (`wrd-dm/src/admission`).

use crate::document::Document;
use crate::system::set;
use ipnet::IpNet;
use std::net::IpAddr;

/// `[admission]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Connections that have neither a login screen nor a user yet.
    pub startups: Startups,
    /// Login screens at a time.
    pub login_screens: u32,
    /// Logins being checked at a time, each by a process of root.
    pub logins: u32,
    /// Connections of one source at a time that are not logged in.
    pub source_connections: u32,
    /// New connections of one source.
    pub source_connections_per_minute: u32,
    /// How much of an address makes a source.
    pub ipv4_prefix_bits: u32,
    pub ipv6_prefix_bits: u32,
    /// For a gate that crashed or broke the rules.
    pub penalty_crash_seconds: u32,
    /// For a login that was denied.
    pub penalty_denied_seconds: u32,
    /// For a connection that took its time and tried no login.
    pub penalty_late_seconds: u32,
    /// For one that went away without having tried a login.
    pub penalty_silent_seconds: u32,
    /// Penalties below it are only remembered.
    pub penalty_min_seconds: u32,
    pub penalty_max_seconds: u32,
    /// Sources that nothing of the kind is held against.
    pub exempt: Vec<IpNet>,
}

/// `begin:percent:full`: from `begin` of them on a newcomer drives out another with this chance, which
/// rises until it is certain at `full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Startups {
    pub begin: u32,
    pub percent: u32,
    pub full: u32,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            startups: Startups { begin: 50, percent: 30, full: 400 },
            login_screens: 100,
            logins: 32,
            source_connections: 32,
            source_connections_per_minute: 120,
            ipv4_prefix_bits: 32,
            ipv6_prefix_bits: 64,
            penalty_crash_seconds: 90,
            penalty_denied_seconds: 5,
            penalty_late_seconds: 10,
            penalty_silent_seconds: 1,
            penalty_min_seconds: 15,
            penalty_max_seconds: 600,
            exempt: Vec::new(),
        }
    }
}

impl Admission {
    /// Most of whatever is counted here. The monitor's memory of sources relies on it.
    pub const MOST: u32 = 4096;

    pub(crate) fn apply(&mut self, document: &mut Document<'_>) {
        set(&mut self.startups, document.parsed("admission", "startups", startups));
        let numbers = [
            (&mut self.login_screens, "login_screens", 1..=Self::MOST),
            (&mut self.logins, "logins", 1..=Self::MOST),
            (&mut self.source_connections, "source_connections", 1..=Self::MOST),
            (&mut self.source_connections_per_minute, "source_connections_per_minute", 1..=60_000),
            (&mut self.ipv4_prefix_bits, "ipv4_prefix_bits", 8..=32),
            (&mut self.ipv6_prefix_bits, "ipv6_prefix_bits", 16..=128),
            (&mut self.penalty_crash_seconds, "penalty_crash_seconds", 0..=86_400),
            (&mut self.penalty_denied_seconds, "penalty_denied_seconds", 0..=86_400),
            (&mut self.penalty_late_seconds, "penalty_late_seconds", 0..=86_400),
            (&mut self.penalty_silent_seconds, "penalty_silent_seconds", 0..=86_400),
            (&mut self.penalty_min_seconds, "penalty_min_seconds", 0..=86_400),
            (&mut self.penalty_max_seconds, "penalty_max_seconds", 1..=86_400),
        ];
        for (target, key, range) in numbers {
            set(target, document.integer("admission", key, range));
        }
        set(&mut self.exempt, document.list("admission", "exempt", network));
    }
}

fn startups(text: &str) -> Result<Startups, &'static str> {
    const EXPECTED: &str = "\"BEGIN:PERCENT:FULL\", such as \"50:30:400\", with FULL from BEGIN to 4096";
    let numbers: Vec<u32> = text.split(':').map_while(|part| part.parse().ok()).collect();
    match (numbers.as_slice(), text.split(':').count()) {
        ([begin, percent, full], 3)
            if (1..=*full).contains(begin) && (1..=100).contains(percent) && *full <= Admission::MOST =>
        {
            Ok(Startups { begin: *begin, percent: *percent, full: *full })
        }
        _ => Err(EXPECTED),
    }
}

/// A network, or an address, which is a network of its own.
fn network(text: &str) -> Result<IpNet, &'static str> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "an address or a network, such as \"192.0.2.0/24\" or \"2001:db8::/32\"")
}
