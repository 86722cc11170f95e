//! The one palette and the few measures that the login screen and the desktop share.

use crate::Color;

/// Behind everything, where the administrator has not chosen another colour.
pub const BACKGROUND: Color = Color::rgb(0x243040);
/// Cards, the bar, menus.
pub const SURFACE: Color = Color::rgb(0x1a222d);
/// One step up from [`SURFACE`]: fields, buttons at rest.
pub const RAISED: Color = Color::rgb(0x2b3645);
/// [`RAISED`] under the pointer.
pub const HOVER: Color = Color::rgb(0x384659);
pub const BORDER: Color = Color::rgb(0x3d4b5f);
pub const TEXT: Color = Color::rgb(0xeef2f6);
/// Labels, hints, inactive titles.
pub const TEXT_DIM: Color = Color::rgb(0x9fb0c3);
/// Focus, the default button, the active window.
pub const ACCENT: Color = Color::rgb(0x3b82d6);
pub const ACCENT_HOVER: Color = Color::rgb(0x5296e4);
pub const ON_ACCENT: Color = Color::rgb(0xffffff);
pub const ERROR: Color = Color::rgb(0xff8f85);
pub const WARNING: Color = Color::rgb(0xf2c46d);
/// The close button under the pointer.
pub const DANGER: Color = Color::rgb(0xd64545);
pub const TITLE_ACTIVE: Color = Color::rgb(0x2b3645);
pub const TITLE_INACTIVE: Color = Color::rgb(0x202935);

/// Body text in px at scale 1.
pub const TEXT_SIZE: f32 = 14.0;
/// Corner radius of fields and buttons in px at scale 1.
pub const RADIUS: f32 = 6.0;
