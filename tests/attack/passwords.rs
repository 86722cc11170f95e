//! Guessing.

use crate::scene::{Reach, Scene, few_or_many, long};
use anyhow::ensure;
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::Machine;
use wrd_tests::runner::Test;
use wrd_tests::{expect_eq, expect_in, server};

pub const TESTS: &[Test] = &[
    ("wrong_passwords_from_one_source", wrong_passwords_from_one_source),
    ("wrong_passwords_from_many_sources", wrong_passwords_from_many_sources),
    ("wrong_passwords_from_an_exempt_source", wrong_passwords_from_an_exempt_source),
    ("wrong_passwords_on_one_login_screen", wrong_passwords_on_one_login_screen),
    ("wrong_proofs_from_one_source", wrong_proofs_from_one_source),
    ("wrong_proofs_from_many_sources", wrong_proofs_from_many_sources),
];

/// What each denied login is told as; see fail2ban/wrd-dm.conf.
const DENIED: &str = "authentication failure; rhost=198.18.";

fn wrong_passwords_from_one_source(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 20, Reach::Screen)?;
    let guess = |attempts| scene.attack((1, 0), &["passwords", "--attempts", attempts, "--user", "carol"]);
    let attack = guess("60")?;
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
    let again = scene.watch(guess("5")?)?;
    expect_eq("guesses that are judged from then on", again["judged"].as_u64(), Some(0))?;
    if long() {
        // A bad name is forgotten, and earned again by a few guesses.
        let all = scene.watch(guess("1000")?)?;
        println!("    {all}");
        ensure!(all["judged"].as_u64() < Some(80), "{all}");
    }
    carol_logs_in(machine, Options::user("carol"))?;
    scene.end()
}

fn wrong_passwords_from_many_sources(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 21, Reach::Screen)?;
    let attack = scene.attack((250, 50), &["passwords", "--attempts", &few_or_many(40, 1000), "--user", "carol"])?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
    println!("    {report}");
    ensure!(report["judged"].as_u64() > Some(0), "{report}");
    scene.no_login_is_left()?;
    carol_logs_in(machine, Options::user("carol"))?;
    scene.end()
}

fn wrong_passwords_from_an_exempt_source(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 22, Reach::Screen)?;
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
    carol_logs_in(machine, Options::user("carol"))?;
    scene.end()
}

fn wrong_passwords_on_one_login_screen(machine: &Machine) -> anyhow::Result<()> {
    let scene = Scene::begin(machine, 23, Reach::Screen)?;
    let attack = scene.attack((1, 0), &["passwords", "--attempts", "200", "--user", "carol", "--typed"])?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
    println!("    {report}");
    // The server itself counts, and ends a connection that guesses on and on.
    let denied = scene.lines(DENIED, "rhost=198.18.46.1 ")?;
    ensure!((1..20).contains(&denied), "{denied} guesses on one login screen were judged");
    carol_logs_in(machine, Options::user("carol"))?;
    scene.end()
}

/// Whose password was guessed at has another address than who guessed, and nothing is held against her.
fn carol_logs_in(machine: &Machine, options: Options) -> anyhow::Result<()> {
    Client::login(machine, options.size(800, 600))?.disconnect()?;
    machine.sh("wrdctl terminate carol")?;
    server::wait_gone(machine, "carol")
}

/// Runs a test with NLA preferred, and those enrolled who log in.
fn with_nla(machine: &Machine, test: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let reload = |change: &str| -> anyhow::Result<()> {
        let mark = machine.mark()?;
        machine.sh(&format!("{change} && systemctl reload wrd-dm.service"))?;
        machine.wait_journal(&mark, "configuration read")
    };
    let file = "/etc/wrd-dm/wrd-dm.toml.d/nla.toml";
    reload(&format!("printf '[login]\\nsecurity = \"nla-preferred\"\\n' >{file}"))?;
    let users = ["alice", "bob", "carol"];
    let result = users
        .iter()
        .try_for_each(|user| machine.sh(&format!("echo pw-{user} | wrdctl enroll {user}")).map(drop))
        .and_then(|()| test());
    reload(&format!("rm {file}"))?;
    machine.sh(&users.map(|user| format!("wrdctl forget {user}")).join("; "))?;
    result
}

/// What the journal says of one whom NLA has not believed.
const DISPROVEN: &str = "reason=\"NLA: wrong password, or nobody is enrolled by that name\"";

/// Guesses at carol's password by NLA, from this many addresses; some are judged, and `most` of them. Then she logs in by
/// NLA herself, as others do meanwhile.
fn wrong_proofs(scene: &Scene<'_>, from: (usize, usize), attempts: &str, most: usize) -> anyhow::Result<()> {
    let attack = scene.attack(from, &["answers", "--nla", "--attempts", attempts, "--user", "carol"])?;
    scene.life_goes_on()?;
    let report = scene.watch(attack)?;
    let answered = report["carol"].as_array().map_or(0, Vec::len);
    println!("    {answered} of {attempts} were answered");
    // Of each that is answered there is a line; who does not wait has one, too.
    let told = scene.lines("user=\"carol\"", DISPROVEN)?;
    ensure!((1..=most).contains(&told) && (1..=told).contains(&answered), "{answered} answered, {told} told");
    expect_in("the enrolled", "carol", &scene.machine.sh("wrdctl enrolled")?)?;
    carol_logs_in(scene.machine, Options::user("carol").more("/sec:nla"))
}

fn wrong_proofs_from_one_source(machine: &Machine) -> anyhow::Result<()> {
    with_nla(machine, || {
        let scene = Scene::begin(machine, 24, Reach::Screen)?;
        wrong_proofs(&scene, (1, 0), &few_or_many(40, 1000), 30)?;
        scene.end()
    })
}

fn wrong_proofs_from_many_sources(machine: &Machine) -> anyhow::Result<()> {
    with_nla(machine, || {
        let scene = Scene::begin(machine, 25, Reach::Screen)?;
        let attempts = few_or_many(40, 1000);
        wrong_proofs(&scene, (250, 50), &attempts, attempts.parse()?)?;
        scene.end()
    })
}
