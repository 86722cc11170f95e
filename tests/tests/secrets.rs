//! Nothing secret stays behind: canary passwords are used in every way there is, with logs at their most talkative, and
//! then searched for in the journal, in files, and in the memory of each of our processes, in a booted Debian 13.
//!
//! A password may be in the gate while it is typed, in the leader while it is tried, and in the program that asks for it.
//! Once there is a verdict it is nowhere any more. One thing is accepted, since only a PAM module could mend it: an answer
//! that the module never frees ([`a_second_factor`]). Not looked at are registers and the kernel's socket buffers.

#[path = "secrets/refused.rs"]
mod refused;

use anyhow::{Context, ensure};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use wrd_enrol::NtHash;
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Init, Machine, Mark};
use wrd_tests::memory::{self, Find, Needle};
use wrd_tests::runner::{Plan, Test};
use wrd_tests::{PATIENCE, eventually, expect_in, processes, runner, server};

fn main() -> ExitCode {
    let tests = [LOGINS, refused::TESTS, OTHERS].concat();
    runner::run(&Plan { init: Init::Systemd, prepare, restore }, &tests)
}

const LOGINS: &[Test] = &[
    ("what_is_held_is_found", what_is_held_is_found),
    ("client_info", client_info),
    ("a_wrong_client_info", a_wrong_client_info),
    ("typed_on_the_screen", typed_on_the_screen),
    ("a_second_login_to_a_session", a_second_login_to_a_session),
    ("nla", |machine| nla(machine, NLA)),
    ("nla_with_early_authorization", |machine| nla(machine, "/sec:ext")),
    ("a_wrong_nla", a_wrong_nla),
    ("an_expired_password", |machine| an_expired_password(machine, TLS)),
    ("an_expired_password_behind_nla", |machine| an_expired_password(machine, NLA)),
    ("a_second_factor", |machine| a_second_factor(machine, TLS)),
    ("a_second_factor_behind_nla", |machine| a_second_factor(machine, NLA)),
];

const OTHERS: &[Test] = &[
    ("enrolled_by_wrdctl", enrolled_by_wrdctl),
    ("enrolled_by_the_pam_module", enrolled_by_the_pam_module),
    ("no_cores", no_cores),
];

/// How a client comes in, in FreeRDP's words.
const TLS: &str = "/sec:tls";
const NLA: &str = "/sec:nla";

const UNITS: [&str; 2] = ["wrd-dm.service", "wrd-leader.service"];

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    server::prepare(machine)?;
    let exempt = server::EXEMPT;
    let login = "[login]\nsecurity = \"nla-preferred\"\n";
    machine.write("/etc/wrd-dm/wrd-dm.toml", &format!("[desktop]\nbackground = \"#2e6f40\"\n{exempt}{login}"))?;
    for unit in UNITS {
        machine.write(&format!("/run/systemd/system/{unit}.d/log.conf"), "[Service]\nEnvironment=WRD_LOG=trace\n")?;
    }
    // A user manager that ends while the next session begins may keep that one waiting for half a minute.
    machine.sh("cp /etc/pam.d/wrd-dm /root/wrd-dm.pam; loginctl enable-linger alice bob
         systemctl daemon-reload; systemctl restart wrd-dm.service wrd-leader.service")?;
    Ok(())
}

/// Back to where `prepare` was.
fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.try_sh(
        "cp /root/wrd-dm.pam /etc/pam.d/wrd-dm; pam-auth-update --disable wrd-dm-enroll; pkill -CONT -x wrd-dm
         for user in alice bob; do wrdctl forget $user; echo $user:pw-$user | chpasswd; done
         chage --lastday 2026-01-01 --expiredate -1 bob; usermod --unlock bob; faillock --user bob --reset
         rm -f /etc/nologin; [ ! -e /root/time.conf ] || mv /root/time.conf /etc/security/time.conf",
    )?;
    server::restore(machine)?;
    machine.sh("loginctl enable-linger alice bob")?;
    Ok(())
}

/// Runs a test and puts everything back, however it ended.
fn and_back(machine: &Machine, test: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let result = test();
    restore(machine)?;
    result
}

/// A password that is used in one test only, so that nothing of another one's is found in its place.
struct Canary(String);

/// As long as passwords are. Many a copy of such a one is overwritten before anybody looks.
const SHORT: usize = 40;
/// The longest that Client Info takes, or nearly.
const LONG: usize = 240;

impl Canary {
    /// A name, and behind it what no other has.
    fn new(name: &str, length: usize) -> Self {
        let mut text = format!("{name}-");
        while text.len() < length
            && let Ok(hash) = NtHash::of_password(text.as_bytes())
        {
            // In letters that are no digits of any base: journals, for one, are full of times and numbers in hex.
            let letters = hash.expose().iter().flat_map(|byte| [byte >> 4, byte & 15]);
            text.extend(letters.map(|four| char::from(b'g' + four)));
        }
        text.truncate(length);
        Self(text)
    }

    fn needles(&self) -> Vec<Needle> {
        let mut needles = Needle::of_text(&self.0);
        if let Ok(hash) = NtHash::of_password(self.0.as_bytes()) {
            needles.extend(Needle::of_hash(&format!("the NT hash of {}", self.0), hash.expose()));
        }
        needles
    }

    /// Makes it the password of `user`.
    fn set(&self, machine: &Machine, user: &str) -> anyhow::Result<()> {
        fed(machine, &["chpasswd"], &format!("{user}:{}\n", self.0))
    }

    /// Enrols `user` with it, as root.
    fn enrol(&self, machine: &Machine, user: &str) -> anyhow::Result<()> {
        fed(machine, &["wrdctl", "enroll", user], &format!("{}\n", self.0))
    }
}

/// Runs a program inside with something on its standard input.
fn fed(machine: &Machine, words: &[&str], input: &str) -> anyhow::Result<()> {
    let mut child = machine.command(words).stdin(Stdio::piped()).spawn().context("cannot enter the machine")?;
    child.stdin.take().context("no input")?.write_all(input.as_bytes())?;
    ensure!(child.wait()?.success(), "{words:?} failed");
    Ok(())
}

/// Who is there while the search goes on, besides the monitor and the listener of leaders.
#[derive(Clone, Copy)]
enum Scene {
    /// Nobody.
    Rest,
    /// Somebody at the login screen, whose leader waits for the next try.
    Screen,
    /// Somebody at work: a gate that relays, a session's leader and its worker.
    Session,
    /// Their session, and nobody at it.
    Left,
}

/// Looks everywhere.
fn is_nowhere(machine: &Machine, scene: Scene, canaries: &[&Canary]) -> anyhow::Result<()> {
    let needles: Vec<Needle> = canaries.iter().flat_map(|canary| canary.needles()).collect();
    let actors = match scene {
        Scene::Rest => [0, 0, 0],
        Scene::Screen => [1, 1, 0],
        Scene::Session => [1, 1, 1],
        Scene::Left => [0, 1, 1],
    };
    eventually("those who should be there, and no others", PATIENCE, || {
        let counts = processes::count(machine)?;
        let count = |name| counts.get(name).copied().unwrap_or(0);
        let there = [count("wrd-gate"), processes::leaders(machine)?.len(), count("wrd-session")];
        Ok((there == actors && count("wrd-dm") == 1).then_some(()))
    })?;
    nothing(&everywhere(machine, &needles)?)
}

/// All that is found of it in our processes, in what any process was started with, and on disk.
fn everywhere(machine: &Machine, needles: &[Needle]) -> anyhow::Result<Vec<Find>> {
    let mut found = on_disk(machine, needles)?;
    for (name, process) in processes::of_machine(machine)? {
        // The clients of these tests are told their password so.
        if name != "xfreerdp3" {
            found.extend(memory::search_start(&process, needles));
        }
    }
    for (_, process) in processes::ours(machine)? {
        found.extend(memory::search_process(&process, needles)?);
    }
    Ok(found)
}

/// What the machine keeps: its journal and the files that we, or a core, might be in.
fn on_disk(machine: &Machine, needles: &[Needle]) -> anyhow::Result<Vec<Find>> {
    let mut found = Vec::new();
    for format in ["verbose", "export"] {
        let words = ["journalctl", "--sync", "--no-pager", "--all", "--output", format];
        machine.sh("journalctl --sync")?;
        let journal = machine.command(&[&words[..1], &words[2..]].concat()).output()?.stdout;
        ensure!(journal.len() > 10_000, "the journal is empty");
        found.extend(memory::search(&format!("the journal ({format})"), &journal, needles));
    }
    for folder in
        ["/run/wrd-dm", "/run/log", "/var/lib/wrd-dm", "/var/log", "/tmp", "/var/tmp", "/var/lib/systemd", CORES]
    {
        found.extend(memory::search_files(&machine.path(folder), needles)?);
    }
    Ok(found)
}

fn nothing(found: &[Find]) -> anyhow::Result<()> {
    let lines: BTreeSet<String> = found
        .iter()
        .map(|Find { needle, place, offset, around }| format!("{place} + {offset:#x}: {needle}: {around}"))
        .collect();
    ensure!(lines.is_empty(), "found:\n{}", lines.into_iter().collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// Which of our processes have some of it in memory.
fn holders(machine: &Machine, canary: &Canary) -> anyhow::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for (name, process) in processes::ours(machine)? {
        if !memory::search_process(&process, &canary.needles())?.is_empty() {
            names.insert(name);
        }
    }
    Ok(names)
}

/// The monitor's line; PAM's modules have theirs, before it is said on the screen.
const DENIED: &str = "authentication failure; rhost";

/// Waits until the journal says something; with logs like these a failure need not show all of them.
fn said(machine: &Machine, mark: &Mark, part: &str) -> anyhow::Result<()> {
    eventually(&format!("the journal to say {part:?}"), PATIENCE, || {
        Ok(machine.journal(mark)?.contains(part).then_some(()))
    })
}

/// Types an answer and waits until the journal says that the next thing was asked or told, and for the screen to type on.
fn answer(machine: &Machine, client: &mut Client<'_>, text: &str, then: &str) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    let typed = client.enter(text)?;
    said(machine, &mark, then)?;
    client.wait_for_input_after(Some(&typed))
}

/// Types the last answer and waits until the user works.
fn answer_for_good(
    machine: &Machine,
    client: &mut Client<'_>,
    (text, then): (&str, &str),
    user: &str,
) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    client.enter(text)?;
    said(machine, &mark, then)?;
    works(machine, client, user)
}

/// Starts a client and waits until the journal says something, and for the login screen.
fn started<'m>(machine: &'m Machine, options: Options, then: &str) -> anyhow::Result<Client<'m>> {
    let mark = machine.mark()?;
    let mut client = Client::start(machine, options)?;
    said(machine, &mark, then)?;
    client.wait_for_input()?;
    Ok(client)
}

/// Waits until a user works, and nothing happens any more.
fn works(machine: &Machine, client: &mut Client<'_>, user: &str) -> anyhow::Result<()> {
    client.wait_for_desktop()?;
    server::wait_state(machine, user, "connected")?;
    client.settle()?;
    Ok(())
}

/// What finds nothing everywhere would find nothing at all.
fn what_is_held_is_found(machine: &Machine) -> anyhow::Result<()> {
    let canary = Canary::new("Bassoon-held", SHORT);
    machine.write(
        "/root/hold.py",
        "import sys\nheld = sys.stdin.readline()\nopen('/run/held', 'w')\nsys.stdin.read()\n",
    )?;
    let mut child = machine.command(&["python3", "/root/hold.py"]).stdin(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(format!("{}\n", canary.0).as_bytes())?;
    eventually("the program to read", PATIENCE, || Ok(machine.path("/run/held").exists().then_some(())))?;
    let all = processes::of_machine(machine)?;
    let (_, program) = all.iter().find(|(name, _)| name == "python3").context("no python3")?;
    let found = memory::search_process(program, &canary.needles())?;
    drop(input);
    child.wait()?;
    for piece in canary.needles().iter().filter(|needle| canary.0.contains(&needle.name)) {
        ensure!(found.iter().any(|find| find.needle == piece.name), "{} is not found: {found:?}", piece.name);
    }
    // In one of ours, too, which nobody else can look into.
    let mut client = started(machine, Options::user("bob").password("wrong").more("/sec:tls"), DENIED)?;
    let before = client.settle()?;
    client.type_text(&canary.0)?;
    client.wait_for_screen("what is typed", |screen| *screen != before)?;
    client.settle()?;
    let holders = holders(machine, &canary)?;
    ensure!(holders == BTreeSet::from(["wrd-gate".to_owned()]), "what is being typed is in {holders:?}");
    drop(client);
    // And in the journal and in files.
    machine.sh(&format!("echo {} >/tmp/held; logger {}", canary.0, canary.0))?;
    let found = on_disk(machine, &canary.needles())?;
    machine.sh("rm /tmp/held")?;
    for place in ["journal (verbose)", "journal (export)", "/tmp/held"] {
        ensure!(found.iter().any(|find| find.place.contains(place)), "{place}: {found:?}");
    }
    server::clear(machine)
}

fn client_info(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        for length in [SHORT, LONG] {
            let canary = Canary::new("Marimba-info", length);
            canary.set(machine, "alice")?;
            let mut client = Client::start(machine, Options::user("alice").password(&canary.0).more("/sec:tls"))?;
            works(machine, &mut client, "alice")?;
            is_nowhere(machine, Scene::Session, &[&canary])?;
            drop(client);
            server::clear(machine)?;
        }
        Ok(())
    })
}

fn a_wrong_client_info(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        let canary = Canary::new("Ocarina-wrong", LONG);
        let _client = started(machine, Options::user("alice").password(&canary.0).more("/sec:tls"), DENIED)?;
        is_nowhere(machine, Scene::Screen, &[&canary])
    })
}

fn typed_on_the_screen(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        let (wrong, right) = (Canary::new("Celesta-typo", SHORT), Canary::new("Theremin-good", SHORT));
        right.set(machine, "alice")?;
        let mut client = started(machine, Options::user("alice").password("wrong").more("/sec:tls"), DENIED)?;
        answer(machine, &mut client, &wrong.0, DENIED)?;
        is_nowhere(machine, Scene::Screen, &[&wrong])?;
        answer_for_good(machine, &mut client, (&right.0, "logged in;"), "alice")?;
        is_nowhere(machine, Scene::Session, &[&wrong, &right])
    })
}

/// Its leader ends, another one's session goes on.
fn a_second_login_to_a_session(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        let canary = Canary::new("Dulcimer-again", LONG);
        canary.set(machine, "alice")?;
        let options = Options::user("alice").password(&canary.0).more("/sec:tls");
        let mut client = Client::start(machine, options.clone())?;
        works(machine, &mut client, "alice")?;
        client.disconnect()?;
        server::wait_state(machine, "alice", "disconnected")?;
        let mut client = Client::start(machine, options)?;
        works(machine, &mut client, "alice")?;
        is_nowhere(machine, Scene::Session, &[&canary])
    })
}

fn nla(machine: &Machine, security: &str) -> anyhow::Result<()> {
    and_back(machine, || {
        let canary = Canary::new(&format!("Bagpipe-{}", &security[5..]), LONG);
        canary.set(machine, "alice")?;
        canary.enrol(machine, "alice")?;
        let mark = machine.mark()?;
        let mut client = Client::start(machine, Options::user("alice").password(&canary.0).more(security))?;
        works(machine, &mut client, "alice")?;
        expect_in("the journal", "wants to prove", &machine.journal(&mark)?)?;
        is_nowhere(machine, Scene::Session, &[&canary])
    })
}

fn a_wrong_nla(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        let (right, wrong) = (Canary::new("Zither-right", SHORT), Canary::new("Kazoo-wrong", SHORT));
        right.enrol(machine, "alice")?;
        let mark = machine.mark()?;
        let mut client = Client::start(machine, Options::user("alice").password(&wrong.0).more("/sec:nla"))?;
        client.wait_exit()?;
        said(machine, &mark, "NLA: wrong password, or nobody is enrolled by that name")?;
        is_nowhere(machine, Scene::Rest, &[&right, &wrong])?;
        // PAM knows another one: what is enrolled was right for NLA, and goes.
        let mark = machine.mark()?;
        let mut client = Client::start(machine, Options::user("alice").password(&right.0).more("/sec:nla"))?;
        said(machine, &mark, "enrolment removed")?;
        client.wait_for_input()?;
        is_nowhere(machine, Scene::Screen, &[&right, &wrong])
    })
}

fn an_expired_password(machine: &Machine, security: &str) -> anyhow::Result<()> {
    and_back(machine, || {
        let name = |name| Canary::new(&format!("{name}-{}", &security[5..]), SHORT);
        let (old, new) = (name("Sitar"), name("Lyre"));
        // Enrols who is given a password.
        machine.sh("pam-auth-update --enable wrd-dm-enroll")?;
        old.set(machine, "bob")?;
        machine.sh("chage --lastday 0 bob")?;
        let options = Options::user("bob").password(&old.0).more(security);
        let mut client = started(machine, options, "Current password")?;
        answer(machine, &mut client, &old.0, "New password")?;
        answer(machine, &mut client, &new.0, "Retype new password")?;
        answer_for_good(machine, &mut client, (&new.0, "the password was changed"), "bob")?;
        expect_in("the enrolled", "bob", &machine.sh("wrdctl enrolled")?)?;
        is_nowhere(machine, Scene::Session, &[&old, &new])
    })
}

/// pam_oath with a static part before the code. The module never frees what it was answered: that block, the whole answer
/// and nothing else, is in the leader until the session ends, and only the module knows where. What it does free is gone.
fn a_second_factor(machine: &Machine, security: &str) -> anyhow::Result<()> {
    and_back(machine, || {
        let name = &security[5..];
        let password = Canary::new(&format!("Viola-{name}"), SHORT);
        let factor = Canary::new(&format!("Cello-{name}"), 24);
        password.set(machine, "alice")?;
        password.enrol(machine, "alice")?;
        // The secret of RFC 4226, appendix D, and its first code.
        let users = format!("HOTP alice {} 3132333435363738393031323334353637383930\n", factor.0);
        machine.write("/etc/users.oath", &users)?;
        machine.sh("chmod 0600 /etc/users.oath")?;
        with_rule(machine, "@include common-auth", OATH)?;
        let options = Options::user("alice").password(&password.0).more(security);
        let mut client = started(machine, options, "One-time password")?;
        let given = format!("{}755224", factor.0);
        answer_for_good(machine, &mut client, (&given, "logged in;"), "alice")?;
        is_nowhere(machine, Scene::Session, &[&password])?;
        let found = everywhere(machine, &factor.needles())?;
        let is_leaked = |find: &Find| find.place.starts_with("wrd-leader") && find.around.contains(&given);
        nothing(&found.into_iter().filter(|find| !is_leaked(find)).collect::<Vec<_>>())
    })
}

/// Replaces our service with one that has `rule` behind its line that begins with `line`.
fn with_rule(machine: &Machine, line: &str, rule: &str) -> anyhow::Result<()> {
    machine.sh(&format!("sed '/^{line}/a {rule}' /root/wrd-dm.pam >/etc/pam.d/wrd-dm")).map(drop)
}

const OATH: &str = "auth required pam_oath.so usersfile=/etc/users.oath digits=6 window=5";

fn enrolled_by_wrdctl(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        let canary = Canary::new("Harp-enrol", SHORT);
        canary.enrol(machine, "alice")?;
        is_nowhere(machine, Scene::Rest, &[&canary])?;
        // The program itself, once it has the server's key and the password, and waits for the server's word.
        let mut child = machine.command(&["wrdctl", "enroll", "bob"]).stdin(Stdio::piped()).spawn()?;
        let program = eventually("wrdctl to read", PATIENCE, || in_call(machine, READ))?;
        machine.sh("pkill -STOP -x wrd-dm")?;
        let mut input = child.stdin.take().context("no input")?;
        input.write_all(format!("{}\n", canary.0).as_bytes())?;
        let waits = eventually("wrdctl to wait for the server", PATIENCE, || in_call(machine, RECEIVE));
        let found = memory::search_process(&program, &canary.needles());
        machine.sh("pkill -CONT -x wrd-dm")?;
        waits?;
        nothing(&found?)?;
        ensure!(child.wait()?.success(), "wrdctl enroll failed");
        is_nowhere(machine, Scene::Rest, &[&canary])
    })
}

/// Where `wrdctl` waits: in read(2) for its input, in recvmsg(2) for the server. As `/proc/PID/syscall` has it on x86-64.
const READ: &str = "0 ";
const RECEIVE: &str = "47 ";

/// `wrdctl`, once it waits there.
fn in_call(machine: &Machine, call: &str) -> anyhow::Result<Option<PathBuf>> {
    let waits = |process: &PathBuf| fs::read_to_string(process.join("syscall")).is_ok_and(|is| is.starts_with(call));
    let all = processes::of_machine(machine)?;
    Ok(all.into_iter().find(|(name, process)| name == "wrdctl" && waits(process)).map(|(_, process)| process))
}

fn enrolled_by_the_pam_module(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        let canary = Canary::new("Fiddle-module", LONG);
        machine.sh("pam-auth-update --enable wrd-dm-enroll; sed -i 's/^#\\(auth .*pam_wrd_enroll.*\\)/\\1/' /etc/pam.d/wrd-dm; grep -q '^auth .*pam_wrd_enroll' /etc/pam.d/wrd-dm")?;
        canary.set(machine, "alice")?;
        expect_in("the enrolled", "alice", &machine.sh("wrdctl enrolled")?)?;
        is_nowhere(machine, Scene::Rest, &[&canary])?;
        machine.sh("wrdctl forget alice")?;
        let mut client = Client::start(machine, Options::user("alice").password(&canary.0).more("/sec:tls"))?;
        works(machine, &mut client, "alice")?;
        expect_in("the enrolled", "alice", &machine.sh("wrdctl enrolled")?)?;
        is_nowhere(machine, Scene::Session, &[&canary])?;
        // Another leader, which opens no session.
        client.disconnect()?;
        let mut client = Client::start(machine, Options::user("alice").password(&canary.0).more("/sec:tls"))?;
        works(machine, &mut client, "alice")?;
        is_nowhere(machine, Scene::Session, &[&canary])
    })
}

/// Where cores would be, as [`CorePattern`] has it.
const CORES: &str = "/cores";

/// Has crashed processes leave their cores in [`CORES`], each in its own machine.
struct CorePattern(Vec<u8>);

impl CorePattern {
    const FILE: &str = "/proc/sys/kernel/core_pattern";

    fn set() -> anyhow::Result<Self> {
        let before = fs::read(Self::FILE)?;
        fs::write(Self::FILE, format!("{CORES}/%e.%p"))?;
        Ok(Self(before))
    }
}

impl Drop for CorePattern {
    fn drop(&mut self) {
        let _ = fs::write(Self::FILE, &self.0);
    }
}

fn no_cores(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        let canary = Canary::new("Gong-core", SHORT);
        canary.set(machine, "alice")?;
        machine.sh(&format!("mkdir -p {CORES}; chmod 1777 {CORES}"))?;
        let _pattern = CorePattern::set()?;
        // Whoever may leave one does.
        machine.try_sh(
            "ulimit -c unlimited; sleep 100 & \
             until [ $(cat /proc/$!/comm) = sleep ]; do sleep .1; done; kill -SEGV $!; wait $!",
        )?;
        let cores = || machine.sh(&format!("ls {CORES} | sed 's/[.].*//' | sort -u"));
        ensure!(cores()? == "sleep", "no core of anybody: {:?}", cores()?);
        // While one types, another is being checked, and a third works.
        let mut typing = started(machine, Options::user("bob").password("wrong").more("/sec:tls"), DENIED)?;
        let before = typing.settle()?;
        typing.type_text(&canary.0)?;
        typing.wait_for_screen("what is typed", |screen| *screen != before)?;
        typing.settle()?;
        machine.write("/root/hang", "#!/bin/sh\n[ \"$PAM_USER\" = alice ] && exec sleep 1000\nexit 0\n")?;
        machine.sh("chmod 0755 /root/hang; sed '/^@include common-auth/a auth optional pam_exec.so quiet /root/hang' /root/wrd-dm.pam >/etc/pam.d/wrd-dm")?;
        let mut checked = Client::start(machine, Options::user("alice").password(&canary.0).more("/sec:tls"))?;
        checked.wait_for_greeter()?;
        let mut works_on = Client::start(machine, Options::user("bob").more("/sec:tls"))?;
        works(machine, &mut works_on, "bob")?;
        // It is there, and it is nowhere else than where it must be.
        eventually("it to be in a gate, which it is typed at, and in a leader", PATIENCE, || {
            let holders = holders(machine, &canary)?;
            Ok((holders == ["wrd-gate", "wrd-leader"].map(str::to_owned).into()).then_some(()))
        })?;
        for name in ["wrd-gate", "wrd-leader", "wrd-dm"] {
            let before = processes::ours(machine)?;
            let gone = |(other, process): &(String, PathBuf)| other != name || !process.exists();
            // More than once: the standard library's handler lets the first one pass, in wait for the access that it
            // takes to be the reason.
            let crash = || machine.try_sh(&format!("pkill -SEGV -x {name}")).map(drop);
            eventually("all of them to crash", PATIENCE, || {
                if before.iter().all(gone) {
                    return Ok(Some(()));
                }
                crash().map(|()| None)
            })?;
        }
        drop((typing, checked, works_on));
        std::thread::sleep(std::time::Duration::from_secs(1));
        ensure!(cores()? == "sleep", "there are cores of {:?}", cores()?);
        machine.sh(&format!("rm -r {CORES}; pkill -x sleep; true"))?;
        Ok(())
    })
}
