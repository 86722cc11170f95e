//! How long a worker waits for its clients. Pure data: tests have shorter ones. The table in `docs/security-model.md`
//! ("Deadlines") has a row for each.

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// A link hands over its transcript.
    pub transcript: Duration,
    /// From there to the client's first picture.
    pub activation: Duration,
    /// A client reads nothing while something is to be read.
    pub stall: Duration,
    /// A client that is sent away reads why, and goes.
    pub farewell: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { transcript: seconds(10), activation: seconds(30), stall: seconds(60), farewell: seconds(2) }
    }
}
