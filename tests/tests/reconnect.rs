//! Coming back after a cut line, without a password: FreeRDP by itself, and cookies that are good for nothing any more.
//! In a booted Debian 13.

use anyhow::{Context, ensure};
use std::process::ExitCode;
use std::time::Duration;
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Build, Init, Machine, Mark};
use wrd_tests::runner::Plan;
use wrd_tests::strangers::{Attack, Street};
use wrd_tests::{eventually, expect_eq, expect_in, runner, server};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Systemd, prepare, restore },
        &[
            ("freerdp_comes_back_by_itself", freerdp_comes_back_by_itself),
            ("freerdp_comes_back_to_a_restarted_monitor", freerdp_comes_back_to_a_restarted_monitor),
            ("freerdp_comes_back_after_nla", freerdp_comes_back_after_nla),
            ("a_cookie_is_good_once", a_cookie_is_good_once),
            ("a_cookie_that_is_wrong_counts_against_its_source", a_cookie_that_is_wrong_counts_against_its_source),
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
    let exempt = "[admission]\nexempt = [\"192.0.2.0/24\", \"198.18.0.0/16\"]\n";
    let text = format!("[desktop]\nbackground = \"#2e6f40\"\n{exempt}[login]\n{login}\n");
    machine.write("/etc/wrd-dm/wrd-dm.toml", &text)?;
    machine.sh("systemctl restart wrd-dm.service")?;
    Ok(())
}

/// A FreeRDP that knows no password: its user has typed that on the login screen.
fn typed<'m>(machine: &'m Machine, options: Options) -> anyhow::Result<Client<'m>> {
    let password = options.password.clone();
    let options = options.password("").more("+auto-reconnect").more("/auto-reconnect-max-retries:3");
    let mut client = Client::start(machine, options)?;
    client.wait_for_greeter()?;
    client.type_text(&password)?;
    client.key("Return")?;
    client.wait_for_desktop()?;
    server::wait_state(machine, "alice", "connected")?;
    // What its session says once it is active has come by now.
    client.settle()?;
    Ok(client)
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
    for _ in 0..3 {
        let mark = machine.mark()?;
        cut(machine)?;
        is_back(machine, &mut client, &mark, worker)?;
        client.settle()?;
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
    client.settle()?;
    cut(machine)?;
    is_back(machine, &mut client, &mark, worker)?;
    drop(client);
    server::clear(machine)
}

fn freerdp_comes_back_after_nla(machine: &Machine) -> anyhow::Result<()> {
    configure(machine, "security = \"nla-required\"")?;
    let output = machine.try_sh_as("alice", "echo pw-alice | wrdctl enroll")?;
    ensure!(output.status.success(), "wrdctl enroll: {}", String::from_utf8_lossy(&output.stderr));
    let options = Options::user("alice").more("/sec:nla").more("+auto-reconnect");
    let mut client = Client::login(machine, options)?;
    server::wait_state(machine, "alice", "connected")?;
    client.settle()?;
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
    eventually("alice's session to be gone", Duration::from_secs(20), || {
        Ok(server::session(machine, "alice")?.is_none().then_some(()))
    })
}

/// Whether a cookie is good for anything now.
fn is_good(machine: &Machine, cookie: &str) -> anyhow::Result<bool> {
    Ok(visit(machine, &["--present", cookie])?.is_some())
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
    machine.wait_journal(&mark, "no session has this reconnect cookie now")?;
    ensure!(is_good(machine, &next)?, "a replay has taken the right cookie away");
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
    for cookie in [&forged, &other, &malformed, &format!("{:056}", 0)] {
        ensure!(!is_good(machine, cookie)?, "{cookie} is good");
    }
    let journal = machine.journal(&mark)?;
    // What is malformed is no cookie at all.
    expect_eq("failures", journal.matches(DENIED).count(), 2)?;
    // A source that goes on with that has a bad name, and nobody looks at what it says any more.
    let (mut tries, mark) = (0, machine.mark()?);
    let street = Street(140);
    while visit_from(machine, street, &["--present", &forged]).is_ok() {
        tries += 1;
        ensure!(tries < 20, "a source may guess on and on");
    }
    expect_in("the journal", "admission: refused; rhost=198.19.", &machine.journal(&mark)?)?;
    // Whose cookie it is suffers nothing from that.
    ensure!(is_good(machine, &cookie)?, "a guess has taken the right cookie away");
    server::clear(machine)
}

fn a_cookie_is_good_for_a_while(machine: &Machine) -> anyhow::Result<()> {
    configure(machine, "reconnect_seconds = 4")?;
    let cookie = stolen(machine)?;
    let cookie = visit(machine, &["--present", &cookie])?.context("it is no good at once")?;
    server::wait_state(machine, "alice", "disconnected")?;
    std::thread::sleep(Duration::from_secs(5));
    ensure!(!is_good(machine, &cookie)?, "it is good for ever");
    restore(machine)
}

fn whoever_leaves_takes_the_cookie_along(machine: &Machine) -> anyhow::Result<()> {
    type Leave = fn(&Machine) -> anyhow::Result<()>;
    let ways: [(&str, Leave); 4] = [
        ("wrdctl disconnect", |machine| {
            // Nothing is attached any more; what the line might come back with goes all the same.
            machine.try_sh("wrdctl disconnect alice")?;
            Ok(())
        }),
        ("another login", |machine| {
            visit(machine, &PASSWORD)?;
            server::wait_state(machine, "alice", "disconnected").map(drop)
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
    client.wait_for_greeter()?;
    client.settle()?;
    client.shot("reconnect-expired");
    ensure!(!machine.journal(&mark)?.contains(BACK), "an expired account has come back");
    // It was nobody's fault but the account's.
    machine.sh("chage -E -1 alice")?;
    client.type_text("pw-alice")?;
    client.key("Return")?;
    client.wait_for_desktop()?;
    drop(client);
    server::clear(machine)
}

fn it_can_be_switched_off(machine: &Machine) -> anyhow::Result<()> {
    let cookie = stolen(machine)?;
    // Without a restart, which would forget it anyhow.
    let file = "/etc/wrd-dm/wrd-dm.toml";
    machine
        .sh(&format!("sed -i 's/^\\[login\\]/&\\nreconnect_seconds = 0/' {file}; systemctl reload wrd-dm.service"))?;
    eventually("the cookie to be worth nothing", Duration::from_secs(10), || {
        Ok((!is_good(machine, &cookie)?).then_some(()))
    })?;
    expect_eq("a cookie of a session", visit(machine, &PASSWORD)?, None)?;
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
