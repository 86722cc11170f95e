//! `cargo xtask`: what looks after the source tree. Owns the command line of it and nothing else; each
//! task is a module. Never part of a build or an installation.

mod edges;
mod manual;
mod sizes;
mod tidy;
mod translations;
mod unsafety;
mod versions;

use std::process::ExitCode;

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let result = match task.as_str() {
        "tidy" => tidy::run(),
        _ => Err(anyhow::anyhow!("usage: cargo xtask tidy")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
