//! Who does not get in: the screen says why, exactly, and so does the journal, by name.

use crate::still_serves;
use crate::words::{self, ERROR, FINAL, Look, PANEL};
use anyhow::ensure;
use wrd_tests::client::{Client, DESKTOP, Options};
use wrd_tests::machine::{Machine, Mark};
use wrd_tests::runner::Test;
use wrd_tests::screen::Picture;
use wrd_tests::{PATIENCE, eventually, expect_in, server};

pub const TESTS: &[Test] = &[
    ("a_wrong_password", a_wrong_password),
    ("an_unknown_user_reads_the_same", an_unknown_user_reads_the_same),
    ("an_account_without_a_password_reads_the_same", an_account_without_a_password_reads_the_same),
    ("a_locked_password_is_told_to_who_knows_it", a_locked_password_is_told_to_who_knows_it),
    ("an_account_that_has_no_password", an_account_that_has_no_password),
    ("an_expired_account", an_expired_account),
    ("a_closed_machine", a_closed_machine),
    ("the_wrong_hours", the_wrong_hours),
    ("refused_by_access_rules", refused_by_access_rules),
    ("a_shell_that_pam_does_not_know", a_shell_that_pam_does_not_know),
    ("a_shell_that_says_no", a_shell_that_says_no),
    ("an_expired_password_is_asked_for", an_expired_password_is_asked_for),
    ("an_unreadable_home", an_unreadable_home),
    ("a_session_command_that_does_not_exist", a_session_command_that_does_not_exist),
    ("a_session_command_that_exits_at_once", a_session_command_that_exits_at_once),
];

const WRONG: &[&str] = &["The user name or the password is wrong."];
const NOT_NOW: &[&str] = &["This account may not log in here now. Ask the", "administrator of this machine."];
const LOCKED: &[&str] = &["This account is locked. Ask the administrator of", "this machine."];
/// What the leader has for a password that PAM does not take.
const NO: &str = "authentication: AUTH_ERR: no message";

/// Whom a test tries to log in as, and the name of the picture that is kept.
struct Try {
    options: Options,
    picture: &'static str,
}

fn bob(picture: &'static str) -> Try {
    Try { options: Options::user("bob"), picture }
}

/// Waits for a line of the journal that has all of these.
fn line_with(machine: &Machine, mark: &Mark, parts: &[&str]) -> anyhow::Result<()> {
    let has_all = |line: &str| parts.iter().all(|part| line.contains(part));
    let said = eventually("the journal", PATIENCE, || Ok(machine.journal(mark)?.lines().any(has_all).then_some(())));
    said.or_else(|_| expect_in("the journal", &parts.join(" … "), &machine.journal(mark)?))
}

/// Tries to log in. The screen says these lines; of the same user the journal has them, as what was said, and PAM's own
/// `reason`. Nobody gets a session.
fn refused(machine: &Machine, of: Try, lines: &[&str], reason: &str) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    let user = of.options.user.clone();
    let mut client = Client::start(machine, of.options)?;
    let shown = words::says(&mut client, ERROR, lines);
    client.shot(&format!("refused-{}", of.picture));
    shown?;
    let (user_is, said) = (format!("user={user:?}"), format!("reason={:?}", lines.join(" ")));
    line_with(machine, &mark, &["authentication failure; rhost=192.0.2.7 ", &user_is, &said])?;
    line_with(machine, &mark, &["login denied", &user_is, &format!("reason={reason:?}")])?;
    ensure!(server::session(machine, &user)?.is_none(), "{user} has a session");
    Ok(())
}

/// The same where the password was right and the session is what cannot be had: the last screen of this connection.
fn without_session(machine: &Machine, of: Try, lines: &[&str]) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    let user = of.options.user.clone();
    let mut client = Client::start(machine, of.options)?;
    let shown = words::says(&mut client, FINAL, lines);
    client.shot(&format!("refused-{}", of.picture));
    shown?;
    line_with(machine, &mark, &["logged in; ", &format!("user={user:?}")])?;
    line_with(machine, &mark, &[&lines.join(" ")])?;
    ensure!(server::session(machine, &user)?.is_none(), "{user} has a session");
    client.key("Return")?;
    client.wait_exit().map(drop)
}

/// Between a change of the machine and its undoing.
fn meanwhile(
    machine: &Machine,
    (change, back): (&str, &str),
    test: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let result = machine.sh(change).and_then(|_| test());
    machine.sh(back)?;
    result
}

/// With one more line in the account part of our service.
fn with_account_rule(machine: &Machine, line: &str, test: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let file = "/etc/pam.d/wrd-dm";
    let change = format!("cp {file} /root/wrd-dm.pam; sed -i '/^account  required  pam_nologin/a {line}' {file}");
    meanwhile(machine, (&change, &format!("mv /root/wrd-dm.pam {file}")), test)
}

fn a_wrong_password(machine: &Machine) -> anyhow::Result<()> {
    let wrong = || Options::user("bob").password("wrong");
    refused(machine, Try { options: wrong(), picture: "wrong-password" }, WRONG, NO)?;
    // What reads words reads them to the last letter, and looks at their colour.
    let mut client = Client::start(machine, wrong())?;
    words::says(&mut client, ERROR, WRONG)?;
    let screen = client.settle()?;
    for other in ["The user name or the password is wrong", "The user name or the password is wrung.", "password"] {
        ensure!(!words::has(&screen, ERROR, other)?, "{other:?} is found");
    }
    ensure!(!words::has(&screen, words::TOLD, WRONG[0])?, "it is found in another colour");
    Ok(())
}

fn an_unknown_user_reads_the_same(machine: &Machine) -> anyhow::Result<()> {
    let of = Try { options: Options::user("nobody-of-that-name"), picture: "unknown-user" };
    refused(machine, of, WRONG, NO)?;
    still_serves(machine)
}

/// Root's own rules apply as anywhere: it is no way in.
fn an_account_without_a_password_reads_the_same(machine: &Machine) -> anyhow::Result<()> {
    meanwhile(machine, ("passwd -q -d dave", "echo dave:pw-dave | chpasswd"), || {
        let mark = machine.mark()?;
        let mut client = Client::start(machine, Options::user("dave").password(""))?;
        client.wait_for_input()?;
        // Nothing is tried before somebody wants it.
        client.enter("")?;
        let shown = eventually("the screen's words", PATIENCE, || {
            Ok(words::has(&client.settle()?, ERROR, WRONG[0])?.then_some(()))
        });
        client.shot("refused-empty-password");
        shown?;
        line_with(machine, &mark, &["authentication failure; rhost=192.0.2.7 ", "user=\"dave\"", WRONG[0]])?;
        line_with(
            machine,
            &mark,
            &["login denied", "user=\"dave\"", "reason=\"the password is empty or has a NUL in it\""],
        )?;
        ensure!(server::session(machine, "dave")?.is_none(), "dave has a session");
        Ok(())
    })
}

/// PAM says of it what it says of a wrong one.
fn a_locked_password_is_told_to_who_knows_it(machine: &Machine) -> anyhow::Result<()> {
    meanwhile(machine, ("usermod --lock bob", "usermod --unlock bob"), || {
        refused(machine, bob("locked"), LOCKED, &format!("{NO}; the password is right, and locked"))?;
        let guessed = Try { options: Options::user("bob").password("wrong"), picture: "locked-guessed" };
        refused(machine, guessed, WRONG, &format!("{NO}; the password is locked"))
    })
}

/// As with root where nobody has given it one: no password is right, and the journal says so.
fn an_account_that_has_no_password(machine: &Machine) -> anyhow::Result<()> {
    meanwhile(machine, ("usermod --password '!' bob", "echo bob:pw-bob | chpasswd"), || {
        refused(machine, bob("no-password"), WRONG, &format!("{NO}; there is no password in /etc/shadow"))
    })
}

fn an_expired_account(machine: &Machine) -> anyhow::Result<()> {
    meanwhile(machine, ("chage --expiredate 2001-01-01 bob", "chage --expiredate -1 bob"), || {
        let said = ["Your account has expired; please contact your", "system administrator."];
        refused(machine, bob("expired-account"), &said, &format!("account: AUTH_ERR: {}", said.join(" ")))
    })
}

fn a_closed_machine(machine: &Machine) -> anyhow::Result<()> {
    meanwhile(machine, ("echo Closed for repairs until noon. >/etc/nologin", "rm /etc/nologin"), || {
        let said = "Closed for repairs until noon.";
        refused(machine, bob("nologin"), &[said], &format!("account: AUTH_ERR: {said}"))
    })
}

fn the_wrong_hours(machine: &Machine) -> anyhow::Result<()> {
    let file = "/etc/security/time.conf";
    let change = format!("cp {file} /root/time.conf; echo 'wrd-dm;*;bob;!Al0000-2400' >>{file}");
    meanwhile(machine, (&change, &format!("mv /root/time.conf {file}")), || {
        with_account_rule(machine, "account required pam_time.so", || {
            refused(machine, bob("hours"), NOT_NOW, "account: PERM_DENIED: no message")
        })
    })
}

fn refused_by_access_rules(machine: &Machine) -> anyhow::Result<()> {
    let file = "/etc/security/access.conf";
    let change = format!("cp {file} /root/access.conf; echo '-:bob:192.0.2.0/24' >>{file}");
    meanwhile(machine, (&change, &format!("mv /root/access.conf {file}")), || {
        with_account_rule(machine, "account required pam_access.so", || {
            refused(machine, bob("access"), NOT_NOW, "account: PERM_DENIED: no message")?;
            // Who is not meant is let in.
            still_serves(machine)
        })
    })
}

/// Our service does not have this module; an administrator may.
fn a_shell_that_pam_does_not_know(machine: &Machine) -> anyhow::Result<()> {
    let change = "cp /bin/bash /usr/local/bin/own-shell; usermod --shell /usr/local/bin/own-shell bob";
    meanwhile(machine, (change, "usermod --shell /bin/bash bob; rm /usr/local/bin/own-shell"), || {
        with_account_rule(machine, "account required pam_shells.so", || {
            refused(machine, bob("shells"), NOT_NOW, "account: AUTH_ERR: no message")
        })
    })
}

fn a_shell_that_says_no(machine: &Machine) -> anyhow::Result<()> {
    meanwhile(machine, ("usermod --shell /usr/sbin/nologin bob", "usermod --shell /bin/bash bob"), || {
        let said = ["The account bob may not log in: its shell is", "/usr/sbin/nologin."];
        without_session(machine, bob("shell"), &said)
    })
}

fn an_expired_password_is_asked_for(machine: &Machine) -> anyhow::Result<()> {
    meanwhile(machine, ("chage --lastday 0 bob", "chage --lastday 2026-01-01 bob"), || {
        let mark = machine.mark()?;
        let mut client = Client::start(machine, Options::user("bob"))?;
        let why = ["You are required to change your password", "immediately (administrator enforced)."];
        let shown = words::says(&mut client, ERROR, &why);
        client.shot("refused-expired-password");
        shown?;
        words::stand_on(&client.settle()?, words::QUESTION, &["Current password:"])?;
        line_with(machine, &mark, &["PAM tells the user", &why.join(" ")])?;
        line_with(machine, &mark, &["PAM asks", "Current password"])?;
        ensure!(server::session(machine, "bob")?.is_none(), "bob has a session");
        Ok(())
    })
}

fn an_unreadable_home(machine: &Machine) -> anyhow::Result<()> {
    meanwhile(machine, ("chown root: /home/carol; chmod 0700 /home/carol", "chown carol: /home/carol"), || {
        let of = Try { options: Options::user("carol"), picture: "unreadable-home" };
        let said = ["The home folder /home/carol of carol cannot be", "read: permission denied."];
        without_session(machine, of, &said)
    })?;
    drop(Client::login(machine, Options::user("carol"))?);
    server::clear(machine)
}

/// A session whose command ends at once: the user is told, and nothing is left.
fn session_that_fails(machine: &Machine, command: &str, shown: &[&[&str]], said: &str) -> anyhow::Result<()> {
    machine.write("/home/alice/.config/wrd-dm/session.toml", &format!("[session]\ncommand = \"{command}\"\n"))?;
    machine.sh("chown -R alice: /home/alice/.config")?;
    let mark = machine.mark()?;
    let mut client = Client::start(machine, Options::user("alice"))?;
    // The reason stands on the desktop that is not there, for a while or until it is taken note of.
    let has_reason = |screen: &Picture| (0.5..0.9).contains(&screen.share_of(DESKTOP));
    let result = client.wait_for_screen("the reason", has_reason).and_then(|()| {
        let screen = client.settle()?;
        client.shot(&format!("session-command-{}", command.split(['/', ' ']).next_back().unwrap_or_default()));
        let look: Look = PANEL;
        shown.iter().try_for_each(|lines| words::stand_on(&screen, look, lines))?;
        client.key("Return")?;
        client.wait_exit()?;
        expect_in("the client's log", "ERRINFO_", &client.log())?;
        machine.wait_journal(&mark, said)?;
        server::wait_gone(machine, "alice")
    });
    machine.sh("rm -r /home/alice/.config")?;
    result?;
    still_serves(machine)
}

const WHERE: &[&str] = &[
    "What it said is in the journal (journalctl -e). The command is set in wrd-dm.toml or",
    "in ~/.config/wrd-dm/session.toml, [session] command.",
];

fn a_session_command_that_does_not_exist(machine: &Machine) -> anyhow::Result<()> {
    let why = "It ended at once: exit status 127 (there is no such program).";
    session_that_fails(
        machine,
        "/opt/no/such-desktop",
        &[&["/opt/no/such-desktop"], &[why, WHERE[0], WHERE[1]]],
        "such-desktop",
    )
}

fn a_session_command_that_exits_at_once(machine: &Machine) -> anyhow::Result<()> {
    let why = "It ended at once: exit status 7.";
    session_that_fails(machine, "exit 7", &[&["exit 7"], &[why, WHERE[0], WHERE[1]]], "exit status 7")
}
