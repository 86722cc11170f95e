//! The bar at the bottom: a terminal, the windows, the clock, disconnect and log out.

use super::style;
use crate::compositor::layout::WindowId;
use wrd_draw::{Align, Area, Canvas, Icon, TextStyle, Weight, text_width, theme};

pub const HEIGHT: i32 = 40;

/// One window's button.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowButton {
    pub id: WindowId,
    pub title: String,
    pub active: bool,
    pub minimised: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarPart {
    Terminal,
    Window(WindowId),
    Disconnect,
    LogOut,
    Empty,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Look {
    pub hover: Option<BarPart>,
    pub pressed: Option<BarPart>,
}

/// Everything the bar shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    width: i32,
    windows: Vec<WindowButton>,
    clock: String,
    look: Look,
}

const GAP: f32 = 4.0;
const SQUARE: f32 = 40.0;
const WINDOW_MAX: f32 = 220.0;
const WINDOW_MIN: f32 = 36.0;
const ICON: f32 = 18.0;
const DISCONNECT: &str = "Disconnect";
const LOG_OUT: &str = "Log out";

impl Bar {
    pub fn new(width: i32, windows: Vec<WindowButton>, clock: String, look: Look) -> Self {
        Self { width, windows, clock, look }
    }

    pub fn part_at(&self, x: i32, y: i32) -> BarPart {
        let (x, y) = (x as f32, y as f32);
        let hit = self.parts().into_iter().find(|(_, area)| area.contains(x, y));
        hit.map_or(BarPart::Empty, |(part, _)| part)
    }

    /// Every button and where it is.
    fn parts(&self) -> Vec<(BarPart, Area)> {
        let height = HEIGHT as f32 - 2.0 * GAP;
        let width = self.width as f32;
        let mut parts = vec![(BarPart::Terminal, Area::new(GAP, GAP, SQUARE, height))];
        let mut right = width - GAP;
        for (part, label) in [(BarPart::LogOut, LOG_OUT), (BarPart::Disconnect, DISCONNECT)] {
            let wide = if self.is_narrow() { SQUARE } else { labelled(label) };
            right -= wide;
            parts.push((part, Area::new(right, GAP, wide, height)));
            right -= GAP;
        }
        right -= self.clock_width();
        let mut left = GAP + SQUARE + 2.0 * GAP;
        let room = (right - GAP - left).max(0.0);
        let count = self.windows.len().max(1) as f32;
        let each = (room / count - GAP).clamp(WINDOW_MIN, WINDOW_MAX);
        for window in &self.windows {
            if left + each > right {
                break;
            }
            parts.push((BarPart::Window(window.id), Area::new(left, GAP, each, height)));
            left += each + GAP;
        }
        parts
    }

    /// Labels give way to the windows on a small desktop.
    fn is_narrow(&self) -> bool {
        self.width < 900
    }

    fn clock_width(&self) -> f32 {
        text_width(&self.clock, &clock_style()) + 24.0
    }
}

pub fn draw(bar: &Bar) -> Option<Canvas> {
    let mut canvas = Canvas::new(u32::try_from(bar.width).ok()?, HEIGHT as u32)?;
    canvas.fill(theme::SURFACE);
    canvas.rect(Area::new(0.0, 0.0, bar.width as f32, 1.0), theme::BORDER);
    let mut clock_right = bar.width as f32;
    for (part, area) in bar.parts() {
        match part {
            BarPart::Terminal => {
                ground(&mut canvas, bar, part, area);
                canvas.icon(Icon::Terminal, square(area), theme::TEXT);
            }
            BarPart::Window(id) => {
                if let Some(window) = bar.windows.iter().find(|window| window.id == id) {
                    window_button(&mut canvas, bar, window, area);
                }
            }
            BarPart::Disconnect | BarPart::LogOut => {
                clock_right = clock_right.min(area.x);
                ground(&mut canvas, bar, part, area);
                let (icon, label) =
                    if part == BarPart::LogOut { (Icon::LogOut, LOG_OUT) } else { (Icon::Disconnect, DISCONNECT) };
                if bar.is_narrow() {
                    canvas.icon(icon, square(area), theme::TEXT);
                } else {
                    let at = Area::new(area.x + 10.0, area.y, ICON, area.height);
                    canvas.icon(icon, at, theme::TEXT_DIM);
                    let text = Area::new(area.x + 10.0 + ICON + 8.0, area.y, area.width, area.height);
                    canvas.text_in(text, label, &label_style(), Align::Left);
                }
            }
            BarPart::Empty => {}
        }
    }
    let width = bar.clock_width();
    let clock = Area::new(clock_right - GAP - width, 0.0, width, HEIGHT as f32);
    canvas.text_in(clock, &bar.clock, &clock_style(), Align::Center);
    Some(canvas)
}

fn window_button(canvas: &mut Canvas, bar: &Bar, window: &WindowButton, area: Area) {
    let part = BarPart::Window(window.id);
    if window.active {
        canvas.rounded(area, theme::RADIUS, theme::RAISED);
    }
    ground(canvas, bar, part, area);
    if window.active {
        let line = Area::new(area.x + 8.0, area.y + area.height - 3.0, area.width - 16.0, 2.0);
        canvas.rounded(line, 1.0, theme::ACCENT);
    } else if !window.minimised {
        let line = Area::new(area.x + 8.0, area.y + area.height - 3.0, area.width - 16.0, 2.0);
        canvas.rounded(line, 1.0, theme::BORDER);
    }
    let color = if window.minimised { theme::TEXT_DIM } else { theme::TEXT };
    let title = if window.title.is_empty() { "Window" } else { window.title.as_str() };
    let inside = Area::new(area.x + 10.0, area.y, area.width - 20.0, area.height - 2.0);
    canvas.text_in(inside, title, &style(Weight::Regular, color), Align::Left);
}

/// What is behind a button under the pointer.
fn ground(canvas: &mut Canvas, bar: &Bar, part: BarPart, area: Area) {
    if bar.look.pressed == Some(part) {
        canvas.rounded(area, theme::RADIUS, theme::BORDER);
    } else if bar.look.hover == Some(part) {
        canvas.rounded(area, theme::RADIUS, theme::HOVER);
    }
}

fn square(area: Area) -> Area {
    Area::new((area.x + (area.width - ICON) / 2.0).round(), (area.y + (area.height - ICON) / 2.0).round(), ICON, ICON)
}

fn labelled(label: &str) -> f32 {
    (10.0 + ICON + 8.0 + text_width(label, &label_style()) + 12.0).ceil()
}

fn label_style() -> TextStyle {
    style(Weight::Regular, theme::TEXT)
}

fn clock_style() -> TextStyle {
    style(Weight::SemiBold, theme::TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bar(width: i32, windows: u64) -> Bar {
        let windows = (0..windows)
            .map(|id| WindowButton { id: WindowId(id), title: "foot".into(), active: id == 0, minimised: false })
            .collect();
        Bar::new(width, windows, "Sat 21 Nov  12:34".into(), Look::default())
    }

    proptest! {
        #[test]
        fn buttons_never_overlap_and_are_where_clicks_find_them(width in 400..4000i32, windows in 0..40u64) {
            let bar = bar(width, windows);
            let parts = bar.parts();
            for (index, (part, area)) in parts.iter().enumerate() {
                prop_assert!(area.x >= 0.0 && area.x + area.width <= width as f32, "{part:?} {area:?}");
                let (x, y) = (area.x + area.width / 2.0, area.y + area.height / 2.0);
                prop_assert_eq!(bar.part_at(x as i32, y as i32), *part);
                for (_, other) in parts.iter().skip(index + 1) {
                    prop_assert!(area.x + area.width <= other.x || other.x + other.width <= area.x);
                }
            }
            prop_assert!(draw(&bar).is_some());
        }
    }
}
