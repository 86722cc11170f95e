//! From the client's TCP connection to the first frame that shows the desktop.

use crate::probe::{Screen, connections, until};
use crate::processes;
use crate::report::summary;
use serde_json::{Value, json};
use std::time::Duration;
use wrd_tests::client::{Client, DESKTOP, Options};
use wrd_tests::machine::Machine;
use wrd_tests::server;

const LOGINS: usize = 7;
const RECONNECTS: usize = 9;
/// How long nothing happens, in s: long enough for the clock in the bar to tick once.
const IDLE: u64 = 65;
/// The share of the screen that must be the desktop: its first terminal may cover a good part.
const SHARE: f64 = 0.3;

pub fn options() -> Options {
    Options::user("alice").size(1920, 1080)
}

/// Whole logins, each with a new session. The first one also starts the user's systemd, and so do the
/// others: it ends with the user's last session.
pub fn logins(machine: &Machine) -> anyhow::Result<Value> {
    let mut samples = Vec::new();
    for _ in 0..LOGINS {
        samples.push(timed(machine)?.1);
        forget(machine)?;
    }
    let first = samples.first().map(|first| first.round());
    let mut report = summary(samples);
    report["first"] = json!(first);
    Ok(json!({ "login_ms": report }))
}

/// Ends the session and waits until nothing of it is left.
pub fn forget(machine: &Machine) -> anyhow::Result<()> {
    server::clear(machine)?;
    server::wait_gone(machine, "alice")?;
    std::thread::sleep(Duration::from_secs(1));
    Ok(())
}

/// Connections to a desktop that is there already; then what it costs while nothing happens.
pub fn reconnects_and_idle(machine: &Machine) -> anyhow::Result<Value> {
    // A monitor that has served nobody yet.
    machine.sh("systemctl restart wrd-dm.service; sleep 1")?;
    let empty = processes::memory(machine)?;
    let mut client = timed(machine)?.0;
    let mut samples = Vec::new();
    for _ in 0..RECONNECTS {
        // The desktop is to be at rest: its terminal is there.
        client.settle()?;
        client.disconnect()?;
        server::wait_state(machine, "alice", "disconnected")?;
        std::thread::sleep(Duration::from_millis(500));
        let (next, time) = timed(machine)?;
        samples.push(time);
        client = next;
    }
    client.settle()?;
    std::thread::sleep(Duration::from_secs(3));
    let before = processes::activity(machine)?;
    std::thread::sleep(Duration::from_secs(IDLE));
    let activity = processes::activity(machine)?.since(&before, IDLE);
    let memory = processes::memory(machine)?;
    drop(client);
    server::clear(machine)?;
    Ok(json!({
        "reconnect_ms": summary(samples),
        "pss_kb": { "no_session": empty, "one_session": memory },
        "connected_idle": activity,
    }))
}

/// Starts a client; the time in ms from its connection to the desktop on its screen.
pub fn timed(machine: &Machine) -> anyhow::Result<(Client<'_>, f64)> {
    let known = connections(machine)?;
    let client = Client::start(machine, options())?;
    let screen = Screen::open(&client.screen_file())?;
    let connected = until("the client to connect", || Ok(!connections(machine)?.is_subset(&known)))?;
    let shown = until("the desktop", || Ok(screen.share_of(DESKTOP)? > SHARE))
        .inspect_err(|_| eprintln!("bench: the client's log:\n{}", client.log()))?;
    Ok((client, (shown - connected).as_secs_f64() * 1000.0))
}
