//! The RDP that the gate and the worker have in common.
//!
//! Owned here: cutting a byte stream into whole PDUs ([`framing`]), the acceptor both sides must set up
//! alike, its driver and its replay ([`acceptor`], [`replay`]), what a client says about itself
//! ([`client`], [`client_info`]), the few PDUs that end or suspend a connection ([`pdu`]), input events
//! ([`input`]) and keyboards ([`keymap`]). Everything is a pure function of bytes: no sockets, no clocks,
//! no threads. Always true: bytes of a peer never panic, never loop and never allocate more than a small
//! multiple of their own length.

pub mod acceptor;
pub mod client;
pub mod client_info;
pub mod framing;
pub mod input;
pub mod keymap;
pub mod pdu;
pub mod replay;

pub use ironrdp_acceptor::DesktopSize;
pub use ironrdp_pdu::nego::SecurityProtocol;
