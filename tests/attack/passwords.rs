//! Guessing.

use crate::scene::{Scene, few_or_many};
use anyhow::ensure;
use wrd_tests::expect_eq;
use wrd_tests::machine::Machine;
use wrd_tests::runner::Test;

pub const TESTS: &[Test] = &[
    ("wrong_passwords_from_one_source", wrong_passwords_from_one_source),
    ("wrong_passwords_from_many_sources", wrong_passwords_from_many_sources),
    ("wrong_passwords_from_an_exempt_source", wrong_passwords_from_an_exempt_source),
    ("wrong_passwords_on_one_login_screen", wrong_passwords_on_one_login_screen),
];

/// What each denied login is told as; see fail2ban/wrd-dm.conf.
const DENIED: &str = "authentication failure; rhost=198.18.";

fn wrong_passwords_from_one_source(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 20)?;
    let attack = scene.attack((1, 0), &["passwords", "--attempts", &few_or_many(60, 1000), "--user", "carol"])?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
    // A few are judged, then the source has a bad name: nobody looks at what it says any more. Whoever does not
    // wait for the answer is judged all the same.
    let judged = report["judged"].as_u64().unwrap_or(0);
    println!("    {report}");
    ensure!((1..40).contains(&judged), "{report}");
    scene.no_login_is_left()?;
    let denied = scene.lines(DENIED, "rhost=198.18.40.1 ")?;
    ensure!((1..40).contains(&denied), "{denied} logins of one source were denied");
    let again = scene.watch(scene.attack((1, 0), &["passwords", "--attempts", "5", "--user", "carol"])?)?;
    expect_eq("guesses that are judged from then on", again["judged"].as_u64(), Some(0))?;
    scene.end()
}

fn wrong_passwords_from_many_sources(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 21)?;
    let attack = scene.attack((250, 50), &["passwords", "--attempts", &few_or_many(40, 1000), "--user", "carol"])?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
    println!("    {report}");
    ensure!(report["judged"].as_u64() > Some(0), "{report}");
    scene.end()
}

fn wrong_passwords_from_an_exempt_source(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 22)?;
    let attempts = few_or_many(30, 1000);
    let attack = scene.attack((1, 0), &["passwords", "--attempts", &attempts, "--user", "carol"])?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
    println!("    {report}");
    // Nobody is turned away.
    expect_eq("attempts that were judged", &report["judged"].to_string(), &attempts)?;
    expect_eq("attempts that were refused", report["refused"].as_u64(), Some(0))?;
    scene.no_login_is_left()?;
    // Each that PAM was asked about is denied and told, whether its client waited for that or not. A client that is
    // gone before its leader has begun, which on a busy machine takes its time, has learnt nothing and is not tried.
    let denied = scene.lines(DENIED, "rhost=198.18.44.1 ")?;
    let tried = scene.lines("login denied", "client=198.18.44.1] ")?;
    println!("    {denied} of {attempts} were tried");
    expect_eq("wrong passwords that were denied", denied, tried)?;
    ensure!(denied * 2 > attempts.parse()?, "only {denied} of {attempts} wrong passwords were tried");
    scene.end()
}

fn wrong_passwords_on_one_login_screen(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 23)?;
    let attack = scene.attack((1, 0), &["passwords", "--attempts", "200", "--user", "carol", "--typed"])?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
    println!("    {report}");
    // The server itself counts, and ends a connection that guesses on and on.
    let denied = scene.lines(DENIED, "rhost=198.18.46.1 ")?;
    ensure!((1..20).contains(&denied), "{denied} guesses on one login screen were judged");
    scene.end()
}
