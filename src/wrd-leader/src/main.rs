//! wrd-leader: from a login's credentials to its session, and that session's parent until it ends.
//!
//! Started once per login, by its own listener on the root-only leader socket or by a stand-alone monitor;
//! either way descriptor 0 is the channel to the monitor. Deliberately absent: any byte of a client's. What
//! comes in are the typed messages of `wrd-proto`.

mod account;
mod audit;
mod authority;
mod conversation;
mod denial;
mod dialogue;
mod environment;
mod listen;
mod login;
mod logind;
mod memory;
mod options;
mod pam;
mod proven;
mod serve;
mod session;
mod wait;
mod worker;

use clap::Parser;
use std::process::ExitCode;
use wrd_sys::Wiping;

/// A password goes through many hands, and this process lives as long as the session.
#[global_allocator]
static MEMORY: Wiping = Wiping;

fn main() -> ExitCode {
    let options = options::Options::parse();
    wrd_sys::log::init();
    let done = if options.listen { listen::run(&options) } else { login::run(&options) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
