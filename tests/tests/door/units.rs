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
    // A bar within a table is written so.
    let document = document.replace("\\|", "|");
    let (_, explained) = document.split_once("that stay open").context("no list of what stays open")?;
    let explained = explained.split("\n## ").next().unwrap_or_default();
    let table = security(machine, "wrd-dm.service")?;
    let open: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix('✗')).collect();
    ensure!(!open.is_empty(), "nothing is open, which cannot be:\n{table}");
    println!("{}", open.join("\n"));
    // Some lines are about two settings, `User=/DynamicUser=`.
    let settings = open.iter().filter_map(|line| line.split_whitespace().next()).flat_map(|name| name.split('/'));
    let missing: Vec<&str> = settings.filter(|name| !explained.contains(&format!("`{name}`"))).collect();
    expect_eq("what docs/security-model.md does not explain", missing, Vec::new())
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
