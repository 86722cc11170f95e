//! The furniture: title bars, the bar, the panel in front, the background. What it looks like is drawn by
//! `desktop::shell`; here is when, and where it is.

use super::Ask;
use super::core::Compositor;
use super::geometry::{Area, Extent, Part, Place, TITLE};
use super::keyboard::PanelKey;
use super::layout::{Fit, Frame, WindowId};
use super::pointer::Spot;
use super::scene::Lines;
use crate::desktop::shell::bar::{self, Bar, BarPart, WindowButton};
use crate::desktop::shell::panel::{self, Answer, Panel};
use crate::desktop::shell::title::{self, Title};
use crate::render::piece::Piece;
use crate::source::Request;
use std::collections::HashMap;

/// How much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The embedded desktop: the bar too.
    Desktop,
    /// Another desktop runs in front; only frames and panels.
    Windows,
}

pub struct Furniture {
    kind: Kind,
    clock: String,
    pub(super) bar: Piece<Bar>,
    pub(super) titles: HashMap<WindowId, Piece<Title>>,
    pub(super) lines: HashMap<WindowId, Lines>,
    panel: Option<Panel>,
    pub(super) panel_piece: Piece<Panel>,
}

impl Furniture {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            clock: String::new(),
            bar: Piece::default(),
            titles: HashMap::new(),
            lines: HashMap::new(),
            panel: None,
            panel_piece: Piece::default(),
        }
    }

    pub fn bar_height(&self) -> i32 {
        match self.kind {
            Kind::Desktop => bar::HEIGHT,
            Kind::Windows => 0,
        }
    }

    pub fn has_bar(&self) -> bool {
        self.kind == Kind::Desktop
    }

    /// Whether the panel takes all input.
    pub fn is_modal(&self) -> bool {
        self.panel.is_some()
    }

    pub fn forget(&mut self, id: WindowId) {
        self.titles.remove(&id);
        self.lines.remove(&id);
    }

    pub fn bar_area(&self, output: Extent) -> Option<Area> {
        let height = self.bar_height();
        (height > 0).then(|| Area::new((0, output.h - height).into(), (output.w, height).into()))
    }

    pub fn bar_part_at(&self, place: Place, output: Extent) -> Option<BarPart> {
        let area = self.bar_area(output).filter(|area| area.contains(place))?;
        let inside = place - area.loc;
        Some(self.bar.shown().map_or(BarPart::Empty, |bar| bar.part_at(inside.x, inside.y)))
    }

    /// Where the panel is on an output of this size.
    pub fn panel_area(&self, output: Extent) -> Option<Area> {
        let panel = self.panel.as_ref()?;
        let (width, height) = panel.size(output.w);
        Some(Area::new(((output.w - width) / 2, ((output.h - height) * 2 / 5).max(0)).into(), (width, height).into()))
    }

    pub fn panel_button_at(&self, place: Place, output: Extent) -> Option<usize> {
        let area = self.panel_area(output)?;
        let inside = place - area.loc;
        self.panel.as_ref()?.button_at(inside.x, inside.y, area.size.w)
    }
}

impl Compositor {
    pub(super) fn set_clock(&mut self, text: String) {
        if self.furniture.clock != text {
            self.furniture.clock = text;
            self.damaged |= self.furniture.has_bar();
        }
    }

    /// Shows a message in front of everything until it is clicked away.
    pub(super) fn show_message(&mut self, title: String, lines: Vec<String>) {
        self.show_panel(Panel::message(title, lines));
    }

    pub(super) fn ask_log_out(&mut self) {
        self.show_panel(Panel::log_out());
    }

    fn show_panel(&mut self, panel: Panel) {
        self.furniture.panel = Some(panel);
        self.update_focus();
        self.refresh_pointer();
    }

    fn close_panel(&mut self) {
        self.furniture.panel = None;
        self.update_focus();
        self.refresh_pointer();
    }

    pub(super) fn answer_panel(&mut self, button: usize) {
        match self.furniture.panel.as_ref().and_then(|panel| panel.answer(button)) {
            Some(Answer::LogOut) => self.requests.push(Request::LogOut),
            Some(Answer::Seen) => self.asks.push(Ask::MessageSeen),
            Some(Answer::Cancel) | None => {}
        }
        self.close_panel();
    }

    /// A question that nobody sees is taken back: whoever comes next would answer it with their first key.
    pub(super) fn take_question_back(&mut self) {
        if self.furniture.panel.as_ref().is_some_and(|panel| !panel.is_message()) {
            self.close_panel();
        }
    }

    /// A message goes at any key and any click.
    pub(super) fn dismiss_message(&mut self) {
        if self.furniture.panel.as_ref().is_some_and(Panel::is_message) {
            self.answer_panel(0);
        }
    }

    pub(super) fn panel_key(&mut self, key: PanelKey) {
        let Some(panel) = self.furniture.panel.as_mut() else { return };
        match key {
            PanelKey::Confirm => {
                let button = panel.selected();
                self.answer_panel(button);
            }
            PanelKey::Cancel => {
                let button = panel.cancel();
                self.answer_panel(button);
            }
            PanelKey::Next => {
                panel.select_next();
                self.damaged = true;
            }
            PanelKey::Other => self.dismiss_message(),
        }
    }

    /// Draws again what looks different from what is shown.
    pub(super) fn update_furniture(&mut self) {
        let output = self.layout.output().size;
        self.update_titles();
        if let Some(area) = self.furniture.bar_area(output) {
            let bar = Bar::new(area.size.w, self.window_buttons(), self.furniture.clock.clone(), self.bar_look());
            self.furniture.bar.show(bar, area.loc, bar::draw);
        }
        match (self.furniture.panel.clone(), self.furniture.panel_area(output)) {
            (Some(mut panel), Some(area)) => {
                panel.hover = match self.buttons.hover {
                    Some(Spot::Panel(button)) => button,
                    _ => None,
                };
                panel.width = area.size.w;
                self.furniture.panel_piece.show(panel, area.loc, panel::draw);
            }
            _ => self.furniture.panel_piece.hide(),
        }
    }

    fn bar_look(&self) -> bar::Look {
        let part = |spot: Option<Spot>| match spot {
            Some(Spot::Bar(part)) => Some(part),
            _ => None,
        };
        bar::Look { hover: part(self.buttons.hover), pressed: part(self.buttons.pressed()) }
    }

    fn window_buttons(&self) -> Vec<WindowButton> {
        let shown = self.windows.iter().filter(|window| window.mapped);
        shown
            .filter_map(|window| {
                let placed = self.layout.get(window.id)?;
                // A dialog is found by its window's button.
                placed.parent.is_none_or(|parent| self.layout.get(parent).is_none()).then(|| WindowButton {
                    id: window.id,
                    title: window.title.clone(),
                    active: self.layout.active() == Some(window.id),
                    minimised: placed.minimised,
                })
            })
            .collect()
    }

    fn update_titles(&mut self) {
        let active = self.layout.active().filter(|_| !self.furniture.is_modal());
        for placed in self.layout.visible() {
            if placed.frame != Frame::Ours || placed.fit == Fit::Fullscreen {
                continue;
            }
            let frame = self.layout.frame_of(placed);
            let part = |spot: Option<Spot>| match spot {
                Some(Spot::Frame(id, part)) if id == placed.id => {
                    matches!(part, Part::Close | Part::Maximise | Part::Minimise).then_some(part)
                }
                _ => None,
            };
            let title = Title {
                width: frame.size.w,
                height: TITLE,
                text: self.windows.get(placed.id).map(|window| window.title.clone()).unwrap_or_default(),
                active: active == Some(placed.id),
                maximised: placed.fit == Fit::Maximised,
                sizeable: !placed.limits.is_fixed(),
                hover: part(self.buttons.hover),
                pressed: part(self.buttons.pressed()),
            };
            self.furniture.titles.entry(placed.id).or_default().show(title, frame.loc, title::draw);
        }
    }
}
