//! The compositor as a source of pixels and a sink of input.

use super::Wayland;
use super::geometry::Extent;
use crate::source::{Frame, InputEvent, KeyboardLayout, Pointer, Rect, Request, Size, Source};
use std::time::{Duration, Instant};

/// How often applications may draw while nobody looks.
const LAZY: Duration = Duration::from_secs(1);

impl Source for Wayland {
    fn resize(&mut self, size: Size) {
        if let Err(error) = self.screen.resize(size) {
            tracing::error!("the desktop keeps its size: {error:#}");
            return;
        }
        let size = Extent::from((i32::from(size.width), i32::from(size.height)));
        self.compositor.set_output_size(size);
        self.flush();
    }

    fn set_keyboard_layout(&mut self, layout: &KeyboardLayout) {
        self.compositor.set_keyboard_layout(layout);
        self.flush();
    }

    fn input(&mut self, event: InputEvent) {
        let compositor = &mut self.compositor;
        match event {
            InputEvent::Key { code, state } => compositor.key(code, state),
            InputEvent::Unicode { unit, state } => compositor.unicode(unit, state),
            InputEvent::Motion { x, y } => compositor.pointer_moved(x, y),
            InputEvent::Button { code, state } => compositor.pointer_pressed(code, state),
            InputEvent::Wheel { axis, v120 } => compositor.wheel(axis, v120),
            // No keymap of ours has a use for scroll lock.
            InputEvent::Locks { caps, num, scroll: _ } => compositor.sync_locks(caps, num),
        }
        self.flush();
    }

    fn release_all(&mut self) {
        self.compositor.release_keys();
        self.compositor.release_buttons();
        self.flush();
    }

    fn is_damaged(&self) -> bool {
        self.compositor.damaged
    }

    fn render(&mut self) -> Vec<Rect> {
        if !self.attached {
            self.attached = true;
            self.set_clock();
        }
        self.compositor.damaged = false;
        self.compositor.update_furniture();
        let elements = self.compositor.elements(self.screen.renderer());
        let damage = self.screen.draw(elements, self.background);
        if self.rhythm.may_go_on() {
            self.compositor.send_frames();
        }
        self.flush();
        damage
    }

    fn damage_all(&mut self) {
        self.screen.damage_all();
        self.compositor.damaged = true;
    }

    fn frame(&self) -> Frame<'_> {
        self.screen.frame()
    }

    fn take_pointer(&mut self) -> Option<Pointer> {
        if !self.compositor.cursor.has_changed() {
            return None;
        }
        self.compositor.cursor.settle();
        self.pointer = self.compositor.cursor.picture(self.screen.renderer());
        Some(self.pointer.clone())
    }

    fn pointer(&self) -> Pointer {
        self.pointer.clone()
    }

    fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.compositor.requests)
    }

    fn tick_detached(&mut self) -> Option<Duration> {
        self.attached = false;
        self.compositor.take_question_back();
        let now = Instant::now();
        if let Some(wait) = self.lazy.and_then(|last| (last + LAZY).checked_duration_since(now)) {
            return Some(wait);
        }
        let waiting = self.compositor.send_lazy_frames();
        self.flush();
        self.lazy = waiting.then_some(now);
        waiting.then_some(LAZY)
    }
}
