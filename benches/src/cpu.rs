//! Who in a machine has the processor: by cgroup, so that those who have ended count too.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;
use wrd_tests::machine::Machine;
use wrd_tests::processes::{field, of_machine};

/// Below /sys/fs/cgroup of the machine.
const GROUPS: &[(&str, &str)] = &[
    ("wrd-dm.service", "system.slice/wrd-dm.service"),
    ("leaders before a session", "system.slice/wrd-leader.service"),
    ("sessions", "user.slice"),
    ("systemd", "init.scope"),
    ("journald", "system.slice/systemd-journald.service"),
    ("logind", "system.slice/systemd-logind.service"),
];
/// Programs that are asked themselves. The monitor is in one group with its gates, the others are in none here.
const PROGRAMS: &[(&str, &str)] = &[("monitor", "wrd-dm"), ("attackers", "wrd-attacker")];
/// Of /proc/PID/stat and /proc/stat, in µs.
const TICK: u64 = 10_000;

/// Processor time in µs, until now.
pub struct Spent {
    at: Instant,
    by: BTreeMap<&'static str, u64>,
}

pub fn spent(machine: &Machine) -> anyhow::Result<Spent> {
    let mut by = BTreeMap::new();
    for (name, group) in GROUPS {
        let stat = fs::read_to_string(machine.path(&format!("/sys/fs/cgroup/{group}/cpu.stat"))).unwrap_or_default();
        by.insert(*name, field(&stat, "usage_usec"));
    }
    for (comm, path) in of_machine(machine)? {
        if let Some((name, _)) = PROGRAMS.iter().find(|(_, program)| *program == comm) {
            *by.entry(*name).or_default() += of_process(&fs::read_to_string(path.join("stat")).unwrap_or_default());
        }
    }
    by.insert("everything", busy(&fs::read_to_string("/proc/stat")?));
    Ok(Spent { at: Instant::now(), by })
}

impl Spent {
    /// Percent of one core since then.
    pub fn since(&self, before: &Self) -> BTreeMap<&'static str, f64> {
        let span = (self.at - before.at).as_micros() as f64;
        let used = |name: &'static str| {
            let then = before.by.get(name).copied().unwrap_or_default();
            self.by.get(name).copied().unwrap_or_default().saturating_sub(then)
        };
        let mut report: BTreeMap<_, _> = self.by.keys().map(|name| (*name, used(name))).collect();
        let gates = used("wrd-dm.service").saturating_sub(used("monitor"));
        report.remove("wrd-dm.service");
        report.insert("gates", gates);
        report.into_iter().map(|(name, used)| (name, used as f64 / span * 100.0)).collect()
    }
}

/// The mean of several, as JSON.
pub fn mean(all: &[BTreeMap<&'static str, f64>]) -> Value {
    let names = all.iter().flat_map(BTreeMap::keys);
    let mean = |name| all.iter().filter_map(|one| one.get(name)).sum::<f64>() / all.len() as f64;
    let means: BTreeMap<_, _> = names.map(|name| (*name, (mean(name) * 10.0).round() / 10.0)).collect();
    json!(means)
}

/// utime and stime, behind a name that may hold anything.
fn of_process(stat: &str) -> u64 {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * TICK
}

/// All but idle and waiting for a disk.
fn busy(stat: &str) -> u64 {
    let line = stat.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).map(|ticks| ticks.parse::<u64>().unwrap_or(0));
    ticks.take(8).enumerate().filter(|(index, _)| !matches!(index, 3 | 4)).map(|(_, ticks)| ticks).sum::<u64>() * TICK
}
