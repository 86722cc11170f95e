//! The house rules that a program can check. Owns the walk over the tree and the report; the rules
//! themselves are in the modules beside this one, each a function from sources to complaints.

use crate::{edges, manual, sizes, translations, unsafety, versions};
use anyhow::{Context, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// One Rust file of ours.
pub struct Source {
    /// From the top of the tree, with `/`.
    pub path: String,
    pub text: String,
}

impl Source {
    /// Integration tests, system tests and unit tests in files of their own.
    pub fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.starts_with("tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
            // The login screen's pictures.
            || self.path.ends_with("/greeter/references.rs")
    }

    /// The text up to the unit tests at its end.
    pub fn code(&self) -> &str {
        const TESTS: &str = "\n#[cfg(test)]\n";
        // Not where a module in a file of its own is declared.
        let opens = |at: &usize| {
            let line = self.text.get(at + TESTS.len()..).and_then(|behind| behind.lines().next());
            line.is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
        };
        let end = self.text.match_indices(TESTS).map(|(at, _)| at).find(opens);
        end.and_then(|end| self.text.get(..end)).unwrap_or(&self.text)
    }
}

/// Runs every check and lists all complaints before failing.
pub fn run() -> anyhow::Result<()> {
    let top = top()?;
    let mut sources = Vec::new();
    for folder in ["src", "xtask", "tests", "benches"] {
        collect(&top, &top.join(folder), &mut sources)?;
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let mut complaints = Vec::new();
    complaints.extend(sizes::check(&sources));
    complaints.extend(unsafety::check(&sources));
    complaints.extend(edges::between_rooms(&sources));
    complaints.extend(edges::between_crates(&top)?);
    complaints.extend(versions::check(&top)?);
    complaints.extend(translations::check(&sources)?);
    complaints.extend(manual::check(&top)?);
    for complaint in &complaints {
        eprintln!("tidy: {complaint}");
    }
    if !complaints.is_empty() {
        bail!("{} house rules broken", complaints.len());
    }
    println!("tidy: {} files, all in order", sources.len());
    Ok(())
}

fn top() -> anyhow::Result<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
    Ok(top.to_owned())
}

fn collect(top: &Path, folder: &Path, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            // The fuzz crate is a workspace of its own and has its own build directory.
            if !path.ends_with("target") {
                collect(top, &path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let path = path.strip_prefix(top)?.to_string_lossy().into_owned();
            sources.push(Source { path, text });
        }
    }
    Ok(())
}
