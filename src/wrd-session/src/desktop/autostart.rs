//! XDG autostart: which entries run and how. Reading the folders is apart from the pure parser.
//!
//! We run the entries ourselves also where systemd's user manager is there: its generator's units hang on
//! `xdg-desktop-autostart.target`, which our `wrd-session.target` does not pull in, so nothing starts twice;
//! our way is the same without systemd, and the programs end with the session's other children.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use wrd_config::desktop_entry::{self, DesktopEntry};

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
        let file = path.display().to_string();
        let read = desktop_entry::read(&path)
            .and_then(|text| entry(&text, &file, desktops, &is_installed).map_err(str::to_owned));
        match read {
            Ok(entry) => entries.push(entry),
            Err(reason) => tracing::debug!(file, reason, "an autostart entry is not started"),
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
    let entry = DesktopEntry::parse(text);
    if entry.raw("Type") != Some("Application") {
        return Err("it is no application");
    }
    if entry.is_true("Hidden") {
        return Err("it is hidden");
    }
    let ours = |list: &str| list.split(';').any(|name| desktops.iter().any(|desktop| desktop == name));
    if entry.raw("OnlyShowIn").is_some_and(|list| !ours(list)) || entry.raw("NotShowIn").is_some_and(ours) {
        return Err("it is for other desktops");
    }
    if entry.raw("X-GNOME-Autostart-Phase").is_some() {
        return Err("it is a part of gnome-session");
    }
    if entry.is_true("Terminal") {
        return Err("it wants a terminal");
    }
    if entry.string("TryExec").is_some_and(|program| !is_installed(&program)) {
        return Err("its program is not installed");
    }
    let arguments = entry.command_line(file)?;
    let program = arguments.first().ok_or("its Exec is empty")?;
    if !is_installed(program) {
        return Err("its program is not installed");
    }
    let folder = entry.string("Path").filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok(Autostart { name: program.clone(), arguments, folder })
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
            "Exec=app \"open",
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
