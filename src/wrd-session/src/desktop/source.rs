//! The desktop as a source: the compositor's, and what the session itself asks for.

use super::Desktop;
use crate::source::{Frame, InputEvent, KeyboardLayout, Pointer, Rect, Request, Size, Source};
use std::time::Duration;

impl Source for Desktop {
    fn resize(&mut self, size: Size) {
        self.wayland.resize(size);
    }

    fn set_keyboard_layout(&mut self, layout: &KeyboardLayout) {
        self.wayland.set_keyboard_layout(layout);
    }

    fn input(&mut self, event: InputEvent) {
        self.wayland.input(event);
        self.answer();
    }

    fn release_all(&mut self) {
        self.wayland.release_all();
    }

    fn is_damaged(&self) -> bool {
        self.wayland.is_damaged()
    }

    fn render(&mut self) -> Vec<Rect> {
        self.wayland.render()
    }

    fn damage_all(&mut self) {
        self.wayland.damage_all();
    }

    fn frame(&self) -> Frame<'_> {
        self.wayland.frame()
    }

    fn take_pointer(&mut self) -> Option<Pointer> {
        self.wayland.take_pointer()
    }

    fn pointer(&self) -> Pointer {
        self.wayland.pointer()
    }

    fn take_requests(&mut self) -> Vec<Request> {
        let mut requests = self.wayland.take_requests();
        requests.append(&mut self.requests);
        requests
    }

    fn tick_detached(&mut self) -> Option<Duration> {
        self.wayland.tick_detached()
    }
}
