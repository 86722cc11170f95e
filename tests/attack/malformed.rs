//! Bytes that no client says, at every stage, before and within TLS. Each connection says its last word, and
//! then the server must end it: none may hang, none may take the gate down, none may make it large.

use crate::scene::{Reach, Scene, few_or_many, long};
use anyhow::ensure;
use serde_json::Value;
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
    let report = every_case_ends(machine, 10, &["lengths"], Reach::Screen)?;
    let attacked: Vec<&str> = report["fields"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let missing: Vec<_> =
        FIELDS.iter().flat_map(|some| some.split(' ')).filter(|name| !attacked.contains(name)).collect();
    ensure!(missing.is_empty(), "no such fields were attacked: {missing:?}; those that were: {attacked:?}");
    Ok(())
}

fn recursive_and_empty_structures(machine: &Machine) -> anyhow::Result<()> {
    every_case_ends(machine, 11, &["structures"], Reach::Screen).map(drop)
}

fn tls_that_no_client_speaks(machine: &Machine) -> anyhow::Result<()> {
    every_case_ends(machine, 12, &["tls"], Reach::Before).map(drop)
}

fn good_connections_with_flipped_bits(machine: &Machine) -> anyhow::Result<()> {
    // The same ones in every run of `make test`; others in each long run.
    let seed = if long() { u64::from(std::process::id()) << 20 } else { 1 };
    println!("    seed {seed}");
    let words = ["flips", "--connections", &few_or_many(150, 3000), "--seed", &seed.to_string()];
    every_case_ends(machine, 13, &words, Reach::Screen).map(drop)
}

/// The attacker's report of it.
fn every_case_ends(machine: &Machine, street: u8, words: &[&str], reach: Reach) -> anyhow::Result<Value> {
    let scene = Scene::begin(machine, street, reach)?;
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
    scene.end()?;
    Ok(report)
}

/// The length fields of what a client of this server can say before it is somebody's. The attacker looks for them in what
/// a client of ours says: one that it no longer finds is missed here.
const FIELDS: &[&str] = &[
    "tpkt x224 negotiation",
    "credssp-der spnego-der",
    "ntlm-lm-length ntlm-nt-length ntlm-domain-length ntlm-user-length ntlm-workstation-length ntlm-key-length",
    "ntlm-lm-offset ntlm-nt-offset ntlm-domain-offset ntlm-user-offset ntlm-workstation-offset ntlm-key-offset",
    "ntlm-lm-max-length ntlm-nt-max-length ntlm-domain-max-length ntlm-user-max-length ntlm-workstation-max-length",
    "ntlm-key-max-length ntlm-pair",
    "ber mcs-data channel-count gcc-connect gcc-user-data gcc-block-c001 gcc-block-c002 gcc-block-c003 gcc-block-c006",
    "info-domain info-user info-password info-shell info-folder info-address info-client-folder info-cookie",
    "cookie-packet share-control source-descriptor combined-capabilities capability-count",
    "capability-1 capability-2 capability-3 capability-4 capability-8 capability-12 capability-13 capability-15",
    "capability-16 capability-17 capability-20 capability-26 capability-27",
    "share-data-plain share-data-packed input-events",
    "fast-path fast-path-count fast-path-signed chunk dynamic-first",
];
