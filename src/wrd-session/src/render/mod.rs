//! Damage to pixels: the one framebuffer, the elements that are drawn into it, and the pointer's pictures.
//!
//! Nothing here knows protocols beyond a surface's tree; nothing is drawn that is not damaged.

pub mod buffer;
pub mod cursor;
pub mod picture;
pub mod piece;
pub mod screen;
pub mod shapes;
