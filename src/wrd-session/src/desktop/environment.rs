//! What the session's programs find in their environment.

use std::path::Path;
use std::process::Command;
use wrd_config::InstalledSession;

/// Set for every program, and pushed to the bus and the user manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    variables: Vec<(&'static str, String)>,
}

/// A desktop that we were started from must not leak into the session; there is no X server in it.
const REMOVED: &[&str] = &["DISPLAY", "XAUTHORITY", "WAYLAND_SOCKET", "DESKTOP_SESSION", "GNOME_SETUP_DISPLAY"];

impl Environment {
    pub fn new(wayland_display: &str, desktop: &str, runtime_dir: &Path) -> Self {
        let runtime_dir = runtime_dir.display().to_string();
        let variables = vec![
            ("WAYLAND_DISPLAY", wayland_display.to_owned()),
            ("XDG_SESSION_TYPE", "wayland".to_owned()),
            ("XDG_CURRENT_DESKTOP", desktop.to_owned()),
            ("XDG_SESSION_DESKTOP", desktop.to_owned()),
            ("XDG_RUNTIME_DIR", runtime_dir),
        ];
        Self { variables }
    }

    /// What tells an installed session's programs which one it is.
    pub fn be_of(&mut self, session: &InstalledSession) {
        self.set("XDG_CURRENT_DESKTOP", session.desktops.clone());
        self.set("XDG_SESSION_DESKTOP", session.id.to_string());
        self.set("DESKTOP_SESSION", session.id.to_string());
    }

    pub fn set(&mut self, name: &'static str, value: String) {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value));
    }

    /// For the bus and the user manager: what belongs to this session and to no other of the user's.
    pub fn shared(&self) -> Vec<(&'static str, String)> {
        let own = |name: &str| !matches!(name, "XDG_RUNTIME_DIR" | "DBUS_SESSION_BUS_ADDRESS");
        self.variables.iter().filter(|(name, _)| own(name)).cloned().collect()
    }

    pub fn apply(&self, command: &mut Command) {
        for name in REMOVED {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_the_session_and_nothing_of_another() {
        let mut environment = Environment::new("wayland-3", "wrd", Path::new("/run/user/1000"));
        environment.set("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x".into());
        let mut command = Command::new("true");
        environment.apply(&mut command);
        let of = |name: &str| command.get_envs().find(|(known, _)| *known == name).map(|(_, value)| value);
        assert_eq!(of("WAYLAND_DISPLAY").flatten(), Some("wayland-3".as_ref()));
        assert_eq!(of("DBUS_SESSION_BUS_ADDRESS").flatten(), Some("unix:path=/x".as_ref()));
        assert_eq!(of("DISPLAY"), Some(None));
        assert!(environment.shared().iter().all(|(name, _)| *name != "DBUS_SESSION_BUS_ADDRESS"));
    }
}
