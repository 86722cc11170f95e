//! Bytes that no client says, at every stage, before and within TLS. Each connection says its last word, and
//! then the server must end it: none may hang, none may take the gate down, none may make it large.

use crate::scene::{Reach, Scene, few_or_many, long};
use anyhow::{Context, ensure};
use serde_json::Value;
use wrd_tests::expect_eq;
use wrd_tests::machine::Machine;
use wrd_tests::runner::Test;

pub const TESTS: &[Test] = &[
    ("hostile_lengths", hostile_lengths),
    ("recursive_and_empty_structures", recursive_and_empty_structures),
    ("hostile_credentials_behind_a_right_proof", hostile_credentials_behind_a_right_proof),
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

/// Whoever has a password is no friend yet. Carol's and dave's are proven, and no more than the login screen is had of it.
fn hostile_credentials_behind_a_right_proof(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("for user in carol dave; do echo pw-$user | wrdctl enroll $user; done")?;
    let mark = machine.mark()?;
    let words = ["sealed", "--proven", "carol:pw-carol", "--tried", "dave:pw-dave"];
    let report = every_case_ends(machine, 14, &words, Reach::Screen)?;
    let enrolled = machine.sh("wrdctl enrolled")?;
    machine.try_sh("for user in carol dave; do wrdctl forget $user; done")?;

    let names: Vec<&str> = report["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let wanted = || SEALED.iter().flat_map(|some| some.split(' '));
    let missing: Vec<_> = wanted().filter(|name| !names.contains(name)).collect();
    let others: Vec<_> = names.iter().filter(|name| !wanted().any(|wanted| wanted == **name)).collect();
    ensure!(missing.is_empty() && others.is_empty(), "missing: {missing:?}; not listed: {others:?}");
    // To a wrong hash the server shows none of its own, and to wrong credentials it says nothing.
    let answered: Vec<&str> = report["answered"].as_object().into_iter().flatten().map(|(name, _)| &**name).collect();
    expect_eq("attacks that were answered", answered, ANSWERED.to_vec())
        .with_context(|| report["answered"].to_string())?;
    // None of it says that a password is wrong which was proven.
    ensure!(["carol", "dave"].iter().all(|user| enrolled.contains(user)), "enrolled are: {enrolled}");

    let journal = machine.journal(&mark)?;
    let from = "[198.18.28.";
    for user in ["carol", "dave"] {
        let said = format!("user={user:?}");
        ensure!(lines(&journal, &["proven by NLA", &said]) > 0, "{user} has proven nothing");
        expect_eq(user, lines(&journal, &["logged in;", &said]), 0)?;
    }
    ensure!(lines(&journal, &["authentication failure; rhost=", "user=\"dave\""]) > 1, "PAM was not asked: {journal}");
    expect_eq("wrong proofs", lines(&journal, &["NLA: wrong password", from]), 0)?;
    for secret in ["pw-carol", "pw-dave", "canary-in-credentials"] {
        ensure!(!journal.contains(secret), "{secret} is in the journal");
    }
    Ok(())
}

/// How many lines have all of these.
fn lines(journal: &str, parts: &[&str]) -> usize {
    journal.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count()
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

/// What is sealed behind a right proof, and hostile; of most of them there are several.
const SEALED: &[&str] = &[
    "hash-of-another-key hash-of-the-server hash-with-another-nonce hash-without-nonce nonce-of-0 nonce-of-31 nonce-of-33",
    "hash-of-0 hash-of-31 hash-of-33 hash-of-12k hash-of-60k sealed-hash-of-0 sealed-hash-of-15 sealed-hash-of-16",
    "hash-not-sealed hash-badly-signed hash-badly-sealed hash-as-second-message hash-of-another-connection",
    "credentials-for-a-hash nothing-for-a-hash hash-again hash-for-credentials a-token-again silence half-a-request",
    "credentials-badly-signed credentials-badly-sealed credentials-cut credentials-of-another-version",
    "credentials-as-first-message credentials-as-third-message credentials-after-one-that-is-lost credentials-not-sealed",
    "credentials-of-nothing sealed-credentials-of-0 sealed-credentials-of-15 sealed-credentials-of-16 credentials-of-60k",
    "credentials-of-another-connection no-credentials credentials-twice credentials-and-on",
    "kind domain user password trailing nested garbage hash-inside",
    "length-of-credentials length-of-kind-field length-of-kind length-of-inner-field length-of-inner",
    "length-of-password-creds length-of-domain-field length-of-domain length-of-user-field length-of-user",
    "length-of-password-field length-of-password",
    "nothing-delegated another-user password-with-nul",
];

/// Those among them whose credentials are well formed, so that the connection goes on.
const ANSWERED: &[&str] = &[
    "another-user Raw",
    "credentials-and-on Raw",
    "credentials-twice Raw",
    "nothing-delegated Raw",
    "password-with-nul Raw",
];
