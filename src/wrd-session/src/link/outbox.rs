//! What is to be written to a link: whole PDUs, in order, and how far the first is written.
//!
//! Nothing is dropped but by [`Outbox::cut`], which leaves what the reader needs to find the next PDU.
//! The bound is the caller's: it stops filling while [`Outbox::len`] is above one.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use wrd_rdp::framing::measure;

/// See the module.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Each at least one whole PDU.
    runs: VecDeque<Vec<u8>>,
    /// Bytes of the first run that are written.
    written: usize,
    /// Bytes not yet written.
    length: usize,
}

/// How a flush went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Everything is written.
    All,
    /// The kernel takes no more for now; so many bytes were written.
    Blocked(usize),
}

/// Most runs for one `writev`.
const MAX_SLICES: usize = 64;

impl Outbox {
    /// Appends whole PDUs.
    pub fn push(&mut self, pdus: Vec<u8>) {
        if !pdus.is_empty() {
            self.length += pdus.len();
            self.runs.push_back(pdus);
        }
    }

    /// Bytes not yet written.
    pub fn len(&self) -> usize {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes until all is written or the kernel takes no more.
    pub fn flush(&mut self, mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<Flushed> {
        let mut total = 0;
        while self.length > 0 {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut skip = self.written;
            for (slice, run) in slices.iter_mut().zip(&self.runs) {
                *slice = IoSlice::new(run.get(skip..).unwrap_or_default());
                skip = 0;
            }
            let used = self.runs.len().min(MAX_SLICES);
            match write(slices.get(..used).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    total += written;
                    self.wrote(written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked(total)),
                Err(error) => return Err(error),
            }
        }
        Ok(Flushed::All)
    }

    /// Drops everything but the rest of a PDU that is partly written, so that what is pushed next is the
    /// next the reader sees.
    pub fn cut(&mut self) {
        let first = self.runs.pop_front().unwrap_or_default();
        let mut boundary = 0;
        while boundary < self.written {
            match measure(first.get(boundary..).unwrap_or_default()) {
                Ok(Some((_, length))) => boundary += length,
                // Not PDUs, against the contract: leave the run whole.
                _ => boundary = first.len(),
            }
        }
        let (written, boundary) = (self.written, boundary.min(first.len()));
        *self = Self::default();
        if let Some(rest) = first.get(written..boundary) {
            self.push(rest.to_vec());
        }
    }

    fn wrote(&mut self, bytes: usize) {
        self.length = self.length.saturating_sub(bytes);
        self.written += bytes;
        while let Some(first) = self.runs.front() {
            if self.written < first.len() {
                break;
            }
            self.written -= first.len();
            self.runs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A fast-path PDU of `length` bytes, 3 at least.
    fn pdu(length: usize, fill: u8) -> Vec<u8> {
        let mut pdu = vec![0, 0x80 | (length >> 8) as u8, length as u8];
        pdu.resize(length, fill);
        pdu
    }

    proptest! {
        #[test]
        fn everything_comes_out_in_order(
            lengths in proptest::collection::vec(4usize..2000, 1..200),
            steps in proptest::collection::vec(0usize..9000, 1..300),
        ) {
            let mut outbox = Outbox::default();
            let wanted: Vec<u8> = lengths.iter().enumerate().flat_map(|(i, l)| pdu(*l, i as u8)).collect();
            for (i, length) in lengths.iter().enumerate() {
                outbox.push(pdu(*length, i as u8));
            }
            let mut seen = Vec::new();
            for step in steps {
                let mut room = step;
                let flushed = outbox.flush(|slices| {
                    let bytes: Vec<u8> = slices.iter().flat_map(|s| s.to_vec()).take(room).collect();
                    if bytes.is_empty() {
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                    room -= bytes.len();
                    seen.extend_from_slice(&bytes);
                    Ok(bytes.len())
                });
                prop_assert_eq!(matches!(flushed, Ok(Flushed::All)), outbox.is_empty());
                prop_assert_eq!(outbox.len() + seen.len(), wanted.len());
            }
            prop_assert!(wanted.starts_with(&seen));
        }

        #[test]
        fn after_a_cut_the_reader_is_at_a_pdu(
            lengths in proptest::collection::vec(4usize..300, 1..9), written in 0usize..1500,
        ) {
            let mut outbox = Outbox::default();
            let run: Vec<u8> = lengths.iter().flat_map(|l| pdu(*l, 1)).collect();
            outbox.push(run.clone());
            outbox.push(pdu(50, 2));
            let written = written.min(run.len());
            let mut seen = Vec::new();
            let _ = outbox.flush(|slices| {
                if seen.len() == written {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                seen.extend_from_slice(&slices[0][..written]);
                Ok(written)
            });
            outbox.cut();
            outbox.push(pdu(7, 9));
            outbox.flush(|slices| {
                seen.extend_from_slice(&slices[0]);
                Ok(slices[0].len())
            }).unwrap();
            let mut at = 0;
            while at < seen.len() {
                at += measure(&seen[at..]).unwrap().unwrap().1;
            }
            prop_assert_eq!(at, seen.len());
            prop_assert!(seen.ends_with(&pdu(7, 9)));
        }
    }
}
