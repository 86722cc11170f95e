//! What a connection costs before anybody is logged in: its gate, and what the monitor remembers of it.

use crate::processes::monitor;
use crate::report::rounded;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wrd_tests::machine::{Build, Machine};
use wrd_tests::processes::{descriptors, field, ours};
use wrd_tests::strangers::{Attack, Street};
use wrd_tests::{eventually, server};

/// How many stand at each stage: fewer than from when on somebody has to go (`startups`, `login_screens`).
const GATES: usize = 20;
/// All silent ones are kept, up to 1024, and each costs so little that it takes many to see it.
const SILENT: usize = 500;
/// By then the login screen is drawn, sent, and at rest.
const DRAWN: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(30);
/// The addresses that no other part uses.
const STREET: Street = Street(1);

/// Where connections stand, and how large the client's screen is; of those that are full the gate holds for its client
/// as much as it does for any.
const STAGES: &[(&str, &[&str])] = &[
    ("negotiated", &["--stage", "negotiated"]),
    ("tls", &["--stage", "tls"]),
    ("credssp", &["--stage", "credssp"]),
    ("challenged", &["--stage", "challenged"]),
    ("joined", &["--stage", "joined"]),
    ("joined_full", &["--stage", "joined", "--full"]),
    ("login_screen_1024x768", &["--stage", "active", "--width", "1024", "--height", "768"]),
    ("login_screen_3840x2160", &["--stage", "active", "--width", "3840", "--height", "2160"]),
    ("login_screen_3840x2160_full", &["--stage", "active", "--width", "3840", "--height", "2160", "--full"]),
];

/// Memory in kB for each connection, by how far it has come.
pub fn memory(machine: &Machine) -> anyhow::Result<Value> {
    server::clear(machine)?;
    let mut report = json!({ "silent": silent(machine).context("silent")? });
    for (name, stage) in STAGES {
        eprintln!("bench: memory of a connection, {name}");
        report[*name] = at_gates(machine, stage).context(*name)?;
    }
    Ok(json!({ "pre_login_kb": report }))
}

fn silent(machine: &Machine) -> anyhow::Result<Value> {
    let monitor = fresh_monitor(machine, &["--stage", "silent"])?;
    let (before, open) = (Size::of(&monitor)?, descriptors(&monitor)?);
    let attack = stand(machine, SILENT, &["--stage", "silent"])?;
    eventually("silent connections to be accepted", Duration::from_secs(9), || {
        Ok((descriptors(&monitor)? >= open + SILENT).then_some(()))
    })?;
    let growth = Size::of(&monitor)?.growth(&before, SILENT);
    attack.stop()?;
    Ok(json!({ "connections": SILENT, "monitor_growth": growth }))
}

fn at_gates(machine: &Machine, stage: &[&str]) -> anyhow::Result<Value> {
    let monitor = fresh_monitor(machine, stage)?;
    let before = Size::of(&monitor)?;
    let attack = stand(machine, GATES, stage)?;
    std::thread::sleep(DRAWN);
    let growth = Size::of(&monitor)?.growth(&before, GATES);
    let sizes = gates(machine)?.iter().map(|gate| Size::of(gate)).collect::<anyhow::Result<Vec<_>>>()?;
    let report = attack.stop()?;
    ensure!(sizes.len() == GATES && report["standing"] == GATES, "{} gates, {report}", sizes.len());
    no_gates(machine)?;
    let each = |size: fn(&Size) -> u64| {
        let mut all: Vec<u64> = sizes.iter().map(size).collect();
        all.sort_unstable();
        json!({ "p50": all.get(GATES / 2), "max": all.last() })
    };
    Ok(json!({
        "connections": GATES,
        "gate_own": each(|size| size.own),
        "gate_pss": each(|size| size.pss),
        "gate_peak_rss": each(|size| size.peak),
        "monitor_growth": growth,
    }))
}

/// A monitor that has nothing left over from others to reuse, and has seen one such connection.
fn fresh_monitor(machine: &Machine, stage: &[&str]) -> anyhow::Result<PathBuf> {
    machine.sh("systemctl restart wrd-dm.service")?;
    stand(machine, 1, stage)?.stop()?;
    no_gates(machine)?;
    monitor(machine)
}

/// Connections that stand, each from an address of its own as far as there are any.
fn stand(machine: &Machine, count: usize, stage: &[&str]) -> anyhow::Result<Attack> {
    let number = count.to_string();
    let words = [&["stand", "--connections", &number], stage].concat();
    let mut attack = Attack::start(machine, Build::Release, &[STREET.four(count.min(500))], &words)?;
    attack.wait_standing()?;
    Ok(attack)
}

fn gates(machine: &Machine) -> anyhow::Result<Vec<PathBuf>> {
    Ok(ours(machine)?.into_iter().filter(|(name, _)| name == "wrd-gate").map(|(_, path)| path).collect())
}

fn no_gates(machine: &Machine) -> anyhow::Result<()> {
    eventually("the gates to end", PATIENCE, || Ok(gates(machine)?.is_empty().then_some(())))
}

/// Memory of a process in kB.
struct Size {
    /// RssAnon.
    own: u64,
    /// With its share of what it has in common with others.
    pss: u64,
    /// The most that it ever had in memory, whoever had it too.
    peak: u64,
}

impl Size {
    fn of(process: &Path) -> anyhow::Result<Self> {
        let status = fs::read_to_string(process.join("status"))?;
        let rollup = fs::read_to_string(process.join("smaps_rollup"))?;
        Ok(Self { own: field(&status, "RssAnon:"), pss: field(&rollup, "Pss:"), peak: field(&status, "VmHWM:") })
    }

    /// For each of `count`.
    fn growth(&self, before: &Self, count: usize) -> f64 {
        rounded(self.own.saturating_sub(before.own) as f64 / count as f64)
    }
}
