//! Our processes in a machine, as seen from outside.

use crate::machine::Machine;
use anyhow::Context;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const OURS: &[&str] = &["wrd-dm", "wrd-gate", "wrd-leader", "wrd-session"];

/// `/proc/PID` of each of our processes in the machine, with its name.
pub fn ours(machine: &Machine) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut found = of_machine(machine)?;
    found.retain(|(name, _)| OURS.contains(&name.as_str()));
    Ok(found)
}

/// The same of every process in the machine.
pub fn of_machine(machine: &Machine) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let namespace = fs::read_link(format!("/proc/{}/ns/pid", machine.init()))?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // A process that has just ended is none of ours any more.
        let Ok(name) = fs::read_to_string(path.join("comm")) else { continue };
        if fs::read_link(path.join("ns/pid")).is_ok_and(|ns| ns == namespace) {
            found.push((name.trim().to_owned(), path));
        }
    }
    Ok(found)
}

/// The one that the service began with.
pub fn monitor(machine: &Machine) -> anyhow::Result<PathBuf> {
    let found = ours(machine)?.into_iter().find(|(name, _)| name == "wrd-dm");
    Ok(found.context("there is no monitor")?.1)
}

/// Leaders that have not ended, but neither their listener nor what one of them forks for a moment.
pub fn leaders(machine: &Machine) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = ours(machine)?;
    found.retain(|(name, path)| name == "wrd-leader" && !is_listener(path));
    let parent = |path: &Path| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        (!status.is_empty() && !status.contains("zombie"))
            .then(|| PathBuf::from(format!("/proc/{}", field(&status, "PPid:"))))
    };
    let is_leader = |path: &PathBuf| found.iter().any(|(_, leader)| leader == path);
    let leaders = found.iter().map(|(_, path)| path);
    Ok(leaders.filter(|path| parent(path).is_some_and(|parent| !is_leader(&parent))).cloned().collect())
}

/// Whether a process is the listener of leaders, or a copy of it that has yet to become a leader.
fn is_listener(process: &Path) -> bool {
    fs::read_to_string(process.join("cmdline")).is_ok_and(|words| words.split('\0').any(|word| word == "--listen"))
}

/// How many there are of each.
pub fn count(machine: &Machine) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for (name, _) in ours(machine)? {
        *counts.entry(name).or_default() += 1;
    }
    Ok(counts)
}

/// Memory of a process that is its own, in kB; `None` if it has ended.
pub fn anonymous(process: &Path) -> Option<u64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    Some(field(&status, "RssAnon:")).filter(|size| *size > 0)
}

/// How many descriptors a process has open.
pub fn descriptors(process: &Path) -> anyhow::Result<usize> {
    Ok(fs::read_dir(process.join("fd"))?.count())
}

/// Whether a process runs no more, though its parent may not have taken note of that.
pub fn has_ended(process: &Path) -> bool {
    fs::read_to_string(process.join("status")).map_or(true, |status| status.contains("zombie"))
}

pub fn kill(process: &Path, signal: Signal) -> anyhow::Result<()> {
    Ok(signal::kill(pid_of(process)?, signal)?)
}

fn pid_of(process: &Path) -> anyhow::Result<Pid> {
    let number = process.file_name().and_then(|name| name.to_str()).context("no process")?;
    Ok(Pid::from_raw(number.parse()?))
}

/// A process that stands still until this is dropped.
pub struct Stopped(Pid);

impl Stopped {
    pub fn now(process: &Path) -> anyhow::Result<Self> {
        kill(process, Signal::SIGSTOP)?;
        Ok(Self(pid_of(process)?))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have been ended meanwhile.
        let _ = signal::kill(self.0, Signal::SIGCONT);
    }
}

/// The number behind a name at the beginning of a line.
pub fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}
