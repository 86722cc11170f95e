//! Connections that cost by their number: floods from one address and from hundreds, connections that stand
//! still, connections that say a byte now and then, clients that stop reading.

use crate::scene::{Reach, Scene, few_or_many};
use anyhow::ensure;
use serde_json::Value;
use std::time::Duration;
use wrd_tests::machine::Machine;
use wrd_tests::processes::field;
use wrd_tests::runner::Test;
use wrd_tests::{expect_eq, server};

pub const TESTS: &[Test] = &[
    ("a_flood_from_one_source", a_flood_from_one_source),
    ("a_flood_from_many_sources", a_flood_from_many_sources),
    ("half_open_connections_of_many_sources", half_open_connections_of_many_sources),
    ("login_screens_of_many_sources", login_screens_of_many_sources),
    ("gates_that_are_full", gates_that_are_full),
    ("a_byte_at_a_time", a_byte_at_a_time),
    ("a_client_that_reads_nothing_more", a_client_that_reads_nothing_more),
];

fn a_flood_from_one_source(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 1, Reach::Before)?;
    for talk in [false, true] {
        let count = few_or_many(1500, 20_000);
        let mut words = vec!["flood", "--connections", &count, "--hold", "200"];
        words.extend(talk.then_some("--talk"));
        let attack = scene.attack((1, 0), &words)?;
        scene.life_goes_on()?;
        scene.watch(attack)?;
    }
    ensure!(scene.lines("reason=flood", "rhost=198.18.2.1 ")? > 0, "nothing says that the source was not even refused");
    scene.end()
}

fn a_flood_from_many_sources(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 2, Reach::Before)?;
    for talk in [false, true] {
        let count = few_or_many(1500, 20_000);
        let mut words = vec!["flood", "--connections", &count, "--hold", "600"];
        words.extend(talk.then_some("--talk"));
        let attack = scene.attack((300, 100), &words)?;
        scene.life_goes_on()?;
        scene.watch(attack)?;
    }
    scene.end()
}

fn half_open_connections_of_many_sources(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 3, Reach::Before)?;
    let count = few_or_many(100, 300);
    for stage in ["silent", "negotiated", "half-tls", "tls", "credssp", "challenged", "joined"] {
        let words = ["stand", "--stage", stage, "--connections", &count, "--again"];
        let mut attack = scene.attack((200, 100), &words)?;
        attack.wait_standing()?;
        let largest = scene.look()?;
        scene.life_goes_on()?;
        let report = attack.stop()?;
        println!("    {stage}: {largest} kB in the largest gate, {report}");
        // Where there is no room for all of them some have made room for others.
        ensure!(number(&report, "reached") >= count.parse::<u64>()?, "few came to {stage}: {report}");
        ensure!(number(&report, "standing") >= count.parse::<u64>()? / 2, "few stood at {stage}: {report}");
        // A silent one has no gate.
        ensure!((largest > 0) == (stage != "silent"), "gates at {stage}: {largest} kB");
    }
    scene.end()
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or(0)
}

fn login_screens_of_many_sources(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 4, Reach::Screen)?;
    let count = few_or_many(60, 300);
    for manner in [None, Some("--deaf")] {
        let mut words = vec!["stand", "--stage", "active", "--connections", &count];
        words.extend(manner);
        let mut attack = scene.attack((200, 100), &words)?;
        attack.wait_standing()?;
        let largest = scene.look()?;
        scene.life_goes_on()?;
        let report = attack.stop()?;
        println!("    {largest} kB in the largest gate, {report}");
        ensure!(number(&report, "reached") >= count.parse::<u64>()? / 2, "few came to a login screen: {report}");
    }
    scene.end()
}

fn gates_that_are_full(machine: &Machine) -> anyhow::Result<()> {
    for (street, stage, reach) in [(7, "joined", Reach::Before), (8, "active", Reach::Screen)] {
        let scene = Scene::begin(machine, street, reach)?;
        let words = ["stand", "--stage", stage, "--full", "--connections", "10", "--width", "3840", "--height", "2160"];
        let mut attack = scene.attack((10, 0), &words)?;
        attack.wait_standing()?;
        let largest = scene.look()?;
        scene.life_goes_on()?;
        let report = attack.stop()?;
        println!("    {stage}: {largest} kB in the largest gate, {report}");
        ensure!(number(&report, "reached") == 10, "few came to {stage}: {report}");
        scene.end()?;
    }
    Ok(())
}

fn a_byte_at_a_time(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 5, Reach::Screen)?;
    let stages = ["silent", "negotiated", "half-tls", "tls", "credssp", "challenged", "joined", "active"];
    let words: Vec<&str> = ["trickle", "--pause-ms", "700"]
        .into_iter()
        .chain(stages.iter().flat_map(|stage| ["--stage", stage]))
        .collect();
    let attack = scene.attack((50, 0), &words)?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
    expect_eq("stages that were tried", report.as_object().map(|ends| ends.len()), Some(stages.len()))?;
    // The server ends each of them, at whatever stage, and the journal says of each that it took too long.
    for (stage, end) in report.as_object().into_iter().flatten() {
        expect_eq(stage, end.as_str(), Some("Closed"))?;
    }
    let late = scene.lines("client=198.18.10.", "too long")?;
    ensure!(late >= stages.len(), "only {late} are said to have taken too long");
    scene.end()
}

fn a_client_that_reads_nothing_more(machine: &Machine) -> anyhow::Result<()> {
    // A session whose screen changes all the time, for a client that takes none of it.
    machine.write(
        "/home/dave/.config/wrd-dm/session.toml",
        "[session]\ncommand = \"foot sh -c 'while :; do od -N 4000 /dev/urandom; sleep 0.1; done'\"\n",
    )?;
    machine.sh("chown -R dave: /home/dave/.config")?;
    let scene = Scene::begin(machine, 6, Reach::Screen)?;
    let words =
        ["stand", "--stage", "active", "--connections", "1", "--deaf", "--user", "dave", "--password", "pw-dave"];
    let mut attack = scene.attack((1, 0), &words)?;
    attack.wait_standing()?;
    server::wait_state(machine, "dave", "connected")?;
    let worker = server::worker(machine, "dave")?;
    let own = || Ok::<_, anyhow::Error>(field(&machine.sh(&format!("cat /proc/{worker}/status"))?, "RssAnon:"));
    // By now nothing goes to its client any more.
    std::thread::sleep(Duration::from_secs(5));
    let before = own()?;
    scene.life_goes_on()?;
    std::thread::sleep(Duration::from_secs(10));
    let (after, gate) = (own()?, scene.look()?);
    let report = attack.stop()?;
    println!("    dave's worker has grown from {before} to {after} kB, his gate has {gate} kB; {report}");
    expect_eq("connections that came to a session", number(&report, "reached"), 1)?;
    ensure!(after < before + WORKER_GROWTH, "dave's worker had {before} kB and has {after} kB");
    ensure!(gate > 0, "dave has no gate");
    machine.sh("wrdctl terminate dave; rm -r /home/dave/.config")?;
    scene.end()
}

/// What a session may keep for a client that takes nothing, in kB.
const WORKER_GROWTH: u64 = 8_000;
