//! The administrator's settings: `wrd-dm.toml`, then `wrd-dm.toml.d/*.toml` in the order of their names.

use crate::document::{self, Document};
use crate::{Admission, Background, ConfigError, ConfigErrors};
use std::path::{Path, PathBuf};
use wrd_proto::gate::Security;

/// The file in the configuration folder; its drop-ins are in a folder of the same name with `.d`.
pub const SYSTEM_FILE: &str = "wrd-dm.toml";

/// Everything an administrator can set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    pub tls: Tls,
    pub login: Login,
    pub limits: Limits,
    pub admission: Admission,
    pub session: Session,
    pub desktop: Desktop,
}

/// `[tls]`: the administrator's own certificate; PEM files, both or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// `[login]`: who is let in by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub security: Security,
    /// Users with a lower uid are not enrolled for NLA: root, and those that are no people.
    pub enrol_min_uid: u32,
    /// How long after its line was cut a client may come back without a password; 0: never.
    pub reconnect_seconds: u32,
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time, those of sessions included.
    pub connections: u32,
    /// From the first byte to a user who is logged in, or to the login screen, and then as long again for that.
    pub login_seconds: u32,
    /// Largest desktop, in physical px.
    pub max_width: u16,
    pub max_height: u16,
}

/// `[session]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Run by the user's shell; without one the embedded desktop runs.
    pub command: Option<String>,
    /// How long a session may take until its desktop is there.
    pub start_seconds: u32,
}

/// `[desktop]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desktop {
    pub background: Background,
    /// `XDG_SESSION_DESKTOP`.
    pub name: String,
}

impl Default for Login {
    fn default() -> Self {
        Self { security: Security::default(), enrol_min_uid: 1000, reconnect_seconds: 900 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1024, login_seconds: 120, max_width: 7680, max_height: 4320 }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self { command: None, start_seconds: 30 }
    }
}

impl Default for Desktop {
    fn default() -> Self {
        Self { background: Background::default(), name: "wrd".into() }
    }
}

impl System {
    /// Reads the files below `config_dir`; a missing one is an empty one.
    pub fn load(config_dir: &Path) -> Result<Self, ConfigErrors> {
        let (system, errors) = Self::load_lenient(config_dir);
        if errors.is_empty() { Ok(system) } else { Err(ConfigErrors(errors)) }
    }

    /// As [`System::load`], with what is good of it beside the errors: for those who must go on.
    pub fn load_lenient(config_dir: &Path) -> (Self, Vec<ConfigError>) {
        let mut texts = Vec::new();
        let mut errors = Vec::new();
        for file in files(config_dir, &mut errors) {
            match document::read(&file) {
                Ok(Some(text)) => texts.push((file, text)),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        let (system, mut wrong) = Self::parse(texts.iter().map(|(file, text)| (file.as_path(), text.as_str())));
        errors.append(&mut wrong);
        (system, errors)
    }

    /// The settings of several texts, later ones over earlier ones, and what is wrong with them.
    pub fn parse<'t>(texts: impl IntoIterator<Item = (&'t Path, &'t str)>) -> (Self, Vec<ConfigError>) {
        let mut system = Self::default();
        let mut errors = Vec::new();
        let mut tls_place = None;
        for (file, text) in texts {
            let mut document = Document::parse(file, text);
            for key in ["certificate", "key"] {
                if let Some(line) = document.line(document.span("tls", key)) {
                    tls_place = Some((file.to_owned(), line));
                }
            }
            system.apply(&mut document);
            errors.append(&mut document.finish());
        }
        if system.tls.certificate.is_some() != system.tls.key.is_some() {
            let (key, missing) =
                if system.tls.key.is_none() { ("tls.certificate", "tls.key") } else { ("tls.key", "tls.certificate") };
            // A half that has its own error already needs no second one.
            if !errors.iter().any(|error| error.key.as_deref() == Some(missing)) {
                let (file, line) = tls_place.unzip();
                errors.push(ConfigError {
                    file: file.unwrap_or_default(),
                    line,
                    key: Some(key.into()),
                    text: format!("expected {missing} beside it: both or none"),
                });
            }
            system.tls = Tls::default();
        }
        (system, errors)
    }

    fn apply(&mut self, document: &mut Document<'_>) {
        set(&mut self.tls.certificate, document.parsed("tls", "certificate", absolute).map(Some));
        set(&mut self.tls.key, document.parsed("tls", "key", absolute).map(Some));

        set(&mut self.login.security, document.parsed("login", "security", security));
        set(&mut self.login.enrol_min_uid, document.integer("login", "enrol_min_uid", 0..=u32::MAX - 1));
        set(&mut self.login.reconnect_seconds, document.integer("login", "reconnect_seconds", 0..=86_400));

        set(&mut self.limits.connections, document.integer("limits", "connections", 1..=65_536));
        set(&mut self.limits.login_seconds, document.integer("limits", "login_seconds", 5..=3600));
        set(&mut self.limits.max_width, document.integer("limits", "max_width", 640..=8192).map(pixels));
        set(&mut self.limits.max_height, document.integer("limits", "max_height", 480..=8192).map(pixels));

        self.admission.apply(document);

        set(&mut self.session.command, document.parsed("session", "command", command).map(Some));
        set(&mut self.session.start_seconds, document.integer("session", "start_seconds", 1..=600));

        set(&mut self.desktop.background, document.parsed("desktop", "background", Background::parse));
        set(&mut self.desktop.name, document.parsed("desktop", "name", desktop_name));
    }
}

/// The files to read, in order. A missing drop-in folder is an empty one.
fn files(config_dir: &Path, errors: &mut Vec<ConfigError>) -> Vec<PathBuf> {
    let mut files = vec![config_dir.join(SYSTEM_FILE)];
    let folder = config_dir.join(format!("{SYSTEM_FILE}.d"));
    let mut failed = |error: std::io::Error| {
        let text = format!("cannot be read: {error}");
        errors.push(ConfigError { file: folder.clone(), line: None, key: None, text });
    };
    match std::fs::read_dir(&folder) {
        Ok(listing) => {
            let mut found = Vec::new();
            for item in listing {
                match item {
                    Ok(item) => found.push(item.path()),
                    Err(error) => failed(error),
                }
            }
            found.retain(|path| {
                path.extension().is_some_and(|extension| extension == "toml")
                    && !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
            });
            found.sort();
            files.append(&mut found);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => failed(error),
    }
    files
}

pub(crate) fn command(text: &str) -> Result<String, &'static str> {
    let fine = !text.trim().is_empty() && text.len() <= 4096 && !text.contains('\0');
    if fine { Ok(text.to_owned()) } else { Err("a command for the shell, of at most 4096 bytes") }
}

pub(crate) fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

fn pixels(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

fn absolute(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    if path.is_absolute() && !text.contains('\0') { Ok(path) } else { Err("an absolute path") }
}

fn security(text: &str) -> Result<Security, &'static str> {
    match text {
        "auto" => Ok(Security::Auto),
        "nla-preferred" => Ok(Security::NlaPreferred),
        "nla-required" => Ok(Security::NlaRequired),
        "tls" => Ok(Security::Tls),
        _ => Err("\"auto\", \"nla-preferred\", \"nla-required\" or \"tls\""),
    }
}

fn desktop_name(text: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fine = !text.is_empty() && text.len() <= 64 && text.chars().all(plain);
    if fine { Ok(text.to_owned()) } else { Err("a name of at most 64 letters, digits, '-', '_' and '.'") }
}
