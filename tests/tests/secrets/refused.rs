//! Who does not get in with the right password, who does not want to any more, and who comes back without one.

use crate::{
    Canary, DENIED, NLA, OATH, SHORT, Scene, TLS, and_back, everywhere, holders, is_nowhere, nothing, said, started,
    with_rule,
};
use anyhow::{Context, ensure};
use std::collections::BTreeSet;
use wrd_tests::client::Options;
use wrd_tests::machine::{Build, Machine};
use wrd_tests::memory::Needle;
use wrd_tests::runner::Test;
use wrd_tests::server;
use wrd_tests::strangers::{Attack, Street};

pub const TESTS: &[Test] = &[
    ("a_question_that_is_cancelled", a_question_that_is_cancelled),
    ("right_and_refused", |machine| right_and_refused(machine, TLS)),
    ("right_and_refused_behind_nla", |machine| right_and_refused(machine, NLA)),
    ("a_return_by_cookie", a_return_by_cookie),
];

/// Neither the password nor what was begun as an answer.
fn a_question_that_is_cancelled(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        let (password, half) = (Canary::new("Oboe-first", SHORT), Canary::new("Fagott-half", SHORT));
        password.set(machine, "alice")?;
        machine.write("/etc/users.oath", "HOTP alice - 3132333435363738393031323334353637383930\n")?;
        machine.sh("chmod 0600 /etc/users.oath")?;
        with_rule(machine, "@include common-auth", OATH)?;
        let options = Options::user("alice").password(&password.0).more(TLS);
        let mut client = started(machine, options, "One-time password")?;
        let before = client.settle()?;
        client.type_text(&half.0)?;
        client.wait_for_screen("what is typed", |screen| *screen != before)?;
        let typed = client.settle()?;
        let holders = holders(machine, &half)?;
        ensure!(holders == BTreeSet::from(["wrd-gate".to_owned()]), "what is being typed is in {holders:?}");
        let mark = machine.mark()?;
        client.key("Escape")?;
        said(machine, &mark, "the user cancelled the login")?;
        client.wait_for_input_after(Some(&typed))?;
        is_nowhere(machine, Scene::Screen, &[&password, &half])
    })
}

/// What PAM has against somebody whose password is right: its name, how it comes about, how it ends.
const AGAINST: [(&str, &str, &str); 5] = [
    ("Expired", "chage --expiredate 2001-01-01 bob", "chage --expiredate -1 bob"),
    ("Nologin", "echo Closed >/etc/nologin", "rm /etc/nologin"),
    (
        "Hours",
        "sed '/^account  required  pam_nologin/a account required pam_time.so' /root/wrd-dm.pam >/etc/pam.d/wrd-dm
         cp /etc/security/time.conf /root/; echo 'wrd-dm;*;bob;!Al0000-2400' >>/etc/security/time.conf",
        "cp /root/wrd-dm.pam /etc/pam.d/wrd-dm; mv /root/time.conf /etc/security/time.conf",
    ),
    (
        "Faillock",
        "sed 's/^@include common-auth/auth required pam_faillock.so preauth deny=1\\nauth [success=1 default=ignore] pam_unix.so\\nauth [default=die] pam_faillock.so authfail deny=1\\nauth required pam_permit.so/' \
         /root/wrd-dm.pam >/etc/pam.d/wrd-dm",
        "cp /root/wrd-dm.pam /etc/pam.d/wrd-dm; faillock --user bob --reset",
    ),
    ("Locked", "usermod --lock bob", "usermod --unlock bob"),
];

fn right_and_refused(machine: &Machine, security: &str) -> anyhow::Result<()> {
    and_back(machine, || {
        for (name, change, back) in AGAINST {
            let canary = Canary::new(&format!("{name}-{}", &security[5..]), SHORT);
            canary.set(machine, "bob")?;
            canary.enrol(machine, "bob")?;
            machine.sh(change)?;
            if name == "Faillock" {
                drop(started(machine, Options::user("bob").password("wrong").more(TLS), DENIED)?);
            }
            let mark = machine.mark()?;
            let client = started(machine, Options::user("bob").password(&canary.0).more(security), DENIED)?;
            let journal = machine.journal(&mark)?;
            ensure!(journal.contains("proven by NLA") == (security == NLA), "{name}: {journal}");
            ensure!(name != "Faillock" || journal.contains("The account is locked"), "{journal}");
            is_nowhere(machine, Scene::Screen, &[&canary]).context(name)?;
            drop(client);
            machine.sh(back)?;
        }
        Ok(())
    })
}

/// The password that a session was begun with, and the cookie that somebody came back to it by.
fn a_return_by_cookie(machine: &Machine) -> anyhow::Result<()> {
    and_back(machine, || {
        let canary = Canary::new("Tabla-cookie", SHORT);
        canary.set(machine, "alice")?;
        // Each time the line is cut, and the next cookie taken.
        let spent = visit(machine, &["--password", &canary.0])?;
        let mark = machine.mark()?;
        let next = visit(machine, &["--present", &hex(&spent)])?;
        said(machine, &mark, "reconnected by cookie")?;
        is_nowhere(machine, Scene::Left, &[&canary])?;
        // The monitor knows the one that is good now, and may have the other on its stack; nobody else has either.
        let needles = |cookie: &[u8]| Needle::of_hash("a cookie", &cookie[cookie.len() - RANDOM..]);
        let (known, left) = (everywhere(machine, &needles(&next))?, everywhere(machine, &needles(&spent))?);
        ensure!(!known.is_empty(), "nobody knows the next cookie");
        let elsewhere = known.into_iter().chain(left).filter(|find| !find.place.starts_with("wrd-dm "));
        nothing(&elsewhere.collect::<Vec<_>>())
    })
}

/// What of a cookie is secret (ArcRandomBits, MS-RDPBCGR 2.2.4.2).
const RANDOM: usize = 16;

/// One connection of the tests' own client, whose line is cut in the end; the cookie that it is given.
fn visit(machine: &Machine, words: &[&str]) -> anyhow::Result<Vec<u8>> {
    let report = Attack::start(machine, Build::Dev, &[Street(1).four(1)], &[&["cookie"], words].concat())?.finish()?;
    server::wait_state(machine, "alice", "disconnected")?;
    let digits = report["cookie"].as_str().context("a session gives no cookie")?;
    let byte = |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..digits.len()).step_by(2).map(|at| byte(at).context("no cookie in hex")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
