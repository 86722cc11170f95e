//! The command line.

use clap::Parser;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Login server for remote desktops (RDP).
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// Run without systemd: listen by ourselves, start everything from the folder of this program
    ///
    /// As root every account can log in, with its password. As an ordinary user only that user can,
    /// with a one-time password that is printed at the start.
    #[arg(long)]
    pub standalone: bool,
    /// Where to listen; may be given several times [default: 127.0.0.1:3389]
    #[arg(long, value_name = "ADDR:PORT", requires = "standalone")]
    pub listen: Vec<SocketAddr>,
    /// Where wrd-dm.toml is [default: /etc/wrd-dm; for an ordinary user's own server ~/.config/wrd-dm]
    #[arg(long, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,
    /// Look through the configuration, say what is wrong with it, and exit
    #[arg(long, conflicts_with = "print_fingerprint")]
    pub check_config: bool,
    /// Print the SHA-256 fingerprint of the host certificate, and exit
    #[arg(long)]
    pub print_fingerprint: bool,
}

/// Where a stand-alone server listens unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3389);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
