//! The NT hash (MS-NLMP 3.3.1, `NTOWFv1`): MD4 of the password in UTF-16LE, without salt and without work. Whoever
//! has it has the password, as far as NTLM goes.

use md4::{Digest, Md4};
use std::fmt;
use zeroize::Zeroize;

/// An NT hash: wiped on drop, no `Debug`. In a block of its own, so that to hand it on is to copy nothing.
#[derive(Clone)]
pub struct NtHash(Box<[u8; NtHash::LEN]>);

/// A password that is no UTF-8, and so has no NT hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the password is not in UTF-8")]
pub struct NotText;

impl NtHash {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// Of a password as PAM has it: UTF-8, any length.
    pub fn of_password(password: &[u8]) -> Result<Self, NotText> {
        let text = std::str::from_utf8(password).map_err(|_| NotText)?;
        let mut hasher = Box::new(Md4::new());
        for unit in text.encode_utf16() {
            hasher.update(unit.to_le_bytes());
        }
        let mut hash = Self(Box::default());
        hasher.finalize_into_reset((&mut *hash.0).into());
        Ok(hash)
    }

    /// The bytes themselves: call it only to seal them or to verify a proof with them.
    pub fn expose(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl From<[u8; NtHash::LEN]> for NtHash {
    fn from(bytes: [u8; Self::LEN]) -> Self {
        Self(Box::new(bytes))
    }
}

impl Drop for NtHash {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for NtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NtHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: &NtHash) -> String {
        hash.expose().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn hashes_are_those_of_others() {
        // MS-NLMP 4.2.2.1.2, and the well-known hash of the empty password.
        assert_eq!(hex(&NtHash::of_password(b"Password").unwrap()), "a4f49c406510bdcab6824ee7c30fd852");
        assert_eq!(hex(&NtHash::of_password(b"").unwrap()), "31d6cfe0d16ae931b73c59d7e0c089c0");
        // iconv -t UTF-16LE | openssl dgst -md4, with characters inside and outside of the first plane.
        assert_eq!(hex(&NtHash::of_password("grün🔑".as_bytes()).unwrap()), "621d366028bb0a0565b5f3002435a291");
    }

    #[test]
    fn a_password_that_is_no_text_has_no_hash_and_no_hash_is_printed() {
        assert_eq!(NtHash::of_password(b"\xff").unwrap_err(), NotText);
        assert_eq!(format!("{:?}", NtHash::from([0x41; 16])), "NtHash");
    }
}
