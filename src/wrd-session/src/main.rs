//! The worker: one user's desktop, started by that user's session leader.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// The desktop of one session of wrd-dm. Started by wrd-leader, with the channel to it as descriptor 3.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where wrd-dm.toml is.
    #[arg(long, value_name = "DIR", default_value = "/etc/wrd-dm")]
    config_dir: PathBuf,
}

fn main() -> ExitCode {
    wrd_sys::log::init();
    let options = Options::parse();
    match wrd_session::run::run(&options.config_dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format_args!("{error:#}"), "the session failed");
            ExitCode::FAILURE
        }
    }
}
