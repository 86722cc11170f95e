//! The host's key, and the only two things it signs: a TLS 1.3 CertificateVerify and a TLS 1.2 ECDHE
//! ServerKeyExchange of a server, in their exact layouts. A gate that was taken over can use the key for
//! its own handshake, never for anything else. Pure but for the randomness of the signatures.

use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;

/// Why something is not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("what it wants signed is no TLS handshake of a server")]
    Layout,
    #[error("the signature scheme {0:#06x} does not go with the key and the protocol version")]
    Scheme(u16),
    #[error("the signature failed")]
    Failed,
}

/// Why a private key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a private key of the kind ECDSA P-256 or P-384, Ed25519, or RSA with 2048 to 4096 bits")]
pub struct UnknownKey;

/// The private key of this host.
pub struct Signer {
    key: Key,
    random: SystemRandom,
}

enum Key {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handshake {
    Tls12,
    Tls13,
}

impl Signer {
    pub fn new(key: &PrivateKeyDer<'_>) -> Result<Self, UnknownKey> {
        let random = SystemRandom::new();
        let key = match key {
            PrivateKeyDer::Pkcs8(der) => Key::from_pkcs8(der.secret_pkcs8_der(), &random),
            PrivateKeyDer::Pkcs1(der) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(|key| Key::Rsa(Box::new(key)))
            }
            PrivateKeyDer::Sec1(der) => [CURVE_P256, CURVE_P384]
                .iter()
                .find_map(|curve| Key::from_pkcs8(&pkcs8_around(curve, der.secret_sec1_der())?, &random)),
            _ => None,
        };
        Ok(Self { key: key.ok_or(UnknownKey)?, random })
    }

    /// TLS `SignatureScheme` code points of this key, best first (RFC 8446 4.2.3).
    pub fn schemes(&self) -> &'static [u16] {
        match self.key {
            Key::P256(_) => &[ECDSA_P256_SHA256],
            Key::P384(_) => &[ECDSA_P384_SHA384],
            Key::Ed25519(_) => &[ED25519],
            Key::Rsa(_) => {
                &[RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512]
            }
        }
    }

    /// The public key as it stands inside a certificate's BIT STRING.
    pub fn public_key(&self) -> &[u8] {
        match &self.key {
            Key::P256(key) | Key::P384(key) => key.public_key().as_ref(),
            Key::Ed25519(key) => key.public_key().as_ref(),
            Key::Rsa(key) => key.public_key().as_ref(),
        }
    }

    /// Signs `message` where it has one of the two layouts and `scheme` goes with it.
    pub fn sign(&self, scheme: u16, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let handshake = classify(message).ok_or(SignError::Layout)?;
        let fits = self.schemes().contains(&scheme)
            && !(handshake == Handshake::Tls13
                && matches!(scheme, RSA_PKCS1_SHA256 | RSA_PKCS1_SHA384 | RSA_PKCS1_SHA512));
        if !fits {
            return Err(SignError::Scheme(scheme));
        }
        match &self.key {
            Key::P256(key) | Key::P384(key) => {
                key.sign(&self.random, message).map(|s| s.as_ref().to_vec()).map_err(|_| SignError::Failed)
            }
            Key::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Key::Rsa(key) => {
                let encoding: &'static dyn RsaEncoding = match scheme {
                    RSA_PSS_SHA256 => &signature::RSA_PSS_SHA256,
                    RSA_PSS_SHA384 => &signature::RSA_PSS_SHA384,
                    RSA_PSS_SHA512 => &signature::RSA_PSS_SHA512,
                    RSA_PKCS1_SHA256 => &signature::RSA_PKCS1_SHA256,
                    RSA_PKCS1_SHA384 => &signature::RSA_PKCS1_SHA384,
                    RSA_PKCS1_SHA512 => &signature::RSA_PKCS1_SHA512,
                    other => return Err(SignError::Scheme(other)),
                };
                let mut bytes = vec![0; key.public().modulus_len()];
                key.sign(encoding, &self.random, message, &mut bytes).map_err(|_| SignError::Failed)?;
                Ok(bytes)
            }
        }
    }
}

impl Key {
    fn from_pkcs8(der: &[u8], random: &SystemRandom) -> Option<Self> {
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der, random) {
            return Some(Self::P256(key));
        }
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der, random) {
            return Some(Self::P384(key));
        }
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Some(Self::Ed25519(key));
        }
        RsaKeyPair::from_pkcs8(der).ok().map(|key| Self::Rsa(Box::new(key)))
    }
}

/// Which handshake `message` belongs to, by its exact layout.
fn classify(message: &[u8]) -> Option<Handshake> {
    if is_certificate_verify(message) {
        return Some(Handshake::Tls13);
    }
    is_server_key_exchange(message).then_some(Handshake::Tls12)
}

/// RFC 8446 4.4.3: 64 spaces, the context string, a zero, the transcript's hash (SHA-256 or SHA-384).
fn is_certificate_verify(message: &[u8]) -> bool {
    let Some((spaces, rest)) = message.split_first_chunk::<64>() else { return false };
    let Some(rest) = rest.strip_prefix(b"TLS 1.3, server CertificateVerify".as_slice()) else { return false };
    let Some((0, hash)) = rest.split_first() else { return false };
    spaces == &[0x20; 64] && matches!(hash.len(), 32 | 48)
}

/// RFC 5246 7.4.3 and RFC 8422 5.4: both randoms, then named_curve, the curve, and a point of its length.
fn is_server_key_exchange(message: &[u8]) -> bool {
    let Some((_randoms, parameters)) = message.split_first_chunk::<64>() else { return false };
    let (form, length) = match parameters {
        [3, 0x00, 0x1d, 32, point @ ..] => (point.len() == 32, 32),
        [3, 0x00, 0x17, 65, point @ ..] => (point.first() == Some(&4), 65),
        [3, 0x00, 0x18, 97, point @ ..] => (point.first() == Some(&4), 97),
        _ => return false,
    };
    form && parameters.len() == 4 + length
}

/// A SEC1 key as PKCS #8 (RFC 5958), which is the form that ring reads.
fn pkcs8_around(curve: &[u8], sec1: &[u8]) -> Option<Vec<u8>> {
    let algorithm = der(0x30, &[ID_EC_PUBLIC_KEY, curve].concat())?;
    der(0x30, &[&[0x02, 0x01, 0x00][..], &algorithm, &der(0x04, sec1)?].concat())
}

fn der(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?.to_be_bytes();
    let mut out = vec![tag, 0x82, length[0], length[1]];
    if content.len() < 0x80 {
        out = vec![tag, length[1]];
    } else if content.len() < 0x100 {
        out = vec![tag, 0x81, length[1]];
    }
    out.extend_from_slice(content);
    Some(out)
}

const ID_EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const CURVE_P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const CURVE_P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

const RSA_PKCS1_SHA256: u16 = 0x0401;
const RSA_PKCS1_SHA384: u16 = 0x0501;
const RSA_PKCS1_SHA512: u16 = 0x0601;
const ECDSA_P256_SHA256: u16 = 0x0403;
const ECDSA_P384_SHA384: u16 = 0x0503;
const RSA_PSS_SHA256: u16 = 0x0804;
const RSA_PSS_SHA384: u16 = 0x0805;
const RSA_PSS_SHA512: u16 = 0x0806;
const ED25519: u16 = 0x0807;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};
    use rustls_pki_types::PrivatePkcs8KeyDer;
    use rustls_pki_types::pem::PemObject;

    fn signer(algorithm: &'static rcgen::SignatureAlgorithm) -> Signer {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        Signer::new(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))).unwrap()
    }

    fn certificate_verify(hash: usize) -> Vec<u8> {
        let mut message = vec![0x20; 64];
        message.extend_from_slice(b"TLS 1.3, server CertificateVerify\0");
        message.resize(message.len() + hash, 0xab);
        message
    }

    fn key_exchange(curve: u8, length: u8) -> Vec<u8> {
        let mut message = vec![0x5a; 64];
        message.extend_from_slice(&[3, 0, curve, length]);
        message.push(4);
        message.resize(64 + 4 + usize::from(length), 0xcd);
        message
    }

    fn all() -> Vec<Vec<u8>> {
        vec![
            certificate_verify(32),
            certificate_verify(48),
            key_exchange(0x1d, 32),
            key_exchange(0x17, 65),
            key_exchange(0x18, 97),
        ]
    }

    fn verified(signer: &Signer, algorithm: &'static dyn VerificationAlgorithm, scheme: u16, message: &[u8]) {
        let signature = signer.sign(scheme, message).unwrap();
        UnparsedPublicKey::new(algorithm, signer.public_key()).verify(message, &signature).unwrap();
    }

    #[test]
    fn both_layouts_are_signed_and_the_signatures_hold() {
        let p256 = signer(&rcgen::PKCS_ECDSA_P256_SHA256);
        let p384 = signer(&rcgen::PKCS_ECDSA_P384_SHA384);
        let ed25519 = signer(&rcgen::PKCS_ED25519);
        for message in all() {
            verified(&p256, &signature::ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256, &message);
            verified(&p384, &signature::ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384, &message);
            verified(&ed25519, &signature::ED25519, ED25519, &message);
        }
    }

    #[test]
    fn an_rsa_key_signs_pkcs1_for_tls_1_2_only() {
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../tests/data/rsa2048-pkcs1.pem")).unwrap();
        let rsa = Signer::new(&key).unwrap();
        let (tls13, tls12) = (certificate_verify(32), key_exchange(0x1d, 32));
        verified(&rsa, &signature::RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, &tls13);
        verified(&rsa, &signature::RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA512, &tls12);
        verified(&rsa, &signature::RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_SHA384, &tls12);
        assert_eq!(rsa.sign(RSA_PKCS1_SHA256, &tls13), Err(SignError::Scheme(RSA_PKCS1_SHA256)));
    }

    #[test]
    fn every_common_form_of_a_key_is_read() {
        for (pem, scheme) in [
            (include_str!("../tests/data/p256-sec1.pem"), ECDSA_P256_SHA256),
            (include_str!("../tests/data/p384-sec1.pem"), ECDSA_P384_SHA384),
            (include_str!("../tests/data/ed25519-pkcs8.pem"), ED25519),
            (include_str!("../tests/data/rsa2048-pkcs8.pem"), RSA_PSS_SHA256),
        ] {
            let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
            assert_eq!(Signer::new(&key).unwrap().schemes()[0], scheme);
        }
        let weak = PrivateKeyDer::from_pem_slice(include_bytes!("../tests/data/rsa1024-pkcs8.pem")).unwrap();
        assert!(Signer::new(&weak).is_err());
    }

    #[test]
    fn a_scheme_of_another_key_is_refused() {
        let p256 = signer(&rcgen::PKCS_ECDSA_P256_SHA256);
        for scheme in [0, ECDSA_P384_SHA384, ED25519, RSA_PSS_SHA256, RSA_PKCS1_SHA256, 0xffff] {
            assert_eq!(p256.sign(scheme, &certificate_verify(32)), Err(SignError::Scheme(scheme)));
        }
    }

    #[test]
    fn one_byte_more_or_less_is_another_layout() {
        for message in all() {
            assert!(classify(&message).is_some());
            assert_eq!(classify(&message[1..]), None);
            assert_eq!(classify(&message[..message.len() - 1]), None);
            assert_eq!(classify(&[message.as_slice(), &[0]].concat()), None);
        }
        // A client's CertificateVerify (RFC 8446 4.4.3) is not ours to give.
        let mut client = vec![0x20; 64];
        client.extend_from_slice(b"TLS 1.3, client CertificateVerify\0");
        client.resize(client.len() + 32, 1);
        assert_eq!(classify(&client), None);
        // Explicit curves, unknown curves, a curve with another's length, a compressed point.
        for (at, value) in [(64, 1), (65, 1), (66, 0x19), (67, 33)] {
            let mut message = key_exchange(0x1d, 32);
            message[at] = value;
            assert_eq!(classify(&message), None, "byte {at}");
        }
        let mut compressed = key_exchange(0x17, 65);
        compressed[68] = 2;
        assert_eq!(classify(&compressed), None);
        for length in [0, 20, 31, 33, 47, 49, 64] {
            assert_eq!(classify(&certificate_verify(length)), None);
        }
    }

    proptest! {
        #[test]
        fn every_fixed_byte_counts(which in 0usize..5, at in any::<prop::sample::Index>(), flip in 1u8..) {
            let mut message = all().swap_remove(which);
            let fixed = match which {
                0 | 1 => 0..98,
                2 => 64..68,
                _ => 64..69,
            };
            let at = fixed.start + at.index(fixed.len());
            message[at] ^= flip;
            prop_assert_eq!(classify(&message), None);
        }

        #[test]
        fn arbitrary_bytes_are_not_signed(message in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(classify(&message), None);
        }
    }
}
