//! Signing and sealing with the session key (MS-NLMP 3.4), with extended session security, 128 bits and key exchange,
//! which are required here.

use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use rc4::{Rc4, StreamCipher};
use subtle::ConstantTimeEq;
use wrd_proto::gate::SessionKey;
use zeroize::Zeroizing;

/// NTLMSSP_MESSAGE_SIGNATURE (2.2.2.9.2): version, checksum, sequence number.
pub const SIGNATURE_LEN: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("{0} bytes are shorter than a signature")]
    TooShort(usize),
    #[error("a signature that is wrong")]
    Wrong,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    FromClient,
    FromServer,
}

/// One direction of a session: a key to sign with, a cipher that runs on, and the number of the next message.
pub struct Sealer {
    signing: Zeroizing<[u8; 16]>,
    sealing: Zeroizing<[u8; 16]>,
    cipher: Rc4,
    sequence: u32,
}

impl Sealer {
    pub fn new(key: &SessionKey, direction: Direction) -> Self {
        let (signing, sealing) = match direction {
            Direction::FromClient => (
                &b"session key to client-to-server signing key magic constant\0"[..],
                &b"session key to client-to-server sealing key magic constant\0"[..],
            ),
            Direction::FromServer => (
                &b"session key to server-to-client signing key magic constant\0"[..],
                &b"session key to server-to-client sealing key magic constant\0"[..],
            ),
        };
        let derive = |constant: &[u8]| {
            Zeroizing::new(Md5::new().chain_update(key.expose()).chain_update(constant).finalize().into())
        };
        let sealing: Zeroizing<[u8; 16]> = derive(sealing);
        Self { signing: derive(signing), cipher: rc4(&sealing), sealing, sequence: 0 }
    }

    /// Signature and ciphertext of `message`, as CredSSP sends them (MS-CSSP 2.2.1).
    pub fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; SIGNATURE_LEN];
        sealed.extend_from_slice(message);
        let (signature, text) = sealed.split_at_mut(SIGNATURE_LEN);
        self.cipher.apply_keystream(text);
        signature.copy_from_slice(&self.sign(message));
        sealed
    }

    /// The message in what the other side's [`Sealer::seal`] gave, where it is the one that is due.
    pub fn unseal(&mut self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (signature, text) = sealed.split_first_chunk().ok_or(SealError::TooShort(sealed.len()))?;
        let mut message = Zeroizing::new(text.to_vec());
        self.cipher.apply_keystream(&mut message);
        same(&self.sign(&message), signature)?;
        Ok(message)
    }

    /// The signature of a message that is not sealed: a mechListMIC, the first of its direction. The cipher begins
    /// anew behind it (MS-SPNG 3.3.5.1), the numbers do not.
    pub fn mic(&mut self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let signature = self.sign(message);
        self.cipher = rc4(&self.sealing);
        signature
    }

    pub fn check_mic(&mut self, message: &[u8], mic: &[u8]) -> Result<(), SealError> {
        let mic = mic.try_into().map_err(|_| SealError::TooShort(mic.len()))?;
        same(&self.mic(message), mic)
    }

    /// MAC (3.4.4.2), whose checksum goes through the cipher, behind the message itself.
    fn sign(&mut self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        let sequence = self.sequence.to_le_bytes();
        self.sequence = self.sequence.wrapping_add(1);
        let digest: [u8; 16] = hmac(&self.signing, &[&sequence, message]);
        let mut signature = [0; SIGNATURE_LEN];
        let (version, rest) = signature.split_at_mut(4);
        let (checksum, number) = rest.split_at_mut(8);
        version.copy_from_slice(&1u32.to_le_bytes());
        checksum.copy_from_slice(digest.first_chunk::<8>().unwrap_or(&[0; 8]));
        self.cipher.apply_keystream(checksum);
        number.copy_from_slice(&sequence);
        signature
    }
}

fn same(ours: &[u8; SIGNATURE_LEN], theirs: &[u8; SIGNATURE_LEN]) -> Result<(), SealError> {
    if bool::from(ours.ct_eq(theirs)) { Ok(()) } else { Err(SealError::Wrong) }
}

fn hmac(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mac = Hmac::<Md5>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

fn rc4(key: &[u8; 16]) -> Rc4 {
    rc4::KeyInit::new_from_slice(key).expect("RC4 takes keys of 16 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// MS-NLMP 4.2.4: RandomSessionKey, and the plaintext of 4.2.1.
    const KEY: [u8; 16] = [0x55; 16];

    fn plaintext() -> Vec<u8> {
        "Plaintext".encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn the_vectors_of_the_specification() {
        let mut sealer = Sealer::new(&SessionKey::new(KEY), Direction::FromClient);
        // 4.2.4.4: SignKey, SealKey, Data, checksum and signature.
        assert_eq!(*sealer.signing, *hex("4788dc861b4782f35d43fd98fe1a2d39"));
        assert_eq!(*sealer.sealing, *hex("59f600973cc4960a25480a7c196e4c58"));
        let sealed = sealer.seal(&plaintext());
        assert_eq!(sealed[16..], hex("54e50165bf1936dc996020c1811b0f06fb5f"));
        assert_eq!(sealed[..16], hex("010000007fb38ec5c55d497600000000"));
    }

    #[test]
    fn a_message_is_taken_once_and_in_its_turn() {
        let key = SessionKey::new([7; 16]);
        let mut client = Sealer::new(&key, Direction::FromClient);
        let mut server = Sealer::new(&key, Direction::FromClient);
        let (first, second) = (client.seal(b"first"), client.seal(b"second"));
        assert_eq!(server.unseal(&first).unwrap().as_slice(), b"first");
        assert_eq!(server.unseal(&first), Err(SealError::Wrong));
        let mut server = Sealer::new(&key, Direction::FromClient);
        assert_eq!(server.unseal(&second), Err(SealError::Wrong));
        assert_eq!(Sealer::new(&key, Direction::FromServer).unseal(&first), Err(SealError::Wrong));
        for length in 0..16 {
            assert!(matches!(server.unseal(&first[..length]), Err(SealError::TooShort(_))));
        }
    }

    #[test]
    fn a_mic_is_counted_and_the_cipher_begins_anew() {
        let key = SessionKey::new([7; 16]);
        let mut client = Sealer::new(&key, Direction::FromClient);
        let mut server = Sealer::new(&key, Direction::FromClient);
        let mic = client.mic(b"list");
        server.check_mic(b"list", &mic).unwrap();
        let sealed = client.seal(&plaintext());
        assert_eq!(sealed[12..16], [1, 0, 0, 0]);
        assert_eq!(sealed[16..], Sealer::new(&key, Direction::FromClient).seal(&plaintext())[16..]);
        assert_eq!(*server.unseal(&sealed).unwrap(), plaintext());
        let mut server = Sealer::new(&key, Direction::FromClient);
        assert_eq!(server.check_mic(b"another list", &mic), Err(SealError::Wrong));
        assert_eq!(server.check_mic(b"list", &mic[..15]), Err(SealError::TooShort(15)));
    }

    proptest! {
        #[test]
        fn no_bit_can_be_changed(text in proptest::collection::vec(any::<u8>(), 0..60), bit in 0usize..600) {
            let key = SessionKey::new(KEY);
            let mut sealed = Sealer::new(&key, Direction::FromServer).seal(&text);
            prop_assert_eq!(&*Sealer::new(&key, Direction::FromServer).unseal(&sealed).unwrap(), &text);
            let bit = bit % (sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Sealer::new(&key, Direction::FromServer).unseal(&sealed), Err(SealError::Wrong));
        }
    }
}
