//! Finding programs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Terminals and how they are asked for a window, the best ones here first: light, Wayland, software drawn.
const TERMINALS: &[&str] = &[
    "foot",
    "kgx",
    "gnome-console",
    "ptyxis",
    "konsole",
    "xfce4-terminal",
    "gnome-terminal",
    "alacritty",
    "kitty",
    "weston-terminal",
    // Last, because it may need an X server.
    "x-terminal-emulator",
];

/// The first terminal that is installed.
pub fn terminal() -> Option<PathBuf> {
    TERMINALS.iter().find_map(|name| find(name))
}

/// The names for a message.
pub fn terminals() -> String {
    TERMINALS.join(", ")
}

/// A program by its path or by its name in `$PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| is_program(path));
    }
    if name.is_empty() {
        return None;
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        assert!(find("sh").is_some());
        assert!(find("/bin/sh").is_some());
        assert_eq!(find("/etc/passwd"), None);
        assert_eq!(find("no-such-program-anywhere"), None);
        assert_eq!(find(""), None);
    }
}
