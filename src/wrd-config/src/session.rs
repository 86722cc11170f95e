//! What one user's session runs with: the user's own file over the administrator's.

use crate::document::{self, Document};
use crate::{Background, ConfigError, System, system};
use std::path::Path;

/// The user's file, below the home directory (or `$XDG_CONFIG_HOME` for `.config`).
pub const USER_FILE: &str = ".config/wrd-dm/session.toml";

/// The settings of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Run by the user's shell; without one the embedded desktop runs.
    pub command: Option<String>,
    pub start_seconds: u32,
    pub background: Background,
    /// `XDG_SESSION_DESKTOP`.
    pub desktop_name: String,
}

impl SessionSettings {
    /// Reads both files. What is wrong with either comes beside the settings, for the user's screen: a
    /// mistake must not keep anybody from logging in. Call it with the user's own rights only.
    pub fn load(config_dir: &Path, home: &Path) -> (Self, Vec<ConfigError>) {
        let (system, mut errors) = System::load_lenient(config_dir);
        let mut settings = Self::of_system(&system);
        let file = home.join(USER_FILE);
        match document::read(&file) {
            Ok(Some(text)) => errors.append(&mut settings.overlay(&file, &text)),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
        (settings, errors)
    }

    /// The administrator's settings alone.
    pub fn of_system(system: &System) -> Self {
        Self {
            command: system.session.command.clone(),
            start_seconds: system.session.start_seconds,
            background: system.desktop.background.clone(),
            desktop_name: system.desktop.name.clone(),
        }
    }

    /// Lays the user's text over, as far as it is good.
    pub fn overlay(&mut self, file: &Path, text: &str) -> Vec<ConfigError> {
        let mut document = Document::parse(file, text);
        if let Some(command) = document.parsed("session", "command", system::command) {
            self.command = Some(command);
        }
        if let Some(background) = document.parsed("desktop", "background", Background::parse) {
            self.background = background;
        }
        document.finish()
    }
}
