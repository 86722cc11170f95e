//! How long the answer to a wrong password takes at either door, and whether that tells which users there are.

use crate::report::distribution;
use anyhow::Context;
use serde_json::{Value, json};
use wrd_tests::machine::{Build, Machine};
use wrd_tests::strangers::{Attack, Street};

const TRIES: usize = 200;
const ENROLLED: &str = "carol";
const NOT_ENROLLED: &str = "dave";
const NOBODY: &str = "nobody-of-that-name";

/// Where passwords are tried, by whom, and how that is called in the report.
struct Door {
    words: &'static [&'static str],
    users: &'static [(&'static str, &'static str)],
}

const SCREEN: Door = Door { words: &[], users: &[(ENROLLED, "wrong_password"), (NOBODY, "unknown_user")] };
const NLA: Door = Door {
    words: &["--nla"],
    users: &[(ENROLLED, "nla_wrong_password"), (NOT_ENROLLED, "nla_user_not_enrolled"), (NOBODY, "nla_unknown_user")],
};

/// The addresses that no other part uses.
const STREET: Street = Street(39);
const CONFIG: &str = "/etc/wrd-dm/wrd-dm.toml";

/// Times in ms until the server says no, at the login screen and in NLA, by who was asked for. Nothing is held against
/// the asker.
pub fn times(machine: &Machine) -> anyhow::Result<Value> {
    let before = machine.sh(&format!("cat {CONFIG}"))?;
    let exempt = "[admission]\nexempt = [\"198.18.0.0/15\"]\n[login]\nsecurity = \"nla-preferred\"\n";
    machine.write(CONFIG, &format!("{before}\n{exempt}"))?;
    machine.sh(&format!("systemctl restart wrd-dm.service; echo pw-{ENROLLED} | wrdctl enroll {ENROLLED}"))?;
    let mut report = json!({});
    for door in [SCREEN, NLA] {
        for (name, times) in door.times(machine)? {
            report[name] = distribution(times);
        }
    }
    machine.write(CONFIG, &before)?;
    machine.sh(&format!("wrdctl forget {ENROLLED}; systemctl restart wrd-dm.service"))?;
    Ok(json!({ "answer_ms": report }))
}

impl Door {
    fn times(&self, machine: &Machine) -> anyhow::Result<Vec<(&'static str, Vec<f64>)>> {
        let names: Vec<_> = self.users.iter().map(|(_, name)| *name).collect();
        eprintln!("bench: {TRIES} answers each: {}", names.join(", "));
        let tries = TRIES.to_string();
        let mut words = vec!["answers", "--attempts", &tries];
        words.extend(self.words);
        words.extend(self.users.iter().flat_map(|(user, _)| ["--user", user]));
        let told = Attack::start(machine, Build::Release, &[STREET.four(200)], &words)?.finish()?;
        let times = self.users.iter().map(|(user, name)| {
            let times = told[user].as_array().with_context(|| format!("no times of {user}: {told}"))?;
            Ok((*name, times.iter().filter_map(Value::as_f64).collect()))
        });
        times.collect()
    }
}
