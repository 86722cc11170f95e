//! Logins while connections stand at the door that never go on, and logins without any, in turn.

use crate::login::{forget, timed};
use crate::processes::monitor;
use crate::report::summary;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wrd_tests::machine::{Build, Machine};
use wrd_tests::processes::{count, descriptors};
use wrd_tests::server;
use wrd_tests::strangers::{Attack, Street};

const ROUNDS: u8 = 6;
const STANDING: usize = 300;
const STAGES: &[&str] = &["silent", "negotiated", "half-tls", "credssp", "challenged", "joined"];
/// The first of the addresses that no other part uses.
const STREET: u8 = 2;
/// As long as it may take them to get there; the shortest deadline of a gate is not much longer.
const ARRIVAL: Duration = Duration::from_secs(8);

/// From the client's connection to the desktop, in ms, by what stands there.
pub fn logins(machine: &Machine) -> anyhow::Result<Value> {
    let mut times = BTreeMap::<&str, Vec<f64>>::new();
    let mut standing = BTreeMap::<&str, Vec<f64>>::new();
    server::clear(machine)?;
    for round in 0..ROUNDS {
        eprintln!("bench: logins while connections stand, round {} of {ROUNDS}", round + 1);
        times.entry("none").or_default().push(timed(machine)?.1);
        forget(machine)?;
        for (stage, street) in STAGES.iter().zip(STREET + round * STAGES.len() as u8..) {
            let crowd = Crowd::arrive(machine, stage, Street(street))?;
            let (client, time) = timed(machine)?;
            times.entry(stage).or_default().push(time);
            // That of the client is none of them.
            standing.entry(stage).or_default().push(crowd.there(machine)?.saturating_sub(1) as f64);
            drop(client);
            crowd.attack.stop()?;
            forget(machine)?;
        }
    }
    let mut report = json!({});
    for (stage, times) in times {
        report[stage] = summary(times);
        if let Some(standing) = standing.remove(stage) {
            report[stage]["standing"] = summary(standing);
        }
    }
    Ok(json!({ "login_while_half_open_ms": report }))
}

/// Connections that stand.
struct Crowd {
    attack: Attack,
    /// `/proc/PID` of the monitor, and how many descriptors it had before, where they are silent.
    silent: Option<(PathBuf, usize)>,
}

impl Crowd {
    /// Opens so many, from addresses of their own, and waits until they stand.
    fn arrive(machine: &Machine, stage: &str, street: Street) -> anyhow::Result<Self> {
        let silent = match stage {
            "silent" => {
                let monitor = monitor(machine)?;
                let open = descriptors(&monitor)?;
                Some((monitor, open))
            }
            _ => None,
        };
        let number = STANDING.to_string();
        let words = ["stand", "--stage", stage, "--connections", &number, "--again"];
        let from = [street.four(STANDING * 2 / 3), street.six(STANDING / 3)];
        let mut attack = Attack::start(machine, Build::Release, &from, &words)?;
        attack.wait_standing()?;
        let crowd = Self { attack, silent };
        let end = Instant::now() + ARRIVAL;
        while crowd.there(machine)? < STANDING && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(crowd)
    }

    /// How many there are: a silent one costs a descriptor, another one a gate.
    fn there(&self, machine: &Machine) -> anyhow::Result<usize> {
        match &self.silent {
            Some((monitor, open)) => Ok(descriptors(monitor)?.saturating_sub(*open)),
            None => Ok(count(machine)?.get("wrd-gate").copied().unwrap_or(0)),
        }
    }
}
