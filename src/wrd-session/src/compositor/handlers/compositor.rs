//! wl_compositor and wl_subcompositor: commits.

use crate::compositor::core::{Client as Data, Compositor};
use smithay::backend::renderer::utils::on_commit_buffer_handler;
use smithay::delegate_compositor;
use smithay::reexports::wayland_server::Client;
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::wayland::compositor::{
    CompositorClientState, CompositorHandler, CompositorState, get_parent, is_sync_subsurface,
};
use std::sync::OnceLock;

impl CompositorHandler for Compositor {
    fn compositor_state(&mut self) -> &mut CompositorState {
        &mut self.protocols.compositor
    }

    fn client_compositor_state<'a>(&self, client: &'a Client) -> &'a CompositorClientState {
        // Every client was inserted with this data; a client without it cannot be, but must not panic us.
        static NONE: OnceLock<CompositorClientState> = OnceLock::new();
        match client.get_data::<Data>() {
            Some(data) => &data.compositor,
            None => NONE.get_or_init(CompositorClientState::default),
        }
    }

    fn commit(&mut self, surface: &WlSurface) {
        on_commit_buffer_handler::<Self>(surface);
        self.popups.commit(surface);
        if is_sync_subsurface(surface) {
            return;
        }
        let mut root = surface.clone();
        while let Some(parent) = get_parent(&root) {
            root = parent;
        }
        if let Some(id) = self.windows.by_surface(&root) {
            self.window_committed(id, root == *surface);
        } else if self.popup_committed(&root) || self.drag_icon.as_ref() == Some(&root) {
            self.damaged = true;
        } else {
            self.cursor.committed(&root);
        }
    }
}

delegate_compositor!(Compositor);
