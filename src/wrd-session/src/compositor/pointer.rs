//! The pointer: what is below it, presses, drags of windows, the wheel.

use super::Ask;
use super::core::Compositor;
use super::geometry::{Area, Edges, Part, Place};
use super::layout::{Fit, Frame, WindowId};
use crate::desktop::shell::bar::BarPart;
use crate::source::{Axis as WheelAxis, Press, Request};
use smithay::backend::input::{Axis, AxisSource, ButtonState};
use smithay::desktop::{PopupManager, WindowSurfaceType};
use smithay::input::pointer::{AxisFrame, ButtonEvent, CursorIcon, MotionEvent};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{Logical, Point, SERIAL_COUNTER};
use std::collections::HashSet;

const BTN_LEFT: u32 = 0x110;
const BTN_RIGHT: u32 = 0x111;
/// Two presses within this many ms are a double click.
const DOUBLE_CLICK_MS: u32 = 400;
/// A maximised window comes off after so many px.
const TEAR_OFF: i32 = 8;
/// One detent of the wheel is 15 of Wayland's axis units, as with libinput.
const AXIS_PER_V120: f64 = 15.0 / 120.0;

/// What is at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    Nothing,
    /// The panel in front of everything; one of its buttons, if any.
    Panel(Option<usize>),
    Bar(BarPart),
    Frame(WindowId, Part),
    /// A client's surface, popups too.
    Client(WindowId),
}

type SurfaceAt = (WlSurface, Point<f64, Logical>);

/// Buttons that are down, and what they have begun.
#[derive(Default)]
pub struct Buttons {
    down: HashSet<u32>,
    /// Presses that no client saw.
    swallowed: HashSet<u32>,
    /// The furniture that was pressed and acts when it is released there.
    armed: Option<Spot>,
    pub(super) hover: Option<Spot>,
    last_press: Option<(Spot, u32)>,
}

impl Buttons {
    /// The furniture that looks pressed.
    pub(super) fn pressed(&self) -> Option<Spot> {
        self.armed.filter(|armed| self.hover == Some(*armed))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DragKind {
    Move,
    Resize(Edges),
}

/// A window that follows the pointer.
pub struct Drag {
    pub id: WindowId,
    pub kind: DragKind,
    button: u32,
    pointer: Place,
    frame: Area,
    content: Area,
}

impl Compositor {
    pub(super) fn pointer_moved(&mut self, x: u16, y: u16) {
        let output = self.layout.output().size;
        let x = f64::from(i32::from(x).min(output.w - 1));
        let y = f64::from(i32::from(y).min(output.h - 1));
        self.move_pointer((x, y).into());
    }

    /// Something else may be below the pointer now.
    pub(super) fn refresh_pointer(&mut self) {
        if self.drag.is_none() {
            self.move_pointer(self.pointer.current_location());
        }
    }

    fn move_pointer(&mut self, location: Point<f64, Logical>) {
        let (spot, surface) = self.at(location);
        let surface = surface.filter(|_| self.drag.is_none());
        let (serial, time) = (SERIAL_COUNTER.next_serial(), self.time());
        let pointer = self.pointer.clone();
        pointer.motion(self, surface, &MotionEvent { location, serial, time });
        pointer.frame(self);
        if self.drag.is_some() {
            self.drag_to(location.to_i32_round());
            return;
        }
        if self.drag_icon.is_some() {
            self.damaged = true;
        }
        let held_by_client = pointer.is_grabbed() && self.buttons.armed.is_none();
        self.set_hover(if held_by_client { None } else { Some(spot) });
    }

    fn set_hover(&mut self, hover: Option<Spot>) {
        self.cursor.set_ours(hover.and_then(cursor_over));
        if self.buttons.hover != hover {
            let furniture = |spot: Option<Spot>| !matches!(spot, None | Some(Spot::Nothing | Spot::Client(_)));
            self.damaged |= furniture(self.buttons.hover) || furniture(hover);
            self.buttons.hover = hover;
        }
    }

    /// What is at a place of the output, from the front to the back.
    fn at(&self, location: Point<f64, Logical>) -> (Spot, Option<SurfaceAt>) {
        let place: Place = location.to_i32_floor();
        if self.furniture.is_modal() {
            return (Spot::Panel(self.furniture.panel_button_at(place, self.layout.output().size)), None);
        }
        let active = self.layout.active();
        if let Some(id) = active
            && let Some(surface) =
                self.surface_at(id, location, WindowSurfaceType::POPUP | WindowSurfaceType::SUBSURFACE)
        {
            return (Spot::Client(id), Some(surface));
        }
        if !self.layout.is_covered()
            && let Some(part) = self.furniture.bar_part_at(place, self.layout.output().size)
        {
            return (Spot::Bar(part), None);
        }
        for placed in self.layout.visible() {
            if let Some(surface) = self.surface_at(placed.id, location, WindowSurfaceType::ALL) {
                return (Spot::Client(placed.id), Some(surface));
            }
            match self.layout.part_at(placed, place) {
                Some(part) => return (Spot::Frame(placed.id, part), None),
                // Where a fullscreen client draws less than the output, black is there and nothing else.
                None if placed.fit == Fit::Fullscreen => return (Spot::Client(placed.id), None),
                None => {}
            }
        }
        (Spot::Nothing, None)
    }

    fn surface_at(&self, id: WindowId, location: Point<f64, Logical>, kind: WindowSurfaceType) -> Option<SurfaceAt> {
        let window = self.windows.get(id)?;
        let placed = self.layout.get(id)?;
        let origin = self.layout.content_of(placed).loc - window.geometry().loc;
        let inside = location - origin.to_f64();
        // With a frame of ours what the client draws outside its geometry is none of a window's business.
        let clipped = placed.frame == Frame::Ours && kind.contains(WindowSurfaceType::TOPLEVEL);
        let kind = if clipped && !self.layout.content_of(placed).to_f64().contains(location) {
            kind - WindowSurfaceType::TOPLEVEL
        } else {
            kind
        };
        if !kind.contains(WindowSurfaceType::TOPLEVEL)
            && PopupManager::popups_for_surface(window.wl_surface()).next().is_none()
        {
            return None;
        }
        let (surface, offset) = window.surface.surface_under(inside, kind)?;
        Some((surface, (offset + origin).to_f64()))
    }

    pub(super) fn pointer_pressed(&mut self, code: u32, press: Press) {
        match press {
            Press::Pressed if self.buttons.down.insert(code) => self.press(code),
            Press::Released if self.buttons.down.remove(&code) => self.release(code),
            // Clients repeat neither; a release without its press was before our time.
            Press::Pressed | Press::Released => {}
        }
    }

    fn press(&mut self, code: u32) {
        let location = self.pointer.current_location();
        let (spot, _) = self.at(location);
        if let Spot::Client(id) | Spot::Frame(id, _) = spot {
            let modifiers = self.keyboard.modifier_state();
            let held = (modifiers.alt || modifiers.logo) && !modifiers.ctrl && !modifiers.shift;
            if held && !self.is_left_alone() && (code == BTN_LEFT || code == BTN_RIGHT) && !self.pointer.is_grabbed() {
                self.buttons.swallowed.insert(code);
                self.activate(id);
                let kind = if code == BTN_LEFT { DragKind::Move } else { self.nearest_corner(id, location) };
                self.begin_drag(id, kind, code);
                return;
            }
        }
        self.send_button(code, ButtonState::Pressed);
        if let Spot::Client(id) | Spot::Frame(id, _) = spot {
            self.activate(id);
        }
        if code != BTN_LEFT {
            return;
        }
        let time = self.time();
        let again = self
            .buttons
            .last_press
            .take()
            .is_some_and(|(before, at)| before == spot && time.wrapping_sub(at) < DOUBLE_CLICK_MS);
        match spot {
            Spot::Frame(id, Part::Title) if again => self.toggle_maximised(id),
            Spot::Frame(id, Part::Title) => {
                self.buttons.last_press = Some((spot, time));
                self.begin_drag(id, DragKind::Move, code);
            }
            Spot::Frame(id, Part::Edge(edges)) => self.begin_drag(id, DragKind::Resize(edges), code),
            Spot::Frame(..) | Spot::Bar(_) | Spot::Panel(Some(_)) => {
                self.buttons.armed = Some(spot);
                self.set_hover(Some(spot));
                self.damaged = true;
            }
            Spot::Panel(None) => self.dismiss_message(),
            Spot::Client(_) | Spot::Nothing => {}
        }
    }

    fn release(&mut self, code: u32) {
        if self.drag.as_ref().is_some_and(|drag| drag.button == code) {
            self.end_drag();
        }
        if !self.buttons.swallowed.remove(&code) {
            self.send_button(code, ButtonState::Released);
        }
        if code == BTN_LEFT
            && let Some(armed) = self.buttons.armed.take()
        {
            self.damaged = true;
            let (spot, _) = self.at(self.pointer.current_location());
            if spot == armed {
                self.clicked(spot);
            }
        }
        self.refresh_pointer();
    }

    /// Lets go of everything without acting on it.
    pub(super) fn release_buttons(&mut self) {
        self.buttons.armed = None;
        if self.drag.is_some() {
            self.end_drag();
        }
        for code in std::mem::take(&mut self.buttons.down) {
            if !self.buttons.swallowed.remove(&code) {
                self.send_button(code, ButtonState::Released);
            }
        }
    }

    fn send_button(&mut self, button: u32, state: ButtonState) {
        let event = ButtonEvent { serial: SERIAL_COUNTER.next_serial(), time: self.time(), button, state };
        let pointer = self.pointer.clone();
        pointer.button(self, &event);
        pointer.frame(self);
    }

    fn clicked(&mut self, spot: Spot) {
        match spot {
            Spot::Frame(id, Part::Close) => self.close(id),
            Spot::Frame(id, Part::Maximise) => self.toggle_maximised(id),
            Spot::Frame(id, Part::Minimise) => self.minimise(id),
            Spot::Bar(BarPart::Terminal) => self.asks.push(Ask::StartTerminal),
            Spot::Bar(BarPart::Window(id)) if self.layout.active() == Some(id) => self.minimise(id),
            Spot::Bar(BarPart::Window(id)) => self.activate(id),
            Spot::Bar(BarPart::Disconnect) => self.requests.push(Request::Disconnect),
            Spot::Bar(BarPart::LogOut) => self.ask_log_out(),
            Spot::Panel(Some(button)) => self.answer_panel(button),
            Spot::Frame(..) | Spot::Bar(BarPart::Empty) | Spot::Panel(None) | Spot::Client(_) | Spot::Nothing => {}
        }
    }

    pub(super) fn wheel(&mut self, axis: WheelAxis, v120: i32) {
        let axis = match axis {
            WheelAxis::Vertical => Axis::Vertical,
            WheelAxis::Horizontal => Axis::Horizontal,
        };
        let frame = AxisFrame::new(self.time())
            .source(AxisSource::Wheel)
            .value(axis, f64::from(v120) * AXIS_PER_V120)
            .v120(axis, v120);
        let pointer = self.pointer.clone();
        pointer.axis(self, frame);
        pointer.frame(self);
    }

    pub(super) fn begin_drag(&mut self, id: WindowId, kind: DragKind, button: u32) {
        let Some(placed) = self.layout.get(id) else { return };
        let possible = match kind {
            DragKind::Move => placed.fit != Fit::Fullscreen,
            DragKind::Resize(edges) => placed.fit == Fit::Floating && edges.any(),
        };
        if !possible || !self.buttons.down.contains(&button) {
            return;
        }
        let (frame, content) = (self.layout.frame_of(placed), self.layout.content_of(placed));
        let pointer = self.pointer.current_location().to_i32_round();
        self.drag = Some(Drag { id, kind, button, pointer, frame, content });
        self.cursor.set_ours(match kind {
            DragKind::Move => None,
            DragKind::Resize(edges) => Some(resize_cursor(edges)),
        });
        // The client below is no longer concerned.
        let location = self.pointer.current_location();
        self.move_pointer(location);
        self.sync_window(id);
    }

    fn drag_to(&mut self, now: Place) {
        let Some(drag) = &mut self.drag else { return };
        let by = now - drag.pointer;
        let id = drag.id;
        match drag.kind {
            DragKind::Move => {
                let maximised = self.layout.get(id).is_some_and(|placed| placed.fit == Fit::Maximised);
                if maximised {
                    if by.x.abs().max(by.y.abs()) < TEAR_OFF {
                        return;
                    }
                    self.layout.tear_off(id, now);
                    drag.pointer = now;
                    drag.frame = self.layout.get(id).map_or(drag.frame, |placed| self.layout.frame_of(placed));
                    self.sync_window(id);
                } else {
                    let corner = drag.frame.loc + by;
                    self.layout.move_frame(id, corner);
                }
            }
            DragKind::Resize(edges) => {
                let content = drag.content;
                self.layout.resize(id, edges, content, by);
                self.sync_window(id);
            }
        }
        self.damaged = true;
    }

    fn end_drag(&mut self) {
        let Some(drag) = self.drag.take() else { return };
        if let DragKind::Resize(_) = drag.kind {
            self.sync_window(drag.id);
            if let Some(window) = self.windows.get_mut(drag.id) {
                window.resize_end = window.unacknowledged;
                if window.resize_end.is_none() {
                    self.layout.end_resize(drag.id);
                }
            }
        }
        self.refresh_pointer();
    }

    fn nearest_corner(&self, id: WindowId, location: Point<f64, Logical>) -> DragKind {
        let area = self.layout.get(id).map(|placed| self.layout.frame_of(placed)).unwrap_or_default();
        let inside: Place = location.to_i32_floor::<i32>() - area.loc;
        let (left, top) = (inside.x < area.size.w / 2, inside.y < area.size.h / 2);
        DragKind::Resize(Edges { left, right: !left, top, bottom: !top })
    }
}

/// The pointer's shape over furniture; `None` over what has none of ours.
fn cursor_over(spot: Spot) -> Option<CursorIcon> {
    match spot {
        Spot::Client(_) => None,
        Spot::Frame(_, Part::Edge(edges)) => Some(resize_cursor(edges)),
        Spot::Nothing | Spot::Panel(_) | Spot::Bar(_) | Spot::Frame(..) => Some(CursorIcon::Default),
    }
}

fn resize_cursor(edges: Edges) -> CursorIcon {
    match (edges.left, edges.right, edges.top, edges.bottom) {
        (true, _, true, _) => CursorIcon::NwResize,
        (_, true, true, _) => CursorIcon::NeResize,
        (true, _, _, true) => CursorIcon::SwResize,
        (_, true, _, true) => CursorIcon::SeResize,
        (true, ..) => CursorIcon::WResize,
        (_, true, ..) => CursorIcon::EResize,
        (_, _, true, _) => CursorIcon::NResize,
        _ => CursorIcon::SResize,
    }
}
