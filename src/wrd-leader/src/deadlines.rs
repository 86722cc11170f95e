//! How long a login waits for each party to it. Pure data: tests have shorter ones. The table in
//! `docs/security-model.md` ("Deadlines") has each of them.

use nix::unistd::alarm;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Somebody is let in.
    pub login: Duration,
    /// The same again, from the first question of a PAM module on.
    pub answering: Duration,
    /// The monitor says what becomes of who was let in: longer than another login of the same user may take to start the
    /// session that this one waits for.
    pub verdict: Duration,
    /// The gate has its link.
    pub link: Duration,
    /// Behind all that, the seconds of an alarm: for a PAM module that never comes back.
    pub backstop: Option<u32>,
}

impl Deadlines {
    pub const FULL: Self = Self {
        login: Duration::from_secs(180),
        answering: Duration::from_secs(180),
        verdict: Duration::from_secs(120),
        link: Duration::from_secs(30),
        backstop: Some(240),
    };

    /// Sets the alarm anew. Nothing is open yet that would have to be closed.
    pub fn arm_backstop(&self) {
        if let Some(seconds) = self.backstop {
            alarm::set(seconds);
        }
    }
}
