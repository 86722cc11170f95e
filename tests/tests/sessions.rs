//! Which session a login starts: what is installed, what was chosen, what is remembered. In a booted Debian 13; where
//! the login screen is not what is tested, the rogue of `tests/attacker` chooses in its place.

use anyhow::{Context, ensure};
use std::process::ExitCode;
use std::time::Duration;
use wrd_tests::client::{Client, DESKTOP, Options};
use wrd_tests::machine::{Init, Machine};
use wrd_tests::rogue::Rogue;
use wrd_tests::runner::Plan;
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, runner, server};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Systemd, prepare, restore },
        &[
            ("what_is_installed_is_offered", what_is_installed_is_offered),
            ("a_choice_is_started_and_remembered", a_choice_is_started_and_remembered),
            ("a_session_that_is_there_stays_what_it_is", a_session_that_is_there_stays_what_it_is),
            ("the_program_s_end_logs_out", the_program_s_end_logs_out),
            ("a_session_that_is_gone_is_said", a_session_that_is_gone_is_said),
            ("a_session_that_fails_at_once_is_said_and_forgotten", a_session_that_fails_at_once_is_said_and_forgotten),
            ("a_path_is_no_session", a_path_is_no_session),
        ],
    )
}

const SESSIONS: &str = "/usr/share/wayland-sessions";
/// Where the choice of alice, the first user there is, is kept.
const MEMORY: &str = "/var/lib/wrd-dm/last-session/1000";
/// What the session "test" leaves when it starts.
const RAN: &str = "/home/alice/ran";

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    server::prepare_exempt(machine)?;
    machine.sh("systemctl restart wrd-dm.service")?;
    let program = "/usr/local/bin/test-session";
    machine
        .write(program, &format!("#!/bin/sh\n(env; printf 'argument %s\\n' \"$@\") >{RAN}\nexec foot --maximized\n"))?;
    machine.sh(&format!("chmod 0755 {program}"))?;
    for (id, keys) in [
        ("test", "Name=Test session\nName[de]=Probe\nExec=test-session \"one word\" %U\nDesktopNames=Test;wlroots;"),
        ("failing", "Name=Failing\nExec=/bin/false"),
        ("hidden", "Name=Hidden\nExec=test-session\nNoDisplay=true"),
        ("gone", "Name=Gone\nExec=test-session\nTryExec=/opt/no/such-desktop"),
        ("broken", "Name=Broken\nExec=test-session \"open"),
    ] {
        install(machine, id, keys)?;
    }
    Ok(())
}

/// Back to where `prepare` was.
fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.sh(&format!("rm -rf {RAN} {MEMORY} /tmp/evil*"))?;
    server::restore(machine)
}

fn install(machine: &Machine, id: &str, keys: &str) -> anyhow::Result<()> {
    machine.write(&format!("{SESSIONS}/{id}.desktop"), &format!("[Desktop Entry]\nType=Application\n{keys}\n"))
}

fn remember(machine: &Machine, id: &str) -> anyhow::Result<()> {
    machine.sh("install -d -m 0700 /var/lib/wrd-dm/last-session")?;
    machine.write(MEMORY, &format!("{id}\n"))
}

/// Has alice log in by a gate that chooses, and go away again.
fn choose(rogue: &Rogue<'_>, session: &str) -> anyhow::Result<()> {
    let told = rogue.play(&format!("linked/nothing alice pw-alice {session}"))?;
    ensure!(told.last().is_some_and(|last| last == "asked"), "{told:?}");
    Ok(())
}

/// What the session "test" has found, once it has started.
fn ran(machine: &Machine) -> anyhow::Result<String> {
    let text = eventually("the session's program to run", PATIENCE, || {
        Ok(std::fs::read_to_string(machine.path(RAN)).ok().filter(|text| text.contains("argument ")))
    })?;
    machine.sh(&format!("rm {RAN}"))?;
    Ok(text)
}

/// Waits for the end of alice's session, which its leader has closed by then. Not for logind, whose manager does not
/// always notice in a container that a scope has become empty.
fn ended(machine: &Machine) -> anyhow::Result<()> {
    eventually("alice's session to be gone", PATIENCE, || {
        Ok(server::session(machine, "alice")?.is_none().then_some(()))
    })
}

fn log_out(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("wrdctl terminate alice")?;
    ended(machine)
}

/// What logind calls alice's desktop.
fn logind_desktop(machine: &Machine) -> anyhow::Result<String> {
    let session = server::session(machine, "alice")?.context("there is no session")?;
    let id = session["logind"].as_str().context("logind knows of none")?;
    Ok(server::properties(machine, id)?.remove("Desktop").unwrap_or_default())
}

fn what_is_installed_is_offered(machine: &Machine) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    let rogue = Rogue::in_place(machine)?;
    let offers = || -> anyhow::Result<Vec<String>> {
        Ok(rogue.play("start/offers")?.into_iter().filter(|line| line.starts_with("offer ")).collect())
    };
    let known = ["offer : Default desktop", "offer failing: Failing", "offer test: Test session"].map(str::to_owned);
    let foot = "offer foot: Foot alone".to_owned();
    expect_eq("what is offered", offers()?, known.to_vec())?;
    let journal = machine.journal(&mark)?;
    expect_in("the journal", "wayland-sessions/broken.desktop: its Exec has an open quote", &journal)?;
    ensure!(!journal.contains("hidden.desktop") && !journal.contains("gone.desktop"), "{journal}");
    // Read once, whoever connects.
    offers()?;
    expect_eq("lines about it", machine.journal(&mark)?.matches("broken.desktop").count(), 1)?;
    install(machine, "foot", "Name=Foot alone\nExec=foot")?;
    let with_foot = offers()?;
    machine.sh(&format!("rm {SESSIONS}/foot.desktop"))?;
    ensure!(with_foot.contains(&foot), "{with_foot:?}");
    ensure!(!offers()?.contains(&foot), "it is still offered");
    Ok(())
}

fn a_choice_is_started_and_remembered(machine: &Machine) -> anyhow::Result<()> {
    let rogue = Rogue::in_place(machine)?;
    choose(&rogue, "test")?;
    let found = ran(machine)?;
    for line in [
        "argument one word",
        "XDG_SESSION_DESKTOP=test",
        "XDG_CURRENT_DESKTOP=Test:wlroots",
        "DESKTOP_SESSION=test",
        "HOME=/home/alice",
    ] {
        ensure!(found.lines().any(|found| found == line), "no {line} in:\n{found}");
    }
    expect_in("its environment", "WAYLAND_DISPLAY=wayland-", &found)?;
    let session = server::session(machine, "alice")?.context("there is no session")?;
    expect_eq("wrdctl's desktop", session["desktop"].as_str(), Some("test"))?;
    expect_eq("logind's desktop", logind_desktop(machine)?.as_str(), "test")?;
    let memory = machine.sh(&format!("cat {MEMORY}; stat -c '%U %a' {MEMORY} $(dirname {MEMORY})"))?;
    expect_eq("what is remembered", memory.as_str(), "test\nroot 600\nroot 700")?;
    log_out(machine)?;

    // A client that chooses nothing.
    let client = Client::start(machine, Options::user("alice"))?;
    expect_in("its environment", "DESKTOP_SESSION=test", &ran(machine)?)?;
    client.settle()?;
    client.shot("session-remembered");
    expect_eq("logind's desktop", logind_desktop(machine)?.as_str(), "test")?;
    drop(client);
    log_out(machine)?;

    choose(&rogue, "-")?;
    log_out(machine)?;
    ensure!(!machine.path(MEMORY).exists(), "the choice is not forgotten");
    let client = Client::login(machine, Options::user("alice"))?;
    ensure!(!machine.path(RAN).exists(), "the session was started after all");
    expect_eq("logind's desktop", logind_desktop(machine)?.as_str(), "wrd")?;
    drop(client);
    server::clear(machine)
}

fn a_session_that_is_there_stays_what_it_is(machine: &Machine) -> anyhow::Result<()> {
    let rogue = Rogue::in_place(machine)?;
    choose(&rogue, "-")?;
    let worker = server::worker(machine, "alice")?;
    choose(&rogue, "test")?;
    expect_eq("the worker", server::worker(machine, "alice")?, worker)?;
    let _client = Client::login(machine, Options::user("alice"))?;
    ensure!(!machine.path(RAN).exists() && !machine.path(MEMORY).exists(), "the choice had an effect");
    server::clear(machine)
}

fn the_program_s_end_logs_out(machine: &Machine) -> anyhow::Result<()> {
    remember(machine, "test")?;
    let mut client = Client::start(machine, Options::user("alice"))?;
    ran(machine)?;
    std::thread::sleep(Duration::from_secs(4));
    machine.sh("pkill -u alice -x foot")?;
    client.wait_exit()?;
    ended(machine)?;
    ensure!(machine.path(MEMORY).exists(), "a session that has worked is forgotten");
    machine.sh(&format!("rm {MEMORY}")).map(drop)
}

fn a_session_that_is_gone_is_said(machine: &Machine) -> anyhow::Result<()> {
    for (id, why) in [("never-was", "it is not installed"), ("gone", "its program is not installed")] {
        remember(machine, id)?;
        let mark = machine.mark()?;
        let client = Client::login(machine, Options::user("alice"))?;
        client.settle()?;
        client.shot(&format!("session-{id}"));
        machine.wait_journal(&mark, "ignoring the session that was chosen")?;
        expect_in("the journal", why, &machine.journal(&mark)?)?;
        ensure!(!machine.path(MEMORY).exists(), "it is not forgotten");
        drop(client);
        server::clear(machine)?;
    }
    // The same where it was chosen just now.
    let mark = machine.mark()?;
    choose(&Rogue::in_place(machine)?, "never-was")?;
    machine.wait_journal(&mark, "ignoring the session that was chosen")?;
    let _client = Client::login(machine, Options::user("alice"))?;
    server::clear(machine)
}

fn a_session_that_fails_at_once_is_said_and_forgotten(machine: &Machine) -> anyhow::Result<()> {
    remember(machine, "failing")?;
    let mark = machine.mark()?;
    let mut client = Client::start(machine, Options::user("alice"))?;
    machine.wait_journal(&mark, "the session's command has failed")?;
    client.wait_for_screen("the reason", |screen| (0.5..0.9).contains(&screen.share_of(DESKTOP)))?;
    client.settle()?;
    client.shot("session-failing");
    client.key("Return")?;
    client.wait_exit()?;
    ended(machine)?;
    drop(client);
    let _client = Client::login(machine, Options::user("alice"))?;
    ensure!(!machine.path(MEMORY).exists(), "it is not forgotten");
    server::clear(machine)
}

/// Neither what a gate names nor what is remembered leads anywhere but into the folders.
fn a_path_is_no_session(machine: &Machine) -> anyhow::Result<()> {
    machine.write("/tmp/evil.desktop", "[Desktop Entry]\nName=Evil\nExec=touch /tmp/evil-ran\n")?;
    let mark = machine.mark()?;
    let rogue = Rogue::in_place(machine)?;
    for path in ["../../../tmp/evil", "/tmp/evil", ".evil"] {
        let told = rogue.play(&format!("linked/nothing alice pw-alice {path}"))?;
        // The monitor ends it before it can say so.
        ensure!(!told.iter().any(|line| line == "asked"), "{path}: {told:?}");
    }
    machine.wait_journal(&mark, "no session can be called")?;
    ensure!(server::session(machine, "alice")?.is_none(), "there is a session");
    drop(rogue);
    remember(machine, "../../../tmp/evil")?;
    let _client = Client::login(machine, Options::user("alice"))?;
    machine.wait_journal(&mark, "it names no session")?;
    ensure!(!machine.path("/tmp/evil-ran").exists(), "it was run");
    machine.sh(&format!("rm -rf /tmp/evil* {MEMORY}"))?;
    server::clear(machine)
}
