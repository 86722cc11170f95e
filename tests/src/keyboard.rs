//! Key presses at an X server without a process for each: the few requests of the X protocol and of its XTEST
//! extension that this takes.

use anyhow::{Context, ensure};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Key codes of an X server with the usual (evdev) ones, and what they type.
pub const LETTERS: [(u8, u8); 10] = [
    (24, b'q'),
    (25, b'w'),
    (26, b'e'),
    (27, b'r'),
    (28, b't'),
    (29, b'y'),
    (30, b'u'),
    (31, b'i'),
    (32, b'o'),
    (33, b'p'),
];

pub struct Keyboard {
    socket: UnixStream,
    xtest: u8,
}

impl Keyboard {
    /// Connects to the X server that listens at `path`.
    pub fn connect(path: &Path) -> anyhow::Result<Self> {
        let mut socket = UnixStream::connect(path).with_context(|| format!("cannot connect to {}", path.display()))?;
        // Little endian, protocol 11.0, no authorisation.
        socket.write_all(&[b'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        let mut head = [0; 8];
        socket.read_exact(&mut head)?;
        let rest = usize::from(u16::from_le_bytes([head[6], head[7]])) * 4;
        socket.read_exact(&mut vec![0; rest])?;
        ensure!(head[0] == 1, "the X server refused the connection");
        // QueryExtension "XTEST".
        socket.write_all(&[98, 0, 4, 0, 5, 0, 0, 0, b'X', b'T', b'E', b'S', b'T', 0, 0, 0])?;
        let mut reply = [0; 32];
        socket.read_exact(&mut reply)?;
        ensure!(reply[0] == 1 && reply[8] == 1, "the X server has no XTEST");
        Ok(Self { socket, xtest: reply[9] })
    }

    /// Presses a key and lets it go, with one write.
    pub fn tap(&mut self, code: u8) -> anyhow::Result<()> {
        let mut requests = Vec::new();
        // KeyPress and KeyRelease events.
        for event in [2, 3] {
            let mut request = [0; 36];
            // XTestFakeInput, nine words long.
            request[..6].copy_from_slice(&[self.xtest, 2, 9, 0, event, code]);
            requests.extend_from_slice(&request);
        }
        Ok(self.socket.write_all(&requests)?)
    }
}
