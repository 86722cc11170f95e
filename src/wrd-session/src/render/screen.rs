//! The screen: elements in, damage out; and the picture behind them all.

use super::buffer::Framebuffer;
use super::picture::Picture;
use crate::source::{Frame, Rect, Size};
use smithay::backend::renderer::damage::OutputDamageTracker;
use smithay::backend::renderer::element::memory::MemoryRenderBufferRenderElement;
use smithay::backend::renderer::element::render_elements;
use smithay::backend::renderer::element::solid::SolidColorRenderElement;
use smithay::backend::renderer::element::surface::WaylandSurfaceRenderElement;
use smithay::backend::renderer::element::texture::TextureRenderElement;
use smithay::backend::renderer::pixman::{PixmanRenderer, PixmanTexture};
use smithay::backend::renderer::{Bind, Color32F};
use smithay::utils::{Rectangle, Transform};
use std::os::fd::{AsFd, BorrowedFd};
use wrd_config::{Background, Rgb};

render_elements! {
    pub Element<=PixmanRenderer>;
    Surface=WaylandSurfaceRenderElement<PixmanRenderer>,
    Furniture=MemoryRenderBufferRenderElement<PixmanRenderer>,
    Line=SolidColorRenderElement,
    Picture=TextureRenderElement<PixmanTexture>,
}

pub struct Screen {
    renderer: PixmanRenderer,
    framebuffer: Framebuffer,
    tracker: OutputDamageTracker,
    picture: Option<Picture>,
}

impl Screen {
    pub fn new(size: Size, background: &Background) -> anyhow::Result<Self> {
        let picture = match background {
            Background::Colour(_) => None,
            Background::Picture(path) => Some(Picture::new(path.clone(), size)?),
        };
        Ok(Self {
            renderer: PixmanRenderer::new()?,
            framebuffer: Framebuffer::new(size)?,
            tracker: tracker(size),
            picture,
        })
    }

    /// A new framebuffer; everything is damaged.
    pub fn resize(&mut self, size: Size) -> anyhow::Result<()> {
        if size != self.framebuffer.size() {
            self.framebuffer = Framebuffer::new(size)?;
            if let Some(picture) = &mut self.picture {
                picture.resize(size);
            }
        }
        self.damage_all();
        Ok(())
    }

    pub fn damage_all(&mut self) {
        self.tracker = tracker(self.framebuffer.size());
    }

    pub fn renderer(&mut self) -> &mut PixmanRenderer {
        &mut self.renderer
    }

    pub fn frame(&self) -> Frame<'_> {
        self.framebuffer.frame()
    }

    /// Readable when [`Screen::has_loaded`] should be asked.
    pub fn loaded(&self) -> Option<BorrowedFd<'_>> {
        self.picture.as_ref().map(AsFd::as_fd)
    }

    /// Whether the background is another one now.
    pub fn has_loaded(&mut self) -> bool {
        self.picture.as_mut().is_some_and(|picture| picture.arrived(&mut self.renderer))
    }

    /// Draws what differs from the last time; `elements` from the front to the back.
    pub fn draw(&mut self, mut elements: Vec<Element>, behind: Rgb) -> Vec<Rect> {
        elements.extend(self.picture.as_ref().and_then(Picture::element).map(Element::Picture));
        let channel = |value: u8| f32::from(value) / 255.0;
        let color = Color32F::new(channel(behind.red), channel(behind.green), channel(behind.blue), 1.0);
        let mut target = match self.renderer.bind(self.framebuffer.image()) {
            Ok(target) => target,
            Err(error) => {
                tracing::error!(%error, "the framebuffer cannot be drawn into");
                return Vec::new();
            }
        };
        match self.tracker.render_output(&mut self.renderer, &mut target, 1, &elements, color) {
            Ok(result) => result.damage.map(|damage| damage.iter().filter_map(rect).collect()).unwrap_or_default(),
            Err(error) => {
                tracing::error!(?error, "a frame could not be drawn");
                Vec::new()
            }
        }
    }
}

fn tracker(size: Size) -> OutputDamageTracker {
    OutputDamageTracker::new((i32::from(size.width), i32::from(size.height)), 1.0, Transform::Normal)
}

/// The tracker's rectangles are within the output already.
fn rect(area: &Rectangle<i32, smithay::utils::Physical>) -> Option<Rect> {
    let side = |value: i32| u16::try_from(value).ok();
    let (width, height) = (side(area.size.w)?, side(area.size.h)?);
    (width > 0 && height > 0).then_some(Rect { x: side(area.loc.x)?, y: side(area.loc.y)?, width, height })
}
