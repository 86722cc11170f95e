//! What the system tests are made of: a booted machine, clients in it, and what their screens show.
//!
//! Every file under `tests/tests/` that needs a machine is a program of its own ([`runner`]), because a
//! machine must be powered off at the end whatever happened. Absent: anything that the programs under
//! test are built of; they are seen from outside only.

pub mod client;
pub mod keyboard;
pub mod machine;
pub mod memory;
pub mod processes;
pub mod rogue;
pub mod runner;
pub mod screen;
pub mod server;
pub mod strangers;
pub mod typist;

use anyhow::bail;
use std::time::{Duration, Instant};

/// Longer than anything takes on the slowest and busiest machine. Nobody ever waits for it to pass, but in a test that
/// fails.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until the answer is there; `what` says what was waited for.
pub fn eventually<T>(what: &str, limit: Duration, ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    poll(what, limit, Duration::from_millis(100), ask)
}

/// The same with a pause of one's own between two questions.
pub fn poll<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() > end {
            bail!("waited {limit:?} in vain for {what}");
        }
        std::thread::sleep(pause);
    }
}

/// Fails with both values unless they are equal.
pub fn expect_eq<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should: T) -> anyhow::Result<()> {
    if is != should {
        bail!("{what} is {is:?}, expected {should:?}");
    }
    Ok(())
}

/// Fails unless `text` has `part`.
pub fn expect_in(what: &str, part: &str, text: &str) -> anyhow::Result<()> {
    if !text.contains(part) {
        let end = text.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
        bail!("{what} does not say {part:?}; it says:\n{}", &text[end..]);
    }
    Ok(())
}
