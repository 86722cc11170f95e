//! wrd-dm, the monitor: it accepts connections, starts a gate for each, signs one TLS handshake for it,
//! finds or has started the session of whoever logs in, and passes descriptors between those who do the
//! work.
//!
//! Always true: it reads no byte of a client's and no password, only typed messages of its own
//! processes (what a client sent in NLA is hashed, not taken apart); it never waits for one of them; it can be restarted without anybody noticing.
//!
//! A library beside a program of one line, for the fuzz targets that play gates, leaders and sessions, and clients
//! of NLA; and for the rogue gate's list of what no gate may say (`tests/attack/stages.rs`).

mod admission;
mod callers;
mod cert;
mod cli;
mod control;
#[cfg(test)]
mod deadline_tests;
mod door;
mod enrolment;
mod gates;
mod leaders;
mod listener;
mod monitor;
mod nla;
mod notes;
pub mod ntlm;
mod offers;
mod places;
mod reconnect;
mod run;
mod scan;
mod shutdown;
pub mod signer;
mod standalone;
mod syn_filter;
pub mod table;
mod wire;

use clap::Parser;
use std::process::ExitCode;

/// The whole program.
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    wrd_sys::log::init();
    match run::main(&cli) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
