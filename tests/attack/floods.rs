//! Connections that cost by their number: floods from one address and from hundreds, connections that stand
//! still, connections that say a byte now and then, clients that stop reading.

use crate::scene::{Scene, few_or_many};
use anyhow::ensure;
use wrd_tests::expect_eq;
use wrd_tests::machine::Machine;
use wrd_tests::runner::Test;

pub const TESTS: &[Test] = &[
    ("a_flood_from_one_source", a_flood_from_one_source),
    ("a_flood_from_many_sources", a_flood_from_many_sources),
    ("half_open_connections_of_many_sources", half_open_connections_of_many_sources),
    ("login_screens_of_many_sources", login_screens_of_many_sources),
    ("a_byte_at_a_time", a_byte_at_a_time),
    ("a_client_that_reads_nothing_more", a_client_that_reads_nothing_more),
];

fn a_flood_from_one_source(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 1)?;
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
    let scene = Scene::begin(machine, 2)?;
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
    let scene = Scene::begin(machine, 3)?;
    let count = few_or_many(100, 300);
    for stage in ["silent", "negotiated", "half-tls", "tls", "joined"] {
        let words = ["stand", "--stage", stage, "--connections", &count, "--again"];
        let mut attack = scene.attack((200, 100), &words)?;
        attack.wait_standing()?;
        scene.life_goes_on()?;
        attack.stop()?;
    }
    scene.end()
}

fn login_screens_of_many_sources(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 4)?;
    let count = few_or_many(60, 300);
    for manner in [None, Some("--deaf")] {
        let mut words = vec!["stand", "--stage", "active", "--connections", &count];
        words.extend(manner);
        let mut attack = scene.attack((200, 100), &words)?;
        attack.wait_standing()?;
        scene.life_goes_on()?;
        let report = attack.stop()?;
        ensure!(report["reached"].as_u64() > Some(0), "nobody came to a login screen: {report}");
    }
    scene.end()
}

fn a_byte_at_a_time(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 5)?;
    let stages = ["silent", "negotiated", "half-tls", "tls", "joined", "active"];
    let words: Vec<&str> = ["trickle", "--pause-ms", "700"]
        .into_iter()
        .chain(stages.iter().flat_map(|stage| ["--stage", stage]))
        .collect();
    let attack = scene.attack((50, 0), &words)?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
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
    let scene = Scene::begin(machine, 6)?;
    let words =
        ["stand", "--stage", "active", "--connections", "1", "--deaf", "--user", "dave", "--password", "pw-dave"];
    let mut attack = scene.attack((1, 0), &words)?;
    attack.wait_standing()?;
    scene.life_goes_on()?;
    attack.stop()?;
    machine.sh("wrdctl terminate dave; rm -r /home/dave/.config")?;
    scene.end()
}
