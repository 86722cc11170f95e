//! The connection sequence on both sides of a hand-over: what the gate brought to licensing the worker's replay
//! brings there too, and from there both answer alike.

use ironrdp_acceptor::Acceptor;
use ironrdp_dvc::DrdynvcServer;
use std::sync::OnceLock;
use wrd_proto::Bytes;
use wrd_proto::transcript::{MAX_PDUS, MAX_TRANSCRIPT, Progress, Transcript};
use wrd_rdp::acceptor::{Pause, Waiting, drive, expects_client_info, new_acceptor, state_name, tls_is_up};
use wrd_rdp::client::ClientSettings;
use wrd_rdp::client_info::{decode_client_info, scrub};
use wrd_rdp::framing::PduBuffer;
use wrd_rdp::replay::{replay, settings};
use wrd_rdp::{DesktopSize, SecurityProtocol};

/// The first byte says how many PDUs of a real client come first; the rest is a byte stream.
pub fn acceptor(data: &[u8]) {
    let Some((real, stream)) = data.split_first() else { return };
    let real = usize::from(*real).min(real_client().len());
    let mut stream = split(stream).into_iter();
    let mut pdus = real_client()[..real].iter().cloned().chain(&mut stream);
    let mut answered = 0;
    let Some((mut gate, mut transcript)) = gate(&mut pdus, &mut answered) else { return };
    assert!(answered <= 64 * 1024, "{answered} bytes were answered to {}", data.len());

    let mut worker = replayed(&transcript);
    assert_eq!(state_name(&worker), state_name(&gate));
    let mut pdu: Option<Vec<u8>> = None;
    loop {
        let (mut said, mut again) = (Vec::new(), Vec::new());
        let one = drive(&mut gate, pdu.as_deref(), Pause::Nowhere, &mut said).map_err(|error| error.to_string());
        let two = drive(&mut worker, pdu.as_deref(), Pause::Nowhere, &mut again).map_err(|error| error.to_string());
        assert_eq!((&one, said), (&two, again));
        if !matches!(one, Ok(Waiting::ForPdu)) {
            break;
        }
        pdu = pdus.next();
        if pdu.is_none() {
            break;
        }
    }

    // As after a login screen: straight to a new Demand Active.
    transcript.progress = Progress::Deactivated;
    let mut worker = replayed(&transcript);
    let mut demand = Vec::new();
    assert_eq!(drive(&mut worker, None, Pause::Nowhere, &mut demand).expect("a new activation"), Waiting::ForPdu);
    assert!(!demand.is_empty());
}

/// The gate's `connect`, without its sockets.
fn gate(pdus: &mut impl Iterator<Item = Vec<u8>>, answered: &mut usize) -> Option<(Acceptor, Transcript)> {
    let security = SecurityProtocol::SSL;
    let max = DesktopSize { width: 8192, height: 8192 };
    let mut acceptor = new_acceptor(security, max);
    let mut transcript = Transcript {
        security: security.bits(),
        max_width: max.width,
        max_height: max.height,
        progress: Progress::Licensing,
        layout: None,
        pdus: Vec::new(),
    };
    let (mut settings, mut under_tls, mut length) = (None, false, 0);
    loop {
        let mut pdu = pdus.next()?;
        if expects_client_info(&acceptor) {
            decode_client_info(&pdu).ok()?;
            scrub(&mut pdu).ok()?;
        } else if under_tls && settings.is_none() {
            settings = Some(ClientSettings::decode(&pdu).ok()?);
        }
        length += pdu.len() + 4;
        if transcript.pdus.len() >= MAX_PDUS || length + 64 > MAX_TRANSCRIPT {
            return None;
        }
        let mut output = Vec::new();
        let mut waiting = drive(&mut acceptor, Some(&pdu), Pause::BeforeLicensing, &mut output).ok()?;
        transcript.pdus.push(Bytes::try_from(pdu).ok()?);
        if waiting == Waiting::ForTls {
            tls_is_up(&mut acceptor);
            under_tls = true;
            waiting = drive(&mut acceptor, None, Pause::BeforeLicensing, &mut output).ok()?;
        }
        *answered += output.len();
        if waiting == Waiting::AtLicensing {
            return Some((acceptor, transcript));
        }
    }
}

/// The worker's acceptor, which has a channel that the gate's has not.
fn replayed(transcript: &Transcript) -> Acceptor {
    let bytes = wrd_sys::channel::encode(transcript).expect("a transcript fits its frame");
    let transcript = wrd_sys::channel::decode::<Transcript>(&bytes).expect("what was encoded can be decoded");
    let (security, size) = settings(&transcript);
    let mut acceptor = new_acceptor(security, size);
    acceptor.attach_static_channel(DrdynvcServer::new());
    replay(acceptor, &transcript).expect("what the gate took the worker takes").acceptor
}

/// What a real client says, from its first PDU to the end of its activation.
fn real_client() -> &'static [Vec<u8>] {
    static PDUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    PDUS.get_or_init(|| split(include_bytes!("../corpus/acceptor/whole-sequence").split_at(1).1))
}

fn split(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut buffer = PduBuffer::default();
    buffer.push(stream);
    std::iter::from_fn(|| buffer.next_pdu().ok().flatten().map(<[u8]>::to_vec)).collect()
}
