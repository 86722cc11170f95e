//! `make bench`: what a person at a client feels, what a session costs, and what strangers change of both; JSON
//! on standard output, what is being measured on standard error.
//!
//! Everything is seen from outside, in a booted machine with the release build: FreeRDP 3 at 1920×1080
//! under Xvfb, whose screen is a file that is read and never asked for. Times begin with the client's TCP
//! connection. Client, server and attackers share the machine's cores: the numbers are an upper bound.

mod answers;
mod attack;
mod cpu;
mod half_open;
mod keys;
mod login;
mod parts;
mod probe;
mod processes;
mod report;
mod screen;
mod visitors;

use anyhow::Context;
use parts::{PARTS, Wanted};
use serde_json::{Value, json};
use std::process::ExitCode;
use wrd_tests::machine::{Build, Init, Machine};
use wrd_tests::server;

fn main() -> ExitCode {
    match Wanted::from_args().and_then(|wanted| run(&wanted)) {
        Ok(report) => {
            println!("{report:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &Wanted) -> anyhow::Result<Value> {
    let mut report = json!({
        "circumstances": report::circumstances(),
        "client": "xfreerdp3 1920x1080 /gfx, loopback",
    });
    let machine = Machine::boot(Init::Systemd)?;
    server::prepare_build(&machine, Build::Release)?;
    machine.sh("systemctl start wrd-dm.service; sleep 1")?;
    for (name, measure) in PARTS.iter().filter(|(name, _)| wanted.wants(name)) {
        eprintln!("bench: {name}");
        let figures = measure(&machine, wanted).context(*name)?;
        for (name, figure) in figures.as_object().into_iter().flatten() {
            report[name] = figure.clone();
        }
    }
    report["circumstances"]["load_after"] = json!(report::load());
    Ok(report)
}
