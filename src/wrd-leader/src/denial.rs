//! Why somebody did not get in: one text for their screen, one reason for the journal.
//!
//! Always true: an unknown user, a wrong password and an account that may not log in before its
//! password was right all read the same on the screen.

use std::time::Duration;
use wrd_proto::Line;

/// A login that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// For the user's screen.
    pub text: Line,
    /// For the journal: exact.
    pub reason: String,
    pub again: Again,
    /// There is a reason other than the password, which the screen does not tell: a lock, too many tries, or that PAM was
    /// not asked.
    pub explained: bool,
    /// For so long it is kept from the user, which makes guessing slow.
    pub pause: Duration,
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
        Self {
            text: Line::truncated(WRONG_CREDENTIALS),
            reason: reason.into(),
            again: Again::Allowed,
            explained: false,
            pause: Duration::ZERO,
        }
    }

    /// The password was right, or the trouble has nothing to do with it: the screen says what it is.
    pub fn said(text: &str, reason: impl Into<String>) -> Self {
        Self { text: Line::truncated(text), ..Self::credentials(reason) }
    }

    /// Whether it was about who or with what, as far as anybody is told.
    pub fn blames_credentials(&self) -> bool {
        self.text.as_str() == WRONG_CREDENTIALS
    }

    pub fn after(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    pub fn for_good(mut self) -> Self {
        self.again = Again::Pointless;
        self
    }
}

pub const WRONG_CREDENTIALS: &str = "The user name or the password is wrong.";
