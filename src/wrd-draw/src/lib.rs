//! Drawing for what wrd-dm itself shows: the login screen, title bars, the bar, messages.
//!
//! A [`Canvas`] is a small picture that is drawn in one go and handed on; there is no scene, no layout
//! engine and no state between two pictures. It can show any part of a larger drawing
//! ([`Canvas::set_origin`]), so that a screen can be drawn tile by tile without a screen-sized buffer.
//! The fonts are embedded: nothing is read from disk, because the gate may not. Coordinates and sizes are
//! physical px, y grows downwards.
//!
//! Deliberately absent: text shaping and bidirectional text (left-to-right scripts only, and of Chinese no more than
//! the login screen says itself), windows, input.

mod canvas;
mod color;
mod font;
mod icon;
pub mod theme;

pub use canvas::{Align, Area, Canvas};
pub use color::Color;
pub use font::{TextStyle, Weight, can_draw, text_width};
pub use icon::Icon;
