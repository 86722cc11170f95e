//! wrd-dm, the program; `lib.rs` says what it does.

fn main() -> std::process::ExitCode {
    wrd_dm::main()
}
