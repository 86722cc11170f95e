//! What our processes in a machine cost: memory, processor time, wake-ups, and bytes on the wire.

use anyhow::Context;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use wrd_tests::machine::Machine;
use wrd_tests::processes::{field, ours};

/// `/proc/PID` of the monitor.
pub fn monitor(machine: &Machine) -> anyhow::Result<PathBuf> {
    let monitor = ours(machine)?.into_iter().find(|(name, _)| name == "wrd-dm");
    Ok(monitor.context("there is no monitor")?.1)
}

/// Proportional set size by program, in kB, and of all but the monitor.
pub fn memory(machine: &Machine) -> anyhow::Result<Value> {
    let mut sizes = BTreeMap::<String, u64>::new();
    for (name, path) in ours(machine)? {
        let rollup = fs::read_to_string(path.join("smaps_rollup"))?;
        *sizes.entry(name).or_default() += field(&rollup, "Pss:");
    }
    let session: u64 = sizes.iter().filter(|(name, _)| *name != "wrd-dm").map(|(_, size)| size).sum();
    let mut report = json!(sizes);
    report["worker+gate+leader"] = json!(session);
    Ok(report)
}

/// Counters at one moment.
pub struct Activity {
    /// Processor time in ns and voluntary context switches by program.
    programs: BTreeMap<String, (u64, u64)>,
    wire: u64,
}

pub fn activity(machine: &Machine) -> anyhow::Result<Activity> {
    let mut programs = BTreeMap::<String, (u64, u64)>::new();
    for (name, path) in ours(machine)? {
        for thread in fs::read_dir(path.join("task"))? {
            let thread = thread?.path();
            let schedule = fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
            let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
            let total = programs.entry(name.clone()).or_default();
            total.0 += schedule.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
            total.1 += field(&status, "voluntary_ctxt_switches:");
        }
    }
    Ok(Activity { programs, wire: loopback(&PathBuf::from(format!("/proc/{}", machine.init())))? })
}

impl Activity {
    pub fn since(&self, before: &Self, seconds: u64) -> Value {
        let programs: BTreeMap<&String, Value> = self
            .programs
            .iter()
            .map(|(name, now)| {
                let then = before.programs.get(name).copied().unwrap_or_default();
                let cpu_ms = (now.0.saturating_sub(then.0)) as f64 / 1e6;
                let costs =
                    json!({ "cpu_ms": (cpu_ms * 10.0).round() / 10.0, "wakeups": now.1.saturating_sub(then.1) });
                (name, costs)
            })
            .collect();
        json!({ "seconds": seconds, "bytes_on_loopback": self.wire.saturating_sub(before.wire), "by_program": programs })
    }
}

/// Bytes that the machine's loopback has carried; its only network, on which only we speak.
fn loopback(process: &Path) -> anyhow::Result<u64> {
    let table = fs::read_to_string(process.join("net/dev"))?;
    let line = table.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    Ok(line.and_then(|line| line.split_whitespace().next()).and_then(|bytes| bytes.parse().ok()).unwrap_or(0))
}
