//! How this monitor runs: under systemd or stand-alone, and as whom its gates run.

use anyhow::{Context, bail};
use nix::unistd::{Uid, User, geteuid};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use wrd_config::Paths;
use zeroize::Zeroizing;

/// Who starts leaders, and what they ask.
pub enum Mode {
    /// Their listener starts them, they ask PAM.
    System,
    /// This monitor starts them.
    Standalone(Authority),
}

/// Whom a stand-alone leader asks.
pub enum Authority {
    Pam,
    /// For an ordinary user, who is then the only user there is.
    OneTimePassword(Zeroizing<String>),
}

/// As whom gates run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateUser {
    Own,
    Other { uid: u32, gid: u32 },
}

impl Mode {
    /// The owner of the sockets of session leaders.
    pub fn leader_uid(&self) -> Uid {
        match self {
            Self::System => Uid::from_raw(0),
            Self::Standalone(_) => geteuid(),
        }
    }

    pub fn is_standalone(&self) -> bool {
        matches!(self, Self::Standalone(_))
    }
}

impl GateUser {
    /// The system user made for it. Stand-alone, where that user is missing or cannot get at our
    /// programs, a gate is started with our own uid; where that is root its sandbox makes it `nobody`.
    pub fn choose(mode: &Mode, paths: &Paths) -> anyhow::Result<Self> {
        if mode.is_standalone() && !geteuid().is_root() {
            return Ok(Self::Own);
        }
        let found = User::from_name(GATE_USER).with_context(|| format!("cannot look up the user {GATE_USER}"))?;
        match (found, mode) {
            (Some(user), Mode::System) => Ok(Self::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() }),
            (Some(user), _) if open_to_all(&paths.libexec_dir.join("wrd-gate")) => {
                Ok(Self::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
            }
            (None, Mode::System) => {
                bail!("there is no user {GATE_USER}: `systemd-sysusers` makes it from /usr/lib/sysusers.d/wrd-dm.conf")
            }
            _ => {
                tracing::warn!("gates run as nobody, as there is no user {GATE_USER} that could run them");
                Ok(Self::Own)
            }
        }
    }
}

/// Whether any user can reach and run `program`.
fn open_to_all(program: &Path) -> bool {
    program.ancestors().all(|path| {
        path.as_os_str().is_empty() || std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & 0o001 != 0)
    })
}

const GATE_USER: &str = "wrd-gate";
