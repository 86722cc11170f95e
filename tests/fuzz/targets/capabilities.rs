//! Capability sets of any content, and what the worker then does for such a client.

use ironrdp_core::encode_vec;
use ironrdp_pdu::mcs::SendDataRequest;
use ironrdp_pdu::x224::X224;
use std::sync::OnceLock;
use wrd_proto::transcript::Transcript;
use wrd_rdp::acceptor::{IO_CHANNEL, SERVER_CHANNEL};
use wrd_rdp::framing::{PduBuffer, measure};
use wrd_session::encode::bitmap::{self, Depth, Form};
use wrd_session::link::update::{Tile, TileForm};
use wrd_session::link::{Connection, Event, Show};
use wrd_session::source::{Frame, Pointer, PointerShape, Rect, Size};

/// A list of sets: type (1 byte), length of the body (1 byte), body. A Confirm Active is made of them, twice, since a
/// client may say something else after a resize.
pub fn capabilities(data: &[u8]) {
    let confirm = confirm_active(data);
    let mut connection = Connection::new(transcript()).expect("the seed can be replayed");
    let mut found = Vec::new();
    check(&connection.take_output());
    for round in 0..2u16 {
        let rest = after_confirm_active().iter().map(Vec::as_slice);
        for pdu in std::iter::once(confirm.as_slice()).chain(rest).chain(no_pipeline().iter().map(Vec::as_slice)) {
            // Of a client that has its channels already, the second time.
            if connection.receive(pdu, &mut found).is_err() {
                assert!(!connection.is_active());
                return;
            }
        }
        check(&connection.take_output());
        if !connection.is_active() {
            return;
        }
        if round == 0 {
            assert!(found.contains(&Event::Ready(Show::Bitmaps)), "{found:?}");
        }
        show(&mut connection);
        let size = Size { width: 640 + round, height: 480 };
        if connection.resize(size, &mut found).is_err() {
            return;
        }
        check(&connection.take_output());
        if connection.is_active() {
            // It cannot be told.
            return;
        }
    }
}

/// Everything that a client is shown in its own form.
fn show(connection: &mut Connection) {
    let size = Size { width: 68, height: 65 };
    let stride = usize::from(size.width) * 4;
    let pixels: Vec<u8> = (0..stride * usize::from(size.height)).map(|i| (i / 7) as u8).collect();
    let frame = Frame { size, stride, pixels: &pixels };
    let Some(depth) = Depth::from_bits(connection.capabilities().bits_per_pixel) else { return };
    let tiles: Vec<Tile> = bitmap::encode(&frame, Rect { x: 1, y: 0, width: 66, height: 65 }, depth)
        .into_iter()
        .map(|bitmap| Tile {
            target: bitmap.target,
            width: bitmap.width,
            bits_per_pixel: depth.bits(),
            form: match bitmap.form {
                Form::Planar => TileForm::Planar,
                Form::Raw => TileForm::Raw,
            },
            data: bitmap.data,
        })
        .collect();
    connection.bitmaps(&tiles);
    assert!(check(&connection.take_output()) > 0, "pictures were asked for and none sent");
    for side in [1, 32, 33, 96, 97, 384] {
        let shape = PointerShape {
            size: Size { width: side, height: side },
            hotspot_x: side - 1,
            hotspot_y: 0,
            pixels: vec![side as u8; usize::from(side) * usize::from(side) * 4],
        };
        // The second time it may be kept already.
        for _ in 0..2 {
            connection.pointer(&Pointer::Shape(shape.clone()));
            assert!(check(&connection.take_output()) > 0, "no pointer of {side} px");
        }
    }
}

/// Checks that `bytes` are whole PDUs of lengths that a server may send, and counts them.
fn check(bytes: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        let (_, length) = measure(&bytes[at..]).expect("RDP").expect("a whole header");
        assert!(length < 0x4000, "a PDU of {length} bytes");
        at += length;
        count += 1;
    }
    assert_eq!(at, bytes.len(), "a PDU that is not whole");
    count
}

fn confirm_active(data: &[u8]) -> Vec<u8> {
    let mut sets = Vec::new();
    let mut count = 0u16;
    let mut rest = data;
    while let [kind, length, behind @ ..] = rest {
        let (body, behind) = behind.split_at(behind.len().min((*length).into()));
        sets.extend(u16::from(*kind).to_le_bytes());
        sets.extend((body.len() as u16 + 4).to_le_bytes());
        sets.extend_from_slice(body);
        count += 1;
        rest = behind;
    }
    // MS-RDPBCGR 2.2.1.13.2.1, of the server's channel as originator.
    let mut body = vec![0, 0, 0x13, 0, 0xea, 3, 0, 0, 0, 0, 0xea, 3, 0, 0];
    body.extend((sets.len() as u16 + 4).to_le_bytes());
    body.extend(count.to_le_bytes());
    body.extend([0, 0]);
    body.extend(sets);
    let length = (body.len() as u16).to_le_bytes();
    body[..2].copy_from_slice(&length);
    let request = SendDataRequest { initiator_id: SERVER_CHANNEL, channel_id: IO_CHANNEL, user_data: body.into() };
    encode_vec(&X224(request)).expect("4096 bytes fit")
}

fn transcript() -> &'static Transcript {
    static TRANSCRIPT: OnceLock<Transcript> = OnceLock::new();
    TRANSCRIPT.get_or_init(|| {
        let bytes = include_bytes!("../corpus/transcript/licensing");
        wrd_sys::channel::decode::<Transcript>(bytes).expect("the seed is a transcript")
    })
}

/// What a real client says behind its Confirm Active.
fn after_confirm_active() -> &'static [Vec<u8>] {
    static PDUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    PDUS.get_or_init(|| {
        let mut buffer = PduBuffer::default();
        buffer.push(include_bytes!("../corpus/link/activation"));
        std::iter::from_fn(|| buffer.next_pdu().ok().flatten().map(<[u8]>::to_vec)).skip(1).collect()
    })
}

/// The client has dynamic channels and, though it said so, no graphics pipeline.
fn no_pipeline() -> &'static [Vec<u8>] {
    static PDUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    PDUS.get_or_init(|| {
        // Version 3; channel 0 cannot be created (MS-RDPEDYC 2.2.1.2, 2.2.2.2).
        let messages = [&[0x50, 0, 3, 0][..], &[0x10, 0, 0x01, 0, 0, 0xc0]];
        let chunk = |message: &&[u8]| {
            let mut data = (message.len() as u32).to_le_bytes().to_vec();
            data.extend([3, 0, 0, 0]);
            data.extend_from_slice(message);
            let request = SendDataRequest { initiator_id: SERVER_CHANNEL, channel_id: 1004, user_data: data.into() };
            encode_vec(&X224(request)).expect("a few bytes fit")
        };
        messages.iter().map(chunk).collect()
    })
}
