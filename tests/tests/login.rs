//! What the login screen carries of PAM's conversation: questions, messages, a new password, and why somebody does not
//! get in. In a booted Debian 13 with its own modules; what the robot types stands on the screen.

use anyhow::ensure;
use std::process::ExitCode;
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Init, Machine};
use wrd_tests::runner::Plan;
use wrd_tests::{PATIENCE, eventually, expect_in, runner, server};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Systemd, prepare, restore },
        &[
            ("an_expired_password_is_changed_on_the_screen", an_expired_password_is_changed_on_the_screen),
            ("an_expired_password_that_is_not_changed", an_expired_password_that_is_not_changed),
            ("a_second_factor", a_second_factor),
            ("a_question_is_cancelled", a_question_is_cancelled),
            ("a_client_goes_in_the_middle_of_a_question", a_client_goes_in_the_middle_of_a_question),
            ("a_warning_can_be_read", a_warning_can_be_read),
            ("a_module_that_hangs_keeps_its_own_client_only", a_module_that_hangs_keeps_its_own_client_only),
            ("a_service_that_is_missing", a_service_that_is_missing),
            ("why_somebody_does_not_get_in", why_somebody_does_not_get_in),
            ("a_locked_out_account_reads_like_a_wrong_password", a_locked_out_account_reads_like_a_wrong_password),
        ],
    )
}

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    server::prepare_exempt(machine)?;
    machine.sh("systemctl restart wrd-dm.service; cp /etc/pam.d/wrd-dm /root/wrd-dm.pam")?;
    // The secret of RFC 4226, appendix D, whose codes are known.
    machine.write("/etc/users.oath", "HOTP alice - 3132333435363738393031323334353637383930\n")?;
    machine.sh("chmod 0600 /etc/users.oath; cp -p /etc/users.oath /root/users.oath")?;
    Ok(())
}

/// Back to where `prepare` was.
fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("cp /root/wrd-dm.pam /etc/pam.d/wrd-dm; cp -p /root/users.oath /etc/users.oath; rm -f /etc/nologin
         echo bob:pw-bob | chpasswd; chage --lastday 2026-01-01 --maxdays 99999 bob; faillock --user bob --reset
         pkill -x sleep; true")?;
    server::restore(machine)
}

/// The monitor's line; PAM's modules have theirs, before it is said on the screen.
const DENIED: &str = "authentication failure; rhost";

/// The codes of the secret above, by their counter.
const CODES: [&str; 4] = ["755224", "287082", "359152", "969429"];

/// Replaces our service with one that has `line` behind its `auth` part.
fn with_auth(machine: &Machine, line: &str) -> anyhow::Result<()> {
    machine.sh(&format!("sed '/^@include common-auth/a {line}' /root/wrd-dm.pam >/etc/pam.d/wrd-dm"))?;
    Ok(())
}

/// Runs a test and puts everything back, however it ended.
fn and_back(machine: &Machine, test: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let result = test();
    restore(machine)?;
    result
}

/// Types an answer and waits until the journal says that the next thing was asked or told, and for the screen to type on.
fn answer(machine: &Machine, client: &mut Client<'_>, text: &str, then: &str) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    let typed = client.enter(text)?;
    machine.wait_journal(&mark, then)?;
    client.wait_for_input_after(Some(&typed))
}

/// Types the last answer and waits for the desktop.
fn answer_for_good(machine: &Machine, client: &mut Client<'_>, text: &str, then: &str) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    client.enter(text)?;
    machine.wait_journal(&mark, then)?;
    client.wait_for_desktop()
}

/// Starts a client and waits for a question on its screen.
fn asked<'m>(machine: &'m Machine, options: Options, question: &str) -> anyhow::Result<Client<'m>> {
    let mark = machine.mark()?;
    let mut client = Client::start(machine, options)?;
    machine.wait_journal(&mark, question)?;
    client.wait_for_input()?;
    Ok(client)
}

/// Whether `su` takes this password.
fn su_takes(machine: &Machine, user: &str, password: &str) -> anyhow::Result<bool> {
    let output = machine.try_sh_as("dave", &format!("echo '{password}' | su -c true {user}"))?;
    Ok(output.status.success())
}

fn an_expired_password_is_changed_on_the_screen(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.sh("chage --lastday 0 bob")?;
        let mark = machine.mark()?;
        let mut client = asked(machine, Options::user("bob"), "Current password")?;
        client.shot("login-expired-current");
        expect_in("the journal", "PAM tells the user", &machine.journal(&mark)?)?;
        answer(machine, &mut client, "pw-bob", "New password")?;
        client.shot("login-expired-new");
        // Too short, says pam_unix, and asks again.
        let mark = machine.mark()?;
        client.type_text("abc")?;
        client.settle()?;
        client.shot("login-expired-typed");
        answer(machine, &mut client, "", "Retype new password")?;
        answer(machine, &mut client, "abc", "New password")?;
        client.shot("login-expired-refused");
        machine.wait_journal(&mark, "longer password")?;
        let new = "A-much-better-1";
        answer(machine, &mut client, new, "Retype new password")?;
        answer_for_good(machine, &mut client, new, "the password was changed")?;
        server::wait_state(machine, "bob", "connected")?;
        ensure!(su_takes(machine, "bob", new)?, "su does not know the new password");
        ensure!(!su_takes(machine, "bob", "pw-bob")?, "su still takes the old password");
        for secret in [new, "pw-bob"] {
            ensure!(!machine.journal(&mark)?.contains(secret), "{secret} is in the journal");
        }
        Ok(())
    })
}

fn an_expired_password_that_is_not_changed(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.sh("chage --lastday 0 bob")?;
        let mut client = asked(machine, Options::user("bob"), "Current password")?;
        answer(machine, &mut client, "wrong", "expired and was not changed")?;
        client.shot("login-expired-not-changed");
        ensure!(server::session(machine, "bob")?.is_none(), "bob has a session");
        machine.sh("chage --lastday 2026-01-01 bob")?;
        ensure!(su_takes(machine, "bob", "pw-bob")?, "the password was changed");
        Ok(())
    })
}

const OATH: &str = "auth required pam_oath.so usersfile=/etc/users.oath digits=6 window=5";

fn a_second_factor(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        with_auth(machine, OATH)?;
        // A wrong code reads like a wrong password.
        let mut client = asked(machine, Options::user("alice"), "One-time password")?;
        client.shot("login-code");
        answer(machine, &mut client, "000000", DENIED)?;
        client.shot("login-code-wrong");
        ensure!(server::session(machine, "alice")?.is_none(), "alice has a session");
        drop(client);
        let mut client = asked(machine, Options::user("alice"), "One-time password")?;
        answer_for_good(machine, &mut client, CODES[0], "logged in;")?;
        drop(client);
        // The same code is none any more, and a wrong password is asked for no code.
        let mut client = asked(machine, Options::user("alice"), "One-time password")?;
        answer(machine, &mut client, CODES[0], DENIED)?;
        drop(client);
        let mark = machine.mark()?;
        let client = Client::start(machine, Options::user("alice").password("wrong"))?;
        machine.wait_journal(&mark, DENIED)?;
        ensure!(!machine.journal(&mark)?.contains("PAM asks"), "a stranger was asked for a code");
        drop(client);
        // On the screen from the beginning, at twice the size.
        let mark = machine.mark()?;
        let options = Options::user("alice").password("wrong").size(1600, 1200).more("/scale-desktop:200");
        let mut client = Client::start(machine, options)?;
        machine.wait_journal(&mark, DENIED)?;
        client.wait_for_input()?;
        answer(machine, &mut client, "pw-alice", "One-time password")?;
        client.type_text(CODES[1])?;
        client.settle()?;
        client.shot("login-code-200");
        answer_for_good(machine, &mut client, "", "logged in;")
    })
}

fn a_question_is_cancelled(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        with_auth(machine, OATH)?;
        let mark = machine.mark()?;
        let mut client = asked(machine, Options::user("alice"), "One-time password")?;
        client.type_text("12")?;
        let typed = client.settle()?;
        client.key("Escape")?;
        machine.wait_journal(&mark, "the user cancelled the login")?;
        client.wait_for_input_after(Some(&typed))?;
        client.shot("login-cancelled");
        ensure!(!machine.journal(&mark)?.contains(DENIED), "a cancel counts as a wrong password");
        // And again, with the mouse: the left one of two buttons.
        answer(machine, &mut client, "pw-alice", "One-time password")?;
        let mark = machine.mark()?;
        let asked = client.settle()?;
        client.click(420, 530)?;
        machine.wait_journal(&mark, "the user cancelled the login")?;
        client.wait_for_input_after(Some(&asked))?;
        answer(machine, &mut client, "pw-alice", "One-time password")?;
        answer_for_good(machine, &mut client, CODES[0], "logged in;")
    })
}

fn a_client_goes_in_the_middle_of_a_question(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        with_auth(machine, OATH)?;
        let mark = machine.mark()?;
        drop(asked(machine, Options::user("alice"), "One-time password")?);
        machine.wait_journal(&mark, "in the middle of a question")?;
        // Neither its gate nor its leader is left.
        eventually("both to end", PATIENCE, || {
            let left = machine.try_sh("pgrep -x wrd-gate || pgrep -fx '.*/wrd-leader( --runtime-dir.*)?'")?;
            Ok((!left.status.success()).then_some(()))
        })
    })
}

fn a_warning_can_be_read(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.sh("chage --lastday $(date -d '8 days ago' +%F) --maxdays 10 --warndays 7 bob")?;
        let mark = machine.mark()?;
        let mut client = Client::start(machine, Options::user("bob"))?;
        // It stands there for a few seconds.
        client.wait_for_greeter()?;
        client.shot("login-told");
        machine.wait_journal(&mark, "will expire in 2 days")?;
        client.wait_for_desktop()
    })
}

fn a_module_that_hangs_keeps_its_own_client_only(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.write("/root/hang", "#!/bin/sh\n[ \"$PAM_USER\" = bob ] && exec sleep 1000\nexit 0\n")?;
        machine.sh("chmod 0755 /root/hang")?;
        with_auth(machine, "auth optional pam_exec.so quiet /root/hang")?;
        let mut hangs = Client::start(machine, Options::user("bob"))?;
        hangs.wait_for_greeter()?;
        hangs.settle()?;
        hangs.shot("login-hangs");
        let others = Client::login(machine, Options::user("alice"))?;
        ensure!(server::session(machine, "bob")?.is_none(), "bob has a session");
        drop(others);
        // The user is told, and can leave; the leader goes by an alarm, later.
        let mark = machine.mark()?;
        drop(hangs);
        machine.wait_journal(&mark, "connection given up")?;
        machine.sh("pkill -x sleep")?;
        Ok(())
    })
}

fn a_service_that_is_missing(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.sh("rm /etc/pam.d/wrd-dm")?;
        let mark = machine.mark()?;
        let mut client = Client::start(machine, Options::user("alice"))?;
        machine.wait_journal(&mark, "there is no PAM service wrd-dm")?;
        client.wait_for_input()?;
        client.shot("login-no-service");
        ensure!(server::session(machine, "alice")?.is_none(), "alice has a session");
        client.key("Return")?;
        client.wait_exit()?;
        Ok(())
    })
}

/// Tries to log in and waits for what is said of it.
fn refused(machine: &Machine, user: &str, name: &str, said: &str) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    let mut client = Client::start(machine, Options::user(user))?;
    machine.wait_journal(&mark, said)?;
    client.wait_for_input()?;
    client.shot(&format!("login-{name}"));
    ensure!(server::session(machine, user)?.is_none(), "{user} has a session");
    Ok(())
}

fn why_somebody_does_not_get_in(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.write("/etc/nologin", "Closed for repairs until noon.\n")?;
        refused(machine, "alice", "nologin", "reason=\"Closed for repairs until noon.\"")?;
        machine.sh("rm /etc/nologin")?;
        machine.sh("sed '/^account  required  pam_nologin/a account required pam_time.so' /root/wrd-dm.pam >/etc/pam.d/wrd-dm; cp /etc/security/time.conf /root; echo 'wrd-dm;*;bob;!Al0000-2400' >>/etc/security/time.conf")?;
        let result = refused(machine, "bob", "hours", "may not log in here now");
        machine.sh("cp /root/time.conf /etc/security/")?;
        result
    })
}

fn a_locked_out_account_reads_like_a_wrong_password(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.sh(
            "sed -e 's/^@include common-auth/auth required pam_faillock.so preauth deny=2\\nauth [success=1 default=ignore] pam_unix.so\\nauth [default=die] pam_faillock.so authfail deny=2\\nauth required pam_permit.so/' \
             /root/wrd-dm.pam >/etc/pam.d/wrd-dm",
        )?;
        for _ in 0..2 {
            let mark = machine.mark()?;
            let client = Client::start(machine, Options::user("bob").password("wrong"))?;
            machine.wait_journal(&mark, DENIED)?;
            drop(client);
        }
        let mark = machine.mark()?;
        refused(machine, "bob", "faillock", DENIED)?;
        // The administrator reads why, the stranger does not.
        machine.wait_journal(&mark, "The account is locked")?;
        let journal = machine.journal(&mark)?;
        expect_in("the journal", "reason=\"The user name or the password is wrong.\"", &journal)?;
        ensure!(!journal.contains("PAM tells"), "the stranger is told");
        Ok(())
    })
}
