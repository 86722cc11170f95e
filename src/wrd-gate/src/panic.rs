//! A mistake of ours, told in one line of the log.

use std::panic::PanicHookInfo;
use tracing::error;

/// From here on a panic says where it was and ends the process at once: nothing is unwound, no backtrace looks for
/// files that the sandbox keeps away.
///
/// Its message is told only where it is part of the program: one that was put together at run time may quote what a
/// user typed.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let message = info.payload().downcast_ref::<&str>().copied().unwrap_or("see there");
        error!(place, "the gate panicked: {message}");
        std::process::exit(PANICKED);
    }));
}

/// As every Rust program ends that panics.
const PANICKED: i32 = 101;
