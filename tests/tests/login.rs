//! What the login screen carries of PAM's conversation: questions, messages, a new password, and why somebody does not
//! get in. In a booted Debian 13 with its own modules; what the robot types stands on the screen. Where it matters by
//! both doors: with the password of Client Info, and behind NLA with the one that CredSSP has delegated, which is asked
//! for or all that is served.

mod words;

use anyhow::ensure;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use words::{ERROR, FINAL, Look, QUESTION, TOLD};
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Init, Machine};
use wrd_tests::runner::Plan;
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, runner, server};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Systemd, prepare, restore },
        &[
            ("an_expired_password_is_changed", an_expired_password_is_changed),
            ("an_expired_password_is_changed_behind_nla", |machine| changed_behind_nla(machine, NLA)),
            ("an_expired_password_is_changed_where_nla_is_required", |machine| {
                where_nla_is_required(machine, changed_behind_nla)
            }),
            ("an_expired_password_is_not_changed", |machine| an_expired_password_is_not_changed(machine, TLS)),
            ("an_expired_password_is_not_changed_behind_nla", |machine| {
                an_expired_password_is_not_changed(machine, NLA)
            }),
            ("a_second_factor", |machine| a_second_factor(machine, TLS)),
            ("a_second_factor_behind_nla", |machine| a_second_factor(machine, NLA)),
            ("a_second_factor_where_nla_is_required", |machine| where_nla_is_required(machine, a_second_factor)),
            ("a_second_factor_behind_a_typed_password", a_second_factor_behind_a_typed_password),
            ("a_question_is_cancelled", |machine| a_question_is_cancelled(machine, TLS)),
            ("a_question_is_cancelled_behind_nla", |machine| a_question_is_cancelled(machine, NLA)),
            ("a_client_goes_in_the_middle_of_a_question", a_client_goes_in_the_middle_of_a_question),
            ("a_thousand_questions", a_thousand_questions),
            ("a_warning_can_be_read", |machine| a_warning_can_be_read(machine, TLS)),
            ("a_warning_can_be_read_behind_nla", |machine| a_warning_can_be_read(machine, NLA)),
            ("a_module_that_hangs_keeps_its_own_client_only", a_module_that_hangs_keeps_its_own_client_only),
            ("a_service_that_is_missing", a_service_that_is_missing),
            ("a_denial_is_told_after_its_delay", a_denial_is_told_after_its_delay),
            ("a_closed_machine_and_the_wrong_hours", |machine| a_closed_machine_and_the_wrong_hours(machine, TLS)),
            ("a_closed_machine_and_the_wrong_hours_behind_nla", |machine| {
                a_closed_machine_and_the_wrong_hours(machine, NLA)
            }),
            ("a_locked_out_account_reads_like_a_wrong_password", |machine| locked_out(machine, TLS)),
            ("a_locked_out_account_reads_like_a_wrong_password_behind_nla", |machine| locked_out(machine, NLA)),
        ],
    )
}

/// How a client comes in: what it is told to want, and what its pictures are called by.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Door(Option<&'static str>, &'static str);

const TLS: Door = Door(Some("/sec:tls"), "");
const NLA: Door = Door(Some("/sec:nla"), "-nla");
/// As FreeRDP comes that is told nothing, where the server serves nothing but NLA.
const REQUIRED: Door = Door(None, "-required");

impl Door {
    fn options(self, user: &str) -> Options {
        let options = Options::user(user);
        match self.0 {
            Some(word) => options.more(word),
            None => options,
        }
    }

    fn shot(self, client: &Client<'_>, name: &str) {
        client.shot(&format!("login-{name}{}", self.1));
    }
}

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    server::prepare(machine)?;
    policy(machine, "nla-preferred")?;
    machine.sh("cp /etc/pam.d/wrd-dm /root/wrd-dm.pam")?;
    // What pam_unix refuses is told at once: delays have a test of their own.
    machine.sh("sed -i '/pam_unix.so/s/$/ nodelay/' /etc/pam.d/common-auth /etc/pam.d/common-password")?;
    // The secret of RFC 4226, appendix D, whose codes are known.
    machine.write("/etc/users.oath", "HOTP alice - 3132333435363738393031323334353637383930\n")?;
    machine.sh("chmod 0600 /etc/users.oath; cp -p /etc/users.oath /root/users.oath")?;
    enrol(machine)
}

fn policy(machine: &Machine, policy: &str) -> anyhow::Result<()> {
    let (exempt, login) = (server::EXEMPT, format!("[login]\nsecurity = \"{policy}\"\n"));
    machine.write("/etc/wrd-dm/wrd-dm.toml", &format!("[desktop]\nbackground = \"#2e6f40\"\n{exempt}{login}"))?;
    machine.sh("systemctl restart wrd-dm.service").map(drop)
}

/// Back to where `prepare` was.
fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("cp /root/wrd-dm.pam /etc/pam.d/wrd-dm; cp -p /root/users.oath /etc/users.oath; rm -f /etc/nologin
         ! grep -q pam_wrd_enroll /etc/pam.d/common-password || pam-auth-update --disable wrd-dm-enroll
         echo bob:pw-bob | chpasswd; chage --lastday 2026-01-01 --maxdays 99999 bob; faillock --user bob --reset
         pkill -x sleep; true")?;
    enrol(machine)?;
    server::restore(machine)
}

/// Alice and bob, with their passwords.
fn enrol(machine: &Machine) -> anyhow::Result<()> {
    for user in ["alice", "bob"] {
        machine.sh(&format!("wrdctl forget {user}; echo pw-{user} | wrdctl enroll {user}"))?;
    }
    Ok(())
}

/// The monitor's line; PAM's modules have theirs, before it is said on the screen.
const DENIED: &str = "authentication failure; rhost";

const WRONG: &[&str] = &["The user name or the password is wrong."];
/// What pam_oath asks.
const CODE: &[&str] = &["One-time password (OATH) for `alice':"];

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

/// Has a story happen where the server serves nothing but NLA, to a client that is told nothing of it.
fn where_nla_is_required(
    machine: &Machine,
    story: impl FnOnce(&Machine, Door) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    policy(machine, "nla-required")?;
    let mark = machine.mark()?;
    let result = story(machine, REQUIRED);
    policy(machine, "nla-preferred")?;
    result?;
    // Each connection that PAM asked something on.
    let journal = machine.journal(&mark)?;
    let count = |part: &str| journal.matches(part).count();
    let (asked, proven) = (count("PAM asks the user"), count("proven by NLA"));
    ensure!(asked > 0 && proven > 1, "{journal}");
    Ok(())
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

/// Fails unless the screen, which has come to rest behind [`asked`] or [`answer`], says these lines.
fn reads(client: &Client<'_>, look: Look, lines: &[&str]) -> anyhow::Result<()> {
    words::stand_on(&client.screen()?, look, lines)
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

/// Chooses a new password in place of one that has expired, up to the desktop.
fn change_password<'m>(machine: &'m Machine, door: Door, new: &str) -> anyhow::Result<Client<'m>> {
    machine.sh("chage --lastday 0 bob")?;
    let mark = machine.mark()?;
    let mut client = asked(machine, door.options("bob"), "Current password")?;
    let why = ["You are required to change your password", "immediately (administrator enforced)."];
    reads(&client, ERROR, &why)?;
    reads(&client, QUESTION, &["Current password:"])?;
    door.shot(&client, "expired-current");
    expect_in("the journal", "PAM tells the user", &machine.journal(&mark)?)?;
    answer(machine, &mut client, "pw-bob", "New password")?;
    reads(&client, QUESTION, &["New password:"])?;
    door.shot(&client, "expired-new");
    // Too short, says pam_unix, and asks again.
    client.type_text("abc")?;
    client.settle()?;
    door.shot(&client, "expired-typed");
    answer(machine, &mut client, "", "Retype new password")?;
    answer(machine, &mut client, "abc", "New password")?;
    reads(&client, ERROR, &["You must choose a longer password."])?;
    door.shot(&client, "expired-refused");
    answer(machine, &mut client, new, "Retype new password")?;
    answer_for_good(machine, &mut client, new, "the password was changed")?;
    server::wait_state(machine, "bob", "connected")?;
    ensure!(su_takes(machine, "bob", new)?, "su does not know the new password");
    ensure!(!su_takes(machine, "bob", "pw-bob")?, "su still takes the old password");
    for secret in [new, "pw-bob"] {
        ensure!(!machine.journal(&mark)?.contains(secret), "{secret} is in the journal");
    }
    Ok(client)
}

fn an_expired_password_is_changed(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || change_password(machine, TLS, "A-much-better-1").map(drop))
}

/// NLA was shown the old one. With our module the new one is what it wants the next time.
fn changed_behind_nla(machine: &Machine, door: Door) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.sh("pam-auth-update --enable wrd-dm-enroll")?;
        let new = "Another-one-2";
        drop(change_password(machine, door, new)?);
        server::clear(machine)?;
        let mark = machine.mark()?;
        drop(Client::login(machine, door.options("bob").password(new))?);
        expect_in("the journal", "proven by NLA", &machine.journal(&mark)?)
    })
}

fn an_expired_password_is_not_changed(machine: &Machine, door: Door) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.sh("chage --lastday 0 bob")?;
        let mut client = asked(machine, door.options("bob"), "Current password")?;
        answer(machine, &mut client, "wrong", "expired and was not changed")?;
        reads(&client, ERROR, &["Your password has expired and was not", "changed."])?;
        door.shot(&client, "expired-not-changed");
        ensure!(server::session(machine, "bob")?.is_none(), "bob has a session");
        machine.sh("chage --lastday 2026-01-01 bob")?;
        ensure!(su_takes(machine, "bob", "pw-bob")?, "the password was changed");
        is_enrolled(machine, "bob")
    })
}

/// What was typed on the screen is nothing that an entry is removed for.
fn is_enrolled(machine: &Machine, user: &str) -> anyhow::Result<()> {
    expect_in("the enrolled", user, &machine.sh("wrdctl enrolled")?)
}

const OATH: &str = "auth required pam_oath.so usersfile=/etc/users.oath digits=6 window=5";

fn a_second_factor(machine: &Machine, door: Door) -> anyhow::Result<()> {
    and_back(machine, || {
        with_auth(machine, OATH)?;
        // A wrong code reads like a wrong password.
        let mut client = asked(machine, door.options("alice"), "One-time password")?;
        reads(&client, QUESTION, CODE)?;
        door.shot(&client, "code");
        answer(machine, &mut client, "000000", DENIED)?;
        reads(&client, ERROR, WRONG)?;
        door.shot(&client, "code-wrong");
        ensure!(server::session(machine, "alice")?.is_none(), "alice has a session");
        drop(client);
        is_enrolled(machine, "alice")?;
        let mut client = asked(machine, door.options("alice"), "One-time password")?;
        answer_for_good(machine, &mut client, CODES[0], "logged in;")?;
        drop(client);
        // The same code is none any more.
        let mut client = asked(machine, door.options("alice"), "One-time password")?;
        answer(machine, &mut client, CODES[0], DENIED)?;
        reads(&client, ERROR, WRONG)
    })
}

/// By TLS only: with NLA nobody gets to a screen with a wrong password.
fn a_second_factor_behind_a_typed_password(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        with_auth(machine, OATH)?;
        // At twice the size.
        let mark = machine.mark()?;
        let options = TLS.options("alice").password("wrong").size(1600, 1200).more("/scale-desktop:200");
        let mut client = Client::start(machine, options)?;
        machine.wait_journal(&mark, DENIED)?;
        client.wait_for_input()?;
        ensure!(!machine.journal(&mark)?.contains("PAM asks"), "a stranger was asked for a code");
        answer(machine, &mut client, "pw-alice", "One-time password")?;
        client.type_text(CODES[0])?;
        client.settle()?;
        client.shot("login-code-200");
        answer_for_good(machine, &mut client, "", "logged in;")
    })
}

fn a_question_is_cancelled(machine: &Machine, door: Door) -> anyhow::Result<()> {
    and_back(machine, || {
        with_auth(machine, OATH)?;
        let mark = machine.mark()?;
        let mut client = asked(machine, door.options("alice"), "One-time password")?;
        client.type_text("12")?;
        let typed = client.settle()?;
        client.key("Escape")?;
        machine.wait_journal(&mark, "the user cancelled the login")?;
        client.wait_for_input_after(Some(&typed))?;
        words::says(&mut client, TOLD, &["The login was cancelled."])?;
        door.shot(&client, "cancelled");
        ensure!(!machine.journal(&mark)?.contains(DENIED), "a cancel counts as a wrong password");
        is_enrolled(machine, "alice")?;
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
        drop(asked(machine, NLA.options("alice"), "One-time password")?);
        machine.wait_journal(&mark, "in the middle of a question")?;
        both_end(machine, PATIENCE)
    })
}

/// Neither a gate nor a leader is left.
fn both_end(machine: &Machine, limit: Duration) -> anyhow::Result<()> {
    eventually("both to end", limit, || {
        let left = machine.try_sh("pgrep -x wrd-gate || pgrep -fx '.*/wrd-leader( --runtime-dir.*)?'")?;
        Ok((!left.status.success()).then_some(()))
    })
}

/// How many are asked of anybody.
const MOST_QUESTIONS: usize = 64;

fn a_thousand_questions(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        with_auth(machine, &format!("{}\\n", OATH.replace("required", "optional")).repeat(1000))?;
        let mark = machine.mark()?;
        let mut client = asked(machine, TLS.options("alice"), "One-time password")?;
        let count = || -> anyhow::Result<usize> { Ok(machine.journal(&mark)?.matches("PAM asks the user").count()) };
        eventually("the last question", 3 * PATIENCE, || {
            let questions = count()?;
            // One press is one answer at most.
            let presses = (MOST_QUESTIONS - questions.min(MOST_QUESTIONS)).clamp(1, 16).to_string();
            client.xdotool(&["key", "--delay", "50", "--repeat", &presses, "Return"])?;
            Ok((questions == MOST_QUESTIONS).then_some(()))
        })?;
        let said = ["The login service of this machine asks too many", "questions. Ask its administrator."];
        let shown = words::says(&mut client, FINAL, &said);
        client.shot("login-thousand-questions");
        shown?;
        machine.wait_journal(&mark, &format!("reason={:?}", said.join(" ")))?;
        expect_eq("questions", count()?, MOST_QUESTIONS)?;
        ensure!(server::session(machine, "alice")?.is_none(), "alice has a session");
        Ok(())
    })
}

fn a_warning_can_be_read(machine: &Machine, door: Door) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.sh("chage --lastday $(date -d '8 days ago' +%F) --maxdays 10 --warndays 7 bob")?;
        let mark = machine.mark()?;
        let mut client = Client::start(machine, door.options("bob"))?;
        // It stands there for a few seconds.
        client.wait_for_greeter()?;
        let screen = client.screen()?;
        door.shot(&client, "told");
        words::stand_on(&screen, TOLD, &["Warning: your password will expire in 2 days."])?;
        machine.wait_journal(&mark, "will expire in 2 days")?;
        client.wait_for_desktop()
    })
}

fn a_module_that_hangs_keeps_its_own_client_only(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.write("/root/hang", "#!/bin/sh\n[ \"$PAM_USER\" = bob ] && exec sleep 1000\nexit 0\n")?;
        machine.sh("chmod 0755 /root/hang")?;
        with_auth(machine, "auth optional pam_exec.so quiet /root/hang")?;
        let mut hangs = Client::start(machine, TLS.options("bob"))?;
        hangs.wait_for_greeter()?;
        words::stand_on(&hangs.settle()?, TOLD, &["Checking…"])?;
        hangs.shot("login-hangs");
        let others = Client::login(machine, NLA.options("alice"))?;
        ensure!(server::session(machine, "bob")?.is_none(), "bob has a session");
        drop(others);
        // The user can leave.
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
        let mut client = Client::start(machine, TLS.options("alice"))?;
        machine.wait_journal(&mark, "there is no PAM service wrd-dm")?;
        let said = ["This machine cannot check passwords: its login", "service is not set up. The log says more."];
        words::says(&mut client, FINAL, &said)?;
        client.shot("login-no-service");
        ensure!(server::session(machine, "alice")?.is_none(), "alice has a session");
        client.key("Return")?;
        client.wait_exit()?;
        Ok(())
    })
}

/// pam_fail_delay(3) through libpam, which makes it half as long or half as long again: the monitor hears of a denial
/// before it, the user behind it, and who has left by then is not waited for.
fn a_denial_is_told_after_its_delay(machine: &Machine) -> anyhow::Result<()> {
    let with_delay = |seconds: u32| {
        let line = format!("auth optional pam_faildelay.so delay={seconds}000000");
        machine.sh(&format!("sed '/^@include common-auth/i {line}' /root/wrd-dm.pam >/etc/pam.d/wrd-dm")).map(drop)
    };
    let denied = || -> anyhow::Result<Client<'_>> {
        let mark = machine.mark()?;
        let client = Client::start(machine, TLS.options("bob").password("wrong"))?;
        machine.wait_journal(&mark, DENIED)?;
        Ok(client)
    };
    and_back(machine, || {
        with_delay(5)?;
        let mut client = denied()?;
        let begin = Instant::now();
        words::says(&mut client, ERROR, WRONG)?;
        let took = begin.elapsed();
        ensure!(
            took > Duration::from_millis(1500),
            "told after {took:?} where it is to be two and a half seconds at least"
        );
        drop(client);
        both_end(machine, PATIENCE)?;
        // Half a minute, which is the most that is waited for.
        with_delay(90)?;
        drop(denied()?);
        both_end(machine, Duration::from_secs(20))
    })
}

/// Tries to log in with the right password; the screen says these lines, and the journal the same of this user.
fn refused(machine: &Machine, (door, user): (Door, &str), name: &str, lines: &[&str]) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    let mut client = Client::start(machine, door.options(user))?;
    let shown = words::says(&mut client, ERROR, lines);
    door.shot(&client, name);
    shown?;
    let journal = machine.journal(&mark)?;
    let (user_is, said) = (format!("user={user:?} "), format!("reason={:?}", lines.join(" ")));
    let line = journal.lines().find(|line| line.contains(DENIED));
    ensure!(line.is_some_and(|line| line.contains(&user_is) && line.contains(&said)), "{journal}");
    expect_eq("whether it was NLA", journal.contains("proven by NLA"), door == NLA)?;
    ensure!(server::session(machine, user)?.is_none(), "{user} has a session");
    Ok(())
}

fn a_closed_machine_and_the_wrong_hours(machine: &Machine, door: Door) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.write("/etc/nologin", "Closed for repairs until noon.\n")?;
        refused(machine, (door, "alice"), "nologin", &["Closed for repairs until noon."])?;
        machine.sh("rm /etc/nologin")?;
        is_enrolled(machine, "alice")?;
        machine.sh("sed '/^account  required  pam_nologin/a account required pam_time.so' /root/wrd-dm.pam >/etc/pam.d/wrd-dm; cp /etc/security/time.conf /root; echo 'wrd-dm;*;bob;!Al0000-2400' >>/etc/security/time.conf")?;
        let said = ["This account may not log in here now. Ask the", "administrator of this machine."];
        let result = refused(machine, (door, "bob"), "hours", &said);
        machine.sh("cp /root/time.conf /etc/security/")?;
        result?;
        is_enrolled(machine, "bob")
    })
}

fn locked_out(machine: &Machine, door: Door) -> anyhow::Result<()> {
    and_back(machine, || {
        machine.sh(
            "sed -e 's/^@include common-auth/auth required pam_faillock.so preauth deny=2\\nauth [success=1 default=ignore] pam_unix.so nodelay\\nauth [default=die] pam_faillock.so authfail deny=2\\nauth required pam_permit.so/' \
             /root/wrd-dm.pam >/etc/pam.d/wrd-dm",
        )?;
        // What NLA refuses PAM does not hear of.
        if door == NLA {
            for _ in 0..2 {
                Client::start(machine, NLA.options("bob").password("wrong"))?.wait_exit()?;
            }
            ensure!(!machine.sh("faillock --user bob")?.contains("192.0.2.7"), "NLA's refusals are counted");
        }
        for _ in 0..2 {
            let mark = machine.mark()?;
            let client = Client::start(machine, TLS.options("bob").password("wrong"))?;
            machine.wait_journal(&mark, DENIED)?;
            drop(client);
        }
        expect_in("the counted", "192.0.2.7", &machine.sh("faillock --user bob")?)?;
        let mark = machine.mark()?;
        refused(machine, (door, "bob"), "faillock", WRONG)?;
        // The administrator reads why, the stranger does not.
        machine.wait_journal(&mark, "The account is locked")?;
        ensure!(!machine.journal(&mark)?.contains("PAM tells"), "the stranger is told");
        is_enrolled(machine, "bob")
    })
}
