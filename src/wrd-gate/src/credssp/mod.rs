//! CredSSP (MS-CSSP) with NTLM: the client proves its password before anything else, then hands it over.
//!
//! Sans-I/O: TSRequests in, bytes out, and what is wanted next. Who has proven what is decided by the monitor, which
//! has the hashes; this takes the messages apart for it ([`ntlm`]), binds the proof to the TLS below, and opens what
//! was sealed with the key that came of it ([`seal`]). Always true: lengths are looked at before anything else, each
//! message is taken in one state only, and no state comes back, so that a client has four messages and no more. What
//! is to be sent comes out also when the result is an error. Deliberately absent: Kerberos, smart cards, CredSSP below
//! version 5, whose binding to TLS can be relayed (CVE-2018-0886).

mod credentials;
mod der;
mod key;
mod ntlm;
mod seal;
mod spnego;
mod ts_request;

pub use credentials::{CredentialsError, Delegated};
pub use der::DerError;
pub use key::{KeyError, subject_public_key};
pub use ntlm::NtlmError;
pub use seal::{Direction, SealError, Sealer};
pub use ts_request::{MAX_TS_REQUEST, measure};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use ts_request::{TsAnswer, TsRequest};
use wrd_proto::Bytes;
use wrd_proto::gate::{NtlmProof, NtlmVerdict};

/// This end, as the client sees it.
#[derive(Clone, Debug)]
pub struct Server {
    pub host_name: String,
    /// The SubjectPublicKey of the certificate that TLS has shown ([`subject_public_key`]).
    pub public_key: Vec<u8>,
    pub early_result: EarlyResult,
}

/// Whether the client waits for an Early User Authorization Result (MS-RDPBCGR 5.4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlyResult {
    /// With HYBRID_EX.
    Sent,
    /// With HYBRID.
    NotSent,
}

/// What is wanted next.
#[derive(Clone, Debug)]
pub enum Step {
    /// The client's next TSRequest, for [`CredSsp::receive`].
    Request,
    /// A challenge of the monitor's, for [`CredSsp::challenge`].
    Challenge,
    /// The monitor's verdict on this, for [`CredSsp::verdict`].
    Verdict(Box<NtlmProof>),
    /// Nothing: it is done.
    Done(Delegated),
}

#[derive(Debug, thiserror::Error)]
pub enum CredSspError {
    #[error("malformed")]
    Der(#[from] DerError),
    #[error("the client speaks version {0} of it, and 5 is the oldest that is bound to tls")]
    Version(u32),
    #[error("the client speaks version {0} after version {1}")]
    VersionChanged(u32, u32),
    #[error("the client has no NTLM to offer")]
    NoNtlm,
    #[error("the client's list of mechanisms is not signed, and NTLM was not its first")]
    NoMic,
    #[error("ntlm")]
    Ntlm(#[from] NtlmError),
    #[error("the client did not prove a password of an enrolled user")]
    Refused,
    #[error("sealed")]
    Seal(#[from] SealError),
    #[error("no nonce beside the hash of the key")]
    NoNonce,
    #[error("the client sees another key than ours: somebody is in between")]
    WrongKey,
    #[error("the credentials")]
    Credentials(#[from] CredentialsError),
    #[error("a message without {0}, which is due")]
    Missing(&'static str),
    #[error("a message out of turn")]
    OutOfTurn,
}

/// One exchange.
pub struct CredSsp {
    server: Server,
    /// The client's version; 0 while it has said nothing.
    version: u32,
    state: State,
}

enum State {
    /// The client's first token is due.
    First,
    /// SPNEGO went over to NTLM, whose first message is due.
    Reselected(Spnego),
    /// The monitor's challenge is due.
    Challenge {
        spnego: Option<Spnego>,
        negotiate: Bytes<1024>,
        flags: ntlm::Flags,
    },
    /// The client's answer to it is due.
    Authenticate {
        spnego: Option<Spnego>,
        negotiate: Bytes<1024>,
        challenge: Bytes<2048>,
    },
    /// The monitor's verdict is due.
    Verdict {
        spnego: Option<(Spnego, Option<Vec<u8>>)>,
        binding: Option<Binding>,
    },
    /// The client's hash of our key is due.
    Binding(Session),
    /// The client's credentials are due.
    Credentials(Session),
    Over,
}

/// What is remembered of the client's list.
struct Spnego {
    mechanisms: Vec<u8>,
    first: First,
}

/// Whose message came with the list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    Ntlm,
    /// Somebody in between might have changed the list, so the client must sign it.
    Another,
}

/// `pubKeyAuth` and the nonce that belongs to it.
struct Binding {
    sealed: Vec<u8>,
    nonce: [u8; 32],
}

struct Session {
    from_client: Sealer,
    from_server: Sealer,
}

const OLDEST: u32 = 5;
/// NTSTATUS (MS-ERREF 2.3.1).
const STATUS_LOGON_FAILURE: u32 = 0xc000_006d;
const STATUS_NOT_SUPPORTED: u32 = 0xc000_00bb;
/// AUTHZ_SUCCESS (MS-RDPBCGR 2.2.10.2): whether PAM lets the user in is said on the screen.
const AUTHZ_SUCCESS: [u8; 4] = [0; 4];
/// MS-CSSP 3.1.5, with their terminators.
const CLIENT_HASH: &[u8] = b"CredSSP Client-To-Server Binding Hash\0";
const SERVER_HASH: &[u8] = b"CredSSP Server-To-Client Binding Hash\0";

impl CredSsp {
    pub fn new(server: Server) -> Self {
        Self { server, version: 0, state: State::First }
    }

    /// Takes one whole TSRequest, as long as [`measure`] says.
    pub fn receive(&mut self, request: &[u8], output: &mut Vec<u8>) -> Result<Step, CredSspError> {
        let result = self.take(request, output);
        self.explain(result, output)
    }

    /// Goes on with the monitor's challenge; `now` is in units of 100 ns since 1601, UTC.
    pub fn challenge(&mut self, challenge: [u8; 8], now: u64, output: &mut Vec<u8>) -> Result<Step, CredSspError> {
        let State::Challenge { spnego, negotiate, flags } = self.next() else { return Err(CredSspError::OutOfTurn) };
        let challenge = ntlm::challenge(flags, challenge, &self.server.host_name, now)?;
        let token = match &spnego {
            None => challenge.to_vec(),
            Some(Spnego { first: First::Ntlm, .. }) => {
                spnego::first_response(spnego::State::Incomplete, Some(&challenge))
            }
            Some(_) => spnego::response_with(spnego::State::Incomplete, Some(&challenge), None),
        };
        output.extend(TsAnswer { token: Some(&token), ..Default::default() }.encode());
        self.state = State::Authenticate { spnego, negotiate, challenge };
        Ok(Step::Request)
    }

    /// Goes on with the monitor's verdict.
    pub fn verdict(&mut self, verdict: NtlmVerdict, output: &mut Vec<u8>) -> Result<Step, CredSspError> {
        let result = self.judge(verdict, output);
        self.explain(result, output)
    }

    fn take(&mut self, request: &[u8], output: &mut Vec<u8>) -> Result<Step, CredSspError> {
        let state = self.next();
        let request = TsRequest::decode(request)?;
        if self.version == 0 {
            self.version = request.version;
        }
        if request.version < OLDEST {
            return Err(CredSspError::Version(request.version));
        }
        if request.version != self.version {
            return Err(CredSspError::VersionChanged(request.version, self.version));
        }
        match state {
            State::First => self.first(&request, output),
            State::Reselected(spnego) => {
                let token = request.token.ok_or(CredSspError::Missing("a token"))?;
                let message = spnego::decode_response(token)?.token.ok_or(CredSspError::Missing("a message"))?;
                self.negotiate(Some(spnego), message)
            }
            State::Authenticate { spnego, negotiate, challenge } => {
                let token = request.token.ok_or(CredSspError::Missing("a token"))?;
                let (message, spnego) = match spnego {
                    None => (token, None),
                    Some(spnego) => {
                        let response = spnego::decode_response(token)?;
                        let message = response.token.ok_or(CredSspError::Missing("a message"))?;
                        if response.mic.is_none() && spnego.first == First::Another {
                            return Err(CredSspError::NoMic);
                        }
                        (message, Some((spnego, response.mic.map(<[u8]>::to_vec))))
                    }
                };
                let binding = request.pub_key_auth.is_some().then(|| binding(&request)).transpose()?;
                // Without SPNEGO there is nothing left that a client could wait for.
                if binding.is_none() && spnego.is_none() {
                    return Err(CredSspError::Missing("a hash of the key"));
                }
                let proof = ntlm::authenticate(message, negotiate, challenge)?;
                self.state = State::Verdict { spnego, binding };
                Ok(Step::Verdict(Box::new(proof)))
            }
            State::Binding(session) => self.bind(session, binding(&request)?, None, output),
            State::Credentials(mut session) => {
                let sealed = request.auth_info.ok_or(CredSspError::Missing("credentials"))?;
                let delegated = credentials::decode(&session.from_client.unseal(sealed)?)?;
                if self.server.early_result == EarlyResult::Sent {
                    output.extend(AUTHZ_SUCCESS);
                }
                Ok(Step::Done(delegated))
            }
            State::Challenge { .. } | State::Verdict { .. } | State::Over => Err(CredSspError::OutOfTurn),
        }
    }

    fn first(&mut self, request: &TsRequest<'_>, output: &mut Vec<u8>) -> Result<Step, CredSspError> {
        let token = request.token.ok_or(CredSspError::Missing("a token"))?;
        if !spnego::is_spnego(token) {
            return self.negotiate(None, token);
        }
        let init = spnego::decode_init(token)?;
        let mechanisms = init.mechanisms.to_vec();
        match init.offer {
            spnego::Offer::Favourite(Some(message)) => {
                self.negotiate(Some(Spnego { mechanisms, first: First::Ntlm }), message)
            }
            spnego::Offer::Favourite(None) | spnego::Offer::Accepted => {
                let token = spnego::first_response(spnego::State::RequestMic, None);
                output.extend(TsAnswer { token: Some(&token), ..Default::default() }.encode());
                self.state = State::Reselected(Spnego { mechanisms, first: First::Another });
                Ok(Step::Request)
            }
            spnego::Offer::None => Err(CredSspError::NoNtlm),
        }
    }

    fn negotiate(&mut self, spnego: Option<Spnego>, message: &[u8]) -> Result<Step, CredSspError> {
        let (negotiate, flags) = ntlm::negotiate(message)?;
        self.state = State::Challenge { spnego, negotiate, flags };
        Ok(Step::Challenge)
    }

    fn judge(&mut self, verdict: NtlmVerdict, output: &mut Vec<u8>) -> Result<Step, CredSspError> {
        let State::Verdict { spnego, binding } = self.next() else { return Err(CredSspError::OutOfTurn) };
        let NtlmVerdict::Proven(key) = verdict else { return Err(CredSspError::Refused) };
        let mut session = Session {
            from_client: Sealer::new(&key, Direction::FromClient),
            from_server: Sealer::new(&key, Direction::FromServer),
        };
        let token = match spnego {
            None => None,
            Some((_, None)) => Some(spnego::response_with(spnego::State::Completed, None, None)),
            Some((spnego, Some(theirs))) => {
                session.from_client.check_mic(&spnego.mechanisms, &theirs)?;
                let ours = session.from_server.mic(&spnego.mechanisms);
                Some(spnego::response_with(spnego::State::Completed, None, Some(&ours)))
            }
        };
        if let Some(binding) = binding {
            return self.bind(session, binding, token.as_deref(), output);
        }
        output.extend(TsAnswer { token: token.as_deref(), ..Default::default() }.encode());
        self.state = State::Binding(session);
        Ok(Step::Request)
    }

    /// Both ends see the same key under TLS, or somebody is in between.
    fn bind(
        &mut self,
        mut session: Session,
        binding: Binding,
        token: Option<&[u8]>,
        output: &mut Vec<u8>,
    ) -> Result<Step, CredSspError> {
        let hash = |magic| -> [u8; 32] {
            let hash = Sha256::new().chain_update(magic).chain_update(binding.nonce);
            hash.chain_update(&self.server.public_key).finalize().into()
        };
        let theirs = session.from_client.unseal(&binding.sealed)?;
        if !bool::from(theirs.as_slice().ct_eq(&hash(CLIENT_HASH))) {
            return Err(CredSspError::WrongKey);
        }
        let ours = session.from_server.seal(&hash(SERVER_HASH));
        output.extend(TsAnswer { token, pub_key_auth: Some(&ours), ..Default::default() }.encode());
        self.state = State::Credentials(session);
        Ok(Step::Request)
    }

    /// The present state, after which there is none unless one is set.
    fn next(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Over)
    }

    /// Adds the reason of a failure, where the client's version has one and knows of reasons (MS-CSSP 2.2.1).
    fn explain(&self, result: Result<Step, CredSspError>, output: &mut Vec<u8>) -> Result<Step, CredSspError> {
        let code = match &result {
            // The same for whatever is wrong with who somebody claims to be.
            Err(CredSspError::Refused | CredSspError::Ntlm(_)) => STATUS_LOGON_FAILURE,
            Err(CredSspError::NoNtlm | CredSspError::Version(_)) => STATUS_NOT_SUPPORTED,
            _ => return result,
        };
        if self.version >= 3 && self.version != 5 {
            output.extend(TsAnswer { error_code: Some(code), ..Default::default() }.encode());
        }
        result
    }
}

fn binding(request: &TsRequest<'_>) -> Result<Binding, CredSspError> {
    let sealed = request.pub_key_auth.ok_or(CredSspError::Missing("a hash of the key"))?;
    if sealed.len() < seal::SIGNATURE_LEN {
        return Err(SealError::TooShort(sealed.len()).into());
    }
    let nonce = request.client_nonce.ok_or(CredSspError::NoNonce)?;
    Ok(Binding { sealed: sealed.to_vec(), nonce })
}

#[cfg(test)]
mod tests;
