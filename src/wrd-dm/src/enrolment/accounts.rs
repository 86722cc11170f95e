//! What `/etc/passwd` says about who a name is. The monitor asks no name service: behind one there may be a directory,
//! and waiting for it.
//!
//! Accounts of a directory are not in it. Where this process sees a bind mount (as its unit has it) that is the file of
//! its start: once another has taken its place it vouches for those it has, and contradicts nobody any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The accounts of this machine, read again when the file has changed.
pub struct Accounts {
    path: PathBuf,
    /// Of the file that was read.
    state: Option<State>,
    uids: BTreeMap<String, u32>,
    replaced: bool,
}

/// Whether a name and a uid are one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// They are.
    True,
    /// The name is another uid's, or the uid has another name.
    False,
    /// Neither is known here.
    Unknown,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Accounts {
    pub fn of(path: &Path) -> Self {
        let mut accounts = Self { path: path.to_owned(), state: None, uids: BTreeMap::new(), replaced: false };
        accounts.refresh();
        accounts
    }

    pub fn judge(&mut self, uid: u32, name: &str) -> Claim {
        self.refresh();
        match self.uids.get(name) {
            Some(own) if *own == uid => Claim::True,
            _ if self.replaced => Claim::Unknown,
            Some(_) => Claim::False,
            None if self.uids.values().any(|other| *other == uid) => Claim::False,
            None => Claim::Unknown,
        }
    }

    fn refresh(&mut self) {
        match fs::metadata(&self.path) {
            Ok(metadata) => {
                // Without a name it has been replaced, where we cannot see by what.
                self.replaced = metadata.nlink() == 0;
                if self.replaced || self.state == Some(State::of(&metadata)) {
                    return;
                }
                match read(&self.path) {
                    Ok(text) => {
                        self.uids = parse(&text);
                        self.state = Some(State::of(&metadata));
                    }
                    Err(_) => self.forget(),
                }
            }
            Err(_) => self.forget(),
        }
    }

    fn forget(&mut self) {
        self.state = None;
        self.uids.clear();
    }
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        Self { inode: metadata.ino(), size: metadata.size(), changed: (metadata.ctime(), metadata.ctime_nsec()) }
    }
}

fn read(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&wrd_sys::files::read(path, MAX_FILE)?).into_owned())
}

/// Names and uids; the first line of a name counts, as for the C library.
fn parse(text: &str) -> BTreeMap<String, u32> {
    let mut uids = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(_), Some(uid)) = (fields.next(), fields.next(), fields.next()) else { continue };
        if let Ok(uid) = uid.parse()
            && seen.insert(name)
        {
            uids.insert(name.to_owned(), uid);
        }
    }
    uids
}

/// Two hundred thousand accounts.
const MAX_FILE: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n# a comment\n\
        +::::::\nbroken:x:\nbob:x:1001:1001::/:\nbob:x:1002:1002::/:\n";

    #[test]
    fn a_file_vouches_for_some_and_contradicts_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        fs::write(&path, PASSWD).unwrap();
        let mut accounts = Accounts::of(&path);
        assert_eq!(accounts.judge(1000, "alice"), Claim::True);
        assert_eq!(accounts.judge(1001, "alice"), Claim::False);
        assert_eq!(accounts.judge(1000, "mallory"), Claim::False);
        assert_eq!(accounts.judge(1001, "bob"), Claim::True);
        assert_eq!(accounts.judge(1002, "bob"), Claim::False);
        assert_eq!(accounts.judge(70_000, "ldap"), Claim::Unknown);
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_missing_one_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        let mut accounts = Accounts::of(&path);
        assert_eq!(accounts.judge(1000, "alice"), Claim::Unknown);
        fs::write(&path, PASSWD).unwrap();
        assert_eq!(accounts.judge(1000, "alice"), Claim::True);
        let new = dir.path().join("passwd+");
        fs::write(&new, PASSWD.replace("1000", "1007")).unwrap();
        fs::rename(&new, &path).unwrap();
        assert_eq!(accounts.judge(1000, "alice"), Claim::False);
        fs::remove_file(&path).unwrap();
        assert_eq!(accounts.judge(1000, "alice"), Claim::Unknown);
    }

    #[test]
    fn a_file_that_was_replaced_out_of_sight_vouches_and_contradicts_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        fs::write(&path, PASSWD).unwrap();
        let open = fs::File::open(&path).unwrap();
        // As a bind mount does, this name leads to the file and not to what takes its place.
        let mut accounts = Accounts::of(Path::new(&format!("/proc/self/fd/{}", open.as_raw_fd())));
        assert_eq!(accounts.judge(1001, "alice"), Claim::False);
        fs::remove_file(&path).unwrap();
        assert_eq!(accounts.judge(1000, "alice"), Claim::True);
        assert_eq!(accounts.judge(1001, "alice"), Claim::Unknown);
        assert_eq!(accounts.judge(1000, "mallory"), Claim::Unknown);
        assert_eq!(accounts.judge(70_000, "ldap"), Claim::Unknown);
    }
}
