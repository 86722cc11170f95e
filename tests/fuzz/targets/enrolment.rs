//! What users and files bring to the store of NT hashes: entries, keys, names.

use wrd_enrol::{Entry, EntryName, NtHash, PrivateKey, PublicKey};

/// The key that the seeds are sealed to.
pub const KEY: &[u8] = b"wrd-dm-nthash-private-1:0101010101010101010101010101010101010101010101010101010101010101\n";

/// The first byte picks what the others are.
pub fn enrolment(data: &[u8]) {
    let Some((which, data)) = data.split_first() else { return };
    match which % 4 {
        0 => entry(data),
        1 => {
            let Ok(key) = PrivateKey::decode(data) else { return };
            let again = PrivateKey::decode(key.encode().as_bytes()).expect("what was encoded can be decoded");
            assert!(again.public() == key.public());
        }
        2 => {
            let Ok(key) = PublicKey::decode(data) else { return };
            assert!(PublicKey::decode(key.encode().as_bytes()) == Ok(key));
            let name = EntryName::try_from("alice").expect("a name");
            let sealed = wrd_enrol::seal(&key, 1000, &name, &NtHash::from([7; NtHash::LEN]));
            assert!(sealed.is_err() || sealed.is_ok_and(|sealed| sealed.len() == Entry::LEN));
        }
        _ => {
            let Some(name) = std::str::from_utf8(data).ok().and_then(|name| EntryName::try_from(name).ok()) else {
                return;
            };
            let path = std::path::Path::new("/store").join(&*name);
            assert_eq!(path.parent(), Some(std::path::Path::new("/store")), "{name:?} is elsewhere");
            let _ = NtHash::of_password(data);
        }
    }
}

/// An entry opens under one name at most, and says which uid that is.
fn entry(data: &[u8]) {
    let key = PrivateKey::decode(KEY).expect("a key");
    let Ok(entry) = Entry::parse(data) else { return };
    let names = ["alice", "bob"].map(|name| EntryName::try_from(name).expect("a name"));
    let opened: Vec<bool> = names.iter().map(|name| entry.open(&key, name).is_ok()).collect();
    assert!(opened != [true, true], "an entry of two users");
    // Whoever can seal can say what they like, but only about the uid that stands there.
    assert_eq!(data.get(16..20), Some(&entry.uid().to_be_bytes()[..]));
}
