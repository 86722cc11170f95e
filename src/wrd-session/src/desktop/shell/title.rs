//! A window's title bar.

use super::style;
use crate::compositor::geometry::{Area as Box, Part, buttons};
use wrd_draw::{Align, Area, Canvas, Color, Icon, Weight, theme};

/// Everything a title bar shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Title {
    pub width: i32,
    pub height: i32,
    pub text: String,
    pub active: bool,
    pub maximised: bool,
    pub sizeable: bool,
    pub hover: Option<Part>,
    pub pressed: Option<Part>,
}

const ICON: f32 = 14.0;
/// The palette has no line that stands out from both the background and the title.
const ACTIVE_LINE: Color = Color::rgb(0x5a6c84);

pub fn draw(title: &Title) -> Option<Canvas> {
    let (width, height) = (title.width as f32, title.height as f32);
    let mut canvas = Canvas::new(u32::try_from(title.width).ok()?, u32::try_from(title.height).ok()?)?;
    canvas.fill(if title.active { theme::TITLE_ACTIVE } else { theme::TITLE_INACTIVE });
    let line = if title.active { theme::BORDER } else { theme::RAISED };
    canvas.rect(Area::new(0.0, height - 1.0, width, 1.0), line);
    if !title.maximised {
        for area in [
            Area::new(0.0, 0.0, width, 1.0),
            Area::new(0.0, 0.0, 1.0, height),
            Area::new(width - 1.0, 0.0, 1.0, height),
        ] {
            canvas.rect(area, frame_color(title.active));
        }
    }
    let color = if title.active { theme::TEXT } else { theme::TEXT_DIM };
    let taken = buttons(title.width).iter().map(|(_, area)| area.size.w).sum::<i32>() as f32;
    // In the middle of the window where it fits there, else in what the buttons leave.
    let text = style(if title.active { Weight::SemiBold } else { Weight::Regular }, color);
    let centred = Area::new(taken, 0.0, width - 2.0 * taken, height);
    let needed = wrd_draw::text_width(&title.text, &text);
    if needed <= centred.width {
        canvas.text_in(centred, &title.text, &text, Align::Center);
    } else if width > taken + 24.0 {
        canvas.text_in(Area::new(12.0, 0.0, width - taken - 20.0, height), &title.text, &text, Align::Left);
    }
    for (part, area) in buttons(title.width) {
        button(&mut canvas, title, part, area);
    }
    Some(canvas)
}

/// The line around a window.
pub fn frame_color(active: bool) -> Color {
    if active { ACTIVE_LINE } else { theme::BORDER }
}

fn button(canvas: &mut Canvas, title: &Title, part: Part, area: Box) {
    let mut area = Area::new(area.loc.x as f32, area.loc.y as f32, area.size.w as f32, area.size.h as f32);
    if part == Part::Maximise && !title.sizeable {
        return;
    }
    let (icon, over) = match part {
        Part::Close => (Icon::Close, theme::DANGER),
        Part::Maximise if title.maximised => (Icon::Restore, theme::HOVER),
        Part::Maximise => (Icon::Maximize, theme::HOVER),
        _ => (Icon::Minimize, theme::HOVER),
    };
    if !title.maximised {
        // The frame's line stays visible.
        area.y += 1.0;
        area.height -= 1.0;
        if part == Part::Close {
            area.width -= 1.0;
        }
    }
    area.height -= 1.0;
    let hovered = title.hover == Some(part);
    if title.pressed == Some(part) {
        canvas.rect(area, over.with_alpha(170));
    } else if hovered {
        canvas.rect(area, over);
    }
    let color = match (hovered, title.active) {
        (true, _) => theme::ON_ACCENT,
        (false, true) => theme::TEXT,
        (false, false) => theme::TEXT_DIM,
    };
    canvas.icon(
        icon,
        Area::new(
            (area.x + (area.width - ICON) / 2.0).round(),
            (area.y + (area.height - ICON) / 2.0).round(),
            ICON,
            ICON,
        ),
        color,
    );
}
