//! What can be measured, and what of it the command line asks for.

use crate::{answers, attack, half_open, keys, login, screen, visitors};
use anyhow::{Context, bail};
use serde_json::Value;
use wrd_tests::machine::Machine;

pub type Measure = fn(&Machine, &Wanted) -> anyhow::Result<Value>;

/// Everything that can be measured, in this order; each gives its own members of the report.
pub const PARTS: &[(&str, Measure)] = &[
    ("keys", |machine, _| keys::latency(machine)),
    ("login", |machine, _| login::logins(machine)),
    ("reconnect", |machine, _| login::reconnects_and_idle(machine)),
    ("screen", |machine, _| screen::times(machine)),
    ("pre-login", |machine, _| visitors::memory(machine)),
    ("half-open", |machine, _| half_open::logins(machine)),
    ("answers", |machine, _| answers::times(machine)),
    ("attack", |machine, wanted| attack::keys(machine, wanted.rounds, |kind| wanted.wants_attack(kind))),
];
/// What several parts are called together: those that are about strangers.
const DOOR: (&str, &[&str]) = ("door", &["pre-login", "half-open", "answers", "attack"]);

/// What the command line asks for: parts, or `attack=KIND`; all without a word. `rounds=N` is how often each attack comes.
pub struct Wanted {
    parts: Vec<String>,
    attacks: Vec<String>,
    rounds: usize,
}

impl Wanted {
    pub fn from_args() -> anyhow::Result<Self> {
        let mut wanted = Self { parts: Vec::new(), attacks: Vec::new(), rounds: attack::ROUNDS };
        for word in std::env::args().skip(1) {
            match word.split_once('=') {
                Some(("attack", kind)) if attack::names().contains(&kind) => {
                    wanted.parts.push("attack".into());
                    wanted.attacks.push(kind.into());
                }
                Some(("rounds", number)) => {
                    wanted.rounds =
                        number.parse().ok().filter(|n| *n > 0).with_context(|| format!("no number: {word}"))?;
                }
                None if word == DOOR.0 => wanted.parts.extend(DOOR.1.iter().map(|part| (*part).into())),
                None if PARTS.iter().any(|(name, _)| *name == word) => wanted.parts.push(word),
                _ => {
                    let parts: Vec<_> = PARTS.iter().map(|(name, _)| *name).collect();
                    let (parts, kinds) = (parts.join(", "), attack::names().join(", "));
                    bail!("{word} is neither a part ({parts}, {}) nor attack=KIND ({kinds}) nor rounds=N", DOOR.0);
                }
            }
        }
        Ok(wanted)
    }

    pub fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|name| name == part)
    }

    fn wants_attack(&self, kind: &str) -> bool {
        self.attacks.is_empty() || self.attacks.iter().any(|name| name == kind)
    }
}
