//! The worker: one user's desktop and the RDP connection that looks at it.
//!
//! `state` composes the rooms and is the only one that sees every other. `compositor` never imports
//! `link` or `encode`; `link` never imports `compositor`, `render` or `encode`; `pace` imports nothing.

pub mod channels;
pub mod compositor;
pub mod deadlines;
pub mod desktop;
pub mod encode;
pub mod handover;
pub mod input;
pub mod link;
mod lock;
pub mod pace;
pub mod render;
pub mod run;
pub mod source;
pub mod state;
pub mod viewer;
