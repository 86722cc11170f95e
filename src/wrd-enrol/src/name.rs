//! The names that an entry can have: user names that are also names of files.

use std::fmt;
use std::ops::Deref;

/// A user name under which an entry is kept. It is the name of the entry's file as well: no separator, no control
/// character, no dot in front (those are files that are being written), at most [`EntryName::MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName(String);

/// A name that no entry can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no user name that can be enrolled: 1 to 255 bytes without '/', control characters or a dot in front")]
pub struct BadName;

impl EntryName {
    /// Longest name in bytes (`NAME_MAX`).
    pub const MAX: usize = 255;
}

impl TryFrom<&str> for EntryName {
    type Error = BadName;
    fn try_from(name: &str) -> Result<Self, BadName> {
        let fits = (1..=Self::MAX).contains(&name.len()) && !name.starts_with('.');
        let plain = !name.contains(|c: char| c == '/' || c.is_control());
        if fits && plain { Ok(Self(name.to_owned())) } else { Err(BadName) }
    }
}

impl Deref for EntryName {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn names_of_users_are_fine_and_names_of_other_files_are_not() {
        for name in ["alice", "DOM\\alice", "alice@example.org", "a.b", "jürgen", "-x", &"x".repeat(255)] {
            assert_eq!(&*EntryName::try_from(name).unwrap(), name);
        }
        for name in ["", ".", "..", ".alice.1.new", "a/b", "/etc", "a\0", "a\n", "\u{1b}[2J", &"x".repeat(256)] {
            assert_eq!(EntryName::try_from(name), Err(BadName), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_one_component_of_a_path(name in "\\PC{0,8}[./]{0,3}\\PC{0,8}") {
            if let Ok(name) = EntryName::try_from(name.as_str()) {
                let parts: Vec<_> = Path::new(&*name).components().collect();
                prop_assert_eq!(parts, [Component::Normal(name.as_ref())]);
            }
        }
    }
}
