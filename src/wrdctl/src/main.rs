//! wrdctl: the sessions of wrd-dm for a person or a script. A thin client of the control socket, which
//! does all the deciding: here are words, tables, JSON and exit codes.

mod cli;
mod client;
mod output;

use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

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
