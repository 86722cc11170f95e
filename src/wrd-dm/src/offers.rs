//! Which sessions the login screen offers: the configured one, then those that packages have installed.
//!
//! Always true: the folders are read when they have changed, not for each stranger who connects; a file that is at
//! fault is named in the journal once per reading. Deliberately absent: what a session runs, which its worker looks
//! up as its user.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wrd_config::{Installed, InstalledSession};
use wrd_proto::Text;
use wrd_proto::gate::{MAX_SESSIONS, SessionEntry};

/// See the module.
#[derive(Debug)]
pub struct Offers {
    folders: Vec<PathBuf>,
    read: Option<Reading>,
}

#[derive(Debug)]
struct Reading {
    /// When each of the folders had changed; none for one that is not there.
    changed: Vec<Option<SystemTime>>,
    entries: Vec<SessionEntry>,
}

impl Offers {
    pub fn of(folders: &[impl AsRef<Path>]) -> Self {
        Self { folders: folders.iter().map(|folder| folder.as_ref().to_owned()).collect(), read: None }
    }

    /// Reads the folders next time whether they have changed or not: a session may wait for a program elsewhere.
    pub fn forget(&mut self) {
        self.read = None;
    }

    /// What to offer now.
    pub fn current(&mut self) -> Vec<SessionEntry> {
        let modified = |folder: &PathBuf| folder.metadata().and_then(|about| about.modified()).ok();
        let changed: Vec<_> = self.folders.iter().map(modified).collect();
        if let Some(read) = self.read.as_ref().filter(|read| read.changed == changed) {
            return read.entries.clone();
        }
        let Installed { sessions, broken } = Installed::list(&self.folders);
        for (file, reason) in broken {
            tracing::warn!("ignoring the session {}: {reason}", file.display());
        }
        let most = MAX_SESSIONS - 1;
        if let Some(session) = sessions.get(most) {
            tracing::warn!("the login screen has room for {most} installed sessions: from {} on none is", session.id);
        }
        let entries: Vec<_> = std::iter::once(configured()).chain(sessions.iter().take(most).map(installed)).collect();
        self.read = Some(Reading { changed, entries: entries.clone() });
        entries
    }
}

/// What runs where nothing else is chosen.
fn configured() -> SessionEntry {
    SessionEntry { id: Text::default(), name: Text::truncated("Default desktop") }
}

fn installed(session: &InstalledSession) -> SessionEntry {
    SessionEntry { id: session.id.name().clone(), name: Text::truncated(&session.name) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn ids(offers: &mut Offers) -> Vec<String> {
        offers.current().into_iter().map(|entry| entry.id.into_string()).collect()
    }

    fn write(folder: &Path, id: &str) {
        fs::write(folder.join(format!("{id}.desktop")), "[Desktop Entry]\nName=A session\nExec=x\n").unwrap();
    }

    #[test]
    fn the_configured_one_comes_first_and_changes_are_seen() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("wayland-sessions");
        let mut offers = Offers::of(&[&folder]);
        assert_eq!(ids(&mut offers), [""]);
        fs::create_dir(&folder).unwrap();
        write(&folder, "sway");
        assert_eq!(ids(&mut offers), ["", "sway"]);
        assert_eq!(offers.current()[1].name.as_str(), "A session");
        // What stands in a file is not looked at again until the folder changes, or somebody says so.
        let read = fs::metadata(&folder).unwrap().modified().unwrap();
        fs::write(folder.join("sway.desktop"), "[Desktop Entry]\nHidden=true\n").unwrap();
        fs::File::open(&folder).unwrap().set_modified(read).unwrap();
        assert_eq!(ids(&mut offers), ["", "sway"]);
        offers.forget();
        assert_eq!(ids(&mut offers), [""]);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(ids(&mut offers), [""]);
    }

    #[test]
    fn no_more_are_offered_than_a_gate_takes() {
        let root = tempfile::tempdir().unwrap();
        (10..40).for_each(|number| write(root.path(), &format!("s{number}")));
        assert_eq!(ids(&mut Offers::of(&[root.path()])).len(), MAX_SESSIONS);
    }
}
