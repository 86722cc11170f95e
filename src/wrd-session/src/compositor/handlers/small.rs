//! Protocols that Smithay answers alone: viewporter, fractional scale, single-pixel buffers.

use crate::compositor::core::Compositor;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::with_states;
use smithay::wayland::fractional_scale::{FractionalScaleHandler, with_fractional_scale};
use smithay::{delegate_fractional_scale, delegate_single_pixel_buffer, delegate_viewporter};

impl FractionalScaleHandler for Compositor {
    fn new_fractional_scale(&mut self, surface: WlSurface) {
        with_states(&surface, |states| with_fractional_scale(states, |scale| scale.set_preferred_scale(1.0)));
    }
}

delegate_viewporter!(Compositor);
delegate_fractional_scale!(Compositor);
delegate_single_pixel_buffer!(Compositor);
