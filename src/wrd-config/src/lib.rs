//! The configuration of wrd-dm: types, defaults, merging, and errors that name file, line and key.
//!
//! Owned here: where files live ([`Paths`]), the administrator's files ([`System`]) and what a user's
//! session takes from theirs ([`SessionSettings`]), and the sessions that are installed ([`Installed`]). Parsing is apart from reading: text in, settings and
//! errors out. Always true: no text panics, and a bad value never hides a good one.
//! Deliberately absent: acting on any of it, and logging.

mod admission;
pub mod desktop_entry;
mod document;
mod error;
mod installed;
mod paths;
mod session;
mod system;

pub use admission::{Admission, Startups};
pub use error::{ConfigError, ConfigErrors};
pub use installed::{Choice, Installed, InstalledSession, SESSION_FOLDERS, SessionId, Unusable};
pub use paths::Paths;
pub use session::{SessionSettings, USER_FILE};
pub use system::{Desktop, Limits, Login, SYSTEM_FILE, Session, System, Tls};

use std::path::PathBuf;

/// What is behind the windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Background {
    Colour(Rgb),
    /// A PNG or JPEG file.
    Picture(PathBuf),
}

/// A colour, 8 bits a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
}

impl Background {
    /// What stands where nothing is configured, and where a picture cannot be shown.
    pub const DEFAULT_COLOUR: Rgb = Rgb { red: 0x2d, green: 0x36, blue: 0x40 };
    const EXPECTED: &str = "a colour such as \"#2d3640\" or the absolute path of a picture";

    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with('/') {
            return Ok(Self::Picture(PathBuf::from(text)));
        }
        let digits = text.strip_prefix('#').ok_or(Self::EXPECTED)?;
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Self::EXPECTED);
        }
        let value = u32::from_str_radix(digits, 16).map_err(|_| Self::EXPECTED)?;
        let [_, red, green, blue] = value.to_be_bytes();
        Ok(Self::Colour(Rgb { red, green, blue }))
    }
}

impl Default for Background {
    fn default() -> Self {
        Self::Colour(Self::DEFAULT_COLOUR)
    }
}
