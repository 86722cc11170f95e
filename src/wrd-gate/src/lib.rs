//! wrd-gate: one process for one connection, between a stranger and everything else.
//!
//! It is started by the monitor with descriptor 3 = the client's TCP socket, descriptor 4 = the monitor,
//! descriptor 2 = the log, and nothing else. It sandboxes itself before it reads the client's first byte,
//! speaks RDP up to a finished login, then relays whole PDUs between TLS and the user's session.
//! `ARCHITECTURE.md` has the whole picture.
//!
//! A library beside a program of a few lines, for the tests that run it with less than the full [`Policy`], or with
//! shorter [`Deadlines`].

mod client;
mod connect;
pub mod credssp;
mod deadline;
mod deadlines;
mod gate;
mod greeter;
pub mod login;
pub mod monitor;
mod panic;
mod relay;
pub mod sandbox;
mod tls;

pub use deadlines::Deadlines;
pub use gate::run;
pub use panic::log_panics;
pub use sandbox::Policy;
