//! A stranger's CredSSP before the gate's driver, with a monitor that has made up its mind.

use sha2::{Digest, Sha256};
use wrd_gate::credssp::{
    CredSsp, CredSspError, Delegated, Direction, EarlyResult, MAX_TS_REQUEST, Sealer, Server, Step, measure,
};
use wrd_proto::gate::{NtlmVerdict, SessionKey};

/// The first byte says what the monitor thinks and whether a result is sent early. Records follow: kind (1 byte), length
/// (2 bytes) and bytes. They are whole TSRequests, or what is inside of one, sealed as a client would who knows the key:
/// nobody guesses that.
pub fn credssp(data: &[u8]) {
    delegated(data);
}

/// The credentials that it ends with, if it does.
pub fn delegated(data: &[u8]) -> Option<Delegated> {
    let (flags, mut rest) = data.split_first()?;
    let proven = flags & 1 != 0;
    let early = if flags & 2 != 0 { EarlyResult::Sent } else { EarlyResult::NotSent };
    let server = Server { host_name: "host.example.org".to_owned(), public_key: KEY.to_vec(), early_result: early };
    let mut driver = CredSsp::new(server);
    let mut sealer = Sealer::new(&SessionKey::new(SESSION_KEY), Direction::FromClient);
    let (mut rounds, mut judged) = (0, false);
    while let [kind, low, high, behind @ ..] = rest {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(behind.len());
        let (bytes, next) = behind.split_at(length);
        rest = next;
        let request = match kind % 5 {
            0 => bytes.to_vec(),
            1 => request(&[token(bytes)]),
            2 => request(&[token(bytes), octets(3, &sealer.seal(&right_hash())), octets(5, &NONCE)]),
            3 => request(&[octets(3, &sealer.seal(bytes)), octets(5, &NONCE)]),
            _ => request(&[octets(2, &sealer.seal(bytes))]),
        };
        // As the gate's client.rs waits for it.
        match measure(&request) {
            Ok(Some(length)) if length == request.len() => assert!(length <= MAX_TS_REQUEST),
            _ => return None,
        }
        let mut output = Vec::new();
        let mut step = driver.receive(&request, &mut output);
        if let Ok(Step::Challenge) = step {
            step = driver.challenge([7; 8], 1, &mut output);
        }
        if let Ok(Step::Verdict(proof)) = &step {
            assert!(!judged, "two proofs");
            judged = true;
            assert!(!proof.user.is_empty() && proof.client_challenge.len() >= 28);
            assert!(!proof.challenge.is_empty() && proof.negotiate.len() >= 16 && proof.authenticate.len() >= 80);
            let verdict = if proven { NtlmVerdict::Proven(SessionKey::new(SESSION_KEY)) } else { NtlmVerdict::Refused };
            step = driver.verdict(verdict, &mut output);
        }
        assert!(output.len() < 4096, "{} bytes were answered", output.len());
        rounds += 1;
        match step {
            Ok(Step::Request) => assert!(rounds < 5, "an exchange without an end"),
            Ok(Step::Done(delegated)) => {
                assert!(proven && judged, "{delegated:?} was proven by nobody");
                assert_eq!(output, if early == EarlyResult::Sent { &[0; 4][..] } else { &[] });
                return Some(delegated);
            }
            Ok(other) => panic!("{other:?} is wanted again"),
            Err(_) => {
                // Over is over.
                let again = driver.receive(&self::request(&[token(b"NTLMSSP\0")]), &mut Vec::new());
                let known = |error: &CredSspError| {
                    matches!(
                        error,
                        CredSspError::OutOfTurn | CredSspError::Version(_) | CredSspError::VersionChanged(..)
                    )
                };
                assert!(again.is_err_and(|error| known(&error)));
                return None;
            }
        }
    }
    None
}

const KEY: &[u8] = b"a public key";
const SESSION_KEY: [u8; 16] = [0x55; 16];
const NONCE: [u8; 32] = [3; 32];

fn right_hash() -> [u8; 32] {
    let hash = Sha256::new().chain_update(b"CredSSP Client-To-Server Binding Hash\0");
    hash.chain_update(NONCE).chain_update(KEY).finalize().into()
}

/// A TSRequest of version 6 with these fields.
fn request(fields: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &[&element(0xa0, &element(2, &[6])), &*fields.concat()].concat())
}

fn token(bytes: &[u8]) -> Vec<u8> {
    element(0xa1, &element(0x30, &element(0x30, &octets(0, bytes))))
}

fn octets(number: u8, bytes: &[u8]) -> Vec<u8> {
    element(0xa0 | number, &element(4, bytes))
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [.., high, low] = contents.len().to_be_bytes();
    let length: &[u8] = if contents.len() < 0x80 { &[low] } else { &[0x82, high, low] };
    [&[tag], length, contents].concat()
}
