//! wl_shm: the only kind of buffer; pixman reads it in place.

use crate::compositor::core::Compositor;
use smithay::delegate_shm;
use smithay::reexports::wayland_server::protocol::wl_buffer::WlBuffer;
use smithay::wayland::buffer::BufferHandler;
use smithay::wayland::shm::{ShmHandler, ShmState};

impl BufferHandler for Compositor {
    fn buffer_destroyed(&mut self, _: &WlBuffer) {}
}

impl ShmHandler for Compositor {
    fn shm_state(&self) -> &ShmState {
        &self.protocols.shm
    }
}

delegate_shm!(Compositor);
