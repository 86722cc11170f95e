//! Where attackers live: a network namespace of a machine, with as many addresses as they like, and the program
//! `wrd-attacker` in it. It has the lowest priority there is, as if it ran on machines of its own.

use crate::machine::{Build, Machine};
use crate::server;
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

/// The server's IPv6 address for strangers; the other one is [`server::ADDRESS`].
const SERVER_V6: &str = "fd00:bad::1";

/// Makes the namespace, where it is not there yet. Every address of 198.18.0.0/15 and of 2001:db8:bad::/48 is
/// the strangers'.
pub fn settle(machine: &Machine) -> anyhow::Result<()> {
    machine.sh(&format!(
        "ip netns list | grep -qw bad && exit
         set -e
         ip netns add bad
         ip link add street type veth peer name door netns bad
         ip address add 198.51.100.1/24 dev street
         ip -6 address add {SERVER_V6}/64 dev street nodad
         ip link set street up
         ip -n bad link set lo up
         # Its own address there counts at once, or the first ones of IPv6 find nobody.
         ip netns exec bad sh -c 'echo 0 >/proc/sys/net/ipv6/conf/door/accept_dad'
         ip -n bad address add 198.51.100.2/24 dev door
         ip -n bad -6 address add fd00:bad::2/64 dev door nodad
         ip -n bad link set door up
         ip -n bad route add local 198.18.0.0/15 dev lo
         ip -n bad -6 route add local 2001:db8:bad::/48 dev lo
         ip -n bad route add default via 198.51.100.1
         ip -n bad -6 route add default via {SERVER_V6}
         ip netns exec bad sh -c 'echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind'
         ip route add 198.18.0.0/15 via 198.51.100.2
         ip -6 route add 2001:db8:bad::/48 via fd00:bad::2"
    ))?;
    Ok(())
}

/// Addresses for one attack, which no other has.
#[derive(Clone, Copy)]
pub struct Street(pub u8);

impl Street {
    /// `count` addresses of IPv4, for the attacker's `--from`.
    pub fn four(self, count: usize) -> String {
        // 512 addresses to a street.
        format!("198.{}.{}.1+{count}", 18 + self.0 / 128, 2 * (self.0 % 128))
    }

    /// `count` addresses of IPv6, each in a /64 of its own.
    pub fn six(self, count: usize) -> String {
        format!("2001:db8:bad:{:02x}00::1+{count}", self.0)
    }

    /// One address of IPv6: of one of the street's /64, any of them.
    pub fn six_at(self, network: u8, host: u16) -> String {
        format!("2001:db8:bad:{:02x}{network:02x}::{host:x}", self.0)
    }
}

/// An attack that runs. Dropping it ends it.
pub struct Attack {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Attack {
    /// Starts `wrd-attacker` with these words, from these addresses.
    pub fn start(machine: &Machine, build: Build, from: &[String], words: &[&str]) -> anyhow::Result<Self> {
        Self::start_at(3389, machine, build, from, words)
    }

    /// The same at any port of the server's machine.
    pub fn start_at(
        port: u16,
        machine: &Machine,
        build: Build,
        from: &[String],
        words: &[&str],
    ) -> anyhow::Result<Self> {
        settle(machine)?;
        let profile = if build == Build::Release { "release" } else { "debug" };
        let program = format!("/usr/src/wrd-dm/target/{profile}/wrd-attacker");
        ensure!(machine.path(&program).exists(), "{program} is missing: cargo build -p wrd-attacker");
        // Where the kernel groups processes by session, the lowest priority means nothing outside of one's own.
        let script = "echo 19 >/proc/self/autogroup; ulimit -n 20000; exec nice -n 19 \"$@\"";
        let mut command =
            machine.command(&["ip", "netns", "exec", "bad", "setsid", "--wait", "sh", "-c", script, "sh"]);
        command.arg(&program).args(["--to", &format!("{}:{port}", server::ADDRESS)]);
        command.args(["--to", &format!("[{SERVER_V6}]:{port}")]);
        for range in from {
            command.args(["--from", range]);
        }
        let mut process = command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("no output")?;
        Ok(Self { process, output: BufReader::new(output) })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Waits until all of a `stand` are where they are to stand.
    pub fn wait_standing(&mut self) -> anyhow::Result<()> {
        let line = self.line()?;
        ensure!(line == "standing", "the attacker says {line:?}");
        Ok(())
    }

    /// Tells a `stand` that it is enough; its report.
    pub fn stop(mut self) -> anyhow::Result<Value> {
        drop(self.process.stdin.take());
        self.report()
    }

    /// Waits until the attack is over; its report.
    pub fn finish(mut self) -> anyhow::Result<Value> {
        self.report()
    }

    fn report(&mut self) -> anyhow::Result<Value> {
        let line = self.line()?;
        // Else waiting would close it, which ends an attacker as if nobody wanted to know.
        let _input = self.process.stdin.take();
        let status = self.process.wait()?;
        if !status.success() {
            bail!("the attacker failed ({status}): {line}");
        }
        serde_json::from_str(&line).with_context(|| format!("the attacker says {line:?}"))
    }

    /// Whether it still goes on.
    pub fn goes_on(&mut self) -> anyhow::Result<bool> {
        Ok(self.process.try_wait()?.is_none())
    }
}

impl Drop for Attack {
    fn drop(&mut self) {
        // Ends what is inside; killing the process outside would not.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
