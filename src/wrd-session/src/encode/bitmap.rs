//! Bitmap updates for clients without the graphics pipeline (MS-RDPBCGR 2.2.9.1.1.3.1.2).
//!
//! 32 bits a pixel: RDP 6.0 planar (MS-RDPEGDI 2.2.2.5), compressed where that is shorter. 24, 16 and 15:
//! uncompressed. Every bitmap is at most 64×64 px, bottom row first, its width a multiple of four, and
//! fits a fast-path PDU.

use super::{BYTES, row};
use crate::source::{Frame, Rect};
use ironrdp_graphics::rdp6::{BgrAChannels, BitmapStreamEncoder};

/// How many bits a pixel of this client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    B15,
    B16,
    B24,
    B32,
}

impl Depth {
    pub fn from_bits(bits: u16) -> Option<Self> {
        match bits {
            15 => Some(Self::B15),
            16 => Some(Self::B16),
            24 => Some(Self::B24),
            32 => Some(Self::B32),
            _ => None,
        }
    }

    pub fn bits(self) -> u16 {
        match self {
            Self::B15 => 15,
            Self::B16 => 16,
            Self::B24 => 24,
            Self::B32 => 32,
        }
    }
}

/// One TS_BITMAP_DATA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    /// Where it goes; may be narrower than the bitmap is.
    pub target: Rect,
    /// Width of the bitmap in px, a multiple of four.
    pub width: u16,
    pub form: Form,
    pub data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Planar,
    Raw,
}

/// The bitmaps that cover `rect`. They may reach a few px beyond it, up to the next multiple of four on
/// either side; the [`super::Differ`] has looked at those too, since its cells are aligned.
pub fn encode(frame: &Frame<'_>, rect: Rect, depth: Depth) -> Vec<Bitmap> {
    let left = rect.x & !3;
    let right = (u32::from(rect.x) + u32::from(rect.width)).next_multiple_of(4).min(frame.size.width.into());
    let mut bitmaps = Vec::new();
    let bottom = u32::from(rect.y) + u32::from(rect.height);
    for y in (u32::from(rect.y)..bottom).step_by(TILE) {
        for x in (u32::from(left)..right).step_by(TILE) {
            let size = |from: u32, to: u32| u16::try_from((to - from).min(TILE as u32)).unwrap_or(0);
            let (Ok(x16), Ok(y16)) = (u16::try_from(x), u16::try_from(y)) else { continue };
            let target = Rect { x: x16, y: y16, width: size(x, right), height: size(y, bottom) };
            bitmaps.push(tile(frame, target, depth));
        }
    }
    bitmaps
}

/// Side of the largest bitmap in px: 64×64 px are 12 KB as planes, and one PDU holds 16.
const TILE: usize = 64;

fn tile(frame: &Frame<'_>, target: Rect, depth: Depth) -> Bitmap {
    let width = target.width.next_multiple_of(4);
    let pixels = bottom_up(frame, target, width);
    let (form, data) = match depth {
        Depth::B32 => (Form::Planar, planar(&pixels, width.into(), target.height.into())),
        Depth::B24 => (Form::Raw, pixels.chunks_exact(BYTES).flat_map(|px| px.iter().take(3).copied()).collect()),
        Depth::B16 => (Form::Raw, packed(&pixels, |r, g, b| (r >> 3) << 11 | (g >> 2) << 5 | b >> 3)),
        Depth::B15 => (Form::Raw, packed(&pixels, |r, g, b| (r >> 3) << 10 | (g >> 3) << 5 | b >> 3)),
    };
    Bitmap { target, width, form, data }
}

/// The px of `target`, bottom row first, rows filled up to `width` with their last px.
fn bottom_up(frame: &Frame<'_>, target: Rect, width: u16) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(usize::from(width) * usize::from(target.height) * BYTES);
    for line in (0..target.height).rev() {
        let line = row(frame, target, line);
        pixels.extend_from_slice(line);
        let last = line.last_chunk::<BYTES>().copied().unwrap_or_default();
        for _ in target.width..width {
            pixels.extend_from_slice(&last);
        }
    }
    pixels
}

fn planar(pixels: &[u8], width: usize, height: usize) -> Vec<u8> {
    let raw = 1 + 3 * width * height + 1;
    // A run costs at most as much as what it stands for and a byte in fifteen.
    let mut data = vec![0; 2 * raw + 64];
    let encode = |data: &mut Vec<u8>, compressed: bool| {
        BitmapStreamEncoder::new(width, height).encode_bitmap::<BgrAChannels>(pixels, data, compressed)
    };
    match encode(&mut data, true) {
        Ok(length) if length < raw => data.truncate(length),
        _ => {
            let length = encode(&mut data, false).unwrap_or_default();
            data.truncate(length);
        }
    }
    data
}

fn packed(pixels: &[u8], pack: impl Fn(u16, u16, u16) -> u16) -> Vec<u8> {
    let mut data = Vec::with_capacity(pixels.len() / 2);
    for px in pixels.chunks_exact(BYTES) {
        if let &[blue, green, red, _] = px {
            data.extend_from_slice(&pack(red.into(), green.into(), blue.into()).to_le_bytes());
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Size;
    use ironrdp_graphics::rdp6::BitmapStreamDecoder;
    use proptest::prelude::*;

    fn frame_pixels(size: Size, seed: &[u8]) -> Vec<u8> {
        let length = usize::from(size.width) * usize::from(size.height) * BYTES;
        (0..length).map(|i| seed[(i / 5 + i / 331) % seed.len()]).collect()
    }

    /// The colours of a bitmap, R, G, B, top row first.
    fn decoded(bitmap: &Bitmap, depth: Depth) -> Vec<[u8; 3]> {
        let (width, height) = (usize::from(bitmap.width), usize::from(bitmap.target.height));
        let rows: Vec<Vec<[u8; 3]>> = match depth {
            Depth::B32 => {
                let mut rgb = Vec::new();
                BitmapStreamDecoder::default()
                    .decode_bitmap_stream_to_rgb24(&bitmap.data, &mut rgb, width, height)
                    .unwrap();
                rgb.chunks_exact(3 * width).map(|r| r.as_chunks().0.to_vec()).collect()
            }
            Depth::B24 => bitmap
                .data
                .chunks_exact(3 * width)
                .map(|r| r.as_chunks::<3>().0.iter().map(|[b, g, r]| [*r, *g, *b]).collect())
                .collect(),
            Depth::B16 | Depth::B15 => {
                let green = if depth == Depth::B16 { 6 } else { 5 };
                let px = |v: u16| [(v >> (5 + green) << 3) as u8, ((v >> 5) << (8 - green)) as u8, (v << 3) as u8];
                bitmap
                    .data
                    .chunks_exact(2 * width)
                    .map(|r| r.as_chunks().0.iter().map(|v| px(u16::from_le_bytes(*v))).collect())
                    .collect()
            }
        };
        assert_eq!(rows.len(), height);
        rows.into_iter().rev().flat_map(|r| r.into_iter().take(bitmap.target.width.into())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_decoder_shows_what_was_encoded(
            (x, y, width, height) in (0u16..70, 0u16..40, 1u16..160, 1u16..100),
            seed in proptest::collection::vec(any::<u8>(), 61),
            bits in prop_oneof![Just(15u16), Just(16), Just(24), Just(32)],
        ) {
            let size = Size { width: 229, height: 139 };
            let depth = Depth::from_bits(bits).unwrap();
            prop_assert_eq!(depth.bits(), bits);
            let pixels = frame_pixels(size, &seed);
            let frame = Frame { size, stride: usize::from(size.width) * BYTES, pixels: &pixels };
            let rect = Rect { x, y, width: width.min(size.width - x), height: height.min(size.height - y) };
            let mut covered = vec![false; usize::from(size.width) * usize::from(size.height)];
            for bitmap in encode(&frame, rect, depth) {
                let target = bitmap.target;
                prop_assert!(bitmap.data.len() <= 12 * 1024 + 2 && bitmap.width % 4 == 0);
                let shown = decoded(&bitmap, depth);
                for line in 0..target.height {
                    for (column, px) in row(&frame, target, line).chunks_exact(BYTES).enumerate() {
                        let at = (usize::from(target.y) + usize::from(line)) * usize::from(size.width)
                            + usize::from(target.x) + column;
                        covered[at] = true;
                        let shown = shown[usize::from(line) * usize::from(target.width) + column];
                        let keep = match bits { 15 => [0xf8, 0xf8, 0xf8], 16 => [0xf8, 0xfc, 0xf8], _ => [0xff; 3] };
                        prop_assert_eq!(shown, [px[2] & keep[0], px[1] & keep[1], px[0] & keep[2]]);
                    }
                }
            }
            for line in rect.y..rect.y + rect.height {
                for column in rect.x..rect.x + rect.width {
                    prop_assert!(covered[usize::from(line) * usize::from(size.width) + usize::from(column)]);
                }
            }
        }
    }

    #[test]
    fn a_flat_tile_is_short_and_odd_depths_are_refused() {
        let size = Size { width: 64, height: 64 };
        let pixels = vec![0x40; 64 * 64 * BYTES];
        let frame = Frame { size, stride: 256, pixels: &pixels };
        let bitmaps = encode(&frame, Rect { x: 0, y: 0, width: 64, height: 64 }, Depth::B32);
        assert_eq!(bitmaps.len(), 1);
        assert!(bitmaps[0].data.len() < 1000, "{}", bitmaps[0].data.len());
        assert_eq!(Depth::from_bits(8), None);
    }
}
