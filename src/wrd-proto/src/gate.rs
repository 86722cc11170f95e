//! Monitor ↔ gate.
//!
//! The stages, in order, which the monitor enforces (anything else ends the connection):
//! `Start` → at most one `Sign` → `NtlmChallenge` and then `NtlmProof`, where both want NLA → at most one `OpenLogin`
//! → at most one `Link` → `Relaying`.
//! `Reconnect` may come once in the place of `OpenLogin`, before the login screen; where it is refused, the login goes
//! on as without it.
//! `Screen` comes once, before `OpenLogin` or behind it (a refused Client Info login ends on the screen), but not
//! before the end of an NLA that was begun.
//! `Failed` may come at any stage before `Relaying` and is the last message.

use crate::login::SessionName;
use crate::reconnect::Claim;
use crate::{Address, Bytes, ConnectionId, Key, Line, Text, UserName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most certificates in a chain that the monitor hands to a gate.
pub const MAX_CHAIN: usize = 8;
/// Most sessions to choose from.
pub const MAX_SESSIONS: usize = 16;

/// From the monitor to the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGate {
    /// The first message: what this connection is and may do.
    Start(Start),
    /// The signature over the message of the gate's `Sign`.
    Signature(Bytes<1024>),
    /// The server challenge that goes into the CHALLENGE_MESSAGE of this connection (MS-NLMP 2.2.1.2).
    NtlmChallenge { challenge: [u8; 8] },
    /// What came of the gate's `NtlmProof`.
    NtlmVerdict(NtlmVerdict),
    /// The answer to `Reconnect`, at once.
    Reconnect(Returning),
    /// The answer to `OpenLogin`, and to a `Reconnect` that was granted. One descriptor: the login socket (see [`crate::login`]).
    Login,
    /// The login is authenticated and its session takes it. One descriptor: the link, a stream socket
    /// (see [`crate::transcript`]).
    Link,
    /// What the gate asked for cannot be had; the text is for the user's screen.
    Refused(Line),
}

/// What a gate is told before it reads the first byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub connection: ConnectionId,
    pub client: Address,
    /// Name of this machine, for the login screen.
    pub host_name: Text<255>,
    /// DER, leaf first; at most [`MAX_CHAIN`].
    pub chain: Vec<Bytes<8192>>,
    /// TLS `SignatureScheme` code points that the monitor's key can sign with, best first (at most 8).
    pub schemes: Vec<u16>,
    /// Largest desktop this server draws, in physical px.
    pub max_width: u16,
    pub max_height: u16,
    /// How long the client may take to a finished login, or to the login screen and then as long again, in ms.
    pub login_deadline_ms: u32,
    /// Which protocols the gate may choose.
    pub security: Security,
    /// The sessions to choose from, the configured one first; at most [`MAX_SESSIONS`].
    pub sessions: Vec<SessionEntry>,
}

/// A session to choose on the login screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEntry {
    pub id: SessionName,
    /// For people.
    pub name: Text<128>,
}

/// Which security protocols a client may be given (MS-RDPBCGR 2.2.1.2.1), where it offers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Security {
    /// TLS and the login screen where the client offers that, NLA for clients that offer nothing else.
    #[default]
    Auto,
    /// NLA where the client offers it, TLS and the login screen for the others.
    NlaPreferred,
    /// NLA; others are turned away.
    NlaRequired,
    /// TLS and the login screen; clients that offer NLA only are turned away.
    Tls,
}

impl Security {
    /// Whether NLA may be done at all.
    pub fn allows_nla(self) -> bool {
        self != Self::Tls
    }

    /// Whether nobody comes to a login without it.
    pub fn requires_nla(self) -> bool {
        self == Self::NlaRequired
    }
}

/// From the gate to the monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToMonitor {
    /// Sign this for the TLS handshake. Only the exact layouts of a TLS 1.3 CertificateVerify and a
    /// TLS 1.2 ECDHE ServerKeyExchange are signed, once per connection.
    Sign { scheme: u16, message: Bytes<512> },
    /// NLA is wanted: a challenge for the client.
    NtlmChallenge,
    /// What the client has answered to it.
    NtlmProof(NtlmProof),
    /// The login screen is shown from now on: somebody may take their time to type.
    Screen,
    /// There are credentials to try: a leader is wanted.
    OpenLogin,
    /// The client has lost its line and comes back to its session, without credentials.
    Reconnect(Claim),
    /// The transcript is written and the relay runs; the monitor is not needed any more.
    Relaying,
    /// The gate gives up; for the journal.
    Failed { stage: Stage, reason: Line },
}

/// How far a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// X.224 connection request and confirm.
    Negotiation,
    Tls,
    /// CredSSP where it was agreed upon, MCS, GCC, channel joins, Client Info.
    Connection,
    /// Credentials are being tried or typed.
    Login,
    Relay,
}

/// A client's answer to our challenge, taken out of its AUTHENTICATE_MESSAGE by the gate (MS-NLMP 2.2.1.3), and the
/// three messages of the exchange, over which its MIC goes. All of it fills less than a quarter of a frame.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NtlmProof {
    /// UserName as the client sent it, not a letter changed: it is part of what is proven.
    pub user: UserName,
    /// DomainName, likewise; may be empty.
    pub domain: Domain,
    /// NTProofStr: the first 16 bytes of NtChallengeResponse (2.2.2.8).
    pub proof: [u8; 16],
    /// The NTLMv2_CLIENT_CHALLENGE (2.2.2.7): the rest of NtChallengeResponse, in practice some 250 bytes.
    pub client_challenge: Bytes<4096>,
    /// EncryptedRandomSessionKey; there exactly where NTLMSSP_NEGOTIATE_KEY_EXCH was agreed upon.
    pub encrypted_session_key: Option<[u8; 16]>,
    /// MIC; zeros where the client sent none, which is refused.
    pub mic: [u8; 16],
    /// The NEGOTIATE_MESSAGE as it came (at most 40 bytes and two short names).
    pub negotiate: Bytes<1024>,
    /// The CHALLENGE_MESSAGE as it went.
    pub challenge: Bytes<2048>,
    /// The AUTHENTICATE_MESSAGE as it came, but with zeros for its MIC.
    pub authenticate: Bytes<8192>,
}

/// The domain beside a user name: a DNS name at the longest.
pub type Domain = Text<256>;

/// Names only: with the rest somebody could try passwords.
impl fmt::Debug for NtlmProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NtlmProof").field("user", &self.user).field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// What becomes of a client that comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Returning {
    /// A leader is on its way, which looks at the account only.
    Granted,
    /// Nothing says why. The client may log in as everybody does.
    Refused,
}

/// Whether a client has proven to know the password of an enrolled user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NtlmVerdict {
    /// It has. With this key, known to it and to us only, the messages of CredSSP are sealed.
    Proven(SessionKey),
    /// It has not; nothing says whether the user exists. The gate tells the client and gives up.
    Refused,
}

/// ExportedSessionKey (MS-NLMP 3.4.5.1).
pub type SessionKey = Key;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MAX_FRAME;

    #[test]
    fn the_largest_proof_fits_a_frame() {
        fn full<const N: usize>() -> Bytes<N> {
            Bytes::try_from(vec![0xff; N]).unwrap()
        }
        let proof = NtlmProof {
            user: UserName::truncated(&"u".repeat(1000)),
            domain: Domain::truncated(&"d".repeat(1000)),
            proof: [0xff; 16],
            client_challenge: full(),
            encrypted_session_key: Some([0xff; 16]),
            mic: [0xff; 16],
            negotiate: full(),
            challenge: full(),
            authenticate: full(),
        };
        let frame = postcard::to_stdvec(&ToMonitor::NtlmProof(proof.clone())).unwrap();
        assert!(frame.len() < MAX_FRAME / 4 + 512, "{}", frame.len());
        assert_eq!(postcard::from_bytes::<ToMonitor>(&frame).unwrap(), ToMonitor::NtlmProof(proof));
    }

    #[test]
    fn a_session_key_travels_in_frames_but_never_as_json_or_debug() {
        let verdict = NtlmVerdict::Proven(SessionKey::new([0x55; 16]));
        let frame = postcard::to_stdvec(&verdict).unwrap();
        assert_eq!(postcard::from_bytes::<NtlmVerdict>(&frame).unwrap(), verdict);
        assert!(serde_json::to_string(&verdict).is_err());
        assert_eq!(format!("{verdict:?}"), "Proven(Key)");
        assert_ne!(verdict, NtlmVerdict::Proven(SessionKey::new([0x54; 16])));
    }
}
