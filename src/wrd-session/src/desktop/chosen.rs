//! Which session this login starts: the one that was chosen, else the one that was chosen before.
//!
//! Always true: what is remembered is an id, in a file of the user's, and what it stands for is looked up anew each
//! time; a session that is gone, and one that failed at once, is forgotten, so that it keeps nobody out of the next
//! login. Deliberately absent: the configured command, which comes after all this, and running anything.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use wrd_config::{Choice, InstalledSession, SessionId};

/// The session of a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// None: the configured one.
    pub session: Option<InstalledSession>,
    /// What the user should know.
    pub notice: Option<String>,
}

impl Chosen {
    /// Finds out, and remembers what was chosen now.
    pub fn find(choice: Choice, folders: &[impl AsRef<Path>], memory: &Memory) -> Self {
        let id = match choice {
            Choice::Configured => {
                memory.forget();
                return Self::default();
            }
            Choice::Last => memory.recall(),
            Choice::Installed(ref id) => Some(id.clone()),
        };
        let Some(id) = id else { return Self::default() };
        match InstalledSession::look_up(folders, id.clone()) {
            Ok(session) => {
                if choice != Choice::Last {
                    memory.remember(&id);
                }
                Self { session: Some(session), notice: None }
            }
            Err(why) => {
                tracing::warn!(session = %id, "ignoring the session that was chosen: {why}");
                if choice == Choice::Last {
                    memory.forget();
                }
                let notice = format!("The session \"{id}\" that was chosen cannot be started: {why}.");
                Self { session: None, notice: Some(notice) }
            }
        }
    }
}

/// Where the last choice is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory(PathBuf);

impl Memory {
    /// `$XDG_STATE_HOME/wrd-dm/session`, or its place below the home folder.
    pub fn of(home: &Path) -> Self {
        let given = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
        Self::below(&given.unwrap_or_else(|| home.join(".local/state")))
    }

    /// The same in another state folder.
    pub fn below(state: &Path) -> Self {
        Self(state.join("wrd-dm/session"))
    }

    /// What was chosen last; none where nothing was, or nothing that makes sense stands there.
    fn recall(&self) -> Option<SessionId> {
        let about = std::fs::metadata(&self.0).ok()?;
        let text =
            if about.is_file() && about.len() <= MAX_FILE { std::fs::read_to_string(&self.0).ok() } else { None };
        let id = text.as_deref().map(str::trim_end).and_then(SessionId::parse);
        if id.is_none() {
            tracing::warn!("ignoring {}: it names no session", self.0.display());
        }
        id
    }

    /// A home that cannot be written to keeps nobody from working.
    fn remember(&self, id: &SessionId) {
        if let Err(error) = self.write(id) {
            tracing::warn!("ignoring that the session cannot be remembered in {}: {error}", self.0.display());
        }
    }

    /// Whole or not at all: written beside it, and put in its place.
    fn write(&self, id: &SessionId) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let new = self.0.with_extension("new");
        std::fs::write(&new, format!("{id}\n"))?;
        std::fs::rename(&new, &self.0)
    }

    pub fn forget(&self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("ignoring that the session cannot be forgotten in {}: {error}", self.0.display());
            }
            _ => {}
        }
    }
}

/// Larger than any id, in bytes.
const MAX_FILE: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Test {
        root: tempfile::TempDir,
        memory: Memory,
    }

    impl Test {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs::create_dir(root.path().join("sessions")).unwrap();
            for id in ["sway", "labwc"] {
                fs::write(root.path().join(format!("sessions/{id}.desktop")), "[Desktop Entry]\nName=N\nExec=x\n")
                    .unwrap();
            }
            let memory = Memory::below(&root.path().join("state"));
            Self { root, memory }
        }

        /// The session that starts, and whether the user is told of another.
        fn log_in(&self, choice: &str) -> (Option<String>, bool) {
            let choice = if choice == "last" { Choice::Last } else { Choice::of_argument(choice).unwrap() };
            let chosen = Chosen::find(choice, &[self.root.path().join("sessions")], &self.memory);
            (chosen.session.map(|session| session.id.to_string()), chosen.notice.is_some())
        }

        fn file(&self) -> PathBuf {
            self.root.path().join("state/wrd-dm/session")
        }
    }

    fn starts(id: &str) -> (Option<String>, bool) {
        (Some(id.to_owned()), false)
    }

    const CONFIGURED: (Option<String>, bool) = (None, false);
    const TOLD: (Option<String>, bool) = (None, true);

    #[test]
    fn a_choice_is_remembered_until_another_is_made() {
        let test = Test::new();
        assert_eq!(test.log_in("last"), CONFIGURED);
        assert_eq!(test.log_in("sway"), starts("sway"));
        assert_eq!(fs::read_to_string(test.file()).unwrap(), "sway\n");
        assert_eq!(test.log_in("last"), starts("sway"));
        assert_eq!(test.log_in("labwc"), starts("labwc"));
        assert_eq!(test.log_in("last"), starts("labwc"));
        assert_eq!(test.log_in(""), CONFIGURED);
        assert_eq!(test.log_in("last"), CONFIGURED);
        assert!(!test.file().exists());
        assert_eq!(fs::read_dir(test.file().parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn a_session_that_is_gone_is_said_once_and_one_that_never_was_changes_nothing() {
        let test = Test::new();
        test.log_in("sway");
        assert_eq!(test.log_in("never-was"), TOLD);
        assert_eq!(test.log_in("last"), starts("sway"));
        fs::remove_file(test.root.path().join("sessions/sway.desktop")).unwrap();
        assert_eq!(test.log_in("last"), TOLD);
        assert_eq!(test.log_in("last"), CONFIGURED);
    }

    #[test]
    fn what_stands_in_the_file_is_a_name_or_nothing() {
        let test = Test::new();
        test.log_in("sway");
        for text in ["", "\n", "../sway", "sessions/sway", "sway\nlabwc\n", &"x".repeat(100_000), "a\0"] {
            fs::write(test.file(), text).unwrap();
            assert_eq!(test.log_in("last"), CONFIGURED, "{text:.20}");
        }
        fs::write(test.file(), b"\xff").unwrap();
        assert_eq!(test.log_in("last"), CONFIGURED);
        fs::remove_file(test.file()).unwrap();
        fs::create_dir(test.file()).unwrap();
        assert_eq!(test.log_in("last"), CONFIGURED);
        // Nor does that keep anybody from what they choose.
        assert_eq!(test.log_in("sway"), starts("sway"));
    }
}
