//! The programs that the desktop itself needs.

use std::path::PathBuf;
pub use wrd_config::desktop_entry::find_program as find;

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
