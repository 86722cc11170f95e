//! The embedded fonts and their measures: Inter for Latin, Greek and Cyrillic, and what the login screen needs of Noto
//! Sans CJK.

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
    for_each_glyph(text, style, |_, _, x_end| width = x_end);
    width
}

/// Ascent and descent in px, both positive.
pub(crate) fn line_metrics(style: &TextStyle) -> (f32, f32) {
    let Some(font) = font(style.weight) else { return (style.size * 0.75, style.size * 0.25) };
    // The capital height is what looks centred in a button; Inter's is 0.727 em.
    let scaled = font.as_scaled(scale(font, style.size));
    (0.727 * style.size, -scaled.descent() * 0.4)
}

/// Whether there is a glyph for a character.
pub fn can_draw(c: char) -> bool {
    [font(Weight::Regular), han()].into_iter().flatten().any(|font| font.glyph_id(c) != GlyphId(0))
}

/// Calls `each` with every glyph, its font and its place on a baseline at y 0, and the pen's x behind it.
pub(crate) fn for_each_glyph(
    text: &str,
    style: &TextStyle,
    mut each: impl FnMut(&'static FontRef<'static>, ab_glyph::Glyph, f32),
) {
    let Some(usual) = font(style.weight) else { return };
    let mut x = 0.0;
    let mut last: Option<(&FontRef<'_>, GlyphId)> = None;
    for c in text.chars() {
        let (font, id) = glyph(usual, c);
        let scaled = font.as_scaled(scale(font, style.size));
        if let Some((_, last)) = last.filter(|(other, _)| std::ptr::eq(*other, font)) {
            x += scaled.kern(last, id);
        }
        let glyph = id.with_scale_and_position(scaled.scale(), ab_glyph::point(x, 0.0));
        x += scaled.h_advance(id);
        each(font, glyph, x);
        last = Some((font, id));
    }
}

/// The glyph of a character, from the usual font or else from the other one.
fn glyph(usual: &'static FontRef<'static>, c: char) -> (&'static FontRef<'static>, GlyphId) {
    let fonts = [Some(usual), han()].into_iter().flatten();
    let found = fonts.map(|font| (font, font.glyph_id(c))).find(|(_, id)| *id != GlyphId(0));
    found.unwrap_or_else(|| (usual, usual.glyph_id(if c.is_control() { ' ' } else { '?' })))
}

fn font(weight: Weight) -> Option<&'static FontRef<'static>> {
    static REGULAR: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    static SEMI_BOLD: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    match weight {
        Weight::Regular => load(&REGULAR, include_bytes!("../assets/Inter-Regular.otf")),
        Weight::SemiBold => load(&SEMI_BOLD, include_bytes!("../assets/Inter-SemiBold.otf")),
    }
}

fn han() -> Option<&'static FontRef<'static>> {
    static HAN: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    load(&HAN, include_bytes!("../assets/NotoSansCJKsc-Regular.otf"))
}

fn load(cell: &'static OnceLock<Option<FontRef<'static>>>, bytes: &'static [u8]) -> Option<&'static FontRef<'static>> {
    cell.get_or_init(|| FontRef::try_from_slice(bytes).ok()).as_ref()
}

/// ab_glyph scales by the height from descent to ascent; a designer's size is the em.
fn scale(font: &FontRef<'_>, em: f32) -> PxScale {
    let height = font.units_per_em().map_or(1.2, |units| font.height_unscaled() / units);
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
    fn characters_of_either_font_stand_side_by_side_at_the_same_size() {
        let style = TextStyle { weight: Weight::SemiBold, size: 20.0, color: crate::theme::TEXT };
        assert!(can_draw('密') && can_draw('a') && !can_draw('\u{1f600}'));
        assert_eq!(text_width("密码", &style), 40.0);
        assert_eq!(text_width("a密", &style), text_width("a", &style) + 20.0);
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
