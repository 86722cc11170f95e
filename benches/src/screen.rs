//! The login screen: from the client's TCP connection to all of it on the screen, and what it costs while nobody does
//! anything on it.

use crate::probe::{Screen, connections, until};
use crate::processes;
use crate::report::summary;
use serde_json::{Value, json};
use std::time::Duration;
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::Machine;
use wrd_tests::server;

const TIMES: usize = 11;
/// How long nothing happens, in s: less than until the time that is left is told.
const IDLE: u64 = 30;
const SIZES: &[(usize, usize)] = &[(1024, 768), (3840, 2160)];

pub fn times(machine: &Machine) -> anyhow::Result<Value> {
    server::clear(machine)?;
    let mut report = json!({});
    for (width, height) in SIZES {
        let options = || Options::user("alice").password("").size(*width, *height);
        let whole = {
            let mut client = Client::start(machine, options())?;
            client.wait_for_greeter()?;
            client.settle()?;
            Screen::open(&client.screen_file())?.points()?
        };
        let mut samples = Vec::new();
        for _ in 0..TIMES {
            let known = connections(machine)?;
            let client = Client::start(machine, options())?;
            let screen = Screen::open(&client.screen_file())?;
            let connected = until("the client to connect", || Ok(!connections(machine)?.is_subset(&known)))?;
            let shown = until("the login screen", || Ok(screen.points()? == whole))?;
            samples.push((shown - connected).as_secs_f64() * 1000.0);
            drop(client);
            std::thread::sleep(Duration::from_millis(300));
        }
        report[format!("{width}x{height}")] = summary(samples);
    }
    let client = Client::start(machine, Options::user("alice").password(""))?;
    std::thread::sleep(Duration::from_secs(5));
    let before = processes::activity(machine)?;
    std::thread::sleep(Duration::from_secs(IDLE));
    let idle = processes::activity(machine)?.since(&before, IDLE);
    drop(client);
    server::clear(machine)?;
    Ok(json!({ "login_screen_ms": report, "login_screen_idle": idle }))
}
