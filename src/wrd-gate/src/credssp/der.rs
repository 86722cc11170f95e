//! As much of DER (X.690) as CredSSP has: elements with a tag of one byte and a definite length of at most 16 bits.
//!
//! One reader for TSRequest, SPNEGO, TSCredentials and the key in our certificate. It copies nothing, so what is
//! secret stays where its owner wipes it. Always true: an element is inside of what it was read from, and reading one
//! makes progress. Deliberately absent: indefinite lengths, tags of several bytes, anything that recurses.

/// Universal tags, and the constructed context-specific tag of a field.
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OBJECT_IDENTIFIER: u8 = 0x06;
pub const ENUMERATED: u8 = 0x0a;
pub const SEQUENCE: u8 = 0x30;
pub const APPLICATION_0: u8 = 0x60;

/// `[number]`, explicit.
pub const fn field(number: u8) -> u8 {
    0xa0 | number
}

/// Bytes that are not what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DerError {
    #[error("an element ends too early")]
    TooShort,
    #[error("a length that is indefinite or needs more than 16 bits")]
    Length,
    #[error("an element of {0} bytes where at most {1} are allowed")]
    TooLong(usize, usize),
    #[error("an element {found:#04x} where {wanted:#04x} is due")]
    Tag { wanted: u8, found: u8 },
    #[error("something is behind the last element")]
    Trailing,
    #[error("a value that cannot be")]
    Value,
}

/// How an element begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub tag: u8,
    /// Of the header itself, in bytes.
    pub size: usize,
    /// Of the contents, in bytes.
    pub length: usize,
}

impl Header {
    /// The header that `bytes` begin with, or `None` while it is not complete.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, DerError> {
        let header = match *bytes {
            [_, first, ..] if first < 0x80 => (2, usize::from(first)),
            [_, 0x81, length, ..] => (3, usize::from(length)),
            [_, 0x82, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
            [_, 0x81 | 0x82, ..] | [_] | [] => return Ok(None),
            [_, _, ..] => return Err(DerError::Length),
        };
        let tag = bytes.first().copied().unwrap_or_default();
        Ok(Some(Self { tag, size: header.0, length: header.1 }))
    }
}

/// Reads one element after the other.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The contents of the next element, which has this tag.
    pub fn read(&mut self, tag: u8) -> Result<&'a [u8], DerError> {
        let (header, whole) = self.next()?;
        if header.tag != tag {
            return Err(DerError::Tag { wanted: tag, found: header.tag });
        }
        self.0 = self.0.get(whole.len()..).unwrap_or_default();
        whole.get(header.size..).ok_or(DerError::TooShort)
    }

    /// The same for an element that may be missing.
    pub fn read_optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.0.first() == Some(&tag) { self.read(tag).map(Some) } else { Ok(None) }
    }

    /// Into the next element, which has this tag.
    pub fn enter(&mut self, tag: u8) -> Result<Self, DerError> {
        self.read(tag).map(Self)
    }

    /// The same for an element that may be missing.
    pub fn enter_optional(&mut self, tag: u8) -> Result<Option<Self>, DerError> {
        Ok(self.read_optional(tag)?.map(Self))
    }

    /// The one element inside of `[number]`.
    pub fn read_field(&mut self, number: u8, tag: u8) -> Result<&'a [u8], DerError> {
        let mut inside = self.enter(field(number))?;
        let contents = inside.read(tag)?;
        inside.end()?;
        Ok(contents)
    }

    /// The same where the field may be missing.
    pub fn read_optional_field(&mut self, number: u8, tag: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.0.first() == Some(&field(number)) { self.read_field(number, tag).map(Some) } else { Ok(None) }
    }

    /// Nothing more comes.
    pub fn end(self) -> Result<(), DerError> {
        if self.is_empty() { Ok(()) } else { Err(DerError::Trailing) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was not read yet.
    #[cfg(test)]
    fn rest(&self) -> &'a [u8] {
        self.0
    }

    fn next(&self) -> Result<(Header, &'a [u8]), DerError> {
        let header = Header::read(self.0)?.ok_or(DerError::TooShort)?;
        let whole = self.0.get(..header.size + header.length).ok_or(DerError::TooShort)?;
        Ok((header, whole))
    }
}

/// The value of an INTEGER's contents that is neither negative nor more than 32 bits.
pub fn unsigned(contents: &[u8]) -> Result<u32, DerError> {
    let digits = match contents {
        [] => return Err(DerError::Value),
        [0, rest @ ..] => rest,
        [first, ..] if *first >= 0x80 => return Err(DerError::Value),
        all => all,
    };
    if digits.len() > 4 {
        return Err(DerError::Value);
    }
    Ok(digits.iter().fold(0, |value, digit| value << 8 | u32::from(*digit)))
}

/// An element with the concatenation of `parts` inside, which all together have less than 64 KB.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(length + 4);
    out.push(tag);
    let [.., high, low] = length.to_be_bytes();
    match length {
        0..0x80 => out.push(low),
        0x80..0x100 => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(contents in proptest::collection::vec(any::<u8>(), 0..7000), tag in 0u8..0x1f) {
            let bytes = element(tag, &[&contents, b"!"]);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.read(tag).unwrap(), [contents.as_slice(), b"!"].concat());
            reader.end().unwrap();
            for cut in 0..bytes.len().min(300) {
                prop_assert_eq!(Reader::new(&bytes[..cut]).read(tag), Err(DerError::TooShort));
            }
        }

        #[test]
        fn arbitrary_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = Reader::new(&bytes);
            while let Some(tag) = reader.rest().first() {
                let before = reader.rest().len();
                if reader.read(*tag).is_err() {
                    break;
                }
                prop_assert!(reader.rest().len() < before);
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_errors() {
        assert_eq!(Header::read(&[0x30, 0x80]), Err(DerError::Length));
        assert_eq!(Header::read(&[0x30, 0x83, 0, 0, 1]), Err(DerError::Length));
        assert_eq!(Header::read(&[0x30, 0xff]), Err(DerError::Length));
        assert_eq!(Header::read(&[0x30, 0x82, 1]), Ok(None));
        assert_eq!(Reader::new(&[0x04, 0x05, 1, 2]).read(OCTET_STRING), Err(DerError::TooShort));
        assert_eq!(Reader::new(&[0x04, 0x01, 1, 2]).end(), Err(DerError::Trailing));
    }

    #[test]
    fn numbers_are_of_32_bits_and_not_negative() {
        assert_eq!(unsigned(&[6]), Ok(6));
        assert_eq!(unsigned(&[0, 0xc0, 0, 0, 0x6d]), Ok(0xc000_006d));
        for bad in [&[][..], &[0xff], &[1, 0, 0, 0, 0]] {
            assert_eq!(unsigned(bad), Err(DerError::Value));
        }
    }
}
