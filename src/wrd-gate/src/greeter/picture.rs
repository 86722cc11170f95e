//! How the login screen looks. Any part of it can be drawn by itself.

use super::choices::{ChoicesView, What};
use super::dialogue::DialogueView;
use super::form::{ButtonView, FieldView, Page, Target, Tone, View};
use super::layout::{Layout, Shown, wrap};
use super::menu::MenuView;
use super::words::Language;
use std::borrow::Cow;
use wrd_draw::{Align, Area, Canvas, Color, Icon, Weight, text_width, theme};
use wrd_rdp::DesktopSize;

pub struct Picture {
    size: DesktopSize,
    pub layout: Layout,
    host_name: String,
    language: Language,
}

/// How far the card's shadow reaches, in px at scale 1 as all of these.
const SHADOW: f32 = 30.0;
/// How far the shadow lies below the card.
const DROP: f32 = 8.0;
/// From one line of what is told or asked to the next.
const LINE: f32 = 18.0;
/// What an icon below the card takes of its line, the gap to its text included.
const ICON_ROOM: f32 = 24.0;
/// Radius of the card's corners.
const CORNER: f32 = 14.0;
/// Colours of the background at the top and at the bottom of the screen.
const TOP: Color = Color::rgb(0x2f4059);
const BOTTOM: Color = Color::rgb(0x151b24);

impl Picture {
    pub fn new(size: DesktopSize, scale: u32, host_name: &str, language: Language) -> Self {
        let layout = Layout::new(size, scale);
        Self { size, layout, host_name: host_name.to_owned(), language }
    }

    /// What is at a place, in px.
    pub fn at(&self, x: u16, y: u16, view: &View) -> Option<Target> {
        let (x, y) = (f32::from(x), f32::from(y));
        let layout = &self.layout;
        if let Some((_, menu)) = &view.choices.menu {
            return (0..menu.rows.len()).find(|row| layout.menu_row(*row).contains(x, y)).map(Target::Row);
        }
        let below = self.below(&view.choices);
        if view.page != Page::Final
            && let Some(item) = below.iter().find(|item| item.area.contains(x, y))
        {
            return Some(Target::Menu(item.what));
        }
        // The eye lies on its field.
        let places: &[(Area, Target)] = match &view.page {
            Page::Final => &[(layout.button, Target::Button)],
            Page::Credentials => &[
                (layout.button, Target::Button),
                (layout.user, Target::User),
                (layout.eye(layout.password), Target::Reveal),
                (layout.password, Target::Password),
            ],
            Page::Dialogue(DialogueView { question: None, .. }) => &[],
            Page::Dialogue(dialogue) if dialogue.answer().is_some_and(|answer| answer.revealed.is_some()) => &[
                (layout.go_on, Target::Button),
                (layout.cancel, Target::Cancel),
                (layout.eye(layout.password), Target::Reveal),
                (layout.password, Target::Answer),
            ],
            Page::Dialogue(_) => {
                &[(layout.go_on, Target::Button), (layout.cancel, Target::Cancel), (layout.password, Target::Answer)]
            }
        };
        places.iter().find(|(area, _)| area.contains(x, y)).map(|(_, target)| *target)
    }

    /// The character edge next to `x` in a field's text.
    pub fn caret_at(&self, x: u16, view: &View, target: Option<Target>) -> Option<usize> {
        let (area, field) = match (target?, &view.page) {
            (Target::User, _) => (self.layout.user, &view.user),
            (Target::Password, _) => (self.layout.password, &view.password),
            (Target::Answer, Page::Dialogue(dialogue)) => (self.layout.password, &dialogue.question.as_ref()?.answer),
            _ => return None,
        };
        let text_area = self.layout.text_area(area, field);
        let shown = Shown::new(field, &text_area, &self.layout.field_style(field));
        Some(shown.caret_at(f32::from(x) - text_area.x))
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
        if overlaps(layout.footer, part) {
            self.draw_below(canvas, view);
        }
        if let Some(left) = view.left
            && overlaps(layout.left, part)
        {
            let style = layout.style(Weight::Regular, 12.5, theme::WARNING);
            canvas.text_in(layout.left, &self.say(&format!("{left} s left")), &style, Align::Center);
        }
    }

    /// A text of the screen's own in the client's language.
    fn say<'a>(&self, english: &'a str) -> Cow<'a, str> {
        self.language.say(english)
    }

    /// What stands side by side below the card, and where.
    fn below(&self, choices: &ChoicesView) -> Vec<Below> {
        let layout = &self.layout;
        let style = layout.style(Weight::Regular, 12.5, theme::TEXT_DIM);
        let session = choices.session.as_ref().map(|name| (What::Session, Icon::Terminal, self.say(name).into_owned()));
        let items: Vec<_> =
            session.into_iter().chain([(What::Layout, Icon::Keyboard, choices.layout.clone())]).collect();
        let (padding, between) = (10.0 * layout.scale, 12.0 * layout.scale);
        let most = (layout.footer.width - between) / items.len() as f32;
        let width = |text: &str| (text_width(text, &style) + ICON_ROOM * layout.scale + 2.0 * padding).min(most);
        let all: f32 = items.iter().map(|(_, _, text)| width(text)).sum::<f32>() + between * (items.len() - 1) as f32;
        let mut x = layout.footer.x + (layout.footer.width - all) / 2.0;
        let place = |(what, icon, text): (What, Icon, String)| {
            let area = Area { x, width: width(&text), ..layout.footer };
            x += area.width + between;
            Below { what, icon, text, area }
        };
        items.into_iter().map(place).collect()
    }

    fn draw_below(&self, canvas: &mut Canvas, view: &View) {
        let layout = &self.layout;
        let scale = layout.scale;
        for Below { what, icon, text, area } in self.below(&view.choices) {
            let target = Some(Target::Menu(what));
            let is_open = view.choices.menu.as_ref().is_some_and(|(open, _)| *open == what);
            let color = if view.hovered == target || is_open { theme::TEXT } else { theme::TEXT_DIM };
            if view.focused == target {
                canvas.outline(area, theme::RADIUS * scale, 1.5 * scale, theme::ACCENT);
            }
            let inner = Area { x: area.x + 10.0 * scale, width: area.width - 20.0 * scale, ..area };
            let side = 16.0 * scale;
            canvas.icon(icon, Area::new(inner.x, area.y + (area.height - side) / 2.0, side, side), color);
            let room = ICON_ROOM * scale;
            let style = layout.style(Weight::Regular, 12.5, color);
            let text_area = Area { x: inner.x + room, width: inner.width - room + scale, ..area };
            canvas.text_in(text_area, &text, &style, Align::Left);
        }
    }

    fn draw_menu(&self, canvas: &mut Canvas, what: What, menu: &MenuView, hovered: Option<Target>) {
        let layout = &self.layout;
        let scale = layout.scale;
        let dim = layout.style(Weight::Regular, 13.5, theme::TEXT_DIM);
        let title = if what == What::Layout { "Keyboard layout" } else { "Session" };
        canvas.text_in(layout.subtitle, &self.say(title), &dim, Align::Center);
        for (index, row) in menu.rows.iter().enumerate() {
            let area = layout.menu_row(index);
            let is_selected = index == menu.selected;
            let color = if is_selected { theme::ON_ACCENT } else { theme::TEXT };
            if is_selected || hovered == Some(Target::Row(index)) {
                let fill = if is_selected { theme::ACCENT } else { theme::HOVER };
                canvas.rounded(area.inset(scale), theme::RADIUS * scale, fill);
            }
            let style = layout.style(Weight::Regular, 14.0, color);
            let text = Area { x: area.x + 13.0 * scale, width: area.width - 26.0 * scale, ..area };
            canvas.text_in(text, &self.say(row), &style, Align::Left);
        }
        let hidden = menu.above + menu.below;
        if hidden > 0.0 {
            let track = Area { x: layout.menu.x + layout.menu.width + 8.0 * scale, width: 4.0 * scale, ..layout.menu };
            canvas.rounded(track, 2.0 * scale, theme::RAISED);
            let (y, height) = (track.y + track.height * menu.above, track.height * (1.0 - hidden));
            canvas.rounded(Area { y, height, ..track }, 2.0 * scale, theme::TEXT_DIM);
        }
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

        if let Some(mark) = layout.mark {
            canvas.rounded(mark, 12.0 * scale, theme::ACCENT);
            canvas.icon(Icon::Terminal, mark.inset(11.0 * scale), theme::ON_ACCENT);
        }
        let title = layout.style(Weight::SemiBold, 21.0, theme::TEXT);
        canvas.text_in(layout.title, &self.host_name, &title, Align::Center);
        if let Some((what, menu)) = &view.choices.menu {
            return self.draw_menu(canvas, *what, menu, view.hovered);
        }
        match &view.page {
            Page::Final => self.draw_final_text(canvas, view),
            Page::Credentials => self.draw_credentials(canvas, view),
            Page::Dialogue(dialogue) => return self.draw_dialogue(canvas, dialogue, view),
        }
        self.draw_button(canvas, layout.button, &view.button, ButtonLook::Main);
    }

    fn draw_credentials(&self, canvas: &mut Canvas, view: &View) {
        let layout = &self.layout;
        let dim = layout.style(Weight::Regular, 13.5, theme::TEXT_DIM);
        canvas.text_in(layout.subtitle, &self.say("Log in to your desktop"), &dim, Align::Center);
        let label = layout.style(Weight::SemiBold, 12.5, theme::TEXT_DIM);
        canvas.text_in(layout.user_label, &self.say("User name"), &label, Align::Left);
        self.draw_field(canvas, layout.user, &view.user);
        canvas.text_in(layout.password_label, &self.say("Password"), &label, Align::Left);
        if view.caps_lock {
            let hint = layout.style(Weight::SemiBold, 12.5, theme::WARNING);
            canvas.text_in(layout.password_label, &self.say("Caps Lock is on"), &hint, Align::Right);
        }
        self.draw_field(canvas, layout.password, &view.password);
        self.draw_eye(canvas, &view.password, view.hovered);
        self.draw_message(canvas, view);
    }

    fn draw_dialogue(&self, canvas: &mut Canvas, dialogue: &DialogueView, view: &View) {
        let layout = &self.layout;
        let dim = layout.style(Weight::Regular, 13.5, theme::TEXT_DIM);
        canvas.text_in(layout.subtitle, &dialogue.user, &dim, Align::Center);
        let Some(question) = &dialogue.question else {
            self.draw_told(canvas, layout.told, &dialogue.told, Align::Center);
            return self.draw_message(canvas, view);
        };
        // From below: the question above its field, and above it what was told, as much as there is room for.
        let style = layout.style(Weight::SemiBold, 13.5, theme::TEXT);
        let line = LINE * layout.scale;
        let lines = wrap(&self.say(&question.text), layout.dialogue.width, &style, 3);
        let height = line * lines.len() as f32;
        let bottom = layout.dialogue.y + layout.dialogue.height;
        for (index, text) in lines.iter().enumerate() {
            let y = bottom - height + line * index as f32;
            canvas.text_in(Area { y, height: line, ..layout.dialogue }, text, &style, Align::Left);
        }
        let room = layout.dialogue.height - height - 6.0 * layout.scale;
        self.draw_told(canvas, Area { height: room, ..layout.dialogue }, &dialogue.told, Align::Left);
        self.draw_field(canvas, layout.password, &question.answer);
        self.draw_eye(canvas, &question.answer, view.hovered);
        if view.caps_lock && question.hidden && view.message.is_none() {
            let hint = layout.style(Weight::SemiBold, 12.5, theme::WARNING);
            let area = Area { y: layout.message.y, height: 22.0 * layout.scale, ..layout.message };
            canvas.text_in(area, &self.say("Caps Lock is on"), &hint, Align::Right);
        }
        self.draw_message(canvas, view);
        self.draw_button(canvas, layout.cancel, &dialogue.cancel, ButtonLook::Other);
        self.draw_button(canvas, layout.go_on, &view.button, ButtonLook::Main);
    }

    /// What was told, the newest of it where there is not room for all. With an error among it, all is beside its sign.
    fn draw_told(&self, canvas: &mut Canvas, area: Area, told: &[(Tone, String)], align: Align) {
        let layout = &self.layout;
        let line = LINE * layout.scale;
        let has_error = told.iter().any(|(tone, _)| *tone == Tone::Error);
        let (indent, align) = if has_error { (24.0 * layout.scale, Align::Left) } else { (0.0, align) };
        let most = (area.height / line).floor().max(0.0) as usize;
        let mut rows = Vec::new();
        for (tone, text) in told {
            let style = layout.style(Weight::Regular, 13.0, tone_color(*tone));
            let wrapped = wrap(&self.say(text), area.width - indent, &style, most.min(4));
            rows.extend(wrapped.into_iter().enumerate().map(|(index, text)| (index == 0, *tone, text)));
        }
        let shown = rows.get(rows.len().saturating_sub(most)..).unwrap_or_default();
        let top = area.y + (area.height - line * shown.len() as f32) / 2.0;
        for (index, (first, tone, text)) in shown.iter().enumerate() {
            let y = top + line * index as f32;
            let color = tone_color(*tone);
            if *first && *tone == Tone::Error {
                let side = 16.0 * layout.scale;
                canvas.icon(Icon::Warning, Area::new(area.x, y + (line - side) / 2.0, side, side), color);
            }
            let style = layout.style(Weight::Regular, 13.0, color);
            canvas.text_in(Area::new(area.x + indent, y, area.width - indent, line), text, &style, align);
        }
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
        let text_area = layout.text_area(area, field);
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

    /// The eye in the field of the password or of a hidden answer.
    fn draw_eye(&self, canvas: &mut Canvas, field: &FieldView, hovered: Option<Target>) {
        let Some(revealed) = field.revealed.filter(|_| field.enabled) else { return };
        let (area, side) = (self.layout.eye(self.layout.password), 18.0 * self.layout.scale);
        let color = match (revealed, hovered == Some(Target::Reveal)) {
            (true, _) => theme::ACCENT_HOVER,
            (false, true) => theme::TEXT,
            (false, false) => theme::TEXT_DIM,
        };
        let (x, y) = (area.x + (area.width - side) / 2.0, area.y + (area.height - side) / 2.0);
        canvas.icon(Icon::Reveal, Area::new(x, y, side, side), color);
    }

    fn draw_message(&self, canvas: &mut Canvas, view: &View) {
        let Some((tone, text)) = &view.message else { return };
        let layout = &self.layout;
        let color = tone_color(*tone);
        let style = layout.style(Weight::Regular, 13.0, color);
        let line = 18.0 * layout.scale;
        let icon = if *tone == Tone::Plain { 0.0 } else { 24.0 * layout.scale };
        let area = layout.message;
        let lines = wrap(&self.say(text), area.width - icon, &style, 2);
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
        canvas.text_in(layout.subtitle, &self.say("You cannot be logged in now"), &heading, Align::Center);
        let area = layout.final_text;
        let side = 30.0 * layout.scale;
        canvas.icon(Icon::Warning, Area { height: side, ..area }, theme::WARNING);
        let style = layout.style(Weight::Regular, 14.0, theme::TEXT);
        let line = 21.0 * layout.scale;
        let mut y = area.y + side + 14.0 * layout.scale;
        for text in wrap(&self.say(text), area.width, &style, 6) {
            canvas.text_in(Area { y, height: line, ..area }, &text, &style, Align::Center);
            y += line;
        }
    }

    fn draw_button(&self, canvas: &mut Canvas, area: Area, button: &ButtonView, look: ButtonLook) {
        let scale = self.layout.scale;
        let radius = theme::RADIUS * 1.2 * scale;
        let (rest, hover, on) = match look {
            ButtonLook::Main => (theme::ACCENT, theme::ACCENT_HOVER, theme::ON_ACCENT),
            ButtonLook::Other => (theme::RAISED, theme::HOVER, theme::TEXT),
        };
        let color = match button {
            ButtonView { enabled: false, .. } => theme::RAISED,
            ButtonView { pressed: true, hovered: true, .. } => mix(rest, theme::SURFACE, 0.25),
            ButtonView { hovered: true, .. } => hover,
            _ => rest,
        };
        canvas.rounded(area, radius, color);
        if look == ButtonLook::Other {
            canvas.outline(area, radius, scale.max(1.0), theme::BORDER);
        }
        if button.focused {
            canvas.outline(area.inset(-3.0 * scale), radius + 3.0 * scale, 2.0 * scale, theme::TEXT);
        }
        let text = if button.enabled { on } else { theme::TEXT_DIM };
        let style = self.layout.style(Weight::SemiBold, 14.5, text);
        canvas.text_in(area, &self.say(button.label), &style, Align::Center);
    }
}

/// Something below the card that opens a menu.
struct Below {
    what: What,
    icon: Icon,
    text: String,
    area: Area,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ButtonLook {
    /// What Enter does.
    Main,
    Other,
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
