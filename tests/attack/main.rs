//! Attacks on the installed server in a booted Debian 13, while a user works in a session of theirs.
//!
//! This file only puts the rooms together; each is one kind of attack and says what it shows. Every attack
//! leaves the monitor, the user and what they type undisturbed, and nothing behind. How long anything takes is
//! never asked here: that is `make bench`. With WRD_LONG set the counts are those of `make test-all`.

mod floods;
mod malformed;
mod passwords;
mod scene;
mod stages;
mod taken_over;

use std::process::ExitCode;
use wrd_tests::machine::{Init, Machine};
use wrd_tests::runner::{Plan, Test};
use wrd_tests::{runner, server, strangers};

fn main() -> ExitCode {
    if let Err(error) = stages::agree_with_the_monitor() {
        eprintln!("attack: what a rogue gate plays: {error:#}");
        return ExitCode::FAILURE;
    }
    let tests: Vec<Test> = [floods::TESTS, malformed::TESTS, passwords::TESTS, taken_over::TESTS].concat();
    runner::run(&Plan { init: Init::Systemd, prepare, restore }, &tests)
}

/// The server as it is installed, but for a shorter time to log in, which one attack waits for. The one address
/// of 198.18.44.0/23 is that of the test which needs an exempt source.
const CONFIG: &str = "[limits]\nlogin_seconds = 40\n[admission]\nexempt = [\"198.18.44.1\"]\n";

fn prepare(machine: &Machine) -> anyhow::Result<()> {
    machine.write("/etc/wrd-dm/wrd-dm.toml.d/attack.toml", CONFIG)?;
    server::prepare(machine)?;
    strangers::settle(machine)?;
    machine.sh("systemctl start wrd-dm.service")?;
    Ok(())
}

fn restore(machine: &Machine) -> anyhow::Result<()> {
    machine.try_sh("pkill -KILL -x wrd-attacker; rm -rf /home/dave/.config; wrdctl forget carol")?;
    machine.try_sh("rm /etc/wrd-dm/wrd-dm.toml.d/attack-nla.toml && systemctl reload wrd-dm.service")?;
    server::restore(machine)
}
