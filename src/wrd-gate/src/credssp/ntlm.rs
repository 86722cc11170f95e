//! The three messages of NTLM (MS-NLMP 2.2.1): two are taken apart here, one is written. Nothing is verified.
//!
//! The monitor verifies, with a hash that never comes here. What it gets is taken out of the client's messages with
//! every offset checked: a field lies inside of the message and behind its fixed part, or the message is refused.

use wrd_proto::gate::{Domain, NtlmProof};
use wrd_proto::{Bytes, UserName};

/// Longest NEGOTIATE_MESSAGE in bytes, as the monitor takes it.
const MAX_NEGOTIATE: usize = 1024;
/// Longest AUTHENTICATE_MESSAGE in bytes, likewise.
const MAX_AUTHENTICATE: usize = 8192;
const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// NegotiateFlags (2.2.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    const UNICODE: u32 = 0x1;
    const REQUEST_TARGET: u32 = 0x4;
    const SIGN: u32 = 0x10;
    const SEAL: u32 = 0x20;
    const NTLM: u32 = 0x200;
    const ALWAYS_SIGN: u32 = 0x8000;
    const TARGET_TYPE_SERVER: u32 = 0x2_0000;
    const EXTENDED_SESSION_SECURITY: u32 = 0x8_0000;
    const TARGET_INFO: u32 = 0x80_0000;
    const VERSION: u32 = 0x200_0000;
    const KEY_128: u32 = 0x2000_0000;
    const KEY_EXCHANGE: u32 = 0x4000_0000;
    const KEY_56: u32 = 0x8000_0000;

    /// Without any of these the session would be weaker than it is served here.
    const REQUIRED: u32 =
        Self::UNICODE | Self::SIGN | Self::SEAL | Self::EXTENDED_SESSION_SECURITY | Self::KEY_128 | Self::KEY_EXCHANGE;
    /// What is granted besides where the client asks for it.
    const GRANTED: u32 = Self::REQUEST_TARGET | Self::NTLM | Self::ALWAYS_SIGN | Self::VERSION | Self::KEY_56;

    fn require(bits: u32) -> Result<Self, NtlmError> {
        if bits & Self::REQUIRED == Self::REQUIRED { Ok(Self(bits)) } else { Err(NtlmError::Weak(bits)) }
    }

    /// Those of our CHALLENGE_MESSAGE.
    fn answer(self) -> u32 {
        self.0 & (Self::REQUIRED | Self::GRANTED) | Self::TARGET_INFO | Self::TARGET_TYPE_SERVER
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NtlmError {
    #[error("a message that is not NTLM's, or not the one that is due")]
    Kind,
    #[error("a message that ends too early")]
    TooShort,
    #[error("a message of {0} bytes where at most {1} are allowed")]
    TooLong(usize, usize),
    #[error("a field outside of its message")]
    Outside,
    #[error("a name that is no text, or too long")]
    Name,
    #[error("a client that would sign or seal too weakly (flags {0:#x})")]
    Weak(u32),
    #[error("a message without room for its MIC")]
    NoMic,
    #[error("an anonymous client")]
    Anonymous,
    #[error("a response of {0} bytes, which is not NTLMv2")]
    NotVersion2(usize),
}

/// Decodes the NEGOTIATE_MESSAGE (2.2.1.1). The names that may be in it say nothing to us.
pub fn negotiate(message: &[u8]) -> Result<(Bytes<MAX_NEGOTIATE>, Flags), NtlmError> {
    begins_as(message, 1)?;
    let flags = Flags::require(u32_at(message, 12)?)?;
    Ok((bounded(message)?, flags))
}

/// Writes the CHALLENGE_MESSAGE (2.2.1.2) for a client that asked for `flags`.
///
/// `now` is in units of 100 ns since 1601, UTC. A client that finds it in there sends a MIC (3.1.5.1.2).
pub fn challenge(flags: Flags, challenge: [u8; 8], host_name: &str, now: u64) -> Result<Bytes<2048>, NtlmError> {
    const FIXED: u32 = 56;
    let label = host_name.split('.').next().unwrap_or_default();
    // A NetBIOS name, which stands for the domain as well: this machine is in none.
    let short = utf16(&label.chars().take(15).flat_map(char::to_uppercase).collect::<String>());
    let mut info = Vec::new();
    let mut pair = |id: u16, value: &[u8]| {
        info.extend(id.to_le_bytes());
        info.extend((value.len() as u16).to_le_bytes());
        info.extend(value);
    };
    // MsvAvNbDomainName, MsvAvNbComputerName, MsvAvDnsComputerName, MsvAvTimestamp, MsvAvEOL (2.2.2.1).
    pair(2, &short);
    pair(1, &short);
    pair(3, &utf16(host_name));
    pair(7, &now.to_le_bytes());
    pair(0, &[]);

    let field = |length: usize, at: u32| {
        let [low, high, ..] = (length as u32).to_le_bytes();
        let [a, b, c, d] = at.to_le_bytes();
        [low, high, low, high, a, b, c, d]
    };
    let mut message = SIGNATURE.to_vec();
    message.extend(2u32.to_le_bytes());
    message.extend(field(short.len(), FIXED));
    message.extend(flags.answer().to_le_bytes());
    message.extend(challenge);
    message.extend([0; 8]);
    message.extend(field(info.len(), FIXED + short.len() as u32));
    // VERSION (2.2.2.10) of a current Windows, as far as anybody looks: only the revision, 15, has a meaning.
    message.extend([10, 0, 0x61, 0x4a, 0, 0, 0, 15]);
    message.extend(short);
    message.extend(info);
    bounded(&message)
}

/// Decodes the AUTHENTICATE_MESSAGE (2.2.1.3) into what the monitor verifies, beside the two messages before it.
pub fn authenticate(
    message: &[u8],
    negotiate: Bytes<MAX_NEGOTIATE>,
    challenge: Bytes<2048>,
) -> Result<NtlmProof, NtlmError> {
    begins_as(message, 3)?;
    let mut authenticate = Bytes::<MAX_AUTHENTICATE>::into_vec(bounded(message)?);
    let flags = Flags::require(u32_at(message, 60)?)?;
    // Version is not there where it was not agreed on.
    let mic_at = if flags.0 & Flags::VERSION != 0 { 72 } else { 64 };
    let payload = mic_at + 16;
    let mic_bytes = authenticate.get_mut(mic_at..payload).ok_or(NtlmError::NoMic)?;
    let mut mic = [0; 16];
    mic.copy_from_slice(mic_bytes);
    mic_bytes.fill(0);

    let field = |at| field(message, at, payload);
    let response = field(20)?;
    let (user, domain) = (field(36)?, field(28)?);
    if user.is_empty() || response.is_empty() {
        return Err(NtlmError::Anonymous);
    }
    // NTProofStr, and the fixed part of NTLMv2_CLIENT_CHALLENGE (2.2.2.7). NTLMv1 has 24 bytes in all.
    let (proof, client_challenge) = response.split_first_chunk().ok_or(NtlmError::NotVersion2(response.len()))?;
    if client_challenge.len() < 28 || !client_challenge.starts_with(&[1, 1]) {
        return Err(NtlmError::NotVersion2(response.len()));
    }
    // Neither is of use, but both must be where they can be.
    field(12)?;
    field(44)?;
    let key = field(52)?.try_into().map_err(|_| NtlmError::Weak(flags.0))?;
    Ok(NtlmProof {
        user: UserName::try_from(text(user)?).map_err(|_| NtlmError::Name)?,
        domain: Domain::try_from(text(domain)?).map_err(|_| NtlmError::Name)?,
        proof: *proof,
        client_challenge: bounded(client_challenge)?,
        encrypted_session_key: Some(key),
        mic,
        negotiate,
        challenge,
        authenticate: bounded(&authenticate)?,
    })
}

fn begins_as(message: &[u8], kind: u32) -> Result<(), NtlmError> {
    if !message.starts_with(SIGNATURE) || u32_at(message, 8)? != kind { Err(NtlmError::Kind) } else { Ok(()) }
}

fn u32_at(message: &[u8], at: usize) -> Result<u32, NtlmError> {
    let bytes = message.get(at..).and_then(|rest| rest.first_chunk()).ok_or(NtlmError::TooShort)?;
    Ok(u32::from_le_bytes(*bytes))
}

/// What the length (2 bytes), maximum (2) and offset (4) at `at` point to, which begins at `first` at the earliest.
fn field(message: &[u8], at: usize, first: usize) -> Result<&[u8], NtlmError> {
    let length = usize::from(u32_at(message, at)? as u16);
    if length == 0 {
        return Ok(&[]);
    }
    let from = usize::try_from(u32_at(message, at + 4)?).map_err(|_| NtlmError::Outside)?;
    if from < first {
        return Err(NtlmError::Outside);
    }
    from.checked_add(length).and_then(|to| message.get(from..to)).ok_or(NtlmError::Outside)
}

fn bounded<const N: usize>(bytes: &[u8]) -> Result<Bytes<N>, NtlmError> {
    Bytes::try_from(bytes.to_vec()).map_err(|_| NtlmError::TooLong(bytes.len(), N))
}

/// Strictly: a name that is altered is another name.
fn text(bytes: &[u8]) -> Result<String, NtlmError> {
    let (units, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    if !rest.is_empty() || units.contains(&0) {
        return Err(NtlmError::Name);
    }
    String::from_utf16(&units).map_err(|_| NtlmError::Name)
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: u32 = Flags::REQUIRED | Flags::GRANTED;

    /// An AUTHENTICATE_MESSAGE with these for domain, user, response and session key.
    fn message(flags: u32, fields: [&[u8]; 4]) -> Vec<u8> {
        let mut payload = Vec::new();
        let mut place = |bytes: &[u8]| {
            let at = (88 + payload.len() as u32).to_le_bytes();
            let length = (bytes.len() as u16).to_le_bytes();
            payload.extend_from_slice(bytes);
            [length[0], length[1], length[0], length[1], at[0], at[1], at[2], at[3]]
        };
        let [domain, user, response, key] = fields.map(&mut place);
        let empty = place(&[]);
        let mut message = SIGNATURE.to_vec();
        message.extend(3u32.to_le_bytes());
        message.extend([empty, response, domain, user, empty, key].concat());
        message.extend(flags.to_le_bytes());
        message.extend([0; 8]);
        message.extend([0x77; 16]);
        message.extend(payload);
        message
    }

    fn response() -> Vec<u8> {
        let mut response = vec![9; 16];
        response.extend([1, 1]);
        response.extend([0; 30]);
        response
    }

    fn good() -> Vec<u8> {
        message(ALL, [&utf16("DOM"), &utf16("jürgen"), &response(), &[5; 16]])
    }

    fn decode(message: &[u8]) -> Result<NtlmProof, NtlmError> {
        authenticate(message, Bytes::default(), Bytes::default())
    }

    #[test]
    fn a_good_message_comes_apart() {
        let proof = decode(&good()).unwrap();
        assert_eq!((proof.user.as_str(), proof.domain.as_str()), ("jürgen", "DOM"));
        assert_eq!((proof.proof, proof.mic, proof.encrypted_session_key), ([9; 16], [0x77; 16], Some([5; 16])));
        let mut without_mic = good();
        without_mic[72..88].fill(0);
        assert_eq!(&*proof.authenticate, without_mic.as_slice());
    }

    #[test]
    fn fields_outside_or_over_the_fixed_part_are_refused() {
        for field_at in [20, 28, 36, 52] {
            for offset in [0u32, 16, 72, 87, 1 << 20, u32::MAX - 1, u32::MAX] {
                let mut bad = good();
                bad[field_at + 4..field_at + 8].copy_from_slice(&offset.to_le_bytes());
                assert_eq!(decode(&bad).unwrap_err(), NtlmError::Outside, "{field_at} {offset}");
            }
            let mut bad = good();
            bad[field_at..field_at + 2].copy_from_slice(&u16::MAX.to_le_bytes());
            assert_eq!(decode(&bad).unwrap_err(), NtlmError::Outside);
        }
        // Also what nobody needs.
        for field_at in [12, 44] {
            let mut bad = good();
            bad[field_at..field_at + 8].copy_from_slice(&[1, 0, 1, 0, 0xff, 0xff, 0xff, 0xff]);
            assert_eq!(decode(&bad).unwrap_err(), NtlmError::Outside);
        }
    }

    #[test]
    fn the_mic_is_where_the_version_lets_it_be() {
        let with = good();
        let mut without = with.clone();
        without.drain(64..72);
        without[60..64].copy_from_slice(&(ALL & !Flags::VERSION).to_le_bytes());
        for at in [20, 28, 36, 52] {
            without[at + 4] -= 8;
        }
        assert_eq!(decode(&without).unwrap().mic, [0x77; 16]);
        // A message of old, without any: its names stand where the MIC would.
        assert_eq!(decode(&with[..80]).unwrap_err(), NtlmError::NoMic);
    }

    #[test]
    fn anonymous_old_and_weak_clients_are_refused() {
        let key = [5; 16];
        let name = utf16("alice");
        assert_eq!(decode(&message(ALL, [&[], &[], &response(), &key])).unwrap_err(), NtlmError::Anonymous);
        assert_eq!(decode(&message(ALL, [&[], &name, &[], &key])).unwrap_err(), NtlmError::Anonymous);
        assert_eq!(decode(&message(ALL, [&[], &name, &[1; 24], &key])).unwrap_err(), NtlmError::NotVersion2(24));
        assert_eq!(decode(&message(ALL, [&[], &name, &[2; 48], &key])).unwrap_err(), NtlmError::NotVersion2(48));
        assert!(matches!(decode(&message(ALL, [&[], &name, &response(), &[]])), Err(NtlmError::Weak(_))));
        for bit in [Flags::SEAL, Flags::EXTENDED_SESSION_SECURITY, Flags::KEY_128, Flags::KEY_EXCHANGE] {
            assert!(matches!(decode(&message(ALL & !bit, [&[], &name, &response(), &key])), Err(NtlmError::Weak(_))));
            let mut negotiate = SIGNATURE.to_vec();
            negotiate.extend([1, 0, 0, 0]);
            negotiate.extend((ALL & !bit).to_le_bytes());
            assert!(matches!(super::negotiate(&negotiate), Err(NtlmError::Weak(_))));
        }
    }

    #[test]
    fn names_are_text_and_not_altered() {
        let with = |name: &[u8]| decode(&message(ALL, [&[], name, &response(), &[5; 16]]));
        for bad in [&b"a\0b"[..], &[0x00, 0xd8, b'a', 0], &utf16("al\0ice"), &utf16(&"x".repeat(257))] {
            assert_eq!(with(bad).unwrap_err(), NtlmError::Name, "{bad:?}");
        }
        assert_eq!(with(&utf16(&"x".repeat(256))).unwrap().user.len(), 256);
    }

    #[test]
    fn the_challenge_has_the_time_and_the_names_in_it() {
        let message = challenge(Flags(ALL), *b"12345678", "host.example.org", 0x0102_0304_0506_0708).unwrap();
        assert_eq!(message[24..32], *b"12345678");
        assert_eq!(message[56..64], *b"H\0O\0S\0T\0");
        assert!(message.ends_with(&[7, 0, 8, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0]));
        assert_eq!(u32_at(&message, 20), Ok(Flags(ALL).answer()));
        // Nothing that the client did not ask for, but for the names.
        assert_eq!(Flags(Flags::REQUIRED).answer() & !Flags::REQUIRED, 0x82_0000);
        assert!(challenge(Flags(ALL), [0; 8], &"x".repeat(255), 0).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 12usize..200,
            value in any::<u8>(),
        ) {
            let _ = (negotiate(&bytes), decode(&bytes));
            let mut bent = good();
            if let Some(byte) = bent.get_mut(at) {
                *byte = value;
            }
            if let Ok(proof) = decode(&bent) {
                prop_assert_eq!(proof.authenticate.len(), bent.len());
            }
            let _ = decode(&bent[..at.min(bent.len())]);
        }
    }
}
