//! Files that a person can read: a first paragraph that says what a room owns, and an end in sight.

use crate::tidy::Source;

/// Lines in a file, unit tests at its end and whole test files not counted.
const MAX_FILE: usize = 800;
/// Lines in the `main.rs` of a program: parse, wire, run.
const MAX_MAIN: usize = 60;

pub fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        if !source.text.starts_with("//!") && !source.text.starts_with("#![no_main]") {
            complaints.push(format!("{}: does not open with //! and what it owns", source.path));
        }
        if source.is_test() {
            continue;
        }
        let lines = source.code().lines().count();
        if lines > MAX_FILE {
            complaints.push(format!("{}: {lines} lines, more than {MAX_FILE}", source.path));
        }
        if source.path.ends_with("src/main.rs") && lines > MAX_MAIN {
            complaints.push(format!("{}: {lines} lines, more than {MAX_MAIN} for a main.rs", source.path));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: String) -> Source {
        Source { path: path.to_owned(), text }
    }

    #[test]
    fn long_files_and_silent_files_are_found() {
        let long = format!("//! x\n{}", "a\n".repeat(MAX_FILE));
        assert_eq!(check(&[source("src/a/src/b.rs", long.clone())]).len(), 1);
        assert_eq!(check(&[source("tests/tests/b.rs", long)]).len(), 0);
        assert_eq!(check(&[source("src/a/src/b.rs", "fn x() {}\n".into())]).len(), 1);
        assert_eq!(check(&[source("src/a/src/main.rs", format!("//! x\n{}", "a\n".repeat(MAX_MAIN)))]).len(), 1);
    }

    #[test]
    fn unit_tests_at_the_end_do_not_count() {
        let text = format!("//! x\nfn x() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "a\n".repeat(MAX_FILE));
        assert!(check(&[source("src/a/src/b.rs", text)]).is_empty());
    }
}
