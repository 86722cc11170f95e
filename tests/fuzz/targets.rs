//! What is done with fuzzed bytes: one function for each decoder of ours. The fuzz targets and the test
//! that replays the corpora (tests/tests/corpus.rs) both include this file.
//!
//! A function fails by panicking. Beyond "does not panic" each says what must hold of the answer.

use serde::Serialize;
use serde::de::DeserializeOwned;
use wrd_proto::gate::Security;
use wrd_proto::transcript::{MAX_TRANSCRIPT, Progress, Transcript};
use wrd_rdp::acceptor::{DriveError, Pause, Waiting, agreed, drive, new_acceptor, offer, requested};
use wrd_rdp::client::ClientSettings;
use wrd_rdp::client_info::{decode_client_info, scrub};
use wrd_rdp::framing::{PduBuffer, measure};
use wrd_rdp::{DesktopSize, SecurityProtocol};

#[path = "targets/acceptor.rs"]
mod acceptor;
#[path = "targets/capabilities.rs"]
mod capabilities;
#[path = "targets/credssp.rs"]
mod credssp;
#[path = "targets/enrolment.rs"]
mod enrolment;
#[path = "targets/gate_login.rs"]
mod gate_login;
#[path = "targets/leader_login.rs"]
mod leader_login;
#[path = "targets/ntlm.rs"]
mod ntlm;
#[path = "targets/peer.rs"]
mod peer;
#[path = "targets/protocol.rs"]
mod protocol;

pub use acceptor::acceptor;
pub use capabilities::capabilities;
pub use credssp::credssp;
#[cfg(test)]
pub use credssp::delegated;
#[allow(unused_imports, reason = "the key is for the tests of the seeds")]
pub use enrolment::{KEY, enrolment};
pub use gate_login::gate_login;
#[cfg(test)]
pub use gate_login::is_linked;
pub use leader_login::leader_login;
#[cfg(test)]
pub use leader_login::verdict;
#[allow(unused_imports, reason = "challenge and hash are for the tests of the seeds")]
pub use ntlm::{CHALLENGE, HASH, ntlm};
pub use protocol::protocol;

/// The name of a corpus, and what takes it.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("channel", channel),
    ("protocol", protocol),
    ("gate_login", gate_login),
    ("leader_login", leader_login),
    ("ntlm", ntlm),
    ("credssp", credssp),
    ("transcript", transcript),
    ("framing", framing),
    ("negotiation", negotiation),
    ("client_settings", client_settings),
    ("client_info", client_info),
    ("acceptor", acceptor),
    ("capabilities", capabilities),
    ("link", link),
    ("input", input),
    ("settings", settings),
    ("desktop_entry", desktop_entry),
    ("enrolment", enrolment),
];

/// Our own messages: the first byte picks the socket and the direction.
pub fn channel(data: &[u8]) {
    let Some((which, frame)) = data.split_first() else { return };
    match which % 12 {
        0 => round_trip::<wrd_proto::gate::ToGate>(frame),
        1 => round_trip::<wrd_proto::gate::ToMonitor>(frame),
        2 => round_trip::<wrd_proto::leader::ToLeader>(frame),
        3 => round_trip::<wrd_proto::leader::FromLeader>(frame),
        4 => round_trip::<wrd_proto::login::FromGate>(frame),
        5 => round_trip::<wrd_proto::login::FromLeader>(frame),
        6 => round_trip::<wrd_proto::session::ToSession>(frame),
        7 => round_trip::<wrd_proto::session::FromSession>(frame),
        8 => round_trip::<wrd_proto::worker::ToWorker>(frame),
        9 => round_trip::<wrd_proto::worker::FromWorker>(frame),
        10 => round_trip::<wrd_proto::control::Request>(frame),
        _ => round_trip::<wrd_proto::control::Response>(frame),
    }
}

/// What was decoded can be encoded, in no more bytes, and decoded again to the same.
fn round_trip<T: Serialize + DeserializeOwned>(frame: &[u8]) {
    let Ok(message) = wrd_sys::channel::decode::<T>(frame) else { return };
    let again = wrd_sys::channel::encode(&message).expect("what was decoded can be encoded");
    assert!(again.len() <= frame.len(), "{} bytes became {}", frame.len(), again.len());
    let back = wrd_sys::channel::decode::<T>(&again).expect("what was encoded can be decoded");
    assert_eq!(*again, *wrd_sys::channel::encode(&back).expect("twice"));
}

/// What a worker reads from its link: a transcript, and its replay.
pub fn transcript(data: &[u8]) {
    if data.len() > MAX_TRANSCRIPT {
        return;
    }
    let Ok(transcript) = wrd_sys::channel::decode::<Transcript>(data) else { return };
    let (security, size) = wrd_rdp::replay::settings(&transcript);
    let replayed = wrd_rdp::replay::replay(new_acceptor(security, size), &transcript);
    if replayed.is_ok() {
        assert!(matches!(transcript.progress, Progress::Licensing | Progress::Deactivated));
        assert!(!transcript.pdus.is_empty(), "a client that said nothing was replayed");
    }
}

/// A byte stream in pieces (the first byte is their size) gives the same PDUs as in one, taken one by one or as
/// the relay takes them.
pub fn framing(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let size = usize::from(*size).max(1);
    let mut buffer = PduBuffer::default();
    buffer.push(stream);
    let mut pdus = Vec::new();
    let end = loop {
        match buffer.next_pdu() {
            Ok(Some(pdu)) => {
                assert!(!pdu.is_empty(), "a PDU of no bytes");
                assert_eq!(measure(pdu).expect("measured before").map(|(_, length)| length), Some(pdu.len()));
                pdus.push(pdu.to_vec());
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };

    let mut buffer = PduBuffer::default();
    let mut wanted = pdus.iter();
    let mut seen = Ok(());
    for piece in stream.chunks(size) {
        buffer.push(piece);
        seen = loop {
            match buffer.next_pdu() {
                Ok(Some(pdu)) => assert_eq!(Some(pdu), wanted.next().map(Vec::as_slice)),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        if seen.is_err() {
            break;
        }
    }
    assert_eq!((seen, wanted.next()), (end, None));
    assert_eq!(relayed(stream, size), pdus.concat());
}

/// What the gate's relay passes on of a stream that comes in pieces of `size`, to a side that takes half of what
/// there is at a time: whole PDUs, to the last one before an error.
fn relayed(stream: &[u8], size: usize) -> Vec<u8> {
    let mut buffer = PduBuffer::default();
    let mut passed = Vec::new();
    for piece in stream.chunks(size) {
        let fill = |spare: &mut [u8]| {
            spare[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        };
        assert_eq!(buffer.fill(piece.len(), fill).expect("no socket, no error"), piece.len());
        let broken = buffer.whole_pdus().is_err();
        let whole = buffer.found().to_vec();
        assert!(whole.ends_with(buffer.last_found()), "the last PDU is the last");
        let taken = if broken { whole.len() } else { whole.len().div_ceil(2) };
        passed.extend_from_slice(&whole[..taken]);
        buffer.consume(taken);
        assert_eq!(buffer.found(), &whole[taken..]);
        if broken {
            return passed;
        }
    }
    passed.extend_from_slice(buffer.found());
    passed
}

/// A stranger's first bytes, in clear, as the gate takes them; the first byte is the size of the pieces they come
/// in, which must not matter.
pub fn negotiation(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    for policy in [Security::Auto, Security::NlaPreferred, Security::NlaRequired, Security::Tls] {
        choose(policy, stream);
    }
    let (outcome, answer) = negotiate(stream, stream.len());
    assert_eq!(negotiate(stream, usize::from(*size)), (outcome, answer.clone()));
    match outcome {
        Negotiated::Tls(request_end) => {
            // RDP_NEG_RSP with PROTOCOL_SSL (MS-RDPBCGR 2.2.1.2.1), for an RDP_NEG_REQ that has it (2.2.1.1.1).
            assert_eq!((answer.len(), answer[11], &answer[13..]), (19, 2, &[8, 0, 1, 0, 0, 0][..]));
            let request = &stream[..request_end];
            let asks = |at: usize| request.get(at..at + 8).is_some_and(|r| r[0] == 1 && r[2] == 8 && r[4] & 1 == 1);
            // Behind a cookie or a token, before what else a client adds.
            assert!((11..request_end).any(asks), "TLS for a client that did not ask for it");
        }
        // RDP_NEG_FAILURE with SSL_REQUIRED_BY_SERVER (2.2.1.2.2).
        Negotiated::Refused => assert_eq!(answer[11..], [3, 0, 8, 0, 1, 0, 0, 0]),
        Negotiated::Waiting | Negotiated::NoRdp => assert!(answer.is_empty(), "an answer to nothing"),
    }
}

/// A client gets nothing that it did not ask for or the policy does not have, or the failure code.
fn choose(policy: Security, stream: &[u8]) {
    let Ok(Some((_, length))) = measure(stream) else { return };
    let Some(pdu) = stream.get(..length) else { return };
    let Some(requested) = requested(pdu) else { return };
    let size = DesktopSize { width: 8192, height: 8192 };
    let mut acceptor = new_acceptor(offer(policy, requested), size);
    let mut answer = Vec::new();
    match drive(&mut acceptor, Some(pdu), Pause::BeforeLicensing, &mut answer) {
        Ok(Waiting::ForTls) => {
            let agreed = agreed(&acceptor).expect("something was agreed upon");
            let nla = agreed != SecurityProtocol::SSL;
            assert!(requested.contains(agreed), "{agreed:?} for {requested:?}");
            assert!(if nla { policy.allows_nla() } else { !policy.requires_nla() }, "{agreed:?} under {policy:?}");
        }
        // HYBRID_REQUIRED_BY_SERVER or SSL_REQUIRED_BY_SERVER.
        Err(DriveError::NoCommonSecurity { .. }) => {
            assert_eq!(answer[11..], [3, 0, 8, 0, if policy.requires_nla() { 5 } else { 1 }, 0, 0, 0]);
        }
        other => panic!("{other:?} of a connection request"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Negotiated {
    Waiting,
    /// TLS is next; the request ends here in the stream.
    Tls(usize),
    Refused,
    NoRdp,
}

fn negotiate(stream: &[u8], size: usize) -> (Negotiated, Vec<u8>) {
    // As in the gate's client.rs.
    const LONGEST_REQUEST: usize = 4096;
    let mut acceptor = new_acceptor(SecurityProtocol::SSL, DesktopSize { width: 8192, height: 8192 });
    let mut buffer = PduBuffer::with_limit(LONGEST_REQUEST);
    let (mut answer, mut end) = (Vec::new(), 0);
    for piece in stream.chunks(size.max(1)) {
        buffer.push(piece);
        loop {
            let pdu = match buffer.next_pdu() {
                Ok(Some(pdu)) => pdu,
                Ok(None) => break,
                Err(_) => return (Negotiated::NoRdp, answer),
            };
            end += pdu.len();
            match drive(&mut acceptor, Some(pdu), Pause::BeforeLicensing, &mut answer) {
                Ok(Waiting::ForTls) => return (Negotiated::Tls(end), answer),
                Ok(Waiting::ForPdu) => {}
                Ok(other) => panic!("{other:?} in clear"),
                Err(DriveError::NoCommonSecurity { .. }) => return (Negotiated::Refused, answer),
                Err(_) => return (Negotiated::NoRdp, answer),
            }
        }
    }
    (Negotiated::Waiting, answer)
}

/// Credentials come out, and after scrubbing no password does.
pub fn client_info(data: &[u8]) {
    let mut scrubbed = data.to_vec();
    if scrub(&mut scrubbed).is_err() {
        assert_eq!(scrubbed, data, "a failed scrub changed something");
        return;
    }
    let Ok(before) = decode_client_info(data) else { return };
    let after = decode_client_info(&scrubbed).expect("scrubbing keeps the layout");
    assert_eq!((before.user, before.domain), (after.user, after.domain));
    if let Some(password) = after.password {
        assert!(password.expose().iter().all(|byte| *byte == b'*'), "something of the password is left");
    }
    assert_eq!(before.returning.map(|claim| claim.logon_id), after.returning.as_ref().map(|claim| claim.logon_id));
    assert!(after.returning.is_none_or(|claim| *claim.verifier.expose() == [0; 16]), "something of the cookie is left");
}

/// What a client says about itself.
pub fn client_settings(data: &[u8]) {
    let Ok(settings) = ClientSettings::decode(data) else { return };
    assert!((100..=500).contains(&settings.desktop_scale));
    assert!(settings.monitors.len() <= 16);
}

/// What a client sends to its worker, from Confirm Active on: a byte stream of whole PDUs behind a good
/// transcript.
pub fn link(data: &[u8]) {
    let transcript = include_bytes!("corpus/transcript/licensing");
    let transcript = wrd_sys::channel::decode::<Transcript>(transcript).expect("the seed is a transcript");
    let mut connection = wrd_session::link::Connection::new(&transcript).expect("the seed can be replayed");
    let mut buffer = PduBuffer::default();
    buffer.push(data);
    let mut answered = connection.take_output().len();
    let mut found = Vec::new();
    while let Ok(Some(pdu)) = buffer.next_pdu().map(|pdu| pdu.map(<[u8]>::to_vec)) {
        let taken = connection.receive(&pdu, &mut found);
        answered += connection.take_output().len();
        if taken.is_err() {
            // Over is over.
            assert!(!connection.is_active());
            break;
        }
    }
    assert!(found.len() <= data.len(), "{} events from {} bytes", found.len(), data.len());
    assert!(answered <= 64 * 1024 + 64 * data.len(), "{answered} bytes were answered to {}", data.len());
}

/// Keyboard and mouse, both paths.
pub fn input(data: &[u8]) {
    let Ok(events) = wrd_rdp::input::events(data) else { return };
    // The shortest event has one byte.
    assert!(events.len() <= data.len().max(1), "{} events from {} bytes", events.len(), data.len());
}

/// A configuration file: the administrator's, then the user's over it.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = std::path::Path::new("/etc/wrd-dm/wrd-dm.toml");
    let (system, errors) = wrd_config::System::parse([(file, text)]);
    for error in errors {
        assert!(!error.to_string().contains('\n'), "an error of more than one line: {error}");
    }
    let mut session = wrd_config::SessionSettings::of_system(&system);
    session.overlay(std::path::Path::new("session.toml"), text);
}

/// A desktop entry: what it wants to be run is a program, and arguments that can be handed to one.
pub fn desktop_entry(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(command) = wrd_config::desktop_entry::DesktopEntry::parse(text).command_line("/usr/share/x.desktop") {
        assert!(command.first().is_some_and(|program| !program.is_empty()));
        assert!(command.iter().all(|argument| !argument.contains('\0')));
    }
}
