//! A real client (`sspi`) against the driver, with a monitor made for the test; and what an attacker would send.

use super::credentials::tests::{encode, utf16};
use super::der::{INTEGER, OCTET_STRING, SEQUENCE, element, field};
use super::spnego::tests::{KERBEROS, NTLM, init};
use super::*;
use ironrdp_connector::sspi;
use proptest::prelude::*;
use sspi::credssp::{CredSspClient, TsRequest as Theirs};
use wrd_proto::gate::SessionKey;
use wrd_test_client::nla::{self, Tokens, judge};

const CHALLENGE: [u8; 8] = *b"\x01\x23\x45\x67\x89\xab\xcd\xef";
const PASSWORD: &str = "pässwörd";

fn server(early_result: EarlyResult) -> Server {
    Server { host_name: "host.example.org".into(), public_key: b"a public key".to_vec(), early_result }
}

fn monitor(proof: &NtlmProof) -> NtlmVerdict {
    judge(proof, CHALLENGE, PASSWORD)
}

fn client(tokens: Tokens, password: &str, version: u32) -> CredSspClient {
    nla::client(("alice", "DOM", password), b"a public key", tokens, version)
}

fn say(client: &mut CredSspClient, heard: Theirs) -> Result<Theirs, sspi::Error> {
    nla::say(client, heard).map(|(request, _)| request)
}

/// How an exchange ended.
#[derive(Debug)]
enum End {
    Done(Delegated, Vec<u8>),
    Server(CredSspError, Vec<u8>),
    Client { _error: sspi::Error },
}

/// A whole exchange; `bend` may change what the client sends, in the order of its messages.
fn play(mut client: CredSspClient, early: EarlyResult, mut bend: impl FnMut(usize, &mut Theirs)) -> End {
    let mut driver = CredSsp::new(server(early));
    let mut heard = Theirs::default();
    for round in 0..6 {
        let mut request = match say(&mut client, heard) {
            Ok(request) => request,
            Err(_error) => return End::Client { _error },
        };
        bend(round, &mut request);
        let bytes = nla::encode(&request);
        assert_eq!(measure(&bytes), Ok(Some(bytes.len())));
        let mut output = Vec::new();
        let mut step = driver.receive(&bytes, &mut output);
        loop {
            step = match step {
                Ok(Step::Challenge) => driver.challenge(CHALLENGE, 0x01d9_0000_0000_0000, &mut output),
                Ok(Step::Verdict(proof)) => driver.verdict(monitor(&proof), &mut output),
                Ok(Step::Request) => break,
                Ok(Step::Done(delegated)) => return End::Done(delegated, output),
                Err(error) => return End::Server(error, output),
            };
        }
        heard = Theirs::from_buffer(&output).unwrap();
    }
    panic!("an exchange without an end");
}

fn untouched(_: usize, _: &mut Theirs) {}

fn error(end: End) -> CredSspError {
    match end {
        End::Server(error, _) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_real_client_logs_in_with_and_without_spnego() {
    for version in [5, 6] {
        for (tokens, early, last) in [
            (Tokens::Raw, EarlyResult::NotSent, &[][..]),
            (Tokens::Spnego, EarlyResult::NotSent, &[]),
            (Tokens::Raw, EarlyResult::Sent, &[0; 4]),
            (Tokens::Spnego, EarlyResult::Sent, &[0; 4]),
        ] {
            match play(client(tokens, PASSWORD, version), early, untouched) {
                End::Done(delegated, output) => {
                    assert_eq!((delegated.user.as_str(), delegated.domain.as_str()), ("alice", "DOM"));
                    assert_eq!(delegated.password.expose(), PASSWORD.as_bytes());
                    assert_eq!(output, last);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_wrong_password_is_told_as_such() {
    for tokens in [Tokens::Raw, Tokens::Spnego] {
        let End::Server(CredSspError::Refused, output) = play(client(tokens, "wrong", 6), EarlyResult::Sent, untouched)
        else {
            panic!("let in")
        };
        let told = Theirs::from_buffer(&output).unwrap();
        assert_eq!(told.error_code.unwrap().0, STATUS_LOGON_FAILURE);
        assert!(told.nego_tokens.is_none() && told.pub_key_auth.is_none());
        // As Windows writes it.
        assert!(output.ends_with(&[0xa4, 6, 2, 4, 0xc0, 0, 0, 0x6d]));
    }
    // Version 5 knows of no reasons.
    let End::Server(CredSspError::Refused, output) =
        play(client(Tokens::Raw, "wrong", 5), EarlyResult::Sent, untouched)
    else {
        panic!("let in")
    };
    assert!(output.is_empty());
}

#[test]
fn somebody_in_between_is_noticed_by_both() {
    let mut between = client(Tokens::Raw, PASSWORD, 6);
    let mut other = server(EarlyResult::NotSent);
    other.public_key = b"another key".to_vec();
    let mut driver = CredSsp::new(other);
    let mut output = Vec::new();
    exchange(&mut driver, &say(&mut between, Theirs::default()).unwrap(), &mut output).unwrap();
    let last = say(&mut between, Theirs::from_buffer(&output).unwrap()).unwrap();
    output.clear();
    assert!(matches!(exchange(&mut driver, &last, &mut output), Err(CredSspError::WrongKey)));
    assert!(output.is_empty(), "nothing is sealed for a stranger");
}

/// One message of the client, and what the monitor has to say to it.
fn exchange(driver: &mut CredSsp, request: &Theirs, output: &mut Vec<u8>) -> Result<Step, CredSspError> {
    let bytes = nla::encode(request);
    match driver.receive(&bytes, output)? {
        Step::Challenge => driver.challenge(CHALLENGE, 1, output),
        Step::Verdict(proof) => driver.verdict(monitor(&proof), output),
        other => Ok(other),
    }
}

#[test]
fn short_and_bent_seals_are_errors_and_no_panics() {
    for tokens in [Tokens::Raw, Tokens::Spnego] {
        for length in [0, 1, 3, 15, 16, 17, 47] {
            let key = play(client(tokens, PASSWORD, 6), EarlyResult::Sent, |_, request| {
                if let Some(sealed) = &mut request.pub_key_auth {
                    sealed.truncate(length);
                }
            });
            assert!(matches!(error(key), CredSspError::Seal(_)), "{length}");
            let info = play(client(tokens, PASSWORD, 6), EarlyResult::Sent, |_, request| {
                if let Some(sealed) = &mut request.auth_info {
                    sealed.truncate(length);
                }
            });
            assert!(matches!(error(info), CredSspError::Seal(_)), "{length}");
        }
        let bent = play(client(tokens, PASSWORD, 6), EarlyResult::Sent, |_, request| {
            if let Some(sealed) = &mut request.auth_info {
                sealed[20] ^= 1;
            }
        });
        assert!(matches!(error(bent), CredSspError::Seal(SealError::Wrong)));
    }
}

#[test]
fn a_client_that_leaves_something_out_is_refused() {
    let without =
        |take: fn(&mut Theirs)| play(client(Tokens::Raw, PASSWORD, 6), EarlyResult::Sent, move |_, it| take(it));
    assert!(matches!(error(without(|it| it.client_nonce = None)), CredSspError::NoNonce));
    assert!(matches!(error(without(|it| it.pub_key_auth = None)), CredSspError::Missing(_)));
    assert!(matches!(error(without(|it| it.auth_info = None)), CredSspError::Missing(_)));
    assert!(matches!(error(without(|it| it.nego_tokens = None)), CredSspError::Missing(_)));
    let nonce = without(|it| it.client_nonce = it.client_nonce.map(|_| [0; 32]));
    assert!(matches!(error(nonce), CredSspError::WrongKey));
    // The signature of a list is its first message: without it the next one has a number that is not due.
    let mic = play(client(Tokens::Spnego, PASSWORD, 6), EarlyResult::Sent, |round, it| {
        if let Some(token) = it.nego_tokens.as_mut().filter(|_| round == 1) {
            let last = token.len() - 1;
            token[last] ^= 1;
        }
    });
    assert!(matches!(error(mic), CredSspError::Seal(SealError::Wrong)));
}

#[test]
fn old_versions_and_changed_ones_are_refused() {
    for old in [2, 3, 4] {
        let End::Server(CredSspError::Version(version), output) =
            play(client(Tokens::Raw, PASSWORD, old), EarlyResult::Sent, untouched)
        else {
            panic!("version {old} was let in")
        };
        assert_eq!((version, output.is_empty()), (old, old == 2));
    }
    let changed =
        play(client(Tokens::Raw, PASSWORD, 6), EarlyResult::Sent, |round, it| it.version = 6 - (round as u32).min(1));
    assert!(matches!(error(changed), CredSspError::VersionChanged(5, 6)));
}

/// A TSRequest with one token.
fn with_token(token: &[u8]) -> Vec<u8> {
    TsAnswer { token: Some(token), ..Default::default() }.encode()
}

/// The message of a real client that begins an exchange.
fn first_message() -> Vec<u8> {
    say(&mut client(Tokens::Raw, PASSWORD, 6), Theirs::default()).unwrap().nego_tokens.unwrap()
}

/// A client of SPNEGO made by hand, around the messages of a real one's NTLM.
struct ByHand {
    driver: CredSsp,
    peer: CredSspClient,
    mechanisms: Vec<u8>,
}

impl ByHand {
    /// Offers these mechanisms.
    fn new(mechanisms: &[&[u8]]) -> (Self, Vec<u8>) {
        let mut peer = client(Tokens::Raw, PASSWORD, 6);
        let first = say(&mut peer, Theirs::default()).unwrap().nego_tokens.unwrap();
        let message = if mechanisms.first() == Some(&NTLM) { first.as_slice() } else { b"a ticket" };
        let offer = init(mechanisms, Some(message));
        let mechanisms = spnego::decode_init(&offer).unwrap().mechanisms.to_vec();
        let mut driver = CredSsp::new(server(EarlyResult::NotSent));
        if message == b"a ticket" {
            let mut output = Vec::new();
            assert!(matches!(driver.receive(&with_token(&offer), &mut output), Ok(Step::Request)));
            // negState request-mic, supportedMech NTLM.
            assert_eq!(token_of(&output)[..9], [0xa1, 0x15, 0x30, 0x13, 0xa0, 3, 0x0a, 1, 3]);
            let wrapped = spnego::response_with(spnego::State::Incomplete, Some(&first), None);
            assert!(matches!(driver.receive(&with_token(&wrapped), &mut Vec::new()), Ok(Step::Challenge)));
        } else {
            assert!(matches!(driver.receive(&with_token(&offer), &mut Vec::new()), Ok(Step::Challenge)));
        }
        (Self { driver, peer, mechanisms }, first)
    }

    /// The AUTHENTICATE_MESSAGE, and the key that it stands for.
    fn authenticate(&mut self, negotiate: &[u8]) -> (Vec<u8>, SessionKey) {
        let mut output = Vec::new();
        self.driver.challenge(CHALLENGE, 1, &mut output).unwrap();
        let challenge = spnego::decode_response(&token_of(&output)).unwrap().token.unwrap().to_vec();
        let heard = Theirs { nego_tokens: Some(challenge.clone()), ..Default::default() };
        let message = say(&mut self.peer, heard).unwrap().nego_tokens.unwrap();
        let bounded = |bytes: &[u8]| Bytes::try_from(bytes.to_vec()).unwrap();
        let proof = ntlm::authenticate(&message, bounded(negotiate), Bytes::try_from(challenge).unwrap()).unwrap();
        let NtlmVerdict::Proven(key) = monitor(&proof) else { panic!("refused") };
        (message, key)
    }

    /// Sends this, and has the monitor say yes to it.
    fn send(
        &mut self,
        token: Option<&[u8]>,
        sealed: Option<&[u8]>,
        output: &mut Vec<u8>,
    ) -> Result<Step, CredSspError> {
        let request = Theirs {
            nego_tokens: token.map(<[u8]>::to_vec),
            pub_key_auth: sealed.map(<[u8]>::to_vec),
            client_nonce: sealed.map(|_| [3; 32]),
            ..Default::default()
        };
        exchange(&mut self.driver, &request, output)
    }

    /// Its credentials, sealed.
    fn finish(&mut self, from_client: &mut Sealer) {
        let sealed = from_client.seal(&encode(1, &[], &utf16("alice"), &utf16(PASSWORD)));
        let done = self.driver.receive(&with_credentials(&sealed), &mut Vec::new());
        assert!(matches!(done, Ok(Step::Done(delegated)) if delegated.password.expose() == PASSWORD.as_bytes()));
    }
}

fn token_of(output: &[u8]) -> Vec<u8> {
    Theirs::from_buffer(output).unwrap().nego_tokens.unwrap()
}

fn hash(magic: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(magic).chain_update([3; 32]).chain_update(b"a public key").finalize().into()
}

#[test]
fn a_client_that_prefers_kerberos_is_brought_to_ntlm() {
    let (mut by_hand, negotiate) = ByHand::new(&[KERBEROS, NTLM]);
    let (message, key) = by_hand.authenticate(&negotiate);
    let mut from_client = Sealer::new(&key, Direction::FromClient);
    let mut from_server = Sealer::new(&key, Direction::FromServer);
    let mic = from_client.mic(&by_hand.mechanisms);
    let token = spnego::response_with(spnego::State::Incomplete, Some(&message), Some(&mic));
    let mut output = Vec::new();
    assert!(matches!(by_hand.send(Some(&token), None, &mut output), Ok(Step::Request)));
    // accept-completed, and the list signed by us.
    let token = token_of(&output);
    assert_eq!(token[4..9], [0xa0, 3, 0x0a, 1, 0]);
    from_server.check_mic(&by_hand.mechanisms, spnego::decode_response(&token).unwrap().mic.unwrap()).unwrap();
    let sealed = from_client.seal(&hash(CLIENT_HASH));
    output.clear();
    by_hand.send(None, Some(&sealed), &mut output).unwrap();
    let answer = Theirs::from_buffer(&output).unwrap().pub_key_auth.unwrap();
    assert_eq!(*from_server.unseal(&answer).unwrap(), hash(SERVER_HASH));
    by_hand.finish(&mut from_client);
}

#[test]
fn a_client_whose_first_choice_is_ntlm_need_not_sign_its_list() {
    for together in [true, false] {
        let (mut by_hand, negotiate) = ByHand::new(&[NTLM, KERBEROS]);
        let (message, key) = by_hand.authenticate(&negotiate);
        let mut from_client = Sealer::new(&key, Direction::FromClient);
        let token = spnego::response_with(spnego::State::Incomplete, Some(&message), None);
        let sealed = from_client.seal(&hash(CLIENT_HASH));
        let mut output = Vec::new();
        by_hand.send(Some(&token), together.then_some(&sealed), &mut output).unwrap();
        assert!(spnego::decode_response(&token_of(&output)).unwrap().mic.is_none());
        if !together {
            output.clear();
            by_hand.send(None, Some(&sealed), &mut output).unwrap();
        }
        let answer = Theirs::from_buffer(&output).unwrap().pub_key_auth.unwrap();
        let ours = Sealer::new(&key, Direction::FromServer).unseal(&answer).unwrap();
        assert_eq!(*ours, hash(SERVER_HASH));
        by_hand.finish(&mut from_client);
    }
}

#[test]
fn who_is_brought_to_ntlm_must_sign_the_list_and_rightly() {
    let wrong: [Option<&[u8]>; 3] = [None, Some(&[0; 16]), Some(&[0; 3])];
    for mic in wrong {
        let (mut by_hand, negotiate) = ByHand::new(&[KERBEROS, NTLM]);
        let (message, _) = by_hand.authenticate(&negotiate);
        let token = spnego::response_with(spnego::State::Incomplete, Some(&message), mic);
        let mut output = Vec::new();
        let refused = by_hand.send(Some(&token), None, &mut output);
        assert!(matches!(refused, Err(CredSspError::NoMic | CredSspError::Seal(_))), "{refused:?}");
        assert!(output.is_empty());
    }
    // A list that somebody has shortened on its way.
    let (mut by_hand, negotiate) = ByHand::new(&[KERBEROS, NTLM]);
    let (message, key) = by_hand.authenticate(&negotiate);
    let sent = spnego::decode_init(&init(&[KERBEROS, b"\x2a\x03", NTLM], None)).unwrap().mechanisms.to_vec();
    let mic = Sealer::new(&key, Direction::FromClient).mic(&sent);
    let token = spnego::response_with(spnego::State::Incomplete, Some(&message), Some(&mic));
    let refused = by_hand.send(Some(&token), None, &mut Vec::new());
    assert!(matches!(refused, Err(CredSspError::Seal(SealError::Wrong))), "{refused:?}");
}

#[test]
fn a_client_without_ntlm_is_told() {
    let mut output = Vec::new();
    let offer = with_token(&init(&[KERBEROS], Some(b"a ticket")));
    assert!(matches!(CredSsp::new(server(EarlyResult::Sent)).receive(&offer, &mut output), Err(CredSspError::NoNtlm)));
    assert_eq!(Theirs::from_buffer(&output).unwrap().error_code.unwrap().0, STATUS_NOT_SUPPORTED);
}

#[test]
fn nothing_is_taken_twice_or_out_of_turn() {
    let mut driver = CredSsp::new(server(EarlyResult::Sent));
    let mut output = Vec::new();
    assert!(matches!(driver.verdict(NtlmVerdict::Refused, &mut output), Err(CredSspError::OutOfTurn)));
    assert!(matches!(driver.receive(&with_token(&first_message()), &mut output), Err(CredSspError::OutOfTurn)));

    let mut driver = CredSsp::new(server(EarlyResult::Sent));
    assert!(matches!(driver.receive(&with_token(&first_message()), &mut output), Ok(Step::Challenge)));
    assert!(matches!(driver.receive(&with_token(&first_message()), &mut output), Err(CredSspError::OutOfTurn)));

    // The first message again where the answer is due, and a message of another exchange, whose challenge differs.
    let replayed = play(client(Tokens::Raw, PASSWORD, 6), EarlyResult::Sent, |_, it| {
        it.nego_tokens = it.nego_tokens.take().map(|_| first_message());
        it.pub_key_auth = it.pub_key_auth.take().or(Some(vec![0; 48]));
        it.client_nonce = Some([0; 32]);
    });
    assert!(matches!(error(replayed), CredSspError::Ntlm(NtlmError::Kind)));
    let mut recorded = None;
    play(client(Tokens::Raw, PASSWORD, 6), EarlyResult::Sent, |round, it| {
        if round == 1 {
            recorded = Some(it.clone());
        }
    });
    let recorded = recorded.unwrap();
    let mut driver = CredSsp::new(server(EarlyResult::Sent));
    driver.receive(&with_token(&first_message()), &mut output).unwrap();
    driver.challenge([0; 8], 1, &mut output).unwrap();
    let bytes = nla::encode(&recorded);
    let Step::Verdict(proof) = driver.receive(&bytes, &mut output).unwrap() else { panic!() };
    // Its MIC is over another challenge.
    assert_eq!(monitor(&proof), NtlmVerdict::Refused);
}

#[test]
fn credentials_of_another_kind_are_refused() {
    let key = SessionKey::new([1; 16]);
    let mut client = Sealer::new(&key, Direction::FromClient);
    let sealed = client.seal(&encode(2, &[], &[], &[]));
    let mut driver = in_the_end(&key);
    let error = driver.receive(&with_credentials(&sealed), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, CredSspError::Credentials(CredentialsError::Kind(2))));
}

/// A driver that waits for credentials.
fn in_the_end(key: &SessionKey) -> CredSsp {
    let session = Session {
        from_client: Sealer::new(key, Direction::FromClient),
        from_server: Sealer::new(key, Direction::FromServer),
    };
    CredSsp { server: server(EarlyResult::Sent), version: 6, state: State::Credentials(session) }
}

fn with_credentials(sealed: &[u8]) -> Vec<u8> {
    let version = element(field(0), &[&element(INTEGER, &[&[6]])]);
    let info = element(field(2), &[&element(OCTET_STRING, &[sealed])]);
    element(SEQUENCE, &[&version, &info])
}

#[test]
fn the_key_of_a_certificate_is_what_the_key_pair_has() {
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["host".into()]).unwrap().self_signed(&pair).unwrap();
        assert_eq!(subject_public_key(certificate.der()).unwrap(), pair.public_key_raw());
    }
    let rsa = include_bytes!("../../tests/data/rsa.der");
    let key = subject_public_key(rsa).unwrap();
    // RSAPublicKey: a modulus of 2048 bits and 65537.
    assert_eq!((key.len(), &key[..10]), (270, &[0x30, 0x82, 1, 0x0a, 2, 0x82, 1, 1, 0, key[9]][..]));
    assert!(key.ends_with(&[2, 3, 1, 0, 1]));
    assert!(subject_public_key(&rsa[..rsa.len() - 1]).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        round in 0usize..4,
        at in 0usize..700,
        value in any::<u8>(),
    ) {
        let mut output = Vec::new();
        let _ = CredSsp::new(server(EarlyResult::Sent)).receive(&bytes, &mut output);
        let _ = CredSsp::new(server(EarlyResult::Sent)).receive(&with_token(&bytes), &mut output);
        let _ = in_the_end(&SessionKey::new([1; 16])).receive(&bytes, &mut output);
        // A byte of a real client's token that is another is refused, or one that nobody looks at.
        play(client(Tokens::Spnego, PASSWORD, 6), EarlyResult::Sent, |turn, it| {
            if let Some(byte) = it.nego_tokens.as_mut().filter(|_| turn == round).and_then(|token| token.get_mut(at)) {
                *byte = value;
            }
        });
    }
}
