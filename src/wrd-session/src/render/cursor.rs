//! The pointer's picture: what the application below it wants, or our furniture. The client at the far
//! end draws it, never we.

use super::shapes::{MAX_SIDE, Shapes, shape};
use crate::source::{Pointer, PointerShape, Size};
use smithay::backend::allocator::Fourcc;
use smithay::backend::renderer::element::Kind;
use smithay::backend::renderer::element::surface::{WaylandSurfaceRenderElement, render_elements_from_surface_tree};
use smithay::backend::renderer::pixman::PixmanRenderer;
use smithay::backend::renderer::utils::draw_render_elements;
use smithay::backend::renderer::{Bind, Color32F, ExportMem, Frame, Offscreen, Renderer};
use smithay::desktop::utils::bbox_from_surface_tree;
use smithay::input::pointer::{CursorIcon, CursorImageAttributes, CursorImageStatus};
use smithay::reexports::wayland_server::protocol::wl_surface::WlSurface;
use smithay::utils::{IsAlive, Rectangle, Transform};
use smithay::wayland::compositor::with_states;
use std::sync::Mutex;

pub struct Cursor {
    by_client: CursorImageStatus,
    ours: Option<CursorIcon>,
    changed: bool,
    shapes: Shapes,
}

impl Cursor {
    pub fn new() -> Self {
        Self { by_client: CursorImageStatus::default_named(), ours: None, changed: true, shapes: Shapes::default() }
    }

    pub fn set_by_client(&mut self, image: CursorImageStatus) {
        self.changed |= self.ours.is_none() && self.by_client != image;
        self.by_client = image;
    }

    /// The shape over furniture; `None` leaves it to the application below.
    pub fn set_ours(&mut self, icon: Option<CursorIcon>) {
        self.changed |= self.ours != icon;
        self.ours = icon;
    }

    /// A client has drawn into what may be the pointer's surface.
    pub fn committed(&mut self, surface: &WlSurface) {
        self.changed |= self.surface() == Some(surface);
    }

    /// The surface that is the pointer's picture now.
    pub fn surface(&self) -> Option<&WlSurface> {
        match (&self.by_client, self.ours) {
            (CursorImageStatus::Surface(surface), None) => Some(surface),
            _ => None,
        }
    }

    pub fn has_changed(&self) -> bool {
        self.changed || self.surface().is_some_and(|surface| !surface.alive())
    }

    pub fn settle(&mut self) {
        self.changed = false;
        if self.surface().is_some_and(|surface| !surface.alive()) {
            self.by_client = CursorImageStatus::default_named();
        }
    }

    pub fn picture(&mut self, renderer: &mut PixmanRenderer) -> Pointer {
        if let Some(icon) = self.ours {
            return self.shapes.named(icon);
        }
        match &self.by_client {
            CursorImageStatus::Hidden => Pointer::Hidden,
            CursorImageStatus::Named(icon) => self.shapes.named(*icon),
            CursorImageStatus::Surface(surface) if !surface.alive() => Pointer::Default,
            CursorImageStatus::Surface(surface) => match read(renderer, surface) {
                Ok(shape) => shape.map_or(Pointer::Hidden, Pointer::Shape),
                Err(error) => {
                    tracing::debug!(%error, "ignoring a pointer's surface that cannot be read");
                    Pointer::Default
                }
            },
        }
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Self::new()
    }
}

/// The surface and its subsurfaces as one picture; `None` where there is nothing to see.
fn read(renderer: &mut PixmanRenderer, surface: &WlSurface) -> anyhow::Result<Option<PointerShape>> {
    let area = bbox_from_surface_tree(surface, (0, 0));
    let side = i32::from(MAX_SIDE);
    let (width, height) = (area.size.w.min(side), area.size.h.min(side));
    if width < 1 || height < 1 {
        return Ok(None);
    }
    let elements: Vec<WaylandSurfaceRenderElement<PixmanRenderer>> =
        render_elements_from_surface_tree(renderer, surface, (-area.loc.x, -area.loc.y), 1.0, 1.0, Kind::Cursor);
    let mut image = renderer.create_buffer(Fourcc::Argb8888, (width, height).into())?;
    let mut target = renderer.bind(&mut image)?;
    let all = Rectangle::from_size((width, height).into());
    let mut frame = renderer.render(&mut target, (width, height).into(), Transform::Normal)?;
    frame.clear(Color32F::TRANSPARENT, &[all])?;
    draw_render_elements::<PixmanRenderer, _, _>(&mut frame, 1.0, &elements, &[all])?;
    let _ = frame.finish()?;
    let copy = renderer.copy_framebuffer(&target, Rectangle::from_size((width, height).into()), Fourcc::Argb8888)?;
    let pixels = renderer.map_texture(&copy)?.to_vec();
    let hotspot = with_states(surface, |states| {
        let attributes = states.data_map.get::<Mutex<CursorImageAttributes>>()?;
        attributes.lock().ok().map(|attributes| attributes.hotspot)
    });
    let hotspot = hotspot.unwrap_or_default() - area.loc;
    let within = |value: i32| u16::try_from(value.clamp(0, side)).unwrap_or(0);
    let size = Size { width: within(width), height: within(height) };
    // A picture with nothing in it is how some applications hide the pointer.
    if pixels.chunks_exact(4).all(|pixel| pixel.last() == Some(&0)) {
        return Ok(None);
    }
    Ok(shape(size, (within(hotspot.x), within(hotspot.y)), pixels))
}
