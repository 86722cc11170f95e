//! wrd-gate, the program; `lib.rs` says what it does.

use wrd_gate::{Deadlines, Policy, log_panics, run};
use wrd_sys::Wiping;

/// TLS and the decoders free buffers that had a password in them.
#[global_allocator]
static MEMORY: Wiping = Wiping;

fn main() -> std::process::ExitCode {
    wrd_sys::log::init();
    log_panics();
    run(&Policy::full(), Deadlines::default())
}
