//! Whom the server lets in, with its default settings or with one of them changed. Strangers come from addresses
//! that no other test has, as what they do is held against those.

use crate::gates;
use crate::visitors::{A_BYTE, INSTALLED, Visitors};
use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Build, Machine, Mark};
use wrd_tests::processes::Stopped;
use wrd_tests::rogue::Rogue;
use wrd_tests::runner::Test;
use wrd_tests::strangers::{Attack, Street};
use wrd_tests::{PATIENCE, eventually, expect_eq, poll, processes, server};

pub const TESTS: &[Test] = &[
    ("half_open_connections_keep_nobody_out", half_open_connections_keep_nobody_out),
    ("who_says_nothing_costs_no_process", who_says_nothing_costs_no_process),
    ("a_source_has_so_many_connections_at_a_time", a_source_has_so_many_connections_at_a_time),
    ("a_source_has_so_many_connections_a_minute", a_source_has_so_many_connections_a_minute),
    ("a_source_of_ipv6_is_a_whole_network", a_source_of_ipv6_is_a_whole_network),
    ("the_one_shown_longest_makes_room_at_the_login_screens", the_one_shown_longest_makes_room_at_the_login_screens),
    ("one_that_stands_makes_room_for_who_begins", one_that_stands_makes_room_for_who_begins),
    ("the_connections_of_a_flood_are_dropped", the_connections_of_a_flood_are_dropped),
    ("wrong_passwords_are_held_against_their_source", wrong_passwords_are_held_against_their_source),
    ("penalties_end", penalties_end),
    ("who_leaves_without_a_login_pays", who_leaves_without_a_login_pays),
    ("who_takes_too_long_pays", who_takes_too_long_pays),
    ("no_process_sleeps_through_the_delay_of_a_denial", no_process_sleeps_through_the_delay_of_a_denial),
    ("a_denial_counts_though_the_gate_is_gone", a_denial_counts_though_the_gate_is_gone),
    ("who_does_not_log_in_keeps_no_leader", who_does_not_log_in_keeps_no_leader),
    ("fail2ban_finds_who_guessed_and_nobody_else", fail2ban_finds_who_guessed_and_nobody_else),
];

/// Between two looks at something that is soon over.
const INSTANT: Duration = Duration::from_millis(2);

/// Settings beside the defaults, until dropped.
struct Settings<'m>(&'m Machine);

impl<'m> Settings<'m> {
    const FILE: &'static str = "/etc/wrd-dm/wrd-dm.toml.d/door.toml";

    fn set(machine: &'m Machine, text: &str) -> anyhow::Result<Self> {
        let settings = Self(machine);
        machine.write(Self::FILE, &format!("[admission]\n{text}\n"))?;
        settings.reload()?;
        Ok(settings)
    }

    fn reload(&self) -> anyhow::Result<()> {
        let mark = self.0.mark()?;
        self.0.sh("systemctl start wrd-dm.service; systemctl reload wrd-dm.service")?;
        self.0.wait_journal(&mark, "configuration read")
    }
}

impl Drop for Settings<'_> {
    fn drop(&mut self) {
        let removed = std::fs::remove_file(self.0.path(Self::FILE)).map_err(anyhow::Error::new);
        if let Err(error) = removed.and_then(|()| self.reload()) {
            println!("    the settings stay: {error:#}");
        }
    }
}

/// Waits until the journal says that `source` was refused for `reason`. That is said once in a while only: the
/// source comes again and again, and is refused each time.
fn wait_refused(machine: &Machine, (mark, source, reason): (&Mark, &str, &str)) -> anyhow::Result<()> {
    let said = format!("admission: refused; rhost={source} reason={reason}");
    eventually(&said, PATIENCE, || {
        let mut again = Visitors::come(machine, source, INSTALLED, (1, A_BYTE))?;
        eventually("a refused connection to end", PATIENCE, || Ok((again.ended()? == 1).then_some(())))?;
        Ok(machine.journal(mark)?.contains(&said).then_some(()))
    })
}

/// Whoever else comes has a gate.
fn lets_in(machine: &Machine, source: &str) -> anyhow::Result<()> {
    let (_, mut visitor) = gates::of(machine, || Visitors::come(machine, source, INSTALLED, (1, A_BYTE)))?;
    expect_eq("connections of another source that were ended", visitor.ended()?, 0)
}

/// A leader may outlive its connection while PAM keeps it.
fn wait_nobody(machine: &Machine) -> anyhow::Result<()> {
    eventually("all gates and leaders to end", PATIENCE, || {
        Ok((gates::all(machine)?.is_empty() && leaders(machine)? == 0).then_some(()))
    })
}

fn leaders(machine: &Machine) -> anyhow::Result<usize> {
    Ok(processes::leaders(machine)?.len())
}

fn attack(machine: &Machine, from: String, words: &[&str]) -> anyhow::Result<Attack> {
    Attack::start(machine, Build::Dev, &[from], words)
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or(0)
}

fn half_open_connections_keep_nobody_out(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("systemctl start wrd-dm.service")?;
    for (street, stage) in (42..).zip(["silent", "negotiated", "half-tls", "credssp", "challenged", "joined"]) {
        let open = standing(machine, stage)?;
        let words = ["stand", "--stage", stage, "--connections", "300", "--again"];
        let mut attack = attack(machine, Street(street).four(300), &words)?;
        attack.wait_standing()?;
        let mut client = Client::start(machine, Options::user("alice"))?;
        let begin = Instant::now();
        let mut there = 0;
        poll("alice's session to be connected", PATIENCE, Duration::from_millis(10), || {
            // As long as she is not.
            there = standing(machine, stage)?.saturating_sub(open);
            ensure!(client.exit_code()?.is_none(), "{stage}: alice was turned away: {}", client.log());
            Ok(server::session(machine, "alice")?.filter(|session| session["state"] == "connected"))
        })?;
        let taken = begin.elapsed().as_millis();
        drop(client);
        server::clear(machine)?;
        let report = attack.stop()?;
        println!("    {stage}: alice's session was connected after {taken} ms, while {there} stood; {report}");
        // From 50 gates on newcomers may have another end: of 300 that come again each time some are on their way.
        ensure!(there >= 200, "only {there} stood at {stage}: {report}");
        ensure!(number(&report, "standing") >= 200, "{report}");
        wait_nobody(machine)?;
    }
    Ok(())
}

/// How many connections the server has at a stage: a silent one costs a descriptor, another one a gate.
fn standing(machine: &Machine, stage: &str) -> anyhow::Result<usize> {
    if stage != "silent" {
        return Ok(gates::all(machine)?.len());
    }
    processes::descriptors(&processes::monitor(machine)?)
}

fn who_says_nothing_costs_no_process(machine: &Machine) -> anyhow::Result<()> {
    wait_nobody(machine)?;
    let mark = machine.mark()?;
    let source = "127.3.0.1";
    let mut visitors = Visitors::come(machine, source, INSTALLED, (5, ""))?;
    expect_eq("connections that were ended at once", visitors.ended()?, 0)?;
    eventually("the silent connections to end", PATIENCE, || {
        ensure!(gates::all(machine)?.is_empty(), "there is a gate");
        Ok((visitors.ended()? == 5).then_some(()))
    })?;
    machine.wait_journal(&mark, &format!("admission: turned away; rhost={source} reason=nothing-sent"))?;
    ensure!(!machine.journal(&mark)?.contains(&format!("client={source}")), "one of them had a gate");
    Ok(())
}

fn a_source_has_so_many_connections_at_a_time(machine: &Machine) -> anyhow::Result<()> {
    // So few that all of it is seen before a gate gives up on the rest of a PDU, which takes ten seconds.
    let settings = Settings::set(machine, "source_connections = 4")?;
    let mark = machine.mark()?;
    let source = "127.3.1.1";
    let mut visitors = Visitors::come(machine, source, INSTALLED, (12, A_BYTE))?;
    eventually("those over the limit to be ended", PATIENCE, || Ok((visitors.ended()? >= 8).then_some(())))?;
    wait_refused(machine, (&mark, source, "source-connections"))?;
    lets_in(machine, "127.3.1.2")?;
    expect_eq("connections that were ended", visitors.ended()?, 8)?;
    drop((visitors, settings));
    wait_nobody(machine)
}

fn a_source_has_so_many_connections_a_minute(machine: &Machine) -> anyhow::Result<()> {
    // Two of them at once, and the next one in half a minute.
    let settings = Settings::set(machine, "source_connections_per_minute = 2")?;
    let mark = machine.mark()?;
    let source = "127.3.2.1";
    let mut visitors = Visitors::come(machine, source, INSTALLED, (7, A_BYTE))?;
    eventually("those over the limit to be ended", PATIENCE, || Ok((visitors.ended()? >= 5).then_some(())))?;
    machine.wait_journal(&mark, &format!("admission: refused; rhost={source} reason=source-rate"))?;
    lets_in(machine, "127.3.2.2")?;
    expect_eq("connections that were ended", visitors.ended()?, 5)?;
    drop((visitors, settings));
    wait_nobody(machine)
}

/// Whoever has one address of a /64 has all of them.
fn a_source_of_ipv6_is_a_whole_network(machine: &Machine) -> anyhow::Result<()> {
    let (street, at_once) = (Street(50), Settings::set(machine, "source_connections = 4")?);
    let stand = |network, host, connections| {
        let words = ["stand", "--stage", "negotiated", "--connections", connections];
        let mut standing = attack(machine, street.six_at(network, host), &words)?;
        standing.wait_standing()?;
        Ok::<_, anyhow::Error>(standing)
    };
    let come = |who: Attack| Ok::<_, anyhow::Error>(number(&who.stop()?, "reached"));
    let [first, neighbour, stranger] = [stand(0, 1, "3")?, stand(0, 2, "3")?, stand(1, 1, "3")?];
    let came = [come(first)?, come(neighbour)?, come(stranger)?];
    expect_eq("connections of two neighbours and a stranger", came, [3, 1, 3])?;
    drop(at_once);
    wait_nobody(machine)?;

    let settings = Settings::set(machine, &only("silent"))?;
    eventually("the first one to be refused", PATIENCE, || Ok((come(stand(2, 1, "1")?)? == 0).then_some(())))?;
    // At its first try, before it has done anything itself.
    let came = [come(stand(2, 2, "1")?)?, come(stand(3, 1, "1")?)?];
    expect_eq("connections of a neighbour and a stranger", came, [0, 1])?;
    drop(settings);
    wait_nobody(machine)
}

fn the_one_shown_longest_makes_room_at_the_login_screens(machine: &Machine) -> anyhow::Result<()> {
    wait_nobody(machine)?;
    let settings = Settings::set(machine, "login_screens = 2")?;
    let mark = machine.mark()?;
    let show = |street: u8| {
        let words = ["stand", "--stage", "active", "--connections", "1"];
        let mut shown = attack(machine, Street(street).four(1), &words)?;
        shown.wait_standing()?;
        Ok::<_, anyhow::Error>(shown)
    };
    let (first, second) = (show(51)?, show(52)?);
    ensure!(!machine.journal(&mark)?.contains("turned away"), "there was room for two");
    let third = show(53)?;
    machine.wait_journal(&mark, "admission: turned away; rhost=198.18.102.1 reason=for-login-screens")?;
    eventually("its gate to end", PATIENCE, || Ok((gates::all(machine)?.len() == 2).then_some(())))?;
    let stand = |attack: Attack| Ok::<_, anyhow::Error>(number(&attack.stop()?, "standing"));
    expect_eq("who still stands", [stand(first)?, stand(second)?, stand(third)?], [0, 1, 1])?;
    drop(settings);
    wait_nobody(machine)
}

fn one_that_stands_makes_room_for_who_begins(machine: &Machine) -> anyhow::Result<()> {
    wait_nobody(machine)?;
    let settings = Settings::set(machine, "startups = \"2:100:2\"")?;
    let mark = machine.mark()?;
    let come = |source| gates::of(machine, || Visitors::come(machine, source, INSTALLED, (1, A_BYTE)));
    let ((_, mut first), (_, mut second)) = (come("127.3.6.1")?, come("127.3.6.2")?);
    ensure!(!machine.journal(&mark)?.contains("turned away"), "there was room for two");
    let (_, mut third) = come("127.3.6.3")?;
    // The later half of those who have just come is spared.
    eventually("the first one to be ended", PATIENCE, || Ok((first.ended()? == 1).then_some(())))?;
    machine.wait_journal(&mark, "admission: turned away; rhost=127.3.6.1 reason=for-startups")?;
    expect_eq("others that were ended", (second.ended()?, third.ended()?), (0, 0))?;
    drop((first, second, third, settings));
    wait_nobody(machine)
}

fn the_connections_of_a_flood_are_dropped(machine: &Machine) -> anyhow::Result<()> {
    let (mark, from) = (machine.mark()?, Street(41).four(1));
    let source = from.trim_end_matches("+1");
    let flood = attack(machine, from.clone(), &["flood", "--connections", "100000", "--hold", "50", "--talk"])?;
    machine.wait_journal(&mark, &format!("admission: refused; rhost={source} reason=flood seconds="))?;
    lets_in(machine, "127.3.3.1")?;
    let report = flood.finish()?;
    println!("    {report}");
    ensure!(number(&report, "failed") > number(&report, "opened"), "{report}");
    expect_eq("complaints", machine.journal(&mark)?.matches("the kernel drops none").count(), 0)?;
    eventually("the source to be heard again", PATIENCE, || {
        let report = attack(machine, from.clone(), &["flood", "--connections", "1"])?.finish()?;
        Ok((number(&report, "opened") == 1).then_some(()))
    })?;
    wait_nobody(machine)
}

fn wrong_passwords_are_held_against_their_source(machine: &Machine) -> anyhow::Result<()> {
    let (bad, exempt) = (Street(35), Street(36));
    // The fourth is one too many, however long all of them take.
    let penalty = "penalty_denied_seconds = 100\npenalty_min_seconds = 320\n";
    let settings = Settings::set(machine, &format!("exempt = [\"198.18.72.0/23\"]\n{penalty}"))?;
    let mark = machine.mark()?;
    let first = [guess(machine, bad, ("4", "carol"))?, guess(machine, exempt, ("4", "carol"))?];
    let then = [guess(machine, bad, ("4", "carol"))?, guess(machine, exempt, ("4", "carol"))?];
    expect_eq("attempts that were let in", (first, then), ([4, 4], [0, 4]))?;
    eventually("a line about the refusal", PATIENCE, || {
        attack(machine, bad.four(1), &["flood", "--connections", "1", "--talk"])?.finish()?;
        Ok(machine.journal(&mark)?.contains("refused; rhost=198.18.70.1 reason=penalty").then_some(()))
    })?;
    drop(settings);
    wait_nobody(machine)
}

/// Has wrong passwords tried from one address, with connections of their own. How many were let in; each of them has
/// been denied when this returns.
fn guess(machine: &Machine, street: Street, (attempts, user): (&str, &str)) -> anyhow::Result<u64> {
    let mark = machine.mark()?;
    let from = street.four(1);
    let words = ["passwords", "--attempts", attempts, "--user", user];
    let judged = number(&attack(machine, from.clone(), &words)?.finish()?, "judged");
    // The attacker does not wait for PAM.
    let denied = format!("authentication failure; rhost={} ", from.trim_end_matches("+1"));
    eventually("PAM's verdict", PATIENCE, || {
        Ok((machine.journal(&mark)?.matches(&denied).count() as u64 == judged).then_some(judged))
    })
}

fn penalties_end(machine: &Machine) -> anyhow::Result<()> {
    let source = "192.0.2.51";
    machine.sh(&format!("ip address add {source}/32 dev lo"))?;
    let result = penalty_of(machine, source);
    machine.sh(&format!("ip address del {source}/32 dev lo"))?;
    server::clear(machine)?;
    result
}

fn penalty_of(machine: &Machine, source: &str) -> anyhow::Result<()> {
    let settings = Settings::set(machine, "penalty_denied_seconds = 25\npenalty_min_seconds = 25")?;
    let mark = machine.mark()?;
    let options = Options::user("alice").server(&format!("{source}:3389"));
    let wrong = Client::start(machine, options.clone().password("wrong"))?;
    machine.wait_journal(&mark, &format!("authentication failure; rhost={source} "))?;
    drop(wrong);
    wait_refused(machine, (&mark, source, "penalty"))?;
    let client = eventually("the penalty to end", PATIENCE, || {
        let mut client = Client::start(machine, options.clone())?;
        let connected = eventually("an end or a session", PATIENCE, || {
            let session = server::session(machine, "alice")?;
            let connected = session.is_some_and(|session| session["client"]["address"] == source);
            Ok((connected || client.exit_code()?.is_some()).then_some(connected))
        })?;
        Ok(connected.then_some(client))
    })?;
    drop((client, settings));
    Ok(())
}

fn who_does_not_log_in_keeps_no_leader(machine: &Machine) -> anyhow::Result<()> {
    wait_nobody(machine)?;
    let settings = Settings::set(machine, "logins = 2")?;
    let mark = machine.mark()?;
    let words = ["stand", "--stage", "active", "--connections", "8", "--user", "carol", "--password", "wrong"];
    let mut attack = attack(machine, Street(37).four(8), &words)?;
    let mut most = 0;
    eventually("each of them to be denied", PATIENCE * 2, || {
        // One that is leaving has made room before it is gone: those count that are there for a whole second.
        let mut seen = processes::leaders(machine)?;
        for _ in 0..10 {
            std::thread::sleep(Duration::from_millis(100));
            let now = processes::leaders(machine)?;
            seen.retain(|leader| now.contains(leader));
        }
        most = most.max(seen.len());
        let denied = machine.journal(&mark)?.matches("authentication failure; rhost=198.18.74.").count();
        Ok((denied == 8).then_some(()))
    })?;
    expect_eq("leaders at a time of which none had let anybody in", most, 2)?;
    // They stand at their login screens, two of them with a leader.
    attack.wait_standing()?;
    eventually("two leaders that wait", PATIENCE, || Ok((leaders(machine)? == 2).then_some(())))?;
    let client = Client::start(machine, Options::user("alice"))?;
    server::wait_state(machine, "alice", "connected")?;
    let report = attack.stop()?;
    // Without a leader they still have their login screens, until the time there is over.
    eventually("eight login screens", PATIENCE, || {
        let journal = machine.journal(&mark)?;
        let late = journal.lines().filter(|line| line.contains("client=198.18.74.") && line.contains("too long"));
        Ok((number(&report, "standing") + late.count() as u64 == 8).then_some(()))
    })
    .with_context(|| report.to_string())?;
    drop((client, settings));
    server::clear(machine)?;
    wait_nobody(machine)
}

/// Settings by which one offence of a kind is enough, and no other counts.
fn only(offence: &str) -> String {
    let one = |name| format!("penalty_{name}_seconds = {}\n", if name == offence { 60 } else { 0 });
    ["crash", "denied", "late", "silent"].map(one).concat() + "penalty_min_seconds = 60\n"
}

fn who_leaves_without_a_login_pays(machine: &Machine) -> anyhow::Result<()> {
    let settings = Settings::set(machine, &only("silent"))?;
    let mark = machine.mark()?;
    let come = |source, words| Visitors::come(machine, source, INSTALLED, (1, words));
    let mut silent = come("127.3.4.1", "")?;
    eventually("the silent one to be turned away", PATIENCE, || Ok((silent.ended()? == 1).then_some(())))?;
    wait_refused(machine, (&mark, "127.3.4.1", "penalty"))?;
    // By themselves, before they have a gate and when they have one.
    drop(come("127.3.4.2", "")?);
    wait_refused(machine, (&mark, "127.3.4.2", "penalty"))?;
    drop(gates::of(machine, || come("127.3.4.3", A_BYTE))?);
    wait_refused(machine, (&mark, "127.3.4.3", "penalty"))?;
    lets_in(machine, "127.3.4.4")?;
    drop(settings);
    wait_nobody(machine)
}

fn who_takes_too_long_pays(machine: &Machine) -> anyhow::Result<()> {
    let settings = Settings::set(machine, &(only("late") + "[limits]\nlogin_seconds = 10\n"))?;
    let mark = machine.mark()?;
    let come = |source| gates::of(machine, || Visitors::come(machine, source, INSTALLED, (1, A_BYTE)));
    let given_up = come("127.3.5.1")?;
    // One that does not give up is ended by the monitor.
    let (gate, stopped) = come("127.3.5.2")?;
    let stands_still = gate.stop()?;
    for (source, said) in [("127.3.5.1", "connection given up; "), ("127.3.5.2", "no login in time; ")] {
        let gates = || -> anyhow::Result<Vec<String>> {
            let journal = machine.journal(&mark)?;
            Ok(journal.lines().filter(|line| line.contains(&format!("client={source} "))).map(str::to_owned).collect())
        };
        eventually(&format!("the gate of {source} to end"), PATIENCE, || Ok((!gates()?.is_empty()).then_some(())))?;
        ensure!(
            machine.journal(&mark)?.lines().any(|line| line.starts_with(said) && line.contains(source)),
            "nothing says {said:?} of {source}"
        );
        wait_refused(machine, (&mark, source, "penalty"))?;
        // What was refused first was refused for that gate's sake, and not for what has come since.
        expect_eq("gates of a source that took too long", gates()?.len(), 1)?;
    }
    drop((given_up, stands_still, stopped));
    // Who goes soon enough is not late.
    drop(come("127.3.5.3")?);
    machine.wait_journal(&mark, "client=127.3.5.3 ")?;
    lets_in(machine, "127.3.5.3")?;
    drop(settings);
    wait_nobody(machine)
}

/// PAM's delay is waited for by who can be interrupted, not slept through within libpam.
fn no_process_sleeps_through_the_delay_of_a_denial(machine: &Machine) -> anyhow::Result<()> {
    wait_nobody(machine)?;
    let mark = machine.mark()?;
    let client = Client::start(machine, Options::user("alice").password("wrong"))?;
    let sleeps = || -> anyhow::Result<bool> {
        // clock_nanosleep, by number.
        let call = |path: &Path| std::fs::read_to_string(path.join("syscall")).unwrap_or_default();
        Ok(processes::leaders(machine)?.iter().any(|leader| call(leader).starts_with("230 ")))
    };
    let denied = format!("authentication failure; rhost={} user=\"alice\"", server::ADDRESS);
    poll(&denied, PATIENCE, Duration::from_millis(20), || {
        ensure!(!sleeps()?, "the leader sleeps");
        Ok(machine.journal(&mark)?.contains(&denied).then_some(()))
    })?;
    // The user is told later. Who has left by then is not waited for.
    drop(client);
    machine.wait_journal(&mark, "connection given up")?;
    wait_nobody(machine)
}

fn a_denial_counts_though_the_gate_is_gone(machine: &Machine) -> anyhow::Result<()> {
    // To whom a gate that was killed costs nothing that others would miss.
    let source = "192.0.2.53";
    machine.sh(&format!("ip address add {source}/32 dev lo"))?;
    let settings = Settings::set(machine, &format!("exempt = [\"{source}\"]"))?;
    let result = eventually("a leader that stands still in time", PATIENCE, || deny_without_a_gate(machine, source));
    drop(settings);
    machine.sh(&format!("ip address del {source}/32 dev lo"))?;
    result
}

/// A monitor that is late finds both at once, the end of the gate first. `None` where the leader was quicker than we are.
fn deny_without_a_gate(machine: &Machine, source: &str) -> anyhow::Result<Option<()>> {
    wait_nobody(machine)?;
    let mark = machine.mark()?;
    let client = Client::start(machine, Options::user("alice").password("wrong").server(&format!("{source}:3389")))?;
    let leader = poll("a leader", PATIENCE, INSTANT, || Ok(processes::leaders(machine)?.pop()))?;
    let monitor = Stopped::now(&processes::monitor(machine)?)?;
    let asks_pam = || std::fs::read_to_string(leader.join("maps")).is_ok_and(|maps| maps.contains("pam_unix"));
    poll("the leader to ask PAM", PATIENCE, INSTANT, || Ok(asks_pam().then_some(())))?;
    let stopped = Stopped::now(&leader)?;
    let denied = || Ok::<_, anyhow::Error>(machine.journal(&mark)?.contains("login denied"));
    if denied()? {
        return Ok(None);
    }
    let gate = gates::all(machine)?.pop().context("there is no gate")?;
    // Without a last word; its client would come again.
    processes::kill(&gate, Signal::SIGKILL)?;
    drop(client);
    eventually("the gate to end", PATIENCE, || Ok(processes::has_ended(&gate).then_some(())))?;
    drop(stopped);
    eventually("the denial", PATIENCE, || Ok(denied()?.then_some(())))?;
    // In poll or ppoll, by number: it has told the monitor, and would tell the user later.
    let rests = || std::fs::read_to_string(leader.join("syscall")).is_ok_and(|call| is_poll(&call));
    poll("the leader to rest", PATIENCE, INSTANT, || Ok(rests().then_some(())))?;
    drop(monitor);
    machine.wait_journal(&mark, &format!("authentication failure; rhost={source} user=\"alice\""))?;
    wait_nobody(machine).map(Some)
}

fn is_poll(call: &str) -> bool {
    call.starts_with("7 ") || call.starts_with("271 ")
}

fn fail2ban_finds_who_guessed_and_nobody_else(machine: &Machine) -> anyhow::Result<()> {
    let line = "authentication failure; rhost=198.51.100.97 user=\"y\" connection=1 reason=\"z\"";
    let judged = guess(machine, Street(38), ("3", "carol"))?
        // Names that are no names; the last one is a line of its own, if anything lets it.
        + guess(machine, Street(39), ("1", "x\" rhost=198.51.100.99 user=\"y"))?
        + guess(machine, Street(39), ("1", "x\\\" rhost=198.51.100.98 user=\"y\\"))?
        + guess(machine, Street(40), ("1", &format!("x\nwrd-dm[1]: {line}")))?;
    expect_eq("attempts that were judged", judged, 6)?;
    // Gates that break the rules, one of them in words of its own.
    let rogue = Rogue::in_place(machine)?;
    for (street, case) in [(48, "start/screen"), (49, "login/login-session-forged")] {
        let told = attack(machine, Street(street).four(1), &["rogue", "--case", case])?.finish()?;
        expect_eq(case, (&told[case]["end"], &told[case]["again"]), (&"Closed".into(), &false.into()))?;
    }
    drop(rogue);
    // A gate that was taken over may write to the log what it likes. It is there until its line is: of a process that
    // is gone journald no longer finds out whose it was.
    machine.sh(&format!(
        "echo $$ >/sys/fs/cgroup/system.slice/wrd-dm.service/cgroup.procs
         setpriv --reuid wrd-gate --regid wrd-gate --clear-groups \\
           systemd-cat -t wrd-dm sh -c 'echo \"$0\"; exec sleep 60' '{line}' &
         for try in $(seq 100); do
           journalctl --sync
           written=$(journalctl _SYSTEMD_UNIT=wrd-dm.service -o cat | grep -cxF '{line}') && break
           sleep 0.1
         done
         kill $!
         [ \"$written\" = 1 ]"
    ))?;
    // Somebody who has guessed nothing, from an address of their own, too.
    let good = "192.0.2.52";
    machine.sh(&format!("ip address add {good}/32 dev lo"))?;
    let client = Client::start(machine, Options::user("alice").server(&format!("{good}:3389")))?;
    let state = server::wait_state(machine, "alice", "connected");
    drop(client);
    server::clear(machine)?;
    machine.sh(&format!("ip address del {good}/32 dev lo"))?;
    expect_eq("the client's address", state?["client"]["address"].as_str(), Some(good))?;

    let filter = "/etc/fail2ban/filter.d/wrd-dm.conf";
    let matched = machine.sh(&format!("sed -n 's/^journalmatch = //p' {filter}"))?;
    machine.sh(&format!("journalctl --sync; journalctl {matched} -o short >/tmp/door.log"))?;
    let found = machine.sh(&format!("fail2ban-regex --out ip /tmp/door.log {filter}"))?;
    let lines = |address: &str| machine.sh(&format!("grep -F '{address} ' /tmp/door.log || :"));
    let count = |address: &str| found.lines().filter(|line| line.trim() == address).count();
    let guessed = [("198.18.76.1", 3), ("198.18.78.1", 2), ("198.18.80.1", 1)];
    for (address, times) in guessed.into_iter().chain([("198.18.96.1", 1), ("198.18.98.1", 1), (good, 0)]) {
        expect_eq(address, count(address), times).with_context(|| lines(address).unwrap_or_default())?;
    }
    machine.sh("rm /tmp/door.log")?;
    // As the jail reads it, which makes lines of the journal's fields itself.
    let sorted = |found: &str| {
        let mut lines: Vec<_> = found.lines().map(|line| line.trim().to_owned()).collect();
        lines.sort();
        lines
    };
    let read = machine.sh(&format!("fail2ban-regex --out ip systemd-journal {filter}"))?;
    expect_eq("addresses found by fail2ban's own way to read the journal", sorted(&read), sorted(&found))?;
    ensure!(!found.contains("198.51.100."), "a name was taken for an address: {found}");
    // Not only those: it matches what the journal has, and no more.
    let said = machine.sh(&format!("journalctl {matched} -o cat"))?;
    let begins = ["authentication failure; ", "connection broke the rules; "];
    let crash =
        |line: &str| line.starts_with("connection ended by a fault of its gate; ") && !line.contains("exit code");
    let due = |line: &&str| begins.iter().any(|begin| line.starts_with(begin)) || crash(line);
    expect_eq("lines that matched", found.lines().count(), said.lines().filter(due).count())
}
