//! Where configuration, sockets, state and our own programs are.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The folders of one running wrd-dm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `wrd-dm.toml` and `wrd-dm.toml.d/`.
    pub config_dir: PathBuf,
    /// Sockets: `control`, `leader`, `sessions/`.
    pub runtime_dir: PathBuf,
    /// What outlives a boot: `tls/`.
    pub state_dir: PathBuf,
    /// `wrd-gate`, `wrd-leader`, `wrd-session`.
    pub libexec_dir: PathBuf,
}

impl Paths {
    /// As installed.
    pub fn system() -> io::Result<Self> {
        Ok(Self {
            config_dir: SYSTEM_CONFIG.into(),
            runtime_dir: "/run/wrd-dm".into(),
            state_dir: "/var/lib/wrd-dm".into(),
            libexec_dir: libexec_dir()?,
        })
    }

    /// For `wrd-dm --standalone`: folders of the user who started it. The runtime folder is made where it has to be made under the temporary directory,
    /// because there its owner matters.
    pub fn standalone() -> io::Result<Self> {
        let home = std::env::home_dir().filter(|dir| dir.is_absolute());
        let below_home = |variable: &str, default: &str| {
            absolute(variable)
                .or_else(|| home.as_ref().map(|home| home.join(default)))
                .map(|dir| dir.join("wrd-dm"))
                .ok_or_else(|| io::Error::other(format!("neither ${variable} nor $HOME is set to an absolute path")))
        };
        let uid = own_uid()?;
        // Whom root serves must be able to read it, and root's home is closed to them.
        let config_dir = match uid == 0 && absolute("XDG_CONFIG_HOME").is_none() {
            true => SYSTEM_CONFIG.into(),
            false => below_home("XDG_CONFIG_HOME", ".config")?,
        };
        Ok(Self {
            config_dir,
            runtime_dir: standalone_runtime_dir(uid)?,
            state_dir: below_home("XDG_STATE_HOME", ".local/state")?,
            libexec_dir: libexec_dir()?,
        })
    }

    /// Where callers of `wrdctl` are answered.
    pub fn control_socket(&self) -> PathBuf {
        self.runtime_dir.join("control")
    }

    /// Where leaders are asked for.
    pub fn leader_socket(&self) -> PathBuf {
        self.runtime_dir.join("leader")
    }

    pub fn sessions_dir(&self) -> PathBuf {
        self.runtime_dir.join("sessions")
    }

    /// Where the leader of this uid's session listens.
    pub fn session_socket(&self, uid: u32) -> PathBuf {
        self.sessions_dir().join(format!("{uid}.sock"))
    }
}

/// `$XDG_RUNTIME_DIR/wrd-dm`, else a folder of our own under the temporary directory.
fn standalone_runtime_dir(uid: u32) -> io::Result<PathBuf> {
    if let Some(dir) = absolute("XDG_RUNTIME_DIR").filter(|dir| dir.is_dir()) {
        return Ok(dir.join("wrd-dm"));
    }
    let dir = std::env::temp_dir().join(format!("wrd-dm-{uid}"));
    private_dir(&dir, uid)?;
    Ok(dir)
}

/// Right only before a process makes itself undumpable, which gives its folder in /proc to root.
fn own_uid() -> io::Result<u32> {
    Ok(std::fs::metadata("/proc/self")?.uid())
}

const SYSTEM_CONFIG: &str = "/etc/wrd-dm";

/// Makes `dir` with mode 0700, or accepts it where it is already exactly that.
fn private_dir(dir: &Path, uid: u32) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = std::fs::symlink_metadata(dir)?;
    if metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!("{} is there but is not a private folder of yours", dir.display())))
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Our own folder where it holds the other programs (a build tree), else `../libexec/wrd-dm`.
fn libexec_dir() -> io::Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let here = executable.parent().unwrap_or(Path::new("/"));
    Ok(libexec_beside(here))
}

fn libexec_beside(here: &Path) -> PathBuf {
    if here.join("wrd-gate").is_file() {
        return here.to_owned();
    }
    here.parent().unwrap_or(Path::new("/")).join("libexec/wrd-dm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_a_build_tree_and_in_an_installed_one() {
        let root = tempfile::tempdir().unwrap();
        let sbin = root.path().join("sbin");
        std::fs::create_dir(&sbin).unwrap();
        assert_eq!(libexec_beside(&sbin), root.path().join("libexec/wrd-dm"));
        std::fs::write(sbin.join("wrd-gate"), "").unwrap();
        assert_eq!(libexec_beside(&sbin), sbin);
    }

    #[test]
    fn a_private_folder_is_made_once_and_must_be_private() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let uid = std::fs::metadata(root.path()).unwrap().uid();
        let dir = root.path().join("run");
        private_dir(&dir, uid).unwrap();
        private_dir(&dir, uid).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(private_dir(&dir, uid).is_err());
        let link = root.path().join("link");
        std::os::unix::fs::symlink(root.path(), &link).unwrap();
        assert!(private_dir(&link, uid).is_err());
    }
}
