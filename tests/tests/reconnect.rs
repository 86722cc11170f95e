//! Coming back after a cut line, without a password: FreeRDP by itself, and cookies that are good for nothing any more.
//! In a booted Debian 13.

use anyhow::{Context, ensure};
use std::process::ExitCode;
use std::time::Duration;
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Build, Init, Machine, Mark};
use wrd_tests::rogue::Rogue;
use wrd_tests::runner::Plan;
use wrd_tests::strangers::{Attack, Street};
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, runner, server};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Systemd, prepare, restore },
        &[
            ("freerdp_comes_back_by_itself", freerdp_comes_back_by_itself),
            ("freerdp_comes_back_to_a_restarted_monitor", freerdp_comes_back_to_a_restarted_monitor),
            ("freerdp_comes_back_after_nla", freerdp_comes_back_after_nla),
            ("a_cookie_is_good_once", a_cookie_is_good_once),
            ("a_cookie_that_is_wrong_counts_against_its_source", a_cookie_that_is_wrong_counts_against_its_source),
            ("a_gate_taken_over_shows_one_cookie_once", a_gate_taken_over_shows_one_cookie_once),
            ("a_cookie_is_good_for_a_while", a_cookie_is_good_for_a_while),
            ("whoever_leaves_takes_the_cookie_along", whoever_leaves_takes_the_cookie_along),
            ("an_account_that_may_not_be_used_is_told_why", an_account_that_may_not_be_used_is_told_why),
            ("it_can_be_switched_off", it_can_be_switched_off),
            ("nobody_else_sees_a_cookie", nobody_else_sees_a_cookie),
        ],
    )
}

const BACK: &str = "reconnected by cookie";
const DENIED: &str = "authentication failure; rhost=";
/// Why, where a cookie is no good.
const NOT_NOW: &str = "no session has this reconnect cookie now";

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    server::prepare(machine)?;
    configure(machine, "")
}

/// Back to where `prepare` was.
fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.try_sh("wrdctl forget alice; chage -E -1 alice; rm -f /etc/nologin /run/nologin")?;
    configure(machine, "")?;
    server::restore(machine)
}

/// Nothing is held against the clients of these tests, but in one of them.
fn configure(machine: &Machine, login: &str) -> anyhow::Result<()> {
    let exempt = "[admission]\nexempt = [\"127.0.0.0/8\", \"192.0.2.0/24\", \"198.18.0.0/16\"]\n";
    // Three are enough, however long it takes to come again.
    let penalty = "penalty_denied_seconds = 120\npenalty_min_seconds = 300\n";
    let text = format!("[desktop]\nbackground = \"#2e6f40\"\n{exempt}{penalty}[login]\n{login}\n");
    machine.write("/etc/wrd-dm/wrd-dm.toml", &text)?;
    machine.sh("systemctl restart wrd-dm.service")?;
    Ok(())
}

/// A FreeRDP that knows no password: its user has typed that on the login screen.
fn typed<'m>(machine: &'m Machine, options: Options) -> anyhow::Result<Client<'m>> {
    let password = options.password.clone();
    let options = comes_back(options.password("")).more("/auto-reconnect-max-retries:3");
    let mut client = Client::start(machine, options)?;
    client.wait_for_input()?;
    client.enter(&password)?;
    client.wait_for_desktop()?;
    server::wait_state(machine, "alice", "connected")?;
    has_cookies(&client, 1)?;
    Ok(client)
}

/// A FreeRDP that comes back, and tells of the cookies that it is given.
fn comes_back(options: Options) -> Options {
    options.more("+auto-reconnect").more("/log-level:DEBUG")
}

/// Waits until a client has been given its cookie this many times: each time that a session takes it, some time after its
/// screen is there.
fn has_cookies(client: &Client<'_>, count: usize) -> anyhow::Result<()> {
    eventually("the client's cookie", PATIENCE, || {
        Ok((client.log().matches("ServerAutoReconnectCookie").count() >= count).then_some(()))
    })
}

/// Cuts the line: nobody has the time to say anything.
fn cut(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("pkill -KILL -x wrd-gate")?;
    Ok(())
}

/// The client has its desktop again, with nobody's help, and from the worker that it had.
fn is_back(machine: &Machine, client: &mut Client<'_>, mark: &Mark, worker: u32) -> anyhow::Result<()> {
    machine.wait_journal(mark, BACK).with_context(|| client.log())?;
    server::wait_state(machine, "alice", "connected")?;
    expect_eq("the worker", server::worker(machine, "alice")?, worker)?;
    client.wait_for_desktop()
}

fn freerdp_comes_back_by_itself(machine: &Machine) -> anyhow::Result<()> {
    let mut client = typed(machine, Options::user("alice"))?;
    let worker = server::worker(machine, "alice")?;
    // Again and again: each return has a cookie for the next one.
    for times in 2..5 {
        let mark = machine.mark()?;
        cut(machine)?;
        is_back(machine, &mut client, &mark, worker)?;
        has_cookies(&client, times)?;
        let journal = machine.journal(&mark)?;
        ensure!(!journal.contains(DENIED) && !journal.contains("logged in;"), "{journal}");
    }
    client.shot("reconnected");
    drop(client);
    server::clear(machine)
}

fn freerdp_comes_back_to_a_restarted_monitor(machine: &Machine) -> anyhow::Result<()> {
    let mut client = typed(machine, Options::user("alice"))?;
    let worker = server::worker(machine, "alice")?;
    let mark = machine.mark()?;
    // The new one knows no cookies, and gives new ones to clients that are attached.
    machine.sh("systemctl restart wrd-dm.service")?;
    machine.wait_journal(&mark, "session found")?;
    has_cookies(&client, 2)?;
    cut(machine)?;
    is_back(machine, &mut client, &mark, worker)?;
    drop(client);
    server::clear(machine)
}

fn freerdp_comes_back_after_nla(machine: &Machine) -> anyhow::Result<()> {
    configure(machine, "security = \"nla-required\"")?;
    let output = machine.try_sh_as("alice", "echo pw-alice | wrdctl enroll")?;
    ensure!(output.status.success(), "wrdctl enroll: {}", String::from_utf8_lossy(&output.stderr));
    let mut client = Client::login(machine, comes_back(Options::user("alice").more("/sec:nla")))?;
    server::wait_state(machine, "alice", "connected")?;
    has_cookies(&client, 1)?;
    let worker = server::worker(machine, "alice")?;
    let mark = machine.mark()?;
    cut(machine)?;
    is_back(machine, &mut client, &mark, worker)?;
    let journal = machine.journal(&mark)?;
    let proven = journal.find("proven by NLA").context("NLA was left out")?;
    ensure!(Some(proven) < journal.find(BACK), "{journal}");
    // Without NLA a cookie is nothing.
    let cookie = format!("{:056}", 0);
    let report = visit(machine, &["--present", &cookie]);
    ensure!(report.is_err(), "{report:?}");
    drop(client);
    restore(machine)
}

/// One connection of the tests' own client; the cookie that it is given, where it comes to a session.
fn visit(machine: &Machine, words: &[&str]) -> anyhow::Result<Option<String>> {
    visit_from(machine, Street(1), words)
}

fn visit_from(machine: &Machine, street: Street, words: &[&str]) -> anyhow::Result<Option<String>> {
    let words = [&["cookie"], words].concat();
    let report = Attack::start(machine, Build::Dev, &[street.four(1)], &words)?.finish()?;
    Ok(report["cookie"].as_str().map(str::to_owned))
}

const PASSWORD: [&str; 2] = ["--password", "pw-alice"];

/// A cookie of alice's whose line has been cut.
fn stolen(machine: &Machine) -> anyhow::Result<String> {
    let cookie = visit(machine, &PASSWORD)?.context("a session gives no cookie")?;
    server::wait_state(machine, "alice", "disconnected")?;
    Ok(cookie)
}

/// Waits until alice has no session.
fn is_gone(machine: &Machine) -> anyhow::Result<()> {
    eventually("alice's session to be gone", PATIENCE, || {
        Ok(server::session(machine, "alice")?.is_none().then_some(()))
    })
}

/// Whether a cookie is good for anything now: what the monitor says of it, as soon as it says so.
fn is_good(machine: &Machine, cookie: &str) -> anyhow::Result<bool> {
    let mark = machine.mark()?;
    let _visit = Attack::start(machine, Build::Dev, &[Street(1).four(1)], &["cookie", "--present", cookie])?;
    eventually("a word about the cookie", PATIENCE, || {
        let journal = machine.journal(&mark)?;
        let good = journal.contains(BACK);
        Ok((good || journal.contains(NOT_NOW)).then_some(good))
    })
}

fn a_cookie_is_good_once(machine: &Machine) -> anyhow::Result<()> {
    let cookie = stolen(machine)?;
    let mark = machine.mark()?;
    let next = visit(machine, &["--present", &cookie])?.context("a cookie is no good")?;
    machine.wait_journal(&mark, BACK)?;
    ensure!(next != cookie, "the cookie is the same as before");
    // Replayed.
    let mark = machine.mark()?;
    ensure!(!is_good(machine, &cookie)?, "a cookie is good twice");
    machine.wait_journal(&mark, DENIED)?;
    visit(machine, &["--present", &next])?.context("a replay has taken the right cookie away")?;
    server::clear(machine)
}

fn a_cookie_that_is_wrong_counts_against_its_source(machine: &Machine) -> anyhow::Result<()> {
    let cookie = stolen(machine)?;
    let last = if cookie.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &cookie[..cookie.len() - 1]);
    // Another LogonId, another version, nothing but zeros.
    let malformed = format!("{}02{}", &cookie[..8], &cookie[10..]);
    let other = format!("{}ffffffff{}", &cookie[..16], &cookie[24..]);
    let mark = machine.mark()?;
    for cookie in [&forged, &other] {
        ensure!(!is_good(machine, cookie)?, "{cookie} is good");
    }
    // What is malformed is no cookie at all, and nothing is said of it.
    for cookie in [&malformed, &format!("{:056}", 0)] {
        let given = visit(machine, &["--present", cookie, "--seconds", "1"])?;
        expect_eq("what is given for a malformed cookie", given, None)?;
    }
    let journal = machine.journal(&mark)?;
    ensure!(!journal.contains(BACK), "{journal}");
    expect_eq("failures", journal.matches(DENIED).count(), 2)?;
    // A source that goes on with that has a bad name, and nobody looks at what it says any more.
    let (mut tries, mark) = (0, machine.mark()?);
    let street = Street(140);
    while visit_from(machine, street, &["--present", &forged, "--seconds", "0"]).is_ok() {
        tries += 1;
        ensure!(tries < 20, "a source may guess on and on");
    }
    expect_in("the journal", "admission: refused; rhost=198.19.", &machine.journal(&mark)?)?;
    // Whose cookie it is suffers nothing from that.
    visit(machine, &["--present", &cookie])?.context("a guess has taken the right cookie away")?;
    server::clear(machine)
}

/// Whatever it knows or makes up: it may ask once, before everything else, and a right cookie is used up by that.
fn a_gate_taken_over_shows_one_cookie_once(machine: &Machine) -> anyhow::Result<()> {
    let rogue = Rogue::in_place(machine)?;
    let cookie = stolen(machine)?;
    let broke = |cookies: &[&str], rule: &str| -> anyhow::Result<Vec<String>> {
        let mark = machine.mark()?;
        let told = rogue.play(&format!("signed/reconnect:{}", cookies.join(",")))?;
        machine.wait_journal(&mark, &format!("reason=\"{rule}"))?;
        Ok(told)
    };
    // Another LogonId, another verifier; and then the right one, which nobody looks at any more.
    let other = format!("{}ffffffff{}", &cookie[..16], &cookie[24..]);
    let zeros = format!("{}{:032}", &cookie[..24], 0);
    for wrong in [&other, &zeros] {
        let told = broke(&[wrong, &cookie], "Reconnect more than 1 times")?;
        let answers: Vec<_> = told.iter().filter(|line| line.starts_with("reconnect ")).collect();
        ensure!(answers == ["reconnect Refused"] && !told.iter().any(|line| line == "login"), "{told:?}");
    }
    server::wait_state(machine, "alice", "disconnected")?;
    let next = visit(machine, &["--present", &cookie])?.context("its gate's offences took a cookie away")?;
    server::wait_state(machine, "alice", "disconnected")?;

    // The right one, and at once again: it is let in, and ended for the second before it has the session.
    let told = broke(&[&next, &next], "Reconnect while Login")?;
    ensure!(told.iter().any(|line| line == "reconnect Granted") && !told.iter().any(|line| line == "link"), "{told:?}");
    server::wait_state(machine, "alice", "disconnected")?;
    ensure!(!is_good(machine, &next)?, "a cookie is good twice");
    drop(rogue);
    server::clear(machine)
}

fn a_cookie_is_good_for_a_while(machine: &Machine) -> anyhow::Result<()> {
    // As long as coming back at once may take.
    configure(machine, "reconnect_seconds = 6")?;
    let cookie = stolen(machine)?;
    let cookie = visit(machine, &["--present", &cookie])?.context("it is no good at once")?;
    server::wait_state(machine, "alice", "disconnected")?;
    std::thread::sleep(Duration::from_secs(7));
    ensure!(!is_good(machine, &cookie)?, "it is good for ever");
    restore(machine)
}

fn whoever_leaves_takes_the_cookie_along(machine: &Machine) -> anyhow::Result<()> {
    type Leave = fn(&Machine) -> anyhow::Result<()>;
    let ways: [(&str, Leave); 5] = [
        ("wrdctl disconnect", |machine| {
            // Nothing is attached any more; what the line might come back with goes all the same.
            machine.try_sh("wrdctl disconnect alice")?;
            Ok(())
        }),
        ("another login", |machine| {
            visit(machine, &PASSWORD)?;
            server::wait_state(machine, "alice", "disconnected").map(drop)
        }),
        ("loginctl lock-session", |machine| {
            let mark = machine.mark()?;
            machine.sh("loginctl lock-sessions")?;
            machine.wait_journal(&mark, "the session is locked")
        }),
        ("wrdctl terminate", |machine| {
            machine.sh("wrdctl terminate alice")?;
            is_gone(machine)
        }),
        ("a logout", |machine| {
            machine.sh("pkill -TERM -u alice -x wrd-session")?;
            is_gone(machine)?;
            // There is another session by now.
            visit(machine, &PASSWORD)?;
            server::wait_state(machine, "alice", "disconnected").map(drop)
        }),
    ];
    for (what, leave) in ways {
        let cookie = stolen(machine)?;
        leave(machine)?;
        ensure!(!is_good(machine, &cookie)?, "a cookie is good after {what}");
    }
    let cookie = visit(machine, &[&PASSWORD[..], &["--bye"]].concat())?.context("no cookie")?;
    server::wait_state(machine, "alice", "disconnected")?;
    ensure!(!is_good(machine, &cookie)?, "a cookie is good after a good-bye");
    server::clear(machine)
}

fn an_account_that_may_not_be_used_is_told_why(machine: &Machine) -> anyhow::Result<()> {
    let mut client = typed(machine, Options::user("alice"))?;
    let mark = machine.mark()?;
    machine.sh("chage -E 1 alice")?;
    cut(machine)?;
    machine.wait_journal(&mark, "Your account has expired; please contact your system administrator.")?;
    client.wait_for_input()?;
    client.shot("reconnect-expired");
    ensure!(!machine.journal(&mark)?.contains(BACK), "an expired account has come back");
    // It was nobody's fault but the account's.
    machine.sh("chage -E -1 alice")?;
    client.enter("pw-alice")?;
    client.wait_for_desktop()?;
    drop(client);
    server::clear(machine)
}

fn it_can_be_switched_off(machine: &Machine) -> anyhow::Result<()> {
    let cookie = stolen(machine)?;
    // Without a restart, which would forget it anyhow.
    let file = "/etc/wrd-dm/wrd-dm.toml";
    let mark = machine.mark()?;
    machine
        .sh(&format!("sed -i 's/^\\[login\\]/&\\nreconnect_seconds = 0/' {file}; systemctl reload wrd-dm.service"))?;
    machine.wait_journal(&mark, "configuration read")?;
    ensure!(!is_good(machine, &cookie)?, "a cookie is good though there are none");
    let mark = machine.mark()?;
    let given = visit(machine, &[&PASSWORD[..], &["--seconds", "4"]].concat())?;
    machine.wait_journal(&mark, "attached to the session")?;
    expect_eq("a cookie of a session", given, None)?;
    server::wait_state(machine, "alice", "disconnected")?;
    restore(machine)
}

fn nobody_else_sees_a_cookie(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("mkdir -p /run/systemd/system/wrd-dm.service.d /run/systemd/system/wrd-leader.service.d
         for unit in wrd-dm wrd-leader; do
             printf '[Service]\\nEnvironment=WRD_LOG=trace\\n' >/run/systemd/system/$unit.service.d/log.conf
         done
         systemctl daemon-reload; systemctl restart wrd-dm.service wrd-leader.service")?;
    let mark = machine.mark()?;
    let cookie = stolen(machine)?;
    let again = visit(machine, &["--present", &cookie])?.context("a cookie is no good")?;
    machine.wait_journal(&mark, BACK)?;
    let journal = machine.journal(&mark)?;
    machine.sh("rm -r /run/systemd/system/wrd-dm.service.d /run/systemd/system/wrd-leader.service.d
         systemctl daemon-reload; systemctl restart wrd-dm.service wrd-leader.service")?;
    for cookie in [&cookie, &again] {
        // As hex, and as a list of numbers.
        let bytes: Vec<u8> =
            (24..56).step_by(2).map(|at| u8::from_str_radix(&cookie[at..at + 2], 16)).collect::<Result<_, _>>()?;
        let list = format!("{bytes:?}");
        ensure!(!journal.contains(&cookie[24..]) && !journal.contains(&list), "a cookie is in the journal");
    }
    expect_in("the journal", BACK, &journal)?;
    expect_in("the journal, at its most talkative", "build 0, 800×600", &journal)?;
    server::clear(machine)
}
