//! Where the things on the login screen are, and how text is fitted into them.

use super::form::{DOT, FieldView};
use super::menu::ROWS;
use wrd_draw::{Area, Color, TextStyle, Weight, text_width, theme};
use wrd_rdp::DesktopSize;

/// Where things are, in px.
pub struct Layout {
    /// px of the screen for one px of the design.
    pub scale: f32,
    pub card: Area,
    pub mark: Option<Area>,
    pub title: Area,
    pub subtitle: Area,
    pub user_label: Area,
    pub user: Area,
    pub password_label: Area,
    pub password: Area,
    pub message: Area,
    pub button: Area,
    /// What is told and asked, above the field of the password, which is that of the answer then.
    pub dialogue: Area,
    /// The same where nothing is asked.
    pub told: Area,
    /// In place of the button, where there are two.
    pub cancel: Area,
    pub go_on: Area,
    pub footer: Area,
    /// How long is left.
    pub left: Area,
    pub final_text: Area,
    /// A menu's rows, all of them.
    pub menu: Area,
}
/// Design size of the card, and the least room around it, in px at scale 1.
const CARD: (f32, f32) = (400.0, 452.0);
/// Of it, the mark above the title, which a small screen goes without.
const MARK: f32 = 72.0;
const MARGIN: f32 = 16.0;
/// For what stands below the card.
const BELOW: f32 = 58.0;
const PADDING: f32 = 36.0;

impl Layout {
    pub fn new(size: DesktopSize, percent: u32) -> Self {
        let (width, height) = (f32::from(size.width), f32::from(size.height));
        // As large as the client likes it, but never larger than the screen.
        let liked = percent as f32 / 100.0;
        let fits = |above: f32| (width / (CARD.0 + 2.0 * MARGIN)).min(height / (CARD.1 - above + 2.0 * BELOW));
        // How much of the card's top is left out: on a phone that lies on its side each line counts.
        let above = if fits(0.0) < liked { MARK } else { 0.0 };
        let scale = liked.min(fits(above)).max(0.3);
        let px = |value: f32| (value * scale).round();
        let card = Area::new(
            ((width - px(CARD.0)) / 2.0).round(),
            ((height - px(CARD.1 - above) - px(BELOW)) / 2.0).max(0.0).round(),
            px(CARD.0),
            px(CARD.1 - above),
        );
        let (x, inner) = (card.x + px(PADDING), card.width - 2.0 * px(PADDING));
        let row = |y: f32, height: f32| Area::new(x, card.y + px(y - above), inner, px(height));
        let half = ((inner - px(12.0)) / 2.0).round();
        Self {
            scale,
            card,
            mark: (above == 0.0).then(|| {
                Area::new((card.x + (card.width - px(48.0)) / 2.0).round(), card.y + px(32.0), px(48.0), px(48.0))
            }),
            title: row(92.0, 28.0),
            subtitle: row(120.0, 22.0),
            user_label: row(158.0, 20.0),
            user: row(180.0, 42.0),
            password_label: row(234.0, 20.0),
            password: row(256.0, 42.0),
            message: row(304.0, 52.0),
            button: row(360.0, 44.0),
            dialogue: row(150.0, 100.0),
            told: row(150.0, 146.0),
            cancel: Area { width: half, ..row(360.0, 44.0) },
            go_on: Area { x: x + inner - half, width: half, ..row(360.0, 44.0) },
            footer: Area::new(0.0, card.y + card.height + px(10.0), width, px(24.0)),
            left: Area::new(0.0, card.y + card.height + px(34.0), width, px(20.0)),
            final_text: row(170.0, 180.0),
            menu: row(150.0, 272.0),
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
    pub fn text_area(&self, area: Area, field: &FieldView) -> Area {
        let (x, y) = (13.0 * self.scale, 10.0 * self.scale);
        let eye = if field.revealed.is_some() { self.eye(area).width } else { 0.0 };
        Area::new(area.x + x, area.y + y, area.width - 2.0 * x - eye, area.height - 2.0 * y)
    }

    /// Where the eye is in a field that has one.
    pub fn eye(&self, area: Area) -> Area {
        let width = 40.0 * self.scale;
        Area { x: area.x + area.width - width, width, ..area }
    }

    /// A row of the menu.
    pub fn menu_row(&self, row: usize) -> Area {
        let height = self.menu.height / ROWS as f32;
        Area { y: self.menu.y + height * row as f32, height, ..self.menu }
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

/// `text` in at most `most` lines of `width`; what is too long is cut by whoever draws the last line. Words are kept
/// whole where they fit into a line by themselves.
pub fn wrap(text: &str, width: f32, style: &TextStyle, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        for (index, part) in parts(word, width, style).iter().enumerate() {
            let count = lines.len();
            let Some(line) = lines.last_mut() else { break };
            let space = if line.is_empty() || index > 0 { "" } else { " " };
            let longer = format!("{line}{space}{part}");
            if line.is_empty() || count == most || text_width(&longer, style) <= width {
                *line = longer;
            } else {
                lines.push(part.clone());
            }
        }
    }
    lines
}

/// A word in pieces that fit into a line, where it does not itself: addresses, and scripts without spaces.
fn parts(word: &str, width: f32, style: &TextStyle) -> Vec<String> {
    if text_width(word, style) <= width {
        return vec![word.to_owned()];
    }
    let mut parts = vec![String::new()];
    for c in word.chars() {
        let Some(part) = parts.last_mut() else { break };
        part.push(c);
        if text_width(part, style) > width && part.chars().nth(1).is_some() {
            part.pop();
            parts.push(c.to_string());
        }
    }
    parts
}
