//! wrdctl: wrd-dm and its sessions for a person or a script. A thin client of the control socket, which
//! does all the deciding: here are words, tables, JSON and exit codes. The one thing done here is to seal the hash of a
//! password, so that no password travels.

mod cli;
mod client;
mod enrol;
mod output;
mod status;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;
use wrd_sys::Wiping;

/// For the password that is asked for.
#[global_allocator]
static MEMORY: Wiping = Wiping;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli::run(&cli) {
        Ok(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                eprintln!("wrdctl: cannot write: {error}");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
        Err(error) => {
            eprintln!("wrdctl: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
