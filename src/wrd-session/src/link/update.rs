//! Graphics and pointer updates as PDUs: fast path where the client has it, slow path where not.

use super::capabilities::{Capabilities, Support};
use crate::source::Rect;
use ironrdp_core::{Encode, encode_vec};
use ironrdp_pdu::bitmap::{BitmapData, BitmapUpdateData, Compression};
use ironrdp_pdu::fast_path::{EncryptionFlags, FastPathHeader, FastPathUpdatePdu, Fragmentation, UpdateCode};
use ironrdp_pdu::geometry::InclusiveRectangle;
use ironrdp_pdu::mcs::SendDataIndication;
use ironrdp_pdu::x224::X224;
use std::borrow::Cow;
use wrd_rdp::acceptor::{IO_CHANNEL, SERVER_CHANNEL, SHARE_ID};

/// One bitmap of an update (TS_BITMAP_DATA, MS-RDPBCGR 2.2.9.1.1.3.1.2.2), whose data fits [`MAX_BODY`].
#[derive(Clone, Debug)]
pub struct Tile {
    pub target: Rect,
    /// Width of the bitmap; the target may be narrower.
    pub width: u16,
    pub bits_per_pixel: u16,
    pub form: TileForm,
    pub data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileForm {
    Raw,
    /// RDP 6.0 planar.
    Planar,
}

/// Most bytes of an update's body in one PDU: a server's fast-path PDU has at most 16383 bytes, and so has
/// the user data of an MCS PDU.
pub const MAX_BODY: usize = 16_000;
/// Left, top, right, bottom, width, height, bits, flags, length.
const TILE_HEADER: usize = 18;
/// Update type and number of rectangles.
const UPDATE_HEADER: usize = 4;

/// The PDUs for these bitmaps, as few as possible.
pub fn bitmaps(capabilities: &Capabilities, tiles: &[Tile]) -> Vec<u8> {
    let mut pdus = Vec::new();
    let mut batch: Vec<BitmapData<'_>> = Vec::new();
    let mut length = UPDATE_HEADER;
    for tile in tiles {
        let more = TILE_HEADER + tile.data.len();
        if length + more > MAX_BODY && !batch.is_empty() {
            push_bitmaps(capabilities, std::mem::take(&mut batch), &mut pdus);
            length = UPDATE_HEADER;
        }
        length += more;
        batch.push(bitmap_data(tile));
    }
    if !batch.is_empty() {
        push_bitmaps(capabilities, batch, &mut pdus);
    }
    pdus
}

fn push_bitmaps(capabilities: &Capabilities, rectangles: Vec<BitmapData<'_>>, pdus: &mut Vec<u8>) {
    let body = encoded(&BitmapUpdateData { rectangles });
    match capabilities.fast_path {
        Support::Yes => fast_path(UpdateCode::Bitmap, &body, pdus),
        Support::No => pdus.extend(slow_path(SlowUpdate::Graphics, &body)),
    }
}

fn bitmap_data(tile: &Tile) -> BitmapData<'_> {
    let Rect { x, y, width, height } = tile.target;
    BitmapData {
        rectangle: InclusiveRectangle {
            left: x,
            top: y,
            right: x.saturating_add(width.saturating_sub(1)),
            bottom: y.saturating_add(height.saturating_sub(1)),
        },
        width: tile.width,
        height,
        bits_per_pixel: tile.bits_per_pixel,
        compression_flags: match tile.form {
            TileForm::Raw => Compression::empty(),
            TileForm::Planar => Compression::BITMAP_COMPRESSION | Compression::NO_BITMAP_COMPRESSION_HDR,
        },
        compressed_data_header: None,
        bitmap_data: &tile.data,
    }
}

/// A fast-path update, in fragments where it is long (MS-RDPBCGR 2.2.9.1.2.1).
pub fn fast_path(code: UpdateCode, body: &[u8], pdus: &mut Vec<u8>) {
    let parts = body.len().div_ceil(MAX_BODY).max(1);
    for index in 0..parts {
        let from = index * MAX_BODY;
        let data = body.get(from..(from + MAX_BODY).min(body.len())).unwrap_or_default();
        let fragmentation = match (index, parts) {
            (_, 1) => Fragmentation::Single,
            (0, _) => Fragmentation::First,
            (i, _) if i + 1 == parts => Fragmentation::Last,
            _ => Fragmentation::Next,
        };
        let update = FastPathUpdatePdu {
            fragmentation,
            update_code: code,
            compression_flags: None,
            compression_type: None,
            data,
        };
        pdus.extend(encoded(&FastPathHeader::new(EncryptionFlags::empty(), update.size())));
        pdus.extend(encoded(&update));
    }
}

/// What a slow-path update is, by its `pduType2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowUpdate {
    Graphics = 0x02,
    Pointer = 0x1b,
}

/// A slow-path update with its share headers (MS-RDPBCGR 2.2.8.1.1.1), which ironrdp-pdu reads but does not
/// write. `body` is at most [`MAX_BODY`] long.
pub fn slow_path(kind: SlowUpdate, body: &[u8]) -> Vec<u8> {
    const SHARE_HEADERS: usize = 18;
    let length = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    let mut data = Vec::with_capacity(SHARE_HEADERS + body.len());
    data.extend(length(SHARE_HEADERS + body.len()));
    // PDUTYPE_DATAPDU of protocol version 1, from the server.
    data.extend(0x17u16.to_le_bytes());
    data.extend(SERVER_CHANNEL.to_le_bytes());
    data.extend(SHARE_ID.to_le_bytes());
    // Padding, low priority, length from pduType2 on, pduType2, not compressed.
    data.extend([0, 1]);
    data.extend(length(4 + body.len()));
    data.extend([kind as u8, 0, 0, 0]);
    data.extend_from_slice(body);
    encoded(&X224(SendDataIndication {
        initiator_id: SERVER_CHANNEL,
        channel_id: IO_CHANNEL,
        user_data: Cow::Owned(data),
    }))
}

/// Encodes a message of ours, whose fields were bounded when it was made: it cannot fail but by a mistake
/// of ours, which sends nothing rather than something wrong.
pub(super) fn encoded(message: &impl Encode) -> Vec<u8> {
    let bytes = encode_vec(message);
    debug_assert!(bytes.is_ok(), "{bytes:?}");
    bytes.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_core::{ReadCursor, decode, decode_cursor};
    use ironrdp_pdu::fast_path::FastPathUpdate;
    use ironrdp_pdu::mcs::McsMessage;
    use ironrdp_pdu::rdp::headers::{ShareControlHeader, ShareControlPdu, ShareDataPdu};
    use ironrdp_pdu::slow_path::{GraphicsUpdateType, decode_slow_path_bitmap, read_graphics_update_type};
    use wrd_rdp::framing::PduBuffer;

    fn tiles() -> Vec<Tile> {
        (0..20)
            .map(|i| Tile {
                target: Rect { x: i * 64, y: 5, width: 63, height: 64 },
                width: 64,
                bits_per_pixel: 32,
                form: TileForm::Planar,
                data: vec![i as u8; 1000 + 600 * usize::from(i)],
            })
            .collect()
    }

    /// All bitmaps in `pdus`: left edge, right edge, length of the data.
    fn decoded(pdus: &[u8]) -> Vec<(u16, u16, usize)> {
        let mut buffer = PduBuffer::default();
        buffer.push(pdus);
        let mut found = Vec::new();
        let mut take = |update: &BitmapUpdateData<'_>| {
            found.extend(update.rectangles.iter().map(|b| (b.rectangle.left, b.rectangle.right, b.bitmap_data.len())));
        };
        while let Some(pdu) = buffer.next_pdu().unwrap() {
            assert!(pdu.len() < 0x4000);
            if pdu[0] == 3 {
                let McsMessage::SendDataIndication(data) = decode::<X224<McsMessage<'_>>>(pdu).unwrap().0 else {
                    panic!()
                };
                let header: ShareControlHeader = decode(&data.user_data).unwrap();
                let ShareControlPdu::Data(header) = header.share_control_pdu else { panic!() };
                let ShareDataPdu::Update(body) = header.share_data_pdu else { panic!() };
                let mut cursor = ReadCursor::new(&body);
                assert_eq!(read_graphics_update_type(&mut cursor).unwrap(), GraphicsUpdateType::Bitmap);
                take(&decode_slow_path_bitmap(&mut cursor).unwrap());
            } else {
                let mut cursor = ReadCursor::new(pdu);
                let _: FastPathHeader = decode_cursor(&mut cursor).unwrap();
                let update: FastPathUpdatePdu<'_> = decode_cursor(&mut cursor).unwrap();
                match FastPathUpdate::decode_with_code(update.data, update.update_code).unwrap() {
                    FastPathUpdate::Bitmap(update) => take(&update),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(buffer.is_empty());
        found
    }

    #[test]
    fn both_paths_carry_all_bitmaps_in_pdus_that_are_not_too_long() {
        let wanted: Vec<_> = tiles().iter().map(|t| (t.target.x, t.target.x + 62, t.data.len())).collect();
        for fast_path in [Support::Yes, Support::No] {
            let capabilities = Capabilities { fast_path, ..Capabilities::default() };
            let pdus = bitmaps(&capabilities, &tiles());
            assert_eq!(pdus[0] == 3, fast_path == Support::No);
            assert_eq!(decoded(&pdus), wanted);
        }
        assert!(bitmaps(&Capabilities::default(), &[]).is_empty());
    }
}
