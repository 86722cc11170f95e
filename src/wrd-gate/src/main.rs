//! wrd-gate, the program; `lib.rs` says what it does.

use wrd_gate::{Policy, log_panics, run};

fn main() -> std::process::ExitCode {
    wrd_sys::log::init();
    log_panics();
    run(&Policy::full())
}
