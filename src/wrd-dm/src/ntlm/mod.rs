//! Whether a client knows the password of a user: the judge of NTLMv2 (MS-NLMP 3.3.2, 3.2.5.1.2), for NLA.
//!
//! Pure: what the gate has taken out of the client's messages, our challenge and an NT hash go in; a session key or a
//! refusal comes out. Always true: a proof is compared in constant time; without a MIC that is right nobody is proven;
//! where nobody is enrolled the same work is done against a hash that nobody knows. Strings go into the proof exactly as
//! the client sent them, and decide nothing here: whose hash it is has been decided before.
//! Deliberately absent: NTLMv1 and LM in any form, parsing of messages, the challenge's randomness, the store, clocks
//! (a client's time is not ours, and each challenge is used once).

mod keys;
#[cfg(test)]
mod tests;

pub(crate) use keys::Mac;
use keys::{exported_key, ntowfv2, response_mac, session_base_key};
use wrd_proto::gate::{NtlmProof, SessionKey};

/// An NT hash: MD4 of a password in UTF-16.
pub type Hash = [u8; 16];

/// Why a client is not believed; for the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("NLA: the user name is empty or has a NUL in it")]
    Name,
    #[error("NLA: the response is none of NTLMv2")]
    Response,
    #[error("NLA: the client protects its messages with no MIC")]
    NoMic,
    #[error("NLA: wrong password, or nobody is enrolled by that name")]
    Proof,
    #[error("NLA: the MIC is wrong: the messages were changed on their way")]
    Mic,
}

/// Judges `proof`, which answers `challenge`, by the hash that is enrolled for its user. Where there is none `decoy`,
/// random bytes, stands in for it, and nothing is ever proven.
pub fn judge(
    proof: &NtlmProof,
    challenge: &[u8; 8],
    enrolled: Option<&Hash>,
    decoy: &Hash,
) -> Result<SessionKey, Refused> {
    let judged = verify(proof, challenge, enrolled.unwrap_or(decoy));
    if enrolled.is_none() { Err(judged.err().unwrap_or(Refused::Proof)) } else { judged }
}

fn verify(proof: &NtlmProof, challenge: &[u8; 8], hash: &Hash) -> Result<SessionKey, Refused> {
    // What needs no secret comes first, so that it says nothing about one.
    if proof.user.is_empty() || proof.user.contains('\0') {
        return Err(Refused::Name);
    }
    if !is_ntlmv2(&proof.client_challenge) {
        return Err(Refused::Response);
    }
    if proof.mic == [0; 16] {
        return Err(Refused::NoMic);
    }
    let key = ntowfv2(hash, &proof.user, &proof.domain);
    response_mac(&key, challenge, &proof.client_challenge).verify(&proof.proof).map_err(|_| Refused::Proof)?;
    let exported = exported_key(session_base_key(&key, &proof.proof), proof.encrypted_session_key.as_ref());
    let messages = [&*proof.negotiate, &*proof.challenge, &*proof.authenticate];
    Mac::over(&exported, &messages).verify(&proof.mic).map_err(|_| Refused::Mic)?;
    Ok(SessionKey::new(*exported))
}

/// NTLMv2_CLIENT_CHALLENGE (MS-NLMP 2.2.2.7): 28 bytes, of which the first two are versions, and pairs behind them.
fn is_ntlmv2(client_challenge: &[u8]) -> bool {
    client_challenge.starts_with(&[1, 1]) && client_challenge.len() >= FIXED_PART
}

const FIXED_PART: usize = 28;
