//! Looking at a client's screen and at its connection many times a second, without disturbing either.

use anyhow::{Context, bail};
use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};
use wrd_tests::machine::Machine;

/// The pixels of an X server's screen, read from the file that it keeps them in.
pub struct Screen {
    file: File,
    body: u64,
    stride: u64,
    width: u64,
    height: u64,
}

impl Screen {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut header = [0; 100];
        file.read_exact_at(&mut header, 0).context("no XWD header")?;
        let word = |index: usize| -> u64 {
            let bytes = header.get(index * 4..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u64::from(u32::from_be_bytes(*bytes)))
        };
        Ok(Self { body: word(0) + 12 * word(19), stride: word(12), width: word(4), height: word(5), file })
    }

    pub fn pixel(&self, x: u64, y: u64) -> anyhow::Result<u32> {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, self.body + y * self.stride + x * 4)?;
        Ok(u32::from_le_bytes(bytes) & 0x00ff_ffff)
    }

    /// A grid of 24×14 points.
    pub fn points(&self) -> anyhow::Result<Vec<u32>> {
        let middle = |number: u64, of: u64, size: u64| (2 * number + 1) * size / (2 * of);
        let grid = (0..14).flat_map(|row| (0..24).map(move |column| (row, column)));
        grid.map(|(row, column)| self.pixel(middle(column, 24, self.width), middle(row, 14, self.height))).collect()
    }

    /// The share of them that has this colour.
    pub fn share_of(&self, colour: u32) -> anyhow::Result<f64> {
        let points = self.points()?;
        Ok(points.iter().filter(|point| **point == colour).count() as f64 / points.len() as f64)
    }
}

/// Asks every tenth of a millisecond until it is so; the time when it was.
pub fn until(what: &str, mut so: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<Instant> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        if so()? {
            return Ok(Instant::now());
        }
        if Instant::now() > end {
            bail!("waited in vain for {what}");
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Local ports of the clients that are, or are being, connected to port 3389 in the machine.
pub fn connections(machine: &Machine) -> anyhow::Result<HashSet<String>> {
    let table = fs::read_to_string(format!("/proc/{}/net/tcp", machine.init()))?;
    let clients = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
        // ESTABLISHED and SYN_SENT, to port 0x0d3d.
        (remote.ends_with(":0D3D") && matches!(state, "01" | "02")).then(|| local.to_owned())
    });
    Ok(clients.collect())
}
