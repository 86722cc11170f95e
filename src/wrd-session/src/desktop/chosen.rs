//! The session that this login was started for, by its id.
//!
//! Always true: what an id stands for is looked up in the folders; where it stands for nothing, the user is told and
//! has the configured session. Deliberately absent: which one was chosen when, which the leader knows; and running it.

use std::path::Path;
use wrd_config::{InstalledSession, SessionId};

/// The session of a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// None: the configured one.
    pub session: Option<InstalledSession>,
    /// What the user should know.
    pub notice: Option<String>,
}

impl Chosen {
    pub fn find(id: Option<SessionId>, folders: &[impl AsRef<Path>]) -> Self {
        let Some(id) = id else { return Self::default() };
        match InstalledSession::look_up(folders, id.clone()) {
            Ok(session) => Self { session: Some(session), notice: None },
            Err(why) => {
                tracing::warn!(session = %id, "ignoring the session that was chosen: {why}");
                let notice = format!("The session \"{id}\" that was chosen cannot be started: {why}.");
                Self { session: None, notice: Some(notice) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_installed_is_said() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sway.desktop"), "[Desktop Entry]\nName=Sway\nExec=sway\n").unwrap();
        let find = |id: Option<&str>| Chosen::find(id.and_then(SessionId::parse), &[folder.path()]);
        assert_eq!(find(None), Chosen::default());
        let found = find(Some("sway"));
        assert_eq!((found.session.map(|session| session.name), found.notice), (Some("Sway".to_owned()), None));
        let missing = find(Some("labwc"));
        assert!(missing.session.is_none());
        assert!(missing.notice.unwrap().contains("\"labwc\""));
    }
}
