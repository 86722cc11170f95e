//! The pointer's pictures by name: from an installed cursor theme, else a few drawn here.

use crate::source::{Pointer, PointerShape, Size};
use smithay::input::pointer::CursorIcon;
use std::collections::HashMap;
use xcursor::CursorTheme;
use xcursor::parser::parse_xcursor;

/// Nominal size of a theme's picture in px.
const SIZE: u32 = 24;
/// Largest side the client is sent, in px.
pub const MAX_SIDE: u16 = 384;
/// Larger theme files are no cursors, in bytes.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// Pictures that were looked for already.
#[derive(Default)]
pub struct Shapes {
    theme: Option<CursorTheme>,
    known: HashMap<&'static str, Pointer>,
}

impl Shapes {
    pub fn named(&mut self, icon: CursorIcon) -> Pointer {
        if icon == CursorIcon::Default {
            // The client's own arrow looks at home there.
            return Pointer::Default;
        }
        if let Some(pointer) = self.known.get(icon.name()) {
            return pointer.clone();
        }
        let theme = self.theme.get_or_insert_with(|| {
            let name = std::env::var("XCURSOR_THEME").ok().filter(|name| !name.is_empty());
            CursorTheme::load(name.as_deref().unwrap_or("default"))
        });
        let pointer = from_theme(theme, icon).or_else(|| drawn(icon)).map_or(Pointer::Default, Pointer::Shape);
        self.known.insert(icon.name(), pointer.clone());
        pointer
    }
}

fn from_theme(theme: &CursorTheme, icon: CursorIcon) -> Option<PointerShape> {
    let names = std::iter::once(icon.name()).chain(icon.alt_names().iter().copied());
    let path = names.filter_map(|name| theme.load_icon(name)).next()?;
    if std::fs::metadata(&path).ok()?.len() > MAX_FILE {
        return None;
    }
    let images = parse_xcursor(&std::fs::read(path).ok()?)?;
    let image = images.into_iter().min_by_key(|image| image.size.abs_diff(SIZE))?;
    let size = Size { width: image.width.try_into().ok()?, height: image.height.try_into().ok()? };
    let hotspot = (image.xhot.try_into().ok()?, image.yhot.try_into().ok()?);
    let bgra = image.pixels_rgba.chunks_exact(4).flat_map(|p| match *p {
        [r, g, b, a] => [b, g, r, a],
        _ => [0; 4],
    });
    shape(size, hotspot, bgra.collect())
}

/// A shape from premultiplied B, G, R, A; `None` where the sizes do not fit each other or the limits.
pub fn shape(size: Size, hotspot: (u16, u16), mut pixels: Vec<u8>) -> Option<PointerShape> {
    let count = usize::from(size.width) * usize::from(size.height);
    if count == 0 || size.width > MAX_SIDE || size.height > MAX_SIDE || pixels.len() != 4 * count {
        return None;
    }
    for pixel in pixels.chunks_exact_mut(4) {
        let alpha = u16::from(pixel.last().copied().unwrap_or(0));
        for channel in pixel.iter_mut().take(3) {
            let straight = (u16::from(*channel) * 255 + alpha / 2).checked_div(alpha).unwrap_or(0);
            *channel = straight.min(255) as u8;
        }
    }
    let (hotspot_x, hotspot_y) = (hotspot.0.min(size.width - 1), hotspot.1.min(size.height - 1));
    Some(PointerShape { size, hotspot_x, hotspot_y, pixels })
}

/// The few shapes without which a desktop is hard to use, drawn as black with a white outline.
fn drawn(icon: CursorIcon) -> Option<PointerShape> {
    use CursorIcon as I;
    match icon {
        I::Text => Some(outlined(9, 19, (4, 9), beam)),
        I::VerticalText => Some(outlined(19, 9, (9, 4), |x, y| beam(y, x))),
        I::EResize | I::WResize | I::EwResize | I::ColResize => Some(outlined(25, 25, (12, 12), arrows)),
        I::NResize | I::SResize | I::NsResize | I::RowResize => Some(outlined(25, 25, (12, 12), |x, y| arrows(y, x))),
        I::NwResize | I::SeResize | I::NwseResize => {
            Some(outlined(25, 25, (12, 12), |x, y| arrows((x + y) * HALF_SQRT_2, (y - x) * HALF_SQRT_2)))
        }
        I::NeResize | I::SwResize | I::NeswResize => {
            Some(outlined(25, 25, (12, 12), |x, y| arrows((x - y) * HALF_SQRT_2, (x + y) * HALF_SQRT_2)))
        }
        I::Move | I::AllScroll | I::AllResize | I::Grab | I::Grabbing => {
            Some(outlined(25, 25, (12, 12), |x, y| arrows(x, y) || arrows(y, x)))
        }
        I::Crosshair | I::Cell => {
            Some(outlined(25, 25, (12, 12), |x, y| (x.abs() < 0.8 || y.abs() < 0.8) && x.hypot(y) < 10.0))
        }
        I::NotAllowed | I::NoDrop => Some(outlined(21, 21, (10, 10), |x, y| {
            (x.hypot(y) - 7.0).abs() < 1.3 || ((x - y).abs() < 1.7 && x.hypot(y) < 7.5)
        })),
        I::Wait | I::Progress => Some(outlined(17, 23, (8, 11), hourglass)),
        I::Pointer => Some(hand()),
        _ => None,
    }
}

const HALF_SQRT_2: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// An I-beam around 0.
fn beam(x: f32, y: f32) -> bool {
    (x.abs() < 0.6 && y.abs() < 7.5) || ((y.abs() - 7.5).abs() < 0.6 && x.abs() < 2.6)
}

/// A horizontal arrow with two heads around 0.
fn arrows(x: f32, y: f32) -> bool {
    let (x, y) = (x.abs(), y.abs());
    (y < 0.9 && x < 8.0) || (x > 5.0 && x < 10.0 && y < 10.0 - x)
}

fn hourglass(x: f32, y: f32) -> bool {
    let (x, y) = (x.abs(), y.abs());
    (y > 7.2 && y < 8.8 && x < 5.8) || (y <= 7.2 && x < 1.2 + 0.5 * y)
}

/// A black shape given by a function of px from the hotspot, antialiased, in a white outline.
fn outlined(width: u16, height: u16, hotspot: (u16, u16), inside: impl Fn(f32, f32) -> bool) -> PointerShape {
    const SAMPLES: [f32; 4] = [-0.375, -0.125, 0.125, 0.375];
    const OUTLINE: [(f32, f32); 8] =
        [(1.1, 0.0), (-1.1, 0.0), (0.0, 1.1), (0.0, -1.1), (0.8, 0.8), (0.8, -0.8), (-0.8, 0.8), (-0.8, -0.8)];
    let mut pixels = Vec::with_capacity(4 * usize::from(width) * usize::from(height));
    for row in 0..height {
        for column in 0..width {
            let (x, y) = (f32::from(column) - f32::from(hotspot.0), f32::from(row) - f32::from(hotspot.1));
            let (mut ink, mut covered) = (0u16, 0u16);
            for (dx, dy) in SAMPLES.iter().flat_map(|dx| SAMPLES.iter().map(move |dy| (dx, dy))) {
                let (x, y) = (x + dx, y + dy);
                let black = inside(x, y);
                ink += u16::from(black);
                covered += u16::from(black || OUTLINE.iter().any(|(ox, oy)| inside(x + ox, y + oy)));
            }
            let light = ((covered - ink) * 255).checked_div(covered).unwrap_or(0) as u8;
            pixels.extend([light, light, light, (covered * 255 / 16) as u8]);
        }
    }
    PointerShape { size: Size { width, height }, hotspot_x: hotspot.0, hotspot_y: hotspot.1, pixels }
}

/// A hand with a pointing finger.
fn hand() -> PointerShape {
    const ROWS: [&str; 20] = [
        "     ##         ",
        "    #..#        ",
        "    #..#        ",
        "    #..#        ",
        "    #..#        ",
        "    #..###      ",
        "    #..#..###   ",
        "    #..#..#..## ",
        "    #..#..#..#.#",
        " ## #..#..#..#.#",
        "#..##........#.#",
        "#...#..........#",
        " #..#..........#",
        "  #............#",
        "  #...........# ",
        "   #..........# ",
        "   #..........# ",
        "    #........#  ",
        "    #........#  ",
        "    ##########  ",
    ];
    let pixels = ROWS.iter().flat_map(|row| row.bytes()).flat_map(|dot| match dot {
        b'#' => [0, 0, 0, 255],
        b'.' => [255; 4],
        _ => [0; 4],
    });
    PointerShape { size: Size { width: 16, height: 20 }, hotspot_x: 5, hotspot_y: 0, pixels: pixels.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_shapes_are_whole_and_their_hotspots_inside() {
        use CursorIcon as I;
        for icon in [I::Text, I::EResize, I::NwResize, I::NeResize, I::Move, I::Wait, I::Pointer, I::NotAllowed] {
            let shape = drawn(icon).unwrap();
            assert_eq!(shape.pixels.len(), 4 * usize::from(shape.size.width) * usize::from(shape.size.height));
            assert!(shape.hotspot_x < shape.size.width && shape.hotspot_y < shape.size.height);
            assert!(shape.pixels.chunks_exact(4).any(|pixel| pixel == [0, 0, 0, 255]), "{icon:?} has ink");
        }
    }

    #[test]
    fn premultiplied_alpha_becomes_straight() {
        let size = Size { width: 2, height: 1 };
        let shape = shape(size, (9, 9), vec![64, 0, 128, 128, 7, 7, 7, 0]).unwrap();
        assert_eq!(shape.pixels, [128, 0, 255, 128, 0, 0, 0, 0]);
        assert_eq!((shape.hotspot_x, shape.hotspot_y), (1, 0));
        assert!(super::shape(size, (0, 0), vec![0; 4]).is_none());
    }
}
