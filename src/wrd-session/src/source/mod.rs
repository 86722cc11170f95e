//! Where pixels come from and input goes to: the seam between the desktop and the RDP link.
//!
//! The compositor is the first [`Source`]; a headless GNOME over PipeWire or a virtual machine's display
//! must fit behind the same trait later. Deliberately absent: Wayland, RDP and codecs; `state` is the
//! only room that sees both sides of this seam.

use std::time::Duration;

/// A size in physical px.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub width: u16,
    pub height: u16,
}

/// A rectangle in physical px; `width` and `height` are never 0 in a list of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
}

/// The framebuffer as it is now: 4 bytes a pixel in the order B, G, R, X; `stride` in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub size: Size,
    pub stride: usize,
    pub pixels: &'a [u8],
}

/// Input in the seat's terms, already translated from RDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputEvent {
    /// An evdev key code (`KEY_*`, without X's offset of 8).
    Key { code: u32, state: Press },
    /// A character from a client without scan codes (phones).
    Unicode { unit: char, state: Press },
    /// Absolute position in physical px of the current desktop size.
    Motion { x: u16, y: u16 },
    /// An evdev button code (`BTN_*`).
    Button { code: u32, state: Press },
    /// 120 units are one detent; positive is down or right.
    Wheel { axis: Axis, v120: i32 },
    /// The client's lock keys, as it sends them when its window gains the focus.
    Locks { caps: Toggle, num: Toggle, scroll: Toggle },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    Pressed,
    Released,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    Vertical,
    Horizontal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toggle {
    On,
    Off,
}

/// What the client should draw as its pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pointer {
    Hidden,
    /// The client's own arrow.
    Default,
    Shape(PointerShape),
}

/// A pointer picture: straight (not premultiplied) alpha, 4 bytes a pixel B, G, R, A, top row first, no
/// padding; at most 384×384 px. The hotspot lies inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointerShape {
    pub size: Size,
    pub hotspot_x: u16,
    pub hotspot_y: u16,
    pub pixels: Vec<u8>,
}

/// An xkb keymap by its names, as `setxkbmap` takes them; empty strings are xkb's defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyboardLayout {
    pub model: String,
    pub layout: String,
    pub variant: String,
    pub options: String,
}

/// What the person at the desktop asked of the session through the desktop itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Disconnect,
    LogOut,
    /// The installed session failed at once: nobody should come to it again without having chosen it.
    Unusable,
    /// The session's command has ended by itself; the text says how, for the screen and the journal.
    Ended {
        reason: String,
    },
}

/// Something that can be looked at and typed into.
///
/// All calls come from the worker's one loop. Nothing is drawn between two calls of [`Source::render`],
/// and without an attached client `render` is not called at all.
pub trait Source {
    /// Resizes the desktop without losing windows. The next `render` reports everything as damaged.
    fn resize(&mut self, size: Size);
    fn set_keyboard_layout(&mut self, layout: &KeyboardLayout);
    fn input(&mut self, event: InputEvent);
    /// Releases every key and button that is still down (the client has gone or lost the focus).
    fn release_all(&mut self);
    /// Whether something has changed since the last `render`.
    fn is_damaged(&self) -> bool;
    /// Draws what has changed into the framebuffer and returns where; frame callbacks go out.
    fn render(&mut self) -> Vec<Rect>;
    /// Marks the whole desktop as damaged (a client has attached or lost its picture).
    fn damage_all(&mut self);
    fn frame(&self) -> Frame<'_>;
    /// The pointer, if it has changed since the last call.
    fn take_pointer(&mut self) -> Option<Pointer>;
    /// The pointer as it is, for a client that has just attached.
    fn pointer(&self) -> Pointer;
    fn take_requests(&mut self) -> Vec<Request>;
    /// While nothing is rendered, lets applications go on slowly (frame callbacks at a lazy rate);
    /// returns when to call again, `None` for not at all until something changes.
    fn tick_detached(&mut self) -> Option<Duration>;
}
