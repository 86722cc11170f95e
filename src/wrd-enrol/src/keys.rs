//! The monitor's key pair, and its two files: one line of text each, so that nobody takes one for the other.

use crate::hpke;
use std::fmt;
use std::fmt::Write;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// Longest text of a key, in bytes.
pub const MAX_KEY_TEXT: usize = 128;

/// What entries are sealed to. Everybody may have it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub(crate) x25519_dalek::PublicKey);

/// What entries are opened with: wiped on drop, no `Debug`.
#[derive(Clone)]
pub struct PrivateKey(pub(crate) StaticSecret);

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("this is no such key: expected a line that begins with {0:?}")]
    NoKey(&'static str),
    #[error("expected 64 hexadecimal digits behind {0:?}")]
    BadDigits(&'static str),
}

impl PrivateKey {
    pub fn generate() -> Result<Self, hpke::SealError> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(&mut random[..]).map_err(|_| hpke::SealError::NoRandomness)?;
        Ok(Self(StaticSecret::from(*random)))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(x25519_dalek::PublicKey::from(&self.0))
    }

    pub fn encode(&self) -> Zeroizing<String> {
        encode(PRIVATE, self.0.as_bytes())
    }

    pub fn decode(text: &[u8]) -> Result<Self, KeyError> {
        Ok(Self(StaticSecret::from(*decode(PRIVATE, text)?)))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

impl PublicKey {
    pub fn encode(&self) -> String {
        encode(PUBLIC, self.0.as_bytes()).to_string()
    }

    pub fn decode(text: &[u8]) -> Result<Self, KeyError> {
        Ok(Self(x25519_dalek::PublicKey::from(*decode(PUBLIC, text)?)))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.encode().trim_end())
    }
}

fn encode(prefix: &str, key: &[u8; 32]) -> Zeroizing<String> {
    // As long as it gets, so that no piece of it is left behind in a smaller one.
    let mut text = Zeroizing::new(String::with_capacity(MAX_KEY_TEXT));
    text.push_str(prefix);
    for byte in key {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text
}

fn decode(prefix: &'static str, text: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let digits = text.strip_prefix(prefix.as_bytes()).ok_or(KeyError::NoKey(prefix))?.trim_ascii_end();
    let bad = KeyError::BadDigits(prefix);
    if digits.len() != 64 {
        return Err(bad);
    }
    let mut key = Zeroizing::new([0; 32]);
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let value = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let [high, low] = pair else { return Err(bad) };
        *byte = value(high).ok_or(bad)? << 4 | value(low).ok_or(bad)?;
    }
    Ok(key)
}

const PRIVATE: &str = "wrd-dm-nthash-private-1:";
const PUBLIC: &str = "wrd-dm-nthash-public-1:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_and_read_and_not_taken_for_each_other() {
        let key = PrivateKey::generate().unwrap();
        let (private, public) = (key.encode(), key.public().encode());
        assert!(private.len() <= MAX_KEY_TEXT && public.len() <= MAX_KEY_TEXT);
        assert_eq!(PrivateKey::decode(private.as_bytes()).unwrap().public(), key.public());
        assert_eq!(PublicKey::decode(public.as_bytes()).unwrap(), key.public());
        assert_eq!(PrivateKey::decode(public.as_bytes()).unwrap_err(), KeyError::NoKey(PRIVATE));
        assert_eq!(PublicKey::decode(private.as_bytes()).unwrap_err(), KeyError::NoKey(PUBLIC));
        assert_eq!(format!("{key:?}"), "PrivateKey");
    }

    #[test]
    fn half_a_key_is_none() {
        let text = PrivateKey::generate().unwrap().encode();
        let whole = text.trim_end().len();
        for length in 0..whole {
            assert!(PrivateKey::decode(&text.as_bytes()[..length]).is_err(), "{length}");
        }
        let wrong = text.replace(|c: char| c.is_ascii_digit(), "g");
        assert!(PrivateKey::decode(wrong.as_bytes()).is_err());
        assert!(PrivateKey::decode(format!("{}0\n", text.trim_end()).as_bytes()).is_err());
    }
}
