//! The pointer, which the client draws (MS-RDPBCGR 2.2.9.1.1.4, 2.2.9.1.2.1.5 to .11).
//!
//! Shapes are kept by the client in numbered places; a shape it has already is named by its place alone.
//! A shape the client cannot show becomes its own arrow.

use super::capabilities::{Capabilities, Support};
use super::update::{MAX_BODY, SlowUpdate, encoded, fast_path, slow_path};
use crate::source::{Pointer, PointerShape};
use ironrdp_pdu::fast_path::UpdateCode;
use ironrdp_pdu::pointer::{
    CachedPointerAttribute, ColorPointerAttribute, LargePointerAttribute, Point16, PointerAttribute,
};

/// What the client keeps.
#[derive(Debug, Default)]
pub struct Pointers {
    /// The shape in each place, and when it was last used.
    places: Vec<(PointerShape, u64)>,
    uses: u64,
}

/// Side of the largest pointer that an ordinary update may carry.
const MAX_ORDINARY: u16 = 96;
/// Side of the largest pointer of a client that takes 24-bit ones only.
const MAX_COLOR: u16 = 32;

/// `messageType` of the slow path (2.2.9.1.1.4).
mod slow {
    pub const SYSTEM: u16 = 1;
    pub const COLOR: u16 = 6;
    pub const CACHED: u16 = 7;
    pub const NEW: u16 = 8;
}

impl Pointers {
    /// The PDUs that make the client show `pointer`.
    pub fn show(&mut self, capabilities: &Capabilities, pointer: &Pointer) -> Vec<u8> {
        let shape = match pointer {
            Pointer::Hidden => return system(capabilities, System::Null),
            Pointer::Default => return system(capabilities, System::Default),
            Pointer::Shape(shape) => shape,
        };
        let Some(kind) = Kind::of(capabilities, shape) else { return system(capabilities, System::Default) };
        self.uses += 1;
        if let Some(place) = self.places.iter().position(|(kept, _)| kept == shape) {
            if let Some((_, used)) = self.places.get_mut(place) {
                *used = self.uses;
            }
            let cache_index = u16::try_from(place).unwrap_or_default();
            let body = encoded(&CachedPointerAttribute { cache_index });
            return wrap(capabilities, UpdateCode::CachedPointer, slow::CACHED, &body);
        }
        let place = self.place(kind.cache(capabilities), shape);
        new_shape(capabilities, kind, shape, place)
    }

    /// A free place, else the one that was not used for longest.
    fn place(&mut self, size: u16, shape: &PointerShape) -> u16 {
        let entry = (shape.clone(), self.uses);
        if self.places.len() < usize::from(size.max(1)) {
            self.places.push(entry);
            return u16::try_from(self.places.len() - 1).unwrap_or_default();
        }
        let oldest = self.places.iter().enumerate().min_by_key(|(_, (_, used))| *used).map_or(0, |(place, _)| place);
        if let Some(place) = self.places.get_mut(oldest) {
            *place = entry;
        }
        u16::try_from(oldest).unwrap_or_default()
    }
}

/// The client's own pointers (2.2.9.1.1.4.3).
#[derive(Clone, Copy)]
enum System {
    Null,
    Default,
}

fn system(capabilities: &Capabilities, which: System) -> Vec<u8> {
    let (code, value) = match which {
        System::Null => (UpdateCode::HiddenPointer, 0u32),
        System::Default => (UpdateCode::DefaultPointer, 0x7f00),
    };
    match capabilities.fast_path {
        Support::Yes => wrap(capabilities, code, slow::SYSTEM, &[]),
        Support::No => wrap(capabilities, code, slow::SYSTEM, &value.to_le_bytes()),
    }
}

/// The update that can carry a shape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// 24 bits and a mask.
    Color,
    /// 32 bits with alpha.
    New,
    /// The same, beyond 96 px.
    Large,
}

impl Kind {
    fn of(capabilities: &Capabilities, shape: &PointerShape) -> Option<Self> {
        let (width, height) = (shape.size.width, shape.size.height);
        let side = width.max(height);
        let pixels = usize::from(width) * usize::from(height);
        let hotspot_inside = shape.hotspot_x < width && shape.hotspot_y < height;
        if side > capabilities.max_pointer || shape.pixels.len() != pixels * 4 || !hotspot_inside {
            return None;
        }
        // Behind the px the masks' bits and the header, generously.
        let length = pixels * 5 + 1024;
        let fits = length <= MAX_BODY || (capabilities.fast_path == Support::Yes && length <= capabilities.max_update);
        let kind = match (capabilities.pointer_cache, side) {
            (0, ..=MAX_COLOR) => Self::Color,
            (0, _) => return None,
            (_, ..=MAX_ORDINARY) => Self::New,
            _ if capabilities.fast_path == Support::Yes => Self::Large,
            _ => return None,
        };
        fits.then_some(kind)
    }

    fn cache(self, capabilities: &Capabilities) -> u16 {
        match self {
            Self::Color => capabilities.color_pointer_cache,
            Self::New | Self::Large => capabilities.pointer_cache,
        }
    }
}

fn new_shape(capabilities: &Capabilities, kind: Kind, shape: &PointerShape, cache_index: u16) -> Vec<u8> {
    let xor_mask = colours(shape, kind);
    let and_mask = transparency(shape);
    let hot_spot = Point16 { x: shape.hotspot_x, y: shape.hotspot_y };
    let (width, height) = (shape.size.width, shape.size.height);
    let (xor_mask, and_mask) = (xor_mask.as_slice(), and_mask.as_slice());
    if kind == Kind::Large {
        let large = LargePointerAttribute { xor_bpp: 32, cache_index, hot_spot, width, height, xor_mask, and_mask };
        return wrap(capabilities, UpdateCode::LargePointer, slow::NEW, &encoded(&large));
    }
    let color_pointer = ColorPointerAttribute { cache_index, hot_spot, width, height, xor_mask, and_mask };
    if kind == Kind::Color {
        return wrap(capabilities, UpdateCode::ColorPointer, slow::COLOR, &encoded(&color_pointer));
    }
    wrap(capabilities, UpdateCode::NewPointer, slow::NEW, &encoded(&PointerAttribute { xor_bpp: 32, color_pointer }))
}

/// The colours, bottom row first, rows of whole 16-bit words.
fn colours(shape: &PointerShape, kind: Kind) -> Vec<u8> {
    let mut mask = Vec::with_capacity(shape.pixels.len());
    for line in shape.pixels.chunks_exact(usize::from(shape.size.width) * 4).rev() {
        for px in line.chunks_exact(4) {
            let &[blue, green, red, alpha] = px else { continue };
            match (kind, alpha) {
                // Where the mask says "transparent", anything but black would invert what is below.
                (Kind::Color, 0..0x80) => mask.extend_from_slice(&[0, 0, 0]),
                (Kind::Color, _) => mask.extend_from_slice(&[blue, green, red]),
                (_, 0) => mask.extend_from_slice(&[0, 0, 0, 0]),
                _ => mask.extend_from_slice(px),
            }
        }
        if mask.len() % 2 != 0 {
            mask.push(0);
        }
    }
    mask
}

/// One bit a px, set where nothing is to be seen; bottom row first, rows of whole 16-bit words.
fn transparency(shape: &PointerShape) -> Vec<u8> {
    let stride = usize::from(shape.size.width).div_ceil(16) * 2;
    let mut mask = Vec::with_capacity(stride * usize::from(shape.size.height));
    for line in shape.pixels.chunks_exact(usize::from(shape.size.width) * 4).rev() {
        let mut bits = vec![0u8; stride];
        for (x, px) in line.chunks_exact(4).enumerate() {
            if px.last() == Some(&0)
                && let Some(byte) = bits.get_mut(x / 8)
            {
                *byte |= 0x80 >> (x % 8);
            }
        }
        mask.extend(bits);
    }
    mask
}

fn wrap(capabilities: &Capabilities, code: UpdateCode, message_type: u16, body: &[u8]) -> Vec<u8> {
    match capabilities.fast_path {
        Support::Yes => {
            let mut pdus = Vec::new();
            fast_path(code, body, &mut pdus);
            pdus
        }
        Support::No => {
            let [low, high] = message_type.to_le_bytes();
            let mut message = vec![low, high, 0, 0];
            message.extend_from_slice(body);
            slow_path(SlowUpdate::Pointer, &message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Size;
    use ironrdp_core::{ReadCursor, decode_cursor};
    use ironrdp_graphics::pointer::{DecodedPointer, PointerBitmapTarget};
    use ironrdp_pdu::fast_path::{FastPathHeader, FastPathUpdate, FastPathUpdatePdu, Fragmentation};
    use ironrdp_pdu::pointer::PointerUpdateData;

    fn capabilities() -> Capabilities {
        Capabilities {
            fast_path: Support::Yes,
            pointer_cache: 3,
            color_pointer_cache: 3,
            max_pointer: 384,
            max_update: 4 << 20,
            ..Capabilities::default()
        }
    }

    fn shape(width: u16, height: u16, fill: u8) -> PointerShape {
        let pixels = (0..usize::from(width) * usize::from(height))
            .flat_map(|i| if i % 3 == 0 { [0, 0, 0, 0] } else { [fill, 2, 3, 0xff] })
            .collect();
        PointerShape { size: Size { width, height }, hotspot_x: 1, hotspot_y: 2, pixels }
    }

    fn updates(pdus: &[u8]) -> (UpdateCode, Vec<u8>) {
        let mut cursor = ReadCursor::new(pdus);
        let mut body = Vec::new();
        loop {
            let _: FastPathHeader = decode_cursor(&mut cursor).unwrap();
            let update: FastPathUpdatePdu<'_> = decode_cursor(&mut cursor).unwrap();
            body.extend_from_slice(update.data);
            if matches!(update.fragmentation, Fragmentation::Single | Fragmentation::Last) {
                assert!(cursor.is_empty());
                return (update.update_code, body);
            }
        }
    }

    #[test]
    fn a_shape_is_sent_once_and_the_oldest_makes_room() {
        let mut pointers = Pointers::default();
        let caps = capabilities();
        let codes: Vec<u8> = [1, 2, 1, 3, 4, 2, 1]
            .into_iter()
            .map(|fill| updates(&pointers.show(&caps, &Pointer::Shape(shape(24, 24, fill)))).0.as_u8())
            .collect();
        let (new, cached) = (UpdateCode::NewPointer.as_u8(), UpdateCode::CachedPointer.as_u8());
        // 4 takes the place of 2, which then takes the place of 1.
        assert_eq!(codes, [new, new, cached, new, new, new, new]);
    }

    #[test]
    fn the_decoder_sees_the_shape_that_was_sent() {
        for side in [24, 33, 96, 200, 384] {
            let sent = shape(side, side - 3, 9);
            let pdus = Pointers::default().show(&capabilities(), &Pointer::Shape(sent.clone()));
            let (code, body) = updates(&pdus);
            let target = PointerBitmapTarget::Accelerated;
            let decoded = match FastPathUpdate::decode_with_code(&body, code).unwrap() {
                FastPathUpdate::Pointer(PointerUpdateData::New(new)) if side <= 96 => {
                    DecodedPointer::decode_pointer_attribute(&new, target).unwrap()
                }
                FastPathUpdate::Pointer(PointerUpdateData::Large(large)) => {
                    DecodedPointer::decode_large_pointer_attribute(&large, target).unwrap()
                }
                other => panic!("{other:?}"),
            };
            assert_eq!((decoded.width, decoded.height), (side, side - 3));
            assert_eq!((decoded.hotspot_x, decoded.hotspot_y), (1, 2));
            for (shown, px) in decoded.bitmap_data.chunks_exact(4).zip(sent.pixels.chunks_exact(4)) {
                assert_eq!(shown[3], px[3]);
                if px[3] != 0 {
                    assert_eq!(shown[..3], [px[2], px[1], px[0]]);
                }
            }
        }
    }

    #[test]
    fn what_a_client_cannot_show_is_its_arrow() {
        let small = Capabilities { max_pointer: 32, ..capabilities() };
        let pdus = Pointers::default().show(&small, &Pointer::Shape(shape(48, 48, 1)));
        assert_eq!(updates(&pdus).0, UpdateCode::DefaultPointer);
        let old = Capabilities { pointer_cache: 0, ..capabilities() };
        let pdus = Pointers::default().show(&old, &Pointer::Shape(shape(31, 31, 1)));
        assert_eq!(updates(&pdus).0, UpdateCode::ColorPointer);
        let bad = PointerShape { hotspot_x: 99, ..shape(24, 24, 1) };
        let pdus = Pointers::default().show(&capabilities(), &Pointer::Shape(bad));
        assert_eq!(updates(&pdus).0, UpdateCode::DefaultPointer);
        let hidden = Pointers::default().show(&Capabilities::default(), &Pointer::Hidden);
        assert!(hidden.ends_with(&[1, 0, 0, 0, 0, 0, 0, 0]));
    }
}
