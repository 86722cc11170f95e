//! A client's NTLM by hand (MS-NLMP 3.1.5.1, 3.4): the proof of a password, and the seal that comes of it.
//!
//! `sspi`'s client seals what is right and nothing else. Whoever attacks from behind a right proof needs the key.

use md5::{Digest, Md5};
use rc4::{Rc4, StreamCipher};
use ring::rand::{SecureRandom, SystemRandom};
use std::io;
use wrd_test_client::nla::{mac, owf, utf16};

const SIGNATURE: &[u8] = b"NTLMSSP\0";
/// NegotiateFlags (2.2.2.5) of any client of today, but for VERSION: Unicode, target, signed, sealed, NTLM, always signed,
/// extended session security, target info, 128 bits, key exchange.
const FLAGS: u32 = 0x6088_8235;

/// NEGOTIATE_MESSAGE (2.2.1.1), without names.
pub fn negotiate() -> Vec<u8> {
    [SIGNATURE, &1u32.to_le_bytes(), &FLAGS.to_le_bytes(), &[0; 16]].concat()
}

/// The CHALLENGE_MESSAGE in a token, with SPNEGO around it or not.
pub fn challenge_in(token: &[u8]) -> io::Result<&[u8]> {
    let at = token.windows(SIGNATURE.len()).position(|window| window == SIGNATURE);
    at.and_then(|at| token.get(at..)).ok_or_else(|| io::Error::other("no challenge"))
}

/// AUTHENTICATE_MESSAGE (2.2.1.3) with the right answer to `challenge`, and what its client seals with.
pub fn authenticate((user, password): (&str, &str), challenge: &[u8]) -> io::Result<(Vec<u8>, Sealer)> {
    let short = || io::Error::other("a short challenge");
    let from = |at: usize| challenge.get(at..).ok_or_else(short);
    let server_challenge = from(24)?.first_chunk::<8>().ok_or_else(short)?;
    let length = usize::from(u16::from_le_bytes(*from(40)?.first_chunk().ok_or_else(short)?));
    let info_at = u32::from_le_bytes(*from(44)?.first_chunk().ok_or_else(short)?) as usize;
    let info = from(info_at)?.get(..length).ok_or_else(short)?;

    // NTLMv2_CLIENT_CHALLENGE (2.2.2.7). Nobody looks at the time.
    let blob = [&[1, 1][..], &[0; 14], &random::<8>()?, &[0; 4], info, &[0; 4]].concat();
    let owf = owf(password, user, "");
    let proof = mac(&owf, &[server_challenge, &blob]);
    let session_key = random::<16>()?;
    let mut encrypted_key = session_key;
    rc4(&mac(&owf, &[&proof])).apply_keystream(&mut encrypted_key);

    const PAYLOAD: usize = 80;
    let mut payload = Vec::new();
    let mut place = |bytes: &[u8]| {
        let at = (PAYLOAD + payload.len()) as u32;
        payload.extend_from_slice(bytes);
        let length = (bytes.len() as u16).to_le_bytes();
        [&length[..], &length, &at.to_le_bytes()].concat()
    };
    let (response, name, key) = (place(&[&proof[..], &blob].concat()), place(&utf16(user)), place(&encrypted_key));
    let empty = place(&[]);
    let fields = [&empty, &response, &empty, &name, &empty, &key].map(Vec::as_slice).concat();
    let head = [SIGNATURE, &3u32.to_le_bytes(), &fields, &FLAGS.to_le_bytes()].concat();
    let mic = mac(&session_key, &[&negotiate(), challenge, &head, &[0; 16], &payload]);
    Ok(([&head[..], &mic, &payload].concat(), Sealer::new(&session_key)))
}

/// What a client says under the session key: a key to sign with, a cipher that runs on, the number of the next message.
pub struct Sealer {
    signing: [u8; 16],
    cipher: Rc4,
    pub sequence: u32,
}

impl Sealer {
    fn new(key: &[u8; 16]) -> Self {
        let derive = |constant: &[u8]| Md5::new().chain_update(key).chain_update(constant).finalize().into();
        let signing = derive(b"session key to client-to-server signing key magic constant\0");
        let sealing: [u8; 16] = derive(b"session key to client-to-server sealing key magic constant\0");
        Self { signing, cipher: rc4(&sealing), sequence: 0 }
    }

    /// Signature (2.2.2.9.2) and ciphertext.
    pub fn seal(&mut self, message: &[u8]) -> Vec<u8> {
        let number = self.sequence.to_le_bytes();
        self.sequence += 1;
        let mut text = message.to_vec();
        self.cipher.apply_keystream(&mut text);
        let digest = mac(&self.signing, &[&number, message]);
        let mut checksum = digest.first_chunk::<8>().copied().unwrap_or_default();
        self.cipher.apply_keystream(&mut checksum);
        [&1u32.to_le_bytes()[..], &checksum, &number, &text].concat()
    }
}

pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random bytes"))?;
    Ok(bytes)
}

fn rc4(key: &[u8; 16]) -> Rc4 {
    rc4::KeyInit::new_from_slice(key).expect("RC4 takes keys of 16 bytes")
}
