//! The store of entries as a writer sees it: a public key, and a folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use wrd_enrol::{EntryName, MAX_KEY_TEXT, NtHash, PublicKey};

/// Where the service keeps it (`wrd_config::Paths::system`).
pub const STATE_DIR: &str = "/var/lib/wrd-dm";

/// Whose entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: EntryName,
    pub uid: u32,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("cannot read {path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("cannot use {path}: {error}")]
    Key { path: PathBuf, error: wrd_enrol::KeyError },
    #[error("cannot write {path}: {error}")]
    Write { path: PathBuf, error: io::Error },
    #[error("cannot seal: {0}")]
    Seal(#[from] wrd_enrol::SealError),
}

impl Trouble {
    /// Whether this is no fault: the program is not root, as with a locked screen, or wrd-dm has never run.
    pub fn is_expected(&self) -> bool {
        match self {
            Self::Read { error, .. } => error.kind() == io::ErrorKind::NotFound,
            Self::Write { error, .. } => error.kind() == io::ErrorKind::PermissionDenied,
            _ => false,
        }
    }
}

/// Seals `hash` and keeps it. Where it fails the old entry stays.
pub fn enrol(state_dir: &Path, user: &User, hash: &NtHash) -> Result<(), Trouble> {
    let sealed = wrd_enrol::seal(&public_key(state_dir)?, user.uid, &user.name, hash)?;
    let path = entry(state_dir, user);
    save(&path, &sealed).map_err(|error| Trouble::Write { path, error })
}

/// Removes the entry of a password that is no more.
pub fn forget(state_dir: &Path, user: &User) {
    // Where it stays it is only out of date, and removed when it is next used.
    let _ = fs::remove_file(entry(state_dir, user));
}

fn entry(state_dir: &Path, user: &User) -> PathBuf {
    state_dir.join("nthash").join(&*user.name)
}

fn public_key(state_dir: &Path) -> Result<PublicKey, Trouble> {
    let path = state_dir.join("nthash.pub");
    let read = || -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        OpenOptions::new().read(true).open(&path)?.take(MAX_KEY_TEXT as u64).read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|error| Trouble::Read { path: path.clone(), error })?;
    PublicKey::decode(&text).map_err(|error| Trouble::Key { path, error })
}

/// Writes it beside its place, with a dot in front, and moves it there.
fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let number = getrandom::u64().map_err(io::Error::other)?;
    let beside = path.with_file_name(format!(".{number:016x}.new"));
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use wrd_enrol::{Entry, PrivateKey};

    fn alice() -> User {
        User { name: EntryName::try_from("alice").unwrap(), uid: 1000 }
    }

    fn hash(password: &str) -> NtHash {
        NtHash::of_password(password.as_bytes()).unwrap()
    }

    #[test]
    fn an_entry_is_written_privately_and_opens_with_the_servers_key() {
        let dir = tempfile::tempdir().unwrap();
        let error = enrol(dir.path(), &alice(), &hash("one")).unwrap_err();
        assert!(error.is_expected(), "{error}");
        let key = PrivateKey::generate().unwrap();
        fs::write(dir.path().join("nthash.pub"), key.public().encode()).unwrap();
        fs::create_dir(dir.path().join("nthash")).unwrap();
        for password in ["one", "two"] {
            enrol(dir.path(), &alice(), &hash(password)).unwrap();
            let path = dir.path().join("nthash/alice");
            let entry = Entry::parse(&fs::read(&path).unwrap()).unwrap();
            assert_eq!(entry.uid(), 1000);
            assert_eq!(entry.open(&key, &alice().name).unwrap().expose(), hash(password).expose());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        }
        assert_eq!(fs::read_dir(dir.path().join("nthash")).unwrap().count(), 1);
        forget(dir.path(), &alice());
        forget(dir.path(), &alice());
        assert_eq!(fs::read_dir(dir.path().join("nthash")).unwrap().count(), 0);
    }

    #[test]
    fn what_goes_wrong_is_named_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nthash.pub"), "rubbish").unwrap();
        let error = enrol(dir.path(), &alice(), &hash("x")).unwrap_err();
        assert!(error.to_string().contains("nthash.pub") && !error.is_expected(), "{error}");
        let key = PrivateKey::generate().unwrap();
        fs::write(dir.path().join("nthash.pub"), key.public().encode()).unwrap();
        let error = enrol(dir.path(), &alice(), &hash("x")).unwrap_err();
        assert!(error.to_string().contains("nthash/alice") && !error.is_expected(), "{error}");
        fs::create_dir_all(dir.path().join("nthash/alice/x")).unwrap();
        assert!(enrol(dir.path(), &alice(), &hash("x")).is_err());
        assert_eq!(fs::read_dir(dir.path().join("nthash")).unwrap().count(), 1);
    }
}
