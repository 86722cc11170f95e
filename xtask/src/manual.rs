//! The man pages say what the programs take: every long option that a program's `--help` knows stands in
//! its page, in bold, and so does every subcommand.

use anyhow::{Context, bail};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Program, its page, and its subcommands.
const PAGES: &[(&str, &str, &[&str])] = &[
    ("wrd-dm", "man/wrd-dm.8.scd", &[]),
    ("wrd-leader", "man/wrd-leader.8.scd", &[]),
    (
        "wrdctl",
        "man/wrdctl.1.scd",
        &["list", "show", "disconnect", "terminate", "status", "enroll", "forget", "enrolled"],
    ),
];

pub fn check(top: &Path) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    for (program, page, commands) in PAGES {
        let text = fs::read_to_string(top.join(page)).with_context(|| format!("cannot read {page}"))?;
        let mut options = options_of(&help(top, program, None)?);
        for command in *commands {
            options.extend(options_of(&help(top, program, Some(command))?));
            if !text.contains(&format!("*{command}*")) {
                complaints.push(format!("{page}: the command {command} is missing"));
            }
        }
        options.sort();
        options.dedup();
        for option in options {
            if !text.contains(&format!("*{option}*")) {
                complaints.push(format!("{page}: the option {option} is missing"));
            }
        }
    }
    Ok(complaints)
}

fn help(top: &Path, program: &str, command: Option<&str>) -> anyhow::Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["run", "--locked", "--quiet", "--package", program, "--"])
        .args(command)
        .arg("--help")
        .current_dir(top)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program} --help failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The long options in a help text, where clap puts them: at the beginning of a line, perhaps behind a
/// short one.
fn options_of(help: &str) -> Vec<String> {
    help.lines()
        .filter_map(|line| {
            let line = line.trim_start();
            let line = line.split_once(", ").filter(|(short, _)| short.len() == 2).map_or(line, |(_, long)| long);
            let name: String = line.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            (name.starts_with("--") && name.len() > 2).then_some(name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_from_help_texts() {
        let help = "Usage: x [OPTIONS]\n\nOptions:\n      --listen <ADDR>  where; see --other\n  -h, --help           Print help\n";
        assert_eq!(options_of(help), ["--listen", "--help"]);
    }
}
