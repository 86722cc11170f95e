//! `pam_wrd_enroll.so`: enrols a user for NLA when their password is changed (`password`) or was just the right one
//! (`auth`).
//!
//! Always true: it decides about no login and no change of a password, but answers `PAM_IGNORE` whatever happens; asks
//! nobody anything; says at most one line, in the log; needs root and otherwise does nothing, silently. A panic ends
//! here. The entry that it writes it cannot read: it is sealed to the monitor's key. Deliberately absent: everything
//! that a program which runs as root and takes passwords does not need.

mod ffi;
mod store;
