//! What stands around every attack: a user who types, a look at everything before it, and the same look after.

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Build, Machine, Mark};
use wrd_tests::strangers::{Attack, Street};
use wrd_tests::typist::Typist;
use wrd_tests::{eventually, poll, processes, server};

/// Longer than every deadline that the machine of these tests has configured, on the slowest machine.
const CALM: Duration = Duration::from_secs(120);
/// What the monitor may remember of strangers, in kB of its own memory.
const MONITOR_GROWTH: u64 = 8_000;

/// How far the connections of strangers come, which is what their gates may need.
#[derive(Clone, Copy)]
pub enum Reach {
    /// None has a login screen.
    Before,
    Screen,
}

impl Reach {
    /// The largest gate, in kB of its own memory.
    fn most(self) -> u64 {
        match self {
            Self::Before => 4_000,
            Self::Screen => 12_000,
        }
    }
}

/// Whether the long variants are asked for (`make test-all`).
pub fn long() -> bool {
    std::env::var_os("WRD_LONG").is_some()
}

/// One of two numbers: for `make test`, and for `make test-all`.
pub fn few_or_many(few: usize, many: usize) -> String {
    if long() { many } else { few }.to_string()
}

/// Everything that an attack must leave as it was.
#[derive(Debug, PartialEq, Eq)]
struct State {
    monitor: PathBuf,
    processes: BTreeMap<String, usize>,
    descriptors: usize,
    session: Value,
}

pub struct Scene<'m> {
    pub machine: &'m Machine,
    typist: Typist<'m>,
    street: Street,
    /// Of the user's own connection.
    gate: PathBuf,
    before: State,
    memory: u64,
    mark: Mark,
    /// What the journal may say of this attack, though it is a sign of something broken elsewhere.
    expected: Vec<[&'static str; 2]>,
    reach: Reach,
    /// Of the gates that were seen of others, in kB.
    largest: AtomicU64,
}

impl<'m> Scene<'m> {
    /// Begins with a user at work. Attacks come from `street`, which no other test has, and as far as `reach`.
    pub fn begin(machine: &'m Machine, street: u8, reach: Reach) -> anyhow::Result<Self> {
        server::clear(machine)?;
        eventually("other attacks to end", CALM, || {
            let gates = processes::count(machine)?.contains_key("wrd-gate");
            Ok((leaders(machine)? == 0 && !gates).then_some(()))
        })?;
        let typist = Typist::start(machine)?;
        let before = lasting_state(machine)?;
        let memory = processes::anonymous(&before.monitor).context("the monitor's memory")?;
        let (gate, mark) = (one(machine, "wrd-gate")?, machine.mark()?);
        let (street, largest, expected) = (Street(street), AtomicU64::new(0), Vec::new());
        Ok(Self { machine, typist, street, gate, before, memory, mark, expected, reach, largest })
    }

    /// Starts an attack from this many addresses of IPv4, and of IPv6.
    pub fn attack(&self, (four, six): (usize, usize), words: &[&str]) -> anyhow::Result<Attack> {
        let mut from = Vec::new();
        if four > 0 {
            from.push(self.street.four(four));
        }
        if six > 0 {
            from.push(self.street.six(six));
        }
        Attack::start(self.machine, Build::Dev, &from, words)
    }

    /// While an attack goes on the user types on, and somebody else can log in.
    pub fn life_goes_on(&self) -> anyhow::Result<()> {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // An attack may be over before they are.
            let watch = scope.spawn(|| self.look_until(|| Ok(over.load(Ordering::Relaxed))));
            let lived = self.typist.goes_on().and_then(|()| self.bob_logs_in());
            over.store(true, Ordering::Relaxed);
            lived.and(watch.join().unwrap_or_else(|_| bail!("the onlooker panicked")))
        })
    }

    fn bob_logs_in(&self) -> anyhow::Result<()> {
        let bob = Client::login(self.machine, Options::user("bob").size(800, 600))?;
        bob.disconnect()?;
        self.machine.sh("wrdctl terminate bob")?;
        server::wait_gone(self.machine, "bob")
    }

    /// Waits for an attack to be over, and looks meanwhile that no gate of a stranger's is large.
    pub fn watch(&self, mut attack: Attack) -> anyhow::Result<Value> {
        self.look_until(|| Ok(!attack.goes_on()?))?;
        attack.finish()
    }

    fn look_until(&self, mut over: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        while !over()? {
            self.look()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// How large the largest gate of somebody else is now, in kB of its own memory; none may be too large.
    pub fn look(&self) -> anyhow::Result<u64> {
        let mut gates = processes::ours(self.machine)?;
        gates.retain(|(name, path)| name == "wrd-gate" && *path != self.gate);
        let largest = gates.iter().filter_map(|(_, path)| processes::anonymous(path)).max().unwrap_or(0);
        ensure!(largest < self.reach.most(), "a stranger's gate has {largest} kB");
        self.largest.fetch_max(largest, Ordering::Relaxed);
        Ok(largest)
    }

    /// Waits until no leader is left but that of the user's session: what PAM says of a password takes its time,
    /// and whoever asked may be gone by then.
    pub fn no_login_is_left(&self) -> anyhow::Result<()> {
        eventually("the leaders of logins to end", CALM, || Ok((leaders(self.machine)? == 1).then_some(())))
    }

    /// Waits until no gate is left but that of the user's connection.
    pub fn no_gate_of_strangers_is_left(&self) -> anyhow::Result<()> {
        eventually("the gates of strangers to end", CALM, || {
            let ours = processes::ours(self.machine)?;
            Ok(ours.iter().all(|(name, path)| name != "wrd-gate" || *path == self.gate).then_some(()))
        })
    }

    /// This attack is to bring lines about that have both of these. Every other sign of something that broke still
    /// fails the test.
    pub fn expect_lines(&mut self, part: &'static str, other: &'static str) {
        self.expected.push([part, other]);
    }

    /// What the journal says since the beginning, of this attack and everything else.
    pub fn journal(&self) -> anyhow::Result<String> {
        self.machine.journal(&self.mark)
    }

    /// The same once nothing more is said: of one whose end has been seen there may be more to come.
    pub fn whole_journal(&self) -> anyhow::Result<String> {
        let mut last = String::new();
        poll("the journal to come to rest", CALM, Duration::from_secs(2), || {
            let before = std::mem::replace(&mut last, self.journal()?);
            Ok((before == last).then(|| last.clone()))
        })
    }

    /// How many lines of the whole journal have both of these.
    pub fn lines(&self, part: &str, other: &str) -> anyhow::Result<usize> {
        Ok(self.whole_journal()?.lines().filter(|line| line.contains(part) && line.contains(other)).count())
    }

    /// The same look as at the beginning; every letter has arrived; the journal has nothing of ours that broke.
    pub fn end(mut self) -> anyhow::Result<()> {
        let typed = self.typist.stop()?;
        let before = &self.before;
        let mut now = None;
        let calm = eventually("everything to be as it was", CALM, || {
            // While gates are started there are copies of the monitor that have yet to become one.
            let state = state(self.machine).map_err(|error| format!("{error:#}"));
            let same = state.as_ref() == Ok(before);
            now = Some(state);
            Ok(same.then_some(()))
        });
        calm.with_context(|| format!("before: {before:?}\nnow: {now:?}"))?;
        let memory = processes::anonymous(&before.monitor).context("the monitor's memory")?;
        ensure!(memory < self.memory + MONITOR_GROWTH, "the monitor had {} kB and has {memory} kB", self.memory);
        self.no_login_is_left()?;
        let journal = self.journal()?;
        for word in ["panicked", "by a fault of its gate", "seccomp", "SIGSYS", "out of memory"] {
            let expected = |line: &&str| self.expected.iter().any(|parts| parts.iter().all(|part| line.contains(part)));
            if let Some(line) = journal.lines().find(|line| line.contains(word) && !expected(line)) {
                bail!("the journal says: {line}");
            }
        }
        let largest = self.largest.into_inner();
        println!("    {typed} letters typed meanwhile, {largest} kB in the largest gate of others");
        server::clear(self.machine)
    }
}

fn leaders(machine: &Machine) -> anyhow::Result<usize> {
    Ok(processes::leaders(machine)?.len())
}

/// The only process of a name.
fn one(machine: &Machine, name: &str) -> anyhow::Result<PathBuf> {
    let mut found = processes::ours(machine)?.into_iter().filter(|(is, _)| is == name).map(|(_, path)| path);
    let first = found.next().with_context(|| format!("there is no {name}"))?;
    ensure!(found.next().is_none(), "there is more than one {name}");
    Ok(first)
}

/// The state once it stays the same: what has just logged in, or asked, may have something open for a moment longer.
fn lasting_state(machine: &Machine) -> anyhow::Result<State> {
    let mut last = None;
    poll("a state that lasts", CALM, Duration::from_millis(500), || {
        let now = state(machine).ok();
        let same = now.is_some() && now == last;
        last = now;
        Ok(if same { last.take() } else { None })
    })
}

fn state(machine: &Machine) -> anyhow::Result<State> {
    let monitor = one(machine, "wrd-dm")?;
    Ok(State {
        descriptors: processes::descriptors(&monitor)?,
        processes: processes::count(machine)?,
        session: server::session(machine, "alice")?.context("alice has no session")?,
        monitor,
    })
}
