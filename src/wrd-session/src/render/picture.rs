//! The background picture: decoded and scaled on a thread of its own, once for each size that stays.
//!
//! A large photograph takes longer than a login or a reconnect may: the desktop is shown with a plain colour,
//! or the picture of the old size stretched, until it is there.

use crate::desktop::shell::background;
use crate::source::Size;
use nix::sys::eventfd::{EfdFlags, EventFd};
use smithay::backend::allocator::Fourcc;
use smithay::backend::renderer::ImportMem;
use smithay::backend::renderer::element::Kind;
use smithay::backend::renderer::element::texture::{TextureBuffer, TextureRenderElement};
use smithay::backend::renderer::pixman::{PixmanRenderer, PixmanTexture};
use smithay::utils::{Rectangle, Transform};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

type Loaded = (Size, anyhow::Result<Vec<u8>>);

pub struct Picture {
    path: PathBuf,
    wanted: Size,
    shown: Option<TextureBuffer<PixmanTexture>>,
    loading: Option<Receiver<Loaded>>,
    /// Readable when a picture has been loaded.
    wake: Arc<EventFd>,
}

impl Picture {
    pub fn new(path: PathBuf, size: Size) -> io::Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let mut picture = Self { path, wanted: size, shown: None, loading: None, wake: Arc::new(wake) };
        picture.load();
        Ok(picture)
    }

    /// The output has another size.
    pub fn resize(&mut self, size: Size) {
        if self.wanted != size {
            self.wanted = size;
            // One at a time: what is being loaded may be for a size that has passed already.
            if self.loading.is_none() {
                self.load();
            }
        }
    }

    fn load(&mut self) {
        let (sender, loading) = channel();
        let (path, size, wake) = (self.path.clone(), self.wanted, Arc::clone(&self.wake));
        let work = move || {
            let pixels = background::load(&path, size.width.into(), size.height.into());
            // Nobody waits any more where the session has ended.
            if sender.send((size, pixels)).is_ok()
                && let Err(error) = wake.write(1)
            {
                tracing::error!(%error, "the background picture is shown late");
            }
        };
        match std::thread::Builder::new().name("background".into()).spawn(work) {
            Ok(_) => self.loading = Some(loading),
            Err(error) => tracing::warn!(%error, "the background picture cannot be loaded"),
        }
    }

    /// Takes what has been loaded; whether there is something new to see.
    pub fn arrived(&mut self, renderer: &mut PixmanRenderer) -> bool {
        // Nothing to be read is fine. What was loaded may have been taken before the thread said so: the
        // descriptor is read all the same, or it would wake the loop for ever.
        let _ = self.wake.read();
        let Some(loading) = &self.loading else { return false };
        let (size, pixels) = match loading.try_recv() {
            Ok(loaded) => loaded,
            Err(TryRecvError::Empty) => return false,
            Err(TryRecvError::Disconnected) => (self.wanted, Err(anyhow::anyhow!("its decoder has failed"))),
        };
        self.loading = None;
        if size != self.wanted {
            self.load();
            return false;
        }
        let texture = pixels.and_then(|pixels| {
            let size = (i32::from(size.width), i32::from(size.height)).into();
            let texture = renderer.import_memory(&pixels, Fourcc::Xrgb8888, size, false)?;
            let opaque = vec![Rectangle::from_size(size)];
            Ok(TextureBuffer::from_texture(renderer, texture, 1, Transform::Normal, Some(opaque)))
        });
        match texture {
            Ok(texture) => self.shown = Some(texture),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), "the background picture cannot be shown: {error:#}");
                self.shown = None;
            }
        }
        true
    }

    pub fn element(&self) -> Option<TextureRenderElement<PixmanTexture>> {
        let size = (i32::from(self.wanted.width), i32::from(self.wanted.height)).into();
        let texture = self.shown.as_ref()?;
        Some(TextureRenderElement::from_texture_buffer((0.0, 0.0), texture, None, None, Some(size), Kind::Unspecified))
    }
}

impl AsFd for Picture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
