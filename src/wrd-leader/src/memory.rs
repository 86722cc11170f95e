//! Which session a login starts: the one that was chosen, else the one that its user chose last.
//!
//! Always true: what is remembered lies where only root writes (stand-alone: whoever runs this), because logind is told
//! the session's name when it is opened, before which a user's own files need not be there; it is an id, and what that
//! stands for is looked up anew each time; a session that is gone, and one that failed at once, is forgotten, so that
//! it keeps nobody out of the next login. Deliberately absent: running one, which is the worker's.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use wrd_config::{Choice, InstalledSession, SessionId};
use wrd_sys::files::{self, Readers};

/// The session of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Configured,
    Installed(SessionId),
    /// It is not there any more: the worker starts the configured one, and tells its user why.
    Gone(SessionId),
}

impl Wanted {
    /// What was named.
    pub fn id(&self) -> Option<&SessionId> {
        match self {
            Self::Configured => None,
            Self::Installed(id) | Self::Gone(id) => Some(id),
        }
    }

    /// What logind calls it, which has a name for the `configured` one.
    pub fn desktop<'a>(&'a self, configured: &'a str) -> &'a str {
        match self {
            Self::Installed(id) => id.as_str(),
            Self::Configured | Self::Gone(_) => configured,
        }
    }
}

/// Where a user's last choice is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory(PathBuf);

impl Memory {
    pub fn of(uid: u32, state_dir: &Path) -> Self {
        Self(state_dir.join(FOLDER).join(uid.to_string()))
    }

    /// What this choice comes to.
    pub fn consult(&self, choice: &Choice, folders: &[impl AsRef<Path>]) -> Wanted {
        let id = match choice {
            Choice::Configured => None,
            Choice::Last => self.recall(),
            Choice::Installed(id) => Some(id.clone()),
        };
        match id {
            None => Wanted::Configured,
            Some(id) if InstalledSession::look_up(folders, id.clone()).is_ok() => Wanted::Installed(id),
            Some(id) => Wanted::Gone(id),
        }
    }

    /// Keeps a choice whose session has started. A state that cannot be written keeps nobody from working.
    pub fn keep(&self, choice: &Choice, wanted: &Wanted) {
        match (choice, wanted) {
            (Choice::Installed(_), Wanted::Installed(id)) => {
                if let Err(error) = self.write(id) {
                    tracing::warn!("ignoring that {id} cannot be remembered in {}: {error}", self.0.display());
                }
            }
            (Choice::Configured, _) | (Choice::Last, Wanted::Gone(_)) => self.forget(),
            (Choice::Last | Choice::Installed(_), _) => {}
        }
    }

    pub fn forget(&self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("ignoring that {} cannot be removed: {error}", self.0.display());
            }
            _ => {}
        }
    }

    fn recall(&self) -> Option<SessionId> {
        let text = match files::read(&self.0, MAX_FILE) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!("ignoring {}: {error}", self.0.display());
                return None;
            }
        };
        let id = std::str::from_utf8(&text).ok().and_then(|text| SessionId::parse(text.trim_end()));
        if id.is_none() {
            tracing::warn!("ignoring {}: it names no session", self.0.display());
        }
        id
    }

    fn write(&self, id: &SessionId) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder.parent().unwrap_or(folder))?;
            match fs::DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        files::save(&self.0, format!("{id}\n").as_bytes(), Readers::Owner)
    }
}

const FOLDER: &str = "last-session";
/// Larger than any id, in bytes.
const MAX_FILE: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;

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
            let memory = Memory::of(1000, &root.path().join("state"));
            Self { root, memory }
        }

        /// What a login starts that goes well.
        fn log_in(&self, choice: &Choice) -> Wanted {
            let wanted = self.memory.consult(choice, &[self.root.path().join("sessions")]);
            self.memory.keep(choice, &wanted);
            wanted
        }

        fn file(&self) -> PathBuf {
            self.root.path().join("state/last-session/1000")
        }
    }

    fn id(text: &str) -> SessionId {
        SessionId::parse(text).unwrap()
    }

    fn named(text: &str) -> Choice {
        Choice::Installed(id(text))
    }

    #[test]
    fn a_choice_is_remembered_until_another_is_made() {
        let test = Test::new();
        assert_eq!(test.log_in(&Choice::Last), Wanted::Configured);
        assert_eq!(test.log_in(&named("sway")), Wanted::Installed(id("sway")));
        assert_eq!(fs::read_to_string(test.file()).unwrap(), "sway\n");
        assert_eq!(test.log_in(&Choice::Last), Wanted::Installed(id("sway")));
        assert_eq!(test.log_in(&named("labwc")), Wanted::Installed(id("labwc")));
        assert_eq!(test.log_in(&Choice::Last), Wanted::Installed(id("labwc")));
        assert_eq!(test.log_in(&Choice::Configured), Wanted::Configured);
        assert_eq!(test.log_in(&Choice::Last), Wanted::Configured);
        assert_eq!(fs::read_dir(test.file().parent().unwrap()).unwrap().count(), 0);
    }

    #[test]
    fn everybody_has_a_memory_of_their_own() {
        let test = Test::new();
        test.log_in(&named("sway"));
        let other = Memory::of(1001, &test.root.path().join("state"));
        assert_eq!(other.consult(&Choice::Last, &[test.root.path().join("sessions")]), Wanted::Configured);
    }

    #[test]
    fn a_session_that_did_not_start_is_not_remembered() {
        let test = Test::new();
        test.memory.consult(&named("sway"), &[test.root.path().join("sessions")]);
        assert_eq!(test.log_in(&Choice::Last), Wanted::Configured);
    }

    #[test]
    fn a_session_that_is_gone_is_wanted_once_and_one_that_never_was_changes_nothing() {
        let test = Test::new();
        test.log_in(&named("sway"));
        assert_eq!(test.log_in(&named("never-was")), Wanted::Gone(id("never-was")));
        assert_eq!(test.log_in(&Choice::Last), Wanted::Installed(id("sway")));
        fs::remove_file(test.root.path().join("sessions/sway.desktop")).unwrap();
        assert_eq!(test.log_in(&Choice::Last), Wanted::Gone(id("sway")));
        assert_eq!(test.log_in(&Choice::Last), Wanted::Configured);
    }

    #[test]
    fn logind_is_told_what_will_run() {
        for (wanted, name) in
            [(Wanted::Configured, "wrd"), (Wanted::Installed(id("sway")), "sway"), (Wanted::Gone(id("sway")), "wrd")]
        {
            assert_eq!(wanted.desktop("wrd"), name, "{wanted:?}");
        }
    }

    #[test]
    fn what_stands_in_the_file_is_a_name_or_nothing() {
        let test = Test::new();
        test.log_in(&named("sway"));
        for text in ["", "\n", "../sway", "sessions/sway", "sway\nlabwc\n", &"x".repeat(100_000), "a\0"] {
            fs::write(test.file(), text).unwrap();
            assert_eq!(test.log_in(&Choice::Last), Wanted::Configured, "{text:.20}");
        }
        fs::write(test.file(), b"\xff").unwrap();
        assert_eq!(test.log_in(&Choice::Last), Wanted::Configured);
        fs::remove_file(test.file()).unwrap();
        fs::create_dir(test.file()).unwrap();
        assert_eq!(test.log_in(&Choice::Last), Wanted::Configured);
        // Nor does that keep anybody from what they choose.
        assert_eq!(test.log_in(&named("sway")), Wanted::Installed(id("sway")));
    }
}
