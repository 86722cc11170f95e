//! What the leader is told on its command line, and the folders and authority that follow from it.

use crate::authority::{Authority, OneTimePassword};
use anyhow::Context;
use clap::Parser;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// The session leader of wrd-dm. Started by wrd-leader.service or by `wrd-dm --standalone`, not by hand:
/// descriptor 0 is the channel to the monitor.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Listen on the socket that systemd hands over, and start a leader for each connection to it
    #[arg(long, conflicts_with = "standalone")]
    pub listen: bool,
    /// No systemd: sessions without logind
    #[arg(long)]
    pub standalone: bool,
    /// Where the sockets are
    #[arg(long, value_name = "DIR", default_value = "/run/wrd-dm")]
    pub runtime_dir: PathBuf,
    /// Where it is kept which session each user chose last
    #[arg(long, value_name = "DIR", default_value = "/var/lib/wrd-dm")]
    pub state_dir: PathBuf,
    /// Where wrd-dm.toml is
    #[arg(long, value_name = "DIR", default_value = "/etc/wrd-dm")]
    pub config_dir: PathBuf,
    /// Instead of PAM: the user who runs this, with the password that can be read from this descriptor
    #[arg(long, value_name = "FD", requires = "standalone")]
    pub one_time_password_fd: Option<RawFd>,
}

impl Options {
    pub fn place(&self) -> Place {
        if self.standalone { Place::Standalone } else { Place::System }
    }

    /// Who says yes or no to a login.
    pub fn authority(&self) -> anyhow::Result<Authority> {
        if let Some(number) = self.one_time_password_fd {
            let password = OneTimePassword::read(number).context("cannot read the one-time password")?;
            return Ok(Authority::OneTimePassword(password));
        }
        anyhow::ensure!(nix::unistd::geteuid().is_root(), "PAM logins need root");
        let service = match self.place() {
            Place::System => SERVICE,
            Place::Standalone => installed_service(&[Path::new("/etc/pam.d"), Path::new("/usr/lib/pam.d")]),
        };
        Ok(Authority::Pam { service })
    }
}

/// Where this leader lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Started by the listener: a session is one that logind knows.
    System,
    /// Started by a stand-alone monitor: there need be no logind.
    Standalone,
}

/// Our own PAM service where it is installed; a stand-alone server may run without any installation.
fn installed_service(folders: &[&Path]) -> &'static str {
    if folders.iter().any(|folder| folder.join(SERVICE).is_file()) {
        return SERVICE;
    }
    tracing::warn!("no PAM service {SERVICE} is installed, using {FALLBACK_SERVICE}");
    FALLBACK_SERVICE
}

const SERVICE: &str = "wrd-dm";
const FALLBACK_SERVICE: &str = "login";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn our_service_is_used_where_it_is_installed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(installed_service(&[folder.path()]), FALLBACK_SERVICE);
        std::fs::write(folder.path().join(SERVICE), "").unwrap();
        assert_eq!(installed_service(&[folder.path()]), SERVICE);
    }
}
