//! wrd-leader: from a login's credentials to its session, and that session's parent until it ends.
//!
//! Started once per login, by systemd on the root-only leader socket or by a stand-alone monitor; either
//! way descriptor 0 is the channel to the monitor. Deliberately absent: any byte of a client's. What
//! comes in are the typed messages of `wrd-proto`.

mod account;
mod authority;
mod denial;
mod environment;
mod login;
mod logind;
mod options;
mod pam;
mod serve;
mod session;
mod wait;
mod worker;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = options::Options::parse();
    wrd_sys::log::init();
    match login::run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
