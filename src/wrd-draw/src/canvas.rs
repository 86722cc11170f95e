//! The picture that is drawn on.

use crate::font::{TextStyle, for_each_glyph, line_metrics, text_width};
use crate::{Color, Icon};
use ab_glyph::Font;
use std::ops::Range;
use tiny_skia::{FillRule, LineCap, LineJoin, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

/// A rectangle in px.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Area {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}

impl Area {
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    pub fn contains(&self, x: f32, y: f32) -> bool {
        x >= self.x && y >= self.y && x < self.x + self.width && y < self.y + self.height
    }

    /// Smaller by `by` on every side.
    pub fn inset(&self, by: f32) -> Self {
        Self::new(self.x + by, self.y + by, (self.width - 2.0 * by).max(0.0), (self.height - 2.0 * by).max(0.0))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Center,
    Right,
}

/// A picture of at most [`Canvas::MAX`] px on a side.
pub struct Canvas {
    pixmap: Pixmap,
    origin: (f32, f32),
}

impl Canvas {
    /// Longest side in px.
    pub const MAX: u32 = 8192;

    /// A transparent picture; `None` where a side is 0 or longer than [`Canvas::MAX`].
    pub fn new(width: u32, height: u32) -> Option<Self> {
        if width > Self::MAX || height > Self::MAX {
            return None;
        }
        Some(Self { pixmap: Pixmap::new(width, height)?, origin: (0.0, 0.0) })
    }

    /// Width and height in px.
    pub fn size(&self) -> (u32, u32) {
        (self.pixmap.width(), self.pixmap.height())
    }

    /// The drawing coordinates of this picture's top left corner: what is drawn elsewhere is cut off.
    pub fn set_origin(&mut self, x: f32, y: f32) {
        self.origin = (x, y);
    }

    /// Makes every pixel `color`.
    pub fn fill(&mut self, color: Color) {
        self.pixmap.fill(tiny_skia::Color::from_rgba8(color.r, color.g, color.b, color.a));
    }

    /// A filled rectangle with hard edges: of each pixel all or nothing, by its centre. Row by row into the pixels: a
    /// login screen has tens of thousands of them, which `tiny_skia` would take for as many paths.
    pub fn rect(&mut self, area: Area, color: Color) {
        let (width, height) = self.size();
        let columns = pixels(area.x - self.origin.0, area.width, width);
        let rows = pixels(area.y - self.origin.1, area.height, height);
        let opaque = tiny_skia::PremultipliedColorU8::from_rgba(color.r, color.g, color.b, u8::MAX);
        let opaque = opaque.filter(|_| color.a == u8::MAX);
        let lines = self.pixmap.pixels_mut().chunks_exact_mut(width as usize);
        for line in lines.skip(rows.start).take(rows.len()) {
            let line = line.get_mut(columns.clone()).unwrap_or_default();
            match opaque {
                Some(opaque) => line.fill(opaque),
                None => line.iter_mut().for_each(|pixel| *pixel = over(*pixel, color, 1.0)),
            }
        }
    }

    /// A filled rectangle with round corners.
    pub fn rounded(&mut self, area: Area, radius: f32, color: Color) {
        if self.shows(area)
            && let Some(path) = rounded_path(area, radius)
        {
            self.pixmap.fill_path(&path, &color.paint(), FillRule::Winding, self.transform(), None);
        }
    }

    /// A frame of `width` px inside `area`.
    pub fn outline(&mut self, area: Area, radius: f32, width: f32, color: Color) {
        if self.shows(area)
            && let Some(path) = rounded_path(area.inset(width / 2.0), radius - width / 2.0)
        {
            let stroke = Stroke { width, ..Stroke::default() };
            self.pixmap.stroke_path(&path, &color.paint(), &stroke, self.transform(), None);
        }
    }

    /// The pictogram in the largest square in the middle of `area`.
    pub fn icon(&mut self, icon: Icon, area: Area, color: Color) {
        let side = area.width.min(area.height);
        if side < 1.0 || !self.shows(area) {
            return;
        }
        let (x, y) = (area.x + (area.width - side) / 2.0, area.y + (area.height - side) / 2.0);
        if let Some(path) = icon.path() {
            let stroke = Stroke {
                width: (0.09 * side).max(1.0) / side,
                line_cap: LineCap::Round,
                line_join: LineJoin::Round,
                ..Stroke::default()
            };
            let transform = self.transform().pre_translate(x, y).pre_scale(side, side);
            self.pixmap.stroke_path(&path, &color.paint(), &stroke, transform, None);
        }
    }

    /// One line of text with its left end at `x` and its baseline at `baseline`; returns its width.
    pub fn text(&mut self, x: f32, baseline: f32, text: &str, style: &TextStyle) -> f32 {
        let (left, top) = (x - self.origin.0, (baseline - self.origin.1).round());
        let (width, height) = (self.pixmap.width() as i64, self.pixmap.height() as i64);
        let mut advance = 0.0;
        for_each_glyph(text, style, |font, mut glyph, x_end| {
            advance = x_end;
            glyph.position.x += left;
            glyph.position.y += top;
            let Some(outline) = font.outline_glyph(glyph) else { return };
            let bounds = outline.px_bounds();
            let (x0, y0) = (bounds.min.x as i64, bounds.min.y as i64);
            if x0 >= width || y0 >= height || bounds.max.x <= 0.0 || bounds.max.y <= 0.0 {
                return;
            }
            let pixels = self.pixmap.pixels_mut();
            outline.draw(|gx, gy, coverage| {
                let (px, py) = (x0 + i64::from(gx), y0 + i64::from(gy));
                if px >= 0
                    && py >= 0
                    && px < width
                    && py < height
                    && let Some(pixel) = pixels.get_mut((py * width + px) as usize)
                {
                    *pixel = over(*pixel, style.color, coverage);
                }
            });
        });
        advance
    }

    /// One line of text in the vertical middle of `area`; what is too long ends in an ellipsis.
    pub fn text_in(&mut self, area: Area, text: &str, style: &TextStyle, align: Align) {
        if area.width <= 0.0 || !self.shows(area) {
            return;
        }
        let full = text_width(text, style);
        let shortened;
        let (text, width) = if full <= area.width {
            (text, full)
        } else {
            shortened = shorten(text, area.width, style);
            (shortened.as_str(), text_width(&shortened, style))
        };
        let x = match align {
            Align::Left => area.x,
            Align::Center => area.x + (area.width - width) / 2.0,
            Align::Right => area.x + area.width - width,
        };
        let (cap_height, _) = line_metrics(style);
        self.text(x, area.y + (area.height + cap_height) / 2.0, text, style);
    }

    /// The pixels, R, G, B, A with premultiplied alpha (DRM's ABGR8888), rows from the top, no padding.
    pub fn rgba(&self) -> &[u8] {
        self.pixmap.data()
    }

    /// The pixels as B, G, R, X, rows from the top, no padding; meant for opaque pictures.
    pub fn bgrx(&self) -> Vec<u8> {
        let mut out = self.pixmap.data().to_vec();
        for pixel in out.chunks_exact_mut(4) {
            pixel.swap(0, 2);
        }
        out
    }

    fn transform(&self) -> Transform {
        Transform::from_translate(-self.origin.0, -self.origin.1)
    }

    /// Whether any of `area` falls on this picture.
    fn shows(&self, area: Area) -> bool {
        let (width, height) = (self.pixmap.width() as f32, self.pixmap.height() as f32);
        area.x < self.origin.0 + width
            && area.y < self.origin.1 + height
            && area.x + area.width > self.origin.0
            && area.y + area.height > self.origin.1
    }
}

/// Of so many px in a row those whose centres lie between `start` and `start + length`.
fn pixels(start: f32, length: f32, size: u32) -> Range<usize> {
    // What is not a number becomes 0.
    let edge = |at: f32| ((at - 0.5).ceil().max(0.0) as usize).min(size as usize);
    let (first, end) = (edge(start), edge(start + length));
    first..end.max(first)
}

/// The longest beginning of `text` that fits into `width` with an ellipsis behind it.
fn shorten(text: &str, width: f32, style: &TextStyle) -> String {
    let ends: Vec<usize> = text.char_indices().map(|(index, _)| index).collect();
    let fits = ends.partition_point(|end| {
        let beginning = text.get(..*end).unwrap_or_default();
        text_width(&format!("{beginning}…"), style) <= width
    });
    let end = fits.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default().trim_end())
}

/// `color` at `coverage` over a premultiplied pixel.
fn over(below: tiny_skia::PremultipliedColorU8, color: Color, coverage: f32) -> tiny_skia::PremultipliedColorU8 {
    let alpha = coverage.clamp(0.0, 1.0) * f32::from(color.a) / 255.0;
    let mix = |above: u8, below: u8| (f32::from(above) * alpha + f32::from(below) * (1.0 - alpha)).round() as u8;
    let a = mix(255, below.alpha());
    let channel = |above, below| mix(above, below).min(a);
    tiny_skia::PremultipliedColorU8::from_rgba(
        channel(color.r, below.red()),
        channel(color.g, below.green()),
        channel(color.b, below.blue()),
        a,
    )
    .unwrap_or(below)
}

fn rounded_path(area: Area, radius: f32) -> Option<Path> {
    let Area { x, y, width, height } = area;
    if width <= 0.0 || height <= 0.0 {
        return None;
    }
    let r = radius.clamp(0.0, width.min(height) / 2.0);
    let mut p = PathBuilder::new();
    if r <= 0.0 {
        p.push_rect(Rect::from_xywh(x, y, width, height)?);
        return p.finish();
    }
    // A cubic with handles of this length is a quarter circle to within 0.03 %.
    let k = r * 0.447_715;
    let (right, bottom) = (x + width, y + height);
    p.move_to(x + r, y);
    p.line_to(right - r, y);
    p.cubic_to(right - k, y, right, y + k, right, y + r);
    p.line_to(right, bottom - r);
    p.cubic_to(right, bottom - k, right - k, bottom, right - r, bottom);
    p.line_to(x + r, bottom);
    p.cubic_to(x + k, bottom, x, bottom - k, x, bottom - r);
    p.line_to(x, y + r);
    p.cubic_to(x, y + k, x + k, y, x + r, y);
    p.close();
    p.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Weight, theme};

    fn style(size: f32) -> TextStyle {
        TextStyle { weight: Weight::Regular, size, color: theme::TEXT }
    }

    fn drawing(canvas: &mut Canvas) {
        canvas.fill(theme::BACKGROUND);
        canvas.rounded(Area::new(10.0, 10.0, 180.0, 80.0), 9.0, theme::SURFACE);
        canvas.outline(Area::new(10.0, 10.0, 180.0, 80.0), 9.0, 1.0, theme::BORDER);
        canvas.icon(Icon::LogOut, Area::new(20.0, 20.0, 24.0, 24.0), theme::TEXT);
        canvas.text_in(Area::new(50.0, 20.0, 130.0, 60.0), "Grüße, Ωmega", &style(17.0), Align::Center);
    }

    #[test]
    fn tiles_show_the_same_as_the_whole() {
        let mut whole = Canvas::new(200, 100).unwrap();
        drawing(&mut whole);
        for (tx, ty) in [(0, 0), (64, 0), (128, 64), (64, 32)] {
            let mut tile = Canvas::new(64, 32).unwrap();
            tile.set_origin(tx as f32, ty as f32);
            drawing(&mut tile);
            for y in 0..32.min(100 - ty) {
                for x in 0..64 {
                    let at = |c: &Canvas, x: usize, y: usize| {
                        let o = 4 * (y * c.size().0 as usize + x);
                        c.rgba()[o..o + 4].to_vec()
                    };
                    let (a, b) = (at(&whole, tx + x, ty + y), at(&tile, x, y));
                    // Anti-aliasing may round differently at a tile's edge, by a step or two.
                    assert!(a.iter().zip(&b).all(|(a, b)| a.abs_diff(*b) <= 3), "{tx}+{x},{ty}+{y}: {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn a_rectangle_has_the_pixels_whose_centres_it_covers() {
        let red = Color::rgb(0xff0000);
        for (area, columns, rows) in [
            (Area::new(1.0, 2.0, 3.0, 1.0), 1..4, 2..3),
            (Area::new(0.4, 0.4, 1.2, 1.0), 0..2, 0..1),
            (Area::new(0.6, 0.6, 1.0, 0.8), 1..2, 1..1),
            (Area::new(-9.0, -9.0, 99.0, 99.0), 0..5, 0..4),
            (Area::new(2.0, 1.0, -1.0, 2.0), 2..2, 1..3),
            (Area::new(f32::NAN, 0.0, f32::INFINITY, 1.0), 0..0, 0..1),
        ] {
            let mut canvas = Canvas::new(5, 4).unwrap();
            canvas.set_origin(10.0, 20.0);
            canvas.rect(Area { x: area.x + 10.0, y: area.y + 20.0, ..area }, red);
            for (at, pixel) in canvas.rgba().chunks_exact(4).enumerate() {
                let inside = columns.contains(&(at % 5)) && rows.contains(&(at / 5));
                assert_eq!(pixel == [255, 0, 0, 255], inside, "{area:?} at {at}");
            }
        }
        let mut canvas = Canvas::new(1, 1).unwrap();
        canvas.fill(Color::rgb(0x000000));
        canvas.rect(Area::new(0.0, 0.0, 1.0, 1.0), red.with_alpha(128));
        assert_eq!(canvas.rgba(), [128, 0, 0, 255]);
    }

    #[test]
    fn long_text_is_shortened_to_what_fits() {
        let long = "a window title that is much too long for its button";
        for width in [20.0, 77.0, 130.0] {
            let short = shorten(long, width, &style(14.0));
            assert!(short.ends_with('…') && text_width(&short, &style(14.0)) <= width.max(14.0), "{short}");
        }
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        assert!(Canvas::new(0, 5).is_none());
        assert!(Canvas::new(8193, 5).is_none());
    }

    #[test]
    fn bgrx_swaps_red_and_blue() {
        let mut canvas = Canvas::new(1, 1).unwrap();
        canvas.fill(Color::rgb(0x010203));
        assert_eq!(canvas.bgrx(), [3, 2, 1, 255]);
    }
}
