//! Why somebody did not get in: one text for their screen, one reason for the journal.
//!
//! Always true: an unknown user, a wrong password and an account that may not log in before its
//! password was right all read the same on the screen.

use wrd_proto::Line;

/// A login that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// For the user's screen.
    pub text: Line,
    /// For the journal: exact.
    pub reason: String,
    pub again: Again,
}

/// Whether the same client may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    Allowed,
    Pointless,
}

impl Denial {
    /// Anything about who or with what: the screen must not tell which.
    pub fn credentials(reason: impl Into<String>) -> Self {
        Self { text: Line::truncated(WRONG_CREDENTIALS), reason: reason.into(), again: Again::Allowed }
    }

    /// The password was right, or the trouble has nothing to do with it: the screen says what it is.
    pub fn said(text: &str, reason: impl Into<String>) -> Self {
        Self { text: Line::truncated(text), reason: reason.into(), again: Again::Allowed }
    }

    /// Whether it was about who or with what, as far as anybody is told.
    pub fn blames_credentials(&self) -> bool {
        self.text.as_str() == WRONG_CREDENTIALS
    }

    pub fn for_good(mut self) -> Self {
        self.again = Again::Pointless;
        self
    }
}

pub const WRONG_CREDENTIALS: &str = "The user name or the password is wrong.";
