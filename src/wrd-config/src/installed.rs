//! The sessions that packages install, `*.desktop` in the `wayland-sessions` folders, and which of them a login wants.
//!
//! Always true: a session is named by an id that is a plain file name and nothing else, and what an id stands for is
//! looked up in the folders each time: nobody passes a command on. Deliberately absent: running one, and logging.

use crate::desktop_entry::{self, DesktopEntry};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use wrd_proto::login::{SessionChoice, SessionName};

/// Where sessions are installed; a file hides those of the same name in later folders.
pub const SESSION_FOLDERS: [&str; 2] = ["/usr/local/share/wayland-sessions", "/usr/share/wayland-sessions"];

/// Names an installed session: its file's name without `.desktop`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(SessionName);

impl SessionId {
    /// None for what leads out of a folder, is hidden in it, or does not belong into an environment.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
        let fine = !text.is_empty() && !text.starts_with(['.', '-']) && text.chars().all(plain);
        if fine { SessionName::try_from(text).ok().map(Self) } else { None }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn name(&self) -> &SessionName {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which session a login wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// That of the user's last login.
    #[default]
    Last,
    /// What is configured, or the desktop that is built in.
    Configured,
    Installed(SessionId),
}

impl Choice {
    /// None where a gate names what no session can be called: it was offered none of that name.
    pub fn of(choice: &SessionChoice) -> Option<Self> {
        match choice {
            SessionChoice::Last => Some(Self::Last),
            SessionChoice::Named(id) if id.is_empty() => Some(Self::Configured),
            SessionChoice::Named(id) => SessionId::parse(id).map(Self::Installed),
        }
    }
}

/// A session that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledSession {
    pub id: SessionId,
    /// For people.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What goes into XDG_CURRENT_DESKTOP, as it goes there.
    pub desktops: String,
    pub file: PathBuf,
}

/// Why a session cannot be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// There is none.
    Missing,
    /// Its own file says that it is not for now; nobody's fault.
    Hidden(&'static str),
    /// Its file is at fault, and how.
    Broken(String),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is not installed"),
            Self::Hidden(reason) => f.write_str(reason),
            Self::Broken(reason) => f.write_str(reason),
        }
    }
}

/// What is in the folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// In the order of their ids.
    pub sessions: Vec<InstalledSession>,
    /// The files that are at fault, and how.
    pub broken: Vec<(PathBuf, String)>,
}

impl Installed {
    /// Reads the folders, as far as sessions are ever read.
    pub fn list(folders: &[impl AsRef<Path>]) -> Self {
        let mut found = Self::default();
        let mut ids = BTreeSet::new();
        for folder in folders {
            let files = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_LISTED);
            for path in files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "desktop")) {
                match path.file_stem().and_then(|stem| stem.to_str()).and_then(SessionId::parse) {
                    Some(id) => drop(ids.insert(id)),
                    None => found.broken.push((path, UNUSUAL_NAME.into())),
                }
            }
        }
        if let Some(last) = ids.iter().nth(MAX_FILES) {
            let text = format!("there are more than {MAX_FILES} sessions: those from {last} on are left out");
            found.broken.push((folders.last().map(|folder| folder.as_ref().to_owned()).unwrap_or_default(), text));
        }
        for id in ids.into_iter().take(MAX_FILES) {
            match InstalledSession::find(folders, id) {
                Ok(session) => found.sessions.push(session),
                Err((path, Unusable::Broken(reason))) => found.broken.push((path, reason)),
                Err((_, Unusable::Missing | Unusable::Hidden(_))) => {}
            }
        }
        found.broken.truncate(MAX_FILES);
        found
    }
}

impl InstalledSession {
    /// The session of this id in the first folder that has a file for it.
    pub fn look_up(folders: &[impl AsRef<Path>], id: SessionId) -> Result<Self, Unusable> {
        Self::find(folders, id).map_err(|(_, why)| why)
    }

    fn find(folders: &[impl AsRef<Path>], id: SessionId) -> Result<Self, (PathBuf, Unusable)> {
        let files = folders.iter().map(|folder| folder.as_ref().join(format!("{id}.desktop")));
        let Some(file) = files.into_iter().find(|file| std::fs::symlink_metadata(file).is_ok()) else {
            return Err((PathBuf::new(), Unusable::Missing));
        };
        let session = desktop_entry::read(&file).map_err(Unusable::Broken).and_then(|text| {
            let find = |program: &str| desktop_entry::find_program(program).is_some();
            Self::of_entry(&DesktopEntry::parse(&text), id, file.clone(), find)
        });
        session.map_err(|why| (file, why))
    }

    fn of_entry(
        entry: &DesktopEntry<'_>,
        id: SessionId,
        file: PathBuf,
        is_installed: impl Fn(&str) -> bool,
    ) -> Result<Self, Unusable> {
        if entry.is_true("Hidden") || entry.is_true("NoDisplay") {
            return Err(Unusable::Hidden("it is hidden"));
        }
        if entry.string("TryExec").is_some_and(|program| !program.is_empty() && !is_installed(&program)) {
            return Err(Unusable::Hidden("its program is not installed"));
        }
        let broken = |reason: &str| Unusable::Broken(reason.to_owned());
        let name = entry.string("Name").map(|name| one_line(&name)).unwrap_or_default();
        if name.is_empty() {
            return Err(broken("it has no Name"));
        }
        let command = entry.command_line(&file.to_string_lossy()).map_err(broken)?;
        let names = entry.string("DesktopNames").unwrap_or_default();
        let names: Vec<&str> = names.split(';').map(str::trim).filter(|name| is_plain(name)).collect();
        let desktops = if names.is_empty() { id.to_string() } else { names.join(":") };
        Ok(Self { id, name, command, desktops, file })
    }
}

/// A name of a desktop, which goes into lists with colons between them.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != ':')
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect::<String>().trim().to_owned()
}

/// Most sessions whose files are read.
const MAX_FILES: usize = 32;
/// Most names that are looked at in a folder.
const MAX_LISTED: usize = 1024;
const UNUSUAL_NAME: &str = "its name is not made of at most 64 letters, digits, '-', '_', '.' and '+'";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> SessionId {
        SessionId::parse(text).unwrap()
    }

    fn write(folder: &Path, name: &str, text: &str) {
        std::fs::write(folder.join(name), format!("[Desktop Entry]\n{text}\n")).unwrap();
    }

    #[test]
    fn ids_are_plain_file_names() {
        for fine in ["sway", "gnome-wayland", "plasma_x11", "org.labwc", "c++", &"x".repeat(64)] {
            assert_eq!(SessionId::parse(fine).map(|id| id.to_string()).as_deref(), Some(fine));
        }
        for bad in ["", ".", "..", ".sway", "a/b", "/etc/x", "-x", "a b", "a\0", "a\n", "ä", "a;b", &"x".repeat(65)] {
            assert_eq!(SessionId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_choice_is_a_name_that_a_session_can_have() {
        for (said, choice) in [
            (SessionChoice::Last, Choice::Last),
            (SessionChoice::Named(SessionName::default()), Choice::Configured),
            (SessionChoice::Named(SessionName::truncated("sway")), Choice::Installed(id("sway"))),
        ] {
            assert_eq!(Choice::of(&said), Some(choice));
        }
        for bad in ["../../tmp/evil", "a/b", ".hidden"] {
            assert_eq!(Choice::of(&SessionChoice::Named(SessionName::truncated(bad))), None, "{bad}");
        }
    }

    #[test]
    fn sessions_are_listed_in_order_and_those_at_fault_are_named() {
        let root = tempfile::tempdir().unwrap();
        let (local, system) = (root.path().join("local"), root.path().join("system"));
        for folder in [&local, &system] {
            std::fs::create_dir(folder).unwrap();
        }
        write(&system, "sway.desktop", "Name=Sway\nExec=sway --x \"a b\" %U\nDesktopNames=sway;wlroots;");
        write(&system, "foot.desktop", "Name=Foot\nExec=foot\nTryExec=/bin/sh");
        write(&system, "gone.desktop", "Name=Gone\nExec=gone\nTryExec=no-such-program-anywhere");
        write(&system, "unseen.desktop", "Name=Unseen\nExec=x\nNoDisplay=true");
        write(&system, "masked.desktop", "Name=Masked\nExec=x");
        write(&local, "masked.desktop", "Hidden=true");
        write(&system, "replaced.desktop", "Name=Old\nExec=old");
        write(&local, "replaced.desktop", "Name=New\nExec=new");
        write(&system, "nameless.desktop", "Exec=x");
        write(&system, "open.desktop", "Name=Open\nExec=x \"open");
        write(&system, "a b.desktop", "Name=Spaced\nExec=x");
        write(&system, "readme.txt", "Name=No\nExec=x");
        std::fs::write(system.join("large.desktop"), vec![b'#'; 64 * 1024 + 1]).unwrap();
        let folders = [local, system, root.path().join("none")];
        let Installed { sessions, broken } = Installed::list(&folders);
        let named: Vec<_> = sessions.iter().map(|session| (session.id.as_str(), session.name.as_str())).collect();
        assert_eq!(named, [("foot", "Foot"), ("replaced", "New"), ("sway", "Sway")]);
        let mut files: Vec<_> = broken.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
        files.sort_unstable();
        assert_eq!(files, ["a b.desktop", "large.desktop", "nameless.desktop", "open.desktop"]);

        let sway = InstalledSession::look_up(&folders, id("sway")).unwrap();
        assert_eq!(sway.command, ["sway", "--x", "a b"]);
        assert_eq!(sway.desktops, "sway:wlroots");
        assert_eq!(InstalledSession::look_up(&folders, id("foot")).unwrap().desktops, "foot");
        assert_eq!(InstalledSession::look_up(&folders, id("none")), Err(Unusable::Missing));
        for hidden in ["masked", "unseen", "gone"] {
            let found = InstalledSession::look_up(&folders, id(hidden));
            assert!(matches!(found, Err(Unusable::Hidden(_))), "{hidden}: {found:?}");
        }
    }

    #[test]
    fn a_flood_of_sessions_is_cut_off_and_said() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..MAX_FILES + 3 {
            write(root.path(), &format!("s{number:03}.desktop"), "Name=S\nExec=s");
        }
        let found = Installed::list(&[root.path()]);
        assert_eq!(found.sessions.len(), MAX_FILES);
        assert!(matches!(found.broken.as_slice(), [(_, text)] if text.contains("s032")), "{:?}", found.broken);
    }

    proptest! {
        #[test]
        fn no_entry_panics_or_puts_lines_or_colons_where_they_mean_something(text in "(?s).{0,200}", names in "[ -~]{0,40}") {
            let text = format!("[Desktop Entry]\nName=x\\n\\ty\nExec=x\nDesktopNames={names}\n{text}");
            let entry = DesktopEntry::parse(&text);
            if let Ok(session) = InstalledSession::of_entry(&entry, id("x"), "f".into(), |_| true) {
                prop_assert!(!session.name.contains(char::is_control));
                prop_assert!(session.desktops.split(':').all(is_plain));
            }
        }
    }
}
