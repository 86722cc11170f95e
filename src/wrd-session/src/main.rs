//! The worker: one user's desktop, started by that user's session leader.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use wrd_config::SessionId;

/// The desktop of one session of wrd-dm. Started by wrd-leader, with the channel to it as descriptor 3.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where wrd-dm.toml is.
    #[arg(long, value_name = "DIR", default_value = "/etc/wrd-dm")]
    config_dir: PathBuf,
    /// The session to start, by the name of its file without .desktop, in place of what is configured
    #[arg(long, value_name = "NAME", value_parser = session)]
    session: Option<SessionId>,
}

fn session(text: &str) -> Result<SessionId, &'static str> {
    SessionId::parse(text).ok_or("that is no session's name")
}

fn main() -> ExitCode {
    wrd_sys::log::init();
    let options = Options::parse();
    match wrd_session::run::run(&options.config_dir, options.session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format_args!("{error:#}"), "the session failed");
            ExitCode::FAILURE
        }
    }
}
