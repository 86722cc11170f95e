//! wrd-leader: from a login's credentials to its session, and that session's parent until it ends.
//!
//! Started once per login, by its own listener on the root-only leader socket or by a stand-alone monitor;
//! either way descriptor 0 is the channel to the monitor. Deliberately absent: any byte of a client's. What
//! comes in are the typed messages of `wrd-proto`.
//!
//! A library beside a program of one line, for the fuzz target that plays gate, monitor and PAM, and for leaders that wait
//! less long.

pub mod account;
mod audit;
pub mod authority;
pub mod conversation;
mod deadlines;
pub mod denial;
pub mod dialogue;
mod environment;
mod listen;
pub mod login;
mod logind;
mod memory;
pub mod options;
mod pam;
mod proven;
mod serve;
mod session;
mod wait;
mod worker;

pub use deadlines::Deadlines;
pub use pam_client::ConversationHandler;

use clap::Parser;
use std::process::ExitCode;

/// The whole program.
pub fn main() -> ExitCode {
    let options = options::Options::parse();
    wrd_sys::log::init();
    let done = if options.listen { listen::run(&options) } else { login::run(&options, Deadlines::FULL) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
