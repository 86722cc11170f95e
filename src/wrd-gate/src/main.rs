//! wrd-gate: one process for one connection, between a stranger and everything else.
//!
//! It is started by the monitor with descriptor 3 = the client's TCP socket, descriptor 4 = the monitor,
//! descriptor 2 = the log, and nothing else. It sandboxes itself before it reads the client's first byte,
//! speaks RDP up to a finished login, then relays whole PDUs between TLS and the user's session.
//! `ARCHITECTURE.md` has the whole picture.

mod client;
mod connect;
mod deadline;
mod gate;
mod greeter;
mod login;
mod monitor;
mod relay;
mod sandbox;
mod tls;

fn main() -> std::process::ExitCode {
    wrd_sys::log::init();
    gate::run()
}
