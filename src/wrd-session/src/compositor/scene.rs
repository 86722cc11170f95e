//! What is to be seen, from the front to the back, and who may draw the next frame.

use super::core::Compositor;
use super::geometry::{BORDER, TITLE};
use super::layout::{Fit, Frame, Placed};
use super::windows::Window;
use crate::desktop::shell::title::frame_color;
use crate::render::screen::Element;
use smithay::backend::renderer::Color32F;
use smithay::backend::renderer::element::Kind;
use smithay::backend::renderer::element::solid::{SolidColorBuffer, SolidColorRenderElement};
use smithay::backend::renderer::element::surface::render_elements_from_surface_tree;
use smithay::backend::renderer::pixman::PixmanRenderer;
use smithay::desktop::PopupManager;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Physical, Point};
use smithay::wayland::compositor::{SurfaceAttributes, TraversalAction, with_surface_tree_downward};

/// The line around a floating window: left, right and bottom (the top is the title bar's), and the ground
/// of a window that draws less than it should.
#[derive(Default)]
pub struct Lines([SolidColorBuffer; 4]);

impl Compositor {
    pub(super) fn elements(&mut self, renderer: &mut PixmanRenderer) -> Vec<Element> {
        let mut elements = Vec::new();
        if let Some(icon) = self.drag_icon.as_ref() {
            let at = self.pointer.current_location().to_i32_round::<i32>();
            elements.extend(surfaces(renderer, icon, (at.x, at.y).into()));
        }
        elements.extend(self.furniture.panel_piece.element(renderer).map(Element::Furniture));
        let active = self.layout.active();
        if let Some((window, placed)) = active.and_then(|id| self.windows.get(id).zip(self.layout.get(id))) {
            self.popup_elements(renderer, window, placed, &mut elements);
        }
        if !self.layout.is_covered() {
            elements.extend(self.furniture.bar.element(renderer).map(Element::Furniture));
        }
        let visible: Vec<_> = self.layout.visible().map(|placed| placed.id).collect();
        for id in visible {
            let Some((window, placed)) = self.windows.get(id).zip(self.layout.get(id)) else { continue };
            if active != Some(id) {
                self.popup_elements(renderer, window, placed, &mut elements);
            }
            let origin = self.layout.content_of(placed).loc - window.geometry().loc;
            elements.extend(surfaces(renderer, window.wl_surface(), (origin.x, origin.y).into()));
            if placed.frame == Frame::Ours && placed.fit != Fit::Fullscreen {
                elements.extend(
                    self.furniture.titles.get(&id).and_then(|title| title.element(renderer)).map(Element::Furniture),
                );
            }
            let lines = self.furniture.lines.entry(id).or_default();
            elements.extend(lines.around(&self.layout, id, active == Some(id)).map(Element::Line));
        }
        elements
    }

    fn popup_elements(&self, renderer: &mut PixmanRenderer, window: &Window, placed: &Placed, out: &mut Vec<Element>) {
        let origin = self.layout.content_of(placed).loc;
        for (popup, offset) in PopupManager::popups_for_surface(window.wl_surface()) {
            let at = origin + offset - popup.geometry().loc;
            out.extend(surfaces(renderer, popup.wl_surface(), (at.x, at.y).into()));
        }
    }

    /// Lets everything that was just shown draw its next frame.
    pub(super) fn send_frames(&mut self) {
        let time = self.time();
        let visible = self.layout.visible().filter_map(|placed| self.windows.get(placed.id));
        for window in visible {
            send_window_frames(window, time);
        }
        for surface in self.cursor.surface().into_iter().chain(self.drag_icon.as_ref()) {
            send_tree_frames(surface, time);
        }
    }

    /// Lets everybody draw a frame that nobody sees; whether anybody had been waiting.
    pub(super) fn send_lazy_frames(&mut self) -> bool {
        let time = self.time();
        let mut sent = 0;
        for window in self.windows.iter() {
            sent += send_window_frames(window, time);
        }
        for surface in self.cursor.surface().into_iter().chain(self.drag_icon.as_ref()) {
            sent += send_tree_frames(surface, time);
        }
        sent > 0
    }
}

impl Lines {
    fn around(
        &mut self,
        layout: &super::layout::Layout,
        id: super::layout::WindowId,
        active: bool,
    ) -> impl Iterator<Item = SolidColorRenderElement> + use<> {
        let mut out = Vec::new();
        let Some(placed) = layout.get(id) else { return out.into_iter() };
        let frame = layout.frame_of(placed);
        let content = layout.content_of(placed);
        let color = frame_color(active);
        let color =
            Color32F::new(f32::from(color.r) / 255.0, f32::from(color.g) / 255.0, f32::from(color.b) / 255.0, 1.0);
        let height = (frame.size.h - TITLE).max(0);
        let right = frame.loc.x + frame.size.w - BORDER;
        let bottom = frame.loc.y + frame.size.h - BORDER;
        let lined = placed.frame == Frame::Ours && placed.fit == Fit::Floating;
        let grounded = placed.fit != Fit::Floating;
        let lines = [
            (lined, (frame.loc.x, frame.loc.y + TITLE), (BORDER, height), color),
            (lined, (right, frame.loc.y + TITLE), (BORDER, height), color),
            (lined, (frame.loc.x, bottom), (frame.size.w, BORDER), color),
            (grounded, (content.loc.x, content.loc.y), (content.size.w, content.size.h), Color32F::BLACK),
        ];
        for (buffer, (wanted, place, size, color)) in self.0.iter_mut().zip(lines) {
            if wanted {
                buffer.update(size, color);
                out.push(SolidColorRenderElement::from_buffer(buffer, place, 1.0, 1.0, Kind::Unspecified));
            }
        }
        out.into_iter()
    }
}

fn surfaces(renderer: &mut PixmanRenderer, surface: &WlSurface, at: Point<i32, Physical>) -> Vec<Element> {
    render_elements_from_surface_tree(renderer, surface, at, 1.0, 1.0, Kind::Unspecified)
}

fn send_window_frames(window: &Window, time: u32) -> usize {
    let popups = PopupManager::popups_for_surface(window.wl_surface());
    let of_popups: usize = popups.map(|(popup, _)| send_tree_frames(popup.wl_surface(), time)).sum();
    of_popups + send_tree_frames(window.wl_surface(), time)
}

fn send_tree_frames(surface: &WlSurface, time: u32) -> usize {
    let mut sent = 0;
    with_surface_tree_downward(
        surface,
        (),
        |_, _, ()| TraversalAction::DoChildren(()),
        |_, states, ()| {
            for callback in states.cached_state.get::<SurfaceAttributes>().current().frame_callbacks.drain(..) {
                callback.done(time);
                sent += 1;
            }
        },
        |_, _, ()| true,
    );
    sent
}
