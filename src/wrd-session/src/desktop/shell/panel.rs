//! A panel in front of everything: the question before logging out, or a message.

use super::style;
use wrd_draw::{Align, Area, Canvas, Icon, TextStyle, Weight, text_width, theme};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Cancel,
    LogOut,
    /// A message was read.
    Seen,
}

/// Everything a panel shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    icon: Icon,
    title: String,
    lines: Vec<String>,
    buttons: Vec<(&'static str, Answer)>,
    selected: usize,
    pub hover: Option<usize>,
    pub width: i32,
}

const PADDING: f32 = 24.0;
const ICON: f32 = 26.0;
const LINE: f32 = 21.0;
const BUTTON_HEIGHT: f32 = 36.0;
const BUTTON_WIDTH: f32 = 112.0;
/// Most lines of a message; what does not fit is in the journal.
const MAX_LINES: usize = 12;

impl Panel {
    pub fn log_out() -> Self {
        Self {
            icon: Icon::LogOut,
            title: "Log out?".into(),
            lines: vec![
                "All applications are closed; what is not saved is lost.".into(),
                "To keep them running, choose Disconnect instead.".into(),
            ],
            buttons: vec![("Cancel", Answer::Cancel), ("Log out", Answer::LogOut)],
            selected: 1,
            hover: None,
            width: 460,
        }
    }

    pub fn message(title: String, lines: Vec<String>) -> Self {
        Self {
            icon: Icon::Warning,
            title,
            lines,
            buttons: vec![("Close", Answer::Seen)],
            selected: 0,
            hover: None,
            width: 640,
        }
    }

    /// Width and height in px on an output that is so wide.
    pub fn size(&self, output: i32) -> (i32, i32) {
        let width = self.width.min(output - 16).max(280);
        (width, self.height(width as f32) as i32)
    }

    pub fn answer(&self, button: usize) -> Option<Answer> {
        self.buttons.get(button).map(|(_, answer)| *answer)
    }

    pub fn is_message(&self) -> bool {
        self.answer(0) == Some(Answer::Seen)
    }

    pub fn selected(&self) -> usize {
        self.selected
    }

    pub fn select_next(&mut self) {
        self.selected = (self.selected + 1) % self.buttons.len().max(1);
    }

    /// The button that Escape stands for.
    pub fn cancel(&self) -> usize {
        0
    }

    pub fn button_at(&self, x: i32, y: i32, width: i32) -> Option<usize> {
        let width = width as f32;
        self.areas(width).iter().position(|area| area.contains(x as f32, y as f32))
    }

    fn wrapped(&self, width: f32) -> Vec<String> {
        let style = text();
        let room = width - 3.0 * PADDING - ICON;
        let mut out: Vec<String> = self.lines.iter().flat_map(|line| wrap(line, room, &style)).collect();
        out.truncate(MAX_LINES);
        out
    }

    fn height(&self, width: f32) -> f32 {
        let lines = self.wrapped(width).len() as f32;
        (PADDING + 28.0 + 8.0 + lines * LINE + 24.0 + BUTTON_HEIGHT + PADDING).ceil()
    }

    /// The buttons, from the left; the last one is at the right.
    fn areas(&self, width: f32) -> Vec<Area> {
        let top = self.height(width) - PADDING - BUTTON_HEIGHT;
        let count = self.buttons.len();
        (0..count)
            .map(|index| {
                let from_right = (count - index) as f32;
                let x = width - PADDING - from_right * BUTTON_WIDTH - (from_right - 1.0) * 10.0;
                Area::new(x, top, BUTTON_WIDTH, BUTTON_HEIGHT)
            })
            .collect()
    }
}

pub fn draw(panel: &Panel) -> Option<Canvas> {
    let width = panel.width as f32;
    let height = panel.height(width);
    let mut canvas = Canvas::new(panel.width.try_into().ok()?, height as u32)?;
    let all = Area::new(0.0, 0.0, width, height);
    canvas.rounded(all, 12.0, theme::SURFACE);
    canvas.outline(all, 12.0, 1.0, theme::BORDER);
    let color = if panel.icon == Icon::Warning { theme::WARNING } else { theme::TEXT };
    canvas.icon(panel.icon, Area::new(PADDING, PADDING + 1.0, ICON, ICON), color);
    let left = 2.0 * PADDING + ICON - 8.0;
    let heading = TextStyle { weight: Weight::SemiBold, size: 18.0, color: theme::TEXT };
    canvas.text_in(Area::new(left, PADDING, width - left - PADDING, 28.0), &panel.title, &heading, Align::Left);
    let mut y = PADDING + 28.0 + 8.0;
    for line in panel.wrapped(width) {
        canvas.text_in(Area::new(left, y, width - left - PADDING, LINE), &line, &text(), Align::Left);
        y += LINE;
    }
    for (index, ((label, _), area)) in panel.buttons.iter().zip(panel.areas(width)).enumerate() {
        let selected = index == panel.selected;
        let (ground, color) = match (selected, panel.hover == Some(index)) {
            (true, true) => (theme::ACCENT_HOVER, theme::ON_ACCENT),
            (true, false) => (theme::ACCENT, theme::ON_ACCENT),
            (false, true) => (theme::HOVER, theme::TEXT),
            (false, false) => (theme::RAISED, theme::TEXT),
        };
        canvas.rounded(area, theme::RADIUS, ground);
        canvas.text_in(area, label, &style(Weight::SemiBold, color), Align::Center);
    }
    Some(canvas)
}

fn text() -> TextStyle {
    style(Weight::Regular, theme::TEXT_DIM)
}

/// Breaks at spaces, and inside a word only where it is longer than a line.
fn wrap(line: &str, room: f32, style: &TextStyle) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    for word in line.split_inclusive(' ') {
        if !current.is_empty() && text_width(&format!("{current}{}", word.trim_end()), style) > room {
            out.push(std::mem::take(&mut current).trim_end().to_owned());
        }
        for c in word.chars() {
            if !current.is_empty() && c != ' ' && text_width(&format!("{current}{c}"), style) > room {
                out.push(std::mem::take(&mut current));
            }
            current.push(c);
        }
    }
    out.push(current.trim_end().to_owned());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_wrapped_and_nothing_is_lost() {
        let line = format!("short words and then {}", "x".repeat(200));
        let wrapped = wrap(&line, 200.0, &text());
        assert!(wrapped.len() > 4 && wrapped.iter().all(|line| text_width(line, &text()) <= 200.0));
        let squeezed = |text: &str| text.replace(' ', "");
        assert_eq!(squeezed(&wrapped.concat()), squeezed(&line));
    }

    #[test]
    fn buttons_are_found_where_they_are_drawn() {
        let panel = Panel::log_out();
        let (width, height) = panel.size(1920);
        let y = height - 24 - 18;
        assert_eq!(panel.button_at(width - 24 - 56, y, width).and_then(|at| panel.answer(at)), Some(Answer::LogOut));
        assert_eq!(panel.button_at(width - 24 - 180, y, width).and_then(|at| panel.answer(at)), Some(Answer::Cancel));
        assert_eq!(panel.button_at(10, 10, width), None);
    }
}
