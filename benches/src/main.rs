//! `make bench`: what a person at a client feels, and what a session costs; JSON on standard output.
//!
//! Everything is seen from outside, in a booted machine with the release build: FreeRDP 3 at 1920×1080
//! under Xvfb, whose screen is a file that is read and never asked for. Times begin with the client's TCP
//! connection. Client and server share the machine's cores: the numbers are an upper bound.

mod keys;
mod login;
mod probe;
mod processes;
mod report;

use anyhow::Context;
use serde_json::{Value, json};
use std::process::ExitCode;
use wrd_tests::machine::{Build, Init, Machine};
use wrd_tests::server;

fn main() -> ExitCode {
    match run() {
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

fn run() -> anyhow::Result<Value> {
    let circumstances = report::circumstances();
    let machine = Machine::boot(Init::Systemd)?;
    server::prepare_build(&machine, Build::Release)?;
    machine.sh("systemctl start wrd-dm.service; sleep 1")?;
    let empty = processes::memory(&machine)?;
    let keys = keys::latency(&machine).context("keys")?;
    let logins = login::logins(&machine).context("login")?;
    let (reconnects, idle) = login::reconnects_and_idle(&machine).context("reconnect")?;
    Ok(json!({
        "circumstances": circumstances,
        "client": "xfreerdp3 1920x1080 /gfx, loopback",
        "login_ms": logins,
        "reconnect_ms": reconnects,
        "key_to_pixel_ms": keys,
        "pss_kb": { "no_session": empty, "one_session": idle.memory },
        "connected_idle": idle.activity,
    }))
}
