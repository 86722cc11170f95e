//! What is done with fuzzed bytes: one function for each decoder of ours. The fuzz targets and the test
//! that replays the corpora (tests/tests/corpus.rs) both include this file.
//!
//! A function fails by panicking. Beyond "does not panic" each says what must hold of the answer.

use serde::Serialize;
use serde::de::DeserializeOwned;
use wrd_proto::transcript::{MAX_TRANSCRIPT, Progress, Transcript};
use wrd_rdp::acceptor::{Pause, drive, new_acceptor, tls_is_up};
use wrd_rdp::client::ClientSettings;
use wrd_rdp::client_info::{decode_client_info, scrub};
use wrd_rdp::framing::{PduBuffer, measure};
use wrd_rdp::{DesktopSize, SecurityProtocol};

/// The name of a corpus, and what takes it.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("channel", channel),
    ("transcript", transcript),
    ("framing", framing),
    ("client_info", client_info),
    ("client_settings", client_settings),
    ("acceptor", acceptor),
    ("input", input),
    ("link", link),
    ("settings", settings),
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

/// A byte stream in pieces (the first byte is their size) gives the same PDUs as in one.
pub fn framing(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let mut at_once = PduBuffer::default();
    at_once.push(stream);
    let mut in_pieces = PduBuffer::default();
    let mut pieces = stream.chunks(usize::from(*size).max(1));
    loop {
        let whole = at_once.next_pdu().map(|pdu| pdu.map(<[u8]>::to_vec));
        if let Ok(Some(pdu)) = &whole {
            assert!(!pdu.is_empty(), "a PDU of no bytes");
            assert_eq!(measure(pdu).expect("measured before").map(|(_, length)| length), Some(pdu.len()));
        }
        let pieced = loop {
            match in_pieces.next_pdu().map(|pdu| pdu.map(<[u8]>::to_vec)) {
                Ok(None) => match pieces.next() {
                    Some(piece) => in_pieces.push(piece),
                    None => break Ok(None),
                },
                other => break other,
            }
        };
        match (whole, pieced) {
            (Ok(Some(a)), Ok(Some(b))) => assert_eq!(a, b),
            (Ok(None), Ok(None)) => break,
            (Err(_), Err(_)) => break,
            (a, b) => panic!("{a:?} at once, {b:?} in pieces"),
        }
    }
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
}

/// What a client says about itself.
pub fn client_settings(data: &[u8]) {
    let Ok(settings) = ClientSettings::decode(data) else { return };
    assert!((100..=500).contains(&settings.desktop_scale));
    assert!(settings.monitors.len() <= 16);
}

/// The connection sequence as the gate runs it: whole PDUs into an acceptor.
pub fn acceptor(data: &[u8]) {
    let mut acceptor = new_acceptor(SecurityProtocol::SSL, DesktopSize { width: 8192, height: 8192 });
    let mut buffer = PduBuffer::default();
    buffer.push(data);
    let mut output = Vec::new();
    while let Ok(Some(pdu)) = buffer.next_pdu().map(|pdu| pdu.map(<[u8]>::to_vec)) {
        match drive(&mut acceptor, Some(&pdu), Pause::Nowhere, &mut output) {
            Ok(wrd_rdp::acceptor::Waiting::ForTls) => {
                tls_is_up(&mut acceptor);
                if drive(&mut acceptor, None, Pause::Nowhere, &mut output).is_err() {
                    break;
                }
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    assert!(output.len() <= 64 * 1024, "{} bytes were answered to {}", output.len(), data.len());
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
