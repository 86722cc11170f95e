//! Tiles of the screen as fast-path bitmap updates, 32 bits a pixel, planar codec: lossless, understood by
//! every client.

use ironrdp_graphics::rdp6::{BitmapStreamEncoder, RgbAChannels};

/// Side of a tile in px: in the worst case its update still fits into the 16383 bytes that a fast-path PDU
/// should not exceed (MS-RDPBCGR 2.2.9.1.2).
pub const TILE: u16 = 64;

/// A rectangle of the screen with its pixels.
pub struct Tile<'a> {
    pub x: u16,
    pub y: u16,
    /// At most [`TILE`].
    pub width: u16,
    pub height: u16,
    /// Width of the rows of `rgba` in px: `width`, rounded up to a multiple of 4.
    pub stride: u16,
    pub rgba: &'a [u8],
}

/// The update PDU of a tile; `None` only where the encoder fails, which is a mistake of ours.
pub fn update(tile: &Tile<'_>) -> Option<Vec<u8>> {
    let (stride, height) = (usize::from(tile.stride), usize::from(tile.height));
    let rows = tile.rgba.chunks_exact(stride * 4).take(height);
    let mut stream = vec![0; stride * height * 4 + 1024];
    // Bitmaps are sent upside down.
    let pixels = rows.rev().flat_map(|row| row.chunks_exact(4));
    let length = BitmapStreamEncoder::new(stride, height)
        .encode_pixels_stream::<_, RgbAChannels>(pixels, &mut stream, true)
        .ok()?;
    stream.truncate(length);

    let mut bitmap = Vec::with_capacity(length + 32);
    let mut put = |values: &[u16]| values.iter().for_each(|value| bitmap.extend(value.to_le_bytes()));
    // TS_UPDATE_BITMAP_DATA (MS-RDPBCGR 2.2.9.1.1.3.1.2): type and number of rectangles.
    put(&[UPDATETYPE_BITMAP, 1]);
    // TS_BITMAP_DATA: destination (inclusive), size, depth, flags, length with the header that follows.
    put(&[tile.x, tile.y, tile.x + tile.width - 1, tile.y + tile.height - 1]);
    let size = u16::try_from(length).ok()?;
    put(&[tile.stride, tile.height, 32, BITMAP_COMPRESSION, size + 8]);
    // TS_CD_HEADER: first row (unused), main body, width of a row, size when unpacked.
    put(&[0, size, tile.stride, tile.stride * tile.height * 4]);
    bitmap.extend_from_slice(&stream);
    fast_path(FASTPATH_UPDATETYPE_BITMAP, &bitmap)
}

/// Makes the client show its own arrow (MS-RDPBCGR 2.2.9.1.2.1.6).
pub fn default_pointer() -> Vec<u8> {
    fast_path(FASTPATH_UPDATETYPE_PTR_DEFAULT, &[]).unwrap_or_default()
}

/// One whole update in one fast-path PDU (MS-RDPBCGR 2.2.9.1.2).
fn fast_path(code: u8, data: &[u8]) -> Option<Vec<u8>> {
    const HEADERS: usize = 6;
    let length = u16::try_from(data.len() + HEADERS).ok().filter(|length| *length < 0x4000)?;
    let mut pdu = Vec::with_capacity(usize::from(length));
    pdu.push(0);
    pdu.extend((length | 0x8000).to_be_bytes());
    pdu.push(code);
    pdu.extend(u16::try_from(data.len()).ok()?.to_le_bytes());
    pdu.extend_from_slice(data);
    Some(pdu)
}

const UPDATETYPE_BITMAP: u16 = 1;
const BITMAP_COMPRESSION: u16 = 1;
const FASTPATH_UPDATETYPE_BITMAP: u8 = 1;
const FASTPATH_UPDATETYPE_PTR_DEFAULT: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use ironrdp_core::decode;
    use ironrdp_graphics::rdp6::BitmapStreamDecoder;
    use ironrdp_pdu::bitmap::BitmapUpdateData;
    use ironrdp_pdu::fast_path::{FastPathHeader, FastPathUpdatePdu, UpdateCode};
    use proptest::prelude::*;

    fn unpack(pdu: &[u8]) -> (UpdateCode, Vec<u8>) {
        let mut cursor = ironrdp_core::ReadCursor::new(pdu);
        let header: FastPathHeader = ironrdp_core::decode_cursor(&mut cursor).unwrap();
        assert_eq!(header.data_length, cursor.len());
        let update: FastPathUpdatePdu<'_> = ironrdp_core::decode_cursor(&mut cursor).unwrap();
        (update.update_code, update.data.to_vec())
    }

    proptest! {
        #[test]
        fn a_tile_comes_back_as_it_was(
            (width, height) in (1u16..=64, 1u16..=64),
            noise in proptest::collection::vec(any::<u8>(), 64 * 64 * 4),
            flat in any::<bool>(),
        ) {
            let stride = width.next_multiple_of(4);
            let mut rgba = noise[..usize::from(stride) * usize::from(height) * 4].to_vec();
            if flat {
                rgba.fill(0x30);
            }
            let pdu = update(&Tile { x: 128, y: 64, width, height, stride, rgba: &rgba }).unwrap();
            prop_assert!(pdu.len() < 0x4000);
            let (code, data) = unpack(&pdu);
            prop_assert_eq!(code, UpdateCode::Bitmap);
            let data: BitmapUpdateData<'_> = decode(&data).unwrap();
            let [bitmap] = &data.rectangles[..] else { panic!("one rectangle") };
            prop_assert_eq!((bitmap.rectangle.left, bitmap.rectangle.right), (128, 127 + width));
            prop_assert_eq!((bitmap.width, bitmap.height), (stride, height));
            let mut rgb = Vec::new();
            BitmapStreamDecoder::default()
                .decode_bitmap_stream_to_rgb24(bitmap.bitmap_data, &mut rgb, stride.into(), height.into())
                .unwrap();
            let shown: Vec<u8> = rgb.chunks(usize::from(stride) * 3).rev().flatten().copied().collect();
            let sent: Vec<u8> = rgba.chunks(4).flat_map(|pixel| &pixel[..3]).copied().collect();
            prop_assert!(shown == sent);
        }
    }

    #[test]
    fn the_pointer_is_the_clients_own() {
        assert_eq!(unpack(&default_pointer()).0, UpdateCode::DefaultPointer);
    }
}
