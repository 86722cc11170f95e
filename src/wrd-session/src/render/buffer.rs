//! The framebuffer: one memfd, mapped, that pixman draws straight into.
//!
//! The only place of this program with unsafe code. The mapping lives exactly as long as the
//! [`Framebuffer`], and the pixman image over it never leaves it except for the length of a borrow.

use crate::source::{Frame, Size};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use pixman::{FormatCode, Image};
use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// B, G, R, X in memory, rows of `4 × width` bytes.
pub struct Framebuffer {
    /// Before `mapping`: dropped first.
    image: Image<'static, 'static>,
    mapping: Mapping,
    fd: OwnedFd,
    size: Size,
}

impl Framebuffer {
    /// A black picture. Sides of 0 are refused.
    pub fn new(size: Size) -> io::Result<Self> {
        let stride = stride(size);
        let length = NonZeroUsize::new(stride * usize::from(size.height))
            .ok_or_else(|| io::Error::other("a framebuffer of no size"))?;
        let fd = memfd_create(c"wrd-framebuffer", MFdFlags::MFD_CLOEXEC)?;
        nix::unistd::ftruncate(&fd, length.get() as i64)?;
        let mapping = Mapping::new(&fd, length)?;
        let image = mapping.image(size, stride)?;
        Ok(Self { image, mapping, fd, size })
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// What pixman draws into.
    pub fn image(&mut self) -> &mut Image<'static, 'static> {
        &mut self.image
    }

    pub fn frame(&self) -> Frame<'_> {
        Frame { size: self.size, stride: stride(self.size), pixels: self.mapping.bytes() }
    }
}

impl AsFd for Framebuffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn stride(size: Size) -> usize {
    usize::from(size.width) * 4
}

struct Mapping {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Mapping {
    #[allow(unsafe_code)]
    fn new(fd: &OwnedFd, length: NonZeroUsize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists. The file
        // is ours alone, is `length` long and is never made shorter.
        let start =
            unsafe { mmap(None, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED, fd, 0) }?;
        Ok(Self { start, length })
    }

    /// The caller keeps the image no longer than the mapping.
    #[allow(unsafe_code)]
    fn image(&self, size: Size, stride: usize) -> io::Result<Image<'static, 'static>> {
        let (width, height) = (usize::from(size.width), usize::from(size.height));
        if stride * height > self.length.get() {
            return Err(io::Error::other("a picture larger than its memory"));
        }
        // SAFETY: `height` rows of `stride` bytes fit into the mapping (checked above), which is page
        // aligned and which `Framebuffer` drops after the image.
        unsafe { Image::from_raw_mut(FormatCode::X8R8G8B8, width, height, self.start.as_ptr().cast(), stride, false) }
            .map_err(|_| io::Error::other("pixman refused the framebuffer"))
    }

    #[allow(unsafe_code)]
    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable and `length` long; it is written only through
        // `Framebuffer::image`, which borrows the framebuffer mutably, so not during this borrow.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length.get()) }
    }
}

impl Drop for Mapping {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and the image over it is already gone.
        if let Err(error) = unsafe { munmap(self.start, self.length.get()) } {
            tracing::error!(%error, "the framebuffer cannot be unmapped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pixman_draws_is_in_the_frame() {
        let mut framebuffer = Framebuffer::new(Size { width: 3, height: 2 }).unwrap();
        assert_eq!(framebuffer.frame().pixels, [0; 24]);
        let blue = pixman::Solid::new([0.0, 0.0, 1.0, 1.0]).unwrap();
        let all = (framebuffer.image().width() as i32, framebuffer.image().height() as i32);
        framebuffer.image().composite32(pixman::Operation::Src, &blue, None, (0, 0), (0, 0), (0, 0), all);
        let frame = framebuffer.frame();
        assert_eq!((frame.stride, &frame.pixels[..3]), (12, &[255, 0, 0][..]));
    }

    #[test]
    fn no_size_is_refused() {
        assert!(Framebuffer::new(Size { width: 0, height: 2 }).is_err());
    }
}
