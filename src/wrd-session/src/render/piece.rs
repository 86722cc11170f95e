//! A piece of furniture: drawn when what it shows changes, and only what then differs is damage.

use crate::compositor::geometry::{Area, Place};
use smithay::backend::allocator::Fourcc;
use smithay::backend::renderer::element::Kind;
use smithay::backend::renderer::element::memory::{MemoryRenderBuffer, MemoryRenderBufferRenderElement};
use smithay::backend::renderer::pixman::PixmanRenderer;
use smithay::utils::{Buffer, Rectangle, Transform};
use wrd_draw::Canvas;

/// `State` is everything the picture depends on.
pub struct Piece<State> {
    shown: Option<(State, Place)>,
    buffer: Option<(MemoryRenderBuffer, (u32, u32))>,
}

impl<State> Default for Piece<State> {
    fn default() -> Self {
        Self { shown: None, buffer: None }
    }
}

impl<State: PartialEq> Piece<State> {
    pub fn shown(&self) -> Option<&State> {
        self.shown.as_ref().map(|(state, _)| state)
    }

    pub fn hide(&mut self) {
        self.shown = None;
        self.buffer = None;
    }

    /// Shows `state` with its top left corner at `place`.
    pub fn show(&mut self, state: State, place: Place, draw: fn(&State) -> Option<Canvas>) {
        if self.shown.as_ref().is_none_or(|(shown, _)| *shown != state) {
            match draw(&state) {
                Some(canvas) => self.replace(&canvas),
                None => self.buffer = None,
            }
        }
        self.shown = Some((state, place));
    }

    fn replace(&mut self, canvas: &Canvas) {
        let size = canvas.size();
        if let Some((buffer, old)) = &mut self.buffer
            && *old == size
        {
            let mut context = buffer.render();
            let drawn: Result<(), std::convert::Infallible> = context.draw(|pixels| {
                let changed = difference(pixels, canvas.rgba(), size.0 as usize);
                pixels.copy_from_slice(canvas.rgba());
                Ok(changed.into_iter().collect())
            });
            let Ok(()) = drawn;
            return;
        }
        let (width, height) = (size.0 as i32, size.1 as i32);
        // Round corners show what is below; everything else hides it.
        let opaque = canvas.rgba().chunks_exact(4).all(|pixel| pixel.last() == Some(&255));
        let region = opaque.then(|| vec![Rectangle::from_size((width, height).into())]);
        let buffer = MemoryRenderBuffer::from_slice(
            canvas.rgba(),
            Fourcc::Abgr8888,
            (width, height),
            1,
            Transform::Normal,
            region,
        );
        self.buffer = Some((buffer, size));
    }

    pub fn element(&self, renderer: &mut PixmanRenderer) -> Option<MemoryRenderBufferRenderElement<PixmanRenderer>> {
        let (_, place) = self.shown.as_ref()?;
        let (buffer, _) = self.buffer.as_ref()?;
        let place = (f64::from(place.x), f64::from(place.y));
        match MemoryRenderBufferRenderElement::from_buffer(renderer, place, buffer, None, None, None, Kind::Unspecified)
        {
            Ok(element) => Some(element),
            Err(error) => {
                tracing::error!(%error, "ignoring a piece of furniture that pixman refuses");
                None
            }
        }
    }

    /// Where it is.
    pub fn area(&self) -> Option<Area> {
        let (_, place) = self.shown.as_ref()?;
        let (_, (width, height)) = self.buffer.as_ref()?;
        Some(Area::new(*place, (*width as i32, *height as i32).into()))
    }
}

/// The smallest rectangle with all pixels that differ.
fn difference(old: &[u8], new: &[u8], width: usize) -> Option<Rectangle<i32, Buffer>> {
    let mut rows: Option<(usize, usize)> = None;
    let (mut left, mut right) = (width, 0);
    let stride = (4 * width).max(4);
    for (y, (old, new)) in old.chunks_exact(stride).zip(new.chunks_exact(stride)).enumerate() {
        if old == new {
            continue;
        }
        let differs = |(old, new): (&[u8], &[u8])| old != new;
        let mut pixels = old.chunks_exact(4).zip(new.chunks_exact(4));
        let first = pixels.position(differs).unwrap_or(0);
        let last = old.chunks_exact(4).zip(new.chunks_exact(4)).rposition(differs).unwrap_or(first);
        left = left.min(first);
        right = right.max(last);
        rows = Some((rows.map_or(y, |(top, _)| top), y));
    }
    let (top, bottom) = rows?;
    let size = ((right + 1 - left) as i32, (bottom + 1 - top) as i32);
    Some(Rectangle::new((left as i32, top as i32).into(), size.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_damage() {
        let old = vec![0u8; 4 * 10 * 6];
        assert_eq!(difference(&old, &old, 10), None);
        let mut new = old.clone();
        new[4 * (2 * 10 + 3)] = 1;
        new[4 * (4 * 10 + 7) + 2] = 1;
        assert_eq!(difference(&old, &new, 10), Some(Rectangle::new((3, 2).into(), (5, 3).into())));
    }
}
