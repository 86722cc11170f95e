//! Where the things on the login screen are, and how text is fitted into them.

use super::form::{DOT, FieldView};
use wrd_draw::{Area, Color, TextStyle, Weight, text_width, theme};
use wrd_rdp::DesktopSize;

/// Where things are, in px.
pub struct Layout {
    /// px of the screen for one px of the design.
    pub scale: f32,
    pub card: Area,
    pub mark: Area,
    pub title: Area,
    pub subtitle: Area,
    pub user_label: Area,
    pub user: Area,
    pub password_label: Area,
    pub password: Area,
    pub message: Area,
    pub button: Area,
    pub footer: Area,
    pub final_text: Area,
}
/// Design size of the card, and the least room around it, in px at scale 1.
const CARD: (f32, f32) = (400.0, 452.0);
const MARGIN: f32 = 24.0;
const PADDING: f32 = 36.0;

impl Layout {
    pub fn new(size: DesktopSize, percent: u32) -> Self {
        let (width, height) = (f32::from(size.width), f32::from(size.height));
        // As large as the client likes it, but never larger than the screen.
        let fits = (width / (CARD.0 + 2.0 * MARGIN)).min(height / (CARD.1 + 4.0 * MARGIN));
        let scale = (percent as f32 / 100.0).min(fits).max(0.3);
        let px = |value: f32| (value * scale).round();
        let card = Area::new(
            ((width - px(CARD.0)) / 2.0).round(),
            ((height - px(CARD.1)) / 2.0 - px(MARGIN / 2.0)).max(0.0).round(),
            px(CARD.0),
            px(CARD.1),
        );
        let (x, inner) = (card.x + px(PADDING), card.width - 2.0 * px(PADDING));
        let row = |y: f32, height: f32| Area::new(x, card.y + px(y), inner, px(height));
        Self {
            scale,
            card,
            mark: Area::new((card.x + (card.width - px(48.0)) / 2.0).round(), card.y + px(32.0), px(48.0), px(48.0)),
            title: row(92.0, 28.0),
            subtitle: row(120.0, 22.0),
            user_label: row(158.0, 20.0),
            user: row(180.0, 42.0),
            password_label: row(234.0, 20.0),
            password: row(256.0, 42.0),
            message: row(304.0, 52.0),
            button: row(360.0, 44.0),
            footer: Area::new(0.0, card.y + card.height + px(14.0), width, px(22.0)),
            final_text: row(170.0, 180.0),
        }
    }

    pub fn style(&self, weight: Weight, size: f32, color: Color) -> TextStyle {
        TextStyle { weight, size: size * self.scale, color }
    }

    /// Dots are drawn larger than letters, or they look lost.
    pub fn field_style(&self, field: &FieldView) -> TextStyle {
        let size = if field.shown.starts_with(DOT) { 23.0 } else { 15.0 };
        self.style(Weight::Regular, size, theme::TEXT)
    }

    /// Where text and caret are in a field.
    pub fn text_area(&self, field: Area) -> Area {
        let (x, y) = (13.0 * self.scale, 10.0 * self.scale);
        Area::new(field.x + x, field.y + y, field.width - 2.0 * x, field.height - 2.0 * y)
    }
}
/// The part of a field's text that fits, with the caret in it.
pub struct Shown {
    pub text: String,
    /// Characters left out before it.
    pub skipped: usize,
    pub caret_x: f32,
    pub width: f32,
    /// Where each character ends, in px.
    edges: Vec<f32>,
}

impl Shown {
    pub fn new(field: &FieldView, area: &Area, style: &TextStyle) -> Self {
        let chars: Vec<char> = field.shown.chars().collect();
        let width = |from: usize, to: usize| {
            let part: String = chars.get(from..to).unwrap_or_default().iter().collect();
            text_width(&part, style)
        };
        let caret = field.caret.min(chars.len());
        // Room for a few characters behind the caret keeps what is typed in sight.
        let skipped = (0..caret).find(|from| width(*from, caret) <= area.width).unwrap_or(caret);
        let end = (skipped..=chars.len()).rev().find(|to| width(skipped, *to) <= area.width).unwrap_or(skipped);
        let text: String = chars.get(skipped..end).unwrap_or_default().iter().collect();
        let edges = (skipped..end).map(|index| width(skipped, index + 1)).collect();
        Self { width: text_width(&text, style), caret_x: width(skipped, caret), text, skipped, edges }
    }

    pub fn caret_at(&self, x: f32) -> usize {
        let mut left = 0.0;
        let passed = self.edges.iter().take_while(|edge| {
            let middle = (left + **edge) / 2.0;
            left = **edge;
            middle < x
        });
        self.skipped + passed.count()
    }
}

/// `text` in at most `most` lines of `width`; what is too long is cut by whoever draws the last line.
pub fn wrap(text: &str, width: f32, style: &TextStyle, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let count = lines.len();
        let Some(line) = lines.last_mut() else { break };
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if line.is_empty() || count == most || text_width(&longer, style) <= width {
            *line = longer;
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
