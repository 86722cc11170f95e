//! Colours.

/// A colour with straight (not premultiplied) alpha, 0 to 255 a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color {
    pub r: u8,
    pub g: u8,
    pub b: u8,
    pub a: u8,
}

impl Color {
    /// An opaque colour from `0xrrggbb`.
    pub const fn rgb(hex: u32) -> Self {
        Self { r: (hex >> 16) as u8, g: (hex >> 8) as u8, b: hex as u8, a: 255 }
    }

    /// The same colour with another alpha.
    pub const fn with_alpha(self, a: u8) -> Self {
        Self { a, ..self }
    }

    /// Reads `#rrggbb`; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix('#')?;
        if hex.len() != 6 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u32::from_str_radix(hex, 16).ok().map(Self::rgb)
    }

    /// Whether dark text reads better on it than light text.
    pub fn is_light(self) -> bool {
        2 * u32::from(self.r) + 5 * u32::from(self.g) + u32::from(self.b) > 8 * 140
    }

    pub(crate) fn paint(self) -> tiny_skia::Paint<'static> {
        let mut paint = tiny_skia::Paint::default();
        paint.set_color_rgba8(self.r, self.g, self.b, self.a);
        paint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_hex_digits_are_a_colour() {
        assert_eq!(Color::parse("#2e6F40"), Some(Color { r: 0x2e, g: 0x6f, b: 0x40, a: 255 }));
        for bad in ["2e6f40", "#2e6f4", "#2e6f400", "#+e6f40", "#gggggg", "", "#é6f4"] {
            assert_eq!(Color::parse(bad), None, "{bad}");
        }
    }
}
