//! Versions that no lock file of ours may come to, whatever `cargo update` finds. The reasons are in docs/upstream.md.

use anyhow::{Context, bail};
use std::fs;
use std::path::Path;

const LOCKS: &[&str] = &["Cargo.lock", "tests/fuzz/Cargo.lock"];

/// A package, the first version (major, minor) that is too new, and what is wrong with it.
const BELOW: &[(&str, (u32, u32), &str)] = &[("blocking", (1, 7), "a thread of it wakes up twice a second for ever")];

pub fn check(top: &Path) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for lock in LOCKS {
        let text = fs::read_to_string(top.join(lock)).with_context(|| format!("cannot read {lock}"))?;
        complaints.extend(too_new(lock, &text)?);
    }
    Ok(complaints)
}

fn too_new(lock: &str, text: &str) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (package, limit, reason) in BELOW {
        let versions: Vec<&str> = versions(text, package).collect();
        if versions.is_empty() {
            bail!("{lock} has no {package}: is it still needed here?");
        }
        for version in versions {
            if major_minor(version).with_context(|| format!("{lock}: {package} {version:?}"))? >= *limit {
                complaints.push(format!("{lock}: {package} {version}: {reason} (docs/upstream.md)"));
            }
        }
    }
    Ok(complaints)
}

fn versions<'a>(lock: &'a str, package: &str) -> impl Iterator<Item = &'a str> {
    let name = format!("name = \"{package}\"");
    let packages = lock.split("[[package]]").filter(move |entry| entry.lines().any(|line| line == name));
    packages.flat_map(|entry| entry.lines().filter_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"')))
}

fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_is_too_new_is_a_complaint_and_none_is_an_error() {
        let lock = |version: &str| {
            format!(
                "version = 4\n\n[[package]]\nname = \"blocking\"\nversion = \"{version}\"\n\n[[package]]\nname = \"x\"\nversion = \"9.9.9\"\n"
            )
        };
        assert!(too_new("l", &lock("1.6.2")).unwrap().is_empty());
        for version in ["1.7.0", "1.10.0", "2.0.0"] {
            assert_eq!(too_new("l", &lock(version)).unwrap().len(), 1, "{version}");
        }
        assert!(too_new("l", "[[package]]\nname = \"blocking-x\"\nversion = \"1.6.2\"\n").is_err());
        assert!(too_new("l", &lock("new")).is_err());
    }
}
