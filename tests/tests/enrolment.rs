//! Who is enrolled for NLA and by whom: `wrdctl` and the PAM module against the installed service and its confined unit,
//! in a booted Debian 13.

use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::time::Duration;
use wrd_enrol::{Entry, EntryName, NtHash, PrivateKey};
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Init, Machine};
use wrd_tests::runner::Plan;
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, runner, server};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Systemd, prepare, restore },
        &[
            ("users_enrol_and_forget_themselves", users_enrol_and_forget_themselves),
            ("root_enrols_and_forgets_people", root_enrols_and_forgets_people),
            ("nobody_enrols_somebody_else", nobody_enrols_somebody_else),
            ("system_users_are_not_enrolled", system_users_are_not_enrolled),
            ("what_is_written_is_private", what_is_written_is_private),
            ("an_account_newer_than_the_server", an_account_newer_than_the_server),
            ("a_damaged_entry_is_named_and_harmless", a_damaged_entry_is_named_and_harmless),
            ("an_entry_of_another_uid_goes_with_the_next_login", an_entry_of_another_uid_goes_with_the_next_login),
            ("no_space_for_an_entry", no_space_for_an_entry),
            ("the_key_as_a_credential", the_key_as_a_credential),
            ("a_new_password_enrols", a_new_password_enrols),
            ("a_login_enrols", a_login_enrols),
            ("the_status_says_what_clients_meet", the_status_says_what_clients_meet),
            ("an_uninstallation_leaves_what_it_says", an_uninstallation_leaves_what_it_says),
        ],
    )
}

const STORE: &str = "/var/lib/wrd-dm/nthash";
const KEY: &str = "/var/lib/wrd-dm/nthash.key";
const MODULE: &str = "/usr/lib/x86_64-linux-gnu/security/pam_wrd_enroll.so";

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    server::prepare_exempt(machine)
}

/// Back to where `prepare` was.
fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.try_sh(&format!(
        "pam-auth-update --disable wrd-dm-enroll; sed -i 's/^auth .*pam_wrd_enroll.*/#&/' /etc/pam.d/wrd-dm; \
         rm -rf /etc/systemd/system/wrd-dm.service.d; systemctl daemon-reload; \
         systemctl stop wrd-dm.service; umount {STORE}; rm -f {STORE}/*; \
         for user in alice bob carol dave; do echo $user:pw-$user; done | chpasswd"
    ))?;
    server::restore(machine)
}

/// Runs `wrdctl` as a user, with something on its standard input; its exit code and what it said. Where the server asks
/// for patience it has it.
fn wrdctl(machine: &Machine, user: &str, words: &str, input: &str) -> anyhow::Result<(i32, String)> {
    let ask = || -> anyhow::Result<(i32, String)> {
        let output = machine.try_sh_as(user, &format!("printf '%s\\n' '{input}' | wrdctl {words} 2>&1"))?;
        Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let answer = ask()?;
    if !answer.1.contains("that was quick") {
        return Ok(answer);
    }
    std::thread::sleep(Duration::from_millis(1100));
    ask()
}

/// The enrolments that a user sees: names and states.
fn enrolled(machine: &Machine, user: &str) -> anyhow::Result<Vec<(String, String)>> {
    let (code, text) = wrdctl(machine, user, "--json enrolled", "")?;
    ensure!(code == 0, "wrdctl enrolled: {code}: {text}");
    let rows: Vec<Value> = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| (text(row, "user"), text(row, "state"))).collect())
}

fn good(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), "good".to_owned())).collect()
}

/// What root can do: open an entry, and see whether it is of this password.
fn is_of(machine: &Machine, user: &str, password: &str) -> anyhow::Result<bool> {
    let key = PrivateKey::decode(&fs::read(machine.path(KEY))?)?;
    let entry = Entry::parse(&fs::read(machine.path(&format!("{STORE}/{user}")))?)?;
    let hash = entry.open(&key, &EntryName::try_from(user)?)?;
    Ok(hash.expose() == NtHash::of_password(password.as_bytes())?.expose())
}

fn clear(machine: &Machine) -> anyhow::Result<()> {
    machine.sh(&format!("rm -f {STORE}/*"))?;
    server::clear(machine)
}

fn users_enrol_and_forget_themselves(machine: &Machine) -> anyhow::Result<()> {
    expect_eq("before", enrolled(machine, "alice")?, good(&[]))?;
    let mark = machine.mark()?;
    expect_eq("enroll", wrdctl(machine, "alice", "enroll", "pw-alice")?, (0, String::new()))?;
    expect_eq("enroll", wrdctl(machine, "bob", "enroll bob", "pw-bob")?, (0, String::new()))?;
    let at_once = machine.try_sh_as("bob", "for _ in 1 2 3 4; do (echo pw-bob | wrdctl enroll 2>&1) & done; wait")?;
    expect_in("wrdctl", "that was quick", &String::from_utf8_lossy(&at_once.stdout))?;
    machine.wait_journal(&mark, "enrolled for NLA; user=\"alice\"")?;
    ensure!(is_of(machine, "alice", "pw-alice")? && is_of(machine, "bob", "pw-bob")?);
    expect_eq("what alice sees", enrolled(machine, "alice")?, good(&["alice"]))?;
    expect_eq("what carol sees", enrolled(machine, "carol")?, good(&[]))?;
    expect_eq("what root sees", enrolled(machine, "root")?, good(&["alice", "bob"]))?;
    // The next monitor knows them as well.
    machine.sh("systemctl restart wrd-dm.service")?;
    expect_eq("what root sees", enrolled(machine, "root")?, good(&["alice", "bob"]))?;
    expect_eq("forget", wrdctl(machine, "alice", "forget", "")?.0, 0)?;
    expect_eq("forget twice", wrdctl(machine, "alice", "forget", "")?.0, 3)?;
    expect_eq("forget another", wrdctl(machine, "alice", "forget bob", "")?.0, 4)?;
    expect_eq("an empty password", wrdctl(machine, "alice", "enroll", "")?.0, 1)?;
    expect_eq("what root sees", enrolled(machine, "root")?, good(&["bob"]))?;
    let journal = machine.journal(&mark)?;
    ensure!(!journal.contains("pw-alice") && !journal.contains("pw-bob"), "a password is in the journal");
    clear(machine)
}

fn root_enrols_and_forgets_people(machine: &Machine) -> anyhow::Result<()> {
    expect_eq("enroll", wrdctl(machine, "root", "enroll carol", "pw-carol")?, (0, String::new()))?;
    ensure!(is_of(machine, "carol", "pw-carol")?);
    expect_in("enrolled", "carol  1002  good", &wrdctl(machine, "root", "enrolled", "")?.1)?;
    let (code, said) = wrdctl(machine, "root", "enroll nobody-of-that-name", "x")?;
    expect_eq("somebody who is not", code, 1)?;
    expect_in("wrdctl", "there is no user nobody-of-that-name", &said)?;
    expect_eq("forget", wrdctl(machine, "root", "forget carol", "")?.0, 0)?;
    expect_eq("forget twice", wrdctl(machine, "root", "forget carol", "")?.0, 3)?;
    expect_eq("forget nobody", wrdctl(machine, "root", "forget", "")?.0, 1)?;
    expect_eq("forget a path", wrdctl(machine, "root", "forget ../nthash.key", "")?.0, 3)?;
    clear(machine)
}

fn nobody_enrols_somebody_else(machine: &Machine) -> anyhow::Result<()> {
    let (code, said) = wrdctl(machine, "bob", "enroll alice", "pw-alice")?;
    expect_eq("wrdctl", (code, said.as_str()), (4, "wrdctl: only root enrols somebody else\n"))?;
    // A program that takes itself for root, and asks all the same.
    let fake = "printf 'x\\n' | unshare --user --map-root-user wrdctl enroll alice 2>&1";
    let output = machine.try_sh_as("bob", fake)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    expect_in("the server", "the entry was made for uid 1000", &said)?;
    expect_eq("its code", output.status.code(), Some(4))?;
    expect_eq("what root sees", enrolled(machine, "root")?, good(&[]))
}

/// Has the server read its configuration again.
fn reload(machine: &Machine) -> anyhow::Result<()> {
    let mark = machine.mark()?;
    machine.sh("systemctl reload wrd-dm.service")?;
    machine.wait_journal(&mark, "configuration read")
}

/// Changes an account once nothing runs in its name any more; what logged in a moment ago may take a while to end.
fn change(machine: &Machine, user: &str, command: &str) -> anyhow::Result<()> {
    machine.try_sh(&format!("loginctl terminate-user {user}"))?;
    eventually(&format!("{user}'s processes to end"), PATIENCE, || {
        Ok((!machine.try_sh(&format!("pgrep -u {user}"))?.status.success()).then_some(()))
    })?;
    machine.sh(command).map(drop)
}

fn system_users_are_not_enrolled(machine: &Machine) -> anyhow::Result<()> {
    for words in ["enroll", "enroll daemon", "enroll wrd-gate"] {
        let (code, said) = wrdctl(machine, "root", words, "x")?;
        expect_eq(words, code, 4)?;
        expect_in(words, "uid below 1000", &said)?;
    }
    // Unless that is wanted.
    machine.write("/etc/wrd-dm/wrd-dm.toml.d/low.toml", "[login]\nenrol_min_uid = 1\n")?;
    reload(machine)?;
    let result = wrdctl(machine, "root", "enroll daemon", "x");
    machine.sh("rm -r /etc/wrd-dm/wrd-dm.toml.d")?;
    reload(machine)?;
    expect_eq("with enrol_min_uid = 1", result?, (0, String::new()))?;
    clear(machine)
}

fn what_is_written_is_private(machine: &Machine) -> anyhow::Result<()> {
    expect_eq("enroll", wrdctl(machine, "alice", "enroll", "pw-alice")?.0, 0)?;
    for (path, mode) in [
        ("/var/lib/wrd-dm", 0o755),
        (STORE, 0o700),
        ("/var/lib/wrd-dm/nthash/alice", 0o600),
        (KEY, 0o600),
        ("/var/lib/wrd-dm/nthash.pub", 0o644),
    ] {
        let metadata = fs::metadata(machine.path(path))?;
        expect_eq(path, (metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (mode, 0, 0))?;
    }
    expect_eq("the folder", machine.sh(&format!("ls -A {STORE}"))?.as_str(), "alice")?;
    clear(machine)
}

/// The unit sees the `/etc/passwd` of its start.
fn an_account_newer_than_the_server(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("systemctl restart wrd-dm.service; useradd --create-home eve")?;
    machine.sh("echo eve:pw-eve | chpasswd; wrdctl list")?;
    let outside = wrdctl(machine, "eve", "enroll", "pw-eve")?;
    expect_eq("enroll", outside.0, 4)?;
    expect_in("wrdctl", "log in over RDP and enrol in that session", &outside.1)?;
    // Who was there before still is.
    expect_eq("enroll as alice", wrdctl(machine, "alice", "enroll", "pw-alice")?, (0, String::new()))?;
    // In a session PAM has said who it is; no other user gets that name by it.
    let client = Client::login(machine, Options::user("eve"))?;
    expect_eq("enroll in a session", wrdctl(machine, "eve", "enroll", "pw-eve")?, (0, String::new()))?;
    expect_eq("what root sees", enrolled(machine, "root")?, good(&["alice", "eve"]))?;
    drop(client);
    server::clear(machine)?;
    server::wait_gone(machine, "eve")?;
    // A restarted service knows.
    machine.sh("wrdctl forget eve; systemctl restart wrd-dm.service")?;
    expect_eq("enroll", wrdctl(machine, "eve", "enroll", "pw-eve")?, (0, String::new()))?;
    change(machine, "eve", "userdel --remove eve 2>/dev/null; systemctl restart wrd-dm.service")?;
    let seen: Vec<String> = enrolled(machine, "root")?.into_iter().map(|(_, state)| state).collect();
    expect_eq("once removed", seen, vec!["good".to_owned(), "orphaned".to_owned()])?;
    clear(machine)
}

fn a_damaged_entry_is_named_and_harmless(machine: &Machine) -> anyhow::Result<()> {
    expect_eq("enroll", wrdctl(machine, "alice", "enroll", "pw-alice")?.0, 0)?;
    expect_eq("enroll", wrdctl(machine, "bob", "enroll", "pw-bob")?.0, 0)?;
    let mark = machine.mark()?;
    // Another user's, and half of one.
    machine.sh(&format!("cp {STORE}/bob {STORE}/alice; head -c 40 {STORE}/bob >{STORE}/carol"))?;
    for _ in 0..3 {
        let seen = enrolled(machine, "root")?;
        let states: Vec<&str> = seen.iter().map(|(_, state)| state.as_str()).collect();
        expect_eq("what root sees", states, vec!["damaged", "good", "damaged"])?;
    }
    machine.wait_journal(&mark, "/var/lib/wrd-dm/nthash/alice")?;
    let journal = machine.journal(&mark)?;
    expect_in("the journal", "/var/lib/wrd-dm/nthash/carol: 40 bytes where an entry has", &journal)?;
    expect_eq("how often it is told", journal.matches("enrolment damaged").count(), 2)?;
    let client = Client::login(machine, Options::user("alice"))?;
    drop(client);
    expect_eq("enroll again", wrdctl(machine, "carol", "enroll", "pw-carol")?.0, 0)?;
    ensure!(is_of(machine, "carol", "pw-carol")?);
    clear(machine)
}

fn an_entry_of_another_uid_goes_with_the_next_login(machine: &Machine) -> anyhow::Result<()> {
    expect_eq("enroll", wrdctl(machine, "carol", "enroll", "pw-carol")?.0, 0)?;
    change(machine, "carol", "usermod --uid 1500 carol")?;
    let mark = machine.mark()?;
    let seen = enrolled(machine, "root");
    let login = Client::login(machine, Options::user("carol"));
    let told = machine.wait_journal(&mark, "enrolment removed: PAM knows the account by another uid; user=\"carol\"");
    drop(login?);
    server::clear(machine)?;
    server::wait_gone(machine, "carol")?;
    change(machine, "carol", "usermod --uid 1002 carol && systemctl restart wrd-dm.service")?;
    expect_eq("before the login", seen?, vec![("carol".to_owned(), "orphaned".to_owned())])?;
    told?;
    expect_eq("behind the login", enrolled(machine, "root")?, good(&[]))
}

fn no_space_for_an_entry(machine: &Machine) -> anyhow::Result<()> {
    machine.sh(&format!(
        "systemctl stop wrd-dm.service; mount -t tmpfs -o size=16k,mode=0700 full {STORE}; systemctl start wrd-dm.service"
    ))?;
    let enrolled_before = wrdctl(machine, "alice", "enroll", "pw-alice");
    machine.try_sh(&format!("head -c 90000 /dev/zero >{STORE}/.fill 2>/dev/null"))?;
    let mark = machine.mark()?;
    let results = ["alice", "bob"].map(|user| wrdctl(machine, user, "enroll", "another"));
    let old = is_of(machine, "alice", "pw-alice");
    let left = machine.sh(&format!("ls -A {STORE}"));
    let told = machine.wait_journal(&mark, "/var/lib/wrd-dm/nthash/bob: No space left on device");
    machine.sh(&format!("systemctl stop wrd-dm.service; umount {STORE}; systemctl start wrd-dm.service"))?;
    expect_eq("with space", enrolled_before?.0, 0)?;
    for result in results {
        let (code, said) = result?;
        expect_eq("without", code, 1)?;
        expect_in("wrdctl", "No space left on device", &said)?;
    }
    told?;
    ensure!(old?, "the old entry is gone");
    expect_eq("what is left", left?.as_str(), ".fill\nalice")
}

fn the_key_as_a_credential(machine: &Machine) -> anyhow::Result<()> {
    let own = machine.sh("cat /var/lib/wrd-dm/nthash.pub")?;
    let key = PrivateKey::generate()?;
    machine.write("/etc/credstore/wrd-dm.nthash-key", &key.encode())?;
    machine.write(
        "/etc/systemd/system/wrd-dm.service.d/key.conf",
        "[Service]\nLoadCredential=wrd-dm.nthash-key:/etc/credstore/wrd-dm.nthash-key\n",
    )?;
    machine.sh("systemctl daemon-reload; systemctl restart wrd-dm.service")?;
    let public = machine.sh("cat /var/lib/wrd-dm/nthash.pub");
    let result = wrdctl(machine, "alice", "enroll", "pw-alice");
    let seen = enrolled(machine, "root");
    machine.sh("rm -r /etc/systemd/system/wrd-dm.service.d /etc/credstore/wrd-dm.nthash-key; systemctl daemon-reload; systemctl restart wrd-dm.service")?;
    expect_eq("the public key", public?.as_str(), key.public().encode().trim_end())?;
    expect_eq("enroll", result?.0, 0)?;
    expect_eq("what root sees", seen?, good(&["alice"]))?;
    expect_eq("the public key afterwards", machine.sh("cat /var/lib/wrd-dm/nthash.pub")?, own)?;
    expect_eq("under the old key", enrolled(machine, "root")?, vec![("alice".to_owned(), "damaged".to_owned())])?;
    clear(machine)
}

fn a_new_password_enrols(machine: &Machine) -> anyhow::Result<()> {
    // Off until somebody switches it on.
    machine.sh("echo alice:first-1 | chpasswd")?;
    expect_eq("off", enrolled(machine, "root")?, good(&[]))?;
    let mark = machine.mark()?;
    machine.sh("pam-auth-update --enable wrd-dm-enroll")?;
    expect_in("the stack", "pam_wrd_enroll.so", &machine.sh("cat /etc/pam.d/common-password")?)?;
    machine.sh("echo alice:second-2 | chpasswd; echo root:rootrootroot | chpasswd; echo daemon:x-daemon | chpasswd")?;
    ensure!(is_of(machine, "alice", "second-2")?);
    let changed = machine.try_sh_as("alice", "printf 'second-2\\nthird-3-Third\\nthird-3-Third\\n' | passwd 2>&1")?;
    ensure!(changed.status.success(), "passwd: {}", String::from_utf8_lossy(&changed.stdout));
    ensure!(is_of(machine, "alice", "third-3-Third")?, "passwd has not enrolled");
    // One that was refused changes nothing.
    let refused = machine.try_sh_as("alice", "printf 'wrong\\nfourth-4-Four\\nfourth-4-Four\\n' | passwd 2>&1")?;
    ensure!(!refused.status.success() && is_of(machine, "alice", "third-3-Third")?);
    expect_eq("who is enrolled", enrolled(machine, "root")?, good(&["alice"]))?;
    // A password that has no NT hash, and a key that is none: the password is changed all the same.
    machine.sh("printf 'alice:gr\\374n-latin\\n' | chpasswd")?;
    expect_eq("without a hash", enrolled(machine, "root")?, good(&[]))?;
    machine.wait_journal(&mark, "alice is not enrolled for NLA: the password is not in UTF-8")?;
    machine.sh("mv /var/lib/wrd-dm/nthash.pub /root/; echo rubbish >/var/lib/wrd-dm/nthash.pub")?;
    let with_bad_key = machine.try_sh("echo alice:pw-alice | chpasswd 2>&1");
    machine.sh("mv /root/nthash.pub /var/lib/wrd-dm/")?;
    let with_bad_key = with_bad_key?;
    ensure!(with_bad_key.status.success() && with_bad_key.stdout.is_empty(), "{with_bad_key:?}");
    machine.wait_journal(&mark, "cannot use /var/lib/wrd-dm/nthash.pub")?;
    machine.sh("pam-auth-update --disable wrd-dm-enroll; echo alice:pw-alice | chpasswd; passwd -d root; usermod -p '!' daemon")?;
    expect_eq("off again", enrolled(machine, "root")?, good(&[]))?;
    let client = Client::login(machine, Options::user("alice"))?;
    drop(client);
    clear(machine)
}

fn a_login_enrols(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("sed -i 's/^#\\(auth .*pam_wrd_enroll.*\\)/\\1/' /etc/pam.d/wrd-dm; grep -q '^auth .*pam_wrd_enroll' /etc/pam.d/wrd-dm")?;
    let mark = machine.mark()?;
    let wrong = Client::start(machine, Options::user("bob").password("wrong"))?;
    machine.wait_journal(&mark, "authentication failure; rhost=")?;
    drop(wrong);
    expect_eq("behind a wrong password", enrolled(machine, "root")?, good(&[]))?;
    let client = Client::login(machine, Options::user("bob"))?;
    ensure!(is_of(machine, "bob", "pw-bob")?, "the login has not enrolled");
    drop(client);
    // Coming back to a session is a login as well.
    machine.sh(&format!("rm {STORE}/bob"))?;
    let client = Client::login(machine, Options::user("bob"))?;
    ensure!(is_of(machine, "bob", "pw-bob")?, "coming back has not enrolled");
    drop(client);
    machine.sh("sed -i 's/^auth .*pam_wrd_enroll.*/#&/' /etc/pam.d/wrd-dm")?;
    let journal = machine.journal(&mark)?;
    ensure!(!journal.contains("pw-bob"), "a password is in the journal");
    clear(machine)
}

fn the_status_says_what_clients_meet(machine: &Machine) -> anyhow::Result<()> {
    expect_eq("enroll", wrdctl(machine, "alice", "enroll", "pw-alice")?.0, 0)?;
    let client = Client::login(machine, Options::user("alice"))?;
    server::wait_state(machine, "alice", "connected")?;
    let status = |user: &str| -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&wrdctl(machine, user, "--json status", "")?.1)?)
    };
    let (root, bob) = (status("root")?, status("bob")?);
    let text = wrdctl(machine, "bob", "status", "")?.1;
    println!("{text}");
    expect_eq("security", root["security"].as_str(), Some("auto"))?;
    expect_eq(
        "the fingerprint",
        root["fingerprint"].as_str(),
        Some(machine.sh("wrd-dm --print-fingerprint")?.as_str()),
    )?;
    expect_eq("its addresses", root["addresses"].to_string().as_str(), "[\"[::]:3389\"]")?;
    let counts = |status: &Value| ["sessions", "connected", "enrolled"].map(|key| status[key].as_u64().unwrap_or(99));
    expect_eq("what root sees", counts(&root), [1, 1, 1])?;
    expect_eq("what bob sees", counts(&bob), [0, 0, 0])?;
    expect_in("the status", "neither (old RDP security)", &text)?;
    drop(client);
    clear(machine)
}

fn an_uninstallation_leaves_what_it_says(machine: &Machine) -> anyhow::Result<()> {
    expect_eq("enroll", wrdctl(machine, "alice", "enroll", "pw-alice")?.0, 0)?;
    machine.sh("pam-auth-update --enable wrd-dm-enroll")?;
    expect_eq("the module", machine.sh(&format!("stat -c '%a %U' {MODULE}"))?.as_str(), "644 root")?;
    let said = machine.sh("make -C /usr/src/wrd-dm uninstall PROFILE=dev 2>&1")?;
    let gone = machine.try_sh(&format!(
        "ls {MODULE} /usr/share/pam-configs/wrd-dm-enroll 2>/dev/null; grep -r pam_wrd_enroll /etc/pam.d"
    ))?;
    let changed = machine.try_sh("echo bob:pw-bob | chpasswd 2>&1")?;
    let left = machine.sh("cd /var/lib/wrd-dm; find . | sort | tr '\\n' ' '")?;
    machine.install(wrd_tests::machine::Build::Dev)?;
    expect_in("make uninstall", "enrolments and their key", &said)?;
    expect_eq("what is left of the module", String::from_utf8_lossy(&gone.stdout).into_owned(), String::new())?;
    ensure!(changed.status.success() && changed.stdout.is_empty(), "{changed:?}");
    let kept = ". ./last-session ./nthash ./nthash.key ./nthash.pub ./nthash/alice ./tls ./tls/host.pem";
    expect_eq("its state", left.as_str(), kept)?;
    expect_eq("installed again", enrolled(machine, "root")?, good(&["alice"]))?;
    clear(machine)
}
