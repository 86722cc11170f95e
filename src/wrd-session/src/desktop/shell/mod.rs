//! How the desktop's own furniture looks: title bars, the bar, panels, the background. Pure: state in,
//! picture out; where a click falls is computed from the same measures.

pub mod background;
pub mod bar;
pub mod panel;
pub mod title;

use wrd_draw::{Color, TextStyle, Weight, theme};

fn style(weight: Weight, color: Color) -> TextStyle {
    TextStyle { weight, size: theme::TEXT_SIZE, color }
}
