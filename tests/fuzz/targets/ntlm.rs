//! A client's answer in NLA, as a gate that may be anybody's hands it over, before the judge.

use wrd_dm::ntlm::{Refused, judge};
use wrd_proto::Bytes;
use wrd_proto::gate::{NtlmProof, SessionKey};

/// Who is proven knows the hash of MS-NLMP 4.2.2.1.2, and not one byte of what they said may be another.
pub fn ntlm(data: &[u8]) {
    let Ok(proof) = wrd_sys::channel::decode::<NtlmProof>(data) else { return };
    let judged = |proof: &NtlmProof| judge(proof, &CHALLENGE, Some(&HASH), &DECOY);
    let verdict = judged(&proof);
    assert_eq!(verdict, judged(&proof), "twice the same");
    let nobody = judge(&proof, &CHALLENGE, None, &DECOY);
    match verdict {
        Ok(_) => {
            assert_eq!(nobody, Err(Refused::Proof), "somebody who is not enrolled");
            assert!(!proof.user.is_empty() && proof.client_challenge.len() >= 28 && proof.mic != [0; 16]);
            assert_eq!(judge(&proof, &[0; 8], Some(&HASH), &DECOY), Err(Refused::Proof), "replayed");
            assert_eq!(judge(&proof, &CHALLENGE, Some(&DECOY), &HASH), Err(Refused::Proof), "another's hash");
            nothing_may_differ(&proof, judged);
        }
        // What needs a secret is all one where there is none.
        Err(Refused::Proof | Refused::Mic) => assert_eq!(nobody, Err(Refused::Proof)),
        Err(refused) => assert_eq!(nobody, Err(refused)),
    }
}

fn nothing_may_differ(proof: &NtlmProof, judged: impl Fn(&NtlmProof) -> Result<SessionKey, Refused>) {
    let other = |bytes: [u8; 16]| bytes.map(|byte| byte ^ 0x80);
    let others = [
        NtlmProof { proof: other(proof.proof), ..proof.clone() },
        NtlmProof { mic: other(proof.mic), ..proof.clone() },
        NtlmProof { encrypted_session_key: proof.encrypted_session_key.map(other).or(Some([1; 16])), ..proof.clone() },
        NtlmProof { client_challenge: changed(&proof.client_challenge), ..proof.clone() },
        NtlmProof { negotiate: changed(&proof.negotiate), ..proof.clone() },
        NtlmProof { challenge: changed(&proof.challenge), ..proof.clone() },
        NtlmProof { authenticate: changed(&proof.authenticate), ..proof.clone() },
    ];
    for (at, other) in others.iter().enumerate() {
        assert!(judged(other).is_err(), "change {at} is not seen");
    }
}

/// With another last byte, or with one where there was none.
fn changed<const N: usize>(bytes: &Bytes<N>) -> Bytes<N> {
    let mut bytes = bytes.to_vec();
    match bytes.last_mut() {
        Some(last) => *last ^= 0x80,
        None => bytes.push(1),
    }
    Bytes::try_from(bytes).expect("as long as it was, or one byte long")
}

/// As in MS-NLMP 4.2: of the password "Password".
pub const HASH: [u8; 16] = 0xa4f4_9c40_6510_bdca_b682_4ee7_c30f_d852_u128.to_be_bytes();
pub const CHALLENGE: [u8; 8] = 0x0123_4567_89ab_cdef_u64.to_be_bytes();
const DECOY: [u8; 16] = [0xd0; 16];
