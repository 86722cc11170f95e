//! Pixels: what an X server shows, and what a worker has drawn.

use crate::machine::Machine;
use anyhow::{Context, bail, ensure};
use std::fs;
use std::path::Path;

/// A picture of 24-bit pixels, `0xrrggbb`.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u32>,
}

impl Picture {
    /// Reads the screen that `Xvfb -fbdir` keeps in an XWD file.
    pub fn of_xvfb(file: &Path) -> anyhow::Result<Self> {
        let data = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        // XWDFileHeader: 25 big-endian words; see X11/XWDFile.h.
        let word = |index: usize| -> anyhow::Result<usize> {
            let bytes = data.get(index * 4..index * 4 + 4).context("no XWD header")?;
            Ok(u32::from_be_bytes(bytes.try_into()?) as usize)
        };
        let (header, width, height, stride, colours) = (word(0)?, word(4)?, word(5)?, word(12)?, word(19)?);
        let body = data.get(header + 12 * colours..).context("no pixels")?;
        Self::of_bgrx(body, width, height, stride)
    }

    /// Reads what the compositor of `worker` (a pid inside the machine) has drawn: its one memory file of
    /// exactly this size.
    pub fn of_worker(machine: &Machine, worker: u32, width: usize, height: usize) -> anyhow::Result<Self> {
        let found = machine.sh(&format!(
            "for fd in /proc/{worker}/fd/*; do \
               case $(readlink $fd) in /memfd:wrd*) echo $fd $(stat -Lc %s $fd);; esac; done"
        ))?;
        let size = width * height * 4;
        for line in found.lines() {
            let Some((fd, bytes)) = line.split_once(' ') else { continue };
            if bytes.parse::<usize>()? >= size && bytes.parse::<usize>()? < size + 2 * 4096 {
                return Self::of_bgrx(&fs::read(machine.path(fd))?, width, height, width * 4);
            }
        }
        bail!("worker {worker} has no framebuffer of {width}x{height} ({found})")
    }

    fn of_bgrx(data: &[u8], width: usize, height: usize, stride: usize) -> anyhow::Result<Self> {
        let last_row = height.checked_sub(1).context("no pixels")?;
        ensure!(data.len() >= stride * last_row + width * 4, "short of pixels");
        let mut pixels = Vec::with_capacity(width * height);
        for row in data.chunks(stride).take(height) {
            pixels.extend(row.chunks_exact(4).take(width).map(|p| u32::from_le_bytes([p[0], p[1], p[2], 0])));
        }
        Ok(Self { width, height, pixels })
    }

    pub fn at(&self, x: usize, y: usize) -> u32 {
        self.pixels[y * self.width + x]
    }

    /// The share of the picture, from 0 to 1, that is exactly this colour (sampled).
    pub fn share_of(&self, colour: u32) -> f32 {
        let samples: Vec<u32> = self.pixels.iter().step_by(37).copied().collect();
        samples.iter().filter(|pixel| **pixel == colour).count() as f32 / samples.len() as f32
    }

    /// How many pixels differ, and the first of them with both colours.
    pub fn differences(&self, other: &Self) -> anyhow::Result<Option<String>> {
        ensure!(
            (self.width, self.height) == (other.width, other.height),
            "{}x{} and {}x{}",
            self.width,
            self.height,
            other.width,
            other.height
        );
        let differing: Vec<usize> =
            (0..self.pixels.len()).filter(|index| self.pixels[*index] != other.pixels[*index]).collect();
        Ok(differing.first().map(|index| {
            format!(
                "{} pixels differ, first at {},{}: {:06x} and {:06x}",
                differing.len(),
                index % self.width,
                index / self.width,
                self.pixels[*index],
                other.pixels[*index]
            )
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(pixels: &[u32]) -> Picture {
        Picture { width: pixels.len(), height: 1, pixels: pixels.to_vec() }
    }

    #[test]
    fn one_wrong_pixel_is_found() {
        let difference = picture(&[1, 2, 3]).differences(&picture(&[1, 9, 3])).unwrap().unwrap();
        assert!(difference.starts_with("1 pixels differ, first at 1,0"), "{difference}");
        assert!(picture(&[1]).differences(&picture(&[1])).unwrap().is_none());
        assert!(picture(&[1]).differences(&picture(&[1, 2])).is_err());
    }
}
