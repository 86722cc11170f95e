//! How the login screen looks. Any part of it can be drawn by itself.

use super::form::{ButtonView, FieldView, Target, Tone, View};
use super::layout::{Layout, Shown, wrap};
use wrd_draw::{Align, Area, Canvas, Color, Icon, Weight, text_width, theme};
use wrd_rdp::DesktopSize;

pub struct Picture {
    size: DesktopSize,
    pub layout: Layout,
    host_name: String,
    keyboard: String,
}

/// How far the card's shadow reaches, in px at scale 1 as all of these.
const SHADOW: f32 = 30.0;
/// How far the shadow lies below the card.
const DROP: f32 = 8.0;
/// Radius of the card's corners.
const CORNER: f32 = 14.0;
/// Colours of the background at the top and at the bottom of the screen.
const TOP: Color = Color::rgb(0x2f4059);
const BOTTOM: Color = Color::rgb(0x151b24);

impl Picture {
    pub fn new(size: DesktopSize, scale: u32, host_name: &str, keyboard: &str) -> Self {
        let layout = Layout::new(size, scale);
        Self { size, layout, host_name: host_name.to_owned(), keyboard: keyboard.to_owned() }
    }

    /// What is at a place, in px.
    pub fn at(&self, x: u16, y: u16, view: &View) -> Option<Target> {
        let (x, y) = (f32::from(x), f32::from(y));
        if self.layout.button.contains(x, y) {
            Some(Target::Button)
        } else if !view.final_text && self.layout.user.contains(x, y) {
            Some(Target::User)
        } else if !view.final_text && self.layout.password.contains(x, y) {
            Some(Target::Password)
        } else {
            None
        }
    }

    /// The character edge next to `x` in a field's text.
    pub fn caret_at(&self, x: u16, view: &View, target: Option<Target>) -> Option<usize> {
        let (area, field) = match target? {
            Target::User => (self.layout.user, &view.user),
            Target::Password => (self.layout.password, &view.password),
            Target::Button => return None,
        };
        let shown = Shown::new(field, &self.layout.text_area(area), &self.layout.field_style(field));
        Some(shown.caret_at(f32::from(x) - self.layout.text_area(area).x))
    }

    /// Draws what of the screen falls on `canvas`, which shows `part`.
    pub fn draw(&self, canvas: &mut Canvas, part: Area, view: &View) {
        let layout = &self.layout;
        let reach = layout.card.inset(-(SHADOW + DROP) * layout.scale);
        let is_near = overlaps(reach, part);
        for row in 0..part.height as u16 {
            let y = part.y + f32::from(row);
            let color = mix(TOP, BOTTOM, y / f32::from(self.size.height));
            canvas.rect(Area::new(part.x, y, part.width, 1.0), color);
            if is_near {
                self.draw_shadow(canvas, y, color);
            }
        }
        if is_near {
            self.draw_card(canvas, view);
        }
        let dim = layout.style(Weight::Regular, 12.5, theme::TEXT_DIM);
        let width = text_width(&self.keyboard, &dim).min(layout.footer.width - 30.0 * layout.scale);
        let icon = 16.0 * layout.scale;
        let gap = 8.0 * layout.scale;
        let x = layout.footer.x + (layout.footer.width - width - icon - gap) / 2.0;
        canvas.icon(Icon::Keyboard, Area { x, width: icon, ..layout.footer }, theme::TEXT_DIM);
        canvas.text_in(Area { x: x + icon + gap, width, ..layout.footer }, &self.keyboard, &dim, Align::Left);
    }

    /// The card's shadow in one row of pixels. Opaque colours row by row: many faint layers one above the other
    /// would add up their roundings to a tint.
    fn draw_shadow(&self, canvas: &mut Canvas, y: f32, background: Color) {
        const STEPS: u8 = 24;
        let scale = self.layout.scale;
        for step in (0..STEPS).rev() {
            let far = f32::from(step) / f32::from(STEPS);
            let grow = SHADOW * scale * far;
            let mut area = self.layout.card.inset(-grow);
            area.y += DROP * scale;
            let from_edge = (y + 0.5 - area.y).min(area.y + area.height - y - 0.5);
            if from_edge <= 0.0 {
                continue;
            }
            let radius = CORNER * scale + grow;
            let up = (radius - from_edge).max(0.0);
            let cut = radius - (radius * radius - up * up).max(0.0).sqrt();
            let color = mix(background, Color::rgb(0), 0.34 * (1.0 - far) * (1.0 - far));
            canvas.rect(Area::new(area.x + cut, y, area.width - 2.0 * cut, 1.0), color);
        }
    }

    fn draw_card(&self, canvas: &mut Canvas, view: &View) {
        let layout = &self.layout;
        let scale = layout.scale;
        canvas.rounded(layout.card, CORNER * scale, theme::SURFACE);
        canvas.outline(layout.card, CORNER * scale, scale.max(1.0), theme::BORDER.with_alpha(110));

        canvas.rounded(layout.mark, 12.0 * scale, theme::ACCENT);
        canvas.icon(Icon::Terminal, layout.mark.inset(11.0 * scale), theme::ON_ACCENT);
        let title = layout.style(Weight::SemiBold, 21.0, theme::TEXT);
        canvas.text_in(layout.title, &self.host_name, &title, Align::Center);
        if view.final_text {
            self.draw_final_text(canvas, view);
        } else {
            let dim = layout.style(Weight::Regular, 13.5, theme::TEXT_DIM);
            canvas.text_in(layout.subtitle, "Log in to your desktop", &dim, Align::Center);
            let label = layout.style(Weight::SemiBold, 12.5, theme::TEXT_DIM);
            canvas.text_in(layout.user_label, "User name", &label, Align::Left);
            self.draw_field(canvas, layout.user, &view.user);
            canvas.text_in(layout.password_label, "Password", &label, Align::Left);
            if view.caps_lock {
                let hint = layout.style(Weight::SemiBold, 12.5, theme::WARNING);
                canvas.text_in(layout.password_label, "Caps Lock is on", &hint, Align::Right);
            }
            self.draw_field(canvas, layout.password, &view.password);
            self.draw_message(canvas, view);
        }
        self.draw_button(canvas, &view.button);
    }

    fn draw_field(&self, canvas: &mut Canvas, area: Area, field: &FieldView) {
        let layout = &self.layout;
        let scale = layout.scale;
        let radius = theme::RADIUS * 1.2 * scale;
        canvas.rounded(area, radius, theme::RAISED);
        if field.focused {
            canvas.outline(area.inset(-scale), radius + scale, 2.0 * scale, theme::ACCENT);
        } else {
            canvas.outline(area, radius, scale.max(1.0), theme::BORDER);
        }
        let mut style = layout.field_style(field);
        if !field.enabled {
            style.color = theme::TEXT_DIM;
        }
        let text_area = layout.text_area(area);
        let shown = Shown::new(field, &text_area, &style);
        if field.selected && field.focused {
            let marked = Area { width: shown.width + 2.0 * scale, x: text_area.x - scale, ..text_area };
            canvas.rounded(marked.inset(0.0), 3.0 * scale, theme::ACCENT.with_alpha(150));
        }
        canvas.text_in(Area { width: text_area.width + scale, ..text_area }, &shown.text, &style, Align::Left);
        if field.focused && !field.selected {
            let caret = (1.5 * scale).round().max(1.0);
            let x = (text_area.x + shown.caret_x).round();
            canvas.rect(Area::new(x, text_area.y.round(), caret, text_area.height.round()), theme::TEXT);
        }
    }

    fn draw_message(&self, canvas: &mut Canvas, view: &View) {
        let Some((tone, text)) = &view.message else { return };
        let layout = &self.layout;
        let color = tone_color(*tone);
        let style = layout.style(Weight::Regular, 13.0, color);
        let line = 18.0 * layout.scale;
        let icon = if *tone == Tone::Plain { 0.0 } else { 24.0 * layout.scale };
        let area = layout.message;
        let lines = wrap(text, area.width - icon, &style, 2);
        let top = area.y + (area.height - line * lines.len() as f32) / 2.0;
        let width = lines.iter().map(|line| text_width(line, &style)).fold(0.0, f32::max);
        let x = area.x + (area.width - width - icon).max(0.0) / 2.0;
        if icon > 0.0 {
            let side = 16.0 * layout.scale;
            canvas.icon(Icon::Warning, Area::new(x, top + (line - side) / 2.0, side, side), color);
        }
        for (index, text) in lines.iter().enumerate() {
            let y = top + line * index as f32;
            canvas.text_in(Area::new(x + icon, y, area.width - icon, line), text, &style, Align::Left);
        }
    }

    fn draw_final_text(&self, canvas: &mut Canvas, view: &View) {
        let layout = &self.layout;
        let Some((_, text)) = &view.message else { return };
        let heading = layout.style(Weight::Regular, 13.5, theme::TEXT_DIM);
        canvas.text_in(layout.subtitle, "You cannot be logged in now", &heading, Align::Center);
        let area = layout.final_text;
        let side = 30.0 * layout.scale;
        canvas.icon(Icon::Warning, Area { height: side, ..area }, theme::WARNING);
        let style = layout.style(Weight::Regular, 14.0, theme::TEXT);
        let line = 21.0 * layout.scale;
        let mut y = area.y + side + 14.0 * layout.scale;
        for text in wrap(text, area.width, &style, 6) {
            canvas.text_in(Area { y, height: line, ..area }, &text, &style, Align::Center);
            y += line;
        }
    }

    fn draw_button(&self, canvas: &mut Canvas, button: &ButtonView) {
        let layout = &self.layout;
        let scale = layout.scale;
        let radius = theme::RADIUS * 1.2 * scale;
        let color = match button {
            ButtonView { enabled: false, .. } => theme::RAISED,
            ButtonView { pressed: true, hovered: true, .. } => mix(theme::ACCENT, theme::SURFACE, 0.25),
            ButtonView { hovered: true, .. } => theme::ACCENT_HOVER,
            _ => theme::ACCENT,
        };
        canvas.rounded(layout.button, radius, color);
        if button.focused {
            canvas.outline(layout.button.inset(-3.0 * scale), radius + 3.0 * scale, 2.0 * scale, theme::TEXT);
        }
        let text = if button.enabled { theme::ON_ACCENT } else { theme::TEXT_DIM };
        let style = layout.style(Weight::SemiBold, 14.5, text);
        canvas.text_in(layout.button, button.label, &style, Align::Center);
    }
}

fn tone_color(tone: Tone) -> Color {
    match tone {
        Tone::Plain => theme::TEXT_DIM,
        Tone::Error => theme::ERROR,
    }
}

fn mix(from: Color, to: Color, part: f32) -> Color {
    let part = part.clamp(0.0, 1.0);
    let channel = |from: u8, to: u8| (f32::from(from) + (f32::from(to) - f32::from(from)) * part).round() as u8;
    Color { r: channel(from.r, to.r), g: channel(from.g, to.g), b: channel(from.b, to.b), a: channel(from.a, to.a) }
}

fn overlaps(a: Area, b: Area) -> bool {
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}
