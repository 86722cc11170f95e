//! Window management: from what clients ask for and draw to the layout, and back to them.

use super::core::Compositor;
use super::layout::{Fit, WindowId};
use super::pointer::DragKind;
use smithay::backend::renderer::utils::with_renderer_surface_state;
use smithay::reexports::wayland_protocols::xdg::decoration::zv1::server::zxdg_toplevel_decoration_v1::Mode;
use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel::State;
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{SERIAL_COUNTER, Serial};
use smithay::wayland::shell::xdg::ToplevelSurface;

impl Compositor {
    /// A surface of this window's tree was committed; `of_root` where it was the toplevel itself.
    pub(super) fn window_committed(&mut self, id: WindowId, of_root: bool) {
        let Some(window) = self.windows.get(id) else { return };
        window.surface.on_commit();
        let drawn = with_renderer_surface_state(window.wl_surface(), |state| state.buffer().is_some()).unwrap_or(false);
        match (window.mapped, drawn) {
            (false, false) if of_root => self.configure_first(id),
            (false, false) => {}
            (false, true) => self.map(id),
            (true, false) => self.unmap(id),
            (true, true) => self.drawn(id),
        }
    }

    fn configure_first(&mut self, id: WindowId) {
        let Some(window) = self.windows.get(id) else { return };
        if window.toplevel.is_initial_configure_sent() {
            return;
        }
        let (fit, bounds, output) = (window.initial, self.layout.work_area().size, self.layout.output().size);
        let title = if window.decoration == Some(Mode::ServerSide) { super::geometry::TITLE } else { 0 };
        window.toplevel.with_pending_state(|state| {
            state.bounds = Some(bounds);
            match fit {
                Fit::Floating => state.size = None,
                Fit::Maximised => {
                    state.size = Some((bounds.w, (bounds.h - title).max(1)).into());
                    state.states.set(State::Maximized);
                }
                Fit::Fullscreen => {
                    state.size = Some(output);
                    state.states.set(State::Fullscreen);
                }
            }
        });
        window.toplevel.send_configure();
    }

    fn map(&mut self, id: WindowId) {
        let Some(window) = self.windows.get_mut(id) else { return };
        window.mapped = true;
        window.read_title();
        let (size, frame, limits, fit) = (window.geometry().size, window.frame(), window.limits(), window.initial);
        let parent = window.toplevel.parent();
        self.output.enter(window.wl_surface());
        let parent = parent.and_then(|parent| self.windows.by_surface(&parent));
        self.layout.add(id, size, frame, parent);
        self.layout.set_limits(id, limits);
        if fit != Fit::Floating {
            self.layout.set_fit(id, fit);
        }
        self.update_focus();
        self.refresh_pointer();
    }

    fn unmap(&mut self, id: WindowId) {
        if let Some(window) = self.windows.get_mut(id) {
            window.mapped = false;
            window.toplevel.reset_initial_configure_sent();
            self.output.leave(window.toplevel.wl_surface());
        }
        self.vanish(id);
    }

    pub(super) fn window_gone(&mut self, surface: &WlSurface) {
        if let Some(id) = self.windows.by_surface(surface) {
            self.windows.remove(id);
            self.vanish(id);
        }
    }

    fn vanish(&mut self, id: WindowId) {
        if self.drag.as_ref().is_some_and(|drag| drag.id == id) {
            self.drag = None;
        }
        self.layout.remove(id);
        self.furniture.forget(id);
        self.popups.cleanup();
        self.update_focus();
        self.refresh_pointer();
    }

    fn drawn(&mut self, id: WindowId) {
        let Some(window) = self.windows.get_mut(id) else { return };
        let (size, limits) = (window.geometry().size, window.limits());
        let (resized, stale) = (window.resize_has_ended(), window.stale);
        self.layout.set_limits(id, limits);
        self.layout.set_drawn(id, size);
        if resized {
            self.layout.end_resize(id);
        }
        if stale {
            self.sync_window(id);
        }
        if self.layout.get(id).is_some_and(|placed| !placed.minimised) {
            self.damaged = true;
        }
    }

    pub(super) fn retitle(&mut self, surface: &WlSurface) {
        if let Some(window) = self.windows.find_mut(surface) {
            window.read_title();
            self.damaged |= window.mapped;
        }
    }

    pub(super) fn set_decoration(&mut self, toplevel: &ToplevelSurface, mode: Mode) {
        let mode = if mode == Mode::ClientSide { Mode::ClientSide } else { Mode::ServerSide };
        toplevel.with_pending_state(|state| state.decoration_mode = Some(mode));
        let Some(window) = self.windows.find_mut(toplevel.wl_surface()) else { return };
        window.decoration = Some(mode);
        let (id, frame) = (window.id, window.frame());
        self.layout.set_frame(id, frame);
        if !toplevel.is_initial_configure_sent() {
            return;
        }
        if self.layout.get(id).is_some() {
            self.sync_window(id);
            self.damaged = true;
        } else if let Some(serial) = toplevel.send_pending_configure()
            && let Some(window) = self.windows.get_mut(id)
        {
            // Between the first configure and the first picture.
            window.unacknowledged = Some(serial);
        }
    }

    /// Tells the client everything that the layout has decided about its window.
    pub(super) fn sync_window(&mut self, id: WindowId) {
        let resizing = self.drag.as_ref().is_some_and(|drag| drag.id == id && matches!(drag.kind, DragKind::Resize(_)));
        let active = self.layout.active() == Some(id) && !self.furniture.is_modal();
        let bounds = self.layout.work_area().size;
        let Some(placed) = self.layout.get(id) else { return };
        let wanted = self.layout.wanted(placed);
        let (fit, minimised) = (placed.fit, placed.minimised);
        let Some(window) = self.windows.get_mut(id) else { return };
        if resizing && window.unacknowledged.is_some() {
            // One step at a time: the client gets the newest size when it has drawn the last.
            window.stale = true;
            return;
        }
        window.stale = false;
        window.toplevel.with_pending_state(|state| {
            state.size = Some(wanted);
            state.bounds = Some(bounds);
            for (flag, on) in [
                (State::Activated, active),
                (State::Maximized, fit == Fit::Maximised),
                (State::Fullscreen, fit == Fit::Fullscreen),
                (State::Resizing, resizing),
                (State::Suspended, minimised),
            ] {
                if on {
                    state.states.set(flag);
                } else {
                    state.states.unset(flag);
                }
            }
        });
        if let Some(serial) = window.toplevel.send_pending_configure() {
            window.unacknowledged = Some(serial);
        }
    }

    pub(super) fn sync_windows(&mut self) {
        let ids: Vec<_> = self.layout.stack().iter().map(|placed| placed.id).collect();
        for id in ids {
            self.sync_window(id);
        }
    }

    /// The keyboard goes where the layout says; all windows are told whether they are active.
    pub(super) fn update_focus(&mut self) {
        let active = self.layout.active().filter(|_| !self.furniture.is_modal());
        let surface = active.and_then(|id| self.windows.get(id)).map(|window| window.wl_surface().clone());
        self.sync_windows();
        if self.popup_grab.is_some() && self.popup_root() != surface {
            self.dismiss_popups();
        }
        if self.keyboard.current_focus() != surface {
            let keyboard = self.keyboard.clone();
            keyboard.set_focus(self, surface, SERIAL_COUNTER.next_serial());
        }
        self.damaged = true;
    }

    pub(super) fn activate(&mut self, id: WindowId) {
        if self.layout.active() == Some(id) && self.layout.visible().next().is_some_and(|top| top.id == id) {
            return;
        }
        self.layout.activate(id);
        self.update_focus();
        self.refresh_pointer();
    }

    pub(super) fn minimise(&mut self, id: WindowId) {
        self.layout.minimise(id);
        self.update_focus();
        self.refresh_pointer();
    }

    pub(super) fn close(&self, id: WindowId) {
        if let Some(window) = self.windows.get(id) {
            window.toplevel.send_close();
        }
    }

    pub(super) fn set_fit(&mut self, id: WindowId, fit: Fit) {
        self.layout.set_fit(id, fit);
        self.sync_windows();
        self.damaged = true;
        self.refresh_pointer();
    }

    pub(super) fn toggle_maximised(&mut self, id: WindowId) {
        let Some(placed) = self.layout.get(id) else { return };
        match placed.fit {
            Fit::Maximised => self.set_fit(id, Fit::Floating),
            Fit::Floating if !placed.limits.is_fixed() => self.set_fit(id, Fit::Maximised),
            Fit::Floating | Fit::Fullscreen => {}
        }
    }

    pub(super) fn client_wants_fit(&mut self, toplevel: &ToplevelSurface, fit: Fit) {
        let Some(window) = self.windows.find_mut(toplevel.wl_surface()) else { return };
        let id = window.id;
        if window.mapped {
            self.set_fit(id, fit);
        } else {
            window.initial = fit;
        }
        self.answer(toplevel);
    }

    pub(super) fn client_leaves_fullscreen(&mut self, toplevel: &ToplevelSurface) {
        let Some(window) = self.windows.find_mut(toplevel.wl_surface()) else { return };
        let id = window.id;
        window.initial = Fit::Floating;
        self.layout.leave_fullscreen(id);
        self.sync_window(id);
        self.damaged = true;
        self.answer(toplevel);
    }

    /// Each request of this kind is answered with a configure, even where nothing changes.
    fn answer(&mut self, toplevel: &ToplevelSurface) {
        let Some(window) = self.windows.find_mut(toplevel.wl_surface()) else { return };
        if window.toplevel.is_initial_configure_sent() && window.unacknowledged.is_none() {
            window.unacknowledged = Some(window.toplevel.send_configure());
        }
    }

    /// A client hands a press of the pointer over to us, to move or resize its window.
    pub(super) fn client_drags(&mut self, toplevel: &ToplevelSurface, serial: Serial, kind: DragKind) {
        let Some(id) = self.windows.by_surface(toplevel.wl_surface()) else { return };
        let start = self.pointer.grab_start_data().filter(|_| self.pointer.has_grab(serial));
        let Some(start) = start else { return };
        let of_client = start.focus.is_some_and(|(focus, _)| focus.id().same_client_as(&toplevel.wl_surface().id()));
        if of_client {
            let pointer = self.pointer.clone();
            pointer.unset_grab(self, SERIAL_COUNTER.next_serial(), self.time());
            self.begin_drag(id, kind, start.button);
        }
    }
}
