//! Small files of ours that must be whole: written beside their place and moved there once they are safely on the
//! disk, read up to a limit.

use nix::errno::Errno;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    Owner,
    All,
}

/// Writes `bytes` so that `path` is afterwards either untouched or whole, whatever fails.
pub fn save(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let beside = beside(path)?;
    let written = write_new(&beside, bytes, readers).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one to tell; what is left over would only be a stray file.
        let _ = fs::remove_file(&beside);
    }
    written?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// A regular file of at most `most` bytes.
pub fn read(path: &Path, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // A pipe in its place must not hang the start.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Errno::EINVAL.into());
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(most).unwrap_or(usize::MAX).saturating_add(1)));
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it is longer than {most} bytes")));
    }
    Ok(bytes)
}

/// A dot in front, so that nobody takes it for what it is not yet; short, as the name may have its full length.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let number = getrandom::u64().map_err(|_| Errno::EIO)?;
    Ok(path.with_file_name(format!(".{number:016x}.new")))
}

fn write_new(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    if readers == Readers::All {
        // Whatever the umask is.
        file.set_permissions(Permissions::from_mode(0o644))?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_failed_save_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.pem");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "").unwrap();
        assert!(save(&path, b"text", Readers::Owner).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_was_saved_is_read_and_private_unless_it_is_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x".repeat(255));
        for (text, readers, expected) in [("one", Readers::All, 0o644), ("two", Readers::Owner, 0o600)] {
            save(&path, text.as_bytes(), readers).unwrap();
            assert_eq!(read(&path, 3).unwrap().as_slice(), text.as_bytes());
            assert_eq!(mode(&path), expected);
        }
        assert!(read(&path, 2).unwrap_err().to_string().contains("longer than 2 bytes"));
        assert!(read(dir.path(), 100).unwrap_err().to_string().contains("Invalid argument"));
    }
}
