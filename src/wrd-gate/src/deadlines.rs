//! How long whatever a gate waits for may take. Pure data, which `main` gives to the gate: tests have shorter ones.
//!
//! The table in `docs/security-model.md` ("Deadlines") has a row for each of them, and says who else keeps them. Above
//! all of them up to a login is `login_seconds`, which comes from the monitor ([`wrd_proto::gate::Start`]).

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// The X.224 connection request.
    pub negotiation: Duration,
    /// The client's user compares a fingerprint meanwhile: FreeRDP and Remmina ask in the middle of the handshake,
    /// others before what follows it.
    pub handshake: Duration,
    /// The first PDU under TLS, or the first message of CredSSP, before which FreeRDP asks for a password.
    pub first_pdu: Duration,
    /// From the first message of CredSSP to its last. Nobody is asked meanwhile.
    pub credssp: Duration,
    /// The first PDU behind CredSSP, before which a client may ask about the certificate. No stranger has this time: it
    /// is for who has proven a password.
    pub after_credssp: Duration,
    /// From the first PDU to Client Info. Nobody is asked any more.
    pub sequence: Duration,
    /// From there until the client is active, for the login screen.
    pub activation: Duration,
    /// Somebody is there at all at the login screen: the first key, the first move of the pointer.
    pub first_input: Duration,
    /// What was told last can be read before the desktop takes its place; any key or click is enough.
    pub told: Duration,
    /// A final failure stays on the screen.
    pub reading: Duration,
    /// PAM may be slow: modules that ask over the network, and delays after a failure.
    pub verdict: Duration,
    /// Starting a session for the first time: a home that is mounted, a user manager.
    pub session: Duration,
    /// A client may leave its window closed before its login. A slow line is no such thing: any byte that goes out
    /// counts.
    pub login_stall: Duration,
    /// The same while relaying.
    pub stall: Duration,
    /// The link takes the transcript.
    pub hand_over: Duration,
    /// The monitor does what needs nobody else.
    pub answer: Duration,
    /// A client reads our last words.
    pub good_bye: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            negotiation: seconds(10),
            handshake: seconds(100),
            first_pdu: seconds(100),
            credssp: seconds(20),
            after_credssp: seconds(100),
            sequence: seconds(20),
            activation: seconds(20),
            first_input: seconds(20),
            told: seconds(4),
            reading: seconds(60),
            verdict: seconds(60),
            session: seconds(90),
            login_stall: seconds(20),
            stall: seconds(60),
            hand_over: seconds(10),
            answer: seconds(10),
            good_bye: seconds(2),
        }
    }
}
