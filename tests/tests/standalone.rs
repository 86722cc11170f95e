//! `wrd-dm --standalone`, which is what `make demo` runs: no systemd, no D-Bus, no logind; as an ordinary
//! user with a one-time password, and as root with PAM.

use anyhow::{Context, ensure};
use std::process::{Child, ExitCode, Stdio};
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::{Init, Machine};
use wrd_tests::memory::{self, Needle};
use wrd_tests::runner::Plan;
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, processes, runner};

fn main() -> ExitCode {
    runner::run(
        &Plan { init: Init::Nothing, prepare, restore },
        &[
            ("an_ordinary_user_with_the_printed_password", an_ordinary_user_with_the_printed_password),
            ("control_c_ends_everything", control_c_ends_everything),
            ("root_serves_every_account", root_serves_every_account),
            ("leaders_of_root_forget_passwords", leaders_of_root_forget_passwords),
            ("the_options_are_explained", the_options_are_explained),
        ],
    )
}

const PROGRAM: &str = "/usr/src/wrd-dm/target/debug/wrd-dm";

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    machine.sh("ip link set lo up; mkdir -p /tmp/.X11-unix; chmod 1777 /tmp /tmp/.X11-unix")?;
    let background = "[desktop]\nbackground = \"#2e6f40\"\n";
    machine.write("/home/alice/.config/wrd-dm/wrd-dm.toml", background)?;
    machine.write("/home/bob/.config/wrd-dm/session.toml", background)?;
    machine.sh("chown -R alice: /home/alice; chown -R bob: /home/bob")?;
    Ok(())
}

fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.try_sh("pkill -KILL -x 'wrd-.*|xfreerdp3|Xvfb|foot'")?;
    Ok(())
}

/// A stand-alone server, ended when dropped.
struct Server<'m> {
    machine: &'m Machine,
    user: &'static str,
    port: u16,
    process: Child,
}

impl<'m> Server<'m> {
    fn start(machine: &'m Machine, user: &'static str, port: u16) -> anyhow::Result<Self> {
        // With a terminal's variables and nothing else, as from a login shell in a chroot.
        let script = format!(
            "echo $$ >/tmp/server-{port}.pid; cd; NOTIFY_SOCKET=/run/nobody exec {PROGRAM} --standalone --listen 127.0.0.1:{port} >/tmp/server-{port}.log 2>&1"
        );
        let switch = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--reset-env", "sh", "-c", &script];
        machine.sh(&format!("rm -f /tmp/server-{port}.*"))?;
        let process = machine.command(&switch).stdin(Stdio::null()).spawn()?;
        let server = Self { machine, user, port, process };
        eventually("the server to listen", PATIENCE, || {
            Ok(machine.try_sh(&format!("ss -Hltn sport = :{port} | grep -q ."))?.status.success().then_some(()))
        })
        .with_context(|| server.output())?;
        Ok(server)
    }

    fn output(&self) -> String {
        let path = self.machine.path(&format!("/tmp/server-{}.log", self.port));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn options(&self, user: &str, password: &str) -> Options {
        Options::user(user).password(password).server(&format!("127.0.0.1:{}", self.port))
    }

    /// The value of an option in the ready-to-paste xfreerdp line.
    fn pasted(&self, option: &str) -> anyhow::Result<String> {
        let output = eventually("the lines to paste", PATIENCE, || {
            let output = self.output();
            Ok(output.contains("mstsc").then_some(output))
        })?;
        let line = output.lines().find(|line| line.contains("xfreerdp")).context("no xfreerdp line")?;
        let word = line
            .split_whitespace()
            .map(|word| word.trim_matches(['\'', '"']))
            .find_map(|word| word.strip_prefix(option));
        Ok(word.with_context(|| format!("no {option} in {line}"))?.trim_matches(['\'', '"']).to_owned())
    }

    fn interrupt(&mut self) -> anyhow::Result<i32> {
        self.machine.sh(&format!("kill -INT $(cat /tmp/server-{}.pid)", self.port))?;
        eventually("the server to end", PATIENCE, || Ok(self.process.try_wait()?))
            .map(|status| status.code().unwrap_or(-1))
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.machine.try_sh(&format!("kill -KILL $(cat /tmp/server-{}.pid)", self.port));
        if self.user != "root" {
            let _ = self.machine.try_sh(&format!("pkill -KILL -u {}", self.user));
        }
        let _ = self.process.wait();
    }
}

fn type_into_terminal(machine: &Machine, client: &mut Client<'_>, file: &str) -> anyhow::Result<()> {
    client.wait_for_terminal()?;
    client.type_text(&format!("touch {file}"))?;
    client.key("Return")?;
    eventually(file, PATIENCE, || Ok(machine.path(file).exists().then_some(())))
}

/// The one that is not of a program it is about to start.
fn worker(machine: &Machine) -> anyhow::Result<String> {
    machine.sh("pgrep -o -x wrd-session")
}

fn an_ordinary_user_with_the_printed_password(machine: &Machine) -> anyhow::Result<()> {
    let server = Server::start(machine, "alice", 3390)?;
    let password = server.pasted("/p:")?;
    expect_eq("the user in the line to paste", server.pasted("/u:")?.as_str(), "alice")?;
    expect_eq("the server in the line to paste", server.pasted("/v:")?.as_str(), "127.0.0.1:3390")?;
    for part in ["remmina", "mstsc"] {
        expect_in("the output", part, &server.output().to_lowercase())?;
    }
    ensure!(password.len() >= 8, "{password} is easily guessed");

    // Somebody else's password and somebody else's name are no way in.
    for options in [server.options("alice", "pw-alice"), server.options("bob", &password)] {
        let mut wrong = Client::start(machine, options)?;
        wrong.wait_for_input()?;
        ensure!(!machine.try_sh("pgrep -x wrd-session")?.status.success(), "a session for the wrong credentials");
    }

    let mut client = Client::login(machine, server.options("alice", &password))?;
    type_into_terminal(machine, &mut client, "/tmp/typed-standalone")?;
    client.shot("standalone");
    expect_eq("who typed", machine.sh("stat -c %U /tmp/typed-standalone")?.as_str(), "alice")?;
    let before = worker(machine)?;
    expect_eq("whose worker", machine.sh(&format!("stat -c %U /proc/{before}"))?.as_str(), "alice")?;
    client.disconnect()?;
    let again = Client::login(machine, server.options("alice", &password).size(800, 600).bitmaps())?;
    expect_eq("the worker", worker(machine)?, before)?;
    // The password is nowhere that others can read.
    let seen = machine.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")?;
    let own = seen.matches(&password).count();
    // Our own client has it on its command line, and nobody else.
    let clients: usize = machine.sh("pgrep -c -x xfreerdp3")?.parse()?;
    ensure!(own <= clients, "the password is on a command line: {seen}");
    drop(again);
    Ok(())
}

fn control_c_ends_everything(machine: &Machine) -> anyhow::Result<()> {
    let mut server = Server::start(machine, "alice", 3391)?;
    let password = server.pasted("/p:")?;
    let mut client = Client::login(machine, server.options("alice", &password))?;
    let code = server.interrupt()?;
    expect_eq("the exit code", code, 0)?;
    client.wait_exit()?;
    eventually("everything to be gone", PATIENCE, || {
        Ok((!machine.try_sh("pgrep -u alice")?.status.success()).then_some(()))
    })
    .with_context(|| machine.sh("ps -u alice -o pid,args").unwrap_or_default())?;
    // It can be started again at once, with another password.
    let server = Server::start(machine, "alice", 3391)?;
    ensure!(server.pasted("/p:")? != password, "the one-time password is used twice");
    Ok(())
}

fn root_serves_every_account(machine: &Machine) -> anyhow::Result<()> {
    let mut server = Server::start(machine, "root", 3392)?;
    let mut bob = Client::login(machine, server.options("bob", "pw-bob")).with_context(|| server.output())?;
    type_into_terminal(machine, &mut bob, "/tmp/typed-by-bob")?;
    expect_eq("who typed", machine.sh("stat -c %U /tmp/typed-by-bob")?.as_str(), "bob")?;
    let mut wrong = Client::start(machine, server.options("alice", "wrong"))?;
    wrong.wait_for_input()?;
    ensure!(!machine.try_sh("pgrep -u alice")?.status.success(), "a session for a wrong password");
    drop((bob, wrong));
    expect_eq("the exit code", server.interrupt()?, 0)?;
    eventually("bob's session to end", PATIENCE, || {
        Ok((!machine.try_sh("pgrep -u bob")?.status.success()).then_some(()))
    })
}

/// What PAM's modules free is wiped, as with the unit (`tests/secrets.rs`).
fn leaders_of_root_forget_passwords(machine: &Machine) -> anyhow::Result<()> {
    let password = "Sackbut-7f3c91e0b2d84a65-8d1e-Crumhorn";
    machine.sh(&format!("echo bob:{password} | chpasswd"))?;
    let server = Server::start(machine, "root", 3393)?;
    let client = Client::login(machine, server.options("bob", password)).with_context(|| server.output())?;
    client.settle()?;
    let leaders = processes::leaders(machine)?;
    expect_eq("leaders", leaders.len(), 1)?;
    for leader in leaders {
        let environment = std::fs::read_to_string(leader.join("environ"))?;
        expect_in("the leader's environment", "GLIBC_TUNABLES=glibc.malloc.tcache_count=0", &environment)?;
        let found = memory::search_process(&leader, &Needle::of_text(password))?;
        ensure!(found.is_empty(), "a leader keeps a password: {found:?}");
    }
    let inherited = machine.sh("cat /proc/$(pgrep -x wrd-session)/environ | tr '\\0' '\\n'")?;
    expect_in("the worker's environment", "USER=bob", &inherited)?;
    ensure!(!inherited.contains("GLIBC_TUNABLES"), "the desktop inherits it: {inherited}");
    drop((client, server));
    machine.sh("echo bob:pw-bob | chpasswd")?;
    Ok(())
}

fn the_options_are_explained(machine: &Machine) -> anyhow::Result<()> {
    let help = machine.sh(&format!("{PROGRAM} --help"))?;
    for option in ["--standalone", "--listen", "--check-config", "--version"] {
        expect_in("--help", option, &help)?;
    }
    expect_in("--version", "wrd-dm 0.", &machine.sh(&format!("{PROGRAM} --version"))?)?;
    let wrong = machine.try_sh(&format!("{PROGRAM} --no-such-option"))?;
    expect_eq("the exit code", wrong.status.code(), Some(2))?;
    let user = machine.try_sh_as("alice", PROGRAM)?;
    ensure!(!user.status.success(), "an ordinary user started the system's server");
    expect_in("what is said", "--standalone", &String::from_utf8_lossy(&user.stderr))
}
