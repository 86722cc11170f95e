//! Which channels the gate speaks on: the I/O channel and no other, whatever a client offers and says on its own.

use super::*;
use ironrdp_core::{decode, encode_vec, impl_as_any};
use ironrdp_pdu::PduResult;
use ironrdp_pdu::gcc::ChannelName;
use ironrdp_pdu::mcs::{McsMessage, SendDataIndication, SendDataRequest};
use ironrdp_pdu::x224::X224;
use ironrdp_svc::{SvcClientProcessor, SvcMessage, SvcProcessor};
use std::borrow::Cow;
use std::collections::BTreeSet;
use wrd_rdp::acceptor::{IO_CHANNEL, SERVER_CHANNEL};
use wrd_rdp::framing::is_fast_path;

/// Dynamic channels, sound, clipboard, drives.
const OFFERED: [&str; 4] = ["drdynvc", "rdpsnd", "cliprdr", "rdpdr"];

#[derive(Debug)]
struct Offer(&'static str);

impl_as_any!(Offer);

impl SvcProcessor for Offer {
    fn channel_name(&self) -> ChannelName {
        ChannelName::from_utf8(self.0).unwrap()
    }

    fn process(&mut self, _: &[u8]) -> PduResult<Vec<SvcMessage>> {
        Ok(Vec::new())
    }
}

impl SvcClientProcessor for Offer {}

/// A whole message of a virtual channel (MS-RDPBCGR 2.2.6.1): the versions that DYNVC_CAPS_VERSION1 is about
/// (MS-RDPEDYC 2.2.1.1.1).
const ON_A_CHANNEL: [u8; 12] = [4, 0, 0, 0, 3, 0, 0, 0, 0x50, 0, 1, 0];

/// The channel of a server's PDU; none has one that is fast-path.
fn channel(pdu: &[u8]) -> Option<u16> {
    if is_fast_path(pdu) {
        return None;
    }
    match decode::<X224<McsMessage<'_>>>(pdu).unwrap().0 {
        McsMessage::SendDataIndication(data) => Some(data.channel_id),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_channel_but_the_io_channel_is_spoken_on_before_the_hand_over() {
    let (says, said) = std::sync::mpsc::channel();
    let (mut client, server) = play("wrong", 60_000, move |monitor, identity| {
        let leader = open(&monitor, identity);
        expect_password(&leader, "wrong");
        leader.send(&denied("No.")).unwrap();
        assert_eq!(monitor.next(identity), ToMonitor::Screen);
        says.send(()).unwrap();
        expect_password(&leader, "right");
        ask(&leader, Prompt::Hidden, "Code:");
        says.send(()).unwrap();
        expect_answer(&leader, "1234");
        leader.send(&FromLeader::Accepted).unwrap();
        let (mut link, ..) = take_over(&monitor, identity);
        // A worker may.
        let user_data = Cow::Borrowed(&ON_A_CHANNEL[..]);
        let channel_id = IO_CHANNEL + 1;
        let data = SendDataIndication { initiator_id: SERVER_CHANNEL, channel_id, user_data };
        link.write_all(&encode_vec(&X224(data)).unwrap()).unwrap();
        (monitor, link)
    });
    for name in OFFERED {
        assert!(client.connector.attach_dynamic_static_channel(Offer(name)));
    }
    // From licensing on, the acceptor speaks as it does to every client, and then the login screen.
    client.until_client_info().unwrap();
    let mut heard = Vec::new();
    while !matches!(client.connector.state, ClientConnectorState::Connected { .. }) {
        let is_due = client.connector.next_pdu_hint().is_some();
        let input = is_due.then(|| client.hear().expect("the activation"));
        let mut output = WriteBuf::new();
        client.connector.step(input.as_deref().unwrap_or_default(), None, &mut output).unwrap();
        client.stream.write_all(output.filled()).unwrap();
        heard.extend(input);
    }
    wait_for_screen(&said);
    let ClientConnectorState::Connected { result } = &client.connector.state else { unreachable!() };
    let initiator_id = result.user_channel_id;
    let granted = OFFERED.map(|name| {
        let name = ChannelName::from_utf8(name).unwrap();
        result.static_channels.get_channel_id_by_channel_name(&name).expect("a channel that can be spoken on")
    });
    for channel_id in granted {
        let said = SendDataRequest { initiator_id, channel_id, user_data: Cow::Borrowed(&ON_A_CHANNEL) };
        client.stream.write_all(&encode_vec(&X224(said)).unwrap()).unwrap();
    }
    client.type_line("right").unwrap();
    wait_for_screen(&said);
    client.type_line("1234").unwrap();
    while heard.last() != Some(&pdu::deactivate_all()) {
        heard.push(client.hear().expect("Deactivate All"));
    }
    assert!(heard.iter().filter(|pdu| is_fast_path(pdu)).count() >= 13 * 10, "the screen was there");
    let spoken_on: BTreeSet<u16> = heard.iter().filter_map(|pdu| channel(pdu)).collect();
    assert_eq!(spoken_on, BTreeSet::from([IO_CHANNEL]));
    // The gate relays what it does not say itself: this would have been seen.
    assert_eq!(channel(&client.hear().unwrap()), Some(granted[0]));
    server.join().unwrap();
}
