//! The store against its files: who may put what, and what becomes of entries that are not right.

use super::*;
use crate::control::Caller;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::SystemTime;
use tempfile::TempDir;
use wrd_enrol::PublicKey;
use wrd_proto::UserName;
use wrd_proto::control::{Request, Response};

const PASSWD: &str = "root:x:0:0::/:\nalice:x:1000:1000::/:\nbob:x:1001:1001::/:\n";
const MIN: u32 = 1000;

struct Stage {
    dir: TempDir,
    places: Places,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("passwd"), PASSWD).unwrap();
        let places = Places {
            state_dir: dir.path().join("state"),
            credentials: Some(dir.path().join("credentials")),
            passwd: dir.path().join("passwd"),
        };
        Self { dir, places }
    }

    fn open(&self) -> Store {
        Store::open(self.places.clone(), MIN)
    }

    fn entry(&self, name: &str) -> PathBuf {
        self.places.entry(&EntryName::try_from(name).unwrap())
    }
}

fn hash(password: &str) -> NtHash {
    NtHash::of_password(password.as_bytes()).unwrap()
}

fn sealed(store: &mut Store, uid: u32, name: &str, password: &str) -> Vec<u8> {
    let key = PublicKey::decode(store.public_key().unwrap().as_bytes()).unwrap();
    wrd_enrol::seal(&key, uid, &EntryName::try_from(name).unwrap(), &hash(password)).unwrap()
}

fn put(store: &mut Store, word: Word, uid: u32, name: &str, password: &str) -> Result<(), PutError> {
    let bytes = sealed(store, uid, name, password);
    store.put(word, uid, name, &bytes)
}

fn by_user(store: &mut Store, uid: u32, name: &str) -> Result<(), PutError> {
    put(store, Word::Own, uid, name, "pw")
}

fn found(store: &mut Store, name: &str) -> Option<(u32, [u8; 16])> {
    store.lookup(name).map(|enrolled| (enrolled.uid, *enrolled.hash.expose()))
}

#[test]
fn what_was_put_is_found_by_this_monitor_and_the_next() {
    let stage = Stage::new();
    let mut store = stage.open();
    assert_eq!(found(&mut store, "alice"), None);
    put(&mut store, Word::Own, 1000, "alice", "one").unwrap();
    assert_eq!(found(&mut store, "alice"), Some((1000, *hash("one").expose())));
    put(&mut store, Word::Own, 1000, "alice", "two").unwrap();
    assert_eq!(found(&mut stage.open(), "alice"), Some((1000, *hash("two").expose())));
    assert_eq!(found(&mut store, "Alice"), None);
    assert!(store.forget("alice").unwrap());
    assert!(!store.forget("alice").unwrap());
    assert_eq!(found(&mut store, "alice"), None);
}

#[test]
fn files_are_private_but_for_the_public_key() {
    let stage = Stage::new();
    by_user(&mut stage.open(), 1000, "alice").unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(stage.places.folder()), 0o700);
    assert_eq!(mode(stage.entry("alice")), 0o600);
    assert_eq!(mode(stage.places.private_key()), 0o600);
    assert_eq!(mode(stage.places.public_key()), 0o644);
    assert_eq!(fs::read_dir(stage.places.folder()).unwrap().count(), 1);
}

#[test]
fn a_user_enrols_under_their_own_name_and_no_other() {
    let stage = Stage::new();
    let mut store = stage.open();
    for (uid, name) in [(1001, "alice"), (1001, "mallory"), (70_000, "alice")] {
        assert!(matches!(by_user(&mut store, uid, name), Err(PutError::NotYourName(_))), "{uid} {name}");
    }
    // What /etc/passwd does not know takes the word of somebody else.
    assert!(matches!(by_user(&mut store, 70_000, "carol"), Err(PutError::Unknown)));
    put(&mut store, Word::Trusted, 70_000, "carol", "pw").unwrap();
    assert!(matches!(by_user(&mut store, 70_001, "carol"), Err(PutError::Unknown)));
    assert_eq!(found(&mut store, "carol").unwrap().0, 70_000);
    by_user(&mut store, 1000, "alice").unwrap();
    let uids: Vec<_> = store.list(|_| true).into_iter().map(|listed| listed.uid).collect();
    assert_eq!(uids, [Some(1000), Some(70_000)]);
}

#[test]
fn users_wait_a_second_between_two_entries() {
    let mut store = Stage::new().open();
    let start = Instant::now();
    assert!(store.may_put(1000, start) && store.may_put(1001, start));
    assert!(!store.may_put(1000, start + PAUSE / 2));
    assert!(store.may_put(1000, start + PAUSE));
    assert_eq!(store.recent.len(), 1);
}

#[test]
fn an_entry_for_somebody_else_or_of_something_else_is_refused_and_the_old_one_stays() {
    let stage = Stage::new();
    let mut store = stage.open();
    by_user(&mut store, 1000, "alice").unwrap();
    let before = fs::read(stage.entry("alice")).unwrap();
    let bobs = sealed(&mut store, 1001, "bob", "pw");
    let other_name = sealed(&mut store, 1000, "bob", "pw");
    let other_key = {
        let key = PrivateKey::generate().unwrap().public();
        wrd_enrol::seal(&key, 1000, &EntryName::try_from("alice").unwrap(), &hash("pw")).unwrap()
    };
    assert!(matches!(store.put(Word::Own, 1000, "alice", &bobs), Err(PutError::ForAnother(1001))));
    for bytes in [&other_name[..], &other_key, &other_name[..50], b""] {
        assert!(matches!(store.put(Word::Trusted, 1000, "alice", bytes), Err(PutError::Entry(_))));
    }
    for name in ["", "..", "../alice", ".x", "a\0b"] {
        assert!(matches!(store.put(Word::Trusted, 1000, name, &before), Err(PutError::Name(..))));
        assert!(found(&mut store, name).is_none());
        assert!(!store.forget(name).unwrap());
    }
    assert_eq!(fs::read(stage.entry("alice")).unwrap(), before);
}

#[test]
fn system_users_are_not_enrolled_whoever_asks() {
    let stage = Stage::new();
    let mut store = stage.open();
    for word in [Word::Trusted, Word::Own] {
        assert!(matches!(put(&mut store, word, 0, "root", "pw"), Err(PutError::System(MIN))));
    }
    assert!(matches!(put(&mut store, Word::Trusted, 999, "daemon", "pw"), Err(PutError::System(MIN))));
    // Nor does an entry count that was made when they could be.
    store.set_min_uid(0);
    put(&mut store, Word::Trusted, 0, "root", "pw").unwrap();
    assert!(found(&mut store, "root").is_some());
    store.set_min_uid(MIN);
    assert!(found(&mut store, "root").is_none());
}

#[test]
fn a_damaged_entry_is_that_users_only_and_replaced_by_the_next() {
    let stage = Stage::new();
    let mut store = stage.open();
    by_user(&mut store, 1000, "alice").unwrap();
    by_user(&mut store, 1001, "bob").unwrap();
    let good = fs::read(stage.entry("alice")).unwrap();
    let bobs = fs::read(stage.entry("bob")).unwrap();
    for damaged in [&b""[..], &good[..70], &[0; 600], &bobs, &[&good[..83], &[good[83] ^ 1]].concat()] {
        fs::write(stage.entry("alice"), damaged).unwrap();
        assert!(found(&mut store, "alice").is_none());
        assert_eq!(store.told.iter().collect::<Vec<_>>(), ["alice"], "told once");
        assert!(!store.list(|_| true).iter().find(|listed| &*listed.name == "alice").unwrap().good);
        assert!(found(&mut store, "bob").is_some());
        by_user(&mut store, 1000, "alice").unwrap();
        assert!(found(&mut store, "alice").is_some());
        assert!(store.told.is_empty());
    }
    fs::remove_file(stage.entry("alice")).unwrap();
    fs::create_dir(stage.entry("alice")).unwrap();
    assert!(found(&mut store, "alice").is_none());
    assert!(by_user(&mut store, 1000, "alice").is_err());
}

#[test]
fn entries_of_accounts_that_are_not_there_any_more_are_reaped() {
    let stage = Stage::new();
    let mut store = stage.open();
    by_user(&mut store, 1000, "alice").unwrap();
    by_user(&mut store, 1001, "bob").unwrap();
    put(&mut store, Word::Trusted, 70_000, "carol", "pw").unwrap();
    // The uid is reused by another name, the name by another uid.
    fs::write(&stage.places.passwd, "eve:x:1000:1000::/:\nbob:x:1005:1005::/:\n").unwrap();
    assert!(found(&mut store, "alice").is_none() && found(&mut store, "bob").is_none());
    assert!(!stage.entry("alice").exists() && !stage.entry("bob").exists());
    // And what no file knows is known to PAM.
    store.logged_in(70_000, "carol");
    assert!(found(&mut store, "carol").is_some());
    store.logged_in(70_009, "carol");
    assert!(!stage.entry("carol").exists());
    store.logged_in(7, "../../etc/passwd");
}

#[test]
fn a_key_is_made_once_and_a_credential_counts_before_it() {
    let stage = Stage::new();
    let own = stage.open().public_key().unwrap();
    assert_eq!(stage.open().public_key().unwrap(), own);
    assert_eq!(fs::read_to_string(stage.places.public_key()).unwrap(), own);

    let key = PrivateKey::generate().unwrap();
    let folder = stage.dir.path().join("credentials");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join(CREDENTIAL), key.encode().as_bytes()).unwrap();
    let mut store = stage.open();
    assert_eq!(store.public_key().unwrap(), key.public().encode());
    assert_eq!(fs::read_to_string(stage.places.public_key()).unwrap(), key.public().encode());
    by_user(&mut store, 1000, "alice").unwrap();

    // Without it there is the old key again, which opens nothing of it.
    fs::remove_file(folder.join(CREDENTIAL)).unwrap();
    assert!(found(&mut stage.open(), "alice").is_none());
}

#[test]
fn without_a_key_nobody_is_enrolled_until_there_is_one() {
    let stage = Stage::new();
    fs::create_dir(&stage.places.state_dir).unwrap();
    fs::write(stage.places.private_key(), "rubbish").unwrap();
    let mut store = stage.open();
    assert!(found(&mut store, "alice").is_none());
    let error = format!("{:#}", store.public_key().unwrap_err());
    assert!(error.contains("nthash.key") && error.contains("no such key"), "{error}");
    assert!(matches!(store.put(Word::Trusted, 1000, "alice", &[0; 84]), Err(PutError::Entry(_))));
    fs::remove_file(stage.places.private_key()).unwrap();
    by_user(&mut store, 1000, "alice").unwrap();
    assert!(found(&mut store, "alice").is_some());
}

#[test]
fn what_interrupted_writers_leave_is_swept_and_no_entry() {
    let stage = Stage::new();
    by_user(&mut stage.open(), 1000, "alice").unwrap();
    let (old, new) = (stage.places.folder().join(".1.new"), stage.places.folder().join(".2.new"));
    for path in [&old, &new] {
        fs::write(path, "x").unwrap();
    }
    let hour = SystemTime::now() - Duration::from_secs(3600);
    fs::File::options().write(true).open(&old).unwrap().set_modified(hour).unwrap();
    let mut store = stage.open();
    assert!(!old.exists() && new.exists());
    assert_eq!((store.count(), store.list(|_| true).len()), (1, 1));
    assert_eq!(fs::metadata(&new).unwrap().size(), 1);
}

/// What is said to a caller, and of whom.
fn asked(store: &mut Store, caller: Caller, request: Request) -> Vec<String> {
    let shown = |response: Response| match response {
        Response::Enrolled(enrolment) => format!("{} {:?} {}", enrolment.user, enrolment.uid, enrolment.good),
        other => format!("{other:?}"),
    };
    let sessions = [(70_000, UserName::truncated("dora"))];
    match answer(&request, caller, store, &sessions) {
        Ok(responses) => responses.into_iter().map(shown).collect(),
        Err(refusal) => vec![format!("{:?}", refusal.0)],
    }
}

#[test]
fn callers_enrol_see_and_forget_themselves_and_root_everybody() {
    let stage = Stage::new();
    let mut store = stage.open();
    let (root, alice, bob) = (Caller::Administrator, Caller::User(1000), Caller::User(1001));
    let enrol = |store: &mut Store, uid, name: &str| {
        let sealed = sealed(store, uid, name, "pw").try_into().unwrap();
        Request::Enrol { user: UserName::truncated(name), sealed }
    };
    let of_alice = enrol(&mut store, 1000, "alice");
    assert_eq!(asked(&mut store, bob, of_alice.clone()), ["NotPermitted"]);
    assert_eq!(asked(&mut store, alice, of_alice), [""; 0]);
    let of_bob = enrol(&mut store, 1001, "bob");
    assert_eq!(asked(&mut store, root, of_bob), [""; 0]);
    let as_root = enrol(&mut store, 0, "root");
    assert_eq!(asked(&mut store, root, as_root), ["NotPermitted"]);
    let rubbish = Request::Enrol { user: UserName::truncated("alice"), sealed: vec![0; 84].try_into().unwrap() };
    assert_eq!(asked(&mut store, root, rubbish.clone()), ["Invalid"]);
    assert_eq!(asked(&mut store, alice, rubbish.clone()), ["WrongState"], "too soon");
    store.recent.clear();
    assert_eq!(asked(&mut store, alice, rubbish), ["Invalid"]);
    // The name of a session is PAM's word; that of others is not.
    for (uid, answer) in [(70_000, vec![]), (70_001, vec!["NotPermitted"])] {
        let of_dora = enrol(&mut store, uid, "dora");
        assert_eq!(asked(&mut store, Caller::User(uid), of_dora), answer);
    }
    assert!(store.forget("dora").unwrap());

    fs::write(stage.entry("dave"), "rubbish").unwrap();
    assert_eq!(asked(&mut store, alice, Request::Enrolled), ["alice Some(1000) true"]);
    assert_eq!(asked(&mut store, Caller::User(7), Request::Enrolled), [""; 0]);
    let all = ["alice Some(1000) true", "bob Some(1001) true", "dave None false"];
    assert_eq!(asked(&mut store, root, Request::Enrolled), all);

    let forget = |name: Option<&str>| Request::Forget { user: name.map(UserName::truncated) };
    // The same, whether there is one or not.
    for name in ["bob", "dave", "nobody"] {
        assert_eq!(asked(&mut store, alice, forget(Some(name))), ["NotPermitted"]);
    }
    assert_eq!(asked(&mut store, alice, forget(Some("alice"))), [""; 0]);
    assert_eq!(asked(&mut store, alice, forget(None)), ["NotFound"]);
    assert_eq!(asked(&mut store, root, forget(None)), ["Invalid"]);
    assert_eq!(asked(&mut store, root, forget(Some("dave"))), [""; 0]);
    assert_eq!(asked(&mut store, bob, forget(None)), [""; 0]);
    assert_eq!(store.count(), 0);
}

#[test]
fn the_index_of_a_folder_at_rest_is_used_until_it_changes() {
    let stage = Stage::new();
    let mut store = stage.open();
    by_user(&mut store, 1000, "alice").unwrap();
    assert_eq!(store.names_of(1000).len(), 1);
    assert!(store.index.is_none(), "the folder has only just changed");
    let folder = fs::File::open(stage.places.folder()).unwrap();
    let hour = SystemTime::now() - Duration::from_secs(3600);
    folder.set_modified(hour).unwrap();
    assert_eq!((store.names_of(1000).len(), store.names_of(1001).len()), (1, 0));
    assert_eq!(store.index.as_ref().unwrap().changed, hour);
    // Another writer, the PAM module, replaces one and makes one.
    let bobs = sealed(&mut store, 1001, "bob", "pw");
    fs::write(stage.entry("bob"), bobs).unwrap();
    assert_eq!((store.names_of(1001).len(), store.count()), (1, 2));
    fs::remove_file(stage.entry("alice")).unwrap();
    assert_eq!((store.names_of(1000).len(), store.count()), (0, 1));
}
