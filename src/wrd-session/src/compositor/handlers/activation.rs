//! xdg-activation: an application asks for its window to be shown.

use crate::compositor::core::Compositor;
use smithay::delegate_xdg_activation;
use smithay::input::Seat;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::xdg_activation::{
    XdgActivationHandler, XdgActivationState, XdgActivationToken, XdgActivationTokenData,
};

impl XdgActivationHandler for Compositor {
    fn activation_state(&mut self) -> &mut XdgActivationState {
        &mut self.protocols.activation
    }

    /// Only what the person has just done may bring another window to the front.
    fn token_created(&mut self, _: XdgActivationToken, data: XdgActivationTokenData) -> bool {
        let Some((serial, seat)) = data.serial else { return false };
        let ours = Seat::from_resource(&seat).is_some_and(|seat: Seat<Self>| seat == self.seat);
        let entered = [self.keyboard.last_enter(), self.pointer.last_enter()];
        ours && entered.into_iter().flatten().any(|enter| serial.is_no_older_than(&enter))
    }

    fn request_activation(&mut self, token: XdgActivationToken, data: XdgActivationTokenData, surface: WlSurface) {
        const FRESH_SECONDS: u64 = 10;
        if data.timestamp.elapsed().as_secs() < FRESH_SECONDS
            && let Some(id) = self.windows.by_surface(&surface)
        {
            self.activate(id);
        }
        self.protocols.activation.remove_token(&token);
    }
}

delegate_xdg_activation!(Compositor);
