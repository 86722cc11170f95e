//! Cutting a byte stream into whole PDUs, without looking at what they say.
//!
//! Two kinds share the stream: TPKT (slow path; MS-RDPBCGR 2.2.1.1, RFC 1006) and fast path (2.2.8.1.2,
//! 2.2.9.1.2). Both say their own length first, and no other first byte is legal. Always true: a PDU is
//! at least as long as its header, so every turn makes progress or stops.

use std::io;
use zeroize::Zeroize;

/// Longest TPKT PDU in bytes (its length field has 16 bits).
pub const MAX_TPKT: usize = 0xffff;
/// Longest fast-path PDU in bytes (its length field has 15 bits).
pub const MAX_FAST_PATH: usize = 0x7fff;
/// Longest PDU of either kind in bytes.
pub const MAX_PDU: usize = MAX_TPKT;

/// TPKT header and the shortest X.224 TPDU.
const MIN_TPKT: usize = 7;

/// Bytes that are no RDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("a PDU cannot begin with {0:#04x}")]
    FirstByte(u8),
    #[error("a PDU of {0} bytes is shorter than its header")]
    TooShort(usize),
    #[error("a PDU of {0} bytes is longer than the {1} that are allowed here")]
    TooLong(usize, usize),
}

/// Which of the two kinds a PDU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tpkt,
    FastPath,
}

/// The kind and whole length of the PDU that `bytes` begin with, or `None` while its header is not
/// complete.
pub fn measure(bytes: &[u8]) -> Result<Option<(Kind, usize)>, FramingError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    if first == 0x03 {
        let Some(&[_, _, high, low]) = bytes.first_chunk() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < MIN_TPKT {
            return Err(FramingError::TooShort(length));
        }
        return Ok(Some((Kind::Tpkt, length)));
    }
    // The two low bits are the action: 0 is fast path, 3 is X.224 (only as the byte 0x03), 1 and 2 are nothing.
    if first & 0x03 != 0 {
        return Err(FramingError::FirstByte(first));
    }
    let Some(&length1) = bytes.get(1) else { return Ok(None) };
    let (header, length) = if length1 & 0x80 == 0 {
        (2, usize::from(length1))
    } else {
        let Some(&length2) = bytes.get(2) else { return Ok(None) };
        (3, usize::from(u16::from_be_bytes([length1 & 0x7f, length2])))
    };
    if length <= header {
        return Err(FramingError::TooShort(length));
    }
    Ok(Some((Kind::FastPath, length)))
}

/// Whether a whole PDU is a fast-path one.
pub fn is_fast_path(pdu: &[u8]) -> bool {
    pdu.first().is_some_and(|first| first & 0x03 == 0)
}

/// Collects bytes as they come and gives them back as whole PDUs.
///
/// It grows as far as its user fills it: stop filling while [`PduBuffer::len`] is above a limit of
/// at least one PDU.
#[derive(Debug)]
pub struct PduBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// End of the whole PDUs found so far; between `start` and `end`.
    whole: usize,
    /// Start of the last of them.
    last: usize,
    limit: usize,
}

impl Default for PduBuffer {
    fn default() -> Self {
        Self::with_limit(MAX_PDU)
    }
}

impl PduBuffer {
    /// PDUs longer than `limit` bytes are errors.
    pub fn with_limit(limit: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, whole: 0, last: 0, limit }
    }

    /// Allows PDUs of up to `limit` bytes from here on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let length = bytes.len();
        self.spare(length)[..length].copy_from_slice(bytes);
        self.end += length;
    }

    /// Appends what one `read` gives, at most `most` bytes; 0 is the end of the stream.
    pub fn fill(&mut self, most: usize, read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        let spare = self.spare(most);
        let length = read(&mut spare[..most])?.min(most);
        self.end += length;
        Ok(length)
    }

    /// Takes the next whole PDU, or `None` while it is incomplete.
    pub fn next_pdu(&mut self) -> Result<Option<&[u8]>, FramingError> {
        let Some(length) = self.next_length(self.start)? else { return Ok(None) };
        let from = self.start;
        self.start += length;
        self.whole = self.whole.max(self.start);
        Ok(self.bytes.get(from..from + length))
    }

    /// All whole PDUs held, as one run of bytes; [`PduBuffer::consume`] takes them away.
    ///
    /// After an error the whole PDUs before the bad one are still given by [`PduBuffer::found`].
    pub fn whole_pdus(&mut self) -> Result<&[u8], FramingError> {
        while let Some(length) = self.next_length(self.whole)? {
            self.last = self.whole;
            self.whole += length;
        }
        Ok(self.found())
    }

    /// The whole PDUs that were found so far and not consumed.
    pub fn found(&self) -> &[u8] {
        self.bytes.get(self.start..self.whole).unwrap_or_default()
    }

    /// The last whole PDU that [`PduBuffer::whole_pdus`] found, where none of it is consumed yet.
    pub fn last_found(&self) -> &[u8] {
        if self.last < self.start { &[] } else { self.bytes.get(self.last..self.whole).unwrap_or_default() }
    }

    /// Everything held, the last PDU perhaps incomplete.
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes away `length` bytes of what [`PduBuffer::found`] or [`PduBuffer::rest`] gave. Between two calls the run may
    /// begin in the middle of a PDU; that is up to the caller.
    pub fn consume(&mut self, length: usize) {
        self.start = (self.start + length).min(self.end);
        self.whole = self.whole.max(self.start);
        if self.is_empty() {
            (self.start, self.end, self.whole, self.last) = (0, 0, 0, 0);
        }
    }

    /// Overwrites what was taken away already, because it held a secret.
    pub fn wipe_consumed(&mut self) {
        let start = self.start;
        self.bytes[..start].zeroize();
        let end = self.end;
        self.bytes[end..].zeroize();
    }

    /// Gives memory back that a burst needed and nobody needs now.
    pub fn shrink(&mut self, keep: usize) {
        if self.is_empty() && self.bytes.len() > keep {
            *self = Self::with_limit(self.limit);
        }
    }

    fn next_length(&self, at: usize) -> Result<Option<usize>, FramingError> {
        let bytes = self.bytes.get(at..self.end).unwrap_or_default();
        match measure(bytes)? {
            Some((_, length)) if length > self.limit => Err(FramingError::TooLong(length, self.limit)),
            Some((_, length)) if length <= bytes.len() => Ok(Some(length)),
            _ => Ok(None),
        }
    }

    /// Room for `more` bytes behind the end: what is held moves to the front first, memory grows after.
    fn spare(&mut self, more: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < more && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.whole -= self.start;
            // Where it is consumed already, nothing may be taken for it later.
            self.last = self.last.checked_sub(self.start).unwrap_or(self.whole);
            self.start = 0;
        }
        if self.bytes.len() - self.end < more {
            self.bytes.resize(self.end + more, 0);
        }
        &mut self.bytes[self.end..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tpkt(body: usize) -> Vec<u8> {
        let length = (body + MIN_TPKT) as u16;
        let mut pdu = vec![3, 0];
        pdu.extend(length.to_be_bytes());
        pdu.extend((4..length as usize).map(|i| i as u8));
        pdu
    }

    fn fast_path(body: usize) -> Vec<u8> {
        let mut pdu = vec![0x04];
        if body + 2 < 0x80 {
            pdu.push(body as u8 + 2);
        } else {
            pdu.extend(((body + 3) as u16 | 0x8000).to_be_bytes());
        }
        pdu.extend((0..body).map(|i| i as u8));
        pdu
    }

    fn pdus() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let one = prop_oneof![(0usize..3000).prop_map(tpkt), (1usize..3000).prop_map(fast_path)];
        proptest::collection::vec(one, 0..12)
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_pdus(pdus in pdus(), cuts in proptest::collection::vec(1usize..700, 1..40)) {
            let stream = pdus.concat();
            let (mut one_by_one, mut in_runs) = (PduBuffer::default(), PduBuffer::default());
            let (mut found, mut run) = (Vec::new(), Vec::new());
            let mut at = 0;
            for cut in cuts.iter().cycle() {
                if at == stream.len() {
                    break;
                }
                let chunk = &stream[at..(at + cut).min(stream.len())];
                at += chunk.len();
                one_by_one.push(chunk);
                in_runs.fill(chunk.len(), |spare| { spare.copy_from_slice(chunk); Ok(chunk.len()) }).unwrap();
                while let Some(pdu) = one_by_one.next_pdu().unwrap() {
                    found.push(pdu.to_vec());
                }
                run.extend_from_slice(in_runs.whole_pdus().unwrap());
                if !in_runs.found().is_empty() {
                    prop_assert!(pdus.iter().any(|pdu| pdu == in_runs.last_found()));
                }
                let length = in_runs.found().len();
                in_runs.consume(length);
            }
            prop_assert!(one_by_one.is_empty() && in_runs.is_empty());
            prop_assert_eq!(&found, &pdus);
            prop_assert_eq!(run, stream);
        }

        #[test]
        fn arbitrary_bytes_end_in_pdus_an_error_or_a_wait(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut buffer = PduBuffer::default();
            buffer.push(&bytes);
            let mut taken = 0;
            while let Ok(Some(pdu)) = buffer.next_pdu() {
                prop_assert!(pdu.len() >= 3);
                taken += pdu.len();
            }
            prop_assert_eq!(buffer.len(), bytes.len() - taken);
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_errors() {
        assert_eq!(measure(&[3, 0, 0, 0]), Err(FramingError::TooShort(0)));
        assert_eq!(measure(&[3, 0, 0, 6]), Err(FramingError::TooShort(6)));
        assert_eq!(measure(&[0, 0]), Err(FramingError::TooShort(0)));
        assert_eq!(measure(&[0, 2]), Err(FramingError::TooShort(2)));
        assert_eq!(measure(&[0, 0x80, 3]), Err(FramingError::TooShort(3)));
        assert_eq!(measure(b"GET / HTTP/1.1"), Err(FramingError::FirstByte(b'G')));
        assert_eq!(measure(&[0x16, 3, 1]), Err(FramingError::FirstByte(0x16)));
        assert_eq!(measure(&[3, 0, 1]), Ok(None));
        assert_eq!(measure(&[0, 0xff]), Ok(None));
        assert_eq!(measure(&[3, 0, 0xff, 0xff]), Ok(Some((Kind::Tpkt, MAX_TPKT))));
        assert_eq!(measure(&[0, 0xff, 0xff]), Ok(Some((Kind::FastPath, MAX_FAST_PATH))));
    }

    #[test]
    fn a_limit_below_the_protocols_own_is_kept() {
        let mut buffer = PduBuffer::with_limit(100);
        buffer.push(&tpkt(10));
        buffer.push(&tpkt(200));
        assert_eq!(buffer.whole_pdus(), Err(FramingError::TooLong(207, 100)));
        assert_eq!(buffer.found(), tpkt(10));
    }

    #[test]
    fn wiping_leaves_nothing_of_what_was_taken() {
        let mut buffer = PduBuffer::default();
        buffer.push(&fast_path(50));
        buffer.push(&fast_path(5));
        buffer.next_pdu().unwrap();
        buffer.wipe_consumed();
        assert!(buffer.bytes[..52].iter().all(|byte| *byte == 0));
        assert_eq!(buffer.next_pdu().unwrap().unwrap(), fast_path(5));
    }
}
