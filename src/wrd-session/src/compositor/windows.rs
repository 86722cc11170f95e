//! The toplevels that clients have made, and where each is in its dialogue with us: configured,
//! acknowledged, mapped.

use super::geometry::{Area, Limits};
use super::layout::{Fit, Frame, WindowId};
use smithay::desktop;
use smithay::reexports::wayland_protocols::xdg::decoration::zv1::server::zxdg_toplevel_decoration_v1::Mode;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::Serial;
use smithay::wayland::compositor::with_states;
use smithay::wayland::shell::xdg::{SurfaceCachedState, ToplevelSurface, XdgToplevelSurfaceData};

/// Longest part of a title that is kept, in characters.
const MAX_TITLE: usize = 200;

pub struct Window {
    pub id: WindowId,
    pub toplevel: ToplevelSurface,
    /// Smithay's view of the surface tree.
    pub surface: desktop::Window,
    pub title: String,
    pub mapped: bool,
    /// What the client asked for before its window was shown.
    pub initial: Fit,
    /// As negotiated, where the client negotiates at all.
    pub decoration: Option<Mode>,
    /// The last configure, until the client acknowledges it.
    pub unacknowledged: Option<Serial>,
    /// More is to be configured as soon as it does.
    pub stale: bool,
    acknowledged: Option<Serial>,
    /// The last configure of a resize by the pointer.
    pub resize_end: Option<Serial>,
}

impl Window {
    pub fn wl_surface(&self) -> &WlSurface {
        self.toplevel.wl_surface()
    }

    pub fn frame(&self) -> Frame {
        if self.decoration == Some(Mode::ServerSide) { Frame::Ours } else { Frame::Client }
    }

    /// The window without shadows and the like, in its surface's coordinates.
    pub fn geometry(&self) -> Area {
        self.surface.geometry()
    }

    pub fn limits(&self) -> Limits {
        with_states(self.wl_surface(), |states| {
            let mut cached = states.cached_state.get::<SurfaceCachedState>();
            let state = cached.current();
            Limits { min: state.min_size, max: state.max_size }
        })
    }

    pub fn acknowledged(&mut self, serial: Serial) {
        self.acknowledged = Some(serial);
        if self.unacknowledged.is_some_and(|sent| serial.is_no_older_than(&sent)) {
            self.unacknowledged = None;
        }
    }

    /// Whether the client has drawn what the last step of a resize asked for.
    pub fn resize_has_ended(&mut self) -> bool {
        let ended = match (self.resize_end, self.acknowledged) {
            (Some(end), Some(acknowledged)) => acknowledged.is_no_older_than(&end),
            _ => false,
        };
        if ended {
            self.resize_end = None;
        }
        ended
    }

    /// Reads the title again; the application's name stands in for it.
    pub fn read_title(&mut self) {
        self.title = with_states(self.wl_surface(), |states| {
            let data = states.data_map.get::<XdgToplevelSurfaceData>()?;
            let data = data.lock().ok()?;
            let title = data.title.as_deref().filter(|title| !title.trim().is_empty()).or(data.app_id.as_deref())?;
            let plain = title.chars().map(|c| if c.is_control() { ' ' } else { c });
            Some(plain.take(MAX_TITLE).collect())
        })
        .unwrap_or_default();
    }
}

/// All of them, in the order in which they were made (the order of the bar's buttons).
#[derive(Default)]
pub struct Windows {
    all: Vec<Window>,
    last: u64,
}

impl Windows {
    pub fn add(&mut self, toplevel: ToplevelSurface) {
        self.last += 1;
        self.all.push(Window {
            id: WindowId(self.last),
            surface: desktop::Window::new_wayland_window(toplevel.clone()),
            toplevel,
            title: String::new(),
            mapped: false,
            initial: Fit::Floating,
            decoration: None,
            unacknowledged: None,
            stale: false,
            acknowledged: None,
            resize_end: None,
        });
    }

    pub fn iter(&self) -> impl Iterator<Item = &Window> {
        self.all.iter()
    }

    pub fn get(&self, id: WindowId) -> Option<&Window> {
        self.all.iter().find(|window| window.id == id)
    }

    pub fn get_mut(&mut self, id: WindowId) -> Option<&mut Window> {
        self.all.iter_mut().find(|window| window.id == id)
    }

    pub fn by_surface(&self, surface: &WlSurface) -> Option<WindowId> {
        self.all.iter().find(|window| window.wl_surface() == surface).map(|window| window.id)
    }

    pub fn find_mut(&mut self, surface: &WlSurface) -> Option<&mut Window> {
        self.all.iter_mut().find(|window| window.wl_surface() == surface)
    }

    pub fn remove(&mut self, id: WindowId) {
        self.all.retain(|window| window.id != id);
    }
}
