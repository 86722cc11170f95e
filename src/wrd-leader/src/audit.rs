//! What the kernel's audit log hears of a login beside what PAM's modules tell it: as of sshd's, that somebody was refused,
//! and that somebody has their session. PAM has its own records of the rest, also of a session's end.
//!
//! Always true: nobody is kept out, or let in, because there is no record. Deliberately absent: who does not come as far as
//! a leader, as whoever NLA or a cookie was refused; the monitor says that in the journal, and may not write here.

use crate::account::Account;
use crate::pam::TTY;
use wrd_proto::{Address, UserName};
use wrd_sys::audit::{Login, Outcome, Who};

/// Credentials were refused, or an account that may not be used.
pub fn denied(user: &UserName, client: &Address) {
    record(Who::Named(user), client, Outcome::Failed);
}

/// Somebody was let in and has a desktop.
pub fn logged_in(account: &Account, client: &Address) {
    record(Who::Uid(account.uid), client, Outcome::Success);
}

/// Somebody was let in and there is no session for them. By name, as that is what of a failure is read.
pub fn no_session(account: &Account, client: &Address) {
    record(Who::Named(&account.name), client, Outcome::Failed);
}

fn record(who: Who<'_>, client: &Address, outcome: Outcome) {
    let login = Login { who, address: client.parse().ok(), terminal: TTY, outcome };
    if let Err(errno) = login.record() {
        tracing::warn!("ignoring that a login has no audit record: {errno}");
    }
}
