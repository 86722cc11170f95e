//! One entry of the store: somebody's NT hash, sealed, and bound to their uid and their name.
//!
//! Always [`Entry::LEN`] bytes: a line that says what this is and in which version, the uid, the encapsulated key, the
//! sealed hash. The uid can be read by anybody and, like the name, which is the file's, is part of what the seal
//! covers: an entry that was renamed, or given another uid, does not open.

use crate::hash::NtHash;
use crate::hpke::{self, Binding, ENCAPSULATED, SealError, TAG};
use crate::keys::{PrivateKey, PublicKey};
use crate::name::EntryName;

/// What is no entry, or none that can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    #[error("{0} bytes where an entry has {len}", len = Entry::LEN)]
    Length(usize),
    #[error("it is no entry of this version")]
    Version,
    #[error("it does not open: it was damaged, made for another user, or sealed to another key")]
    Closed,
}

/// An entry that has the form of one; whether it opens is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    uid: u32,
    encapsulated: [u8; ENCAPSULATED],
    sealed: [u8; SEALED],
}

impl Entry {
    /// Length in bytes of every entry.
    pub const LEN: usize = VERSION.len() + 4 + ENCAPSULATED + SEALED;

    pub fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() != Self::LEN {
            return Err(EntryError::Length(bytes.len()));
        }
        let rest = bytes.strip_prefix(VERSION).ok_or(EntryError::Version)?;
        let whole = Err(EntryError::Length(bytes.len()));
        let Some((uid, rest)) = rest.split_first_chunk() else { return whole };
        let Some((encapsulated, rest)) = rest.split_first_chunk() else { return whole };
        let Ok(sealed) = rest.try_into() else { return whole };
        Ok(Self { uid: u32::from_be_bytes(*uid), encapsulated: *encapsulated, sealed })
    }

    /// Whose it says it is; [`Entry::open`] knows whether that is true.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The hash, if this was sealed to `key` for this uid and `name`.
    pub fn open(&self, key: &PrivateKey, name: &EntryName) -> Result<NtHash, EntryError> {
        let about = about(self.uid, name);
        let binding = Binding { purpose: VERSION, about: &about };
        let opened = hpke::open(&key.0, &self.encapsulated, binding, &self.sealed).ok_or(EntryError::Closed)?;
        let hash: [u8; NtHash::LEN] = opened.as_slice().try_into().map_err(|_| EntryError::Closed)?;
        Ok(NtHash::from(hash))
    }
}

/// Seals `hash` for the user `name` with this uid.
pub fn seal(to: &PublicKey, uid: u32, name: &EntryName, hash: &NtHash) -> Result<Vec<u8>, SealError> {
    let about = about(uid, name);
    let (encapsulated, sealed) = hpke::seal(&to.0, Binding { purpose: VERSION, about: &about }, hash.expose())?;
    Ok([VERSION, &uid.to_be_bytes(), &encapsulated, &sealed].concat())
}

/// The uid, whose length is fixed, and the name: no two users have the same.
fn about(uid: u32, name: &EntryName) -> Vec<u8> {
    [&uid.to_be_bytes(), name.as_bytes()].concat()
}

const VERSION: &[u8] = b"wrd-dm nthash 1\n";
const SEALED: usize = NtHash::LEN + TAG;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> EntryName {
        EntryName::try_from(text).unwrap()
    }

    #[test]
    fn an_entry_opens_for_its_user_and_nobody_else() {
        let key = PrivateKey::generate().unwrap();
        let hash = NtHash::of_password(b"canary").unwrap();
        let bytes = seal(&key.public(), 1000, &name("alice"), &hash).unwrap();
        assert_eq!(bytes.len(), Entry::LEN);
        assert!(!bytes.windows(16).any(|window| window == hash.expose()));
        let entry = Entry::parse(&bytes).unwrap();
        assert_eq!(entry.uid(), 1000);
        assert_eq!(entry.open(&key, &name("alice")).unwrap().expose(), hash.expose());
        assert_eq!(entry.open(&key, &name("bob")).unwrap_err(), EntryError::Closed);
        assert_eq!(entry.open(&PrivateKey::generate().unwrap(), &name("alice")).unwrap_err(), EntryError::Closed);
        let other_uid = Entry { uid: 1001, ..entry };
        assert_eq!(other_uid.open(&key, &name("alice")).unwrap_err(), EntryError::Closed);
    }

    #[test]
    fn two_entries_of_the_same_password_have_nothing_in_common() {
        let key = PrivateKey::generate().unwrap();
        let hash = NtHash::of_password(b"canary").unwrap();
        let tail = |bytes: Vec<u8>| bytes[VERSION.len() + 4..].to_vec();
        let one = tail(seal(&key.public(), 1000, &name("alice"), &hash).unwrap());
        let two = tail(seal(&key.public(), 1000, &name("alice"), &hash).unwrap());
        assert!(one.chunks(8).zip(two.chunks(8)).all(|(a, b)| a != b));
    }

    proptest! {
        #[test]
        fn any_damage_is_seen(at in 0..Entry::LEN, bit in 0..8u8, cut in 0..Entry::LEN) {
            let key = PrivateKey::generate().unwrap();
            let mut bytes = seal(&key.public(), 7, &name("x"), &NtHash::from([3; 16])).unwrap();
            prop_assert_eq!(Entry::parse(&bytes[..cut]), Err(EntryError::Length(cut)));
            bytes[at] ^= 1 << bit;
            prop_assert!(Entry::parse(&bytes).and_then(|entry| entry.open(&key, &name("x"))).is_err());
        }

        #[test]
        fn any_bytes_are_an_entry_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let key = PrivateKey::generate().unwrap();
            prop_assert!(Entry::parse(&bytes).and_then(|entry| entry.open(&key, &name("x"))).is_err());
        }
    }
}
