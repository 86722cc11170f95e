//! The server under test, seen by those who administer it: `wrdctl`, `loginctl`, processes.

use crate::machine::{Build, Machine};
use crate::{PATIENCE, eventually};
use anyhow::Context;
use serde_json::Value;
use std::collections::HashMap;

/// An address of the machine that is not its loopback's own, so that `RemoteHost` says something.
pub const ADDRESS: &str = "192.0.2.7";

/// Nothing is held against the clients of the tests, which all come from one place and type wrong passwords.
pub const EXEMPT: &str = "[admission]\nexempt = [\"127.0.0.0/8\", \"::1\", \"192.0.2.0/24\"]\n";

/// Installs the dev build, gives the desktop its colour, starts the socket.
pub fn prepare(machine: &Machine) -> anyhow::Result<()> {
    keep_user_managers(machine)?;
    prepare_build(machine, Build::Dev)
}

/// Who logs in again while their user manager is being stopped, ten seconds after their last session, waits for that; and
/// the manager of a container does not always notice that it has ended.
fn keep_user_managers(machine: &Machine) -> anyhow::Result<()> {
    machine.write("/etc/systemd/logind.conf.d/test.conf", "[Login]\nUserStopDelaySec=infinity\n")?;
    machine.sh("systemctl restart systemd-logind.service").map(drop)
}

/// The same with the tests' own clients exempt from admission.
pub fn prepare_exempt(machine: &Machine) -> anyhow::Result<()> {
    prepare(machine)?;
    machine.write("/etc/wrd-dm/wrd-dm.toml", &format!("[desktop]\nbackground = \"#2e6f40\"\n{EXEMPT}"))
}

/// The same with a build of one's choice.
pub fn prepare_build(machine: &Machine, build: Build) -> anyhow::Result<()> {
    machine.sh(&format!("ip address add {ADDRESS}/32 dev lo"))?;
    machine.write("/etc/wrd-dm/wrd-dm.toml", "[desktop]\nbackground = \"#2e6f40\"\n")?;
    machine.install(build)
}

/// Every session, as `wrdctl list --json` has it.
pub fn list(machine: &Machine) -> anyhow::Result<Vec<Value>> {
    let text = machine.sh("wrdctl list --json")?;
    let value: Value = serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))?;
    value.as_array().cloned().context("`wrdctl list --json` is no array")
}

/// The session of a user, if there is one.
pub fn session(machine: &Machine, user: &str) -> anyhow::Result<Option<Value>> {
    Ok(list(machine)?.into_iter().find(|session| session["user"] == user))
}

/// Waits until a user's session is in a state.
pub fn wait_state(machine: &Machine, user: &str, state: &str) -> anyhow::Result<Value> {
    eventually(&format!("{user}'s session to be {state}"), PATIENCE, || {
        Ok(session(machine, user)?.filter(|session| session["state"] == state))
    })
}

/// Waits until a user has no session left, neither here nor with logind.
pub fn wait_gone(machine: &Machine, user: &str) -> anyhow::Result<()> {
    eventually(&format!("{user}'s session to be gone"), PATIENCE, || {
        Ok((session(machine, user)?.is_none() && logind_sessions(machine, user)?.is_empty()).then_some(()))
    })
}

/// The worker of a user's session.
pub fn worker(machine: &Machine, user: &str) -> anyhow::Result<u32> {
    let session = session(machine, user)?.with_context(|| format!("{user} has no session"))?;
    let pid = session["worker_pid"].as_u64().with_context(|| format!("no worker_pid in {session}"))?;
    Ok(pid as u32)
}

/// logind's sessions of class "user" of a user, but for those that have been closed and in which nothing runs any more:
/// the manager of a container is not always told that a scope has become empty, and logind waits for its word.
pub fn logind_sessions(machine: &Machine, user: &str) -> anyhow::Result<Vec<String>> {
    let text = machine.sh("loginctl list-sessions --no-legend")?;
    let mut sessions = Vec::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [id, _, owner, ..] = words[..]
            && owner == user
            && !words.contains(&"manager")
            && !is_over(machine, id)?
        {
            sessions.push(id.to_owned());
        }
    }
    Ok(sessions)
}

/// Whether a session was closed and nothing runs in it, or logind has forgotten it meanwhile.
fn is_over(machine: &Machine, id: &str) -> anyhow::Result<bool> {
    let script = format!(
        "scope=$(loginctl show-session {id} -P Scope) && state=$(loginctl show-session {id} -P State) || exit 0
         [ \"$state\" = closing ] && ! cat /sys/fs/cgroup/user.slice/*/$scope/cgroup.procs 2>/dev/null | grep -q ."
    );
    Ok(machine.try_sh(&script)?.status.success())
}

/// What `loginctl show-session` says.
pub fn properties(machine: &Machine, id: &str) -> anyhow::Result<HashMap<String, String>> {
    let text = machine.sh(&format!("loginctl show-session {id}"))?;
    Ok(text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}

/// Ends every session and waits for it, so that the next test begins with none.
pub fn clear(machine: &Machine) -> anyhow::Result<()> {
    machine.try_sh("wrdctl terminate --all")?;
    eventually("all sessions to end", PATIENCE, || Ok(list(machine)?.is_empty().then_some(())))
}

/// Ends sessions the gentle way, then the hard way, and every client.
pub fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.try_sh("pkill -KILL -x 'xfreerdp3|Xvfb'; rm -rf /home/alice/.config; loginctl disable-linger alice")?;
    if clear(machine).is_err() {
        machine.try_sh("loginctl kill-user --signal=KILL alice bob carol dave; systemctl restart wrd-dm.service")?;
        clear(machine)?;
    }
    Ok(())
}
