//! From a key press to the pixel while strangers attack, beside the same without them, in turn: what the user
//! who works there notices, and who has the processor meanwhile.

use crate::cpu;
use crate::keys::Desk;
use crate::report::{percentile, rounded, summary};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;
use wrd_tests::eventually;
use wrd_tests::machine::{Build, Machine};
use wrd_tests::processes::count;
use wrd_tests::rogue::Rogue;
use wrd_tests::strangers::{Attack, Street};

/// How often each attack comes, where nothing else is asked for.
pub const ROUNDS: usize = 10;
/// In each round, and between two of them as often as it takes to see that the attack still goes on.
const KEYS: u32 = 40;
const AT_ONCE: u32 = 10;
/// A fast typist's.
const PAUSE: Duration = Duration::from_millis(80);
/// The first of the addresses that no other part uses.
const STREET: u8 = 40;
const PATIENCE: Duration = Duration::from_secs(60);

/// What strangers do, from so many addresses of IPv4 and of IPv6.
struct Kind {
    name: &'static str,
    from: (usize, usize),
    words: Vec<&'static str>,
}

/// All kinds of attacks. The first three are none of ours: what they say is how well this can be measured, and what any
/// work costs the user that the machine does beside theirs, at the lowest priority, or for packets of strangers.
fn kinds() -> Vec<Kind> {
    let kind = |name, from, words: &'static str| Kind { name, from, words: words.split(' ').collect() };
    // Of each stage, and all at the same time.
    let stages = ["silent", "negotiated", "half-tls", "tls", "credssp", "challenged", "joined", "active"];
    let trickle = stages.iter().flat_map(|stage| ["--stage", stage]).cycle().take(2 * 240);
    let busy = || BUSY.iter().copied().cycle().take(20 * BUSY.len());
    let rogue = |name, cases: Vec<&'static str>| Kind {
        name,
        from: (500, 0),
        words: ["rogue"].into_iter().chain(cases.into_iter().flat_map(|case| ["--case", case])).collect(),
    };
    vec![
        Kind { name: "nothing", from: (0, 0), words: Vec::new() },
        Kind { name: LOOP, from: (0, 0), words: Vec::new() },
        kind(CLOSED_PORT, (1, 0), "flood --connections 100000000"),
        kind("flood_from_one_source", (1, 0), "flood --connections 100000000 --hold 200 --talk"),
        kind("flood_from_many_sources", (300, 100), "flood --connections 100000000 --hold 600 --talk"),
        kind("half_open", (200, 100), "stand --stage joined --connections 300 --again"),
        kind("half_open_in_nla", (200, 100), "stand --stage challenged --connections 300 --again"),
        kind("login_screens", (200, 100), "stand --stage active --connections 300 --again"),
        kind("login_screens_deaf", (200, 100), "stand --stage active --connections 300 --again --deaf"),
        Kind {
            name: "slow_bytes",
            from: (200, 50),
            words: ["trickle", "--pause-ms", "100"].into_iter().chain(trickle).collect(),
        },
        kind("hostile_lengths", (350, 150), "lengths"),
        kind("structures", (350, 150), "structures"),
        kind("tls_records", (350, 150), "tls"),
        kind("flipped_bits", (350, 150), "flips --connections 20000 --seed 1"),
        kind("wrong_passwords", (250, 50), "passwords --attempts 100000 --user carol"),
        rogue(ROGUES[0], busy().collect()),
        rogue(ROGUES[1], SPINNING.into_iter().chain(busy()).collect()),
    ]
}

/// Gates that were taken over, behind which is nobody's gate but the attackers'.
const ROGUES: [&str; 2] = ["gates_taken_over", "gates_taken_over_that_spin"];
/// What half of those of the second kind do all the time: nothing, as fast as it goes.
const SPINNING: [&str; 4] = ["start/process-spin"; 4];
/// What all others do in turn: as much as they can get their monitor, their leader or the kernel to do for them.
const BUSY: &[&str] = &[
    "start/flood",
    "signed/flood",
    "signed/process-orphans",
    "signed/frame-many-descriptors",
    "login/login-thousand",
    "login/login-largest",
    "start/frame-largest",
    "start/process-abort",
    "start/foreign",
];

/// What is an attack on the machine and not on us: nobody listens there, and the kernel says so.
const CLOSED_PORT: &str = "flood_at_a_closed_port";
const NOBODYS: u16 = 9;
const RDP: u16 = 3389;
/// What is no attack but a loop that does nothing, as nice as attackers are.
const LOOP: &str = "a_niced_loop";

/// The names of all kinds.
pub fn names() -> Vec<&'static str> {
    kinds().iter().map(|kind| kind.name).collect()
}

/// Key presses during each kind of attack that is wanted.
pub fn keys(machine: &Machine, rounds: usize, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Value> {
    let kinds: Vec<Kind> = kinds().into_iter().filter(|kind| wanted(kind.name)).collect();
    let mut desk = Desk::take(machine)?;
    desk.set_apart()?;
    let mut front = Front { machine, street: STREET };
    let mut found: Vec<Found> = kinds.iter().map(|_| Found::default()).collect();
    for round in 0..rounds {
        for (kind, found) in kinds.iter().zip(&mut found) {
            eprintln!("bench: key presses during attacks, round {} of {rounds}, {}", round + 1, kind.name);
            found.quiet.extend(desk.press(KEYS, PAUSE)?);
            front.attack(kind, &mut desk, found)?;
        }
    }
    desk.leave()?;
    // Quiet is quiet, whatever comes before and after it: all together are a steadier measure than those of one kind.
    let quiet = sorted(found.iter().flat_map(|found| &found.quiet));
    let attacks = kinds.iter().zip(found).map(|(kind, found)| (kind.name, found.report(&quiet)));
    let attacks: BTreeMap<_, _> = attacks.collect();
    Ok(json!({ "key_to_pixel_quiet_ms": summary(quiet), "key_to_pixel_under_attack": attacks }))
}

#[derive(Default)]
struct Found {
    quiet: Vec<f64>,
    attacked: Vec<f64>,
    cpu: Vec<BTreeMap<&'static str, f64>>,
}

impl Found {
    /// Against all that was measured in quiet moments, in order.
    fn report(self, quiet: &[f64]) -> Value {
        let attacked = sorted(&self.attacked);
        let growth = |share| {
            let [quiet, attacked] = [quiet, &attacked].map(|samples| percentile(samples, share).unwrap_or(f64::NAN));
            rounded((attacked / quiet - 1.0) * 100.0)
        };
        json!({
            "p50_growth_percent": growth(0.5),
            "p95_growth_percent": growth(0.95),
            "own_quiet_ms": summary(self.quiet),
            "attacked_ms": summary(self.attacked),
            "cpu_percent": cpu::mean(&self.cpu),
        })
    }
}

fn sorted<'a>(samples: impl IntoIterator<Item = &'a f64>) -> Vec<f64> {
    let mut samples: Vec<f64> = samples.into_iter().copied().collect();
    samples.sort_by(f64::total_cmp);
    samples
}

/// Where attacks come from: each from addresses that nothing is held against yet.
struct Front<'m> {
    machine: &'m Machine,
    street: u8,
}

impl Front<'_> {
    /// Key presses during one attack, from its first moment on; then waits until all is quiet again.
    fn attack(&mut self, kind: &Kind, desk: &mut Desk, found: &mut Found) -> anyhow::Result<()> {
        let rogue =
            ROGUES.contains(&kind.name).then(|| Rogue::in_place_as(Build::Release, self.machine)).transpose()?;
        let calm = count(self.machine)?;
        let before = cpu::spent(self.machine)?;
        let mut attack = self.start(kind)?;
        for _ in 0..KEYS / AT_ONCE {
            found.attacked.extend(desk.press(AT_ONCE, PAUSE)?);
            // One that was over is begun again.
            if let Some(Running::Attack(running)) = &mut attack
                && !running.goes_on()?
            {
                attack = self.start(kind)?;
            }
        }
        found.cpu.push(cpu::spent(self.machine)?.since(&before));
        drop(attack);
        eventually("the attack to be over", PATIENCE, || Ok((count(self.machine)? == calm).then_some(())))?;
        drop(rogue);
        std::thread::sleep(Duration::from_millis(500));
        Ok(())
    }

    fn start(&mut self, kind: &Kind) -> anyhow::Result<Option<Running>> {
        if kind.name == LOOP {
            return Loop::start(self.machine).map(Running::Loop).map(Some);
        }
        if kind.words.is_empty() {
            return Ok(None);
        }
        let (street, (four, six)) = (Street(self.street), kind.from);
        // When all have been used it is so late that nothing is held against the first any more.
        self.street = self.street.checked_add(1).unwrap_or(STREET);
        let mut from = vec![street.four(four)];
        from.extend((six > 0).then(|| street.six(six)));
        let port = if kind.name == CLOSED_PORT { NOBODYS } else { RDP };
        let attack = Attack::start_at(port, self.machine, Build::Release, &from, &kind.words)?;
        Ok(Some(Running::Attack(attack)))
    }
}

/// What goes on beside the user, until dropped.
enum Running {
    Attack(Attack),
    Loop(#[expect(dead_code, reason = "runs until dropped")] Loop),
}

struct Loop(Child);

impl Loop {
    fn start(machine: &Machine) -> anyhow::Result<Self> {
        let script = "echo 19 >/proc/self/autogroup; nice -n 19 sh -c 'while :; do :; done' & cat; kill $!";
        let words = ["setsid", "--wait", "sh", "-c", script];
        Ok(Self(machine.command(&words).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
