//! wrd-leader, the program; `lib.rs` says what it does.

use wrd_sys::Wiping;

/// A password goes through many hands, and this process lives as long as the session.
#[global_allocator]
static MEMORY: Wiping = Wiping;

fn main() -> std::process::ExitCode {
    wrd_leader::main()
}
