//! The vectors of MS-NLMP 4.2.4, and what attackers try, by hand and by chance.

use super::*;
use proptest::prelude::*;
use wrd_proto::gate::Domain;
use wrd_proto::{Bytes, UserName};

/// NT hash of "Password" (4.2.2.1.2).
const HASH: Hash = hex("a4f49c406510bdcab6824ee7c30fd852");
const DECOY: Hash = hex("00112233445566778899aabbccddeeff");
const CHALLENGE: [u8; 8] = hex("0123456789abcdef");
/// RandomSessionKey (4.2.1).
const RANDOM_KEY: [u8; 16] = [0x55; 16];
/// `temp` of 4.2.4.1.3: time 0, the client's challenge, "Domain" and "Server", the end of the list.
const CLIENT_CHALLENGE: [u8; 68] = hex(concat!(
    "01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000",
    "02000c0044006f006d00610069006e00",
    "01000c00530065007200760065007200",
    "0000000000000000",
));

const fn hex<const N: usize>(text: &str) -> [u8; N] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte - b'a' + 10,
        }
    }
    assert!(text.len() == 2 * N);
    let (text, mut bytes, mut at) = (text.as_bytes(), [0; N], 0);
    while at < N {
        bytes[at] = digit(text[2 * at]) << 4 | digit(text[2 * at + 1]);
        at += 1;
    }
    bytes
}

#[test]
fn the_vectors_of_the_specification_hold() {
    let key = ntowfv2(&HASH, "User", "Domain");
    assert_eq!(*key, hex("0c868a403bfd7a93a3001ef22ef02e3f"), "4.2.4.1.1");
    let proof = response_mac(&key, &CHALLENGE, &CLIENT_CHALLENGE).value();
    assert_eq!(*proof, hex("68cd0ab851e51c96aabc927bebef6a1c"), "4.2.4.2.2");
    let base = session_base_key(&key, &proof);
    assert_eq!(*base, hex("8de40ccadbc14a82f15cb0ad0de95ca3"), "4.2.4.1.2");
    let encrypted = hex("c5dad2544fc9799094ce1ce90bc9d03e");
    assert_eq!(*exported_key(base.clone(), Some(&encrypted)), RANDOM_KEY, "4.2.4.2.3");
    assert_eq!(exported_key(base.clone(), None), base, "without KEY_EXCH");
}

/// A client of the specification's, and what it says.
#[derive(Clone, Debug)]
struct Client {
    user: String,
    domain: String,
    hash: Hash,
    /// Which challenge it answers.
    challenge: [u8; 8],
    client_challenge: Vec<u8>,
    /// What it wants for a key; by key exchange where there is one.
    random_key: Option<[u8; 16]>,
}

impl Client {
    fn new() -> Self {
        Self {
            user: "User".into(),
            domain: "Domain".into(),
            hash: HASH,
            challenge: CHALLENGE,
            client_challenge: CLIENT_CHALLENGE.to_vec(),
            random_key: Some(RANDOM_KEY),
        }
    }

    fn proof(&self) -> NtlmProof {
        let key = ntowfv2(&self.hash, &self.user, &self.domain);
        let proof = response_mac(&key, &self.challenge, &self.client_challenge).value();
        let base = session_base_key(&key, &proof);
        // RC4 both ways is the same.
        let encrypted_session_key = self.random_key.map(|random| *exported_key(base.clone(), Some(&random)));
        let exported = self.random_key.unwrap_or(*base);
        let messages = [&b"negotiate"[..], b"challenge", b"authenticate"];
        let [negotiate, challenge, authenticate] = messages;
        NtlmProof {
            user: UserName::try_from(self.user.as_str()).unwrap(),
            domain: Domain::try_from(self.domain.as_str()).unwrap(),
            proof: *proof,
            client_challenge: Bytes::try_from(self.client_challenge.clone()).unwrap(),
            encrypted_session_key,
            mic: *Mac::over(&exported, &messages).value(),
            negotiate: Bytes::try_from(negotiate.to_vec()).unwrap(),
            challenge: Bytes::try_from(challenge.to_vec()).unwrap(),
            authenticate: Bytes::try_from(authenticate.to_vec()).unwrap(),
        }
    }
}

fn judged(proof: &NtlmProof) -> Result<SessionKey, Refused> {
    judge(proof, &CHALLENGE, Some(&HASH), &DECOY)
}

#[test]
fn who_knows_the_password_gets_the_key() {
    assert_eq!(judged(&Client::new().proof()), Ok(SessionKey::new(RANDOM_KEY)));
    // Without key exchange it is the base key, which no client chooses.
    let key = judged(&Client { random_key: None, ..Client::new() }.proof()).unwrap();
    assert_eq!(key.expose(), &hex("8de40ccadbc14a82f15cb0ad0de95ca3"));
    // No pair at all, and the fixed part alone.
    for length in [28, 32, 4096] {
        let mut client_challenge = CLIENT_CHALLENGE.to_vec();
        client_challenge.resize(length, 0);
        assert!(judged(&Client { client_challenge, ..Client::new() }.proof()).is_ok(), "{length} bytes");
    }
}

#[test]
fn the_strings_count_as_they_were_sent_whatever_they_are() {
    for (user, domain) in [
        ("User", ""),
        ("User", "."),
        ("User", "HOST"),
        ("User", "example.org"),
        ("User@example.org", ""),
        ("DOMAIN\\User", ""),
        ("müller", "Düren"),
        ("\u{4e2d}\u{1f511}", "\u{1f511}"),
    ] {
        let client = Client { user: user.into(), domain: domain.into(), ..Client::new() };
        assert!(judged(&client.proof()).is_ok(), "{user} {domain}");
        // Another string is another proof, but for the case of the user name (3.3.2).
        for (other_user, other_domain) in [(user, "OTHER"), ("other", domain)] {
            let mut proof = client.proof();
            proof.user = UserName::truncated(other_user);
            proof.domain = Domain::truncated(other_domain);
            assert_eq!(judged(&proof), Err(Refused::Proof), "{other_user} {other_domain}");
        }
    }
    let mut proof = Client::new().proof();
    proof.user = UserName::truncated("uSER");
    assert!(judged(&proof).is_ok());
    proof.domain = Domain::truncated("domain");
    assert_eq!(judged(&proof), Err(Refused::Proof));
    // The specification puts one string behind the other without a mark. That is why the hash has to be the name's.
    (proof.user, proof.domain) = (UserName::truncated("UserD"), Domain::truncated("omain"));
    assert!(judged(&proof).is_ok());
}

#[test]
fn a_message_without_a_mic_proves_nothing() {
    let proof = NtlmProof { mic: [0; 16], ..Client::new().proof() };
    assert_eq!(judged(&proof), Err(Refused::NoMic));
}

#[test]
fn a_message_that_was_changed_on_its_way_proves_nothing() {
    let good = Client::new().proof();
    let mut mic = good.mic;
    mic[15] ^= 1;
    let changed = [
        NtlmProof { mic, ..good.clone() },
        // NTLMSSP_NEGOTIATE_KEY_EXCH taken out, put in, and another key in the place of the client's.
        NtlmProof { encrypted_session_key: None, ..good.clone() },
        NtlmProof { encrypted_session_key: Some([0; 16]), ..Client { random_key: None, ..Client::new() }.proof() },
        NtlmProof { encrypted_session_key: Some([7; 16]), ..good.clone() },
        NtlmProof { negotiate: Bytes::default(), ..good.clone() },
        NtlmProof { challenge: Bytes::default(), ..good.clone() },
        NtlmProof { authenticate: Bytes::default(), ..good.clone() },
        NtlmProof { negotiate: good.negotiate.clone(), ..swapped(&good) },
    ];
    for proof in changed {
        assert_eq!(judged(&proof), Err(Refused::Mic));
    }
}

fn swapped(proof: &NtlmProof) -> NtlmProof {
    NtlmProof {
        challenge: Bytes::try_from(proof.authenticate.to_vec()).unwrap(),
        authenticate: Bytes::try_from(proof.challenge.to_vec()).unwrap(),
        ..proof.clone()
    }
}

#[test]
fn a_wrong_password_another_user_and_a_replay_prove_nothing() {
    let other_hash = Client { hash: DECOY, ..Client::new() };
    assert_eq!(judged(&other_hash.proof()), Err(Refused::Proof));
    let another = Client { user: "Other".into(), ..Client::new() };
    let taken_over = NtlmProof { user: UserName::truncated("User"), ..another.proof() };
    assert_eq!(judged(&taken_over), Err(Refused::Proof));
    let replayed = Client { challenge: hex("0123456789abcdee"), ..Client::new() };
    assert_eq!(judged(&replayed.proof()), Err(Refused::Proof));
}

#[test]
fn nobody_is_proven_who_is_not_enrolled_not_even_by_the_decoy() {
    let proof = Client::new().proof();
    assert_eq!(judge(&proof, &CHALLENGE, None, &DECOY), Err(Refused::Proof));
    let decoy = Client { hash: DECOY, ..Client::new() }.proof();
    assert_eq!(judge(&decoy, &CHALLENGE, None, &DECOY), Err(Refused::Proof));
    // Who is not enrolled and what else is wrong is told as of others.
    let no_mic = NtlmProof { mic: [0; 16], ..proof.clone() };
    assert_eq!(judge(&no_mic, &CHALLENGE, None, &DECOY), Err(Refused::NoMic));
    let wrong_mic = NtlmProof { mic: [1; 16], ..proof };
    assert_eq!(judge(&wrong_mic, &CHALLENGE, None, &DECOY), Err(Refused::Proof));
}

#[test]
fn nobody_is_nobody() {
    for user in ["", "\0", "User\0", "a\0b"] {
        for domain in ["", "Domain"] {
            let client = Client { user: user.into(), domain: domain.into(), ..Client::new() };
            assert_eq!(judged(&client.proof()), Err(Refused::Name), "{user:?}");
        }
    }
    // Anonymous (3.2.5.1.2): empty names, and responses that are empty or one zero.
    let anonymous =
        NtlmProof { user: UserName::default(), client_challenge: Bytes::default(), ..Client::new().proof() };
    assert_eq!(judged(&anonymous), Err(Refused::Name));
}

#[test]
fn a_response_of_another_kind_proves_nothing() {
    for length in 0..28 {
        let client = Client { client_challenge: CLIENT_CHALLENGE[..length].to_vec(), ..Client::new() };
        assert_eq!(judged(&client.proof()), Err(Refused::Response), "{length} bytes");
    }
    // NTLMv1: 24 bytes, of which 16 stand in the place of the proof.
    let v1 = Client { client_challenge: vec![1; 8], ..Client::new() };
    assert_eq!(judged(&v1.proof()), Err(Refused::Response));
    for (at, value) in [(0, 0), (0, 2), (1, 0), (1, 2)] {
        let mut client = Client::new();
        client.client_challenge[at] = value;
        assert_eq!(judged(&client.proof()), Err(Refused::Response), "byte {at} is {value}");
    }
}

fn client() -> impl Strategy<Value = Client> {
    let blob = prop::collection::vec(any::<u8>(), 26..200);
    (".{1,40}", ".{0,40}", any::<Hash>(), any::<[u8; 8]>(), blob, any::<Option<[u8; 16]>>()).prop_filter_map(
        "a name without NUL",
        |(user, domain, hash, challenge, blob, random_key)| {
            let client_challenge = [&[1, 1][..], &blob].concat();
            let fine = !user.contains('\0');
            fine.then_some(Client { user, domain, hash, challenge, client_challenge, random_key })
        },
    )
}

proptest! {
    #[test]
    fn any_client_that_knows_the_hash_is_proven_and_no_bit_of_what_it_said_may_differ(
        client in client(), field in 0..8u8, at in any::<prop::sample::Index>(), bit in 0..8u8, other in any::<Hash>(),
    ) {
        let proof = client.proof();
        let right = judge(&proof, &client.challenge, Some(&client.hash), &DECOY);
        prop_assert!(right.is_ok_and(|key| client.random_key.is_none_or(|random| key == SessionKey::new(random))));
        if other != client.hash {
            prop_assert_eq!(judge(&proof, &client.challenge, Some(&other), &DECOY), Err(Refused::Proof));
        }
        let (mut proof, mut challenge) = (proof, client.challenge);
        let flip = |bytes: &mut [u8]| bytes[at.index(bytes.len())] ^= 1 << bit;
        match field {
            0 => flip(&mut proof.proof),
            1 => flip(&mut proof.mic),
            2 => flip(&mut challenge),
            3 => flipped(&mut proof.client_challenge, flip),
            4 => flipped(&mut proof.negotiate, flip),
            5 => flipped(&mut proof.challenge, flip),
            6 => flipped(&mut proof.authenticate, flip),
            _ => match &mut proof.encrypted_session_key {
                Some(key) => flip(key),
                none => *none = Some(other),
            },
        }
        prop_assert!(judge(&proof, &challenge, Some(&client.hash), &DECOY).is_err());
    }
}

fn flipped<const N: usize>(bytes: &mut Bytes<N>, flip: impl Fn(&mut [u8])) {
    let mut changed = bytes.to_vec();
    flip(&mut changed);
    *bytes = Bytes::try_from(changed).unwrap();
}
