//! The NT hash of a password, and how it gets to the monitor: sealed to a public key, so that whoever writes an
//! entry (`wrdctl`, the PAM module inside `passwd`) can never read one.
//!
//! Always true: a hash is wiped when dropped and has no `Debug`; what is read is bounded before it is looked at; an
//! entry that was made for another uid or another name does not open. Deliberately absent: files, users of the
//! system, and whether a hash is right: PAM decides about logins, not this.

mod entry;
mod hash;
mod hpke;
mod keys;
mod name;

pub use entry::{Entry, EntryError, seal};
pub use hash::{NotText, NtHash};
pub use hpke::SealError;
pub use keys::{KeyError, MAX_KEY_TEXT, PrivateKey, PublicKey};
pub use name::{BadName, EntryName};
