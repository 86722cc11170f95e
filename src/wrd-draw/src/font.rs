//! The embedded font (Inter, Latin, Greek and Cyrillic) and its measures.

use crate::Color;
use ab_glyph::{Font, FontRef, GlyphId, PxScale, ScaleFont};
use std::sync::OnceLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Regular,
    SemiBold,
}

/// How a line of text looks; `size` is the em in px.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextStyle {
    pub weight: Weight,
    pub size: f32,
    pub color: Color,
}

/// Width in px of `text` on one line.
pub fn text_width(text: &str, style: &TextStyle) -> f32 {
    let mut width = 0.0;
    for_each_glyph(text, style, |_, x_end| width = x_end);
    width
}

/// Ascent and descent in px, both positive.
pub(crate) fn line_metrics(style: &TextStyle) -> (f32, f32) {
    let Some(font) = font(style.weight) else { return (style.size * 0.75, style.size * 0.25) };
    // The capital height is what looks centred in a button; Inter's is 0.727 em.
    let scaled = font.as_scaled(scale(style.size));
    (0.727 * style.size, -scaled.descent() * 0.4)
}

/// Calls `each` with every glyph at its place on a baseline at y 0, and the pen's x behind it.
pub(crate) fn for_each_glyph(text: &str, style: &TextStyle, mut each: impl FnMut(ab_glyph::Glyph, f32)) {
    let Some(font) = font(style.weight) else { return };
    let scaled = font.as_scaled(scale(style.size));
    let mut x = 0.0;
    let mut last: Option<GlyphId> = None;
    for c in text.chars() {
        let id = match font.glyph_id(c) {
            GlyphId(0) => font.glyph_id(if c.is_control() { ' ' } else { '?' }),
            id => id,
        };
        if let Some(last) = last {
            x += scaled.kern(last, id);
        }
        let glyph = id.with_scale_and_position(scaled.scale(), ab_glyph::point(x, 0.0));
        x += scaled.h_advance(id);
        each(glyph, x);
        last = Some(id);
    }
}

pub(crate) fn font(weight: Weight) -> Option<&'static FontRef<'static>> {
    static REGULAR: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    static SEMI_BOLD: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    let (cell, bytes): (_, &'static [u8]) = match weight {
        Weight::Regular => (&REGULAR, include_bytes!("../assets/Inter-Regular.otf")),
        Weight::SemiBold => (&SEMI_BOLD, include_bytes!("../assets/Inter-SemiBold.otf")),
    };
    cell.get_or_init(|| FontRef::try_from_slice(bytes).ok()).as_ref()
}

/// ab_glyph scales by the height from descent to ascent; a designer's size is the em.
fn scale(em: f32) -> PxScale {
    let height = font(Weight::Regular)
        .and_then(|font| font.units_per_em().map(|units| font.height_unscaled() / units))
        .unwrap_or(1.2);
    PxScale::from(em.clamp(1.0, 400.0) * height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_weights_are_embedded_and_cover_what_users_type() {
        for weight in [Weight::Regular, Weight::SemiBold] {
            let font = font(weight).expect("embedded");
            for c in "azAZ09äöüßéñçøłşžЖяΩ€•…–—'\"".chars() {
                assert_ne!(font.glyph_id(c), GlyphId(0), "{c} in {weight:?}");
            }
        }
    }

    #[test]
    fn width_grows_with_text_and_size() {
        let style = |size| TextStyle { weight: Weight::Regular, size, color: crate::theme::TEXT };
        assert_eq!(text_width("", &style(14.0)), 0.0);
        assert!(text_width("ab", &style(14.0)) > text_width("a", &style(14.0)));
        assert!(text_width("a", &style(28.0)) > text_width("a", &style(14.0)));
        // An em of 14 px makes an average letter about half of it.
        assert!((4.0..12.0).contains(&text_width("n", &style(14.0))));
    }
}
