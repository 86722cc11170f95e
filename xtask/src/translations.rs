//! The login screen's translations, whose keys are what our programs say in English: a text that is changed where it is
//! said would lose its translation without a word, so each key stands as a string in some program. Deliberately absent:
//! what PAM and the system say, and whether a text has a translation at all.

use crate::tidy::Source;
use anyhow::Context;

const FILE: &str = "src/wrd-gate/src/greeter/words.rs";
/// Its tables of what we say ourselves.
const OURS: &[&str] = &["WORDS", "PARTS"];

pub fn check(sources: &[Source]) -> anyhow::Result<Vec<String>> {
    let file = sources.iter().find(|source| source.path == FILE).with_context(|| format!("there is no {FILE}"))?;
    let programs =
        sources.iter().filter(|source| source.path.starts_with("src/") && source.path != FILE && !source.is_test());
    let said: Vec<String> = programs.map(|source| plain(source.code())).collect();
    let mut complaints = Vec::new();
    for table in OURS {
        for line in entries(file.code(), table).with_context(|| format!("{FILE} has no table {table}"))? {
            let key = key(line).with_context(|| format!("{FILE}: no entry of a table: {line}"))?;
            let string = format!("\"{key}\"");
            if !said.iter().any(|program| program.contains(&string)) {
                complaints.push(format!("{FILE}: nobody says {string}"));
            }
        }
    }
    Ok(complaints)
}

/// The lines of a table that are no comments.
fn entries<'a>(text: &'a str, table: &str) -> Option<impl Iterator<Item = &'a str>> {
    let (_, behind) = text.split_once(&format!("\nconst {table}: &Table = &[\n"))?;
    let (lines, _) = behind.split_once("\n];\n")?;
    Some(lines.lines().map(str::trim_start).filter(|line| !line.starts_with("//")))
}

fn key(entry: &str) -> Option<&str> {
    let (key, _) = entry.strip_prefix("(\"")?.split_once("\", [")?;
    Some(key)
}

/// With `{}` for every argument of a format string, and each string in one line.
fn plain(code: &str) -> String {
    let code: Vec<&str> =
        code.split("\\\n").enumerate().map(|(n, part)| if n > 0 { part.trim_start() } else { part }).collect();
    let code = code.concat();
    let mut parts = code.split('{');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push('{');
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_:#?.".contains(c)));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: &str = "//! x

const WORDS: &Table = &[
    // Ours.
    (\"The shell of {}, {}.\", [\"Die Shell {2} von {1}.\"]),
];

const PARTS: &Table = &[
    (\"it ended\", [\"Ende\"]),
];

const PROMPTS: &Table = &[
    (\"Code:\", [\"Code:\"]),
];
";

    fn complaints(path: &str, program: &str) -> anyhow::Result<Vec<String>> {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        check(&[source(FILE, TABLES), source(path, program)])
    }

    #[test]
    fn a_key_is_a_string_of_some_program_whatever_its_arguments_are_called() {
        let ended = "const E: &str = \"it ended\";";
        for said in ["The shell of {name}, {error:#}.", "The shell of {}, {0:?}.", "The shell of \\\n      {}, {}."] {
            let program = format!("{ended} format!(\"{said}\")");
            assert_eq!(complaints("src/a/src/b.rs", &program).unwrap(), [""; 0], "{said}");
        }
        for said in ["The shell of {}.", "the shell of {}, {}.", "The shell of {}, {}. And more."] {
            let program = format!("{ended} format!(\"{said}\")");
            assert_eq!(complaints("src/a/src/b.rs", &program).unwrap().len(), 1, "{said}");
        }
    }

    #[test]
    fn tests_say_nothing_to_anybody() {
        let program = "const E: &str = \"it ended\"; format!(\"The shell of {}, {}.\")";
        for (path, text) in [
            ("src/a/src/tests.rs", program.to_owned()),
            ("tests/tests/b.rs", program.to_owned()),
            ("src/a/src/b.rs", format!("fn x() {{}}\n#[cfg(test)]\npub mod tests {{\n{program}\n}}\n")),
        ] {
            assert_eq!(complaints(path, &text).unwrap().len(), 2, "{path}");
        }
        let declared = format!("#[cfg(test)]\nmod tests;\n{program}\n");
        assert_eq!(complaints("src/a/src/b.rs", &format!("//! x\n{declared}")).unwrap(), [""; 0]);
    }

    #[test]
    fn tables_that_cannot_be_read_are_an_error() {
        let source = |text: &str| [Source { path: FILE.to_owned(), text: text.to_owned() }];
        assert!(check(&[]).is_err());
        assert!(check(&source("//! x\n")).is_err());
        assert!(check(&source(&TABLES.replace("(\"it ended\", [", "(\n\"it ended\",\n["))).is_err());
    }
}
