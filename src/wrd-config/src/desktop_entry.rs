//! Desktop entries, as freedesktop.org's specification has them: their keys, and the command line of their Exec.
//!
//! Always true: no text panics, and no larger file than a desktop entry is read. Deliberately absent: what an entry
//! is for, and running it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The keys of one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesktopEntry<'t> {
    keys: BTreeMap<&'t str, &'t str>,
}

impl<'t> DesktopEntry<'t> {
    /// Takes the keys of the `[Desktop Entry]` group; localised ones are there, too, but nobody asks for them.
    pub fn parse(text: &'t str) -> Self {
        let mut keys = BTreeMap::new();
        let mut inside = false;
        for line in text.lines().map(str::trim_start) {
            if line.starts_with('[') {
                inside = line.trim_end() == "[Desktop Entry]";
            } else if let (true, false, Some((key, value))) = (inside, line.starts_with('#'), line.split_once('=')) {
                keys.entry(key.trim_end()).or_insert(value.trim());
            }
        }
        Self { keys }
    }

    /// A value as it stands there.
    pub fn raw(&self, key: &str) -> Option<&'t str> {
        self.keys.get(key).copied()
    }

    /// A value of type string, without its escapes.
    pub fn string(&self, key: &str) -> Option<String> {
        self.raw(key).map(unescaped)
    }

    /// A value of type boolean.
    pub fn is_true(&self, key: &str) -> bool {
        self.raw(key) == Some("true")
    }

    /// What Exec wants to be run: the program first, the field codes filled in. `file` is where the entry stands.
    pub fn command_line(&self, file: &str) -> Result<Vec<String>, &'static str> {
        let exec = self.string("Exec").ok_or("it has no Exec")?;
        let name = self.string("Name").unwrap_or_default();
        let icon = self.string("Icon").unwrap_or_default();
        let arguments = split(&exec, &Codes { name: &name, icon: &icon, file })?;
        match arguments.first() {
            Some(program) if !program.is_empty() => Ok(arguments),
            _ => Err("its Exec is empty"),
        }
    }
}

/// The text of an entry's file, or why it cannot be one.
pub fn read(path: &Path) -> Result<String, String> {
    let about = std::fs::metadata(path).map_err(|error| format!("it cannot be read: {error}"))?;
    if !about.is_file() {
        return Err("it is no file".into());
    }
    if about.len() > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("it cannot be read: {error}"))
}

/// A program by its path or by its name in `$PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    if name.is_empty() {
        return None;
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// A string value without its escapes.
fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('s') => out.push(' '),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('\\') => out.push('\\'),
            // What is not defined is left for the quoting rules of Exec.
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// What field codes stand for.
struct Codes<'a> {
    name: &'a str,
    icon: &'a str,
    file: &'a str,
}

/// The arguments of an Exec value, its field codes filled in.
fn split(exec: &str, codes: &Codes<'_>) -> Result<Vec<String>, &'static str> {
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut chars = exec.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => arguments.extend(current.take()),
            '"' => {
                let argument = current.get_or_insert_default();
                loop {
                    match chars.next().ok_or("its Exec has an open quote")? {
                        '"' => break,
                        '\\' => argument.push(chars.next().ok_or("its Exec has an open quote")?),
                        c => argument.push(c),
                    }
                }
            }
            '%' => match chars.next() {
                Some('%') => current.get_or_insert_default().push('%'),
                Some('c') => current.get_or_insert_default().push_str(codes.name),
                Some('k') => current.get_or_insert_default().push_str(codes.file),
                Some('i') if !codes.icon.is_empty() => {
                    arguments.extend(current.take());
                    arguments.extend(["--icon".to_owned(), codes.icon.to_owned()]);
                }
                // No files are given to what starts by itself; the others are deprecated and mean nothing.
                Some('f' | 'F' | 'u' | 'U' | 'i' | 'd' | 'D' | 'n' | 'N' | 'v' | 'm') => {}
                _ => return Err("its Exec has an unknown field code"),
            },
            '\\' => current.get_or_insert_default().extend(chars.next()),
            c => current.get_or_insert_default().push(c),
        }
    }
    arguments.extend(current);
    if arguments.iter().any(|argument| argument.contains('\0')) {
        return Err("its Exec has a zero byte");
    }
    Ok(arguments)
}

/// Larger files are no desktop entries, in bytes.
const MAX_FILE: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arguments(exec: &str) -> Result<Vec<String>, &'static str> {
        let text = format!("# a comment\n[Desktop Entry]\nName=My App\nExec={exec}\nIcon=pic\n[Other]\nExec=other\n");
        DesktopEntry::parse(&text).command_line("/x/my.desktop")
    }

    #[test]
    fn command_lines_follow_the_rules_of_quoting_and_field_codes() {
        let fine = |exec: &str| arguments(exec).unwrap();
        assert_eq!(fine("app"), ["app"]);
        assert_eq!(fine("app --one  two"), ["app", "--one", "two"]);
        assert_eq!(fine(r#""my app" "a \\"b\\" \\$c \\\\""#), ["my app", r#"a "b" $c \"#]);
        assert_eq!(fine("app %U --name=%c %k 100%%"), ["app", "--name=My App", "/x/my.desktop", "100%"]);
        assert_eq!(fine("app %i"), ["app", "--icon", "pic"]);
        assert_eq!(fine(r#"sh -c "echo 'x;y'""#), ["sh", "-c", "echo 'x;y'"]);
        assert_eq!(fine(r#"app """#), ["app", ""]);
        for broken in ["app \"open", "app %x", "", "%U", "\"\""] {
            assert!(arguments(broken).is_err(), "{broken}");
        }
        assert!(DesktopEntry::parse("[Desktop Entry]\nName=x\n").command_line("f").is_err());
    }

    #[test]
    fn keys_are_those_of_the_entry_and_the_first_counts() {
        let entry = DesktopEntry::parse(
            "Name=none\n[Desktop Entry]\nName=A\\sB\nName=C\nHidden = true\n#Icon=x\n[X]\nPath=/\n",
        );
        assert_eq!(entry.string("Name").as_deref(), Some("A B"));
        assert!(entry.is_true("Hidden"));
        assert_eq!((entry.raw("Icon"), entry.raw("Path")), (None, None));
    }

    #[test]
    fn files_that_are_no_entries_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.desktop");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(read(&file).unwrap(), "x");
        std::fs::write(&file, vec![b'x'; MAX_FILE as usize + 1]).unwrap();
        assert!(read(&file).unwrap_err().contains("larger"));
        std::fs::write(&file, b"\xff").unwrap();
        assert!(read(&file).is_err());
        assert!(read(folder.path()).unwrap_err().contains("no file"));
    }

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        assert!(find_program("sh").is_some());
        assert!(find_program("/bin/sh").is_some());
        assert_eq!(find_program("/etc/passwd"), None);
        assert_eq!(find_program("no-such-program-anywhere"), None);
        assert_eq!(find_program(""), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s).{0,200}", exec in "[ -~]{0,60}") {
            let _ = DesktopEntry::parse(&text).command_line("f");
            let _ = arguments(&exec);
        }
    }
}
