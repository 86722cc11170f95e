//! Keyboards: which xkb layout a Windows layout identifier means ([`xkb`], or [`listed`] where a person
//! chose it) and which key a scan code is ([`Keys`]).

mod layouts;
mod names;
mod scancodes;

pub use layouts::{listed, xkb};
pub use names::{LAYOUTS, LayoutName};
pub use scancodes::Keys;
