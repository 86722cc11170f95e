//! Hybrid public key encryption, RFC 9180: base mode, one message, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! ChaCha20Poly1305. Nothing of our own in it, so that others can read what we write.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hkdf::{Hkdf, HkdfExtract};
use sha2::Sha256;
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

/// Length of the encapsulated key.
pub const ENCAPSULATED: usize = 32;
/// By how much what is sealed is longer than what was to be.
pub const TAG: usize = 16;

/// Why nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the system has no randomness")]
    NoRandomness,
    #[error("the public key is none")]
    BadKey,
}

/// What an encryption is bound to.
#[derive(Clone, Copy)]
pub struct Binding<'a> {
    /// What it is for (`info`).
    pub purpose: &'a [u8],
    /// What must be said to open it (`aad`).
    pub about: &'a [u8],
}

/// Seals `text`; the encapsulated key and what is sealed.
pub fn seal(to: &PublicKey, binding: Binding<'_>, text: &[u8]) -> Result<([u8; ENCAPSULATED], Vec<u8>), SealError> {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut random[..]).map_err(|_| SealError::NoRandomness)?;
    seal_with(&StaticSecret::from(*random), to, binding, text)
}

fn seal_with(
    ephemeral: &StaticSecret,
    to: &PublicKey,
    binding: Binding<'_>,
    text: &[u8],
) -> Result<([u8; ENCAPSULATED], Vec<u8>), SealError> {
    let encapsulated = PublicKey::from(ephemeral).to_bytes();
    let (cipher, nonce) =
        schedule(&ephemeral.diffie_hellman(to), &encapsulated, to, binding.purpose).ok_or(SealError::BadKey)?;
    let payload = Payload { msg: text, aad: binding.about };
    // It fails only for texts of gigabytes.
    let sealed = cipher.encrypt(&nonce, payload).map_err(|_| SealError::BadKey)?;
    Ok((encapsulated, sealed))
}

/// Opens what was sealed; `None` where it was not sealed to this key, with this binding, or was changed.
pub fn open(
    key: &StaticSecret,
    encapsulated: &[u8; ENCAPSULATED],
    binding: Binding<'_>,
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let shared = key.diffie_hellman(&PublicKey::from(*encapsulated));
    let (cipher, nonce) = schedule(&shared, encapsulated, &PublicKey::from(key), binding.purpose)?;
    let payload = Payload { msg: sealed, aad: binding.about };
    cipher.decrypt(&nonce, payload).ok().map(Zeroizing::new)
}

/// The cipher and the nonce of the one message (4.1 and 5.1). `None` for public keys that leave no secret (7.1.4).
fn schedule(
    shared: &SharedSecret,
    encapsulated: &[u8; ENCAPSULATED],
    to: &PublicKey,
    purpose: &[u8],
) -> Option<(ChaCha20Poly1305, Nonce)> {
    if !shared.was_contributory() {
        return None;
    }
    let secret = KEM.extract(&[], b"eae_prk", shared.as_bytes()).1;
    let mut kem_secret = Zeroizing::new([0; 32]);
    KEM.expand(&secret, b"shared_secret", &[encapsulated, to.as_bytes()], &mut kem_secret[..])?;

    let psk_id = HPKE.extract(&[], b"psk_id_hash", &[]).0;
    let info = HPKE.extract(&[], b"info_hash", purpose).0;
    let context: [&[u8]; 3] = [&[MODE_BASE], &psk_id[..], &info[..]];
    let secret = HPKE.extract(&kem_secret[..], b"secret", &[]).1;
    let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; 12]);
    HPKE.expand(&secret, b"key", &context, &mut key[..])?;
    HPKE.expand(&secret, b"base_nonce", &context, &mut nonce)?;
    Some((ChaCha20Poly1305::new(&Key::from(*key)), Nonce::from(nonce)))
}

/// `LabeledExtract` and `LabeledExpand` (4) of one suite.
struct Suite(&'static [u8]);

impl Suite {
    fn extract(&self, salt: &[u8], label: &[u8], input: &[u8]) -> (Zeroizing<[u8; 32]>, Hkdf<Sha256>) {
        let mut extract = HkdfExtract::<Sha256>::new(Some(salt));
        for part in [VERSION, self.0, label, input] {
            extract.input_ikm(part);
        }
        let (bytes, expander) = extract.finalize();
        (Zeroizing::new(bytes.into()), expander)
    }

    /// `None` for lengths that no suite has.
    fn expand(&self, from: &Hkdf<Sha256>, label: &[u8], info: &[&[u8]], out: &mut [u8]) -> Option<()> {
        let length = u16::try_from(out.len()).ok()?.to_be_bytes();
        let mut parts = vec![&length[..], VERSION, self.0, label];
        parts.extend_from_slice(info);
        from.expand_multi_info(&parts, out).ok()
    }
}

const VERSION: &[u8] = b"HPKE-v1";
const MODE_BASE: u8 = 0;
const KEM: Suite = Suite(b"KEM\x00\x20");
const HPKE: Suite = Suite(b"HPKE\x00\x20\x00\x01\x00\x03");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn key(hex: &str) -> [u8; 32] {
        bytes(hex).try_into().unwrap()
    }

    #[test]
    fn the_vector_of_the_rfc() {
        // RFC 9180 A.2.1.
        let ephemeral = StaticSecret::from(key("f4ec9b33b792c372c1d2c2063507b684ef925b8c75a42dbcbf57d63ccd381600"));
        let receiver = StaticSecret::from(key("8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"));
        let to = PublicKey::from(key("4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a"));
        assert_eq!(PublicKey::from(&receiver), to);
        let binding =
            Binding { purpose: &bytes("4f6465206f6e2061204772656369616e2055726e"), about: &bytes("436f756e742d30") };
        let text = bytes("4265617574792069732074727574682c20747275746820626561757479");
        let (encapsulated, sealed) = seal_with(&ephemeral, &to, binding, &text).unwrap();
        assert_eq!(encapsulated, key("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"));
        let expected = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28";
        assert_eq!(sealed, bytes(expected));
        assert_eq!(*open(&receiver, &encapsulated, binding, &sealed).unwrap(), text);
    }

    #[test]
    fn keys_that_leave_no_secret_are_refused() {
        let binding = Binding { purpose: b"p", about: b"a" };
        for point in [[0; 32], {
            let mut one = [0; 32];
            one[0] = 1;
            one
        }] {
            assert_eq!(seal(&PublicKey::from(point), binding, b"x"), Err(SealError::BadKey));
            assert!(open(&StaticSecret::from([7; 32]), &point, binding, &[0; 32]).is_none());
        }
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_only_unchanged(
            text in proptest::collection::vec(any::<u8>(), 0..64),
            at in any::<proptest::sample::Index>(),
            bit in 0..8u8,
        ) {
            let receiver = StaticSecret::from([9; 32]);
            let binding = Binding { purpose: b"p", about: b"a" };
            let (encapsulated, sealed) = seal(&PublicKey::from(&receiver), binding, &text).unwrap();
            prop_assert_eq!(&*open(&receiver, &encapsulated, binding, &sealed).unwrap(), &text);
            prop_assert!(open(&StaticSecret::from([8; 32]), &encapsulated, binding, &sealed).is_none());
            for other in [Binding { about: b"b", ..binding }, Binding { purpose: b"q", ..binding }] {
                prop_assert!(open(&receiver, &encapsulated, other, &sealed).is_none());
            }
            let mut all: Vec<u8> = encapsulated.iter().chain(&sealed).copied().collect();
            let at = at.index(all.len());
            all[at] ^= 1 << bit;
            let (encapsulated, sealed) = all.split_first_chunk::<32>().unwrap();
            // The highest bit of a public key does not count (RFC 7748, 5), but all bits go into the key schedule.
            prop_assert!(open(&receiver, encapsulated, binding, sealed).is_none());
        }
    }
}
