//! Keyboards: which xkb layout a Windows layout identifier means ([`xkb`]) and which key a scan code is
//! ([`Keys`]).

mod layouts;
mod scancodes;

pub use layouts::{LayoutName, xkb};
pub use scancodes::Keys;
