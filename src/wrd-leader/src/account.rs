//! Who a name is: the account behind what was typed, as the system's user database has it.

use nix::unistd::{AccessFlags, Uid, User, access};
use std::path::{Path, PathBuf};

pub use wrd_proto::names::meanings;

/// A user of this system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub home: PathBuf,
    pub shell: PathBuf,
}

impl Account {
    /// The account of this very name.
    pub fn named(name: &str) -> nix::Result<Option<Self>> {
        Ok(User::from_name(name)?.map(Self::from))
    }

    /// The user who runs this process.
    pub fn own() -> nix::Result<Option<Self>> {
        Ok(User::from_uid(Uid::effective())?.map(Self::from))
    }

    /// Whether a session can start with this account's shell. A shell that says no, or that is not
    /// there, is how administrators keep an account from logging in; the text is for the user.
    pub fn check_shell(&self) -> Result<(), String> {
        let name = self.shell.file_name().unwrap_or_default();
        if name == "nologin" || name == "false" {
            return Err(format!("The account {} may not log in: its shell is {}.", self.name, self.shell.display()));
        }
        if !self.shell.is_file() || access(&self.shell, AccessFlags::X_OK).is_err() {
            return Err(format!("The shell of {}, {}, cannot be run.", self.name, self.shell.display()));
        }
        Ok(())
    }
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        // An empty shell field means /bin/sh (passwd(5)).
        let shell = if user.shell.as_os_str().is_empty() { PathBuf::from(DEFAULT_SHELL) } else { user.shell };
        Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), home: user.dir, shell }
    }
}

pub const DEFAULT_SHELL: &str = "/bin/sh";

/// Whether `path` is a folder of `uid`'s that nobody else can enter.
pub fn is_private_folder(path: &Path, uid: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).is_ok_and(|m| m.is_dir() && m.uid() == uid && m.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_that_says_no_or_is_not_there_keeps_out() {
        let with = |shell: &str| Account { name: "a".into(), uid: 1, gid: 1, home: "/".into(), shell: shell.into() };
        assert!(with("/bin/sh").check_shell().is_ok());
        for shell in ["/usr/sbin/nologin", "/bin/false", "/nonexistent", "/etc/passwd", "/etc"] {
            assert!(with(shell).check_shell().is_err(), "{shell}");
        }
    }
}
