//! The kernel as the other crates see it, and the only room but a few named files that may be unsafe.
//!
//! Owned here: message sockets with descriptor passing ([`channel`]), starting a child with exactly the
//! descriptors it should have ([`spawn`]; by hand: [`process`]) and its place among others ([`place`]), the process's own hardening
//! ([`harden`]), an allocator that forgets ([`Wiping`]), sockets handed over by systemd ([`listen`]), log set-up ([`log`]),
//! records for the kernel's audit log ([`audit`]) and small files that are whole or not there ([`files`]). Deliberately absent: any knowledge of RDP, PAM or of what the messages mean.

pub mod audit;
pub mod channel;
pub mod files;
pub mod harden;
pub mod listen;
pub mod log;
pub mod place;
pub mod process;
pub mod spawn;
pub mod termination;
mod wiping;

pub use channel::{Channel, ChannelError, RawChannel};
pub use wiping::Wiping;
