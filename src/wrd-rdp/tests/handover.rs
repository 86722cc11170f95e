//! A real client connector against the gate's acceptor, a transcript, and the worker's acceptor.

use ironrdp_acceptor::{Acceptor, DesktopSize};
use ironrdp_connector::connection_activation::{ConnectionActivationSequence, ConnectionActivationState};
use ironrdp_connector::{ClientConnectorState, Sequence};
use ironrdp_core::WriteBuf;
use ironrdp_pdu::nego::SecurityProtocol;
use proptest::prelude::*;
use proptest::sample::Index;
use wrd_proto::Bytes;
use wrd_proto::transcript::{Progress, Transcript};
use wrd_rdp::acceptor::{
    DriveError, Pause, Waiting, drive, expects_client_info, granted_size, new_acceptor, state_name,
};
use wrd_rdp::client_info::decode_client_info;
use wrd_rdp::pdu;
use wrd_rdp::replay::{replay, settings};
use wrd_test_client::dialogue::Dialogue;
use wrd_test_client::{Kind, PLAIN};

const MAX: DesktopSize = DesktopSize { width: 8192, height: 8192 };

fn client() -> Dialogue {
    Dialogue::new(Kind { password: "canary", width: 1280, height: 800, scale: 150, layout: 0x0407, ..PLAIN })
}

/// The gate's part: up to licensing, with the password blanked.
fn gate(client: &mut Dialogue) -> (Acceptor, Transcript) {
    let mut told = None;
    let ends = client.gate(MAX, |acceptor, pdu| {
        if expects_client_info(acceptor) {
            told = Some(decode_client_info(pdu).unwrap());
        }
    });
    let info = told.expect("Client Info came by");
    assert_eq!((info.user.as_str(), info.autologon), ("alice", true));
    assert_eq!(info.password.unwrap().expose(), b"canary");
    ends
}

#[test]
fn a_worker_goes_on_from_licensing() {
    let mut client = client();
    let (_gate, transcript) = gate(&mut client);
    assert!(transcript.pdus.iter().all(|pdu| !pdu.windows(4).any(|w| w == b"c\0a\0")), "the password is blanked");

    let (security, size) = settings(&transcript);
    let replayed = replay(new_acceptor(security, size), &transcript).unwrap();
    assert_eq!((replayed.client.width, replayed.client.height, replayed.client.desktop_scale), (1280, 800, 150));
    assert_eq!((replayed.client.keyboard.layout, replayed.client.name.as_str()), (0x0407, "probe"));
    let mut worker = replayed.acceptor;
    assert_eq!(state_name(&worker), "LicensingExchange");
    client.finish(&mut worker);
    let result = worker.get_result().unwrap();
    let ClientConnectorState::Connected { result: connected } = &client.connector.state else {
        panic!("not connected")
    };
    let asked = DesktopSize { width: 1280, height: 800 };
    assert_eq!((connected.desktop_size, granted_size(asked, MAX)), (asked, asked));
    assert_eq!(result.io_channel_id, wrd_rdp::acceptor::IO_CHANNEL);
    assert!(!result.capabilities.is_empty());
}

#[test]
fn a_worker_goes_on_after_the_login_screen() {
    let mut client = client();
    let (mut acceptor, mut transcript) = gate(&mut client);
    client.finish(&mut acceptor);
    let ClientConnectorState::Connected { result } = &client.connector.state else { panic!("not connected") };
    let mut activation = result.activation_factory.create();
    client.to_client.push(&pdu::deactivate_all());
    let deactivate = client.to_client.next_pdu().unwrap().unwrap();
    let deactivate = ironrdp_pdu::mcs::decode_send_data_indication(deactivate).unwrap();
    assert!(matches!(
        ironrdp_pdu::rdp::headers::decode_io_channel(deactivate).unwrap(),
        ironrdp_pdu::rdp::headers::IoChannelPdu::DeactivateAll(_)
    ));

    transcript.progress = Progress::Deactivated;
    let (security, size) = settings(&transcript);
    let mut worker = replay(new_acceptor(security, size), &transcript).unwrap().acceptor;
    assert_eq!(state_name(&worker), "CapabilitiesSendServer");
    let mut output = Vec::new();
    drive(&mut worker, None, Pause::Nowhere, &mut output).unwrap();
    client.to_client.push(&output);

    // Late input of the first activation: fast path, slow path, a virtual channel.
    let fast = [0x04, 0x04, 0x00, 0x1e];
    let slow = slow_path_input();
    let mut output = Vec::new();
    for late in [&fast[..], &slow[..]] {
        assert_eq!(drive(&mut worker, Some(late), Pause::Nowhere, &mut output).unwrap(), Waiting::ForPdu);
    }
    assert!(output.is_empty());
    reactivate(&mut activation, &mut client, &mut worker, &slow);
}

fn slow_path_input() -> Vec<u8> {
    let body = [
        34u8, 0, 0x17, 0, 0xea, 3, 0, 0, 0, 0, 0, 1, 16, 0, 0x1c, 0, 0, 0, // share headers, input
        1, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0x1e, 0, 0, 0, // one key
    ];
    ironrdp_core::encode_vec(&ironrdp_pdu::x224::X224(ironrdp_pdu::mcs::SendDataRequest {
        initiator_id: 1002,
        channel_id: 1003,
        user_data: std::borrow::Cow::Borrowed(&body),
    }))
    .unwrap()
}

fn reactivate(
    activation: &mut ConnectionActivationSequence,
    client: &mut Dialogue,
    worker: &mut Acceptor,
    late: &[u8],
) {
    let mut active = false;
    loop {
        if matches!(activation.connection_activation_state(), ConnectionActivationState::Finalized { .. }) {
            assert!(active, "the worker is active before the client");
            return;
        }
        let input = match activation.next_pdu_hint() {
            Some(_) => client.to_client.next_pdu().unwrap().expect("the worker has something to say").to_vec(),
            None => Vec::new(),
        };
        let mut output = WriteBuf::new();
        activation.step(&input, None, &mut output).unwrap();
        client.to_server.push(output.filled());
        while let Some(pdu) = client.to_server.next_pdu().unwrap() {
            let mut output = Vec::new();
            // Late input in the middle of the finalisation is not taken for a step of it.
            if !active {
                drive(worker, Some(late), Pause::Nowhere, &mut output).unwrap();
            }
            active |= drive(worker, Some(pdu), Pause::Nowhere, &mut output).unwrap() == Waiting::Active;
            client.to_client.push(&output);
        }
    }
}

#[test]
fn a_transcript_that_ends_early_or_late_is_an_error() {
    let mut client = client();
    let (_gate, whole) = gate(&mut client);
    for length in 0..whole.pdus.len() {
        let mut cut = whole.clone();
        cut.pdus.truncate(length);
        assert!(replay(new_acceptor(SecurityProtocol::SSL, MAX), &cut).is_err(), "{length}");
    }
    let mut long = whole.clone();
    long.pdus.push(whole.pdus[0].clone());
    assert!(replay(new_acceptor(SecurityProtocol::SSL, MAX), &long).is_err());
}

#[test]
fn a_confirm_active_that_announces_more_sets_than_it_has_is_refused_unread() {
    let (transcript, rest) = recorded();
    // TPKT (4), X.224 (3), MCS (8), share control (10), originatorId (2), two lengths (4), "MSTSC" or the like.
    let confirm = &rest[0];
    let count_at = 15 + 16 + usize::from(confirm[15 + 12]);
    let count = usize::from(confirm[count_at]);
    assert!((5..40).contains(&count) && confirm[count_at + 1] == 0, "{count} sets");
    let drive_it = |high: u8| {
        let mut pdu = confirm.clone();
        pdu[count_at + 1] = high;
        let mut worker = replay(new_acceptor(SecurityProtocol::SSL, MAX), transcript).unwrap().acceptor;
        let mut output = Vec::new();
        drive(&mut worker, None, Pause::Nowhere, &mut output).unwrap();
        drive(&mut worker, Some(&pdu), Pause::Nowhere, &mut output)
    };
    assert_eq!(drive_it(0).unwrap(), Waiting::ForPdu);
    // 65280 sets and more: megabytes of room for them, for nothing.
    assert!(matches!(drive_it(0xff), Err(DriveError::TooManySets)));
}

#[test]
fn a_font_list_that_is_none_is_not_kept() {
    let (transcript, rest) = recorded();
    let mut worker = replay(new_acceptor(SecurityProtocol::SSL, MAX), transcript).unwrap().acceptor;
    let mut output = Vec::new();
    drive(&mut worker, None, Pause::Nowhere, &mut output).unwrap();
    let (font_list, before) = rest.split_last().unwrap();
    for pdu in before {
        assert_eq!(drive(&mut worker, Some(pdu), Pause::Nowhere, &mut output).unwrap(), Waiting::ForPdu);
    }
    // listFlags (MS-RDPBCGR 2.2.1.18.1) that do not exist.
    let mut bad = font_list.clone();
    let at = bad.len() - 4;
    bad[at..at + 2].copy_from_slice(&[0xff, 0xff]);
    let error = drive(&mut worker, Some(&bad), Pause::Nowhere, &mut output).unwrap_err();
    assert!(matches!(error, DriveError::BadFontList), "{error}");
}

/// A transcript and, behind it, what the client sends up to the end of its activation.
fn recorded() -> &'static (Transcript, Vec<Vec<u8>>) {
    static RECORDED: std::sync::OnceLock<(Transcript, Vec<Vec<u8>>)> = std::sync::OnceLock::new();
    RECORDED.get_or_init(|| {
        let mut client = client();
        let (mut acceptor, transcript) = gate(&mut client);
        let pdus = client.finish(&mut acceptor);
        (transcript, pdus)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// What a stranger may do to the bytes of a real client: no panic, no endless loop.
    #[test]
    fn damaged_pdus_never_panic(
        which in any::<Index>(),
        damage in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<Index>()),
    ) {
        let (transcript, rest) = recorded();
        let (mut transcript, mut rest) = (transcript.clone(), rest.clone());
        let first = transcript.pdus.len();
        let which = which.index(first + rest.len());
        let mut pdu = if which < first { transcript.pdus[which].to_vec() } else { rest[which - first].clone() };
        for (at, byte) in damage {
            let at = at.index(pdu.len());
            pdu[at] = byte;
        }
        if let Some(cut) = cut {
            pdu.truncate(cut.index(pdu.len()));
        }
        let _ = decode_client_info(&pdu);
        let _ = wrd_rdp::client::ClientSettings::decode(&pdu);
        let _ = wrd_rdp::input::events(&pdu);
        if which < first {
            transcript.pdus[which] = Bytes::try_from(pdu).unwrap();
        } else {
            rest[which - first] = pdu;
        }
        let Ok(replayed) = replay(new_acceptor(SecurityProtocol::SSL, MAX), &transcript) else { return Ok(()) };
        let mut worker = replayed.acceptor;
        let mut output = Vec::new();
        let _ = drive(&mut worker, None, Pause::Nowhere, &mut output);
        for pdu in &rest {
            let _ = drive(&mut worker, Some(pdu), Pause::Nowhere, &mut output);
        }
    }
}
