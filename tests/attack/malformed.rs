//! Bytes that no client says, at every stage, before and within TLS. Each connection says its last word, and
//! then the server must end it: none may hang, none may take the gate down, none may make it large.

use crate::scene::{Scene, few_or_many, long};
use anyhow::ensure;
use wrd_tests::expect_eq;
use wrd_tests::machine::Machine;
use wrd_tests::runner::Test;

pub const TESTS: &[Test] = &[
    ("hostile_lengths", hostile_lengths),
    ("recursive_and_empty_structures", recursive_and_empty_structures),
    ("tls_that_no_client_speaks", tls_that_no_client_speaks),
    ("good_connections_with_flipped_bits", good_connections_with_flipped_bits),
];

fn hostile_lengths(machine: &Machine) -> anyhow::Result<()> {
    every_case_ends(machine, 10, &["lengths"])
}

fn recursive_and_empty_structures(machine: &Machine) -> anyhow::Result<()> {
    every_case_ends(machine, 11, &["structures"])
}

fn tls_that_no_client_speaks(machine: &Machine) -> anyhow::Result<()> {
    every_case_ends(machine, 12, &["tls"])
}

fn good_connections_with_flipped_bits(machine: &Machine) -> anyhow::Result<()> {
    // The same ones in every run of `make test`; others in each long run.
    let seed = if long() { u64::from(std::process::id()) << 20 } else { 1 };
    println!("    seed {seed}");
    every_case_ends(machine, 13, &["flips", "--connections", &few_or_many(150, 3000), "--seed", &seed.to_string()])
}

fn every_case_ends(machine: &Machine, street: u8, words: &[&str]) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, street)?;
    // As many addresses as it takes for none to have a bad name by the time it comes again.
    let attack = scene.attack((500, 200), words)?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
    println!("    {} cases", report["cases"]);
    expect_eq("connections that were left open", report["open"].as_array().map(Vec::len), Some(0))
        .map_err(|error| error.context(report["open"].to_string()))?;
    expect_eq("attacks that were not reached", report["not_reached"].as_array().map(Vec::len), Some(0))
        .map_err(|error| error.context(report["not_reached"].to_string()))?;
    let told = scene.lines("connection given up", &format!("client=198.18.{}.", 2 * street))?;
    ensure!(told > 0, "the journal knows nothing of these connections");
    scene.end()
}
