//! How long the answer to a wrong password takes, and whether that tells which users there are.

use crate::report::summary;
use anyhow::Context;
use serde_json::{Value, json};
use wrd_tests::machine::{Build, Machine};
use wrd_tests::strangers::{Attack, Street};

const TRIES: usize = 200;
/// There is one user of this name, and none of that.
const USERS: [(&str, &str); 2] = [("carol", "wrong_password"), ("nobody-of-that-name", "unknown_user")];
/// The addresses that no other part uses.
const STREET: Street = Street(120);
const CONFIG: &str = "/etc/wrd-dm/wrd-dm.toml";

/// Times in ms until the login screen says no, by who was asked for. Nothing is held against the asker.
pub fn times(machine: &Machine) -> anyhow::Result<Value> {
    let before = machine.sh(&format!("cat {CONFIG}"))?;
    machine.write(CONFIG, &format!("{before}\n[admission]\nexempt = [\"198.18.0.0/15\"]\n"))?;
    machine.sh("systemctl restart wrd-dm.service")?;
    eprintln!("bench: answers to {TRIES} wrong passwords and to as many for nobody");
    let mut report = json!({});
    let tries = TRIES.to_string();
    let words = ["answers", "--attempts", &tries, "--user", USERS[0].0, "--user", USERS[1].0];
    let told = Attack::start(machine, Build::Release, &[STREET.four(200)], &words)?.finish()?;
    for (user, name) in USERS {
        let times = told[user].as_array().with_context(|| format!("no times of {user}: {told}"))?;
        report[name] = summary(times.iter().filter_map(Value::as_f64).collect());
    }
    machine.write(CONFIG, &before)?;
    machine.sh("systemctl restart wrd-dm.service")?;
    Ok(json!({ "answer_ms": report }))
}
