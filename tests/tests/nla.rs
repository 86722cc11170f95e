//! NLA in a booted Debian 13 with FreeRDP 3: who is enrolled proves the password in CredSSP, PAM decides all the same.

mod words;

use anyhow::{Context, ensure};
use std::process::ExitCode;
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Build, Init, Machine};
use wrd_tests::runner::Plan;
use wrd_tests::strangers::{Attack, Street};
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, runner, server};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Systemd, prepare, restore },
        &[
            ("who_is_not_enrolled_logs_in_by_tls", who_is_not_enrolled_logs_in_by_tls),
            ("who_is_enrolled_logs_in_by_nla", who_is_enrolled_logs_in_by_nla),
            ("nla_finds_the_same_session", nla_finds_the_same_session),
            ("a_wrong_password_is_not_held_against_its_user", a_wrong_password_is_not_held_against_its_user),
            ("an_unknown_user_is_refused_the_same_way", an_unknown_user_is_refused_the_same_way),
            ("guesses_are_held_against_their_source", guesses_are_held_against_their_source),
            ("the_policy_decides_what_clients_get", the_policy_decides_what_clients_get),
            ("an_expired_account_is_told_on_the_screen", an_expired_account_is_told_on_the_screen),
            ("a_locked_password_is_told_and_stays_enrolled", a_locked_password_is_told_and_stays_enrolled),
            ("a_stale_entry_is_dropped", a_stale_entry_is_dropped),
            ("a_damaged_entry_is_none", a_damaged_entry_is_none),
            ("a_delegated_password_is_in_no_log", a_delegated_password_is_in_no_log),
        ],
    )
}

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    server::prepare(machine)?;
    // How long PAM keeps a refusal back is shown elsewhere (login.rs).
    machine.sh("sed -i '/pam_unix.so/s/$/ nodelay/' /etc/pam.d/common-auth")?;
    policy(machine, "nla-preferred")
}

/// Back to where `prepare` was.
fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.try_sh("for user in alice bob carol; do wrdctl forget $user; echo $user:pw-$user | chpasswd; chage -E -1 $user; passwd -u $user; done")?;
    policy(machine, "nla-preferred")?;
    server::restore(machine)
}

fn policy(machine: &Machine, policy: &str) -> anyhow::Result<()> {
    let file = "/etc/wrd-dm/wrd-dm.toml";
    let exempt = server::EXEMPT;
    let login = format!("[login]\nsecurity = \"{policy}\"\n");
    machine.write(file, &format!("[desktop]\nbackground = \"#2e6f40\"\n{exempt}{login}"))?;
    machine.sh("systemctl restart wrd-dm.service")?;
    Ok(())
}

/// A user of the machine enrols with the right password, unless they have: twice at once is not taken.
fn enrol(machine: &Machine, user: &str) -> anyhow::Result<()> {
    if is_enrolled(machine, user)? {
        return Ok(());
    }
    let output = machine.try_sh_as(user, &format!("echo pw-{user} | wrdctl enroll"))?;
    ensure!(output.status.success(), "wrdctl enroll: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn is_enrolled(machine: &Machine, user: &str) -> anyhow::Result<bool> {
    Ok(machine.sh("wrdctl enrolled")?.contains(user))
}

fn nla(user: &str) -> Options {
    Options::user(user).more("/sec:nla")
}

/// HYBRID_EX, which waits for a result behind the credentials.
fn ext(user: &str) -> Options {
    Options::user(user).more("/sec:ext")
}

/// How FreeRDP ends with STATUS_LOGON_FAILURE, and its name for it.
const LOGON_FAILURE: (i32, &str) = (134, "ERRCONNECT_LOGON_FAILURE");
/// How it ends where nothing was agreed upon.
const NEGOTIATION_FAILED: i32 = 133;
/// Whoever offers NLA offers TLS along with it (MS-RDPBCGR 2.2.1.1.1), also who then wants NLA only.
const NOTHING_COMMON: &str = "ERRCONNECT_SECURITY_NEGO_CONNECT_FAILED";

fn who_is_not_enrolled_logs_in_by_tls(machine: &Machine) -> anyhow::Result<()> {
    policy(machine, "auto")?;
    let result =
        [Options::user("alice"), Options::user("alice").more("/sec:tls")].into_iter().try_for_each(|options| {
            drop(Client::login(machine, options)?);
            server::clear(machine)
        });
    policy(machine, "nla-preferred")?;
    result?;
    // Whose password nobody can check.
    refused(machine, nla("alice"), "alice")
}

fn who_is_enrolled_logs_in_by_nla(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "alice")?;
    let mark = machine.mark()?;
    let client = Client::login(machine, nla("alice"))?;
    client.settle()?;
    client.shot("nla-desktop");
    server::wait_state(machine, "alice", "connected")?;
    drop(client);
    drop(Client::login(machine, ext("alice"))?);
    server::clear(machine)?;
    // There is no audit in a container, which is nothing to tell at each login.
    ensure!(!machine.journal(&mark)?.contains("audit record"), "{}", machine.journal(&mark)?);
    Ok(())
}

fn nla_finds_the_same_session(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "alice")?;
    let client = Client::login(machine, Options::user("alice"))?;
    let worker = server::worker(machine, "alice")?;
    client.disconnect()?;
    server::wait_state(machine, "alice", "disconnected")?;
    let client = Client::login(machine, nla("alice").size(1280, 800))?;
    expect_eq("the worker", server::worker(machine, "alice")?, worker)?;
    drop(client);
    server::clear(machine)
}

/// The client is told that the password is wrong, without a login screen, and the journal why.
fn refused(machine: &Machine, options: Options, user: &str) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    let mut client = Client::start(machine, options)?;
    client.wait_told(LOGON_FAILURE.0, LOGON_FAILURE.1)?;
    machine.wait_journal(&mark, "NLA: wrong password, or nobody is enrolled by that name")?;
    let said = format!("user={user:?} ");
    let denied = |line: &str| line.contains("authentication failure; rhost=192.0.2.7 ") && line.contains(&said);
    let journal = machine.journal(&mark)?;
    ensure!(journal.lines().any(denied), "{journal}");
    expect_eq("sessions", server::list(machine)?.len(), 0)
}

fn a_wrong_password_is_not_held_against_its_user(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "alice")?;
    refused(machine, nla("alice").password("wrong"), "alice")?;
    ensure!(is_enrolled(machine, "alice")?, "a stranger's wrong password takes the entry away");
    // Nothing of it is remembered against the user.
    drop(Client::login(machine, nla("alice"))?);
    server::clear(machine)
}

fn an_unknown_user_is_refused_the_same_way(machine: &Machine) -> anyhow::Result<()> {
    refused(machine, nla("nobody-here").password("wrong"), "nobody-here")?;
    refused(machine, nla("root").password("wrong"), "root")
}

/// Has a source try wrong passwords of `user`, each with a connection of its own; how many were refused by NLA. The others
/// got no answer.
fn guess(machine: &Machine, street: Street, (attempts, user): (&str, &str)) -> anyhow::Result<usize> {
    let words = ["answers", "--nla", "--attempts", attempts, "--user", user];
    let told = Attack::start(machine, Build::Dev, &[street.four(1)], &words)?.finish()?;
    Ok(told[user].as_array().with_context(|| told.to_string())?.len())
}

fn guesses_are_held_against_their_source(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "carol")?;
    let (bad, other) = (Street(145), Street(146));
    let mark = machine.mark()?;
    // Four at the same time, each of which costs five seconds: fifteen are enough.
    expect_eq("guesses that were judged", guess(machine, bad, ("4", "carol"))?, 4)?;
    expect_eq("guesses of a source with a bad name", guess(machine, bad, ("4", "carol"))?, 0)?;
    // Whoever there is no such user for, and a name that would like to be an address.
    let names = ["nobody-here", "x\" rhost=198.51.100.99 user=\"y", "x\\\" rhost=198.51.100.98 user=\"y"];
    for name in names {
        expect_eq("guesses of another source", guess(machine, other, ("1", name))?, 1)?;
    }
    // Carol has another address, and nothing is held against her.
    drop(Client::login(machine, nla("carol"))?);
    server::clear(machine)?;

    let journal = machine.journal(&mark)?;
    let lines = |parts: [&str; 2]| journal.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count();
    let denied = "authentication failure; rhost=198.19.34.1 user=\"carol\"";
    expect_eq("lines", lines([denied, "reason=\"NLA: wrong password, or nobody is enrolled by that name\""]), 4)?;
    ensure!(lines(["admission: refused; rhost=198.19.34.1 ", "reason=penalty"]) > 0, "{journal}");
    expect_eq("refusals of others", lines(["admission: refused; ", "198.19.36."]), 0)?;

    // The filter that is shipped finds each of them, and by the right address.
    let filter = "/etc/fail2ban/filter.d/wrd-dm.conf";
    let matched = machine.sh(&format!("sed -n 's/^journalmatch = //p' {filter}"))?;
    machine.sh(&format!("journalctl --sync; journalctl {matched} -o short >/tmp/nla.log"))?;
    let found = machine.sh(&format!("fail2ban-regex --out ip /tmp/nla.log {filter}; rm /tmp/nla.log"))?;
    let count = |address: &str| found.lines().filter(|line| line.trim() == address).count();
    for (address, times) in [("198.19.34.1", 4), ("198.19.36.1", names.len())] {
        expect_eq(address, count(address), times).with_context(|| found.clone())?;
    }
    ensure!(!found.contains("198.51.100."), "a name was taken for an address: {found}");
    Ok(())
}

/// The client finds nothing to agree on.
fn not_agreed(machine: &Machine, options: Options, why: &str) -> anyhow::Result<()> {
    let mut client = Client::start(machine, options)?;
    client.wait_told(NEGOTIATION_FAILED, why)
}

fn the_policy_decides_what_clients_get(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "alice")?;
    let result = (|| {
        policy(machine, "nla-required")?;
        not_agreed(machine, Options::user("alice").more("/sec:tls"), "HYBRID_REQUIRED_BY_SERVER")?;
        gets_in(machine, [Options::user("alice"), nla("alice"), ext("alice")])?;
        refused(machine, nla("alice").password("wrong"), "alice")?;
        // Who is not enrolled does not get in here.
        refused(machine, Options::user("dave"), "dave")?;

        policy(machine, "tls")?;
        not_agreed(machine, nla("alice"), NOTHING_COMMON)?;
        not_agreed(machine, ext("alice"), NOTHING_COMMON)?;
        gets_in(machine, [Options::user("alice"), Options::user("alice").more("/sec:tls")])?;

        policy(machine, "auto")?;
        not_agreed(machine, nla("alice"), NOTHING_COMMON)?;
        not_agreed(machine, ext("alice"), NOTHING_COMMON)?;
        gets_in(machine, [Options::user("alice"), Options::user("alice").more("/sec:tls")])
    })();
    policy(machine, "nla-preferred")?;
    result?;
    refused(machine, Options::user("alice").password("wrong"), "alice")?;
    refused(machine, ext("alice").password("wrong"), "alice")?;
    let alice = Options::user("alice");
    gets_in(machine, [alice.clone(), alice.more("/sec:tls"), nla("alice"), ext("alice")])
}

/// One after the other, each to a session of its own.
fn gets_in(machine: &Machine, options: impl IntoIterator<Item = Options>) -> anyhow::Result<()> {
    options.into_iter().try_for_each(|options| {
        let more = options.more.join(" ");
        drop(Client::login(machine, options).with_context(|| more)?);
        server::clear(machine)
    })
}

/// What PAM refuses behind NLA is read on the login screen, in these lines, and in the journal.
fn told(machine: &Machine, name: &str, lines: &[&str]) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    let mut client = Client::start(machine, nla("bob"))?;
    let shown = words::says(&mut client, words::ERROR, lines);
    client.shot(name);
    shown?;
    let (journal, said) = (machine.journal(&mark)?, format!("reason={:?}", lines.join(" ")));
    expect_in("the journal", "proven by NLA", &journal)?;
    let denied = |line: &str| line.contains("authentication failure; rhost=192.0.2.7 user=\"bob\"");
    ensure!(journal.lines().any(|line| denied(line) && line.contains(&said)), "{journal}");
    expect_eq("sessions", server::list(machine)?.len(), 0)
}

const WRONG: &[&str] = &["The user name or the password is wrong."];

fn an_expired_account_is_told_on_the_screen(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "bob")?;
    machine.sh("chage --expiredate 2001-01-01 bob")?;
    let result = told(
        machine,
        "nla-expired-account",
        &["Your account has expired; please contact your", "system administrator."],
    );
    machine.sh("chage --expiredate -1 bob")?;
    result?;
    ensure!(is_enrolled(machine, "bob")?, "the password was right, the entry is no worse");
    drop(Client::login(machine, nla("bob"))?);
    server::clear(machine)
}

fn a_locked_password_is_told_and_stays_enrolled(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "bob")?;
    machine.sh("usermod --lock bob")?;
    let result = told(machine, "nla-locked", &["This account is locked. Ask the administrator of", "this machine."]);
    machine.sh("usermod --unlock bob")?;
    result?;
    ensure!(is_enrolled(machine, "bob")?, "the password was right, the entry is no worse");
    drop(Client::login(machine, nla("bob"))?);
    server::clear(machine)
}

fn a_stale_entry_is_dropped(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "bob")?;
    machine.sh("echo bob:another | chpasswd")?;
    let result = (|| {
        // The old password is what NLA knows, and what PAM refuses.
        told(machine, "nla-stale", WRONG)?;
        eventually("the entry to be dropped", PATIENCE, || Ok((!is_enrolled(machine, "bob")?).then_some(())))?;
        refused(machine, nla("bob"), "bob")?;
        refused(machine, nla("bob").password("another"), "bob")?;
        drop(Client::login(machine, Options::user("bob").password("another").more("/sec:tls"))?);
        server::clear(machine)
    })();
    machine.sh("echo bob:pw-bob | chpasswd")?;
    result
}

/// Whose entry is damaged meets what a stranger does, until they enrol again. Nobody else notices.
fn a_damaged_entry_is_none(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "alice")?;
    enrol(machine, "bob")?;
    let entry = |user: &str| format!("/var/lib/wrd-dm/nthash/{user}");
    let (alices, bobs) = (entry("alice"), entry("bob"));
    // Half of one, another user's, and one with a bit that is another.
    let flip =
        format!("data = bytearray(open('{alices}', 'rb').read()); data[60] ^= 1; open('{alices}', 'wb').write(data)");
    for damage in
        [format!("head -c 40 {bobs} >{alices}"), format!("cp {bobs} {alices}"), format!("python3 -c \"{flip}\"")]
    {
        let mark = machine.mark()?;
        // A good one again; of one that stays damaged the journal has a line, and not each time.
        machine.sh(&format!("wrdctl forget alice; echo pw-alice | wrdctl enroll alice; {damage}"))?;
        refused(machine, nla("alice"), "alice")?;
        let named = format!("enrolment damaged, its user has no NLA: {alices}: ");
        machine.wait_journal(&mark, &named).with_context(|| damage.clone())?;
        // Whose it was does not get in by it either.
        refused(machine, nla("alice").password("pw-bob"), "alice")?;
        drop(Client::login(machine, Options::user("alice").more("/sec:tls"))?);
        drop(Client::login(machine, nla("bob"))?);
        server::clear(machine)?;
    }
    // Who enrols again has a good one.
    machine.sh("echo pw-alice | wrdctl enroll alice")?;
    drop(Client::login(machine, nla("alice"))?);
    server::clear(machine)
}

fn a_delegated_password_is_in_no_log(machine: &Machine) -> anyhow::Result<()> {
    enrol(machine, "alice")?;
    let units = ["wrd-dm.service", "wrd-leader.service"];
    for unit in units {
        machine.write(&format!("/run/systemd/system/{unit}.d/debug.conf"), "[Service]\nEnvironment=WRD_LOG=trace\n")?;
    }
    machine.sh("systemctl daemon-reload; systemctl restart wrd-dm.service wrd-leader.service")?;
    let mark = machine.mark()?;
    let result = (|| {
        drop(Client::login(machine, nla("alice"))?);
        refused_loudly(machine, nla("alice").password("canary-in-credssp"))?;
        let journal = machine.journal(&mark)?;
        ensure!(journal.contains("wants to prove"), "no trace of it:\n{journal}");
        for canary in ["pw-alice", "canary-in-credssp"] {
            ensure!(!journal.contains(canary), "the password {canary} is in the journal");
        }
        Ok(())
    })();
    machine.sh("rm -r /run/systemd/system/wrd-dm.service.d /run/systemd/system/wrd-leader.service.d; systemctl daemon-reload; systemctl restart wrd-dm.service wrd-leader.service")?;
    result?;
    server::clear(machine)
}

fn refused_loudly(machine: &Machine, options: Options) -> anyhow::Result<()> {
    let mut client = Client::start(machine, options)?;
    client.wait_told(LOGON_FAILURE.0, LOGON_FAILURE.1)
}
