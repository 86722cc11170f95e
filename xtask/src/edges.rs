//! Who may not know whom: dependencies between crates, asked of `cargo tree`, and between the rooms of
//! the worker, read from its sources. ARCHITECTURE.md has the reasons.

use crate::tidy::Source;
use anyhow::{Context, bail};
use std::path::Path;
use std::process::Command;

/// A crate, and names it must not reach by any path; a trailing `*` stands for any ending.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("wrd-proto", &["wrd-config", "wrd-sys", "wrd-rdp", "wrd-draw", "nix", "ironrdp*", "tokio"]),
    ("wrd-sys", &["wrd-config", "wrd-rdp", "wrd-draw", "ironrdp*", "tokio"]),
    ("wrd-config", &["wrd-sys", "wrd-rdp", "wrd-draw", "ironrdp*", "tokio"]),
    ("wrd-enrol", &["wrd-proto", "wrd-config", "wrd-sys", "wrd-rdp", "wrd-draw", "nix", "ironrdp*", "tokio"]),
    ("pam-wrd-enrol", &["wrd-proto", "wrd-config", "wrd-sys", "serde", "nix", "tracing", "tokio"]),
    ("wrd-draw", &["wrd-proto", "wrd-config", "wrd-sys", "wrd-rdp", "ironrdp*", "smithay", "tokio"]),
    ("wrd-dm", &["smithay", "ironrdp*", "sspi", "rustls", "zbus", "tokio", "pam-*", "wrd-rdp", "wrd-draw"]),
    ("wrd-gate", &["pam-*", "smithay", "zbus", "tokio", "wrd-config"]),
    ("wrd-leader", &["smithay", "ironrdp*", "rustls", "tokio", "wrd-rdp", "wrd-draw"]),
    ("wrd-session", &["pam-*", "tokio", "rustls"]),
    ("wrdctl", &["pam-*", "smithay", "ironrdp*", "rustls", "tokio"]),
];

/// Programs, and the tests' own client; nobody imports them but tests.
const PROGRAMS: &[&str] = &["wrd-dm", "wrd-gate", "wrd-leader", "wrd-session", "wrdctl", "wrd-test-client"];

/// Rooms of the worker, and rooms that each must not name.
const ROOMS: &[(&str, &[&str])] = &[
    ("pace", &["compositor", "render", "encode", "link", "input", "desktop", "output", "source", "state", "handover"]),
    ("link", &["compositor", "render", "encode"]),
    ("compositor", &["link", "encode", "channels"]),
    ("encode", &["compositor", "link", "input", "desktop", "channels"]),
];

pub fn between_crates(top: &Path) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (from, forbidden) in FORBIDDEN {
        let reached = reached(top, from)?;
        let programs = PROGRAMS.iter().filter(|program| program != &from);
        for pattern in forbidden.iter().chain(programs) {
            for name in reached.iter().filter(|name| matches(pattern, name)) {
                complaints.push(format!("{from} reaches {name}: `cargo tree -p {from} -i {name}` says how"));
            }
        }
    }
    Ok(complaints)
}

/// Names of the crates that `from` is built of, itself left out; dependencies of tests do not count.
fn reached(top: &Path, from: &str) -> anyhow::Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--edges", "normal,build", "--prefix", "none", "--format", "{p}", "--package", from])
        .current_dir(top)
        .output()
        .context("cannot run cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree -p {from} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut names: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != from && !name.is_empty())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

pub fn between_rooms(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let Some(inside) = source.path.strip_prefix("src/wrd-session/src/") else { continue };
        let room = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        for (_, forbidden) in ROOMS.iter().filter(|(name, _)| *name == room) {
            for (number, line) in source.code().lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                for other in forbidden.iter().filter(|other| names_room(code, other)) {
                    complaints.push(format!("{}:{}: {room} names {other}", source.path, number + 1));
                }
            }
        }
    }
    complaints
}

/// `crate::ROOM`, as a path or in a braced import.
fn names_room(code: &str, room: &str) -> bool {
    let Some((_, after)) = code.split_once("crate::") else { return false };
    match after.strip_prefix('{') {
        Some(list) => list.split([',', '{', '}', ' ', ':']).any(|name| name == room),
        None => after.split([':', ';', ',', ' ', '(', ')', '<', '>']).next() == Some(room),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names_or_beginnings() {
        assert!(matches("ironrdp*", "ironrdp-pdu"));
        assert!(matches("zbus", "zbus"));
        assert!(!matches("zbus", "zbus_macros"));
    }

    #[test]
    fn imports_between_rooms_are_seen() {
        assert!(names_room("use crate::encode::Frame;", "encode"));
        assert!(names_room("use crate::{encode, link};", "encode"));
        assert!(names_room("fn f(x: &crate::encode::Frame)", "encode"));
        assert!(!names_room("use crate::encoder::Frame;", "encode"));
        assert!(!names_room("use other::encode::Frame;", "encode"));
        let bad = Source { path: "src/wrd-session/src/pace/log.rs".into(), text: "//! x\nuse crate::link;\n".into() };
        assert_eq!(between_rooms(&[bad]).len(), 1);
    }
}
