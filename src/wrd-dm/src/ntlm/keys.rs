//! The keys of NTLMv2 and what is computed with them (MS-NLMP 3.3.2, 3.4.5.1). Keys are wiped on drop.

use super::Hash;
use hmac::{Hmac, KeyInit, Mac as _};
use md5::Md5;
use rc4::{Rc4, StreamCipher};
use zeroize::Zeroizing;

pub type Key = Zeroizing<[u8; 16]>;

/// HMAC-MD5 over bytes that stand in several places.
pub struct Mac(Hmac<Md5>);

/// It is not the one that was expected.
#[derive(Debug)]
pub struct Wrong;

impl Mac {
    pub fn over(key: &[u8; 16], parts: &[&[u8]]) -> Self {
        // A shorter key than a block is filled up with zeros (RFC 2104 2).
        let mut block = Zeroizing::new([0; 64]);
        let (own, _) = block.split_at_mut(key.len());
        own.copy_from_slice(key);
        let mut mac = Hmac::<Md5>::new((&*block).into());
        for part in parts {
            mac.update(part);
        }
        Self(mac)
    }

    /// In constant time.
    pub fn verify(self, expected: &[u8; 16]) -> Result<(), Wrong> {
        self.0.verify(expected.into()).map_err(|_| Wrong)
    }

    pub fn value(self) -> Key {
        Zeroizing::new(self.0.finalize().into_bytes().into())
    }
}

/// NTOWFv2: the hash, bound to the strings that the client sent.
pub fn ntowfv2(hash: &Hash, user: &str, domain: &str) -> Key {
    let mut bytes = Vec::new();
    for unit in user.chars().map(upcase).chain(domain.chars()).collect::<String>().encode_utf16() {
        bytes.extend_from_slice(&unit.to_le_bytes());
    }
    Mac::over(hash, &[&bytes]).value()
}

/// What NTProofStr has to be.
pub fn response_mac(ntowfv2: &Key, challenge: &[u8; 8], client_challenge: &[u8]) -> Mac {
    Mac::over(ntowfv2, &[challenge, client_challenge])
}

/// SessionBaseKey, which in NTLMv2 is the KeyExchangeKey as well.
pub fn session_base_key(ntowfv2: &Key, proof: &[u8; 16]) -> Key {
    Mac::over(ntowfv2, &[proof]).value()
}

/// ExportedSessionKey: what the client chose, where it sent one, or else the key that this would be sealed with.
pub fn exported_key(key_exchange_key: Key, encrypted: Option<&[u8; 16]>) -> Key {
    let Some(encrypted) = encrypted else { return key_exchange_key };
    // RC4 goes through its key over and over: the same one twice is the same.
    let mut twice = Zeroizing::new([0; 32]);
    for half in twice.chunks_exact_mut(16) {
        half.copy_from_slice(&*key_exchange_key);
    }
    let mut key = Zeroizing::new(*encrypted);
    Rc4::new((&*twice).into()).apply_keystream(&mut *key);
    key
}

/// As Windows does it: character by character, none of which becomes two, and none outside of the basic plane changes.
fn upcase(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if u32::from(c) < 0x1_0000 => upper,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_case_is_what_windows_takes_for_it() {
        let all = |text: &str| text.chars().map(upcase).collect::<String>();
        assert_eq!(all("User.7\\ä\u{e9}\u{444}\u{3b1}"), "USER.7\\Ä\u{c9}\u{424}\u{391}");
        // "SS" in Unicode; Deseret has an upper case, which Windows does not know.
        assert_eq!(all("straße\u{10428}\u{4e2d}"), "STRAßE\u{10428}\u{4e2d}");
    }
}
