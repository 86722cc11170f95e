//! The life of a session, in a booted Debian 13 with FreeRDP 3: from the first login to the log-out.

use anyhow::{Context, bail, ensure};
use std::process::ExitCode;
use std::time::Duration;
use wrd_tests::client::{Client, DESKTOP, Options};
use wrd_tests::machine::{Build, Init, Machine};
use wrd_tests::runner::Plan;
use wrd_tests::screen::Picture;
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, processes, runner, server};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Systemd, prepare: server::prepare_exempt, restore: server::restore },
        &[
            ("first_login_with_the_graphics_pipeline", first_login_with_the_graphics_pipeline),
            ("first_login_with_bitmaps", first_login_with_bitmaps),
            ("both_ways_show_exactly_the_framebuffer", both_ways_show_exactly_the_framebuffer),
            ("logind_knows_the_session", logind_knows_the_session),
            (
                "what_runs_is_wholly_the_users_and_nothing_that_a_client_names",
                what_runs_is_wholly_the_users_and_nothing_that_a_client_names,
            ),
            ("a_terminal_takes_what_is_typed", a_terminal_takes_what_is_typed),
            ("the_environment_reaches_the_users_services", the_environment_reaches_the_users_services),
            (
                "reconnecting_at_another_size_finds_the_same_desktop",
                reconnecting_at_another_size_finds_the_same_desktop,
            ),
            ("a_second_connection_takes_over", a_second_connection_takes_over),
            ("logging_out_ends_the_session", logging_out_ends_the_session),
            ("two_users_at_once", two_users_at_once),
            ("two_first_logins_of_one_user_make_one_session", two_first_logins_of_one_user_make_one_session),
            ("the_login_screen_takes_a_typed_password", the_login_screen_takes_a_typed_password),
            ("a_killed_worker_is_told_and_forgotten", a_killed_worker_is_told_and_forgotten),
            ("a_restart_of_the_service_cuts_nothing", a_restart_of_the_service_cuts_nothing),
            ("the_listener_of_leaders_may_die", the_listener_of_leaders_may_die),
            (
                "the_listener_of_leaders_serves_root_alone_and_rests",
                the_listener_of_leaders_serves_root_alone_and_rests,
            ),
            ("an_upgrade_is_for_the_next_login", an_upgrade_is_for_the_next_login),
            ("loginctl_ends_a_session", loginctl_ends_a_session),
            ("loginctl_locks_a_session", loginctl_locks_a_session),
            ("wrdctl_shows_and_controls", wrdctl_shows_and_controls),
            ("wrdctl_keeps_users_apart", wrdctl_keeps_users_apart),
            ("a_foreign_graphical_session_is_refused", a_foreign_graphical_session_is_refused),
            ("the_session_command_is_the_session", the_session_command_is_the_session),
            ("passwords_are_in_no_log", passwords_are_in_no_log),
            ("uninstall_leaves_only_what_it_says", uninstall_leaves_only_what_it_says),
        ],
    )
}

/// FreeRDP's exit codes and its names for what the server told it (Set Error Info).
const TAKEN_OVER: (i32, &str) = (5, "ERRINFO_DISCONNECTED_BY_OTHER_CONNECTION");
const DISCONNECTED: (i32, &str) = (1, "ERRINFO_RPC_INITIATED_DISCONNECT");
const LOGGED_OFF: (i32, &str) = (12, "ERRINFO_LOGOFF_BY_USER");
/// The monitor's line about a wrong password.
const DENIED: &str = "authentication failure; rhost=";
/// What FreeRDP exits with whatever goes wrong before the connection is complete.
const CONNECTION_FAILED: i32 = 131;

fn first_login_with_the_graphics_pipeline(machine: &Machine) -> anyhow::Result<()> {
    let client = Client::login(machine, Options::user("alice").size(1280, 800))?;
    client.settle()?;
    client.shot("desktop-gfx");
    server::wait_state(machine, "alice", "connected")?;
    drop(client);
    server::clear(machine)
}

fn first_login_with_bitmaps(machine: &Machine) -> anyhow::Result<()> {
    let client = Client::login(machine, Options::user("alice").bitmaps())?;
    client.settle()?;
    client.shot("desktop-bitmaps");
    server::wait_state(machine, "alice", "connected")?;
    drop(client);
    server::clear(machine)
}

fn both_ways_show_exactly_the_framebuffer(machine: &Machine) -> anyhow::Result<()> {
    for (name, options) in [("pipeline", Options::user("alice")), ("bitmaps", Options::user("alice").bitmaps())] {
        let client = Client::login(machine, options)?;
        let worker = server::worker(machine, "alice")?;
        // The clock may tick between the two looks: a second pair of looks must not differ then.
        eventually(&format!("the screen ({name}) to equal the framebuffer"), PATIENCE, || {
            let shown = client.settle()?;
            let drawn = Picture::of_worker(machine, worker, shown.width, shown.height)?;
            ensure!(drawn.share_of(DESKTOP) > 0.1, "the framebuffer does not show the desktop");
            match shown.differences(&drawn)? {
                None => Ok(Some(())),
                Some(difference) => {
                    println!("    {name}: {difference}");
                    Ok(None)
                }
            }
        })?;
        client.disconnect()?;
        server::wait_state(machine, "alice", "disconnected")?;
    }
    server::clear(machine)
}

fn logind_knows_the_session(machine: &Machine) -> anyhow::Result<()> {
    let _client = Client::login(machine, Options::user("alice"))?;
    let sessions = server::logind_sessions(machine, "alice")?;
    ensure!(sessions.len() == 1, "alice's sessions: {sessions:?}");
    let properties = server::properties(machine, &sessions[0])?;
    for (name, value) in [
        ("Type", "wayland"),
        ("Class", "user"),
        ("Remote", "yes"),
        ("RemoteHost", server::ADDRESS),
        ("Service", "wrd-dm"),
        ("Name", "alice"),
        ("Desktop", "wrd"),
        ("Active", "yes"),
        ("State", "active"),
    ] {
        expect_eq(name, properties.get(name).map_or("", String::as_str), value)?;
    }
    // The worker and the leader are in its scope, and wrdctl names the same session.
    let scope = properties.get("Scope").context("no Scope")?;
    let worker = server::worker(machine, "alice")?;
    expect_in("the worker's cgroup", scope, &machine.sh(&format!("cat /proc/{worker}/cgroup"))?)?;
    let leader = properties.get("Leader").context("no Leader")?;
    expect_in("the leader's cgroup", scope, &machine.sh(&format!("cat /proc/{leader}/cgroup"))?)?;
    let session = server::session(machine, "alice")?.context("wrdctl does not list alice")?;
    expect_eq("logind's id", session["logind"].as_str(), Some(sessions[0].as_str()))?;
    expect_eq("the worker's user", machine.sh(&format!("stat -c %U /proc/{worker}"))?.as_str(), "alice")?;
    server::clear(machine)
}

fn what_runs_is_wholly_the_users_and_nothing_that_a_client_names(machine: &Machine) -> anyhow::Result<()> {
    const NAMED: &str = "/tmp/named-by-a-client";
    let options = Options::user("alice").more(&format!("/shell:touch {NAMED}")).more("/shell-dir:/tmp");
    let mut client = Client::login(machine, options)?;
    // By then whatever a session starts with has been started.
    client.wait_for_terminal()?;
    ensure!(!machine.path(NAMED).exists(), "a client has named a program, and it was run");
    ensure!(machine.try_sh_as("alice", &format!("touch {NAMED}"))?.status.success(), "nor could it have been");
    machine.sh(&format!("rm {NAMED}"))?;

    let status = machine.sh(&format!("cat /proc/{}/status", server::worker(machine, "alice")?))?;
    let sorted = |words: &str| {
        let mut words: Vec<_> = words.split_whitespace().map(str::to_owned).collect();
        words.sort();
        words
    };
    let (uid, gid) = (machine.sh("id -u alice")?, machine.sh("id -g alice")?);
    let four = |id: &str| [id.trim(); 4].join(" ");
    let none = "0000000000000000";
    for (name, value) in [
        ("Uid:", four(&uid)),
        ("Gid:", four(&gid)),
        ("Groups:", machine.sh("id -G alice")?),
        // Not what can be inherited, which is PAM's to say (pam_cap) and gives nobody anything by itself.
        ("CapPrm:", none.to_owned()),
        ("CapEff:", none.to_owned()),
        ("CapAmb:", none.to_owned()),
    ] {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        expect_eq(name, sorted(line), sorted(&value))?;
    }
    server::clear(machine)
}

/// Types a command into the terminal that the desktop has opened, and waits until its effect is seen.
fn run_in_terminal(machine: &Machine, client: &mut Client<'_>, file: &str) -> anyhow::Result<()> {
    machine.sh(&format!("rm -f {file}"))?;
    client.wait_for_terminal()?;
    client.type_text(&format!("touch {file}"))?;
    client.key("Return")?;
    eventually(&format!("{file} to be made by the terminal"), PATIENCE, || {
        Ok(machine.path(file).exists().then_some(()))
    })
}

fn a_terminal_takes_what_is_typed(machine: &Machine) -> anyhow::Result<()> {
    let mut client = Client::login(machine, Options::user("alice"))?;
    let typed = run_in_terminal(machine, &mut client, "/tmp/typed-by-alice");
    client.shot("terminal");
    typed?;
    expect_eq("the file's owner", machine.sh("stat -c %U /tmp/typed-by-alice")?.as_str(), "alice")?;
    // What is typed is seen: the screen changes with a key.
    let before = client.settle()?;
    client.type_text("wide world")?;
    client.wait_for_screen("what was typed", |screen| *screen != before)?;
    server::clear(machine)
}

fn the_environment_reaches_the_users_services(machine: &Machine) -> anyhow::Result<()> {
    let _client = Client::login(machine, Options::user("alice"))?;
    let manager = |what: &str| -> anyhow::Result<String> {
        let output =
            machine.try_sh_as("alice", &format!("XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user {what}"))?;
        ensure!(output.status.success(), "systemctl --user {what}: {}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    eventually("wrd-session.target", PATIENCE, || {
        Ok(manager("is-active wrd-session.target graphical-session.target").is_ok().then_some(()))
    })?;
    let environment = manager("show-environment")?;
    for name in ["WAYLAND_DISPLAY=wayland-", "XDG_CURRENT_DESKTOP=", "XDG_SESSION_TYPE=wayland"] {
        expect_in("the user manager's environment", name, &environment)?;
    }
    let session = server::session(machine, "alice")?.context("no session")?;
    let display = session["wayland_display"].as_str().context("no wayland_display")?;
    expect_in("the user manager's environment", &format!("WAYLAND_DISPLAY={display}"), &environment)?;
    machine.sh(&format!("test -S /run/user/$(id -u alice)/{display}"))?;
    // A user manager that lingers shows whether it is all taken back.
    machine.sh("loginctl enable-linger alice")?;
    let ended = server::clear(machine).and_then(|()| {
        server::wait_gone(machine, "alice")?;
        eventually("the environment to be taken back", PATIENCE, || {
            Ok((!manager("show-environment")?.contains("WAYLAND_DISPLAY")).then_some(()))
        })
        .with_context(|| manager("show-environment").unwrap_or_default())?;
        eventually("graphical-session.target to be stopped", PATIENCE, || {
            Ok(manager("is-active graphical-session.target").is_err().then_some(()))
        })
    });
    machine.sh("loginctl disable-linger alice")?;
    ended
}

fn reconnecting_at_another_size_finds_the_same_desktop(machine: &Machine) -> anyhow::Result<()> {
    let mut client = Client::login(machine, Options::user("alice"))?;
    let worker = server::worker(machine, "alice")?;
    run_in_terminal(machine, &mut client, "/tmp/before-disconnect")?;
    let terminal = machine.sh("pgrep -u alice -x foot")?;
    client.disconnect()?;
    server::wait_state(machine, "alice", "disconnected")?;
    for (options, name) in [
        (Options::user("alice").size(1600, 900), "reconnected-larger"),
        (Options::user("alice").size(800, 600).bitmaps(), "reconnected-smaller"),
    ] {
        let (width, height) = (options.width, options.height);
        let mut client = Client::login(machine, options)?;
        let session = server::wait_state(machine, "alice", "connected")?;
        expect_eq("the worker", server::worker(machine, "alice")?, worker)?;
        expect_eq("the terminal", machine.sh("pgrep -u alice -x foot")?, terminal.clone())?;
        run_in_terminal(machine, &mut client, "/tmp/after-reconnect")?;
        client.shot(name);
        expect_eq("the width", session["client"]["width"].as_u64(), Some(width as u64))?;
        expect_eq("the height", session["client"]["height"].as_u64(), Some(height as u64))?;
        Picture::of_worker(machine, worker, width, height)?;
        client.disconnect()?;
        server::wait_state(machine, "alice", "disconnected")?;
    }
    server::clear(machine)
}

fn a_second_connection_takes_over(machine: &Machine) -> anyhow::Result<()> {
    let mut first = Client::login(machine, Options::user("alice"))?;
    let worker = server::worker(machine, "alice")?;
    let mut second = Client::login(machine, Options::user("alice").size(1280, 720).bitmaps())?;
    first.wait_told(TAKEN_OVER.0, TAKEN_OVER.1)?;
    expect_eq("the worker", server::worker(machine, "alice")?, worker)?;
    run_in_terminal(machine, &mut second, "/tmp/after-take-over")?;
    server::clear(machine)
}

fn logging_out_ends_the_session(machine: &Machine) -> anyhow::Result<()> {
    machine.write("/home/alice/.config/wrd-dm/session.toml", "[session]\ncommand = \"exec foot\"\n")?;
    machine.sh("chown -R alice: /home/alice/.config")?;
    let mut client = Client::login(machine, Options::user("alice"))?;
    let logged_out = run_in_terminal(machine, &mut client, "/tmp/in-own-session").and_then(|()| {
        client.type_text("exit")?;
        client.key("Return")?;
        client.wait_told(LOGGED_OFF.0, LOGGED_OFF.1)?;
        server::wait_gone(machine, "alice")
    });
    machine.sh("rm -r /home/alice/.config")?;
    logged_out?;
    // And the next login is a new session.
    let _client = Client::login(machine, Options::user("alice"))?;
    server::clear(machine)
}

fn two_users_at_once(machine: &Machine) -> anyhow::Result<()> {
    let mut alice = Client::login(machine, Options::user("alice"))?;
    let mut bob = Client::login(machine, Options::user("bob").bitmaps())?;
    run_in_terminal(machine, &mut alice, "/tmp/of-alice")?;
    run_in_terminal(machine, &mut bob, "/tmp/of-bob")?;
    expect_eq("the owner", machine.sh("stat -c %U /tmp/of-alice /tmp/of-bob")?.as_str(), "alice\nbob")?;
    ensure!(server::worker(machine, "alice")? != server::worker(machine, "bob")?, "one worker for two users");
    server::clear(machine)
}

fn two_first_logins_of_one_user_make_one_session(machine: &Machine) -> anyhow::Result<()> {
    let mut first = Client::start(machine, Options::user("carol"))?;
    let mut second = Client::start(machine, Options::user("carol").bitmaps())?;
    // One of them ends up with the desktop, the other is told that it was taken over.
    let (winner, loser) = eventually("one client to be replaced", PATIENCE, || {
        Ok(match (first.exit_code()?, second.exit_code()?) {
            (Some(code), None) => Some((2, code)),
            (None, Some(code)) => Some((1, code)),
            (Some(a), Some(b)) => bail!("both ended: {a} {b}\n{}\n{}", first.log(), second.log()),
            _ => None,
        })
    })?;
    // Replaced before it had finished connecting, FreeRDP has no better word than "connection failed".
    ensure!([TAKEN_OVER.0, CONNECTION_FAILED].contains(&loser), "the loser's exit code is {loser}");
    if winner == 1 {
        first.wait_for_desktop()?
    } else {
        second.wait_for_desktop()?
    }
    expect_eq("carol's sessions", server::logind_sessions(machine, "carol")?.len(), 1)?;
    // One that starts a program is two for a moment.
    eventually("carol to have one worker", PATIENCE, || {
        Ok((machine.sh("pgrep -c -u carol -x wrd-session")? == "1").then_some(()))
    })?;
    server::clear(machine)
}

fn the_login_screen_takes_a_typed_password(machine: &Machine) -> anyhow::Result<()> {
    for (options, name) in [
        (Options::user("bob").password(""), "login-screen"),
        (Options::user("bob").password("").bitmaps(), "login-screen-bitmaps"),
    ] {
        let mut client = Client::start(machine, options)?;
        client.wait_for_input()?;
        client.shot(name);
        let mark = machine.mark()?;
        let typed = client.enter("wrong")?;
        machine.wait_journal(&mark, DENIED)?;
        client.wait_for_input_after(Some(&typed))?;
        client.shot(&format!("{name}-refused"));
        ensure!(server::session(machine, "bob")?.is_none(), "a wrong password made a session");
        client.enter("pw-bob")?;
        client.wait_for_desktop()?;
        run_in_terminal(machine, &mut client, "/tmp/of-bob-typed")?;
        drop(client);
        server::clear(machine)?;
    }
    // The name can be typed too.
    let mut client = Client::start(machine, Options::user("").password(""))?;
    client.wait_for_input()?;
    client.shot("login-screen-no-name");
    client.type_text("bob")?;
    client.key("Tab")?;
    client.enter("pw-bob")?;
    client.wait_for_desktop()?;
    drop(client);
    server::clear(machine)
}

fn a_killed_worker_is_told_and_forgotten(machine: &Machine) -> anyhow::Result<()> {
    let mut client = Client::login(machine, Options::user("alice"))?;
    let mark = machine.mark()?;
    let worker = server::worker(machine, "alice")?;
    machine.sh(&format!("kill -KILL {worker}"))?;
    client.wait_exit()?;
    expect_in("the client's log", "ERRINFO_", &client.log())?;
    server::wait_gone(machine, "alice")?;
    machine.wait_journal(&mark, "alice")?;
    eventually("the terminal to end with the session", PATIENCE, || {
        Ok((!machine.try_sh("pgrep -u alice -x foot")?.status.success()).then_some(()))
    })?;
    let mut client = Client::login(machine, Options::user("alice"))?;
    run_in_terminal(machine, &mut client, "/tmp/after-crash")?;
    server::clear(machine)
}

fn a_restart_of_the_service_cuts_nothing(machine: &Machine) -> anyhow::Result<()> {
    let mut client = Client::login(machine, Options::user("alice"))?;
    let worker = server::worker(machine, "alice")?;
    let before = machine.sh("systemctl show -P MainPID wrd-dm.service")?;
    machine.sh("systemctl restart wrd-dm.service")?;
    ensure!(machine.sh("systemctl show -P MainPID wrd-dm.service")? != before, "the service was not restarted");
    run_in_terminal(machine, &mut client, "/tmp/after-restart")?;
    expect_eq("the client", client.exit_code()?, None)?;
    // The new monitor knows the old session, and can hand it a new connection.
    let session = server::wait_state(machine, "alice", "connected")?;
    expect_eq("the address", session["client"]["address"].as_str(), Some(server::ADDRESS))?;
    let second = Client::login(machine, Options::user("alice").size(1152, 864))?;
    client.wait_told(TAKEN_OVER.0, TAKEN_OVER.1)?;
    expect_eq("the worker", server::worker(machine, "alice")?, worker)?;
    drop(second);
    // The same with a session that nobody is connected to, and by stop and start.
    server::wait_state(machine, "alice", "disconnected")?;
    machine.sh("systemctl stop wrd-dm.service wrd-dm.socket; systemctl start wrd-dm.socket")?;
    let _third = Client::login(machine, Options::user("alice"))?;
    expect_eq("the worker", server::worker(machine, "alice")?, worker)?;
    server::clear(machine)
}

/// The pid of the listener that starts leaders, within the machine.
fn listener(machine: &Machine) -> anyhow::Result<u32> {
    Ok(machine.sh("systemctl show -P MainPID wrd-leader.service")?.parse()?)
}

/// That of the leader of a user's session.
fn leader(machine: &Machine, user: &str) -> anyhow::Result<u64> {
    let session = server::session(machine, user)?.with_context(|| format!("{user} has no session"))?;
    session["leader_pid"].as_u64().with_context(|| format!("no leader_pid in {session}"))
}

fn wait_no_leader(machine: &Machine) -> anyhow::Result<()> {
    eventually("the leader to go", PATIENCE, || Ok(processes::leaders(machine)?.is_empty().then_some(())))
}

fn the_listener_of_leaders_may_die(machine: &Machine) -> anyhow::Result<()> {
    let mut client = Client::login(machine, Options::user("alice"))?;
    let (first, alices) = (listener(machine)?, leader(machine, "alice")?);
    expect_eq("the leader's parent", machine.sh(&format!("ps -o ppid= -p {alices}"))?.trim().parse()?, first)?;
    // Nothing of where it was a stranger's is left, and it leads its own process group and session.
    let of = |pid: u64| {
        machine.sh(&format!(
            "chrt -p {pid} | sed 's/pid [0-9]*//'; taskset -p {pid} | sed 's/pid [0-9]*//'; ps -o nice= -p {pid}"
        ))
    };
    expect_eq("the place of a leader whose user works", of(alices)?, of(first.into())?)?;
    let own = machine.sh(&format!("ps -o pgid=,sid= -p {alices}"))?;
    let own: Vec<&str> = own.split_whitespace().collect();
    expect_eq("its group and session", own, vec![alices.to_string().as_str(); 2])?;

    machine.sh(&format!("kill -KILL {first}"))?;
    // A login that comes before systemd has noticed is turned away.
    eventually("systemd to notice", PATIENCE, || Ok((listener(machine)? != first).then_some(())))?;
    let bob = Client::login(machine, Options::user("bob").size(800, 600))?;
    ensure!(listener(machine)? != first, "the listener was not started again");
    run_in_terminal(machine, &mut client, "/tmp/after-listener")?;
    bob.disconnect()?;
    // The same by systemd, which leaves the leaders alone too.
    machine.sh("systemctl stop wrd-leader.service")?;
    expect_eq("alice's leader", leader(machine, "alice")?, alices)?;
    let carol = Client::login(machine, Options::user("carol").size(800, 600))?;
    expect_eq("alice's client", client.exit_code()?, None)?;
    drop(carol);
    // Whose parent is gone ends as well as any other.
    server::clear(machine)?;
    wait_no_leader(machine)?;
    expect_eq("the socket", machine.sh("systemctl is-active wrd-leader.socket")?.as_str(), "active")
}

fn the_listener_of_leaders_serves_root_alone_and_rests(machine: &Machine) -> anyhow::Result<()> {
    drop(Client::login(machine, Options::user("alice"))?);
    server::clear(machine)?;
    let pid = listener(machine)?;
    // It is woken up by the end of one, and goes to sleep again in its own time.
    machine.sh(&format!("while pgrep -P {pid}; do sleep 0.1; done"))?;
    let switches = || machine.sh(&format!("grep ctxt_switches /proc/{pid}/status"));
    eventually("the listener to rest for three seconds", PATIENCE, || {
        let before = switches()?;
        std::thread::sleep(Duration::from_secs(3));
        Ok((switches()? == before).then_some(()))
    })?;
    // Even where the socket's mode were not what keeps users out.
    let ask = "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.settimeout(60); s.connect('/run/wrd-dm/leader'); print(s.recv(1))";
    let refused = machine.try_sh_as("alice", &format!("python3 -c \"{ask}\" 2>&1"))?;
    expect_in("the socket", "PermissionError", &String::from_utf8_lossy(&refused.stdout))?;
    let mark = machine.mark()?;
    machine.sh("chmod 0666 /run/wrd-dm/leader")?;
    let closed = machine.try_sh_as("alice", &format!("python3 -c \"{ask}\" 2>&1"));
    machine.sh("chmod 0600 /run/wrd-dm/leader")?;
    expect_eq("what it says to a user", String::from_utf8_lossy(&closed?.stdout).trim(), "b''")?;
    machine.wait_journal(&mark, "asks for one")?;
    expect_eq("the listener", listener(machine)?, pid)
}

fn an_upgrade_is_for_the_next_login(machine: &Machine) -> anyhow::Result<()> {
    let program = "/usr/local/libexec/wrd-dm/wrd-leader";
    let runs = |pid: u64| machine.sh(&format!("stat -L -c %i /proc/{pid}/exe"));
    let _alice = Client::login(machine, Options::user("alice"))?;
    let (pid, alices) = (listener(machine)?, leader(machine, "alice")?);
    let (before, old) = (machine.sh(&format!("stat -c %i {program}"))?, runs(alices)?);
    // What an upgrade from a version with a unit for each login finds.
    machine.write("/usr/local/lib/systemd/system/wrd-leader@.service", "[Service]\nExecStart=/bin/false\n")?;
    machine.install(Build::Dev)?;
    let after = machine.sh(&format!("stat -c %i {program}"))?;
    ensure!(before != after, "nothing was installed");
    let bob = Client::login(machine, Options::user("bob").size(800, 600))?;
    expect_eq("the listener", listener(machine)?, pid)?;
    expect_eq("what bob's leader runs", runs(leader(machine, "bob")?)?, after)?;
    expect_eq("what alice's leader runs", runs(alices)?, old)?;
    expect_eq("the old unit", machine.sh("ls /usr/local/lib/systemd/system | grep -c @ || :")?.as_str(), "0")?;
    drop(bob);
    server::clear(machine)
}

/// The login screen is the lock screen, and there is no way around it.
fn loginctl_locks_a_session(machine: &Machine) -> anyhow::Result<()> {
    let mut client = Client::login(machine, Options::user("alice").more("+auto-reconnect"))?;
    server::wait_state(machine, "alice", "connected")?;
    let worker = server::worker(machine, "alice")?;
    machine.sh("loginctl lock-sessions")?;
    client.wait_told(DISCONNECTED.0, DISCONNECTED.1)?;
    server::wait_state(machine, "alice", "disconnected")?;
    let mut client = Client::start(machine, Options::user("alice").password(""))?;
    client.wait_for_input()?;
    client.enter("pw-alice")?;
    client.wait_for_desktop()?;
    expect_eq("the worker", server::worker(machine, "alice")?, worker)?;
    drop(client);
    server::clear(machine)
}

fn loginctl_ends_a_session(machine: &Machine) -> anyhow::Result<()> {
    let mut client = Client::login(machine, Options::user("alice"))?;
    let sessions = server::logind_sessions(machine, "alice")?;
    machine.sh(&format!("loginctl terminate-session {}", sessions[0]))?;
    client.wait_exit()?;
    expect_in("the client's log", "ERRINFO_", &client.log())?;
    server::wait_gone(machine, "alice")?;
    wait_no_leader(machine)?;
    expect_eq("sockets of sessions", machine.sh("ls /run/wrd-dm/sessions")?.as_str(), "")
}

fn wrdctl_shows_and_controls(machine: &Machine) -> anyhow::Result<()> {
    let mut client = Client::login(machine, Options::user("alice"))?;
    server::wait_state(machine, "alice", "connected")?;
    let worker = server::worker(machine, "alice")?;
    let shown = machine.sh("wrdctl show alice --json")?;
    let shown: serde_json::Value = serde_json::from_str(&shown).with_context(|| shown.clone())?;
    expect_eq("the user", shown["user"].as_str(), Some("alice"))?;
    expect_eq("the state", shown["state"].as_str(), Some("connected"))?;
    expect_eq("the address", shown["client"]["address"].as_str(), Some(server::ADDRESS))?;
    for command in ["wrdctl list", "wrdctl show alice"] {
        let text = machine.sh(command)?;
        expect_in(command, "alice", &text)?;
        expect_in(command, server::ADDRESS, &text)?;
    }
    machine.sh("wrdctl disconnect alice")?;
    client.wait_exit()?;
    expect_in("the client's log", "ERRINFO_", &client.log())?;
    server::wait_state(machine, "alice", "disconnected")?;
    let again = machine.try_sh("wrdctl disconnect alice")?;
    ensure!(!again.status.success(), "a disconnect of nothing succeeded");
    let id = server::logind_sessions(machine, "alice")?.remove(0);
    expect_eq("the worker", server::worker(machine, "alice")?, worker)?;
    machine.sh(&format!("wrdctl terminate {id}"))?;
    server::wait_gone(machine, "alice")?;
    let none = machine.try_sh("wrdctl show alice")?;
    ensure!(!none.status.success() && none.stdout.is_empty(), "a session that is not there is shown");
    expect_in("wrdctl", "alice", &String::from_utf8_lossy(&none.stderr))
}

fn wrdctl_keeps_users_apart(machine: &Machine) -> anyhow::Result<()> {
    let _alice = Client::login(machine, Options::user("alice"))?;
    let own = machine.try_sh_as("alice", "wrdctl list --json")?;
    expect_in("alice's list", "\"alice\"", &String::from_utf8_lossy(&own.stdout))?;
    let others = machine.try_sh_as("bob", "wrdctl list --json")?;
    ensure!(!String::from_utf8_lossy(&others.stdout).contains("alice"), "bob sees alice's session");
    for command in ["wrdctl show alice", "wrdctl disconnect alice", "wrdctl terminate alice", "wrdctl terminate --all"]
    {
        let output = machine.try_sh_as("bob", command)?;
        ensure!(!output.status.success(), "bob may `{command}`");
    }
    server::wait_state(machine, "alice", "connected")?;
    let mine = machine.try_sh_as("alice", "wrdctl terminate alice")?;
    ensure!(mine.status.success(), "alice may not end her own: {}", String::from_utf8_lossy(&mine.stderr));
    server::wait_gone(machine, "alice")
}

fn a_foreign_graphical_session_is_refused(machine: &Machine) -> anyhow::Result<()> {
    // What a display manager on a console makes: a graphical session of another service. A test machine
    // has no seat, so logind is told by the same PAM module from a unit of its own.
    machine.write("/etc/pam.d/foreign-dm", "auth sufficient pam_permit.so\naccount required pam_permit.so\nsession required pam_systemd.so class=user type=x11 desktop=foreign\n")?;
    machine.sh("systemd-run --quiet --unit foreign --uid dave --property PAMName=foreign-dm --setenv XDG_SESSION_TYPE=x11 --setenv XDG_SESSION_CLASS=user sleep 1000")?;
    let refused =
        eventually("the foreign session", PATIENCE, || Ok(server::logind_sessions(machine, "dave")?.first().cloned()))
            .and_then(|id| {
                expect_eq("its type", server::properties(machine, &id)?["Type"].as_str(), "x11")?;
                let mark = machine.mark()?;
                let client = Client::start(machine, Options::user("dave"))?;
                machine.wait_journal(&mark, "graphical session")?;
                std::thread::sleep(Duration::from_secs(1));
                client.shot("refused-foreign-session");
                ensure!(server::session(machine, "dave")?.is_none(), "dave has a session after all");
                Ok(())
            });
    machine.sh("systemctl stop foreign")?;
    refused?;
    server::wait_gone(machine, "dave")?;
    let _client = Client::login(machine, Options::user("dave"))?;
    server::clear(machine)
}

fn the_session_command_is_the_session(machine: &Machine) -> anyhow::Result<()> {
    machine.write(
        "/etc/wrd-dm/wrd-dm.toml.d/command.toml",
        "[session]\ncommand = \"env >/tmp/session-env; sleep 1000; exit 0\"\n",
    )?;
    machine.write(
        "/etc/xdg/autostart/marker.desktop",
        "[Desktop Entry]\nType=Application\nName=marker\nExec=touch /tmp/autostarted\n",
    )?;
    machine.sh("systemctl restart wrd-dm.service; rm -f /tmp/session-env /tmp/autostarted")?;
    let mut client = Client::start(machine, Options::user("alice"))?;
    let seen = client.wait_for_desktop().and_then(|()| {
        eventually("the autostart entry to run", PATIENCE, || {
            Ok(machine.path("/tmp/autostarted").exists().then_some(()))
        })?;
        // With which it has written its environment.
        eventually("the command to run", PATIENCE, || {
            Ok(machine.try_sh("pgrep -u alice -x sleep")?.status.success().then_some(()))
        })?;
        let environment = machine.sh("cat /tmp/session-env")?;
        for part in
            ["WAYLAND_DISPLAY=wayland-", "XDG_SESSION_TYPE=wayland", "XDG_RUNTIME_DIR=/run/user/", "HOME=/home/alice"]
        {
            expect_in("the session's environment", part, &environment)?;
        }
        machine.sh("pkill -u alice -x sleep")?;
        client.wait_told(LOGGED_OFF.0, LOGGED_OFF.1)?;
        server::wait_gone(machine, "alice")
    });
    machine
        .sh("rm -r /etc/wrd-dm/wrd-dm.toml.d /etc/xdg/autostart/marker.desktop; systemctl restart wrd-dm.service")?;
    seen
}

fn passwords_are_in_no_log(machine: &Machine) -> anyhow::Result<()> {
    for unit in ["wrd-dm.service", "wrd-leader.service"] {
        machine.write(&format!("/run/systemd/system/{unit}.d/debug.conf"), "[Service]\nEnvironment=WRD_LOG=trace\n")?;
    }
    machine.sh("systemctl daemon-reload; systemctl restart wrd-dm.service wrd-leader.service")?;
    let mark = machine.mark()?;
    let result = Client::login(machine, Options::user("alice")).and_then(|client| {
        drop(client);
        let leader = leader(machine, "alice")?;
        expect_in(
            "the leader's environment",
            "WRD_LOG=trace",
            &machine.sh(&format!("cat /proc/{leader}/environ | tr '\\0' '\\n'"))?,
        )?;
        let mut wrong = Client::start(machine, Options::user("bob").password("canary-in-a-coal-mine"))?;
        wrong.wait_for_input()?;
        wrong.enter("canary-on-a-screen")?;
        eventually("both to be denied", PATIENCE, || {
            Ok((machine.journal(&mark)?.matches(DENIED).count() == 2).then_some(()))
        })?;
        let journal = machine.journal(&mark)?;
        ensure!(journal.len() > 1000, "a trace log of two logins is not that short:\n{journal}");
        for canary in ["pw-alice", "canary-in-a-coal-mine", "canary-on-a-screen"] {
            ensure!(!journal.contains(canary), "the password {canary} is in the journal");
        }
        Ok(())
    });
    machine.sh("rm -r /run/systemd/system/wrd-dm.service.d /run/systemd/system/wrd-leader.service.d; systemctl daemon-reload; systemctl restart wrd-dm.service wrd-leader.service")?;
    result?;
    server::clear(machine)
}

fn uninstall_leaves_only_what_it_says(machine: &Machine) -> anyhow::Result<()> {
    server::clear(machine)?;
    let said = machine.sh("make -C /usr/src/wrd-dm uninstall 2>&1")?;
    expect_in("uninstall", "/var/lib/wrd-dm", &said)?;
    let left = machine.sh("find /usr/local /etc /var/lib -name '*wrd*' | sort")?;
    expect_eq("what is left", left.as_str(), "/etc/wrd-dm\n/etc/wrd-dm/wrd-dm.toml\n/var/lib/wrd-dm")?;
    ensure!(machine.try_sh("systemctl is-active wrd-dm.socket")?.stdout != b"active\n", "the socket still listens");
    eventually("our processes to end", PATIENCE, || Ok(processes::count(machine)?.is_empty().then_some(())))?;
    // And it can be had again.
    machine.install(Build::Dev)?;
    let _client = Client::login(machine, Options::user("alice"))?;
    server::clear(machine)
}
