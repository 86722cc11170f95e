//! Gate ↔ leader: the conversation of one login. The monitor makes this socket and never reads it.
//!
//! The gate sends `Credentials`. Before it says what came of them the leader may `Ask`, one question at a time,
//! each answered by `Answer` or `Cancel`, and `Tell`, which nobody answers. Then comes `Denied` (and, while
//! `may_retry`, the leader waits for the next `Credentials`) or `Accepted`. After `Accepted` the link comes from
//! the monitor, or `SessionFailed` from here. Closing the socket cancels.

use crate::{Line, Secret, Text, UserName};
use serde::{Deserialize, Serialize};

/// Most questions in one login, all of its tries together. A password that is changed with two mistakes on the way
/// takes nine.
pub const MAX_QUESTIONS: u32 = 64;
/// Most messages told in one login.
pub const MAX_TELLS: u32 = 64;

/// From the gate to the leader.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromGate {
    /// `domain` is what the client sent beside the name (may be empty; policy is the leader's). `session` counts only
    /// where the user has none yet.
    Credentials { user: UserName, domain: UserName, password: Secret, session: SessionChoice },
    /// To the question that was asked; may be empty.
    Answer(Secret),
    /// The user does not answer the question that was asked: the try is over, and was no wrong password.
    Cancel,
}

/// Which session a user wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionChoice {
    /// That of the last login.
    #[default]
    Last,
    /// One of those that the gate was offered (see [`crate::gate::Start::sessions`]); nothing else has a name that
    /// is heard.
    Named(SessionName),
}

/// Names a session: the name of its file without `.desktop`; empty: what is configured, or the desktop that is built in.
pub type SessionName = Text<64>;

/// From the leader to the gate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLeader {
    /// PAM (or the one-time password) said no, or the user cancelled. `text` is for the user's screen.
    Denied { text: Line, may_retry: bool },
    /// The user is authenticated; the session is being found or started.
    Accepted,
    /// The user is authenticated but there is no session for them, and why.
    SessionFailed { text: Line },
    /// A question of a PAM module, in its own words.
    Ask { kind: Prompt, text: Line },
    /// What a PAM module has to say, in its own words; the login goes on.
    Tell { tone: Tone, text: Line },
}

/// How the answer to a question is shown while it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prompt {
    /// As dots (PAM_PROMPT_ECHO_OFF).
    Hidden,
    /// As it is (PAM_PROMPT_ECHO_ON).
    Shown,
}

/// What kind of message is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tone {
    /// PAM_TEXT_INFO.
    Info,
    /// PAM_ERROR_MSG.
    Error,
}
