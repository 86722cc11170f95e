//! Attacks on the installed server in a booted Debian 13, while a user works in a session of theirs.
//!
//! This file only puts the rooms together; each is one kind of attack and says what it shows. Every attack
//! leaves the monitor, the user and what they type undisturbed, and nothing behind. How long anything takes is
//! never asked here: that is `make bench`.

use std::process::ExitCode;
use wrd_tests::machine::Init;
use wrd_tests::runner::{Plan, Test};
use wrd_tests::{runner, server};

fn main() -> ExitCode {
    let tests: Vec<Test> = Vec::new();
    runner::run(&Plan { init: Init::Systemd, prepare: server::prepare, restore: server::restore }, &tests)
}
