//! wl_output and xdg-output: Smithay answers; there is one output.

use crate::compositor::core::Compositor;
use smithay::delegate_output;
use smithay::wayland::output::OutputHandler;

impl OutputHandler for Compositor {}

delegate_output!(Compositor);
