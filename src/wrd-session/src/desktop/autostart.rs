//! XDG autostart: which entries run and how. Reading the folders is apart from the pure parser.
//!
//! We run the entries ourselves also where systemd's user manager is there: its generator's units hang on
//! `xdg-desktop-autostart.target`, which our `wrd-session.target` does not pull in, so nothing starts twice;
//! our way is the same without systemd, and the programs end with the session's other children.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Larger files are no desktop entries, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Most entries that are started.
const MAX_ENTRIES: usize = 128;

/// One program to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Autostart {
    pub name: String,
    pub arguments: Vec<String>,
    pub folder: Option<PathBuf>,
}

/// The folders, the most important first.
pub fn folders(home: &Path) -> Vec<PathBuf> {
    let absolute = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
    let system =
        std::env::var_os("XDG_CONFIG_DIRS").filter(|dirs| !dirs.is_empty()).unwrap_or_else(|| "/etc/xdg".into());
    std::iter::once(own)
        .chain(std::env::split_paths(&system).filter(|path| path.is_absolute()))
        .map(|folder| folder.join("autostart"))
        .collect()
}

/// Everything that is to be started; a file hides those of the same name in later folders.
pub fn entries(folders: &[PathBuf], desktops: &[String], is_installed: impl Fn(&str) -> bool) -> Vec<Autostart> {
    let mut files: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for folder in folders {
        let Ok(listing) = std::fs::read_dir(folder) else { continue };
        for file in listing.flatten() {
            let path = file.path();
            if path.extension().is_some_and(|extension| extension == "desktop") {
                files.entry(file.file_name()).or_insert(path);
            }
        }
    }
    let mut entries = Vec::new();
    for path in files.into_values() {
        let small = std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_FILE);
        let text = if small { std::fs::read_to_string(&path).unwrap_or_default() } else { String::new() };
        match entry(&text, &path.display().to_string(), desktops, &is_installed) {
            Ok(entry) => entries.push(entry),
            Err(reason) => tracing::debug!(file = %path.display(), reason, "an autostart entry is not started"),
        }
    }
    entries.truncate(MAX_ENTRIES);
    entries
}

/// What an entry's text wants, or why it is not started.
pub fn entry(
    text: &str,
    file: &str,
    desktops: &[String],
    is_installed: impl Fn(&str) -> bool,
) -> Result<Autostart, &'static str> {
    let keys = keys(text);
    let get = |key: &str| keys.get(key).copied();
    let is_true = |key: &str| get(key) == Some("true");
    if get("Type") != Some("Application") {
        return Err("it is no application");
    }
    if is_true("Hidden") {
        return Err("it is hidden");
    }
    let ours = |list: &str| list.split(';').any(|name| desktops.iter().any(|desktop| desktop == name));
    if get("OnlyShowIn").is_some_and(|list| !ours(list)) || get("NotShowIn").is_some_and(ours) {
        return Err("it is for other desktops");
    }
    if get("X-GNOME-Autostart-Phase").is_some() {
        return Err("it is a part of gnome-session");
    }
    if is_true("Terminal") {
        return Err("it wants a terminal");
    }
    if get("TryExec").map(unescaped).is_some_and(|program| !is_installed(&program)) {
        return Err("its program is not installed");
    }
    let exec = unescaped(get("Exec").ok_or("it has no Exec")?);
    let name = get("Name").map(unescaped).unwrap_or_default();
    let icon = get("Icon").map(unescaped).unwrap_or_default();
    let arguments = command_line(&exec, &Codes { name: &name, icon: &icon, file })?;
    let program = arguments.first().ok_or("its Exec is empty")?;
    if !is_installed(program) {
        return Err("its program is not installed");
    }
    let folder = get("Path").filter(|path| !path.is_empty()).map(|path| PathBuf::from(unescaped(path)));
    Ok(Autostart { name: program.clone(), arguments, folder })
}

/// The keys of the `[Desktop Entry]` group; localised ones are left out.
fn keys(text: &str) -> BTreeMap<&str, &str> {
    let mut keys = BTreeMap::new();
    let mut inside = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with('[') {
            inside = line.trim_end() == "[Desktop Entry]";
        } else if let (true, false, Some((key, value))) = (inside, line.starts_with('#'), line.split_once('=')) {
            keys.entry(key.trim_end()).or_insert(value.trim());
        }
    }
    keys
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
fn command_line(exec: &str, codes: &Codes<'_>) -> Result<Vec<String>, &'static str> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Autostart, &'static str> {
        let text =
            format!("# a comment\n[Desktop Entry]\nType=Application\nName=My App\n{text}\n[Other]\nHidden=true\n");
        entry(&text, "/x/my.desktop", &["wrd".to_owned()], |program| program != "missing")
    }

    fn arguments(exec: &str) -> Vec<String> {
        read(&format!("Exec={exec}\nIcon=pic")).unwrap().arguments
    }

    #[test]
    fn command_lines_follow_the_rules_of_quoting_and_field_codes() {
        assert_eq!(arguments("app"), ["app"]);
        assert_eq!(arguments("app --one  two"), ["app", "--one", "two"]);
        assert_eq!(arguments(r#""my app" "a \\"b\\" \\$c \\\\""#), ["my app", r#"a "b" $c \"#]);
        assert_eq!(arguments("app %U --name=%c %k 100%%"), ["app", "--name=My App", "/x/my.desktop", "100%"]);
        assert_eq!(arguments("app %i"), ["app", "--icon", "pic"]);
        assert_eq!(arguments(r#"sh -c "echo 'x;y'""#), ["sh", "-c", "echo 'x;y'"]);
        assert_eq!(arguments(r#"app """#), ["app", ""]);
        assert!(read("Exec=app \"open").is_err());
        assert!(read("Exec=app %x").is_err());
        assert!(read("Exec=").is_err());
    }

    #[test]
    fn entries_that_are_not_for_us_are_left_out() {
        assert!(read("Exec=app").is_ok());
        for text in [
            "Exec=app\nHidden=true",
            "Exec=app\nOnlyShowIn=GNOME;KDE;",
            "Exec=app\nNotShowIn=wrd;",
            "Exec=app\nTryExec=missing",
            "Exec=missing --now",
            "Exec=app\nTerminal=true",
            "Exec=app\nX-GNOME-Autostart-Phase=Initialization",
            "Name=x",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read("Exec=app\nOnlyShowIn=GNOME;wrd;").is_ok());
        assert!(read("Exec=app\nNotShowIn=GNOME;").is_ok());
        assert!(read("Exec=app\nHidden=false\nTryExec=present").is_ok());
        assert!(entry("[Desktop Entry]\nType=Link\nExec=app", "", &[], |_| true).is_err());
    }

    #[test]
    fn a_users_file_hides_the_systems() {
        let root = tempfile::tempdir().unwrap();
        let (own, system) = (root.path().join("own"), root.path().join("system"));
        for folder in [&own, &system] {
            std::fs::create_dir(folder).unwrap();
        }
        let write = |folder: &Path, name: &str, text: &str| {
            std::fs::write(folder.join(name), format!("[Desktop Entry]\nType=Application\n{text}\n")).unwrap();
        };
        write(&system, "a.desktop", "Exec=a");
        write(&system, "b.desktop", "Exec=b");
        write(&system, "ignored.txt", "Exec=c");
        write(&own, "a.desktop", "Hidden=true");
        let found = entries(&[own, system, root.path().join("none")], &[], |_| true);
        assert_eq!(found.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s).{0,200}", exec in "[ -~]{0,60}") {
            let _ = entry(&text, "f", &[], |_| true);
            let _ = read(&format!("Exec={exec}"));
        }
    }
}
