//! How the units are hardened, in systemd's own words.

use anyhow::{Context, ensure};
use wrd_tests::machine::{Machine, tree};
use wrd_tests::runner::Test;
use wrd_tests::{expect_eq, expect_in};

pub const TESTS: &[Test] = &[
    ("systemd_finds_the_service_well_confined", systemd_finds_the_service_well_confined),
    ("what_stays_open_is_explained", what_stays_open_is_explained),
    ("systemd_understands_every_unit", systemd_understands_every_unit),
];

/// Of ten, which is a service without any of it.
const MOST_EXPOSED: f32 = 2.0;

/// What systemd says of a unit as it is loaded.
fn security(machine: &Machine, unit: &str) -> anyhow::Result<String> {
    machine.sh(&format!("systemd-analyze security --no-pager --offline=false {unit}"))
}

fn systemd_finds_the_service_well_confined(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("systemctl start wrd-dm.service")?;
    let table = security(machine, "wrd-dm.service")?;
    println!("{table}");
    let last = table.lines().find(|line| line.contains("Overall exposure level")).context("no overall level")?;
    let level = last.rsplit_once(": ").and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_default();
    let level: f32 = level.parse().with_context(|| format!("{last:?}"))?;
    ensure!(level <= MOST_EXPOSED, "{last}");
    // For people only: what is open there is open for the desktop's sake.
    println!("{}", security(machine, "wrd-leader.service")?);
    Ok(())
}

fn what_stays_open_is_explained(machine: &Machine) -> anyhow::Result<()> {
    let document = std::fs::read_to_string(tree().join("docs/security-model.md"))?;
    for (unit, heading) in [("wrd-dm.service", "The monitor's unit"), ("wrd-leader.service", "The leader's unit")] {
        let (_, section) = document.split_once(&format!("\n## {heading}\n")).with_context(|| heading.to_owned())?;
        let section = section.split("\n## ").next().unwrap_or_default();
        let explained = explained(section).with_context(|| format!("no table of what stays open in {heading:?}"))?;
        let table = security(machine, unit)?;
        let open = settings(&table, |mark| mark == '✗');
        let closed = settings(&table, |mark| mark == '✓');
        ensure!(!open.is_empty(), "nothing of {unit} is open, which cannot be:\n{table}");
        println!("    {unit}: {}", open.join(" "));
        // One row may be about all the lines of a setting.
        let is_about = |name: &str, line: &str| line.starts_with(name);
        let missing: Vec<&str> =
            open.iter().copied().filter(|line| !explained.iter().any(|name| is_about(name, line))).collect();
        expect_eq(&format!("what is open in {unit} and not explained"), missing, Vec::new())?;
        let is_shut = |name: &&str| {
            !open.iter().any(|line| is_about(name, line)) && closed.iter().any(|line| is_about(name, line))
        };
        let stale: Vec<&str> = explained.iter().map(String::as_str).filter(is_shut).collect();
        expect_eq(&format!("what is explained and not open in {unit}"), stale, Vec::new())?;
    }
    Ok(())
}

/// The settings that systemd has marked so. Some lines are about two, `User=/DynamicUser=`.
fn settings(table: &str, marked: impl Fn(char) -> bool) -> Vec<&str> {
    let lines = table.lines().filter(|line| line.starts_with(&marked));
    lines.filter_map(|line| line.split_whitespace().nth(1)).flat_map(|names| names.split('/')).collect()
}

/// The settings in the first column of a section's table of what stays open, which is its last table.
fn explained(section: &str) -> Option<Vec<String>> {
    let (_, table) = section.rsplit_once("|---|---|\n")?;
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let mut names = Vec::new();
    for row in rows {
        // A bar within a table is written with a backslash.
        let end = row.match_indices('|').map(|(at, _)| at).skip(1).find(|at| !row[..*at].ends_with('\\'))?;
        names.extend(row[..end].split('`').skip(1).step_by(2).map(|name| name.replace("\\|", "|")));
    }
    Some(names)
}

fn systemd_understands_every_unit(machine: &Machine) -> anyhow::Result<()> {
    let units = machine.sh("ls /usr/local/lib/systemd/system/wrd-*")?;
    for source in std::fs::read_dir(tree().join("units"))? {
        let name = source?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".service") || name.ends_with(".socket") {
            expect_in("what is installed", &format!("/{name}"), &units)?;
        }
    }
    for unit in units.lines() {
        // The machine has no `man` to look for pages with.
        let output = machine.try_sh(&format!("systemd-analyze verify --man=no {unit} 2>&1"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success() && said.is_empty(), "{unit}: {said}");
        let text = machine.sh(&format!("cat {unit}"))?;
        let pages = text.lines().filter_map(|line| line.strip_prefix("Documentation=")).flat_map(str::split_whitespace);
        for page in pages {
            let file = page.trim_start_matches("man:").replace('(', ".").replace(')', ".scd");
            ensure!(tree().join("man").join(&file).exists(), "{unit} names {page}, which we do not have");
        }
    }
    Ok(())
}
