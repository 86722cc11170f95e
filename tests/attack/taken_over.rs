//! Gates that were taken over: a rogue (`tests/attacker/src/bin/wrd-rogue-gate`) stands in the gate's place, says and
//! does to the monitor, the leader and everything else in reach what no gate may, and serves every honest client by
//! the real gate. It has no sandbox of its own: what holds here, holds without the gate's.

use crate::scene::{Reach, Scene, long};
use crate::stages::{REQUESTS, SIGNED_FOR_NLA, STAGES, Stage};
use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value};
use wrd_tests::machine::Machine;
use wrd_tests::rogue::Rogue;
use wrd_tests::runner::Test;
use wrd_tests::{expect_eq, server};

pub const TESTS: &[Test] = &[("a_gate_taken_over", a_gate_taken_over)];

/// What comes of a case. Whatever is not said to be told after the act must not be told.
#[derive(Clone, Copy)]
enum Fate {
    /// It breaks the rules: the monitor ends it, the journal has these words, and its source pays as for a crash.
    Broken(&'static str),
    /// The same for a request that is not allowed: which one, and why.
    Wrong(&'static str, &'static str),
    /// Nothing is wrong with it, but that it takes too long.
    Late,
    /// It ends by itself, and has told this, each time from the beginning of the line.
    Tells(&'static [&'static str]),
    /// Its process dies in this way, and its source pays.
    Crash(&'static str),
}

use Fate::{Broken, Crash, Late, Tells, Wrong};

impl Fate {
    /// How a case of it is given to the attacker, who tries whether it has cost anything where it should.
    fn word(self) -> &'static str {
        match self {
            Broken(_) | Wrong(..) | Crash(_) => "--case",
            Late | Tells(_) => "--harmless",
        }
    }
}

const CLOSED: &str = "its gate closed its channel and lives on";
const NO_HANDSHAKE: &str = "what it wants signed is no TLS handshake of a server";
const SILENT_CLOSED: Fate = Tells(&["not sent: the other side closed"]);
const LEADER_GONE: Fate = Tells(&["login closed"]);
const NOT_UNDERSTOOD: Fate = Broken("it told its leader ");
const NOT_ASKED: Fate = Broken("it told its leader an answer where nothing was asked");

/// Every request that is not allowed at a stage.
fn wrong_requests(stages: &'static [Stage]) -> Vec<(String, Fate)> {
    let of = |stage: &'static Stage| {
        let wrong = REQUESTS.iter().filter(|(request, _)| stage.allowed.split(' ').all(|allowed| allowed != *request));
        wrong.zip(stage.people.iter().cycle()).map(|((request, name), person)| {
            let fate = match *request {
                _ if stage.words.is_empty() => SILENT_CLOSED,
                said if said == stage.said => Wrong(name, " more than 1 times"),
                _ => Wrong(name, stage.words),
            };
            (format!("{}/{request}{person}", stage.name), fate)
        })
    };
    stages.iter().flat_map(of).collect()
}

/// What is allowed by itself, and where to it leads.
const ALLOWED: &[(&str, Fate)] = &[
    // A cookie may be shown once, and whoever is wrong may still log in.
    ("signed/reconnect", Tells(&["reconnect Refused"])),
    ("turned-back/open-login", Tells(&["login"])),
    // Whose name is proven has not logged in.
    ("proven/reconnect carol pw-carol", Tells(&["reconnect Refused"])),
    ("proven/open-login carol pw-carol", Tells(&["login"])),
    // It is told that it was wrong, and is ended a moment later.
    ("challenged/ntlm-proof", Tells(&["disproven"])),
    // Being judged or judged already, which is chance.
    ("challenged/proof-and-login", Broken("OpenLogin while ")),
    ("challenged/proof-twice", Broken("NtlmProof while ")),
    ("login/screen-twice", Broken("Screen more than 1 times")),
    ("denied/screen-twice", Broken("Screen more than 1 times")),
    ("refused/screen-twice", Broken("Screen more than 1 times")),
    ("starting/screen-twice erin pw-erin", Broken("Screen more than 1 times")),
    ("linked/screen-twice carol pw-carol", Broken("Screen more than 1 times")),
    // Its last words alone are no offence.
    ("start/failed-forged", Late),
];

const SIGNATURES: &[(&str, Fate)] = &[
    ("start/sign-text", Broken(NO_HANDSHAKE)),
    ("start/sign-nothing", Broken(NO_HANDSHAKE)),
    ("start/sign-as-client", Broken(NO_HANDSHAKE)),
    ("start/sign-more", Broken(NO_HANDSHAKE)),
    ("start/sign-other-scheme", Broken("does not go with the key")),
    ("start/sign-scheme-zero", Broken("the signature scheme 0x0000 does not go with the key")),
];

const FRAMES: &[(&str, Fate)] = &[
    // Which reads like the end of the channel.
    ("start/frame-empty", Broken(CLOSED)),
    ("start/frame-one-byte", Broken("a malformed message")),
    ("start/frame-cut", Broken("a malformed message")),
    ("start/frame-garbage", Broken("a malformed message")),
    ("signed/frame-behind", Broken("a malformed message")),
    ("start/frame-long-length", Broken("a malformed message")),
    ("start/frame-largest", Broken("a message of 65536 bytes")),
    ("signed/frame-one-descriptor", Broken("a message with 1 descriptors where 0 are due")),
    ("signed/frame-many-descriptors", Broken("descriptors where")),
    ("signed/frame-of-itself", Broken("a message with 4 descriptors where 0 are due")),
    ("start/flood", Broken(" after its last word")),
    ("signed/flood", Broken(" after its last word")),
    ("start/close", Broken(CLOSED)),
    ("signed/close", Broken(CLOSED)),
    ("login/close", Broken(CLOSED)),
    ("signed/shut-write", Broken(CLOSED)),
    ("start/shut-read", Late),
    ("start/deaf", Late),
    ("start/idle", Late),
    ("login/idle", Late),
];

/// On the socket to its leader, which is root: it is gone at the first thing that it does not understand, and has told
/// the monitor.
const LOGINS: &[(&str, Fate)] = &[
    ("login/login-empty", LEADER_GONE),
    ("login/login-garbage", NOT_UNDERSTOOD),
    ("login/login-cut", NOT_UNDERSTOOD),
    ("login/login-behind", NOT_UNDERSTOOD),
    ("login/login-largest", NOT_UNDERSTOOD),
    ("login/login-descriptors", NOT_UNDERSTOOD),
    ("login/login-too-long", NOT_UNDERSTOOD),
    ("login/login-session-path", NOT_UNDERSTOOD),
    ("login/login-session-forged", NOT_UNDERSTOOD),
    ("login/login-root", Tells(&["denied"])),
    ("login/login-no-name", Tells(&["denied"])),
    ("login/login-no-password", Tells(&["denied"])),
    ("login/login-no-text", Tells(&["denied"])),
    (
        "login/login-thousand",
        Tells(&["sent ", "denied", "denied", "denied", "denied", "denied for good", "login closed"]),
    ),
    ("login/login-close", Late),
    ("relaying/link-garbage carol pw-carol", Tells(&["link closed"])),
    ("relaying/link-half carol pw-carol", Tells(&["link closed"])),
    ("relaying/link-flood carol pw-carol", Tells(&["link closed"])),
];

const PROCESSES: &[(&str, Fate)] = &[
    // None of these is forbidden by the unit, which starts gates itself; all of them are by the gate's own filter.
    ("start/process-exec", Tells(&["exec: exit status: 0"])),
    ("start/process-thread", Tells(&["thread: it runs"])),
    ("start/process-fork", Tells(&["fork: it runs"])),
    // Who is first, they or the monitor, is chance.
    ("start/process-orphans", Tells(&["orphans"])),
    ("signed/process-orphans", Tells(&["orphans"])),
    ("screen/process-orphans", Tells(&["orphans"])),
    ("start/process-abort", Crash("SIGABRT")),
    ("start/process-panic", Crash("a panic")),
    // Its last word explains no crash.
    ("failed/process-abort", Crash("SIGABRT")),
    ("failed/process-panic", Crash("a panic")),
    ("start/process-stop", Late),
    ("start/process-spin", Late),
    ("start/process-log", Broken("Relaying while Unsigned")),
];

/// Alone, because they share what callers of the control socket of one user may have.
const CALLERS: &[(&str, Fate)] = &[("start/reach-control-hold", Tells(&["control: "])), ("start/reach", Tells(REACH))];

/// Files and sockets that are not there for the whole unit are ENOENT.
const REACH: &[&str] = &[
    "host key: EACCES",
    "shadow: ENOENT",
    "a home: EACCES",
    "memory of the monitor: ENOENT",
    "environment of the monitor: ENOENT",
    "memory of the machine: ENOENT",
    "settings of the kernel: ENOENT",
    "bus: ENOENT",
    "write beside the gate: EROFS",
    "write among the sessions: EACCES",
    "write beside the sockets: EACCES",
    "write beside the key: EACCES",
    "write a setting: EACCES",
    "write a temporary file: EACCES",
    "descriptors: 5",
    "leader's socket: EACCES",
    "a session's socket: EACCES",
    "private socket of systemd: ENOENT",
    "journal: ENOENT",
    // Nothing comes of it, see `systemd_believes_no_gate`.
    "notify systemd: done",
    "network: EAFNOSUPPORT",
    "netlink: EAFNOSUPPORT",
    "ptrace: EPERM",
    "kill: EPERM",
    "stop: EPERM",
    "process_vm_readv: EPERM",
    "pidfd_getfd: EPERM",
    "slow down: EPERM",
    "hurry: EPERM",
    "root: EPERM",
    "namespaces: EPERM",
    // Those that are there cannot even be seen.
    "memory of 0 fellow gates: []",
    "list: done",
    "show: NotPermitted",
    "show by uid: NotPermitted",
    "disconnect: NotPermitted",
    "disconnect by uid: NotPermitted",
    "disconnect by logind: Not",
    "terminate: NotPermitted",
    "terminate by uid: NotPermitted",
    "terminate all: NotPermitted",
    "enrolled: done",
    "enrol: NotPermitted",
    "forget: NotPermitted",
];

/// Where the clients of the rogues come from.
const FROM: [&str; 2] = [" rhost=198.18.60.", " rhost=198.18.61."];

/// Whoever has a session because a rogue gate had their password.
const VICTIMS: [&str; 4] = ["carol", "erin", "frank", "grace"];

fn a_gate_taken_over(machine: &Machine) -> anyhow::Result<()> {
    machine
        .sh("for user in erin frank grace; do useradd -m -s /bin/bash $user; echo $user:pw-$user | chpasswd; done")?;
    let enrolled = machine.try_sh_as("carol", "echo pw-carol | wrdctl enroll")?;
    ensure!(enrolled.status.success(), "carol cannot enrol: {}", String::from_utf8_lossy(&enrolled.stderr));
    let rogue = Rogue::in_place(machine)?;
    let mut scene = Scene::begin(machine, 30, Reach::Screen)?;
    FROM.into_iter().for_each(|from| scene.expect_lines("by a fault of its gate", from));

    let mut outcomes = Map::new();
    for (case, _) in CALLERS {
        let mut attack = scene.attack((0, 1), &["rogue", "--case", case])?;
        // Whatever a gate's uid holds of the control socket, root is answered.
        while attack.goes_on()? {
            server::list(machine)?;
        }
        outcomes.extend(object(attack.finish()?)?);
    }
    let mut cases = wrong_requests(STAGES);
    for more in [ALLOWED, SIGNATURES, FRAMES, LOGINS, PROCESSES] {
        cases.extend(more.iter().map(|(case, fate)| ((*case).to_owned(), *fate)));
    }
    let mut words = vec!["rogue", "--case", "start/foreign"];
    if long() {
        words.extend(["--case", "login/login-foreign"]);
    }
    words.extend(cases.iter().flat_map(|(case, fate)| [fate.word(), case]));
    let attack = scene.attack((500, 0), &words)?;
    scene.life_goes_on()?;
    outcomes.extend(object(scene.watch(attack)?)?);
    scene.no_gate_of_strangers_is_left()?;

    let journal = scene.whole_journal()?;
    ensure!(outcomes.len() > cases.len() + 65, "only {} cases were played", outcomes.len());
    cases.extend(CALLERS.iter().map(|(case, fate)| ((*case).to_owned(), *fate)));
    let mut wrong = judge_all(&cases, &outcomes, &journal);
    let more = [
        where_nla_is_required(&scene),
        sources_are_refused_for_a_penalty(&journal),
        no_orphan_is_heard(&journal),
        no_line_is_forged(machine, &journal),
        systemd_believes_no_gate(machine),
    ];
    wrong.extend(more.into_iter().filter_map(|result| Some(format!("{:#}", result.err()?))));
    for (victim, kept) in VICTIMS.map(|victim| (victim, keeps_session(victim, &outcomes, &journal))) {
        // What is there is whole, and nobody is in it.
        let found = if kept { server::wait_state(machine, victim, "disconnected").map(drop) } else { Ok(()) };
        if let Err(error) = found {
            wrong.push(format!("{error:#}: {:?}", server::session(machine, victim)?));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    for victim in VICTIMS {
        machine.try_sh(&format!("wrdctl terminate {victim}"))?;
        server::wait_gone(machine, victim)?;
    }
    machine.sh("wrdctl forget carol")?;
    drop(rogue);
    scene.end()
}

/// What is wrong with what came of the cases.
fn judge_all(cases: &[(String, Fate)], outcomes: &Map<String, Value>, journal: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (case, outcome) in outcomes {
        let fate = cases.iter().find(|(name, _)| name == case).map_or(elsewhere(case), |(_, fate)| fate);
        println!("    {case:45} {}", told(outcome).join(" | "));
        if let Err(error) = judge(case, fate, outcome, journal) {
            let from = outcome["from"].as_str().unwrap_or_default();
            let own = journal.lines().filter(|line| line.contains(&format!("={from} ")) || line.ends_with(from));
            wrong.push(format!("{case}: {error:#}\n  {outcome}\n  {}", own.collect::<Vec<_>>().join("\n  ")));
        }
    }
    wrong
}

/// From addresses that nothing is held against yet.
fn where_nla_is_required(scene: &Scene<'_>) -> anyhow::Result<()> {
    const FILE: &str = "/etc/wrd-dm/wrd-dm.toml.d/attack-nla.toml";
    let cases = wrong_requests(&[SIGNED_FOR_NLA]);
    scene.machine.write(FILE, "[login]\nsecurity = \"nla-required\"\n")?;
    scene.machine.sh("systemctl reload wrd-dm.service")?;
    let words = ["rogue"].into_iter().chain(cases.iter().flat_map(|(case, _)| ["--case", case]));
    let attack = scene.attack((0, cases.len()), &words.collect::<Vec<_>>())?;
    let outcomes = object(scene.watch(attack)?)?;
    scene.no_gate_of_strangers_is_left()?;
    scene.machine.sh(&format!("rm {FILE}; systemctl reload wrd-dm.service"))?;
    expect_eq("cases where NLA is required", outcomes.len(), cases.len())?;
    let wrong = judge_all(&cases, &outcomes, &scene.whole_journal()?);
    ensure!(wrong.is_empty(), "where NLA is required: {}", wrong.join("\n"));
    Ok(())
}

/// Whether a user in whose name a rogue was let in has a session of that. One that breaks the rules before the leader's
/// word of the login has reached the monitor leaves none.
fn keeps_session(victim: &str, outcomes: &Map<String, Value>, journal: &str) -> bool {
    let own = outcomes.iter().filter(|(case, _)| case.contains(&format!(" {victim} ")));
    let from: Vec<_> = own.filter_map(|(_, outcome)| outcome["from"].as_str()).collect();
    let early = |line: &str| {
        line.starts_with("connection broke the rules; ")
            && from.iter().any(|from| line.contains(&format!("rhost={from} ")))
            && [" while Login", " while Waiting("].iter().any(|stage| line.contains(stage))
    };
    journal.lines().filter(|line| early(line)).count() < from.len()
}

/// Every message that belongs elsewhere is one that does not belong here. Of a gate's own to its leader, one does.
fn elsewhere(case: &str) -> &'static Fate {
    match case.split_once(":") {
        Some(("login/login-foreign", "gate-leader-Credentials")) => &Late,
        Some(("login/login-foreign", "gate-leader-Answer" | "gate-leader-Cancel")) => &NOT_ASKED,
        Some(("login/login-foreign", _)) => &NOT_UNDERSTOOD,
        _ => &Broken(""),
    }
}

fn object(report: Value) -> anyhow::Result<Map<String, Value>> {
    match report {
        Value::Object(map) => Ok(map),
        other => bail!("the report is {other}"),
    }
}

/// What the rogue told after its act.
fn told(outcome: &Value) -> Vec<&str> {
    let heard = outcome["heard"].as_array().into_iter().flatten().filter_map(Value::as_str);
    heard.skip_while(|line| *line != "asked").skip(1).collect()
}

fn judge(case: &str, fate: &Fate, outcome: &Value, journal: &str) -> anyhow::Result<()> {
    let heard: Vec<&str> = outcome["heard"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    ensure!(heard.contains(&"asked"), "it did not come that far");
    expect_eq("how the connection was left", outcome["end"].as_str(), Some("Closed"))?;
    let signatures = heard.iter().filter(|line| **line == "signature").count();
    ensure!(signatures <= 1, "{signatures} signatures were given");
    let told = told(outcome);
    let from = outcome["from"].as_str().context("no address")?;
    let broke = |reason| ("connection broke the rules; ", format!("rhost={from} "), reason);
    let (words, who, reason) = match fate {
        Broken(reason) => broke((*reason).to_owned()),
        Wrong(request, why) => broke(format!("reason=\"{request}{why}")),
        Late => ("no login in time; ", format!("client={from}"), String::new()),
        Crash(reason) => ("connection ended by a fault of its gate; ", format!("rhost={from} "), (*reason).to_owned()),
        Tells(lines) => {
            // Whether it lives to tell that the monitor has closed its channel is chance.
            let told: Vec<_> = told.into_iter().filter(|line| *line != "closed").collect();
            let same = told.len() == lines.len() && told.iter().zip(*lines).all(|(is, begin)| is.starts_with(begin));
            ensure!(same, "it told {told:?}, expected {lines:?}");
            return Ok(());
        }
    };
    // Its session may be there before the monitor reads what it says.
    let may_be_linked = case.starts_with("starting/");
    let own = |line: &str| {
        (line == "link" && may_be_linked) || line == "closed" || line == "login closed" || line.starts_with("sent ")
    };
    let extra: Vec<_> = told.iter().filter(|line| !own(line) && **line != "denied").collect();
    ensure!(extra.is_empty(), "it was answered {extra:?}");
    let line = journal.lines().find(|line| line.starts_with(words) && (line.contains(&who) || line.ends_with(&who)));
    let line = line.with_context(|| format!("no line {words:?} with {who:?}"))?;
    ensure!(line.contains(&reason), "the journal does not say {reason:?} but: {line}");
    if !matches!(fate, Late) {
        expect_eq("whether its source is let in again", outcome["again"].as_bool(), Some(false))?;
    }
    Ok(())
}

/// Which is said of one in ten seconds; nothing else was held against any of them.
fn sources_are_refused_for_a_penalty(journal: &str) -> anyhow::Result<()> {
    let is_refused = |line: &&str| FROM.iter().any(|from| line.contains(&format!("refused;{from}")));
    let lines: Vec<&str> = journal.lines().filter(is_refused).collect();
    ensure!(!lines.is_empty(), "no line says that a source was refused");
    let other = lines.iter().find(|line| !line.contains(" reason=penalty "));
    ensure!(other.is_none(), "a source was refused for something else: {other:?}");
    Ok(())
}

/// A child that speaks on in the place of a gate which has ended gets as far as its socket is long.
fn no_orphan_is_heard(journal: &str) -> anyhow::Result<()> {
    let counts = journal.lines().filter_map(|line| line.split_once("an orphan has sent ")?.1.split(' ').next());
    let counts: Vec<usize> = counts.map(str::parse).collect::<Result<_, _>>()?;
    ensure!(!counts.is_empty(), "no orphan has said anything");
    ensure!(counts.iter().all(|count| *count < 1000), "the monitor listens on and on to orphans: {counts:?}");
    Ok(())
}

/// What a gate writes into the log itself is there, and cannot be taken for its monitor's.
fn no_line_is_forged(machine: &Machine, journal: &str) -> anyhow::Result<()> {
    const FORGED: &str = "authentication failure; rhost=203.0.113.66";
    ensure!(journal.lines().any(|line| line.starts_with(FORGED)), "no rogue has written a line");
    let own = machine.sh("journalctl --no-pager -q -o cat _SYSTEMD_UNIT=wrd-dm.service _UID=0")?;
    match own.lines().find(|line| line.starts_with(FORGED)) {
        Some(line) => bail!("a gate's line passes for the monitor's: {line}"),
        None => Ok(()),
    }
}

/// What a gate tells systemd in the name of the service is not its to tell.
fn systemd_believes_no_gate(machine: &Machine) -> anyhow::Result<()> {
    let state = machine.sh("systemctl show -P ActiveState -P StatusText wrd-dm.service")?;
    ensure!(state.lines().any(|line| line == "active") && !state.contains("taken over"), "systemd says: {state}");
    Ok(())
}
