//! The client's side of CredSSP, as `sspi` has it, and a judge and a proof for one password.

use hmac::{Hmac, KeyInit, Mac};
use ironrdp_connector::sspi::credssp::{ClientMode, ClientState, CredSspClient, CredSspMode, TsRequest};
use ironrdp_connector::sspi::generator::GeneratorState;
use ironrdp_connector::sspi::ntlm::NtlmConfig;
use ironrdp_connector::sspi::{self, AuthIdentity, Credentials, NegotiateConfig, Username};
use md4::{Digest, Md4};
use md5::Md5;
use rc4::{Rc4, StreamCipher};
use wrd_proto::UserName;
use wrd_proto::gate::{Domain, NtlmProof, NtlmVerdict, SessionKey};

/// How a client wraps its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// NTLM as such, as when Kerberos is impossible.
    Raw,
    /// With a signed list of mechanisms around it.
    Spnego,
}

/// A client that speaks CredSSP of this version to the server with that key.
pub fn client(who: (&str, &str, &str), public_key: &[u8], tokens: Tokens, version: u32) -> CredSspClient {
    let (user, domain, password) = who;
    let username = Username::new(user, Some(domain).filter(|domain| !domain.is_empty())).unwrap();
    let credentials = Credentials::AuthIdentity(AuthIdentity { username, password: password.to_owned().into() });
    let ntlm = NtlmConfig::new("client".into());
    let mode = match tokens {
        Tokens::Raw => ClientMode::Ntlm(ntlm),
        Tokens::Spnego => {
            let packages = Some("ntlm,!kerberos,!pku2u".into());
            ClientMode::Negotiate(NegotiateConfig::new(Box::new(ntlm), packages, "client".into()))
        }
    };
    let key = public_key.to_vec();
    let mode_of_delegation = CredSspMode::WithCredentials;
    CredSspClient::new_with_version(key, credentials, mode_of_delegation, version, mode, "TERMSRV/host".into()).unwrap()
}

/// What the client says to that, and whether it has said all.
pub fn say(client: &mut CredSspClient, heard: TsRequest) -> Result<(TsRequest, bool), sspi::Error> {
    let mut generator = client.process(heard);
    match generator.start() {
        GeneratorState::Completed(Ok(ClientState::ReplyNeeded(request))) => Ok((request, false)),
        GeneratorState::Completed(Ok(ClientState::FinalMessage(request))) => Ok((request, true)),
        GeneratorState::Completed(Err(error)) => Err(error),
        GeneratorState::Suspended(_) => panic!("a client of NTLM asks the network"),
    }
}

/// As it goes over the line.
pub fn encode(request: &TsRequest) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode_ts_request(&mut bytes).unwrap();
    bytes
}

/// The monitor's part (MS-NLMP 3.3.2, 3.2.5.1.2), where the only password there is is this one.
pub fn judge(proof: &NtlmProof, challenge: [u8; 8], password: &str) -> NtlmVerdict {
    let owf = owf(password, &proof.user, &proof.domain);
    if mac(&owf, &[&challenge, &proof.client_challenge]) != proof.proof {
        return NtlmVerdict::Refused;
    }
    let Some(mut key) = proof.encrypted_session_key else { return NtlmVerdict::Refused };
    let mut cipher: Rc4 = rc4::KeyInit::new_from_slice(&mac(&owf, &[&proof.proof])).unwrap();
    cipher.apply_keystream(&mut key);
    if mac(&key, &[&proof.negotiate, &proof.challenge, &proof.authenticate]) != proof.mic {
        return NtlmVerdict::Refused;
    }
    NtlmVerdict::Proven(SessionKey::new(key))
}

/// What a gate says that has a client with the right password, whatever the client's messages were.
pub fn prove(user: &str, password: &str, challenge: [u8; 8]) -> NtlmProof {
    let owf = owf(password, user, "");
    let client_challenge = [&[1, 1][..], &[7; 40]].concat();
    let proof = mac(&owf, &[&challenge, &client_challenge]);
    let messages: [&[u8]; 3] = [b"negotiate", b"challenge", b"authenticate"];
    let [negotiate, challenge, authenticate] = messages.map(<[u8]>::to_vec);
    NtlmProof {
        user: UserName::truncated(user),
        domain: Domain::default(),
        proof,
        client_challenge: client_challenge.try_into().unwrap(),
        encrypted_session_key: None,
        mic: mac(&mac(&owf, &[&proof]), &messages),
        negotiate: negotiate.try_into().unwrap(),
        challenge: challenge.try_into().unwrap(),
        authenticate: authenticate.try_into().unwrap(),
    }
}

/// NTOWFv2 (MS-NLMP 3.3.2).
pub fn owf(password: &str, user: &str, domain: &str) -> [u8; 16] {
    mac(&Md4::digest(utf16(password)), &[&utf16(&(user.to_uppercase() + domain))])
}

/// HMAC-MD5 of all of these.
pub fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mac = Hmac::<Md5>::new_from_slice(key).unwrap();
    parts.iter().fold(mac, |mac, part| mac.chain_update(part)).finalize().into_bytes().into()
}

pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
