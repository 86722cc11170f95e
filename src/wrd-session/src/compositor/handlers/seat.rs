//! wl_seat and cursor-shape: what the focus and the pointer's picture are.

use crate::compositor::core::Compositor;
use smithay::input::pointer::CursorImageStatus;
use smithay::input::{Seat, SeatHandler, SeatState};
use smithay::reexports::wayland_server::Resource;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::selection::data_device::set_data_device_focus;
use smithay::wayland::selection::primary_selection::set_primary_focus;
use smithay::wayland::tablet_manager::TabletSeatHandler;
use smithay::{delegate_cursor_shape, delegate_seat};

impl SeatHandler for Compositor {
    type KeyboardFocus = WlSurface;
    type PointerFocus = WlSurface;
    type TouchFocus = WlSurface;

    fn seat_state(&mut self) -> &mut SeatState<Self> {
        &mut self.protocols.seats
    }

    fn focus_changed(&mut self, seat: &Seat<Self>, focused: Option<&WlSurface>) {
        let client = focused.and_then(|surface| self.handle.get_client(surface.id()).ok());
        set_data_device_focus(&self.handle, seat, client.clone());
        set_primary_focus(&self.handle, seat, client);
    }

    /// Called with the pointer locked: only notes what is wanted.
    fn cursor_image(&mut self, _: &Seat<Self>, image: CursorImageStatus) {
        self.cursor.set_by_client(image);
    }
}

/// cursor-shape wants it; there are no tablets.
impl TabletSeatHandler for Compositor {}

delegate_seat!(Compositor);
delegate_cursor_shape!(Compositor);
