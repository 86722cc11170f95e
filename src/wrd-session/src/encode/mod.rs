//! Damage → codec bytes. Knows frames and rectangles only: no link, no protocol state but the codecs' own.
//!
//! A [`Differ`] remembers what the client shows and finds the few px that really differ; the codecs turn
//! those into bytes. Everything here is lossless (for clients of less than 24 bits a pixel: exact in the
//! client's own depth). Deliberately absent: pacing, and anything that loses.

pub mod bitmap;
pub mod clear;
mod differ;

pub use differ::{Differ, MAX_AREA};

use crate::source::{Frame, Rect};

/// The px of one row of `rect`, 4 bytes each; empty where `rect` does not lie inside the frame.
fn row<'a>(frame: &Frame<'a>, rect: Rect, row: u16) -> &'a [u8] {
    let from = (usize::from(rect.y) + usize::from(row)) * frame.stride + usize::from(rect.x) * BYTES;
    frame.pixels.get(from..from + usize::from(rect.width) * BYTES).unwrap_or_default()
}

/// Bytes of a px in a frame.
const BYTES: usize = 4;
