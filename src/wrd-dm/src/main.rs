//! wrd-dm, the program; `lib.rs` says what it does.

use wrd_sys::Wiping;

/// Messages with cookies and hashes in them come and go.
#[global_allocator]
static MEMORY: Wiping = Wiping;

fn main() -> std::process::ExitCode {
    wrd_dm::main()
}
