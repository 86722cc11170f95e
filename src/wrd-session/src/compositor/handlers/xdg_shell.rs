//! xdg-shell: toplevels and popups.

use crate::compositor::core::Compositor;
use crate::compositor::geometry::Edges;
use crate::compositor::layout::Fit;
use crate::compositor::pointer::DragKind;
use smithay::delegate_xdg_shell;
use smithay::reexports::wayland_protocols::xdg::shell::server::xdg_toplevel::ResizeEdge;
use smithay::reexports::wayland_server::protocol::wl_output::WlOutput;
use smithay::reexports::wayland_server::protocol::wl_seat::WlSeat;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::Serial;
use smithay::wayland::shell::xdg::{
    Configure, PopupSurface, PositionerState, ToplevelSurface, XdgShellHandler, XdgShellState,
};

impl XdgShellHandler for Compositor {
    fn xdg_shell_state(&mut self) -> &mut XdgShellState {
        &mut self.protocols.xdg_shell
    }

    fn new_toplevel(&mut self, surface: ToplevelSurface) {
        self.windows.add(surface);
    }

    fn toplevel_destroyed(&mut self, surface: ToplevelSurface) {
        self.window_gone(surface.wl_surface());
    }

    fn ack_configure(&mut self, surface: WlSurface, configure: Configure) {
        if let Configure::Toplevel(configure) = configure
            && let Some(window) = self.windows.find_mut(&surface)
        {
            window.acknowledged(configure.serial);
        }
    }

    fn title_changed(&mut self, surface: ToplevelSurface) {
        self.retitle(surface.wl_surface());
    }

    fn app_id_changed(&mut self, surface: ToplevelSurface) {
        self.retitle(surface.wl_surface());
    }

    fn parent_changed(&mut self, surface: ToplevelSurface) {
        if let Some(id) = self.windows.by_surface(surface.wl_surface()) {
            let parent = surface.parent().and_then(|parent| self.windows.by_surface(&parent));
            self.layout.set_parent(id, parent);
        }
    }

    fn maximize_request(&mut self, surface: ToplevelSurface) {
        self.client_wants_fit(&surface, Fit::Maximised);
    }

    fn unmaximize_request(&mut self, surface: ToplevelSurface) {
        self.client_wants_fit(&surface, Fit::Floating);
    }

    fn fullscreen_request(&mut self, surface: ToplevelSurface, _: Option<WlOutput>) {
        self.client_wants_fit(&surface, Fit::Fullscreen);
    }

    fn unfullscreen_request(&mut self, surface: ToplevelSurface) {
        self.client_leaves_fullscreen(&surface);
    }

    fn minimize_request(&mut self, surface: ToplevelSurface) {
        if let Some(id) = self.windows.by_surface(surface.wl_surface()) {
            self.minimise(id);
        }
    }

    fn move_request(&mut self, surface: ToplevelSurface, _: WlSeat, serial: Serial) {
        self.client_drags(&surface, serial, DragKind::Move);
    }

    fn resize_request(&mut self, surface: ToplevelSurface, _: WlSeat, serial: Serial, edges: ResizeEdge) {
        self.client_drags(&surface, serial, DragKind::Resize(edges_of(edges)));
    }

    fn new_popup(&mut self, surface: PopupSurface, positioner: PositionerState) {
        self.add_popup(surface, positioner);
    }

    fn grab(&mut self, surface: PopupSurface, _: WlSeat, serial: Serial) {
        self.grab_popup(surface, serial);
    }

    fn reposition_request(&mut self, surface: PopupSurface, positioner: PositionerState, token: u32) {
        self.place_popup(&surface, positioner);
        surface.send_repositioned(token);
    }

    fn popup_destroyed(&mut self, _: PopupSurface) {
        self.damaged = true;
    }
}

fn edges_of(edges: ResizeEdge) -> Edges {
    use ResizeEdge::{Bottom, BottomLeft, BottomRight, Left, Right, Top, TopLeft, TopRight};
    Edges {
        left: matches!(edges, Left | TopLeft | BottomLeft),
        right: matches!(edges, Right | TopRight | BottomRight),
        top: matches!(edges, Top | TopLeft | TopRight),
        bottom: matches!(edges, Bottom | BottomLeft | BottomRight),
    }
}

delegate_xdg_shell!(Compositor);
