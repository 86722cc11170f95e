//! What a gate may do at each of its stages, read from /proc while it stands there.

use crate::gates::{self, Process};
use crate::visitors::{A_BYTE, INSTALLED, Visitors};
use anyhow::{Context, ensure};
use std::process::{Child, Stdio};
use wrd_tests::client::{Client, Options};
use wrd_tests::machine::Machine;
use wrd_tests::runner::Test;
use wrd_tests::typist::Typist;
use wrd_tests::{PATIENCE, eventually, expect_eq, expect_in, server};

pub const TESTS: &[Test] = &[
    ("gates_are_shut_in", gates_are_shut_in),
    ("gates_of_an_ordinary_users_server_are_shut_in", gates_of_an_ordinary_users_server_are_shut_in),
    ("gates_of_roots_own_server_are_shut_in", gates_of_roots_own_server_are_shut_in),
    ("a_gate_that_breaks_a_rule_dies", a_gate_that_breaks_a_rule_dies),
];

fn gates_are_shut_in(machine: &Machine) -> anyhow::Result<()> {
    let unit = "/run/systemd/system/wrd-dm.service.d/log.conf";
    machine.write(unit, &format!("[Service]\nEnvironment=WRD_LOG={TALKATIVE}\n"))?;
    machine.sh("systemctl daemon-reload; systemctl restart wrd-dm.service")?;
    let mark = machine.mark()?;
    let server = Server {
        port: INSTALLED,
        options: Options::user("alice").server("127.0.0.1:3389"),
        owner: machine.sh("id -u wrd-gate")?,
        by: By::Root,
    };
    let result = server.gates_are_shut_in(machine).and_then(|()| landlock_is_whole(&machine.journal(&mark)?));
    machine.sh(&format!("rm {unit}; systemctl daemon-reload; systemctl restart wrd-dm.service"))?;
    result?;
    server::clear(machine)
}

fn gates_of_an_ordinary_users_server_are_shut_in(machine: &Machine) -> anyhow::Result<()> {
    let running = Standalone::start(machine, "alice", "")?;
    let password = running.password()?;
    let server = Server {
        port: STANDALONE,
        options: Options::user("alice").password(&password).server("127.0.0.1:3390"),
        owner: machine.sh("id -u alice")?,
        by: By::User,
    };
    server.gates_are_shut_in(machine).with_context(|| running.output())?;
    landlock_is_whole(&running.output())
}

fn gates_of_roots_own_server_are_shut_in(machine: &Machine) -> anyhow::Result<()> {
    // As where nothing was ever installed: there is no user wrd-gate.
    let hidden = "grep -v ^wrd-gate: /etc/passwd >/tmp/passwd; mount --bind /tmp/passwd /etc/passwd; rm /tmp/passwd;";
    let running = Standalone::start(machine, "root", hidden)?;
    let server = Server {
        port: STANDALONE,
        options: Options::user("bob").server("127.0.0.1:3390"),
        owner: "65534".to_owned(),
        by: By::Root,
    };
    server.gates_are_shut_in(machine).with_context(|| running.output())?;
    landlock_is_whole(&running.output())
}

/// With which each gate says what of Landlock it has: `/proc` says nothing of that.
const TALKATIVE: &str = "info,wrd_gate=debug";

/// Whether it is in force in each of the three gates that were looked at, and not a part of it only, as with an older
/// kernel. That it then keeps a gate from anything is shown in `src/wrd-gate/src/sandbox/tests/landlock.rs`.
fn landlock_is_whole(log: &str) -> anyhow::Result<()> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let version: Vec<u32> = kernel.split('.').map_while(|part| part.parse().ok()).collect();
    if version < vec![6, 12] {
        println!("    SKIPPED: Linux {} does not know all of Landlock", kernel.trim());
        return Ok(());
    }
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("landlock")).collect();
    let whole = lines.len() >= 3 && lines.iter().all(|line| line.contains("landlock is in force, all of it"));
    ensure!(whole, "the sandbox is not whole: {lines:#?}\n{log}");
    println!("    {} gates: {}", lines.len(), lines[0]);
    Ok(())
}

/// A server whose gates are looked at.
struct Server {
    port: u16,
    options: Options,
    /// Uid and gid of its gates.
    owner: String,
    by: By,
}

/// Who runs a server.
enum By {
    Root,
    /// Groups and the bounding set stay as they are: to take something out of them needs a capability.
    User,
}

impl Server {
    fn gates_are_shut_in(&self, machine: &Machine) -> anyhow::Result<()> {
        let a_byte = || Visitors::come(machine, "127.1.0.1", self.port, (1, A_BYTE));
        let (gate, visitor) = gates::of(machine, a_byte)?;
        let own = gate.parent()?.filters()?;
        self.look(machine, "waits for a first PDU", &gate, (own + 1, &["tcp", "unix messages"]))?;
        drop(visitor);

        let wrong = self.options.clone().password("wrong");
        let (gate, mut client) = gates::of(machine, || Client::start(machine, wrong))?;
        client.wait_for_input()?;
        let open = ["tcp", "unix messages", "unix messages"];
        self.look(machine, "shows the login screen, one login denied", &gate, (own + 1, &open))?;
        drop(client);

        let (gate, _client) = gates::of(machine, || Client::start(machine, self.options.clone()))?;
        self.look(machine, "relays", &gate, (own + 2, &["tcp", "unix stream"]))
    }

    /// Waits until a gate has as many filters as it shall have, and looks at everything else of it.
    fn look(
        &self,
        machine: &Machine,
        stage: &str,
        gate: &Process,
        (filters, open): (u64, &[&str]),
    ) -> anyhow::Result<()> {
        eventually("a filter", PATIENCE, || Ok((gate.filters()? >= filters).then_some(())))?;
        println!("    a gate that {stage}:\n{}", gate.status()?);
        let four = [self.owner.as_str(); 4].join(" ");
        let (groups, bounding) = match self.by {
            By::Root => (String::new(), NO_BIT.to_owned()),
            By::User => (gate.parent()?.field("Groups")?, gate.parent()?.field("CapBnd")?),
        };
        for (name, value) in [
            ("Uid", four.as_str()),
            ("Gid", &four),
            ("Groups", &groups),
            ("Threads", "1"),
            // The monitor blocks those that it waits for.
            ("SigBlk", NO_BIT),
            ("CapInh", NO_BIT),
            ("CapPrm", NO_BIT),
            ("CapEff", NO_BIT),
            ("CapBnd", &bounding),
            ("CapAmb", NO_BIT),
            ("NoNewPrivs", "1"),
            ("Seccomp", "2"),
            ("Seccomp_filters", &filters.to_string()),
        ] {
            expect_eq(name, gate.field(name)?.as_str(), value)?;
        }
        let all = gate.parent()?.processors()?;
        let own = if stage == "relays" { all } else { (all / 2).max(1) };
        eventually("its share of the processors", PATIENCE, || Ok((gate.processors()? == own).then_some(())))?;
        expect_eq("who may look into it", gate.keeper()?, 0)?;
        for (name, most) in LIMITS {
            expect_eq(name, gate.limit(name)?, (most.to_string(), most.to_string()))?;
        }

        // What it has parted with may still be about to be closed.
        let descriptors = eventually("its descriptors", PATIENCE, || {
            Ok(gate.descriptors(machine).ok().filter(|descriptors| descriptors.len() == 3 + open.len()))
        })
        .with_context(|| format!("they are {:?}", gate.descriptors(machine)))?;
        println!("      {descriptors:?}");
        let kinds: Vec<_> = descriptors.iter().map(|(number, kind)| (*number, kind.as_str())).collect();
        let [(0, "null"), (1, "null"), (2, _), rest @ ..] = kinds.as_slice() else {
            anyhow::bail!("standard input, output and error are {descriptors:?}");
        };
        let rest: Vec<&str> = rest.iter().map(|(_, kind)| *kind).collect();
        expect_eq("what else is open", rest.as_slice(), open)
    }
}

/// sandbox/mod.rs says why so much.
const LIMITS: [(&str, u64); 6] = [
    ("Max open files", 7),
    ("Max processes", 0),
    ("Max core file size", 0),
    ("Max address space", 256 << 20),
    ("Max locked memory", 0),
    ("Max msgqueue size", 0),
];
const NO_BIT: &str = "0000000000000000";

/// The port of a stand-alone server beside the installed one.
const STANDALONE: u16 = 3390;
const OUTPUT: &str = "/tmp/standalone-output";

/// A stand-alone server, ended when dropped.
struct Standalone<'m> {
    machine: &'m Machine,
    process: Child,
}

impl<'m> Standalone<'m> {
    /// Starts it as `user`, after a word of root's in a mount namespace of its own.
    fn start(machine: &'m Machine, user: &str, before: &str) -> anyhow::Result<Self> {
        let program = "/usr/src/wrd-dm/target/debug/wrd-dm --standalone --listen 127.0.0.1:3390";
        let script = format!(
            "{before} exec setpriv --reuid {user} --regid {user} --init-groups --reset-env \
             sh -c 'echo $$ >{OUTPUT}.pid; cd; WRD_LOG={TALKATIVE} exec {program} >{OUTPUT} 2>&1'"
        );
        machine.sh(&format!("install -o {user} /dev/null {OUTPUT}; install -o {user} /dev/null {OUTPUT}.pid"))?;
        let words = ["unshare", "--mount", "sh", "-c", &script];
        let process = machine.command(&words).stdin(Stdio::null()).spawn()?;
        let server = Self { machine, process };
        eventually("the server to say how to log in", PATIENCE, || {
            Ok(server.output().contains("Ctrl-C").then_some(()))
        })
        .with_context(|| server.output())?;
        Ok(server)
    }

    fn output(&self) -> String {
        std::fs::read_to_string(self.machine.path(OUTPUT)).unwrap_or_default()
    }

    fn password(&self) -> anyhow::Result<String> {
        let output = self.output();
        let words = output.lines().find_map(|line| line.trim().strip_prefix("password "));
        Ok(words.and_then(|words| words.split_whitespace().next()).context("no password")?.to_owned())
    }
}

impl Drop for Standalone<'_> {
    fn drop(&mut self) {
        let end = "kill -INT $pid; timeout 60 tail --pid=$pid -f /dev/null || kill -KILL $pid";
        let clean = format!("rm -rf {OUTPUT}* /home/alice/.local/state/wrd-dm /root/.local/state/wrd-dm");
        let _ = self.machine.try_sh(&format!("pid=$(cat {OUTPUT}.pid); {end}; {clean}"));
        let _ = self.process.wait();
    }
}

fn a_gate_that_breaks_a_rule_dies(machine: &Machine) -> anyhow::Result<()> {
    if !cfg!(target_arch = "x86_64") {
        println!("    SKIPPED: the intruder knows the registers of x86-64 only");
        return Ok(());
    }
    let mut typist = Typist::start(machine)?;
    let mark = machine.mark()?;
    let (gate, mut visitor) = gates::of(machine, || Visitors::come(machine, "127.2.0.1", INSTALLED, (1, A_BYTE)))?;
    let own = gate.parent()?.filters()?;
    eventually("its filter", PATIENCE, || Ok((gate.filters()? > own).then_some(())))?;
    // getpid, which is harmless, and none of a gate's business.
    gate.make_call(machine, 39)?;
    eventually("the connection to end", PATIENCE, || Ok((visitor.ended()? == 1).then_some(())))?;
    machine.wait_journal(&mark, "killed by its seccomp filter")?;
    let journal = machine.journal(&mark)?;
    let line = journal.lines().find(|line| line.contains("by a fault of its gate")).unwrap_or_default();
    expect_in("the line", "rhost=127.2.0.1 ", line)?;
    expect_in("the line", "by=\"killed by its seccomp filter\"", line)?;

    // Its source is turned away, and nobody else.
    eventually("the source to be refused", PATIENCE, || {
        let mut again = Visitors::come(machine, "127.2.0.1", INSTALLED, (1, A_BYTE))?;
        eventually("the connection to end", PATIENCE, || Ok((again.ended()? == 1).then_some(())))?;
        let journal = machine.journal(&mark)?;
        let line = journal.lines().find(|line| line.contains("refused; rhost=127.2.0.1 reason=penalty"));
        println!("    {}", line.unwrap_or("not said again so soon"));
        Ok(line.map(drop))
    })?;
    let (_, mut other) = gates::of(machine, || Visitors::come(machine, "127.2.0.2", INSTALLED, (1, A_BYTE)))?;
    expect_eq("connections of another source that were ended", other.ended()?, 0)?;
    drop(other);
    // Long enough to type what `stop` looks at.
    for _ in 0..5 {
        typist.goes_on()?;
    }
    typist.stop()?;
    drop(typist);
    server::clear(machine)
}
