//! ClearCodec (MS-RDPEGFX 2.2.4.1), residual layer only: runs of one colour, lossless.
//!
//! Never longer than 4 bytes a px and a few; 2 to 20 times shorter than that for text and flat areas, at
//! about 3 ms for a full screen of text. Glyph cache, bands and subcodecs are not used yet.

use super::{BYTES, row};
use crate::source::{Frame, Rect};

/// The codec's state on one graphics channel.
#[derive(Debug, Default)]
pub struct Clear {
    sequence: u8,
}

impl Clear {
    /// The bitmap stream of `rect`, for the `bitmapData` of a WIRE_TO_SURFACE_1 with that destination.
    pub fn encode(&mut self, frame: &Frame<'_>, rect: Rect) -> Vec<u8> {
        let mut stream = vec![0; HEADER];
        let mut run: Option<(u32, u32)> = None;
        for line in 0..rect.height {
            for px in row(frame, rect, line).chunks_exact(BYTES) {
                let &[blue, green, red, _] = px else { continue };
                let colour = u32::from_le_bytes([blue, green, red, 0]);
                match &mut run {
                    Some((of, length)) if *of == colour => *length += 1,
                    _ => {
                        if let Some((of, length)) = run.replace((colour, 1)) {
                            push_run(&mut stream, of, length);
                        }
                    }
                }
            }
        }
        if let Some((of, length)) = run {
            push_run(&mut stream, of, length);
        }
        let residual = u32::try_from(stream.len() - HEADER).unwrap_or_default();
        // No flags; residual, bands and subcodec byte counts (2.2.4.1 and 2.2.4.1.1).
        if let Some(header) = stream.first_chunk_mut::<HEADER>() {
            header[1] = self.sequence;
            header[2..6].copy_from_slice(&residual.to_le_bytes());
        }
        self.sequence = self.sequence.wrapping_add(1);
        stream
    }
}

/// Flags, sequence number and three byte counts.
const HEADER: usize = 2 + 3 * 4;

/// CLEARCODEC_RGB_RUN_SEGMENT (2.2.4.1.1.1.1): one, three or seven bytes for the length.
fn push_run(stream: &mut Vec<u8>, colour: u32, length: u32) {
    let [blue, green, red, _] = colour.to_le_bytes();
    let [a, b, c, d] = length.to_le_bytes();
    match length {
        0..0xff => stream.extend_from_slice(&[blue, green, red, a]),
        0xff..0xffff => stream.extend_from_slice(&[blue, green, red, 0xff, a, b]),
        _ => stream.extend_from_slice(&[blue, green, red, 0xff, 0xff, 0xff, a, b, c, d]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Size;
    use ironrdp_graphics::clearcodec::ClearCodecDecoder;
    use proptest::prelude::*;

    fn check(pixels: &[u8], size: Size, rect: Rect) {
        let frame = Frame { size, stride: usize::from(size.width) * BYTES, pixels };
        let mut codec = Clear::default();
        let mut decoder = ClearCodecDecoder::new();
        for _ in 0..3 {
            let stream = codec.encode(&frame, rect);
            assert!(stream.len() <= HEADER + usize::from(rect.width) * usize::from(rect.height) * 4);
            let shown = decoder.decode(&stream, rect.width, rect.height).unwrap();
            let wanted: Vec<u8> = (0..rect.height).flat_map(|line| row(&frame, rect, line).to_vec()).collect();
            assert_eq!(shown.len(), wanted.len());
            for (a, b) in shown.chunks_exact(BYTES).zip(wanted.chunks_exact(BYTES)) {
                assert_eq!(a[..3], b[..3]);
            }
        }
    }

    #[test]
    fn long_runs_take_the_long_forms() {
        let size = Size { width: 400, height: 400 };
        let mut pixels = vec![9; 400 * 400 * BYTES];
        check(&pixels, size, Rect { x: 0, y: 0, width: 400, height: 400 });
        pixels[300 * BYTES] = 1;
        check(&pixels, size, Rect { x: 0, y: 0, width: 400, height: 2 });
        check(&pixels, size, Rect { x: 399, y: 399, width: 1, height: 1 });
    }

    proptest! {
        #[test]
        fn the_decoder_shows_what_was_encoded(
            (x, y, width, height) in (0u16..20, 0u16..20, 1u16..60, 1u16..40),
            seed in proptest::collection::vec(0u8..4, 97),
        ) {
            let size = Size { width: 80, height: 60 };
            let pixels: Vec<u8> = (0..80 * 60 * BYTES).map(|i| seed[(i / 7 + i / 321) % 97]).collect();
            check(&pixels, size, Rect { x, y, width, height });
        }
    }
}
