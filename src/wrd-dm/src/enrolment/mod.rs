//! The store of NT hashes: an entry, sealed, for each user who can log in by NLA.
//!
//! Always true: an entry is only ever used under the name and the uid that it was sealed for; a damaged one costs its
//! user NLA and nobody anything else; whether there is an entry is not told by the time that a look takes. An entry lets
//! nobody in: PAM is asked afterwards. Deliberately absent: passwords, and the name service; that a name is a user's has
//! to be in the machine's own `/etc/passwd`, or known from a session that PAM let in, or be root's word.

mod accounts;
mod control;

pub use control::answer;

use accounts::{Accounts, Claim};
use anyhow::Context;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use wrd_enrol::{Entry, EntryError, EntryName, MAX_KEY_TEXT, NtHash, PrivateKey};
use wrd_sys::files::{self, Readers};

/// The entries of one server.
pub struct Store {
    places: Places,
    /// Users with a lower uid are no people.
    min_uid: u32,
    accounts: Accounts,
    keys: Option<Keys>,
    index: Option<Index>,
    /// When users have last put one of their own.
    recent: BTreeMap<u32, Instant>,
    /// Entries and other things that the journal has been told about.
    told: BTreeSet<String>,
}

/// Where its files are.
#[derive(Clone, Debug)]
pub struct Places {
    state_dir: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`: what is there counts before the file.
    credentials: Option<PathBuf>,
    passwd: PathBuf,
}

/// What was looked up.
#[derive(Clone, Debug)]
pub struct Enrolled {
    pub uid: u32,
    pub name: EntryName,
    pub hash: NtHash,
}

/// An entry for those who list them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: EntryName,
    /// `None` where the entry has not even the form of one.
    pub uid: Option<u32>,
    /// Whether it opens.
    pub good: bool,
}

/// On whose word a name is an account's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Root's, or PAM's.
    Trusted,
    /// The user's own.
    Own,
}

/// Why an entry was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    #[error("{0:?} is {1}")]
    Name(String, wrd_enrol::BadName),
    #[error("the entry cannot be used: {0}")]
    Entry(EntryError),
    #[error("the entry was made for uid {0}")]
    ForAnother(u32),
    #[error("users with a uid below {0} are not enrolled (enrol_min_uid in wrd-dm.toml)")]
    System(u32),
    #[error("{0} is not the name of your account")]
    NotYourName(EntryName),
    #[error(
        "wrd-dm does not know your account yet: log in over RDP and enrol in that session, or ask the administrator"
    )]
    Unknown,
    #[error("{0:#}")]
    Failed(anyhow::Error),
}

/// Names, and the uids that their entries say, so that a user who asks again and again costs one look at the folder.
/// Every writer replaces entries, which changes it. What an entry is worth is always read from itself.
struct Index {
    changed: SystemTime,
    uids: BTreeMap<EntryName, Option<u32>>,
}

struct Keys {
    private: PrivateKey,
    /// Opened in place of entries that are not there.
    nobody: (Entry, EntryName),
}

impl Places {
    pub fn below(state_dir: &Path) -> Self {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        Self { state_dir: state_dir.to_owned(), credentials, passwd: PathBuf::from("/etc/passwd") }
    }

    fn folder(&self) -> PathBuf {
        self.state_dir.join("nthash")
    }

    fn entry(&self, name: &EntryName) -> PathBuf {
        self.folder().join(&**name)
    }

    fn private_key(&self) -> PathBuf {
        self.state_dir.join("nthash.key")
    }

    fn public_key(&self) -> PathBuf {
        self.state_dir.join("nthash.pub")
    }
}

impl Store {
    /// Opens it, and makes folder and keys where they are missing, so that the PAM module has something to seal to.
    /// Where that fails the journal is told, nobody is enrolled, and it is tried again when it is needed.
    pub fn open(places: Places, min_uid: u32) -> Self {
        let accounts = Accounts::of(&places.passwd);
        let mut store =
            Self { places, min_uid, accounts, keys: None, index: None, recent: BTreeMap::new(), told: BTreeSet::new() };
        if let Err(error) = store.make_folder() {
            tracing::error!("nobody can be enrolled for NLA: {error:#}");
        } else {
            store.sweep();
        }
        store.has_keys();
        store
    }

    pub fn set_min_uid(&mut self, min_uid: u32) {
        self.min_uid = min_uid;
    }

    /// The entry of `name`, if it opens and is that account's. It takes as long where there is none.
    pub fn lookup(&mut self, name: &str) -> Option<Enrolled> {
        if !self.has_keys() {
            return None;
        }
        let name = EntryName::try_from(name).ok();
        let found = name.and_then(|name| Some((self.read(&name)?, name)));
        let keys = self.keys.as_ref()?;
        let Some((Ok(entry), name)) = found else {
            // As long as for one that is there.
            let (entry, nobody) = &keys.nobody;
            let _ = std::hint::black_box(entry.open(&keys.private, nobody));
            if let Some((Err(error), name)) = found {
                self.tell_damage(&name, &error);
            }
            return None;
        };
        let uid = entry.uid();
        let hash = match entry.open(&keys.private, &name) {
            Ok(hash) => hash,
            Err(error) => {
                self.tell_damage(&name, &error);
                return None;
            }
        };
        self.told.remove(&*name);
        if uid < self.min_uid {
            return None;
        }
        if self.accounts.judge(uid, &name) == Claim::False {
            self.reap(&name, uid, "the account has another uid now, or another name");
            return None;
        }
        Some(Enrolled { uid, name, hash })
    }

    /// Takes an entry that was sealed for `uid` and `name`. Where it fails the old one stays.
    pub fn put(&mut self, word: Word, uid: u32, name: &str, sealed: &[u8]) -> Result<(), PutError> {
        let name = EntryName::try_from(name).map_err(|error| PutError::Name(name.to_owned(), error))?;
        let entry = Entry::parse(sealed).map_err(PutError::Entry)?;
        if entry.uid() != uid {
            return Err(PutError::ForAnother(entry.uid()));
        }
        if uid < self.min_uid {
            return Err(PutError::System(self.min_uid));
        }
        let keys = self.keys().map_err(PutError::Failed)?;
        entry.open(&keys.private, &name).map_err(PutError::Entry)?;
        if word == Word::Own {
            match self.accounts.judge(uid, &name) {
                Claim::True => {}
                Claim::False => return Err(PutError::NotYourName(name)),
                Claim::Unknown => return Err(PutError::Unknown),
            }
        }
        self.write(&name, sealed).map_err(PutError::Failed)?;
        self.told.remove(&*name);
        Ok(())
    }

    /// Whether a user may put an entry again: each of them waits for the disk.
    pub fn may_put(&mut self, uid: u32, now: Instant) -> bool {
        self.recent.retain(|_, last| now.saturating_duration_since(*last) < PAUSE);
        if self.recent.contains_key(&uid) {
            return false;
        }
        self.recent.insert(uid, now);
        true
    }

    /// Removes the entry of `name`; whether there was one.
    pub fn forget(&mut self, name: &str) -> anyhow::Result<bool> {
        let Ok(name) = EntryName::try_from(name) else { return Ok(false) };
        self.told.remove(&*name);
        let path = self.places.entry(&name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", path.display())),
        }
    }

    /// PAM has let `uid` in as `name`: an entry that says otherwise is somebody else's, or of an account that was.
    pub fn logged_in(&mut self, uid: u32, name: &str) {
        let Ok(name) = EntryName::try_from(name) else { return };
        if let Some(Ok(entry)) = self.read(&name)
            && entry.uid() != uid
        {
            self.reap(&name, entry.uid(), "PAM knows the account by another uid");
        }
    }

    /// The entries of the uids that are `wanted`, by name; `None` is asked for one that does not say.
    pub fn list(&mut self, wanted: impl Fn(Option<u32>) -> bool) -> Vec<Listed> {
        let has_keys = self.has_keys();
        let mut listed = Vec::new();
        for name in self.names(wanted) {
            let Some(entry) = self.read(&name) else { continue };
            let uid = entry.as_ref().map(Entry::uid).ok();
            let opened = match (&entry, &self.keys) {
                (Ok(entry), Some(keys)) => entry.open(&keys.private, &name).map(drop),
                (Ok(_), None) => Err(EntryError::Closed),
                (Err(error), _) => Err(*error),
            };
            // Without keys that has been told already, and not of each.
            if let (Err(error), true) = (&opened, has_keys) {
                self.tell_damage(&name, error);
            }
            listed.push(Listed { name, uid, good: opened.is_ok() });
        }
        listed
    }

    /// The names that `uid` has entries under. Looks at what entries say of themselves only.
    pub fn names_of(&mut self, uid: u32) -> Vec<EntryName> {
        self.names(|own| own == Some(uid))
    }

    pub fn count(&mut self) -> usize {
        self.names(|_| true).len()
    }

    /// What entries have to be sealed to.
    pub fn public_key(&mut self) -> anyhow::Result<String> {
        Ok(self.keys()?.private.public().encode())
    }

    fn write(&self, name: &EntryName, bytes: &[u8]) -> anyhow::Result<()> {
        self.make_folder()?;
        let path = self.places.entry(name);
        files::save(&path, bytes, Readers::Owner).with_context(|| format!("cannot write {}", path.display()))
    }

    /// `None` where there is no such entry.
    fn read(&self, name: &EntryName) -> Option<Result<Entry, EntryError>> {
        let path = self.places.entry(name);
        match files::read(&path, MAX_ENTRY) {
            Ok(bytes) => Some(Entry::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(Err(EntryError::Version)),
        }
    }

    /// Names of the entries whose uids are `wanted`, in order. What else is in the folder is not ours.
    fn names(&mut self, wanted: impl Fn(Option<u32>) -> bool) -> Vec<EntryName> {
        let changed = fs::metadata(self.places.folder()).and_then(|folder| folder.modified());
        let index = match self.index.take() {
            Some(index) if changed.as_ref().is_ok_and(|changed| *changed == index.changed) => index,
            _ => Index { changed: changed.unwrap_or(SystemTime::UNIX_EPOCH), uids: self.uids() },
        };
        let names = index.uids.iter().filter(|(_, uid)| wanted(**uid)).map(|(name, _)| name.clone()).collect();
        // What changes within one tick of the clock, the time of the folder does not tell.
        if index.changed.elapsed().is_ok_and(|age| age > TICKS) {
            self.index = Some(index);
        }
        names
    }

    fn uids(&self) -> BTreeMap<EntryName, Option<u32>> {
        let Ok(listing) = fs::read_dir(self.places.folder()) else { return BTreeMap::new() };
        let name = |name: OsString| name.to_str().and_then(|name| EntryName::try_from(name).ok());
        let names = listing.flatten().filter_map(|item| name(item.file_name()));
        let with_uid = |name: EntryName| Some((self.read(&name)?.ok().map(|entry| entry.uid()), name));
        names.filter_map(with_uid).map(|(uid, name)| (name, uid)).collect()
    }

    fn reap(&mut self, name: &EntryName, uid: u32, why: &str) {
        match self.forget(name) {
            Ok(false) => {}
            Ok(true) => tracing::warn!("enrolment removed: {why}; user={:?} uid={uid}", &**name),
            Err(error) => self.tell_once(name, &format!("enrolment cannot be removed ({why}): {error:#}")),
        }
    }

    fn tell_damage(&mut self, name: &EntryName, error: &EntryError) {
        let path = self.places.entry(name);
        self.tell_once(name, &format!("enrolment damaged, its user has no NLA: {}: {error}", path.display()));
    }

    fn tell_once(&mut self, about: &str, text: &str) {
        if self.told.insert(about.to_owned()) {
            tracing::warn!("{text}");
        }
    }

    fn make_folder(&self) -> anyhow::Result<()> {
        let folder = self.places.folder();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.with_context(|| format!("cannot make the folder {}", folder.display()))
    }

    /// Removes what writers have left behind that were interrupted.
    fn sweep(&self) {
        let Ok(listing) = fs::read_dir(self.places.folder()) else { return };
        for item in listing.flatten().filter(|item| item.file_name().as_encoded_bytes().starts_with(b".")) {
            let age = item.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
            if matches!(age, Ok(Ok(age)) if age > WRITING) {
                let _ = fs::remove_file(item.path());
            }
        }
    }

    fn has_keys(&mut self) -> bool {
        match self.keys() {
            Ok(_) => true,
            Err(error) => {
                self.tell_once(".keys", &format!("nobody can be enrolled for NLA: {error:#}"));
                false
            }
        }
    }

    fn keys(&mut self) -> anyhow::Result<&Keys> {
        let keys = match self.keys.take() {
            Some(keys) => keys,
            None => Keys::load(&self.places)?,
        };
        self.told.remove(".keys");
        Ok(self.keys.insert(keys))
    }
}

impl Keys {
    /// The private key, made where there is none, and the public one beside it.
    fn load(places: &Places) -> anyhow::Result<Self> {
        let private = match &places.credentials.as_ref().map(|dir| dir.join(CREDENTIAL)) {
            Some(credential) if credential.try_exists().unwrap_or(false) => read_key(credential)?,
            _ => own_key(&places.private_key())?,
        };
        let public = private.public().encode();
        let path = places.public_key();
        let current = files::read(&path, MAX_KEY_TEXT as u64).ok();
        if current.as_deref().map(Vec::as_slice) != Some(public.as_bytes()) {
            files::save(&path, public.as_bytes(), Readers::All)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let name = EntryName::try_from("nobody").context("a name")?;
        let sealed = wrd_enrol::seal(&private.public(), 0, &name, &NtHash::from([0; NtHash::LEN]))?;
        let nobody = (Entry::parse(&sealed)?, name);
        Ok(Self { private, nobody })
    }
}

fn own_key(path: &Path) -> anyhow::Result<PrivateKey> {
    if path.try_exists().with_context(|| format!("cannot look for {}", path.display()))? {
        return read_key(path);
    }
    let key = PrivateKey::generate()?;
    files::save(path, key.encode().as_bytes(), Readers::Owner)
        .with_context(|| format!("cannot write {}", path.display()))?;
    tracing::info!("made the key of enrolments {}", path.display());
    Ok(key)
}

fn read_key(path: &Path) -> anyhow::Result<PrivateKey> {
    let text = files::read(path, MAX_KEY_TEXT as u64).with_context(|| format!("cannot read {}", path.display()))?;
    PrivateKey::decode(&text).with_context(|| format!("cannot use {}", path.display()))
}

/// A systemd credential of this name is the private key.
const CREDENTIAL: &str = "wrd-dm.nthash-key";
/// More than an entry has, so that a longer one is seen.
const MAX_ENTRY: u64 = 512;
/// Between two entries of a user's.
const PAUSE: Duration = Duration::from_secs(1);
/// Of the clock that file systems go by.
const TICKS: Duration = Duration::from_secs(1);
/// Longer than any writer takes.
const WRITING: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
