//! What the filter makes of calls that a gate does not make: of each argument that a rule has a condition for, of what
//! the relay no longer has, of a list of what an intruder would like to have.
//!
//! This program is its own gate, as far as its sandbox. In there it waits for ever, and has a call with other arguments
//! put in the place of that wait: by a debugger, so that it can be any call, and from the program's own memory nothing
//! has to be pointed to. `needed.rs` shows the other half, that no rule is too narrow.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

#[cfg(target_arch = "x86_64")]
#[path = "calls/debugger.rs"]
mod debugger;
#[cfg(target_arch = "x86_64")]
#[path = "calls/table.rs"]
mod table;

use std::process::ExitCode;

#[cfg(not(target_arch = "x86_64"))]
fn main() -> ExitCode {
    println!("SKIPPED: the debugger knows the registers of x86-64 only");
    ExitCode::SUCCESS
}

#[cfg(target_arch = "x86_64")]
fn main() -> ExitCode {
    use table::{CALLS, Call, UNLISTED};
    if let Ok(stage) = std::env::var(debugger::STAGE) {
        debugger::wait_in_the_sandbox(&stage);
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        if !args.iter().any(|arg| arg == "--ignored") {
            println!("no_call_is_made_in_another_way_than_its_rule_has_it: test");
        }
        return ExitCode::SUCCESS;
    }
    let unlisted = UNLISTED.iter().map(|(name, number)| Call(name, *number, [0; 6], Outcome::Dies, Outcome::Dies));
    let mut failures = 0;
    for Call(name, number, arguments, login, relay) in CALLS.iter().copied().chain(unlisted) {
        for (stage, wanted) in [("login", login), ("relay", relay)] {
            let found = debugger::make(stage, number, arguments);
            println!("{stage}: {name}: {found:?}");
            if found != wanted {
                failures += 1;
                println!("FAILED: {stage}: {name} {arguments:x?}: {found:?}, not {wanted:?}");
            }
        }
    }
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What comes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Whatever the kernel thinks of it.
    Returns,
    /// The filter kills the process.
    Dies,
}
