//! The one type that may hold a password, and the one for keys.

use crate::TooLong;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A password or another answer that must not be seen: wiped on drop, no `Debug`, no JSON.
///
/// At most [`Secret::MAX`] bytes; any bytes, since RDP and PAM disagree about encodings.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Longest secret in bytes (`PAM_MAX_RESP_SIZE` is 512; a little more so that PAM can say no itself).
    pub const MAX: usize = 1024;

    /// Takes `bytes` over; where they are too long they are wiped and refused.
    pub fn new(mut bytes: Vec<u8>) -> Result<Self, TooLong> {
        if bytes.len() > Self::MAX {
            let len = bytes.len();
            bytes.zeroize();
            return Err(TooLong { len, max: Self::MAX });
        }
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// The bytes themselves: call it only to hand them to PAM, a comparison or a frame.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            return Err(ser::Error::custom("a secret is never written as text"));
        }
        s.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {} bytes", Secret::MAX)
            }
            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Secret, E> {
                if v.len() > Secret::MAX {
                    return Err(E::custom(TooLong { len: v.len(), max: Secret::MAX }));
                }
                Ok(Secret(Zeroizing::new(v.to_vec())))
            }
        }
        d.deserialize_bytes(Visitor)
    }
}

/// ExportedKey (MS-NLMP 3.4.5.1): wiped on drop, no `Debug`, no JSON.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 16]>);

impl Key {
    pub fn new(key: [u8; 16]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// The bytes themselves: call it only to seal, to sign and to derive, and to write the PDU that it is for.
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// In the same time whatever is different.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }
}

impl Eq for Key {}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            return Err(ser::Error::custom("a key is never written as text"));
        }
        self.0.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <[u8; 16]>::deserialize(d).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_travels_in_frames_but_never_as_json_or_debug() {
        let secret = Secret::new(b"canary".to_vec()).unwrap();
        let frame = postcard::to_stdvec(&secret).unwrap();
        assert_eq!(postcard::from_bytes::<Secret>(&frame).unwrap().expose(), b"canary");
        assert!(serde_json::to_string(&secret).is_err());
        assert!(!format!("{secret:?}").contains("canary"));
    }

    #[test]
    fn a_secret_longer_than_its_limit_is_refused() {
        assert!(Secret::new(vec![b'x'; Secret::MAX + 1]).is_err());
        let long = postcard::to_stdvec(&crate::Bytes::<4096>::try_from(vec![b'x'; Secret::MAX + 1]).unwrap()).unwrap();
        assert!(postcard::from_bytes::<Secret>(&long).is_err());
    }
}
