//! Runs the tests of one file in order on one machine, and says so in the words of `cargo test`.

use crate::machine::{Init, Machine};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

/// A test: its name and what it does to the machine.
pub type Test = (&'static str, fn(&Machine) -> anyhow::Result<()>);

/// What the tests of one file run on.
pub struct Plan {
    pub init: Init,
    /// Before the first test.
    pub prepare: fn(&Machine) -> anyhow::Result<()>,
    /// After a test that failed, so that the next one fails for reasons of its own only.
    pub restore: fn(&Machine) -> anyhow::Result<()>,
}

/// Boots a machine, prepares it, runs what the command line asks for (a part of a name, `--exact`,
/// `--list`, `--skip NAME`; other options of `cargo test` are ignored), powers it off.
pub fn run(plan: &Plan, tests: &[Test]) -> ExitCode {
    let wanted = Wanted::from_args();
    let chosen: Vec<&Test> = tests.iter().filter(|(name, _)| wanted.wants(name)).collect();
    if wanted.list {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    if std::env::var_os("WRD_SKIP_SYSTEM").is_some() {
        println!("SKIPPED: WRD_SKIP_SYSTEM is set, nothing of this was tested");
        println!("\ntest result: ok. 0 passed; 0 failed; {} ignored\n", chosen.len());
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        println!("\ntest result: ok. 0 passed; 0 failed\n");
        return ExitCode::SUCCESS;
    }
    let begin = Instant::now();
    let machine = match Machine::boot(plan.init).and_then(|machine| (plan.prepare)(&machine).map(|()| machine)) {
        Ok(machine) => machine,
        Err(error) => {
            println!(
                "the test machine cannot be had: {error:#}\n\ntest result: FAILED. 0 passed; {} failed\n",
                chosen.len()
            );
            return ExitCode::FAILURE;
        }
    };
    let mut failed = Vec::new();
    for (name, test) in &chosen {
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| test(&machine)))
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the test itself panicked")));
        let seconds = start.elapsed().as_secs_f32();
        match result {
            Ok(()) => {
                println!("test {name} ... ok ({seconds:.1}s)");
                if std::env::var_os("WRD_SHOW_JOURNAL").is_some() {
                    println!("{}", indent(&machine.journal_since(start.elapsed())));
                }
            }
            Err(error) => {
                println!(
                    "test {name} ... FAILED ({seconds:.1}s)\n    {}",
                    format!("{error:#}").replace('\n', "\n    ")
                );
                println!(
                    "    journal of the last {seconds:.0} s:\n{}",
                    indent(&machine.journal_since(start.elapsed()))
                );
                failed.push(*name);
                if let Err(error) = (plan.restore)(&machine) {
                    println!("    and the machine could not be restored: {error:#}");
                }
            }
        }
    }
    drop(machine);
    let passed = chosen.len() - failed.len();
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    if !failed.is_empty() {
        println!("\nfailures: {}", failed.join(", "));
    }
    println!(
        "\ntest result: {word}. {passed} passed; {} failed; 0 ignored; finished in {:.1}s\n",
        failed.len(),
        begin.elapsed().as_secs_f32()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Wanted {
    list: bool,
    exact: bool,
    parts: Vec<String>,
    skip: Vec<String>,
}

impl Wanted {
    fn from_args() -> Self {
        let mut wanted = Self { list: false, exact: false, parts: Vec::new(), skip: Vec::new() };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--list" => wanted.list = true,
                "--exact" => wanted.exact = true,
                "--skip" => wanted.skip.extend(args.next()),
                // Options of libtest with a value of their own.
                "--test-threads" | "--format" | "--color" => drop(args.next()),
                option if option.starts_with('-') => {}
                part => wanted.parts.push(part.to_owned()),
            }
        }
        wanted
    }

    fn wants(&self, name: &str) -> bool {
        let hit = |part: &String| if self.exact { name == part } else { name.contains(part.as_str()) };
        (self.parts.is_empty() || self.parts.iter().any(hit)) && !self.skip.iter().any(hit)
    }
}

fn indent(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(60);
    lines.iter().skip(from).map(|line| format!("      {line}\n")).collect()
}
