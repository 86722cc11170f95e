//! The door as a stranger and an administrator find it: how the processes before a login are confined, how
//! the units are hardened, whom the server lets in. In a booted Debian 13, everything seen from outside.
//!
//! This file only puts the rooms together; each says what it shows.

#[path = "door/admission.rs"]
mod admission;
#[path = "door/confinement.rs"]
mod confinement;
#[path = "door/gates.rs"]
mod gates;
#[path = "door/units.rs"]
mod units;
#[path = "door/visitors.rs"]
mod visitors;

use std::process::ExitCode;
use wrd_tests::machine::Init;
use wrd_tests::runner::{Plan, Test};
use wrd_tests::{runner, server};

fn main() -> ExitCode {
    let tests: Vec<Test> = [confinement::TESTS, units::TESTS, admission::TESTS].concat();
    runner::run(&Plan { init: Init::Systemd, prepare: server::prepare, restore: server::restore }, &tests)
}
